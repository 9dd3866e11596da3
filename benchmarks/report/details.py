"""Side tables of one data set as Markdown: calibration, physics, and the classifier on voxels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..store.results import read_side_table
from .text import ABSENT, table_lines

CALIBRATION = (
    "Pore voxels achieved where a density was asked for: excess over the training law in percent ± standard deviation "
    "of single volumes in percent. Exact count: with (yes) and without (no) making counts exact by keeping the most "
    "probable voxels. In brackets: the density lies outside the training volumes'."
)
DENSITIES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Densities of the calibration curve that the table shows."""
PHYSICS = {
    "percolation": "Probability that the pores percolate along an axis",
    "solid_diffusivity": "Effective diffusivity of the solid over its Hashin–Shtrikman bound",
    "solid_blocked": "Share of volumes whose solid is cut along an axis",
}


def side_markdown(folder: Path, voxel: str = "") -> str | None:
    """Return the document ``details.md`` of a results folder; None where there are no side tables.

    Args:
        folder: of the results.
        voxel: sentence on the size of a voxel, "" where it is not known.
    """
    parts = (("calibration", _calibration), ("physics", _physics), ("voxel-test", _voxels))
    tables = [(read_side_table(folder, name), lines) for name, lines in parts]
    lines = [line for table, lines in tables if table is not None for line in lines(table)]
    if not lines:
        return None
    files = ", ".join(f"`{name}.csv`" for name in ("curves", "calibration", "overlap", "physics", "voxel-test"))
    where = " ".join(filter(None, (f"Every number, and descriptors over density: {files}.", voxel)))
    head = [f"# Calibration and physics on {folder.name}", "", where]
    return "\n".join([*head, *lines]) + "\n"


def _calibration(table: pd.DataFrame) -> list[str]:
    rows = []
    for (name, exact), part in table.groupby(["generator", "exact_count"], sort=False):
        points = {round(float(point.density), 3): point for point in part.itertuples()}
        rows.append([str(name), str(exact) or ABSENT, *(_point(points.get(density)) for density in DENSITIES)])
    header = ["generator", "exact count", *(f"density {density:g}" for density in DENSITIES)]
    return ["", "## Calibration", "", CALIBRATION, "", *table_lines(header, rows)]


def _point(point: object) -> str:
    if point is None or pd.isna(getattr(point, "bias", None)):
        return ABSENT
    bias, sd, target = (float(getattr(point, name)) for name in ("bias", "sd", "target"))
    text = f"{bias:+.1f} ± {100 * sd / target:.1f}"
    return text if str(getattr(point, "trained", True)) == "True" else f"({text})"


def _physics(table: pd.DataFrame) -> list[str]:
    bands = [str(band) for band in dict.fromkeys(table["band"])]
    lines = ["", "## Physics", "", "Means with 95 % intervals; what does not percolate or conduct counts as zero."]
    for metric, title in PHYSICS.items():
        chosen = table[table["metric"].str.partition(":")[0] == metric]
        rows = []
        for (generator, name), part in chosen.groupby(["generator", "metric"], sort=False):
            found = {str(row.band): row for row in part.itertuples()}
            axis = str(name).partition(":")[2] or "all"
            rows.append([str(generator), axis, *(_interval(found.get(band)) for band in bands)])
        if rows:
            lines += ["", f"### {title}", "", *table_lines(["generator", "axis", *bands], rows)]
    return lines


def _voxels(table: pd.DataFrame) -> list[str]:
    rows = [[str(row.generator), _interval(row)] for row in table.itertuples()]
    reading = "AUC of a small 3D network that was trained to tell draws from real volumes; 0.5 = it cannot."
    return ["", "## Classifier on voxels", "", reading, "", *table_lines(["generator", "AUC [95 % CI]"], rows)]


def _interval(row: object) -> str:
    if row is None:
        return ABSENT
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
