"""What a run would take, what fits into a budget, and a run made again from its manifest."""

import json
from dataclasses import replace

import pytest

from porebench import data
from porebench.benchmarks.audit.compare import reproduce
from porebench.benchmarks.audit.estimate import Estimate, Estimates, estimate, within
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.store.results import run_folder

pytestmark = pytest.mark.usefixtures("own_cache")
QUICK = Options(quick=True, workers=1)


def _estimate(name: str, seconds: float, *, new: bool = True) -> Estimate:
    return Estimate(name, {"fit": seconds} if seconds != 0 else {}, (), new)


def test_new_and_short_rows_come_first_and_the_rest_is_named() -> None:
    many = [_estimate("long", 50), _estimate("again", 1, new=False), _estimate("short", 5), _estimate("kept", 0)]
    chosen, left = within(Estimates(10, [*many, _estimate("endless", float("inf"))]), 20)
    assert chosen == ["kept", "short", "again"]
    assert left == [
        "left out for want of time: long, about 50.0 s",
        "left out for want of time: endless, which no run has recorded yet",
    ]


def test_what_other_runs_recorded_is_an_estimate_and_finished_cells_cost_nothing(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    evaluate(replace(tiny, name="other"), ["pca"], tmp_path, QUICK)
    found = estimate(tiny, ["noise", "pca"], tmp_path, QUICK)
    noise, pca = found.generators
    assert noise.seconds == {}
    assert not noise.new
    assert set(pca.seconds) == {"fit", "sample", "reconstruct", "describe", "score"}
    assert 0 < pca.total < 1000
    table = found.table()
    assert table[2].startswith("| noise | fresh | fresh | – | fresh | fresh | 0.0 s |")


def test_a_row_of_several_fits_costs_nothing_until_draws_of_one_are_gone(tiny, tmp_path) -> None:
    options = replace(QUICK, fits=2)
    evaluate(tiny, ["pca"], tmp_path, options)
    (kept,) = estimate(tiny, ["pca"], tmp_path, options).generators
    assert kept.seconds == {}
    for file in run_folder(tmp_path, tiny, 0).glob("fits/*/cells/pca/sample*"):
        file.unlink()
    (gone,) = estimate(tiny, ["pca"], tmp_path, options).generators
    assert {"sample", "score"} <= set(gone.seconds)


def test_weights_at_hand_cost_no_fit(tiny, tmp_path) -> None:
    evaluate(tiny, ["pca"], tmp_path, QUICK)
    found = estimate(tiny, ["pca"], tmp_path / "elsewhere", QUICK).generators
    assert found[0].seconds["fit"] == 0


def test_what_no_run_has_recorded_is_not_known(tiny, tmp_path) -> None:
    (pca,) = estimate(tiny, ["pca"], tmp_path, QUICK).generators
    assert pca.total == float("inf")


def test_a_dry_run_makes_nothing(tiny, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(data, "load", lambda *_, **__: tiny)
    command = f"porebench evaluate --generators noise --quick --dry-run --out {tmp_path / 'results'}"
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert "| noise | " in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "with_controls"),
    [
        ("--generators noise --quick", False),
        ("--generators noise --quick --controls", True),
        ("--generators noise", True),
        ("--quick", True),
    ],
)
def test_a_quick_look_at_named_generators_is_at_those_alone(
    tiny, tmp_path, monkeypatch, capsys, words, with_controls
) -> None:
    monkeypatch.setattr(data, "load", lambda *_, **__: tiny)
    monkeypatch.setattr("sys.argv", f"porebench evaluate {words} --dry-run --out {tmp_path / 'results'}".split())
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert ("| twin | " in capsys.readouterr().out) is with_controls


def test_a_run_is_reproduced_and_differences_are_said(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    folder = run_folder(tmp_path, tiny, 0)
    lines = dict(reproduce(folder, [tiny], [], None))
    assert lines["data: the same"]
    assert any("tiny noise: 0 of " in line for line in lines)
    assert all(lines.values())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["generators"]["noise"]["versions"]["numpy"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    table = (folder / "accuracy.csv").read_text().splitlines()
    row = next(index for index, line in enumerate(table) if line.startswith("noise,all,nfr100,"))
    table[row] = "noise,all,nfr100,1.0,0.9,1.1,50,50"
    (folder / "accuracy.csv").write_text("\n".join(table) + "\n")
    again = dict(reproduce(folder, [tiny], [], tmp_path / "again"))
    assert any(line.startswith("numpy: before 1.0, now ") for line in again)
    assert any("  nfr100 all: 1 -> " in line and not same for line, same in again.items())
    assert (tmp_path / "again" / "tiny" / "accuracy.csv").is_file()


def test_a_run_whose_data_are_elsewhere_cannot_be_reproduced(tiny, tmp_path) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    with pytest.raises(ValueError, match="give it with --dataset"):
        list(reproduce(tmp_path / "tiny", [], [], None))
