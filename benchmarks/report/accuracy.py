"""Accuracy of one run as a document and as a table for a terminal; computes nothing."""

from __future__ import annotations

import pandas as pd

from porebench.generators.controls import Twin
from porebench.metrics.descriptors import HEADLINE

from ..store.results import ALL, Order, Run, Score
from .text import ABSENT, column_lines, one_line, short, table_lines

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
FEW = 50
"""Test volumes in a band, below which a table says so."""
LONGEST = 16
"""Characters of a generator's name that the compact table shows."""
RANKS = (
    "Generators share a rank (`=`) if a paired bootstrap over the test densities cannot tell them from the best of "
    "their group (95 %). Controls hold no rank. Beside it, the best and the worst rank when each descriptor, or each "
    "headline band, is left out of the score in turn."
)


def accuracy_markdown(run: Run) -> str:
    """Return the accuracy document of a run."""
    about = run.manifest["run"]
    scored = run.generators
    lines = [
        f"# Accuracy on {about['dataset']}",
        "",
        f"{about['n_test']} test volumes, one realisation for each test density, seed {about['seed']}"
        + (" (quick run)" if about["quick"] else "")
        + f".{small_bands(run)} Made {run.newest['date']} by `{run.command}`.",
        "",
        READING,
        "",
        *summary_table(run),
        "",
        *_rank_section(run),
        "## Companion columns",
        "",
        *_companions(run),
        "",
        "## Score by descriptor",
        "",
        *table_lines(
            ["generator", *HEADLINE],
            [[name, *(_text(run, name, f"nfr100:{d}", "{:.1f}") for d in HEADLINE)] for name in scored],
        ),
    ]
    reconstructing = [name for name in scored if name in run.scores("iou")]
    if reconstructing:
        lines += ["", "## Reconstruction of test volumes", "", *_reconstruction(run, reconstructing)]
    sized = [name for name in scored if name in run.scores("drawn_radius_w1")]
    if sized:
        lines += ["", "## Sizes of drawn pores", "", SIZES, "", *_sizes(run, sized)]
    failed = {name: record for name, record in run.records.items() if record["status"] == "failed"}
    if failed:
        rows = [[name, str(r["phase"]), one_line(str(r["reason"]))] for name, r in failed.items()]
        lines += ["", "## Failed", "", *table_lines(["generator", "phase", "reason"], rows)]
    return "\n".join(lines) + "\n"


def summary_table(run: Run) -> list[str]:
    """Return the main table, best generator first, and the benchmark's own error below it."""
    header = ["rank", "generator", "NFR100 [95 % CI]", "p", *(f"NFR100 {band}" for band in run.bands)]
    header += ["worst descriptor", "density bias %", "copy rate %", "IoU", "fit s", "ms a volume"]
    rows = [
        [
            (run.order and run.order.rank(name)) or ABSENT,
            name,
            _interval(run, name, "nfr100"),
            _text(run, name, "p", "{:.3f}"),
            *(_text(run, name, "nfr100", "{:.1f}", band) for band in run.bands),
            worst_descriptor(run, name),
            _text(run, name, "density_bias", "{:+.1f}"),
            _percent(run, name, "copy_rate"),
            _text(run, name, "iou"),
            f"{run.records[name]['fit_seconds']:.1f}",
            f"{run.records[name]['sample_milliseconds']:.2f}",
        ]
        for name in run.generators
    ]
    return table_lines(header, rows) + own_error(run.order)


def compact_table(run: Run) -> list[str]:
    """Return the columns of the main table that fit into 100 characters of a terminal, best generator first."""
    rows = [
        [
            (run.order and run.order.rank(name)) or ABSENT,
            name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…",
            _interval(run, name, "nfr100"),
            worst_descriptor(run, name).partition(" ")[0],
            _percent(run, name, "copy_rate"),
            f"{run.records[name]['fit_seconds']:.1f}",
            f"{run.records[name]['sample_milliseconds']:.2f}",
        ]
        for name in run.generators
    ]
    header = ["rank", "generator", "NFR100 [95 % CI]", "worst descriptor", "copies %", "fit s", "ms each"]
    return column_lines(header, rows)


def own_error(order: Order | None) -> list[str]:
    """Return how far apart the table puts a generator and its twin, as a paragraph; nothing where one has no score."""
    found = None if order is None else order.difference(Twin.name, Twin.original)
    if found is None:
        return []
    value, low, high, tied = found
    text = (
        f"The benchmark's own error: `{Twin.name}` is `{Twin.original}` under another name and with other seeds; their "
        f"NFR100 differ by {value:+.2f} [{low:+.2f}, {high:+.2f}], and they are {'tied' if tied else 'not tied'}."
    )
    if not tied:
        text += (
            " Intervals and ties hold for one fit of each generator; between two fits of one generator scores can "
            "differ by as much as this."
        )
    return ["", text]


