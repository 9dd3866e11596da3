"""The verdict: p-values and their shares, reasons in words, and how often it accuses what is perfect."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from tests.test_distances import invented, scored

from porebench.benchmarks.evaluate.options import FITS, FULL, QUICK
from porebench.data import simulate
from porebench.metrics import score as scoring
from porebench.metrics.band_score import BandScore
from porebench.metrics.descriptor_classifier import classifier_swaps
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.energy import largest_swaps, toss
from porebench.metrics.estimate import Estimate
from porebench.metrics.physical import amount_swaps
from porebench.metrics.score import score
from porebench.metrics.suites import JOINT
from porebench.metrics.verdict import LEVEL, Verdict, copies_p, rejected, twice_median, verdict

WORDS = {"copies": "copies of training volumes (12 %)", "patches": "copied patches (3 %)", "amount": "too little pore"}
INNOCENT = {"structure": 0.4, JOINT: 0.5, "classifier": 0.6}
GUILTY = {"structure": 0.001, JOINT: 0.002, "classifier": 1e-9}
AXES = {"two_point_direction": "height", "surface_direction": "depth"}
WORST = {
    "mean_chord": (3.0, 2.5),
    "two_point_direction": (9.0, 8.0),
    "surface_direction": (8.0, 7.0),
    "max_distance": (20.0, 0.9),  # large and uncertain
    "euler_6": (2.0, 1.5),
    JOINT: (1.9, 1.4),
}


def band(tests: Mapping[str, float], found: Mapping[str, tuple[float, float]] | None = None) -> BandScore:
    """Record of 512 volumes, with the value and the lower end of some components."""
    known = {name: Estimate(value, low, value + 1) for name, (value, low) in (found or {}).items()}
    axes = {name: axis for name, axis in AXES.items() if name in known}
    return BandScore(True, 512, 512, 0, tests=dict(tests), descriptors=known, axes=axes)


def test_each_test_rejects_at_its_share_of_the_level() -> None:
    at = {"structure": 0.8 * LEVEL, JOINT: 0.8 * LEVEL, "copies": LEVEL / 10, "patches": LEVEL / 10}
    assert rejected(at) == [*at]
    assert rejected({name: 1.01 * p for name, p in at.items()}) == []
    assert rejected({}) == []


def test_one_of_several_p_values_must_be_smaller_for_all_that_were_looked_at() -> None:
    for least, told in ((0.039, True), (0.041, False)):
        found = verdict(band({**INNOCENT, "structure": least}, WORST), {"copies": 1.0}, WORDS)
        assert bool(found.reasons) == told


def test_a_perfect_generator_cannot_be_told_from_real() -> None:
    found = verdict(band({**INNOCENT, "amount": 0.3}, WORST), {"copies": 1.0, "patches": 0.8}, WORDS)
    assert found.reasons == ()
    assert str(found) == "cannot be told from real at N = 512"
    assert found.p == {**INNOCENT, "amount": 0.3, "copies": 1.0, "patches": 0.8}


def test_too_few_volumes_cannot_be_judged() -> None:
    assert str(verdict(BandScore(True, 1, 1, 0), {}, WORDS)) == "cannot be judged: too few volumes"


def test_three_reasons_are_named_at_most_the_worst_first_and_direction_once_with_its_axis() -> None:
    found = verdict(band({**GUILTY, "amount": 0.9}, WORST), {}, WORDS)
    assert found.reasons == ("direction (S2 along height)", "mean chord", "Euler number")
    assert str(found) == "gives itself away by: direction (S2 along height), mean chord, Euler number"


def test_copies_and_patches_come_first_and_the_amount_last() -> None:
    tests, others = {**GUILTY, "amount": 1e-6}, {"patches": 1e-6, "copies": 1e-3}
    assert verdict(band(tests, WORST), others, WORDS).reasons == (
        WORDS["copies"],
        WORDS["patches"],
        "direction (S2 along height)",
    )
    chord = {"mean_chord": WORST["mean_chord"]}
    assert verdict(band(tests, chord), others | {"patches": 1.0}, WORDS).reasons == (
        WORDS["copies"],
        "mean chord",
        WORDS["amount"],
    )


def test_a_rejected_test_of_its_own_names_no_component() -> None:
    assert verdict(band({**INNOCENT, "amount": 1e-6}, WORST), {}, WORDS).reasons == (WORDS["amount"],)
    assert verdict(band({**INNOCENT, "amount": 1.0}, WORST), {"copies": 1e-6}, WORDS).reasons == (WORDS["copies"],)
    assert verdict(band({**INNOCENT, "amount": 1e-6}, WORST)).reasons == ("amount of pore",)


def test_what_no_single_descriptor_shows_is_their_combination() -> None:
    alike = dict.fromkeys(WORST, (1.1, 0.8))
    found = verdict(band(INNOCENT | {"classifier": 1e-9, "amount": 0.9}, alike), {}, WORDS)
    assert found.reasons == ("combination of descriptors",)


def test_twice_the_median_is_a_p_value() -> None:
    assert twice_median([0.001, 0.02, 0.9]) == pytest.approx(0.04)
    assert twice_median([0.6, 0.7, 0.8]) == 1
    rng = np.random.default_rng(81)
    for shared in (0.0, 1.0):  # fits that are judged independently, and by the same number
        common = rng.random((4000, 1))
        p = np.where(rng.random((4000, 1)) < shared, common, rng.random((4000, 3)))
        rate = np.mean([twice_median(row) <= LEVEL for row in p.tolist()])
        assert rate <= binom.ppf(0.999, 4000, LEVEL) / 4000


def fit(p: float, *reasons: str, n: int = 512) -> Verdict:
    named = {re.split(r" of| \(", reason)[0]: reason for reason in reasons}
    return Verdict(n, {"structure": p, "amount": 0.5}, named)


def test_the_verdict_on_one_fit_is_its_own() -> None:
    one = fit(0.001, "mean chord")
    assert Verdict.over([one]) is one


def test_the_verdict_on_a_method_names_what_most_of_its_fits_give() -> None:
    found = Verdict.over(
        [
            fit(0.001, "Euler number", "mean chord"),
            fit(0.002, "mean chord", "percolation"),
            fit(0.5, "percolation", "mean chord", "lineal path"),
        ]
    )
    assert found.p == {"structure": pytest.approx(0.004), "amount": 1.0}
    assert found.reasons == ("mean chord", "percolation", "Euler number")
    assert found.n == 512


def test_one_bad_fit_of_three_does_not_convict_the_method() -> None:
    found = Verdict.over([fit(1e-9, "mean chord"), fit(0.4), fit(0.7)])
    assert str(found) == "cannot be told from real at N = 512"
    assert Verdict.over([fit(1e-9, "mean chord"), fit(1e-4, "mean chord"), fit(0.7)]).reasons == ("mean chord",)


def test_a_reason_with_a_number_and_direction_are_named_once_over_all_fits() -> None:
    found = Verdict.over(
        [
            fit(0.001, f"copies of training volumes ({share} %)", f"direction (S2 along {axis})", "mean chord")
            for share, axis in ((11, "depth"), (12, "height"), (13, "depth"))
        ]
    )
    assert len(found.reasons) == 3
    assert found.reasons[0].startswith("copies of training volumes (")
    assert found.reasons[1] == "direction (S2 along depth)"
    assert found.reasons[2] == "mean chord"


@pytest.mark.parametrize(("swaps", "fits"), [(FULL["n_permutations"], FITS), (QUICK["n_permutations"], 1)])
def test_swaps_are_enough_for_one_test_of_six_to_convict_alone(swaps: int, fits: int) -> None:
    least = {**dict.fromkeys(("joint", "classifier", "copies", "patches", "amount"), 0.9), "structure": 1 / (swaps + 1)}
    assert rejected(Verdict.over([Verdict(100, least, {"mean_chord": "mean chord"})] * fits).p) == ["structure"]
    assert Verdict.over([Verdict(100, least, {"mean_chord": "mean chord"})] * fits).reasons


def pores(counts: NDArray[np.int64]) -> Descriptors:
    """Descriptors of volumes of which nothing is known but the pore counts."""
    return Descriptors({}, counts, np.zeros((len(counts), 3), dtype=bool), (30, 30, 30))


def amount_p(fake: NDArray[np.float64], real: NDArray[np.float64], seed: int = 0) -> float:
    """The p-value of a difference in the amount of pore alone, from 99 swaps."""
    signs = toss(len(real), 99, np.random.default_rng(seed))
    return largest_swaps({"": amount_swaps(pores(fake.astype(np.int64)), pores(real.astype(np.int64)), signs)})[""]


def test_ten_per_cent_less_pore_is_seen_and_equal_amounts_are_not() -> None:
    rng = np.random.default_rng(82)
    volumes = rng.lognormal(8, 1, 100)  # the densities differ by far more than the ten per cent
    fake, real = (volumes * rng.lognormal(0, 0.1, 100) for _ in range(2))
    assert amount_p(0.9 * fake, real) == pytest.approx(1 / 100)
    assert amount_p(fake, real) > 0.05
    assert amount_p(real, real) == 1
    assert amount_p(2 * real, real) == pytest.approx(1 / 100)


def test_equal_amounts_of_pore_are_told_apart_in_one_of_twenty_trials() -> None:
    rng = np.random.default_rng(83)
    found = [amount_p(*rng.lognormal(8, 0.1, (2, 60)), seed) for seed in range(400)]
    told = np.count_nonzero(np.array(found) <= LEVEL)
    assert binom.ppf(0.001, 400, LEVEL) <= told <= binom.ppf(0.999, 400, LEVEL)


def test_correcting_tests_together_costs_nothing_where_they_are_the_same() -> None:
    rng = np.random.default_rng(89)
    one, other = rng.normal(size=(2, 1, 100))
    one[0, 0] = np.sort(one[0])[-3]
    alone = largest_swaps({"a": one})
    assert largest_swaps({"a": one, "b": one}) == {"a": alone["a"], "b": alone["a"]}
    assert largest_swaps({"a": one, "b": other})["a"] >= alone["a"]


def test_more_copies_than_one_in_a_hundred_are_no_accident() -> None:
    assert copies_p(0, 100) == 1
    assert copies_p(0, 0) is None
    assert copies_p(3, 100) == pytest.approx(1 - sum(binom.pmf(k, 100, 0.01) for k in range(3)))
    found = [copies_p(copies, 100) or 0.0 for copies in range(8)]
    assert found == sorted(found, reverse=True)
    assert found[3] > LEVEL > found[5]


def accused(trials: int, rng: np.random.Generator) -> int:
    """Trials in which equal laws are told apart by any of the tests of the score."""
    found = 0
    for _ in range(trials):
        density, train_density = rng.uniform(0.4, 0.6, 60), rng.uniform(0.3, 0.7, 150)  # one band
        fake, test, train = (invented(each, rng, points=2) for each in (density, density, train_density))
        record = scored(fake, test, train, density, train_density, n_bootstrap=1, n_permutations=199).headline
        found += bool(rejected(record.tests))
    return found


def test_structure_and_amount_accuse_at_most_five_perfect_generators_of_a_hundred(monkeypatch) -> None:
    monkeypatch.setattr(scoring, "classify", lambda *_: None)  # it takes nearly all of the time
    assert accused(40, np.random.default_rng(85)) <= binom.ppf(0.99, 40, LEVEL)


@pytest.mark.slow
def test_all_tests_of_the_score_accuse_four_perfect_generators_of_a_hundred() -> None:
    found = accused(200, np.random.default_rng(86))
    assert binom.ppf(0.01, 200, 0.8 * LEVEL) <= found <= binom.ppf(0.99, 200, 0.8 * LEVEL)


def test_a_classifier_between_equal_laws_is_sure_as_often_as_it_says() -> None:
    rng = np.random.default_rng(87)
    n, trials, accused = 60, 60, 0
    for seed in range(trials):
        one, other = rng.normal(size=(2, n, 8))
        swaps = classifier_swaps(one, other, rng.random(n), toss(n, 99, rng), seed)
        assert swaps is not None
        accused += largest_swaps({"": swaps})[""] <= LEVEL
    assert accused <= binom.ppf(0.999, trials, LEVEL)


def test_a_classifier_sees_a_shift_and_a_changed_correlation() -> None:
    rng = np.random.default_rng(88)
    one, other = rng.normal(size=(2, 100, 8))
    mixed = other.copy()
    mixed[:, 0::2] = mixed[:, 1::2]  # each as it was, but in pairs that agree
    for changed in (other + 0.5, mixed):
        swaps = classifier_swaps(changed, one, rng.random(100), toss(100, 199, rng), 0)
        assert swaps is not None
        assert largest_swaps({"": swaps})[""] == pytest.approx(1 / 200)
    assert classifier_swaps(one, other, np.zeros(100), toss(100, 99, rng), 0) is None


class Turned:
    """Volumes of a stretched medium, fresh ones, and fresh ones with depth and height exchanged."""

    def __init__(self) -> None:
        rng = np.random.default_rng(84)
        self.density = np.concatenate([rng.uniform(low, low + 0.2, 60) for low in (0.4, 0.6, 0.8)])
        self.train_density = rng.uniform(0.3, 1, 200)
        shape = (18, 18, 18)
        self.train = describe(simulate(self.train_density, "spheroids", rng, shape))
        self.test, self.fresh = (describe(simulate(self.density, "spheroids", rng, shape)) for _ in range(2))
        self.turned = describe(simulate(self.density, "spheroids", rng, shape).swapaxes(1, 2))

    def score(self, generated: Descriptors, suite: str) -> BandScore:
        return score(
            generated,
            self.test,
            self.train,
            generated_density=self.density,
            test_density=self.density,
            train_density=self.train_density,
            n_bootstrap=200,
            n_permutations=199,
            suite=suite,
        ).headline


@pytest.fixture(scope="module")
def medium() -> Turned:
    return Turned()


def test_a_medium_turned_by_a_right_angle_was_real_to_the_first_suite_and_is_not_to_the_second(medium: Turned) -> None:
    before, now = (medium.score(medium.turned, suite).nfr100 for suite in ("2026.1", "2026.2"))
    assert before is not None
    assert now is not None
    assert before.holds(1)
    assert now.low > 5


def test_the_verdict_on_a_turned_medium_names_direction_and_its_other_families_hold(medium: Turned) -> None:
    record = medium.score(medium.turned, "2026.2")
    found = verdict(record, {"copies": 1.0}, WORDS)
    assert found.reasons[0].startswith("direction (")
    assert found.reasons[0].endswith(("along depth)", "along height)"))
    assert set(record.axes.values()) <= {"depth", "height", "width"}
    assert record.families["direction"].low > 5
    assert all(record.families[name].value < 1.6 for name in ("size", "correlation", "topology"))


def test_the_same_medium_upright_cannot_be_told_from_real(medium: Turned) -> None:
    record = medium.score(medium.fresh, "2026.2")
    assert record.nfr100 is not None
    assert record.nfr100.holds(1)
    assert verdict(record, {"copies": 1.0}, WORDS).reasons == ()
