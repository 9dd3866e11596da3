"""Other judges than the headline: classifiers with intervals, fidelity and coverage, against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from porebench.metrics.coverage import NEIGHBOURS, coverage, expected_coverage
from porebench.metrics.descriptor_classifier import classify, fold_auc


def test_a_classifier_guesses_on_equal_sets_and_never_errs_on_separate_ones() -> None:
    rng = np.random.default_rng(16)
    one, other = rng.normal(size=(200, 10)), rng.normal(size=(200, 10))
    density = rng.random(200)
    equal = classify(one, other, density, 0)
    assert equal is not None
    for auc in (equal.logistic, equal.nonlinear):
        assert auc.low < 0.5 < auc.high
        assert auc.high - auc.low < 0.15
    apart = classify(one, other + 5, density, 0)
    assert apart is not None
    for auc in (apart.logistic, apart.nonlinear):
        assert auc.value == pytest.approx(1)
        assert auc.low > 0.98
    assert classify(one[:4], other[:4], density[:4], 0) is None
    assert classify(one, other, np.zeros(200), 0) is None


def test_volumes_that_resemble_those_of_their_density_do_not_mislead_the_classifier() -> None:
    """What real and generated volumes of one density share must not count as evidence, for or against."""
    rng = np.random.default_rng(22)
    found = []
    for seed in range(8):
        density = rng.random(100)
        shared = rng.normal(size=(100, 30))
        one, other = (shared + 0.3 * rng.normal(size=shared.shape) for _ in range(2))
        auc = classify(one, other, density, seed)
        assert auc is not None
        found.append(auc.logistic.value)
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)


def test_the_area_is_that_of_scikit_learn_within_each_fold() -> None:
    rng = np.random.default_rng(17)
    decision, generated, fold = rng.integers(20, size=90).astype(float), rng.random(90) < 0.4, np.arange(90) % 3
    areas = [roc_auc_score(generated[fold == each], decision[fold == each]) for each in range(3)]
    found = fold_auc(decision, generated, fold)
    assert found.value == pytest.approx(np.mean(areas))
    assert found.low < found.value < found.high
    flipped = fold_auc(-decision, generated, fold)
    assert (flipped.value, flipped.low, flipped.high) == pytest.approx((1 - found.value, 1 - found.high, 1 - found.low))


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_the_interval_of_the_area_holds_the_truth_as_often_as_it_says(shift: float) -> None:
    rng = np.random.default_rng(18)
    truth, generated, fold = norm.cdf(shift / np.sqrt(2)), np.repeat([True, False], 60), np.arange(120) % 3
    held = 0
    for _ in range(400):
        decision = rng.normal(size=120) + shift * generated + 10 * fold  # folds are on scales of their own
        found = fold_auc(decision, generated, fold)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.985


def test_the_interval_of_a_perfect_area_keeps_a_width() -> None:
    generated = np.repeat([True, False], 30)
    perfect = fold_auc(generated.astype(float), generated, np.zeros(60, dtype=int))
    assert (perfect.value, perfect.low, perfect.high) == (1, 0.9, 1)
    opposite = fold_auc(1 - generated.astype(float), generated, np.zeros(60, dtype=int))
    assert (opposite.value, opposite.low) == (0, 0)
    assert opposite.high == pytest.approx(0.1)


def test_a_fold_of_one_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 1 holds 0 generated"):
        fold_auc(np.arange(4.0), np.array([True, False, False, False]), np.array([0, 0, 1, 1]))


@pytest.mark.parametrize(("n", "m"), [(30, 50), (80, 80)])
def test_samples_of_one_law_have_fidelity_one_and_the_expected_coverage(n: int, m: int) -> None:
    rng = np.random.default_rng(19)
    found = [coverage(rng.normal(size=(n, 3)), rng.normal(size=(m, 3))) for _ in range(300)]
    assert np.mean([each.fidelity for each in found if each]) == pytest.approx(1, abs=0.03)
    expected = expected_coverage(n, m, NEIGHBOURS)
    assert np.mean([each.coverage for each in found if each]) == pytest.approx(expected, abs=0.01)
    assert {each.expected for each in found if each} == {expected}


def test_fidelity_and_coverage_tell_the_two_kinds_of_failure_apart() -> None:
    rng = np.random.default_rng(20)
    real = rng.normal(size=(200, 2))
    collapsed = coverage(rng.normal(0, 0.05, size=(200, 2)), real)  # real, but one kind only
    spread = coverage(rng.uniform(-30, 30, size=(200, 2)), real)  # hardly ever real
    assert collapsed is not None
    assert spread is not None
    assert collapsed.fidelity > 1
    assert collapsed.coverage < 0.3
    assert spread.fidelity < 0.1


def test_fidelity_and_coverage_equal_a_slow_count() -> None:
    rng = np.random.default_rng(21)
    fake, real = rng.normal(size=(7, 2)), rng.normal(0.5, 1, size=(9, 2))
    found = coverage(fake, real, neighbours=3)
    assert found is not None
    radius = [sorted(np.linalg.norm(real - point, axis=1))[3] for point in real]
    inside = [[np.linalg.norm(g - r) <= radius[j] for j, r in enumerate(real)] for g in fake]
    assert found.fidelity == pytest.approx(np.sum(inside) / (3 * 7))
    assert found.coverage == pytest.approx(np.mean(np.any(inside, axis=0)))


def test_too_few_points_have_no_coverage() -> None:
    assert coverage(np.zeros((3, 2)), np.zeros((1, 2))) is None
    assert coverage(np.zeros((0, 2)), np.ones((9, 2))) is None
