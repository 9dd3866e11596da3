"""Status of results: each cell fresh, stale and why, failed, or missing. Computes no score, imports no study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from porebench import data, generators
from porebench.data import Dataset, Volumes
from porebench.data.volumes import image_digest
from porebench.metrics.suites import CURRENT

from ..evaluate.draw import Plan
from ..evaluate.fits import Fit, prepare
from ..evaluate.options import Options
from ..evaluate.score import Judge
from ..evaluate.side_tables import SIDE_TABLES, SideTable
from ..report.text import ABSENT, one_line, table_lines
from ..store.cells import STAGES, Cells, Inputs, changed
from ..store.digests import code_digest
from ..store.places import Places
from ..store.provenance import packages
from ..store.results import contents, read_manifest, read_side_table, run_folders, stated_data
from ..store.tables import Manifest, Record

FRESH, STALE, FAILED, MISSING = "fresh", "stale", "failed", "missing"
OF_DATA = (
    "training data",
    "validation data",
    "test data",
    "real data",
    "judged data",
    "porosity law",
    "weights",
    "image",
)
"""Inputs that cannot be checked where the data set is not at hand."""
UNRECORDED = "made before inputs were recorded"
STUDIES = ("*/intervals.json", "*/grown.json", "*/representative.json", "validation/*/*.json", "ablation/*/*.json")
"""Manifests of studies below the results folder."""


@dataclass(frozen=True)
class CellState:
    """State of one cell of the results.

    Attributes:
        dataset: name of the data set.
        seed: of the run.
        generator: whose cell it is; of a study, what its record is called.
        stage: one of ``STAGES``, a side table's, or a study's.
        state: "fresh", "stale", "failed" or "missing".
        why: inputs that changed, the reason of the failure, or what is not at hand.
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


def status_table(states: Sequence[CellState]) -> list[str]:
    """Return the states of cells as a table: one row a data set, seed and generator, one column a stage."""
    stages = list(dict.fromkeys(state.stage for state in states))
    found: dict[tuple[str, int, str], dict[str, str]] = {}
    for state in states:
        found.setdefault((state.dataset, state.seed, state.generator), {})[state.stage] = one_line(str(state))
    rows = [
        [name, str(seed), who, *(own.get(stage, ABSENT) for stage in stages)]
        for (name, seed, who), own in found.items()
    ]
    return table_lines(["data set", "seed", "generator", *stages], rows)


def dataset_of(run: Mapping[str, Any], given: Sequence[Dataset]) -> Dataset | None:
    """Return the data set of a run by name: a given one, a built-in one, or one that loads without a download.

    Of several given ones of that name, it is the one of the run's content, else the first.
    """
    name = str(run["dataset"])
    named = [dataset for dataset in given if dataset.name == name]
    if named:
        return next((each for each in named if stated_data(run) in contents(each)), named[0])
    try:
        return data.load(name) if data.at_hand(name) else None
    except (ValueError, OSError):
        return None


def status(
    results: Path, given: Sequence[Dataset] = (), own: Sequence[str] = (), places: Places | None = None
) -> list[CellState]:
    """Return the state of every cell of every run, and of every record of every study, below a results folder.

    Args:
        results: the results folder.
        given: data sets that are not built in.
        own: generators of the user's own, as ``path/to/file.py:Class``; those files are run.
        places: folders of fits.
    """
    places = places or Places()
    found = [state for folder in run_folders(results) for state in _run_states(folder, given, own, places)]
    for path in study_manifests(results):
        found += _study_states(path, given, places)
    return found


def study_manifests(results: Path) -> list[Path]:
    """Return the manifests of all studies below a results folder, in order."""
    return sorted(path for pattern in STUDIES for path in results.glob(pattern))


def _run_states(folder: Path, given: Sequence[Dataset], own: Sequence[str], places: Places) -> list[CellState]:
    """Return the state of every cell of one run."""
    manifest = read_manifest(folder)
    run, records = manifest["run"], manifest["generators"]
    dataset = dataset_of(run, given)
    moved = any("fitted_on" in record for record in records.values())
    judge = run_judge(folder, run, dataset or _stand_in(run, moved=moved), places)
    plans = {planned.name: planned for planned in map(judge.plan, [*generators.GENERATORS, *own])}
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
    return states


def run_judge(folder: Path, run: dict[str, Any], dataset: Dataset, places: Places | None = None) -> Judge:
    """Return the judge of a run, as its manifest describes it."""
    samples = None if run["n_test"] >= len(dataset.test) else int(run["n_test"])
    suite = run.get("suite", CURRENT)
    options = Options(seed=run["seed"], samples=samples, quick=run["quick"], suite=suite, places=places or Places())
    return Judge(dataset, options, folder)


