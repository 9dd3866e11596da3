"""The results folder of one data set and seed: accuracy.csv and .md, ranking.csv, ties.csv, manifest.json."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from porebench.generators import GENERATORS

from ..report.documents import accuracy_markdown
from ..store.files import write_text
from ..store.provenance import environment
from ..store.results import COLUMNS, read_manifest, read_table
from .ranking import write_order

log = logging.getLogger("porebench")


@dataclass(frozen=True)
class Outcome:
    """One generator's row: its numbers, or the phase and reason of its failure."""

    generator: str
    rows: list[dict[str, Any]]
    record: dict[str, Any]

    @property
    def failed(self) -> bool:
        """Whether the generator has no score."""
        return bool(self.record["status"] == "failed")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Results:
    """The rows of one run folder; the files are rewritten after each."""

    def __init__(self, folder: Path, run: dict[str, Any], command: str) -> None:
        self.folder = folder
        self.run = run
        self.stamp = {"date": time.strftime("%Y-%m-%d"), "started": _now(), "command": command, **environment()}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self._take_over()

    def _take_over(self) -> None:
        manifest, table = self.folder / "manifest.json", self.folder / "accuracy.csv"
        if not (manifest.is_file() and table.is_file()):
            return
        try:
            earlier = read_manifest(self.folder)
            rows = read_table(self.folder)
        except (ValueError, OSError) as error:
            log.warning("earlier results in %s cannot be read and are replaced: %s", self.folder, error)
            return
        if earlier.get("run") != self.run:
            log.warning(
                "earlier results in %s came from other data, samples, seed or metrics, and are replaced", self.folder
            )
            return
        self.records = earlier["generators"]
        for name, part in rows.groupby("generator"):
            clean = part.astype(object).where(part.notna(), None)
            self.rows[str(name)] = [{str(key): value for key, value in row.items()} for row in clean.to_dict("records")]

    def add(self, outcome: Outcome) -> None:
        """Replace the generator's row and rewrite the files; side tables of the same samples stay noted."""
        self.rows.pop(outcome.generator, None)
        earlier, record = self.records.get(outcome.generator, {}), outcome.record
        if not outcome.failed and earlier.get("samples_digest") == record.get("samples_digest"):
            record = {**record, "cells": {**earlier.get("cells", {}), **record.get("cells", {})}}
        self.records[outcome.generator] = record
        if outcome.rows:
            self.rows[outcome.generator] = outcome.rows
        names = sorted(self.records, key=_table_order)
        self.records = {name: self.records[name] for name in names}
        table = pd.DataFrame([row for name in names for row in self.rows.get(name, [])], columns=list(COLUMNS))
        write_text(self.folder / "accuracy.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
        manifest = self._write_manifest()
        order = write_order(self.folder, self.run, self.records)
        write_text(self.folder / "accuracy.md", accuracy_markdown(table, manifest, order))

    def note(self, outcome: Outcome, cells: dict[str, dict[str, Any]]) -> Outcome:
        """Note the cells of a generator's side tables in the manifest, and in its row."""
        record = self.records[outcome.generator]
        self.records[outcome.generator] = {**record, "cells": {**record.get("cells", {}), **cells}}
        self._write_manifest()
        return replace(outcome, record=self.records[outcome.generator])

    def _write_manifest(self) -> dict[str, Any]:
        manifest = {"run": self.run, "generators": self.records}
        write_text(self.folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
        return manifest

    def earlier(self, generator: str) -> Outcome | None:
        """The generator's row as it stands, if it has a score."""
        record = self.records.get(generator)
        if record is None or record["status"] != "scored":
            return None
        return Outcome(generator, self.rows.get(generator, []), record)


def _table_order(name: str) -> tuple[int, str]:
    registered = list(GENERATORS)
    return (registered.index(name) if name in registered else len(registered), name)
