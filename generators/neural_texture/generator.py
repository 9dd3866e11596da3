"""The texture network as a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ..base import Shape, Streams
from ..cvae.texture import blur
from ..lattice_generator import OnePass

if TYPE_CHECKING:
    from ..lattice_module import LatticeModule

SMOOTH = 1.5
"""Standard deviation, in voxels, of the Gaussian that smooths what the network gives: else it repeats cell by cell."""


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralTexture(OnePass):
    """Texture network, of a quarter of a megabyte: its draws have the patches of real volumes of the same porosity.

    Each step projects patches of four sizes, of drawn and of real volumes alike in porosity, on random directions, and
    compares the numbers in ascending order: the sliced Wasserstein distance. There is no critic that could get out of
    balance. What patches of 20 voxels do not show is left to chance, and what the network gives is smoothed, so pores
    of a voxel or two come out too wide.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        projections: random directions for each size of patch and step.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW.

    References:
        Ulyanov et al. (2016), Texture networks: feed-forward synthesis of textures and stylized images,
        arXiv:1603.03417; Heitz et al. (2021), A sliced Wasserstein loss for neural texture synthesis,
        arXiv:2006.07229; Elnekave & Weiss (2022), Generating natural images with direct patch distributions matching,
        arXiv:2203.11862.
    """

    name: ClassVar[str] = "neural-texture"
    trained_on_request: ClassVar[bool] = True
    sees_walls: ClassVar[bool] = False  # else it draws one pattern that follows the walls

    width: int = 24
    blocks: int = 3
    projections: int = 32
    epochs: int = 400
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        logits = super()._logits(conditions, shape, streams)
        with torch.inference_mode(mode=False):  # what it keeps for the next call may be a training's
            return blur(logits, SMOOTH)

    def _module(self, *known: Any) -> LatticeModule:
        from .module import PatchModule  # noqa: PLC0415 - Lightning takes long to import

        return PatchModule(*known, projections=self.projections, smooth=SMOOTH)
