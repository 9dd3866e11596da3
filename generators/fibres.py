"""Random straight fibres whose radius, number and directions are learnt from voxels: a model of fibrous media."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from porebench.data.compile import compiled

from .base import Floats, Generator, Shape
from .machine import side_by_side
from .stored import check_finite

_NODES = 9  # densities at which radius and spreads are kept
_BANDWIDTH = 0.1  # in density, of the training volumes that a node looks at
_ROUNDS, _SIMULATED = 4, 24  # corrections of the learnt values, and volumes a node that are simulated for each
_RADII = (0.4, 1.0)  # least radius in voxels, and largest in shortest edges of the volume
_SPREADS = 20.0  # most that one axis' spread may exceed another's
_MOST = 100_000  # fibres in a volume; voxels that none has met by then are made solid as they come
_NORMALS = np.random.default_rng(0).standard_normal((4096, 3))  # directions at which expectations are taken


class Fibres(Generator):
    """Solid fibres at random: infinite straight cylinders of one radius, which may overlap, around a Poisson process.

    At a density the porosity is that of the porosity law, to the voxel: fibres are laid one by one until the solid
    voxels are as many as wanted, the last fibre as thin as it must be. The radius follows from the number of pore-solid
    faces, since the specific surface s of a Boolean model of cylinders of radius r and porosity φ is -2·φ·ln φ/r. The
    directions are those of normal vectors with a standard deviation of their own along each axis (angular central
    Gaussian law), such that the faces across the three axes are in the ratio of the training volumes'. Both are
    corrected until simulated volumes have as many faces as real ones.

    Fibres are neither curved nor crossed by pores of other kinds, and all pores connect. Media that are no fibres, such
    as rocks, keep their surface and direction and nothing else.

    References:
        S. N. Chiu, D. Stoyan, W. S. Kendall, J. Mecke (2013). Stochastic Geometry and its Applications, 3rd ed., Wiley,
        chapters 3 and 8 (Boolean models, fibre processes). doi:10.1002/9781118658222
        D. E. Tyler (1987). Statistical analysis for the angular central Gaussian distribution on the sphere.
        Biometrika 74, 579-589. doi:10.1093/biomet/74.3.579
    """

    name = "fibres"
    trained_on: ClassVar[tuple[str, ...]] = ("specific_surface", "mean_chord", "surface_direction", "chord_direction")
    axes: ClassVar[dict[str, str]] = {"nodes_": "k", "radius_": "k", "spread_": "k 3"}

    nodes_: Floats
    radius_: Floats
    spread_: Floats

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        self.nodes_ = np.unique(np.quantile(density, np.linspace(0.02, 0.98, _NODES)))
        self.radius_, self.spread_ = np.ones(len(self.nodes_)), np.ones((len(self.nodes_), 3))
        wanted = self._at_nodes(faces(volumes), density)
        known = np.flatnonzero(np.all(wanted > 0, axis=1))
        aim = wanted[known]
        for turn in range(_ROUNDS if len(known) else 0):
            if turn:
                seen = self._at_nodes(*self._simulated(rng))[known]
                aim *= np.clip(wanted[known] / np.maximum(seen, 1e-12), 0.5, 2)
            found = [_fibre(*both) for both in zip(aim, self.law_.porosity(self.nodes_[known]), strict=True)]
            radius = np.clip([radius for radius, _ in found], _RADII[0], _RADII[1] * min(self.shape_))
            self.radius_ = np.interp(self.nodes_, self.nodes_[known], radius)
            spread = np.stack([spread for _, spread in found])
            self.spread_ = np.stack([np.interp(self.nodes_, self.nodes_[known], each) for each in spread.T], axis=1)

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        check_finite(arrays)
        super()._set_state(arrays, values)
        if any(array.dtype != np.float64 for array in (self.nodes_, self.radius_, self.spread_)):
            raise ValueError("its nodes, radii and spreads are not float64")
        widest = self.spread_.max() / max(self.spread_.min(), 1e-300)
        if (np.diff(self.nodes_) <= 0).any() or self.radius_.min() < _RADII[0] or not 0 < widest <= _SPREADS**3:
            raise ValueError("its nodes do not rise, or its radii or spreads lie out of range")

    def _simulated(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return the faces of drawn volumes [n, 3] and their densities [n], some at each node."""
        density = np.repeat(self.nodes_, _SIMULATED)
        return faces(self._sample(density, self.shape_, rng)), density

    def _at_nodes(self, values: Floats, density: Floats) -> Floats:
        """Return the mean of values [n, 3] around the density of each node, [nodes, 3]."""
        away = (density - self.nodes_[:, None]) / _BANDWIDTH
        weight = np.exp(-0.5 * (away**2 - np.min(away**2, axis=1, keepdims=True)))
        mean: Floats = weight @ values / weight.sum(axis=1, keepdims=True)
        return mean

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        voxels = int(np.prod(shape))
        solid = voxels - self.law_.pore_voxels(density, voxels)
        radius = np.interp(density, self.nodes_, self.radius_)
        spread = np.stack([np.interp(density, self.nodes_, column) for column in self.spread_.T], axis=1)
        drawn = np.ones((len(density), *shape), dtype=np.bool_)

        def draw(row: int, stream: np.random.Generator) -> None:
            lay(drawn[row], int(solid[row]), float(radius[row]), spread[row], stream)

        side_by_side(draw, range(len(density)), rng.spawn(len(density)))
        return drawn


