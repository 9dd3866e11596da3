"""All descriptors of a volume together, as one point whose coordinates are uncorrelated in real volumes.

Compared one by one, descriptors miss what only their combination gives away: a generator may have the right clusters
and the right chords, but not in the same volumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .adjustment import Adjustment
from .descriptors import HEADLINE, Descriptors
from .suites import JOINT

Floats = NDArray[np.float64]
SAME = 1e-9  # spread of training volumes, in units of the least that counts, below which they are all alike


@dataclass(frozen=True, eq=False)
class Whitening:
    """Principal components of the standardised descriptors of real training volumes, each in units of its spread.

    The median variance of the components is added to each, so that the half of them that is mostly noise counts for
    less. Keeping the largest components alone, up to 95 or 99 % of the variance, finds fewer foreign volumes in rock.

    Attributes:
        adjustment: that the descriptors are standardised by.
        centre: mean of the standardised descriptors, [features].
        axes: [features, components].

    References:
        Kessy, Lewin and Strimmer (2018), doi:10.1080/00031305.2016.1277159, for whitening; Ledoit and Wolf (2004),
        doi:10.1016/S0047-259X(03)00096-4, for the shrinkage that it needs.
    """

    adjustment: Adjustment
    centre: Floats
    axes: Floats

    @classmethod
    def fit(cls, adjustment: Adjustment, train: Descriptors) -> Whitening:
        """Fit to the volumes that the adjustment was fitted on."""
        features = side_by_side(adjustment.standardise(train))
        centre = features.mean(axis=0)
        _, spread, axes = np.linalg.svd(features - centre, full_matrices=False)
        variance = spread**2 / max(len(features) - 1, 1)
        ridge = float(np.median(variance[spread > spread[0] * 1e-6])) if spread[0] > SAME else 1.0
        return cls(adjustment, centre, axes.T / np.sqrt(variance + ridge))

    def points(self, described: Descriptors) -> dict[str, Floats]:
        """Return volumes as points: by each standardised descriptor, [n, points], and as ``JOINT`` by all of them."""
        single = self.adjustment.standardise(described)
        return {**single, JOINT: (side_by_side(single) - self.centre) @ self.axes}


def side_by_side(standardised: Mapping[str, Floats]) -> Floats:
    """Return all headline descriptors of standardised volumes in one array, [n, features]."""
    return np.concatenate([standardised[name] for name in HEADLINE], axis=1)
