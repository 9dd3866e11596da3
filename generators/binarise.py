"""From voxel-wise scores to pore voxels: keep the n highest of each volume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from .threads import share


def keep_highest(scores: torch.Tensor, counts: NDArray[np.int64]) -> torch.Tensor:
    """Binary volumes with exactly the asked number of pore voxels, those of the highest score.

    Args:
        scores: floating point [n, depth, height, width], any device.
        counts: int64 [n], number of pore voxels of each volume, from 0 to all.

    Returns:
        bool [n, depth, height, width] on the same device. Equal scores at the threshold are taken in voxel order.
    """
    flat = scores.reshape(len(scores), -1)
    voxels = flat.shape[1]
    kept = torch.zeros_like(flat, dtype=torch.bool)
    if flat.device.type == "cpu":
        values, mask = flat.float().numpy(), kept.numpy()

        def keep(rows: Iterator[int]) -> None:
            room = np.empty(voxels, dtype=np.int32)
            for row in rows:
                _keep(values[row], int(counts[row]), mask[row], room)

        share(keep, range(len(values)))
    else:
        rank = torch.arange(voxels, device=flat.device)
        wanted = torch.as_tensor(counts, device=flat.device)[:, None]
        order = torch.sort(flat, dim=1, descending=True, stable=True).indices
        kept.scatter_(1, order, rank < wanted)
    return kept.reshape(scores.shape)


def _keep(values: NDArray[np.float32], count: int, mask: NDArray[np.bool_], room: NDArray[np.int32]) -> None:
    """Mark the count highest of values [k] in a mask [k] that is all False; the room [k] is overwritten."""
    if count == 0:
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
