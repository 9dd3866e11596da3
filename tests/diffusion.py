"""Diffusion in one volume solved another way, to compare the solver with."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve


def directly(phase: NDArray[np.bool_]) -> float:
    """D_eff/D0 along the first axis by SciPy's sparse LU, voxel by voxel and face by face."""
    clusters, _ = ndimage.label(phase)
    reaching = np.isin(clusters, np.setdiff1d(np.concatenate([clusters[0], clusters[-1]]), [0])) & phase
    places = {tuple(int(i) for i in place): number for number, place in enumerate(np.argwhere(reaching))}
    matrix, source = sparse.lil_matrix((len(places), len(places))), np.zeros(len(places))
    for place, number in places.items():
        for axis, side in product(range(3), (-1, 1)):
            other = places.get(tuple(i + side * (axis == a) for a, i in enumerate(place)))
            if other is not None:
                matrix[number, number] += 1
                matrix[number, other] -= 1
        for layer, held in ((0, 1.0), (len(phase) - 1, 0.0)):
            if place[0] == layer:
                matrix[number, number] += 2
                source[number] += 2 * held
    found = spsolve(matrix.tocsc(), source)
    flux = sum(2 * (1 - found[number]) for place, number in places.items() if place[0] == 0)
    return float(flux * len(phase) / phase[0].size)
