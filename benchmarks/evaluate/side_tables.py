"""Tables beside accuracy.csv: curves over density, calibration, physics, and the classifier on voxels.

Each is a tidy CSV file with a cell of its own a generator, so that a long one is computed only when it is asked for,
and again only when the samples or the code behind it have changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes, spread
from porebench.generators.porosity_law import PorosityLaw
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.curves import calibration, density_bins, descriptor_curves
from porebench.metrics.overlap import iou
from porebench.metrics.physics import Quantity, diffusivity_by_band, percolation_by_band, relative_diffusivity

from ..report.details import side_markdown
from ..store.cells import JUDGING_PACKAGES, Cells, Inputs, code_digest, packages, short_digest
from ..store.cells import REAL as KEPT
from ..store.files import file_digest, write_text
from ..store.provenance import peak_memory_mb
from . import fits, isolation
from .accuracy import Outcome
from .isolation import IsolatedError, Tell
from .score import Judge

log = logging.getLogger("porebench")

REAL = "real"
"""What the rows of the real test volumes are called."""

CALIBRATION_GRID = np.linspace(0, 1, 21)
OVERLAP_BINS = 50  # ranges of density
CALIBRATION_DRAWS = 8  # at each density
PHYSICS_VOLUMES = 180  # whose diffusivity is solved for, spread over density

Rows = list[dict[str, Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SideTable:
    """One of the tables.

    Attributes:
        stage: name of its cells, and of its file.
        code: files that decide its numbers, below the repository's root, with what they import of ``metrics``.
        generated: rows of one generator, from the judge, its name and its reference.
        real: rows of the real test volumes.
        by_default: whether it is made without being asked for.
    """

    stage: str
    code: tuple[str, ...]
    generated: Callable[[Judge, str, str], Rows]
    real: Callable[[Judge], Rows]
    by_default: bool

    def inputs(self, judge: Judge, drawn: Inputs) -> Inputs:
        """What a cell of this table is made from, besides what the generator drew."""
        return {
            **drawn,
            "metric code": short_digest([code_digest(*self.code), file_digest(Path(__file__))]),
            "packages": packages(JUDGING_PACKAGES),
            "real data": judge.data_digest,
            "test data": judge.test.digest()[:16],
            "seed": str(judge.options.seed),
        }


def update(judge: Judge, outcome: Outcome, reference: str, kept: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Bring a generator's rows in the side tables up to date; what cannot be made is left as it was, with a warning.

    Args:
        judge: of the run.
        outcome: of the generator, which has a score.
        reference: what it is loaded by.
        kept: generators whose earlier rows stay.

    Returns:
        What the manifest keeps of the cells that are up to date, by stage.
    """
    name, samples = outcome.generator, str(outcome.record["samples_digest"])[:16]
    fresh = {}
    for table in SIDE_TABLES:
        rows = real = None
        try:
            made = partial(table.generated, judge, name, reference)
            rows = _cell_rows(table, judge, name, {"samples": samples}, made)
            real = _cell_rows(table, judge, KEPT, {}, partial(table.real, judge)) if rows is not None else None
        except (ValueError, OSError, IsolatedError) as error:
            log.warning("%s has no new rows in %s.csv: %s", name, table.stage, error)
        cell = Cells(judge.folder, name).read(table.stage)
        if rows is not None and cell is not None:
            fresh[table.stage] = cell.summary()
        _write(table, judge, {name: (samples, rows), REAL: (judge.test.digest()[:16], real)}, kept)
    details = side_markdown(judge.folder)
    if details is not None:
        write_text(judge.folder / "details.md", details)
    return fresh


def _cell_rows(table: SideTable, judge: Judge, name: str, drawn: Inputs, make: Callable[[], Rows]) -> Rows | None:
    """Rows from their cell, or computed now if the table is wanted."""
    cells, inputs = Cells(judge.folder, name), table.inputs(judge, drawn)
    cell = cells.fresh(table.stage, inputs)
    if cell is None and (table.by_default or table.stage in judge.options.extras):
        began = time.perf_counter()
        cell = cells.finish(table.stage, inputs, {"rows": make()}, time.perf_counter() - began, peak_memory_mb())
    return None if cell is None else list(cell.output["rows"])


