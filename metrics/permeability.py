"""Permeability of the pores: slow viscous flow by a lattice-Boltzmann method on the pore voxels alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from porebench.data.compile import compiled

from ._batch import spanning

Floats = NDArray[np.float64]
Links = NDArray[np.int32]

_PAIRS = np.array([v for v in product((0, 1, -1), repeat=3) if 0 < np.abs(v).sum() < 3 and v > (0, 0, 0)])
"""One velocity of each opposite pair of the lattice D3Q19, [9, 3]; population 2p moves along it, 2p + 1 against it."""
_WEIGHTS = np.where(np.abs(_PAIRS).sum(axis=1) == 1, 1 / 18, 1 / 36)
_RELAXATION = 0.7
"""Relaxation time of the symmetric part. It sets the viscosity, on which the result does not depend. Of 0.7, 0.8, 1,
1.5, 2.5 and 4, it reaches the steady state of a block of Berea in the fewest steps."""
_MAGIC = 3 / 16
"""Product of both relaxation times, each less a half. At 3/16 walls lie half-way between voxels for a flow between
parallel plates, whose velocity is then exact in every voxel. The mean over h voxels exceeds that of the parabola by
1/24, a share of 1/(2·h²)."""
_EVERY = 50  # steps between two looks at the flux


@dataclass(frozen=True)
class Permeability:
    """Permeability of one volume along an axis.

    Attributes:
        value: in squared voxel edges; 0 where no pore leads through. Times the squared edge in µm it is in µm², of
            which 0.9869 are a darcy.
        steps: of the method.
        converged: False where the steps ran out before the flux was steady.
    """

    value: float
    steps: int
    converged: bool


def permeability(
    pores: NDArray[np.bool_], *, axis: int = 0, tolerance: float = 0.01, limit: int = 50_000
) -> Permeability:
    """Return the permeability of one volume along an axis, in squared voxel edges.

    Stokes flow between two faces at constant pressures half a voxel outside the volume; the other four faces are
    mirrors, as if the volume were repeated in its mirror images. So the value holds for a volume in its surroundings
    and not for a plug in a tight sleeve. Lattice D3Q19 with two relaxation times and a linear equilibrium, hence no
    inertia; bounce-back puts the walls half-way between pore and solid voxels. A channel of one voxel is too coarse for
    it: its flux is off by tens of per cent, that of a channel of four voxels by a few.

    Args:
        pores: bool [depth, height, width], True = pore.
        axis: 0, 1 or 2, the direction of the mean gradient.
        tolerance: the method stops where no layer's flux is farther than this from the mean, relative to that, and the
            mean is half as far from the limit that its last changes point to.
        limit: steps to stop after.

    References:
        Ginzburg, Verhaeghe and d'Humières (2008), two relaxation times, Commun. Comput. Phys. 3, 427-478;
        Bailey, Myre, Walsh, Lilja and Saar (2009), one array in place of two, doi:10.1109/ICPP.2009.38.

    Example:
        >>> plates = np.ones((4, 10, 3), dtype=bool)
        >>> plates[:, [0, -1]] = False
        >>> round(permeability(plates, tolerance=1e-6).value, 3), round((8**2 / 12 + 1 / 24) * 8 / 10, 3)
        (4.3, 4.3)
    """
    phase = np.ascontiguousarray(np.moveaxis(pores, axis, 0))
    labels, clusters = ndimage.label(phase)
    through = np.zeros(clusters + 1, dtype=np.bool_)
    through[spanning(labels, 0)] = True
    conducting = through[labels]
    layer = np.nonzero(conducting)[0].astype(np.int32)
    if len(layer) == 0:
        return Permeability(0.0, 0, True)
    length, viscosity = len(phase), (_RELAXATION - 0.5) / 3
    density = 0.5 - (layer + 0.5) / length  # falls linearly from 1/2 to -1/2
    moving = np.ravel(density[:, None] * np.repeat(_WEIGHTS, 2))
    resting = density / 3
    links, rates = link(conducting, len(layer)), (1 / _RELAXATION, 1 / (0.5 + _MAGIC / (_RELAXATION - 0.5)))
    seen: list[float] = []
    while len(seen) * _EVERY < limit:
        fluxes = advance(moving, resting, links, layer, length, _EVERY // 2, *rates)
        seen.append(3 * viscosity * length * float(fluxes.sum()) / phase.size)  # the pressure is a third of the density
        uneven = float(np.abs(fluxes - fluxes.mean()).max())
        if uneven <= tolerance * fluxes.mean() and _remaining(seen[-3:]) <= tolerance / 2 * seen[-1]:
            return Permeability(seen[-1], len(seen) * _EVERY, True)
    return Permeability(seen[-1], len(seen) * _EVERY, False)


def _remaining(values: list[float]) -> float:
    """Return how far the last of three values is from the limit, if they approach it as a geometric sequence does."""
    if len(values) < 3:
        return np.inf
    before, after = abs(values[1] - values[0]), abs(values[2] - values[1])
    if after == 0:
        return 0.0
    return after * after / (before - after) if after < before else np.inf


def permeabilities(
    voxels: NDArray[np.bool_], *, workers: int = 1, progress: Callable[[int], object] | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the permeability of volumes along each axis in squared voxel edges, [n, 3], and where it converged.

    Args:
        voxels: bool [n, depth, height, width], True = pore.
        workers: threads.
        progress: called with 1 after each volume.
    """
    found = []
    with ThreadPoolExecutor(workers) as pool:
        for axes in pool.map(lambda pores: [permeability(pores, axis=axis) for axis in range(3)], voxels):
            found.append(axes)
            if progress is not None:
                progress(1)
    value = np.array([[each.value for each in axes] for axes in found], dtype=np.float64).reshape(-1, 3)
    return value, np.array([[each.converged for each in axes] for axes in found], dtype=np.bool_).reshape(-1, 3)


