"""Tables beside accuracy.csv: curves, calibration, physics, conduction, network, flow, overlap, and voxel classifier.

Each is a tidy CSV file with a cell of its own a generator, so that a long one is computed only when it is asked for,
and again only when the samples or the code behind it have changed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from porebench.data import Dataset, Volumes
from porebench.data.volumes import spread
from porebench.generators import Generator, importable
from porebench.generators.porosity_law import PorosityLaw
from porebench.metrics.bands import ALL, density_bands
from porebench.metrics.conduction import conduction
from porebench.metrics.curves import calibration, density_bins, descriptor_curves
from porebench.metrics.descriptors import describe
from porebench.metrics.overlap import iou
from porebench.metrics.permeability import permeabilities
from porebench.metrics.physics import AXES, diffusivity_by_band, percolation_by_band, relative_diffusivity
from porebench.metrics.pore_network import coordination

from ..report.details import side_markdown
from ..store.cells import REAL as KEPT
from ..store.cells import Cell, Cells, Inputs
from ..store.digests import Root, code_digest
from ..store.files import write_text
from ..store.provenance import ALL_PACKAGES, JUDGING_PACKAGES, packages, peak_memory_mb
from ..store.results import REAL, Outcome
from ..store.tables import replace_rows
from . import fits, isolation
from .isolation import IsolatedError, Tell
from .options import Options, Stream
from .score import Judge

log = logging.getLogger("porebench")

CALIBRATION_GRID = np.linspace(0, 1, 21)
OVERLAP_BINS = 50  # ranges of density
CALIBRATION_DRAWS = 8  # at each density
PHYSICS_VOLUMES = 180  # whose diffusivity is solved for, spread over density
FLOW_VOLUMES = 90  # whose permeability is

Rows = list[dict[str, Any]]
Floats = NDArray[np.float64]
Solution = TypeVar("Solution")


@dataclass(frozen=True)
class SideTable:
    """One of the tables.

    Attributes:
        stage: name of its cells, and of its file.
        code: definitions that decide its numbers.
        generated: rows of one generator, from the judge, its name and its reference.
        real: rows of the real test volumes; None for a table that has none.
        by_default: whether the table is made without being asked for.
        draws: whether the table draws volumes of its own, so that its rows depend on the fit itself.
    """

    stage: str
    code: tuple[Root, ...]
    generated: Callable[[Judge, str, str], Rows]
    real: Callable[[Judge], Rows] | None = None
    by_default: bool = True
    draws: bool = False

    def inputs(self, judge: Judge, drawn: Inputs, fit: Inputs) -> Inputs:
        """Return what a cell of the table is made from.

        Args:
            judge: of the run.
            drawn: digest of the samples; nothing for real volumes.
            fit: inputs of the generator's fit cell, which count where the table draws; nothing for real volumes.
        """
        return {
            **drawn,
            **({name: fit[name] for name in ("generator code", "parameters", "weights") if fit} if self.draws else {}),
            "metric code": code_digest(*self.code),
            "packages": packages(ALL_PACKAGES if self.draws else JUDGING_PACKAGES),
            "real data": judge.data_digest,
            "test data": judge.test.digest()[:16],
            "seed": str(judge.options.seed),
        }


def update(judge: Judge, outcome: Outcome, reference: str, kept: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Bring a generator's rows in the side tables up to date; what cannot be made is left as it was, with a warning.

    Args:
        judge: of the run.
        outcome: of the generator, which has a score.
        reference: registered name, or ``path/to/file.py:Class``.
        kept: generators whose earlier rows stay.

    Returns:
        What the manifest keeps of the cells that are up to date, by stage.
    """
    name, samples = outcome.generator, str(outcome.record["samples_digest"])[:16]
    fit: Inputs = outcome.record["cells"]["fit"]["inputs"]
    fresh = {}
    for table in SIDE_TABLES:
        own: Cell | None = None
        real: Cell | None = None
        try:
            made = partial(table.generated, judge, name, reference)
            own = _cell(table, judge, name, table.inputs(judge, {"samples": samples}, fit), made)
            if own is not None and table.real is not None:
                real = _cell(table, judge, KEPT, table.inputs(judge, {}, {}), partial(table.real, judge))
        except (ValueError, OSError, ImportError, IsolatedError) as error:
            log.warning("%s has no new rows in %s.csv: %s", name, table.stage, error)
        if own is not None:
            fresh[table.stage] = own.summary()
        _write(table, judge, {name: (samples, own), REAL: (judge.test.digest()[:16], real)}, kept)
    details = side_markdown(judge.folder)
    if details is not None:
        write_text(judge.folder / "details.md", details)
    return fresh


def _cell(table: SideTable, judge: Judge, name: str, inputs: Inputs, make: Callable[[], Rows]) -> Cell | None:
    """Return the cell of rows, which are computed now if they are stale and the table is wanted."""
    cells = Cells(judge.folder, name)
    cell = cells.fresh(table.stage, inputs)
    if cell is None and (table.by_default or table.stage in judge.options.extras):
        began = time.perf_counter()
        cell = cells.finish(table.stage, inputs, {"rows": make()}, time.perf_counter() - began, peak_memory_mb())
    return cell


