"""Estimate of the time of a run from recorded seconds, and choice of generators within a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porebench.data import Dataset

from ..evaluate.judgeable import check_judgeable
from ..evaluate.options import Options
from ..evaluate.row import inputs_of, others_drawn
from ..evaluate.score import Judge
from ..report.text import table_lines
from ..store.cells import REAL, STAGES, Cells
from ..store.results import read_manifest, run_folder, run_folders


@dataclass(frozen=True)
class Estimate:
    """Estimated time of one generator's cells.

    Attributes:
        reference: registered name, or ``path/to/file.py:Class``.
        seconds: of each stage that has to be run; infinite where no run recorded it.
        fresh: stages that are kept.
        new: whether the generator has no row yet.
    """

    reference: str
    seconds: dict[str, float]
    fresh: tuple[str, ...]
    new: bool

    @property
    def total(self) -> float:
        """Seconds of all stages; infinite where one is not known."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Estimates:
    """Estimated time of a run.

    Attributes:
        shared: seconds for the real volumes, before any generator is scored.
        generators: one estimate each.
    """

    shared: float
    generators: list[Estimate]

    def table(self) -> list[str]:
        """Return the estimates as a Markdown table."""
        rows = [
            [each.reference, *(_stage(each, stage) for stage in STAGES), _text(each.total)] for each in self.generators
        ]
        total = self.shared + sum(each.total for each in self.generators)
        return [
            *table_lines(["generator", *STAGES, "sum"], rows),
            "",
            f"Describing the real volumes: {_text(self.shared)}. In all: {_text(total)} on one worker.",
        ]


def estimate(dataset: Dataset, references: Sequence[str], out: Path, options: Options) -> Estimates:
    """Return what a run would take, as far as earlier runs in the results folder recorded it.

    A stale cell takes as long as it did when it was made; one that was never made takes as long as that of another run
    of the same generator, in proportion to the number of test volumes.

    Args:
        dataset: as for ``evaluate``.
        references: as for ``evaluate``.
        out: the results folder.
        options: of the run.
    """
    judge = Judge(dataset, options, run_folder(out, dataset, options.seed))
    check_judgeable(dataset, judge.test)
    recorded = _recorded(out, judge)
    each = [_estimate(reference, judge, recorded) for reference in references]
    shared = 0.0
    if any(it.seconds for it in each) and not judge.real_is_fresh():
        described = [stages["describe"] for stages in recorded.values() if "describe" in stages]
        per_volume = described[0] / len(judge.test) if described else math.inf
        kept = Cells(judge.folder, REAL).read("describe")
        shared = kept.seconds if kept is not None else per_volume * (len(dataset.train) + len(judge.test))
    return Estimates(shared, each)


def within(estimates: Estimates, budget: float) -> tuple[list[str], list[str]]:
    """Return the generators that fit into a budget, and a line for each that does not.

    New rows come before renewed ones, and short ones before long ones: that gives the most rows.

    Args:
        estimates: of all.
        budget: seconds.
    """
    left = budget - estimates.shared
    chosen, lines = [], []
    for each in sorted(estimates.generators, key=lambda each: (bool(each.seconds), not each.new, each.total)):
        if each.total <= left:
            chosen.append(each.reference)
            left -= each.total
        else:
            takes = "which no run has recorded yet" if math.isinf(each.total) else f"about {_text(each.total)}"
            lines.append(f"left out for want of time: {each.reference}, {takes}")
    return chosen, lines


def _recorded(out: Path, judge: Judge) -> dict[str, dict[str, float]]:
    """Return seconds of stages by generator, from the manifest of this run before those of others."""
    found: dict[str, dict[str, float]] = {}
    for folder in sorted(run_folders(out), key=lambda folder: folder != judge.folder):
        try:
            manifest = read_manifest(folder)
        except (ValueError, OSError):
            continue
        share = len(judge.test) / manifest["run"]["n_test"]
        for name, record in manifest["generators"].items():
            own = found.setdefault(name, {})
            for stage, cell in record.get("cells", {}).items():
                seconds: Any = cell.get("seconds", math.inf)
                own.setdefault(stage, float(seconds) * (1 if stage == "fit" else share))
    return found


def _estimate(reference: str, judge: Judge, recorded: dict[str, dict[str, float]]) -> Estimate:
    name = reference.rpartition(":")[2]
    planned = None if ":" in reference else judge.plan(reference)
    stages = [stage for stage in STAGES if planned is None or stage != "reconstruct" or planned.reconstructs]
    stale, new = stages, True
    before: dict[str, float] = {}
    if planned is not None:
        name = planned.name
        cells = Cells(judge.folder, name)
        known = {stage: cell for stage in stages if (cell := cells.read(stage)) is not None}
        before = {stage: cell.seconds for stage, cell in known.items()}
        stale, new = planned.stale(cells), "score" not in known
        if stale or not others_drawn(judge, reference, cells):
            stale = [*(stale or planned.stages), "describe", "score"]
        else:
            judged = ("describe", "score")
            stale = [stage for stage in judged if cells.fresh(stage, inputs_of(stage, judge, planned)) is None]
        if planned.at_hand:
            before["fit"] = 0.0
    seconds = {stage: before.get(stage, recorded.get(name, {}).get(stage, math.inf)) for stage in stale}
    return Estimate(reference, seconds, tuple(stage for stage in stages if stage not in seconds), new)


def _stage(each: Estimate, stage: str) -> str:
    if stage in each.seconds:
        return _text(each.seconds[stage])
    return "fresh" if stage in each.fresh else "–"


def _text(seconds: float) -> str:
    if math.isinf(seconds):
        return "not known"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
