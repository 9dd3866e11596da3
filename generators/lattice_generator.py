"""Generators whose network works on a lattice of cells: views of volumes, training, drawing, saving."""

from __future__ import annotations

import copy
import json
import math
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import IterableDataset

from porebench.data.symmetry import axis_orders

from .base import Floats, Shape, Streams
from .binarise import keep_highest
from .lattice import CELL, ORDERS, FiLMBlock, by_tiles, convolve, embed, halo, walls_like
from .machine import DECODED, product_format
from .stored import check_sizes
from .training import (
    NetworkGenerator,
    accelerator,
    move_average,
    round_to_half,
    run,
    weights_from_arrays,
    weights_to_arrays,
)
from .walls import empty_layers, layers, profile

EPOCH = 50
"""Batches of an epoch."""
SEEN_ALIKE = 16
"""Volumes of a batch that are seen through the same symmetry."""
AVERAGE = 0.998
"""Decay of the moving average of the weights, which is kept."""
MOST_LOG_ODDS = 9.0
TOLD = 2 + ORDERS
"""Numbers that a network is told of a volume: density, log-odds of the porosity, and which order its axes have."""
WARM_UP = 0.05
"""Share of a training in which the learning rate rises to its peak; it then falls to zero along a cosine."""

Part = tuple[Tensor, int, tuple[int, ...]]
"""Indices of volumes, number of the order of the axes, and reversed axes."""


@dataclass(frozen=True)
class Pace:
    """Length and pace of a training; ``seconds`` is None for no limit."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seconds: float | None


class LatticeNetwork(nn.Module):
    """Fully convolutional residual network on a lattice of cells of 3³ voxels, told a condition."""

    def __init__(self, channels: int, told: int, width: int, blocks: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(told, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.first = nn.Conv3d(channels + 6, width, 3, padding=1)
        self.blocks = nn.ModuleList(FiLMBlock(width, width) for _ in range(blocks))
        self.last = nn.Conv3d(width, CELL**3, 3, padding=1)

    def forward(self, cells: Tensor, told: Tensor, walls: Tensor) -> Tensor:
        """Return logits of the pore probability of voxels, float32 [B, d, h, w, 27].

        Args:
            cells: float [B, d, h, w, channels].
            told: of each volume, [B, told]; the second number is the log-odds of the porosity.
            walls: of ``walls_like``.
        """
        embedded = embed(self.embed, told)

        def run(cells: Tensor, sides: Tensor) -> Tensor:
            x = convolve(self.first, cells, sides)
            for block in self.blocks:
                x = block(x, embedded)
            return convolve(self.last, F.silu(x))

        return by_tiles(run, cells, walls, halo(self.blocks)).float() + told[:, None, None, None, 1:2]


class Views(IterableDataset[list[Part]]):
    """Batches of random volumes under random symmetries of the box."""

    def __init__(self, count: int, orders: int, batch_size: int, rng: np.random.Generator) -> None:
        self.count, self.orders, self.batch_size, self.rng = count, orders, batch_size, rng

    def __len__(self) -> int:
        return EPOCH

    def __iter__(self) -> Iterator[list[Part]]:
        for _ in range(EPOCH):
            chosen = self.rng.integers(self.count, size=self.batch_size)
            parts = []
            for index in np.array_split(chosen, -(-self.batch_size // SEEN_ALIKE)):
                flips = tuple(axis + 1 for axis in range(3) if self.rng.random() < 0.5)
                parts.append((torch.from_numpy(index), int(self.rng.integers(self.orders)), flips))
            yield parts


class LatticeModule(pl.LightningModule):
    """Optimises a network by steps or time; keeps a moving average of its weights.

    All volumes lie on the device. Random numbers come from ``noise``.
    """

    volumes: Tensor
    told: Tensor
    walls: Tensor

    def __init__(
        self,
        network: LatticeNetwork,
        pace: Pace,
        volumes: NDArray[np.bool_],
        density: Floats,
        views: Views,
        noise: torch.Generator,
    ) -> None:
        super().__init__()
        self.network, self.pace, self.views, self.noise = network, pace, views, noise
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.orders = axis_orders(volumes.shape[1:])
        self.spent, self.since = 0.0, time.perf_counter()
        kept = {
            "volumes": torch.from_numpy(volumes.copy()),
            "told": told(density, volumes.mean(axis=(1, 2, 3))),
            "walls": walls_like(check_sizes(volumes.shape[1:]), torch.zeros(1)),
        }
        for name, values in kept.items():
            self.register_buffer(name, values, persistent=False)

    def seen(self, parts: list[Part]) -> tuple[Tensor, Tensor]:
        """Return the volumes of a batch as they are seen, float [B, D, H, W], and what is told of them, [B, TOLD]."""
        volumes, conditions = [], []
        for index, turn, flips in parts:
            axes = self.orders[turn]
            volumes.append(self.volumes[index].permute(0, *(axis + 1 for axis in axes)).flip(flips))
            conditions.append(_ordered(self.told[index], turn))
        return torch.cat(volumes).float(), torch.cat(conditions)

    def on_train_start(self) -> None:
        """Start the clock; give each process views and noise of its own."""
        self.since = time.perf_counter()
        if self.global_rank:
            self.views.rng = self.views.rng.spawn(self.global_rank)[-1]
            self.noise.manual_seed(self.noise.initial_seed() + self.global_rank + self.global_step)

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the new weights; end the training where its time is over."""
        move_average(self.averaged, self.network, AVERAGE, self.global_step)
        now = time.perf_counter()
        self.spent, self.since = self.spent + now - self.since, now
        if self.progress >= 1:
            self.trainer.should_stop = True

    @property
    def progress(self) -> float:
        """Return the share of the training that is over, by steps or by time, whichever is more."""
        by_time = self.spent / self.pace.seconds if self.pace.seconds else 0.0
        return max(by_time, self.global_step / max(1, self.pace.epochs * EPOCH))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep random states and the time spent for a resumed training."""
        checkpoint["noise"] = self.noise.get_state()
        checkpoint["order"] = json.dumps(self.views.rng.bit_generator.state)
        checkpoint["spent"] = self.spent

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what ``on_save_checkpoint`` kept."""
        self.noise.set_state(checkpoint["noise"])
        self.views.rng.bit_generator.state = json.loads(checkpoint["order"])
        self.spent = float(checkpoint["spent"])

    def configure_optimizers(self) -> Any:
        """Return AdamW with a learning rate that rises, then falls to zero at the end."""
        optimizer = self._optimizer()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: _share_of_peak(self.progress))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _optimizer(self) -> torch.optim.Optimizer:
        pace = self.pace
        return torch.optim.AdamW(self.network.parameters(), lr=pace.learning_rate, weight_decay=pace.weight_decay)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(shape, generator=self.noise, device=self.noise.device)


