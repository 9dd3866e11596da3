"""Lattices of cells of 3³ voxels, and the blocks of fully convolutional networks that work on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial, reduce
from itertools import repeat
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .base import Shape
from .machine import FEATURES, LAYERED
from .stored import check_sizes

CELL = 3
"""Voxels an axis of a lattice cell."""
ORDERS = 6
"""Orders of the axes in which training volumes are seen; networks are told which, so that they learn a direction."""
SPARSEST = 1e-3
"""Porosity below which volumes gain no further weight."""
ONES = (1, 1, 1)
NEAR = 4
"""Cells next to a wall that a convolution tells from those in the middle, and one more."""
REACH = 6.0
"""Distance to a wall, in voxels, from which cells are told no more of it."""


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


class Convolution(NamedTuple):
    """Weights of a convolution, as ``nn.Conv3d`` has them; ``padding`` is cells of zeros beyond each end of an axis."""

    weight: Tensor
    bias: Tensor | None
    padding: tuple[int, ...]

    @classmethod
    def of(cls, layer: nn.Conv3d) -> Convolution:
        """Return the weights of a layer."""
        return cls(layer.weight, layer.bias, cast("tuple[int, ...]", layer.padding))

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve features [B, d, h, w, channels]."""
        return F.conv3d(x.movedim(-1, 1), self.weight, self.bias, padding=self.padding).movedim(1, -1)

    def _between(self, x: Tensor) -> Tensor:
        """Convolve features, but for the cells at both ends of the depth, whose neighbours are not all known."""
        x, padding = x.movedim(-1, 1), (0, *self.padding[1:])
        plain = torch.is_autocast_enabled("cpu") or not torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        if plain or x.device.type != "cpu":
            return F.conv3d(x, self.weight, self.bias, padding=padding).movedim(1, -1)
        # what conv3d does, except that it first writes out all neighbours of each cell where a slab is thin
        return torch.mkldnn_convolution(x, self.weight, self.bias, padding, ONES, ONES, 1).movedim(1, -1)

    def slabs(self, slabs: Iterable[Tensor], depth: int) -> Iterator[Tensor]:
        """Yield the convolution of features of a depth that come in slabs [B, t, h, w, channels], in slabs."""
        reach, held = self.padding[0], None
        for slab in slabs:
            depth -= slab.shape[1]
            zeros = slab.new_zeros(len(slab), reach, *slab.shape[2:])
            seen = torch.cat([zeros if held is None else held, slab, *([] if depth else [zeros])], dim=1)
            del slab  # nothing is kept while other layers work but what is still needed
            held = seen[:, max(0, seen.shape[1] - 2 * reach) :].clone()
            made = [self._between(seen)] if seen.shape[1] > 2 * reach else []
            del seen
            while made:
                yield made.pop()


def beside_walls(layer: nn.Conv3d, x: Tensor) -> tuple[Convolution, Convolution]:
    """Return a layer's convolution of features [B, d, h, w, channels], and that of walls, the channels behind them."""
    own, common = torch.split(layer.weight, [x.shape[-1], layer.in_channels - x.shape[-1]], dim=1)
    padding = cast("tuple[int, ...]", layer.padding)
    return Convolution(own, None, padding), Convolution(common, layer.bias, padding)


def convolve(layer: nn.Conv3d, x: Tensor, walls: Tensor | None = None) -> Tensor:
    """Convolve features [B, d, h, w, channels] and ``walls`` [1, d, h, w, 6], channels that the batch has in common."""
    if walls is None:
        return Convolution.of(layer)(x)
    own, common = beside_walls(layer, x)
    return own(x) + common(walls).contiguous()


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
        y = self._modulated(convolve(self.first, F.silu(x)), condition)
        return convolve(self.second, y).add_(x)

    def slabs(self, slabs: Iterable[Tensor], depth: int, condition: Tensor) -> Iterator[Tensor]:
        """Return features from features of a depth that come in slabs [B, t, h, w, width], in slabs."""
        waiting: list[Tensor] = []

        def arriving() -> Iterator[Tensor]:
            for slab in slabs:
                waiting.append(slab)
                del slab
                yield F.silu(waiting[-1])

        between = map(self._modulated, Convolution.of(self.first).slabs(arriving(), depth), repeat(condition))
        return map(partial(_add_first, waiting), Convolution.of(self.second).slabs(between, depth))

    def _modulated(self, y: Tensor, condition: Tensor) -> Tensor:
        """Scale and shift features as the condition asks; write over them unless gradients are kept."""
        scale, shift = _linear(self.film, condition).to(y.dtype)[:, None, None, None].chunk(2, dim=-1)
        drawing = not torch.is_grad_enabled()
        y = torch.addcmul(shift, y, 1 + scale, out=y if drawing else None)
        return F.silu(y, inplace=drawing)


