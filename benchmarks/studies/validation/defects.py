"""Known defects to plant, to find out what the score finds.

Sphere data have a simulator, so laws with other numbers can be drawn from. Of other data nothing is known but the
volumes: there the ladder is built from the volumes themselves. Each defect is one function from (real volumes, their
densities, source) to flawed volumes at the same densities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from porebench import generators
from porebench.data import Dataset, SphereLaw, Volumes, simulate, stamp_balls
from porebench.data.spheres import draw_spheres
from porebench.generators.binarise import keep_highest
from porebench.generators.controls import Memoriser
from porebench.metrics.bands import Band, density_bands
from porebench.metrics.physical import fit_density_law

Voxels = NDArray[np.bool_]
Floats = NDArray[np.float64]
Plant = Callable[[Voxels, Floats, np.random.Generator], Voxels]

SPECKS = 10  # salt voxels a volume
BLUR = 1.0  # standard deviation, voxels
SHARE = 0.1  # of another model in a mixture
OTHER = "gaussian-field"  # the other model
CLUSTERED = 0.5  # share of spheres that move next to another one
REACH = 4.0  # voxels that they come near, along each axis
REAL = "nothing"  # what is planted in a second real set
LESS = "10 % less pore"  # real structure of too low a density: nothing for a score of structure to find

RADIUS = {f"radius +{percent} %": 1 + percent / 100 for percent in (3, 5, 10)}


@dataclass(frozen=True, eq=False)
class Matched:
    """Sets of real volumes at the same densities (or nearly so), in one density band.

    Attributes:
        band: where the densities lie.
        parts: sets of equally many volumes; those at one index belong together.
    """

    band: Band
    parts: tuple[Volumes, ...]


def matched_sets(dataset: Dataset, count: int, size: int, rng: np.random.Generator) -> list[Matched]:
    """Return sets of real volumes to draw trials from, in every density band.

    From a simulator, fresh volumes at exactly the same densities, spread evenly over the band. Otherwise the volumes
    of all parts of the data set, neighbours in order of density together.

    Args:
        dataset: what to validate on.
        count: sets in a band.
        size: volumes in each set; fewer where the data set has fewer.
        rng: draws them.
    """
    found = []
    everything = joined(dataset)
    for band in density_bands(dataset.test.density, dataset.density_kind):
        if dataset.law is not None:
            low, high = max(band.low, 0.001), min(band.high, 1.0)
            density = low + (high - low) * (np.arange(size) + rng.random(size)) / size
            drawn = [Volumes(simulate(density, dataset.law, rng, dataset.test.shape), density) for _ in range(count)]
        else:
            inside = rng.permutation(np.flatnonzero(band.contains(everything.density)))
            inside = inside[: count * min(size, len(inside) // count)]
            order = inside[np.argsort(everything.density[inside], kind="stable")].reshape(-1, count)
            order = rng.permuted(order, axis=1)  # the sets are alike, also in density
            drawn = [everything[chosen] for chosen in order.T]
        found.append(Matched(band, tuple(drawn)))
    return found


def planted(dataset: Dataset) -> dict[str, Plant]:
    """Return defects by name, in the order of the table: those of a sphere law, or the ladder built from data."""
    law = dataset.law
    other = generators.get(OTHER)().fit(dataset.train.voxels, dataset.train.density, rng=0)
    copier = Memoriser().fit(dataset.train.voxels, dataset.train.density, rng=0)
    everything = joined(dataset)
    finder = Memoriser().fit(everything.voxels, everything.density, rng=0)
    less = _less(dataset)

    def simulate_or_find(density: Floats, rng: np.random.Generator) -> Voxels:
        return finder.sample(density, rng=rng) if law is None else simulate(density, law, rng, dataset.test.shape)

    def from_other(_: Voxels, density: Floats, rng: np.random.Generator) -> Voxels:
        return other.sample(density, rng=rng)

    def mixed(real: Voxels, density: Floats, rng: np.random.Generator) -> Voxels:
        foreign = rng.permutation(len(real))[: round(SHARE * len(real))]
        flawed = real.copy()
        if len(foreign):
            flawed[foreign] = other.sample(density[foreign], rng=rng)
        return flawed

    always: dict[str, Plant] = {
        f"{SPECKS} salt voxels": salted,
        "blurred and cut again": lambda real, _density, _rng: blurred(real),
        f"{SHARE:.0%} {OTHER}".replace("%", " %"): mixed,
        LESS: lambda _real, density, rng: simulate_or_find(less * density, rng),
        "copies of training volumes": lambda _real, density, rng: copier.sample(density, rng=rng),
    }
    if law is None:
        return {**always, OTHER: from_other, "shuffled voxels": shuffled}
    return {
        **{name: _simulated(scaled(law, factor)) for name, factor in RADIUS.items()},
        **always,
        "one radius": _simulated(monodisperse(law)),
        "clustered centres": lambda real, density, rng: clustered(density, law, rng, real.shape[1:]),
    }


def scaled(law: SphereLaw, factor: float) -> SphereLaw:
    """Return the law with larger spheres, and fewer of them so that their total volume stays."""
    return replace(
        law,
        spheres=max(1, round(law.spheres / factor**3)),
        smallest=law.smallest * factor,
        largest=law.largest * factor,
        median=None if law.median is None else law.median * factor,
    )


def monodisperse(law: SphereLaw) -> SphereLaw:
    """Return the law with one radius, that of a sphere of the mean volume."""
    radius = float(np.cbrt(np.mean(law.radius((np.arange(1000) + 0.5) / 1000) ** 3)))
    return replace(law, smallest=radius, largest=radius, median=None, sigma=0.0)


def clustered(density: Floats, law: SphereLaw, rng: np.random.Generator, shape: tuple[int, int, int]) -> Voxels:
    """Return spheres of the right sizes and number, half of them moved next to another one of their volume."""
    centres, radii, owner = draw_spheres(density, law, rng, shape)
    moved = rng.random(len(owner)) < CLUSTERED
    for volume in range(len(density)):
        first, last = np.searchsorted(owner, [volume, volume + 1])
        stay = first + np.flatnonzero(~moved[first:last])
        go = first + np.flatnonzero(moved[first:last])
        if len(stay) and len(go):
            centres[go] = centres[rng.choice(stay, len(go))] + rng.uniform(-REACH, REACH, (len(go), 3))
    centres = np.clip(centres, radii[:, None], np.array(shape) - 1 - radii[:, None])
    return stamp_balls(centres, radii, owner, shape=shape, n=len(density))


def salted(real: Voxels, _density: Floats, rng: np.random.Generator) -> Voxels:
    """Return volumes with ten solid voxels, taken at random, made pore (fewer where there is less solid)."""
    flawed = real.copy()
    for volume in flawed.reshape(len(real), -1):
        solid = np.flatnonzero(~volume)
        volume[rng.choice(solid, min(SPECKS, len(solid)), replace=False)] = True
    return flawed


def blurred(real: Voxels) -> Voxels:
    """Return volumes smoothed and cut again at the same number of pore voxels, as an autoencoder would."""
    smooth = ndimage.gaussian_filter(real.astype(np.float32), (0, BLUR, BLUR, BLUR))
    counts = np.count_nonzero(real, axis=(1, 2, 3))
    return keep_highest(torch.from_numpy(smooth), counts).numpy()


def shuffled(real: Voxels, _density: Floats, rng: np.random.Generator) -> Voxels:
    """Return volumes with their voxels in random order."""
    return rng.permuted(real.reshape(len(real), -1), axis=1).reshape(real.shape)


def _simulated(law: SphereLaw) -> Plant:
    return lambda real, density, rng: simulate(density, law, rng, real.shape[1:])


def _less(dataset: Dataset) -> float:
    """Return the factor of a density with which a real volume holds a tenth less pore."""
    if dataset.density_kind == "porosity":
        return 0.9
    law = fit_density_law(dataset.train.pore_voxels, dataset.train.density)
    return 0.9 if law is None else float(0.9 ** law[1])


def joined(dataset: Dataset) -> Volumes:
    """Return all volumes of a data set."""
    return Volumes(
        np.concatenate([part.voxels for part in dataset]), np.concatenate([part.density for part in dataset])
    )
