"""Documents and README tables of the studies: ablation, larger volumes, intervals, block size of a rock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from porebench import data

from ..store.results import ALL, REAL, read_side_table
from ..store.tables import Manifest
from .text import ABSENT, percent, table_lines

ABLATION = (
    "Mean ± standard deviation over seeds. NFR100 (1 = cannot be told from real) of draws with the exact number of "
    "pore voxels; IoU of reconstructions; count off: how far the number of pore voxels is off where it is not made "
    "exact, mean size over the headline bands."
)
DEEP = 10
"""Voxels from the wall where it is no longer felt: the largest sphere of the published law has a radius of 2.9."""
LAYERS = (0, 1, 2, 3, 4, 6, 8)
GROWTH = (
    "NFR100 (1 = cannot be told from real) of blocks of {block}³ from the middle of cubes of {edge}³, a block or more "
    "away from every wall, against {truth}; beside it that of as many draws of {block}³. Porosity: mean of those "
    "blocks, drawn (real)."
)
WALLS = (
    f"Porosity of the layer at a distance from the wall, in voxels, over that of the inside ({DEEP} voxels and more); "
    "headline bands together. 1.00: the wall is not felt."
)
EACH = "mean of descriptors"
COUNT = "pore_voxels"
COVERAGE = (
    "Share of the real test volumes whose value lies inside the 5-95 % interval of the volumes drawn at its density, "
    "with its 95 % binomial interval; 90 % is right, less means that the generator is too sure. Mean of the "
    "descriptors, over the headline bands. Exact count: whether every draw was given the expected number of pore "
    "voxels, which takes away the real spread of that number."
)
WITHIN = 10.0
"""Percent that a mean over blocks is wanted to within."""
SHOWN = {
    "porosity": "porosity",
    "specific_surface": "specific surface",
    "mean_chord": "mean chord",
    "mean_local_thickness": "pore radius",
    "euler_6": "Euler number",
    "percolation": "percolating",
}
"""Descriptors of blocks by the name that tables and figures give them."""


def study_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """Return every document of a study with its text, and the lines for a README by the name of their marker."""
    ablated, covered, grown, cut = (
        [path.parent for path in sorted(results.glob(pattern))]
        for pattern in ("ablation/*/manifest.json", "*/intervals.json", "*/grown.json", "*/representative.csv")
    )
    texts = {folder / "ablation.md": ablation_markdown(folder) for folder in ablated}
    texts |= {folder / "intervals.md": coverage_markdown(folder) for folder in covered}
    texts |= {folder / "grown.md": grown_markdown(folder) for folder in grown}
    tables = {f"ablation-{folder.name}": _ablation_summary(folder) for folder in ablated}
    tables |= {f"intervals-{folder.name}": _coverage(read_rows(folder, "intervals")) for folder in covered}
    tables |= {f"representative {folder.name}": _representative(folder) for folder in cut}
    return texts, tables


def read_study(folder: Path, table: str, manifest: str = "") -> tuple[pd.DataFrame, Manifest]:
    """Return a table of a study and its manifest, which is called like the table where no other name is given.

    Raises:
        FileNotFoundError: if one of the two is missing.
        ValueError: if the manifest is damaged.
    """
    found = Manifest.read(folder / f"{manifest or table}.json")
    if found is None:
        raise FileNotFoundError(f"{folder} has no {manifest or table}.json")
    return read_rows(folder, table), found


def read_rows(folder: Path, name: str) -> pd.DataFrame:
    """Return the rows of a table of a study.

    Raises:
        FileNotFoundError: if there are none.
    """
    found = read_side_table(folder, name)
    if found is None:
        raise FileNotFoundError(f"{folder} has no rows in {name}.csv")
    return found


def ablation_markdown(folder: Path) -> str:
    """Return the document of one data set's ablation; errors as for ``read_study``."""
    table, manifest = read_study(folder, "ablation", "manifest")
    run, stamp = manifest.run, manifest.stamp
    commands = dict.fromkeys(it.facts.get("command", stamp["command"]) for it in manifest.records.values())
    made = (
        f"{_judged(run)}; {run['epochs']} epochs each. Training data {run['data'][:12]}, judged data "
        f"{run['judged'][:12]}. Made {stamp['date']} by {' and '.join(f'`{command}`' for command in commands)}."
    )
    lines = [f"# Ablation on {run['dataset']}", "", made, "", ABLATION, "", *_ablation(table, manifest), ""]
    return "\n".join(lines)


