"""Data sets on which nothing can be judged: refused with the reason before anything is fitted."""

from __future__ import annotations

import numpy as np

from porebench.data import Dataset, Volumes
from porebench.metrics.adjustment import MIN_TRAINING
from porebench.metrics.bands import density_bands
from porebench.metrics.score import MIN_VOLUMES


class NothingToJudgeError(ValueError):
    """A data set that no generator can be compared with."""


def check_judgeable(dataset: Dataset, test: Volumes | None = None) -> None:
    """Refuse a data set on which a score would be undefined, or the same for every generator.

    Args:
        dataset: to fit on and to compare with.
        test: test volumes that are scored against; None for all of the data set.

    Raises:
        NothingToJudgeError: if a part holds one phase only, if there are too few volumes to train on, or if no headline
            band has test volumes enough, of which half hold both phases and differ.
    """
    real = dataset.test if test is None else test
    for part, volumes in (("training", dataset.train), ("validation", dataset.validation), ("test", real)):
        for phase, porosity in (("pores", 0), ("solid", 1)):
            if np.all(volumes.porosity == porosity):
                raise _refusal(dataset, f"none of its {part} volumes ({len(volumes)}) holds {phase}")
    if len(dataset.train) < MIN_TRAINING:
        raise _refusal(
            dataset, f"there are too few training volumes: {len(dataset.train)}, where {MIN_TRAINING} are needed"
        )
    found = []
    for band in density_bands(real.density, dataset.density_kind):
        if band.headline:
            inside = real[band.contains(real.density)]
            telling = _different(inside)
            if telling >= max(MIN_VOLUMES, len(inside) / 2):  # among empty ones, every generator is as good as real
                return
            found.append(f"{telling} of {len(inside)} in {band.name}")
    raise _refusal(
        dataset,
        f"too few test volumes hold both pores and solid and differ: {', '.join(found)}, where {MIN_VOLUMES} and half "
        "of all are needed in one band of density",
    )


def _different(volumes: Volumes) -> int:
    """Return how many different volumes hold both phases."""
    mixed = volumes[(volumes.porosity > 0) & (volumes.porosity < 1)]
    return len({np.packbits(voxels).tobytes() for voxels in mixed.voxels})


def _refusal(dataset: Dataset, reason: str) -> NothingToJudgeError:
    image = dataset.density_kind == "porosity"
    remedy = "cut the image into other blocks or along another axis" if image else "add volumes"
    return NothingToJudgeError(f"nothing can be judged on {dataset.name}: {reason}; {remedy}")
