"""Parts of the page: sections of panels; a panel is a plot with its still picture, a table, or a note."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..figures import draw
from ..plots import Plots
from ..style import style
from ..volumes import Draws
from .plots import interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Origin:
    """Origin of a panel.

    Attributes:
        run: the data set it belongs to; "" for panels about all.
        source: file in ``results/`` that it is made from.
        command: command line that makes that file.
    """

    run: str = ""
    source: str = ""
    command: str = ""


@dataclass(frozen=True)
class Panel:
    """One thing to look at.

    Attributes:
        name: identifier in the page.
        title: heading; "" for none.
        origin: data set, file and command.
        text: a sentence or two below the heading.
        body: ready HTML.
        rows: of a table of plain text, its header first.
        draws: volumes that slices are shown of.
        plots: plotly's JSON values by title, one of which is shown at a time where JavaScript runs.
        still: data address of the picture that is shown elsewhere.
        scene: data of the three-dimensional view.
        missing: why there is nothing to show; the command of ``origin`` makes it.
    """

    name: str
    title: str = ""
    origin: Origin = field(default_factory=Origin)
    text: str = ""
    body: Markup = field(default_factory=Markup)
    rows: Sequence[Sequence[str]] = ()
    draws: Draws | None = None
    plots: dict[str, dict[str, Any]] = field(default_factory=dict)
    still: str = ""
    scene: dict[str, Any] | None = None
    missing: str = ""


@dataclass(frozen=True)
class Section:
    """A headed part of the page."""

    name: str
    title: str
    text: str
    panels: list[Panel]


def plotted(
    name: str,
    title: str,
    origin: Origin,
    text: str,
    plots: Plots,
    printed: Plots | None = None,
    body: Markup = Markup(),  # noqa: B008 - never changed
    missing: str = "",
) -> Panel:
    """Return a panel of plots that can be pointed at, with a still picture of them, or of other ones to be printed.

    Where there are no plots, the panel has its ready HTML alone, or says what is missing.
    """
    if not plots:
        return Panel(name, title, origin, text, body, missing=missing)
    shown = {heading: interactive(plot) for heading, plot in plots.items()}
    picture = still(partial(draw, printed or plots))
    return Panel(name, title, origin, text, body, plots=shown, still=picture)


def still(make: Callable[[float], Figure]) -> str:
    """Return the picture of a matplotlib figure as a data address."""
    buffer = io.BytesIO()
    with style("screen") as width:
        make(width).savefig(buffer, format="webp", pil_kwargs={"quality": 80})
    return data_address(buffer.getvalue(), "image/webp")


def data_address(content: bytes, kind: str) -> str:
    """Return an address that holds bytes."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
