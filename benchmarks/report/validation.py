"""Tables and figure of a validation, from its ``power.csv``, ``ties.csv`` and ``manifest.json``. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from porebench.metrics.bands import ALL

from ..studies.validation.defects import REAL
from .canvas import figure_class
from .text import table_lines

ABSENT = "–"
ALWAYS = 0.95  # share of trials
READING = (
    "Share of trials in which the swap test (5 % level) declares a set with the planted defect different from "
    "real volumes, by number of volumes a band; `nothing` compares two real sets, so its share is the rate of false "
    "alarms. NFR100 is that of the laws compared. Coverage: how often the 95 % interval holds it, at 100 volumes a "
    "band, or the largest number below. Amount: how often a paired t-test of the pore counts finds a bias, likewise."
)


def validation_markdown(power: pd.DataFrame, ties: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """The tables of one data set's validation.

    Args:
        power: the rows of ``power.csv``.
        ties: the rows of ``ties.csv``.
        manifest: the content of ``manifest.json``.
    """
    lines = [
        f"# Validation on {manifest['dataset']}",
        "",
        f"Made {manifest['date']} by `{manifest['command']}` in {manifest['processor_seconds']:.0f} processor seconds.",
        "",
        READING,
        "",
        *summary_lines(power, ties),
    ]
    for volumes in sorted(power["volumes"].unique()):
        lines += ["", f"## Found with {volumes} volumes a band", "", *_by_band(power, int(volumes))]
    lines += [
        "",
        "## True NFR100 in each band",
        "",
        *_by_band(power, int(power["volumes"].min()), "nfr100_true", "{:.2f}"),
    ]
    return "\n".join([*lines, "", "![share found](power.png)", ""])


def summary_lines(power: pd.DataFrame, ties: pd.DataFrame) -> list[str]:
    """The headline table and what the ranking told apart, as Markdown lines."""
    table = power[power["band"] == ALL]
    sizes = sorted(int(size) for size in table["volumes"].unique())
    header = ["planted", "NFR100", *(f"found, N = {size}" for size in sizes), "coverage", "amount"]
    rows = []
    for name in dict.fromkeys(table["planted"]):
        own = table[table["planted"] == name].set_index("volumes")
        tried = own[own["covered"].notna()]
        rows.append(
            [
                str(name),
                f"{own['nfr100_true'].iloc[0]:.2f}",
                *(_with_interval(own.loc[size], "found", name == REAL) for size in sizes),
                _with_interval(tried.iloc[0], "covered", name == REAL) if len(tried) else ABSENT,
                _percent(tried["bias_found"].iloc[0]) if len(tried) else ABSENT,
            ]
        )
    told = [
        f"{row.first} and {'the same again' if row.same else row.second}: {_percent(row.told_apart)} %"
        f" [{_percent(row.told_apart_low)}, {_percent(row.told_apart_high)}]"
        for row in ties.itertuples()
    ]
    counts = table.groupby("planted")["trials"].first()
    ending = f"Per cent of trials ({counts[REAL]} of two real sets, {counts.min()} of each defect), N volumes a band."
    ranking = f"Told apart by the ranking, N = {ties['volumes'].iloc[0]}"
    return [*table_lines(header, rows), "", f"{ending} {ranking}: {'; '.join(told)}."]


def overview_lines(studies: Mapping[str, pd.DataFrame]) -> list[str]:
    """What the validations of all data sets found, one line each, as Markdown lines.

    Args:
        studies: the rows of ``power.csv`` by data set.
    """
    header = ["data set", "N a band", "false alarms % [95 % CI]", "coverage %", "always found", "found less often"]
    rows = []
    for name, power in studies.items():
        tried = power[(power["band"] == ALL) & power["covered"].notna()].set_index("planted")
        planted = tried.drop(index=REAL)
        always = planted["found"] >= ALWAYS
        rows.append(
            [
                name,
                str(tried["volumes"].iloc[0]),
                _with_interval(tried.loc[REAL], "found", shown=True),
                f"{_percent(tried['covered'].min())} to {_percent(tried['covered'].max())}",
                f"{always.sum()} of {len(planted)}",
                "; ".join(f"{defect} {_percent(planted['found'][defect])} %" for defect in planted.index[~always])
                or ABSENT,
            ]
        )
    ending = (
        "Over the headline bands. False alarms: two real sets declared different. Coverage of the 95 % interval: least "
        f"and most over what is planted. Always: in at least {_percent(ALWAYS)} % of the trials."
    )
    return [*table_lines(header, rows), "", ending]


def _by_band(power: pd.DataFrame, volumes: int, column: str = "found", pattern: str = "") -> list[str]:
    """One row a defect, one column a band."""
    table = power[power["volumes"] == volumes].pivot_table(index="planted", columns="band", values=column, sort=False)
    bands = [band for band in table.columns if band != ALL] + [band for band in table.columns if band == ALL]
    rows = [
        [str(name), *(pattern.format(row[band]) if pattern else _percent(row[band]) for band in bands)]
        for name, row in table.iterrows()
    ]
    return table_lines(["planted", *(str(band) for band in bands)], rows)


def draw_figure(power: pd.DataFrame, path: Path) -> None:
    """The share of trials in which each defect is found, by band and number of volumes, as a PNG file.

    Args:
        power: the rows of ``power.csv``.
        path: the file.
    """
    figure_type = figure_class()
    bands = list(dict.fromkeys(power["band"]))
    names = list(dict.fromkeys(power["planted"]))
    sizes = sorted(int(size) for size in power["volumes"].unique())
    figure = figure_type(figsize=(2.2 + 0.52 * len(bands) * len(sizes), 1.4 + 0.36 * len(names)), layout="constrained")
    axes = figure.subplots(1, len(bands), sharey=True, squeeze=False)[0]
    for axis, band in zip(axes, bands, strict=True):
        share = (
            power[power["band"] == band]
            .pivot_table(index="planted", columns="volumes", values="found", sort=False)
            .reindex(index=names, columns=sizes)
            .to_numpy()
        )
        axis.imshow(share, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        for (row, column), value in np.ndenumerate(share):
            colour = "white" if value > 0.6 else "black"
            axis.text(column, row, _percent(value), ha="center", va="center", fontsize=8, color=colour)
        axis.set_xticks(range(len(sizes)), [str(size) for size in sizes], fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        axis.set_title("headline" if band == ALL else str(band), fontsize=9)
        axis.tick_params(length=0)
    figure.supxlabel("volumes a band; numbers: per cent of trials in which the defect is found", fontsize=8)
    figure.savefig(path, dpi=150, metadata={"Software": None})


def read_validation(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """The tables ``power`` and ``ties`` and the manifest of one data set's validation."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return pd.read_csv(folder / "power.csv"), pd.read_csv(folder / "ties.csv"), manifest


def validation_tables(results: Path) -> dict[str, list[str]]:
    """README tables by marker from all that was validated: ``validation-<data set>``, and ``validation`` of all."""
    found, studies = {}, {}
    for manifest in sorted((results / "validation").glob("*/manifest.json")):
        power, ties, stated = read_validation(manifest.parent)
        studies[manifest.parent.name] = power
        lines = summary_lines(power, ties)
        found[f"validation-{manifest.parent.name}"] = [*lines[:-1], f"{lines[-1]} {stated['date']}."]
    return {**found, "validation": overview_lines(studies)} if studies else found


def _with_interval(row: pd.Series, name: str, shown: bool) -> str:
    text = _percent(row[name])
    return f"{text} [{_percent(row[f'{name}_low'])}, {_percent(row[f'{name}_high'])}]" if shown else text


def _percent(value: float) -> str:
    return ABSENT if pd.isna(value) else f"{100 * value:.1f}".removesuffix(".0")
