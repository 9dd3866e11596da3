"""Every figure as plain data, described once: ``figures`` draws it by matplotlib for paper, ``page`` by plotly.

A figure is one plot or several by title. On paper they stand side by side above one legend; the page shows one
at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from porebench.generators import CONTROLS
from porebench.metrics.descriptors import HEADLINE
from porebench.metrics.estimate import normal
from porebench.metrics.physics import AXES
from porebench.metrics.table import METRICS

from ..store.results import ALL, REAL, Run, Score, read_side_table
from .lengths import Voxel
from .series import costs, front_line, throughputs
from .studies import SHOWN
from .style import PORE, REAL_LOOK, REFERENCE, Look, looks
from .text import percent

MOST_BYTES = 16
"""Bytes a voxel of the line of reference beside the memory of large draws."""
CLASSES = 9
"""Classes of density, of equally many volumes, that permeability and conductivity are averaged in."""
LENGTHS = {"voxel": 1, "voxels": 1, "1/voxel": -1, "squared voxel edges": 2}
"""Units by the power of a length that they are."""
ENOUGH = 10.0
"""Pore voxels that a density must ask for to show how many more or fewer are drawn, in percent."""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: without the unit.
        log: whether it is logarithmic.
        low: where it begins; None for where the data do.
        high: where it ends.
        ticks: text of the only ticks, by place; empty for usual ones.
        unit: of its numbers, "" for none; those of ``LENGTHS`` can be changed.
    """

    title: str = ""
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Mapping[float, str] = field(default_factory=dict)
    unit: str = ""

    @property
    def label(self) -> str:
        """Title and unit."""
        return ", ".join(filter(None, (self.title, self.unit)))


