"""Two ensembles of descriptors in, one number with its interval out: the score of a generator.

Within a density band every headline descriptor is adjusted for the pore count and standardised on real training
volumes (``adjustment``); its energy effect between generated and held-out real volumes (``energy``) is
averaged over descriptors and bands and read as a noise-floor ratio: 1 = cannot be told from real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from porebench.data.volumes import DensityKind

from .adjustment import MIN_TRAINING, Adjustment, fitting_window
from .band_score import BandScore, Estimate, ScoreResult
from .bands import ALL, Band, density_bands
from .coverage import coverage
from .descriptor_classifier import descriptor_auc
from .descriptors import HEADLINE, Descriptors
from .energy import effects, energy_effect, kernel, noise_floor_ratio, pairwise, resample, swapped_effects, toss
from .physical import PhysicalError, density_bias, density_error, fit_density_law, percolation_share, physical_errors
from .ranking import Replicates

__all__ = [
    "Band",
    "BandScore",
    "Estimate",
    "PhysicalError",
    "ScoreResult",
    "density_bands",
    "energy_effect",
    "noise_floor_ratio",
    "score",
]

Floats = NDArray[np.float64]
MIN_VOLUMES = 2  # on each side of a comparison
INTERVAL = (2.5, 97.5)  # percentiles
KEPT = 500  # resamples that are kept to compare generators with: enough for the ends of an interval


@dataclass(frozen=True, eq=False)
class _Part:
    """Volumes of one source in one band, with their densities."""

    described: Descriptors
    density: Floats

    def within(self, mask: NDArray[np.bool_]) -> _Part:
        return _Part(self.described[mask], self.density[mask])

    def __len__(self) -> int:
        return len(self.density)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """One band: the descriptors' effects, [descriptors, draws], and the columns beside them."""

    generated: _Part
    test: _Part
    observed: Floats
    bootstrap: Floats
    swapped: Floats
    features: tuple[Floats, Floats]
    physical: dict[str, PhysicalError]


class _Ratios(TypedDict):
    """The part of a record that comes from the effects."""

    nfr100: float
    ci_low: float
    ci_high: float
    p: float | None
    descriptors: dict[str, Estimate]
    worst: str
    worst_nfr100: float


