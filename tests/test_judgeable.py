"""Where nothing can be judged, one sentence says so before anything is fitted."""

import re

import numpy as np
import pytest

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate import isolation
from porebench.benchmarks.evaluate.judgeable import NothingToJudgeError, check_judgeable
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.studies.validation.run import validate

EDGE = 10


def _rock(*shape):
    return np.random.default_rng(0).random(shape) < 0.4


def _with_end(phase, *, first=80, keep=0):
    rock = _rock(120, 50, 50)
    kept = rock[-EDGE:, :EDGE, : keep * EDGE].copy()
    rock[first:] = phase
    rock[-EDGE:, :EDGE, : keep * EDGE] = kept
    return rock


def _split(rock, block=EDGE, axis=None):
    return data.datasets._from_image(rock, "rock", block, axis)


REFUSED = {
    "no solid": (_with_end(True), EDGE, r"none of its test volumes \(75\) holds solid"),
    "no pores": (_with_end(False), EDGE, r"none of its test volumes \(75\) holds pores"),
    "an empty beginning": (_with_end(False, first=60)[::-1], EDGE, r"none of its training volumes \(150\) holds pores"),
    "mostly empty": (_with_end(False, keep=2), EDGE, "both pores and solid and differ: 2 of 75 in"),
    "periodic": (np.tile(_rock(*3 * [EDGE]), (12, 4, 4)), EDGE, "both pores and solid and differ: 1 of 48 in"),
    "few to train on": (_rock(60, 20, 20), 20, "too few training volumes: 1, where 8 are needed"),
    "few to test on": (_rock(180, 60, 30), 30, r"differ: 1 of 1 in .*, where 2 and half of all are needed"),
}


@pytest.mark.parametrize(("rock", "block", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("run", [lambda given, out: evaluate(given, ["pca"], out), validate], ids=["run", "validate"])
def test_a_rock_that_cannot_be_judged_is_refused_before_anything_is_drawn(
    run, rock, block, words, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(isolation, "call", lambda *_, **__: pytest.fail("something was drawn"))
    with pytest.raises(NothingToJudgeError, match=words):
        run(_split(rock, block), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("refused", ["no solid", "no pores", "few to test on"])
def test_the_command_proposes_options_that_would_do(refused, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    rock, block, _ = REFUSED[refused]
    np.save("rock.npy", rock)
    monkeypatch.setattr(
        "sys.argv", ["porebench", "--dataset", "rock.npy", "--generators", "pca", "--block", str(block), "--pore", "1"]
    )
    with pytest.raises(SystemExit) as end:
        main("evaluate")
    assert end.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    proposed = re.findall(r"--(axis|block) (\w+)", told)
    assert proposed
    options = {"block": block, **{name: int(value) if value.isdigit() else value for name, value in proposed}}
    check_judgeable(data.load("rock.npy", pore=1, **options))
    assert not (tmp_path / "results").exists()


def test_an_image_is_split_along_the_axis_asked_for() -> None:
    rock = _rock(40, 50, 60)
    train, validation, test = _split(rock, axis="height")
    whole = np.concatenate([data.blocks(rock[:, at : at + EDGE], EDGE) for at in range(0, 50, EDGE)])
    assert np.array_equal(np.concatenate([train.voxels, validation.voxels, test.voxels])[-24:], whole[-24:])
    assert (len(train), len(validation), len(test)) == (72, 24, 24)


def test_samples_that_are_too_few_for_a_band_are_refused(tiny) -> None:
    check_judgeable(tiny)
    with pytest.raises(NothingToJudgeError, match=r"differ: 0 of 0 in .*; add volumes"):
        check_judgeable(tiny, tiny.test.spread(2))


@pytest.mark.parametrize("name", data.NAMES)
def test_simulated_sets_can_be_judged(name) -> None:
    check_judgeable(data.load(name))


def test_volumes_of_one_density_can_be_judged_where_they_differ(tiny, tmp_path, own_cache) -> None:
    rng = np.random.default_rng(1)

    def part(n):
        return data.Volumes(data.simulate(np.full(n, 0.8), "spheres", rng, (12, 12, 12)), np.full(n, 0.8), name="one")

    one = data.Dataset(part(30), part(20), part(20), "one", "factor")
    outcomes = evaluate(one, ["reference", "noise"], tmp_path, Options(quick=True, workers=1))
    real, noise = (
        next(row["value"] for row in outcome.rows if row["metric"] == "nfr100" and row["band"] == "all")
        for outcome in outcomes
    )
    assert noise > 5 * real
