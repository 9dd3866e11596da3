"""Interactive figures by plotly, from the same series as the printed ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd

from porebench.generators import CONTROLS
from porebench.metrics.bands import ALL
from porebench.metrics.descriptors import HEADLINE

from ..figures import VOLUMES
from ..profiles import REAL, Profile
from ..scaling import Growth
from ..series import Cost, Run, Score, by_band, by_descriptor, costs, front_line, throughputs
from ..style import GREY, PORE, REAL_LOOK, looks

GRID = "rgba(128,128,128,0.25)"
SYMBOLS = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "x",
    "<": "triangle-left",
    ">": "triangle-right",
}
DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}


def _graph_objects() -> Any:
    try:
        import plotly.graph_objects as module  # noqa: PLC0415 - only the page needs it
    except ImportError as error:
        raise ImportError("the report page needs plotly: pip install 'porebench[report]'") from error
    return module


def figure(traces: list[Any], x: dict[str, Any], y: dict[str, Any], **layout: Any) -> dict[str, Any]:
    """A plotly figure as JSON values, in the look that all share; colours of text are set by the page.

    Args:
        traces: of ``plotly.graph_objects``.
        x: settings of the horizontal axis.
        y: settings of the vertical axis.
        layout: further settings.
    """
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GREY, "automargin": True}
    drawn = _graph_objects().Figure(
        traces,
        {
            "template": "none",
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 10, "r": 10, "t": 36, "b": 10},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": PORE},
            "height": 460,
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
            "xaxis": axis | x,
            "yaxis": axis | y,
            **layout,
        },
    )
    values: dict[str, Any] = json.loads(drawn.to_json())
    return values


def line(x: Sequence[float], y: Sequence[Any], name: str, names: Sequence[str], *, mode: str = "lines+markers") -> Any:
    """A trace in the look of a generator."""
    look = looks(names)[name]
    return _graph_objects().Scatter(
        x=list(x),
        y=list(y),
        name=escape(name),
        mode=mode,
        line={"color": look.colour, "dash": DASHES[look.dash], "width": 2},
        marker={"color": look.colour, "symbol": SYMBOLS[look.marker], "size": 9},
    )


def log_axis(title: str, **settings: Any) -> dict[str, Any]:
    """A logarithmic axis with whole powers of ten."""
    return {"type": "log", "title": {"text": title}, "dtick": 1, "exponentformat": "power", **settings}


def bands(run: Run) -> dict[str, Any]:
    """NFR100 of each generator over the density bands, with intervals."""
    traces = []
    for name, scores in by_band(run).items():
        trace = line(list(range(len(scores))), [None if s is None else s.value for s in scores], name, run.generators)
        traces.append(_with_interval(trace, scores))
    ticks = {"tickvals": list(range(len(run.bands))), "ticktext": run.bands, "title": {"text": "density"}}
    return figure(traces, ticks, log_axis("NFR100", range=[-1, 2.1]), shapes=[_real_line()])


def descriptors(run: Run) -> dict[str, Any]:
    """NFR100 of each generator for each headline descriptor, as a map."""
    rows = by_descriptor(run)
    values = [[None if value is None else math.log10(max(value, 0.1)) for value in row] for row in rows.values()]
    heat = _graph_objects().Heatmap(
        z=values,
        x=[name.replace("_", " ") for name in HEADLINE],
        y=[escape(name) for name in rows],
        text=[["" if value is None else f"{value:.1f}" for value in row] for row in rows.values()],
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
        colorscale="Cividis",
        zmin=-0.3,
        zmax=2,
        colorbar={"title": {"text": "NFR100"}, "tickvals": [0, 1, 2], "ticktext": ["1", "10", "100"], "thickness": 12},
    )
    height = 230 + 26 * len(rows)
    return figure([heat], {"tickangle": -60}, {"autorange": "reversed"}, height=height)


def cost(run: Run) -> dict[str, Any]:
    """NFR100 over the time of a draw, with the Pareto front."""
    points = costs(run)
    x, y = front_line(points)
    front = _graph_objects().Scatter(
        x=x, y=y, name="Pareto front", mode="lines", line={"color": GREY, "width": 1.5}, hoverinfo="skip"
    )
    traces = [front]
    for point in points:
        trace = line([point.milliseconds], [point.score.value], point.generator, run.generators, mode="markers")
        trace.text = [f"{escape(point.generator)}: fit {point.fit_seconds:.4g} s"]
        trace.hovertemplate = "%{text}<br>%{x:.3g} ms a volume<br>NFR100 %{y:.3g}<extra></extra>"
        traces.append(_with_interval(trace, [point.score]))
    return figure(traces, log_axis("milliseconds a volume"), log_axis("NFR100"), shapes=[_real_line()])


def totals(run: Run, others: Sequence[Cost]) -> dict[str, Any]:
    """Seconds to fit and then draw, over the number of volumes."""
    points = [*costs(run), *others]
    names = [point.generator for point in points]
    traces = []
    for point in points:
        seconds = [point.seconds(volumes) for volumes in VOLUMES]
        traces.append(line([float(volumes) for volumes in VOLUMES], seconds, point.generator, names, mode="lines"))
        traces[-1].hovertemplate = "%{x:.3s} volumes: %{y:.3s} s"
    return figure(traces, log_axis("volumes drawn"), log_axis("seconds, fit included"))


def speed(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Volumes a second over batch size, for each device."""
    items = throughputs(measured)
    names = list(dict.fromkeys(item.generator for item in items))
    devices = list(dict.fromkeys(item.device for item in items))
    traces = []
    for device in devices:
        for name in names:
            series = [item for item in items if item.device == device and item.generator == name]
            if series:
                rates = [item.volumes_per_second for item in series]
                trace = line([item.batch for item in series], rates, name, names)
                trace.hovertemplate = f"{escape(name)}, {escape(device)}<br>%{{x}} at once: %{{y:.3s}}/s<extra></extra>"
                if len(devices) > 1:
                    trace.name = f"{escape(name)}, {escape(device)}"
                traces.append(trace)
    return figure(traces, log_axis("volumes at once"), log_axis("volumes a second"))


