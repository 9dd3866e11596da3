"""Facts of a source tree: the digests of some definitions, and of what they compute from volumes.

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


def facts(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what digests and functions of the importable tree are.

    Args:
        asked: "roots", lists of definitions as ``package.module:name``; "functions" from volumes to arrays, or
            collections of names, alike; and "volumes", a file of named bool arrays [n, depth, height, width].

    Returns:
        "code", digest of each list of roots that there is; "definitions", behind each list: digest and name of a
        definition, and names of those that it mentions; "inside", the same behind the functions; "numbers", digest of
        what each function returns for each array.
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
    return {"code": code, "definitions": definitions, "inside": behind(asked["functions"]), "numbers": numbers}


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
    sys.stdout.write(json.dumps(facts(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
