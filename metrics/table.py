"""METRICS: every descriptor and every column of the tables, with its unit, version and source.

A version goes up when the same volumes would give another number; results carry the versions that made them.
"""

from __future__ import annotations

from dataclasses import dataclass

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
WESTFALL = "Westfall and Young (1993), Resampling-Based Multiple Testing"
WHITENING = "Kessy, Lewin and Strimmer (2018), doi:10.1080/00031305.2016.1277159"
TAUFACTOR = "Cooper et al. (2016), doi:10.1016/j.softx.2016.09.002"
UNDERWOOD = "Underwood (1970), Quantitative Stereology"
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
        version: goes up when the same input would give another number.
        reference: author, year and DOI; "porebench" for what is defined here.
        description: one line for a reader of the table.
    """

    name: str
    symbol: str
    unit: str
    version: int
    reference: str
    description: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("specific_surface", "s", "1/voxel", 1, TORQUATO, "interface area per volume, by voxel faces"),
        Metric("euler_6", "χ₆", "per volume", 1, KONG, "Euler number of the pores, 6 neighbours"),
        Metric("mean_chord", "ℓ", "voxel", 1, CHORDS, "mean length of complete pore chords"),
        Metric("profile_sd", "σ(φ)", "", 1, HILFER, "standard deviation of slab porosity"),
        Metric("n_components", "N", "per volume", 1, CLUSTERS, "number of pore clusters, 26 neighbours"),
        Metric("largest_component_fraction", "f₁", "", 1, CLUSTERS, "share of the pores in the largest cluster"),
        Metric("mean_local_thickness", "r̄", "voxel", 1, THICKNESS, "mean radius of the largest ball over a pore voxel"),
        Metric("max_distance", "r_max", "voxel", 1, PORE_SIZE, "radius of the largest ball inside the pores"),
        Metric("two_point_correlation", "S₂", "", 1, TWO_POINT, "autocovariance at 1 to 12 voxels"),
        Metric("lineal_path", "L", "", 1, LINEAL, "share of segments of 1 to 9 voxels inside the pores, over porosity"),
        Metric("chord_lengths", "F(ℓ)", "", 1, CHORDS, "distribution of pore chords, 1 to 11 voxels"),
        Metric("thickness_distribution", "F(r)", "", 1, THICKNESS, "distribution of local thickness, 1 to 10 voxels"),
        Metric("distance_distribution", "F(δ)", "", 1, PORE_SIZE, "distribution of distance to solid, 1 to 10 voxels"),
        Metric("component_counts", "ln N(v)", "", 1, CLUSTERS, "clusters of up to 1, 2, 4, ..., 4096 voxels"),
        Metric("percolation_share", "P", "", 1, PORESPY, "share of axes along which the pores connect both faces"),
        Metric("pore_diffusivity", "D/D₀", "", 2, TAUFACTOR, "effective diffusivity of the pores, mean of the axes"),
        Metric("surface_direction", "Δs", "", 1, UNDERWOOD, "share of faces across each axis, less a third"),
        Metric("chord_direction", "Δℓ", "voxel", 1, CHORDS, "mean chord along each axis, less the mean"),
        Metric("two_point_direction", "ΔS₂", "", 1, TWO_POINT, "autocovariance along each axis, less the mean"),
        Metric("lineal_path_direction", "ΔL", "", 1, LINEAL, "lineal path along each axis, less the mean"),
        Metric("percolation_direction", "ΔP", "", 1, PORESPY, "percolation along each axis, less the share of axes"),
        Metric("joint", "joint", "", 1, WHITENING, "all descriptors together, uncorrelated in real volumes"),
        Metric("family", "family", "", 1, HERE, "NFR100 of a family of descriptors: size, correlation, ..."),
        Metric("patch_rate", "patches", "", 1, COPYING, "share of 10³ patches that occur in training volumes"),
        Metric("patch_rate_real", "patches*", "", 1, COPYING, "the same for held-out real volumes"),
        Metric("c2st_auc_nonlinear", "AUC", "", 1, C2ST, "0.5 = no support vector machine can tell"),
        Metric("nfr100", "NFR100", "", 3, DISCO, "structure; 1 = cannot be told from real"),
        Metric("p", "p", "", 3, WESTFALL, "random swaps with as large an effect in any family"),
        Metric(
            "nfr100_unrelated", "NFR100*", "", 1, HERE, "NFR100 without the descriptors that the generator trained on"
        ),
        Metric("worst_nfr100", "worst", "", 3, DISCO, "NFR100 of the worst descriptor"),
        Metric("density_bias", "Δn", "%", 1, HERE, "excess of pore voxels"),
        Metric("density_error", "|d̂−d|", "", 1, HERE, "density off its target"),
        Metric("density_error_real", "|d̂−d|*", "", 1, HERE, "the same for real volumes"),
        Metric("pore_radius:error", "W₁(r̄)", "voxel", 1, TRANSPORT, "pore radius error"),
        Metric("specific_surface:error", "W₁(s)", "1/voxel", 1, TRANSPORT, "surface error"),
        Metric("euler_number:error", "W₁(χ₆)", "per volume", 1, TRANSPORT, "Euler error"),
        Metric("n_components:error", "W₁(N)", "per volume", 1, TRANSPORT, "cluster count error"),
        Metric("percolation", "P", "", 1, PORESPY, "share of axes that percolate"),
        Metric("c2st_auc", "AUC", "", 2, C2ST, "0.5 = no classifier can tell"),
        Metric("voxel_auc", "AUC, voxels", "", 1, C2ST, "0.5 = a network on voxels cannot tell"),
        Metric("solid_diffusivity", "D/D_HS", "", 2, BOUND, "effective diffusivity of the solid over its upper bound"),
        Metric("solid_blocked", "blocked", "", 1, HERE, "share of volumes whose solid is cut along an axis"),
        Metric("fidelity", "fidelity", "", 1, COVERAGE, "1 = drawn where real volumes lie"),
        Metric("coverage", "coverage", "", 1, COVERAGE, "share of real that is drawn"),
        Metric("copy_rate", "copies", "", 3, COPYING, "share that takes half its pores from one training volume"),
        Metric(
            "leak_rate",
            "leaks",
            "",
            2,
            COPYING,
            "share nearer to training than to unseen volumes, as 1 % of real ones are",
        ),
        Metric("novelty", "novelty", "", 2, HERE, "1 = as far from training volumes as real ones, 0 = among them"),
        Metric("diversity", "diversity", "", 1, HERE, "1 = as varied as real, 0 = collapsed"),
        Metric("n_empty", "empty", "volumes", 1, HERE, "volumes without a pore"),
        Metric("iou", "IoU", "", 1, JACCARD, "overlap of a reconstruction with its truth"),
        Metric("corrected_iou", "IoU_c", "", 1, ADJUSTED, "overlap beyond chance"),
        Metric("precision", "precision", "", 1, DICE, "reconstructed pore that is true"),
        Metric("recall", "recall", "", 1, DICE, "true pore that is reconstructed"),
        Metric("volume_bias", "ΔV", "%", 1, HERE, "excess of pore voxels"),
        Metric("tolerant_f1", "F1±1", "", 1, DICE, "F1 to within one voxel"),
        Metric("false_positives", "FP", "voxels", 1, HERE, "per volume"),
        Metric("false_negatives", "FN", "voxels", 1, HERE, "per volume"),
        Metric("small_pore_recall", "small", "", 1, HERE, "true clusters of at most 33 voxels that are half covered"),
        Metric("speck_recall", "specks", "", 1, HERE, "true clusters of at most 3 voxels that are touched"),
        Metric("radius_w1", "W₁(R)", "voxel", 1, TRANSPORT, "error of detected pore radii"),
        Metric(
            "drawn_radius_w1", "W₁(R)", "voxel", 1, TRANSPORT, "error of the pore radii of draws, against real volumes"
        ),
        Metric(
            "true_radius_w1",
            "W₁(R*)",
            "voxel",
            1,
            TRANSPORT,
            "error of the pore radii of draws, against the true spheres",
        ),
        Metric(
            "small_pore_ratio", "small/real", "", 1, HERE, "detected pores of at most 2 voxels radius, drawn over real"
        ),
    )
}


def versions() -> dict[str, int]:
    """Return the version of every metric, by name."""
    return {name: metric.version for name, metric in METRICS.items()}
