"""Base of generators that put volumes together from voxels of training volumes of nearly the requested density."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from .base import Floats, Generator, Shape
from .machine import side_by_side
from .stored import check_finite
from .walls import profile

_SHARE = 8
"""Part of the training volumes, one in so many, that a volume is drawn from at most."""


class TrainingImages(Generator):
    """Keeper of training volumes, one bit a voxel, and of the porosity of the layers next to their walls.

    A subclass has the hyper-parameters ``images`` (training volumes of the nearest densities that a volume is drawn
    from) and ``walls`` (False takes the medium for stationary), and writes ``_draw``. A volume whose porosity is to be
    0 or 1 is not drawn but filled. Volumes are drawn side by side, in as many threads as torch has.
    """

    axes: ClassVar[dict[str, str]] = {"packed_": "n bytes", "density_": "n", "layers_": "layers"}

    images: int
    walls: bool
    packed_: NDArray[np.uint8]
    density_: Floats
    layers_: Floats

    @abstractmethod
    def _draw(
        self, out: NDArray[np.bool_], images: NDArray[np.uint8], wanted: int, stream: np.random.Generator
    ) -> None:
        """Write one volume into ``out`` [D, H, W], False so far.

        Args:
            out: changed in place.
            images: training volumes to draw from, bits [k, bytes].
            wanted: pore voxels that the volume should have.
            stream: source of random numbers.
        """

    @abstractmethod
    def _check_params(self) -> None:
        """Raise ValueError if a hyper-parameter of the subclass is out of range."""

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002
        self._check()
        self.packed_ = np.packbits(volumes.reshape(len(volumes), -1), axis=1)
        self.density_ = density.copy()
        self.layers_ = np.ones(1)
        if self.walls:
            porosity, inner = profile(volumes)
            self.layers_ = porosity[: inner + 1]

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        check_finite(arrays)
        super()._set_state(arrays, values)
        if self.packed_.dtype != np.uint8 or self.density_.dtype != np.float64 or self.layers_.dtype != np.float64:
            raise ValueError("its volumes must be bytes, its densities and layers float64")
        if not np.all((self.layers_ > 0) & (self.layers_ <= 1)):
            raise ValueError("its layers must have a porosity above 0 and up to 1")
        if 2 * len(self.layers_) > min(self.shape_) + 1:
            raise ValueError(f"it has {len(self.layers_)} layers, more than fit into {self.shape_} voxels")

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        self._check()
        drawn = np.zeros((len(density), *shape), dtype=np.bool_)
        wanted = self.law_.pore_voxels(density, drawn[0].size)
        drawn[wanted == drawn[0].size] = True
        streams = rng.spawn(len(density))

        def draw(place: int) -> None:
            if 0 < wanted[place] < drawn[0].size:
                self._draw(drawn[place], self._near(density[place]), int(wanted[place]), streams[place])

        side_by_side(draw, range(len(density)))
        return drawn

    def _near(self, density: float) -> NDArray[np.uint8]:
        """Return the training volumes of the nearest densities, bits [k, bytes]."""
        k = min(self.images, max(1, len(self.density_) // _SHARE))
        return self.packed_[np.argsort(np.abs(self.density_ - density), kind="stable")[:k]]

    def _check(self) -> None:
        if self.images < 1:
            raise ValueError(f"images must be at least 1, got {self.images}")
        self._check_params()


@compiled
def bit(image: NDArray[np.uint8], place: int) -> bool:
    """Return True if the voxel at a flat index of a packed volume is pore."""
    return bool(image[place >> 3] >> (7 - (place & 7)) & 1)


@compiled
def room(start: int, length: int, size: int, trained: int, layers: int) -> tuple[int, int]:
    """Return the first and the last place, along one axis, of the training voxels that may stand in for drawn ones.

    Args:
        start: of the drawn voxels.
        length: number of the drawn voxels, at most ``size`` and ``trained``.
        size: of the drawn volume along the axis.
        trained: size of the training volumes along the axis.
        layers: at a wall that are unlike the middle. Voxels that begin there stay as far from the wall as they are;
            all others keep out of there.
    """
    after, last = size - length - start, trained - length
    if start < layers and start <= after:
        return min(start, last), min(start, last)
    if after < layers:
        return max(last - after, 0), max(last - after, 0)
    return (layers, last - layers) if 2 * layers <= last else (last // 2, last // 2)
