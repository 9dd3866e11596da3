"""Cells: what one stage of one generator's evaluation made, from which inputs, and whether it is still fresh.

A run is made of cells (data set x generator x seed x stage). Each is a record in
``cells/<generator>/<stage>.json``, with a file of arrays where the stage makes any. The arrays are written first and
the record names their digest, so a cell either stands complete on disk or counts as missing.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from porebench.metrics.table import METRICS

from .files import file_digest, write_text

STAGES = ("fit", "sample", "reconstruct", "describe", "score")
"""In order; each takes what the ones before it made."""

REAL = ".real"
"""The real volumes' place among the generators."""

DRAWING_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
JUDGING_PACKAGES = ("numpy", "scipy", "scikit-image", "scikit-learn", "numba", "porespy")
ALL_PACKAGES = tuple(dict.fromkeys([*DRAWING_PACKAGES, *JUDGING_PACKAGES]))
ROOT = Path(__file__).resolve().parents[2]
SCORING = ("benchmarks/evaluate/score.py", "benchmarks/evaluate/rows.py")
"""The code that turns volumes into rows; what it imports of ``metrics`` belongs to it."""

log = logging.getLogger("porebench")

Inputs = dict[str, str]
"""What decides the content of a cell: a short digest by name; the names are the reasons that ``status`` gives."""


def short_digest(content: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of a JSON value, bytes by their content."""
    if not isinstance(content, bytes):
        content = json.dumps(content, sort_keys=True, default=repr).encode()
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Cell:
    """A finished cell.

    Attributes:
        stage: one of ``STAGES``.
        inputs: what it was made from.
        output: what it made, as JSON values; arrays lie in their own file, named and digested here.
        seconds: how long it took.
        peak_memory_mb: the largest memory of the process that made it, in 10⁶ bytes; 0 if unknown.
        finished: date and time, UTC.
    """

    stage: str
    inputs: Inputs
    output: dict[str, Any]
    seconds: float
    peak_memory_mb: int
    finished: str

    @property
    def key(self) -> str:
        """Digest of the inputs."""
        return short_digest(self.inputs)

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        return {
            "key": self.key,
            "inputs": self.inputs,
            "seconds": self.seconds,
            "peak_memory_mb": self.peak_memory_mb,
            "finished": self.finished,
        }


class Cells:
    """The finished cells of one generator in one run folder."""

    def __init__(self, folder: Path, generator: str) -> None:
        self.folder = folder
        self.generator = generator

    def record(self, stage: str) -> Path:
        """Where the record of a stage lies."""
        return self.folder / "cells" / self.generator / f"{stage}.json"

    def arrays(self, stage: str) -> Path:
        """Where the arrays of a stage lie: the samples in a folder of their own, since others read them."""
        if stage == "sample":
            return self.folder / "samples" / f"{self.generator}.npz"
        return self.record(stage).with_suffix(".npz")

    def read(self, stage: str) -> Cell | None:
        """The cell as it stands on disk; None if it is missing, unreadable, or its arrays are not the ones it made."""
        try:
            content = json.loads(self.record(stage).read_text())
            cell = Cell(**content)
            digest = cell.output.get("file")
            intact = digest is None or file_digest(self.arrays(stage)) == digest
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            log.warning("the %s cell of %s cannot be read and is made again: %s", stage, self.generator, error)
            return None
        return cell if intact and cell.stage == stage else None

    def fresh(self, stage: str, inputs: Inputs) -> Cell | None:
        """The cell, if it was made from exactly these inputs."""
        cell = self.read(stage)
        return cell if cell is not None and not changed(cell.inputs, inputs) else None

    def finish(
        self, stage: str, inputs: Inputs, output: dict[str, Any], seconds: float, peak_memory_mb: int = 0
    ) -> Cell:
        """Record a finished stage. Its arrays, if it has any, are on disk already."""
        if stage in {"sample", "reconstruct", "describe"}:
            output = {**output, "file": file_digest(self.arrays(stage))}
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        cell = Cell(stage, inputs, output, round(seconds, 3), peak_memory_mb, finished)
        write_text(self.record(stage), json.dumps(vars(cell), indent=1, default=_plain) + "\n")
        return cell


def _plain(value: Any) -> Any:
    """A NumPy number as Python's own."""
    return value.item()


def changed(earlier: Inputs, now: Inputs) -> list[str]:
    """Names of the inputs that differ, in order."""
    return [name for name in dict.fromkeys([*now, *earlier]) if earlier.get(name) != now.get(name)]


@functools.cache
def packages(names: tuple[str, ...]) -> str:
    """The installed versions of packages, in one line; without the build that a version may name (``+cpu``)."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def metric_code() -> str:
    """Digest of the code that turns volumes into rows."""
    return code_digest(*SCORING)


@functools.cache
def code_digest(*files: str) -> str:
    """Digest of files below the repository's root and of what they import of ``metrics``; see ``files_of``."""
    return short_digest(b"".join(file.name.encode() + file.read_bytes() for file in files_of(*files)))


def files_of(*files: str) -> list[Path]:
    """Files below the repository's root, and all modules of ``metrics`` that they import, at any depth."""
    found: set[Path] = set()
    waiting = [ROOT / file for file in files]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _metrics_imported(file)
    return sorted(found)


def _metrics_imported(file: Path) -> list[Path]:
    """Files of the modules of ``metrics`` that a file imports names from."""
    imports = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ImportFrom)]
    inside = file.parent.name == "metrics"
    names = [node.module for node in imports if node.module and node.level == 1 and inside]
    names += [
        node.module.removeprefix("metrics.")
        for node in imports
        if node.module and node.level == 0 and node.module.startswith("metrics.")
    ]
    return [ROOT / "metrics" / f"{name}.py" for name in names]


def metric_versions() -> dict[str, int]:
    """The version of every metric, by name."""
    return {name: metric.version for name, metric in METRICS.items()}
