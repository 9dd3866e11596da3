"""Volume against its reconstruction: overlap, errors by voxel, and recall of the smallest pores.

IoU alone misleads: two unrelated volumes with a third of pores share 0.2 by chance, and dropping every small pore costs
0.04. Its chance-corrected form, precision, recall, volume bias and small-pore recall stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from porebench.data.volumes import DensityKind, Volumes

from ._batch import TOUCHING, count_true
from .bands import ALL, density_bands, mean_defined
from .overlap import corrected_iou, iou
from .physical import wasserstein
from .sizes import detected_radii

Floats = NDArray[np.float64]
SMALL_PORE = 33  # voxels of a ball of radius 2
SPECK = 3  # voxels

MEANS = (
    "iou",
    "corrected_iou",
    "precision",
    "recall",
    "volume_bias",
    "tolerant_f1",
    "false_positives",
    "false_negatives",
)


@dataclass(frozen=True)
class ReconstructionScore:
    """Reconstruction quality in one density band, or averaged over the headline bands.

    None where no volume, no small pore or no detected pore gives a value.

    Attributes:
        n: volumes.
        n_undefined: of these, volumes where truth or reconstruction has no pore.
        iou: intersection over union, in [0, 1].
        corrected_iou: the same with the chance overlap taken out; 0 by chance, 1 when equal.
        precision: share of the reconstructed pore that is true.
        recall: share of the true pore that is reconstructed.
        volume_bias: excess of pore voxels, percent of the true number.
        tolerant_f1: F1 when a voxel may be one off.
        false_positives: voxels a volume.
        false_negatives: voxels a volume.
        small_pore_recall: share of the true clusters of at most 33 voxels that are at least half covered.
        n_small_pores: such clusters.
        speck_recall: share of the true clusters of at most 3 voxels that are touched.
        n_specks: such clusters.
        radius_w1: Wasserstein-1 distance between the radii of the pores detected in truth and reconstruction, voxels.
    """

    n: int
    n_undefined: int
    iou: float | None
    corrected_iou: float | None
    precision: float | None
    recall: float | None
    volume_bias: float | None
    tolerant_f1: float | None
    false_positives: float | None
    false_negatives: float | None
    small_pore_recall: float | None
    n_small_pores: int
    speck_recall: float | None
    n_specks: int
    radius_w1: float | None


@dataclass(frozen=True, eq=False)
class ReconstructionResult:
    """Reconstruction quality of a set of volumes.

    Attributes:
        volumes: name -> one number a volume, float64 [n].
        bands: name -> score, from the lowest band to the highest, then "all" (mean over the headline bands).
    """

    volumes: dict[str, Floats]
    bands: dict[str, ReconstructionScore]


def reconstruction_scores(
    truth: Volumes,
    reconstruction: NDArray[np.bool_],
    *,
    kind: DensityKind = "factor",
    radii: bool = True,
    workers: int = 1,
) -> ReconstructionResult:
    """Return the quality of reconstructions, by volume, by density band and over the headline bands.

    Where both volumes are without pore every share is 1; where one of them is, 0.

    Args:
        truth: real volumes with their densities.
        reconstruction: bool like ``truth.voxels``, in the same order.
        kind: what density means.
        radii: whether to detect pores and compare their radii, which takes longer than all the rest.
        workers: threads for the detection.

    Raises:
        TypeError: if the reconstruction is not boolean.
        ValueError: if the shapes differ.
    """
    if reconstruction.dtype != np.bool_:
        raise TypeError(f"reconstruction must be boolean with True = pore, got dtype {reconstruction.dtype}")
    if reconstruction.shape != truth.voxels.shape:
        raise ValueError(f"reconstruction must have the shape {truth.voxels.shape}, got {reconstruction.shape}")
    volumes = compare_voxels(truth.voxels, reconstruction)
    sizes: list[tuple[Floats, Floats]] = []
    if radii:
        both = (detected_radii(each, workers=workers) for each in (truth.voxels, reconstruction))
        sizes = list(zip(*both, strict=True))
    found: dict[str, ReconstructionScore] = {}
    headline = []
    for band in density_bands(truth.density, kind):
        chosen = np.flatnonzero(band.contains(truth.density))
        inside = {name: values[chosen] for name, values in volumes.items()}
        found[band.name] = _band_score(inside, [sizes[i] for i in chosen] if radii else [])
        if band.headline and len(chosen):
            headline.append(found[band.name])
    return ReconstructionResult(volumes, {**found, ALL: _average(headline)})


def compare_voxels(truth: NDArray[np.bool_], reconstruction: NDArray[np.bool_]) -> dict[str, Floats]:
    """Return the voxel-wise quality of each volume, name -> float64 [n]; names and units as in ``ReconstructionScore``.

    Args:
        truth: bool [n, depth, height, width].
        reconstruction: bool of the same shape.

    Example:
        >>> slab = np.zeros((1, 4, 4, 4), dtype=bool)
        >>> slab[:, :2] = True
        >>> scores = compare_voxels(slab, np.ones_like(slab))
        >>> scores["precision"].item(), scores["recall"].item(), scores["volume_bias"].item()
        (0.5, 1.0, 100.0)
    """
    real, made, both = count_true(truth), count_true(reconstruction), count_true(truth & reconstruction)
    empty = (real == 0) & (made == 0)
    tolerant = [_reached(reconstruction, truth), _reached(truth, reconstruction)]
    objects = np.array([_small_pores(*pair) for pair in zip(truth, reconstruction, strict=True)]).reshape(-1, 4)
    return {
        "iou": iou(both, real, made),
        "corrected_iou": corrected_iou(both, real, made, int(np.prod(truth.shape[1:]))),
        "precision": _share(both, made, empty),
        "recall": _share(both, real, empty),
        "volume_bias": 100.0 * (made - real) / np.maximum(real, 1),
        "tolerant_f1": _share(2 * tolerant[0] * tolerant[1], tolerant[0] + tolerant[1], empty),
        "false_positives": (made - both).astype(np.float64),
        "false_negatives": (real - both).astype(np.float64),
        **dict(zip(("small_pores", "small_pores_found", "specks", "specks_found"), objects.T, strict=True)),
        "undefined": ((real == 0) | (made == 0)).astype(np.float64),
    }


def _small_pores(truth: NDArray[np.bool_], made: NDArray[np.bool_]) -> list[int]:
    """Return the numbers of true small pores, those half covered, true specks and those touched, in one volume."""
    labels = ndimage.label(truth, TOUCHING)[0]
    sizes = np.bincount(labels.ravel())[1:]
    covered = np.bincount(labels[made], minlength=len(sizes) + 1)[1:]
    small, speck = sizes <= SMALL_PORE, sizes <= SPECK
    return [int(mask.sum()) for mask in (small, small & (2 * covered >= sizes), speck, speck & (covered > 0))]


def _reached(voxels: NDArray[np.bool_], target: NDArray[np.bool_]) -> Floats:
    """Return the share of a volume's pore within one voxel (face neighbours) of the target's, [n]; 0 without pore."""
    cross = ndimage.generate_binary_structure(3, 1)[None]
    near = ndimage.binary_dilation(target, cross) if len(target) else target
    return _share(count_true(voxels & near), count_true(voxels), np.zeros(len(voxels), dtype=bool))


def _share(part: NDArray[np.number], whole: NDArray[np.number], perfect: NDArray[np.bool_]) -> Floats:
    """Return the quotient; 0 where the whole is, but 1 where marked as perfect."""
    share: Floats = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    share[perfect] = 1.0
    return share


def _band_score(volumes: dict[str, Floats], sizes: Sequence[tuple[Floats, Floats]]) -> ReconstructionScore:
    """Return the score of one band; pores and radii are pooled over its volumes."""
    n = len(volumes["iou"])
    total = {key: int(values.sum()) for key, values in volumes.items() if "pores" in key or "speck" in key}
    radius_w1 = None
    if sizes:
        real, made = (np.concatenate(side) for side in zip(*sizes, strict=True))
        radius_w1 = float(wasserstein(made, real)) if len(real) and len(made) else None
    return ReconstructionScore(
        n=n,
        n_undefined=int(volumes["undefined"].sum()),
        **{key: float(volumes[key].mean()) if n else None for key in MEANS},
        small_pore_recall=total["small_pores_found"] / total["small_pores"] if total["small_pores"] else None,
        n_small_pores=total["small_pores"],
        speck_recall=total["specks_found"] / total["specks"] if total["specks"] else None,
        n_specks=total["specks"],
        radius_w1=radius_w1,
    )


def _average(bands: Sequence[ReconstructionScore]) -> ReconstructionScore:
    """Return the means over bands of what is defined; counts are summed."""
    return ReconstructionScore(
        n=sum(band.n for band in bands),
        n_undefined=sum(band.n_undefined for band in bands),
        **{
            key: mean_defined(getattr(band, key) for band in bands)
            for key in (*MEANS, "small_pore_recall", "speck_recall", "radius_w1")
        },
        n_small_pores=sum(band.n_small_pores for band in bands),
        n_specks=sum(band.n_specks for band in bands),
    )
