"""Volumes that were drawn elsewhere: paired with the conditions of a task, and scored."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.progress import Progress
from scipy.optimize import linear_sum_assignment

from porebench.data import Volumes, blocks
from porebench.data.collections import Collection, numbers_in
from porebench.metrics.descriptors import Descriptors, describe
from porebench.metrics.score import score as two_sample_score
from porebench.metrics.suites import CURRENT

from ..report.outside import outside_figure, row_latex, row_markdown
from ..store.digests import short_digest
from ..store.files import write_text
from ..store.provenance import environment
from .judgeable import check_judgeable
from .progress import bars
from .score import Judge, numbers
from .tasks import Task, load_task

log = logging.getLogger("porebench")

Match = Literal["order", "name", "porosity"]
QUICK_VOLUMES = 64
"""Validation volumes that ``quick_score`` compares with at most."""
SWAPPED = 0.1
"""Difference of mean porosities from which on volumes whose complement lies nearer to the task's are refused."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the judge says of volumes that were drawn elsewhere; prints as its row of the table.

    Attributes:
        name: heading of the row.
        about: what was scored: task, suite, digests, how volumes were paired and what was taken for pore.
        rows: numbers, as in ``accuracy.csv``.
        verdict: in words.
        voxels: of the volumes as they were paired, bool [n, depth, height, width].
    """

    name: str
    about: dict[str, Any]
    rows: list[dict[str, Any]]
    verdict: str
    voxels: NDArray[np.bool_]

    @property
    def nfr100(self) -> float:
        """Noise-floor ratio over the headline bands."""
        return self.number("nfr100")

    def number(self, metric: str, band: str = "all") -> float:
        """Return a number of the row; NaN where there is none."""
        found = [row["value"] for row in self.rows if (row["metric"], row["band"]) == (metric, band)]
        return float(found[0]) if found else float("nan")

    @property
    def frame(self) -> pd.DataFrame:
        """All numbers, a row each."""
        return pd.DataFrame(self.rows)

    def __str__(self) -> str:
        return "\n".join(row_markdown(self.name, self.rows, self.verdict))

    def write(self, folder: Path) -> list[Path]:
        """Write ``score.json``, the row in Markdown and LaTeX, and a figure where matplotlib is; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "score.json": json.dumps(
                {"name": self.name, **self.about, "verdict": self.verdict, "numbers": self.rows}, indent=1
            )
            + "\n",
            "row.md": f"{self}\n",
            "row.tex": row_latex(self.name, self.rows, self.verdict),
        }
        for name, text in texts.items():
            write_text(folder / name, text)
        written = [folder / name for name in texts]
        try:
            outside_figure(self.rows, self.voxels, folder / "score.png")
        except ImportError as error:
            log.warning("no score.png: %s", error)
            return written
        return [*written, folder / "score.png"]


def score(
    volumes: ArrayLike | Collection,
    task: str | Path | Task,
    *,
    name: str = "volumes",
    match: Match = "order",
    trained_on: Sequence[str] = (),
    progress: Progress | None = None,
) -> Judgement:
    """Return what the judge says of volumes that were drawn for a task.

    Args:
        volumes: bool [n, depth, height, width], True = pore, or a collection that was read from files.
        task: name or path of a data set, path of a ``task.json``, or a task.
        name: heading of the row.
        match: "order" takes the volumes as one for each condition; "name" takes the number in each file's name as the
            row of the conditions; "porosity" pairs volumes with conditions by their porosity and leaves out the others,
            for generators that cannot be asked for a density, and cuts volumes larger than the task's into blocks.
        trained_on: descriptors that training made agree with real volumes; the score without them has a number.
        progress: a started rich progress display, or None for silence.

    Raises:
        ValueError: if the volumes do not answer the task; says what to do.
    """
    asked = _as_task(task)
    check_judgeable(asked.dataset, asked.test)
    given = volumes if isinstance(volumes, Collection) else _collected(volumes)
    chosen, how = paired(given, asked, match)
    drawn = Volumes(chosen, asked.test.density, asked.test.voxel_size, name)
    judge = _judge(asked, progress)
    scored = numbers(
        drawn,
        describe(drawn.voxels, workers=judge.options.workers),
        None,
        judge.real,
        seed=judge.options.seed,
        resampling=judge.options.resampling,
        suite=CURRENT,
        relatives=trained_on,
        workers=judge.options.workers,
    )
    stated = {key: asked.description[key] for key in ("suite", "volumes", "shape", "test_digest")}
    about = {"task": asked.dataset.name, **stated, "samples_digest": drawn.digest()}
    about |= {"match": match, "paired": how, "phase": given.phase, "environment": environment()}
    return Judgement(name, about, scored.rows, str(scored.verdict), drawn.voxels)


def _collected(volumes: ArrayLike) -> Collection:
    voxels = np.asarray(volumes)
    if voxels.dtype != np.bool_:
        raise TypeError(f"volumes must be boolean with True = pore, got dtype {voxels.dtype}")
    if voxels.ndim != 4:
        raise ValueError(f"volumes must have shape [n, depth, height, width], got {voxels.shape}")
    return Collection(voxels, [str(place) for place in range(len(voxels))], "pore: True")


