"""The published conditional VAE: a global latent, focal loss with edge and cluster penalties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..base import Floats
from .generator import LEVELS, VAEGenerator
from .network import GlobalVAE
from .settings import LossSettings, Phase, TrainingSettings


@dataclass(kw_only=True, eq=False, repr=False)
class SeedCVAE(VAEGenerator):
    """The published conditional VAE, 14.9 million parameters, trained as published.

    Focal cross-entropy (α = 0.9, γ = 2), edge penalty 0.1, cluster penalty 0.3, Adam at 1e-5, batch 16, 50 epochs.
    The published runs had β = 0, which makes an autoencoder; β > 0 anneals in cosine cycles of 20 epochs after 5
    without KL, with free bits of 0.1. All epochs are run. Training takes hours on two cores.

    Args:
        beta: of ``LossSettings``, as are the next four.
        epochs: passes over the training volumes; 0 leaves the weights as they are at random.
        batch_size: volumes a step.
        learning_rate: constant learning rate.
        latent: length of the latent vector.
        exact_count: True keeps the n(d) most probable voxels; False thresholds the probability at one half.
    """

    name: ClassVar[str] = "cvae-seed"
    any_shape = False
    trained_on_request: ClassVar[bool] = True
    walls_stay_empty: ClassVar[bool] = False  # as published

    beta: float = 0.0
    edge_weight: float = 0.1
    cluster_weight: float = 0.3
    focal_gamma: float = 2.0
    pore_weight: float = 0.9
    epochs: int = 50
    batch_size: int = 16
    learning_rate: float = 1e-5
    latent: int = 256
    exact_count: bool = True

    def _build(self) -> GlobalVAE:
        return GlobalVAE(self.shape_, self.latent)

    def _calibrate(self, density: Floats, rng: np.random.Generator) -> list[float]:  # noqa: ARG002
        return [0.0] * len(LEVELS)  # one half, as published

    def _phases(self) -> list[Phase]:
        loss = LossSettings(
            focal_gamma=self.focal_gamma,
            pore_weight=self.pore_weight,
            edge_weight=self.edge_weight,
            cluster_weight=self.cluster_weight,
            beta=self.beta,
            free_bits=0.1,
            quiet_epochs=5,
            ramp_epochs=10,
            cyclic=True,
        )
        settings = TrainingSettings(
            self.epochs, self.batch_size, self.learning_rate, one_cycle=False, symmetries=False, early_stop=False
        )
        return [Phase("learn", loss, settings)] if self.epochs else []
