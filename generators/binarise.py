"""From voxel-wise scores to pore voxels: keep the n highest of each volume."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def keep_highest(scores: torch.Tensor, counts: NDArray[np.int64], out: torch.Tensor | None = None) -> torch.Tensor:
    """Return binary volumes whose pore voxels are those of the highest scores, exactly as many as asked for.

    Args:
        scores: floating point [n, depth, height, width], any device.
        counts: int64 [n], pore voxels of each volume, from 0 to all.
        out: contiguous tensor for the result; None makes a new one.

    Returns:
        bool [n, depth, height, width] on the same device. Equal scores at the threshold are taken in voxel order.
    """
    kept = torch.empty(scores.shape, dtype=torch.bool, device=scores.device) if out is None else out
    flat = scores.reshape(len(scores), -1).float()
    if flat.device.type == "cpu":
        room = np.empty(flat.shape[1], dtype=np.int32)
        masks = kept.view(flat.shape).numpy()
        for values, count, mask in zip(flat.numpy(), counts.tolist(), masks, strict=True):
            _keep(values, count, mask, room)
        return kept
    return kept.copy_(_bisect(flat, torch.as_tensor(counts, device=flat.device)[:, None]).view(kept.shape))


def _keep(values: NDArray[np.float32], count: int, mask: NDArray[np.bool_], room: NDArray[np.int32]) -> None:
    """Mark the count highest of values [k] in a mask [k]; the room [k] is overwritten."""
    if count == 0:
        mask.fill(False)
        return
    # The bits of floating-point numbers, read as integers, are sorted in half the time. Positive numbers rise with
    # their bits and lie above the negative ones, which fall as theirs rise.
    room[:] = values.view(np.int32)
    room.partition(len(room) - count)
    bits = room[len(room) - count]
    if bits < 0:
        magnitude = room.view(np.uint32)
        magnitude.partition(count - 1)
        bits = magnitude[count - 1]
    threshold = bits.view(np.float32)
    np.greater_equal(values, threshold, out=mask)
    surplus = np.count_nonzero(mask) - count
    if surplus:
        mask[np.flatnonzero(values == threshold)[-surplus:]] = False


def _bisect(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return masks bool [n, k] of the counts [n, 1] highest of values [n, k], without waiting for the device.

    The thresholds are found bit by bit, among integers in the order of the floating-point numbers.
    """
    bits = (values + 0.0).view(torch.int32)  # the two zeros are equal
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    low = torch.full_like(counts, -(2**31))
    high = torch.full_like(counts, 2**31 - 1)
    for _ in range(32):  # the highest threshold that enough values reach
        middle = (low + high + 1) >> 1
        enough = (ordered >= middle).sum(dim=1, keepdim=True) >= counts
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle - 1)
    above, equal = ordered > low, ordered == low
    return above | (equal & (equal.cumsum(dim=1) <= counts - above.sum(dim=1, keepdim=True)))
