"""Ablation: every variant of a generator trained on one budget, and judged without the test part.

Each training is kept as soon as it is finished, in cells as those of ``evaluate``; the same command goes on from there.
Draws that ``variants.draw`` has kept on another machine are scored without another training.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress

from porebench.data import Dataset
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import HEADLINE
from porebench.metrics.table import versions

from ..evaluate.options import Options
from ..evaluate.progress import bars
from ..evaluate.score import Judge
from ..report.studies import ablation_markdown
from ..store.cells import Cell, Cells
from ..store.files import sweep, write_text
from ..store.provenance import JUDGING_PACKAGES
from ..store.results import data_folder
from ..store.tables import Manifest, Record, replace_rows
from .variants import Variant, build, draw, drawing_inputs, judged_on, run_name

COLUMNS = ("variant", "seed", "band", "metric", "value", "ci_low", "ci_high")
KEPT = ("nfr100", "iou", "speck_recall", "copy_rate", "diversity", "c2st_auc", "percolation", "percolation_real")
"""Metrics of ``accuracy.csv`` that the ablation keeps, besides NFR100 of each descriptor."""
SCORE = ("nfr100", *HEADLINE)
"""Parts of the score: where one of them has another version, earlier rows cannot stand beside new ones."""
CODE = (
    *(f"benchmarks.studies.ablation:{name}" for name in ("KEPT", "count_rows")),
    "benchmarks.studies.variants:drawn",
    "benchmarks.evaluate.score:numbers",
    "metrics.descriptors:describe",
)

log = logging.getLogger("porebench")


def ablate(
    variants: Sequence[Variant],
    dataset: Dataset,
    out: Path,
    options: Options,
    *,
    epochs: int,
    seeds: Sequence[int],
    progress: Progress | None = None,
    command: str = "",
) -> Path:
    """Train each variant with each seed, score its draws, and write ``out/ablation/<data set>/``.

    Args:
        variants: see ``chosen_variants``.
        dataset: its training part is fitted on; see ``judged_on`` for what is judged on.
        out: the results folder.
        options: device, workers and places count.
        epochs: budget of each training.
        seeds: of the trainings.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.

    Returns:
        The folder of ``ablation.csv``, ``ablation.md`` and ``manifest.json``, rewritten after each training.
    """
    folder = data_folder(out / "ablation", dataset)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    judged = judged_on(dataset)
    judge = Judge(judged, replace(options, seed=0, samples=None, quick=True), folder)
    run = {
        "dataset": dataset.name,
        "density_kind": dataset.density_kind,
        "data": dataset.train.digest(),
        "judged": judge.test.digest(),
        "n_judged": len(judge.test),
        "n_validation": len(dataset.validation),
        "epochs": epochs,
        "metric_versions": versions(),
    }
    manifest, moved = _earlier(folder, run)
    wanted = [(variant, seed) for seed in seeds for variant in variants]
    for number, (variant, seed) in enumerate(wanted):
        with bars(progress)(f"train {variant.name}, seed {seed}", len(wanted)) as advance:
            advance(number)
            draw(variant, seed, judged, folder, epochs=epochs, options=options, show_progress=progress is not None)
            rows, trained = _scored(variant, seed, judge, epochs)
        generator = build(variant, epochs)
        record = Record.of(
            {**drawing_inputs(generator, seed, judged), "real data": dataset.digest()[:16]},
            CODE,
            JUDGING_PACKAGES,
            generator=variant.generator,
            params=generator.params,
            facts={
                **{name: value for name, value in asdict(variant).items() if name != "generator"},
                "seed": seed,
                **{key: trained.output[key] for key in ("fit_seconds", "fit_machine", "commit", "versions")},
                "peak_memory_mb": trained.peak_memory_mb,
                "command": command,
            },
        )
        manifest = manifest.extended({run_name(variant, seed): record}, command)
        _write(folder, rows, manifest, moved)
        moved = set()
    return folder


def _scored(variant: Variant, seed: int, judge: Judge, epochs: int) -> tuple[pd.DataFrame, Cell]:
    """Return the rows of a finished training, from their cell or computed now, and the cell of its draws."""
    name = run_name(variant, seed)
    cells = Cells(judge.folder, name)
    inputs = drawing_inputs(build(variant, epochs), seed, judge.dataset)
    drawn, made = cells.fresh("sample", inputs), cells.fresh("reconstruct", inputs)
    if drawn is None or made is None:
        raise ValueError(f"{name} left no draws in {judge.folder}")
    wanted = judge.inputs("score", drawn.output["samples_digest"], made.output["file"])
    cell = cells.fresh("score", wanted)
    if cell is None:
        began = time.perf_counter()
        rows = judge.scored(name, reconstructs=True).rows
        kept = [row for row in rows if row["metric"] in KEPT or row["metric"].startswith("nfr100:")]
        kept += count_rows(np.array(drawn.output["free_counts"]), judge)
        kept = [{key: row.get(key) for key in COLUMNS[2:]} for row in kept]
        cell = cells.finish("score", wanted, {"rows": kept}, time.perf_counter() - began)
    rows = [{"variant": variant.name, "seed": seed, **row} for row in cell.output["rows"]]
    return pd.DataFrame(rows, columns=list(COLUMNS)), drawn


def count_rows(counts: NDArray[np.int64], judge: Judge) -> list[dict[str, Any]]:
    """Return the error of the number of pore voxels where it is not made exact.

    ``count_bias``: excess over the real volumes of the band, percent. Over the headline bands: its mean size.

    Args:
        counts: pore voxels drawn at the densities of the judged volumes.
        judge: knows those volumes.
    """
    found: list[tuple[str, float]] = []
    sizes = []
    for band in density_bands(judge.test.density, judge.dataset.density_kind):
        inside = band.contains(judge.test.density)
        real = judge.test.pore_voxels[inside].sum()
        if real == 0:
            continue
        bias = float(100 * (counts[inside].sum() / real - 1))
        found.append((band.name, bias))
        if band.headline:
            sizes.append(abs(bias))
    found += [(ALL, float(np.mean(sizes)))] if sizes else []
    return [{"band": band, "metric": "count_bias", "value": value} for band, value in found]


def _earlier(folder: Path, run: dict[str, Any]) -> tuple[Manifest, set[str]]:
    """Return the manifest to extend, and the metrics whose earlier rows are to be left out.

    Earlier trainings stay if data and budget are the same, but for rows of a metric that has another version by now;
    none stays where that metric is part of the score.
    """
    try:
        earlier = Manifest.read(folder / "manifest.json")
    except ValueError as error:
        log.warning("the earlier ablation in %s cannot be read and is replaced: %s", folder, error)
        return Manifest(run), set()
    if earlier is None:
        return Manifest(run), set()
    now, before = run["metric_versions"], earlier.run.get("metric_versions", {})
    moved = {name for name in (*before, *now) if before.get(name) != now.get(name)}
    if moved & set(SCORE) or {**earlier.run, "metric_versions": now} != run:
        log.warning("the earlier ablation in %s had other data, budget or metrics, and is replaced", folder)
        return Manifest(run), set()
    if dropped := ", ".join(sorted(moved & set(KEPT))):
        log.warning("earlier rows of %s are left out: the metric has another version now", dropped)
    return replace(earlier, run=run), moved


def _write(folder: Path, rows: pd.DataFrame, manifest: Manifest, moved: set[str]) -> None:
    """Write the rows of one training beside earlier ones, but for those of some metrics, and the manifest."""
    places = {name: place for place, name in enumerate(manifest.records)}

    def stays(earlier: pd.DataFrame) -> Any:
        return ~earlier["metric"].str.removesuffix("_real").isin(moved)

    def in_order(table: pd.DataFrame) -> pd.DataFrame:
        return table.iloc[np.argsort((table["variant"] + "-seed-" + table["seed"]).map(places), kind="stable")]

    keep = stays if len(places) > 1 else False
    replace_rows(folder / "ablation.csv", rows, ["variant", "seed"], keep=keep, order=in_order)
    manifest.write(folder / "manifest.json")
    write_text(folder / "ablation.md", ablation_markdown(folder))
