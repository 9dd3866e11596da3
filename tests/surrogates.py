"""Small stand-ins for real and generated volumes: overlapping balls stamped until a pore count is reached."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from porebench import data

LAW = (0.0882, 0.2632)  # density = a · n^b in a volume of 30³


def packs(n: int = 96, size: int = 16) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Small packs of balls by the published law, and their densities, in random order."""
    density = np.random.default_rng(0).permutation(np.linspace(0.5, 1, n))
    return data.simulate(density, "spheres", rng=1, shape=(size, size, size)), density


def pore_target(density: float, size: int) -> int:
    """Pore voxels that the published law asks for at a density, scaled to a cube of ``size``³."""
    return round((density / LAW[0]) ** (1 / LAW[1]) * (size / 30) ** 3)


def ball(radius: float) -> NDArray[np.bool_]:
    """A digital ball in the smallest odd cube that holds it."""
    reach = int(np.ceil(radius))
    z, y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1, -reach : reach + 1]
    return z**2 + y**2 + x**2 <= radius**2


def stamp_ball(volume: NDArray[np.bool_], centre: NDArray[np.float64], radius: float) -> None:
    """Add a ball with a real-valued centre to a volume, in place."""
    low = np.maximum(np.ceil(centre - radius).astype(int), 0)
    high = np.minimum(np.floor(centre + radius).astype(int) + 1, volume.shape)
    z, y, x = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2
    volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= inside


def spheres(
    density: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    size: int = 30,
    scale: float = 1.0,
    count: float = 1.0,
    cluster: float = 0.0,
) -> NDArray[np.bool_]:
    """Overlapping balls with radii U(1.5, 3.5)·scale voxels, stamped until the law's pore count is reached.

    Args:
        density: one entry a volume.
        rng: source of randomness.
        size: edge length of the cubes.
        scale: factor on the radii.
        count: factor on the pore count.
        cluster: probability that a ball's centre lies within four voxels of the previous one's.
    """
    volumes = np.zeros((len(density), size, size, size), dtype=bool)
    for volume, d in zip(volumes, density, strict=True):
        target = round(count * pore_target(d, size))
        centre = np.full(3, size / 2)
        while np.count_nonzero(volume) < target:
            radius = min(scale * rng.uniform(1.5, 3.5), (size - 1) / 2)
            if rng.random() < cluster:
                centre = np.clip(centre + rng.uniform(-4, 4, 3), radius, size - 1 - radius)
            else:
                centre = rng.uniform(radius, size - 1 - radius, 3)
            stamp_ball(volume, centre, radius)
    return volumes


def keep_largest(field: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """True at the ``count`` largest entries."""
    kept = np.zeros(field.size, dtype=bool)
    kept[np.argsort(-field.ravel(), kind="stable")[:count]] = True
    return kept.reshape(field.shape)


def gaussian_field(real: NDArray[np.bool_], rng: np.random.Generator, sigma: float = 1.5) -> NDArray[np.bool_]:
    """Thresholded smooth noise with the pore counts of real volumes."""
    noise = (ndimage.gaussian_filter(rng.standard_normal(volume.shape), sigma) for volume in real)
    return np.stack([keep_largest(field, int(v.sum())) for field, v in zip(noise, real, strict=True)])


def shuffled(real: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Real volumes with their voxels permuted."""
    return np.stack([rng.permutation(volume.ravel()).reshape(volume.shape) for volume in real])


def blurred(real: NDArray[np.bool_], sigma: float = 1.0) -> NDArray[np.bool_]:
    """Real volumes smoothed and cut at the same pore count, as an autoencoder would."""
    smooth = (ndimage.gaussian_filter(volume.astype(float), sigma) for volume in real)
    return np.stack([keep_largest(field, int(v.sum())) for field, v in zip(smooth, real, strict=True)])