@dataclass(frozen=True)
class Series:
    """Points or a line, with intervals if they are given.

    Attributes:
        name: in the legend.
        look: colour, marker and dash.
        x: places.
        y: values, one a place.
        mode: what is drawn of it.
        low: lower ends of intervals, NaN where there is none; empty for no intervals.
        high: upper ends.
        band: whether intervals are a band rather than bars.
        hidden: whether the page shows it only when it is asked for.
        hover: further text of each point on the page; empty for none.
        note: text at the last point on paper.
    """

    name: str
    look: Look
    x: Sequence[float]
    y: Sequence[float]
    mode: Literal["lines", "markers", "lines+markers"] = "lines+markers"
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    band: bool = False
    hidden: bool = False
    hover: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """One pair of axes.

    Attributes:
        x: horizontal axis.
        y: vertical axis.
        series: what is shown.
        levels: text of each horizontal line of reference, by value; dashed where there is a text.
    """

    x: Axis
    y: Axis
    series: Sequence[Series]
    levels: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Map:
    """A table of numbers as colours, each with its text.

    Attributes:
        title: of the colours.
        rows: names, from the top.
        columns: names.
        values: one a row and column; NaN for none.
        texts: likewise.
        low: value of the darkest colour.
        high: value of the brightest.
        log: whether colours follow the logarithm.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float]]
    texts: Sequence[Sequence[str]]
    low: float
    high: float
    log: bool = False


Plots = Mapping[str, Plot | Map]
"""A figure: plots by title, which is "" for one that needs none."""

NFR100 = Axis("NFR100", log=True)
AS_REAL = {1.0: "real"}


def bands(run: Run) -> Plots:
    """Describe NFR100 of each generator over the density bands, with intervals."""
    names, known = run.generators, looks(run.generators)
    offsets = np.linspace(-0.2, 0.2, len(names)) if len(names) > 1 else [0.0]
    series = []
    for offset, name in zip(offsets, names, strict=True):
        scores = [run.scores("nfr100", band).get(name) for band in run.bands]
        found = {place: score for place, score in enumerate(scores) if score is not None}
        places = [place + float(offset) for place in found]
        series.append(_scored(name, known[name], places, list(found.values()), [run.bands[place] for place in found]))
    ticks = {float(place): band for place, band in enumerate(run.bands)}
    return {"": Plot(Axis("density", ticks=ticks), replace(NFR100, low=0.1), series, AS_REAL)}


def descriptors(run: Run) -> Plots:
    """Describe NFR100 of each generator for each headline descriptor."""
    scores = [run.scores(f"nfr100:{name}") for name in HEADLINE]
    values = [[found[name].value if name in found else np.nan for found in scores] for name in run.generators]
    return {"": _score_map(run.generators, [_words(name) for name in HEADLINE], values)}


def media(runs: Sequence[Run]) -> Plots:
    """Describe NFR100 of each generator on each data set, the closest to real on average first.

    Args:
        runs: of data sets; fewer than two give no plot.
    """
    found = pd.DataFrame({run.name: {name: it.value for name, it in run.scores("nfr100").items()} for run in runs})
    if len(found.columns) < 2:
        return {}
    ordered = found.loc[np.log(found).mean(axis=1).sort_values(kind="stable").index]
    return {"": _score_map([str(name) for name in ordered.index], list(found.columns), ordered.to_numpy().tolist())}


def cost(run: Run) -> Plots:
    """Describe NFR100 over the time of a draw, with the front of the generators that no other beats in both."""
    points = costs(run)
    known = looks([it.generator for it in points])
    series = []
    for it in points:
        own = _scored(it.generator, known[it.generator], [it.milliseconds], [it.score], [f"fit {it.fit_seconds:.4g} s"])
        series.append(replace(own, mode="markers"))
    series.append(Series("Pareto front", REFERENCE, *front_line(points), mode="lines"))
    return {"": Plot(Axis("milliseconds a volume", log=True), NFR100, series, AS_REAL)}


def speed(measured: Sequence[dict[str, Any]]) -> Plots:
    """Describe volumes a second over batch size, for each device."""
    items = throughputs(measured)
    known = looks([it.generator for it in items])
    found = {}
    for device in dict.fromkeys(it.info["device"] for it in items):
        series = []
        for name, look in known.items():
            own = [it for it in items if (it.info["device"], it.generator) == (device, name)]
            if own:
                series.append(Series(name, look, [it.volumes for it in own], [it.rate for it in own]))
        found[device] = Plot(Axis("volumes at once", log=True), Axis("volumes a second", log=True), series)
    return found


def scaling(measured: pd.DataFrame) -> Plots:
    """Describe seconds and peak memory of one draw over its voxels, beside lines that are linear in them.

    Args:
        measured: see ``scaling.medians``.
    """
    single = measured[measured["volumes"] == 1]
    known = looks([str(name) for name in single["generator"].unique()])
    voxels = single["voxels"].drop_duplicates().sort_values()
    slowest = single.groupby("generator").tail(1).eval("seconds / voxels").max()
    linear = Series("linear", REFERENCE, voxels.tolist(), (slowest * voxels).tolist(), mode="lines")
    bytes_ = replace(linear, y=(MOST_BYTES * voxels).tolist(), note=f"{MOST_BYTES} bytes a voxel")
    time, memory = (
        [
            Series(name, look, own["voxels"].tolist(), own[column].clip(lower=1e-9).tolist())
            for name, look in known.items()
            for own in [single[single["generator"] == name]]
        ]
        for column in ("seconds", "memory")
    )
    size = Axis("voxels", log=True)
    return {
        "time": Plot(size, Axis("seconds", log=True), [*time, linear]),
        "memory": Plot(size, Axis("bytes at the peak", log=True, low=1e5), [*memory, bytes_]),
    }


def curves(folder: Path, voxel: Voxel = None, *, every_band: bool = False) -> Plots:
    """Describe every descriptor over density: real volumes with the band of single ones, and each generator's mean.

    Args:
        folder: of a run; without ``curves.csv`` there are no plots.
        voxel: lengths are in its unit, if it has one, or in voxels.
        every_band: show the band of each generator too.
    """
    table = read_side_table(folder, "curves")
    parts = {} if table is None else {name: table[table["descriptor"] == name] for name in HEADLINE}
    return {
        _words(name): _in_unit(Plot(Axis("density"), Axis(unit=METRICS[name].unit), _profiles(part, every_band)), voxel)
        for name, part in parts.items()
        if len(part)
    }


def calibration(folder: Path) -> Plots:
    """Describe the excess of pore voxels over what the density asks for, with the band of single volumes.

    Args:
        folder: of a run; without ``calibration.csv`` there are no plots.
    """
    table = read_side_table(folder, "calibration")
    if table is None:
        return {}
    known = table[table["target"] >= ENOUGH].copy()
    for column in ("mean", "low", "high"):
        known[column] = 100 * (known[column] / known["target"] - 1)
    excess = Axis("excess of pore voxels, %", low=-60, high=60)
    return {"": Plot(Axis("density asked for"), excess, _profiles(known, every_band=True), {0: ""})}


def flow(folder: Path, voxel: Voxel = None) -> Plots:
    """Describe the mean permeability over the porosity of volumes, in classes of density, with its interval if real.

    Args:
        folder: of a run; without ``flow.csv`` there are no plots.
        voxel: as for ``curves``.
    """
    permeability = Axis("mean permeability", log=True, unit="squared voxel edges")
    return _led(read_side_table(folder, "flow"), AXES, Axis("porosity"), permeability, voxel)


def conduction(folder: Path) -> Plots:
    """Describe the mean conductivity of the pores over density, as ``flow`` describes permeability.

    Args:
        folder: of a run; without ``conduction.csv`` there are no plots.
    """
    columns = [f"conductivity:{axis}" for axis in AXES]
    conductivity = Axis("mean conductivity over that of the fluid", log=True)
    return _led(read_side_table(folder, "conduction"), columns, Axis("density"), conductivity)


def _led(table: pd.DataFrame | None, columns: Sequence[str], x: Axis, y: Axis, voxel: Voxel = None) -> Plots:
    """Describe the mean of some columns over the one that an axis is called after, in classes of density.

    Real volumes have the interval of their mean. There is no plot without a table, or where nothing is led through
    real volumes.
    """
    if table is None:
        return {}
    profiles: list[dict[str, Any]] = []
    for name, part in table.groupby("generator", sort=False):
        ordered = part.dropna(subset=[*columns]).sort_values("density")
        for rows in np.array_split(np.arange(len(ordered)), CLASSES):
            one = ordered.iloc[rows]
            mean = normal(one[[*columns]].mean(axis=1).to_numpy())
            ends = {"low": max(mean.low, mean.value / 10), "high": mean.high}
            where = {"generator": name, "density": float(one[x.title].mean())}
            profiles.append({**where, "mean": mean.value or float("nan"), **ends})
    lines = [replace(line, mode="lines+markers") for line in _profiles(pd.DataFrame(profiles), every_band=False)]
    led = [line.name for line in lines if np.isfinite(line.y).any()]
    return {"": _in_unit(Plot(x, y, lines), voxel)} if REAL in led else {}


def power(table: pd.DataFrame) -> Plots:
    """Describe the share of trials in which each planted defect is found, by band and number of volumes.

    Args:
        table: rows of ``power.csv``.
    """
    shares = table.pivot_table(index="planted", columns=["band", "volumes"], values="found", sort=False)
    columns = [f"{'headline' if band == ALL else band}, N = {volumes}" for band, volumes in shares.columns]
    values = shares.to_numpy().tolist()
    texts = [[percent(value) for value in row] for row in values]
    return {"": Map("share found, texts in %", [str(name) for name in shares.index], columns, values, texts, 0, 1)}


def representative(table: pd.DataFrame, voxel: Voxel = None) -> Plots:
    """Describe mean, its interval and the spread of single blocks over block size, for each descriptor.

    Args:
        table: rows of ``representative.csv``.
        voxel: as for ``curves``.
    """
    found = {}
    for name, title in SHOWN.items():
        part = table[table["descriptor"] == name]
        edges, mean, low, high = (part[column].tolist() for column in ("edge", "mean", "low", "high"))
        blue = Look(PORE, "o", "solid")
        interval = Series("mean of blocks, 95 % interval", blue, edges, mean, low=low, high=high, band=True)
        below, above = (part["mean"] - part["sd"]).tolist(), (part["mean"] + part["sd"]).tolist()
        spread = replace(interval, name="single blocks, standard deviation", low=below, high=above)
        size = Axis("edge of a block", log=True, ticks={edge: f"{edge:g}" for edge in edges}, unit="voxels")
        plot = Plot(size, Axis(unit=str(part["unit"].fillna("").iloc[0])), [spread, interval])
        found[title] = _in_unit(plot, voxel)
    return found


def _in_unit(plot: Plot, voxel: Voxel) -> Plot:
    """Return a plot with its lengths in the unit of a voxel's edge, where it has one."""
    edge, unit = voxel or (1.0, "")
    if not unit:
        return plot
    powers = [LENGTHS.get(axis.unit, 0) for axis in (plot.x, plot.y)]
    x, y = (edge**power for power in powers)
    named = {0: "", 1: unit, -1: f"1/{unit}", 2: f"{unit}²"}
    ends = [
        replace(
            axis,
            unit=named[power] or axis.unit,
            ticks={factor * place: f"{factor * place:.4g}" for place in axis.ticks} if power else axis.ticks,
        )
        for axis, power, factor in zip((plot.x, plot.y), powers, (x, y), strict=True)
    ]
    series = [
        replace(line, x=_times(x, line.x), y=_times(y, line.y), low=_times(y, line.low), high=_times(y, line.high))
        for line in plot.series
    ]
    return replace(plot, x=ends[0], y=ends[1], series=series)


