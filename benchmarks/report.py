"""From results to tables: Markdown from what ``evaluate`` and the speed benchmarks wrote. Computes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from metrics.descriptors import HEADLINE

from .ablation_report import ablation_documents
from .goals import goal_documents
from .grown_report import grown_documents
from .interval_report import interval_documents
from .markdown import table_lines
from .ranking import Order, read_order
from .ranking_report import own_error, rank_section
from .representative import representative_table
from .runs import read_accuracy
from .side_report import side_markdown
from .store import write_text
from .validation_report import validation_tables

if TYPE_CHECKING:
    from .status import CellState

NOT_MEASURED = "not measured"
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
PEER = "porespy blobs"
SPEED_DATASET = "spheres"
UNTRAINED = "untrained"
OTHER_VERSION = "stale"


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


def speed_markdown(runs: list[dict[str, Any]], digests: dict[str, str]) -> str:
    """The speed tables, from the JSON of pytest-benchmark (one run a device).

    CPU figures are ratios to PoreSpy's ``blobs`` in the same run; times are given for a GPU, with its name.

    Args:
        runs: contents of those files.
        digests: of the generators in the accuracy table, by name; see ``sampling_table``.
    """
    timed = [bench for run in runs for bench in run["benchmarks"]]
    lines = ["# Speed", ""]
    for run in runs:
        machine = run["machine_info"]
        lines.append(
            f"- {run['datetime'][:10]}: {machine['processor']}, {machine['threads']} threads, {machine['commit']}"
        )
    lines += ["", *sampling_table(timed, digests), ""]
    groups = {"fit": "Fitting 448 volumes of 30³", "scoring": "Describing 512 volumes of 30³"}
    for group, title in groups.items():
        members = [bench for bench in timed if bench["group"] == group]
        if members:
            rows = [
                [
                    _label(bench),
                    f"{bench['stats']['median']:.2f}",
                    f"{bench['stats']['iqr']:.2f}",
                    str(len(bench["stats"]["data"])),
                ]
                for bench in members
            ]
            lines += [
                f"## {title}",
                "",
                *table_lines(["what", "median s", "interquartile range s", "rounds"], rows),
                "",
            ]
    return "\n".join(lines)


def sampling_table(timed: list[dict[str, Any]], digests: dict[str, str]) -> list[str]:
    """Volumes a second of each generator: on the CPU as a multiple of PoreSpy's ``blobs``, on a GPU absolutely.

    Args:
        timed: benchmarks of pytest-benchmark.
        digests: of the generators in the accuracy table, by name. A figure that was measured on another version of a
            generator than its accuracy is not shown beside it, but called stale.
    """
    speed: dict[tuple[str, str, int], dict[str, Any]] = {}
    for bench in timed:
        if bench["group"] in {"sampling", "peers"}:
            device = bench.get("params", {}).get("device", "cpu") if bench.get("params") else "cpu"
            info = bench["extra_info"]
            speed.setdefault((info["generator"], device, info["volumes"]), info)
    names = list(dict.fromkeys(name for name, _, _ in speed))
    batches = sorted({batch for _, device, batch in speed if device == "cpu"})
    peer = next((info for (name, _, _), info in speed.items() if name == PEER), None)
    gpu = next((info["device"] for (_, device, _), info in speed.items() if device == "cuda"), None)
    on_gpu_too = {name for (name, _, _), info in speed.items() if "cuda" in info.get("devices", ())}
    header = ["generator", *(f"× {PEER}, batch {batch}" for batch in batches), f"512 volumes on {gpu or 'a GPU'}"]
    rows = []
    for name in names:
        row = [name]
        for batch in batches:
            info = speed.get((name, "cpu", batch))
            known = info is not None and peer is not None
            if info is not None and _differs(info, digests):
                row.append(OTHER_VERSION)
            else:
                row.append(f"{info['volumes_per_second'] / peer['volumes_per_second']:.3g}" if known else ABSENT)  # type: ignore[index]
        on_gpu = speed.get((name, "cuda", 512))
        if on_gpu and _differs(on_gpu, digests):
            row.append(OTHER_VERSION)
        elif on_gpu:
            row.append(f"{512e3 / on_gpu['volumes_per_second']:.1f} ms")
        else:
            row.append(NOT_MEASURED if name in on_gpu_too else "CPU only")
        rows.append(row)
    lines = table_lines(header, rows)
    if any(OTHER_VERSION in row for row in rows):
        lines += [
            "",
            f"{OTHER_VERSION}: timed on another version of the generator than its accuracy; run `make bench`.",
        ]
    return lines


def _differs(info: dict[str, Any], digests: dict[str, str]) -> bool:
    """Whether a timing is of another version of its generator than the accuracy; untrained weights cost the same."""
    accuracy, speed = digests.get(info["generator"]), info.get("digest", UNTRAINED)
    return accuracy is not None and speed not in {UNTRAINED, accuracy}


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


def _label(bench: dict[str, Any]) -> str:
    info = bench["extra_info"]
    return (
        f"{info['generator']}, {info['params']['workers']} threads"
        if bench["group"] == "scoring"
        else info["generator"]
    )


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
    runs = [_read_speed(path) for path in sorted((results / "speed").glob("*.json"))]
    if runs:
        texts[results / "speed" / "speed.md"] = speed_markdown(runs, digests)
        machine_info = runs[0]["machine_info"]
        timed = [bench for run in runs for bench in run["benchmarks"]]
        tables["speed"] = [
            *sampling_table(timed, digests),
            "",
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
