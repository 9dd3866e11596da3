import json

import numpy as np
import pandas as pd
import pytest

from porebench import data, generators
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.report.documents import outdated_reports, write_reports
from porebench.benchmarks.studies.intervals import coverage_rows, held, interval, intervals, occupancy_summary
from porebench.benchmarks.studies.variants import Variant, build
from porebench.metrics.descriptors import HEADLINE, describe


def run(monkeypatch, command: str) -> int:
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


@pytest.mark.parametrize("n", [19, 64])
def test_an_interval_holds_nine_of_ten_further_values(n) -> None:
    rng = np.random.default_rng(0)
    low, high = interval(rng.normal(size=(n, 4000)))
    new = rng.normal(size=4000)
    assert np.mean((low <= new) & (new <= high)) == pytest.approx(0.9, abs=0.02)


def test_real_values_are_held_against_the_interval_of_their_own_density() -> None:
    grid = np.array([0.0, 1.0])
    ensembles = np.stack([np.linspace(0, 1, 19), np.linspace(10, 11, 19)])[:, :, None]
    real = np.array([[0.5], [5.5], [0.5], [10.0], [10.1], [11.1]])
    share = held(ensembles, grid, real, [0, 0.5, 1, 1, 1, 1])
    assert share.tolist() == [1, 1, 0, 1, 1, 0]


def test_a_constant_descriptor_is_held_despite_rounding() -> None:
    ensembles = np.full((2, 19, 1), 0.1 + 0.2)
    assert held(ensembles, np.array([0.0, 1.0]), np.array([[0.3]]), [0.5]).tolist() == [1]


@pytest.fixture(scope="module")
def spheres():
    rng = np.random.default_rng(3)
    density = rng.permutation((np.arange(150) + 0.5) / 150)
    part = data.Volumes(data.simulate(density, "spheres", rng, shape=(12, 12, 12)), density)
    return data.Dataset(part[:40], part[:40], part, "tiny", "factor")


def test_real_volumes_cover_real_volumes_and_noise_does_not(spheres) -> None:
    test = describe(spheres.test.voxels)
    found = {}
    for generator in (generators.get("reference")(simulator="spheres"), generators.get("noise")()):
        generator.fit(spheres.train.voxels, spheres.train.density, rng=0)
        rows = coverage_rows(generator, spheres, test, n=30)
        assert {row["exact_count"] for row in rows} == {""}
        found[generator.name] = {(row["band"], row["descriptor"]): row for row in rows}
    truth = found["reference"]["all", "mean of descriptors"]
    assert truth["coverage"] == pytest.approx(0.9, abs=0.06)
    assert truth["ci_low"] < truth["coverage"] < truth["ci_high"]
    assert truth["n"] == np.count_nonzero(spheres.test.density >= 0.4)
    assert found["noise"]["all", "specific_surface"]["coverage"] < 0.5
    assert found["noise"]["all", "pore_voxels"]["coverage"] < 0.2, "its count has no spread"
    assert {descriptor for _, descriptor in found["noise"]} == {*HEADLINE, "pore_voxels", "mean of descriptors"}


def test_a_free_count_is_covered_apart_and_the_generator_left_as_it_was(spheres) -> None:
    generator = build(Variant("small", "small", params={"width": 4, "encoder_blocks": 1, "decoder_blocks": 1}), 1)
    generator.fit(spheres.train.voxels, spheres.train.density, rng=0)
    rows = coverage_rows(generator, spheres, describe(spheres.test.voxels), n=19)
    assert {row["exact_count"] for row in rows} == {"yes", "no"}
    assert generator.exact_count is True


def test_coverage_is_written_and_reported(spheres, tmp_path, own_cache) -> None:
    folder, options = tmp_path / "tiny", Options(workers=1)
    intervals(["noise", "sphere-packing"], spheres, tmp_path, options, n=19, command="porebench intervals")
    table = pd.read_csv(folder / "intervals.csv")
    assert list(dict.fromkeys(table.generator)) == ["noise", "sphere-packing"]
    manifest = json.loads((folder / "intervals.json").read_text())
    assert manifest["run"]["n"] == 19
    assert manifest["records"]["noise"]["inputs"]["ensembles"] == "24 of 19"
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table intervals-tiny -->\n<!-- end -->\n")
    (folder / "intervals.md").unlink()
    write_reports(tmp_path, readme)
    assert "| noise |" in readme.read_text()
    assert "| sphere-packing |" in (folder / "intervals.md").read_text()
    assert outdated_reports(tmp_path, readme) == []
    intervals(["noise"], spheres, tmp_path, options, n=20)
    assert set(pd.read_csv(folder / "intervals.csv").generator) == {"noise"}, "another n replaces the table"


def test_occupancy_tells_preferred_places_from_chance() -> None:
    rng = np.random.default_rng(0)
    chance = (rng.random((50, 20, 20, 20)) < 0.3).mean(axis=0)
    summary = occupancy_summary(chance, 50)
    assert summary["sd"] == pytest.approx(summary["sd_by_chance"], rel=0.05)
    half = np.zeros((4, 4, 4))
    half[:2] = 1
    summary = occupancy_summary(half, 50)
    assert (summary["mean"], summary["never"], summary["always"], summary["sd"]) == (0.5, 0.5, 0.5, 0.5)


def test_sample_writes_intervals_and_occupancy_beside_the_volumes(tmp_path, monkeypatch, capsys) -> None:
    code = run(
        monkeypatch, f"porebench sample noise --density 0.5 -n 20 --shape 8 9 10 --intervals -o {tmp_path / 'p.npz'}"
    )
    assert code == 0
    assert "mean_local_thickness" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "p-intervals.csv")
    assert set(table.descriptor) == {*HEADLINE, "pore_voxels"}
    with np.load(tmp_path / "p.npz") as file:
        voxels = file["voxels"]
    expected = interval(describe(voxels).values["euler_6"])
    row = table[table.descriptor == "euler_6"].iloc[0]
    assert (row.low, row.high) == pytest.approx((expected[0][0], expected[1][0]), rel=1e-4)
    with np.load(tmp_path / "p-occupancy.npz") as file:
        assert np.array_equal(file["occupancy"], voxels.mean(axis=0))
    summary = json.loads((tmp_path / "p-occupancy.json").read_text())
    assert (summary["n"], summary["density"], summary["generator"]) == (20, 0.5, "noise")


def test_intervals_of_one_volume_are_refused(tmp_path, monkeypatch, capsys) -> None:
    assert run(monkeypatch, f"porebench sample noise --density 0.5 --intervals -o {tmp_path / 'p.npz'}") == 2
    assert "more than one volume" in capsys.readouterr().err
