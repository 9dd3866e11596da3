"""Time and peak memory of one draw against the size of the volume, each in a process of its own."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

from porebench import data
from porebench.generators import CONTROLS, GENERATORS, ON_REQUEST, get
from porebench.generators.porosity_law import PorosityLaw

from ..evaluate import fits, isolation
from ..store.provenance import commit, peak_memory_mb, processor
from ..store.results import SCALING, SCALING_KEY
from ..store.tables import replace_rows
from ..store.timings import voxel_facts

EDGES = (30, 60, 120, 240)
BATCH = 64
"""Volumes of the smallest size that are also drawn at once: a call has a fixed cost that a single one hides behind."""
POROSITY = 0.2
BLOCKS = 3
STEADY = 1.0
"""Seconds of further draws after the first; at least one, unless the first took ``PATIENCE``."""
PATIENCE = 30.0


@dataclass(frozen=True)
class Draw:
    """A draw to be measured.

    Attributes:
        generator: registered name.
        edge: of the volumes in voxels.
        volumes: at once.
    """

    generator: str
    edge: int
    volumes: int


def density_of(law: PorosityLaw, porosity: float) -> float:
    """Return the density at which volumes have a porosity, or the nearest one there is."""
    grid = np.linspace(0, 1, 2001)
    return float(np.interp(porosity, law.porosity(grid), grid))


def chosen(names: Sequence[str]) -> list[str]:
    """Return the generators that draw any shape, of those named; where none is, all quick ones that compete.

    Raises:
        ValueError: if one draws its training shape only.
    """
    for name in names:
        if not get(name).any_shape:
            raise ValueError(f"{name} draws the shape it was trained on only, so it has no scaling to measure")
    usual = (name for name in GENERATORS if name not in (*CONTROLS, *ON_REQUEST))
    return list(names) or [name for name in usual if get(name).any_shape]


def plan(names: Sequence[str], edges: Sequence[int], blocks: int) -> list[tuple[int, Draw]]:
    """Return every draw once in each block, in a random order inside each."""
    draws = [Draw(name, edge, 1) for name in names for edge in edges]
    draws += [Draw(name, min(edges), BATCH) for name in names if min(edges) == min(EDGES)]
    order = random.Random(0)  # noqa: S311 - no secret
    return [(block, draw) for block in range(blocks) for draw in order.sample(draws, len(draws))]


def scaling(
    names: Sequence[str],
    results: Path,
    *,
    edges: Sequence[int] = EDGES,
    blocks: int = BLOCKS,
    dataset: data.Dataset | None = None,
    tell: Callable[[str], object] = lambda _line: None,
) -> Path:
    """Measure time and peak memory over size, and put the rows into ``speed/scaling.csv``.

    Rows of other generators and sizes that are there already are kept.

    Args:
        names: of generators of any shape; all that compete if there are none.
        results: the results folder.
        edges: of the volumes in voxels.
        blocks: how often each is measured.
        dataset: what they are fitted on; default ``spheres``.
        tell: called with a line for each draw.

    Returns:
        The file.

    Raises:
        ValueError: if a generator draws its training shape only.
        IsolatedError: if a draw failed.
    """
    names, learnt = chosen(names), dataset or data.load("spheres")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.safetensors") for name in names}
        for name, file in files.items():
            fits.fitted(name, learnt, show_progress=True).generator.save(file)
        for block, draw in plan(names, sorted(set(edges)), blocks):
            measured, _ = isolation.call(measure_draw, draw.generator, files[draw.generator], draw.edge, draw.volumes)
            rows.append({**asdict(draw), "block": block, **measured})
            own = (measured["peak_bytes"] - measured["before_bytes"]) / 1e6
            tell(f"{draw.generator}, {draw.volumes} × {draw.edge}³: {measured['seconds']:.3g} s, {own:.3g} MB more")
    table = pd.DataFrame(rows).assign(
        date=f"{datetime.now(UTC):%Y-%m-%d}", commit=commit(), processor=processor(), threads=torch.get_num_threads()
    )
    replace_rows(results / SCALING, table, SCALING_KEY, order=_in_order)
    return results / SCALING


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows, all columns as text, by generator, size and block."""
    keys = pd.DataFrame({name: pd.to_numeric(table[name]) for name in ("edge", "volumes", "block")})
    return table.loc[keys.assign(generator=table["generator"]).sort_values([*SCALING_KEY, "block"]).index]


def measure_draw(name: str, path: str, edge: int, volumes: int, tell: isolation.Tell) -> dict[str, Any]:  # noqa: ARG001
    """Return seconds, memory and output of a draw in this process, after a small draw that starts the libraries."""
    generator = get(name).load(path)
    density = np.full(volumes, density_of(generator.law_, POROSITY))
    generator.sample(density[:1], rng=0)
    before = _forget_peak()
    start = time.perf_counter()
    drawn = generator.sample(density, shape=(edge,) * 3, rng=0)
    first = time.perf_counter() - start
    peak = _peak()
    facts = voxel_facts(drawn)
    del drawn
    steady: list[float] = []
    while first < PATIENCE and (not steady or (sum(steady) < STEADY and len(steady) < 50)):
        start = time.perf_counter()
        generator.sample(density, shape=(edge,) * 3, rng=0)
        steady.append(time.perf_counter() - start)
    seconds = median(steady or [first])
    return {"seconds": seconds, "first_seconds": first, "before_bytes": before, "peak_bytes": peak, **facts}


def _forget_peak() -> int:
    """Let the system's record of the largest memory start again (Linux), and return the memory in use, bytes."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return _peak()


def _peak() -> int:
    """Return the largest resident memory since the record began, bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return peak_memory_mb() * 1_000_000
