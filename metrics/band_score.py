"""The score of one generator: one record a density band, and one over the headline bands."""

from __future__ import annotations

from dataclasses import dataclass, field

from .bands import ALL
from .estimate import Estimate
from .physical import PhysicalError
from .ranking import Replicates


@dataclass(frozen=True)
class BandScore:
    """Generated against real volumes in one density band, or in the headline bands together.

    With too few volumes every score is None and the mappings are empty. Over the headline bands, NFR100 averages the
    effects; density, physical and coverage columns average the bands; percolation and the classifier pool the volumes.

    Attributes:
        headline: whether it enters "all".
        n_generated: generated volumes.
        n_real: real test volumes.
        n_empty: generated volumes without a pore voxel.
        nfr100: noise-floor ratio at 100 volumes, with the interval of a paired bootstrap over the test densities;
            1 = cannot be told from real.
        p: share of random swaps of generated and real volumes of one density whose largest effect of a family, in units
            of its spread under swaps, is as large.
        tests: name -> p of each test that the verdict rests on: "structure" (as ``p``), "joint" (all descriptors
            together) and "classifier" (see ``descriptor_classifier``).
        families: family of the suite -> its own NFR100.
        descriptors: component of the suite, a headline descriptor or "joint" -> its own NFR100.
        axes: descriptor of direction -> the axis along which generated volumes deviate most.
        density_bias: excess of pore voxels, percent.
        density_error: mean |d̂ − d|.
        density_error_real: the same for the real volumes.
        physical: quantity -> error in its unit.
        percolation: share of volumes and axes whose pores percolate.
        percolation_real: the same for the real volumes.
        c2st_auc: area under the curve of a logistic classifier between generated and real; None below five volumes.
        c2st_auc_nonlinear: the same of a support vector machine, which also sees combinations of descriptors.
        fidelity: how often generated volumes lie among real ones, in units of what real ones do.
        coverage: share of the real volumes that generated ones lie near to.
        coverage_expected: the same for real volumes.
    """

    headline: bool
    n_generated: int
    n_real: int
    n_empty: int
    nfr100: Estimate | None = None
    p: float | None = None
    tests: dict[str, float] = field(default_factory=dict)
    families: dict[str, Estimate] = field(default_factory=dict)
    descriptors: dict[str, Estimate] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    density_bias: float | None = None
    density_error: float | None = None
    density_error_real: float | None = None
    physical: dict[str, PhysicalError] = field(default_factory=dict)
    percolation: Estimate | None = None
    percolation_real: Estimate | None = None
    c2st_auc: Estimate | None = None
    c2st_auc_nonlinear: Estimate | None = None
    fidelity: float | None = None
    coverage: float | None = None
    coverage_expected: float | None = None

    @property
    def worst(self) -> str | None:
        """The descriptor with the largest NFR100."""
        return max(self.descriptors, key=lambda name: self.descriptors[name].value, default=None)


@dataclass(frozen=True)
class ScoreResult:
    """The score of one generator on one data set.

    Attributes:
        bands: name -> record, from the lowest band to the highest, then "all" (the headline bands together).
        law: a and b of density = a · n^b, fitted on training volumes; None for porosity data.
        replicates: scores for resampled test densities, to compare generators with; None where no headline band was
            scored.
    """

    bands: dict[str, BandScore]
    law: tuple[float, float] | None
    replicates: Replicates | None

    @property
    def headline(self) -> BandScore:
        """The record over the headline bands."""
        return self.bands[ALL]
