"""Figures of curves over density by matplotlib: descriptors in small multiples, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .canvas import figure_class
from .profiles import REAL, Profile
from .style import REAL_LOOK, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3


def curves(found: Mapping[str, Sequence[Profile]], width: float) -> Figure:
    """Every descriptor over density in a panel of its own: real volumes with their band, and each generator's mean."""
    rows = -(-len(found) // COLUMNS)
    figure = figure_class()(figsize=(width, width * rows / COLUMNS * 0.8))
    panels = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
    for axes, (descriptor, profiles) in zip(panels, found.items(), strict=False):
        _draw(axes, profiles, bands=(REAL,))
        axes.set_title(descriptor.replace("_", " "))
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes in panels[max(len(found) - COLUMNS, 0) : len(found)]:
        axes.set_xlabel("density")
        axes.xaxis.set_tick_params(labelbottom=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def calibration(profiles: Sequence[Profile], width: float) -> Figure:
    """Excess of pore voxels over what the density asks for, with the spread of single volumes."""
    figure = figure_class()(figsize=(width, 0.75 * width))
    axes = figure.subplots()
    _draw(axes, profiles, bands=[profile.label for profile in profiles])
    axes.axhline(0, color=REAL_LOOK.colour, linewidth=0.8)
    axes.set(xlabel="density asked for", ylabel="excess of pore voxels, %", ylim=(-60, 60))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _draw(axes: Any, profiles: Sequence[Profile], bands: Sequence[str]) -> None:
    known = looks([profile.name for profile in profiles if profile.name != REAL])
    for profile in profiles:
        look = known.get(profile.name, REAL_LOOK)
        dash = "dashed" if profile.free else look.dash
        axes.plot(profile.density, profile.mean, color=look.colour, linestyle=dash, label=profile.label)
        if profile.label in bands:
            axes.fill_between(profile.density, profile.low, profile.high, color=look.colour, alpha=0.15, linewidth=0)