class _Comparison:
    """A generator's row against what would make it now."""

    def __init__(self, record: dict[str, Any], planned: Plan, judge: Judge, *, data_known: bool) -> None:
        self.recorded: dict[str, Any] = record.get("cells", {})
        self.samples = str(record.get("samples_digest", ""))
        self.planned = planned
        self.judge = judge
        self.data_known = data_known

    def state(self, stage: str) -> tuple[str, str]:
        """Return the state of a stage, and why."""
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
        """Return the state of the generator's rows in a side table, and why."""
        if table.stage not in self.recorded:
            rows = read_side_table(self.judge.folder, table.stage)
            known = rows is not None and self.planned.name in set(rows["generator"])
            return (STALE, UNRECORDED) if known else (MISSING, "")
        if "sample" in self.recorded and self._changed("sample"):
            return STALE, "sample"
        recorded: Inputs = self.recorded[table.stage]["inputs"]
        fit = self.planned.inputs("fit", None if self.planned.at_hand else recorded.get("weights", ""))
        now = table.inputs(self.judge, {"samples": self.samples[:16]}, fit)
        return _compared(recorded, now, data_known=self.data_known)

    def _changed(self, stage: str) -> list[str]:
        """Return the names of the inputs that differ, as far as that can be told."""
        earlier: Inputs = self.recorded[stage]["inputs"]
        if stage in self.planned.stages:
            now = dict(self.planned.inputs(stage, None if self.planned.at_hand else earlier["weights"]))
            # asked for in the command, not properties of the machine
            now |= {name: earlier[name] for name in ("device", "precision") if name in earlier}
        else:
            now = self.judge.inputs(
                stage, self.samples, earlier.get("reconstruction", "none"), earlier.get("fits", "1")
            )
        return [name for name in changed(earlier, now) if self.data_known or name not in OF_DATA]


def _study_states(path: Path, given: Sequence[Dataset], places: Places) -> list[CellState]:
    """Return the state of every record of a study's manifest."""
    manifest = Manifest.read(path)
    if manifest is None:
        return []
    stage = path.parent.parent.name if path.name == "manifest.json" else path.stem
    name = path.parent.name
    now = _Now(name, dataset_of({"dataset": name, **manifest.run}, given), manifest.run, places)
    return [
        CellState(name, now.seed(record), what, stage, *_compared(record.inputs, now.inputs(record), now.known(record)))
        for what, record in manifest.records.items()
    ]


@dataclass(frozen=True, eq=False)
class _Now:
    """The present inputs of a study's rows.

    Attributes:
        name: of the data set or image.
        dataset: None where it is not at hand.
        run: settings of the study.
        places: folders of fits.
    """

    name: str
    dataset: Dataset | None
    run: dict[str, Any]
    places: Places

    def seed(self, record: Record) -> int:
        """Return the seed of a record's rows."""
        return int(record.inputs.get("seed", self.run.get("seed", 0)))

    def known(self, record: Record) -> bool:
        """Return whether the data behind a record are at hand."""
        return (self._image if "image" in record.inputs else self.dataset) is not None

    def inputs(self, record: Record) -> Inputs:
        """Return the inputs of a record as they are now; a setting stays as it was."""
        recorded = record.inputs
        try:
            code = code_digest(*record.code)
        except LookupError:
            code = "gone"
        used = [package.rpartition(" ")[0] for package in recorded.get("packages", "").split(", ") if package]
        now = {**recorded, "code": code, "packages": packages(used)}
        if self.dataset is not None:
            now |= {"real data": self.dataset.digest()[:16], "test data": self.dataset.test.digest()[:16]}
        if "image" in recorded and self._image is not None:
            now["image"] = image_digest(self._image)
        if record.generator:
            fit = self._fit(record)
            weights = None if fit is None else fit.weights(self.places)
            now |= {} if fit is None else fit.identity
            now |= {"weights": weights} if weights else {}
        return {name: now[name] for name in recorded}

    def _fit(self, record: Record) -> Fit | None:
        """Return the fit of a record's generator now; None for one that is not registered."""
        if record.generator not in generators.GENERATORS:
            return None
        dataset = self.dataset or _stand_in({"dataset": self.name})
        fit = prepare(record.generator, dataset, self.seed(record), self.places)
        if record.params is None:
            return fit
        generator = generators.get(record.generator)(**record.params)
        return Fit(generator, fit.training, None, fit.dataset, fit.seed)

    @cached_property
    def _image(self) -> NDArray[np.bool_] | None:
        """The image in ``data/`` by the name of the data set; None if there is none."""
        try:
            return data.load_image(self.name)[0]
        except (ValueError, OSError):
            return None


def _compared(recorded: Inputs, now: Inputs, data_known: bool) -> tuple[str, str]:
    """Return the state of what was made from some inputs, and why."""
    reasons = [name for name in changed(recorded, now) if data_known or name not in OF_DATA]
    if reasons:
        return STALE, ", ".join(reasons)
    return FRESH, "" if data_known else "data not at hand"


def _stages(planned: Plan) -> list[str]:
    return [stage for stage in STAGES if stage != "reconstruct" or planned.reconstructs]


def _stand_in(run: dict[str, Any], *, moved: bool = False) -> Dataset:
    """Return a data set by that name with nothing in it, of another size than networks are trained on if ``moved``."""
    empty = Volumes(np.zeros((1, 1, 1, 1), dtype=bool), np.zeros(1))
    found = Dataset(empty, empty, empty, run["dataset"], run.get("density_kind", "factor"))
    return replace(found, usual=found) if moved else found
