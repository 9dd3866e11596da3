"""Which generator to use: for each data set, those that the accuracy tables speak for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from porebench.generators import CONTROLS
from porebench.metrics.verdict import COPYING, rejected

from ..store.results import Run
from .series import Cost, costs
from .text import ABSENT, table_of

QUICK = 60.0
"""Seconds within which a fit is quick."""
NEAR = 1.5
"""Times the best score up to which another is near it."""


def choice_lines(runs: Iterable[Run]) -> list[str]:
    """Return a table in Markdown of the generators to use on each data set.

    Left out are controls and those whose copies of training volumes or patches the verdict finds.
    """
    found = [(run, _eligible(run)) for run in runs]
    return table_of(
        [(run, rivals) for run, rivals in found if rivals],
        {
            "data set": lambda it: it[0].name,
            "closest to real": lambda it: _named(it[1]),
            f"closest, fitted within {QUICK:.0f} s": lambda it: _named([c for c in it[1] if c.fit_seconds <= QUICK]),
            f"fastest within {NEAR:g} × the best": lambda it: _fastest(it[1]),
            "farthest from real": lambda it: _named(it[1], best=False),
        },
    )


def _eligible(run: Run) -> list[Cost]:
    """Return the cost of every generator that draws volumes of its own."""
    tests = {name: run.scores(f"p:{name}") for name in COPYING}

    def copies(generator: str) -> bool:
        return bool(rejected({name: p[generator].value for name, p in tests.items() if generator in p}))

    return [cost for cost in costs(run) if cost.generator not in CONTROLS and not copies(cost.generator)]


def _fastest(rivals: Sequence[Cost]) -> str:
    best = min(cost.score.value for cost in rivals)
    near = [cost for cost in rivals if cost.score.value <= NEAR * best]
    return _words(min(near, key=lambda cost: cost.milliseconds))


def _named(rivals: Sequence[Cost], *, best: bool = True) -> str:
    if not rivals:
        return ABSENT
    return _words((min if best else max)(rivals, key=lambda cost: cost.score.value))


def _words(cost: Cost) -> str:
    return f"`{cost.generator}` ({cost.score.value:.2f}, {cost.milliseconds:.3g} ms)"
