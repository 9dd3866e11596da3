"""From voxel-wise scores to pore voxels: keep the n highest of each volume."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


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
        values = flat.float().numpy()
        mask = kept.numpy()
        for row, count in enumerate(counts):
            if count == voxels:
                mask[row] = True
            elif count > 0:
                threshold = np.partition(values[row], voxels - count)[voxels - count]
                np.greater_equal(values[row], threshold, out=mask[row])
                surplus = np.count_nonzero(mask[row]) - count
                if surplus:
                    mask[row, np.flatnonzero(values[row] == threshold)[-surplus:]] = False
    else:
        rank = torch.arange(voxels, device=flat.device)
        wanted = torch.as_tensor(counts, device=flat.device)[:, None]
        order = torch.sort(flat, dim=1, descending=True, stable=True).indices
        kept.scatter_(1, order, rank < wanted)
    return kept.reshape(scores.shape)
