"""Two ensembles of descriptors in, one number with its interval out: the score of a generator.

Within a density band every headline descriptor is adjusted for the pore count and standardised on real training
volumes (``adjustment``), and all of them together are made one point (``joint``). The energy effects between generated
and held-out real volumes (``energy``) are averaged over the families of a suite (``suites``) and over bands, and read
as a noise-floor ratio: 1 = cannot be told from real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from porebench.data.volumes import DensityKind

from .adjustment import MIN_TRAINING, Adjustment, fitting_window
from .band_score import BandScore, ScoreResult
from .bands import ALL, density_bands, mean_defined
from .coverage import coverage
from .descriptor_classifier import classify
from .descriptors import Descriptors
from .direction import DESCRIPTORS as DIRECTION
from .energy import LARGEST, compared, largest_swap, largest_swaps, noise_floor_ratio, resample, toss
from .estimate import Estimate, percentiles
from .joint import Whitening, side_by_side
from .physical import (
    PhysicalError,
    amount_swaps,
    density_bias,
    density_error,
    fit_density_law,
    percolation_share,
    physical_errors,
)
from .physics import AXES
from .ranking import Replicates
from .suites import CURRENT, JOINT, Suite, named

Floats = NDArray[np.float64]
MIN_VOLUMES = 2  # on each side of a comparison
KEPT = 500  # resamples that are kept to compare generators with: enough for the ends of an interval


@dataclass(frozen=True, eq=False)
class _Comparison:
    """One band: its volumes, the effects of the components as observed [components] and else [components, draws].

    ``signs`` are those of the swaps, [draws, pairs]. ``shifts`` holds the mean of each descriptor of direction in
    generated volumes less that in real ones, [points].
    """

    generated: Descriptors
    test: Descriptors
    density: Floats
    observed: Floats
    bootstrap: Floats
    swapped: Floats
    signs: Floats
    features: tuple[Floats, Floats]
    shifts: dict[str, Floats]
    physical: dict[str, PhysicalError]


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
    suite: str = CURRENT,
) -> ScoreResult:
    """Return the noise-floor ratio of generated volumes, in every density band and over the headline bands.

    Generated volumes are drawn at exactly the test densities, in the same order: the influence of the density that the
    adjustment leaves is then alike on both sides. The test densities are resampled, with both volumes of each, for the
    interval; the two volumes of random densities are swapped for p. Both cover the sampling of volumes, not the
    training of the generator.

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
        suite: name of the list of components and weights, one of ``SUITES``.

    Returns:
        One record a band and one over the headline bands. A band with fewer than two volumes on a side (or eight
        training volumes in all) has a record without a score and does not enter "all".

    Raises:
        ValueError: if densities and descriptors differ in number, volumes in shape, the generated densities
            from those of the test volumes, or no suite has that name.

    References:
        Rizzo and Székely (2010), doi:10.1214/09-AOAS245; Phipson and Smyth (2010) for p,
        doi:10.2202/1544-6115.1585.
    """
    described = {"generated": generated, "test": test, "train": train}
    asked, density, trained = (
        np.asarray(it, dtype=np.float64) for it in (generated_density, test_density, train_density)
    )
    for (name, side), values in zip(described.items(), (asked, density, trained), strict=True):
        if values.shape != (len(side),):
            raise ValueError(f"{name}_density must have one entry for each of {len(side)} volumes, got {values.shape}")
    if not np.array_equal(asked, density):
        raise ValueError("expected one generated volume for each test density, in the same order; draw them so")
    shapes = {name: side.shape for name, side in described.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"expected volumes of one shape, got {shapes}")
    made_of = named(suite)
    law = fit_density_law(train.pore_voxels, trained) if kind == "factor" else None
    records: dict[str, BandScore] = {}
    headline: dict[str, _Comparison] = {}
    with threadpool_limits(1, user_api="blas"):  # the matrices are small: threads would wait for each other
        for index, band in enumerate(density_bands(density, kind)):
            inside = band.contains(density)
            n = int(np.count_nonzero(inside))
            if n < MIN_VOLUMES or len(train) < MIN_TRAINING:
                records[band.name] = _unscored(band.headline, [generated[inside]])
                continue
            window = train[fitting_window(band, trained, density)]
            whitening = Whitening.fit(Adjustment.fit(window), window)
            rng = np.random.default_rng([seed, index])
            counts = resample(n, n_bootstrap, [seed, index, n])
            parts = generated[inside], test[inside], train[band.contains(trained)]
            comparison = _compare(*parts, density[inside], whitening, made_of, counts, n_permutations, rng)
            records[band.name] = _record(band.headline, [comparison], made_of, kind, law, seed)
            if band.headline:
                headline[band.name] = comparison
        together = list(headline.values())
        records[ALL] = _record(True, together, made_of, kind, law, seed) if together else _unscored(True, [])
    if not together:
        return ScoreResult(records, law, None)
    observed, kept = np.stack([it.observed for it in together]), np.stack([it.bootstrap[:, :KEPT] for it in together])
    return ScoreResult(records, law, Replicates(tuple(headline), suite, observed, kept))


def _compare(
    fake: Descriptors,
    real: Descriptors,
    more: Descriptors,
    density: Floats,
    whitening: Whitening,
    suite: Suite,
    counts: Floats,
    n_permutations: int,
    rng: np.random.Generator,
) -> _Comparison:
    """Return the effects of all components within one band: as observed, resampled and with volumes swapped."""
    n, adjustment = len(real), whitening.adjustment
    points = whitening.points(Descriptors.concatenate([fake, real]))
    least = [adjustment.fits[name].least if name in adjustment.fits else 0.0 for name in suite.components]
    weights, signs = np.concatenate([np.ones((1, n)), counts]), toss(n, n_permutations, rng)
    found, swapped = compared([points[name] for name in suite.components], least, weights, signs)
    shifts = {name: points[name][:n].mean(axis=0) - points[name][n:].mean(axis=0) for name in DIRECTION}
    joined = side_by_side(points)
    physical = physical_errors(fake, real, more, adjustment, rng)
    halves = joined[:n], joined[n:]
    return _Comparison(fake, real, density, found[:, 0], found[:, 1:], swapped, signs, halves, shifts, physical)


def _record(
    headline: bool,
    comparisons: Sequence[_Comparison],
    suite: Suite,
    kind: DensityKind,
    law: tuple[float, float] | None,
    seed: int,
) -> BandScore:
    """Return the record of one band, or of several together."""
    observed = np.mean([it.observed for it in comparisons], axis=0)
    bootstrap = np.mean([it.bootstrap for it in comparisons], axis=0)
    swapped = np.mean([it.swapped for it in comparisons], axis=0)
    features = [np.concatenate(side) for side in zip(*(it.features for it in comparisons), strict=True)]
    density = np.concatenate([it.density for it in comparisons])
    covered = [near for it in comparisons if (near := coverage(*it.features)) is not None]
    signs = np.concatenate([it.signs for it in comparisons], axis=1)
    classifier = classify(features[0], features[1], density, seed, signs)
    structure = suite.family_means(observed), suite.family_means(swapped)
    tests = {"structure": np.concatenate([structure[0][:, None], structure[1]], axis=1)}
    if JOINT in suite.families:
        tests[JOINT] = tests["structure"][[[*suite.families].index(JOINT)]]
    if classifier is not None and classifier.swaps is not None:
        tests["classifier"] = classifier.swaps
    drawn, real = (Descriptors.concatenate([getattr(it, side) for it in comparisons]) for side in ("generated", "test"))
    tests["amount"] = amount_swaps(drawn, real, signs)
    single = np.eye(len(observed))
    rows = np.concatenate([suite.weights()[None], suite.family_means(single), single])
    whole, *parts = _ratios(rows, observed, bootstrap)
    return replace(
        _unscored(headline, [it.generated for it in comparisons]),
        nfr100=whole,
        p=largest_swap(*structure),
        tests=largest_swaps(tests) if len(signs) else {},
        families=dict(zip(suite.families, parts, strict=False)),
        descriptors=dict(zip(suite.components, parts[len(suite.families) :], strict=True)),
        axes=_axes([it.shifts for it in comparisons]),
        density_bias=mean_defined([density_bias(it.generated, it.test) for it in comparisons]),
        density_error=mean_defined([density_error(it.generated, it.density, kind, law) for it in comparisons]),
        density_error_real=mean_defined([density_error(it.test, it.density, kind, law) for it in comparisons]),
        physical=_mean_physical([it.physical for it in comparisons]),
        percolation=percolation_share([it.generated for it in comparisons]),
        percolation_real=percolation_share([it.test for it in comparisons]),
        c2st_auc=None if classifier is None else classifier.logistic,
        c2st_auc_nonlinear=None if classifier is None else classifier.nonlinear,
        fidelity=mean_defined([near.fidelity for near in covered]),
        coverage=mean_defined([near.coverage for near in covered]),
        coverage_expected=mean_defined([near.expected for near in covered]),
    )


def _ratios(weights: Floats, observed: Floats, bootstrap: Floats) -> list[Estimate]:
    """Return NFR100 over some components, for each row of their weights.

    Args:
        weights: [k, components], each row together 1.
        observed: effects, [components].
        bootstrap: the same of resampled pairs, [components, draws].
    """
    every = np.clip(np.concatenate([observed[:, None], bootstrap], axis=1), -LARGEST, LARGEST)
    ratios = noise_floor_ratio((weights @ every)[None], axis=0)
    return percentiles(ratios[:, 0], ratios[:, 1:])


def _axes(shifts: Sequence[dict[str, Floats]]) -> dict[str, str]:
    """Return, for each descriptor of direction, the axis along which generated volumes deviate most from real ones."""
    found = {}
    for name in shifts[0]:
        mean = np.mean([each[name] for each in shifts], axis=0)
        found[name] = AXES[int((mean.reshape(len(AXES), -1) ** 2).sum(axis=1).argmax())]
    return found


def _unscored(headline: bool, generated: Sequence[Descriptors]) -> BandScore:
    """Return the record of volumes that are counted but not compared; each has a real one of its density."""
    n, empty = sum(map(len, generated)), sum(int(np.count_nonzero(it.pore_voxels == 0)) for it in generated)
    return BandScore(headline, n_generated=n, n_real=n, n_empty=empty)


def _mean_physical(errors: Sequence[dict[str, PhysicalError]]) -> dict[str, PhysicalError]:
    """Return each quantity's errors, averaged over bands."""
    return {
        name: PhysicalError(
            *(sum(it) / len(errors) for it in zip(*(astuple(each[name]) for each in errors), strict=True))
        )
        for name in errors[0]
    }
