"""Side tables of one data set as Markdown: calibration, physics, conduction, network, flow, and voxel classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench.metrics.conduction import katz_thompson
from porebench.metrics.estimate import Estimate, binomial, ratio_by_chance, ratio_of_means
from porebench.metrics.physics import AXES

from ..store.results import REAL, read_side_table
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
FLOW = (
    "Permeability of the pores in squared voxel edges, by Stokes flow between two faces of a volume; a volume that "
    "nothing flows through counts as zero. Beside it, the mean over that of real volumes of the same densities, over "
    "all axes and along each, with 95 % intervals: a generator whose interval leaves out 1 gives itself away. The row "
    "of real volumes has what two sets of as many of them would differ by."
)
CONDUCTION = (
    "Conductivity of the pores over that of their fluid (the inverse is the formation factor), and the diameter, in "
    "voxel edges, of the largest ball that passes from face to face; what does not lead through counts as zero. "
    "Katz–Thompson: the permeability that both suggest. Means, and means over those of real volumes of the same "
    "densities with 95 % intervals; in the row of real volumes, what two sets of as many of them would differ by."
)
NETWORK = (
    "Pores are the regions into which PoreSpy's SNOW algorithm parts the pore space; the coordination number of a "
    "volume is the mean number of other pores that one of them touches. Means, and means over those of real volumes of "
    "the same densities with 95 % intervals; in the row of real volumes, what two such sets would differ by."
)
BESIDE = ("× real", *(f"× real along {axis}" for axis in AXES))
"""Heads of the columns of ``_beside``."""

Floats = NDArray[np.float64]


def side_markdown(folder: Path, voxel: str = "") -> str | None:
    """Return the document ``details.md`` of a results folder; None where there are no side tables.

    Args:
        folder: of the results.
        voxel: sentence on the size of a voxel, "" where it is not known.
    """
    parts = {
        "calibration": _calibration,
        "physics": _physics,
        "conduction": _conduction,
        "network": _network,
        "flow": _flow,
        "voxel-test": _voxels,
    }
    tables = [(read_side_table(folder, name), lines) for name, lines in parts.items()]
    lines = [line for table, lines in tables if table is not None for line in lines(table)]
    if not lines:
        return None
    named = ("curves", "calibration", "overlap", "physics", "conduction", "network", "flow", "voxel-test")
    files = ", ".join(f"`{name}.csv`" for name in named)
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


def _conduction(table: pd.DataFrame) -> list[str]:
    return ["", "## Conduction", "", CONDUCTION, "", *conduction_lines(table)]


def conduction_lines(table: pd.DataFrame) -> list[str]:
    """Return a table in Markdown of the conduction of real volumes and of each generator's beside it.

    Args:
        table: rows of ``conduction.csv``, those of the real volumes among them.
    """
    found, density = {}, _real(table)["density"].to_numpy()
    for name, part in table.groupby("generator", sort=False):
        conductivity, diameter = (
            part[[f"{quantity}:{axis}" for axis in AXES]].to_numpy(dtype=np.float64)
            for quantity in ("conductivity", "diameter")
        )
        found[str(name)] = (conductivity, diameter, katz_thompson(conductivity, diameter))
    rows = []
    for name, (conductivity, diameter, estimate) in found.items():
        along, wide, suggested = (
            _beside(name, own, real, density)
            for own, real in zip((conductivity, diameter, estimate), found[REAL], strict=True)
        )
        rows.append([name, f"{conductivity.mean():.3g}", *along, f"{diameter.mean():.3g}", wide[0], suggested[0]])
    header = ["generator", "conductivity", *BESIDE, "diameter", "× real", "Katz–Thompson × real"]
    return table_lines(header, rows)


def _real(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["generator"] == REAL]


def _beside(name: str, values: Floats, real: Floats, density: Floats) -> list[str]:
    """Return the mean of values [n, 3] over that of real ones, over all axes and along each; for real ones, by chance.

    Args:
        name: of the generator, or of real volumes.
        values: theirs.
        real: of the real volumes of the same densities.
        density: of the volumes, [n].
    """
    pairs = [(values.mean(axis=1), real.mean(axis=1)), *zip(values.T, real.T, strict=True)]
    return [_ratio(name, own, it, density) for own, it in pairs]


def _ratio(name: str, values: Floats, real: Floats, density: Floats) -> str:
    """Return the mean of values [n] over that of real ones; for real ones, by chance. Arguments as for ``_beside``."""
    return _estimate(ratio_by_chance(values, density) if name == REAL else ratio_of_means(values, real))


def _network(table: pd.DataFrame) -> list[str]:
    return ["", "## Network of pores", "", NETWORK, "", *network_lines(table)]


def network_lines(table: pd.DataFrame) -> list[str]:
    """Return a table in Markdown of the network of pores of real volumes and of each generator's beside it.

    Args:
        table: rows of ``network.csv``, those of the real volumes among them.
    """
    real, columns, rows = _real(table), ["pores", "coordination"], []
    for name, part in table.groupby("generator", sort=False):
        cells = [str(name)]
        for own, others in zip(part[columns].to_numpy(np.float64).T, real[columns].to_numpy(np.float64).T, strict=True):
            cells += [f"{own.mean():.3g}", _ratio(str(name), own, others, real["density"].to_numpy())]
        rows.append(cells)
    return table_lines(["generator", "pores", "× real", "coordination number", "× real"], rows)


def _flow(table: pd.DataFrame) -> list[str]:
    return ["", "## Permeability", "", FLOW, "", *flow_lines(table)]


def flow_lines(table: pd.DataFrame) -> list[str]:
    """Return a table in Markdown of the permeability of real volumes and of each generator's beside it.

    Args:
        table: rows of ``flow.csv``, those of the real volumes among them.
    """
    found = {
        str(name): part[[*AXES]].to_numpy(dtype=np.float64) for name, part in table.groupby("generator", sort=False)
    }
    real, density, rows = found[REAL], _real(table)["density"].to_numpy(), []
    for name, values in found.items():
        steady = ~np.isnan(values).any(axis=1)
        both = steady & ~np.isnan(real).any(axis=1)
        cut = binomial(int(np.count_nonzero((values[steady] == 0).any(axis=1))), int(steady.sum()))
        ratios = _beside(name, values[both], real[both], density[both])
        rows.append([name, f"{values[steady].mean():.3g}", *ratios, _estimate(cut), str(int((~steady).sum()))])
    return table_lines(["generator", "mean", *BESIDE, "cut along an axis", "unsteady"], rows)


def _estimate(it: Estimate | None) -> str:
    return ABSENT if it is None else f"{it.value:.2f} [{it.low:.2f}, {it.high:.2f}]"


def _voxels(table: pd.DataFrame) -> list[str]:
    rows = [[str(row.generator), _interval(row)] for row in table.itertuples()]
    reading = "AUC of a small 3D network that was trained to tell draws from real volumes; 0.5 = it cannot."
    return ["", "## Classifier on voxels", "", reading, "", *table_lines(["generator", "AUC [95 % CI]"], rows)]


def _interval(row: object) -> str:
    if row is None:
        return ABSENT
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
