"""Figures for papers, by matplotlib: PNG and SVG from what is in ``results/``. The report page shows the same data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from porebench.data.phase import voxel_from

from ..store.files import write_path
from ..store.results import Run, read_runs, read_scaling, read_side_table, read_speed
from . import plots
from .lengths import voxel_of_run
from .plots import Axis, Map, Plot, Plots, Series
from .scaling import medians
from .studies import voxel_of_image
from .style import GREY, Style, new_figure, style
from .volumes import Draws, NoDrawsError, gallery, solids

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
PICTURES = ((".png", {"Software": None}), (".svg", {"Date": None}))
"""Endings of files, and metadata left out of them so that the same results give the same bytes."""

Maker = Callable[[float], "Figure"]
log = logging.getLogger("porebench")


def draw(described: Plots, width: float) -> Figure:
    """Return a figure of plots side by side, as wide as asked for in inches, with one legend below them."""
    columns = min(COLUMNS, len(described))
    rows = -(-len(described) // columns)
    most = max(len(it.rows) if isinstance(it, Map) else 0 for it in described.values())
    height = 0.32 + 0.043 * most if most else max(0.5, 0.15 + 0.6 * rows / columns)
    figure = new_figure(width, width * height)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    entries: dict[str, Any] = {}
    for axes, (title, plot) in zip(panels, described.items(), strict=False):
        axes.set_title(title)
        if isinstance(plot, Map):
            _draw_map(figure, axes, plot)
        else:
            _draw_plot(axes, plot)
            handles, labels = axes.get_legend_handles_labels()
            entries |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in entries}
    for axes in panels[: max(len(described) - columns, 0)]:
        axes.set_xlabel("")
    for axes in panels[len(described) :]:
        axes.set_visible(False)
    if entries:
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)
    return figure


def _draw_plot(axes: Any, plot: Plot) -> None:
    for series in plot.series:
        _draw_series(axes, series)
    for name, axis in (("x", plot.x), ("y", plot.y)):
        _set_axis(axes, name, axis)
    for value, text in plot.levels.items():
        axes.axhline(value, color=GREY, linestyle="dashed" if text else "solid", linewidth=0.8, zorder=1)
        axes.text(1, value, f"{text} ", transform=axes.get_yaxis_transform(), ha="right", va="top", color=GREY)


def _draw_series(axes: Any, series: Series) -> None:
    look = series.look
    drawn: dict[str, Any] = {
        "color": look.colour,
        "marker": look.marker if "markers" in series.mode else "",
        "linestyle": look.dash if "lines" in series.mode else "none",
        "label": series.name,
        "zorder": 2 if look.marker else 1,
    }
    if look.wide:
        drawn["linewidth"] = 1.8
    if len(series.low) and not series.band:
        ends = [np.subtract(series.y, series.low), np.subtract(series.high, series.y)]
        axes.errorbar(series.x, series.y, yerr=np.maximum(np.nan_to_num(ends), 0), capsize=2, **drawn)
    else:
        axes.plot(series.x, series.y, **drawn)
    if len(series.low) and series.band:
        axes.fill_between(series.x, series.low, series.high, color=look.colour, alpha=0.15, linewidth=0)
    if series.note:
        axes.text(series.x[-1], series.y[-1], f"{series.note} ", ha="right", color=look.colour)


def _set_axis(axes: Any, name: str, axis: Axis) -> None:
    scale = {f"{name}label": axis.label, f"{name}scale": "log" if axis.log else "linear"}
    axes.set(**scale)
    if axis.low is not None or axis.high is not None:
        axes.set(**{f"{name}lim": (axis.low, axis.high)})
    if axis.ticks:
        own = getattr(axes, f"{name}axis")
        own.set_ticks(list(axis.ticks), list(axis.ticks.values()))
        own.set_ticks([], minor=True)


def _draw_map(figure: Figure, axes: Any, plot: Map) -> None:
    from matplotlib.colors import LogNorm, Normalize  # noqa: PLC0415 - only needed where figures are drawn

    norm = (LogNorm if plot.log else Normalize)(plot.low, plot.high)
    image = axes.imshow(np.array(plot.values, dtype=float), norm=norm, cmap="cividis", aspect="auto")
    for (row, column), value in np.ndenumerate(image.get_array()):
        colour = "black" if norm(value) > 0.6 else "white"
        axes.text(column, row, plot.texts[row][column], ha="center", va="center", size="x-small", color=colour)
    axes.set_xticks(range(len(plot.columns)), plot.columns, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(plot.rows)), plot.rows)
    figure.colorbar(image, ax=axes, label=plot.title, fraction=0.04, pad=0.01)


def makers(results: Path, draws: Callable[[Run], Draws]) -> dict[str, Maker]:
    """Return every figure that can be drawn from a results folder, by name: a function of the width in inches.

    Args:
        results: the results folder.
        draws: gives volumes of a run to look at; raises ``NoDrawsError`` where there are none.
    """
    measured, sizes = read_speed(results), read_scaling(results)
    described: dict[str, Plots] = {}
    pictured: dict[str, Maker] = {}
    runs = read_runs(results)
    for run in runs:
        described[f"bands-{run.name}"] = plots.bands(run)
        described[f"descriptors-{run.name}"] = plots.descriptors(run)
        described[f"cost-{run.name}"] = plots.cost(run)
        described[f"curves-{run.name}"] = plots.curves(run.folder, voxel_of_run(run))
        described[f"calibration-{run.name}"] = plots.calibration(run.folder)
        described[f"conduction-{run.name}"] = plots.conduction(run.folder)
        described[f"flow-{run.name}"] = plots.flow(run.folder, voxel_of_run(run))
        try:
            drawn = draws(run)
        except NoDrawsError as error:
            log.warning("%s", error)
        else:
            pictured[f"gallery-{run.name}"] = partial(gallery, drawn)
            pictured[f"solids-{run.name}"] = partial(solids, drawn)
    described["media"] = plots.media(runs)
    described["speed"] = plots.speed(measured)
    described["scaling"] = {} if sizes is None else plots.scaling(medians(sizes))
    for folder, table in _tables(results, "validation/*/power.csv"):
        described[f"power-{folder.name}"] = plots.power(table)
    for folder, table in _tables(results, "*/representative.csv"):
        described[f"representative-{folder.name}"] = plots.representative(table, voxel_from(voxel_of_image(folder)))
    return {name: partial(draw, it) for name, it in described.items() if it} | pictured


def _tables(results: Path, pattern: str) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Yield each folder that holds such a table, and its rows."""
    for path in sorted(results.glob(pattern)):
        table = read_side_table(path.parent, path.stem)
        if table is not None:
            yield path.parent, table


