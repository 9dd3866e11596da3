"""Rows of a method from those of several fits of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from porebench.benchmarks.evaluate.rows import over_fits, verdict_rows
from porebench.metrics.estimate import Estimate
from porebench.metrics.patches import PatchCopyTest
from porebench.metrics.verdict import Verdict


def row(metric: str, value: float, half: float | None = None, band: str = "all") -> dict[str, Any]:
    low, high = (None, None) if half is None else (value - half, value + 2 * half)
    ends = {"ci_low": low, "ci_high": high, "n_generated": 100, "n_real": 100}
    return {"band": band, "metric": metric, "value": value, **ends}


def test_the_rows_of_one_fit_pass_through_as_copies() -> None:
    rows = [row("nfr100", 1.2, 0.1), row("p", 0.3)]
    found = over_fits([rows])
    assert found == rows
    found[0]["value"] = 7.0
    assert rows[0]["value"] == 1.2


def test_values_are_averaged_over_the_fits_by_band_and_metric() -> None:
    fits = [[row("copy_rate", value), row("copy_rate", 2 * value, band="0.4-0.6")] for value in (0.0, 0.1, 0.5)]
    found = over_fits(fits)
    assert [(it["band"], it["metric"]) for it in found] == [("all", "copy_rate"), ("0.4-0.6", "copy_rate")]
    assert [it["value"] for it in found] == [pytest.approx(0.2), pytest.approx(0.4)]
    assert all(it["ci_low"] is None and it["ci_high"] is None and it["n_generated"] == 100 for it in found)


def test_fits_that_agree_keep_their_interval() -> None:
    (found,) = over_fits([[row("nfr100", 1.5, 0.2)]] * 3)
    assert (found["value"], found["ci_low"], found["ci_high"]) == pytest.approx((1.5, 1.3, 1.9))


def test_an_interval_grows_with_the_spread_between_fits_as_a_right_triangle() -> None:
    for spread in (0.1, 1.0):
        values = [2 - spread, 2, 2 + spread]
        (found,) = over_fits([[row("nfr100", value, 0.2)] for value in values])
        between = t.ppf(0.975, 2) * spread / np.sqrt(3)
        assert found["value"] == pytest.approx(2)
        assert found["ci_low"] == pytest.approx(2 - np.hypot(0.2, between))
        assert found["ci_high"] == pytest.approx(2 + np.hypot(0.4, between))


def test_the_interval_holds_the_method_as_often_as_it_says() -> None:
    """Fits scatter by 0.5 about 3, and each fit's own number by 0.1 about it."""
    rng = np.random.default_rng(71)
    held = 0
    for _ in range(400):
        fits = [[row("nfr100", value, 0.0)] for value in 3 + 0.5 * rng.normal(size=3) + 0.1 * rng.normal(size=3)]
        (found,) = over_fits(fits)
        held += found["ci_low"] <= 3 <= found["ci_high"]
    assert 0.92 <= held / 400 <= 0.98


def test_a_p_value_is_twice_the_median_of_the_fits_and_one_at_most() -> None:
    names = ("p", "p:joint")
    for values, expected in (((0.001, 0.02, 0.9), 0.04), ((0.6, 0.7, 0.1), 1.0), ((0.01, 0.03), 0.04)):
        found = over_fits([[row(name, p) for name in names] for p in values])
        assert [it["value"] for it in found] == [pytest.approx(expected)] * 2
    (percolation,) = over_fits([[row("percolation", 0.5, 0.1)], [row("percolation", 0.7, 0.1)]])
    assert percolation["value"] == pytest.approx(0.6)  # begins with a p and is none


def test_a_row_that_only_some_fits_have_is_the_mean_of_those() -> None:
    found = over_fits([[row("novelty", 0.5)], [row("novelty", 0.7), row("diversity", 0.9, 0.1)]])
    assert {it["metric"]: it["value"] for it in found} == {
        "novelty": pytest.approx(0.6),
        "diversity": pytest.approx(0.9),
    }
    assert found[1]["ci_low"] == pytest.approx(0.8)


def test_the_tests_of_a_verdict_and_the_shares_of_copied_patches_are_rows() -> None:
    found = Verdict(90, {"structure": 0.5, "patches": 0.01}, {"patches": "copied patches"})
    patches = PatchCopyTest(rate=Estimate(0.3, 0.2, 0.4), real=None, p=0.01)
    rows = {it["metric"]: it for it in verdict_rows(found, patches, 90)}
    assert {name: it["value"] for name, it in rows.items()} == {
        "p:structure": 0.5,
        "p:patches": 0.01,
        "patch_rate": 0.3,
    }
    assert (rows["patch_rate"]["ci_low"], rows["patch_rate"]["ci_high"]) == (0.2, 0.4)
    assert rows["p:structure"]["n_real"] == 90
