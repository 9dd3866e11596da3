"""Tables of a validation of the score, from its ``power.csv``, ``ties.csv`` and ``manifest.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ..store.results import ALL, read_side_table
from .studies import read_rows, read_study
from .text import ABSENT, percent, table_lines

NOTHING = "nothing"
"""Name of the comparison of two real sets among the defects."""
ALWAYS = 0.95
"""Share of trials from which on a defect counts as always found."""
READING = (
    "Share of trials in which the verdict tells a set with the planted defect from real volumes: over the headline "
    "bands, at least one of six tests rejects at its share of the 5 % level. `nothing` compares two real "
    "sets, so its share is the rate of false alarms. Copies of training volumes are looked for in sets that are made "
    "of them, and in real ones unless the validation is quick; elsewhere there are none. NFR100 is that of the laws "
    "compared. By: how often each test rejects, in per cent. Coverage: how often the 95 % interval holds NFR100. Both "
    "at 100 volumes a band, or the largest number below; more are tried where a defect is not always found with these. "
    "A band by itself has the test of structure alone. Axes swapped is a defect where a medium has a direction; "
    "elsewhere it should be found as often as nothing."
)
SWAPPED = "axes swapped"
"""Defect of media with a direction alone."""


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
        *_summary(folder, power),
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


def _summary(folder: Path, power: pd.DataFrame) -> list[str]:
    """Return the headline table, and a paragraph on what the ranking told apart."""
    ties, twins = read_rows(folder, "ties"), _twins(folder)
    table = power[power["band"] == ALL]
    sizes = sorted(int(size) for size in table["volumes"].unique())
    header = ["planted", "NFR100", *(f"found, N = {size}" for size in sizes), "by", "coverage"]
    rows, missed = [], []
    for name in dict.fromkeys(table["planted"]):
        own = table[table["planted"] == name].set_index("volumes")
        tried = own[own["covered"].notna()].iloc[0]
        rows.append(
            [
                str(name),
                f"{tried['nfr100_true']:.2f}",
                *(
                    _with_interval(own.loc[size], "found", name == NOTHING) if size in own.index else ABSENT
                    for size in sizes
                ),
                _by_test(tried),
                _with_interval(tried, "covered", name == NOTHING),
            ]
        )
        if name != NOTHING and tried["found"] < ALWAYS:
            missed.append(f"{name} ({percent(tried['found'])} %)")
    told = [
        f"{row.first} and {'the same again' if row.same else row.second}: {percent(row.told_apart)} %"
        f" [{percent(row.told_apart_low)}, {percent(row.told_apart_high)}]"
        for row in ties.itertuples()
    ]
    most = table[table["covered"].notna()]
    counts = most.set_index("planted")["trials"]
    ending = (
        f"Per cent of trials ({counts[NOTHING]} of two real sets, {counts.min()} of each defect), N volumes a band. "
        f"{_missed(missed, int(most['volumes'].iloc[0]))} "
        f"Told apart by the ranking, N = {ties['volumes'].iloc[0]}: {'; '.join(told)}."
        + (f" Rows of sphere packing that differ in their seeds alone tie in {twins} pairs." if twins else "")
    )
    return [*table_lines(header, rows), "", ending]


def _twins(folder: Path) -> str:
    """Return how many pairs of rows of one method tie, of how many; "" where none were compared."""
    found = read_side_table(folder, "twins")
    return "" if found is None else f"{int(found['tied'].sum())} of {len(found)}"


def _by_test(row: pd.Series) -> str:
    """Return the tests that reject in at least a hundredth of the trials, with per cent, the most often first."""
    shares = row[[name for name in row.index if name.startswith("by_")]].astype(float).sort_values(ascending=False)
    often = shares[shares >= 0.01]
    texts = [f"{str(name).removeprefix('by_')} {percent(share)}" for name, share in often.items()]
    return ", ".join(texts) or ABSENT


def _missed(defects: list[str], volumes: int) -> str:
    """Return a sentence on what is not always found."""
    if not defects:
        return f"Everything is found in at least {percent(ALWAYS)} % of the trials at N = {volumes}."
    text = f"Not found in {percent(ALWAYS)} % of the trials at N = {volumes}: {', '.join(defects)}."
    if any(defect.startswith(SWAPPED) for defect in defects):
        text += f" ({SWAPPED.capitalize()} is no defect of a medium that is alike along its axes.)"
    return text


def _overview(studies: Mapping[Path, pd.DataFrame]) -> list[str]:
    """Return a table of one row a data set, from the folder and ``power.csv`` of each, and how to read it."""
    header = ["data set", "N a band", "false alarms % [95 % CI]", "coverage %", "twins tied", "always found"]
    header.append("found less often")
    rows = []
    for folder, power in studies.items():
        tried = power[(power["band"] == ALL) & power["covered"].notna()].set_index("planted")
        planted = tried.drop(index=NOTHING)
        always = planted["found"] >= ALWAYS
        rows.append(
            [
                folder.name,
                str(tried["volumes"].iloc[0]),
                _with_interval(tried.loc[NOTHING], "found", shown=True),
                f"{percent(tried['covered'].min())} to {percent(tried['covered'].max())}",
                _twins(folder) or ABSENT,
                f"{always.sum()} of {len(planted)}",
                "; ".join(_less_often(power, str(defect)) for defect in planted.index[~always]) or ABSENT,
            ]
        )
    ending = (
        "By the verdict over headline bands. False alarms: two real sets told apart. Coverage of the 95 % interval: "
        "least and most over what is planted. Twins: pairs of rows of sphere packing that differ in their seeds alone. "
        f"Always: in at least {percent(ALWAYS)} % of the trials; in brackets, with more volumes a band."
    )
    return [*table_lines(header, rows), "", ending]


def _less_often(power: pd.DataFrame, defect: str) -> str:
    """Return how often a defect is found over the headline bands, with as many volumes as intervals, and with more."""
    own = power[(power["band"] == ALL) & (power["planted"] == defect)].set_index("volumes")["found"]
    (tried,) = power.loc[(power["band"] == ALL) & power["covered"].notna(), "volumes"].unique()
    more = ", ".join(f"{percent(share)} % at {volumes}" for volumes, share in own.items() if volumes > tried)
    return f"{defect} {percent(own[tried])} %" + (f" ({more})" if more else "")


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
        studies[folder] = power
        texts[folder / "validation.md"] = validation_markdown(folder)
        *lines, ending = _summary(folder, power)
        tables[f"validation-{folder.name}"] = [*lines, f"{ending} {manifest.stamp['date']}."]
    return texts, tables | ({"validation": _overview(studies)} if studies else {})


def _with_interval(row: pd.Series, name: str, shown: bool) -> str:
    text = percent(row[name])
    return f"{text} [{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]" if shown else text