def _ablation_summary(folder: Path) -> list[str]:
    table, manifest = read_study(folder, "ablation", "manifest")
    run = manifest.run
    return [*_ablation(table, manifest), "", f"{_judged(run)}; {run['epochs']} epochs each; {manifest.stamp['date']}."]


def _ablation(table: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Return one row a variant."""
    bands = [str(band) for band in dict.fromkeys(table["band"]) if band != ALL]
    rows = []
    for name, own in table.groupby("variant", sort=False):
        facts = [it.facts for it in manifest.records.values() if it.facts["name"] == name]
        shown = [("nfr100", ALL), *(("nfr100", band) for band in bands), ("iou", ALL), ("count_bias", ALL)]
        seconds = np.mean([it["fit_seconds"] for it in facts])
        rows.append(
            [
                str(name),
                str(facts[0]["change"]),
                *(_over_seeds(own[(own["metric"] == metric) & (own["band"] == band)]) for metric, band in shown),
                str(len(facts)),
                f"{seconds:.0f}",
            ]
        )
    header = ["variant", "what differs", "NFR100", *(f"NFR100 {band}" for band in bands)]
    return table_lines([*header, "IoU", "count off %", "seeds", "fit s"], rows)


def _judged(run: dict[str, Any]) -> str:
    fresh = run["n_judged"] - run["n_validation"]
    return f"Judged on {run['n_validation']} validation volumes" + (f" and {fresh} fresh ones" if fresh else "")


def _over_seeds(rows: pd.DataFrame) -> str:
    """Return mean ± standard deviation."""
    values = rows["value"].dropna()
    if not len(values):
        return ABSENT
    pattern = "{:.2f}" if abs(values.mean()) < 10 else "{:.1f}"
    mean = pattern.format(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {pattern.format(values.std(ddof=1))}"


def grown_markdown(folder: Path) -> str:
    """Return the document of one data set's larger volumes; errors as for ``read_study``."""
    scores, manifest = read_study(folder, "grown")
    run, stamp = manifest.run, manifest.stamp
    block, edge = int(scores["edge"].min()), int(run["edge"])
    truth = f"those of real cubes of {edge}³" if run["dataset"] in data.NAMES else "the test blocks"
    lines = [
        f"# Larger volumes on {run['dataset']}",
        "",
        f"Cubes at {run['n']} test densities, seed {run['seed']}. Made {stamp['date']} by `{stamp['command']}`.",
        "",
        GROWTH.format(block=block, edge=edge, truth=truth),
        "",
        *_inside(scores, block, edge),
        "",
        "## At the walls",
        "",
        WALLS,
        "",
        *_walls(read_rows(folder, "walls")),
        "",
    ]
    return "\n".join(lines)


def _inside(scores: pd.DataFrame, block: int, edge: int) -> list[str]:
    """Return one row a generator: scores and porosity inside large cubes and of small blocks."""
    cells = scores.set_index(["generator", "edge", "band", "metric"]).sort_index()
    inside = scores[scores["edge"] == edge]
    bands = [band for band in dict.fromkeys(inside["band"]) if band != ALL]

    def value(*key: Any, digits: int = 1) -> str:
        return f"{cells.loc[key, 'value']:.{digits}f}" if key in cells.index else ABSENT

    def estimate(*key: Any) -> str:
        if key not in cells.index:
            return ABSENT
        return f"{value(*key, digits=2)} [{cells.loc[key, 'ci_low']:.2f}, {cells.loc[key, 'ci_high']:.2f}]"

    header = ["generator", f"NFR100 inside {edge}³ [95 % CI]", *bands, f"NFR100 of {block}³ [95 % CI]", "worst inside"]
    header += [f"porosity inside {edge}³ (real)", f"porosity of {block}³ (real)"]
    rows = []
    for name in dict.fromkeys(scores["generator"]):
        own = inside[(inside["generator"] == name) & (inside["band"] == ALL)]
        each = own[own["metric"].str.startswith("nfr100:")]
        worst = each.loc[each["value"].idxmax()] if len(each) else None
        porosity = [
            [value(name, size, ALL, f"porosity{of}", digits=3) for of in ("", "_real")] for size in (edge, block)
        ]
        rows.append(
            [
                str(name),
                estimate(name, edge, ALL, "nfr100"),
                *(value(name, edge, band, "nfr100") for band in bands),
                estimate(name, block, ALL, "nfr100"),
                ABSENT if worst is None else f"{worst['metric'].partition(':')[2]} {worst['value']:.1f}",
                *(f"{drawn} ({real})" for drawn, real in porosity),
            ]
        )
    return table_lines(header, rows)


def _walls(walls: pd.DataFrame) -> list[str]:
    """Return one row a source and edge, the real volumes first."""
    rows = []
    for (source, edge), own in sorted(walls.groupby(["source", "edge"]), key=lambda it: (it[0][0] != REAL, it[0])):
        profile = own.groupby("distance")[["porosity", "surface"]].mean()
        deep = profile["porosity"][profile.index >= DEEP].mean()
        near = profile["porosity"] / deep
        cells = [f"{near[layer]:.2f}" if layer in near.index and deep > 0 else ABSENT for layer in LAYERS]
        rows.append([str(source), f"{edge}³", f"{deep:.3f}", *cells])
    return table_lines(["volumes", "edge", "porosity inside", *(f"at {layer}" for layer in LAYERS)], rows)


def coverage_markdown(folder: Path) -> str:
    """Return the document of the coverage of intervals on one data set; errors as for ``read_study``."""
    table, manifest = read_study(folder, "intervals")
    run = manifest.run
    lines = [f"# Intervals on {run['dataset']}", "", COVERAGE, "", *_coverage(table), ""]
    return "\n".join([*lines, f"{run['n']} draws at each of {run['densities']} densities, seed {run['seed']}.", ""])


def _coverage(table: pd.DataFrame) -> list[str]:
    """Return one row a generator and setting of the count."""
    bands = [band for band in dict.fromkeys(table["band"]) if band != ALL]
    rows = []
    for (name, exact), own in table.groupby(["generator", "exact_count"], sort=False):
        cells = own.set_index(["band", "descriptor"])
        shares = cells["coverage"]
        mean, low, high = (percent(cells.loc[(ALL, EACH), column], 0) for column in ("coverage", "ci_low", "ci_high"))
        worst = str(shares[ALL].drop([EACH, COUNT]).idxmin())
        rows.append(
            [
                str(name),
                str(exact) or ABSENT,
                f"{mean} [{low}, {high}]",
                *(percent(shares[band, EACH], 0) for band in bands),
                f"{worst} {percent(shares[ALL, worst], 0)}",
                percent(shares[ALL, COUNT], 0),
            ]
        )
    header = ["generator", "exact count", "coverage % [95 % CI]", *bands, "worst descriptor", "pore voxels"]
    return table_lines(header, rows)


def _representative(folder: Path) -> list[str]:
    return representative_table(read_rows(folder, "representative"), voxel_of_image(folder))


def voxel_of_image(folder: Path) -> str:
    """Return the edge of a voxel of the image behind ``representative.csv`` in words; "" where it is not known."""
    manifest = Manifest.read(folder / "representative.json")
    return "" if manifest is None else str(manifest.run.get("voxel", ""))


def representative_table(table: pd.DataFrame, voxel: str = "") -> list[str]:
    """Return one row a block size: mean ± spread of single blocks, and how many give each mean to within 10 %.

    Args:
        table: rows of ``representative.csv``.
        voxel: edge of a voxel in words, "" where it is not known.
    """
    header = ["block", "blocks", *SHOWN.values(), f"blocks for porosity to {WITHIN:g} %"]
    rows = []
    for edge, part in table.groupby("edge"):
        found = {str(point.descriptor): point for point in part.itertuples()}
        cells = [f"{found[name].mean:.3g} ± {found[name].sd:.2g}" for name in SHOWN if name != "percolation"]
        porosity = found["porosity"]
        needed = int(np.ceil((1.96 * 100 / WITHIN * porosity.sd / porosity.mean) ** 2)) if porosity.mean else 0
        rows.append([f"{edge}³", str(porosity.n), *cells, f"{100 * found['percolation'].mean:.0f} %", str(needed)])
    reading = "Mean over blocks ± standard deviation between them; share of axes that percolate."
    return [*table_lines(header, rows), "", f"{reading} Lengths are in voxels of {voxel}." if voxel else reading]
