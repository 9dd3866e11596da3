"""Ranks in a table: replicates kept with the results, ties and their sensitivity worked out from them.

``replicates/<generator>.npz`` holds a generator's scores for resampled test densities (``metrics.ranking``). They are
small and belong to the results, so that a generator scored today can be compared with those of earlier runs.
``ranking.csv`` has one row a generator and variant of the score (``left_out`` nothing, a descriptor or a band);
``ties.csv`` one row a pair: the difference of their NFR100, its 95 % interval, and whether they are tied.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from porebench.data.packed import read_arrays
from porebench.generators import CONTROLS
from porebench.metrics.ranking import Replicates, differences, ranks, sensitivity

from ..store.cells import short_digest
from ..store.files import write_arrays, write_text

RANK_COLUMNS = ("generator", "left_out", "which", "nfr100", "rank", "shared")
TIE_COLUMNS = ("first", "second", "difference", "ci_low", "ci_high", "tied")

log = logging.getLogger("porebench")


@dataclass(frozen=True, eq=False)
class Order:
    """The ranking of one table.

    Attributes:
        ranking: the rows of ``ranking.csv``.
        ties: the rows of ``ties.csv``.
    """

    ranking: pd.DataFrame
    ties: pd.DataFrame

    def rank(self, generator: str) -> str | None:
        """Its rank as printed, such as ``2=``; None for a generator that holds none."""
        own = self.ranking[(self.ranking["generator"] == generator) & (self.ranking["left_out"] == "nothing")]
        return None if own.empty else f"{own['rank'].iloc[0]}{'=' if own['shared'].iloc[0] else ''}"

    def span(self, generator: str, left_out: str) -> tuple[int, int] | None:
        """Best and worst rank when each "descriptor" or "band" is left out in turn; None where none can be."""
        own = self.ranking[(self.ranking["generator"] == generator) & (self.ranking["left_out"] == left_out)]
        return None if own.empty else (int(own["rank"].min()), int(own["rank"].max()))

    def difference(self, first: str, second: str) -> tuple[float, float, float, bool] | None:
        """NFR100 of the first less that of the second, its interval, and whether they are tied."""
        for row in self.ties.itertuples():
            if (row.first, row.second) == (first, second):
                return float(row.difference), float(row.ci_low), float(row.ci_high), bool(row.tied)
            if (row.second, row.first) == (first, second):
                return -float(row.difference), -float(row.ci_high), -float(row.ci_low), bool(row.tied)
        return None


def replicates_path(folder: Path, generator: str) -> Path:
    """Where a generator's replicates lie in a run folder."""
    return folder / "replicates" / f"{generator}.npz"


def keep_replicates(folder: Path, generator: str, replicates: Replicates, run: Mapping[str, Any], samples: str) -> None:
    """Write a generator's replicates.

    Args:
        folder: of the run.
        generator: its name.
        replicates: of its score.
        run: what all rows of the table have in common.
        samples: digest of the samples that were scored.
    """
    key = np.array(_key(run, samples))
    write_arrays(replicates_path(folder, generator), {**replicates.arrays(), "key": key})


def _key(run: Mapping[str, Any], samples: str) -> str:
    """What replicates belong to: other samples, data, seeds or metric versions have another key."""
    return short_digest([dict(run), samples])


def has_replicates(folder: Path, generator: str, run: Mapping[str, Any], samples: str) -> bool:
    """Whether the replicates at hand are those of these samples in this run."""
    return _read(folder, generator, _key(run, samples)) is not None


def _read(folder: Path, generator: str, key: str) -> Replicates | None:
    try:
        arrays = read_arrays(replicates_path(folder, generator))
        return Replicates.from_arrays(arrays) if str(arrays["key"]) == key else None
    except FileNotFoundError:
        return None
    except (KeyError, ValueError) as error:
        log.warning("the replicates of %s cannot be read, so it is not ranked: %s", generator, error)
        return None


def write_order(folder: Path, run: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> Order | None:
    """Rank the scored generators of a table and write ``ranking.csv`` and ``ties.csv``.

    Controls hold no rank, but their differences from the others are listed.

    Args:
        folder: of the run.
        run: what all rows of the table have in common.
        records: generator -> its record in the manifest.
    """
    entries = {}
    for name, record in records.items():
        found = _read(folder, name, _key(run, record["samples_digest"])) if record["status"] == "scored" else None
        if found is not None:
            entries[name] = found
    contestants = {name: entry for name, entry in entries.items() if name not in CONTROLS}
    ranking = pd.DataFrame(sensitivity(contestants), columns=list(RANK_COLUMNS))
    ties = pd.DataFrame(differences(entries, list(ranks(entries))), columns=list(TIE_COLUMNS))
    for name, table in (("ranking", ranking), ("ties", ties)):
        text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
        write_text(folder / f"{name}.csv", text)
    return read_order(folder)


def read_order(folder: Path) -> Order | None:
    """The ranking that ``write_order`` wrote; None where there is none."""
    ranking, ties = folder / "ranking.csv", folder / "ties.csv"
    if not (ranking.is_file() and ties.is_file()):
        return None
    return Order(pd.read_csv(ranking, keep_default_na=False), pd.read_csv(ties))
