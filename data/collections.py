"""Sets of volumes that were drawn elsewhere: one file that holds them all, or a folder of one file a volume."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import images
from ._decode import natural
from .archives import is_zarr
from .packed import load_samples, read_arrays
from .phase import Pore, Threshold, pore_phase
from .several import Pick, in_words

NOT_VOLUMES = {".csv", ".txt", ".md", ".json", ".yml", ".yaml", ".png", ".jpg", ".pdf", ".log", ""}
"""Endings of files that may lie beside volumes and are passed over."""
PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib"}
"""Endings of files that run code when they are loaded."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Volumes of one shape, and which of their values was taken for pore.

    Attributes:
        voxels: bool [n, depth, height, width], True = pore.
        names: of the files, or the places in the one file, [n].
        phase: one line on what was taken for pore.
    """

    voxels: NDArray[np.bool_]
    names: list[str]
    phase: str


def read_collection(
    path: str | Path,
    *,
    pore: Pore = None,
    threshold: Threshold = None,
    key: str | None = None,
    pick: Pick | None = None,
) -> Collection:
    """Return the volumes of a file or a folder, which need not be written by this suite.

    A file is ``.npz`` or ``.npy`` with an array [n, depth, height, width] (a channel of length one may stand anywhere).
    A folder holds one volume a file, in natural order of their names, or one such file; or it is a Zarr store. In
    booleans True is pore, of numbers 0 and 1 it is 1, as a task states; in all else `phase.pore_phase` decides, as in
    an image.

    Args:
        path: the file or folder.
        pore: value or values of pores, where others are meant.
        threshold: value that pores lie at or below, or "otsu", for volumes of grey values.
        key: name of the array in files of several.
        pick: which of several channels, frames or one-hot phases; see ``images.Reading``.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if it holds no volumes of one shape and two phases; says what to do.
    """
    path = Path(path)
    if "volume" in (pick or {}):
        raise ValueError("all volumes of a set are scored: leave volume out of what is picked")
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}: give what holds the volumes that were drawn")
    files = _files(path) if path.is_dir() and not is_zarr(path) else [path]
    if len(files) == 1:
        stack = _several(_array(files[0], key, pick), files[0].name)
        names = [f"{place:04d}" for place in range(len(stack))] if len(stack) > 1 else [files[0].stem]
        return _decided(stack, path.name, pore, threshold, names, in_words(pick))
    arrays: list[NDArray[Any]] = []
    for file in files:
        stack = _several(_array(file, key, pick), file.name)
        if len(stack) != 1:
            raise ValueError(f"{file.name} holds {len(stack)} volumes: give one file of all, or one file a volume")
        if arrays and stack.shape != arrays[0].shape:
            shapes = " and ".join(" × ".join(map(str, it.shape[1:])) for it in (arrays[0], stack))
            raise ValueError(f"{path.name} holds volumes of {shapes} ({files[0].name}, {file.name}): give one shape")
        arrays.append(stack)
    names = [file.stem for file in files]
    return _decided(np.concatenate(arrays), path.name, pore, threshold, names, in_words(pick))


def numbers_in(names: Sequence[str]) -> list[int]:
    """Return the first whole number in each name: the row of the conditions that a volume answers.

    Raises:
        ValueError: if a name holds none, or two names hold the same.

    Example:
        >>> numbers_in(["sample_0007_0.53", "sample_0011_0.20"])
        [7, 11]
    """
    found = [re.search(r"\d+", name) for name in names]
    without = [name for name, number in zip(names, found, strict=True) if number is None]
    if without:
        raise ValueError(f"{without[0]!r} has no number in its name: name each file after its row, as 0007.npy")
    numbers = [int(number[0]) for number in found if number is not None]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise ValueError(f"several files are called {twice[0]}: name each after its row of the conditions, from 0 on")
    return numbers


def _files(folder: Path) -> list[Path]:
    """Return the files of volumes in a folder, in natural order."""
    inside = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]
    files = [file for file in inside if file.suffix.lower() not in NOT_VOLUMES]
    if not files:
        raise ValueError(f"{folder} holds no volumes: expected files that end in {', '.join(images.SUFFIXES)}")
    return sorted(files, key=lambda file: natural(file.name.lower()))


def _array(path: Path, key: str | None, pick: Pick | None) -> NDArray[Any]:
    """Return the array of volumes in a file, as it is stored."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise ValueError(f"{path.name} may run code when it is loaded, so it is not: save the array with numpy.save")
    if suffix == ".npz" and key is None and not pick:
        arrays = read_arrays(path)
        if "packed" in arrays:
            return load_samples(path).voxels
        large = {name: values for name, values in arrays.items() if values.ndim >= 3}
        if len(large) != 1:
            held = ", ".join(f"{name} {values.shape}" for name, values in arrays.items()) or "nothing"
            wanted = "expected one array of volumes [n, depth, height, width]"
            raise ValueError(f"{path.name}: {wanted}, it holds {held}: choose one with --key NAME")
        return next(iter(large.values()))
    return images.read_image(path, key=key, pick=pick)


def _several(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return volumes [n, depth, height, width] of an array of one or several, with or without a channel."""
    if array.ndim > 4:
        single = [axis for axis in range(1, array.ndim) if array.shape[axis] == 1]
        array = array.squeeze(tuple(single[: array.ndim - 4]))
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or 0 in array.shape:
        raise ValueError(f"{name}: expected volumes [n, depth, height, width], got shape {array.shape}")
    return array


def _decided(
    stack: NDArray[Any], name: str, pore: Pore, threshold: Threshold, names: list[str], picked: str
) -> Collection:
    """Return volumes with their pores as `pore_phase` decides, where 0 and 1 stand for False and True."""
    if stack.dtype.kind == "f" and np.any(np.isnan(stack)):
        raise ValueError(f"{name}: holds NaN, and a draw is pore or solid everywhere: write 1 or 0")
    if threshold is None and not np.any((stack != 0) & (stack != 1)):
        stack = stack.astype(np.bool_)
    voxels, phase = pore_phase(stack, name, pore=pore, threshold=threshold, stated=True)
    if stack.dtype == np.bool_ and pore is None:
        phase = replace(phase, reason="of 0, 1; 1 is pore in a task")
    return Collection(voxels, names, str(replace(phase, picked=picked)))
