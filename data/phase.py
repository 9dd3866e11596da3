"""Which voxels of an image are pore, decided in one place, and the sentence that says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

LABELS = 16
"""An image of more values than this is taken for a grey one."""
HIGH_POROSITY = 0.6
"""Few rocks and electrodes have more: above it the phases may be swapped."""

HALF = 0.5

Pore = float | Sequence[float] | None
Threshold = float | Literal["otsu"] | None


@dataclass(frozen=True)
class Phase:
    """Decision on the pore phase of an image.

    Attributes:
        labels: values that are pore; none where a threshold decided.
        porosity: share of pore voxels in [0, 1].
        reason: the image's values, and why these are pore.
        warning: what speaks against the decision; empty where it was asked for or follows from the format.
        threshold: the largest grey value that is pore, None where labels decided.
        voxel: edge of a voxel in words; empty where it is not known.
        outside: share of voxels that are not the sample; ``porosity`` leaves them out.
        picked: what was read of several channels, frames, phases or volumes, in words; empty where there is but one.
    """

    labels: tuple[float, ...]
    porosity: float
    reason: str
    warning: str = ""
    threshold: float | None = None
    voxel: str = ""
    outside: float = 0.0
    picked: str = ""

    def __str__(self) -> str:
        pore = _list(self.labels) if self.threshold is None else f"at or below {self.threshold:g}"
        parts = [
            f"pore = {pore} ({self.reason}), porosity {self.porosity:.3f}",
            f"{100 * self.outside:.1f} % of the voxels are outside" if self.outside else "",
            f"voxels of {self.voxel}" if self.voxel else "",
            f"picked {self.picked}" if self.picked else "",
            self.warning,
        ]
        return "; ".join(part for part in parts if part)


def voxel_in(sentence: str) -> tuple[float, str] | None:
    """Return edge and unit of a voxel that the sentence of a `Phase` states, the unit "" where it has none.

    Example:
        >>> voxel_in("pore = 0 (as asked), porosity 0.2; voxels of 5.345 µm"), voxel_in("pore = 0")
        ((5.345, 'µm'), None)
    """
    _, _, words = sentence.partition("; voxels of ")
    return voxel_from(words)


def voxel_from(words: str) -> tuple[float, str] | None:
    """Return edge and unit of a voxel from the words of ``Phase.voxel``, the unit "" where they have none.

    Example:
        >>> voxel_from("1 µm, resampled from 4 × 1 × 1 µm"), voxel_from("2.5"), voxel_from("")
        ((1.0, 'µm'), (2.5, ''), None)
    """
    found = re.match(r"(?P<edge>[0-9.]+(?:e[+-]?[0-9]+)?)(?: (?P<unit>[^;,]+))?(?:[;,]|$)", words)
    return None if found is None else (float(found["edge"]), found["unit"] or "")


def pore_phase(
    image: NDArray[np.generic], name: str, *, pore: Pore = None, threshold: Threshold = None, stated: bool = False
) -> tuple[NDArray[np.bool_], Phase]:
    """Return the mask of pores in an image of any number of axes, and the decision that it follows.

    The first that applies decides:

    1. ``pore`` or ``threshold``, whichever is given;
    2. the format, where ``stated`` says that it defines True as pore;
    3. True in a boolean array, with a warning, since others write True for solid;
    4. the smaller of two labels, as in a tomography, with a warning where they are 0 and 1, since these are used both
       ways. Labels 0 and -1 of int8 are 0 and 255.

    Booleans, 0 and 1 are asked about where that would make most of the voxels pore.

    A porosity above `HIGH_POROSITY` that nobody asked for is warned of.

    Args:
        image: one number a voxel.
        name: the file's name in messages.
        pore: value or values of pores.
        threshold: the largest grey value of pores, or "otsu" for the value that parts the histogram best.
        stated: whether the format of the file defines a boolean array as the pore phase.

    Raises:
        ValueError: if nothing decides, or what is asked for does not occur; says which option helps.
    """
    if image.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected numbers, got dtype {image.dtype}; save one grey value a voxel")
    if pore is not None and threshold is not None:
        raise ValueError(f"{name}: both pore labels and a threshold are given; leave one of them out")
    if stated and image.dtype.kind == "b" and pore is None:
        whole = np.asarray(image, dtype=np.bool_)
        return whole, Phase((1.0,), float(whole.mean()), "by the file's format")
    if image.dtype.kind == "f" and not np.all(np.isfinite(image)):
        raise ValueError(f"{name}: holds infinite values; segment the image first")
    if threshold is not None:
        return _below(image, name, threshold)
    if image.dtype == np.int8 and (image.min(), image.max()) == (-1, 0):
        image = image.view(np.uint8)
    shares = _shares(image)
    if pore is None:
        labels, reason, warning = _default(image, name, shares)
    else:
        labels, reason, warning = _asked(image, pore), "as asked", ""
    mask = np.zeros(image.shape, dtype=np.bool_)
    occur = bool(labels)
    for label in labels:
        voxels = np.asarray(image == label)
        occur = occur and bool(voxels.any())
        mask |= voxels
    if not occur or mask.all():
        found = f"the image holds {_found(shares)}"
        raise ValueError(f"{name}: pore must be some of the labels but not all, got {_list(labels)}: {found}")
    porosity = float(mask.mean())
    if pore is None and porosity > HIGH_POROSITY:
        high = f"above {HIGH_POROSITY:g} is rare"
        warning = f"{warning}, and {high}" if warning else f"{high}: give --pore LABEL to say which value is pore"
    known = _list(list(shares)[:4]) + (", …" if len(shares) > 4 else "")
    return mask, Phase(labels, porosity, f"of {known}; {reason}", warning)


def outside_of(image: NDArray[np.generic], name: str, labels: Pore) -> NDArray[np.bool_] | None:
    """Return a mask of what is not the sample: some labels and NaN; None where there is nothing but sample.

    Raises:
        ValueError: if a label does not occur, or everything is outside.
    """
    if image.dtype.kind != "f" and labels is None:
        return None
    mask = np.isnan(image) if image.dtype.kind == "f" else np.zeros(image.shape, dtype=np.bool_)
    for label in [] if labels is None else _asked(image, labels):
        voxels = np.asarray(image == label)
        if not voxels.any():
            raise ValueError(
                f"{name}: no voxel has the label {label:g} of what is outside; it holds {_found(_shares(image))}"
            )
        mask |= voxels
    if mask.all():
        raise ValueError(f"{name}: every voxel is outside the sample (NaN or --outside); segment the image first")
    return mask if mask.any() else None


def _asked(image: NDArray[np.generic], pore: float | Sequence[float]) -> tuple[float, ...]:
    """Return the labels asked for in ascending order, rounded like the image's."""
    labels = np.unique(np.asarray(pore, dtype=image.dtype if image.dtype.kind == "f" else np.float64))
    return tuple(float(label) for label in labels)


