"""Training of adversarial networks: critics of volumes and of slices."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..cvae.texture import relax
from ..lattice_module import OnePassModule, Part

SLICES = 8
"""Slices of each volume and axis that a step sees."""
SMALLEST = 16
"""Edge to which a critic's images or volumes are filled up with solid."""
SLOPE = 0.2
"""Of the critics' activations, below zero."""
FORGETS = (0.0, 0.99)
"""Decay of the optimiser's means of gradients and of their squares."""


class Critic(nn.Module):
    """Convolutional network that gives images or volumes, and their conditions, a number.

    Args:
        convolution: ``nn.Conv2d`` or ``nn.Conv3d``.
        told: numbers of a condition.
        width: channels of the first layer.
    """

    def __init__(self, convolution: type[nn.Conv2d | nn.Conv3d], told: int, width: int) -> None:
        super().__init__()
        widths = (1, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(convolution(before, after, 4, 2, 1) for before, after in pairwise(widths))
        self.last = convolution(4 * width, 4 * width, 3, 1, 1)
        self.score = nn.Linear(4 * width, 1)
        self.embed = nn.Sequential(nn.Linear(told, 4 * width), nn.SiLU(), nn.Linear(4 * width, 4 * width))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Return a number for each of x [B, 1, ...] with its condition [B, told]: [B]."""
        beyond = [max(0, SMALLEST - size) for size in reversed(x.shape[2:])]
        x = F.pad(2 * x - 1, [side for more in beyond for side in (0, more)], value=-1.0)
        for layer in (*self.layers, self.last):
            x = F.leaky_relu(layer(x), SLOPE)
        features = x.flatten(2).mean(dim=2)
        matched = (self.embed(told) * features).sum(dim=1) / features.shape[1] ** 0.5
        number: Tensor = self.score(features)[:, 0] + matched
        return number


class AdversarialModule(OnePassModule):
    """Optimises network and critic, each step both.

    Draws are relaxed to numbers between solid and pore that sum to the real volume's number of pores.
    """

    def __init__(self, critic: Critic, penalty: float, *known: Any) -> None:
        super().__init__(*known)
        self.critic, self.penalty = critic, penalty

    @abstractmethod
    def judge(self, volumes: Tensor, conditions: Tensor, places: Tensor) -> Tensor:
        """Return the critic's numbers of volumes [B, D, H, W] with conditions [B, TOLD] at random places in [0, 1)."""

    def training_step(self, batch: list[Part], _: int) -> Tensor:
        """Return the sum of the losses of network and critic, each of which depends on its own weights alone."""
        real, conditions = self.seen(batch)
        pores = real.flatten(1).sum(dim=1)
        logits = self.logits(conditions)
        with torch.autocast(real.device.type, enabled=False):
            drawn = relax(logits, pores)
            places = torch.rand(len(real), 3, SLICES, generator=self.noise, device=self.noise.device)
            self.critic.requires_grad_(False)
            ahead = self.judge(drawn, conditions, places) - self.judge(real, conditions, places)
            deceive = F.softplus(-ahead).mean()
            self.critic.requires_grad_(True)
            real, drawn = real.requires_grad_(), drawn.detach().requires_grad_()
            of_real, of_drawn = (self.judge(volumes, conditions, places) for volumes in (real, drawn))
            slopes = torch.autograd.grad((of_real.sum(), of_drawn.sum()), (real, drawn), create_graph=True)
            steep = torch.stack([slope.square().sum() for slope in slopes]).sum() / len(of_real)
            criticise = F.softplus(of_drawn - of_real).mean() + self.penalty / 2 * steep
        terms = {"deceive": deceive.detach(), "criticise": criticise.detach(), "steep": steep.detach()}
        self.log_dict(terms, prog_bar=True, batch_size=len(real))
        return deceive + criticise

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """Leave gradients as they are: a common limit would tie the pace of the network to that of the critic."""

    def _optimizer(self) -> torch.optim.Optimizer:
        weights = [*self.network.parameters(), *self.critic.parameters()]
        return torch.optim.AdamW(
            weights, lr=self.pace.learning_rate, betas=FORGETS, weight_decay=self.pace.weight_decay
        )


class VolumeModule(AdversarialModule):
    """Judges whole volumes."""

    def judge(self, volumes: Tensor, conditions: Tensor, _: Tensor) -> Tensor:
        """Return the numbers of volumes, [B]."""
        numbers: Tensor = self.critic(volumes[:, None], conditions)
        return numbers


class SliceModule(AdversarialModule):
    """Judges slices across each axis."""

    def judge(self, volumes: Tensor, conditions: Tensor, places: Tensor) -> Tensor:
        """Return the sum of the numbers of a volume's slices, [B * 3 * SLICES]: of sizes that differ, axis by axis."""
        numbers = []
        batch = torch.arange(len(volumes), device=volumes.device).repeat_interleave(SLICES)
        for axis in range(3):
            along = volumes.movedim(axis + 1, 1)
            index = (places[:, axis] * along.shape[1]).long().flatten()
            across = torch.zeros(len(batch), 3, device=volumes.device)
            across[:, axis] = 1
            numbers.append(self.critic(along[batch, index][:, None], torch.cat([conditions[batch], across], dim=1)))
        return torch.cat(numbers)
