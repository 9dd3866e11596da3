"""Rows that give the table a scale: real volumes, copies of training volumes, independent voxels, a generator twice."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from porebench.data import simulate

from .base import Floats, Generator, Shape
from .binarise import keep_highest
from .sphere_packing import SpherePacking

_CHUNK = 2**22
"""Voxels that are drawn at a time."""


class _Library(Generator):
    """Base of generators that keep the volumes they were fitted on, one bit a voxel, and draw some of them."""

    any_shape = False
    axes: ClassVar[dict[str, str]] = {"packed_": "n bytes", "density_": "n"}

    packed_: NDArray[np.uint8]
    density_: Floats

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002
        self.packed_ = np.packbits(volumes.reshape(len(volumes), -1), axis=1)
        self.density_ = density.copy()

    def _volumes(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        voxels = int(np.prod(self.shape_))
        bits = np.unpackbits(self.packed_[chosen], axis=1, count=voxels)
        return bits.view(np.bool_).reshape(len(chosen), *self.shape_)


class Reference(_Library):
    """Real volumes: what a perfect generator would draw.

    With a simulator, fresh volumes of that law at the requested densities, of any shape. Without one, the volumes of
    the fit, which ought to be held-out ones: those whose densities together match the requested ones best, none used
    twice before all are used once.

    Args:
        simulator: name of a built-in data law, or "" for the volumes of the fit.
        jitter: difference in density by which a match may be worse than the best, so that draws differ.

    References:
        D. F. Crouse (2016). On implementing 2D rectangular assignment algorithms. IEEE Trans. Aerosp. Electron. Syst.
        52, 1679-1696. doi:10.1109/TAES.2016.140952
    """

    name = "reference"

    def __init__(self, *, simulator: str = "", jitter: float = 0.01) -> None:
        self.simulator = simulator
        self.jitter = jitter
        self.any_shape = bool(simulator)

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        if self.simulator:
            simulate(np.zeros(1), self.simulator, rng=0)  # raises if there is no such law
        else:
            super()._fit(volumes, density, rng)

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        if not self.simulator:  # else nothing is kept
            super()._set_state(arrays, values)

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        if self.simulator:
            return simulate(density, self.simulator, rng, shape)
        chosen = np.empty(len(density), dtype=np.int64)
        waiting = rng.permutation(len(density))
        while len(waiting):  # one round uses each volume at most once
            now, waiting = np.split(waiting, [len(self.density_)])
            away = np.abs(density[now, None] - self.density_)
            requests, volumes = linear_sum_assignment(away + self.jitter * rng.random(away.shape))
            chosen[now[requests]] = volumes
        return self._volumes(chosen)


class Memoriser(_Library):
    """Training volumes of nearly the requested density: perfect structure, nothing new.

    Args:
        neighbours: number of nearest training volumes of which one is drawn.
    """

    name = "memoriser"

    def __init__(self, *, neighbours: int = 5) -> None:
        self.neighbours = neighbours

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}")
        super()._fit(volumes, density, rng)

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:  # noqa: ARG002
        k = min(self.neighbours, len(self.density_))
        away = np.abs(self.density_ - density[:, None])
        nearest = np.argsort(away, axis=1, kind="stable")[:, :k]  # a partition's order differs between processors
        return self._volumes(nearest[np.arange(len(density)), rng.integers(k, size=len(density))])


class Noise(Generator):
    """Independent voxels in the right number: no structure at all."""

    name = "noise"
    devices = ("cpu", "cuda")
    axes: ClassVar[dict[str, str]] = {}

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        """Learn nothing but the porosity law."""

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> torch.Tensor:
        voxels = math.prod(shape)
        counts = self.law_.pore_voxels(density, voxels)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        streams, step = rng.spawn(len(density)), max(1, _CHUNK // voxels)
        for start in range(0, len(density), step):
            rows = slice(start, min(start + step, len(density)))
            scores = np.stack([stream.random(shape, dtype=np.float32) for stream in streams[rows]])
            keep_highest(torch.from_numpy(scores).to(self.device), counts[rows], out=drawn[rows])
        return drawn


class Twin(SpherePacking):
    """Sphere packing under another name and with other seeds: an A/A test, which shows the benchmark's own error.

    Sphere packing is the original because fit and draws are random on every kind of data and take seconds, and because
    it comes close to real volumes, where a false difference would matter most.

    Attributes:
        original: name of the generator that is repeated.
    """

    name = "twin"
    original: ClassVar[str] = SpherePacking.name

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        super()._fit(volumes, density, rng.spawn(1)[0])

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        return super()._sample(density, shape, rng.spawn(1)[0])
