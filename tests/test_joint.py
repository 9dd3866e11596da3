"""All descriptors together: whitening, and what only a combination gives away."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from porebench.metrics.adjustment import Adjustment
from porebench.metrics.band_score import BandScore
from porebench.metrics.descriptors import HEADLINE, Descriptors
from porebench.metrics.direction import DESCRIPTORS as DIRECTION
from porebench.metrics.joint import Whitening, side_by_side
from porebench.metrics.score import score
from porebench.metrics.suites import JOINT

Floats = NDArray[np.float64]


def related(density: Floats, rng: np.random.Generator, *, shuffled: bool = False) -> Descriptors:
    """Descriptors that all follow one hidden number of their volume; each another one's where they are shuffled."""
    n = len(density)
    pores = np.maximum((density / 0.0882) ** 3.8 * rng.lognormal(0, 0.05, n), 1).astype(np.int64)
    trend, hidden = 0.2 * np.log(pores)[:, None], rng.normal(0, 0.3, (n, 1))
    values = {}
    for name in HEADLINE:
        own = hidden[rng.permutation(n)] if shuffled else hidden
        values[name] = trend + own + rng.normal(0, 0.15, (n, 3 if name in DIRECTION else 2))
    return Descriptors(values, pores, rng.random((n, 3)) < density[:, None], (30, 30, 30))


def judged(*, shuffled: bool, suite: str) -> BandScore:
    rng = np.random.default_rng(61)
    density, train_density = rng.uniform(0.4, 1, 150), rng.uniform(0.3, 1, 300)
    train, test = related(train_density, rng), related(density, rng)
    densities = {"generated_density": density, "test_density": density, "train_density": train_density}
    return score(related(density, rng, shuffled=shuffled), test, train, suite=suite, **densities).headline


def test_the_points_of_the_training_volumes_are_uncorrelated_and_vary_by_one_at_most() -> None:
    train = related(np.random.default_rng(62).uniform(0.4, 1, 200), np.random.default_rng(63))
    whitening = Whitening.fit(Adjustment.fit(train), train)
    points = whitening.points(train)[JOINT]
    covariance = np.cov(points.T)
    variance = np.diag(covariance)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(covariance, np.diag(variance), atol=1e-9)
    assert np.all((variance > 0) & (variance < 1))
    assert variance[0] > 0.99  # the hidden number stands out of the noise
    assert np.median(variance) == pytest.approx(0.5, abs=0.01)  # the ridge is the median variance


@pytest.mark.parametrize("n", [8, 20])
def test_fewer_volumes_than_descriptors_can_be_whitened(n: int) -> None:
    rng = np.random.default_rng(64)
    train = related(rng.uniform(0.4, 1, n), rng)
    whitening = Whitening.fit(Adjustment.fit(train), train)
    assert side_by_side(whitening.adjustment.standardise(train)).shape[1] > n
    covariance = np.cov(whitening.points(train)[JOINT].T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert np.diag(covariance).max() < 1
    assert np.isfinite(whitening.points(related(rng.uniform(0.4, 1, 5), rng))[JOINT]).all()


def test_volumes_that_are_all_alike_have_finite_points() -> None:
    rng = np.random.default_rng(65)
    one = related(np.full(1, 0.5), rng)[[0] * 10]
    whitening = Whitening.fit(Adjustment.fit(one), one)
    assert np.isfinite(whitening.points(one)[JOINT]).all()
    assert np.isfinite(whitening.points(related(rng.uniform(0.4, 1, 5), rng))[JOINT]).all()


def test_right_descriptors_in_the_wrong_volumes_are_seen_by_their_combination_alone() -> None:
    record = judged(shuffled=True, suite="2026.2")
    assert record.tests[JOINT] == pytest.approx(1 / 201)
    assert record.tests["structure"] == pytest.approx(1 / 201)
    assert record.families[JOINT].low > 2.5
    others = {name: it for name, it in record.descriptors.items() if name != JOINT}
    assert max(it.value for it in others.values()) < 2
    assert all(it.low < 1 for it in others.values())
    assert record.worst == JOINT
    alone = judged(shuffled=True, suite="2026.1")
    assert alone.nfr100 is not None
    assert alone.nfr100.holds(1)
    assert alone.tests["structure"] > 0.05
    assert JOINT not in alone.tests


def test_right_descriptors_in_the_right_volumes_are_not_told_from_real() -> None:
    record = judged(shuffled=False, suite="2026.2")
    assert record.nfr100 is not None
    assert record.nfr100.holds(1)
    assert record.tests[JOINT] > 0.05
    assert record.tests["structure"] > 0.05
