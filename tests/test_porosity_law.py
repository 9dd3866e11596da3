import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from porebench import data
from porebench.generators.porosity_law import PorosityLaw

VOXELS = 27_000


def _law(density, porosity, voxels: int = VOXELS) -> PorosityLaw:
    return PorosityLaw.fit(np.asarray(density), np.rint(np.asarray(porosity) * voxels).astype(np.int64), voxels)


def test_an_exact_power_law_is_recovered() -> None:
    density = np.linspace(0.2, 1, 100)
    law = _law(density, (density / 1.3) ** 4)
    assert law.coefficient == pytest.approx(1.3, rel=0.003)
    assert law.exponent == pytest.approx(0.25, rel=0.003)
    assert law.r_squared > 0.9999
    assert law.knots == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.01)
    assert law.porosity(density) == pytest.approx((density / 1.3) ** 4, rel=0.03)


def test_data_whose_density_is_their_porosity_get_the_identity() -> None:
    porosity = np.linspace(0.05, 0.6, 60)
    law = _law(porosity, porosity)
    assert law.porosity([0, 0.1, 0.33, 0.6]) == pytest.approx([0, 0.1, 0.33, 0.6], abs=0.002)
    assert law.porosity(0.9) == pytest.approx(0.9, abs=0.01), "it extrapolates"


def test_what_a_power_law_leaves_over_is_taken_up_by_the_knots() -> None:
    density = np.linspace(0, 1, 400)
    porosity = 0.3 * density**3 * (1 + 0.3 * np.sin(3 * density))
    law = _law(density, porosity)
    power = (density / law.coefficient) ** (1 / law.exponent)
    upper = density > 0.4
    assert law.porosity(density)[upper] == pytest.approx(porosity[upper], rel=0.03)
    assert power[upper] != pytest.approx(porosity[upper], rel=0.08)


def test_simulated_volumes_follow_the_published_law() -> None:
    density = np.random.default_rng(0).uniform(0, 1, 300)
    pores = data.simulate(density, "spheres", rng=1).sum(axis=(1, 2, 3))
    law = PorosityLaw.fit(density, pores, VOXELS)
    assert law.coefficient / VOXELS**law.exponent == pytest.approx(0.0882, rel=0.05)
    assert law.exponent == pytest.approx(0.2632, rel=0.03)
    assert law.r_squared > 0.99
    upper = density > 0.5
    assert law.pore_voxels(density[upper], VOXELS).sum() == pytest.approx(pores[upper].sum(), rel=0.02)


@pytest.mark.parametrize(
    ("density", "porosity"),
    [
        ([0.5], [0.2]),
        ([0.5], [0.0]),
        ([0.2, 0.4], [0, 0]),
        ([0.2, 0.4], [1, 1]),
        ([0, 0], [0, 1]),
        ([0.3] * 9, [0.1] * 9),
    ],
    ids=["one", "one empty", "all empty", "all full", "no density", "equal"],
)
def test_sets_from_which_no_power_law_can_be_learnt_still_give_a_law(density, porosity) -> None:
    law = _law(density, porosity)
    assert (law.exponent, law.r_squared) == (1, 0)
    assert np.all((law.porosity(np.linspace(0, 1, 11)) >= 0) & (law.porosity(np.linspace(0, 1, 11)) <= 1))


def test_one_density_gives_porosity_in_proportion() -> None:
    law = _law([0.5], [0.2])
    assert law.porosity([0, 0.25, 0.5, 1]) == pytest.approx([0, 0.1, 0.2, 0.4], abs=1e-3)
    assert _law([0.95] * 64, [0.3] * 64).porosity(0.95) == pytest.approx(0.3, abs=1e-3)
    assert _law([0.2, 0.4], [0.1, 0.3]).porosity([0.2, 0.4]) == pytest.approx([0.1, 0.3], abs=0.04)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), min_size=1, max_size=30))
def test_porosity_lies_between_0_and_1_and_never_falls(pairs) -> None:
    law = PorosityLaw.fit(np.array([d for d, _ in pairs]), np.array([n for _, n in pairs]), 1000)
    porosity = law.porosity(np.linspace(0, 1, 41))
    assert np.all((porosity >= 0) & (porosity <= 1))
    assert np.all(np.diff(porosity) >= 0)
    counts = law.pore_voxels(np.linspace(0, 1, 41), 720)
    assert counts.dtype == np.int64
    assert np.all((counts >= 0) & (counts <= 720))


def test_shapes_of_densities_are_kept_and_numbers_scale_with_the_volume() -> None:
    law = _law(np.linspace(0.2, 1, 50), np.linspace(0.2, 1, 50) ** 3 / 3)
    assert law.porosity(0.5).shape == ()
    assert law.porosity([[0.5, 0.6]]).shape == (1, 2)
    assert law.pore_voxels([0.9], 8 * VOXELS) == pytest.approx(8 * law.pore_voxels([0.9], VOXELS), abs=8)


def test_a_law_survives_json() -> None:
    law = _law(np.linspace(0.2, 1, 50), np.linspace(0.2, 1, 50) ** 3 / 3)
    assert PorosityLaw(**json.loads(json.dumps(asdict(law)))) == law
