import doctest
import json

import numpy as np
import pandas as pd
import pytest

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate import fits
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.report.documents import outdated_reports, write_reports
from porebench.benchmarks.store.places import Places
from porebench.benchmarks.studies import growth as growth_module
from porebench.benchmarks.studies import intervals as intervals_module
from porebench.benchmarks.studies.growth import grow, inner_blocks, wall_profile


@pytest.fixture
def options(own_cache) -> Options:
    return Options(workers=1)


def test_inner_blocks_leave_out_a_layer_of_blocks() -> None:
    numbers = np.zeros((2, 12, 12, 12), dtype=bool)
    numbers[1, 3:9, 3:9, 3:9] = True
    cut = inner_blocks(numbers, 3)
    assert cut.shape == (16, 3, 3, 3)
    assert not cut[:8].any()
    assert cut[8:].all()
    with pytest.raises(ValueError, match="needs volumes of 15"):
        inner_blocks(numbers, 5)


def test_the_examples_in_the_docstrings_hold() -> None:
    tried = [doctest.testmod(module) for module in (growth_module, intervals_module)]
    assert all(result.attempted and not result.failed for result in tried)


def test_the_wall_profile_of_a_plate() -> None:
    plate = np.zeros((1, 8, 8, 8), dtype=bool)
    plate[0, 3:5] = True  # two layers in the middle of one axis
    profile = wall_profile(plate)
    assert profile["distance"].tolist() == [0, 1, 2, 3]
    assert profile["porosity"].tolist() == pytest.approx([0.25 * 2 / 3] * 3 + [0.25 * 2 / 3 + 1 / 3])
    # layers across the plate are cut by it twice along one of their axes
    assert profile["surface"].tolist() == pytest.approx([2 * 2 * 8 / (8 * 8) / 3] * 3 + [2 * 2 * 8 / (8 * 8) / 3])


@pytest.mark.parametrize("kind", ["factor", "porosity"])
def test_growing_is_scored_and_written(kind, tiny, tmp_path, options) -> None:
    dataset = data.Dataset(tiny.train, tiny.validation, tiny.test, "tiny", kind)
    if kind == "porosity":
        parts = [data.Volumes(part.voxels, part.porosity) for part in dataset]
        dataset = data.Dataset(*parts, "tiny", kind)
    for name in ("noise", "sphere-packing"):
        grow([name], dataset, tmp_path, options, edge=36, n=20, command="porebench grow")
    manifest = json.loads((tmp_path / "tiny" / "grown.json").read_text())
    assert list(manifest["records"]) == ["noise", "sphere-packing"]
    assert manifest["records"]["noise"]["inputs"]["cubes"] == "20 of 36"
    assert manifest["records"]["noise"]["inputs"]["weights"]
    scores = pd.read_csv(tmp_path / "tiny" / "grown.csv")
    assert set(scores.generator) == {"noise", "sphere-packing"}
    assert set(scores.edge) == {12, 36}
    headline = scores[(scores.band == "all") & (scores.metric == "nfr100")].set_index(["generator", "edge"]).value
    assert headline["noise", 36] > headline["sphere-packing", 36]
    walls = pd.read_csv(tmp_path / "tiny" / "walls.csv")
    assert {tuple(pair) for pair in walls[["source", "edge"]].to_numpy()} == {
        ("real", 12),
        ("noise", 12),
        ("noise", 36),
        ("sphere-packing", 12),
        ("sphere-packing", 36),
    }
    assert walls[(walls.source == "real") & (walls.distance == 0)].porosity.max() == 0, "spheres keep inside"
    text = (tmp_path / "tiny" / "grown.md").read_text()
    assert "| sphere-packing |" in text
    readme = tmp_path / "README.md"
    readme.write_text("")
    (tmp_path / "tiny" / "grown.md").write_text("old")
    write_reports(tmp_path, readme)
    assert (tmp_path / "tiny" / "grown.md").read_text() == text
    assert outdated_reports(tmp_path, readme) == []


def test_a_simulator_supplies_real_large_volumes(tiny, tmp_path, options) -> None:
    dataset = data.Dataset(tiny.train, tiny.validation, tiny.test, "spheres", "factor")
    folder = grow(["reference"], dataset, tmp_path, options, edge=36, n=40).parent
    assert folder == tmp_path / "spheres"
    scores = pd.read_csv(folder / "grown.csv").set_index(["edge", "band", "metric"])
    assert scores.loc[(36, "all", "nfr100"), "value"] < 2.5, "real against real"
    walls = pd.read_csv(folder / "walls.csv")
    assert set(walls[walls.source == "real"].edge) == {12, 36}


def test_an_interruption_keeps_the_generators_that_are_finished(tiny, tmp_path, options, monkeypatch) -> None:
    draw = growth_module.draw

    def interrupted(generator, *args, **settings):
        if generator.name == "noise":
            raise KeyboardInterrupt
        return draw(generator, *args, **settings)

    monkeypatch.setattr(growth_module, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grow(["sphere-packing", "noise"], tiny, tmp_path, options, edge=36, n=20)
    assert set(pd.read_csv(tmp_path / "tiny" / "grown.csv").generator) == {"sphere-packing"}
    assert "| sphere-packing |" in (tmp_path / "tiny" / "grown.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["noise", "--edge", "60"], "need cubes of at least 90"), (["pca"], "pca cannot extrapolate")],
)
def test_what_cannot_be_grown_is_one_sentence(arguments, words, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["porebench", "grow", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("edge", [60, 120])
def test_the_committed_weights_draw_larger_cubes(edge) -> None:
    spheres = data.load("spheres")
    if fits.prepare("cvae", spheres).at_hand(Places()) is None:
        pytest.skip("no weights of this configuration at hand: porebench train cvae")
    generator = fits.fitted("cvae", spheres).generator
    (volume,) = generator.sample(0.8, shape=(edge, edge, edge), rng=0)
    assert volume.shape == (edge, edge, edge)
    inside = volume[15:-15, 15:-15, 15:-15]
    assert inside.mean() == pytest.approx(generator.law_.porosity(np.array([0.8]))[0], rel=0.4)
