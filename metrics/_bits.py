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
def shared_turned(
    places: NDArray[np.int64], turns: NDArray[np.int32], stored: NDArray[np.uint64], first: int, last: int
) -> NDArray[np.int32]:
    """Return how many pore voxels a volume shares with some stored ones under each symmetry, int32 [symmetries, s].

    Args:
        places: of the pore voxels of the volume.
        turns: place that each voxel has under each symmetry, [symmetries, voxels].
        stored: packed bits, [s, words].
        first: first stored volume to compare with; those before it share nothing.
        last: one past the last.
    """
    shared = np.zeros((len(turns), len(stored)), dtype=np.int32)
    begin, end = np.full(1, first), np.full(1, last)
    packed = np.zeros((1, 8 * stored.shape[1]), dtype=np.uint8)
    for turn in range(len(turns)):
        packed[:] = 0
        for place in places:
            moved = turns[turn, place]
            packed[0, moved >> 3] |= np.uint8(128 >> (moved & 7))
        shared_bits(packed.view(np.uint64), stored, begin, end, shared[turn : turn + 1])
    return shared


@compiled
def around(volumes: NDArray[np.bool_], steps: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return which voxels around each voxel are pore, one bit for each step, uint32 [volumes, voxels].

    Args:
        volumes: flat, bool [volumes, voxels].
        steps: what each of at most 32 steps adds to a place, rising and each with its opposite; a place that they lead
            out of has no bits.
    """
    found = np.zeros(volumes.shape, dtype=np.uint32)
    reach = steps[-1]  # the greatest, as the first is the least
    for index in range(len(volumes)):
        bits = found[index]
        for number in range(len(steps)):
            _mark(volumes[index, reach + steps[number] :], np.uint32(1 << number), bits[reach : len(bits) - reach])
    return found


@compiled
def shared_shifted(
    places: NDArray[np.int64],
    turns: NDArray[np.int32],
    stored: NDArray[np.uint32],
    turn: NDArray[np.int64],
    volume: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the most pore voxels that a turned volume and a stored one share over several shifts, int64 [pairs].

    The shifts are counted side by side, one in each bit of a word: bits of equal weight are added by threes, and 32
    voxels hand one word on to those of greater weight.

    Args:
        places: of the pore voxels of the volume.
        turns: place that each voxel has under each symmetry, [symmetries, voxels].
        stored: what is around each voxel of some volumes, see ``around``, [volumes, voxels].
        turn: which symmetry, for each pair.
        volume: which stored volume.

    References:
        Muła, Kurz and Lemire (2018), doi:10.1093/comjnl/bxx046, for adders of words.
    """
    most = np.zeros(len(turn), dtype=np.int64)
    weights = np.zeros(32, dtype=np.uint32)  # number i: bit i of the count of each shift
    moved, known = np.empty((len(turns), len(places)), dtype=np.int32), np.zeros(len(turns), dtype=np.bool_)
    for pair in range(len(turn)):
        at, other = moved[turn[pair]], stored[volume[pair]]
        if not known[turn[pair]]:
            known[turn[pair]] = True
            for index in range(len(places)):
                at[index] = turns[turn[pair], places[index]]
        weights[:] = 0
        ones = twos = fours = eights = sixteens = np.uint32(0)
        for first in range(0, len(at) - 31, 32):
            a, ones, twos, fours = _added_eight(ones, twos, fours, other, at, first)
            b, ones, twos, fours = _added_eight(ones, twos, fours, other, at, first + 8)
            c, ones, twos, fours = _added_eight(ones, twos, fours, other, at, first + 16)
            d, ones, twos, fours = _added_eight(ones, twos, fours, other, at, first + 24)
            a, eights = _added(eights, a, b)
            b, eights = _added(eights, c, d)
            a, sixteens = _added(sixteens, a, b)
            _carry(weights[5:], a)
        for power, bits in enumerate((ones, twos, fours, eights, sixteens)):
            _carry(weights[power:], bits)
        for index in range(len(at) // 32 * 32, len(at)):
            _carry(weights, other[at[index]])
        for shift in range(32):
            count = power = 0
            while 1 << power <= len(at):
                count += int((weights[power] >> np.uint32(shift)) & np.uint32(1)) << power
                power += 1
            most[pair] = max(most[pair], count)
    return most


@compiled
def _mark(volume: NDArray[np.bool_], bit: np.uint32, words: NDArray[np.uint32]) -> None:
    """Set a bit of each word whose voxel is pore."""
    for place in range(len(words)):
        words[place] |= bit if volume[place] else np.uint32(0)


@compiled
def _added_eight(
    ones: np.uint32,
    twos: np.uint32,
    fours: np.uint32,
    words: NDArray[np.uint32],
    places: NDArray[np.int32],
    first: int,
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    """Return the sum of the words at eight places and of what is left: the bits of weight eight, one, two and four."""
    a, ones = _added(ones, words[places[first]], words[places[first + 1]])
    b, ones = _added(ones, words[places[first + 2]], words[places[first + 3]])
    c, ones = _added(ones, words[places[first + 4]], words[places[first + 5]])
    d, ones = _added(ones, words[places[first + 6]], words[places[first + 7]])
    a, twos = _added(twos, a, b)
    b, twos = _added(twos, c, d)
    a, fours = _added(fours, a, b)
    return a, ones, twos, fours


@compiled
def _added(a: np.uint32, b: np.uint32, c: np.uint32) -> tuple[np.uint32, np.uint32]:
    """Return the sum of three bits at each place of a word: the bit of weight two, and that of weight one."""
    either = a ^ b
    return np.uint32((a & b) | (either & c)), np.uint32(either ^ c)


@compiled
def _carry(weights: NDArray[np.uint32], bits: np.uint32) -> None:
    """Add bits to the counts at each place, whose number i holds the bits of weight 2ⁱ."""
    power = 0
    while bits:
        left = weights[power] & bits
        weights[power] ^= bits
        bits = np.uint32(left)
        power += 1
