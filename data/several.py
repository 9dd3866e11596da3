"""Channels, frames, phases and volumes of which an array holds several, and the choice of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._decode import PICKED, axes_of, one_of_unnamed, squeezed

Pick = Mapping[Literal["channel", "frame", "phase", "volume"], int]
"""Number, from 0 on, of what is read of several channels, frames, phases of a one-hot array, or volumes."""
PICKS = (*PICKED, "volume")
"""What a number can be given to."""


def checked_pick(pick: Pick | None) -> dict[str, int]:
    """Return what is to be picked.

    Raises:
        ValueError: if it is none of `Pick`.
    """
    wanted: dict[str, int] = {}
    for name, index in (pick or {}).items():
        if name not in PICKS or not isinstance(index, int) or index < 0:
            raise ValueError(f"pick must give a number from 0 on to one of {', '.join(PICKS)}, got {name}={index}")
        wanted[name] = index
    return wanted


def in_words(pick: Pick | None) -> str:
    """Return what is picked, such as ``channel 1, frame 0``; "" for nothing."""
    return ", ".join(f"{name} {index}" for name, index in (pick or {}).items())


def one_of(array: NDArray[np.generic], pick: Mapping[str, int], name: str) -> NDArray[np.generic]:
    """Return what is picked of an array whose axes have no names.

    Raises:
        ValueError: if there is nothing of the kind, or no such number of it; begins with the file's name.
    """
    try:
        return one_of_unnamed(array, pick)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def volumes_of(array: NDArray[np.generic], name: str) -> NDArray[np.generic]:
    """Return an array as volumes [n, depth, height, width] without other axes of length one.

    Raises:
        ValueError: if it is something else; says what it looks like.
    """
    if array.ndim == 4 and array.shape[0] == 1 and 0 not in array.shape:
        return array
    array = squeezed(array)
    if array.ndim == 3 and 0 not in array.shape:
        return array[None]
    axes = axes_of(array)
    if axes == "NZYX":
        return array
    got = f"expected a three-dimensional image, got shape {array.shape}"
    if axes == "PZYX":
        one = f"say which of {len(array)} phases is pore with --pick phase=NUMBER"
        raise ValueError(f"{name}: {got}, which looks one-hot: {one}")
    if "C" in axes:
        count = array.shape[axes.index("C")]
        raise ValueError(f"{name}: {got}, which looks like {count} channels a voxel: pick one with --pick channel=0")
    raise ValueError(f"{name}: {got}; save one number a voxel along depth, height and width")
