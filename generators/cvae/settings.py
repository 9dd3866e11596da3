"""Settings of a training: its phases, each with a loss, a length and a pace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LossSettings:
    """Weights of the terms of the loss; 0 switches a term off.

    Attributes:
        focal_gamma: γ of the focal loss; 0 is plain cross-entropy.
        pore_weight: α in (0, 1), weight of pore voxels against 1 − α of solid ones; None weighs both 1.
        sparse_weight: s ≥ 0; a volume with porosity φ counts in proportion to φ^(-s), mean 1 over the batch.
        edge_weight: λ of the edge penalty.
        cluster_weight: λ of the cluster penalty.
        beta: β of the KL divergence once annealing is over.
        free_bits: KL of a latent channel below which it costs nothing, in nats.
        quiet_epochs: epochs without KL at the start.
        ramp_epochs: epochs over which β then rises along a cosine from 0; 0 goes straight to β.
        cyclic: True starts again at 0 after holding β as long as it rose.
        energy_weight: λ of the energy score of prior samples (``texture``), relative to the cross-entropy: at 1 the
            gradient by a sample's logits is as long as that of a trained network's cross-entropy.
    """

    focal_gamma: float = 0.0
    pore_weight: float | None = None
    sparse_weight: float = 0.0
    edge_weight: float = 0.0
    cluster_weight: float = 0.0
    beta: float = 1.0
    free_bits: float = 0.0
    quiet_epochs: int = 0
    ramp_epochs: int = 0
    cyclic: bool = False
    energy_weight: float = 0.0


@dataclass(frozen=True)
class TrainingSettings:
    """Length and pace of a phase.

    Attributes:
        epochs: passes over the training volumes, of at most ``EPOCH_VOLUMES`` each.
        batch_size: volumes a step.
        learning_rate: peak of the one-cycle schedule, or constant where ``one_cycle`` is False.
        one_cycle: warm up, then anneal to zero (Smith & Topin 2019).
        weight_decay: of AdamW.
        average: decay of the moving average of the weights that is kept; 0 keeps the last weights.
        symmetries: augment with the symmetries of the box.
        early_stop: end once the loss on validation volumes, where there are any, gets no better.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    one_cycle: bool = True
    weight_decay: float = 0.0
    average: float = 0.0
    symmetries: bool = True
    early_stop: bool = True


@dataclass(frozen=True)
class Phase:
    """One learning-rate cycle under one loss."""

    name: str
    loss: LossSettings
    settings: TrainingSettings