def paired(given: Collection, task: Task, match: Match) -> tuple[NDArray[np.bool_], str]:
    """Return one volume for each condition of a task, bool [n, depth, height, width], and a line on the pairing.

    Raises:
        ValueError: if the volumes do not answer the task; says what to do.
    """
    voxels, shape, wanted = given.voxels, task.test.shape, len(task.test)
    if voxels.shape[1:] != shape and match == "porosity" and all(map(int.__ge__, voxels.shape[1:], shape)):
        if len(set(shape)) != 1:
            raise ValueError(f"volumes of {voxels.shape[1:]} cannot be cut into blocks of {shape}: draw that shape")
        voxels = np.concatenate([blocks(volume, shape[0]) for volume in voxels])
    if voxels.shape[1:] != shape:
        size = " × ".join(map(str, shape))
        raise ValueError(
            f"the task asks for volumes of {size} voxels, got {' × '.join(map(str, voxels.shape[1:]))}"
            + ("; --match porosity cuts larger ones into blocks" if match != "porosity" else "")
        )
    _check_phase(voxels, task)
    if match == "porosity":
        return _by_porosity(voxels, task)
    if len(voxels) != wanted:
        raise ValueError(
            f"the task asks for {wanted} volumes, one for each row of conditions.csv, got {len(voxels)}; "
            "--match porosity pairs those of an unconditional generator, --samples asks for fewer"
        )
    if match == "order":
        return voxels, f"{wanted} volumes in order"
    rows = numbers_in(given.names)
    if sorted(rows) != list(range(wanted)):
        missing = sorted(set(range(wanted)) - set(rows))[:1]
        raise ValueError(f"no file is named after row {missing[0]} of conditions.csv; rows count from 0")
    return voxels[np.argsort(rows)], f"{wanted} volumes by the numbers in their names"


def _by_porosity(voxels: NDArray[np.bool_], task: Task) -> tuple[NDArray[np.bool_], str]:
    """Return the volume for each condition that makes the squared differences of porosity least together."""
    wanted = len(task.test)
    if len(voxels) < wanted:
        raise ValueError(
            f"{wanted} conditions need at least as many volumes, got {len(voxels)}; --samples asks for fewer"
        )
    target = task.test.porosity if task.dataset.density_kind == "porosity" else task.porosity
    apart = np.abs(target[:, None] - voxels.mean(axis=(1, 2, 3))[None])
    rows, columns = linear_sum_assignment(apart**2)
    far = apart[rows, columns]
    left = len(voxels) - wanted
    return voxels[columns], (
        f"{wanted} of {len(voxels)} volumes by porosity, {left} left out; porosities differ by {far.mean():.4f} on "
        f"average, {far.max():.4f} at most"
    )


def _check_phase(voxels: NDArray[np.bool_], task: Task) -> None:
    """Refuse volumes whose solid has the porosity of the task."""
    mean, real = float(voxels.mean()), float(task.test.voxels.mean())
    if abs(mean - real) > SWAPPED and abs(1 - mean - real) < abs(mean - real) / 2:
        raise ValueError(
            f"pores fill {mean:.2f} of these volumes and {real:.2f} of the task's: their phases seem to be swapped; "
            "--pore says which value is pore"
        )


def quick_densities(task: str | Path | Task) -> NDArray[np.float64]:
    """Return the densities of the validation volumes that ``quick_score`` compares with, float64 [64] or fewer."""
    return _quick_real(_as_task(task)).density


def quick_score(volumes: ArrayLike, task: str | Path | Task) -> dict[str, float]:
    """Return NFR100 of volumes against validation volumes, and of each family, in a second: to watch a training with.

    Args:
        volumes: bool [n, depth, height, width], True = pore, one for each of ``quick_densities(task)``, in order.
        task: as for ``score``.

    Raises:
        ValueError: if the volumes are not one for each density.
    """
    asked = _as_task(task)
    real, drawn = _quick_real(asked), _collected(volumes).voxels
    if drawn.shape != real.voxels.shape:
        raise ValueError(f"expected volumes of shape {real.voxels.shape}, one for each density, got {drawn.shape}")
    workers, train = asked.options.workers, asked.dataset.train
    found = two_sample_score(
        describe(drawn, workers=workers),
        *_quick_described(asked),
        generated_density=real.density,
        test_density=real.density,
        train_density=train.density,
        kind=asked.dataset.density_kind,
        n_bootstrap=50,
        n_permutations=0,
    ).headline
    scores = {"nfr100": found.nfr100, **found.families}
    return {name: float("nan") if it is None else it.value for name, it in scores.items()}


def _as_task(task: str | Path | Task) -> Task:
    return task if isinstance(task, Task) else _loaded(str(task))


@lru_cache(maxsize=4)
def _loaded(given: str) -> Task:
    return load_task(given)


def _quick_real(task: Task) -> Volumes:
    return task.dataset.validation.spread(QUICK_VOLUMES)


@lru_cache(maxsize=4)
def _quick_described(task: Task) -> tuple[Descriptors, Descriptors]:
    """Return descriptors of the validation volumes and of training volumes."""
    volumes = _quick_real(task), task.dataset.train
    real, train = (describe(each.voxels, workers=task.options.workers) for each in volumes)
    return real, train


@lru_cache(maxsize=4)
def _judge(task: Task, progress: Progress | None) -> Judge:
    """Return the judge of a task, whose descriptors of real volumes are kept in the user's cache."""
    options, digest = task.options, short_digest([task.dataset.digest(), task.test.digest()])
    folder = options.places.cache.parent / "tasks" / f"{task.dataset.name}-{digest}"
    return Judge(task.dataset, options, folder, bars(progress))
