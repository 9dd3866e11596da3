"""One look for a generator in every figure: a colour-blind-safe colour, a marker and a dash; matplotlib's settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from porebench.generators import CONTROLS, GENERATORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#8C8C8C"
"""Colour of controls and lines of reference: seen on white and on black."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("solid", "dashed", "dotted", "dashdot")
PORE = "#0072B2"
SHADES = ("#3D9BD6", "#0072B2", "#004E7A")
"""Colours of faces of pores across depth (from above), height and width."""
SOLID = "#F2EFE6"
CUT = "#E69F00"

Style = Literal["column", "page", "screen"]
WIDTHS: dict[str, float] = {"column": 89 / 25.4, "page": 183 / 25.4, "screen": 7.5}
"""Inches: one and two columns of a journal, and a screen."""


@dataclass(frozen=True)
class Look:
    """Look of a line, in matplotlib's words.

    Attributes:
        colour: as ``#RRGGBB``.
        marker: "" for none.
        dash: of the line.
        wide: whether the line is half as wide again.
    """

    colour: str
    marker: str
    dash: str
    wide: bool = False


REAL_LOOK = Look("#6E6E6E", "o", "solid", wide=True)
"""Look of real volumes."""
REFERENCE = Look(GREY, "", "solid")
"""Look of a line of reference."""


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return the look of each generator; registered ones always have the same one, whoever stands beside them.

    Example:
        >>> looks(["noise", "cvae"])["cvae"] == looks(["cvae"])["cvae"]
        True
    """
    rivals = [name for name in dict.fromkeys([*GENERATORS, *names]) if name not in CONTROLS]
    found = {}
    for place, name in enumerate(rivals):
        dash = DASHES[place // len(OKABE_ITO) % len(DASHES)]
        found[name] = Look(OKABE_ITO[place % len(OKABE_ITO)], MARKERS[place % len(MARKERS)], dash)
    for place, name in enumerate(CONTROLS):
        found[name] = Look(GREY, MARKERS[-1 - place % len(MARKERS)], DASHES[place % len(DASHES)])
    return {name: found[name] for name in names}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of matplotlib that belongs to no window system; sizes in inches.

    Raises:
        ImportError: if matplotlib is not installed, naming the extra.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, and the package is optional
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'porebench[report]'") from error
    return Figure(figsize=(width, height))


@contextmanager
def style(name: Style) -> Iterator[float]:
    """Set matplotlib up for paper or screen and yield the width in inches; errors as for ``new_figure``."""
    new_figure(1, 1)
    from matplotlib import rc_context  # noqa: PLC0415 - only needed where figures are drawn

    size = {"column": 7, "page": 8, "screen": 10}[name]
    settings: Any = {
        "font.size": size,
        "axes.labelsize": size,
        "legend.fontsize": size - 1,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "axes.titlesize": size,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.linewidth": 1.2,
        "lines.markersize": 4 if name == "column" else 5,
        "legend.frameon": False,
        "savefig.dpi": 300 if name != "screen" else 110,
        "svg.hashsalt": "porebench",
        "figure.constrained_layout.use": True,
    }
    with rc_context(settings):
        yield WIDTHS[name]
