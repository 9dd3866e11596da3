"""What a comparison of two ensembles yields: one record a density band, and one over the headline bands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from porebench.data.volumes import DensityKind

from .bands import ALL
from .physical import PhysicalError
from .ranking import Replicates

Outcome = Literal["scored", "too few volumes"]
Row = dict[str, str | float | int | None]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class BandScore:
    """How generated volumes compare with real ones in one density band, or in the headline bands together.

    Where ``outcome`` is "too few volumes" every score is None and the mappings are empty. Over the headline
    bands, NFR100 averages the effects; density, physical and percolation columns average the bands.

    Attributes:
        band: name of the band, or "all".
        headline: whether it enters "all".
        outcome: "scored" or "too few volumes".
        n_generated: generated volumes.
        n_real: real test volumes.
        n_empty: generated volumes without a pore voxel.
        nfr100: noise-floor ratio at 100 volumes; 1 = cannot be told from real.
        ci_low: lower end of its 95 % interval (paired bootstrap over the test densities).
        ci_high: upper end.
        p: share of random swaps of generated and real volumes of one density with an effect as large.
        descriptors: headline descriptor -> its own NFR100.
        worst: the descriptor with the largest.
        worst_nfr100: that ratio.
        density_bias: excess of pore voxels, percent.
        density_error: mean |d̂ − d|.
        density_error_real: the same for the real volumes.
        physical: quantity -> error in its unit.
        percolation: share of volumes and axes whose pores percolate.
        percolation_interval: its 95 % interval.
        percolation_real: the same for the real volumes.
        percolation_real_interval: its 95 % interval.
        c2st_auc: area under the curve of a classifier between generated and real; None below five volumes.
        c2st_interval: its 95 % interval.
        fidelity: how often generated volumes lie among real ones, in units of what real ones do.
        coverage: share of the real volumes that generated ones lie near to.
        coverage_expected: the same for real volumes.
    """

    band: str
    headline: bool
    outcome: Outcome
    n_generated: int
    n_real: int
    n_empty: int
    nfr100: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    descriptors: dict[str, Estimate] = field(default_factory=dict)
    worst: str | None = None
    worst_nfr100: float | None = None
    density_bias: float | None = None
    density_error: float | None = None
    density_error_real: float | None = None
    physical: dict[str, PhysicalError] = field(default_factory=dict)
    percolation: float | None = None
    percolation_interval: tuple[float, float] | None = None
    percolation_real: float | None = None
    percolation_real_interval: tuple[float, float] | None = None
    c2st_auc: float | None = None
    c2st_interval: tuple[float, float] | None = None
    fidelity: float | None = None
    coverage: float | None = None
    coverage_expected: float | None = None

    def row(self) -> Row:
        """The record as flat named columns."""
        row: Row = {
            "band": self.band,
            "headline": self.headline,
            "outcome": self.outcome,
            "n_generated": self.n_generated,
            "n_real": self.n_real,
            "n_empty": self.n_empty,
            "nfr100": self.nfr100,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "p": self.p,
            "worst": self.worst,
            "worst_nfr100": self.worst_nfr100,
            "density_bias": self.density_bias,
            "density_error": self.density_error,
            "density_error_real": self.density_error_real,
            "percolation": self.percolation,
            "percolation_low": None if self.percolation_interval is None else self.percolation_interval[0],
            "percolation_high": None if self.percolation_interval is None else self.percolation_interval[1],
            "percolation_real": self.percolation_real,
            "c2st_auc": self.c2st_auc,
            "fidelity": self.fidelity,
            "coverage": self.coverage,
        }
        for name, value in self.physical.items():
            row |= {
                f"{name}_error": value.error,
                f"{name}_floor": value.floor,
                f"{name}_bias": value.bias,
                f"{name}_real": value.real_mean,
            }
        return row


@dataclass(frozen=True)
class ScoreResult:
    """The score of one generator on one data set.

    Attributes:
        bands: name -> record, from the lowest band to the highest, then "all" (the headline bands together).
        kind: what density means in the data set.
        n_bootstrap: resamples behind the intervals.
        n_permutations: swaps behind p.
        seed: of both.
        law: a and b of density = a · n^b, fitted on training volumes; None for porosity data.
        replicates: scores for resampled test densities, to compare generators with; None where no headline band was
            scored.
    """

    bands: dict[str, BandScore]
    kind: DensityKind
    n_bootstrap: int
    n_permutations: int
    seed: int
    law: tuple[float, float] | None
    replicates: Replicates | None = None

    @property
    def headline(self) -> BandScore:
        """The record over the headline bands."""
        return self.bands[ALL]

    def rows(self) -> list[Row]:
        """One flat row a band, for a tidy table."""
        return [band.row() for band in self.bands.values()]

    def descriptor_rows(self) -> list[Row]:
        """One flat row a band and descriptor: band, descriptor, nfr100, ci_low, ci_high."""
        return [
            {"band": band.band, "descriptor": name, "nfr100": it.value, "ci_low": it.low, "ci_high": it.high}
            for band in self.bands.values()
            for name, it in band.descriptors.items()
        ]
