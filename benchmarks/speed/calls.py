"""The calls of PoreSpy (and of SciPy and scikit-image behind it) that come nearest to each descriptor, for timing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import euler_number

from porebench.metrics import morphology
from porebench.metrics._batch import TOUCHING, Fields
from porebench.metrics._pairs import S2_RADII

from .peers import porespy

Voxels = NDArray[np.bool_]

EDGES = np.arange(-0.5, S2_RADII + 1)
"""Of bins one voxel wide around 0, 1, ..., 12."""


@dataclass(frozen=True)
class Compared:
    """A group of descriptors and the calls that others would make for them.

    Attributes:
        ours: descriptors of a batch of volumes.
        theirs: of one volume, bool [depth, height, width].
        calls: names of what ``theirs`` calls.
    """

    ours: tuple[Callable[[Fields], Any], ...]
    theirs: Callable[[Voxels], Any]
    calls: str


def _surface(volume: Voxels) -> Any:
    ps = porespy()
    return ps.metrics.mesh_surface_area(ps.tools.mesh_region(volume))


def _profiles(volume: Voxels) -> Any:
    return [porespy().metrics.porosity_profile(volume, axis).porosity.std() for axis in range(3)]


def _chords(volume: Voxels) -> Any:
    ps = porespy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PoreSpy's use of scikit-image
        return ps.metrics.chord_length_distribution(ps.filters.apply_chords_3D(volume), bins=EDGES)


def _paths(volume: Voxels) -> Any:
    ps = porespy()
    distances = [ps.filters.distance_transform_lin(volume, axis, "forward") for axis in range(3)]
    return [ps.metrics.lineal_path_distribution(distance, bins=EDGES) for distance in distances]


def _pairs(volume: Voxels) -> Any:
    return porespy().metrics.two_point_correlation(volume, bins=EDGES)


def _thickness(volume: Voxels) -> Any:
    ps = porespy()
    distance = ndimage.distance_transform_edt(volume).astype(np.float32)
    radii = ps.filters.local_thickness(volume, dt=distance, method="legacy", sizes=np.unique(distance[volume]))
    return ps.metrics.pore_size_distribution(radii, bins=EDGES[1:], log=False)


def _distances(volume: Voxels) -> Any:
    return porespy().metrics.radial_density_distribution(ndimage.distance_transform_edt(volume), bins=EDGES)


def _clusters(volume: Voxels) -> Any:
    return np.bincount(ndimage.label(volume, TOUCHING)[0].ravel())


CALLS: dict[str, Compared] = {
    "surface": Compared((morphology.specific_surface,), _surface, "porespy mesh_region, mesh_surface_area"),
    "Euler number": Compared(
        (morphology.euler_6,),
        lambda volume: euler_number(volume, connectivity=1),  # type: ignore[no-untyped-call]
        "skimage euler_number",
    ),
    "porosity profiles": Compared((morphology.profile_sd,), _profiles, "porespy porosity_profile, 3 axes"),
    "chords": Compared(
        (morphology.mean_chord, morphology.chord_lengths),
        _chords,
        "porespy apply_chords_3D (1 line in 16), chord_length_distribution",
    ),
    "lineal path": Compared(
        (morphology.lineal_path,), _paths, "porespy distance_transform_lin, lineal_path_distribution, 3 axes"
    ),
    "two-point correlation": Compared((morphology.two_point_correlation,), _pairs, "porespy two_point_correlation"),
    "local thickness": Compared(
        (morphology.mean_local_thickness, morphology.thickness_distribution),
        _thickness,
        "porespy local_thickness (legacy, all sizes), pore_size_distribution",
    ),
    "distances": Compared(
        (morphology.max_distance, morphology.distance_distribution),
        _distances,
        "scipy distance_transform_edt, porespy radial_density_distribution",
    ),
    "clusters": Compared(
        (morphology.n_components, morphology.largest_component_fraction, morphology.component_counts),
        _clusters,
        "scipy label",
    ),
}
"""Descriptors of size, correlation and topology but for percolation and diffusion, grouped by what they share."""

ALL = "all of these"
_SINGLE = tuple(CALLS.values())
CALLS[ALL] = Compared(
    tuple(function for each in _SINGLE for function in each.ours),
    lambda volume: [each.theirs(volume) for each in _SINGLE],
    ALL,
)