@compiled
def link(pores: NDArray[np.bool_], sites: int) -> Links:
    """Return where each population of each pore voxel comes from, int32 [sites, 18].

    The entry of population q of site i is the place, in the list of all populations, that holds it after collision and
    in which its opposite leaves site i. That is its own place at a wall. Beyond a face it is the mirror image's; beyond
    the first and last layer the deviation from the pressure of that face changes sign in the mirror, which a negative
    entry -place - 1 says.

    Args:
        pores: bool [depth, height, width]; flow is along the depth.
        sites: number of pore voxels.
    """
    shape = pores.shape
    number = np.full(shape, -1, dtype=np.int32)
    count = 0
    for z in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                if pores[z, y, x]:
                    number[z, y, x] = count
                    count += 1
    links = np.empty((sites, 18), dtype=np.int32)
    source, back = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    for z in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                site = number[z, y, x]
                if site >= 0:
                    for q in range(18):
                        mirrored = _trace((z, y, x), q, shape, source, back)
                        other = number[source[0], source[1], source[2]]
                        place = other * 18 + _population(back) if other >= 0 else site * 18 + q
                        links[site, q] = -place - 1 if mirrored and other >= 0 else place
    return links


@compiled
def _trace(
    here: tuple[int, int, int],
    q: int,
    shape: tuple[int, int, int],
    source: NDArray[np.int64],
    back: NDArray[np.int64],
) -> bool:
    """Write where a population comes from, and the way back; return whether it passes the first or last layer.

    Args:
        here: voxel that it comes to.
        q: number of the population.
        shape: of the volume.
        source: voxel that it comes from, or that one's mirror image, [3]; changed in place.
        back: velocity against it, or its mirror image, [3]; changed in place.
    """
    mirrored = False
    for axis in range(3):
        step = _PAIRS[q // 2, axis] * (1 - 2 * (q % 2))
        source[axis], back[axis] = here[axis] - step, -step
        if source[axis] < 0 or source[axis] >= shape[axis]:
            source[axis], back[axis] = here[axis], step
            mirrored = mirrored or axis == 0
    return mirrored


@compiled
def _population(velocity: NDArray[np.int64]) -> int:
    """Return the number of the population of a velocity, [3]."""
    for q in range(18):
        sign = 1 - 2 * (q % 2)
        if (
            sign * _PAIRS[q // 2, 0] == velocity[0]
            and sign * _PAIRS[q // 2, 1] == velocity[1]
            and sign * _PAIRS[q // 2, 2] == velocity[2]
        ):
            return q
    return -1


@compiled
def advance(
    moving: Floats,
    resting: Floats,
    links: Links,
    layer: NDArray[np.int32],
    length: int,
    rounds: int,
    even: float,
    odd: float,
) -> Floats:
    """Take two steps a round and return the flux through each layer before the last collision, [length].

    In the first step of a round each voxel collides in place and turns its populations round; in the second it fetches
    them from where they have come, collides, and leaves them where they go, which are the same places.

    Args:
        moving: populations [sites * 18], changed in place; so is the next.
        resting: populations [sites].
        links: as from ``link``.
        layer: of each site, from 0, [sites].
        length: number of layers.
        rounds: number of times two steps are taken.
        even: rate at which the symmetric part of a pair relaxes.
        odd: rate at which the antisymmetric part does.
    """
    sites = len(resting)
    held, faces = np.empty(18), np.empty(18)
    for q in range(18):
        faces[q] = (
            _WEIGHTS[q // 2] * _PAIRS[q // 2, 0] * (1 - 2 * (q % 2))
        )  # twice the weight, times a pressure of ±1/2
    fluxes = np.zeros(length)
    for _ in range(rounds):
        for site in range(sites):
            first = site * 18
            for q in range(18):
                held[q] = moving[first + q]
            resting[site], _flow = _collide(held, resting[site], even, odd)
            for pair in range(0, 18, 2):
                moving[first + pair], moving[first + pair + 1] = held[pair + 1], held[pair]
        fluxes[:] = 0
        for site in range(sites):
            for q in range(18):
                place = links[site, q]
                held[q] = moving[place] if place >= 0 else faces[q] - moving[-place - 1]
            resting[site], flow = _collide(held, resting[site], even, odd)
            fluxes[layer[site]] += flow
            for q in range(18):
                place = links[site, q]
                leaving = held[q ^ 1]
                if place >= 0:
                    moving[place] = leaving
                else:
                    moving[-place - 1] = faces[q] - leaving
    return fluxes


@compiled
def _collide(held: Floats, rest: float, even: float, odd: float) -> tuple[float, float]:
    """Relax the populations of a voxel [18] in place; return the new one at rest, and the velocity along the depth."""
    density, z, y, x = rest, 0.0, 0.0, 0.0
    for pair in range(9):
        density += held[2 * pair] + held[2 * pair + 1]
        along = held[2 * pair] - held[2 * pair + 1]
        z += along * _PAIRS[pair, 0]
        y += along * _PAIRS[pair, 1]
        x += along * _PAIRS[pair, 2]
    for pair in range(9):
        forth, back, weight = held[2 * pair], held[2 * pair + 1], _WEIGHTS[pair]
        moved = z * _PAIRS[pair, 0] + y * _PAIRS[pair, 1] + x * _PAIRS[pair, 2]
        symmetric = even * ((forth + back) / 2 - weight * density)
        antisymmetric = odd * ((forth - back) / 2 - 3 * weight * moved)
        held[2 * pair] = forth - symmetric - antisymmetric
        held[2 * pair + 1] = back - symmetric + antisymmetric
    return rest - even * (rest - density / 3), z
