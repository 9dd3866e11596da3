"""The verdict on a generator in words: it cannot be told from real, or what gives it away.

Several tests look at the same volumes: structure (the headline), all descriptors together, a classifier and the amount
of pore, whose p-values are corrected together, and copies of whole volumes and of patches. A generator is told apart if
any of them rejects at its share of the level, so that of a hundred perfect generators at most five are accused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.stats import binomtest

from .band_score import BandScore
from .suites import JOINT

LEVEL = 0.05
MOST = 3  # reasons that are named
COPYING = ("copies", "patches")  # tests whose reasons come first
SHARE = 0.1
"""Share of the level that each test of copies has, which find nothing by chance and copies for sure; the rest is for
the differences together."""
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
    "amount": "amount of pore",
}
"""The field's words for the components of the suites, and for the amount of pore."""


@dataclass(frozen=True)
class Verdict:
    """Whether generated volumes can be told from real ones, and by what.

    Attributes:
        n: generated volumes that the tests looked at, and as many real ones.
        p: test -> its p-value; those of the tests of the score are corrected for each other.
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
        apart = bool(rejected(p))
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


def rejected(p: Mapping[str, float]) -> list[str]:
    """Return the tests that reject, each at its share of the level.

    Example:
        >>> rejected({"structure": 0.04, "classifier": 0.041, "copies": 0.006, "patches": 0.005})
        ['structure', 'patches']
    """
    shares = {name: SHARE if name in COPYING else 1 - SHARE * len(COPYING) for name in p}
    return [name for name, value in p.items() if value <= shares[name] * LEVEL]


def verdict(
    band: BandScore, others: Mapping[str, float] = MappingProxyType({}), words: Mapping[str, str] = MappingProxyType({})
) -> Verdict:
    """Return the verdict on a generator.

    Args:
        band: its score over the headline bands.
        others: p-values of the tests that are not part of the score, "copies" and "patches"; none by default.
        words: what those say where they reject, such as "copies of training volumes (12 %)", and "amount", if more than
            that it differs.
    """
    p = {**band.tests, **others}
    found = rejected(p)
    named = {name: words[name] for name in COPYING if name in found}
    if set(found) & set(band.tests) - {"amount"}:
        named |= _components(band)
    named |= {"amount": words.get("amount", WORDS["amount"])} if "amount" in found else {}
    if found and not named:
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