def scaling(found: Sequence[Growth]) -> dict[str, Any]:
    """Seconds of one draw over its voxels."""
    names = [growth.generator for growth in found]
    traces = []
    for growth in found:
        trace = line(growth.voxels, growth.seconds, growth.generator, names)
        trace.text = [f"{memory / 1e6:.3g} MB" for memory in growth.memory]
        trace.hovertemplate = f"{escape(growth.generator)}<br>%{{x:.3s}} voxels: %{{y:.3s}} s, %{{text}}<extra></extra>"
        traces.append(trace)
    return figure(traces, log_axis("voxels"), log_axis("seconds"))


def _with_interval(trace: Any, scores: Sequence[Score | None]) -> Any:
    known = [score or Score(math.nan, math.nan, math.nan) for score in scores]
    trace.error_y = {
        "array": [_finite(score.high - score.value) for score in known],
        "arrayminus": [_finite(score.value - score.low) for score in known],
        "thickness": 1.2,
    }
    return trace


def _finite(value: float) -> float:
    return max(value, 0.0) if math.isfinite(value) else 0.0


def _real_line() -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 1,
        "y1": 1,
        "line": {"color": GREY, "dash": "dash", "width": 1},
        "label": {"text": "real", "textposition": "end", "font": {"color": GREY}},
    }


def power(table: pd.DataFrame) -> dict[str, Any]:
    """Share of trials in which each planted defect is found, by band and number of volumes, as a map."""
    shares = table.pivot_table(index="planted", columns=["band", "volumes"], values="found", sort=False)
    columns = [f"{'headline' if band == ALL else band}, N = {volumes}" for band, volumes in shares.columns]
    heat = _graph_objects().Heatmap(
        z=shares.to_numpy().tolist(),
        x=columns,
        y=[escape(str(name)) for name in shares.index],
        text=[[f"{100 * value:.0f}" for value in row] for row in shares.to_numpy()],
        texttemplate="%{text}",
        hovertemplate="%{y}, %{x}: found in %{text} %<extra></extra>",
        colorscale="Cividis",
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "found"}, "tickformat": ".0%", "thickness": 12},
    )
    return figure([heat], {"tickangle": -60}, {"autorange": "reversed"}, height=260 + 26 * len(shares))


def profiles(found: Sequence[Profile], title: str) -> dict[str, Any]:
    """Curves over density of real volumes and generators, each with the spread of single volumes as a band."""
    names = [profile.name for profile in found if profile.name != REAL]
    traces = []
    for profile in found:
        look = looks(names)[profile.name] if profile.name != REAL else REAL_LOOK
        red, green, blue = (int(look.colour[place : place + 2], 16) for place in (1, 3, 5))
        alpha = 0.25 if profile.name == REAL else 0.1
        hidden = "legendonly" if profile.name in CONTROLS and profile.name != REAL else True
        common = {"legendgroup": profile.label, "visible": hidden}
        traces.append(
            _graph_objects().Scatter(
                x=[*profile.density, *reversed(profile.density)],
                y=[*profile.high, *reversed(profile.low)],
                fill="toself",
                fillcolor=f"rgba({red},{green},{blue},{alpha})",
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                **common,
            )
        )
        traces.append(
            _graph_objects().Scatter(
                x=profile.density,
                y=profile.mean,
                name=escape(profile.label),
                mode="lines",
                line={
                    "color": look.colour,
                    "dash": "dash" if profile.free else DASHES[look.dash],
                    "width": 3 if profile.name == REAL else 2,
                },
                hovertemplate="%{x:.2f}: %{y:.4g}",
                **common,
            )
        )
    return figure(traces, {"title": {"text": "density"}}, {"title": {"text": title}})
