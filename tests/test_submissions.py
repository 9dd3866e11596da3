"""Rows handed in for generators that draw elsewhere: cards, checks, verification, and their place in the tables."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from porebench.benchmarks.cli import app
from porebench.benchmarks.evaluate.submissions import verify
from porebench.benchmarks.evaluate.tasks import Task
from porebench.benchmarks.report.accuracy import accuracy_markdown, submissions, summary_table
from porebench.benchmarks.store.digests import ROOT
from porebench.benchmarks.store.results import read_run
from porebench.benchmarks.store.submissions import check_submission, read_card, read_submission
from porebench.data import Dataset, Volumes, simulate
from porebench.data.collections import Collection
from porebench.metrics.suites import CURRENT

N = 60
FEW = {"n_bootstrap": 20, "n_permutations": 19}
"""Resamplings that are enough to compare two scores of the same draws."""
CARD = re.search(r"```yaml\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def _draws(n, seed):
    density = (np.arange(n) + 0.5) / n
    return Volumes(simulate(density, "spheres", np.random.default_rng(seed)), density)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task("spheres", Dataset(_draws(120, 1), _draws(30, 2), _draws(N, 3), "spheres", "factor"))


@pytest.fixture(scope="module")
def draws():
    return _draws(N, 9).voxels


@pytest.fixture(scope="module")
def handed(task, draws, tmp_path_factory):
    """Results with one table and one submission, as the command line made it."""
    folder = tmp_path_factory.mktemp("handed")
    (folder / "card.yml").write_text(CARD)
    np.save(folder / "drawn.npy", draws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POREBENCH_CACHE", str(folder / "cache" / "fits"))
        patch.setattr("porebench.benchmarks.evaluate.tasks.load_task", lambda *_, **__: task)
        patch.setattr("porebench.benchmarks.evaluate.options.FULL", FEW)
        patch.chdir(folder)
        words = ["score", "drawn.npy", "--task", "spheres", "--card", "card.yml"]
        done = CliRunner().invoke(app, [*words, "-o", f"results/submissions/{CURRENT}/my-gan"])
    assert done.exit_code == 0, done.output
    run = {"dataset": "spheres", "n_test": N, "seed": 0, "quick": False, "suite": CURRENT, "test": task.test.digest()}
    scored = {"status": "scored", "date": "2026-11-26", "command": "porebench evaluate", "cells": {}}
    scored |= {"fit_seconds": 1.0, "sample_milliseconds": 1.0, "processor": "a processor"}
    (folder / "results" / "spheres").mkdir()
    (folder / "results" / "spheres" / "manifest.json").write_text(
        json.dumps({"run": run, "generators": {"good": scored, "bad": scored}})
    )
    rows = [[name, "all", "nfr100", value, value, value, N, N] for name, value in (("good", 0.1), ("bad", 99.0))]
    columns = ["generator", "band", "metric", "value", "ci_low", "ci_high", "n_generated", "n_real"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "results" / "spheres" / "accuracy.csv", index=False)
    return folder


@pytest.fixture
def results(handed, tmp_path, monkeypatch):
    """A copy of these results that a test may change."""
    monkeypatch.setenv("POREBENCH_CACHE", str(handed / "cache" / "fits"))
    monkeypatch.setattr("porebench.benchmarks.evaluate.options.FULL", FEW)
    return shutil.copytree(handed / "results", tmp_path / "results")


def _folder(results):
    return results / "submissions" / CURRENT / "my-gan"


def _edit(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_card_in_the_guide_is_a_card_and_every_field_of_it_is_kept(tmp_path) -> None:
    (tmp_path / "card.yml").write_text(CARD)
    card = read_card(tmp_path / "card.yml")
    assert (card.name, card.hours, card.trained_on) == ("my-gan", 3.5, ["two_point_correlation"])
    assert set(re.findall(r"^(\w+):", CARD, re.MULTILINE)) == set(type(card).model_fields)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: my-gan", "name: ../up", "name"),
        ("name: my-gan", "name: a|b", "name"),
        ('version: "1.0"', "version: 1.0", "version: Input should be a valid string"),
        ("hours: 3.5", "hours: .nan", "hours"),
        ("hours: 3.5", "hours: -1", "hours"),
        ("hours: 3.5", "", "hours: Field required"),
        ("hours: 3.5", "hours: 3.5\nrank: 1", "rank: Extra inputs"),
        ("two_point_correlation", "taste", "no descriptor is called 'taste'"),
        ("code_licence: MIT", "code_licence: <b>MIT</b>", "code_licence"),
        ("code: https", "code: javascript", "code"),
        ("authors: [", "authors: [[", "cannot be read as such"),
        ('version: "1.0"', "version: !!python/object/apply:os.getpid []", "cannot be read as such"),
        ("authors: [Ada Example]", "authors: &a [Ada, Ada]\ncode: *a", "aliases"),
    ],
)
def test_a_card_that_is_wrong_is_refused_by_its_field(tmp_path, old, new, words) -> None:
    assert old in CARD
    (tmp_path / "card.yml").write_text(CARD.replace(old, new, 1))
    with pytest.raises(ValueError, match=words) as caught:
        read_card(tmp_path / "card.yml")
    assert "\n" not in str(caught.value)


def test_a_scored_folder_can_be_handed_in_as_it_is(results) -> None:
    found = check_submission(_folder(results), results, strict=True, new=True)
    assert (found.status, found.claim.task) == ("claimed", "spheres")
    assert not np.isnan(found.claim.number("nfr100_unrelated"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "other"}, "one name"),
        ({"suite": "2026.1"}, "suite"),
        ({"test_digest": "0"}, "score all conditions"),
        ({"task": "mars"}, "no table of mars"),
        ({"numbers": []}, "is missing"),
        ({"samples_digest": "x"}, "samples_digest"),
        ({"verdict": "[best](https://example.org)"}, "verdict"),
        ({"numbers": [{"band": "all", "metric": "nfr100", "value": float("inf")}]}, "numbers.0.value"),
    ],
)
def test_a_score_that_is_not_whole_or_of_something_else_is_refused(results, changes, words) -> None:
    _edit(_folder(results) / "score.json", **changes)
    with pytest.raises(ValueError, match=words):
        check_submission(_folder(results), results)


def test_only_the_strict_check_refuses_other_files(results) -> None:
    (_folder(results) / "verified.csv").write_text("me")
    assert check_submission(_folder(results), results).status == "claimed"
    with pytest.raises(ValueError, match=r"found verified\.csv"):
        check_submission(_folder(results), results, strict=True)


def test_the_row_is_not_written_among_the_volumes(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "card.yml").write_text(CARD)
    (tmp_path / "my-gan").mkdir()
    done = CliRunner().invoke(app, ["score", "my-gan", "--task", "spheres", "--card", "card.yml"])
    assert "--out" in str(done.exception)
    assert not list((tmp_path / "my-gan").iterdir())


def test_a_damaged_list_of_verified_rows_is_named(results) -> None:
    (results / "submissions" / "verified.csv").write_text("suite,name\n")
    with pytest.raises(ValueError, match=r"verified\.csv is damaged"):
        read_submission(_folder(results))


def test_the_command_counts_what_is_wrong_and_exits_with_one(results) -> None:
    words = ["submissions", "check", "--strict", "--results", str(results)]
    assert CliRunner().invoke(app, words).exit_code == 0
    (_folder(results) / "card.yml").unlink()
    assert CliRunner().invoke(app, words).exit_code == 1


def test_a_submission_is_verified_from_its_samples_until_its_files_change(results, task, handed, monkeypatch) -> None:
    folder = _folder(results)
    monkeypatch.setattr("porebench.benchmarks.evaluate.submissions.load_task", lambda _: task)
    done = CliRunner().invoke(app, ["submissions", "verify", str(folder), "--samples", str(handed / "drawn.npy")])
    assert done.exit_code == 0, done.output
    assert read_submission(folder).status == "verified"
    assert check_submission(folder, results, strict=True).status == "verified"
    card = folder / "card.yml"
    card.write_text(card.read_text().replace("12.0", "1.0"))
    assert read_submission(folder).status == "claimed"
    with pytest.raises(ValueError, match="has changed since it was verified"):
        check_submission(folder, results, strict=True)


def test_other_samples_or_embellished_numbers_are_not_verified(results, task, draws) -> None:
    folder, samples = _folder(results), Collection(draws, [""] * N, "")
    with pytest.raises(ValueError, match="claims samples_digest"):
        verify(folder, Collection(draws[::-1].copy(), [""] * N, ""), task)
    numbers = json.loads((folder / "score.json").read_text())["numbers"]
    numbers[0]["value"] *= 1 + 1e-8
    _edit(folder / "score.json", numbers=numbers)
    with pytest.raises(ValueError, match=f"claims {numbers[0]['metric']} {numbers[0]['band']}"):
        verify(folder, samples, task)
    assert not (results / "submissions" / "verified.csv").exists()


def test_rows_handed_in_stand_in_the_table_by_score_without_a_rank(results) -> None:
    run = read_run(results / "spheres")
    names = [line.split(" | ")[1] for line in summary_table(run)[2:5]]
    assert names == ["good", "my-gan 1.0 (claimed)", "bad"]
    row = summary_table(run)[3]
    assert row.startswith("| – |")
    assert "12600.0 (as stated) | 12.00 (as stated)" in row
    assert "## Submissions\n" in accuracy_markdown(run)


def test_rows_of_an_earlier_suite_are_kept_apart(results) -> None:
    old = results / "submissions" / "2026.1" / "my-gan"
    old.parent.mkdir()
    _folder(results).rename(old)
    numbers = json.loads((old / "score.json").read_text())["numbers"]
    structure = {"band": "all", "metric": "family:structure", "value": 2.0}
    _edit(old / "score.json", suite="2026.1", test_digest="of then", numbers=[*numbers, structure])
    run = read_run(results / "spheres")
    assert not any("my-gan" in line for line in summary_table(run))
    assert "## Submissions to earlier suites" in accuracy_markdown(run)
    assert check_submission(old, results, strict=True).claim.suite == "2026.1"
    with pytest.raises(ValueError, match="score again"):
        check_submission(old, results, strict=True, new=True)


def test_without_submissions_no_table_changes(results) -> None:
    shutil.rmtree(results / "submissions")
    run = read_run(results / "spheres")
    assert submissions(run) == []
    assert "Submi" not in accuracy_markdown(run) + "".join(summary_table(run))
