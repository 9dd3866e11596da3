import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.cli.parameters import chosen_generators
from porebench.benchmarks.evaluate import fits
from porebench.benchmarks.evaluate.draw import plan
from porebench.benchmarks.evaluate.options import Options, select_test
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.report.documents import insert_tables
from porebench.benchmarks.store.digests import ROOT
from porebench.benchmarks.store.files import save_samples
from porebench.benchmarks.store.places import Places
from porebench.benchmarks.store.results import COLUMNS, read_side_table
from porebench.data.packed import load_samples
from porebench.generators import GENERATORS, ON_REQUEST, get
from porebench.generators.cvae.generator import CVAE
from porebench.generators.cvae.seed import SeedCVAE

pytestmark = pytest.mark.usefixtures("own_cache")

FAILING = """
import numpy as np

class Fails(Half):
    name = "fails"
    def _sample(self, density, shape, rng):
        raise RuntimeError("no pores | today")

class WrongShape(Half):
    name = "wrong-shape"
    def _sample(self, density, shape, rng):
        return np.zeros((len(density), 1, 1, 1), dtype=bool)
"""


@pytest.fixture
def own(half_file):
    half_file.write_text(half_file.read_text() + FAILING)
    return half_file


def test_a_run_writes_table_manifest_and_samples(tiny, tmp_path) -> None:
    outcomes = evaluate(tiny, ["reference", "noise"], tmp_path, Options(quick=True, workers=1))
    assert not any(outcome.failed for outcome in outcomes)
    table = pd.read_csv(tmp_path / "tiny" / "accuracy.csv")
    assert tuple(table.columns) == COLUMNS
    score = table[(table.metric == "nfr100") & (table.band == "all")].set_index("generator").value
    assert score["reference"] < score["noise"]
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert manifest["run"]["data"] == tiny.digest()
    assert manifest["generators"]["noise"]["status"] == "scored"
    kept = load_samples(tmp_path / "tiny" / "samples" / "noise.npz")
    assert np.array_equal(kept.density, tiny.test.density)
    assert kept.digest() == manifest["generators"]["noise"]["samples_digest"]
    text = (tmp_path / "tiny" / "accuracy.md").read_text()
    assert text.index("| reference |") < text.index("| noise |")


def test_what_was_taken_for_pore_is_in_the_manifest_and_the_document(tiny, tmp_path) -> None:
    said = "pore = 0 (of 0, 255; the smaller label), porosity 0.300"
    evaluate(replace(tiny, phase=said), ["noise"], tmp_path, Options(quick=True, workers=1))
    assert json.loads((tmp_path / "tiny" / "manifest.json").read_text())["phase"] == said
    assert f"In the image, {said}." in (tmp_path / "tiny" / "accuracy.md").read_text()


def test_the_same_command_gives_the_same_table(tiny, tmp_path) -> None:
    for folder in ("one", "two"):
        evaluate(tiny, ["pca", "noise"], tmp_path / folder, Options(quick=True, workers=2, seed=5))
    one, two = ((tmp_path / folder / "tiny" / "seed-5" / "accuracy.csv").read_bytes() for folder in ("one", "two"))
    assert one == two


def test_rows_of_earlier_runs_stay_unless_the_run_differs(tiny, tmp_path, caplog) -> None:
    evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1))
    evaluate(tiny, ["memoriser"], tmp_path, Options(quick=True, workers=1))
    assert set(pd.read_csv(tmp_path / "tiny" / "accuracy.csv").generator) == {"noise", "memoriser"}
    evaluate(tiny, ["memoriser"], tmp_path, Options(quick=True, workers=1, samples=30))
    assert set(pd.read_csv(tmp_path / "tiny" / "accuracy.csv").generator) == {"memoriser"}
    assert "are replaced" in caplog.text


def test_a_generator_that_fails_becomes_a_row_and_the_others_finish(tiny, tmp_path, own) -> None:
    references = [f"{own}:Fails", f"{own}:WrongShape", f"{own}:Half", "cvae-seed"]
    outcomes = evaluate(tiny, references, tmp_path, Options(quick=True, workers=1))
    assert [outcome.failed for outcome in outcomes] == [True, True, False, True]
    assert [outcome.record.get("phase") for outcome in outcomes] == ["sample", "sample", None, "fit"]
    status = read_side_table(tmp_path / "tiny", "status").fillna("").set_index("generator")
    assert status.status.to_dict() == {outcome.generator: outcome.record["status"] for outcome in outcomes}
    assert tuple(status.loc["fails"]) == ("failed", "sample", "no pores | today")
    assert tuple(status.loc["half"]) == ("scored", "", "")
    text = (tmp_path / "tiny" / "accuracy.md").read_text()
    assert "no pores / today" in text
    assert "porebench train cvae-seed" in text
    assert "| half |" in text


def test_networks_that_are_not_trained_are_left_out_by_default_and_named(tiny, monkeypatch, capsys) -> None:
    networks = {name for name in GENERATORS if issubclass(get(name), CVAE | SeedCVAE)}
    assert set(GENERATORS) - set(ON_REQUEST) - set(chosen_generators(None, None, tiny, 0)) == networks
    told = capsys.readouterr().err
    assert all(name in told for name in networks)
    assert "porebench train" in told
    assert chosen_generators("cvae", None, tiny, 0) == ["cvae"]
    monkeypatch.setattr(fits.Fit, "at_hand", lambda fit, _: fit.generator.name == "cvae-prior" or None)
    assert set(GENERATORS) - set(ON_REQUEST) - set(chosen_generators(None, None, tiny, 0)) == networks - {"cvae-prior"}
    assert chosen_generators("autoregressive", None, tiny, 0) == ["autoregressive"]
    untrained = {name for name in GENERATORS if "epochs" in get(name)().params} - {"cvae-prior"}
    assert set(GENERATORS) - set(chosen_generators("all", None, tiny, 0)) == untrained


