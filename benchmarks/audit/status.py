"""What of the results still holds: each cell fresh, stale and why, failed, or missing. Computes no score."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench import data
from porebench.data import Dataset, Volumes
from porebench.generators import GENERATORS

from ..evaluate.draw import Plan, plan
from ..evaluate.options import Options
from ..evaluate.score import Judge
from ..evaluate.side_tables import SIDE_TABLES, SideTable
from ..store.cells import STAGES, Cells, Inputs, changed
from ..store.results import read_manifest, run_folders
from ..studies.ablation import ablation_inputs
from ..studies.growth import grown_inputs
from ..studies.intervals import coverage_inputs
from ..studies.representative import representative_inputs
from ..studies.validation.run import validation_inputs
from ..studies.variants import VARIANTS, judged_on

FRESH, STALE, FAILED, MISSING = "fresh", "stale", "failed", "missing"
OF_DATA = ("training data", "validation data", "test data", "real data", "weights", "image")
"""Inputs that cannot be checked where the data set is not at hand."""
UNRECORDED = "made before inputs were recorded"
NOBODY = "real volumes"
"""The row of what is made of real volumes alone."""
INTERVALS, GROWN = "intervals", "grown"
VALIDATION, REPRESENTATIVE, ABLATION = "validation", "representative", "ablation"


@dataclass(frozen=True)
class CellState:
    """Whether one cell of the results still holds.

    Attributes:
        dataset: name of the data set.
        seed: of the run.
        generator: whose cell it is; of an ablation, which variant of which generator.
        stage: one of ``STAGES``, a side table's, "intervals", "grown", "validation", "representative" or "ablation".
        state: "fresh", "stale", "failed" or "missing".
        why: the inputs that changed, the reason of the failure, or what is not at hand.
    """

    dataset: str
    seed: int
    generator: str
    stage: str
    state: str
    why: str = ""

    def __str__(self) -> str:
        if self.state == FRESH:
            return f"{FRESH}, {self.why}" if self.why else FRESH
        return f"{self.state}: {self.why}" if self.why else self.state


def dataset_of(run: dict[str, Any], given: Sequence[Dataset]) -> Dataset | None:
    """The data set that a run was made on: a given one, a built-in one, or what ``data/`` holds by that name."""
    for dataset in given:
        if dataset.name == run["dataset"]:
            return dataset
    try:
        return data.load(run["dataset"])
    except (ValueError, OSError):
        return None


def status(results: Path, given: Sequence[Dataset] = (), own: Sequence[str] = ()) -> list[CellState]:
    """The state of every cell of every run below a results folder.

    Args:
        results: the results folder.
        given: data sets that are not built in.
        own: generators of the user's own, as ``path/to/file.py:Class``; those files are run.

    Returns:
        One state a data set, seed, generator and stage.
    """
    found = []
    for folder in run_folders(results):
        found += folder_status(folder, given, own)
    return found + studies_status(results, given)


def folder_status(folder: Path, given: Sequence[Dataset] = (), own: Sequence[str] = ()) -> list[CellState]:
    """The state of every cell of one run; arguments as for ``status``."""
    manifest = read_manifest(folder)
    run, records = manifest["run"], manifest["generators"]
    dataset = dataset_of(run, given)
    judge = run_judge(folder, run, dataset or _stand_in(run))
    plans = {}
    for reference in [*GENERATORS, *own]:
        planned = plan(reference, judge.dataset, judge.test, folder, seed=run["seed"], device="auto")
        plans[planned.name] = planned
    states: list[CellState] = []
    for name in dict.fromkeys([*records, *plans]):
        about = (str(run["dataset"]), int(run["seed"]), name)
        record = records.get(name)
        if record is None:
            states += [CellState(*about, stage, MISSING) for stage in _stages(plans[name])]
        elif record["status"] == FAILED:
            states.append(CellState(*about, str(record["phase"]), FAILED, str(record["reason"])))
        elif name not in plans:
            states.append(CellState(*about, "score", STALE, "cannot be compared without --generator FILE.py:Class"))
        else:
            compared = _Comparison(record, plans[name], judge, data_known=dataset is not None)
            states += [CellState(*about, stage, *compared.state(stage)) for stage in _stages(plans[name])]
            states += [CellState(*about, table.stage, *compared.side_state(table)) for table in SIDE_TABLES]
            states.append(CellState(*about, INTERVALS, *compared.study_state(INTERVALS)))
            if plans[name].any_shape:
                states.append(CellState(*about, GROWN, *compared.study_state(GROWN)))
    return states


def studies_status(results: Path, given: Sequence[Dataset] = ()) -> list[CellState]:
    """The state of what no run is needed for: validations, descriptors against block size, and ablations."""
    states = []
    for path in sorted((results / "validation").glob("*/manifest.json")):
        dataset = dataset_of({"dataset": path.parent.name}, given)
        now = validation_inputs(dataset or _stand_in({"dataset": path.parent.name}))
        states.append(_study(path, VALIDATION, now, data_known=dataset is not None))
    for table in sorted(results.glob("*/representative.csv")):
        image = _image(table.parent.name)
        now = representative_inputs(np.zeros((1, 1, 1), dtype=bool) if image is None else image)
        states.append(_study(table.with_suffix(".json"), REPRESENTATIVE, now, data_known=image is not None))
    for path in sorted((results / "ablation").glob("*/manifest.json")):
        states += _ablation(path, given)
    return states


def _ablation(path: Path, given: Sequence[Dataset]) -> list[CellState]:
    """The state of each training of an ablation."""
    run = {"dataset": path.parent.name}
    dataset = dataset_of(run, given)
    judge = Judge(judged_on(dataset or _stand_in(run)), Options(quick=True), path.parent)
    known = {variant.name: variant for variants in VARIANTS.values() for variant in variants}
    manifest = _read(path)
    epochs = manifest.get("run", {}).get("epochs", 0)
    states = []
    for record in manifest.get("trainings", {}).values():
        name, seed = str(record.get("name")), int(record.get("seed", 0))
        about = (path.parent.name, seed, f"{record.get('generator')}: {name}", ABLATION)
        if name not in known:
            states.append(CellState(*about, STALE, "there is no such variant any more"))
        elif "inputs" not in record:
            states.append(CellState(*about, STALE, UNRECORDED))
        else:
            now = ablation_inputs(known[name], seed, judge, epochs)
            states.append(CellState(*about, *_compared(record["inputs"], now, data_known=dataset is not None)))
    return states


def _study(path: Path, stage: str, now: Inputs, *, data_known: bool) -> CellState:
    """The state of a study, from the inputs that its manifest names."""
    manifest = _read(path)
    seed = int(manifest.get("settings", manifest).get("seed", 0))
    recorded: Inputs | None = manifest.get("inputs")
    if recorded is None:
        return CellState(path.parent.name, seed, NOBODY, stage, STALE, UNRECORDED)
    return CellState(path.parent.name, seed, NOBODY, stage, *_compared(recorded, now, data_known=data_known))


def _compared(recorded: Inputs, now: Inputs, *, data_known: bool) -> tuple[str, str]:
    """The state of something that was made from some inputs, and why."""
    reasons = [name for name in changed(recorded, now) if data_known or name not in OF_DATA]
    if reasons:
        return STALE, ", ".join(reasons)
    return FRESH, "" if data_known else "data not at hand"


def _image(name: str) -> NDArray[np.bool_] | None:
    """What ``data/`` holds by that name."""
    try:
        return data.load_image(name)[0]
    except (ValueError, OSError):
        return None


def run_judge(folder: Path, run: dict[str, Any], dataset: Dataset) -> Judge:
    """The judge of a run, as its manifest describes it."""
    samples = None if run["n_test"] >= len(dataset.test) else int(run["n_test"])
    return Judge(dataset, Options(seed=run["seed"], samples=samples, quick=run["quick"]), folder)


class _Comparison:
    """A generator's row against what would make it now."""

    def __init__(self, record: dict[str, Any], planned: Plan, judge: Judge, *, data_known: bool) -> None:
        self.recorded: dict[str, Any] = record.get("cells", {})
        self.studies = {table: _read(judge.folder / f"{table}.json") for table in (INTERVALS, GROWN)}
        self.samples = str(record.get("samples_digest", ""))
        self.planned = planned
        self.judge = judge
        self.data_known = data_known

    def state(self, stage: str) -> tuple[str, str]:
        """The state of a stage, and why."""
        if stage not in self.recorded:
            return STALE, UNRECORDED
        reasons = self._changed(stage)
        takes = {"describe": ("sample",), "score": ("sample", "reconstruct")}.get(stage, ())
        reasons += [earlier for earlier in takes if earlier in self.recorded and self._changed(earlier)]
        if reasons:
            return STALE, ", ".join(reasons)
        missing = [] if self.data_known else ["data"]
        if stage in self.planned.stages and not self.planned.at_hand:
            missing.append("weights")
        if stage == "sample" and not Cells(self.judge.folder, self.planned.name).arrays("sample").is_file():
            missing.append("samples")
        return FRESH, f"{' and '.join(missing)} not at hand" if missing else ""

    def side_state(self, table: SideTable) -> tuple[str, str]:
        """The state of the generator's rows in a side table, and why."""
        if table.stage not in self.recorded:
            return (STALE, UNRECORDED) if self._has_rows(table.stage) else (MISSING, "")
        if "sample" in self.recorded and self._changed("sample"):
            return STALE, "sample"
        now = table.inputs(self.judge, {"samples": self.samples[:16]})
        return _compared(self.recorded[table.stage]["inputs"], now, data_known=self.data_known)

    def study_state(self, table: str) -> tuple[str, str]:
        """The state of the generator's rows in ``intervals.csv`` or ``grown.csv``, and why."""
        manifest = self.studies[table]
        made: Inputs | None = manifest.get("cells", {}).get(self.planned.name)
        if made is None:
            return (STALE, UNRECORDED) if self._has_rows(table) else (MISSING, "")
        weights = None if self.planned.at_hand else made.get("weights", "")
        fit, test, run = self.planned.inputs("fit", weights), self.judge.dataset.test, manifest.get("run", {})
        if table == INTERVALS:
            now = coverage_inputs(fit, test, run.get("n", 0))
        else:
            now = grown_inputs(fit, test, run.get("edge", 0), run.get("n", 0))
        return _compared(made, now, data_known=self.data_known)

    def _has_rows(self, table: str) -> bool:
        path = self.judge.folder / f"{table}.csv"
        return path.is_file() and self.planned.name in set(pd.read_csv(path, usecols=["generator"])["generator"])

    def _changed(self, stage: str) -> list[str]:
        """Names of the inputs that differ, as far as that can be told."""
        earlier: Inputs = self.recorded[stage]["inputs"]
        if stage in self.planned.stages:
            weights = None if self.planned.at_hand else earlier["weights"]
            now = {**self.planned.inputs(stage, weights)}
            if "device" in earlier:
                now["device"] = earlier["device"]  # asked for in the command, not a property of the machine
        else:
            now = self.judge.inputs(stage, self.samples, earlier.get("reconstruction", "none"))
        return [name for name in changed(earlier, now) if self.data_known or name not in OF_DATA]


def _read(path: Path) -> dict[str, Any]:
    """The manifest of a study; empty where there is none.

    Raises:
        ValueError: if it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells, trainings = content.get("cells", {}), content.get("trainings", {})
        parts = [content, content.get("inputs") or {}, content.get("settings", {}), content.get("run", {})]
        parts += [cells, *cells.values(), trainings, *trainings.values()]
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); make it again") from error
    if not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"{path} is damaged; make it again")
    return dict(content)


def _stages(planned: Plan) -> list[str]:
    return [stage for stage in STAGES if stage != "reconstruct" or planned.reconstructs]


def _stand_in(run: dict[str, Any]) -> Dataset:
    """A data set by that name with nothing in it."""
    empty = Volumes(np.zeros((1, 1, 1, 1), dtype=bool), np.zeros(1))
    return Dataset(empty, empty, empty, run["dataset"], run.get("density_kind", "factor"))
