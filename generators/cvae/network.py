"""Networks: a fully convolutional conditional VAE with a latent lattice, and the published global one.

Both map voxels [B, 1, D, H, W] and a condition [B, 2] (density, log-odds of the porosity expected there) to a Gaussian
posterior, and a latent and a condition to logits [B, 1, D, H, W].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..base import Shape
from ..stored import check_sizes

CELL = 3
"""Voxels an axis of a lattice cell."""
REACH = 6.0
"""Distance to a wall, in voxels, from which cells are told no more of it."""
TILE = (40, 80, 80)
"""Cells an axis that are decoded at a time, at most, without their halo: slabs, which have few seams."""


def space_to_depth(volume: Tensor) -> Tensor:
    """Turn the voxels of each lattice cell into its channels: [B, 1, 3d, 3h, 3w] -> [B, 27, d, h, w]."""
    batch, _, depth, height, width = volume.shape
    cells = volume.reshape(batch, depth // CELL, CELL, height // CELL, CELL, width // CELL, CELL)
    return cells.permute(0, 2, 4, 6, 1, 3, 5).reshape(batch, CELL**3, depth // CELL, height // CELL, width // CELL)


def depth_to_space(cells: Tensor) -> Tensor:
    """Invert ``space_to_depth``: [B, 27, d, h, w] -> [B, 1, 3d, 3h, 3w]."""
    batch, _, depth, height, width = cells.shape
    split = cells.reshape(batch, CELL, CELL, CELL, depth, height, width).permute(0, 4, 1, 5, 2, 6, 3)
    return split.reshape(batch, 1, depth * CELL, height * CELL, width * CELL)


def lattice(shape: Shape) -> Shape:
    """Return the number of cells an axis that cover a volume of ``shape`` voxels."""
    return check_sizes(-(-size // CELL) for size in shape)


def wall_distance(shape: Shape, device: torch.device) -> Tensor:
    """Return the distance of each cell's centre to the six walls, in units of six voxels, in [-1, 1]: [1, 6, d, h, w].

    It is negative in cells that stick out where a size is no multiple of three.
    """
    cells = lattice(shape)
    channels = []
    for axis, (count, size) in enumerate(zip(cells, shape, strict=True)):
        centre = torch.arange(count, device=device) * CELL + (CELL - 1) / 2
        view = [1, 1, 1]
        view[axis] = count
        sides = (centre + 0.5, size - 0.5 - centre)
        channels += [(side / REACH).clamp(-1, 1).view(view).expand(cells) for side in sides]
    return torch.stack(channels)[None]


def _convolve(layer: nn.Conv3d, x: Tensor, walls: Tensor | None = None) -> Tensor:
    """Convolve features [B, d, h, w, channels] and ``walls`` [1, d, h, w, 6], channels that the batch has in common."""
    if walls is None:
        return F.conv3d(x.movedim(-1, 1), layer.weight, layer.bias, padding=layer.padding).movedim(1, -1)
    own, common = torch.split(layer.weight, [x.shape[-1], walls.shape[-1]], dim=1)
    shared = F.conv3d(walls.movedim(-1, 1), common, layer.bias, padding=layer.padding)
    return F.conv3d(x.movedim(-1, 1), own, padding=layer.padding).movedim(1, -1) + _last(shared)


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer for the condition in float64, as the order of sums in float32 depends on the number of rows."""
    if not isinstance(layer, nn.Linear):
        return cast("Tensor", layer(x))
    return F.linear(x.double(), layer.weight.double(), layer.bias.double()).float()


def _last(x: Tensor) -> Tensor:
    """Move channels last, where a CPU is fastest: [B, channels, d, h, w] -> [B, d, h, w, channels]."""
    return x.movedim(1, -1).contiguous()


class FiLMBlock(nn.Module):
    """Residual block of two 3³ convolutions whose features the condition scales and shifts (Perez et al. 2018)."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        self.film = nn.Linear(condition_width, 2 * width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return features [B, d, h, w, width] from features and an embedded condition [B, condition_width]."""
        y = _convolve(self.first, F.silu(x))
        scale, shift = _linear(self.film, condition).to(y.dtype)[:, None, None, None].chunk(2, dim=-1)
        y = torch.addcmul(shift, y, 1 + scale)
        y = F.silu(y, inplace=not torch.is_grad_enabled())  # kept for gradients only
        return _convolve(self.second, y).add_(x)