def _add_first(waiting: list[Tensor], y: Tensor) -> Tensor:
    """Add to a slab the first cells of those that wait in a list of slabs, which lose them."""
    x = torch.cat(waiting, dim=1)
    waiting[:] = [x[:, y.shape[1] :].clone()]
    return y.add_(x[:, : y.shape[1]])


def mean_by_porosity(each: Tensor, porosity: Tensor, exponent: float) -> Tensor:
    """Return the mean of a loss over volumes that count in proportion to their porosity to the minus ``exponent``.

    Args:
        each: loss of each volume, [B].
        porosity: of each volume, [B].
        exponent: 0 for volumes that count alike.
    """
    return (porosity_weight(porosity, exponent) * each).mean()


def porosity_weight(porosity: Tensor, exponent: float) -> Tensor:
    """Return what each of some volumes counts, [B], 1 on average; arguments as for ``mean_by_porosity``."""
    weight = (porosity + SPARSEST) ** -exponent
    return weight / weight.mean()


def walls_like(shape: Shape, like: Tensor) -> Tensor:
    """Return ``wall_distance`` with channels last, [1, d, h, w, 6], of the type and on the device of another tensor."""
    return channels_last(wall_distance(shape, like.device).to(like.dtype))


def halo(blocks: nn.ModuleList) -> int:
    """Return the cells to each side in the receptive field of a convolution, ``FiLMBlock``s and a convolution."""
    return 2 + sum(cast("FiLMBlock", block).reach for block in blocks)


def _add_walls(slabs: Iterable[Tensor], layer: Convolution, walls: Tensor) -> Iterator[Tensor]:
    """Add to slabs what a layer makes of walls, which are the same for all cells but those close to a wall."""
    places = []
    for axis in (1, 2, 3):
        all_cells = torch.arange(walls.shape[axis], device=walls.device)
        kept = torch.cat([all_cells[:NEAR], all_cells[NEAR:][-NEAR:]])
        walls = walls.index_select(axis, kept)
        behind = all_cells - (len(all_cells) - len(kept))
        places.append(torch.where(all_cells < NEAR, all_cells, behind.clamp(min=NEAR - 1)))
    shared, done = layer(walls).contiguous(), 0
    for slab in slabs:
        here = shared.index_select(1, places[0][done : done + slab.shape[1]])
        done += slab.shape[1]
        waiting = [slab.add_(here.index_select(2, places[1]).index_select(3, places[2]))]
        del slab, here
        yield waiting.pop()


def layer_by_layer(
    first: nn.Conv3d, blocks: nn.ModuleList, last: Convolution, cells: Tensor, walls: Tensor, condition: Tensor
) -> Tensor:
    """Return what a network makes of cells [B, d, h, w, C]: a convolution, blocks, and a convolution, [B, d, h, w, N].

    A large lattice goes through in slabs along its depth, of which each layer keeps no more than it still needs, so
    that memory stays close to that of the result, and nothing is computed twice. In training nothing is cut.

    Args:
        first: of cells and walls.
        blocks: of ``FiLMBlock``.
        last: layer.
        cells: features.
        walls: of ``walls_like``.
        condition: of ``embed``.
    """
    batch, depth, height, width = cells.shape[:4]
    if torch.is_grad_enabled() or batch * depth * height * width <= LAYERED[cells.device.type]:
        x = convolve(first, cells, walls)
        for block in blocks:
            x = block(x, condition)
        return last(F.silu(x))
    thick = max(1, FEATURES[cells.device.type] // (batch * height * width * first.out_channels))
    own, common = beside_walls(first, cells)
    slabs = _add_walls(own.slabs(torch.split(cells, thick, dim=1), depth), common, walls)
    for block in blocks:
        slabs = cast("FiLMBlock", block).slabs(slabs, depth, condition)
    whole, done = None, 0
    for part in last.slabs(map(F.silu, slabs), depth):
        if whole is None:
            whole = part.new_empty(batch, depth, height, width, part.shape[-1])
        whole[:, done : done + part.shape[1]] = part
        done += part.shape[1]
    assert whole is not None  # noqa: S101 - a lattice has cells
    return whole
