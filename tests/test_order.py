"""Ranks in a run's results: kept replicates, ties, controls, and what the tables say of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.accuracy import write_order
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.report.accuracy import accuracy_markdown, own_error
from porebench.benchmarks.store.replicates import keep_replicates, replicates_path
from porebench.benchmarks.store.results import RANK_COLUMNS, TIE_COLUMNS, Run, read_order
from porebench.metrics.ranking import Replicates
from porebench.metrics.suites import CURRENT, SUITES

NUMBER = len(SUITES[CURRENT].components)
QUICK = Options(quick=True, workers=1)


@pytest.fixture
def results(own_copy):
    """A run of two contestants and two controls, one of which is the twin of a contestant."""
    return own_copy("sphere-packing", "pca", "noise", "twin")


def test_a_run_writes_ranks_and_ties(results) -> None:
    folder = results / "tiny"
    ranking, ties = pd.read_csv(folder / "ranking.csv", keep_default_na=False), pd.read_csv(folder / "ties.csv")
    assert tuple(ranking.columns) == RANK_COLUMNS
    assert tuple(ties.columns) == TIE_COLUMNS
    assert set(ranking.generator) == {"sphere-packing", "pca"}
    assert len(ties) == 4 * 3 / 2
    assert ranking.groupby("left_out").which.nunique().to_dict() == {
        "band": 3,
        "descriptor": NUMBER - 1,
        "family": len(SUITES[CURRENT].families),
        "nothing": 1,
    }
    order = read_order(folder)
    assert order is not None
    assert (order.rank("sphere-packing"), order.rank("pca"), order.rank("noise")) == ("1", "2", None)
    score = pd.read_csv(folder / "accuracy.csv")
    score = score[(score.metric == "nfr100") & (score.band == "all")].set_index("generator").value
    for row in ties.itertuples():
        assert row.difference == pytest.approx(score[row.first] - score[row.second], abs=1e-3)
        assert row.difference >= 0
        assert row.tied == (row.ci_low <= 0 <= row.ci_high)


def test_the_table_shows_ranks_and_the_difference_of_the_twins(results) -> None:
    text = (results / "tiny" / "accuracy.md").read_text()
    assert "| 1 | sphere-packing |" in text
    assert "| – | noise |" in text
    assert "`twin` is `sphere-packing` under another name" in text
    assert "## Ranks" in text


def test_a_later_run_is_ranked_against_the_earlier_ones(results, tiny) -> None:
    evaluate(tiny, ["gaussian-field"], results, QUICK)
    order = read_order(results / "tiny")
    assert order is not None
    assert {order.rank(name) for name in ("sphere-packing", "pca", "gaussian-field")} <= {"1", "2", "3", "1=", "2="}
    assert order.difference("gaussian-field", "noise") is not None


def test_a_difference_turns_with_the_order_of_the_names(results) -> None:
    order = read_order(results / "tiny")
    assert order is not None
    forth, back = order.difference("noise", "pca"), order.difference("pca", "noise")
    assert forth is not None
    assert back == (-forth[0], -forth[2], -forth[1], forth[3])
    assert order.difference("noise", "nobody") is None


def test_lost_replicates_are_made_again_and_damaged_ones_leave_a_generator_unranked(results, tiny, caplog) -> None:
    path = replicates_path(results / "tiny", "pca")
    before = path.read_bytes()
    path.unlink()
    evaluate(tiny, ["pca"], results, QUICK)
    with np.load(path) as made:
        assert str(made["key"])
    assert len(path.read_bytes()) == len(before)
    path.write_bytes(b"nothing")
    manifest = json.loads((results / "tiny" / "manifest.json").read_text())
    write_order(results / "tiny", manifest["run"], manifest["generators"])
    order = read_order(results / "tiny")
    assert order is not None
    assert order.rank("pca") is None
    assert order.rank("sphere-packing") == "1"
    assert "pca" in caplog.text


def test_replicates_of_other_samples_do_not_count(tmp_path) -> None:
    rng = np.random.default_rng(0)
    found = Replicates(("b",), CURRENT, rng.random((1, NUMBER)), rng.random((1, NUMBER, 50)))
    run = {"seed": 0}
    for name in ("pca", "gaussian-field"):
        keep_replicates(tmp_path, name, found, run, "abc")
    records = {name: {"status": "scored", "samples_digest": "abc"} for name in ("pca", "gaussian-field")}
    write_order(tmp_path, run, records)
    both = read_order(tmp_path)
    assert both is not None
    assert both.rank("pca") == both.rank("gaussian-field") == "1="
    for other_run, other in ((run, {"pca": {"status": "scored", "samples_digest": "other"}}), ({"seed": 1}, {})):
        write_order(tmp_path, other_run, {**records, **other})
        order = read_order(tmp_path)
        assert order is not None
        assert order.rank("pca") is None


@pytest.mark.parametrize("tied", [True, False])
def test_the_table_says_whether_the_twins_are_tied(tied: bool) -> None:
    order = SimpleNamespace(difference=lambda *_: (0.4, 0.2, 0.6, tied))
    text = own_error(order)[1]  # type: ignore[arg-type]
    assert "+0.40 [+0.20, +0.60]" in text
    assert ("are not tied" in text) != tied


def test_without_a_ranking_the_table_has_dashes(tmp_path) -> None:
    assert read_order(tmp_path) is None
    assert own_error(None) == []
    table = pd.DataFrame(
        [("a", "all", "nfr100", 2.0, 1.0, 3.0, 5, 5)],
        columns=["generator", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real"],
    )
    record = {"status": "scored", "fit_seconds": 1.0, "sample_milliseconds": 1.0, "date": "2026-01-01", "command": "c"}
    run = {"dataset": "tiny", "n_test": 5, "seed": 0, "quick": False}
    text = accuracy_markdown(Run(tmp_path, table, {"run": run, "generators": {"a": record}}))
    assert "| – | a | 2.00" in text
    assert "## Ranks" not in text


def test_the_command_adds_the_controls(tiny, tmp_path, monkeypatch, capsys) -> None:
    asked = {}

    def record(_data, chosen, out, _options, **_):
        asked[out.name] = chosen
        (out / "tiny").mkdir(parents=True)
        (out / "tiny" / "accuracy.md").write_text("| |\n")
        return []

    monkeypatch.setattr("porebench.benchmarks.evaluate.run.evaluate", record)
    monkeypatch.setattr("porebench.data.load", lambda *_, **__: tiny)
    for out, more in (("with", ""), ("without", "--no-controls")):
        command = f"porebench evaluate --generators pca,noise --out {tmp_path / out} --verbose {more}"
        monkeypatch.setattr("sys.argv", command.split())
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 0
    assert asked == {
        "with": ["pca", "noise", "sphere-packing", "reference", "memoriser", "twin"],
        "without": ["pca", "noise"],
    }
