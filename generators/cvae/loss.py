"""Terms of the loss, each a mean over voxels.

    L = mean of w · (reconstruction + β(epoch) · KL) + edge_weight · edge + cluster_weight · cluster
        + energy_weight · energy score of prior samples (``texture``)

With cross-entropy, no penalties, equal weights w of the volumes and β = 1 it is the negative evidence lower bound of
Kingma & Welling (2014), a voxel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..lattice import porosity_weight
from .settings import LossSettings


def cross_entropy(logits: Tensor, target: Tensor, gamma: float = 0.0, pore_weight: float | None = None) -> Tensor:
    """Return the focal binary cross-entropy of each volume, mean over its voxels: [B].

    −α_t (1 − p_t)^γ ln p_t, with p_t the probability given to the true phase and α_t = α for pore, 1 − α for solid.

    References:
        Lin, Goyal, Girshick, He & Dollár (2017), Focal loss for dense object detection, doi:10.1109/ICCV.2017.324.
    """
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if gamma:
        loss = loss * (1 - torch.exp(-loss)) ** gamma
    if pore_weight is not None:
        loss = loss * (pore_weight * target + (1 - pore_weight) * (1 - target))
    return loss.flatten(1).mean(dim=1)


def edge_penalty(probability: Tensor) -> Tensor:
    """Return the mean of p × mask, mask = 1 on the boundary and falling linearly to 0 at the centre: [B].

    Published with ``SeedCVAE``, for pores that keep away from the walls.
    """
    mask = torch.zeros(probability.shape[2:], device=probability.device)
    for axis, size in enumerate(mask.shape):
        view = [1, 1, 1]
        view[axis] = size
        from_centre = torch.linspace(-1, 1, size, device=probability.device).abs() if size > 1 else mask.new_ones(1)
        mask = torch.maximum(mask, from_centre.view(view))
    return (probability * mask).flatten(1).mean(dim=1)


def cluster_penalty(probability: Tensor, radius: int = 2) -> Tensor:
    """Return the mean of p × (1 − mean of p in the ball of ``radius`` voxels around): [B]; low where pores are compact.

    Published with ``SeedCVAE``, for spherical pores.
    """
    reach = torch.arange(-radius, radius + 1, device=probability.device)
    squares = reach[:, None, None] ** 2 + reach[None, :, None] ** 2 + reach[None, None, :] ** 2
    ball = (squares <= radius**2).to(probability.dtype)
    around = F.conv3d(probability, (ball / ball.sum())[None, None], padding=radius)
    return (probability * (1 - around)).flatten(1).mean(dim=1)


def kl_divergence(mean: Tensor, log_variance: Tensor, weight: Tensor, free_bits: float = 0.0) -> Tensor:
    """Return the KL divergence of the posterior from the standard normal, in nats, weighted mean of the batch.

    With free bits, each channel's mean divergence counts at least ``free_bits`` (Kingma et al. 2016).
    """
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    each = divergence.reshape(*divergence.shape[:2], -1).mean(dim=2)
    channel = (weight[:, None] * each).mean(dim=0)
    if free_bits:
        channel = channel.clamp(min=free_bits)
    return channel.sum() * math.prod(mean.shape[2:])


def annealed_beta(settings: LossSettings, epoch: float) -> float:
    """Return β at an epoch: 0 at first, then along a cosine up to β, which is held, or in cycles held and begun again.

    References:
        Fu et al. (2019), Cyclical annealing schedule, doi:10.18653/v1/N19-1021.
    """
    position = epoch - settings.quiet_epochs
    if position < 0:
        return 0.0
    if settings.ramp_epochs == 0:
        return settings.beta
    if settings.cyclic:
        position %= 2 * settings.ramp_epochs
    return settings.beta * 0.5 * (1 - math.cos(math.pi * min(1.0, position / settings.ramp_epochs)))


def total_loss(
    settings: LossSettings, logits: Tensor, target: Tensor, mean: Tensor, log_variance: Tensor, epoch: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss and its unweighted terms.

    Args:
        settings: weights of the terms.
        logits: [B, 1, D, H, W].
        target: 0 or 1, of the same shape.
        mean: of the posterior, [B, C, ...].
        log_variance: of the posterior, of the same shape.
        epoch: epochs since the start, for annealing.
    """
    weight = porosity_weight(target.flatten(1).mean(dim=1), settings.sparse_weight)
    each = cross_entropy(logits, target, settings.focal_gamma, settings.pore_weight)
    terms = {"reconstruction": (weight * each).mean()}
    terms["kl"] = kl_divergence(mean, log_variance, weight, settings.free_bits) / target[0].numel()
    loss = terms["reconstruction"] + annealed_beta(settings, epoch) * terms["kl"]
    if settings.edge_weight or settings.cluster_weight:
        probability = torch.sigmoid(logits)
        terms["edge"] = edge_penalty(probability).mean()
        terms["cluster"] = cluster_penalty(probability).mean()
        loss = loss + settings.edge_weight * terms["edge"] + settings.cluster_weight * terms["cluster"]
    return loss, terms
