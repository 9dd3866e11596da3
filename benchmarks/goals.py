"""What the project aims at beside what was measured: results/goals.md, from the tables of ``results``.

A goal whose table is missing is "not measured"; one that is missed is said to be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pandas as pd

from porebench.metrics.bands import ALL

from .evaluate.fits import PUBLISHED
from .report.scaling import Growth, growths, read_scaling
from .report.speed import NOT_MEASURED, PEER
from .report.text import table_lines
from .store.timings import merged

HEAD = (
    "Goals of the conditional VAE and of speed, each beside what a command in this repository measured on the test "
    "part. IoU is that of reconstructions with the exact count; NFR100 is 1 where draws cannot be told from real ones."
)
OURS = ("cvae", "cvae-prior")
CLASSIC = ("sphere-packing", "gaussian-field", "pca", "noise")
IOU = {(0.2, 0.4): 0.50, (0.4, 0.6): 0.80, (0.6, 0.78): 0.86, (0.78, 0.86): 0.90}
NFR100 = {"cvae": 6.0, "cvae-prior": 3.0}
WEIGHTS_MB = 6.0
COVERAGE = 0.9
COUNT_FROM = 0.2
RATIOS = (
    ("gaussian-field", PEER, 15.0),
    ("pca", PEER, 15.0),
    ("sphere-packing", "porespy overlapping_spheres", 40.0),
    ("cvae", "cvae-seed", 60.0),
    ("cvae-prior", "cvae-seed", 3.0),
)
BATCH = 64
FITTED, FIT_SECONDS = ("sphere-packing", "gaussian-field", "pca"), 10.0
DESCRIBED, DESCRIBE_SECONDS, WORKERS = 512, 8.0, 2
DRAWN, GPU_MILLISECONDS = 512, 10.0
SMALL, LARGE, HUGE = 30**3, 240**3, 512**3
OVER_LINEAR, BYTES_A_VOXEL, HUGE_GB = 1.5, 16.0, 6.0
LARGE_DRAWS = ("gaussian-field", "sphere-packing", *OURS)
HUGE_DRAWS = ("gaussian-field", "sphere-packing")


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was wanted, what was found, and whether that is enough (None: not measured)."""

    goal: str
    found: str
    met: bool | None

    def cells(self) -> list[str]:
        """The line's cells."""
        return [self.goal, self.found, {True: "met", False: "missed", None: "–"}[self.met]]


def goal_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """The page ``goals.md``, if there are results, and no table for the README."""
    if not (results / "spheres" / "accuracy.csv").is_file():
        return {}, {}
    found = [finding for study in STUDIES for finding in study(results)]
    lines = table_lines(["goal", "measured", ""], [finding.cells() for finding in found])
    return {results / "goals.md": "\n".join(["# Goals", "", HEAD, "", *lines]) + "\n"}, {}


def _read(path: Path) -> pd.DataFrame | None:
    return pd.read_csv(path, dtype={"exact_count": str}) if path.is_file() else None


def _compare(
    goal: str, value: float | None, *, least: float = -math.inf, most: float = math.inf, digits: str = ".2f"
) -> Finding:
    if value is None or math.isnan(value):
        return Finding(goal, NOT_MEASURED, None)
    return Finding(goal, format(value, digits), least <= value <= most)


def _scores(results: Path, dataset: str) -> dict[tuple[str, str, str], float]:
    table = _read(results / dataset / "accuracy.csv")
    if table is None:
        return {}
    return {(str(row.generator), str(row.band), str(row.metric)): float(row.value) for row in table.itertuples()}


def _reconstruction(results: Path) -> Iterator[Finding]:
    table, scores = _read(results / "spheres" / "overlap.csv"), _scores(results, "spheres")
    for name in OURS:
        for (low, high), least in IOU.items():
            value = None
            if table is not None:
                part = table[(table.generator == name) & (table.density > low) & (table.density < high)]
                value = float((part.iou * part.n).sum() / part.n.sum()) if len(part) else None
            yield _compare(f"{name}: IoU at densities {low:g}-{high:g} ≥ {least:g}", value, least=least)
        value = scores.get((name, "0.2-0.4", "speck_recall"))
        yield _compare(f"{name}: pores of ≤ 3 voxels found at 0.2-0.4 ≥ 0.6", value, least=0.6)


