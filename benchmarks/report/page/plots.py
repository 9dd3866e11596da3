"""Figures by plotly, from the same plots as the printed ones, as JSON values that the page draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from ..plots import Axis, Map, Plot, Series
from ..style import GREY, PORE

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
    "": "circle",
}
DASHES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "dashdot": "dashdot"}


def interactive(plot: Plot | Map) -> dict[str, Any]:
    """Return a plot as plotly's JSON values; the page sets colours of text.

    Raises:
        ImportError: if plotly is not installed, naming the extra.
    """
    try:
        from plotly.graph_objects import Figure  # noqa: PLC0415 - only the page needs it
    except ImportError as error:
        raise ImportError("the report page needs plotly: pip install 'porebench[report]'") from error
    line = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GREY, "automargin": True}
    if isinstance(plot, Map):
        traces, height = [_heat_map(plot)], 240 + 26 * len(plot.rows)
        own: dict[str, Any] = {"xaxis": line | {"tickangle": -60}, "yaxis": line | {"autorange": "reversed"}}
    else:
        traces, height = [trace for series in plot.series for trace in _traces(series, plot)], 460
        own = {
            "xaxis": line | _axis(plot.x),
            "yaxis": line | _axis(plot.y),
            "shapes": [_level(*level) for level in plot.levels.items()],
        }
    layout = {
        "template": "none",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 10, "r": 10, "t": 36, "b": 10},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": PORE},
        "height": height,
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        **own,
    }
    values: dict[str, Any] = json.loads(Figure(traces, layout).to_json())
    return values


def _axis(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": escape(axis.label)}}
    if axis.log:
        made |= {"type": "log", "dtick": 1, "exponentformat": "power"}
    if axis.low is not None or axis.high is not None:
        ends = [end if end is None or not axis.log else float(np.log10(end)) for end in (axis.low, axis.high)]
        made["range"] = ends
    if axis.ticks:
        made |= {"tickvals": list(axis.ticks), "ticktext": [escape(text) for text in axis.ticks.values()]}
    return made


def _traces(series: Series, plot: Plot) -> list[dict[str, Any]]:
    """Return a series as traces: its points or line, below it the band of its intervals."""
    look = series.look
    x = "" if plot.x.ticks else f"%{{x:.4g}} {escape(plot.x.label)}<br>"
    common = {"type": "scatter", "legendgroup": series.name, "visible": "legendonly" if series.hidden else True}
    trace: dict[str, Any] = {
        **common,
        "x": list(series.x),
        "y": list(series.y),
        "name": escape(series.name),
        "mode": series.mode,
        "line": {"color": look.colour, "dash": DASHES[look.dash], "width": 3 if look.wide else 2},
        "marker": {"color": look.colour, "symbol": SYMBOLS[look.marker], "size": 9},
        "hovertemplate": f"{x}%{{y:.4g}} {escape(plot.y.label)}" + ("<br>%{text}" if series.hover else ""),
        "text": [escape(text) for text in series.hover],
    }
    if not len(series.low):
        return [trace]
    if not series.band:
        above, below = np.subtract(series.high, series.y), np.subtract(series.y, series.low)
        ends = {"array": _lengths(above), "arrayminus": _lengths(below)}
        return [{**trace, "error_y": {**ends, "symmetric": False, "color": look.colour, "thickness": 1.5, "width": 3}}]
    red, green, blue = (int(look.colour[place : place + 2], 16) for place in (1, 3, 5))
    band = {
        **common,
        "x": [*series.x, *reversed(series.x)],
        "y": [*series.high, *reversed(series.low)],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},{0.25 if look.wide else 0.1})",
        "line": {"width": 0},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [band, trace]


def _lengths(values: Any) -> list[float]:
    """Return lengths of intervals that plotly can draw: none where an end is unknown."""
    return np.maximum(np.nan_to_num(values), 0).tolist()  # type: ignore[no-any-return]


def _level(value: float, text: str) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": GREY, "dash": "dash" if text else "solid", "width": 1},
        "label": {"text": text, "textposition": "end", "font": {"color": GREY}},
    }


def _heat_map(plot: Map) -> dict[str, Any]:
    values = np.array(plot.values, dtype=float)
    ends, bar = [plot.low, plot.high], {}
    if plot.log:
        ticks = range(int(np.ceil(np.log10(plot.low))), int(np.log10(plot.high)) + 1)
        values, ends = np.log10(values), [float(np.log10(end)) for end in ends]
        bar = {"tickvals": list(ticks), "ticktext": [f"{10**tick:g}" for tick in ticks]}
    return {
        "type": "heatmap",
        "z": values.tolist(),
        "x": _escaped(plot.columns),
        "y": _escaped(plot.rows),
        "text": [_escaped(row) for row in plot.texts],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
        "colorscale": "Cividis",
        "zmin": ends[0],
        "zmax": ends[1],
        "colorbar": {"title": {"text": escape(plot.title)}, "thickness": 12, **bar},
    }


def _escaped(texts: Sequence[str]) -> list[str]:
    return [escape(text) for text in texts]
