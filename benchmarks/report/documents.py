"""From results to tables: Markdown from what ``evaluate`` and the speed benchmarks wrote. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from porebench.metrics.descriptors import HEADLINE

from ..evaluate.ranking import Order, read_order
from ..goals import goal_documents
from ..speed.work import reaches
from ..store.files import write_text
from ..store.results import read_accuracy
from ..store.timings import merged
from ..studies.representative import representative_table
from .ablation import ablation_documents
from .details import side_markdown
from .growth import grown_documents
from .intervals import interval_documents
from .ranking import own_error, rank_section
from .scaling import read_scaling, scaling_lines
from .speed import rival_table, sampling_table, speed_markdown
from .text import table_lines
from .validation import validation_tables

if TYPE_CHECKING:
    from ..audit.status import CellState

ABSENT = "–"
READING = (
    "NFR100 (noise-floor ratio at 100 volumes): 1 = cannot be told from real volumes; 5 = the gap is five times what "
    "two honest batches of 100 real volumes show. Over the headline bands; the 95 % interval resamples the test "
    "densities, p swaps the drawn and the real volume of random densities."
)
PHYSICAL = {
    "pore_radius": "pore radius",
    "specific_surface": "specific surface",
    "euler_number": "Euler number",
    "n_components": "components",
}
SIZES = (
    "Wasserstein-1 distance, in voxels, between the radii of the pores detected in drawn volumes and those detected in "
    "real ones, or the true radii of the simulator (the reference shows what the detector can reach); and the number "
    "of pores with a radius of at most 2 voxels, drawn over real. 95 % intervals resample the test densities."
)
FEW = 50  # test volumes in a band, below which a table says so
SPEED_DATASET = "spheres"


class _Cells:
    """The numbers of one accuracy table, as text."""

    def __init__(self, table: pd.DataFrame) -> None:
        keys = ["generator", "band", "metric"]
        self.numbers: dict[Any, dict[str, float]] = table.set_index(keys)[["value", "ci_low", "ci_high"]].to_dict(
            "index"
        )

    def value(self, generator: str, metric: str, band: str = "all") -> float | None:
        found = self.numbers.get((generator, band, metric))
        return None if found is None or pd.isna(found["value"]) else float(found["value"])

    def text(self, generator: str, metric: str, pattern: str = "{:.2f}", band: str = "all") -> str:
        value = self.value(generator, metric, band)
        return ABSENT if value is None else pattern.format(value)

    def with_interval(self, generator: str, metric: str, band: str = "all") -> str:
        found = self.numbers.get((generator, band, metric))
        if found is None:
            return ABSENT
        if pd.isna(found["ci_low"]):
            return _short(found["value"])
        return f"{_short(found['value'])} [{_short(found['ci_low'])}, {_short(found['ci_high'])}]"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def accuracy_markdown(table: pd.DataFrame, manifest: dict[str, Any], order: Order | None = None) -> str:
    """The accuracy tables of one data set.

    Args:
        table: the rows of ``accuracy.csv``.
        manifest: the content of ``manifest.json``.
        order: the ranking, if there is one.
    """
    run, records = manifest["run"], manifest["generators"]
    cells = _Cells(table)
    bands = [str(band) for band in dict.fromkeys(table["band"]) if band != "all"]
    scored = ranked(cells, records)
    newest = max(records.values(), key=lambda record: record["date"])
    lines = [
        f"# Accuracy on {run['dataset']}",
        "",
        f"{run['n_test']} test volumes, one realisation for each test density, seed {run['seed']}"
        + (" (quick run)" if run["quick"] else "")
        + f".{small_bands(table)} Made {newest['date']} by `{newest['command']}`.",
        "",
        READING,
        "",
        *summary_table(cells, scored, records, bands, order),
        "",
        *rank_section(scored, order),
        "## Companion columns",
        "",
        *_companion_table(cells, scored),
        "",
        "## Score by descriptor",
        "",
        *table_lines(
            ["generator", *HEADLINE],
            [[name, *(cells.text(name, f"nfr100:{d}", "{:.1f}") for d in HEADLINE)] for name in scored],
        ),
    ]
    reconstructing = [name for name in scored if cells.value(name, "iou") is not None]
    if reconstructing:
        lines += ["", "## Reconstruction of test volumes", "", *_reconstruction(cells, reconstructing, bands)]
    sized = [name for name in scored if cells.value(name, "drawn_radius_w1") is not None]
    if sized:
        lines += ["", "## Sizes of drawn pores", "", SIZES, "", *_sizes(cells, sized, bands)]
    failed = {name: record for name, record in records.items() if record["status"] == "failed"}
    if failed:
        lines += ["", "## Failed", ""]
        rows = [[name, str(r["phase"]), _one_line(str(r["reason"]))] for name, r in failed.items()]
        lines += table_lines(["generator", "phase", "reason"], rows)
    return "\n".join(lines) + "\n"


def ranked(cells: _Cells, records: dict[str, Any]) -> list[str]:
    """Generators that have a score, best first."""
    names = [name for name, record in records.items() if record["status"] == "scored"]
    return sorted(names, key=lambda name: (cells.value(name, "nfr100") is None, cells.value(name, "nfr100") or 0.0))


def summary_table(
    cells: _Cells, names: list[str], records: dict[str, Any], bands: list[str], order: Order | None = None
) -> list[str]:
    """The main accuracy table, best generator first, and the benchmark's own error below it."""
    header = ["rank", "generator", "NFR100 [95 % CI]", "p", *(f"NFR100 {band}" for band in bands), "worst descriptor"]
    header += ["density bias %", "copy rate %", "IoU", "fit s", "ms a volume"]
    rows = [
        [
            (order and order.rank(name)) or ABSENT,
            name,
            cells.with_interval(name, "nfr100"),
            cells.text(name, "p", "{:.3f}"),
            *(cells.text(name, "nfr100", "{:.1f}", band) for band in bands),
            _worst(cells, name),
            cells.text(name, "density_bias", "{:+.1f}"),
            _percent(cells.value(name, "copy_rate")),
            cells.text(name, "iou"),
            f"{records[name]['fit_seconds']:.1f}",
            f"{records[name]['sample_milliseconds']:.2f}",
        ]
        for name in names
    ]
    return table_lines(header, rows) + own_error(order)


