"""One generator a second time under another name: what its two rows differ by is the benchmark's own error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .base import Shape
from .sphere_packing import SpherePacking


class Twin(SpherePacking):
    """Sphere packing, fitted and drawn with other seeds than its original gets (an A/A test).

    Sphere packing is the original because it learns and draws at random on every kind of data in seconds, and because
    it comes close to the real volumes, where a false difference would matter most.

    Attributes:
        original: name of the generator that it repeats.
    """

    name = "twin"
    original: ClassVar[str] = SpherePacking.name

    def _fit(self, volumes: NDArray[np.bool_], density: NDArray[np.float64], rng: np.random.Generator) -> None:
        super()._fit(volumes, density, rng.spawn(1)[0])

    def _sample(self, density: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_]:
        return super()._sample(density, shape, rng.spawn(1)[0])
