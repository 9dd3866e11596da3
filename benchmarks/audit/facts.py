"""Facts of a source tree: the digests of some definitions, of what they compute from volumes, and of what is drawn.

Run as a file, with another tree in PYTHONPATH, it tells the facts of that tree; so it imports nothing of this one.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
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
            numbers[f"{function} {key}"] = _digest(definition(*_arguments(definition, voxels)))
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


def _arguments(function: Callable[..., Any], voxels: NDArray[np.bool_]) -> list[Any]:
    """Return volumes as a function takes them: in two halves if it compares ``volumes`` and ``real``."""
    if list(inspect.signature(function).parameters)[:2] != ["volumes", "real"]:
        return [voxels]
    volumes = import_module("porebench.data").Volumes
    return [volumes(half, np.zeros(len(half))) for half in (voxels[::2], voxels[1::2])]


def _digest(result: Any) -> str:
    """Return the SHA-256 of an array, of a sequence of arrays, or of an object's named arrays, to the last bit."""
    if hasattr(result, "arrays"):
        parts = list(result.arrays().items())
    elif is_dataclass(result):
        parts = list(vars(result).items())
    else:
        parts = list(enumerate(result if isinstance(result, list) else [result]))
    found = hashlib.sha256()
    for name, part in parts:
        array = np.asarray(part)
        found.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps((draws if "draws" in told else facts)(told)))