def save(figure: Figure, path: Path) -> Path:
    """Write a figure into a PNG or SVG file, the same bytes for the same figure, and return the path."""
    ending = path.suffix.lower()
    settings: dict[str, Any] = {"format": ending.removeprefix("."), "metadata": dict(PICTURES)[ending]}
    write_path(path, lambda part: figure.savefig(part, **settings))
    return path


def write_figures(
    results: Path, out: Path, name: Style = "page", only: Sequence[str] = (), *, draws: Callable[[Run], Draws]
) -> list[Path]:
    """Write every figure that the results allow for as PNG and SVG, and return the files.

    Args:
        results: the results folder.
        out: where to put the files.
        name: the style: "column" and "page" fit one and two columns of a journal, "screen" a web page.
        only: names of figures; all by default.
        draws: as for ``makers``.

    Raises:
        FileNotFoundError: if there are no results, naming the command that makes them.
        ValueError: if ``only`` names a figure that these results do not give.
    """
    found = makers(results, draws)
    if not found:
        raise FileNotFoundError(f"there are no results in {results}; make them with: porebench evaluate")
    unknown = [figure for figure in only if figure not in found]
    if unknown:
        raise ValueError(f"these results give no figure {unknown[0]!r}; there are {', '.join(found)}")
    out.mkdir(parents=True, exist_ok=True)
    with style(name) as width:
        drawn = {figure: found[figure](width) for figure in only or found}
        return [save(it, out / f"{figure}{ending}") for figure, it in drawn.items() for ending, _ in PICTURES]