def _default(image: NDArray[np.generic], name: str, shares: dict[float, float]) -> tuple[tuple[float, ...], str, str]:
    """Return the label of pores in an image of two labels, the reason and a warning."""
    if len(shares) == 1:
        raise ValueError(f"{name}: expected two labels, got {_found(shares)}: it holds a single phase")
    if len(shares) > LABELS:
        help_ = "segment it first, or give --threshold otsu or a grey value (pores lie at or below it)"
        values = f"more than {LABELS} values from {image.min():g} to {image.max():g}"
        raise ValueError(f"{name}: expected two labels, got a grey image of {values}: {help_}")
    if len(shares) > 2:
        help_ = "say which are pore with --pore LABEL[,LABEL…], and what is not the sample with --outside LABEL"
        raise ValueError(f"{name}: expected two labels, got {len(shares)}, {_found(shares)}: {help_}")
    low, high = sorted(shares)
    is_bool = image.dtype.kind == "b"
    label, reason = (high, "True in a boolean array") if is_bool else (low, "the smaller label")
    if not is_bool and (low, high) != (0, 1):
        return (label,), reason, ""
    # One array as booleans and as numbers is read in opposite ways, of which only one leaves pores in the minority:
    # that one is taken, the other is asked about, so the two never answer differently.
    if shares[label] > HALF or (is_bool and shares[label] == HALF):
        raise ValueError(
            f"{name}: holds {_found(shares)}, and programs differ in which of 0 and 1 (False and True) is pore: "
            "say it with --pore 0 or --pore 1"
        )
    both_ways = "others write True for solid" if is_bool else "0 and 1 are used both ways"
    return (label,), reason, f"{both_ways}: give --pore 0 or --pore 1 to be sure"


def _below(image: NDArray[np.generic], name: str, threshold: float | str) -> tuple[NDArray[np.bool_], Phase]:
    if image.dtype.kind == "b":
        raise ValueError(f"{name}: a threshold needs a grey image, this one holds True and False; leave it out")
    if threshold == "otsu":
        from skimage.filters import threshold_otsu  # noqa: PLC0415 - takes long to import

        value, reason = float(threshold_otsu(image)), "Otsu's threshold"  # type: ignore[no-untyped-call]
    else:
        value, reason = float(threshold), "as asked"
    mask = np.asarray(np.less_equal(image, value))
    low, high = image.min(), image.max()
    porosity = float(mask.mean())
    if porosity in (0, 1):
        raise ValueError(f"{name}: threshold {value:g} leaves one phase of grey values from {low:g} to {high:g}")
    return mask, Phase((), porosity, f"of values from {low:g} to {high:g}; {reason}", "", value)


def _shares(image: NDArray[np.generic]) -> dict[float, float]:
    """Return the share of each value in ascending order, of little more than `LABELS` values where there are more.

    Memory is taken for one layer at a time.
    """
    counts: dict[float, int] = {}
    for layer in image.reshape(-1, *image.shape[-2:]):
        if image.dtype in (np.uint8, np.bool_):
            times = np.bincount(layer.ravel(), minlength=2)
            values = np.flatnonzero(times)
            times = times[values]
        else:
            values, times = np.unique(layer, return_counts=True)
        for value, count in zip(values[: LABELS + 1].tolist(), times.tolist(), strict=False):
            counts[float(value)] = counts.get(float(value), 0) + count
        if len(counts) > LABELS:
            break
    return {value: counts[value] / image.size for value in sorted(counts)}


def _found(shares: dict[float, float]) -> str:
    if len(shares) > LABELS:
        return f"more than {LABELS} grey values"
    return ", ".join(f"{value:g} ({100 * share:.1f} %)" for value, share in shares.items())


def _list(labels: Sequence[float]) -> str:
    return ", ".join(f"{label:g}" for label in labels)
