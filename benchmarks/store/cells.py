"""Cells: what one stage of one generator's evaluation made, from which inputs, and whether it is still fresh.

A run is made of cells (data set × generator × seed × stage). Each is a record in ``cells/<generator>/<stage>.json``,
with a file of arrays where the stage makes any. The arrays are written first and the record names their digest, so a
cell either stands complete on disk or counts as missing.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .digests import short_digest
from .files import file_digest, write_text

STAGES = ("fit", "sample", "reconstruct", "describe", "score")
"""Stages in order; each takes what the ones before it made."""

REAL = ".real"
"""Name of the real volumes among the generators of a run folder."""

log = logging.getLogger("porebench")

Inputs = dict[str, str]
"""Short digests, by name, of everything that decides the content of a cell; ``status`` gives the names as reasons."""


@dataclass(frozen=True)
class Cell:
    """A finished cell.

    Attributes:
        stage: one of ``STAGES``, or a side table's.
        inputs: what the cell was made from.
        output: what the stage made, as JSON values; arrays lie in their own file, named and digested here.
        seconds: duration of the stage.
        peak_memory_mb: largest memory of the process that ran the stage, 10⁶ bytes; 0 if unknown.
        finished: date and time, UTC.
    """

    stage: str
    inputs: Inputs
    output: dict[str, Any]
    seconds: float
    peak_memory_mb: int
    finished: str

    def summary(self) -> dict[str, Any]:
        """Return what the manifest keeps of the cell."""
        return {
            "key": short_digest(self.inputs),
            **{name: getattr(self, name) for name in ("inputs", "seconds", "peak_memory_mb", "finished")},
        }


class Cells:
    """The finished cells of one generator in one run folder."""

    def __init__(self, folder: Path, generator: str) -> None:
        self.folder = folder
        self.generator = generator

    def record(self, stage: str) -> Path:
        """Return the path of a stage's record."""
        return self.folder / "cells" / self.generator / f"{stage}.json"

    def arrays(self, stage: str) -> Path:
        """Return the path of a stage's arrays; samples have a folder of their own, since other programs read them."""
        if stage == "sample":
            return self.folder / "samples" / f"{self.generator}.npz"
        return self.record(stage).with_suffix(".npz")

    def read(self, stage: str) -> Cell | None:
        """Return the cell on disk; None if it is missing, unreadable, or its arrays are not the ones it made."""
        try:
            cell = Cell(**json.loads(self.record(stage).read_text()))
            digest = cell.output.get("file")
            intact = digest is None or file_digest(self.arrays(stage)) == digest
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("the %s cell of %s cannot be read and is made again: %s", stage, self.generator, error)
            return None
        return cell if intact and cell.stage == stage else None

    def fresh(self, stage: str, inputs: Inputs) -> Cell | None:
        """Return the cell if it was made from exactly these inputs."""
        cell = self.read(stage)
        return cell if cell is not None and not changed(cell.inputs, inputs) else None

    def finish(
        self, stage: str, inputs: Inputs, output: dict[str, Any], seconds: float, peak_memory_mb: int = 0
    ) -> Cell:
        """Write the record of a finished stage, whose arrays, if it has any, are on disk already."""
        if stage in {"sample", "reconstruct", "describe"}:
            output = {**output, "file": file_digest(self.arrays(stage))}
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        cell = Cell(stage, inputs, output, round(seconds, 3), peak_memory_mb, finished)
        write_text(self.record(stage), json.dumps(vars(cell), indent=1, default=lambda number: number.item()) + "\n")
        return cell


def changed(earlier: Inputs, now: Inputs) -> list[str]:
    """Return the names of the inputs that differ, in order."""
    return [name for name in dict.fromkeys([*now, *earlier]) if earlier.get(name) != now.get(name)]
