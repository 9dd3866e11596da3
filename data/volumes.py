"""Porous volumes with their densities, and data sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .spheres import LAWS, SphereLaw, simulator

DensityKind = Literal["factor", "porosity"]


def spread(density: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return the indices of at most n volumes spread evenly over the ranks of their densities, lowest density first.

    Equal densities keep their order. The lowest density is always among them, the highest from two volumes on.

    Example:
        >>> spread([0.9, 0.1, 0.5, 0.3, 0.7], 3).tolist()
        [1, 2, 0]
    """
    order = np.argsort(np.asarray(density), kind="stable")
    return order[np.linspace(0, len(order) - 1, min(n, len(order))).round().astype(np.int64)]


@dataclass(frozen=True, eq=False)
class Volumes:
    """Set of porous volumes of one shape, each with the density it was asked or made for.

    Attributes:
        voxels: bool [n, depth, height, width]; True = pore, False = solid.
        density: float64 [n] in [0, 1], the conditioning variable; the pore fraction only where the data set says so.
        voxel_size: edge length of a voxel, in the data set's unit of length.
        name: the set's name in tables.

    Raises:
        TypeError: if ``voxels`` is not boolean.
        ValueError: if shapes disagree, or a density or the voxel size is out of range.
    """

    voxels: NDArray[np.bool_]
    density: NDArray[np.float64]
    voxel_size: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        voxels = np.asarray(self.voxels)
        density = np.asarray(self.density, dtype=np.float64)
        if voxels.dtype != np.bool_:
            raise TypeError(f"voxels must be boolean with True = pore, got dtype {voxels.dtype}")
        if voxels.ndim != 4 or 0 in voxels.shape[1:]:
            raise ValueError(f"voxels must have shape [n, depth, height, width], got {voxels.shape}")
        if density.shape != voxels.shape[:1]:
            wanted = f"one entry for each of {len(voxels)} volumes"
            raise ValueError(f"density must have {wanted}, got shape {density.shape}")
        if not np.all((density >= 0) & (density <= 1)):
            raise ValueError(f"density must lie in [0, 1], got values from {density.min()} to {density.max()}")
        if not (np.isfinite(self.voxel_size) and self.voxel_size > 0):
            raise ValueError(f"voxel_size must be a positive length, got {self.voxel_size}")
        object.__setattr__(self, "voxels", voxels)
        object.__setattr__(self, "density", density)

    def __len__(self) -> int:
        return len(self.voxels)

    def __getitem__(self, index: slice | ArrayLike) -> Volumes:
        """Return the volumes that an integer array, a mask or a slice selects, as a set of their own."""
        chosen = index if isinstance(index, slice) else np.atleast_1d(np.asarray(index))
        return Volumes(self.voxels[chosen], self.density[chosen], self.voxel_size, self.name)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return depth, height and width in voxels."""
        depth, height, width = self.voxels.shape[1:]
        return depth, height, width

    @property
    def pore_voxels(self) -> NDArray[np.int64]:
        """Return the number of pore voxels of each volume, int64 [n]."""
        return np.asarray(np.count_nonzero(self.voxels, axis=(1, 2, 3)), dtype=np.int64)

    @property
    def porosity(self) -> NDArray[np.float64]:
        """Return the measured pore volume fraction of each volume, float64 [n] in [0, 1]."""
        return self.pore_voxels / float(np.prod(self.shape))

    def spread(self, n: int) -> Volumes:
        """Return at most n volumes spread evenly over density, lowest density first; see `spread`."""
        return self[spread(self.density, n)]

    def digest(self) -> str:
        """Return the SHA-256 of shape, voxels and density, as hexadecimal, the same on every machine."""
        state = hashlib.sha256()
        state.update(np.asarray(self.voxels.shape, dtype="<i8").tobytes())
        state.update(np.packbits(self.voxels).tobytes())
        state.update(self.density.astype("<f8").tobytes())
        return state.hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test volumes of one source; unpacks in that order.

    Attributes:
        train: volumes that generators are fitted on.
        validation: volumes that hyper-parameters are chosen on, and the source of held-out real volumes.
        test: volumes that the tables compare with.
        name: name for tables and for the folder under ``results/``.
        density_kind: "factor" for a label of the data set, "porosity" for each volume's own pore fraction.
        phase: sentence on which voxels of an image were taken for pore; empty where the source defines it.
        usual: the same source in volumes of the usual edge, where they have another here; None where there are none,
            or their training or validation part would reach into the test part here.
    """

    train: Volumes
    validation: Volumes
    test: Volumes
    name: str
    density_kind: DensityKind
    phase: str = ""
    usual: Dataset | None = None

    @property
    def simulator(self) -> str:
        """Return the name of the law that a built-in data set is simulated from, "" for volumes read from files."""
        found = simulator(self.name)
        return "" if found is None else found[0]

    @property
    def law(self) -> SphereLaw | None:
        """Return the law that a built-in data set is simulated from, None for volumes that were read from files."""
        return LAWS.get(self.simulator)

    def __iter__(self) -> Iterator[Volumes]:
        return iter((self.train, self.validation, self.test))

    def digest(self) -> str:
        """Return the SHA-256 over the three parts, as hexadecimal."""
        return hashlib.sha256("".join(part.digest() for part in self).encode()).hexdigest()


def image_digest(image: NDArray[np.bool_]) -> str:
    """Return 16 hexadecimal digits that an image is recognised by."""
    return Volumes(image[None], np.array([image.mean()])).digest()[:16]
