"""How often the intervals of generators hold real volumes, from ``intervals.csv``. Computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.metrics.bands import ALL
from porebench.metrics.descriptors import HEADLINE

EACH = "mean of descriptors"
COUNT = "pore_voxels"
ABSENT = "–"
READING = (
    "Share of the real test volumes whose value lies inside the 5-95 % interval of the volumes drawn at its density, "
    "with its 95 % binomial interval; 90 % is right, less means that the generator is too sure. Mean of the "
    "descriptors, over the headline bands. Exact count: whether every draw was given the expected number of pore "
    "voxels, which takes away the real spread of that number."
)


def coverage_markdown(folder: Path) -> str:
    """The document of the coverage of one data set, from ``intervals.csv``."""
    run = json.loads((folder / "intervals.json").read_text())["run"]
    lines = [f"# Intervals on {run['dataset']}", "", READING, "", *coverage_lines(folder), ""]
    return "\n".join([*lines, f"{run['n']} draws at each of {run['densities']} densities, seed {run['seed']}.", ""])


def coverage_lines(folder: Path) -> list[str]:
    """One line a generator and setting of the count, as Markdown."""
    table = pd.read_csv(folder / "intervals.csv", keep_default_na=False)
    bands = [band for band in dict.fromkeys(table["band"]) if band != ALL]
    header = ["generator", "exact count", "coverage % [95 % CI]", *bands, "worst descriptor", "pore voxels"]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    for (name, exact), own in table.groupby(["generator", "exact_count"], sort=False):
        cells = own.set_index(["band", "descriptor"])
        headline = cells.loc[(ALL, EACH)]
        each = {descriptor: float(cells.loc[(ALL, descriptor), "coverage"]) for descriptor in HEADLINE}
        worst = min(each, key=lambda descriptor: each[descriptor])
        row = [
            str(name),
            str(exact) or ABSENT,
            f"{_percent(headline['coverage'])} [{_percent(headline['ci_low'])}, {_percent(headline['ci_high'])}]",
            *(_percent(cells.loc[(band, EACH), "coverage"]) for band in bands),
            f"{worst} {_percent(each[worst])}",
            _percent(cells.loc[(ALL, COUNT), "coverage"]),
        ]
        lines.append("| " + " | ".join(row) + " |")
    return lines


def interval_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """Every document of the coverage with its text, and the lines for a README by the name of its marker."""
    folders = [path.parent for path in sorted(results.glob("*/intervals.json"))]
    documents = {folder / "intervals.md": coverage_markdown(folder) for folder in folders}
    return documents, {f"intervals-{folder.name}": coverage_lines(folder) for folder in folders}


def _percent(value: Any) -> str:
    return f"{100 * float(value):.0f}"
