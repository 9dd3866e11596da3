"""Fidelity and coverage: the two causes of a poor structure told apart.

Volumes that could not be real lower the fidelity, real kinds of volume that are never drawn the coverage.

References:
    Naeem, Oh, Uh, Choi and Yoo (2020), doi:10.48550/arXiv.2002.09797; their "density" is called fidelity here, because
    density is what a volume is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
NEIGHBOURS = 5


@dataclass(frozen=True)
class Coverage:
    """Cover of two samples of points by each other.

    Attributes:
        fidelity: balls of real points that a generated point lies in, over the number expected; 1 for equal laws, 0 if
            nothing generated lies near anything real, more than 1 if generated points crowd where real ones do.
        coverage: share of the real points with a generated point in their ball.
        expected: the coverage that two samples of one law have.
    """

    fidelity: float
    coverage: float
    expected: float


def coverage(generated: Floats, real: Floats, neighbours: int = NEIGHBOURS) -> Coverage | None:
    """Return fidelity and coverage of generated points; None with fewer than two real points or no generated ones.

    The ball of a real point reaches to its k-th nearest real neighbour.

    Args:
        generated: adjusted, standardised descriptors, [n, features].
        real: those of real volumes, [m, features].
        neighbours: k, at most m − 1.

    Example:
        >>> points = np.arange(10.0)[:, None]
        >>> coverage(points, points).coverage, coverage(points + 100, points).coverage
        (1.0, 0.0)
    """
    k = min(neighbours, len(real) - 1)
    if k < 1 or len(generated) == 0:
        return None
    apart = cdist(real, real)
    np.fill_diagonal(apart, np.inf)
    radius = np.partition(apart, k - 1, axis=1)[:, k - 1]
    inside = cdist(generated, real) <= radius
    return Coverage(
        fidelity=float(inside.sum() / (k * len(generated))),
        coverage=float(inside.any(axis=0).mean()),
        expected=expected_coverage(len(generated), len(real), k),
    )


def expected_coverage(n: int, m: int, neighbours: int = NEIGHBOURS) -> float:
    """Return the coverage of n generated points over m real ones of the same continuous law, in [0, 1].

    A real point is missed if its k nearest, among the n generated and the m − 1 other real points, are all real.

    Example:
        >>> expected_coverage(1, 2, 1)
        0.5
    """
    i = np.arange(neighbours)
    return float(1 - np.prod((m - 1 - i) / (n + m - 1 - i)))