def _times(factor: float, values: Sequence[float]) -> list[float]:
    return [factor * value for value in values]


def _score_map(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]]) -> Map:
    texts = [["" if np.isnan(value) else f"{value:.1f}" for value in row] for row in values]
    shown = [[max(value, 0.1) for value in row] for row in values]
    return Map("NFR100", rows, columns, shown, texts, 0.5, 100, log=True)


def _scored(name: str, look: Look, x: Sequence[float], scores: Sequence[Score], hover: Sequence[str]) -> Series:
    """Return scores with their intervals as a series."""
    values, low, high = ([getattr(score, part) for score in scores] for part in ("value", "low", "high"))
    return Series(name, look, x, values, low=low, high=high, hover=hover)


def _profiles(table: pd.DataFrame, every_band: bool) -> list[Series]:
    """Return mean over density of the real volumes, then of each generator and setting of the count."""
    known = {**looks([str(name) for name in table["generator"].unique() if name != REAL]), REAL: REAL_LOOK}
    keys = ["generator", "exact_count"] if "exact_count" in table else ["generator"]
    series = []
    for key, part in table.groupby(keys, sort=False):
        name, free = str(key[0]), key[1:] == ("no",)
        look = replace(known[name], dash="dashed") if free else known[name]
        x, y, low, high = (
            part.sort_values("density")[column].tolist() for column in ("density", "mean", "low", "high")
        )
        label = f"{name}, free count" if free else name
        line = Series(label, look, x, y, "lines", band=True, hidden=name in CONTROLS)
        series.append(replace(line, low=low, high=high) if every_band or name == REAL else line)
    return sorted(series, key=lambda it: it.name != REAL)


def _words(name: str) -> str:
    return name.replace("_", " ")
