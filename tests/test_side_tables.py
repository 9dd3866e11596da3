"""Curves, calibration, physics and the voxel test end to end: what is asked for is made, kept and shown."""

import numpy as np
import pandas as pd
import pytest

from porebench.benchmarks.evaluate import side_tables
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.report.documents import outdated_reports, write_reports
from porebench.benchmarks.store.cells import Cells
from porebench.data.packed import load_samples
from porebench.metrics.physics import AXES

pytestmark = pytest.mark.usefixtures("own_cache")

COUNTING = """
from porebench.generators import Generator

class Counting(Generator):
    name = "counting"
    def __init__(self, *, exact_count=True):
        self.exact_count = exact_count
    def _fit(self, volumes, density, rng):
        self.size_ = int(volumes[0].size)
    def _sample(self, density, shape, rng):
        import numpy as np
        drawn = np.zeros((len(density), self.size_), dtype=bool)
        counts = self.law_.pore_voxels(density, self.size_) if self.exact_count else np.full(len(density), 100)
        for row, count in zip(drawn, counts):
            row[:count] = True
        return drawn.reshape(-1, *shape)
"""


def _read(folder, name):
    return pd.read_csv(folder / "tiny" / f"{name}.csv", keep_default_na=False)


def test_curves_and_calibration_come_by_default_and_the_rest_on_request(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1))
    assert {path.name for path in (tmp_path / "tiny").glob("*.csv")} == {
        "accuracy.csv",
        "curves.csv",
        "calibration.csv",
        "ranking.csv",
        "status.csv",
        "ties.csv",
    }
    every = ("physics", "conduction", "network", "flow", "voxel-test")
    evaluate(tiny, ["memoriser"], tmp_path, Options(quick=True, workers=1, extras=every))
    assert list(dict.fromkeys(_read(tmp_path, "curves").generator)) == ["real", "memoriser", "noise"]
    physics = _read(tmp_path, "physics")
    assert list(dict.fromkeys(physics.generator)) == ["real", "memoriser"]
    diffusivity = physics[(physics.metric == "solid_diffusivity") & (physics.generator == "real")]
    assert ((diffusivity.value > 0.8) & (diffusivity.value <= 1.01)).all()
    flow = _read(tmp_path, "flow")
    assert list(dict.fromkeys(flow.generator)) == ["real", "memoriser"]
    assert set(flow.columns) >= {"density", "porosity", "depth", "height", "width"}
    conduction = _read(tmp_path, "conduction")
    assert list(conduction.density[conduction.generator == "real"]) == list(flow.density[flow.generator == "real"])
    assert set(conduction.columns) >= {f"{what}:{axis}" for what in ("conductivity", "diameter") for axis in AXES}
    network = _read(tmp_path, "network")
    assert list(network.density) == list(flow.density)
    assert {0, 1} <= set(network.pores) <= {0, 1, 2}  # balls, the smallest too narrow to be found
    assert list(_read(tmp_path, "voxel-test").generator) == ["memoriser"]
    page = (tmp_path / "tiny" / "details.md").read_text()
    assert "## Calibration" in page
    assert "## Physics" in page
    assert "## Conduction" in page
    assert "## Network of pores" in page
    assert "## Permeability" in page
    assert "## Classifier on voxels" in page


def test_finished_side_tables_are_not_computed_again(tiny, tmp_path, monkeypatch) -> None:
    options = Options(quick=True, workers=1, extras=("physics",))
    evaluate(tiny, ["noise"], tmp_path, options)
    before = {path.name: path.read_bytes() for path in (tmp_path / "tiny").glob("*.csv")}
    monkeypatch.setattr(side_tables, "relative_diffusivity", None)  # would fail if it were called
    monkeypatch.setattr(side_tables, "descriptor_curves", None)
    monkeypatch.setattr(side_tables, "calibration", None)
    evaluate(tiny, ["noise"], tmp_path, options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").glob("*.csv")} == before


def test_rows_that_are_not_asked_for_again_stay_as_long_as_the_samples_do(tiny, tmp_path) -> None:
    file = tmp_path / "counting.py"
    file.write_text(COUNTING)
    asked = Options(quick=True, workers=1, extras=("physics",))
    evaluate(tiny, ["noise", f"{file}:Counting"], tmp_path, asked)
    before = _read(tmp_path, "physics")
    for cell in (tmp_path / "tiny" / "cells").rglob("physics.json"):
        cell.unlink()
    evaluate(tiny, ["noise", f"{file}:Counting"], tmp_path, Options(quick=True, workers=1))
    pd.testing.assert_frame_equal(_read(tmp_path, "physics"), before)
    other = tmp_path / "other.py"
    other.write_text(COUNTING.replace("row[:count]", "row[-count:]"))
    evaluate(tiny, [f"{other}:Counting"], tmp_path, Options(quick=True, workers=1))
    assert set(_read(tmp_path, "physics").generator) == {"real", "noise"}


def test_calibration_shows_what_the_projection_to_exact_counts_hides(tiny, tmp_path) -> None:
    file = tmp_path / "counting.py"
    file.write_text(COUNTING)
    (outcome,) = evaluate(tiny, [f"{file}:Counting"], tmp_path, Options(quick=True, workers=1))
    assert not outcome.failed, outcome.record
    table = _read(tmp_path, "calibration").query("generator == 'counting'")
    exact, free = (table[table.exact_count == choice] for choice in ("yes", "no"))
    assert len(exact) == len(free) == len(side_tables.CALIBRATION_GRID)
    np.testing.assert_allclose(exact["mean"], exact.target, atol=0.51)
    assert (free["mean"] == 100).all()
    assert (free.sd == 0).all()
    covered = table.trained.astype(str) == "True"
    low, high = tiny.train.density.min(), tiny.train.density.max()
    assert (covered == ((table.density >= low) & (table.density <= high))).all()
    assert not covered.all()


def test_real_volumes_are_calibrated_by_their_own_counts(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1))
    real = _read(tmp_path, "calibration").query("generator == 'real'")
    assert real.n.sum() == len(tiny.test)
    assert (real.n * real["mean"]).sum() == pytest.approx(tiny.test.pore_voxels.sum(), rel=1e-4)


def test_the_report_writes_the_details_again(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1))
    page = tmp_path / "tiny" / "details.md"
    text = page.read_text()
    page.unlink()
    readme = tmp_path / "README.md"
    assert page in outdated_reports(tmp_path, readme)
    write_reports(tmp_path, readme)
    assert page.read_text() == text
    assert outdated_reports(tmp_path, readme) == []


def test_overlap_by_density_is_that_of_the_stored_reconstructions(tiny, tmp_path) -> None:
    evaluate(tiny, ["pca", "noise"], tmp_path, Options(quick=True, workers=1))
    table = _read(tmp_path, "overlap")
    assert set(table.generator) == {"pca"}
    made = load_samples(Cells(tmp_path / "tiny", "pca").arrays("reconstruct"))
    real = tiny.test.voxels
    both, either = ((made.voxels & real).sum(axis=(1, 2, 3)), (made.voxels | real).sum(axis=(1, 2, 3)))
    overlap = np.where(either > 0, both / either.clip(min=1), 1)
    assert table.n.sum() == len(real)
    assert np.average(table.iou, weights=table.n) == pytest.approx(overlap.mean(), abs=1e-5)