class LatticeGenerator(NetworkGenerator):
    """Base of generators whose network works on a lattice of cells: training, drawing in chunks, exact counts, saving.

    They draw any shape. Layers next to the walls without a pore in the training volumes stay empty; in a medium without
    walls, a volume is cut from one that ends with a cell.
    """

    network_: LatticeNetwork
    blocks: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float

    @abstractmethod
    def _build(self) -> LatticeNetwork:
        """Return an untrained network, its weights from torch's current random state."""

    @abstractmethod
    def _module(self, *known: Any) -> LatticeModule:
        """Return the module that trains a network, from the arguments of ``LatticeModule``."""

    @abstractmethod
    def _logits(self, conditions: Tensor, shape: Shape, streams: Streams) -> Tensor:
        """Return a draw of each condition [n, TOLD]: numbers [n, *shape] that are highest in its pore voxels."""

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            network = self._build().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            seconds = None if self.minutes is None else 60 * self.minutes
            pace = Pace(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seconds)
            noise = torch.Generator(accelerator()).manual_seed(int(rng.integers(2**63)))
            views = Views(len(volumes), len(axis_orders(volumes.shape[1:])), self.batch_size, rng)
            module = self._module(network, pace, volumes, density, views, noise)
        trainer = run(
            module,
            views,
            None,
            epochs=self.epochs,
            used=product_format(accelerator(), self.precision),
            folder=None if self.checkpoints is None else self.checkpoints / "learn",
            machines=self.machines,
            show_progress=self.show_progress,
        )
        if trainer.global_rank:
            raise SystemExit  # a copy of the program, which has nothing left to do
        self.network_ = module.averaged.cpu().eval()
        self.epochs_ = {"learn": trainer.global_step // EPOCH}
        round_to_half(self.network_)
        self._move()
        self.margin_ = empty_layers(volumes)
        self.unbounded_ = profile(volumes)[1] == 0

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> Tensor:
        streams = rng.spawn(len(density))
        wide = check_sizes(-(-size // CELL) * CELL for size in shape) if self.unbounded_ else shape
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        conditions = told(density, self.law_.porosity(density)).to(self.device)
        closed = torch.from_numpy(layers(shape) < self.margin_).to(self.device)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        kind = torch.device(self.device).type
        used = product_format(kind, self.precision)
        chunk = max(1, DECODED[kind] // int(np.prod(wide)))
        for start in range(0, len(density), chunk):
            rows = slice(start, start + chunk)
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=used == torch.bfloat16):
                logits = self._logits(conditions[rows], wide, streams[rows])[:, : shape[0], : shape[1], : shape[2]]
            logits = logits.masked_fill(closed, -torch.inf).contiguous()
            keep_highest(logits, counts[rows], out=drawn[rows])
        return drawn

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        return weights_to_arrays(self.network_), self._known()

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        self._set_known(values)
        if self.blocks > len(arrays):
            raise ValueError(f"its {len(arrays)} arrays are too few for so many blocks")
        with torch.device("meta"):  # takes no memory, whatever sizes the file states
            network = self._build()
        weights_from_arrays(network, arrays)
        self.network_ = network.requires_grad_(False).to(memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]


def told(density: Floats, porosity: Floats) -> Tensor:
    """Return what networks are told of volumes, their axes in the medium's own order, float32 [n, TOLD]."""
    with np.errstate(divide="ignore"):
        log_odds = np.clip(np.log(porosity) - np.log1p(-porosity), -MOST_LOG_ODDS, MOST_LOG_ODDS)
    order = np.eye(ORDERS)[np.zeros(len(density), np.int64)]
    return torch.from_numpy(np.concatenate([density[:, None], log_odds[:, None], order], axis=1).astype(np.float32))


def normal(streams: Streams, size: tuple[int, ...], device: str) -> Tensor:
    """Return standard normal numbers [n, *size], each volume's from its own stream."""
    drawn = np.stack([stream.standard_normal(size, dtype=np.float32) for stream in streams])
    return torch.from_numpy(drawn).to(device)


def _ordered(conditions: Tensor, order: int) -> Tensor:
    """Return conditions [B, TOLD] that say which order the axes have."""
    ordered = conditions.clone()
    ordered[:, 2:] = 0
    ordered[:, 2 + order] = 1
    return ordered


def _share_of_peak(progress: float) -> float:
    """Return the learning rate as a share of its peak."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP)))
