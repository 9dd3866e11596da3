"""The one reader of a run's results; strict, since files may have been damaged or edited."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from porebench.data import Dataset
from porebench.metrics.suites import CURRENT

COLUMNS = ("generator", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real")
RANK_COLUMNS = ("generator", "left_out", "which", "nfr100", "rank", "shared")
STATUS_COLUMNS = ("generator", "status", "phase", "reason")
TIE_COLUMNS = ("first", "second", "difference", "ci_low", "ci_high", "tied")
SCALING = Path("speed") / "scaling.csv"
SCALING_KEY = ("generator", "edge", "volumes")
SCALING_NUMBERS = ("edge", "volumes", "block", "seconds", "before_bytes", "peak_bytes", "porosity")
SUBMISSIONS = "submissions"
"""Name of the folder of rows that were handed in."""
REAL = "real"
"""Name of the rows of real volumes."""
ALL = "all"
"""Name of the headline bands together among the bands."""
PUBLISHED = "published.md"
"""File that marks a results folder whose tables are published, and says how they are changed."""
OWN = "own"
"""Folder for everybody's own results in such a results folder."""

Content = TypeVar("Content")
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class Outcome:
    """One generator's row: its numbers, or the phase and reason of its failure."""

    generator: str
    rows: list[dict[str, Any]]
    record: dict[str, Any]

    @property
    def failed(self) -> bool:
        """True if the generator has no score."""
        return bool(self.record["status"] == "failed")


@dataclass(frozen=True)
class Score:
    """A number with its interval (NaN where it has none)."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, eq=False)
class Order:
    """The ranking of one table.

    Attributes:
        ranking: rows of ``ranking.csv``.
        ties: rows of ``ties.csv``.
    """

    ranking: pd.DataFrame
    ties: pd.DataFrame

    def rank(self, generator: str) -> str | None:
        """Return a generator's rank as printed, such as ``2=``; None for a generator that holds none."""
        own = self.ranking[(self.ranking["generator"] == generator) & (self.ranking["left_out"] == "nothing")]
        return None if own.empty else f"{own['rank'].iloc[0]}{'=' if own['shared'].iloc[0] else ''}"

    def span(self, generator: str, left_out: str) -> tuple[int, int] | None:
        """Return best and worst rank when each "descriptor" or "band" is left out in turn; None where none can be."""
        own = self.ranking[(self.ranking["generator"] == generator) & (self.ranking["left_out"] == left_out)]
        return None if own.empty else (int(own["rank"].min()), int(own["rank"].max()))

    def difference(self, first: str, second: str) -> tuple[float, float, float, bool] | None:
        """Return NFR100 of the first less that of the second, its interval, and whether they are tied."""
        for row in self.ties.itertuples():
            if {row.first, row.second} == {first, second}:
                ends = (float(row.difference), float(row.ci_low), float(row.ci_high))
                value, low, high = ends if row.first == first else (-ends[0], -ends[2], -ends[1])
                return value, low, high, bool(row.tied)
        return None


