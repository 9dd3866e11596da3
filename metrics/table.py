"""METRICS: every descriptor and every column of the tables, with its unit, direction, version and source.

A version goes up when the same volumes would give another number; results carry the versions that made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "one", "zero", "real"]

TORQUATO = "Torquato (2002), doi:10.1007/978-1-4757-6355-3"
KONG = "Kong and Rosenfeld (1989), doi:10.1016/0734-189X(89)90147-3"
CHORDS = "Torquato and Lu (1993), doi:10.1103/PhysRevE.47.2950"
HILFER = "Hilfer (1991), doi:10.1103/PhysRevB.44.60"
CLUSTERS = "Stauffer and Aharony (1994), doi:10.1201/9781315274386"
THICKNESS = "Hildebrand and Rüegsegger (1997), doi:10.1046/j.1365-2818.1997.1340694.x"
PORE_SIZE = "Torquato and Avellaneda (1991), doi:10.1063/1.461519"
TWO_POINT = "Yeong and Torquato (1998), doi:10.1103/PhysRevE.57.495"
LINEAL = "Lu and Torquato (1992), doi:10.1103/PhysRevA.45.922"
DISCO = "Rizzo and Székely (2010), doi:10.1214/09-AOAS245"
PERMUTATION = "Phipson and Smyth (2010), doi:10.2202/1544-6115.1585"
TRANSPORT = "Panaretos and Zemel (2019), doi:10.1146/annurev-statistics-030718-104938"
PORESPY = "Gostick et al. (2019), doi:10.21105/joss.01296"
C2ST = "Lopez-Paz and Oquab (2017), doi:10.48550/arXiv.1610.06545"
BOUND = "Hashin and Shtrikman (1962), doi:10.1063/1.1728579"
COVERAGE = "Naeem et al. (2020), doi:10.48550/arXiv.2002.09797"
COPYING = "Meehan, Chaudhuri and Dasgupta (2020), doi:10.48550/arXiv.2004.05675"
JACCARD = "Jaccard (1912), doi:10.1111/j.1469-8137.1912.tb05611.x"
ADJUSTED = "Hubert and Arabie (1985), doi:10.1007/BF01908075"
DICE = "Dice (1945), doi:10.2307/1932409"
HERE = "porebench"


@dataclass(frozen=True)
class Metric:
    """One descriptor or one column.

    Attributes:
        name: key in ``METRICS`` and in results.
        symbol: for the head of a table.
        unit: "" for pure numbers.
        direction: what is good: "lower", "higher", close to "one" or to "zero", or close to the "real" value.
        version: goes up when the same input would give another number.
        function: where it is computed, "module:name".
        reference: author, year and DOI; "porebench" for what is defined here.
        description: one line for a reader of the table.
    """

    name: str
    symbol: str
    unit: str
    direction: Direction
    version: int
    function: str
    reference: str
    description: str


def _descriptor(name: str, symbol: str, unit: str, reference: str, description: str) -> Metric:
    return Metric(name, symbol, unit, "real", 1, f"porebench.metrics.morphology:{name}", reference, description)


_DESCRIPTORS = (
    _descriptor("specific_surface", "s", "1/voxel", TORQUATO, "interface area per volume, by voxel faces"),
    _descriptor("euler_6", "χ₆", "per volume", KONG, "Euler number of the pores, 6 neighbours"),
    _descriptor("mean_chord", "ℓ", "voxel", CHORDS, "mean length of complete pore chords"),
    _descriptor("profile_sd", "σ(φ)", "", HILFER, "standard deviation of slab porosity"),
    _descriptor("n_components", "N", "per volume", CLUSTERS, "number of pore clusters, 26 neighbours"),
    _descriptor("largest_component_fraction", "f₁", "", CLUSTERS, "share of the pores in the largest cluster"),
    _descriptor("mean_local_thickness", "r̄", "voxel", THICKNESS, "mean radius of the largest ball over a pore voxel"),
    _descriptor("max_distance", "r_max", "voxel", PORE_SIZE, "radius of the largest ball inside the pores"),
    _descriptor("two_point_correlation", "S₂", "", TWO_POINT, "autocovariance at 1 to 12 voxels"),
    _descriptor("lineal_path", "L", "", LINEAL, "share of segments of 1 to 9 voxels inside the pores, over porosity"),
    _descriptor("chord_lengths", "F(ℓ)", "", CHORDS, "distribution of pore chords, 1 to 11 voxels"),
    _descriptor("thickness_distribution", "F(r)", "", THICKNESS, "distribution of local thickness, 1 to 10 voxels"),
    _descriptor("distance_distribution", "F(δ)", "", PORE_SIZE, "distribution of distance to solid, 1 to 10 voxels"),
    _descriptor("component_counts", "ln N(v)", "", CLUSTERS, "clusters of up to 1, 2, 4, ..., 4096 voxels"),
)

_COLUMNS = (
    Metric(
        "nfr100",
        "NFR100",
        "",
        "one",
        2,
        "porebench.metrics.score:score",
        DISCO,
        "structure; 1 = cannot be told from real",
    ),
    Metric(
        "p", "p", "", "higher", 2, "porebench.metrics.score:score", PERMUTATION, "random swaps as far from real as this"
    ),
    Metric(
        "worst_nfr100", "worst", "", "one", 2, "porebench.metrics.score:score", DISCO, "NFR100 of the worst descriptor"
    ),
    Metric(
        "density_bias", "Δn", "%", "zero", 1, "porebench.metrics.physical:density_bias", HERE, "excess of pore voxels"
    ),
    Metric(
        "density_error",
        "|d̂−d|",
        "",
        "lower",
        1,
        "porebench.metrics.physical:density_error",
        HERE,
        "density off its target",
    ),
    Metric(
        "density_error_real",
        "|d̂−d|*",
        "",
        "lower",
        1,
        "porebench.metrics.physical:density_error",
        HERE,
        "the same for real volumes",
    ),
    Metric(
        "pore_radius:error",
        "W₁(r̄)",
        "voxel",
        "lower",
        1,
        "porebench.metrics.physical:physical_errors",
        TRANSPORT,
        "pore radius error",
    ),
    Metric(
        "specific_surface:error",
        "W₁(s)",
        "1/voxel",
        "lower",
        1,
        "porebench.metrics.physical:physical_errors",
        TRANSPORT,
        "surface error",
    ),
    Metric(
        "euler_number:error",
        "W₁(χ₆)",
        "per volume",
        "lower",
        1,
        "porebench.metrics.physical:physical_errors",
        TRANSPORT,
        "Euler error",
    ),
    Metric(
        "n_components:error",
        "W₁(N)",
        "per volume",
        "lower",
        1,
        "porebench.metrics.physical:physical_errors",
        TRANSPORT,
        "cluster count error",
    ),
    Metric(
        "percolation",
        "P",
        "",
        "real",
        1,
        "porebench.metrics.descriptors:percolation",
        PORESPY,
        "share of axes that percolate",
    ),
    Metric(
        "c2st_auc",
        "AUC",
        "",
        "lower",
        2,
        "porebench.metrics.descriptor_classifier:descriptor_auc",
        C2ST,
        "0.5 = no classifier can tell",
    ),
    Metric(
        "voxel_auc",
        "AUC, voxels",
        "",
        "lower",
        1,
        "porebench.metrics.voxel_classifier:voxel_auc",
        C2ST,
        "0.5 = a network on voxels cannot tell",
    ),
    Metric(
        "solid_diffusivity",
        "D/D_HS",
        "",
        "real",
        1,
        "porebench.metrics.physics:relative_diffusivity",
        BOUND,
        "effective diffusivity of the solid over its upper bound",
    ),
    Metric(
        "solid_blocked",
        "blocked",
        "",
        "real",
        1,
        "porebench.metrics.physics:diffusivity_by_band",
        HERE,
        "share of volumes whose solid is cut along an axis",
    ),
    Metric(
        "fidelity",
        "fidelity",
        "",
        "one",
        1,
        "porebench.metrics.coverage:coverage",
        COVERAGE,
        "1 = drawn where real volumes lie",
    ),
    Metric(
        "coverage",
        "coverage",
        "",
        "higher",
        1,
        "porebench.metrics.coverage:coverage",
        COVERAGE,
        "share of real that is drawn",
    ),
    Metric(
        "copy_rate",
        "copies",
        "",
        "lower",
        3,
        "porebench.metrics.novelty:judge_novelty",
        COPYING,
        "share that takes half its pores from one training volume",
    ),
    Metric(
        "leak_rate",
        "leaks",
        "",
        "lower",
        2,
        "porebench.metrics.novelty:judge_novelty",
        COPYING,
        "share nearer to training than to unseen volumes, as 1 % of real ones are",
    ),
    Metric(
        "novelty",
        "novelty",
        "",
        "one",
        2,
        "porebench.metrics.novelty:judge_novelty",
        HERE,
        "1 = as far from training volumes as real ones, 0 = among them",
    ),
    Metric(
        "diversity",
        "diversity",
        "",
        "one",
        1,
        "porebench.metrics.novelty:diversity",
        HERE,
        "1 = as varied as real, 0 = collapsed",
    ),
    Metric("n_empty", "empty", "volumes", "lower", 1, "porebench.metrics.score:score", HERE, "volumes without a pore"),
    Metric(
        "iou",
        "IoU",
        "",
        "higher",
        1,
        "porebench.metrics.overlap:iou",
        JACCARD,
        "overlap of a reconstruction with its truth",
    ),
    Metric(
        "corrected_iou",
        "IoU_c",
        "",
        "higher",
        1,
        "porebench.metrics.overlap:corrected_iou",
        ADJUSTED,
        "overlap beyond chance",
    ),
    Metric(
        "precision",
        "precision",
        "",
        "higher",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        DICE,
        "reconstructed pore that is true",
    ),
    Metric(
        "recall",
        "recall",
        "",
        "higher",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        DICE,
        "true pore that is reconstructed",
    ),
    Metric(
        "volume_bias",
        "ΔV",
        "%",
        "zero",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        HERE,
        "excess of pore voxels",
    ),
    Metric(
        "tolerant_f1",
        "F1±1",
        "",
        "higher",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        DICE,
        "F1 to within one voxel",
    ),
    Metric(
        "false_positives",
        "FP",
        "voxels",
        "lower",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        HERE,
        "per volume",
    ),
    Metric(
        "false_negatives",
        "FN",
        "voxels",
        "lower",
        1,
        "porebench.metrics.reconstruction:compare_voxels",
        HERE,
        "per volume",
    ),
    Metric(
        "small_pore_recall",
        "small",
        "",
        "higher",
        1,
        "porebench.metrics.reconstruction:reconstruction_scores",
        HERE,
        "true clusters of at most 33 voxels that are half covered",
    ),
    Metric(
        "speck_recall",
        "specks",
        "",
        "higher",
        1,
        "porebench.metrics.reconstruction:reconstruction_scores",
        HERE,
        "true clusters of at most 3 voxels that are touched",
    ),
    Metric(
        "radius_w1",
        "W₁(R)",
        "voxel",
        "lower",
        1,
        "porebench.metrics.reconstruction:pore_radii",
        TRANSPORT,
        "error of detected pore radii",
    ),
)

_SIZES = (
    Metric(
        "drawn_radius_w1",
        "W₁(R)",
        "voxel",
        "lower",
        1,
        "porebench.metrics.sizes:size_scores",
        TRANSPORT,
        "error of the pore radii of draws, against real volumes",
    ),
    Metric(
        "true_radius_w1",
        "W₁(R*)",
        "voxel",
        "lower",
        1,
        "porebench.metrics.sizes:size_scores",
        TRANSPORT,
        "error of the pore radii of draws, against the true spheres",
    ),
    Metric(
        "small_pore_ratio",
        "small/real",
        "",
        "one",
        1,
        "porebench.metrics.sizes:size_scores",
        HERE,
        "detected pores of at most 2 voxels radius, drawn over real",
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*_DESCRIPTORS, *_COLUMNS, *_SIZES)}


def versions() -> dict[str, int]:
    """Return the version of every metric, by name."""
    return {name: metric.version for name, metric in METRICS.items()}
