"""Simulated annealing: voxels are swapped until pairs and straight paths are those of a training volume."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled

from .base import Floats, Generator, Shape
from .machine import side_by_side
from .stored import check_finite

Ints = NDArray[np.int64]

_RANGES = (("sweeps", 0, 10_000), ("reach", 1, 1000), ("neighbours", 1, 10**6), ("start", 0, 1e6))
_PROBES = 2000  # swaps that tell how hot the start must be
_ASLEEP = 1e-3  # share of accepted swaps in a sweep below which nothing is left to gain
_TRIES = 8  # voxels that are looked at to find one on the boundary between the phases


class Annealing(Generator):
    """Volumes whose pair and path statistics along each axis are those of a training volume of nearly their density.

    For each volume one of the training volumes that are nearest in density is the target, so that statistics scatter
    between draws as they do in the medium. Its two-point correlation and its lineal path are kept along each axis, the
    porosity is that of the porosity law. From random voxels, a pore voxel and a solid voxel at a time are swapped; a
    swap that brings the statistics nearer to the target is accepted, another one with a chance that falls with its
    cost and, sweep by sweep, with the temperature (Metropolis). Voxels inside a phase are passed over: they are
    swapped late in an annealing only to be swapped back. Where no training volume has a pore on its boundary, none is
    put there.

    What no pair and no straight path shows is not reproduced: clusters, their number and whether they percolate.
    A draw takes seconds, and its time grows with the number of voxels.

    Args:
        sweeps: swaps that are tried for each voxel.
        reach: longest lag, and longest path, in voxels.
        neighbours: number of nearest training volumes of which one is the target.
        start: temperature of the first sweep over the mean cost of a swap of random voxels. Validation volumes of
            spheres and Berea prefer 0.001 to 1, 0.01 and 0.0001, as they do 20 sweeps to 60.
        cooling: temperature of a sweep over that of the sweep before; 0.7 to 0.9 were tried.

    References:
        C. L. Y. Yeong, S. Torquato (1998). Reconstructing random media. Phys. Rev. E 57, 495-506.
        doi:10.1103/PhysRevE.57.495
        T. Tang, Q. Teng, X. He, D. Luo (2009). A pixel selection rule based on the number of different-phase neighbours
        for the simulated annealing reconstruction of sandstone microstructure. J. Microsc. 234, 262-268.
        doi:10.1111/j.1365-2818.2009.03173.x
    """

    name = "annealing"
    trained_on: ClassVar[tuple[str, ...]] = (
        "specific_surface",
        "mean_chord",
        "chord_lengths",
        "two_point_correlation",
        "lineal_path",
        "surface_direction",
        "chord_direction",
        "two_point_direction",
        "lineal_path_direction",
    )
    axes: ClassVar[dict[str, str]] = {"statistics_": "n 3 3 reach?", "porosity_": "n", "density_": "n"}

    statistics_: NDArray[np.float32]
    porosity_: Floats
    density_: Floats
    inside_: bool

    def __init__(
        self, *, sweeps: int = 20, reach: int = 15, neighbours: int = 10, start: float = 1e-3, cooling: float = 0.8
    ) -> None:
        self.sweeps = sweeps
        self.reach = reach
        self.neighbours = neighbours
        self.start = start
        self.cooling = cooling

    def _check(self) -> None:
        """Raise ValueError where an argument is out of range."""
        for name, least, most in _RANGES:
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie between {least} and {most}, got {getattr(self, name)}")
        if not 0 < self.cooling < 1:
            raise ValueError(f"cooling must lie between 0 and 1, got {self.cooling}")

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        check_finite(arrays)
        super()._set_state(arrays, values)
        self._check()
        if not isinstance(self.inside_, bool):
            raise ValueError("it does not state whether pores keep from its walls")
        if any(array.dtype.kind != "f" for array in (self.statistics_, self.porosity_, self.density_)):
            raise ValueError("its statistics, porosities and densities are not floating-point numbers")

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:  # noqa: ARG002
        self._check()
        places = _places(volumes.shape[1:], self.reach)
        voxels = np.ascontiguousarray(volumes).view(np.uint8)
        counts = np.stack([count(volume, self.reach) for volume in voxels])
        self.statistics_ = (counts / np.maximum(places, 1)).astype(np.float32)
        self.porosity_ = volumes.mean(axis=(1, 2, 3))
        self.density_ = density.copy()
        pores = np.count_nonzero(volumes)
        self.inside_ = bool(0 < pores == np.count_nonzero(volumes[:, 1:-1, 1:-1, 1:-1]))

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        voxels = int(np.prod(shape))
        places = _places(shape, self.reach)
        known = places * (_places(self.shape_, self.reach) > 0)
        weight = np.where(known > 0, 1 / np.maximum(known, 1.0), 0)
        margin = int(self.inside_ and min(shape) > 2)
        room = int(np.prod(np.array(shape) - 2 * margin))
        counts = self.law_.pore_voxels(density, voxels)
        margins = np.where(counts > room, 0, margin)
        drawn = np.zeros((len(density), *shape), dtype=np.bool_)

        def draw(row: int, stream: np.random.Generator) -> None:
            nearest = np.argsort(np.abs(self.density_ - density[row]), kind="stable")[: self.neighbours]
            chosen = nearest[stream.integers(len(nearest))]
            target = known * _at_porosity(self.statistics_[chosen], float(self.porosity_[chosen]), counts[row] / voxels)
            pores, layers = int(counts[row]), int(margins[row])
            anneal(
                drawn[row].view(np.uint8), pores, layers, target, weight, self.sweeps, self.start, self.cooling, stream
            )

        side_by_side(draw, range(len(density)), rng.spawn(len(density)))
        return drawn


def _at_porosity(statistics: NDArray[np.float32], porosity: float, wanted: float) -> Floats:
    """Return the statistics of a volume, [3, 3, reach], as they would be at another porosity.

    Unlike pairs go with φ(1 - φ), all that counts pores with φ. Pairs of pores follow from the others.
    """
    pairs, unlike, paths = statistics.astype(np.float64)
    more = wanted / max(porosity, 1e-9)
    apart = unlike * more * (1 - wanted) / max(1 - porosity, 1e-9)
    return np.stack([(pairs + unlike / 2) * more - apart / 2, apart, paths * more])


def _places(shape: tuple[int, ...], reach: int) -> Floats:
    """Return how many pairs of each lag, and paths of each length, have room along each axis, [3, 3, reach]."""
    sides, steps = np.array(shape)[:, None], np.arange(1, reach + 1)
    room: Floats = np.prod(shape) / sides * np.maximum(sides - steps, 0.0)
    return np.stack([room, room, room])  # a path of step + 1 voxels has as much room as a pair of that lag


@compiled
def _strides(volume: NDArray[np.uint8]) -> tuple[int, int, int]:
    return volume.shape[1] * volume.shape[2], volume.shape[2], 1


@compiled
def _change(
    flat: NDArray[np.uint8], shape: Shape, strides: tuple[int, int, int], place: int, sign: int, change: Ints
) -> None:
    """Add what one voxel as pore contributes to the counts, times a sign; the voxel itself is not looked at.

    Args:
        flat: voxels uint8 [voxels].
        shape: of the volume.
        strides: of its axes, in voxels.
        place: of the voxel.
        sign: 1 where the voxel becomes pore, -1 where it becomes solid.
        change: int64 [3, 3, reach], pairs of pores, pairs of unlike voxels, and paths; changed in place.
    """
    reach = change.shape[2]
    for axis in range(3):
        stride = strides[axis]
        before = place // stride % shape[axis]
        after = shape[axis] - 1 - before
        left = min(before, reach)
        right = min(after, reach)
        for lag in range(1, max(left, right) + 1):
            ends, pores = 0, 0
            if lag <= left:
                ends += 1
                pores += flat[place - lag * stride]
            if lag <= right:
                ends += 1
                pores += flat[place + lag * stride]
            change[0, axis, lag - 1] += sign * pores
            change[1, axis, lag - 1] += sign * (ends - 2 * pores)
        run_left = 0
        while run_left < left and flat[place - (run_left + 1) * stride]:
            run_left += 1
        run_right = 0
        while run_right < right and flat[place + (run_right + 1) * stride]:
            run_right += 1
        for step in range(1, min(run_left + run_right, reach) + 1):  # paths of step + 1 voxels through this one
            change[2, axis, step - 1] += sign * (min(run_left, step) + min(run_right, step) - step + 1)


@compiled
def count(volume: NDArray[np.uint8], reach: int) -> Ints:
    """Return the number of pairs of pores, of pairs of unlike voxels, and of straight paths, along each axis.

    Args:
        volume: uint8 [depth, height, width], 1 = pore.
        reach: longest lag in voxels.

    Returns:
        int64 [3, 3, reach]: pairs of two pore voxels at each lag, pairs of a pore and a solid voxel at each lag, and
        paths of lag + 1 pore voxels.
    """
    flat = volume.reshape(-1)
    built = np.zeros_like(flat)
    strides = _strides(volume)
    counts = np.zeros((3, 3, reach), dtype=np.int64)
    for place in range(flat.size):  # voxel by voxel, so that the one loop over lags counts and updates alike
        if flat[place]:
            _change(built, volume.shape, strides, place, 1, counts)
            built[place] = 1
    return counts


@compiled
def _cost(counts: Ints, change: Ints, target: Floats, weight: Floats) -> float:
    """Return the sum of squared differences from the target after a change of the counts."""
    total = 0.0
    for kind in range(3):
        for axis in range(3):
            for lag in range(counts.shape[2]):
                away = (counts[kind, axis, lag] + change[kind, axis, lag] - target[kind, axis, lag]) * weight[
                    kind, axis, lag
                ]
                total += away * away
    return total


@compiled
def _pick(
    flat: NDArray[np.uint8],
    shape: Shape,
    strides: tuple[int, int, int],
    places: NDArray[np.int32],
    stream: np.random.Generator,
) -> int:
    """Return the index of a random one of some voxels, if possible one with a neighbour of the other phase."""
    index = 0
    for _ in range(_TRIES):
        index = int(stream.random() * places.size)
        place = places[index]
        for axis in range(3):
            stride = strides[axis]
            before = place // stride % shape[axis]
            if before > 0 and flat[place - stride] != flat[place]:
                return index
            if before < shape[axis] - 1 and flat[place + stride] != flat[place]:
                return index
    return index


@compiled
def _scatter(
    flat: NDArray[np.uint8],
    shape: Shape,
    strides: tuple[int, int, int],
    pores: int,
    margin: int,
    stream: np.random.Generator,
) -> NDArray[np.int32]:
    """Make random voxels pore, and return the places of all voxels inside the margin, those that became pore first."""
    free = np.empty(flat.size, dtype=np.int32)
    room = 0
    for place in range(flat.size):
        inside = True
        for axis in range(3):
            before = place // strides[axis] % shape[axis]
            inside = inside and margin <= before < shape[axis] - margin
        if inside:
            free[room] = place
            room += 1
    for index in range(pores):  # the first of a random order
        other = index + int(stream.random() * (room - index))
        free[index], free[other] = free[other], free[index]
        flat[free[index]] = 1
    return free[:room]


@compiled
def anneal(
    volume: NDArray[np.uint8],
    pores: int,
    margin: int,
    target: Floats,
    weight: Floats,
    sweeps: int,
    start: float,
    cooling: float,
    stream: np.random.Generator,
) -> None:
    """Write voxels whose counts of pairs and paths are near a target into a volume.

    Args:
        volume: uint8 [depth, height, width], all 0 before.
        pores: number of pore voxels; there must be room for them inside the margin.
        margin: layers of voxels on the boundary that stay solid.
        target: float64 [3, 3, reach], counts of pairs, unlike pairs and paths.
        weight: float64 [3, 3, reach], of each difference.
        sweeps: swaps that are tried for each voxel.
        start: temperature of the first sweep over the mean cost of a swap of random voxels.
        cooling: temperature of a sweep over that of the sweep before.
        stream: of random numbers.
    """
    flat = volume.reshape(-1)  # a view
    shape, strides = volume.shape, _strides(volume)
    free = _scatter(flat, shape, strides, pores, margin, stream)
    dark, bright = free[:pores], free[pores:]
    if dark.size == 0 or bright.size == 0 or sweeps == 0:
        return
    counts = count(volume, target.shape[2])
    change = np.zeros_like(counts)
    energy = _cost(counts, change, target, weight)
    temperature = 0.0
    probing = _PROBES
    heat = 0.0
    trial = 0
    accepted = 0
    sweep = free.size
    while trial < sweeps * sweep:
        here = _pick(flat, shape, strides, dark, stream)
        there = _pick(flat, shape, strides, bright, stream)
        out, into = dark[here], bright[there]
        change[:] = 0
        flat[out] = 0
        _change(flat, shape, strides, out, -1, change)
        _change(flat, shape, strides, into, 1, change)
        after = _cost(counts, change, target, weight)
        if probing > 0:
            heat += abs(after - energy) / _PROBES
            probing -= 1
            if probing == 0:
                temperature = start * heat
        rise = after - energy
        if rise <= 0 or (temperature > 0 and stream.random() < np.exp(-rise / temperature)):
            flat[into] = 1
            dark[here], bright[there] = into, out
            counts += change
            energy = after
            accepted += 1
        else:
            flat[out] = 1
        trial += 1
        if trial % sweep == 0:
            temperature *= cooling
            if accepted < _ASLEEP * sweep:
                return
            accepted = 0
