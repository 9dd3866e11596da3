"""Effective diffusivity of the solid: the one transport property that exists at every density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._kernels import solve_diffusion


def effective_diffusivity(conducting: NDArray[np.bool_], *, axis: int = 0, tolerance: float = 1e-6) -> float:
    """Return D_eff/D0 of the conducting phase of one volume along an axis, in [0, 1]; the other phase insulates.

    Steady diffusion on the voxel grid by finite volumes: conductance 1 between neighbouring conducting
    voxels, 2 from the first and last layer to faces held at concentrations 1 and 0 (half a voxel away),
    no flux through the sides; solved by conjugate gradients. Equal to the porosity over the tortuosity
    factor of the conducting phase. Parallel slabs give their volume fraction, a blocked phase 0.

    Args:
        conducting: bool [depth, height, width], True where it conducts; ``~voxels`` for the solid.
        axis: 0, 1 or 2, the direction of the mean gradient.
        tolerance: relative residual at which the solver stops.

    Raises:
        RuntimeError: if the solver does not converge.

    References:
        Cooper et al. (2016), TauFactor, doi:10.1016/j.softx.2016.09.002; the upper bound that it keeps to is
        Hashin and Shtrikman's (1962), doi:10.1063/1.1728579.

    Example:
        >>> round(effective_diffusivity(np.ones((4, 5, 6), dtype=bool)), 6)
        1.0
    """
    phase = np.moveaxis(conducting, axis, 0)
    if not (phase[0].any() and phase[-1].any()):
        return 0.0
    padded = np.ascontiguousarray(np.pad(phase, 1))
    voxels = np.flatnonzero(padded)
    place = np.full(padded.size, len(voxels), dtype=np.int32)
    place[voxels] = np.arange(len(voxels))
    _, wide, high = padded.strides  # of booleans: in voxels
    steps = np.array([-padded.strides[0], padded.strides[0], -wide, wide, -high, high])
    neighbours = place[voxels[:, None] + steps]
    layer = voxels // padded.strides[0]
    inlet, outlet = layer == 1, layer == len(phase)
    degree = np.count_nonzero(neighbours < len(voxels), axis=1) + 2.0 * inlet + 2.0 * outlet
    alone = degree == 0
    limit = 100 + 20 * sum(phase.shape)
    field, converged = solve_diffusion(neighbours, np.where(alone, 1.0, degree), 2.0 * inlet, tolerance, limit)
    if not converged:
        raise RuntimeError("diffusion did not converge; raise the tolerance")
    flux = float((1.0 - field[inlet]).sum() + field[outlet].sum())  # mean of what enters and what leaves
    return max(flux, 0.0) * len(phase) / int(phase[0].size)
