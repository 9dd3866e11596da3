"""Ablation: every variant of a generator trained on one budget, and judged without the test part.

Each training is kept as soon as it is finished, in cells as those of ``evaluate``; the same command goes on from there.
What ``variants.draw`` has kept on another machine is scored without training it again.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from porebench.data import Dataset
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.descriptors import HEADLINE

from ..evaluate.options import Options
from ..evaluate.score import Judge
from ..report.ablation import ablation_markdown
from ..store.cells import Cell, Cells, Inputs, code_digest, metric_versions, short_digest
from ..store.files import sweep, write_text
from ..store.provenance import environment
from .variants import Variant, build, draw, drawing_inputs, judged_on, run_name

COLUMNS = ("variant", "seed", "band", "metric", "value", "ci_low", "ci_high")
KEPT = ("nfr100", "iou", "speck_recall", "copy_rate", "diversity", "c2st_auc", "percolation", "percolation_real")
"""Metrics of ``accuracy.csv`` that the ablation keeps, besides NFR100 of each descriptor."""
SCORE = ("nfr100", *HEADLINE)
"""What the score is made of: where one of these has another version, earlier rows cannot stand beside new ones."""

log = logging.getLogger("porebench")


def ablate(
    dataset: Dataset,
    variants: Sequence[Variant],
    out: Path,
    *,
    epochs: int,
    seeds: Sequence[int],
    device: str = "auto",
    show_progress: bool = False,
    tell: Callable[[str], object] = lambda _line: None,
    command: str = "",
) -> Path:
    """Train each variant with each seed, score it, and write ``out/ablation/<data set>/``.

    Args:
        dataset: its training part is fitted on; see ``judged_on`` for what is judged on.
        variants: see ``chosen_variants``.
        out: the results folder.
        epochs: budget of each training.
        seeds: of the trainings.
        device: to sample on: "auto", "cpu" or "cuda".
        show_progress: let fits draw their progress bars.
        tell: told what is trained next.
        command: the command line, for the manifest.

    Returns:
        The folder of ``ablation.csv``, ``ablation.md`` and ``manifest.json``, rewritten after each training.
    """
    folder = out / "ablation" / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    judged = judged_on(dataset)
    judge = Judge(judged, Options(quick=True, device=device), folder)
    run = {
        "dataset": dataset.name,
        "density_kind": dataset.density_kind,
        "data": dataset.train.digest(),
        "judged": judge.test.digest(),
        "n_judged": len(judge.test),
        "n_validation": len(dataset.validation),
        "epochs": epochs,
        "metric_versions": metric_versions(),
    }
    rows, trainings = _earlier(folder, run)
    stamp = {"date": time.strftime("%Y-%m-%d"), "command": command, **environment()}
    wanted = [(variant, seed) for seed in seeds for variant in variants]
    for number, (variant, seed) in enumerate(wanted, 1):
        tell(f"{variant.name}, seed {seed}: {number} of {len(wanted)}")
        draw(variant, seed, judged, folder, epochs=epochs, device=device, show_progress=show_progress)
        name = run_name(variant, seed)
        scored, trained = _scored(variant, seed, judge, epochs)
        rows[name] = [{"variant": variant.name, "seed": seed, **row} for row in scored]
        trainings[name] = {
            **asdict(variant),
            "seed": seed,
            "params": build(variant, epochs).params,
            **{key: trained.output[key] for key in ("fit_seconds", "fit_machine", "commit", "versions")},
            "peak_memory_mb": trained.peak_memory_mb,
            "command": command,
            "inputs": ablation_inputs(variant, seed, judge, epochs),
        }
        _write(folder, rows, {"run": run, **stamp, "trainings": trainings})
    return folder


def ablation_inputs(variant: Variant, seed: int, judge: Judge, epochs: int) -> Inputs:
    """What the rows of a training are made from.

    Args:
        variant: what was trained.
        seed: of the training.
        judge: of ``judged_on``.
        epochs: budget.
    """
    judging = judge.inputs("score", "")
    return {
        **drawing_inputs(build(variant, epochs), seed, judge.dataset),
        "real data": judging["real data"],
        "metric code": short_digest([judging["metric code"], code_digest("benchmarks/studies/ablation.py")]),
        "packages": judging["packages"],
    }


def _scored(variant: Variant, seed: int, judge: Judge, epochs: int) -> tuple[list[dict[str, Any]], Cell]:
    """Rows of one finished training, from their cell or computed now, and the cell of its draws."""
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
        rows = [
            {key: row[key] for key in COLUMNS[2:]}
            for row in judge.rows(name, reconstructs=True)
            if row["metric"] in KEPT or row["metric"].startswith("nfr100:")
        ]
        rows += count_rows(np.array(drawn.output["free_counts"]), judge)
        cell = cells.finish("score", wanted, {"rows": rows}, time.perf_counter() - began)
    return cell.output["rows"], drawn


def count_rows(counts: np.ndarray[Any, np.dtype[np.int64]], judge: Judge) -> list[dict[str, Any]]:
    """How far the number of pore voxels is off where it is not made exact.

    ``count_bias``: excess over the real volumes of the band, percent. Over the headline bands: its mean size.

    Args:
        counts: pore voxels drawn at the densities of the judged volumes.
        judge: who knows those.
    """
    rows: list[dict[str, Any]] = []
    sizes = []
    for band in density_bands(judge.test.density, judge.dataset.density_kind):
        inside = band.contains(judge.test.density)
        real = judge.test.pore_voxels[inside].sum()
        if real == 0:
            continue
        bias = 100 * (counts[inside].sum() / real - 1)
        rows.append(_count_row(band.name, float(bias)))
        if band.headline:
            sizes.append(abs(float(bias)))
    return [*rows, _count_row(ALL, float(np.mean(sizes)))] if sizes else rows


def _count_row(band: str, value: float) -> dict[str, Any]:
    return {"band": band, "metric": "count_bias", "value": value, "ci_low": None, "ci_high": None}


def _earlier(folder: Path, run: dict[str, Any]) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Any]]:
    """Rows and records of earlier trainings on the same data and budget, by name.

    Rows of a metric that has another version by now are left out, unless it is part of the score: then none stays.
    """
    manifest, table = folder / "manifest.json", folder / "ablation.csv"
    if not (manifest.is_file() and table.is_file()):
        return {}, {}
    try:
        earlier = json.loads(manifest.read_text())
        kept = pd.read_csv(table)
    except (ValueError, OSError) as error:
        log.warning("the earlier ablation in %s cannot be read and is replaced: %s", folder, error)
        return {}, {}
    before, now = earlier.get("run", {}), run["metric_versions"]
    versions = before.get("metric_versions", {})
    moved = {name for name in (*versions, *now) if versions.get(name) != now.get(name)}
    if moved & set(SCORE) or {**before, "metric_versions": now} != run:
        log.warning("the earlier ablation in %s had other data, budget or metrics, and is replaced", folder)
        return {}, {}
    dropped = kept["metric"].str.removesuffix("_real").isin(moved)
    if dropped.any():
        names = ", ".join(sorted(set(kept["metric"][dropped])))
        log.warning("earlier rows of %s are left out: the metric has another version now", names)
    kept = kept[~dropped]
    clean = kept.astype(object).where(kept.notna(), None)
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in clean.to_dict("records"):
        rows.setdefault(f"{row['variant']}-seed-{row['seed']}", []).append(row)
    for record in earlier["trainings"].values():
        record.setdefault("command", earlier["command"])
    return rows, earlier["trainings"]


def _write(folder: Path, rows: dict[str, list[dict[str, Any]]], manifest: dict[str, Any]) -> None:
    table = pd.DataFrame([row for name in rows for row in rows[name]], columns=list(COLUMNS))
    write_text(folder / "ablation.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_text(folder / "manifest.json", json.dumps(manifest, indent=2) + "\n")
    write_text(folder / "ablation.md", ablation_markdown(pd.read_csv(folder / "ablation.csv"), manifest))
