"""Generators of other toolboxes beside ours: equal shape, equal porosity, equal feature size, in one run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from porebench import data

from ..store.timings import voxel_facts
from .conftest import fitted_generator

pytest.importorskip("porespy", reason="peers need porespy", exc_type=ImportError)
from porebench.metrics.morphology import mean_chord

from .peers import PEERS, Settings, deadline, peer_settings
from .scaling import POROSITY, density_of

BATCHES = {30: 64, 100: 2, 256: 1}
FEW = {("gstools SRF", 30): 2, ("gstools SRF", 100): 1, ("porespy polydisperse_spheres", 30): 8}
"""Smaller batches of slow peers, which draw one volume at a time: it costs each volume the same."""
PATIENCE = 20.0
"""Seconds after which a call of a peer is given up."""
OURS = {
    30: ("gaussian-field", "sphere-packing", "pca", "cvae", "cvae-prior", "cvae-seed"),
    100: ("gaussian-field", "sphere-packing", "cvae", "cvae-prior"),
    256: ("gaussian-field", "sphere-packing", "cvae"),
}

_given_up: set[tuple[str, int]] = set()


@functools.cache
def _density() -> float:
    """Return the density at which the training volumes have the porosity."""
    return density_of(fitted_generator("noise", "cpu")[0].law_, POROSITY)


@functools.cache
def _chord() -> float:
    """Return the mean chord of 64 fresh real volumes of that density."""
    return float(mean_chord(data.simulate(np.full(64, _density()), rng=0)).mean())


@functools.cache
def _settings(peer: str) -> Settings:
    return peer_settings(peer, 30, POROSITY, _chord())


def _facts(drawn: NDArray[np.bool_] | None) -> dict[str, Any]:
    if drawn is None:
        return {"gave_up": PATIENCE}
    return voxel_facts(drawn) | {"mean_chord": float(mean_chord(drawn).mean())}


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize("edge", BATCHES)
@pytest.mark.parametrize("peer", PEERS)
def test_peer(measure: Callable[..., None], peer: str, edge: int) -> None:
    if peer.startswith("gstools"):
        pytest.importorskip("gstools", reason="the comparison with GSTools needs porebench[dev]")
    if (peer, edge) in _given_up:
        pytest.skip(f"{peer} was given up after {PATIENCE:g} s in an earlier block")
    settings, batch = _settings(peer), FEW.get((peer, edge), BATCHES[edge])

    def draw() -> NDArray[np.bool_] | None:
        try:
            with deadline(PATIENCE):
                return np.stack([PEERS[peer].draw(edge, settings, seed) for seed in range(batch)])
        except TimeoutError:
            _given_up.add((peer, edge))
            return None

    measure(
        draw,
        batch,
        check=_facts,
        warm=edge == 30,
        generator=peer,
        edge=edge,
        params=PEERS[peer].arguments(edge, settings),
    )


@pytest.mark.benchmark(group="peers")
@pytest.mark.parametrize(("name", "edge"), [(name, edge) for edge, names in OURS.items() for name in names])
def test_ours_beside_the_peers(measure: Callable[..., None], name: str, edge: int) -> None:
    generator, facts = fitted_generator(name, "cpu")
    density = np.full(BATCHES[edge], _density())
    measure(
        lambda: generator.sample(density, shape=(edge,) * 3, rng=0),
        len(density),
        check=_facts,
        edge=edge,
        density=_density(),
        **facts,
    )
