"""What a page is made of: sections of panels; a panel is a plot with its still picture, a table, or a note."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Origin:
    """Where a panel comes from.

    Attributes:
        run: the data set it belongs to; "" for panels about all.
        source: file in ``results/`` that it is made from.
        command: what makes that file.
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
        plot: a plotly figure as JSON values, drawn in place of the still picture where JavaScript runs.
        choices: several such figures by name, one of which is shown at a time.
        still: data address of the still picture.
        scene: data of the three-dimensional view.
        missing: why there is nothing to show; the command of ``origin`` makes it.
    """

    name: str
    title: str = ""
    origin: Origin = field(default_factory=Origin)
    text: str = ""
    body: Markup = field(default_factory=Markup)
    plot: dict[str, Any] | None = None
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)
    still: str = ""
    scene: dict[str, Any] | None = None
    missing: str = ""

    @property
    def plots(self) -> dict[str, Any]:
        """Every plotly figure by the name of its choice; "" where there is no choice."""
        return self.choices or ({"": self.plot} if self.plot else {})


@dataclass(frozen=True)
class Section:
    """A headed part of the page."""

    name: str
    title: str
    text: str
    panels: list[Panel]


def still(make: Callable[[float], Figure]) -> str:
    """The picture that a matplotlib figure gives, as a data address."""
    buffer = io.BytesIO()
    with style("screen") as width:
        make(width).savefig(buffer, format="webp", pil_kwargs={"quality": 80})
    return data_address(buffer.getvalue(), "image/webp")


def data_address(content: bytes, kind: str) -> str:
    """Bytes as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
