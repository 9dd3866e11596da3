"""What a run would take, from what cells took before or one small probe each; and what of it fits into a budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porebench.data import Dataset
from porebench.metrics.descriptors import describe
from porebench.metrics.score import score

from ..evaluate import fits, isolation
from ..evaluate.isolation import Tell
from ..evaluate.options import FULL, QUICK, Options
from ..evaluate.score import Judge
from ..store.cells import STAGES, Cells
from ..store.results import run_folder

PROBE_TRAINING = 32
PROBE_DRAWS = 16
PROBE_SECONDS = 60.0
PROBE_RESAMPLES = 20


@dataclass(frozen=True)
class Estimate:
    """What a generator's cells would take.

    Attributes:
        reference: registered name, or ``path/to/file.py:Class``.
        seconds: of each stage that has to be run; None where the probe did not come to an end.
        fresh: stages that are kept.
        new: whether it has no row yet.
    """

    reference: str
    seconds: dict[str, float | None]
    fresh: tuple[str, ...]
    new: bool

    @property
    def total(self) -> float:
        """Seconds of all stages; infinite where one is not known."""
        return sum(float("inf") if value is None else value for value in self.seconds.values())


@dataclass(frozen=True)
class Estimates:
    """What a run would take.

    Attributes:
        shared: seconds for the real volumes, before any generator is scored.
        generators: one estimate each.
    """

    shared: float
    generators: list[Estimate]

    def table(self) -> list[str]:
        """The estimates as a Markdown table."""
        lines = ["| generator | " + " | ".join(STAGES) + " | sum |", "|" + " --- |" * (len(STAGES) + 2)]
        for each in self.generators:
            texts = [_text(each, stage) for stage in STAGES]
            lines.append(f"| {each.reference} | " + " | ".join(texts) + f" | {_seconds(each.total)} |")
        total = self.shared + sum(each.total for each in self.generators)
        lines += ["", f"Describing the real volumes: {_seconds(self.shared)}. In all: {_seconds(total)} on one worker."]
        return lines


def estimate(dataset: Dataset, references: Sequence[str], out: Path, options: Options) -> Estimates:
    """What a run would take on this machine.

    A cell that is stale but was made before takes as long as it did then; others are estimated from a probe with
    32 training volumes and 16 draws, scaled in proportion (scoring: to the number of volumes and the root of the
    resamplings), so within a small factor only.

    Args:
        dataset: as for ``evaluate``.
        references: as for ``evaluate``.
        out: the results folder.
        options: of the run.
    """
    judge = Judge(dataset, options, run_folder(out, dataset.name, options.seed))
    per_volume, scoring = _probe_judging(judge)
    shared = 0.0 if judge.real_is_fresh() else per_volume * (len(dataset.train) + len(judge.test))
    generators = [_estimate(reference, judge, per_volume * len(judge.test), scoring) for reference in references]
    return Estimates(shared if any(each.seconds for each in generators) else 0.0, generators)


def within(estimates: Estimates, budget: float) -> tuple[list[str], list[str]]:
    """The generators that fit into a budget, and a line for each that does not.

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
            lines.append(f"left out for want of time: {each.reference}, which takes about {_seconds(each.total)}")
    return chosen, lines


def _estimate(reference: str, judge: Judge, describing: float, scoring: float) -> Estimate:
    own = ":" in reference
    planned = None if own else judge.plan(reference)
    stages = [stage for stage in STAGES if planned is None or stage != "reconstruct" or planned.reconstructs]
    cells = None if planned is None else Cells(judge.folder, planned.name)
    known = {stage: cell for stage in stages if cells is not None and (cell := cells.read(stage)) is not None}
    stale = stages if planned is None or cells is None else planned.stale(cells)
    if planned is not None and not stale:
        samples = known["sample"].output["samples_digest"]
        made = known["reconstruct"].output["reconstruction_digest"] if planned.reconstructs else "none"
        stale = [
            stage
            for stage in ("describe", "score")
            if cells is not None and cells.fresh(stage, judge.inputs(stage, samples, made)) is None
        ]
    elif planned is not None:
        stale = [*stale, "describe", "score"]
    measured: dict[str, float | None] = {"describe": describing, "score": scoring}
    if any(stage not in known and stage not in measured for stage in stale):
        measured |= _probe(reference, judge)
    seconds = {stage: known[stage].seconds if stage in known else measured.get(stage) for stage in stale}
    if own:
        seconds = {stage: measured[stage] for stage in stages if stage in measured}
    return Estimate(reference, seconds, tuple(stage for stage in stages if stage not in seconds), "score" not in known)


