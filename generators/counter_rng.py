"""Counter-based random numbers: functions of a key, a row and a place, the same in any batch and on any device.

Each row is a stretch of one SplitMix64 stream, so all rows are made at once, without a loop.

References:
    G. L. Steele, D. Lea, C. H. Flood (2014). Fast splittable pseudorandom number generators. OOPSLA '14, 453-472.
    doi:10.1145/2660193.2660195
    G. E. P. Box, M. E. Muller (1958). A note on the generation of random normal deviates. Ann. Math. Statist. 29,
    610-611. doi:10.1214/aoms/1177706645
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def _signed(number: int) -> int:
    """Return the last 64 bits of an integer as a signed number."""
    return (number + 2**63) % 2**64 - 2**63


_STEP = _signed(0x9E3779B97F4A7C15)
_ROW = _signed(0x9E3779B97F4A7C15 << 36)
"""Difference between the states of neighbouring rows, which lie 2^36 words apart."""
_MIX = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))

STEPS_SCALE = math.sqrt(sum(step**2 for step in range(8, 128, 16)) / 8)
"""Standard deviation of ``steps``."""


def steps(key: int, rows: Sequence[int], number: int, device: str) -> torch.Tensor:
    """Return uniform draws of the sixteen numbers -120, -104, ..., 120: float32 [rows, number].

    Sums of many are as normal as those of normal numbers, and each takes four random bits only.

    Args:
        key: seed, from 0 to 2^62.
        rows: numbers of the rows.
        number: draws in a row.
        device: of torch.
    """
    half = -(-number // 2)
    pairs = _words(key, rows, -(-half // 8), device).view(torch.int8)[:, :half]
    drawn = torch.empty((len(rows), 2 * half), device=device)
    drawn[:, :half] = (pairs & -16) | 8
    drawn[:, half:] = (pairs << 4) | 8
    return drawn[:, :number]


def normal(key: int, rows: Sequence[int], number: int, device: str) -> torch.Tensor:
    """Return standard normal numbers by the Box-Muller transform; arguments and shape as for ``steps``."""
    half = -(-number // 2)
    bits = _words(key, rows, half, device).view(torch.int32).bitwise_right_shift_(8).float()  # from -2^23 to 2^23 - 1
    radius = bits[:, :half].add(2**23 + 1).mul_(2**-24).log_().mul_(-2).sqrt_()
    angle = bits[:, half:].mul(math.pi * 2**-23)
    return torch.cat([radius * angle.cos(), radius * angle.sin_()], dim=1)[:, :number]


def _words(key: int, rows: Sequence[int], number: int, device: str) -> torch.Tensor:
    """Return random words of 64 bits, int64 [rows, number]."""
    start = torch.tensor(rows, device=device).mul_(_ROW).add_(_signed(key + _STEP))
    words = torch.arange(number, device=device).mul_(_STEP) + start[:, None]
    for shift, factor in _MIX:
        words.bitwise_xor_(_shifted(words, shift)).mul_(factor)
    return words.bitwise_xor_(_shifted(words, 31))


def _shifted(words: torch.Tensor, shift: int) -> torch.Tensor:
    """Return words shifted right without their sign."""
    return (words >> shift).bitwise_and_(2 ** (64 - shift) - 1)
