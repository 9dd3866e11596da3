"""The table of an ablation, from its ``ablation.csv`` and ``manifest.json``. Computes only means over seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.metrics.bands import ALL

ABSENT = "–"
READING = (
    "Mean ± standard deviation over seeds. NFR100 (1 = cannot be told from real) of draws with the exact number of "
    "pore voxels; IoU of reconstructions; count off: how far the number of pore voxels is off where it is not made "
    "exact, mean size over the headline bands."
)


def ablation_markdown(table: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """The document of one data set's ablation.

    Args:
        table: the rows of ``ablation.csv``.
        manifest: the content of ``manifest.json``.
    """
    run = manifest["run"]
    records = manifest["trainings"].values()
    commands = dict.fromkeys(record.get("command", manifest["command"]) for record in records)
    made = (
        f"{_judged(run)}; {_budget(run)}. Training data {run['data'][:12]}, judged data {run['judged'][:12]}. "
        f"Made {manifest['date']} by {' and '.join(f'`{command}`' for command in commands)}."
    )
    lines = [f"# Ablation on {run['dataset']}", "", made, "", READING, "", *ablation_lines(table, manifest), ""]
    return "\n".join(lines)


def ablation_lines(table: pd.DataFrame, manifest: dict[str, Any]) -> list[str]:
    """One line a variant, as Markdown."""
    trainings = manifest["trainings"].values()
    bands = [str(band) for band in dict.fromkeys(table["band"]) if band != ALL]
    header = ["variant", "what differs", "NFR100", *(f"NFR100 {band}" for band in bands)]
    header += ["IoU", "count off %", "seeds", "fit s"]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    for name in dict.fromkeys(table["variant"]):
        own = table[table["variant"] == name]
        records = [record for record in trainings if record["name"] == name]
        seconds = pd.Series([record["fit_seconds"] for record in records])
        row = [
            str(name),
            str(records[0]["change"]),
            _spread(own, "nfr100", ALL),
            *(_spread(own, "nfr100", band) for band in bands),
            _spread(own, "iou", ALL),
            _spread(own, "count_bias", ALL),
            str(len(records)),
            f"{seconds.mean():.0f}",
        ]
        lines.append("| " + " | ".join(row) + " |")
    return lines


def ablation_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """Every document of an ablation with its text, and the lines for a README by the name of its marker."""
    documents: dict[Path, str] = {}
    tables: dict[str, list[str]] = {}
    for path in sorted((results / "ablation").glob("*/manifest.json")):
        table, manifest = pd.read_csv(path.with_name("ablation.csv")), json.loads(path.read_text())
        documents[path.with_name("ablation.md")] = ablation_markdown(table, manifest)
        run = manifest["run"]
        tables[f"ablation-{run['dataset']}"] = [
            *ablation_lines(table, manifest),
            "",
            f"{_judged(run)}; {_budget(run)}; {manifest['date']}.",
        ]
    return documents, tables


def _judged(run: dict[str, Any]) -> str:
    fresh = run["n_judged"] - run["n_validation"]
    return f"Judged on {run['n_validation']} validation volumes" + (f" and {fresh} fresh ones" if fresh else "")


def _budget(run: dict[str, Any]) -> str:
    return f"{run['epochs']} epochs each"


def _spread(table: pd.DataFrame, metric: str, band: str) -> str:
    """Mean ± standard deviation over seeds."""
    values = table[(table["metric"] == metric) & (table["band"] == band)]["value"].dropna()
    if not len(values):
        return ABSENT
    pattern = "{:.2f}" if abs(values.mean()) < 10 else "{:.1f}"
    mean = pattern.format(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {pattern.format(values.std(ddof=1))}"
