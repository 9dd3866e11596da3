"""The measurement of the benchmark's own mistakes: planted defects, trials and what is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.report.validation import validation_documents
from porebench.benchmarks.studies.validation import run as module
from porebench.benchmarks.studies.validation.defects import (
    LESS,
    REAL,
    clustered,
    matched_sets,
    monodisperse,
    planted,
    salted,
    scaled,
)
from porebench.benchmarks.studies.validation.run import POWER_COLUMNS, TIE_COLUMNS, Settings, validate
from porebench.benchmarks.studies.validation.trials import Pool, Trials, rate, run_trials, told_apart
from porebench.metrics.adjustment import Adjustment
from porebench.metrics.descriptors import HEADLINE, Descriptors

SHAPE = (12, 12, 12)
LAW = data.LAWS["spheres"]


def _part(n: int, seed: int) -> data.Volumes:
    rng = np.random.default_rng(seed)
    density = rng.permutation((np.arange(n) + 0.5) / n)
    return data.Volumes(data.simulate(density, "spheres", rng, shape=SHAPE), density, name="tiny")


@pytest.fixture(scope="module", params=["spheres", "tiny"])
def dataset(request: pytest.FixtureRequest) -> data.Dataset:
    """One whose law is known, and one that is known by its volumes alone."""
    return data.Dataset(_part(80, 0), _part(50, 1), _part(60, 2), request.param, "factor")


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIZES", (6, 9))
        yield


@pytest.fixture(scope="module")
def folder(dataset: data.Dataset, small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = Settings(pool=16, trials=8, planted_trials=4, workers=1)
    return validate(dataset, tmp_path_factory.mktemp("results"), settings, command="porebench validate")


def test_tables_figure_and_manifest_are_written(folder: Path, dataset: data.Dataset) -> None:
    power, ties = pd.read_csv(folder / "power.csv"), pd.read_csv(folder / "ties.csv")
    assert tuple(power.columns) == POWER_COLUMNS
    assert tuple(ties.columns) == TIE_COLUMNS
    names = [REAL, *planted(dataset)]
    assert list(dict.fromkeys(power.planted)) == names
    assert len(power) == len(names) * (5 + 1) * 2
    assert power.groupby("planted").trials.max()[REAL] == 8
    assert power.found.between(0, 1).all()
    assert set(power.volumes[power.covered.notna()]) == {9}
    assert (power.nfr100_true[power.planted == REAL] == 1).all()
    strong = power[(power.band == "all") & (power.volumes == 9)].set_index("planted").nfr100_true
    assert strong["10 salt voxels"] > 2
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["run"]["data"] == dataset.digest()
    (record,) = manifest["records"].values()
    assert record["facts"]["pools"]["0.4-0.6"] >= 9
    assert manifest["stamp"]["processor_seconds"] > 0
    assert (folder / "power.png").read_bytes().startswith(b"\x89PNG")
    assert f"# Validation on {dataset.name}" in (folder / "validation.md").read_text()


def test_the_readme_gets_a_table_from_the_files(folder: Path, dataset: data.Dataset) -> None:
    tables = validation_documents(folder.parent.parent)[1]
    (lines,) = [lines for name, lines in tables.items() if name.endswith(dataset.name)]
    assert lines[0].startswith("| planted | NFR100 | found, N = 6 | found, N = 9 |")
    assert "the same again" in lines[-1]


def test_the_validations_of_all_data_sets_make_one_table(folder: Path, dataset: data.Dataset) -> None:
    lines = validation_documents(folder.parent.parent)[1]["validation"]
    power = pd.read_csv(folder / "power.csv")
    tried = power[(power.band == "all") & (power.volumes == 9)].set_index("planted")
    (row,) = (line.strip("| ").split(" | ") for line in lines if line.startswith(f"| {dataset.name} |"))
    assert row[1] == "9"
    assert row[2].startswith(f"{100 * tried.found[REAL]:.1f}".removesuffix(".0") + " [")
    planted_here = tried.found.drop(REAL)
    assert row[4] == f"{(planted_here >= 0.95).sum()} of {len(planted_here)}"
    missed = [part.rsplit(" ", 2)[0] for part in row[5].split("; ")]
    assert missed == list(planted_here.index[planted_here < 0.95])


def test_the_same_seed_gives_the_same_numbers(folder: Path, dataset: data.Dataset, tmp_path: Path, small: None) -> None:
    settings = Settings(pool=16, trials=8, planted_trials=4, workers=2)
    again = validate(dataset, tmp_path, settings)
    assert (again / "power.csv").read_bytes() == (folder / "power.csv").read_bytes()
    assert (again / "ties.csv").read_bytes() == (folder / "ties.csv").read_bytes()


def test_too_few_volumes_are_one_clear_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    data.write_folder(_part(60, 0), tmp_path / "few")
    monkeypatch.setattr("sys.argv", f"porebench validate --dataset {tmp_path / 'few'} --quick".split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "too few volumes to validate with" in capsys.readouterr().err


def test_sets_are_disjoint_and_of_nearly_equal_densities(dataset: data.Dataset) -> None:
    for sets in matched_sets(dataset, 3, 10, np.random.default_rng(0)):
        first, second, third = sets.parts
        assert len(first) == len(second) == len(third) == 10
        assert sets.band.contains(np.concatenate([part.density for part in sets.parts])).all()
        gap = np.abs(first.density - second.density).max()
        assert gap == 0 if dataset.name == "spheres" else gap < 0.1
        seen = np.packbits(np.concatenate([part.voxels for part in sets.parts]).reshape(30, -1), axis=1)
        if sets.band.low >= 0.6:  # sparse volumes of 12³ may be alike by chance
            assert len(np.unique(seen, axis=0)) == 30


def test_defects_keep_the_shape_and_leave_the_real_volumes_alone(dataset: data.Dataset) -> None:
    real = dataset.test[dataset.test.density > 0.5]
    before = real.voxels.copy()
    for name, plant in planted(dataset).items():
        flawed = plant(real.voxels, real.density, np.random.default_rng(0))
        assert flawed.shape == real.voxels.shape, name
        assert flawed.dtype == np.bool_
        assert not np.array_equal(flawed, real.voxels), name
        assert np.array_equal(real.voxels, before), name


def test_each_defect_is_what_its_name_says() -> None:
    rng = np.random.default_rng(1)
    dense = data.load("spheres")
    real = dense.test[dense.test.density > 0.6][:80]
    pores = real.pore_voxels
    salt = salted(real.voxels, real.density, rng)
    assert np.all(salt >= real.voxels)
    assert np.all(np.count_nonzero(salt, axis=(1, 2, 3)) == pores + 10)
    plants = planted(dense)
    cut = plants["blurred and cut again"](real.voxels, real.density, rng)
    assert np.array_equal(np.count_nonzero(cut, axis=(1, 2, 3)), pores)
    less = plants[LESS](real.voxels, real.density, rng)
    assert np.count_nonzero(less) / pores.sum() == pytest.approx(0.9, abs=0.03)
    larger = scaled(LAW, 1.1)
    assert larger.largest == pytest.approx(1.1 * LAW.largest)
    assert larger.spheres * 1.1**3 == pytest.approx(LAW.spheres, rel=0.01)
    one = monodisperse(LAW)
    assert one.smallest == one.largest
    assert one.smallest**3 == pytest.approx(np.mean(LAW.radius(np.linspace(0, 1, 10001)) ** 3), rel=1e-3)
    crowd = clustered(real.density, LAW, rng, real.shape)
    assert np.count_nonzero(crowd) < pores.sum()  # spheres on top of one another cover less
    clusters = [sum(ndimage.label(volume)[1] for volume in volumes) for volumes in (crowd, real.voxels)]
    assert clusters[0] < 0.9 * clusters[1]
    mixed = plants["10 % gaussian-field"](real.voxels, real.density, rng)
    assert np.mean(np.any(mixed != real.voxels, axis=(1, 2, 3))) == pytest.approx(0.1, abs=0.01)


def _described(shift: float, rng: np.random.Generator, n: int = 60) -> Descriptors:
    """Descriptors of nothing: normal numbers, shifted by so many standard deviations."""
    values = {name: rng.normal(shift, 1, (n, 2)) for name in HEADLINE}
    pores = rng.integers(900, 1100, n)
    return Descriptors(values, pores, np.zeros((n, 3), dtype=bool), (30, 30, 30))


@pytest.fixture(scope="module")
def adjustment() -> Adjustment:
    return Adjustment.fit(_described(0, np.random.default_rng(2), 400))


def test_two_real_sets_are_declared_different_in_one_of_twenty_trials(adjustment: Adjustment) -> None:
    rng = np.random.default_rng(3)
    pool = Pool([_described(0, rng), _described(0, rng)], adjustment)
    found = run_trials(pool, 60, 20, 400, rng, exchange=True, intervals=True)
    share = rate(found.detected())
    assert share.holds(0.05)
    assert share.value < 0.09
    covered = found.covered()
    assert covered is not None
    assert covered.mean() > 0.93
    assert found.truth == 1
    assert found.biased().mean() == pytest.approx(0.05, abs=0.04)


def test_intervals_of_a_shifted_set_hold_its_score_and_the_shift_is_found(adjustment: Adjustment) -> None:
    rng = np.random.default_rng(4)
    pool = Pool([_described(0, rng, 600), _described(0.5, rng, 600)], adjustment)
    found = run_trials(pool, 600, 30, 150, rng, intervals=True)
    covered = found.covered()
    assert covered is not None
    assert 0.88 <= covered.mean() <= 1
    assert found.detected().mean() > 0.95
    assert np.mean(found.ratios**2) == pytest.approx(found.truth**2, rel=0.1)


def test_the_ranking_tells_generators_apart_that_differ(adjustment: Adjustment) -> None:
    rng = np.random.default_rng(5)
    parts = [_described(shift, rng) for shift in (0, 0.2, 1.0)]
    apart = told_apart([Pool(parts, adjustment)], [60], 30, 10, rng, exchange=False)
    assert apart.all()
    alike = told_apart([Pool(parts, adjustment)], [60], 30, 40, rng, exchange=True)
    assert alike.mean() < 0.2


def test_trials_over_bands_average_effects_and_pool_pairs() -> None:
    def band(effect: float, pairs: NDArray[np.float64]) -> Trials:
        return Trials(np.array([effect]), np.full((1, 9), effect / 2), np.empty((1, 0)), pairs, effect)

    both = Trials.over([band(0.1, np.array([[10.0, 1, 5]])), band(0.3, np.array([[20.0, 2, 9]]))])
    assert both.observed == pytest.approx([0.2])
    assert both.truth == pytest.approx(np.sqrt(1 + 50 * 0.2))
    assert both.counts.tolist() == [[30, 3, 14]]
    assert both.p() == pytest.approx([0.1])
    assert both.covered() is None
