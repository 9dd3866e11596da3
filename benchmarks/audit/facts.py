"""Facts of a source tree: the digests of some definitions, of what they compute from volumes, and of what is drawn.

Run as a file, with another tree in PYTHONPATH, it tells the facts of that tree; so it imports nothing of this one.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGER = 3
"""Edges of the test volumes in an edge of the larger draw."""


def facts(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what digests and functions of the importable tree are.

    Args:
        asked: "roots", lists of definitions as ``package.module:name``; "functions" from volumes to arrays, or
            collections of names, alike; and "volumes", a file of named bool arrays [n, depth, height, width].

    Returns:
        "code", digest of each list of roots that there is; "definitions", behind each list: digest and name of a
        definition, and names of those that it mentions; "inside", the same behind the functions; "numbers", digest of
        what each function returns for each array; and "generators", digest of the code of each.
    """
    digests = import_module("porebench.benchmarks.store.digests")

    def behind(roots: Sequence[str]) -> list[list[str]]:
        return sorted(
            [digest, _name(module, own), *sorted({_name(*place) for place in module.named_in(own)})]
            for module, own in digests.reached(*roots)
            for digest in module.digests(own)
        )

    code, definitions = {}, {}
    for roots in asked["roots"]:
        try:
            code[" ".join(roots)] = digests.code_digest(*roots)
            definitions[" ".join(roots)] = behind(roots)
        except (LookupError, OSError):
            continue  # not in this tree
    numbers = {}
    with np.load(asked["volumes"], allow_pickle=False) as file:
        volumes = dict(file)
    for function in asked["functions"]:
        module, _, name = function.partition(":")
        definition = getattr(import_module(f"porebench.{module}"), name)
        if not callable(definition):
            numbers[function] = _digest(np.array(list(definition)))
            continue
        for key, voxels in volumes.items():
            numbers[f"{function} {key}"] = _digest(_called(definition, voxels))
    generators = import_module("porebench.generators")
    known = {name: digests.code_digest(generators.get(name)) for name in generators.GENERATORS}
    return {
        "code": code,
        "definitions": definitions,
        "inside": behind(asked["functions"]),
        "numbers": numbers,
        "generators": known,
    }


def draws(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of what each of some generators of the importable tree draws.

    Args:
        asked: "draws", how to make each: "name", "params" and "seed" of a fit on the volumes "learnt" and "watched", or
            "weights" to load, and volumes "test" to draw the like of; and "volumes", a file of named arrays, a set of
            volumes and their densities apart.
    """
    get = import_module("porebench.generators").get
    with np.load(asked["volumes"], allow_pickle=False) as file:
        held = dict(file)

    def volumes(name: str) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        return held[name], held[f"{name} density"]

    found = {}
    for key, how in asked["draws"].items():
        if how["weights"]:
            generator = get(how["name"]).load(how["weights"])
        else:
            watched = volumes(how["watched"]) if how["watched"] else None
            generator = get(how["name"])(**how["params"])
            generator.fit(*volumes(how["learnt"]), rng=how["seed"], validation=watched)
        found[key] = _digest(_drawn(generator, *volumes(how["test"])))
    return found


def _drawn(generator: Any, test: NDArray[np.bool_], density: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
    """Return draws of some densities, with free counts and larger ones too where there are any, and renderings."""
    found = [generator.sample(density, rng=0)]
    if "exact_count" in generator.params:
        found.append(generator.altered(exact_count=not generator.exact_count).sample(density, rng=0))
    if generator.any_shape:
        larger = tuple(LARGER * edge for edge in test.shape[1:])
        found.append(generator.sample(density[-1:], shape=larger, rng=0))
    if generator.reconstructs:
        found.append(generator.reconstruct(test, density))
    return found


def _name(module: Any, name: str) -> str:
    """Return a definition as ``module:name``."""
    return f"{module.path.stem}:{name}"


def _called(function: Callable[..., Any], voxels: NDArray[np.bool_]) -> Any:
    """Return what a function makes of volumes; one that compares two sets of them gets every other volume as a set.

    A score is taken for densities of either kind and by every suite, so that all its code has been shown.
    """
    takes = list(inspect.signature(function).parameters)
    if takes[:2] == ["volumes", "real"]:
        volumes = import_module("porebench.data").Volumes
        return function(*(volumes(half, np.zeros(len(half))) for half in (voxels[::2], voxels[1::2])))
    if takes[:3] == ["generated", "test", "train"]:
        described = import_module("porebench.metrics.descriptors").describe(voxels)
        order = np.argsort(described.pore_voxels, kind="stable")[: len(voxels) // 2 * 2]
        density = np.linspace(0, 1, len(order))
        sets = described[order[::2]], described[order[1::2]], described[order]
        known = {"generated_density": density[::2], "test_density": density[::2], "train_density": density}
        ways = product(("factor", "porosity"), import_module("porebench.metrics.suites").SUITES)
        return [function(*sets, **known, kind=kind, suite=suite, n_bootstrap=50) for kind, suite in ways]
    return function(voxels)


def _digest(result: Any) -> str:
    """Return the SHA-256 of numbers and arrays, and of collections and objects that hold such, to the last bit."""
    found = hashlib.sha256()
    for name, part in _parts(result):
        array = np.asarray(part)
        held = repr(part).encode() if array.dtype == object else array.tobytes()
        found.update(f"{name} {array.dtype.str} {array.shape}".encode() + held)
    return found.hexdigest()


def _parts(result: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a result holds, each with the names that lead to it."""
    if hasattr(result, "arrays"):
        inside = result.arrays().items()
    elif is_dataclass(result):
        inside = vars(result).items()
    elif isinstance(result, Mapping):
        inside = result.items()
    elif isinstance(result, list):
        inside = enumerate(result)
    else:
        yield name, result
        return
    for key, part in inside:
        yield from _parts(part, f"{name}/{key}")


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps((draws if "draws" in told else facts)(told)))
