"""All descriptors of a volume together, as one point whose coordinates are uncorrelated in real volumes.

Compared one by one, descriptors miss what only their combination gives away: a generator may have the right clusters
and the right chords, but not in the same volumes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .adjustment import Adjustment
from .descriptors import HEADLINE, Descriptors

Floats = NDArray[np.float64]
VARIANCE = 0.95
"""Share of the variance of real volumes that the kept components have; beyond it they are mostly rounding and noise."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """Principal components of the standardised descriptors of real training volumes, each in units of its spread.

    Attributes:
        adjustment: that the descriptors are standardised by.
        centre: mean of the standardised descriptors, [features].
        axes: [features, components].

    References:
        Kessy, Lewin and Strimmer (2018), doi:10.1080/00031305.2016.1277159.
    """

    adjustment: Adjustment
    centre: Floats
    axes: Floats

    @classmethod
    def fit(cls, adjustment: Adjustment, train: Descriptors) -> Whitening:
        """Fit to the volumes that the adjustment was fitted on."""
        features = standardised(adjustment, train)
        centre = features.mean(axis=0)
        _, spread, axes = np.linalg.svd(features - centre, full_matrices=False)
        share = np.cumsum(spread**2) / max(float((spread**2).sum()), np.finfo(float).tiny)
        kept = min(int(np.searchsorted(share, VARIANCE)) + 1, max(1, len(features) // 4))
        kept = max(1, min(kept, int(np.count_nonzero(spread > spread[0] * 1e-6))))
        scale = np.maximum(spread[:kept] / np.sqrt(max(len(features) - 1, 1)), np.finfo(float).tiny)
        return cls(adjustment, centre, axes[:kept].T / scale)

    def points(self, described: Descriptors) -> Floats:
        """Return volumes as points, [n, components]."""
        return np.asarray((standardised(self.adjustment, described) - self.centre) @ self.axes)


def standardised(adjustment: Adjustment, described: Descriptors) -> Floats:
    """Return all descriptors, adjusted and in units of the real spread, side by side, [n, features]."""
    return np.concatenate([adjustment.standardise(described, name) for name in HEADLINE], axis=1)
