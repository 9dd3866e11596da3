"""Generators of other toolboxes beside ours: equal shape, equal porosity, equal batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.conftest import fitted_generator, mixed_densities

ps = pytest.importorskip("porespy", reason="peers need porespy", exc_type=ImportError)

EDGE, BATCH, RADIUS = 30, 64, 2


def _porosities() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    generator, _ = fitted_generator("noise", "cpu")
    return np.asarray(generator.law_.porosity(mixed_densities(BATCH)))


def _blobs() -> None:
    for seed, porosity in enumerate(_porosities()):
        ps.generators.blobs([EDGE] * 3, porosity=porosity, blobiness=1, seed=seed)


def _overlapping_spheres() -> None:
    for seed, porosity in enumerate(_porosities()):
        ps.generators.overlapping_spheres([EDGE] * 3, r=RADIUS, porosity=1 - porosity, seed=seed)


PEERS = {"porespy blobs": _blobs, "porespy overlapping_spheres": _overlapping_spheres}


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("peer", list(PEERS))
def test_peer(measure: Callable[..., None], peer: str) -> None:
    measure(PEERS[peer], BATCH, generator=peer, params={"edge": EDGE, "radius": RADIUS, "blobiness": 1})


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("name", ["gaussian-field", "sphere-packing", "pca", "cvae", "cvae-seed"])
def test_ours_beside_the_peers(measure: Callable[..., None], name: str) -> None:
    generator, digest = fitted_generator(name, "cpu")
    density = mixed_densities(BATCH)
    measure(lambda: generator.sample(density, rng=0), BATCH, generator=name, digest=digest, params=generator.params)
