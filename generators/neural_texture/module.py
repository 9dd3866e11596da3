"""Training of the texture network: the sliced Wasserstein distance of patches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..cvae.texture import blur, relax
from ..lattice_module import OnePassModule, Part

PATCHES = ((3, 1), (5, 1), (5, 2), (5, 4))
"""Kinds of patches: numbers an axis, and the edge of the cubes of voxels whose means they are. The widest spans 20."""
PLACES = 1024
"""Patches of each volume and size that a step sees."""
ALIKE = 8
"""Volumes next to each other in order of porosity whose patches are taken together: what they have in common counts."""
FLATTEST = 0.1
"""Spread of projected patches below which it counts for no more."""


class PatchModule(OnePassModule):
    """Optimises the sliced Wasserstein distance between patches of drawn and of real volumes."""

    def __init__(self, *known: Any, projections: int, smooth: float) -> None:
        super().__init__(*known)
        self.walls.zero_()
        self.smooth = smooth
        self.projections = projections

    def training_step(self, batch: list[Part], _: int) -> Tensor:
        """Return the loss of one batch."""
        real, conditions = self.seen(batch)
        order = conditions[:, 1].argsort()
        real, conditions = real[order], conditions[order]
        logits = self.logits(conditions)
        with torch.autocast(real.device.type, enabled=False):
            drawn = relax(blur(logits, self.smooth), real.flatten(1).sum(dim=1))
            kinds = [(edge, scale) for edge, scale in PATCHES if edge * scale <= min(real.shape[1:])]
            loss = torch.stack([self._distance(drawn, real, edge, scale) for edge, scale in kinds]).sum()
        self.log("loss", loss.detach(), prog_bar=True, batch_size=len(real))
        return loss

    def _distance(self, drawn: Tensor, real: Tensor, edge: int, scale: int) -> Tensor:
        """Return the sliced Wasserstein distance of patches, relative to the spread of those of real volumes.

        Patches of ``ALIKE`` volumes in succession are taken together.

        Args:
            drawn: volumes, [B, D, H, W], in order of porosity.
            real: as many.
            edge: numbers an axis of a patch.
            scale: edge of the cubes that are averaged.
        """
        directions = self.normal(edge**3, self.projections)
        places = torch.rand(3, PLACES, generator=self.noise, device=self.noise.device)
        averaged = F.avg_pool3d(torch.cat([drawn, real])[:, None], scale, stride=1)[:, 0]
        projected = patches(averaged, places, edge, scale) @ (directions / directions.norm(dim=0))
        each = []
        for side, other in zip(*(part.split(ALIKE) for part in projected.split(len(drawn))), strict=True):
            found, sought = (some.flatten(0, 1).sort(dim=0).values for some in (side, other))
            spread = sought.std(dim=0).clamp(min=FLATTEST)
            each.append(((found - sought).abs().mean(dim=0) / spread).mean())
        return torch.stack(each).mean()


def patches(volumes: Tensor, places: Tensor, edge: int, dilation: int) -> Tensor:
    """Return patches of each volume at the same places, [B, places, edge³].

    Args:
        volumes: float [B, D, H, W].
        places: where patches begin, in [0, 1), [3, places].
        edge: numbers an axis of a patch.
        dilation: voxels from one number to the next.
    """
    reach = dilation * torch.arange(edge, device=volumes.device)
    flat = torch.zeros((), dtype=torch.int64, device=volumes.device)
    for axis, size in enumerate(volumes.shape[1:]):
        begin = (places[axis] * (size - dilation * (edge - 1))).long()
        along = begin[:, None] + reach
        view = [len(begin), 1, 1, 1]
        view[axis + 1] = edge
        flat = flat * size + along.view(view)
    chosen = volumes.flatten(1).index_select(1, flat.flatten())
    return chosen.reshape(len(volumes), places.shape[1], edge**3)
