"""Costs and speeds behind figures: score against time, fronts, volumes a second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from porebench.generators import CONTROLS

from ..store.results import Run, Score
from ..store.timings import Timing, timings_of

TOOLBOXES = ("porespy", "gstools")


@dataclass(frozen=True)
class Cost:
    """Cost of a generator's score: seconds to fit once, milliseconds for each volume after that."""

    generator: str
    score: Score
    fit_seconds: float
    milliseconds: float


def costs(run: Run) -> list[Cost]:
    """Return score and cost of every scored generator, the cheapest draw first."""
    found = [
        Cost(name, score, float(run.records[name]["fit_seconds"]), float(run.records[name]["sample_milliseconds"]))
        for name, score in run.scores("nfr100").items()
    ]
    return sorted(found, key=lambda cost: cost.milliseconds)


def pareto_front(points: Iterable[Cost]) -> list[Cost]:
    """Return those for which no other is both faster and closer to real, the fastest first; controls do not compete."""
    front: list[Cost] = []
    rivals = (point for point in points if point.generator not in CONTROLS)
    for point in sorted(rivals, key=lambda cost: (cost.milliseconds, cost.score.value)):
        if not front or point.score.value < front[-1].score.value:
            front.append(point)
    return front


def front_line(points: Sequence[Cost]) -> tuple[list[float], list[float]]:
    """Return the Pareto front as a staircase of milliseconds and scores, drawn out to the slowest and the worst."""
    slowest = max((point.milliseconds for point in points), default=0.0)
    level = max((point.score.value for point in points), default=0.0)
    x, y = [], []
    for point in pareto_front(points):
        x += [point.milliseconds, point.milliseconds]
        y += [level, point.score.value]
        level = point.score.value
    return [*x, slowest], [*y, level]


def throughputs(speed: Sequence[dict[str, Any]]) -> list[Timing]:
    """Return every timing of sampling, peers from other toolboxes included, by device, generator and batch."""
    found: dict[tuple[str, str, int], Timing] = {}
    for it in timings_of(speed):
        if it.group == "sampling" or (it.group == "peers" and it.edge == 30 and _is_other(it.generator)):
            found.setdefault((it.info["device"], it.generator, it.volumes), it)
    return [found[key] for key in sorted(found)]


def _is_other(generator: str) -> bool:
    """Return whether a generator is of another toolbox."""
    return generator.split(maxsplit=1)[0] in TOOLBOXES
