"""The verdict on a generator in words: it cannot be told from real, or what gives it away.

Several tests look at the same volumes: structure (the headline), all descriptors together, a classifier, copies of
whole volumes and of patches, and the amount of pore. A generator is told apart if any of them rejects after Holm's
correction, so that of a hundred perfect generators at most five are accused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, ttest_1samp

from .band_score import BandScore
from .descriptors import Descriptors
from .suites import JOINT

LEVEL = 0.05
MOST = 3  # reasons that are named
COPYING = ("copies", "patches")  # tests whose reasons come first
EXPECTED_COPIES = 0.01  # share of real volumes that are nearer to training than to unseen volumes by chance
WORDS = {
    "specific_surface": "specific surface",
    "euler_6": "Euler number",
    "mean_chord": "mean chord",
    "profile_sd": "spread of slab porosity",
    "n_components": "number of pore clusters",
    "largest_component_fraction": "share of the largest cluster",
    "mean_local_thickness": "local thickness",
    "max_distance": "largest pore",
    "two_point_correlation": "two-point correlation",
    "lineal_path": "lineal path",
    "chord_lengths": "chord lengths",
    "thickness_distribution": "local-thickness distribution",
    "distance_distribution": "distance to solid",
    "component_counts": "sizes of pore clusters",
    "percolation_share": "percolation",
    "pore_diffusivity": "diffusivity of the pores",
    "surface_direction": "surface",
    "chord_direction": "chords",
    "two_point_direction": "S2",
    "lineal_path_direction": "lineal path",
    "percolation_direction": "percolation",
    JOINT: "combination of descriptors",
}
"""The field's words for the components of the suites."""


@dataclass(frozen=True)
class Verdict:
    """Whether generated volumes can be told from real ones, and by what.

    Attributes:
        n: generated volumes that the tests looked at, and as many real ones.
        p: test -> its p-value, uncorrected.
        named: what gives the generator away, the worst first: a test, a component or "direction" -> its words; none
            where it cannot be told from real.
    """

    n: int
    p: Mapping[str, float]
    named: Mapping[str, str]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What gives the generator away in words, the worst first, at most three."""
        return tuple(self.named.values())[:MOST]

    @staticmethod
    def over(fits: Sequence[Verdict]) -> Verdict:
        """Return the verdict on a method, from those on several fits of it.

        A p-value is twice the median of those of the fits, which holds however they depend; the reasons are those that
        most fits give.

        References:
            Meinshausen, Meier and Bühlmann (2009), doi:10.1198/jasa.2009.tm08647.
        """
        if len(fits) == 1:
            return fits[0]
        p = {name: twice_median([fit.p[name] for fit in fits if name in fit.p]) for name in fits[0].p}
        given = [name for fit in fits for name in fit.named]
        place = {name: min(list(fit.named).index(name) for fit in fits if name in fit.named) for name in given}
        common = sorted(place, key=lambda name: (name not in COPYING, -given.count(name), place[name]))
        words = {name: next(fit.named[name] for fit in fits if name in fit.named) for name in common}
        apart = any(corrected <= LEVEL for corrected in holm(p).values())
        return Verdict(fits[0].n, p, (words or {JOINT: WORDS[JOINT]}) if apart else {})

    def __str__(self) -> str:
        if not self.p:
            return "cannot be judged: too few volumes"
        if not self.named:
            return f"cannot be told from real at N = {self.n}"
        return f"gives itself away by: {', '.join(self.reasons)}"


def twice_median(p: Sequence[float]) -> float:
    """Return twice the median of p-values, at most 1: a p-value again, whatever their dependence."""
    return min(1.0, 2 * float(np.median(p)))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for their number by Holm's step-down method.

    References:
        Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65–70.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, largest = {}, 0.0
    for place, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, (len(p) - place) * p[name]))
        corrected[name] = largest
    return corrected


def verdict(
    band: BandScore, others: Mapping[str, float] = MappingProxyType({}), words: Mapping[str, str] = MappingProxyType({})
) -> Verdict:
    """Return the verdict on a generator.

    Args:
        band: its score over the headline bands.
        others: p-values of the tests that are not part of the score: "copies", "patches" and "amount"; none by default.
        words: what each of those says where it rejects, such as "copies of training volumes (12 %)".
    """
    p = {**band.tests, **others}
    rejected = [name for name, corrected in holm(p).items() if corrected <= LEVEL]
    named = {name: words[name] for name in COPYING if name in rejected}
    if set(rejected) & set(band.tests):
        named |= _components(band)
    named |= {"amount": words["amount"]} if "amount" in rejected else {}
    if rejected and not named:
        named = {JOINT: WORDS[JOINT]}
    return Verdict(band.n_generated, p, named)


def _components(band: BandScore) -> dict[str, str]:
    """Return what is far from real beyond its interval, the worst first; of direction, the worst alone."""
    named: dict[str, str] = {}
    for name, ratio in sorted(band.descriptors.items(), key=lambda item: -item[1].value):
        if ratio.low > 1:
            axis = band.axes.get(name)
            text = WORDS[name] if axis is None else f"direction ({WORDS[name]} along {axis})"
            named.setdefault(name if axis is None else "direction", text)
    return named


def copies_p(copies: int, judged: int) -> float | None:
    """Return the probability of as many copies among real volumes, in [0, 1]; None where no volume could be judged."""
    if not judged:
        return None
    return float(binomtest(copies, judged, EXPECTED_COPIES, alternative="greater").pvalue)


def amount_p(generated: Descriptors, real: Descriptors) -> float | None:
    """Return the p-value of the paired t-test of ln(pore voxels); None where there is nothing to test.

    Args:
        generated: drawn volumes, at least as many as needed for a variance.
        real: the real volumes of the same densities, in the same order.
    """
    counts: NDArray[np.float64] = np.log(np.maximum(np.stack([generated.pore_voxels, real.pore_voxels]), 1.0))
    more = counts[0] - counts[1]
    if len(more) < 2 or not more.any():
        return None
    return 0.0 if more.std() == 0 else float(ttest_1samp(more, 0.0).pvalue)