def _generation(results: Path) -> Iterator[Finding]:
    scores = _scores(results, "spheres")
    bands = [band for name, band, metric in scores if (name, metric) == ("noise", "nfr100") and band != ALL]
    curves = _read(results / "spheres" / "curves.csv")
    for name, most in NFR100.items():
        value = scores.get((name, ALL, "nfr100"))
        yield _compare(f"{name}: NFR100 on spheres ≤ {most:g}", value, most=most)
        if value is None:
            continue
        lost = [
            f"{band}: {scores[name, band, 'nfr100']:.2f} against {scores[rival, band, 'nfr100']:.2f} of {rival}"
            for band in bands
            for rival in ("gaussian-field", "pca")
            if scores[name, band, "nfr100"] >= scores.get((rival, band, "nfr100"), float("inf"))
        ]
        goal = f"{name}: better than gaussian-field and pca in every band"
        yield Finding(goal, "; ".join(lost) or f"in all {len(bands)}", not lost)
        for density in (0.3, 0.5):
            off = _clusters_off(curves, name, density)
            goal = f"{name}: clusters within 5 % of real around density {density:g}"
            yield _compare(goal, off, least=-5, most=5, digits="+.1f")
    rock = _scores(results, "berea")
    rivals = {name: rock[name, ALL, "nfr100"] for name in CLASSIC if (name, ALL, "nfr100") in rock}
    for name in OURS:
        value = rock.get((name, ALL, "nfr100"))
        best = min(rivals, key=lambda rival: rivals[rival], default=None)
        if value is None or best is None:
            yield Finding(f"{name}: better on Berea than what does not learn", NOT_MEASURED, None)
        else:
            found = f"{value:.2f}; {best} {rivals[best]:.2f}"
            yield Finding(f"{name}: better on Berea than what does not learn", found, value < rivals[best])


def _clusters_off(curves: pd.DataFrame | None, name: str, density: float) -> float | None:
    """Percent by which the mean number of clusters differs from the real one, in the two bins around a density."""
    if curves is None:
        return None
    table = curves[curves.descriptor == "n_components"]
    means = []
    for who in (name, "real"):
        part = table[table.generator == who]
        near = part.loc[(part.density - density).abs().sort_values().index[:2]]
        if near.empty:
            return None
        means.append(float((near["mean"] * near.n).sum() / near.n.sum()))
    return 100 * (means[0] / means[1] - 1)


def _condition(results: Path) -> Iterator[Finding]:
    table, intervals = _read(results / "spheres" / "calibration.csv"), _read(results / "spheres" / "intervals.csv")
    for name in OURS:
        goal = f"{name}: mean count without projection within the real spread, densities {COUNT_FROM:g}-1"
        if table is None or not (table.generator == name).any():
            yield Finding(goal, NOT_MEASURED, None)
        else:
            real = table[table.generator == "real"].set_index("density")
            free = table[(table.generator == name) & (table.exact_count == "no")].set_index("density")
            both = [at for at in free.index if at >= COUNT_FROM and at in real.index]
            inside = [abs(free.bias[at]) <= 100 * real.sd[at] / real.target[at] for at in both]
            found = f"at {sum(inside)} of {len(inside)} densities; mean {free.bias[both].abs().mean():.1f} % off"
            yield Finding(goal, found, all(inside))
        for exact, how in (("yes", "with"), ("no", "without")):
            goal = f"{name}, {how} exact count: its 90 % intervals hold {COVERAGE:.0%} of real descriptors, ± 5 %"
            value = None
            if intervals is not None:
                part = intervals[
                    (intervals.generator == name)
                    & (intervals.exact_count == exact)
                    & (intervals.band == ALL)
                    & (intervals.descriptor == "mean of descriptors")
                ]
                value = float(part.coverage.iloc[0]) if len(part) else None
            yield _compare(goal, value, least=COVERAGE - 0.05, most=COVERAGE + 0.05)


