"""Density bands: scores are computed inside each and averaged over those that make the headline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from porebench.data.volumes import DensityKind

FACTOR_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
HEADLINE_FROM = 0.4  # below, a volume of 30³ holds a few balls at most: printed beside the headline
ALL = "all"  # the name of the headline bands taken together


@dataclass(frozen=True)
class Band:
    """A range of densities, closed below and open above.

    Attributes:
        name: such as "0.4-0.6", for tables.
        low: lowest density that belongs to it; −inf for the first of a porosity set.
        high: lowest density that does not; inf for the last.
        headline: whether it enters the headline score.
    """

    name: str
    low: float
    high: float
    headline: bool

    def contains(self, density: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each density belongs to the band, bool like ``density``."""
        values = np.asarray(density, dtype=np.float64)
        return (values >= self.low) & (values < self.high)


def density_bands(density: ArrayLike, kind: DensityKind) -> tuple[Band, ...]:
    """Return the bands of a test set, from the lowest to the highest density; every density in [0, 1] lies in one.

    Args:
        density: densities of the test volumes, [n].
        kind: "factor" gives fifths of [0, 1], of which the upper three make the headline; "porosity" gives
            terciles of ``density``, all of which do (fewer if the densities coincide).

    Raises:
        ValueError: if ``kind`` is another word, or a porosity set is empty.

    Example:
        >>> [band.name for band in density_bands([0.5], "factor") if band.headline]
        ['0.4-0.6', '0.6-0.8', '0.8-1.0']
    """
    if kind == "factor":
        uppers = (*FACTOR_EDGES[1:-1], np.inf)
        return tuple(
            Band(f"{low:.1f}-{end:.1f}", low, high, headline=low >= HEADLINE_FROM)
            for low, end, high in zip(FACTOR_EDGES[:-1], FACTOR_EDGES[1:], uppers, strict=True)
        )
    if kind != "porosity":
        raise ValueError(f'kind must be "factor" or "porosity", got {kind!r}')
    values = np.asarray(density, dtype=np.float64)
    if values.size == 0:
        raise ValueError("expected at least one test density to take terciles of, got none")
    inner = [edge for edge in np.unique(np.quantile(values, [1 / 3, 2 / 3])) if values.min() < edge]
    edges = [-np.inf, *inner, np.inf]
    shown = [values.min(), *inner, values.max()]
    return tuple(
        Band(f"{shown[i]:.3f}-{shown[i + 1]:.3f}", float(edges[i]), float(edges[i + 1]), headline=True)
        for i in range(len(edges) - 1)
    )


def mean_defined(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