def score(
    generated: Descriptors,
    test: Descriptors,
    train: Descriptors,
    *,
    generated_density: ArrayLike,
    test_density: ArrayLike,
    train_density: ArrayLike,
    kind: DensityKind = "factor",
    n_bootstrap: int = 500,
    n_permutations: int = 200,
    seed: int = 0,
) -> ScoreResult:
    """The noise-floor ratio of generated volumes, in every density band and over the headline bands.

    Generated volumes are drawn at exactly the test densities, in the same order: what is left of the influence of the
    density after the adjustment is then alike on both sides. The test densities are resampled, with both volumes
    of each, for the interval; the two volumes of random densities are swapped for p. Both cover the sampling of
    volumes, not the training of the generator.

    Args:
        generated: descriptors of the generated volumes.
        test: descriptors of held-out real volumes.
        train: descriptors of the real training volumes, which the adjustment is fitted on.
        generated_density: densities that were asked for, [len(generated)]; those of the test volumes.
        test_density: densities of the test volumes, [len(test)]; they define the bands of a porosity set.
        train_density: densities of the training volumes, [len(train)].
        kind: what density means in the data set.
        n_bootstrap: resamples of the test densities within bands, for the intervals and to compare generators.
        n_permutations: random swaps, for p; 0 leaves p out.
        seed: of resamples, swaps, folds and noise floors. Same seed, same result.

    Returns:
        One record a band and one over the headline bands. A band with fewer than two volumes on a side (or eight
        training volumes in all) is reported as "too few volumes", and "all" is made of the bands that are left.

    Raises:
        ValueError: if densities and descriptors differ in number, volumes in shape, or the generated densities
            from those of the test volumes.

    References:
        Rizzo and Székely (2010), doi:10.1214/09-AOAS245; Phipson and Smyth (2010) for p,
        doi:10.2202/1544-6115.1585.
    """
    sides = {
        "generated": _part(generated, generated_density, "generated"),
        "test": _part(test, test_density, "test"),
        "train": _part(train, train_density, "train"),
    }
    if not np.array_equal(sides["generated"].density, sides["test"].density):
        raise ValueError("expected one generated volume for each test density, in the same order; draw them so")
    shapes = {name: part.described.shape for name, part in sides.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"expected volumes of one shape, got {shapes}")
    law = fit_density_law(train.pore_voxels, sides["train"].density) if kind == "factor" else None
    records: dict[str, BandScore] = {}
    headline: dict[str, _Comparison] = {}
    with threadpool_limits(1, user_api="blas"):  # the matrices are small: threads would wait for each other
        for index, band in enumerate(density_bands(test_density, kind)):
            inside = {name: part.within(band.contains(part.density)) for name, part in sides.items()}
            fake, real = inside["generated"], inside["test"]
            if min(len(fake), len(real)) < MIN_VOLUMES or len(train) < MIN_TRAINING:
                records[band.name] = _unscored(band.name, band.headline, [fake], [real])
                continue
            window = fitting_window(band, sides["train"].density, sides["test"].density)
            adjustment = Adjustment.fit(train[window])
            rng = np.random.default_rng([seed, index])
            counts = resample(len(real), n_bootstrap, [seed, index, len(real)])
            comparison = _compare(fake, real, inside["train"], adjustment, counts, n_permutations, rng)
            records[band.name] = _record(band.name, band.headline, [comparison], kind, law, seed)
            if band.headline:
                headline[band.name] = comparison
        if headline:
            records[ALL] = _record(ALL, True, list(headline.values()), kind, law, seed)
        else:
            records[ALL] = _unscored(ALL, True, [], [])
    return ScoreResult(records, kind, n_bootstrap, n_permutations, seed, law, _replicates(headline))


def _replicates(headline: dict[str, _Comparison]) -> Replicates | None:
    """Scores of resampled test densities over the headline bands; None where no band was scored."""
    if not headline:
        return None
    observed = np.stack([it.observed[:, 0] for it in headline.values()])
    return Replicates(
        tuple(headline), HEADLINE, observed, np.stack([it.bootstrap[:, :KEPT] for it in headline.values()])
    )


def _part(described: Descriptors, density: ArrayLike, name: str) -> _Part:
    """Descriptors with their densities, checked."""
    values = np.asarray(density, dtype=np.float64)
    if values.shape != (len(described),):
        raise ValueError(f"{name}_density must have one entry for each of {len(described)} volumes, got {values.shape}")
    return _Part(described, values)


def _compare(
    fake: _Part,
    real: _Part,
    more: _Part,
    adjustment: Adjustment,
    counts: Floats,
    n_permutations: int,
    rng: np.random.Generator,
) -> _Comparison:
    """Effects of all descriptors within one band: as observed, resampled and with volumes swapped."""
    n = len(real)
    weights = np.concatenate([np.ones((1, n)), counts])
    signs = toss(n, n_permutations, rng)
    features = [
        np.concatenate([adjustment.standardise(part.described, name) for part in (fake, real)]) for name in HEADLINE
    ]
    weighted, swapped = [], []
    for name, points in zip(HEADLINE, features, strict=True):
        pairs, least = kernel(pairwise(points)), adjustment.fits[name].least
        weighted.append(effects(pairs, weights, least))
        swapped.append(swapped_effects(pairs, signs, least))
    observed, bootstrap = np.split(np.stack(weighted), [1], axis=1)
    joined = np.concatenate(features, axis=1)
    physical = physical_errors(fake.described, real.described, more.described, adjustment, rng)
    return _Comparison(fake, real, observed, bootstrap, np.stack(swapped), (joined[:n], joined[n:]), physical)