def _size(_results: Path) -> Iterator[Finding]:
    for name in OURS:
        sizes = [path.stat().st_size / 1e6 for path in PUBLISHED.glob(f"*/{name}.safetensors")]
        goal = f"{name}: published weights ≤ {WEIGHTS_MB:g} MB"
        yield _compare(goal, max(sizes, default=None), most=WEIGHTS_MB, digits=".1f")


def _speed(results: Path) -> Iterator[Finding]:
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((results / "speed").glob("*.json"))]
    timings = merged(bench for run in runs for bench in run["benchmarks"])
    timed = {it.generator: it for it in timings if it.group == "peers" and it.volumes == BATCH}
    for name, rival, least in RATIOS:
        ratio = median(timed[name].over(timed[rival])) if {name, rival} <= timed.keys() else None
        goal = f"{name}: {least:g} × the volumes a second of {rival}, batch {BATCH}"
        yield _compare(goal, ratio, least=least, digits=".1f")
    fits = {it.generator: it.seconds for it in timings if it.group == "fit"}
    for name in FITTED:
        yield _compare(f"{name}: fitted in {FIT_SECONDS:g} s", fits.get(name), most=FIT_SECONDS, digits=".2g")
    scored = [it for it in timings if it.group == "scoring" and it.info["params"] == {"workers": WORKERS}]
    goal = f"{DESCRIBED} volumes described in {DESCRIBE_SECONDS:g} s on two cores"
    yield _compare(goal, DESCRIBED / scored[0].rate if scored else None, most=DESCRIBE_SECONDS, digits=".1f")
    drawn = [
        1e3 * it.seconds
        for it in timings
        if (it.group, it.generator, it.device, it.volumes) == ("sampling", "cvae", "cuda", DRAWN)
    ]
    goal = f"cvae: {DRAWN} volumes on a GPU in {GPU_MILLISECONDS:g} ms"
    yield _compare(goal, drawn[0] if drawn else None, most=GPU_MILLISECONDS, digits=".1f")


def _large(results: Path) -> Iterator[Finding]:
    """Time and memory of large draws, in proportion to their voxels."""
    table = read_scaling(results)
    grown = {} if table is None else {growth.generator: growth for growth in growths(table)}
    for name in LARGE_DRAWS:
        one, batched, memory = _growth(grown.get(name))
        for ratio, small in ((one, "one"), (batched, f"one of {BATCH}")):
            goal = f"{name}: time of 240³ ≤ {OVER_LINEAR:g} × 512 times that of {small} of 30³"
            yield _compare(goal, ratio, most=OVER_LINEAR)
        yield _compare(f"{name}: ≤ {BYTES_A_VOXEL:g} bytes a voxel at 240³", memory, most=BYTES_A_VOXEL, digits=".1f")
    for name in HUGE_DRAWS:
        growth = grown.get(name)
        memory = None
        if growth is not None and HUGE in growth.voxels:
            memory = growth.memory[growth.voxels.index(HUGE)] / 1e9
        yield _compare(f"{name}: 512³ within {HUGE_GB:g} GB", memory, most=HUGE_GB, digits=".2g")


def _growth(growth: Growth | None) -> tuple[float | None, float | None, float | None]:
    """Time of a large draw over that of as many small voxels, alone and in a batch, and its bytes a voxel."""
    if growth is None or not {SMALL, LARGE} <= set(growth.voxels):
        return None, None, None
    at = growth.voxels.index(LARGE)
    batched = None if growth.batched is None else growth.over_linear(growth.batched, at)
    return growth.over_linear(growth.seconds[0], at), batched, growth.bytes_a_voxel(at)


STUDIES = (_reconstruction, _generation, _condition, _size, _speed, _large)