def faces(volumes: NDArray[np.bool_]) -> Floats:
    """Return the pore-solid faces across each axis, per pair of neighbouring voxels, float64 [n, 3]."""
    crossed = [
        np.diff(volumes, axis=axis).mean(axis=(1, 2, 3)) if volumes.shape[axis] > 1 else np.zeros(len(volumes))
        for axis in (1, 2, 3)
    ]
    return np.stack(crossed, axis=1)


def _fibre(crossed: Floats, porosity: float) -> tuple[float, Floats]:
    """Return radius and standard deviations of the directions, of geometric mean 1, of fibres with given faces.

    Args:
        crossed: faces across each axis per voxel length, [3].
        porosity: of the volume.
    """

    def directions(logarithms: Floats) -> Floats:
        spread = np.exp([*logarithms, -np.sum(logarithms)])
        vectors = _NORMALS * spread
        sine = np.sqrt(1 - (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) ** 2)
        return np.asarray(2 / np.pi * sine.mean(axis=0))  # mean |cosine| of the surface's normal with each axis

    def away(logarithms: Floats) -> Floats:
        shown = directions(logarithms)
        return np.asarray(shown / shown.sum() - crossed / crossed.sum())

    most = np.log(_SPREADS)
    logarithms = least_squares(away, np.zeros(2), bounds=(-most, most)).x
    surface = crossed.sum() / directions(logarithms).sum()
    shown = np.clip(porosity, 1e-6, 1 - 1e-6)
    return -2 * shown * np.log(shown) / surface, np.exp([*logarithms, -logarithms.sum()])


@compiled
def lay(volume: NDArray[np.bool_], solid: int, radius: float, spread: Floats, stream: np.random.Generator) -> None:
    """Lay fibres at random into a volume that is all pore, until enough of its voxels are solid.

    Args:
        volume: bool [depth, height, width], True = pore; changed in place.
        solid: voxels that are to be solid.
        radius: of a fibre, in voxels.
        spread: standard deviations of the vector along a fibre, [3].
        stream: of random numbers.
    """
    depth, height, width = volume.shape
    if solid == volume.size:  # the last voxels would take many fibres
        volume[:] = False
        return
    middle = np.array([(depth - 1) / 2, (height - 1) / 2, (width - 1) / 2])
    reach = np.sqrt(_product(middle, middle)) + radius  # of a ball that holds all that can be touched
    wanted = solid
    along = np.empty(3)
    across = np.empty(3)
    centre = np.empty(3)
    laid = 0
    while wanted > 0 and laid < _MOST:
        laid += 1
        for axis in range(3):
            along[axis] = spread[axis] * stream.standard_normal()
            across[axis] = stream.standard_normal()
        long = np.sqrt(_product(along, along))
        for axis in range(3):
            along[axis] /= long
        common = _product(across, along)
        for axis in range(3):  # normal to the fibre, in a direction that is uniform around it
            across[axis] -= common * along[axis]
        long, far = np.sqrt(_product(across, across)), reach * np.sqrt(stream.random())
        for axis in range(3):
            across[axis] /= long
            centre[axis] = middle[axis] + far * across[axis]
        wanted -= _press(volume, centre, along, radius, wanted)
    for place in range(volume.size):
        if wanted == 0:
            break
        if volume.flat[place]:
            volume.flat[place] = False
            wanted -= 1


@compiled
def _product(one: Floats, other: Floats) -> float:
    """Return the scalar product of two vectors [3], in a loop, which numba compiles ten times as fast as a sum."""
    total = 0.0
    for axis in range(3):
        total += one[axis] * other[axis]
    return total


@compiled
def _press(volume: NDArray[np.bool_], centre: Floats, along: Floats, radius: float, most: int) -> int:
    """Make the voxels of a fibre solid, those nearest to its axis if they are too many; return how many became so."""
    touched = _touch(volume, centre, along, radius, False, volume.size)
    if touched <= most:
        return _touch(volume, centre, along, radius, True, most)
    thin, thick = 0.0, radius
    for _ in range(30):
        between = (thin + thick) / 2
        if _touch(volume, centre, along, between, False, most + 1) > most:
            thick = between
        else:
            thin = between
    changed = _touch(volume, centre, along, thin, True, most)
    return changed + _touch(volume, centre, along, thick, True, most - changed)


@compiled
def _touch(volume: NDArray[np.bool_], centre: Floats, along: Floats, radius: float, change: bool, most: int) -> int:
    """Return how many pore voxels lie within a fibre, at most some; make them solid if asked to."""
    depth, height, width = volume.shape
    steep = 1 - along[2] ** 2  # squared distance of a row's voxels from the axis: steep·x² - 2·slope·x + offset
    touched = 0
    for z in range(depth):
        for y in range(height):
            away_z, away_y = z - centre[0], y - centre[1]
            advance = away_z * along[0] + away_y * along[1]
            slope = advance * along[2]
            inside = radius * radius - (away_z * away_z + away_y * away_y - advance * advance)
            if steep < 1e-12:
                if inside < 0:
                    continue
                first, last = 0, width - 1
            else:
                root = slope * slope + steep * inside
                if root < 0:
                    continue
                half = np.sqrt(root)
                first = max(0, int(np.ceil(centre[2] + (slope - half) / steep)))
                last = min(width - 1, int(np.floor(centre[2] + (slope + half) / steep)))
            for x in range(first, last + 1):
                if volume[z, y, x]:
                    if touched == most:
                        return touched
                    touched += 1
                    if change:
                        volume[z, y, x] = False
    return touched
