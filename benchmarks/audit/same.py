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

from numpy.typing import NDArray

from porebench.data import Dataset
from porebench.generators import GENERATORS

from ..evaluate.fits import prepare
from ..evaluate.score import CODE
from ..evaluate.side_tables import SIDE_TABLES
from ..store.digests import PROJECT, Root, short_digest
from ..store.files import write_arrays, write_text
from ..store.places import Places
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
    "metrics.score:score",
    "metrics._batch:count_true",
)
"""Functions of volumes whose numbers are compared, and collections of names that are.

Code outside of what they reach must be the same, and reach what is new through them alone.
"""


PUBLISHED = Places(named=Path(os.devnull))
"""Folders with the published weights alone."""
DRAWN = 8
"""Test volumes of each data set whose like a generator draws with both codes, spread over the densities."""


def make_fresh(results: Path, commit: str, given: Sequence[Dataset]) -> list[Path]:
    """Write the digests of today's code into manifests that hold at a commit, where both codes give the same numbers.

    All functions of ``PROVED`` are run with both codes on every test volume at hand. A result is made fresh if what it
    reaches differs inside those functions alone. A generator whose code differs is fitted with both codes, or loaded
    from published weights, on every data set at hand that has its row, and draws volumes with both; if all of them are
    the same, its results are made fresh.

    Args:
        results: the results folder.
        commit: whose code made the results.
        given: data sets that are not built in.

    Returns:
        The manifests that changed.

    Raises:
        ValueError: if the project is not a clone with that commit, no data set is at hand, or a number differs.
    """
    runs = {}
    for folder in run_folders(results):
        manifest = read_manifest(folder)
        dataset = dataset_of(manifest["run"], given)
        if dataset is not None:
            runs[dataset.name] = dataset, [name for name in manifest["generators"] if name in GENERATORS]
    if not runs:
        raise ValueError(f"no data set of the runs in {results} is at hand")
    with tempfile.TemporaryDirectory() as made, _tree(commit, Path(made) / "tree") as tree:
        volumes = {name: dataset.test.voxels for name, (dataset, _) in runs.items()}
        write_arrays(Path(made) / "volumes.npz", volumes)
        asked = {"roots": _roots(results), "functions": PROVED, "volumes": str(Path(made) / "volumes.npz")}
        then, now = _facts_of(tree, asked, Path(made) / "asked.json"), facts.facts(asked)
        renamed = replacements(then, now)
        earlier = then.get("generators", {})
        other = {name for name, digest in now["generators"].items() if earlier.get(name, digest) != digest}
        if other:
            asked = _draws(runs, other, Path(made) / "drawn.npz")
            same = _same_draws(_facts_of(tree, asked, Path(made) / "asked.json"), facts.draws(asked))
            renamed |= {earlier[name]: now["generators"][name] for name in same}
    changed = []
    for path in sorted(results.rglob("*.json")):
        text = before = path.read_text(encoding="utf-8")
        for old, new in (renamed | dict(_derived(json.loads(text), renamed))).items():
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


def _draws(runs: dict[str, tuple[Dataset, list[str]]], names: set[str], file: Path) -> dict[str, Any]:
    """Return what ``facts.draws`` is asked: draws of some generators for each run that has a row of theirs.

    Args:
        runs: data set of each, and the generators in its table.
        names: of the generators.
        file: written, with the volumes that they learn from.
    """
    arrays: dict[str, NDArray[Any]] = {}
    draws = {}
    for key, (dataset, rows) in runs.items():
        test = dataset.test.spread(min(DRAWN, len(dataset.test)))
        parts = {"train": dataset.train, "validation": dataset.validation, "test": test}
        for name in sorted(names & set(rows)):
            fit = prepare(name, dataset, places=PUBLISHED)
            weights = fit.at_hand(PUBLISHED)
            if fit.shape is not None or (weights is None and fit.generator.trained_on_request):
                continue  # a network of another size, which is drawn there, or one that nobody has trained
            for part, volumes in parts.items():
                arrays |= {f"{key} {part}": volumes.voxels, f"{key} {part} density": volumes.density}
            draws[f"{name} {key}"] = {
                "name": name,
                "params": fit.generator.params,
                "seed": fit.seed,
                "weights": "" if weights is None else str(weights),
                "learnt": f"{key} {'train' if fit.training is dataset.train else 'validation'}",
                "watched": "" if fit.validation is None else f"{key} validation",
                "test": f"{key} test",
            }
    write_arrays(file, arrays)
    return {"draws": draws, "volumes": str(file)}


def _same_draws(before: dict[str, str], now: dict[str, str]) -> set[str]:
    """Return the generators all of whose draws are the same, from the digest of each."""
    same: set[str] = set()
    other: set[str] = set()
    for key, digest in now.items():
        (same if before.get(key) == digest else other).add(key.partition(" ")[0])
    return same - other


def _derived(value: Any, renamed: dict[str, str], name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the digests in a manifest that are made of other digests, as they are and as they come to be."""
    if isinstance(value, dict):
        inputs = value.get("inputs", {}) if "key" in value else {}
        fit = value["cells"].get("fit", {}).get("inputs", {}) if "digest" in value and "cells" in value else {}
        identity = {"name": name, **{key: digest for key, digest in fit.items() if key != "weights"}}
        for made in (inputs, identity if fit else {}):
            if any(digest in renamed for digest in made.values()):
                yield short_digest(made), short_digest({key: renamed.get(each, each) for key, each in made.items()})
        for key, inside in value.items():
            yield from _derived(inside, renamed, key)
    elif isinstance(value, list):
        for inside in value:
            yield from _derived(inside, renamed)


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
