"""Trees in which each place points to another one on the way to its root, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from porebench.data.compile import compiled


@compiled
def find_root(towards: NDArray[np.int32], place: int) -> int:
    """Return the place at the end of the way from a place, which points to itself, and shorten the way there.

    Args:
        towards: next place on the way from each; changed.
        place: to begin at.
    """
    while towards[place] != place:
        towards[place] = towards[towards[place]]
        place = towards[place]
    return place
