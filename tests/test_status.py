"""``status`` says what still holds; ``rescore`` computes it again from the samples alone."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from porebench import data
from porebench.benchmarks.audit import compare as rescore
from porebench.benchmarks.audit import status
from porebench.benchmarks.audit.status import FRESH, MISSING, STALE
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate import fits, side_tables
from porebench.benchmarks.evaluate import options as asked
from porebench.benchmarks.evaluate import run as evaluate
from porebench.benchmarks.evaluate import score as judge
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.store import cells
from porebench.benchmarks.store.places import Places
from porebench.benchmarks.store.provenance import ALL_PACKAGES
from porebench.benchmarks.store.tables import REAL, Manifest, Record
from porebench.benchmarks.studies import ablation, growth, intervals, representative
from porebench.benchmarks.studies.validation import run as validation
from porebench.generators import get
from porebench.metrics.physics import relative_diffusivity
from porebench.metrics.table import versions

pytestmark = pytest.mark.usefixtures("own_cache")

ASKED_FOR = ("physics", "conduction", "network", "flow", "voxel-test")


@pytest.fixture
def results(own_copy):
    return own_copy("pca", "noise")


def _of(states, generator) -> dict[str, str]:
    return {state.stage: str(state) for state in states if state.generator == generator}


def _states(tiny, results, generator="pca"):
    """What is made by default."""
    found = _of(status.status(results, [tiny]), generator)
    return {stage: state for stage, state in found.items() if stage not in ASKED_FOR}


def test_right_after_a_run_its_cells_are_fresh_and_the_others_missing(tiny, results) -> None:
    states = status.status(results, [tiny])
    made = {stage: state for stage, state in _of(states, "pca").items() if stage not in ASKED_FOR}
    assert list(made) == [*cells.STAGES, "curves", "calibration", "overlap"]
    assert set(made.values()) == {FRESH}
    assert {_of(states, "noise")[stage] for stage in ASKED_FOR} == {MISSING}
    assert [stage for stage in _of(states, "noise") if stage in cells.STAGES] == ["fit", "sample", "describe", "score"]
    assert set(_of(states, "memoriser").values()) == {MISSING}


def test_changed_generator_code_is_named_and_passed_down(tiny, results, monkeypatch) -> None:
    monkeypatch.setattr(fits, "code_digest", lambda *_: "other")
    found = _states(tiny, results)
    assert found["fit"] == found["sample"] == "stale: generator code"
    assert found["describe"] == "stale: sample"
    assert found["score"] == "stale: sample, reconstruct"


def test_changed_metrics_leave_the_samples_fresh(tiny, results, monkeypatch) -> None:
    monkeypatch.setattr(judge, "code_digest", lambda *_: "other")
    found = _states(tiny, results)
    assert found["sample"] == FRESH
    assert found["describe"] == found["score"] == "stale: metric code"


def test_changed_packages_weights_and_data_are_named(tiny, results, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(judge, "packages", lambda names: "numpy 0")
        assert _states(tiny, results)["score"] == "stale: packages"
    with monkeypatch.context() as patch:
        patch.setattr(fits.Fit, "weights", lambda *_: "other")
        assert _states(tiny, results)["sample"] == "stale: weights"
    other = replace(tiny, train=tiny.validation)
    assert "training data" in _of(status.status(results, [other]), "pca")["fit"]


def test_side_tables_follow_the_samples_and_their_own_code(tiny, results, monkeypatch) -> None:
    evaluate.evaluate(tiny, ["noise"], results, Options(quick=True, workers=1, extras=("physics",)))
    assert _of(status.status(results, [tiny]), "noise")["physics"] == FRESH
    evaluate.evaluate(tiny, ["noise"], results, Options(quick=True, workers=1))
    assert _of(status.status(results, [tiny]), "noise")["physics"] == FRESH, "its rows are still there"
    code = side_tables.code_digest
    with monkeypatch.context() as patch:
        patch.setattr(
            side_tables, "code_digest", lambda *roots: "other" if relative_diffusivity in roots else code(*roots)
        )
        found = _of(status.status(results, [tiny]), "noise")
        assert found["physics"] == "stale: metric code"
        assert found["score"] == FRESH
    monkeypatch.setattr(fits, "code_digest", lambda *_: "other")
    assert _of(status.status(results, [tiny]), "noise")["curves"] == "stale: sample"


def test_rows_of_a_side_table_without_recorded_inputs_are_stale(tiny, results) -> None:
    path = results / "tiny" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["generators"]["pca"]["cells"]["curves"]
    path.write_text(json.dumps(manifest))
    assert _states(tiny, results)["curves"] == "stale: made before inputs were recorded"


def test_records_of_studies_are_compared_by_what_they_say_themselves(tiny, results, monkeypatch) -> None:
    folder, cache = results / "tiny", Places()
    fit = {**fits.prepare("noise", tiny).identity, "weights": fits.prepare("noise", tiny).weights(cache)}
    tests = {"test data": tiny.test.digest()[:16]}
    for study in (growth, intervals):
        made = Record.of({**fit, **tests, "cubes": "8 of 36"}, study.CODE, ALL_PACKAGES, generator="noise")
        name = "grown" if study is growth else "intervals"
        Manifest({"seed": 0}, {"noise": made}).write(folder / f"{name}.json")
    pores = np.random.default_rng(0).random((24, 24, 24)) < 0.3
    representative.representative(pores, folder, Options(workers=1), sizes=[6])
    checked = Record.of({"real data": tiny.digest()[:16]}, validation.CODE, ALL_PACKAGES)
    Manifest({"settings": {"seed": 0}}, {REAL: checked}).write(results / "validation" / "tiny" / "manifest.json")
    params = {"neighbours": 3}
    trained = fits.Fit(get("memoriser")(**params), tiny.train, None, "tiny", 2)
    variant = Record.of(trained.identity, ablation.CODE, ALL_PACKAGES, generator="memoriser", params=params)
    Manifest({}, {"three-seed-2": variant}).write(results / "ablation" / "tiny" / "manifest.json")
    found = status.status(results, [tiny])
    assert _of(found, "noise")["intervals"] == _of(found, "noise")["grown"] == FRESH
    assert _of(found, REAL) == {"validation": FRESH, "representative": "fresh, data not at hand"}
    assert _of(found, "three-seed-2") == {"ablation": FRESH}
    (trial,) = (state for state in found if state.stage == "ablation")
    assert trial.seed == 2
    with monkeypatch.context() as patch:
        patch.setattr(status, "code_digest", lambda *roots: "other")
        found = status.status(results, [tiny])
        assert _of(found, "noise")["intervals"] == _of(found, "noise")["grown"] == "stale: code"
        assert set(_of(found, REAL).values()) == {"stale: code"}
        assert _of(found, "noise")["score"] == FRESH
    other = replace(tiny, train=tiny.validation)
    assert "training data" in _of(status.status(results, [other]), "three-seed-2")["ablation"]


def test_a_record_whose_code_is_gone_is_stale(tiny, results) -> None:
    made = Record({"code": "0", "packages": ""}, ("benchmarks.studies.growth:gone",))
    Manifest({}, {REAL: made}).write(results / "tiny" / "grown.json")
    assert _of(status.status(results, [tiny]), REAL)["grown"].startswith("stale: code")


@pytest.mark.parametrize("file", ["tiny/intervals.json", "tiny/grown.json", "ablation/tiny/manifest.json"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"records": 3}',
        '{"run": {}, "stamp": {}}',
        '{"records": {"pca": 1}, "run": {}, "stamp": {}}',
        '{"run": 1}',
    ],
)
def test_a_damaged_manifest_of_a_study_is_one_sentence(tiny, results, file, text) -> None:
    (results / file).parent.mkdir(parents=True, exist_ok=True)
    (results / file).write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        status.status(results, [tiny])


def test_a_changed_number_of_resamplings_is_named(tiny, results, monkeypatch) -> None:
    monkeypatch.setattr(asked, "QUICK", {"n_bootstrap": 3, "n_permutations": 3})
    found = _states(tiny, results)
    assert found["describe"] == FRESH
    assert found["score"] == "stale: resampling"


def test_what_is_not_at_hand_is_said(tiny, results, monkeypatch) -> None:
    for path in (Places().cache, results / "tiny" / "samples"):
        path.rename(path.with_name("away"))
    found = _states(tiny, results)
    assert found["fit"] == "fresh, weights not at hand"
    assert found["sample"] == "fresh, weights and samples not at hand"
    assert _of(status.status(results), "noise")["score"] == "fresh, data not at hand"


def test_a_failure_is_a_state_with_its_reason(tiny, tmp_path) -> None:
    evaluate.evaluate(tiny, ["cvae-seed"], tmp_path, Options(quick=True, workers=1))
    assert "porebench train cvae-seed" in _states(tiny, tmp_path, "cvae-seed")["fit"]


def test_a_row_without_recorded_inputs_is_stale(tiny, results) -> None:
    path = results / "tiny" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["generators"]["pca"]["cells"]
    path.write_text(json.dumps(manifest))
    assert all(state.startswith(STALE) for state in _states(tiny, results).values())


def test_a_damaged_manifest_is_one_sentence(tiny, results) -> None:
    (results / "tiny" / "manifest.json").write_text('{"run": 3')
    with pytest.raises(ValueError, match="is damaged"):
        status.status(results, [tiny])


def test_the_same_metrics_give_the_same_numbers_again(tiny, results) -> None:
    before = (results / "tiny" / "accuracy.csv").read_bytes()
    compared = list(rescore.rescore(results, [tiny]))
    assert [(each.generator, each.moved, each.note) for each in compared] == [("pca", {}, ""), ("noise", {}, "")]
    assert all(each.numbers > 100 for each in compared)
    assert (results / "tiny" / "accuracy.csv").read_bytes() == before
    assert set(_states(tiny, results).values()) == {FRESH}


def test_a_doctored_table_shows_and_is_put_right(tiny, results) -> None:
    path = results / "tiny" / "accuracy.csv"
    table = pd.read_csv(path)
    row = table.index[(table.generator == "noise") & (table.metric == "nfr100") & (table.band == "all")][0]
    true = table.loc[row, "value"]
    table.loc[row, "value"] = 1.0
    table.to_csv(path, index=False)
    (noise,) = (each for each in rescore.rescore(results, [tiny]) if each.generator == "noise")
    assert noise.moved == {("all", "nfr100"): (1.0, pytest.approx(true, rel=1e-5))}
    assert any(line.startswith("  nfr100 all: 1 -> ") for line in noise.lines())
    assert pd.read_csv(path).loc[row, "value"] == true


def test_a_changed_metric_is_shown_with_its_versions(tiny, results, monkeypatch) -> None:
    changed = {**versions(), "diversity": 2}
    monkeypatch.setattr(judge, "versions", lambda: changed)
    monkeypatch.setattr(rescore, "versions", lambda: changed)
    rows = judge.novelty_rows
    monkeypatch.setattr(
        judge, "novelty_rows", lambda *args: [{**row, "value": row["value"] + 1} for row in rows(*args)]
    )
    compared = list(rescore.rescore(results / "tiny", [tiny]))
    assert any("  diversity all:" in line and "(version 1 -> 2)" in line for line in compared[0].lines())
    manifest = json.loads((results / "tiny" / "manifest.json").read_text())
    assert manifest["run"]["metric_versions"]["diversity"] == 2
    assert set(manifest["generators"]) == {"pca", "noise"}


def test_samples_that_are_not_those_of_the_table_are_not_scored(tiny, results) -> None:
    for source, target in (("pca", "noise"),):
        samples = results / "tiny" / "samples"
        (samples / f"{target}.npz").write_bytes((samples / f"{source}.npz").read_bytes())
    (noise,) = (each for each in rescore.rescore(results, [tiny]) if each.generator == "noise")
    assert noise.note == "the stored samples are not those of the table"


def test_status_and_rescore_as_commands(tiny, results, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(data, "load", lambda *_, **__: tiny)
    for command, code, words in (
        (f"status --results {results} --dataset tiny", 0, "| tiny | 0 | pca | fresh |"),
        (f"status --results {results} --dataset tiny --check", 0, "fresh"),
        (f"rescore {results} --dataset tiny --check", 0, "tiny noise: 0 of"),
    ):
        monkeypatch.setattr("sys.argv", ["porebench", *command.split()])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == code
        assert words in capsys.readouterr().out


def test_states_are_one_table_with_a_column_a_stage() -> None:
    states = [
        status.CellState("tiny", 0, "a", "fit", "fresh"),
        status.CellState("tiny", 0, "a", "score", "stale", "p|q"),
        status.CellState("tiny", 1, "b", "fit", "missing"),
    ]
    assert status.status_table(states) == [
        "| data set | seed | generator | fit | score |",
        "| --- | --- | --- | --- | --- |",
        "| tiny | 0 | a | fresh | stale: p/q |",
        "| tiny | 1 | b | missing | – |",
    ]
