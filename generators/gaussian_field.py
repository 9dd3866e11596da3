"""Thresholded Gaussian random fields whose covariance is inverted from the two-point probability of the training set."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.special import ndtri

from .base import Generator, Shape
from .binarise import keep_highest

Floats = NDArray[np.float64]

_logger = logging.getLogger(__name__)
_BINS = 12  # classes of density, at most
_MEMBERS = 16  # volumes in each, at least, where there are as many
_REACH = 16  # longest lag that is estimated, in voxels
_QUIET = 0.05  # correlations below this are taken for noise if they stay there
_FLAT = 0.9  # share of the inner porosity above which a layer counts as inner
_CHUNK = 2**22  # complex numbers in memory at a time, one volume excepted


class GaussianField(Generator):
    """Voxels where a Gaussian random field is highest, with the two-point probability of the training volumes.

    Thresholding a field with correlation ρ gives S2 = P(both values above the threshold), a bivariate normal probability.
    It grows with ρ, so S2 measured on training volumes of similar density can be inverted for ρ lag by lag. Fields are
    filtered white noise, synthesised by one inverse Fourier transform on a grid wider than the volume by the range of
    ρ, so that a volume is not periodic. The n(d) highest voxels are pore. Negative values in the spectrum, which
    no field can have, are set to zero; ``clipped_`` keeps their share. Covariances are interpolated in ln d.

    Where training volumes have fewer pores near the boundary, ρ is estimated inside, and the field gets a mean
    that depends on the distance to the boundary, so that each layer has its porosity.

    Args:
        isotropic: True averages S2 over directions; False keeps it as measured.
        walls: True learns the porosity of layers parallel to the boundary; False makes a stationary medium.

    References:
        J. A. Quiblier (1984). A new three-dimensional modeling technique for studying porous media. J. Colloid Interface
        Sci. 98, 84-102. doi:10.1016/0021-9797(84)90306-8
        M. Teubner (1991). Level surfaces of Gaussian random fields and microemulsions. Europhys. Lett. 14, 403-408.
        doi:10.1209/0295-5075/14/5/003
        A. P. Roberts, M. Teubner (1995). Transport properties of heterogeneous materials derived from Gaussian random
        fields. Phys. Rev. E 51, 4141-4154. doi:10.1103/PhysRevE.51.4141
    """

    name = "gaussian-field"
    devices = ("cpu", "cuda")

    knots_: Floats
    correlation_: NDArray[np.float32]
    layers_: Floats
    clipped_: list[float]

    def __init__(self, *, isotropic: bool = True, walls: bool = True) -> None:
        self.isotropic = isotropic
        self.walls = walls