def _write(table: SideTable, judge: Judge, new: dict[str, tuple[str, Rows | None]], kept: Iterable[str]) -> None:
    """The file with these rows in place of earlier ones, the real volumes first and the others by name.

    Args:
        table: to be written.
        judge: of the run.
        new: by name, the digest of the volumes and their rows; where there are none, earlier rows of the same volumes
            stay.
        kept: generators whose earlier rows stay in any case.
    """
    path = judge.folder / f"{table.stage}.csv"
    parts = {
        name: pd.DataFrame([{"generator": name, "samples": digest, **row} for row in rows])
        for name, (digest, rows) in new.items()
        if rows
    }
    if path.is_file():
        earlier = pd.read_csv(path, keep_default_na=False, dtype=str)
        known = not parts or list(earlier.columns) == list(next(iter(parts.values())).columns)
        for name, part in earlier.groupby("generator") if known else ():
            stays = part["samples"].iloc[0] == new[name][0] if name in new else name in set(kept)
            if stays:
                parts.setdefault(str(name), part)
    elif not parts:
        return
    order = sorted(parts, key=lambda name: (name != REAL, name))
    texts = [parts[name].to_csv(index=False, header=False, float_format="%.6g", lineterminator="\n") for name in order]
    if any(name != REAL for name in order):
        write_text(path, ",".join(parts[order[0]].columns) + "\n" + "".join(texts))
    else:
        path.unlink(missing_ok=True)


def _curves(judge: Judge, name: str, _reference: str) -> Rows:
    edges = density_bins(judge.test.density, judge.dataset.density_kind)
    return [asdict(point) for point in descriptor_curves(judge.descriptors(name), judge.test.density, edges)]


def _real_curves(judge: Judge) -> Rows:
    edges = density_bins(judge.test.density, judge.dataset.density_kind)
    return [asdict(point) for point in descriptor_curves(judge.test_descriptors, judge.test.density, edges)]


def _calibration(judge: Judge, _name: str, reference: str) -> Rows:
    """Draws at densities from 0 to 1, with and without the projection to the exact count where there is a choice."""
    options = judge.options
    counts, _ = isolation.call(
        drawn_counts,
        reference,
        judge.dataset,
        options.seed,
        options.device,
        (fits.CACHE, fits.PUBLISHED),
        timeout=options.timeout,
        memory=options.memory,
    )
    rows: Rows = []
    for exact, achieved in counts.items():
        rows += _calibration_rows(judge, _asked(), np.asarray(achieved), exact)
    return rows


def drawn_counts(
    reference: str, dataset: Dataset, seed: int, device: str, places: tuple[Path, Path], tell: Tell
) -> dict[str, list[int]]:
    """Pore voxels of draws on the grid of densities, for ``isolation.call``.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is fitted on.
        seed: of the fit and the draws.
        device: "auto", "cpu" or "cuda".
        places: where fits are kept, and where published weights lie.
        tell: is told the phase.

    Returns:
        Counts by whether they were made exact: "yes" and "no", or "" for a generator that has no such choice.
    """
    fits.CACHE, fits.PUBLISHED = places
    tell(phase="calibrate")
    generator = fits.fitted(reference, dataset, seed=seed, device=device).generator
    choices: dict[str, bool] = {"yes": True, "no": False} if "exact_count" in generator.params else {"": False}
    found = {}
    for label, exact in choices.items():
        if label:
            generator.exact_count = exact  # type: ignore[attr-defined]
        drawn = generator.sample(_asked(), rng=np.random.default_rng([seed, 2]))
        found[label] = np.count_nonzero(drawn, axis=(1, 2, 3)).tolist()
    return found


def _asked() -> Floats:
    return np.repeat(CALIBRATION_GRID, CALIBRATION_DRAWS)


def _real_calibration(judge: Judge) -> Rows:
    """The real test volumes, each counted to the nearest density of the grid."""
    grid = CALIBRATION_GRID[np.abs(judge.test.density[:, None] - CALIBRATION_GRID).argmin(axis=1)]
    return _calibration_rows(judge, grid, judge.test.pore_voxels, "", asked=judge.test.density)


