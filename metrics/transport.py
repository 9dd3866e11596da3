"""Effective diffusivity of a phase: the one transport property of the solid that exists at every density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._batch import spanning
from ._diffusion import conducting_voxels, solve_diffusion


def effective_diffusivity(conducting: NDArray[np.bool_], *, axis: int = 0, tolerance: float = 1e-6) -> float:
    """Return D_eff/D0 of the conducting phase of one volume along an axis, in [0, 1]; the other phase insulates.

    Steady diffusion on the voxel grid by finite volumes: conductance 1 between neighbouring conducting
    voxels, 2 from the first and last layer to faces held at concentrations 1 and 0 (half a voxel away),
    no flux through the sides. Equal to the porosity over the tortuosity factor of the conducting phase.
    Parallel slabs give their volume fraction, a blocked phase 0.

    Args:
        conducting: bool [depth, height, width], True where it conducts; ``~voxels`` for the solid.
        axis: 0, 1 or 2, the direction of the mean gradient.
        tolerance: relative error at which the solver stops, about.

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
    labels, clusters = ndimage.label(phase)
    through = np.zeros(clusters + 1, dtype=np.bool_)
    through[spanning(labels, 0)] = True
    if not through.any():
        return 0.0
    flux, converged = solve_diffusion(
        *conducting_voxels(through[labels]), len(phase), tolerance, 100 + 20 * sum(phase.shape)
    )
    if not converged:
        raise RuntimeError("diffusion did not converge; raise the tolerance")
    return flux * len(phase) / int(phase[0].size)
