"""Seconds to fit each generator that is fitted, not trained, on the 448 training volumes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..evaluate import fits
from .conftest import spheres


@pytest.mark.benchmark(group="fit")
@pytest.mark.parametrize("name", ["sphere-packing", "gaussian-field", "pca"])
def test_fit(measure: Callable[..., None], name: str) -> None:
    generator, training = fits.prepare(name, spheres()).generator, spheres().train

    def fit() -> None:
        generator.fit(training.voxels, training.density, rng=0)

    measure(fit, len(training), generator=name, params=generator.params)