def _calibration_rows(
    judge: Judge, density: Floats, counts: NDArray[np.int64], exact: str, asked: Floats | None = None
) -> Rows:
    """Calibration points, with whether training covered the density and whether counts were made exact.

    Args:
        judge: of the run.
        density: point of the grid that each volume belongs to, [n].
        counts: their pore voxels, [n].
        exact: "yes", "no", or "" where there is no choice.
        asked: their own densities, where those are not on the grid.
    """
    train = judge.dataset.train
    size = int(np.prod(train.shape))
    law = PorosityLaw.fit(train.density, train.pore_voxels, size)
    exactly = density if asked is None else asked
    target = law.porosity(exactly) * size if judge.dataset.density_kind == "factor" else exactly * size
    low, high = float(train.density.min()), float(train.density.max())
    return [
        {"exact_count": exact, "trained": bool(low <= point.density <= high), **asdict(point)}
        for point in calibration(density, counts, target)
    ]


def _physics(judge: Judge, name: str, _reference: str) -> Rows:
    return _physics_rows(judge, judge.samples(name), judge.descriptors(name).percolating, name)


def _real_physics(judge: Judge) -> Rows:
    return _physics_rows(judge, judge.test, judge.test_descriptors.percolating, "real volumes")


def _physics_rows(judge: Judge, volumes: Volumes, percolating: NDArray[np.bool_], what: str) -> Rows:
    """Percolation of all volumes, and diffusivity of some, by band."""
    kind, density = judge.dataset.density_kind, judge.test.density
    found: list[Quantity] = percolation_by_band(percolating, volumes.density, density, kind)
    chosen = spread(density, PHYSICS_VOLUMES)
    with judge.bar(f"diffusion in {what}", len(chosen)) as advance:
        relative = relative_diffusivity(volumes.voxels[chosen], workers=judge.options.workers, progress=advance)
    found += diffusivity_by_band(relative, volumes.density[chosen], density, kind)
    return [asdict(quantity) for quantity in found]


def _voxel_test(judge: Judge, name: str, _reference: str) -> Rows:
    """AUC over the headline bands together."""
    from porebench.metrics.voxel_classifier import FOLDS, voxel_auc  # noqa: PLC0415 - torch takes a second to import

    bands = [band for band in density_bands(judge.test.density, judge.dataset.density_kind) if band.headline]
    inside = np.any([band.contains(judge.test.density) for band in bands], axis=0)
    drawn, real = judge.samples(name)[inside], judge.test[inside]
    with judge.bar(f"train a network on {name}", FOLDS) as advance:
        auc = voxel_auc(drawn.voxels, real.voxels, drawn.density, real.density, judge.options.seed, progress=advance)
    if auc is None:
        return []
    return [{"band": ALL, "metric": "voxel_auc", "value": auc.value, "low": auc.low, "high": auc.high, "n": len(real)}]


def _overlap(judge: Judge, name: str, _reference: str) -> Rows:
    """Overlap of each reconstructed volume with its original, averaged over narrow ranges of density."""
    if not Cells(judge.folder, name).arrays("reconstruct").is_file():
        return []
    made, test = judge.samples(name, "reconstruct").voxels, judge.test
    both, drawn = (np.count_nonzero(voxels, axis=(1, 2, 3)) for voxels in (made & test.voxels, made))
    overlap = iou(both, drawn, test.pore_voxels)
    edges = np.linspace(0, 1, OVERLAP_BINS + 1)
    bins = np.clip(np.digitize(test.density, edges) - 1, 0, OVERLAP_BINS - 1)
    return [
        {
            "density": float(edges[i : i + 2].mean()),
            "iou": float(overlap[bins == i].mean()),
            "n": int((bins == i).sum()),
        }
        for i in np.unique(bins)
    ]


def _no_rows(_judge: Judge) -> Rows:
    return []


SIDE_TABLES = (
    SideTable("curves", ("metrics/curves.py",), _curves, _real_curves, by_default=True),
    SideTable("calibration", ("metrics/curves.py",), _calibration, _real_calibration, by_default=True),
    SideTable(
        "physics",
        ("metrics/physics.py", "metrics/descriptors.py"),
        _physics,
        _real_physics,
        by_default=False,
    ),
    SideTable(
        "voxel-test",
        ("metrics/voxel_classifier.py",),
        _voxel_test,
        _no_rows,
        by_default=False,
    ),
    SideTable("overlap", ("metrics/overlap.py",), _overlap, _no_rows, by_default=True),
)
