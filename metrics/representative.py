"""Representative volumes: descriptors of one image against the size of the blocks that it is cut into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .descriptors import describe
from .estimate import Estimate, binomial

DESCRIPTORS = {
    "specific_surface": "1/voxel",
    "mean_chord": "voxel",
    "mean_local_thickness": "voxel",
    "largest_component_fraction": "",
    "euler_6": "per 1000 voxels",
    "n_components": "per 1000 voxels",
}
"""Descriptors that mean the same at every size, with units; counts are taken per 1000 voxels."""
COUNTS = ("euler_6", "n_components")


@dataclass(frozen=True)
class SizePoint:
    """One descriptor of the blocks of one size.

    Attributes:
        edge: of a block, in voxels.
        descriptor: "porosity", "percolation" (share of blocks and axes), or one of ``DESCRIPTORS``.
        unit: "" for pure numbers.
        n: blocks.
        mean: over the blocks.
        sd: standard deviation between blocks: what one block of this size may be off by.
        low: lower end of the 95 % interval of the mean.
        high: upper end.
    """

    edge: int
    descriptor: str
    unit: str
    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def variation(self) -> float | None:
        """Standard deviation over the mean, in percent; None where the mean is 0."""
        return 100 * self.sd / abs(self.mean) if self.mean else None


def size_points(
    blocks: NDArray[np.bool_], *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> list[SizePoint]:
    """Return mean and spread of every descriptor over blocks of one size.

    Args:
        blocks: bool [n, edge, edge, edge], disjoint.
        workers: threads.
        progress: called with the number of blocks just described.

    Raises:
        ValueError: if there are fewer than two blocks.

    References:
        Gitman, Askes and Sluys (2007), doi:10.1016/j.engfracmech.2006.12.021, for the spread as what makes a volume
        representative.
    """
    if len(blocks) < 2:
        raise ValueError(f"a spread needs at least 2 blocks, got {len(blocks)}; use a smaller edge")
    edge = int(blocks.shape[1])
    described = describe(blocks, workers=workers, progress=progress)
    values = {"porosity": described.porosity, "percolation": described.percolating.mean(axis=1)}
    values |= {name: described.values[name][:, 0] for name in DESCRIPTORS}
    points = []
    for name, unit in ({"porosity": ""} | DESCRIPTORS | {"percolation": ""}).items():
        each = values[name] * 1000 / float(np.prod(described.shape)) if name in COUNTS else values[name]
        n, mean, sd = len(each), float(each.mean()), float(each.std(ddof=1))
        error = 1.96 * sd / float(np.sqrt(n))
        interval = Estimate(mean, mean - error, mean + error)
        if name == "percolation":
            interval = binomial(round(float(each.sum())), n)
        points.append(SizePoint(edge, name, unit, n, mean, sd, interval.low, interval.high))
    return points


def sampled_blocks(volume: NDArray[np.bool_], edge: int, most: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return disjoint cubic blocks of an image, ``most`` of them drawn at random where there are more.

    Args:
        volume: bool [depth, height, width].
        edge: of a block in voxels.
        most: blocks to keep.
        rng: chooses them.

    Returns:
        bool [n, edge, edge, edge].

    Raises:
        ValueError: if not a single block fits.
    """
    if not 1 <= edge <= min(volume.shape):
        raise ValueError(
            f"block edge must lie between 1 and {min(volume.shape)} for an image of {volume.shape}, got {edge}"
        )
    places = np.stack(np.meshgrid(*(np.arange(n // edge) for n in volume.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = np.sort(rng.permutation(len(places))[:most])
    return np.stack([volume[tuple(slice(edge * i, edge * (i + 1)) for i in place)] for place in places[chosen]])
