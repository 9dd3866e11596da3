"""Figures for papers, by matplotlib: PNG and SVG from what is in ``results/``. The report page shows the same data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from porebench.metrics.descriptors import HEADLINE

from ..evaluate.draws import Draws, NoDrawsError, read_draws
from .lines import calibration, curves
from .profiles import read_calibration, read_curves
from .scaling import Growth, growths, read_scaling
from .series import Cost, Run, by_band, by_descriptor, costs, front_line, peers, read_runs, read_speed, throughputs
from .style import GREY, Look, looks
from .volumes import gallery, solids

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Style = Literal["column", "page", "screen"]
WIDTHS: dict[str, float] = {"column": 89 / 25.4, "page": 183 / 25.4, "screen": 7.5}
"""Inches: one and two columns of a journal, and a screen."""
VOLUMES = np.logspace(0, 7, 29)
MOST_BYTES = 16
"""A voxel of a large draw, at the peak of memory: the goal that the figure of scaling shows."""

log = logging.getLogger("porebench")


@contextmanager
def style(name: Style) -> Iterator[float]:
    """Matplotlib's settings for a width on paper or screen; yields that width in inches.

    Raises:
        ImportError: if matplotlib is not installed, naming the extra.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only needed where figures are drawn
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'porebench[report]'") from error
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
    with mpl.rc_context(settings):
        yield WIDTHS[name]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that belongs to no window system."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only needed where figures are drawn

    return Figure(figsize=(width, height))


def bands(run: Run, width: float) -> Figure:
    """NFR100 of each generator over the density bands, with intervals."""
    figure = new_figure(width, 0.75 * width)
    axes = figure.subplots()
    places = np.arange(len(run.bands))
    shown = by_band(run)
    for offset, (name, scores) in zip(_offsets(len(shown)), shown.items(), strict=True):
        look = looks(run.generators)[name]
        known = [(place + offset, score) for place, score in zip(places, scores, strict=True) if score is not None]
        _with_interval(axes, [x for x, _ in known], [score for _, score in known], name, look, dash=look.dash)
    axes.set_xticks(places, run.bands)
    axes.set(xlabel="density", ylabel="NFR100", yscale="log", ylim=(0.1, None))
    _real_line(axes)
    _legend_below(figure, axes)
    return figure


def descriptors(run: Run, width: float) -> Figure:
    """NFR100 of each generator for each headline descriptor."""
    from matplotlib.colors import LogNorm  # noqa: PLC0415 - only needed where figures are drawn

    rows = by_descriptor(run)
    values = np.array([[np.nan if value is None else max(value, 0.1) for value in row] for row in rows.values()])
    figure = new_figure(width, 0.32 * width + 0.3 * len(rows) * width / 7)
    axes = figure.subplots()
    image = axes.imshow(values, norm=LogNorm(0.5, 100), cmap="cividis", aspect="auto")
    axes.set_xticks(range(len(HEADLINE)), [name.replace("_", " ") for name in HEADLINE], rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), list(rows))
    figure.colorbar(image, ax=axes, label="NFR100", fraction=0.04, pad=0.01)
    return figure


def cost(run: Run, width: float) -> Figure:
    """NFR100 over the time of a draw, with the front of the generators that no other beats in both."""
    figure = new_figure(width, 0.75 * width)
    axes = figure.subplots()
    points = costs(run)
    for point in points:
        _with_interval(
            axes, [point.milliseconds], [point.score], point.generator, looks(run.generators)[point.generator], dash=""
        )
    axes.set(xscale="log", yscale="log", xlabel="milliseconds a volume", ylabel="NFR100")
    x, y = front_line(points)
    axes.plot(x, y, color=GREY, zorder=0, label="Pareto front")
    _real_line(axes)
    _legend_below(figure, axes)
    return figure


def totals(run: Run, others: Sequence[Cost], width: float) -> Figure:
    """Seconds to fit and then draw, over the number of volumes: where lines cross, a fit has paid back."""
    figure = new_figure(width, 0.75 * width)
    axes = figure.subplots()
    points = [*costs(run), *others]
    for point in points:
        look = looks([other.generator for other in points])[point.generator]
        seconds = [point.seconds(volumes) for volumes in VOLUMES]
        axes.plot(VOLUMES, seconds, color=look.colour, linestyle=look.dash, label=point.generator)
    axes.set(xscale="log", yscale="log", xlabel="volumes drawn", ylabel="seconds, fit included")
    _legend_below(figure, axes)
    return figure


def speed(measured: list[dict[str, Any]], width: float) -> Figure:
    """Volumes a second over batch size, one panel a device."""
    items = throughputs(measured)
    devices = list(dict.fromkeys(item.device for item in items))
    figure = new_figure(width, 0.75 * width)
    panels = np.atleast_1d(figure.subplots(1, len(devices), sharey=True))
    names = list(dict.fromkeys(item.generator for item in items))
    for axes, device in zip(panels, devices, strict=True):
        for name in names:
            series = [item for item in items if item.device == device and item.generator == name]
            look = looks(names)[name]
            axes.plot(
                [item.batch for item in series],
                [item.volumes_per_second for item in series],
                marker=look.marker,
                linestyle=look.dash,
                color=look.colour,
                label=name,
            )
        axes.set(xscale="log", yscale="log", xlabel="volumes at once", title=device)
    panels[0].set_ylabel("volumes a second")
    _legend_below(figure, panels[0])
    return figure