def _probe(reference: str, judge: Judge) -> dict[str, float | None]:
    """Seconds of the stages that run the generator, scaled up from a small case."""
    options = judge.options
    places = (fits.CACHE, fits.PUBLISHED)
    try:
        measured, _ = isolation.call(
            probe_in_own_process,
            reference,
            judge.dataset,
            len(judge.test),
            options.seed,
            options.device,
            places,
            timeout=PROBE_SECONDS,
            memory=options.memory,
        )
    except isolation.IsolatedError:
        return {"fit": None, "sample": None}
    return dict(measured)


def probe_in_own_process(
    reference: str,
    dataset: Dataset,
    draws: int,
    seed: int,
    device: str,
    places: tuple[Path, Path],
    tell: Tell,
) -> dict[str, Any]:
    """Seconds to fit, sample and reconstruct in full, from a fit and draws of a few volumes; for ``isolation.call``."""
    tell(phase="load")
    fits.CACHE, fits.PUBLISHED = places
    generator, training = fits.prepare(reference, dataset)
    began = time.perf_counter()
    if fits.weights_at_hand(generator, training, dataset.name, seed) is not None:
        generator = fits.fitted(reference, dataset, seed=seed, device=device).generator
        fitting = time.perf_counter() - began
    else:
        part = training.spread(PROBE_TRAINING)
        generator.fit(part.voxels, part.density, rng=seed)
        fitting = (time.perf_counter() - began) * len(training) / len(part)
    few = dataset.test.spread(PROBE_DRAWS)
    generator.sample(few.density, rng=seed)  # compiles and fills caches
    began = time.perf_counter()
    generator.sample(few.density, rng=seed)
    found = {"fit": fitting, "sample": (time.perf_counter() - began) * draws / len(few)}
    if generator.reconstructs:
        began = time.perf_counter()
        generator.reconstruct(few.voxels, few.density)
        found["reconstruct"] = (time.perf_counter() - began) * draws / len(few)
    return found


def _probe_judging(judge: Judge) -> tuple[float, float]:
    """Seconds to describe one volume, and to score one generator."""
    few = judge.test.spread(4 * PROBE_DRAWS)
    workers = judge.options.workers
    describe(few.voxels[:2], workers=workers)  # compiles
    began = time.perf_counter()
    described = describe(few.voxels, workers=workers)
    per_volume = (time.perf_counter() - began) / len(few)
    began = time.perf_counter()
    score(
        described,
        described,
        described,
        generated_density=few.density,
        test_density=few.density,
        train_density=few.density,
        kind=judge.dataset.density_kind,
        n_bootstrap=PROBE_RESAMPLES,
        n_permutations=PROBE_RESAMPLES,
    )
    resamples = sum((QUICK if judge.options.quick else FULL).values()) / (2 * PROBE_RESAMPLES)
    scoring = (time.perf_counter() - began) * max(1.0, len(judge.test) / len(few)) * max(1.0, resamples**0.5)
    return per_volume, scoring


def _text(each: Estimate, stage: str) -> str:
    if stage in each.seconds:
        value = each.seconds[stage]
        return f"over {PROBE_SECONDS:.0f} s" if value is None else _seconds(value)
    return "fresh" if stage in each.fresh else "–"


def _seconds(value: float) -> str:
    if value == float("inf"):
        return "not known"
    return f"{value:.1f} s" if value < 60 else f"{value / 60:.0f} min"
