"""Checks of a saved generator: the file may come from anywhere, so nothing may be built on what it states."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_ARRAYS = 10_000
"""Arrays that a saved generator holds at most, so that objects built for them stay in proportion to the file."""
MAX_VOXELS = 2**32
"""Voxels of a training volume at most, because images of more bytes are not read."""


def parse_header(text: str, n_arrays: int) -> dict[str, Any]:
    """Return the JSON header of a saved generator that holds ``n_arrays`` arrays.

    Raises:
        ValueError: if there are too many arrays, or the header is no JSON or holds NaN or infinite values.
    """
    if n_arrays > MAX_ARRAYS:
        raise ValueError(f"it holds {n_arrays} arrays, more than the {MAX_ARRAYS} that are allowed")

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(f"it states the value {number}")
        return value

    return dict(json.loads(text, parse_constant=finite, parse_float=finite))


def check_sizes(shape: Iterable[Any]) -> tuple[int, int, int]:
    """Return depth, height and width as Python integers.

    Raises:
        ValueError: if they are not three positive whole numbers.
    """
    sizes = tuple(shape)
    if len(sizes) != 3 or not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise ValueError(f"shape must be three positive whole numbers (depth, height, width), got {shape}")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def check_stored_shape(shape: Iterable[Any]) -> tuple[int, int, int]:
    """Return the shape of the training volumes that a file states.

    Raises:
        ValueError: if no volume that can be read has such a shape.
    """
    sizes = check_sizes(shape)
    if math.prod(sizes) > MAX_VOXELS:
        raise ValueError(f"its volumes of {sizes} voxels are larger than any that can be read")
    return sizes


def check_params(kind: type, params: Mapping[str, Any]) -> None:
    """Refuse hyper-parameters of another type than their defaults; the constructor refuses unknown ones.

    Raises:
        TypeError: naming the first.
    """
    for name, parameter in inspect.signature(kind).parameters.items():
        default, value = parameter.default, params.get(name, parameter.default)
        alike = (int, float) if type(default) is float else (type(default),)
        if isinstance(default, bool | int | float | str) and type(value) not in alike:
            raise TypeError(f"{name} must be a {type(default).__name__}, it states {value!r}")


def check_axes(axes: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], shape: tuple[int, int, int]) -> None:
    """Refuse arrays whose lengths do not fit together.

    Args:
        axes: the words for each array's axes, such as ``"n voxels"``. A word stands for one length throughout, at least
            1, or 0 if it ends in "?"; ``voxels`` and ``bytes`` are those of a volume, a number is itself.
        arrays: by name.
        shape: depth, height and width of a volume.

    Raises:
        ValueError: naming the first array that does not fit.
    """
    voxels = math.prod(shape)
    known = {"voxels": voxels, "bytes": -(-voxels // 8)}
    if arrays.keys() != axes.keys():
        raise ValueError(f"expected the arrays {', '.join(axes) or 'none'}, it holds {', '.join(arrays) or 'none'}")
    for name, text in axes.items():
        words, lengths = text.split(), arrays[name].shape
        fits = len(words) == len(lengths)
        for word, length in zip(words, lengths, strict=False):
            expected = int(word) if word.isdigit() else known.setdefault(word, length)
            fits &= length == expected and (length > 0 or word.endswith("?"))
        if not fits:
            raise ValueError(f"its array {name} has shape {lengths}, which does not fit the others or {shape} voxels")


def check_finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse floating-point arrays that hold numbers that are not finite.

    Raises:
        ValueError: naming the first.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise ValueError(f"its array {name} holds NaN or infinite values")
