"""Results that a change of code made stale though it changed no number: proved to the last bit, and made fresh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from porebench.data import Dataset

from ..evaluate.score import CODE
from ..evaluate.side_tables import SIDE_TABLES
from ..store.digests import PROJECT, Root
from ..store.files import write_arrays, write_text
from ..store.provenance import git
from ..store.results import read_manifest, run_folders
from ..store.tables import Manifest
from . import facts
from .status import dataset_of, study_manifests

PROVED = (
    "metrics.descriptors:describe",
    "metrics.descriptors:percolation",
    "metrics.descriptors:HEADLINE",
    "metrics.direction:DESCRIPTORS",
    "metrics.sizes:detected_radii",
    "metrics.nearest:nearest",
    "metrics._batch:count_true",
)
"""Functions of volumes whose numbers are compared, and collections of names that are.

Code outside of what they reach must be the same, and reach what is new through them alone.
"""


def make_fresh(results: Path, commit: str, given: Sequence[Dataset]) -> list[Path]:
    """Write the digests of today's code into manifests that hold at a commit, where both codes give the same numbers.

    All functions of ``PROVED`` are run with both codes on every test volume at hand. A result is made fresh if what it
    reaches differs inside those functions alone.

    Args:
        results: the results folder.
        commit: whose code made the results.
        given: data sets that are not built in.

    Returns:
        The manifests that changed.

    Raises:
        ValueError: if the project is not a clone with that commit, no data set is at hand, or a number differs.
    """
    volumes = {}
    for folder in run_folders(results):
        dataset = dataset_of(read_manifest(folder)["run"], given)
        if dataset is not None:
            volumes[dataset.name] = dataset.test.voxels
    if not volumes:
        raise ValueError(f"no data set of the runs in {results} is at hand")
    with tempfile.TemporaryDirectory() as made, _tree(commit, Path(made) / "tree") as tree:
        write_arrays(Path(made) / "volumes.npz", volumes)
        asked = {"roots": _roots(results), "functions": PROVED, "volumes": str(Path(made) / "volumes.npz")}
        renamed = replacements(_facts_of(tree, asked, Path(made) / "asked.json"), facts.facts(asked))
    changed = []
    for path in sorted(results.rglob("*.json")):
        text = before = path.read_text(encoding="utf-8")
        for old, new in renamed.items():
            text = text.replace(f'"{old}"', f'"{new}"')
        if text != before:
            write_text(path, text)
            changed.append(path)
    return changed


def replacements(before: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """Return the digest of today for each earlier one that stands for the same numbers.

    Args:
        before: facts of the earlier code, see ``facts.facts``.
        now: facts of today's.

    Raises:
        ValueError: if a function gives other numbers than before.
    """
    differing = [name for name, digest in now["numbers"].items() if before["numbers"].get(name) != digest]
    if differing:
        raise ValueError(f"other numbers than before: {', '.join(differing)}")
    proved = {name.rpartition(".")[2] for name in PROVED}
    inside, earlier_inside = ({digest for digest, *_ in each["inside"]} for each in (now, before))
    new = {name for digest, name, *_ in now["inside"] if digest not in earlier_inside} - proved
    more = new
    while more:  # what reaches something new past what was shown
        more = {name for _, name, *mentioned in now["inside"] if more & set(mentioned)} - proved - new
        new = new | more
    found = {}
    for roots, digest in now["code"].items():
        earlier = before["code"].get(roots, digest)
        outside = [each for each in now["definitions"][roots] if each[0] not in inside]
        same = {each[0] for each in outside} == {
            each[0] for each in before["definitions"].get(roots, [])
        } - earlier_inside
        if earlier != digest and same and not new & {name for each in outside for name in each[2:]}:
            found[earlier] = digest
    return found


def _roots(results: Path) -> list[list[str]]:
    """Return every list of definitions whose digest a manifest may hold, by their names."""
    named = [*CODE.values(), *(table.code for table in SIDE_TABLES)]
    found = [[_name(root) for root in roots] for roots in named]
    for path in study_manifests(results):
        manifest = Manifest.read(path)
        found += [list(record.code) for record in manifest.records.values()] if manifest else []
    return sorted(map(list, set(map(tuple, found))))


def _name(root: Root) -> str:
    """Return a definition as ``package.module:name``."""
    return root if isinstance(root, str) else f"{root.__module__.removeprefix(f'{PROJECT}.')}:{root.__qualname__}"


@contextmanager
def _tree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder for a while."""
    try:
        git("worktree", "add", "--detach", "--quiet", str(folder), commit)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"no commit {commit} in a git clone of the project to compare with") from error
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def _facts_of(tree: Path, asked: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the facts of another tree, from a process of its own."""
    file.write_text(json.dumps(asked), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, facts.__file__, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        raise ValueError(f"the code of that commit failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