def scaling(found: Sequence[Growth], width: float) -> Figure:
    """Seconds and peak memory of one draw over its voxels; grey lines are linear in them."""
    figure = new_figure(width, 0.55 * width)
    panels = figure.subplots(1, 2)
    names = [growth.generator for growth in found]
    for growth in found:
        look = looks(names)[growth.generator]
        for axes, values in zip(panels, (growth.seconds, growth.memory), strict=True):
            axes.plot(
                growth.voxels,
                [max(value, 1e-9) for value in values],
                marker=look.marker,
                linestyle=look.dash,
                color=look.colour,
                label=growth.generator,
            )
    voxels = np.array(sorted({size for growth in found for size in growth.voxels}))
    slowest = max(growth.seconds[-1] / growth.voxels[-1] for growth in found)
    panels[0].plot(voxels, slowest * voxels, color=GREY, linewidth=0.8, zorder=0, label="linear")
    panels[1].plot(voxels, MOST_BYTES * voxels, color=GREY, linewidth=0.8, zorder=0)
    panels[1].text(voxels[-1], MOST_BYTES * voxels[-1], f"{MOST_BYTES} bytes a voxel ", ha="right", color=GREY)
    panels[0].set(xscale="log", yscale="log", xlabel="voxels", ylabel="seconds")
    panels[1].set(xscale="log", yscale="log", xlabel="voxels", ylabel="bytes at the peak", ylim=(1e5, None))
    _legend_below(figure, panels[0])
    return figure


def _offsets(count: int) -> list[float]:
    return [float(value) for value in np.linspace(-0.2, 0.2, count)] if count > 1 else [0.0]


def _with_interval(axes: Any, x: list[float], scores: list[Any], name: str, look: Look, *, dash: str) -> None:
    values = [score.value for score in scores]
    below = [max(score.value - score.low, 0) for score in scores]
    above = [max(score.high - score.value, 0) for score in scores]
    axes.errorbar(
        x,
        values,
        yerr=np.nan_to_num([below, above]),
        fmt=look.marker,
        linestyle=dash or "none",
        color=look.colour,
        capsize=2,
        label=name,
    )


def _real_line(axes: Any) -> None:
    axes.axhline(1, color=GREY, linestyle="dashed", linewidth=0.8)
    axes.text(1, 1, "real ", transform=axes.get_yaxis_transform(), ha="right", va="top", color=GREY)


def _legend_below(figure: Figure, axes: Any) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)


def _safe_draws(run: Run) -> Draws | None:
    try:
        return read_draws(run)
    except NoDrawsError as error:
        log.warning("%s", error)
        return None


Maker = Callable[[float], "Figure"]


def makers(results: Path) -> dict[str, Maker]:
    """Every figure that can be drawn from a results folder: name -> function of the width in inches."""
    measured = read_speed(results)
    found: dict[str, Maker] = {}
    for run in read_runs(results):
        found[f"bands-{run.name}"] = partial(bands, run)
        found[f"descriptors-{run.name}"] = partial(descriptors, run)
        found[f"cost-{run.name}"] = partial(cost, run)
        found[f"totals-{run.name}"] = partial(totals, run, peers(measured))
        profiles, calibrated = read_curves(run.folder), read_calibration(run.folder)
        if profiles:
            found[f"curves-{run.name}"] = partial(curves, profiles)
        if calibrated:
            found[f"calibration-{run.name}"] = partial(calibration, calibrated)
        drawn = _safe_draws(run)
        if drawn is not None:
            found[f"gallery-{run.name}"] = partial(gallery, drawn)
            found[f"solids-{run.name}"] = partial(solids, drawn)
    if measured:
        found["speed"] = partial(speed, measured)
    sizes = read_scaling(results)
    if sizes is not None:
        found["scaling"] = partial(scaling, growths(sizes))
    return found


def write_figures(results: Path, out: Path, name: Style = "page", only: Sequence[str] = ()) -> list[Path]:
    """Write every figure that the results allow for, as PNG and SVG.

    Args:
        results: the results folder.
        out: where to put the files.
        name: the style: "column" and "page" fit one and two columns of a journal, "screen" a web page.
        only: names of figures; all by default.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: if there are no results, naming the command that makes them.
        ValueError: if ``only`` names a figure that these results do not give.
    """
    found = makers(results)
    if not found:
        raise FileNotFoundError(f"there are no results in {results}; make them with: porebench evaluate")
    unknown = [figure for figure in only if figure not in found]
    if unknown:
        raise ValueError(f"these results give no figure {unknown[0]!r}; there are {', '.join(found)}")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with style(name) as width:
        for figure in only or found:
            drawn = found[figure](width)
            for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
                written.append(out / f"{figure}{suffix}")
                drawn.savefig(written[-1], metadata=metadata)
    return written
