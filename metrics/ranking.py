"""Ranks of generators: ties, shared places, and how much a rank depends on what goes into the score.

Every generator draws one volume at each test density. Resampling the *densities* (with both volumes of each) by the
same weights for all generators gives paired replicates of their scores: the choice of real volumes and densities moves
all generators alike, and cancels in a difference. The weights depend on the test set and the seed alone, so replicates
of generators that were scored in different runs go together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from .energy import noise_floor_ratio
from .estimate import INTERVAL, Estimate, percentile
from .suites import JOINT, SUITES

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Replicates:
    """Energy effects of one generator, as observed and for resampled test densities.

    Attributes:
        bands: names of the headline bands that were scored.
        suite: name of the suite, whose components the effects are of.
        observed: [bands, components].
        resampled: [bands, components, draws].
    """

    bands: tuple[str, ...]
    suite: str
    observed: Floats
    resampled: Floats

    def ratio(self, without: Collection[str] = ()) -> tuple[float, Floats]:
        """Return NFR100 as observed, and of each replicate, [draws].

        Args:
            without: components, families and bands to leave out; nothing by default.
        """
        bands = [i for i, name in enumerate(self.bands) if name not in without]
        weights = SUITES[self.suite].weights(without)
        kept = np.ix_(np.array(bands), np.flatnonzero(weights))
        weights = weights[weights > 0]
        draws = np.einsum("c,bcd->bd", weights, self.resampled[kept])
        return float(noise_floor_ratio(self.observed[kept] @ weights)), noise_floor_ratio(draws, axis=0)

    @staticmethod
    def over(fits: Sequence[Replicates], seed: Sequence[int]) -> Replicates:
        """Return the replicates of a method, from those of several fits of it.

        Effects are averaged over the fits. Each replicate is moved by a draw from the t-law of their mean with the
        spread between the fits, so that intervals and ties hold for the method: for another fit as for other densities.

        Args:
            fits: of one generator, on the same test volumes and with the same resamples.
            seed: of the draws; another for each generator.

        References:
            Laird and Ware (1982), random effects, doi:10.2307/2529876.
        """
        observed, resampled = (np.stack([getattr(fit, name) for fit in fits]) for name in ("observed", "resampled"))
        mean, k = resampled.mean(axis=0), len(fits)
        if k > 1:
            rng = np.random.default_rng(seed)
            draws = mean.shape[-1]
            wide = np.sqrt((k - 1) / rng.chisquare(k - 1, draws))
            weights = rng.standard_normal((k, draws)) * wide / np.sqrt(k * (k - 1))
            mean = mean + np.einsum("fbc,fd->bcd", observed - observed.mean(axis=0), weights)
        return Replicates(fits[0].bands, fits[0].suite, observed.mean(axis=0), mean)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as named arrays for ``numpy.savez``, the replicates in half precision."""
        limit = float(np.finfo(np.float16).max)
        return {
            "bands": np.array(self.bands),
            "suite": np.array(self.suite),
            "observed": self.observed,
            "resampled": np.clip(self.resampled, -limit, limit).astype(np.float16),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> Replicates:
        """Return the replicates that named arrays hold.

        Raises:
            KeyError: if an array is missing.
        """
        return Replicates(
            tuple(str(name) for name in arrays["bands"]),
            str(arrays["suite"]),
            np.asarray(arrays["observed"], dtype=np.float64),
            np.asarray(arrays["resampled"], dtype=np.float64),
        )


@dataclass(frozen=True)
class Rank:
    """A place in the order, counted from 1; generators that cannot be told apart share it.

    Attributes:
        place: one more than the number of generators in better groups.
        shared: whether another generator has the same place.
        nfr100: the score that it comes from.
    """

    place: int
    shared: bool
    nfr100: float

    def __str__(self) -> str:
        """Return the place as printed: ``1``, or ``2=`` where shared."""
        return f"{self.place}{'=' if self.shared else ''}"


def difference(first: Replicates, second: Replicates, without: Collection[str] = ()) -> Estimate:
    """Return NFR100 of the first less that of the second, with the percentile interval of the paired replicates.

    The two tie if the interval holds 0; two identical sets differ by 0 in every replicate.

    Args:
        first: of one generator.
        second: of another, on the same test volumes and with the same seed.
        without: components, families and bands to leave out.

    Raises:
        ValueError: if the two were not made of the same bands, suite and number of resamples.

    References:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13, doi:10.1201/9780429246593.
    """
    shapes = [(each.bands, each.suite, each.resampled.shape) for each in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError("replicates go together only if bands, suite and resamples agree; score both anew")
    (value, draws), (other, other_draws) = first.ratio(without), second.ratio(without)
    return percentile(value - other, draws - other_draws)


def ranks(entries: Mapping[str, Replicates], without: Collection[str] = ()) -> dict[str, Rank]:
    """Return the ranks of generators, best first, with ties.

    In order of score, a generator joins the group of the one before if it ties with the *best* of that group, and opens
    a group of its own otherwise. Ties are not transitive: the last of one group may tie with the first of the next.

    Args:
        entries: generator -> its replicates.
        without: components, families and bands to leave out.
    """
    ordered = sorted(entries, key=lambda name: entries[name].ratio(without)[0])
    groups: list[list[str]] = []
    for name in ordered:
        if groups and difference(entries[name], entries[groups[-1][0]], without).holds(0):
            groups[-1].append(name)
        else:
            groups.append([name])
    found: dict[str, Rank] = {}
    for group in groups:
        place = len(found) + 1
        found |= {name: Rank(place, len(group) > 1, entries[name].ratio(without)[0]) for name in group}
    return found


def sensitivity(entries: Mapping[str, Replicates]) -> list[dict[str, str | int | float | bool]]:
    """Return the ranks from the full score, and with each descriptor, family and density band left out in turn.

    A part is left out only where another remains.

    Returns:
        One row a generator and variant: generator, left_out ("nothing", "descriptor", "family" or "band"), which (its
        name, or "" for nothing), nfr100, rank (a whole number) and shared.
    """
    if not entries:
        return []
    first = next(iter(entries.values()))
    variants = [("nothing", "")]
    suite = SUITES[first.suite]
    for kind, parts in (("descriptor", suite.components), ("family", [*suite.families]), ("band", first.bands)):
        variants += [(kind, name) for name in parts if len(parts) > 1 and not (kind == "descriptor" and name == JOINT)]
    return [
        {
            "generator": name,
            "left_out": kind,
            "which": which,
            "nfr100": it.nfr100,
            "rank": it.place,
            "shared": it.shared,
        }
        for kind, which in variants
        for name, it in ranks(entries, (which,)).items()
    ]


def repeated(entries: Mapping[str, Replicates]) -> tuple[Estimate, dict[str, tuple[int, int]]]:
    """Return how alike the rankings of two other runs are, and the places that each generator would hold in them.

    Another run has other densities, and other fits where a generator's replicates are from several; each replicate is
    one. Ties are not looked for.

    Args:
        entries: generator -> its replicates; at least two.

    Returns:
        Kendall's rank correlation of two runs, its mean and the range of 95 % of pairs; and the best and the worst
        place of each generator in 95 % of runs.

    References:
        Kendall (1938), A new measure of rank correlation, doi:10.1093/biomet/30.1-2.81.
    """
    scores = np.stack([entry.ratio()[1] for entry in entries.values()])
    places = 1 + scores.argsort(axis=0).argsort(axis=0)
    one, other = (places[:, start::2] for start in (0, 1))
    alike = np.array([kendalltau(*pair).statistic for pair in zip(one.T, other.T, strict=False)])
    ends = np.percentile(places, INTERVAL, axis=1, method="closest_observation").astype(int).T
    return percentile(float(alike.mean()), alike), {
        name: (int(first), int(last)) for name, (first, last) in zip(entries, ends, strict=True)
    }


def differences(entries: Mapping[str, Replicates], names: Sequence[str]) -> list[dict[str, str | float | bool]]:
    """Return every pair of generators once: first, second, difference of NFR100, ci_low, ci_high and tied.

    Args:
        entries: generator -> its replicates.
        names: the order; of a pair, the later one comes first, so that differences are positive for an order by score.
    """
    rows: list[dict[str, str | float | bool]] = []
    for second, first in combinations(names, 2):
        found = difference(entries[first], entries[second])
        interval = {"difference": found.value, "ci_low": found.low, "ci_high": found.high, "tied": found.holds(0)}
        rows.append({"first": first, "second": second, **interval})
    return rows