def _write(table: SideTable, judge: Judge, new: dict[str, tuple[str, Cell | None]], kept: Iterable[str]) -> None:
    """Write rows in place of earlier ones, the real volumes first and the others by name.

    Args:
        table: to be written.
        judge: of the run.
        new: by name, the digest of the volumes and the cell of their rows; where there is none, earlier rows of the
            same volumes stay.
        kept: generators whose earlier rows stay in any case.
    """
    path = judge.folder / f"{table.stage}.csv"
    rows = [
        {"generator": name, "samples": digest, **row}
        for name, (digest, cell) in new.items()
        if cell is not None
        for row in cell.output["rows"]
    ]
    if not rows and not path.is_file():
        return
    others = set(kept) - set(new)

    def stays(earlier: pd.DataFrame) -> Any:
        same = [new[name][0] == digest if name in new else name in others for name, digest in _labels(earlier)]
        return np.array(same, dtype=bool)

    def ordered(found: pd.DataFrame) -> pd.DataFrame:
        return found.sort_values("generator", key=lambda names: names.where(names != REAL, ""), kind="stable")

    columns = pd.DataFrame(rows) if rows else pd.read_csv(path, nrows=0)
    replace_rows(path, columns, ["generator"], keep=stays, order=ordered)
    if not any(name != REAL for name, _ in _labels(pd.read_csv(path, dtype=str, keep_default_na=False))):
        path.unlink()


def _labels(table: pd.DataFrame) -> zip[tuple[str, str]]:
    return zip(table["generator"], table["samples"], strict=True)


def _curves(judge: Judge, name: str, _reference: str) -> Rows:
    edges = density_bins(judge.test.density, judge.dataset.density_kind)
    return [asdict(point) for point in descriptor_curves(judge.descriptors(name), judge.test.density, edges)]


def _real_curves(judge: Judge) -> Rows:
    edges = density_bins(judge.test.density, judge.dataset.density_kind)
    return [asdict(point) for point in descriptor_curves(judge.real.test_descriptors, judge.test.density, edges)]


def _calibration(judge: Judge, _name: str, reference: str) -> Rows:
    """Return points of draws at densities from 0 to 1, with and without exact counts where there is a choice."""
    options = judge.options
    counts, _ = isolation.call(
        draw_counts, reference, judge.dataset, options, timeout=options.timeout, memory=options.memory
    )
    rows: Rows = []
    for exact, achieved in counts.items():
        rows += calibration_rows(judge.dataset, _asked(), np.asarray(achieved), exact)
    return rows


def draw_counts(reference: str, dataset: Dataset, options: Options, tell: Tell) -> dict[str, list[int]]:
    """Return ``counts`` of a generator, for ``isolation.call``; none where it was fitted on volumes of another size.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what it is fitted on.
        options: of the run.
        tell: told the phase.
    """
    tell(phase="calibrate")
    with importable(reference):
        ready = fits.fitted(reference, dataset, options)
        return counts(ready.generator, options.seed) if ready.fit.shape is None else {}


def counts(generator: Generator, seed: int) -> dict[str, list[int]]:
    """Return numbers of pore voxels of draws on the grid of densities.

    Args:
        generator: fitted.
        seed: of the draws.

    Returns:
        Counts by whether they were made exact: "yes" and "no", or "" for a generator that has no such choice.
    """
    choices = {"": generator}
    if "exact_count" in generator.params:
        choices = {word: generator.altered(exact_count=exact) for word, exact in (("yes", True), ("no", False))}
    return {
        word: np.count_nonzero(each.sample(_asked(), rng=Stream.CALIBRATION.of(seed)), axis=(1, 2, 3)).tolist()
        for word, each in choices.items()
    }


def _asked() -> Floats:
    return np.repeat(CALIBRATION_GRID, CALIBRATION_DRAWS)


def _real_calibration(judge: Judge) -> Rows:
    """Return points of the real test volumes, each counted to the nearest density of the grid."""
    grid = CALIBRATION_GRID[np.abs(judge.test.density[:, None] - CALIBRATION_GRID).argmin(axis=1)]
    return calibration_rows(judge.dataset, grid, judge.test.pore_voxels, "", asked=judge.test.density)


def calibration_rows(
    dataset: Dataset, density: Floats, counts: NDArray[np.int64], exact: str, asked: Floats | None = None
) -> Rows:
    """Return calibration points, with whether training covered the density and whether counts were made exact.

    Args:
        dataset: whose training part says how many pore voxels a density asks for.
        density: point of the grid that each volume belongs to, [n].
        counts: their pore voxels, [n].
        exact: "yes", "no", or "" where there is no choice.
        asked: their own densities, where those are not on the grid.
    """
    train = dataset.train
    size = int(np.prod(train.shape))
    law = PorosityLaw.fit(train.density, train.pore_voxels, size)
    exactly = density if asked is None else asked
    target = law.porosity(exactly) * size if dataset.density_kind == "factor" else exactly * size
    low, high = float(train.density.min()), float(train.density.max())
    return [
        {"exact_count": exact, "trained": bool(low <= point.density <= high), **asdict(point)}
        for point in calibration(density, counts, target)
    ]