@dataclass(frozen=True, eq=False)
class Run:
    """The results of one data set and seed.

    Attributes:
        folder: where they lie.
        table: rows of ``accuracy.csv``.
        manifest: content of ``manifest.json``.
        order: the ranking; None where there is none.
    """

    folder: Path
    table: pd.DataFrame
    manifest: dict[str, Any]
    order: Order | None = None

    @property
    def name(self) -> str:
        """Name of the folder, which is the data set's for seed 0."""
        return self.folder.name

    @property
    def suite(self) -> str:
        """Name of the suite that it was scored with."""
        return str(self.manifest["run"].get("suite", CURRENT))

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records of the manifest, by generator."""
        records: dict[str, dict[str, Any]] = self.manifest["generators"]
        return records

    @cached_property
    def _numbers(self) -> dict[tuple[str, str], dict[str, Score]]:
        """Scores of the generators by metric and band."""
        found: dict[tuple[str, str], dict[str, Score]] = {}
        for row in self.table.itertuples():
            if pd.notna(row.value):
                score = Score(float(row.value), float(row.ci_low), float(row.ci_high))
                found.setdefault((str(row.metric), str(row.band)), {})[str(row.generator)] = score
        return found

    def scores(self, metric: str, band: str = ALL) -> dict[str, Score]:
        """Return a metric of every generator that has it, in a band."""
        return self._numbers.get((metric, band), {})

    @property
    def generators(self) -> list[str]:
        """Names of the generators that have a row, best first, those without a headline score last."""
        names = [name for name, record in self.records.items() if record["status"] == "scored"]
        scores = self.scores("nfr100")
        return sorted(names, key=lambda name: scores[name].value if name in scores else math.inf)

    @property
    def bands(self) -> list[str]:
        """Names of the density bands, in order."""
        return [str(band) for band in dict.fromkeys(self.table["band"]) if band != ALL]

    @property
    def newest(self) -> dict[str, Any]:
        """Record of the newest row."""
        return max(self.records.values(), key=lambda record: str(record["date"]))

    @property
    def command(self) -> str:
        """Command line that made the newest row."""
        return str(self.newest["command"])


def is_published(folder: Path) -> bool:
    """Return whether a folder is, or lies in, a results folder of published tables."""
    for place in (folder.resolve(), *folder.resolve().parents[:3]):
        if place.name == OWN:
            return False
        if (place / PUBLISHED).is_file():
            return True
    return False


def writable(results: Path, *, publish: bool = False) -> Path:
    """Return the results folder to write into: another one below it where published tables are not to be changed."""
    return results / OWN if is_published(results) and not publish else results


def data_folder(parent: Path, dataset: Dataset) -> Path:
    """Return the folder of a data set's results: by its name, and by its content too where another one has the name."""
    folder = parent / dataset.name
    runs = (_run_in(path) for pattern in ("*.json", "seed-*/*.json") for path in folder.glob(pattern))
    stated = {stated_data(run) for run in runs} - {None}
    if not stated or stated <= contents(dataset):
        return folder
    return folder.with_name(f"{dataset.name}-{dataset.digest()[:8]}")


def contents(dataset: Dataset) -> set[str | None]:
    """Return the digests by which a run states a data set: of all of it, or of the part that it looked at."""
    return {dataset.digest(), dataset.train.digest(), dataset.test.digest()}


def stated_data(run: Mapping[str, Any]) -> str | None:
    """Return the digest of the data that a run states, one of its ``contents``; None where it states none."""
    stated = run.get("data", run.get("test"))
    return None if stated is None else str(stated)


def _run_in(manifest: Path) -> Mapping[str, Any]:
    """Return the run that a manifest states; an empty one where the file is damaged or no manifest."""
    try:
        run = json.loads(manifest.read_text(encoding="utf-8"))["run"]
    except (*_DAMAGE, OSError):
        return {}
    return run if isinstance(run, Mapping) else {}


def run_folder(out: Path, dataset: Dataset, seed: int) -> Path:
    """Return where the results of a data set and seed lie: seed 0 on top, the others in folders below it."""
    folder = data_folder(out, dataset)
    return folder if seed == 0 else folder / f"seed-{seed}"


def fit_folder(folder: Path, fit: int) -> Path:
    """Return where the cells of a fit lie: those of the first in the run's own folder."""
    return folder / "fits" / str(fit) if fit else folder


def run_folders(results: Path) -> list[Path]:
    """Return the folders below the results folder that hold a run: one a data set and seed."""
    return sorted(path.parent for pattern in ("*", "*/seed-*") for path in results.glob(f"{pattern}/manifest.json"))


def read_runs(results: Path) -> list[Run]:
    """Return the results of every data set that has any with seed 0, simulated ones first."""
    folders = sorted(path.parent for path in results.glob("*/manifest.json"))
    return sorted((read_run(folder) for folder in folders), key=lambda run: not run.name.startswith("spheres"))


def read_run(folder: Path) -> Run:
    """Return the results in a folder.

    Raises:
        ValueError: if a file is damaged.
        FileNotFoundError: if there are none, naming the command that makes them.
    """
    return Run(folder, read_table(folder), read_manifest(folder), read_order(folder))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run; errors as for ``read_run``."""
    return _read(folder / "manifest.json", _manifest)


def read_table(folder: Path) -> pd.DataFrame:
    """Return the rows of ``accuracy.csv``; errors as for ``read_run``."""
    return _read(folder / "accuracy.csv", _accuracy)


def status_rows(records: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the rows of ``status.csv``: every generator of a run, those that failed with phase and reason.

    Args:
        records: generator -> its record in the manifest.
    """
    rows = []
    for name, record in records.items():
        told = {key: " ".join(str(record.get(key, "")).split()) for key in STATUS_COLUMNS[1:]}
        rows.append({"generator": name, **told})
    return rows


