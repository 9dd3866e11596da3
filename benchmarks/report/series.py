"""What figures show, taken from results once for paper and page alike: costs, fronts, speeds, scores by band."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.generators import CONTROLS
from porebench.metrics.descriptors import HEADLINE

from ..store.results import read_accuracy
from ..store.timings import merged
from .speed import TOOLBOXES


@dataclass(frozen=True, eq=False)
class Run:
    """The results of one data set.

    Attributes:
        name: of the data set.
        folder: where they lie.
        table: rows of accuracy.csv.
        manifest: content of manifest.json.
    """

    name: str
    folder: Path
    table: pd.DataFrame
    manifest: dict[str, Any]

    @property
    def generators(self) -> list[str]:
        """Names of the generators that have a score, best first."""
        scores = self.scores("nfr100")
        return sorted(scores, key=lambda name: scores[name].value)

    @property
    def bands(self) -> list[str]:
        """Names of the density bands, in order."""
        return [str(band) for band in dict.fromkeys(self.table["band"]) if band != "all"]

    @property
    def command(self) -> str:
        """The command line that made the newest row."""
        newest = max(self.manifest["generators"].values(), key=lambda record: str(record["date"]))
        return str(newest["command"])

    def scores(self, metric: str, band: str = "all") -> dict[str, Score]:
        """A metric of every generator that has it, in a band."""
        chosen = self.table[(self.table["metric"] == metric) & (self.table["band"] == band)]
        return {
            str(row.generator): Score(float(row.value), float(row.ci_low), float(row.ci_high))
            for row in chosen.itertuples()
            if pd.notna(row.value)
        }


@dataclass(frozen=True)
class Score:
    """A number with its interval (NaN where it has none)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Cost:
    """What a generator's score costs: seconds to fit once, milliseconds for each volume after that."""

    generator: str
    score: Score
    fit_seconds: float
    milliseconds: float

    def seconds(self, volumes: float) -> float:
        """To fit, and to draw that many volumes."""
        return self.fit_seconds + volumes * self.milliseconds / 1000


@dataclass(frozen=True)
class Throughput:
    """Volumes a second of a generator on a device, at a batch size."""

    generator: str
    device: str
    batch: int
    volumes_per_second: float


def read_runs(results: Path) -> list[Run]:
    """The results of every data set that has any, simulated ones first."""
    folders = sorted(path.parent for path in results.glob("*/manifest.json"))
    runs = [Run(folder.name, folder, *read_accuracy(folder)) for folder in folders]
    return sorted(runs, key=lambda run: (not run.name.startswith("spheres"), run.name))


def read_speed(results: Path) -> list[dict[str, Any]]:
    """The runs of the speed benchmarks, one a file."""
    return [json.loads(path.read_text()) for path in sorted((results / "speed").glob("*.json"))]


def costs(run: Run) -> list[Cost]:
    """Score and cost of every scored generator, the cheapest draw first."""
    records = run.manifest["generators"]
    found = [
        Cost(name, score, float(records[name]["fit_seconds"]), float(records[name]["sample_milliseconds"]))
        for name, score in run.scores("nfr100").items()
    ]
    return sorted(found, key=lambda cost: cost.milliseconds)


def pareto_front(points: Iterable[Cost]) -> list[Cost]:
    """Those for which no other is both faster and closer to real, the fastest first; controls do not compete."""
    front: list[Cost] = []
    rivals = (point for point in points if point.generator not in CONTROLS)
    for point in sorted(rivals, key=lambda cost: (cost.milliseconds, cost.score.value)):
        if not front or point.score.value < front[-1].score.value:
            front.append(point)
    return front


def front_line(points: Sequence[Cost]) -> tuple[list[float], list[float]]:
    """The Pareto front as a staircase of milliseconds and scores, drawn out to the slowest and the worst."""
    front = pareto_front(points)
    slowest = max((point.milliseconds for point in points), default=0.0)
    level = max((point.score.value for point in points), default=0.0)
    x, y = [], []
    for point in front:
        x += [point.milliseconds, point.milliseconds]
        y += [level, point.score.value]
        level = point.score.value
    return [*x, slowest], [*y, level]


def payback(learned: Cost, rival: Cost) -> float | None:
    """Number of volumes from which the slower fit of ``learned`` costs less time than drawing from ``rival``.

    Returns:
        0 if it is cheaper from the start; None if it never is.
    """
    extra = learned.fit_seconds - rival.fit_seconds
    saved = (rival.milliseconds - learned.milliseconds) / 1000
    if extra <= 0 and saved >= 0:
        return 0.0
    return extra / saved if saved > 0 and extra > 0 else None


def throughputs(speed: Sequence[dict[str, Any]]) -> list[Throughput]:
    """Every measured sampling speed, peers from other toolboxes included, by generator, device and batch."""
    found: dict[tuple[str, str, int], Throughput] = {}
    for timing in merged(bench for run in speed for bench in run["benchmarks"]):
        if timing.group == "sampling" or (
            timing.group == "peers" and timing.edge == 30 and _is_other(timing.generator)
        ):
            key = (timing.generator, timing.info["device"], timing.volumes)
            found.setdefault(key, Throughput(*key, timing.rate))
    return sorted(found.values(), key=lambda item: (item.device, item.generator, item.batch))


def peers(speed: Sequence[dict[str, Any]]) -> list[Cost]:
    """Generators of other toolboxes as costs without a score: nothing to fit, time from their largest batch."""
    found = {
        item.generator: Cost(
            item.generator, Score(float("nan"), float("nan"), float("nan")), 0.0, 1000 / item.volumes_per_second
        )
        for item in throughputs(speed)
        if _is_other(item.generator)
    }
    return list(found.values())


def _is_other(generator: str) -> bool:
    """Whether it is a generator of another toolbox."""
    return generator.split(maxsplit=1)[0] in TOOLBOXES


def by_band(run: Run) -> dict[str, list[Score | None]]:
    """NFR100 of each generator in each band, best generator first; None where a band has none."""
    scores = [run.scores("nfr100", band) for band in run.bands]
    return {name: [found.get(name) for found in scores] for name in run.generators}


def by_descriptor(run: Run) -> dict[str, list[float | None]]:
    """NFR100 of each generator for each headline descriptor, best generator first."""
    scores = [run.scores(f"nfr100:{descriptor}") for descriptor in HEADLINE]
    return {name: [found[name].value if name in found else None for found in scores] for name in run.generators}
