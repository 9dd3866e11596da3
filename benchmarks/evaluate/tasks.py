"""Tasks: what a generator may learn from and what it is asked for, for those who draw elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench import data
from porebench.data import Axis, Dataset, Reading, Volumes
from porebench.data.export import write_volumes
from porebench.generators.porosity_law import PorosityLaw
from porebench.metrics.suites import CURRENT

from ..store.files import write_text
from ..store.tables import write_table
from .options import Options, select_test

FORMAT = 1
FILE = "task.json"
CONDITIONS = "conditions.csv"
LEARN_FROM = ("train.npz", "validation.npz")


@dataclass(frozen=True, eq=False)
class Task:
    """A data set, and the test densities at which volumes are asked for.

    Attributes:
        source: name or path that the data set was loaded from.
        dataset: training, validation and test volumes.
        block: edge in voxels of the blocks that an image was cut into.
        axis: that an image was split along; None for the longest.
        reading: options that an image was read with.
        samples: test densities asked for; None for all.
    """

    source: str
    dataset: Dataset
    block: int = 30
    axis: Axis | None = None
    reading: Reading = field(default_factory=Reading)
    samples: int | None = None

    @cached_property
    def options(self) -> Options:
        """Options of the run that scores it."""
        return Options(samples=self.samples)

    @cached_property
    def test(self) -> Volumes:
        """Real volumes that are scored against, one for each condition."""
        return select_test(self.dataset, self.options)

    @cached_property
    def porosity(self) -> NDArray[np.float64]:
        """Porosity expected at each condition, float64 [n]: that of the law of the training volumes."""
        train = self.dataset.train
        return PorosityLaw.fit(train.density, train.pore_voxels, train.voxels[0].size).porosity(self.test.density)

    @property
    def conditions(self) -> pd.DataFrame:
        """Rows of ``conditions.csv``: what each volume is asked to be."""
        depth, height, width = self.test.shape
        return pd.DataFrame(
            {
                "index": range(len(self.test)),
                "density": self.test.density,
                "porosity_expected": self.porosity.round(6),
                "depth": depth,
                "height": height,
                "width": width,
                "voxel_size": self.test.voxel_size,
            }
        )

    @property
    def description(self) -> dict[str, Any]:
        """Content of ``task.json``."""
        return {
            "format": FORMAT,
            "name": self.dataset.name,
            "source": self.source,
            "block": self.block,
            "axis": self.axis,
            "reading": dict(self.reading),
            "samples": self.samples,
            "suite": CURRENT,
            "density": "a label of the data set" if self.dataset.density_kind == "factor" else "the pore fraction",
            "volumes": len(self.test),
            "shape": list(self.test.shape),
            "voxel_size": self.test.voxel_size,
            "pore": "true or 1 is pore, false or 0 is solid",
            "learn_from": list(LEARN_FROM),
            "test_digest": self.test.digest(),
            "data_digest": self.dataset.digest(),
        }

    def export(self, folder: Path) -> list[Path]:
        """Write what a generator may learn from, and what it is asked for, into a folder; return the paths.

        The test volumes are not written, so that nothing is fitted on them by mistake.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for name, part in zip(LEARN_FROM, (self.dataset.train, self.dataset.validation), strict=True):
            written += write_volumes(part, folder / name)
        write_table(folder / CONDITIONS, self.conditions)
        write_text(folder / FILE, json.dumps(self.description, indent=2) + "\n")
        return [*written, folder / CONDITIONS, folder / FILE]


def load_task(
    given: str | Path,
    *,
    block: int = 30,
    axis: Axis | None = None,
    reading: Reading | None = None,
    samples: int | None = None,
) -> Task:
    """Return the task of a data set by its name or path, or the one that a ``task.json`` describes.

    Args:
        given: as for ``data.load``, or the path of a ``task.json`` or of its folder.
        block: edge in voxels of the blocks that an image is cut into.
        axis: that an image is split along; None for the longest.
        reading: options that an image is read with.
        samples: test densities to ask for, spread over density; None for all.

    Raises:
        FileNotFoundError: if there is no such data set.
        ValueError: if the file is no task, or its data set is another one now.
    """
    path = Path(given)
    if path.is_dir() and (path / FILE).is_file():
        path = path / FILE
    if path.suffix != ".json":
        options = reading or Reading()
        return Task(str(given), data.load(given, block=block, axis=axis, **options), block, axis, options, samples)
    try:
        stated = json.loads(path.read_text())
        source, cut, along, asked = (stated[key] for key in ("source", "block", "axis", "samples"))
        options = cast("Reading", dict(stated["reading"]))
        digest, made = str(stated["test_digest"]), int(stated["format"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is no task: make one with porebench task export") from error
    if made != FORMAT:
        raise ValueError(f"{path} is of format {made}, this program reads {FORMAT}: export the task again")
    try:
        loaded = data.load(source, block=int(cut), axis=along, **options)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is about {source}, which is not here: give --task PATH of the image"
        ) from error
    task = Task(source, loaded, int(cut), along, options, asked)
    if task.test.digest() != digest:
        raise ValueError(f"{path} was exported from other volumes than {source} holds now: export it again")
    return task
