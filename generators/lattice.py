"""Lattices of cells of 3³ voxels, and the blocks of fully convolutional networks that work on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .base import Shape
from .stored import check_sizes

CELL = 3
"""Voxels an axis of a lattice cell."""
ORDERS = 6
"""Orders of the axes in which training volumes are seen; networks are told which, so that they learn a direction."""
SPARSEST = 1e-3
"""Porosity below which volumes gain no further weight."""
REACH = 6.0
"""Distance to a wall, in voxels, from which cells are told no more of it."""
TILE = (40, 80, 80)
"""Cells an axis that are decoded at a time, at most, without their halo: slabs, which have few seams."""


def space_to_depth(volume: Tensor) -> Tensor:
    """Turn the voxels of each lattice cell into its channels: [B, 1, 3d, 3h, 3w] -> [B, 27, d, h, w]."""
    batch, _, depth, height, width = volume.shape
    cells = volume.reshape(batch, depth // CELL, CELL, height // CELL, CELL, width // CELL, CELL)
    return cells.permute(0, 2, 4, 6, 1, 3, 5).reshape(batch, CELL**3, depth // CELL, height // CELL, width // CELL)


def to_cells(volume: Tensor) -> Tensor:
    """Turn volumes of any shape into cells with channels last, zeros beyond: [B, 1, D, H, W] -> [B, d, h, w, 27]."""
    shape = check_sizes(volume.shape[2:])
    beyond = [cells * CELL - size for cells, size in zip(lattice(shape), shape, strict=True)]
    return channels_last(space_to_depth(F.pad(volume, (0, beyond[2], 0, beyond[1], 0, beyond[0]))))


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


def convolve(layer: nn.Conv3d, x: Tensor, walls: Tensor | None = None) -> Tensor:
    """Convolve features [B, d, h, w, channels] and ``walls`` [1, d, h, w, 6], channels that the batch has in common."""
    if walls is None:
        return F.conv3d(x.movedim(-1, 1), layer.weight, layer.bias, padding=layer.padding).movedim(1, -1)
    own, common = torch.split(layer.weight, [x.shape[-1], walls.shape[-1]], dim=1)
    shared = F.conv3d(walls.movedim(-1, 1), common, layer.bias, padding=layer.padding)
    return F.conv3d(x.movedim(-1, 1), own, padding=layer.padding).movedim(1, -1) + channels_last(shared)


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer for the condition in float64, as the order of sums in float32 depends on the number of rows."""
    if not isinstance(layer, nn.Linear):
        return cast("Tensor", layer(x))
    return F.linear(x.double(), layer.weight.double(), layer.bias.double()).float()


def channels_last(x: Tensor) -> Tensor:
    """Move channels last, where a CPU is fastest: [B, channels, d, h, w] -> [B, d, h, w, channels]."""
    return x.movedim(1, -1).contiguous()


def embed(layers: nn.Sequential, condition: Tensor) -> Tensor:
    """Return the embedding [B, width] of conditions [B, C] by layers that are linear or work element by element."""
    return reduce(lambda x, layer: _linear(layer, x), layers, condition)


class FiLMBlock(nn.Module):
    """Residual block of two convolutions, 3³ and ``second`` cells wide, whose features the condition scales and shifts.

    References:
        Perez et al. (2018), FiLM, arXiv:1709.07871.
    """

    def __init__(self, width: int, condition_width: int, second: int = 3) -> None:
        super().__init__()
        self.reach = 1 + second // 2
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second = nn.Conv3d(width, width, second, padding=second // 2)
        self.film = nn.Linear(condition_width, 2 * width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return features [B, d, h, w, width] from features and an embedded condition [B, condition_width]."""
        y = convolve(self.first, F.silu(x))
        scale, shift = _linear(self.film, condition).to(y.dtype)[:, None, None, None].chunk(2, dim=-1)
        y = torch.addcmul(shift, y, 1 + scale)
        y = F.silu(y, inplace=not torch.is_grad_enabled())  # kept for gradients only
        return convolve(self.second, y).add_(x)


def walls_like(shape: Shape, like: Tensor) -> Tensor:
    """Return ``wall_distance`` with channels last, [1, d, h, w, 6], of the type and on the device of another tensor."""
    return channels_last(wall_distance(shape, like.device).to(like.dtype))


def halo(blocks: nn.ModuleList) -> int:
    """Return the cells to each side in the receptive field of a convolution, ``FiLMBlock``s and a convolution."""
    return 2 + sum(cast("FiLMBlock", block).reach for block in blocks)


def by_tiles(run: Callable[[Tensor, Tensor], Tensor], cells: Tensor, walls: Tensor, reach: int) -> Tensor:
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
