"""Descriptors of a rock against block size: a tidy CSV, a figure and a table in ``results/<image>/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.progress import Progress

from porebench.data.phase import voxel_from
from porebench.data.volumes import image_digest
from porebench.metrics.representative import sampled_blocks, size_points

from ..evaluate.options import Options
from ..evaluate.progress import bars
from ..report import plots
from ..report.figures import draw, save
from ..report.studies import representative_table
from ..report.style import style
from ..store.provenance import JUDGING_PACKAGES
from ..store.tables import REAL, Manifest, Record, write_table

SIZES = (10, 15, 20, 30, 40, 60, 80, 100)
BLOCKS = 400  # of one size, at most
VOXELS = 10_000_000  # of all blocks of one size together, at most, but for ``LEAST`` blocks
LEAST = 12
CODE = ("benchmarks.studies.representative:cut", "metrics.representative:size_points")


def representative(
    image: NDArray[np.bool_],
    folder: Path,
    options: Options,
    *,
    sizes: Sequence[int] = (),
    progress: Progress | None = None,
    command: str = "",
    voxel: str = "",
) -> list[str]:
    """Cut an image into blocks of several sizes and write mean and spread of each descriptor.

    Args:
        image: bool [depth, height, width].
        folder: where ``representative.csv``, ``.png`` and ``.json`` go; where those of another image lie in it, the
            folder beside it with eight digits of the image's digest in its name.
        options: seed (of the blocks that are taken where there are more than 400, or more than 10 million voxels)
            and workers count.
        sizes: edges of blocks in voxels; default those of ``SIZES`` of which at least 12 blocks fit.
        progress: a started rich progress display, or None for silence.
        command: the command line, for the manifest.
        voxel: edge of a voxel in words, "" where it is not known.

    Returns:
        The lines of a table.

    Raises:
        ValueError: if a size leaves fewer than two blocks.
        ImportError: if matplotlib is not installed, naming the extra.
    """
    fitting = [edge for edge in SIZES if int(np.prod([n // edge for n in image.shape])) >= LEAST]
    chosen = sorted(set(sizes)) or fitting
    if not chosen:
        raise ValueError(f"an image of {image.shape} is too small for blocks of {SIZES[0]} voxels; give --size")
    digest = image_digest(image)
    earlier = Manifest.read(folder / "representative.json")
    if earlier is not None and earlier.records[REAL].inputs["image"] != digest:
        folder = folder.with_name(f"{folder.name}-{digest[:8]}")
    with style("page") as width:  # fails now, rather than after minutes, where matplotlib is missing
        rows = []
        for edge in chosen:
            blocks = cut(image, edge, options.seed)
            with bars(progress)(f"describe blocks of {edge}", len(blocks)) as advance:
                rows += [asdict(point) for point in size_points(blocks, workers=options.workers, progress=advance)]
        table = pd.DataFrame(rows)
        write_table(folder / "representative.csv", table)
        save(draw(plots.representative(table, voxel_from(voxel)), width), folder / "representative.png")
    record = Record.of({"image": digest}, CODE, JUDGING_PACKAGES)
    run = {"sizes": chosen, "seed": options.seed, **({"voxel": voxel} if voxel else {})}
    Manifest(run).extended({REAL: record}, command).write(folder / "representative.json")
    return representative_table(table, voxel)


def cut(image: NDArray[np.bool_], edge: int, seed: int) -> NDArray[np.bool_]:
    """Return the blocks of one size that are described, bool [n, edge, edge, edge]."""
    most = min(BLOCKS, max(LEAST, VOXELS // edge**3))
    return sampled_blocks(image, edge, most, np.random.default_rng([seed, edge]))
