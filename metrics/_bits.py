"""Voxels that volumes have in common, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled


@compiled
def shared_bits(
    query: NDArray[np.uint64],
    stored: NDArray[np.uint64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    shared: NDArray[np.int32],
) -> None:
    """Raise ``shared`` to the number of bits that a query and a stored row have in common, if that is more.

    Args:
        query: packed bits, [q, words].
        stored: packed bits, [s, words].
        first: first stored row to look at for each query, [q].
        last: one past the last, [q].
        shared: int32 [q, s]; changed in place.
    """
    one, two, four = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
    ones = np.uint64(0x0101010101010101)
    for i in range(query.shape[0]):
        for j in range(first[i], last[i]):
            count = np.uint64(0)
            for word in range(query.shape[1]):
                bits = query[i, word] & stored[j, word]
                bits = bits - ((bits >> np.uint64(1)) & one)
                bits = (bits & two) + ((bits >> np.uint64(2)) & two)
                bits = (bits + (bits >> np.uint64(4))) & four
                count += (bits * ones) >> np.uint64(56)
            shared[i, j] = max(shared[i, j], np.int32(count))


@compiled
def shared_shifted(
    pores: NDArray[np.int64],
    stored: NDArray[np.bool_],
    turn: NDArray[np.int64],
    volume: NDArray[np.int64],
    steps: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the most pore voxels that a turned volume and a stored one share over several shifts, int64 [pairs].

    Args:
        pores: places of the pore voxels of a volume, turned in several ways, [turns, pores].
        stored: volumes, flat and with a margin that no shift leaves, bool [volumes, voxels].
        turn: which turn, for each pair.
        volume: which stored volume.
        steps: what each shift adds to a place.
    """
    most = np.zeros(len(turn), dtype=np.int64)
    for pair in range(len(turn)):
        places, other = pores[turn[pair]], stored[volume[pair]]
        for step in steps:
            count = 0
            for place in places:
                if other[place + step]:
                    count += 1
            most[pair] = max(most[pair], count)
    return most
