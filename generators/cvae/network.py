"""Networks: a fully convolutional conditional VAE with a latent lattice, and the published global one.

Both map voxels [B, 1, D, H, W] and a condition [B, 2 + ORDERS] (density, log-odds of the porosity expected there, order
of the axes) to a Gaussian posterior, and a latent and a condition to logits [B, 1, D, H, W].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..base import Shape
from ..lattice import (
    CELL,
    ORDERS,
    REACH,
    Convolution,
    FiLMBlock,
    channels_last,
    convolve,
    depth_to_space,
    embed,
    halo,
    lattice,
    layer_by_layer,
    to_cells,
    walls_like,
)
from ..stored import check_sizes


class LatticeVAE(nn.Module):
    """Fully convolutional conditional VAE whose latent is a lattice of one cell for 3³ voxels."""

    def __init__(
        self, width: int, latent_channels: int, encoder_blocks: int, decoder_blocks: int, prior_blocks: int = 0
    ) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.embed = nn.Sequential(nn.Linear(2 + ORDERS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.encoder_in = nn.Conv3d(CELL**3 + 6, width, 3, padding=1)
        self.encoder = nn.ModuleList(FiLMBlock(width, width) for _ in range(encoder_blocks))
        self.encoder_out = nn.Conv3d(width, 2 * latent_channels, 1)
        self.decoder_in = nn.Conv3d(latent_channels + 6, width, 3, padding=1)
        self.decoder = nn.ModuleList(FiLMBlock(width, width) for _ in range(decoder_blocks))
        self.decoder_out = nn.Conv3d(width, CELL**3, 3, padding=1)
        nn.init.zeros_(self.decoder_out.bias)  # type: ignore[arg-type]
        self.prior = nn.ModuleList(FiLMBlock(width, width) for _ in range(prior_blocks))
        if prior_blocks:
            self.prior_in = nn.Conv3d(latent_channels + 6, width, 3, padding=1)
            self.prior_out = nn.Conv3d(width, latent_channels, 3, padding=1)
            nn.init.zeros_(self.prior_out.weight)
            nn.init.zeros_(self.prior_out.bias)  # type: ignore[arg-type]

    @property
    def sight(self) -> int:
        """Return the voxels at which a prior sample knows nothing of a wall: the receptive field and ``REACH``."""
        return CELL * (halo(self.decoder) + (halo(self.prior) if len(self.prior) else 0)) + int(REACH)

    def latent_shape(self, shape: Shape) -> tuple[int, ...]:
        """Return channels and cells an axis of one latent for volumes of a shape."""
        return (self.latent_channels, *lattice(shape))

    def encode(self, voxels: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, each [B, C, d, h, w]."""
        shape = check_sizes(voxels.shape[2:])
        x = convolve(self.encoder_in, to_cells(voxels), walls_like(shape, voxels))
        embedded = embed(self.embed, condition)
        for block in self.encoder:
            x = block(x, embedded)
        posterior = convolve(self.encoder_out, F.silu(x)).movedim(-1, 1).float()
        mean, log_variance = posterior.chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 4)

    def from_prior(self, noise: Tensor, condition: Tensor, shape: Shape) -> Tensor:
        """Return a latent of the learned or standard normal prior from standard normal noise: [B, C, d, h, w]."""
        if not len(self.prior):
            return noise
        cells, last = channels_last(noise), Convolution.of(self.prior_out)
        embedded = embed(self.embed, condition)
        made = layer_by_layer(self.prior_in, self.prior, last, cells, walls_like(shape, noise), embedded)
        return (cells + made.float()).movedim(-1, 1)

    def decode(self, latent: Tensor, condition: Tensor, shape: Shape) -> Tensor:
        """Return logits [B, 1, *shape] of the pore probability."""
        cells, last = channels_last(latent), Convolution.of(self.decoder_out)
        embedded = embed(self.embed, condition)
        made = layer_by_layer(self.decoder_in, self.decoder, last, cells, walls_like(shape, latent), embedded)
        logits = depth_to_space(made.movedim(-1, 1))[:, :, : shape[0], : shape[1], : shape[2]]
        return logits.float().add_(condition[:, 1, None, None, None, None])


class GlobalVAE(nn.Module):
    """The published architecture: strided 3D CNN, one Gaussian latent vector, decoder by trilinear upsampling.

    For 30³ volumes: 1→32→64→128→256 channels at 15, 15, 8, 4 voxels an axis, latent of 256, decoder 256→128→64→32→1
    at 4, 8, 16, 30; batch norm and ReLU throughout; 14.9 million parameters. Fully connected layers fix the shape.
    """

    def __init__(self, shape: Shape, latent: int = 256) -> None:
        super().__init__()
        channels, strides = (1, 32, 64, 128, 256), (2, 1, 2, 2)
        self.latent = latent
        layers: list[nn.Module] = []
        size = list(shape)
        for i, stride in enumerate(strides):
            layers += [
                nn.Conv3d(channels[i], channels[i + 1], 3, stride=stride, padding=1),
                nn.BatchNorm3d(channels[i + 1]),
                nn.ReLU(),
            ]
            size = [-(-edge // stride) for edge in size]
        self.core = (channels[-1], *size)
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.posterior = nn.Linear(math.prod(self.core), 2 * latent)
        self.expand = nn.Linear(latent + 1, math.prod(self.core))
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv3d(wide, narrow, 3, padding=1), nn.BatchNorm3d(narrow), nn.ReLU())
            for wide, narrow in ((256, 128), (128, 64), (64, 32))
        )
        self.out = nn.Conv3d(32, 1, 3, padding=1)

    @property
    def sight(self) -> int:
        """Return 0, because one shape only is drawn."""
        return 0

    def latent_shape(self, shape: Shape) -> tuple[int, ...]:  # noqa: ARG002 - one vector whatever the shape
        """Return the length of the latent vector."""
        return (self.latent,)

    def encode(self, voxels: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002 - as published
        """Return mean and log-variance of the posterior, each [B, latent]."""
        mean, log_variance = self.posterior(self.encoder(voxels)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def from_prior(self, noise: Tensor, condition: Tensor, shape: Shape) -> Tensor:  # noqa: ARG002 - as published
        """Return the noise, because the prior is standard normal."""
        return noise

    def decode(self, latent: Tensor, condition: Tensor, shape: Shape) -> Tensor:
        """Return logits [B, 1, *shape] of the pore probability."""
        x = self.expand(torch.cat([latent, condition[:, :1]], dim=1)).reshape(-1, *self.core)
        for stage, target in zip(self.stages, (*self._sizes(shape), shape), strict=True):
            x = stage(F.interpolate(x, size=target, mode="trilinear", align_corners=False))
        logits: Tensor = self.out(x).float()
        return logits

    def _sizes(self, shape: Shape) -> list[Shape]:
        """Return the sizes of the two stages between core and volume: doubled, but at most the volume's."""
        sizes: list[Shape] = []
        depth, height, width = self.core[1:]
        for _ in range(2):
            depth, height, width = (min(2 * a, b) for a, b in zip((depth, height, width), shape, strict=True))
            sizes.append((depth, height, width))
        return sizes


Network = LatticeVAE | GlobalVAE
