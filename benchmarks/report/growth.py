"""What became of larger volumes, from ``grown.csv`` and ``walls.csv``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from porebench import data
from porebench.metrics.bands import ALL

REAL = "real"
ABSENT = "–"
DEEP = 10
"""Voxels from the wall where it is no longer felt: the largest sphere of the published law has a radius of 2.9."""
LAYERS = (0, 1, 2, 3, 4, 6, 8)
READING = (
    "NFR100 (1 = cannot be told from real) of blocks of {block}³ from the middle of cubes of {edge}³, a block or more "
    "away from every wall, against {truth}; beside it that of as many draws of {block}³. Porosity: mean of those "
    "blocks, drawn (real)."
)
WALLS_READING = (
    "Porosity of the layer at a distance from the wall, in voxels, over that of the inside ({deep} voxels and more); "
    "headline bands together. 1.00: the wall is not felt."
)


def grown_markdown(folder: Path) -> str:
    """The document of one data set's larger volumes."""
    manifest = json.loads((folder / "grown.json").read_text())
    run = manifest["run"]
    scores, walls = pd.read_csv(folder / "grown.csv"), pd.read_csv(folder / "walls.csv")
    block = int(scores["edge"].min())
    simulated = data.is_simulated(run["dataset"])
    truth = f"those of real cubes of {run['edge']}³" if simulated else "the test blocks"
    lines = [
        f"# Larger volumes on {run['dataset']}",
        "",
        f"Cubes at {run['n']} test densities, seed {run['seed']}. Made {manifest['date']} by `{manifest['command']}`.",
        "",
        READING.format(block=block, edge=run["edge"], truth=truth),
        "",
        *score_lines(scores, block, run["edge"]),
        "",
        "## At the walls",
        "",
        WALLS_READING.format(deep=DEEP),
        "",
        *wall_lines(walls),
        "",
    ]
    return "\n".join(lines)


def score_lines(scores: pd.DataFrame, block: int, edge: int) -> list[str]:
    """One line a generator, as Markdown."""
    cells = scores.set_index(["generator", "edge", "band", "metric"]).sort_index()
    inside = scores[scores["edge"] == edge]
    bands = [band for band in dict.fromkeys(inside["band"]) if band != ALL]
    header = ["generator", f"NFR100 inside {edge}³ [95 % CI]", *bands, f"NFR100 of {block}³ [95 % CI]", "worst inside"]
    header += [f"porosity inside {edge}³ (real)", f"porosity of {block}³ (real)"]
    rows = []
    for name in dict.fromkeys(scores["generator"]):
        own = inside[(inside["generator"] == name) & (inside["band"] == ALL)]
        each = own[own["metric"].str.startswith("nfr100:")]
        worst = each.loc[each["value"].idxmax()] if len(each) else None
        row = [str(name), _estimate(cells, (name, edge, ALL, "nfr100"))]
        row += [_value(cells, (name, edge, band, "nfr100")) for band in bands]
        row += [_estimate(cells, (name, block, ALL, "nfr100"))]
        row += [ABSENT if worst is None else f"{worst['metric'].partition(':')[2]} {worst['value']:.1f}"]
        for size in (edge, block):
            drawn, real = (_value(cells, (name, size, ALL, metric), 3) for metric in ("porosity", "porosity_real"))
            row.append(f"{drawn} ({real})")
        rows.append(row)
    return _table(header, rows)


def wall_lines(walls: pd.DataFrame) -> list[str]:
    """One line a source and edge, as Markdown."""
    rows = []
    for (source, edge), own in sorted(walls.groupby(["source", "edge"]), key=lambda it: (it[0][0] != REAL, it[0])):
        profile = own.groupby("distance")[["porosity", "surface"]].mean()
        deep = profile["porosity"][profile.index >= DEEP].mean()
        near = profile["porosity"] / deep
        cells = [f"{near[layer]:.2f}" if layer in near.index and deep > 0 else ABSENT for layer in LAYERS]
        rows.append([str(source), f"{edge}³", f"{deep:.3f}", *cells])
    return _table(["volumes", "edge", "porosity inside", *(f"at {layer}" for layer in LAYERS)], rows)


def grown_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """Every document of larger volumes with its text; none has a table in the README."""
    found = sorted(results.glob("*/grown.json"))
    return {path.with_suffix(".md"): grown_markdown(path.parent) for path in found}, {}


def _value(cells: pd.DataFrame, key: tuple[Any, ...], digits: int = 1) -> str:
    return f"{cells.loc[key, 'value']:.{digits}f}" if key in cells.index else ABSENT


def _estimate(cells: pd.DataFrame, key: tuple[Any, ...]) -> str:
    if key not in cells.index:
        return ABSENT
    return f"{_value(cells, key, 2)} [{cells.loc[key, 'ci_low']:.2f}, {cells.loc[key, 'ci_high']:.2f}]"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
