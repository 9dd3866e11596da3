"""Effective diffusivity of the solid: the one transport property that exists at every density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._kernels import solve_diffusion

INNER = (slice(1, -1),) * 3


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
    padded = np.pad(phase, 1)
    degree = np.zeros(padded.shape)
    degree[INNER] = sum(np.roll(padded, step, along)[INNER] for along in range(3) for step in (1, -1))
    degree[1] += 2.0
    degree[-2] += 2.0
    degree[~padded] = 0.0
    source = np.zeros(padded.shape)
    source[1] = 2.0 * padded[1]
    limit = 100 + 20 * sum(phase.shape)
    steps = (padded.shape[1] * padded.shape[2], padded.shape[2])
    flat, converged = solve_diffusion(degree.ravel(), source.ravel(), steps, tolerance, limit)
    if not converged:
        raise RuntimeError("diffusion did not converge; raise the tolerance")
    field = flat.reshape(padded.shape)[INNER]
    flux = float((1.0 - field[0])[phase[0]].sum() + field[-1].sum())  # mean of what enters and what leaves
    return max(flux, 0.0) * len(phase) / int(phase[0].size)
