"""Known defects to plant, to find out what the score finds.

Sphere data have a simulator, so laws with other numbers can be drawn from. Of other data nothing is known but the
volumes: there the ladder is built from the volumes themselves. A defect of volumes is planted in volumes, and one of an
ensemble in their descriptors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.cluster import KMeans

from porebench import generators
from porebench.data import Dataset, SphereLaw, Volumes, simulate, stamp_balls
from porebench.data.spheres import draw_spheres
from porebench.generators.binarise import keep_highest
from porebench.generators.controls import Memoriser
from porebench.metrics.adjustment import Adjustment
from porebench.metrics.bands import Band, density_bands
from porebench.metrics.descriptors import Descriptors
from porebench.metrics.joint import side_by_side
from porebench.metrics.physical import fit_density_law

from .quilting import quilted

Voxels = NDArray[np.bool_]
Floats = NDArray[np.float64]
Plant = Callable[[Voxels, Floats, np.random.Generator], Voxels]
"""From real volumes, their densities and a source of randomness to flawed volumes at the same densities."""
Rearrange = Callable[[Descriptors, Adjustment, Band, np.random.Generator], Descriptors]
"""From the descriptors of the volumes of a band, and the adjustment there, to flawed ones at the same densities."""

SPECKS = 10  # salt voxels a volume
BLUR = (1.0, 1.0, 1.0)  # standard deviation along each axis, voxels
ACROSS = {True: 1.5, False: 3.0}  # the same along depth and width alone, on sphere packs and on rock: pore–solid faces
# are then about 18 % too few along these and 36 % too many along the height, as those of a trained decoder were
STRETCH = 1.05  # along the depth
PIECE = 15  # edge of the pieces that quilts are sewn from, voxels; they overlap by half
ALIKE = 32  # originals of nearly one density that a quilt is sewn from
ORIGINALS = 8  # one real volume in so many is put aside for generators to copy
SHARE = 0.1  # of another model in a mixture
OTHER = "gaussian-field"  # the other model
CLUSTERED = 0.5  # share of spheres that move next to another one
REACH = 4.0  # voxels that they come near, along each axis
REAL = "nothing"  # what is planted in a second real set
LESS = "10 % less pore"  # real structure of too low a density: nothing for a score of structure to find
SWAPPED = "axes swapped"  # no defect of a medium that is alike along its axes

RADIUS = {f"radius +{percent} %": 1 + percent / 100 for percent in (3, 5, 10)}


@dataclass(frozen=True)
class Defect:
    """How real volumes are made flawed ones.

    Attributes:
        plant: acts on the volumes.
        rearrange: acts on their descriptors, afterwards.
        copies: whether the flawed volumes are made of training volumes.
    """

    plant: Plant = lambda real, _density, _rng: real
    rearrange: Rearrange = lambda described, _adjustment, _band, _rng: described
    copies: bool = False


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
    everything = divided(dataset)[1]
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


def planted(dataset: Dataset) -> dict[str, Defect]:
    """Return defects by name, in the order of the table: those of a sphere law, or the ladder built from data."""
    law = dataset.law
    other = generators.get(OTHER)().fit(dataset.train.voxels, dataset.train.density, rng=0)
    originals, others = divided(dataset)
    copier, finder = (Memoriser().fit(part.voxels, part.density, rng=0) for part in (originals, others))
    less, across = _less(dataset), ACROSS[law is not None]

    def simulate_or_find(density: Floats, rng: np.random.Generator) -> Voxels:
        return finder.sample(density, rng=rng) if law is None else simulate(density, law, rng, dataset.test.shape)

    def mixed(real: Voxels, density: Floats, rng: np.random.Generator) -> Voxels:
        foreign = rng.permutation(len(real))[: round(SHARE * len(real))]
        flawed = real.copy()
        if len(foreign):
            flawed[foreign] = other.sample(density[foreign], rng=rng)
        return flawed

    swapped = {SWAPPED: Defect(lambda real, _density, _rng: np.ascontiguousarray(real.swapaxes(1, 2)))}
    always = {
        f"{SPECKS} salt voxels": Defect(salted),
        "blurred and cut again": Defect(lambda real, _density, _rng: blurred(real)),
        "anisotropy of a decoder": Defect(lambda real, _density, _rng: blurred(real, (across, 0.0, across))),
        **(swapped if dataset.test.shape[0] == dataset.test.shape[1] else {}),
        f"one axis stretched {STRETCH - 1:.0%}".replace("%", " %"): Defect(
            lambda real, _density, _rng: stretched(real, STRETCH)
        ),
        f"{SHARE:.0%} {OTHER}".replace("%", " %"): Defect(mixed),
        "marginals right, joint shuffled": Defect(rearrange=shuffled_joint),
        "one mode dropped in one band": Defect(rearrange=without_a_mode),
        LESS: Defect(lambda _real, density, rng: simulate_or_find(less * density, rng)),
        "copies of training volumes": Defect(lambda _real, density, rng: copier.sample(density, rng=rng), copies=True),
        "quilted copies": Defect(lambda _real, density, rng: quilts(originals, density, rng), copies=True),
    }
    if law is None:
        from_other = Defect(lambda _real, density, rng: other.sample(density, rng=rng))
        return {**always, OTHER: from_other, "shuffled voxels": Defect(shuffled)}
    return {
        **{name: Defect(_simulated(scaled(law, factor))) for name, factor in RADIUS.items()},
        **always,
        "one radius": Defect(_simulated(monodisperse(law))),
        "clustered centres": Defect(lambda real, density, rng: clustered(density, law, rng, real.shape[1:])),
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


def blurred(real: Voxels, sigma: tuple[float, float, float] = BLUR) -> Voxels:
    """Return volumes smoothed and cut again at the same number of pore voxels, as an autoencoder would.

    Args:
        real: bool [n, depth, height, width].
        sigma: standard deviation along each axis, voxels.
    """
    smooth = ndimage.gaussian_filter(real.astype(np.float32), (0, *sigma))
    counts = np.count_nonzero(real, axis=(1, 2, 3))
    return keep_highest(torch.from_numpy(smooth), counts).numpy()


def stretched(real: Voxels, factor: float) -> Voxels:
    """Return the middle of volumes, stretched along the depth to the whole; each slice is the nearest real one."""
    centre = (real.shape[1] - 1) / 2
    nearest = np.rint(centre + (np.arange(real.shape[1]) - centre) / factor).astype(np.int64)
    return real[:, nearest]


def quilts(originals: Volumes, density: Floats, rng: np.random.Generator) -> Voxels:
    """Return volumes that are sewn from pieces of originals of nearly the densities asked for."""
    piece = min(PIECE, *originals.shape)
    flawed = np.empty((len(density), *originals.shape), dtype=np.bool_)
    order = np.argsort(density)
    for some in np.split(order, range(ALIKE, len(order), ALIKE)):
        alike = np.argsort(np.abs(originals.density - density[some].mean()), kind="stable")[:ALIKE]
        flawed[some] = quilted(originals.voxels[alike], len(some), rng, piece=piece, overlap=piece // 2)
    return flawed


def shuffled_joint(
    described: Descriptors, adjustment: Adjustment, _band: Band, rng: np.random.Generator
) -> Descriptors:
    """Return descriptors that are each right by itself: what the pore count leaves of each is dealt out anew."""
    values = {}
    for name, value in described.values.items():
        residual = adjustment.residual(described, name)
        values[name] = value - residual + rng.permutation(residual)
    return replace(described, values=values)


def without_a_mode(
    described: Descriptors, adjustment: Adjustment, band: Band, _rng: np.random.Generator
) -> Descriptors:
    """Return, in the top band, one of two clusters alone; others give way to the nearest pore count in it."""
    if np.isfinite(band.high):
        return described
    cluster = KMeans(2, n_init=4, random_state=0).fit_predict(side_by_side(adjustment.standardise(described)))
    kept = np.flatnonzero(cluster == np.bincount(cluster).argmax())
    away = np.abs(described.pore_voxels[:, None] - described.pore_voxels[kept])
    return described[kept[away.argmin(axis=1)]]


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


def divided(dataset: Dataset) -> tuple[Volumes, Volumes]:
    """Return volumes for generators to copy, and the real ones that they have not seen.

    With a law, those are the training part and all volumes. Otherwise one volume in eight is put aside, spread evenly
    over density, and real sets are made of the others.
    """
    everything = Volumes(
        np.concatenate([part.voxels for part in dataset]), np.concatenate([part.density for part in dataset])
    )
    if dataset.law is not None:
        return dataset.train, everything
    aside = np.zeros(len(everything), dtype=np.bool_)
    aside[np.argsort(everything.density, kind="stable")[ORIGINALS // 2 :: ORIGINALS]] = True
    return everything[aside], everything[~aside]
