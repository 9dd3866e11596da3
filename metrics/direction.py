"""Headline descriptors of direction: each axis against the mean of the three.

Every function takes bool [n, depth, height, width] (True = pore) and returns float64 [n, points]: the signed deviation
of each axis, depth first, from the mean of the axes. All are 0 for a volume that is alike along its axes, and a volume
that is turned has its deviations exchanged. Real media have a law of these deviations too: layered rock has a mean,
isotropic rock a spread about 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._batch import fields
from .morphology import PATH_LENGTHS, Values, Voxels, ratio

LAGS = np.arange(1, 9)
"""Offsets along an axis, in voxels."""


def surface_direction(voxels: Voxels) -> Values:
    """Return the share of the pore–solid faces that stand across each axis, less a third, without unit, [n, 3].

    References:
        Underwood (1970), Quantitative Stereology.

    Example:
        >>> slabs = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> slabs[:, ::2] = True
        >>> surface_direction(slabs).round(3).tolist()
        [[0.667, -0.333, -0.333]]
    """
    faces = fields(voxels).faces
    return _deviation(ratio(faces, faces.sum(axis=1, keepdims=True))[..., None])


def chord_direction(voxels: Voxels) -> Values:
    """Return the mean complete chord of the pores along each axis, less the mean of the axes, voxels, [n, 3].

    An axis without a complete chord counts as 0 long.

    References:
        Torquato and Lu (1993), doi:10.1103/PhysRevE.47.2950.

    Example:
        >>> box = np.pad(np.ones((1, 5, 2, 2), dtype=bool), ((0, 0), (1, 1), (1, 1), (1, 1)))
        >>> chord_direction(box).tolist()
        [[2.0, -1.0, -1.0]]
    """
    chords = fields(voxels).runs[1]
    lengths = np.arange(chords.shape[2])
    return _deviation(ratio(chords @ lengths, chords.sum(axis=2))[..., None])


def two_point_direction(voxels: Voxels) -> Values:
    """Return the autocovariance at 1, ..., 8 voxels along each axis, less the mean of the axes, without unit, [n, 24].

    (S2 − φ²)/(φ − φ²) of offsets along one axis alone. A lag that one of the axes is too short for is 0 for all.

    References:
        Yeong and Torquato (1998), doi:10.1103/PhysRevE.57.495.

    Example:
        >>> slabs = np.zeros((1, 8, 8, 8), dtype=bool)
        >>> slabs[:, ::2] = True
        >>> two_point_direction(slabs)[0, [0, 8, 16]].round(3).tolist()
        [-1.333, 0.667, 0.667]
    """
    batch = fields(voxels)
    shape = batch.voxels.shape[1:]
    lags = LAGS[min(shape) > LAGS]
    pairs = np.stack(
        [batch.pair_counts[:, lags, 0, 0], batch.pair_counts[:, 0, lags, 0], batch.pair_counts[:, 0, 0, lags]], 1
    )
    places = np.array([[(length - lag) * (batch.size // length) for lag in lags] for length in shape])
    porosity = (batch.pore_voxels / batch.size)[:, None, None]
    found = np.zeros((len(batch.voxels), 3, len(LAGS)))
    found[..., : len(lags)] = ratio(pairs / places.reshape(3, -1) - porosity**2, porosity * (1 - porosity))
    return _deviation(found)


def lineal_path_direction(voxels: Voxels) -> Values:
    """Return the lineal path L(k)/φ at 1, ..., 9 voxels along each axis, less the mean of the axes, [n, 27].

    A length that one of the axes is too short for is 0 for all.

    References:
        Lu and Torquato (1992), doi:10.1103/PhysRevA.45.922.

    Example:
        >>> bool(np.allclose(lineal_path_direction(np.ones((1, 12, 12, 12), dtype=bool)), 0))
        True
    """
    batch = fields(voxels)
    runs = batch.runs[0]
    inside = runs @ np.maximum(np.arange(runs.shape[2])[:, None] - PATH_LENGTHS, 0)
    shape = np.array(batch.voxels.shape[1:])
    fit = np.maximum(shape[:, None] - PATH_LENGTHS, 0) * (batch.size // shape)[:, None]
    paths = ratio(ratio(inside, np.broadcast_to(fit, inside.shape)), (batch.pore_voxels / batch.size)[:, None, None])
    return _deviation(np.where(fit.min(axis=0) > 0, paths, 0.0))


def percolation_direction(voxels: Voxels) -> Values:
    """Return whether the pores connect both faces along each axis, less the share of axes that do, [n, 3].

    References:
        PoreSpy's ``is_percolating``, doi:10.21105/joss.01296.

    Example:
        >>> channel = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> channel[0, :, 1, 1] = True
        >>> percolation_direction(channel).round(3).tolist()
        [[0.667, -0.333, -0.333]]
    """
    return _deviation(fields(voxels).percolating[..., None].astype(np.float64))


DESCRIPTORS: dict[str, Callable[[Voxels], Values]] = {
    function.__name__: function
    for function in (
        surface_direction,
        chord_direction,
        two_point_direction,
        lineal_path_direction,
        percolation_direction,
    )
}


def _deviation(values: Values) -> Values:
    """Return values [n, axis, points] less their mean over the axes, flat, [n, axis · points]."""
    return np.asarray(values - values.mean(axis=1, keepdims=True)).reshape(len(values), -1)
