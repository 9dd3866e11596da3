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
from porebench.benchmarks.evaluate import draw as drawing
from porebench.benchmarks.evaluate import fits, progress, side_tables
from porebench.benchmarks.evaluate import run as evaluate
from porebench.benchmarks.evaluate import score as judge
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.report.intervals import COUNT, EACH
from porebench.benchmarks.store import cells
from porebench.benchmarks.studies import growth as grow
from porebench.benchmarks.studies import intervals, representative
from porebench.benchmarks.studies.validation import run as validate
from porebench.metrics.descriptors import HEADLINE

pytestmark = pytest.mark.usefixtures("own_cache")

ASKED_FOR = ("physics", "voxel-test", "intervals", "grown")


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
    assert "grown" not in _of(states, "pca"), "it draws its training shape only"
    assert [stage for stage in _of(states, "noise") if stage in cells.STAGES] == ["fit", "sample", "describe", "score"]
    assert set(_of(states, "memoriser").values()) == {MISSING}


def test_changed_generator_code_is_named_and_passed_down(tiny, results, monkeypatch) -> None:
    identity = fits.identity
    monkeypatch.setattr(fits, "identity", lambda *args: {**identity(*args), "generator code": "other"})
    found = _states(tiny, results)
    assert found["fit"] == found["sample"] == "stale: generator code"
    assert found["describe"] == "stale: sample"
    assert found["score"] == "stale: sample, reconstruct"


def test_changed_metrics_leave_the_samples_fresh(tiny, results, monkeypatch) -> None:
    monkeypatch.setattr(judge, "metric_code", lambda: "other")
    found = _states(tiny, results)
    assert found["sample"] == FRESH
    assert found["describe"] == found["score"] == "stale: metric code"


