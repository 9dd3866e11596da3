import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from porebench.benchmarks.audit.status import dataset_of
from porebench.benchmarks.cli import main
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.store.results import PUBLISHED, data_folder, is_published, read_manifest, run_folder, writable
from porebench.benchmarks.studies.representative import representative

pytestmark = pytest.mark.usefixtures("own_cache")

QUICK = Options(quick=True, workers=1)


def _image(seed: int):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((96, 48, 48)), 1.5)
    return (smooth < np.quantile(smooth, 0.3)).astype(np.uint8)


def _run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["porebench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def _content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_data_sets_of_one_name_and_other_content_lie_beside_each_other(tiny, results) -> None:
    other = replace(tiny, train=tiny.train[::-1])
    beside = results / f"tiny-{other.digest()[:8]}"
    assert [run_folder(results, tiny, seed) for seed in (0, 3)] == [results / "tiny", results / "tiny" / "seed-3"]
    assert [run_folder(results, other, seed) for seed in (0, 3)] == [beside, beside / "seed-3"]


def test_of_data_sets_of_one_name_a_run_is_compared_with_its_own(tiny, results) -> None:
    other, run = replace(tiny, train=tiny.train[::-1]), read_manifest(results / "tiny")["run"]
    assert dataset_of(run, [other, tiny]) is tiny
    assert dataset_of(run, [other]) is other
    assert dataset_of({"dataset": "tiny", "test": "gone"}, [other, tiny]) is other


def test_studies_of_other_content_lie_beside_each_other_too(tiny, tmp_path) -> None:
    folder = data_folder(tmp_path, tiny)
    folder.mkdir()
    (folder / "grown.json").write_text(json.dumps({"run": {"test": "another"}}))
    assert data_folder(tmp_path, tiny) != folder
    (folder / "grown.json").write_text(json.dumps({"run": {"test": tiny.test.digest()}}))
    assert data_folder(tmp_path, tiny) == folder


def test_representative_tables_of_two_images_of_one_name_are_both_kept(tmp_path) -> None:
    for seed in (0, 1, 0):
        representative(_image(seed) > 0, tmp_path / "rock", QUICK, sizes=[24])
    assert len(list(tmp_path.glob("rock*/representative.csv"))) == 2


def test_published_tables_are_written_into_only_when_asked(tmp_path) -> None:
    assert writable(tmp_path) == tmp_path
    (tmp_path / PUBLISHED).write_text("")
    assert writable(tmp_path) == tmp_path / "own"
    assert writable(tmp_path, publish=True) == tmp_path
    assert writable(tmp_path / "own") == tmp_path / "own"
    assert is_published(tmp_path / "spheres" / "seed-1")


def test_a_run_beside_published_tables_leaves_them_alone_and_is_compared_with_them(
    tmp_path, monkeypatch, capsys
) -> None:
    results = tmp_path / "results"
    np.save(tmp_path / "rock.npy", _image(0))
    chosen = ["--dataset", tmp_path / "rock.npy", "--pore", 1, "--block", 12, "--generators", "noise", "--no-controls"]
    command = ["evaluate", *chosen, "--quick", "--fits", 1, "--out", results]
    assert _run(monkeypatch, *command, "--publish") == 0
    (results / PUBLISHED).write_text("")
    before = _content(results)
    capsys.readouterr()
    assert _run(monkeypatch, *command) == 0
    told = capsys.readouterr()
    assert {path: text for path, text in _content(results).items() if "own" not in path.parts} == before
    assert (results / "own" / "rock-12" / "accuracy.csv").is_file()
    assert "only --publish changes them" in told.err
    row = next(line.split() for line in told.out.splitlines() if line.startswith("noise") and line.endswith("yes"))
    assert row[1:4] == row[4:7]
    assert _run(monkeypatch, "report", "--results", results) == 0
    assert _run(monkeypatch, "rescore", results / "rock-12") == 2
    made = set(_content(results)) - set(before)
    assert {path.name for path in made if "own" not in path.parts} == {"report.html"}


@pytest.mark.parametrize(
    "command", ["evaluate", "representative", "validate", "intervals", "grow", "ablate", "scaling"]
)
def test_every_command_that_writes_tables_takes_publish(command, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert _run(monkeypatch, command, "--help") == 0
    assert "--publish" in capsys.readouterr().out
