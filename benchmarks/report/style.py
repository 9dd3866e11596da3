"""One look for a generator in every figure: a colour-blind-safe colour, a marker and a dash, never colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porebench.generators import CONTROLS, GENERATORS

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#8C8C8C"
"""Of real volumes and controls: seen on white and on black."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES = ("solid", "dashed", "dotted", "dashdot")
PORE = "#0072B2"
SHADES = ("#3D9BD6", "#0072B2", "#004E7A")
"""Of faces of pores across depth (from above), height and width."""
SOLID = "#F2EFE6"
CUT = "#E69F00"


@dataclass(frozen=True)
class Look:
    """How a generator is drawn, in matplotlib's words."""

    colour: str
    marker: str
    dash: str


REAL_LOOK = Look("#6E6E6E", "o", "solid")
"""Of real volumes."""


def looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each generator; registered ones always have the same one, whoever stands beside them.

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
