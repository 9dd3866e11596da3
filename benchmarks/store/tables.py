"""Tables that are extended row by row, and the manifests of studies that say what their rows were made from."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .cells import Inputs, changed
from .digests import code_digest
from .files import write_text
from .provenance import environment, packages

REAL = "real volumes"
"""Name of the record of rows that are made of real volumes alone."""


def table_text(table: pd.DataFrame, digits: int = 6) -> str:
    """Return a table as CSV with so many significant digits."""
    return str(table.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n"))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Replace a CSV file in one step."""
    write_text(path, table_text(table))


def replace_rows(
    path: Path,
    rows: pd.DataFrame,
    key: Sequence[str],
    *,
    keep: bool | Callable[[pd.DataFrame], Any] = True,
    order: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
) -> None:
    """Write rows into a CSV file in place of earlier ones with the same key; the text of other rows stays as it is.

    Args:
        path: of the file, made if it is missing.
        rows: new rows. Earlier rows of a file with other columns are dropped.
        key: columns that say which earlier rows are replaced.
        keep: whether earlier rows of other keys stay: all, none, or those for which a function of the earlier rows (all
            columns as text) is true.
        order: puts the rows of the file, all columns as text, into their order.
    """
    table = _as_text(table_text(rows))
    if keep and path.is_file():
        earlier = _as_text(path.read_text(encoding="utf-8"))
        if list(earlier.columns) == list(table.columns):
            new = pd.MultiIndex.from_frame(table[list(key)])
            stays = ~pd.MultiIndex.from_frame(earlier[list(key)]).isin(new)
            if callable(keep):
                stays &= keep(earlier)
            table = pd.concat([earlier[stays], table], ignore_index=True)
    write_text(path, order(table).to_csv(index=False, lineterminator="\n"))


def _as_text(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


@dataclass(frozen=True)
class Record:
    """Inputs and code of some rows of a study.

    Attributes:
        inputs: digests by name, of data, weights, packages and, as "code", of what ``code`` names.
        code: definitions whose code decides the rows, as ``digests.code_digest`` takes them.
        generator: registered name of the generator whose rows they are; "" for rows of real volumes.
        params: hyper-parameters of that generator where they are not its own defaults.
        facts: whatever else is known of the rows, such as the cost of a training.
    """

    inputs: Inputs
    code: tuple[str, ...]
    generator: str = ""
    params: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: Inputs, code: Sequence[str], used: Sequence[str], **others: Any) -> Record:
        """Return a record of inputs, the code, and the packages that the code used."""
        return cls({**inputs, "code": code_digest(*code), "packages": packages(used)}, tuple(code), **others)


@dataclass(frozen=True)
class Manifest:
    """The manifest of a study.

    Attributes:
        run: settings that all rows have in common; rows of another run are not kept beside new ones.
        records: what the rows were made from, by generator or by another name.
        stamp: date, command line and environment of the newest rows.
    """

    run: dict[str, Any]
    records: dict[str, Record] = field(default_factory=dict)
    stamp: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """Return the manifest in a file; None where there is none.

        Raises:
            ValueError: if the manifest is damaged.
        """
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            records = {name: Record(**{**it, "code": tuple(it["code"])}) for name, it in content["records"].items()}
            found = cls(dict(content["run"]), records, dict(content["stamp"]))
            texts = [text for it in records.values() for text in (*it.inputs.values(), *it.code, it.generator)]
            sound = all(isinstance(text, str) for text in texts)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({type(error).__name__}); make it again") from error
        if not sound:
            raise ValueError(f"{path} is damaged; make it again")
        return found

    def holds(self, record: Record, name: str = REAL) -> bool:
        """Return whether the rows of a name were made from the inputs and the code that a record states."""
        return name in self.records and not changed(self.records[name].inputs, record.inputs)

    def extended(self, records: Mapping[str, Record], command: str, **stamp: Any) -> Manifest:
        """Return the manifest with records of new rows in place of earlier ones, stamped with date and environment."""
        made = {"date": time.strftime("%Y-%m-%d"), "command": command, **stamp, **environment()}
        return Manifest(self.run, {**self.records, **records}, made)

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")


def manifest_of(path: Path, run: dict[str, Any]) -> Manifest:
    """Return the manifest in a file if it has the same run, else an empty one of that run."""
    earlier = Manifest.read(path)
    return earlier if earlier is not None and earlier.run == json.loads(json.dumps(run)) else Manifest(run)