def read_order(folder: Path) -> Order | None:
    """Return the ranking in a folder; None where there is none."""
    ranking, ties = folder / "ranking.csv", folder / "ties.csv"
    if not (ranking.is_file() and ties.is_file()):
        return None
    return Order(pd.read_csv(ranking, keep_default_na=False), pd.read_csv(ties))


def read_side_table(folder: Path, name: str) -> pd.DataFrame | None:
    """Return the rows of a table beside ``accuracy.csv``; None where there are none."""
    path = folder / f"{name}.csv"
    if not path.is_file() or path.stat().st_size == 0:
        return None
    table = pd.read_csv(path, dtype={"generator": str, "exact_count": str}, keep_default_na=False, na_values=[""])
    return table.fillna({"exact_count": ""}) if len(table) else None


def read_speed(results: Path) -> list[dict[str, Any]]:
    """Return the runs of the speed benchmarks, the JSON of pytest-benchmark, one a file.

    Raises:
        ValueError: if a file is damaged.
    """
    return [_read(path, _speed) for path in sorted((results / "speed").glob("*.json"))]


def read_scaling(results: Path) -> pd.DataFrame | None:
    """Return time and memory against size, one row a draw and block; None where they have not been measured.

    Raises:
        ValueError: if the file is damaged.
    """
    path = results / SCALING
    return _read(path, _scaling) if path.is_file() else None


def _read(path: Path, content: Callable[[Path], Content]) -> Content:
    """Return what a function reads from a file, its errors as one sentence."""
    make = "make bench" if path.parent.name == "speed" else "porebench evaluate"
    make = "porebench scaling" if path.name == SCALING.name else make
    try:
        return content(path)
    except FileNotFoundError:
        folder = path.parent
        raise FileNotFoundError(
            f"no results in {folder}; make them with: porebench evaluate --dataset {folder.name}"
        ) from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is damaged ({type(error).__name__}: {reason}); make it again with {make}") from error


_RUN = {"dataset": str, "n_test": int, "seed": int, "quick": bool}
_TIMED = {"generator": str, "device": str, "digest": str, "devices": list, "volumes": int, "edge": int, "block": int}
_TEXTS = {"scored": ("date", "command"), "failed": ("phase", "reason")}


def _manifest(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    known = all(isinstance(content["run"][name], kind) for name, kind in _RUN.items())
    if not (known and all(_is_record(record) for record in content["generators"].values())):
        raise ValueError("it is not the manifest of a run")
    return dict(content)


def _is_record(record: dict[str, Any]) -> bool:
    cells = record.get("cells", {})
    return (
        all(isinstance(record[name], str) for name in _TEXTS[record["status"]])
        and (record["status"] == "failed" or all(record[name] >= 0 for name in ("fit_seconds", "sample_milliseconds")))
        and all(isinstance(value, str) for cell in cells.values() for value in cell["inputs"].values())
    )


def _accuracy(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    numbers = table[list(COLUMNS[3:])].apply(pd.to_numeric)
    texts = table[list(COLUMNS[:3])].astype(str)
    if texts.duplicated().any():
        raise ValueError("it states a number twice")
    return pd.concat([texts, numbers], axis=1)[list(COLUMNS)]


def _speed(path: Path) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    machine = run["machine_info"]
    texts = [run["datetime"], machine["processor"], machine["commit"]]
    sound = all(isinstance(text, str) for text in texts) and machine["threads"] > 0
    for bench in run["benchmarks"]:
        info, stats = bench["extra_info"], bench["stats"]
        sound &= isinstance(bench["group"], str) and isinstance(bench.get("params") or {}, dict)
        sound &= all(isinstance(info.get(name, kind()), kind) for name, kind in _TIMED.items())
        sound &= bool(info["generator"].strip()) and info["volumes"] > 0 and info.get("edge", 1) > 0
        sound &= stats["median"] > 0 and len(stats["data"]) > 0
    if not sound:
        raise ValueError("it is not a file of the speed benchmarks")
    return run


def _scaling(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    numbers = table[list(SCALING_NUMBERS)].apply(pd.to_numeric)
    single = set(table.loc[numbers["volumes"] == 1, "generator"])
    if single != set(table["generator"]) or not (numbers[["edge", "volumes", "seconds"]] > 0).all(axis=None):
        raise ValueError("it lacks times of draws")
    return table.assign(**numbers)
