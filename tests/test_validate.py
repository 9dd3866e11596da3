"""The measurement of the benchmark's own mistakes: planted defects, trials and what is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.report.validation import validation_documents
from porebench.benchmarks.studies.validation.defects import (
    LESS,
    REAL,
    SWAPPED,
    Defect,
    clustered,
    divided,
    matched_sets,
    monodisperse,
    planted,
    salted,
    scaled,
    shuffled_joint,
    without_a_mode,
)
from porebench.benchmarks.studies.validation.run import (
    POWER_COLUMNS,
    QUICK,
    TIE_COLUMNS,
    Settings,
    benches,
    power_rows,
    validate,
)
from porebench.benchmarks.studies.validation.trials import (
    FAMILIES,
    TESTS,
    Pool,
    Traces,
    Trials,
    rate,
    rejections,
    run_trials,
    told_apart,
)
from porebench.benchmarks.studies.validation.twins import twins
from porebench.metrics.adjustment import Adjustment
from porebench.metrics.bands import density_bands
from porebench.metrics.descriptors import HEADLINE, Descriptors, describe
from porebench.metrics.joint import Whitening, side_by_side
from porebench.metrics.patches import PatchCopies

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


SMALL = Settings(pool=16, trials=4, planted_trials=2, sizes=(6, 9), workers=1)


@pytest.fixture(scope="module")
def folder(dataset: data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return validate(dataset, tmp_path_factory.mktemp("results"), SMALL, command="porebench validate")


def test_tables_figure_and_manifest_are_written(folder: Path, dataset: data.Dataset) -> None:
    power, ties = pd.read_csv(folder / "power.csv"), pd.read_csv(folder / "ties.csv")
    assert tuple(power.columns) == POWER_COLUMNS
    assert tuple(ties.columns) == TIE_COLUMNS
    names = [REAL, *planted(dataset)]
    assert list(dict.fromkeys(power.planted)) == names
    assert len(power) == len(names) * (5 + 1) * 2
    assert power.groupby("planted").trials.max()[REAL] == 4
    assert power.found.between(0, 1).all()
    assert set(power.volumes[power.covered.notna()]) == {9}
    tested = power[(power.band == "all") & (power.volumes == 9)].set_index("planted")
    assert tested[[f"by_{test}" for test in TESTS]].notna().all().all()
    assert (tested.found >= tested[[f"by_{test}" for test in TESTS]].max(axis=1)).all()
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
    assert row[5] == f"{(planted_here >= 0.95).sum()} of {len(planted_here)}"
    missed = [part.rsplit(" ", 2)[0] for part in row[6].split("; ")]
    assert missed == list(planted_here.index[planted_here < 0.95])


def test_what_is_found_with_more_volumes_is_told(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder.parent, tmp_path / "validation")
    path = tmp_path / "validation" / folder.name / "power.csv"
    power = pd.read_csv(path)
    rows = (power.planted == LESS) & (power.band == "all")
    power.loc[rows & (power.volumes == 9), "found"] = 0.5
    more = power[rows & (power.volumes == 9)].assign(volumes=12, found=0.96, covered=np.nan)
    pd.concat([power, more]).to_csv(path, index=False)
    assert f"{LESS} 50 % (96 % at 12)" in "".join(validation_documents(tmp_path)[1]["validation"])


def test_the_same_seed_gives_the_same_numbers(folder: Path, dataset: data.Dataset, tmp_path: Path) -> None:
    again = validate(dataset, tmp_path, replace(SMALL, workers=2))
    assert (again / "power.csv").read_bytes() == (folder / "power.csv").read_bytes()
    assert (again / "ties.csv").read_bytes() == (folder / "ties.csv").read_bytes()


def test_more_volumes_are_tried_only_where_a_defect_is_not_always_found(dataset: data.Dataset, monkeypatch) -> None:
    monkeypatch.setattr("porebench.benchmarks.studies.validation.run.REFERENCE_SIZE", 6)
    pairs = benches(dataset, describe(dataset.train.voxels), 2, SMALL.pool, SMALL)
    strong = Defect(lambda real, _density, _rng: np.zeros_like(real))
    for name, defect, sizes in ((REAL, Defect(), {6, 9}), ("strong", strong, {6}), ("none", Defect(), {6, 9})):
        rows = power_rows(name, defect, 0, pairs, None, SMALL)
        assert {row["volumes"] for row in rows} == sizes, name


def test_what_is_fresh_is_not_made_again(folder: Path, dataset: data.Dataset, monkeypatch) -> None:
    made = (folder / "manifest.json").read_bytes()
    monkeypatch.setattr("porebench.benchmarks.studies.validation.run.benches", None)
    assert validate(dataset, folder.parent.parent, SMALL) == folder
    assert (folder / "manifest.json").read_bytes() == made
    with pytest.raises(TypeError):
        validate(dataset, folder.parent.parent, replace(SMALL, trials=5))


def test_rows_of_one_method_that_differ_in_seeds_tie(folder: Path, dataset: data.Dataset) -> None:
    few = {"fits": 6, "pairs": 4}
    assert twins(dataset, folder.parent.parent, **few) == folder
    found = pd.read_csv(folder / "twins.csv")
    assert len(found) == 4
    for row in found.itertuples():
        first, second = ({int(number) for number in str(side).split()} for side in (row.first, row.second))
        assert len(first) == len(second) == 3
        assert not first & second
        assert row.ci_low <= row.difference <= row.ci_high
        assert row.tied == (row.ci_low <= 0 <= row.ci_high)
    assert found.tied.sum() >= 3
    tied = f"{found.tied.sum()} of 4"
    assert f"differ in their seeds alone tie in {tied} pairs" in (folder / "validation.md").read_text()
    lines = validation_documents(folder.parent.parent)[1]["validation"]
    assert any(line.startswith(f"| {dataset.name} |") and f"| {tied} |" in line for line in lines)
    made = (folder / "twins.json").read_bytes()
    twins(dataset, folder.parent.parent, **few)
    assert (folder / "twins.json").read_bytes() == made


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
    for name, defect in planted(dataset).items():
        flawed = defect.plant(real.voxels, real.density, np.random.default_rng(0))
        assert flawed.shape == real.voxels.shape, name
        assert flawed.dtype == np.bool_
        if "stretched" not in name:  # by less than a voxel, here
            assert np.array_equal(flawed, real.voxels) == (defect.rearrange in (shuffled_joint, without_a_mode)), name
        assert np.array_equal(real.voxels, before), name


def test_no_real_set_holds_what_generators_copy(dataset: data.Dataset) -> None:
    originals, others = (np.packbits(part.voxels.reshape(len(part), -1), axis=1) for part in divided(dataset))
    assert len(originals) == (80 if dataset.name == "spheres" else 24)
    for sets in matched_sets(dataset, 2, 10, np.random.default_rng(0)):
        if sets.band.low >= 0.6:
            seen = np.concatenate([np.packbits(part.voxels.reshape(len(part), -1), axis=1) for part in sets.parts])
            assert not (seen[:, None] == originals).all(axis=2).any()
    copies = planted(dataset)["copies of training volumes"].plant(others, np.full(5, 0.8), np.random.default_rng(0))
    packed = np.packbits(copies.reshape(5, -1), axis=1)
    assert (packed[:, None] == originals).all(axis=2).any(axis=1).all()


def test_defects_of_an_ensemble_keep_what_they_promise() -> None:
    rng = np.random.default_rng(7)
    dense = data.load("spheres").test
    top = density_bands(dense.density, "factor")[-1]
    described = describe(dense.voxels[top.contains(dense.density)])
    adjustment = Adjustment.fit(described)
    flawed = shuffled_joint(described, adjustment, top, rng)
    for name in HEADLINE:
        before, after = adjustment.residual(described, name), adjustment.residual(flawed, name)
        assert np.allclose(np.sort(before, axis=0), np.sort(after, axis=0), atol=1e-9), name
    less = without_a_mode(described, adjustment, top, rng)
    kept = {tuple(row) for row in side_by_side(adjustment.standardise(less))}
    assert len(kept) < 0.7 * len(described)
    assert np.abs(np.log(less.pore_voxels / described.pore_voxels)).mean() < 0.05
    assert without_a_mode(described, adjustment, density_bands(dense.density, "factor")[0], rng) is described


def test_each_defect_is_what_its_name_says() -> None:
    rng = np.random.default_rng(1)
    dense = data.load("spheres")
    real = dense.test[dense.test.density > 0.6][:80]
    pores = real.pore_voxels
    salt = salted(real.voxels, real.density, rng)
    assert np.all(salt >= real.voxels)
    assert np.all(np.count_nonzero(salt, axis=(1, 2, 3)) == pores + 10)
    plants = {name: defect.plant for name, defect in planted(dense).items()}
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
    assert np.array_equal(plants[SWAPPED](real.voxels, real.density, rng).swapaxes(1, 2), real.voxels)
    long = plants["one axis stretched 5 %"](real.voxels, real.density, rng)
    assert np.array_equal(long[:, [0, 15, -1]], real.voxels[:, [1, 15, -2]])
    shares = []
    for volumes in (plants["anisotropy of a decoder"](real.voxels, real.density, rng), real.voxels):
        faces = np.array([np.count_nonzero(np.diff(volumes, axis=axis)) for axis in (1, 2, 3)])
        shares.append(faces / faces.mean() - 1)
    assert shares[0] == pytest.approx([-0.18, 0.36, -0.18], abs=0.06)
    assert shares[1] == pytest.approx([0, 0, 0], abs=0.03)
    mixed = plants["10 % gaussian-field"](real.voxels, real.density, rng)
    assert np.mean(np.any(mixed != real.voxels, axis=(1, 2, 3))) == pytest.approx(0.1, abs=0.01)


def _described(shift: float, rng: np.random.Generator, n: int = 60) -> Descriptors:
    """Descriptors of nothing: normal numbers, shifted by so many standard deviations."""
    values = {name: rng.normal(shift, 1, (n, 2)) for name in HEADLINE}
    pores = rng.integers(900, 1100, n)
    return Descriptors(values, pores, np.zeros((n, 3), dtype=bool), (30, 30, 30))


@pytest.fixture(scope="module")
def whitening() -> Whitening:
    train = _described(0, np.random.default_rng(2), 400)
    return Whitening.fit(Adjustment.fit(train), train)


def _pool(parts: list[Descriptors], whitening: Whitening, traces: Traces | None = None) -> Pool:
    n = len(parts[0])
    return Pool(parts, whitening, np.linspace(0.4, 0.6, n), traces)


def test_two_real_sets_are_declared_different_in_one_of_twenty_trials(whitening: Whitening) -> None:
    rng = np.random.default_rng(3)
    pool = _pool([_described(0, rng), _described(0, rng)], whitening)
    found = run_trials(pool, 60, 20, 400, rng, exchange=True, intervals=True)
    share = rate(found.p() <= 0.05)
    assert share.holds(0.05)
    assert share.value < 0.09
    covered = found.covered()
    assert covered is not None
    assert covered.mean() > 0.93
    assert found.truth == 1


def test_intervals_of_a_shifted_set_hold_its_score_and_the_shift_is_found(whitening: Whitening) -> None:
    rng = np.random.default_rng(4)
    pool = _pool([_described(0, rng, 600), _described(0.5, rng, 600)], whitening)
    found = run_trials(pool, 600, 30, 150, rng, intervals=True)
    covered = found.covered()
    assert covered is not None
    assert 0.88 <= covered.mean() <= 1
    assert np.mean(found.p() <= 0.05) > 0.95
    assert np.mean(found.ratios**2) == pytest.approx(found.truth**2, rel=0.1)


def test_each_test_of_the_verdict_finds_what_it_is_for(whitening: Whitening) -> None:
    rng = np.random.default_rng(6)
    real, shifted = _described(0, rng), _described(1, rng)
    nothing = np.zeros(120, dtype=bool)
    second = np.arange(120) >= 60
    share = PatchCopies(np.where(second, 0.5, rng.random(120) / 100), np.full(120, 9))
    none = PatchCopies(np.zeros(120), np.full(120, 9))
    less = replace(_described(0, rng), pore_voxels=real.pore_voxels * 9 // 10)
    cases = {
        "classifier": ([real, shifted], None),
        "structure": ([real, shifted], None),
        "joint": ([real, shifted], None),
        "amount": ([real, less], None),
        "copies": ([real, _described(0, rng)], Traces(second, ~nothing, none)),
        "patches": ([real, _described(0, rng)], Traces(nothing, ~nothing, share)),
    }
    for name, (parts, traces) in cases.items():
        pool = _pool(parts, whitening, traces)
        trials = run_trials(pool, 60, 30, 3, rng)
        rejecting = rejections([pool, pool], [trials, trials])
        assert rejecting[:, TESTS.index(name)].all(), name


def test_the_ranking_tells_generators_apart_that_differ(whitening: Whitening) -> None:
    rng = np.random.default_rng(5)
    parts = [_described(shift, rng) for shift in (0, 0.2, 1.0)]
    apart = told_apart([_pool(parts, whitening)], [60], 30, 10, rng, exchange=False)
    assert apart.all()
    alike = told_apart([_pool(parts, whitening)], [60], 30, 40, rng, exchange=True)
    assert alike.mean() < 0.2


def test_trials_over_bands_average_effects() -> None:
    def band(effect: float) -> Trials:
        families = np.full((1, len(FAMILIES)), effect)
        swapped = np.stack([families * share for share in np.linspace(-1, 0.5, 9)], axis=2)
        return Trials(
            families,
            swapped,
            np.empty((1, 0)),
            np.empty((1, 2, 0), dtype=np.int64),
            np.ones((1, 9, 2), np.int8),
            effect,
        )

    both = Trials.over([band(0.1), band(0.3)])
    assert both.observed == pytest.approx(np.full((1, len(FAMILIES)), 0.2))
    assert both.truth == pytest.approx(np.sqrt(1 + 50 * 0.2))
    assert both.p() == pytest.approx([0.1])
    assert both.covered() is None


@pytest.mark.slow
def test_a_quick_validation_of_sphere_packs_finds_most_of_what_is_planted(tmp_path: Path) -> None:
    folder = validate(data.load("spheres"), tmp_path, Settings(**QUICK))
    power = pd.read_csv(folder / "power.csv")
    found = power[(power.band == "all") & (power.volumes == 100)].set_index("planted").found
    assert found[REAL] < 0.15
    assert (found.drop([REAL, SWAPPED]) > 0.5).sum() >= len(found) - 4
    assert found[["radius +3 %", "10 salt voxels", "copies of training volumes", "quilted copies"]].min() > 0.9