def _physics(judge: Judge, name: str, _reference: str) -> Rows:
    return _physics_rows(judge, judge.samples(name), judge.descriptors(name).percolating, name)


def _real_physics(judge: Judge) -> Rows:
    return _physics_rows(judge, judge.test, judge.real.test_descriptors.percolating, "real volumes")


def _physics_rows(judge: Judge, volumes: Volumes, percolating: NDArray[np.bool_], what: str) -> Rows:
    """Return percolation of all volumes, and diffusivity of some, by band."""
    kind, density = judge.dataset.density_kind, judge.test.density
    found: Rows = percolation_by_band(percolating, volumes.density, density, kind)
    chosen = spread(density, PHYSICS_VOLUMES)
    with judge.bar(f"diffusion in {what}", len(chosen)) as advance:
        relative = relative_diffusivity(volumes.voxels[chosen], workers=judge.options.workers, progress=advance)
    found += diffusivity_by_band(relative, volumes.density[chosen], density, kind)
    return found


def _solved(judge: Judge, volumes: Volumes, what: str, solve: Callable[..., Solution]) -> tuple[Volumes, Solution]:
    """Return some volumes, spread over density, and what is solved for in them under a progress bar.

    Args:
        judge: of the run.
        volumes: to choose from.
        what: text of the bar.
        solve: called with voxels, ``workers`` and ``progress``.
    """
    chosen = volumes[spread(judge.test.density, FLOW_VOLUMES)]
    with judge.bar(what, len(chosen)) as advance:
        return chosen, solve(chosen.voxels, workers=judge.options.workers, progress=advance)


def _records(columns: dict[str, Any]) -> Rows:
    """Return a row for each entry of some columns."""
    rows: Rows = pd.DataFrame(columns).to_dict("records")
    return rows


def _flow_rows(judge: Judge, volumes: Volumes, what: str) -> Rows:
    """Return density, porosity and permeability along each axis of some volumes."""
    chosen, (found, converged) = _solved(judge, volumes, f"flow in {what}", permeabilities)
    columns = dict(zip(AXES, np.where(converged, found, np.nan).T, strict=True))
    return _records({"density": chosen.density, "porosity": chosen.voxels.mean(axis=(1, 2, 3)), **columns})


def _conduction_rows(judge: Judge, volumes: Volumes, what: str) -> Rows:
    """Return density, conductivity and critical diameter along each axis of some volumes."""
    chosen, found = _solved(judge, volumes, f"conduction in {what}", conduction)
    columns: dict[str, Any] = {"density": chosen.density}
    for quantity, values in zip(("conductivity", "diameter"), found, strict=True):
        columns |= {f"{quantity}:{axis}": along for axis, along in zip(AXES, values.T, strict=True)}
    return _records(columns)


def _network_rows(judge: Judge, volumes: Volumes, what: str) -> Rows:
    """Return density, number of pores and mean coordination number of some volumes."""
    chosen, (pores, mean) = _solved(judge, volumes, f"pore network of {what}", coordination)
    return _records({"density": chosen.density, "pores": pores, "coordination": mean})


def _voxel_test(judge: Judge, name: str, _reference: str) -> Rows:
    """Return the AUC over the headline bands together."""
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
    if not Cells(judge.folder, name).arrays("reconstruct").is_file():
        return []
    return overlap_rows(judge.samples(name, "reconstruct").voxels, judge.test)


def overlap_rows(made: NDArray[np.bool_], test: Volumes) -> Rows:
    """Return the overlap of reconstructed volumes with their originals, averaged over narrow ranges of density.

    Args:
        made: reconstructions, bool [n, D, H, W].
        test: their originals.
    """
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


def _both(
    rows: Callable[[Judge, Volumes, str], Rows],
) -> tuple[Callable[[Judge, str, str], Rows], Callable[[Judge], Rows]]:
    """Return what makes rows of one generator, and of the real test volumes, from what makes rows of volumes."""
    return (
        lambda judge, name, _reference: rows(judge, judge.samples(name), name),
        lambda judge: rows(judge, judge.test, "real volumes"),
    )


SIDE_TABLES = (
    SideTable("curves", (describe, density_bins, descriptor_curves), _curves, _real_curves),
    SideTable("calibration", (counts, calibration_rows), _calibration, _real_calibration, draws=True),
    SideTable(
        "physics",
        (describe, relative_diffusivity, percolation_by_band, diffusivity_by_band),
        _physics,
        _real_physics,
        by_default=False,
    ),
    SideTable("conduction", (conduction,), *_both(_conduction_rows), by_default=False),
    SideTable("network", (coordination,), *_both(_network_rows), by_default=False),
    SideTable("flow", (permeabilities,), *_both(_flow_rows), by_default=False),
    SideTable("voxel-test", ("metrics.voxel_classifier:voxel_auc", density_bands), _voxel_test, by_default=False),
    SideTable("overlap", (overlap_rows,), _overlap),
)
