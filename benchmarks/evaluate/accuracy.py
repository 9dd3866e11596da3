"""The tables of a run: accuracy, status, ranks and ties, and their manifest.

``status.csv`` names every generator of the table, those that failed too, which have no number in ``accuracy.csv``.
``ranking.csv`` has one row a generator and variant of the score (``left_out`` nothing, a descriptor or a band);
``ties.csv`` one row a pair: the difference of their NFR100, its 95 % interval, and whether they are tied.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.generators import CONTROLS, GENERATORS
from porebench.metrics.ranking import differences, ranks, sensitivity

from ..report.accuracy import accuracy_markdown
from ..store.files import write_text
from ..store.provenance import environment
from ..store.replicates import all_replicates
from ..store.results import (
    COLUMNS,
    RANK_COLUMNS,
    STATUS_COLUMNS,
    TIE_COLUMNS,
    Order,
    Outcome,
    Run,
    read_manifest,
    read_order,
    read_table,
    status_rows,
)
from ..store.tables import write_table

log = logging.getLogger("porebench")


class Results:
    """The rows of one run folder; the files are rewritten after each."""

    def __init__(self, folder: Path, run: dict[str, Any], command: str, phase: str = "") -> None:
        self.folder = folder
        self.run = run
        self.phase = phase
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self.stamp = {"date": time.strftime("%Y-%m-%d"), "started": started, "command": command, **environment()}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self._take_over()

    def _take_over(self) -> None:
        """Take the rows of an earlier run over, if it is the same run."""
        if not all((self.folder / name).is_file() for name in ("manifest.json", "accuracy.csv")):
            return
        try:
            earlier, rows = read_manifest(self.folder), read_table(self.folder)
        except (ValueError, OSError) as error:
            log.warning("earlier results in %s cannot be read and are replaced: %s", self.folder, error)
            return
        if earlier.get("run") != self.run:
            log.warning(
                "earlier results in %s came from other data, samples, seed or metrics, and are replaced", self.folder
            )
            return
        self.records = earlier["generators"]
        clean = rows.astype(object).where(rows.notna(), None)
        for row in clean.to_dict("records"):
            self.rows.setdefault(str(row["generator"]), []).append({str(key): value for key, value in row.items()})

    def add(self, outcome: Outcome) -> None:
        """Replace the generator's row and rewrite the files; side tables of the same samples stay noted."""
        self.rows.pop(outcome.generator, None)
        earlier, record = self.records.get(outcome.generator, {}), outcome.record
        if not outcome.failed and earlier.get("samples_digest") == record.get("samples_digest"):
            record = {**record, "cells": {**earlier.get("cells", {}), **record.get("cells", {})}}
        self.records[outcome.generator] = record
        if outcome.rows:
            self.rows[outcome.generator] = outcome.rows
        self.records = {name: self.records[name] for name in sorted(self.records, key=_table_order)}
        rows = [row for name in self.records for row in self.rows.get(name, [])]
        write_table(self.folder / "accuracy.csv", pd.DataFrame(rows, columns=list(COLUMNS)))
        write_table(self.folder / "status.csv", pd.DataFrame(status_rows(self.records), columns=list(STATUS_COLUMNS)))
        self._write_manifest()
        order = write_order(self.folder, self.run, self.records)
        found = Run(self.folder, read_table(self.folder), self._manifest(), order)
        write_text(self.folder / "accuracy.md", accuracy_markdown(found))

    def note(self, outcome: Outcome, cells: dict[str, dict[str, Any]]) -> Outcome:
        """Note the cells of a generator's side tables in the manifest, and in its row."""
        record = self.records[outcome.generator]
        self.records[outcome.generator] = {**record, "cells": {**record.get("cells", {}), **cells}}
        self._write_manifest()
        return replace(outcome, record=self.records[outcome.generator])

    def _write_manifest(self) -> None:
        write_text(self.folder / "manifest.json", json.dumps(self._manifest(), indent=2) + "\n")

    def _manifest(self) -> dict[str, Any]:
        """Return the manifest; it notes what was taken for pore in an image, which ``data`` of the run decides on."""
        noted = {"phase": self.phase} if self.phase else {}
        return {"run": self.run, **noted, "generators": self.records}

    def earlier(self, generator: str) -> Outcome | None:
        """Return the generator's row as it stands, if it has a score."""
        record = self.records.get(generator)
        if record is None or record["status"] != "scored":
            return None
        return Outcome(generator, self.rows.get(generator, []), record)


def _table_order(name: str) -> tuple[int, str]:
    registered = list(GENERATORS)
    return (registered.index(name) if name in registered else len(registered), name)


def write_order(folder: Path, run: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> Order | None:
    """Write ``ranking.csv`` and ``ties.csv`` of the scored generators of a table, and return the ranking.

    Controls hold no rank, but their differences from the others are listed.

    Args:
        folder: of the run.
        run: what all rows of the table have in common.
        records: generator -> its record in the manifest.
    """
    entries = all_replicates(folder, run, records)
    contestants = {name: entry for name, entry in entries.items() if name not in CONTROLS}
    write_table(folder / "ranking.csv", pd.DataFrame(sensitivity(contestants), columns=list(RANK_COLUMNS)))
    ties = differences(entries, list(ranks(entries)))
    write_table(folder / "ties.csv", pd.DataFrame(ties, columns=list(TIE_COLUMNS)))
    return read_order(folder)
