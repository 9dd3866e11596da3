"""The scores of each generator for resampled test densities, ``replicates/<generator>.npz`` of a run.

They are small and belong to the results, so that a generator scored today can be compared with those of earlier runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from porebench.data.packed import read_arrays
from porebench.metrics.ranking import Replicates

from .digests import short_digest
from .files import write_arrays

log = logging.getLogger("porebench")


def replicates_path(folder: Path, generator: str) -> Path:
    """Return where a generator's replicates lie in a run folder."""
    return folder / "replicates" / f"{generator}.npz"


def keep_replicates(folder: Path, generator: str, replicates: Replicates, run: Mapping[str, Any], samples: str) -> None:
    """Write a generator's replicates.

    Args:
        folder: of the run.
        generator: its name.
        replicates: of its score.
        run: what all rows of the table have in common.
        samples: digest of the samples that were scored.
    """
    arrays = {**replicates.arrays(), "key": np.array(_key(run, samples))}
    write_arrays(replicates_path(folder, generator), arrays)


def _key(run: Mapping[str, Any], samples: str) -> str:
    """Return what replicates belong to: other samples, data, seeds or metric versions have another key."""
    return short_digest([dict(run), samples])


def has_replicates(folder: Path, generator: str, run: Mapping[str, Any], samples: str) -> bool:
    """Return whether the replicates at hand are those of these samples in this run."""
    return _read(folder, generator, _key(run, samples)) is not None


def all_replicates(
    folder: Path, run: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]
) -> dict[str, Replicates]:
    """Return the replicates of the scored generators of a table, by name, of those that have some.

    Args:
        folder: of the run.
        run: what all rows of the table have in common.
        records: generator -> its record in the manifest.
    """
    scored = {name: it["samples_digest"] for name, it in records.items() if "samples_digest" in it}
    found = {name: _read(folder, name, _key(run, samples)) for name, samples in scored.items()}
    return {name: replicates for name, replicates in found.items() if replicates is not None}


def _read(folder: Path, generator: str, key: str) -> Replicates | None:
    try:
        arrays = read_arrays(replicates_path(folder, generator))
        return Replicates.from_arrays(arrays) if str(arrays["key"]) == key else None
    except FileNotFoundError:
        return None
    except (KeyError, ValueError) as error:
        log.warning("the replicates of %s cannot be read, so it is not ranked: %s", generator, error)
        return None
