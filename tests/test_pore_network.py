"""Pores and coordination numbers: known answers, PoreSpy's own network, empty and full volumes."""

import sys

import numpy as np
import porespy
import pytest

from porebench.metrics.pore_network import coordination, throats


def _lattice_of_balls(count: int, spacing: int, radius: float):
    """Balls on a simple cubic lattice, each overlapping its next neighbours."""
    place = (np.arange(count * spacing) + 0.5) % spacing - spacing / 2
    near = place[:, None, None] ** 2 + place[:, None] ** 2 + place**2
    return near <= radius**2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_ball_of_a_cubic_lattice_is_a_pore_and_touches_those_beside_it(count) -> None:
    pores, mean = coordination(_lattice_of_balls(count, 10, 5.6)[None])
    assert pores.tolist() == [count**3]
    assert mean[0] == pytest.approx(6 * (count - 1) / count)


def test_pores_and_throats_are_those_of_porespy() -> None:
    volume = porespy.generators.blobs([30, 30, 30], porosity=0.4, blobiness=0.7, seed=0)
    network = porespy.networks.snow2(volume, boundary_width=0, parallel_kw=None).network
    pores, mean = coordination(volume[None])
    assert pores[0] == len(network["pore.coords"])
    assert mean[0] == pytest.approx(2 * len(network["throat.conns"]) / pores[0])


def test_a_volume_without_pores_and_one_without_solid_have_no_throats() -> None:
    told = []
    volumes = np.stack([np.zeros((4, 5, 6), dtype=bool), np.ones((4, 5, 6), dtype=bool)])
    pores, mean = coordination(volumes, workers=2, progress=told.append)
    assert (pores.tolist(), mean.tolist(), told) == ([0, 1], [0.0, 0.0], [1, 1])
    assert [len(found) for found in coordination(volumes[:0])] == [0, 0]


def test_without_porespy_one_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "porespy.filters", None)
    with pytest.raises(ImportError, match=r"pip install 'porebench\[bench\]'"):
        coordination(np.ones((1, 4, 5, 6), dtype=bool))


def test_regions_that_meet_at_an_edge_alone_have_no_throat() -> None:
    regions = np.zeros((2, 2, 2), dtype=np.int32)
    regions[0, 0, 0], regions[1, 1, 0] = 1, 2
    assert throats(regions).shape == (0, 2)