def small_bands(run: Run) -> str:
    """Return a sentence on the number of test volumes in a band, where it is small; "" where it is not."""
    table = run.table
    scored = table[(table["metric"] == "nfr100") & (table["band"] != ALL)]
    counts = sorted({int(count) for count in scored["n_real"].dropna()})
    if not counts or counts[0] >= FEW:
        return ""
    found = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f" A band holds {found} of them, where 100 are advised: intervals are wide, and small defects are not found."


def _rank_section(run: Run) -> list[str]:
    """Return ranks, how far they move when something is left out of the score, and which pairs are tied."""
    order = run.order
    if order is None or order.ranking.empty:
        return []
    rows = [
        [rank, name, _span(order.span(name, "descriptor")), _span(order.span(name, "band"))]
        for name in run.generators
        if (rank := order.rank(name)) is not None
    ]
    tied = [f"{row.second} and {row.first}" for row in order.ties.itertuples() if row.tied]
    return [
        "## Ranks",
        "",
        RANKS,
        "",
        *table_lines(["rank", "generator", "without one descriptor", "without one band"], rows),
        "",
        f"Tied pairs, controls included: {'; '.join(tied) if tied else 'none'}.",
        "",
    ]


def _span(ends: tuple[int, int] | None) -> str:
    if ends is None:
        return ABSENT
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _companions(run: Run) -> list[str]:
    """Return errors in physical units with their noise floors, and the second opinions."""
    header = ["generator", "density error (real)"]
    header += [f"{quantity} error (floor)" for quantity in PHYSICAL.values()]
    header += ["percolation (real)", "C2ST AUC [95 % CI]", "fidelity", "coverage (real)"]
    header += ["leaks %", "novelty", "diversity", "empty volumes"]
    rows = [
        [
            name,
            f"{_text(run, name, 'density_error', '{:.3f}')} ({_text(run, name, 'density_error_real', '{:.3f}')})",
            *(
                f"{_text(run, name, f'{key}:error', '{:.3g}')} ({_text(run, name, f'{key}:floor', '{:.3g}')})"
                for key in PHYSICAL
            ),
            f"{_text(run, name, 'percolation')} ({_text(run, name, 'percolation_real')})",
            _interval(run, name, "c2st_auc"),
            _text(run, name, "fidelity"),
            f"{_text(run, name, 'coverage')} ({_text(run, name, 'coverage_expected')})",
            _percent(run, name, "leak_rate"),
            _text(run, name, "novelty"),
            _text(run, name, "diversity"),
            _text(run, name, "n_empty", "{:.0f}"),
        ]
        for name in run.generators
    ]
    return table_lines(header, rows)


def worst_descriptor(run: Run, name: str) -> str:
    """Return the descriptor that is furthest from real, with its NFR100."""
    found = {descriptor: run.scores(f"nfr100:{descriptor}").get(name) for descriptor in HEADLINE}
    known = {descriptor: score.value for descriptor, score in found.items() if score is not None}
    if not known:
        return ABSENT
    worst = max(known, key=lambda descriptor: known[descriptor])
    return f"{worst} {short(known[worst])}"


def _reconstruction(run: Run, names: list[str]) -> list[str]:
    header = ["generator", *(f"IoU {band}" for band in run.bands), "IoU, chance-corrected", "precision", "recall"]
    header += ["small-pore recall", "radius W1, voxels"]
    rows = [
        [
            name,
            *(_text(run, name, "iou", "{:.3f}", band) for band in run.bands),
            *(
                _text(run, name, metric, "{:.3f}")
                for metric in ("corrected_iou", "precision", "recall", "small_pore_recall", "radius_w1")
            ),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _sizes(run: Run, names: list[str]) -> list[str]:
    header = ["generator", "radius W1 to real", "radius W1 to truth", *(f"small pores {band}" for band in run.bands)]
    rows = [
        [
            name,
            _interval(run, name, "drawn_radius_w1"),
            _interval(run, name, "true_radius_w1"),
            *(_interval(run, name, "small_pore_ratio", band) for band in run.bands),
        ]
        for name in names
    ]
    return table_lines(header, rows)


def _text(run: Run, name: str, metric: str, pattern: str = "{:.2f}", band: str = ALL) -> str:
    found = run.scores(metric, band).get(name)
    return ABSENT if found is None else pattern.format(found.value)


def _percent(run: Run, name: str, metric: str) -> str:
    found = run.scores(metric).get(name)
    return ABSENT if found is None else f"{100 * found.value:.1f}"


def _interval(run: Run, name: str, metric: str, band: str = ALL) -> str:
    found: Score | None = run.scores(metric, band).get(name)
    if found is None:
        return ABSENT
    return short(found.value) + ("" if pd.isna(found.low) else f" [{short(found.low)}, {short(found.high)}]")
