"""Descriptors of a rock against block size: a tidy CSV, a figure and a table in ``results/<image>/``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench.data import Volumes
from porebench.metrics.representative import sampled_blocks, size_points

from ..report.canvas import figure_class
from ..report.text import table_lines
from ..store.cells import JUDGING_PACKAGES, Inputs, code_digest, packages
from ..store.files import write_path, write_text
from ..store.provenance import environment

SIZES = (10, 15, 20, 30, 40, 60, 80, 100)
BLOCKS = 400  # of one size, at most
VOXELS = 10_000_000  # of all blocks of one size together, at most, but for ``LEAST`` blocks
LEAST = 12
WITHIN = 10.0  # percent that a mean is wanted to within
SHOWN = {
    "porosity": "porosity",
    "specific_surface": "specific surface",
    "mean_chord": "mean chord",
    "mean_local_thickness": "pore radius",
    "euler_6": "Euler number",
    "percolation": "percolating",
}
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]


def representative(
    volume: NDArray[np.bool_],
    folder: Path,
    *,
    sizes: Sequence[int] = (),
    seed: int = 0,
    workers: int = 1,
    bar: Bar,
    command: str = "",
) -> list[str]:
    """Cut an image into blocks of several sizes and write mean and spread of each descriptor.

    Args:
        volume: bool [depth, height, width].
        folder: where ``representative.csv``, ``.png`` and ``.json`` go.
        sizes: edges of blocks in voxels; default those of ``SIZES`` of which at least 12 blocks fit.
        seed: which blocks are taken where there are more than 400, or more than 10 million voxels.
        workers: threads.
        bar: opens a progress bar.
        command: the command line, for the manifest.

    Returns:
        The lines of a table.

    Raises:
        ValueError: if a size leaves fewer than two blocks.
        ImportError: if matplotlib is not installed, naming the extra.
    """
    fitting = [edge for edge in SIZES if int(np.prod([n // edge for n in volume.shape])) >= LEAST]
    chosen = sorted(set(sizes)) or fitting
    if not chosen:
        raise ValueError(f"an image of {volume.shape} is too small for blocks of {SIZES[0]} voxels; give --size")
    rows = []
    for edge in chosen:
        most = min(BLOCKS, max(LEAST, VOXELS // edge**3))
        blocks = sampled_blocks(volume, edge, most, np.random.default_rng([seed, edge]))
        with bar(f"describe blocks of {edge}", len(blocks)) as advance:
            rows += [asdict(point) for point in size_points(blocks, workers=workers, progress=advance)]
    table = pd.DataFrame(rows)
    write_text(folder / "representative.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_path(folder / "representative.png", lambda path: _draw(table, path))
    manifest = {
        "sizes": chosen,
        "seed": seed,
        "inputs": representative_inputs(volume),
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        **environment(),
    }
    write_text(folder / "representative.json", json.dumps(manifest, indent=2) + "\n")
    return representative_table(table)


def representative_inputs(volume: NDArray[np.bool_]) -> Inputs:
    """What the numbers are made from, besides sizes and seed; for ``porebench status``."""
    return {
        "image": Volumes(volume[None], np.array([volume.mean()])).digest()[:16],
        "metric code": code_digest("benchmarks/studies/representative.py"),
        "packages": packages(JUDGING_PACKAGES),
    }


def representative_table(table: pd.DataFrame) -> list[str]:
    """One line a block size: mean ± spread of single blocks, and how many blocks give each mean to within 10 %.

    Args:
        table: rows of ``representative.csv``.
    """
    header = ["block", "blocks", *SHOWN.values(), f"blocks for porosity to {WITHIN:g} %"]
    rows = []
    for edge, part in table.groupby("edge"):
        found = {str(point.descriptor): point for point in part.itertuples()}
        cells = [_spread(found[name].mean, found[name].sd) for name in SHOWN if name != "percolation"]
        porosity = found["porosity"]
        needed = int(np.ceil((1.96 * 100 / WITHIN * porosity.sd / porosity.mean) ** 2)) if porosity.mean else 0
        percolating = f"{100 * found['percolation'].mean:.0f} %"
        rows.append([f"{edge}³", str(porosity.n), *cells, percolating, str(needed)])
    return [
        *table_lines(header, rows),
        "",
        "Mean over blocks ± standard deviation between them; share of axes that percolate.",
    ]


def _spread(mean: float, sd: float) -> str:
    return f"{mean:.3g} ± {sd:.2g}"


def _draw(table: pd.DataFrame, path: Path) -> None:
    """Small multiples: mean, its interval and the spread of single blocks over block size."""
    figure = figure_class()(figsize=(9, 5), layout="constrained")
    for axes, (name, title) in zip(figure.subplots(2, 3).flat, SHOWN.items(), strict=True):
        part = table[table["descriptor"] == name]
        axes.fill_between(part["edge"], part["mean"] - part["sd"], part["mean"] + part["sd"], alpha=0.2, lw=0)
        axes.fill_between(part["edge"], part["low"], part["high"], alpha=0.4, lw=0, color="C0")
        axes.plot(part["edge"], part["mean"], marker="o", ms=3)
        axes.set(title=title, ylabel=part["unit"].fillna("").iloc[0], xscale="log")
        axes.set_xticks(part["edge"], [str(edge) for edge in part["edge"]], minor=False)
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("edge of a block, voxels (light: spread of single blocks, dark: 95 % interval of the mean)")
    figure.savefig(path, dpi=110, format="png")