def small_bands(table: pd.DataFrame) -> str:
    """A sentence on the number of test volumes in a band, where it is small; "" where it is not.

    Args:
        table: the rows of ``accuracy.csv``.
    """
    scored = table[(table["metric"] == "nfr100") & (table["band"] != "all")]
    counts = sorted({int(count) for count in scored["n_real"].dropna()})
    if not counts or counts[0] >= FEW:
        return ""
    found = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f" A band holds {found} of them, where 100 are advised: intervals are wide, and small defects are not found."


def _companion_table(cells: _Cells, names: list[str]) -> list[str]:
    """Errors in physical units with their noise floors, and the second opinions."""
    header = ["generator", "density error (real)"]
    header += [f"{quantity} error (floor)" for quantity in PHYSICAL.values()]
    header += ["percolation (real)", "C2ST AUC [95 % CI]", "fidelity", "coverage (real)"]
    header += ["leaks %", "novelty", "diversity", "empty volumes"]
    rows = [
        [
            name,
            f"{cells.text(name, 'density_error', '{:.3f}')} ({cells.text(name, 'density_error_real', '{:.3f}')})",
            *(
                f"{cells.text(name, f'{key}:error', '{:.3g}')} ({cells.text(name, f'{key}:floor', '{:.3g}')})"
                for key in PHYSICAL
            ),
            f"{cells.text(name, 'percolation')} ({cells.text(name, 'percolation_real')})",
            cells.with_interval(name, "c2st_auc"),
            cells.text(name, "fidelity"),
            f"{cells.text(name, 'coverage')} ({cells.text(name, 'coverage_expected')})",
            _percent(cells.value(name, "leak_rate")),
            cells.text(name, "novelty"),
            cells.text(name, "diversity"),
            cells.text(name, "n_empty", "{:.0f}"),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _worst(cells: _Cells, name: str) -> str:
    ratios = {descriptor: cells.value(name, f"nfr100:{descriptor}") for descriptor in HEADLINE}
    known = {descriptor: ratio for descriptor, ratio in ratios.items() if ratio is not None}
    if not known:
        return ABSENT
    worst = max(known, key=lambda descriptor: known[descriptor])
    return f"{worst} {_short(known[worst])}"


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f}"


def _reconstruction(cells: _Cells, names: list[str], bands: list[str]) -> list[str]:
    header = ["generator", *(f"IoU {band}" for band in bands), "IoU, chance-corrected", "precision", "recall"]
    header += ["small-pore recall", "radius W1, voxels"]
    rows = [
        [
            name,
            *(cells.text(name, "iou", "{:.3f}", band) for band in bands),
            *(
                cells.text(name, metric, "{:.3f}")
                for metric in ("corrected_iou", "precision", "recall", "small_pore_recall", "radius_w1")
            ),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _sizes(cells: _Cells, names: list[str], bands: list[str]) -> list[str]:
    header = ["generator", "radius W1 to real", "radius W1 to truth", *(f"small pores {band}" for band in bands)]
    rows = [
        [
            name,
            cells.with_interval(name, "drawn_radius_w1"),
            cells.with_interval(name, "true_radius_w1"),
            *(cells.with_interval(name, "small_pore_ratio", band) for band in bands),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def status_table(states: Sequence[CellState]) -> list[str]:
    """What ``status`` found, one line a generator."""
    stages = list(dict.fromkeys(state.stage for state in states))
    rows: dict[tuple[str, int, str], dict[str, str]] = {}
    for state in states:
        rows.setdefault((state.dataset, state.seed, state.generator), {})[state.stage] = str(state)
    return table_lines(
        ["data set", "seed", "generator", *stages],
        [
            [name, str(seed), generator, *(_one_line(row.get(stage, ABSENT)) for stage in stages)]
            for (name, seed, generator), row in rows.items()
        ],
    )


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("|", "/")


def write_reports(results: Path, readme: Path) -> list[Path]:
    """Write every table again from what is in ``results``, and put them between their markers in the README.

    A marker is ``<!-- table NAME -->``, closed by ``<!-- end -->``; NAME is a data set's or ``speed``.

    Returns:
        The files written.
    """
    texts = documents(results, readme)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def outdated_reports(results: Path, readme: Path) -> list[Path]:
    """The files that ``write_reports`` would change."""
    return [
        path
        for path, text in documents(results, readme).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def documents(results: Path, readme: Path | None = None) -> dict[Path, str]:
    """Every file that is made from the results, with the text it should have."""
    texts: dict[Path, str] = {}
    tables: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    for manifest_path in sorted(results.glob("*/manifest.json")):
        folder = manifest_path.parent
        table, manifest = read_accuracy(folder)
        order = read_order(folder)
        texts[folder / "accuracy.md"] = accuracy_markdown(table, manifest, order)
        details = side_markdown(folder)
        if details is not None:
            texts[folder / "details.md"] = details
        cells, run, records = _Cells(table), manifest["run"], manifest["generators"]
        bands = [str(band) for band in dict.fromkeys(table["band"]) if band != "all"]
        made = max(record["date"] for record in records.values())
        machine = next(iter(records.values()))["processor"]
        tables[folder.name] = [
            *summary_table(cells, ranked(cells, records), records, bands, order),
            "",
            f"{run['n_test']} test volumes, {made}, {machine}.{small_bands(table)}",
        ]
        if run["dataset"] == SPEED_DATASET:
            digests = {name: record["digest"] for name, record in records.items() if "digest" in record}
    for path in sorted(results.glob("*/representative.csv")):
        tables[f"representative {path.parent.name}"] = representative_table(pd.read_csv(path))
    sizes = read_scaling(results)
    scaling = [] if sizes is None else scaling_lines(sizes)
    runs = [_read_speed(path) for path in sorted((results / "speed").glob("*.json"))]
    if runs:
        texts[results / "speed" / "speed.md"] = speed_markdown(runs, digests, scaling)
        machine_info = runs[0]["machine_info"]
        timed = [bench for run in runs for bench in run["benchmarks"]]
        timings = merged(timed)
        reached = pd.DataFrame([reach.facts() for reach in reaches(timings)])
        if len(reached):
            text = reached.to_csv(index=False, float_format="%.4g", lineterminator="\n")
            texts[results / "speed" / "roofline.csv"] = text
        rivals = rival_table(timings)
        tables["speed"] = [
            *sampling_table(timed, digests),
            "",
            *(rivals and [*rivals, ""]),
            f"{runs[0]['datetime'][:10]}, {machine_info['processor']}.",
        ]
    tables |= validation_tables(results)
    for study in (ablation_documents, interval_documents, grown_documents, goal_documents):
        written, lines = study(results)
        texts |= written
        tables |= lines
    if readme is not None and readme.is_file():
        texts[readme] = insert_tables(readme.read_text(encoding="utf-8"), tables)
    return texts


def _read_speed(path: Path) -> dict[str, Any]:
    """A JSON file of pytest-benchmark.

    Raises:
        ValueError: if it is damaged, or lacks what the tables are made of.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        speed_markdown([run], {})
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}); make it again with make bench") from error
    return dict(run)


def insert_tables(text: str, tables: dict[str, list[str]]) -> str:
    """The text with each marked table replaced by the one of that name; marks without a table stay as they are."""
    for name, lines in tables.items():
        before, mark, rest = text.partition(f"<!-- table {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if mark and end:
            text = f"{before}{mark}" + "\n".join(lines) + f"\n{end}{after}"
    return text
