"""Generative adversarial networks: one judged by whole volumes, one by their slices alone."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .cvae.texture import relax
from .lattice_generator import TOLD, LatticeModule, Part
from .one_pass import OnePass, OnePassModule

SLICES = 8
"""Slices of each volume and axis that a step sees."""
SMALLEST = 16
"""Edge to which a critic's images or volumes are filled up with solid."""
SLOPE = 0.2
"""Of the critics' activations, below zero."""
FORGETS = (0.0, 0.99)
"""Decay of the optimiser's means of gradients and of their squares."""


@dataclass(kw_only=True, eq=False, repr=False)
class Adversarial(OnePass):
    """Base of generators that learn to draw what a critic cannot tell from real.

    The critic gives a number to a volume and its condition. Network and critic learn from the difference between the
    numbers of a drawn and a real volume of the same condition, and the critic's slope at both is penalised, which keeps
    the two in balance.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        critic_width: feature channels of the critic's first layer.
        penalty: weight of the squared slope of the critic at real and drawn volumes.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule, for network and critic.
        weight_decay: of AdamW.
    """

    trained_on_request: ClassVar[bool] = True

    width: int = 64
    blocks: int = 4
    critic_width: int = 64
    penalty: float = 1.0
    epochs: int = 400
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.0


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(Adversarial):
    """Generative adversarial network, conditional and convolutional in three dimensions.

    Each draw is one pass, so it is fast. The critic teaches no more than what tells draws from real volumes at the
    moment, so the balance may never settle: seeds differ, and rare kinds of volumes may be left out. Arguments as for
    ``Adversarial``.

    References:
        Mosser, Dubrule & Blunt (2017), Reconstruction of three-dimensional porous media using generative adversarial
        neural networks, doi:10.1103/PhysRevE.96.043309; Huang et al. (2024), The GAN is dead; long live the GAN!,
        arXiv:2501.05441.
    """

    name: ClassVar[str] = "gan"

    critic_width: int = 32
    penalty: float = 10.0

    def _module(self, *known: Any) -> LatticeModule:
        return VolumeModule(Critic(nn.Conv3d, TOLD, self.critic_width), self.penalty, *known)


@dataclass(kw_only=True, eq=False, repr=False)
class SliceGAN(Adversarial):
    """Generative adversarial network that learns volumes from two-dimensional slices alone.

    The critic sees slices across each axis of drawn volumes, and slices of real ones, as micrographs would give them;
    what no slice shows, such as what connects in three dimensions, is left to the network. Arguments as for
    ``Adversarial``.

    References:
        Kench & Cooper (2021), Generating three-dimensional structures from a two-dimensional slice with generative
        adversarial network-based dimensionality expansion, doi:10.1038/s42256-021-00322-1.
    """

    name: ClassVar[str] = "slice-gan"

    def _module(self, *known: Any) -> LatticeModule:
        return SliceModule(Critic(nn.Conv2d, TOLD + 3, self.critic_width), self.penalty, *known)


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