def _ratios(comparisons: Sequence[_Comparison]) -> _Ratios:
    """NFR100 over bands and descriptors, with interval and p, and that of each descriptor over bands."""
    observed = np.mean([comparison.observed[:, 0] for comparison in comparisons], axis=0)
    bootstrap = np.mean([comparison.bootstrap for comparison in comparisons], axis=0)
    swapped = np.mean([comparison.swapped.mean(axis=0) for comparison in comparisons], axis=0)
    value, ends = noise_floor_ratio(observed), noise_floor_ratio(bootstrap, axis=0)
    low, high = np.percentile(ends, INTERVAL)
    each = noise_floor_ratio(observed[:, None], axis=1)
    lows, highs = np.percentile(noise_floor_ratio(bootstrap[..., None], axis=2), INTERVAL, axis=1)
    worst = int(np.argmax(each))
    larger = int(np.count_nonzero(swapped >= observed.mean() - 1e-12))
    return {
        "nfr100": float(value),
        "ci_low": float(low),
        "ci_high": float(high),
        "p": (1 + larger) / (1 + len(swapped)) if len(swapped) else None,
        "descriptors": {
            name: Estimate(float(each[i]), float(lows[i]), float(highs[i])) for i, name in enumerate(HEADLINE)
        },
        "worst": HEADLINE[worst],
        "worst_nfr100": float(each[worst]),
    }


def _record(
    name: str,
    headline: bool,
    comparisons: Sequence[_Comparison],
    kind: DensityKind,
    law: tuple[float, float] | None,
    seed: int,
) -> BandScore:
    """The record of one band, or of several together."""
    fakes, reals = [it.generated for it in comparisons], [it.test for it in comparisons]
    share, interval = percolation_share([part.described for part in fakes])
    share_real, interval_real = percolation_share([part.described for part in reals])
    pairs = list(zip(fakes, reals, strict=True))
    features = [np.concatenate(side) for side in zip(*(it.features for it in comparisons), strict=True)]
    densities = [np.concatenate([part.density for part in parts]) for parts in (fakes, reals)]
    auc = descriptor_auc(features[0], features[1], densities[0], densities[1], seed)
    covered = [near for it in comparisons if (near := coverage(*it.features)) is not None]
    return BandScore(
        band=name,
        headline=headline,
        outcome="scored",
        n_generated=sum(map(len, fakes)),
        n_real=sum(map(len, reals)),
        n_empty=_n_empty(fakes),
        **_ratios(comparisons),
        density_bias=_mean([density_bias(fake.described, real.described) for fake, real in pairs]),
        density_error=_mean([density_error(part.described, part.density, kind, law) for part in fakes]),
        density_error_real=_mean([density_error(part.described, part.density, kind, law) for part in reals]),
        physical=_mean_physical([it.physical for it in comparisons]),
        percolation=share,
        percolation_interval=interval,
        percolation_real=share_real,
        percolation_real_interval=interval_real,
        c2st_auc=None if auc is None else auc.value,
        c2st_interval=None if auc is None else (auc.low, auc.high),
        fidelity=_mean([near.fidelity for near in covered]),
        coverage=_mean([near.coverage for near in covered]),
        coverage_expected=_mean([near.expected for near in covered]),
    )


def _unscored(name: str, headline: bool, fakes: Sequence[_Part], reals: Sequence[_Part]) -> BandScore:
    """The record of a band that has too few volumes."""
    return BandScore(
        band=name,
        headline=headline,
        outcome="too few volumes",
        n_generated=sum(map(len, fakes)),
        n_real=sum(map(len, reals)),
        n_empty=_n_empty(fakes),
    )


def _n_empty(parts: Sequence[_Part]) -> int:
    """Volumes without a pore voxel."""
    return sum(int(np.count_nonzero(part.described.pore_voxels == 0)) for part in parts)


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _mean_physical(errors: Sequence[dict[str, PhysicalError]]) -> dict[str, PhysicalError]:
    """Each quantity's errors, averaged over bands."""
    count = len(errors)
    return {
        name: PhysicalError(
            error=sum(each[name].error for each in errors) / count,
            floor=sum(each[name].floor for each in errors) / count,
            bias=sum(each[name].bias for each in errors) / count,
            real_mean=sum(each[name].real_mean for each in errors) / count,
            unit=first.unit,
        )
        for name, first in errors[0].items()
    }
