"""Rows of ``accuracy.csv``, one number each, from what the metrics say of one generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from porebench.metrics.band_score import ScoreResult
from porebench.metrics.bands import ALL
from porebench.metrics.estimate import Estimate, percentile
from porebench.metrics.novelty import NoveltyResult
from porebench.metrics.patches import PatchCopyTest
from porebench.metrics.reconstruction import MEANS, ReconstructionResult
from porebench.metrics.verdict import Verdict, twice_median

NOVELTY = ("copy_rate", "leak_rate", "novelty", "diversity")
RECONSTRUCTION = (*MEANS, "small_pore_recall", "speck_recall", "radius_w1")


def score_rows(result: ScoreResult, relatives: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Rows of the score and its companions by band, where a band has a score.

    Args:
        result: of one fit.
        relatives: descriptors that the generator was trained on; the score without them has a row.
    """
    rows = []
    for name, band in result.bands.items():
        n = (band.n_generated, band.n_real)
        if band.nfr100 is None:
            continue
        rows.append(_row(name, "nfr100", band.nfr100.value, (band.nfr100.low, band.nfr100.high), n))
        for metric in (
            "p",
            "density_bias",
            "density_error",
            "density_error_real",
            "fidelity",
            "coverage",
            "coverage_expected",
            "n_empty",
        ):
            value = getattr(band, metric)
            if value is not None:
                rows.append(_row(name, metric, float(value), None, n))
        for metric in ("c2st_auc", "c2st_auc_nonlinear", "percolation", "percolation_real"):
            it = getattr(band, metric)
            if it is not None:
                rows.append(_row(name, metric, it.value, (it.low, it.high), n))
        named = {f"family:{family}": it for family, it in band.families.items()}
        named |= {f"nfr100:{component}": it for component, it in band.descriptors.items()}
        rows += [_row(name, metric, it.value, (it.low, it.high), n) for metric, it in named.items()]
        for quantity, physical in band.physical.items():
            parts = ("error", "floor", "bias", "real_mean")
            rows += [_row(name, f"{quantity}:{part}", getattr(physical, part), None, n) for part in parts]
    return rows + _unrelated(result, relatives)


def _unrelated(result: ScoreResult, relatives: Sequence[str]) -> list[dict[str, Any]]:
    """Row of the score without the descriptors that the generator was trained on."""
    if result.replicates is None or not relatives:
        return []
    it, band = percentile(*result.replicates.ratio(relatives)), result.headline
    return [_row(ALL, "nfr100_unrelated", it.value, (it.low, it.high), (band.n_generated, band.n_real))]


def novelty_rows(result: NoveltyResult, n_real: int) -> list[dict[str, Any]]:
    """Rows of copies and diversity by band; ``n_real`` counts the test volumes."""
    n = (result.n_judged, n_real)
    rows = []
    for metric in NOVELTY:
        by_band: dict[str, float | None] = getattr(result, f"{metric}_by_band")
        rows += [_row(band, metric, value, None, n) for band, value in by_band.items()]
        rows.append(_row(ALL, metric, getattr(result, metric), None, n))
    return [row for row in rows if row["value"] is not None]


def verdict_rows(found: Verdict, patches: PatchCopyTest, n_real: int) -> list[dict[str, Any]]:
    """Rows of the tests that the verdict rests on, and of copied patches; ``n_real`` counts the test volumes."""
    n = (n_real, n_real)
    shares = [("patch_rate", patches.rate), ("patch_rate_real", patches.real)]
    return [_row(ALL, f"p:{test}", p, None, n) for test, p in found.p.items()] + [
        _row(ALL, metric, it.value, (it.low, it.high), n) for metric, it in shares if it is not None
    ]


def over_fits(fits: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of a method from those of several fits of it: means, with intervals that hold for another fit.

    The half-width of an interval is that of one fit and the t-quantile of the standard error between the fits, as the
    legs of a right triangle. A p-value is twice the median of those of the fits.
    """
    if len(fits) == 1:
        return [dict(row) for row in fits[0]]
    quantile = float(t.ppf(0.975, len(fits) - 1)) / np.sqrt(len(fits))
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in (row for rows in fits for row in rows):
        found.setdefault((row["band"], row["metric"]), []).append(row)
    pooled = []
    for (_, metric), rows in found.items():
        values = np.array([row["value"] for row in rows], dtype=np.float64)
        mean, between = float(values.mean()), quantile * float(values.std(ddof=1)) if len(values) > 1 else 0.0
        row = {**rows[0], "value": mean}
        if metric == "p" or metric.startswith("p:"):
            row["value"] = twice_median(values.tolist())
        elif rows[0]["ci_low"] is not None:
            low, high = (
                float(np.mean([abs(each["value"] - each[end]) for each in rows])) for end in ("ci_low", "ci_high")
            )
            row |= {"ci_low": mean - float(np.hypot(low, between)), "ci_high": mean + float(np.hypot(high, between))}
        pooled.append(row)
    return pooled


def reconstruction_rows(result: ReconstructionResult) -> list[dict[str, Any]]:
    """Rows of reconstructions against the test volumes by band."""
    return [
        _row(name, metric, getattr(band, metric), None, (band.n, band.n))
        for name, band in result.bands.items()
        for metric in RECONSTRUCTION
        if getattr(band, metric) is not None
    ]


def size_rows(found: Mapping[str, Mapping[str, Estimate]], n: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of the sizes of pores; ``n`` counts generated and real volumes."""
    return [
        _row(band, metric, it.value, (it.low, it.high), n)
        for band, scores in found.items()
        for metric, it in scores.items()
    ]


def _row(
    band: str, metric: str, value: float | None, interval: Iterable[float | None] | None, n: Sequence[int]
) -> dict[str, Any]:
    low, high = interval if interval is not None else (None, None)
    return {
        "band": band,
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n_generated": n[0],
        "n_real": n[1],
    }
