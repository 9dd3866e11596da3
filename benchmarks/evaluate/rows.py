"""Rows of ``accuracy.csv``, one number each, from what the metrics say of one generator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from porebench.metrics.band_score import ScoreResult
from porebench.metrics.estimate import Estimate
from porebench.metrics.novelty import NoveltyResult
from porebench.metrics.reconstruction import MEANS, ReconstructionResult

NOVELTY = ("copy_rate", "leak_rate", "novelty", "diversity")
RECONSTRUCTION = (*MEANS, "small_pore_recall", "speck_recall", "radius_w1")


def score_rows(result: ScoreResult) -> list[dict[str, Any]]:
    """Rows of the score and its companions by band, where a band has a score."""
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
        if band.c2st_auc is not None:
            rows.append(_row(name, "c2st_auc", band.c2st_auc.value, (band.c2st_auc.low, band.c2st_auc.high), n))
        for metric, it in (("percolation", band.percolation), ("percolation_real", band.percolation_real)):
            if it is not None:
                rows.append(_row(name, metric, it.value, (it.low, it.high), n))
        for descriptor, estimate in band.descriptors.items():
            rows.append(_row(name, f"nfr100:{descriptor}", estimate.value, (estimate.low, estimate.high), n))
        for quantity, physical in band.physical.items():
            parts = ("error", "floor", "bias", "real_mean")
            rows += [_row(name, f"{quantity}:{part}", getattr(physical, part), None, n) for part in parts]
    return rows


def novelty_rows(result: NoveltyResult, n_real: int) -> list[dict[str, Any]]:
    """Rows of copies and diversity by band; ``n_real`` counts the test volumes."""
    n = (result.n_judged, n_real)
    rows = []
    for metric in NOVELTY:
        by_band: dict[str, float | None] = getattr(result, f"{metric}_by_band")
        rows += [_row(band, metric, value, None, n) for band, value in by_band.items()]
        rows.append(_row("all", metric, getattr(result, metric), None, n))
    return [row for row in rows if row["value"] is not None]


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
