"""The published method, as published: a global latent, focal loss with edge and cluster penalties."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .generator import LEVELS, VAEGenerator
from .network import GlobalVAE
from .settings import LossSettings, Phase, TrainingSettings


class SeedCVAE(VAEGenerator):
    """The published conditional VAE, 14.9 million parameters, trained as published.

    Focal cross-entropy (α = 0.9, γ = 2), edge penalty 0.1, cluster penalty 0.3, Adam at 1e-5, batch 16, 50 epochs.
    The published runs had β = 0, which makes it an autoencoder; β > 0 anneals in cosine cycles of 20 epochs after
    5 without KL, with free bits of 0.1. All epochs are run, as published. Training takes hours on two cores, so it is
    trained on request.

    Args:
        beta: weight of the KL divergence.
        edge_weight: λ of the edge penalty.
        cluster_weight: λ of the cluster penalty.
        focal_gamma: γ of the focal loss.
        pore_weight: α of the focal loss.
        epochs: passes over the training volumes.
        batch_size: volumes a step.
        learning_rate: constant learning rate.
        latent: length of the latent vector.
        exact_count: True keeps the n(d) most probable voxels; False thresholds the probability at one half.
    """

    name: ClassVar[str] = "cvae-seed"
    any_shape: bool = False
    trained_on_request: ClassVar[bool] = True

    def __init__(
        self,
        *,
        beta: float = 0.0,
        edge_weight: float = 0.1,
        cluster_weight: float = 0.3,
        focal_gamma: float = 2.0,
        pore_weight: float = 0.9,
        epochs: int = 50,
        batch_size: int = 16,
        learning_rate: float = 1e-5,
        latent: int = 256,
        exact_count: bool = True,
    ) -> None:
        self.beta = beta
        self.edge_weight = edge_weight
        self.cluster_weight = cluster_weight
        self.focal_gamma = focal_gamma
        self.pore_weight = pore_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.latent = latent
        self.exact_count = exact_count

    def _build(self) -> nn.Module:
        return GlobalVAE(self.shape_, self.latent)

    def _calibrate(self, density: NDArray[np.float64], rng: np.random.Generator) -> list[float]:  # noqa: ARG002
        return [0.0] * len(LEVELS)  # one half, as published

    def _empty_layers(self, volumes: NDArray[np.bool_]) -> int:  # noqa: ARG002
        return 0  # as published

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
        return [Phase("learn", loss, settings)]