def test_changed_packages_weights_and_data_are_named(tiny, results, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(judge, "packages", lambda names: "numpy 0")
        assert _states(tiny, results)["score"] == "stale: packages"
    with monkeypatch.context() as patch:
        patch.setattr(fits, "weights_at_hand", lambda *_: "other")
        assert _states(tiny, results)["sample"] == "stale: weights"
    other = replace(tiny, train=tiny.validation)
    assert "training data" in _of(status.status(results, [other]), "pca")["fit"]


def test_side_tables_follow_the_samples_and_their_own_code(tiny, results, monkeypatch) -> None:
    evaluate.evaluate(tiny, ["noise"], results, Options(quick=True, workers=1, extras=("physics",)))
    assert _of(status.status(results, [tiny]), "noise")["physics"] == FRESH
    evaluate.evaluate(tiny, ["noise"], results, Options(quick=True, workers=1))
    assert _of(status.status(results, [tiny]), "noise")["physics"] == FRESH, "its rows are still there"
    with monkeypatch.context() as patch:
        patch.setattr(side_tables, "code_digest", lambda *files: "other" if "metrics/physics.py" in files else "")
        found = _of(status.status(results, [tiny]), "noise")
        assert found["physics"] == "stale: metric code"
        assert found["score"] == FRESH
    identity = fits.identity
    monkeypatch.setattr(fits, "identity", lambda *args: {**identity(*args), "generator code": "other"})
    assert _of(status.status(results, [tiny]), "noise")["curves"] == "stale: sample"


def test_rows_of_a_side_table_without_recorded_inputs_are_stale(tiny, results) -> None:
    path = results / "tiny" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["generators"]["pca"]["cells"]["curves"]
    path.write_text(json.dumps(manifest))
    assert _states(tiny, results)["curves"] == "stale: made before inputs were recorded"


def test_intervals_and_studies_of_real_volumes_are_listed(tiny, results, monkeypatch) -> None:
    folder = results / "tiny"
    planned = drawing.plan("noise", tiny, tiny.test, folder, seed=0, device="cpu")
    made = intervals.coverage_inputs(planned.inputs("fit"), tiny.test, 19)
    row = dict.fromkeys(intervals.COLUMNS, 0) | {"generator": "noise", "band": "all"}
    rows = [row | {"descriptor": name} for name in (*HEADLINE, EACH, COUNT)]
    intervals.write_coverage(rows, tiny, 19, 0, folder, "", {"noise": made})
    larger = {"noise": grow.grown_inputs(planned.inputs("fit"), tiny.test, 36, 8)}
    (folder / "grown.json").write_text(json.dumps({"run": {"edge": 36, "n": 8}, "cells": larger}))
    pores = np.random.default_rng(0).random((24, 24, 24)) < 0.3
    representative.representative(pores, folder, sizes=[6], bar=progress.bars(None))
    checked = {"settings": {"seed": 0}, "inputs": validate.validation_inputs(tiny)}
    (results / "validation" / "tiny").mkdir(parents=True)
    (results / "validation" / "tiny" / "manifest.json").write_text(json.dumps(checked))
    found = status.status(results, [tiny])
    assert _of(found, "noise")["intervals"] == _of(found, "noise")["grown"] == FRESH
    assert _of(found, "pca")["intervals"] == MISSING
    assert _of(found, status.NOBODY) == {"validation": FRESH, "representative": "fresh, data not at hand"}
    for module in (grow, intervals, representative, validate):
        monkeypatch.setattr(module, "code_digest", lambda *files: "other")
    found = status.status(results, [tiny])
    assert _of(found, "noise")["intervals"] == _of(found, "noise")["grown"] == "stale: metric code"
    assert set(_of(found, status.NOBODY).values()) == {"stale: metric code"}
    assert _of(found, "noise")["score"] == FRESH


def test_rows_of_grown_volumes_without_recorded_inputs_are_stale(tiny, results) -> None:
    (results / "tiny" / "grown.csv").write_text("generator,value\nnoise,1\n")
    (results / "tiny" / "grown.json").write_text('{"run": {"edge": 36, "n": 8}}')
    assert _of(status.status(results, [tiny]), "noise")["grown"] == "stale: made before inputs were recorded"


@pytest.mark.parametrize("file", ["tiny/intervals.json", "tiny/grown.json", "ablation/tiny/manifest.json"])
@pytest.mark.parametrize(
    "text", ["", "[]", '{"cells": 3}', '{"inputs": [1]}', '{"cells": {"pca": 1}}', '{"run": 1}', '{"trainings": [1]}']
)
def test_a_damaged_manifest_of_a_study_is_one_sentence(tiny, results, file, text) -> None:
    (results / file).parent.mkdir(parents=True, exist_ok=True)
    (results / file).write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        status.status(results, [tiny])


def test_the_digest_of_code_follows_imports_of_metrics_and_no_others() -> None:
    names = {file.name for file in cells.files_of("metrics/physics.py", "benchmarks/trials.py")}
    assert {"physics.py", "transport.py", "_kernels.py", "trials.py", "energy.py"} <= names
    assert not names & {"novelty.py", "voxel_test.py", "defects.py"}


def test_the_digest_of_scores_covers_what_makes_rows_and_neither_options_nor_bars() -> None:
    names = {file.name for file in cells.files_of(*cells.SCORING)}
    assert {"judge.py", "rows.py", "descriptors.py", "distances.py", "novelty.py", "sizes.py"} <= names
    assert not names & {"evaluate.py", "options.py", "progress.py", "results.py", "report.py"}


def test_a_changed_number_of_resamplings_is_named(tiny, results, monkeypatch) -> None:
    monkeypatch.setattr(judge, "QUICK", {"n_bootstrap": 3, "n_permutations": 3})
    found = _states(tiny, results)
    assert found["describe"] == FRESH
    assert found["score"] == "stale: resampling"


def test_what_is_not_at_hand_is_said(tiny, results, monkeypatch) -> None:
    for path in (fits.CACHE, results / "tiny" / "samples"):
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
    versions = {**cells.metric_versions(), "diversity": 2}
    monkeypatch.setattr(judge, "metric_versions", lambda: versions)
    monkeypatch.setattr(rescore, "metric_versions", lambda: versions)
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
