"""Whether the score foretells what flows: rank correlations over generators, one row a data set and quantity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from porebench.generators import CONTROLS
from porebench.metrics.physics import AXES
from porebench.metrics.suites import SUITES
from porebench.metrics.verdict import WORDS

from ..store.results import REAL, Run, read_side_table
from .text import table_lines

QUANTITIES = {"permeability": ("flow", ""), "conductivity": ("conduction", "conductivity:")}
"""Quantity -> its side table, and what the names of its columns have before the axis."""
ENOUGH = 5
"""Generators from which on a correlation is looked at."""
READING = (
    "Kendall's τ over generators, controls excepted, between NFR100 and how far the mean of a quantity is from that of "
    "real volumes (the size of the logarithm of their ratio): 1 if the better score always has the better flow, 0 if "
    "the score says nothing of it. The best component is the best of {n} on the same few generators, so it flatters."
)


def foretold_lines(runs: Sequence[Run]) -> list[str]:
    """Return a table in Markdown of how well scores foretell flow; none where too few generators have both.

    Args:
        runs: of data sets.

    References:
        Kendall (1938), doi:10.1093/biomet/30.1-2.81.
    """
    rows, tried = [], 0
    for run in runs:
        components = SUITES[run.suite].components
        tried = max(tried, len(components))
        for quantity, (name, before) in QUANTITIES.items():
            table = read_side_table(run.folder, name)
            away = None if table is None else _away(table, [f"{before}{axis}" for axis in AXES])
            if away is None or (found := _tau(run, "nfr100", away)) is None:
                continue
            single = {each: it[0] for each in components if (it := _tau(run, f"nfr100:{each}", away)) is not None}
            best = max(single, key=lambda each: single[each])
            rows.append(
                [
                    run.name,
                    quantity,
                    str(found[2]),
                    f"{found[0]:.2f} (p = {found[1]:.2g})",
                    f"{WORDS[best]} ({single[best]:.2f})",
                ]
            )
    header = ["data set", "quantity", "generators", "τ of NFR100", "best component"]
    return [*table_lines(header, rows), "", READING.format(n=tried)] if rows else []


def _away(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series | None:
    """Return how far each generator's mean is from that of real volumes, infinite where it is 0.

    None if nothing flows through real volumes, as where walls surround them.
    """
    mean = table.dropna(subset=columns).groupby("generator")[list(columns)].mean().mean(axis=1)
    if mean[REAL] == 0:
        return None
    with np.errstate(divide="ignore"):
        return np.abs(np.log(mean / mean[REAL])).drop([REAL, *CONTROLS], errors="ignore")


def _tau(run: Run, metric: str, away: pd.Series) -> tuple[float, float, int] | None:
    """Return the rank correlation of a score with a deviation, its p-value, and over how many generators."""
    scores = {name: it.value for name, it in run.scores(metric).items() if name in away.index}
    if len(scores) < ENOUGH:
        return None
    found = kendalltau(list(scores.values()), away[list(scores)])
    return float(found.statistic), float(found.pvalue), len(scores)