class LatticeVAE(nn.Module):
    """Fully convolutional conditional VAE whose latent is a lattice of one cell for 3³ voxels."""

    def __init__(
        self, width: int, latent_channels: int, encoder_blocks: int, decoder_blocks: int, prior_blocks: int = 0
    ) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.embed = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
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
        return CELL * (_reach(self.decoder) + (_reach(self.prior) if len(self.prior) else 0)) + int(REACH)

    def latent_shape(self, shape: Shape) -> tuple[int, ...]:
        """Return channels and cells an axis of one latent for volumes of a shape."""
        return (self.latent_channels, *lattice(shape))

    def encode(self, voxels: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the posterior, each [B, C, d, h, w]."""
        shape = check_sizes(voxels.shape[2:])
        beyond = [cells * CELL - size for cells, size in zip(lattice(shape), shape, strict=True)]
        padded = F.pad(voxels, (0, beyond[2], 0, beyond[1], 0, beyond[0]))
        x = _convolve(self.encoder_in, _last(space_to_depth(padded)), _walls(shape, voxels))
        embedded = reduce(lambda x, layer: _linear(layer, x), self.embed, condition)
        for block in self.encoder:
            x = block(x, embedded)
        posterior = _convolve(self.encoder_out, F.silu(x)).movedim(-1, 1).float()
        mean, log_variance = posterior.chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 4)

    def from_prior(self, noise: Tensor, condition: Tensor, shape: Shape) -> Tensor:
        """Return a latent of the learned or standard normal prior from standard normal noise: [B, C, d, h, w]."""
        if not len(self.prior):
            return noise
        embedded = reduce(lambda x, layer: _linear(layer, x), self.embed, condition)

        def run(cells: Tensor, walls: Tensor) -> Tensor:
            x = _convolve(self.prior_in, cells, walls)
            for block in self.prior:
                x = block(x, embedded)
            return cells + _convolve(self.prior_out, F.silu(x)).float()

        return _by_tiles(run, _last(noise), _walls(shape, noise), _reach(self.prior)).movedim(-1, 1)

    def decode(self, latent: Tensor, condition: Tensor, shape: Shape) -> Tensor:
        """Return logits [B, 1, *shape] of the pore probability."""
        embedded = reduce(lambda x, layer: _linear(layer, x), self.embed, condition)

        def run(cells: Tensor, walls: Tensor) -> Tensor:
            x = _convolve(self.decoder_in, cells, walls)
            for block in self.decoder:
                x = block(x, embedded)
            return _convolve(self.decoder_out, F.silu(x))

        cells = _by_tiles(run, _last(latent), _walls(shape, latent), _reach(self.decoder))
        logits = depth_to_space(cells.movedim(-1, 1))[:, :, : shape[0], : shape[1], : shape[2]]
        return logits.float().add_(condition[:, 1, None, None, None, None])


def _walls(shape: Shape, like: Tensor) -> Tensor:
    return _last(wall_distance(shape, like.device).to(like.dtype))


def _reach(blocks: nn.ModuleList) -> int:
    """Return the cells to each side in the receptive field of a convolution, blocks and a convolution."""
    return 2 + 2 * len(blocks)


def _by_tiles(run: Callable[[Tensor, Tensor], Tensor], cells: Tensor, walls: Tensor, reach: int) -> Tensor:
    """Return ``run`` of a lattice [B, d, h, w, C], tile by tile where it is large, so that memory stays bounded.

    Each tile has a halo of ``reach`` cells, the receptive field, so seams are exact. In training nothing is cut.
    """
    size = cells.shape[1:4]
    parts = [-(-edge // most) for edge, most in zip(size, TILE, strict=True)]
    if max(parts) == 1 or torch.is_grad_enabled():
        return run(cells, walls)
    whole: Tensor | None = None
    for index in itertools.product(*map(range, parts)):
        kept, seen, inner = [], [], []
        for part, count, edge in zip(index, parts, size, strict=True):
            start, stop = part * edge // count, (part + 1) * edge // count
            low, high = max(start - reach, 0), min(stop + reach, edge)
            kept.append(slice(start, stop))
            seen.append(slice(low, high))
            inner.append(slice(start - low, stop - low))
        tile = run(cells[:, *seen].contiguous(), walls[:, *seen].contiguous())[:, *inner]
        if whole is None:
            whole = tile.new_empty(len(cells), *size, tile.shape[-1])
        whole[:, *kept] = tile
    assert whole is not None  # noqa: S101 - a lattice has cells
    return whole


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
