"""The score: bands, adjustment, energy effects, intervals, and a ladder of known flaws."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import kstest, wasserstein_distance
from tests.surrogates import blurred, gaussian_field, shuffled, spheres

from porebench.data.volumes import DensityKind
from porebench.metrics import score as scoring
from porebench.metrics.adjustment import Adjustment, fitting_window, log_count
from porebench.metrics.band_score import ScoreResult
from porebench.metrics.bands import density_bands
from porebench.metrics.descriptors import HEADLINE, Descriptors, describe
from porebench.metrics.direction import DESCRIPTORS as DIRECTION
from porebench.metrics.energy import (
    effects,
    energy_effect,
    kernel,
    noise_floor_ratio,
    pairwise,
    resample,
    swapped_effects,
    toss,
)
from porebench.metrics.estimate import Estimate
from porebench.metrics.physical import fit_density_law, percolation_share, wasserstein
from porebench.metrics.score import score
from porebench.metrics.suites import CURRENT, SUITES

Floats = NDArray[np.float64]
SIZE = 22  # the ladder's cubes: large enough for all effects, small enough for seconds
A_BAND = 60  # volumes


def invented(density: Floats, rng: np.random.Generator, *, shift: float = 0.0, points: int = 3) -> Descriptors:
    """Descriptors without volumes: every one follows ln n, with its own noise around it."""
    pores = np.maximum((density / 0.0882) ** 3.8 * rng.lognormal(0, 0.05, len(density)), 1).astype(np.int64)
    trend = 0.2 * np.log(pores)[:, None]
    shapes = {name: (len(density), 3 if name in DIRECTION else points) for name in HEADLINE}
    values = {name: trend + shift + rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    percolating = rng.random((len(density), 3)) < density[:, None]
    return Descriptors(values, pores, percolating, (30, 30, 30))


def scored(
    generated: Descriptors,
    test: Descriptors,
    train: Descriptors,
    densities: Floats,
    train_density: Floats,
    **options: int,
) -> ScoreResult:
    return score(
        generated,
        test,
        train,
        generated_density=densities,
        test_density=densities,
        train_density=train_density,
        **options,
    )


def estimate(result: ScoreResult) -> Estimate:
    """The headline score, which is there."""
    assert result.headline.nfr100 is not None
    return result.headline.nfr100


class Ladder:
    """Real volumes and sets with known flaws, described once."""

    def __init__(self) -> None:
        rng = np.random.default_rng(20)
        self.density = np.concatenate([rng.uniform(low, low + 0.2, A_BAND) for low in (0.4, 0.6, 0.8)])
        self.train_density = rng.uniform(0.3, 1, 300)
        train = spheres(self.train_density, rng, size=SIZE)
        test = spheres(self.density, rng, size=SIZE)
        nearest = linear_sum_assignment(np.abs(self.density[:, None] - self.train_density))[1]  # each copied once
        sets = {
            "real": spheres(self.density, rng, size=SIZE),
            "memoriser": train[nearest],
            "less pore": spheres(self.density, rng, size=SIZE, count=0.9),
            "radius +5 %": spheres(self.density, rng, size=SIZE, scale=1.05),
            "radius +10 %": spheres(self.density, rng, size=SIZE, scale=1.1),
            "clustered": spheres(self.density, rng, size=SIZE, cluster=0.6),
            "blurred": blurred(spheres(self.density, rng, size=SIZE)),
            "gaussian field": gaussian_field(test, rng),
            "shuffled": shuffled(test, rng),
            "empty": np.zeros_like(test),
            "full": np.ones_like(test),
        }
        self.test, self.train = describe(test), describe(train)
        self.described = {name: describe(voxels) for name, voxels in sets.items()}
        self.scores = {
            name: scored(described, self.test, self.train, self.density, self.train_density)
            for name, described in self.described.items()
        }

    def value(self, name: str) -> float:
        return estimate(self.scores[name]).value


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    return Ladder()


def test_real_volumes_cannot_be_told_from_real(ladder: Ladder) -> None:
    record = ladder.scores["real"].headline
    assert 0.6 <= ladder.value("real") <= 1.5
    assert estimate(ladder.scores["real"]).holds(1)
    assert record.p is not None
    assert record.p > 0.01
    assert record.c2st_auc is not None
    assert record.c2st_auc.value == pytest.approx(0.5, abs=0.12)


def test_the_score_rises_with_the_flaw(ladder: Ladder) -> None:
    names = ("real", "radius +5 %", "radius +10 %", "gaussian field", "shuffled")
    values = [ladder.value(name) for name in names]
    assert values == sorted(values)
    assert values[1] > 2
    assert values[-1] > 40
    assert all(ladder.value(name) > 2 for name in ("clustered", "blurred"))


def test_flawed_sets_are_significant_and_a_classifier_sees_them(ladder: Ladder) -> None:
    for name in ("radius +10 %", "gaussian field", "shuffled", "blurred"):
        record = ladder.scores[name].headline
        assert record.p == pytest.approx(1 / 201)
        assert record.c2st_auc is not None
        assert record.c2st_auc.value > 0.75


def test_too_little_pore_shows_in_the_density_columns_and_not_in_the_structure(ladder: Ladder) -> None:
    record = ladder.scores["less pore"].headline
    assert ladder.value("less pore") < 1.5
    assert record.density_bias == pytest.approx(-10, abs=1.5)
    assert record.density_error is not None
    assert record.density_error_real is not None
    assert record.density_error > record.density_error_real


def test_copies_of_training_volumes_look_real_to_the_score(ladder: Ladder) -> None:
    assert ladder.value("memoriser") < 1.6


def test_thickness_gives_away_a_wrong_radius(ladder: Ladder) -> None:
    record = ladder.scores["radius +10 %"].headline
    radius = record.physical["pore_radius"]
    assert record.worst in ("mean_local_thickness", "mean_chord", "thickness_distribution", "distance_distribution")
    assert radius.error > 3 * radius.floor
    assert 0.1 < radius.bias < 0.5
    real = ladder.scores["real"].headline.physical["pore_radius"]
    assert real.error < 2.5 * real.floor


@pytest.mark.parametrize("name", ["empty", "full"])
def test_degenerate_sets_get_a_large_finite_score(ladder: Ladder, name: str) -> None:
    result = ladder.scores[name]
    assert ladder.value(name) > 20
    assert result.headline.n_empty == (len(ladder.density) if name == "empty" else 0)
    json.dumps(asdict(result)["bands"], allow_nan=False)


def test_every_scored_band_has_all_descriptors_and_a_worst_one(ladder: Ladder) -> None:
    result = ladder.scores["blurred"]
    assert list(result.bands) == ["0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0", "all"]
    for name in ("0.4-0.6", "0.6-0.8", "0.8-1.0", "all"):
        record = result.bands[name]
        assert tuple(record.descriptors) == SUITES[CURRENT].components
        assert tuple(record.families) == tuple(SUITES[CURRENT].families)
        assert record.worst is not None
        assert record.descriptors[record.worst].value == max(each.value for each in record.descriptors.values())
        for each in record.descriptors.values():
            assert each.low <= each.high
    assert result.law is not None
    json.dumps(asdict(result)["bands"], allow_nan=False)


def test_a_band_with_too_few_volumes_is_a_counted_outcome(ladder: Ladder) -> None:
    record = ladder.scores["real"].bands["0.0-0.2"]
    assert (record.n_generated, record.n_real, record.nfr100) == (0, 0, None)
    few = np.flatnonzero(ladder.density < 0.6)[:1]
    result = score(
        ladder.described["real"][few],
        ladder.test[few],
        ladder.train,
        generated_density=ladder.density[few],
        test_density=ladder.density[few],
        train_density=ladder.train_density,
    )
    assert [band.nfr100 for band in result.bands.values()] == [None] * 6
    assert result.headline.headline
    assert result.bands["0.4-0.6"].n_generated == 1


def test_two_volumes_a_side_are_enough_for_a_finite_score(ladder: Ladder) -> None:
    pair = np.array([0, 1])
    result = scored(
        ladder.described["real"][pair], ladder.test[pair], ladder.train, ladder.density[pair], ladder.train_density
    )
    record = result.bands["0.4-0.6"]
    assert record.nfr100 is not None
    assert record.c2st_auc is None
    assert all(np.isfinite([each.value, each.low, each.high]).all() for each in record.descriptors.values())


def test_the_order_of_volumes_does_not_matter_and_the_seed_decides_the_draws(ladder: Ladder) -> None:
    order = np.random.default_rng(0).permutation(len(ladder.density))
    shuffled_order = score(
        ladder.described["blurred"][order],
        ladder.test[order],
        ladder.train,
        generated_density=ladder.density[order],
        test_density=ladder.density[order],
        train_density=ladder.train_density,
        seed=7,
    )
    again = scored(ladder.described["blurred"], ladder.test, ladder.train, ladder.density, ladder.train_density)
    for name, record in ladder.scores["blurred"].bands.items():
        other = shuffled_order.bands[name].nfr100
        assert (other and other.value) == pytest.approx(record.nfr100 and record.nfr100.value)
        assert again.bands[name] == record
    assert estimate(shuffled_order).low != estimate(again).low


def test_a_set_against_itself_shows_no_gap_at_all(ladder: Ladder) -> None:
    record = scored(ladder.test, ladder.test, ladder.train, ladder.density, ladder.train_density).headline
    assert record.nfr100 is not None
    assert astuple(record.nfr100) == pytest.approx((1, 1, 1))
    assert record.p == 1


def test_inputs_that_do_not_belong_together_are_refused(ladder: Ladder) -> None:
    with pytest.raises(ValueError, match="generated_density must have one entry"):
        score(
            ladder.test[:3],
            ladder.test,
            ladder.train,
            generated_density=ladder.density,
            test_density=ladder.density,
            train_density=ladder.train_density,
        )
    with pytest.raises(ValueError, match="one generated volume for each test density, in the same order"):
        score(
            ladder.test,
            ladder.test,
            ladder.train,
            generated_density=ladder.density[::-1],
            test_density=ladder.density,
            train_density=ladder.train_density,
        )
    other = describe(np.zeros((len(ladder.density), 8, 9, 10), dtype=bool))
    with pytest.raises(ValueError, match="one shape"):
        scored(other, ladder.test, ladder.train, ladder.density, ladder.train_density)


def test_porosity_data_is_scored_in_terciles_against_its_own_target() -> None:
    rng = np.random.default_rng(1)
    sides = []
    for _ in range(3):
        described = invented(rng.uniform(0.4, 1, 120), rng)
        sides.append((described, described.porosity))
    (fake, _), (test, test_density), (train, train_density) = sides
    result = score(
        fake,
        test,
        train,
        generated_density=test_density,
        test_density=test_density,
        train_density=train_density,
        kind="porosity",
        n_permutations=0,
    )
    assert len(result.bands) == 4
    assert all(band.headline for band in result.bands.values())
    assert result.law is None
    assert result.headline.density_error_real == pytest.approx(0)
    assert result.headline.p is None


@pytest.mark.parametrize("kind", ["factor", "porosity"])
def test_every_density_lies_in_exactly_one_band(kind: DensityKind) -> None:
    density = np.random.default_rng(0).random(200)
    bands = density_bands(density, kind)
    queries = np.concatenate([[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], density])
    assert np.all(sum(band.contains(queries).astype(int) for band in bands) == 1)
    assert len({band.name for band in bands}) == len(bands)


def test_equal_porosities_make_a_single_band_and_other_kinds_are_refused() -> None:
    assert len(density_bands([0.2, 0.2, 0.2], "porosity")) == 1
    with pytest.raises(ValueError, match="factor"):
        density_bands([0.2], "pressure")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        density_bands([], "porosity")


def test_the_fitting_window_is_half_a_band_wider_on_both_sides() -> None:
    density = np.linspace(0, 1, 201)
    band = density_bands(density, "factor")[2]
    chosen = density[fitting_window(band, density, density)]
    assert (chosen.min(), chosen.max()) == (pytest.approx(0.3, abs=0.006), pytest.approx(0.7, abs=0.006))
    assert fitting_window(band, density[:50], density).all()  # none within: all are taken


def test_the_adjustment_takes_out_a_quadratic_in_the_logarithm_of_the_count() -> None:
    rng = np.random.default_rng(2)
    described = invented(rng.uniform(0.3, 1, 200), rng)
    logarithm = log_count(described.pore_voxels)[:, None]
    noise = rng.normal(0, 0.3, (200, 2))
    values = dict.fromkeys(HEADLINE, 1 + 2 * logarithm - 0.3 * logarithm**2 + noise)
    adjustment = Adjustment.fit(Descriptors(values, described.pore_voxels, described.percolating, (30,) * 3))
    residual = adjustment.residual(
        Descriptors(values, described.pore_voxels, described.percolating, (30,) * 3), "lineal_path"
    )
    np.testing.assert_allclose(residual, noise - noise.mean(axis=0), atol=0.2)
    assert adjustment.fits["lineal_path"].scale == pytest.approx([0.3, 0.3], rel=0.15)
    with pytest.raises(ValueError, match="at least 8"):
        Adjustment.fit(described[:5])


def test_a_descriptor_that_is_constant_in_reality_is_measured_by_its_floor() -> None:
    rng = np.random.default_rng(3)
    density = rng.uniform(0.4, 0.6, 60)
    train, test, fake = (invented(density, rng) for _ in range(3))
    for part in (train, test, fake):
        part.values["n_components"] = np.full((60, 1), 4.0)
    fake.values["n_components"][::2] += 0.5
    result = scored(fake, test, train, density, density)
    value = result.bands["0.4-0.6"].descriptors["n_components"].value
    assert value == pytest.approx(np.sqrt(1 + 50 * (2 * 0.25 - 30 * 30 * 2 * 0.5 / (60 * 59)) / 0.5))
    fake.values["n_components"][:] = 4.0
    level = scored(fake, test, train, density, density).bands["0.4-0.6"].descriptors["n_components"].value
    assert level == pytest.approx(1)


def slow_effect(generated: Floats, real: Floats, counts: list[int] | None = None) -> Floats:
    """Pair by pair, each as often as it was drawn, but never a pair with itself."""
    rows = range(len(real))
    times = counts or [1] * len(real)
    across = inside = spread = number = 0.0
    for i in rows:
        for j in rows:
            if i != j:
                many = times[i] * times[j]
                across += many * float(np.linalg.norm(generated[i] - real[j]))
                inside += many * float(np.linalg.norm(generated[i] - generated[j]))
                spread += many * float(np.linalg.norm(real[i] - real[j]))
                number += many
    return (2 * across - inside - spread) / number / (spread / number)


def test_the_energy_effect_equals_a_loop_over_pairs() -> None:
    rng = np.random.default_rng(4)
    generated, real = rng.normal(0.3, 1, (8, 3)), rng.normal(0, 1, (8, 3))
    assert energy_effect(generated, real) == pytest.approx(slow_effect(generated, real))
    for wrong in (generated[:1], generated[:5], generated[:, :2]):
        with pytest.raises(ValueError, match="equally many rows"):
            energy_effect(wrong, real)


def test_a_pair_drawn_twice_is_no_two_pairs_at_distance_zero() -> None:
    rng = np.random.default_rng(5)
    generated, real = rng.normal(0, 1, (5, 1)), rng.normal(0, 1, (5, 1))
    counts = [2, 0, 1, 1, 1]
    found = effects(kernel(pairwise(np.concatenate([generated, real]))), np.array([counts], dtype=float))
    assert found.item() == pytest.approx(slow_effect(generated, real, counts))


def test_swapped_effects_equal_those_of_the_volumes_put_into_that_place() -> None:
    rng = np.random.default_rng(17)
    generated, real = rng.normal(0.5, 1, (7, 2)), rng.normal(size=(7, 2))
    signs = toss(7, 9, rng)
    assert set(np.unique(signs)) == {-1, 1}
    fast = swapped_effects(kernel(pairwise(np.concatenate([generated, real]))), signs)
    slow = []
    for row in signs:
        swap = (row < 0)[:, None]
        slow.append(energy_effect(np.where(swap, real, generated), np.where(swap, generated, real)))
    np.testing.assert_allclose(fast, slow)


def test_draws_of_a_single_pair_stay_finite_above_a_floor() -> None:
    pairs = kernel(pairwise(np.array([[3.0], [3.0], [0.0], [0.0]])))
    assert effects(pairs, np.array([[2.0, 0]]), least=0.5).item() == 0
    assert effects(pairs, np.ones((1, 2)), least=0.5).item() == pytest.approx(2 * 3 / 0.5)
    assert np.isinf(effects(pairs, np.ones((1, 2)))).item()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 12))
def test_the_effect_of_identical_sets_is_zero_and_the_gap_is_symmetric(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(n, 2)), rng.normal(1, 2, size=(n, 2))
    assert energy_effect(one, one) == pytest.approx(0, abs=1e-12)
    forth, back = energy_effect(one, other), energy_effect(other, one)
    assert forth * pairwise(other).sum() == pytest.approx(back * pairwise(one).sum())


def test_what_the_density_alone_decides_makes_no_set_look_nearer_than_real() -> None:
    rng = np.random.default_rng(18)
    values = []
    for _ in range(200):
        trend = rng.uniform(0, 10, (40, 1))
        values.append(energy_effect(trend + rng.normal(size=(40, 1)), trend + rng.normal(size=(40, 1))))
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(len(values)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_the_effect_ignores_unit_origin_and_order(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    generated, real = rng.normal(0.5, 1, (12, 2)), rng.normal(0, 1, (12, 2))
    value = energy_effect(generated, real)
    assert energy_effect(scale * generated[::-1] + shift, scale * real[::-1] + shift) == pytest.approx(
        value, rel=1e-6, abs=1e-9
    )


def test_the_effect_is_zero_on_average_between_equal_distributions() -> None:
    rng = np.random.default_rng(6)
    values = [energy_effect(rng.normal(size=(20, 3)), rng.normal(size=(20, 3))) for _ in range(400)]
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(len(values)))


@pytest.mark.parametrize("size", [25, 100])
def test_the_ratio_does_not_depend_on_the_number_of_volumes(size: int) -> None:
    rng = np.random.default_rng(7)
    values = [energy_effect(rng.normal(0.5, 1, (size, 1)), rng.normal(0, 1, (size, 1))) for _ in range(200)]
    # 2E|X−Y| − 2E|X−X'| over E|X−X'| for unit normals half a standard deviation apart
    x = np.random.default_rng(8).normal(0, np.sqrt(2), 400_000)
    exact = 2 * np.abs(x + 0.5).mean() / np.abs(x).mean() - 2
    assert noise_floor_ratio(values) == pytest.approx(noise_floor_ratio(exact), rel=0.07)


def test_pairs_are_resampled_alike_for_every_generator() -> None:
    counts = resample(6, 40, [3, 1, 6])
    assert np.array_equal(counts, resample(6, 40, [3, 1, 6]))
    assert not np.array_equal(counts, resample(6, 40, [3, 2, 6]))
    assert np.all(counts.sum(axis=1) == 6)


def test_p_is_uniform_when_generated_and_real_are_alike(monkeypatch) -> None:
    monkeypatch.setattr(scoring, "classify", lambda *_: None)
    rng = np.random.default_rng(10)
    values = []
    for _ in range(60):
        density = rng.uniform(0.4, 1, 60)
        train_density = rng.uniform(0.3, 1, 150)
        train = invented(train_density, rng, points=1)
        fake, test = invented(density, rng, points=1), invented(density, rng, points=1)
        record = scored(fake, test, train, density, train_density, n_bootstrap=2, n_permutations=99).headline
        values.append(record.p)
    assert kstest(np.array(values, dtype=np.float64), "uniform").pvalue > 0.01


def test_an_interval_of_a_shifted_set_holds_its_score_and_excludes_one() -> None:
    rng = np.random.default_rng(11)
    density, train_density = rng.uniform(0.4, 1, 300), rng.uniform(0.3, 1, 300)
    train, test, fake = invented(train_density, rng), invented(density, rng), invented(density, rng, shift=0.15)
    record = scored(fake, test, train, density, train_density).headline
    assert record.nfr100 is not None
    assert 1 < record.nfr100.low < record.nfr100.value < record.nfr100.high
    assert record.p == pytest.approx(1 / 201)


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_interval_covers_the_truth_nine_times_in_ten(shift: float) -> None:
    rng = np.random.default_rng(12)
    train_density = rng.uniform(0.3, 1, 400)
    train = invented(train_density, rng)
    density = rng.uniform(0.4, 1, 6000)
    sides = invented(density, rng, shift=shift), invented(density, rng)
    truth = estimate(scored(*sides, train, density, train_density, n_bootstrap=2)).value
    covered = []
    for _ in range(60):
        density = rng.uniform(0.4, 1, 150)
        fake, test = invented(density, rng, shift=shift), invented(density, rng)
        covered.append(estimate(scored(fake, test, train, density, train_density, n_permutations=1)).holds(truth))
    assert np.mean(covered) > 0.85


@pytest.mark.slow
def test_the_score_of_real_volumes_is_one_on_average() -> None:
    rng = np.random.default_rng(13)
    train_density = rng.uniform(0.3, 1, 300)
    train = describe(spheres(train_density, rng, size=SIZE))
    values = []
    for _ in range(8):
        density = np.concatenate([rng.uniform(low, low + 0.2, 100) for low in (0.4, 0.6, 0.8)])
        fake, test = (describe(spheres(density, rng, size=SIZE)) for _ in range(2))
        values.append(estimate(scored(fake, test, train, density, train_density)).value)
    assert all(0.6 <= value <= 1.5 for value in values)
    assert np.mean(np.array(values, dtype=np.float64)) == pytest.approx(1, abs=0.15)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 20), m=st.integers(1, 20))
def test_the_wasserstein_distance_is_that_of_scipy(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=n), rng.normal(1, 2, size=m)
    assert wasserstein(first, second) == pytest.approx(wasserstein_distance(first, second))


def test_the_density_law_is_recovered_and_undetermined_without_two_counts() -> None:
    rng = np.random.default_rng(14)
    density = rng.uniform(0.2, 1, 300)
    pores = (density / 0.0882) ** (1 / 0.2632) * rng.lognormal(0, 0.05, 300)
    law = fit_density_law(np.append(pores.astype(np.int64), 0), np.append(density, 0.1))
    assert law is not None
    assert law == (pytest.approx(0.0882, rel=0.05), pytest.approx(0.2632, rel=0.03))
    assert fit_density_law(np.array([5, 5]), np.array([0.1, 0.2])) is None


def test_the_interval_of_a_share_contains_it_and_reaches_the_ends() -> None:
    rng = np.random.default_rng(15)
    described = invented(np.full(50, 0.5), rng)
    share = percolation_share([described[:25], described[25:]])
    assert share.low < share.value < share.high
    for value in (False, True):
        described.percolating[:] = value
        share = percolation_share([described])
        assert share.value == value
        assert share.low == 0 if not value else share.high == 1