def test_the_generator_in_the_contributors_guide_runs_as_printed(tiny, tmp_path) -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    file = tmp_path / "porosity_map.py"
    file.write_text(guide.partition("```python\n")[2].partition("```")[0])
    (outcome,) = evaluate(tiny, [f"{file}:PorosityMap"], tmp_path, Options(quick=True, workers=1))
    assert not outcome.failed, outcome.record
    assert "| porosity-map |" in (tmp_path / "tiny" / "accuracy.md").read_text()
    assert sum(bool(line.strip()) for line in file.read_text().splitlines()) <= 25


def test_fewer_samples_are_spread_over_density(tiny) -> None:
    chosen = select_test(tiny, Options(samples=10))
    assert len(chosen) == 10
    assert np.ptp(chosen.density) > 0.9
    for samples in (0, 51):
        with pytest.raises(ValueError, match="between 1 and the 50 test volumes"):
            select_test(tiny, Options(samples=samples))


def test_damaged_samples_are_noticed(tiny, tmp_path) -> None:
    path = tmp_path / "samples.npz"
    save_samples(tiny.test, path)
    assert np.array_equal(load_samples(path).voxels, tiny.test.voxels)
    with np.load(path) as file:
        content = dict(file)
    content["packed"] = content["packed"] ^ 1
    np.savez(path, **content)
    with pytest.raises(ValueError, match="checksum"):
        load_samples(path)


def test_a_fit_is_found_again_and_a_changed_configuration_is_not(tiny) -> None:
    first = fits.fitted("pca", tiny)
    again = fits.fitted("pca", tiny)
    assert (first.source, again.source) == ("fitted", "cached")
    assert again.fit.digest == first.fit.digest
    assert np.array_equal(first.generator.sample(0.5, 3, rng=0), again.generator.sample(0.5, 3, rng=0))
    assert fits.fitted("pca", tiny, Options(seed=1)).fit.digest != first.fit.digest


def test_published_weights_count_only_for_their_data_and_configuration(tiny, tmp_path) -> None:
    places = Places(tmp_path / "fits", tmp_path / "weights")
    fits.publish(fits.fitted("pca", tiny, Options(places=places)), places)
    elsewhere = Places(tmp_path / "elsewhere", tmp_path / "weights")
    assert fits.fitted("pca", tiny, Options(places=elsewhere)).source == "published"
    other = data.Dataset(tiny.validation, tiny.train, tiny.test, "tiny", "factor")
    assert fits.fitted("pca", other, Options(places=elsewhere)).source == "fitted"


def test_the_number_format_is_recorded_and_asked_for(tiny, tmp_path) -> None:
    fit = fits.Fit(get("cvae")(width=8, epochs=1, refine_epochs=0), tiny.train, None, "tiny", 0)
    places = Places(tmp_path / "fits", tmp_path / "weights")
    for asked in ("float32", "bfloat16"):
        ready = fits.made(fit, Options(device="cpu", precision=asked, places=places), refit=True)
        assert ready.generator.number_format == asked
        assert json.loads(fit.cached(places).with_suffix(".json").read_text())["precision"] == asked
    plain = plan("pca", tiny, tiny.test, tmp_path, Options())
    assert plan("pca", tiny, tiny.test, tmp_path, Options(precision="float32")).drawing == {
        **plain.drawing,
        "precision": "float32",
    }


def test_a_table_replaces_what_stands_between_its_markers() -> None:
    text = "before\n<!-- table speed -->\nold\n<!-- end -->\nafter <!-- table other -->\nkept\n<!-- end -->"
    replaced = insert_tables(text, {"speed": ["new", "lines"], "absent": ["x"]})
    assert replaced == text.replace("old", "new\nlines")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "--dataset", "nowhere"], "nowhere"),
        (["evaluate", "--generators", "pca,typo"], "no generator is called 'typo'"),
        (["evaluate", "--generator", "missing.py:A", "--samples", "0"], "--samples must lie"),
        (["sample", "noise", "--density", "1.5", "-o", "{tmp}/x.npz"], "density must lie in [0, 1], got 1.5"),
        (["sample", "noise", "--density", "0.5", "-o", "{tmp}/x.txt"], "no format has the suffix .txt"),
        (
            ["sample", "reference", "--density", "0.5", "--shape", *["1000000"] * 3, "-o", "{tmp}/x.npz"],
            "Unable to allocate",
        ),
        (["sample", "cvae-seed", "--density", "0.5", "-o", "{tmp}/x.npz"], "porebench train cvae-seed"),
        (["data", "make", "cubes", "--out", "{tmp}/x"], "no built-in data set"),
        (["train", "typo"], "no generator is called"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["porebench", *(word.format(tmp=tmp_path) for word in arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message


def test_sample_writes_voxels_and_density(tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "pores.npz"
    command = f"porebench sample noise --density 0.5 -n 3 --shape 8 9 10 --seed 7 -o {out}"
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    with np.load(out, allow_pickle=False) as file:
        assert file["voxels"].shape == (3, 8, 9, 10)
        assert file["voxels"].dtype == np.bool_
        assert file["density"].tolist() == [0.5] * 3


def test_a_data_set_written_in_the_published_format_is_read_back(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", f"porebench data make spheres --out {tmp_path / 'set'} --part validation".split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    read = data.load(str(tmp_path / "set"))
    assert sum(len(part) for part in read) == 64
