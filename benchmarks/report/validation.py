"""Tables of a validation of the score, from its ``power.csv``, ``ties.csv`` and ``manifest.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ..store.results import ALL
from .studies import read_rows, read_study
from .text import ABSENT, percent, table_lines

NOTHING = "nothing"
"""Name of the comparison of two real sets among the defects."""
ALWAYS = 0.95
"""Share of trials from which on a defect counts as always found."""
READING = (
    "Share of trials in which the swap test (5 % level) declares a set with the planted defect different from "
    "real volumes, by number of volumes a band; `nothing` compares two real sets, so its share is the rate of false "
    "alarms. NFR100 is that of the laws compared. Coverage: how often the 95 % interval holds it, at 100 volumes a "
    "band, or the largest number below. Amount: how often a paired t-test of the pore counts finds a bias, likewise."
)


def validation_markdown(folder: Path) -> str:
    """Return the document of one data set's validation; errors as for ``studies.read_study``."""
    power, manifest = read_study(folder, "power", "manifest")
    stamp = manifest.stamp
    lines = [
        f"# Validation on {manifest.run['dataset']}",
        "",
        f"Made {stamp['date']} by `{stamp['command']}` in {stamp['processor_seconds']:.0f} processor seconds.",
        "",
        READING,
        "",
        *_summary(power, read_rows(folder, "ties")),
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


def _summary(power: pd.DataFrame, ties: pd.DataFrame) -> list[str]:
    """Return the headline table, and a paragraph on what the ranking told apart."""
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
                *(_with_interval(own.loc[size], "found", name == NOTHING) for size in sizes),
                _with_interval(tried.iloc[0], "covered", name == NOTHING) if len(tried) else ABSENT,
                percent(tried["bias_found"].iloc[0]) if len(tried) else ABSENT,
            ]
        )
    told = [
        f"{row.first} and {'the same again' if row.same else row.second}: {percent(row.told_apart)} %"
        f" [{percent(row.told_apart_low)}, {percent(row.told_apart_high)}]"
        for row in ties.itertuples()
    ]
    counts = table.groupby("planted")["trials"].first()
    ending = (
        f"Per cent of trials ({counts[NOTHING]} of two real sets, {counts.min()} of each defect), N volumes a band."
    )
    ranking = f"Told apart by the ranking, N = {ties['volumes'].iloc[0]}"
    return [*table_lines(header, rows), "", f"{ending} {ranking}: {'; '.join(told)}."]


def _overview(studies: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return a table of one row a data set, from the rows of each one's ``power.csv``, and how to read it."""
    header = ["data set", "N a band", "false alarms % [95 % CI]", "coverage %", "always found", "found less often"]
    rows = []
    for name, power in studies.items():
        tried = power[(power["band"] == ALL) & power["covered"].notna()].set_index("planted")
        planted = tried.drop(index=NOTHING)
        always = planted["found"] >= ALWAYS
        rows.append(
            [
                name,
                str(tried["volumes"].iloc[0]),
                _with_interval(tried.loc[NOTHING], "found", shown=True),
                f"{percent(tried['covered'].min())} to {percent(tried['covered'].max())}",
                f"{always.sum()} of {len(planted)}",
                "; ".join(f"{defect} {percent(planted['found'][defect])} %" for defect in planted.index[~always])
                or ABSENT,
            ]
        )
    ending = (
        "Over the headline bands. False alarms: two real sets declared different. Coverage of the 95 % interval: least "
        f"and most over what is planted. Always: in at least {percent(ALWAYS)} % of the trials."
    )
    return [*table_lines(header, rows), "", ending]


def _by_band(power: pd.DataFrame, volumes: int, column: str = "found", pattern: str = "") -> list[str]:
    """Return a table of one row a defect, one column a band."""
    table = power[power["volumes"] == volumes].pivot_table(index="planted", columns="band", values=column, sort=False)
    bands = [band for band in table.columns if band != ALL] + [band for band in table.columns if band == ALL]
    rows = [
        [str(name), *(pattern.format(row[band]) if pattern else percent(row[band]) for band in bands)]
        for name, row in table.iterrows()
    ]
    return table_lines(["planted", *(str(band) for band in bands)], rows)


def validation_documents(results: Path) -> tuple[dict[Path, str], dict[str, list[str]]]:
    """Return every document of a validation, and README tables by marker; ``validation`` is that of all data sets."""
    texts, tables, studies = {}, {}, {}
    for path in sorted((results / "validation").glob("*/manifest.json")):
        folder = path.parent
        power, manifest = read_study(folder, "power", "manifest")
        studies[folder.name] = power
        texts[folder / "validation.md"] = validation_markdown(folder)
        *lines, ending = _summary(power, read_rows(folder, "ties"))
        tables[f"validation-{folder.name}"] = [*lines, f"{ending} {manifest.stamp['date']}."]
    return texts, tables | ({"validation": _overview(studies)} if studies else {})


def _with_interval(row: pd.Series, name: str, shown: bool) -> str:
    text = percent(row[name])
    return f"{text} [{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]" if shown else text
