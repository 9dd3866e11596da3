"""What is finished is kept, and only what is stale is made again."""

import json

import numpy as np
import pytest

from porebench.benchmarks.evaluate import fits, isolation
from porebench.benchmarks.evaluate import score as module
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.store import files, provenance
from porebench.benchmarks.store.cells import Cells, changed
from porebench.benchmarks.store.places import Places
from porebench.data.packed import load_samples

pytestmark = pytest.mark.usefixtures("own_cache")

QUICK = Options(quick=True, workers=1)


@pytest.fixture
def work(monkeypatch):
    """Which expensive steps were taken, by name."""
    done = []

    def watched(owner, name):
        original = getattr(owner, name)

        def call(*args, **kwargs):
            done.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    watched(isolation, "call")
    watched(module, "describe")
    watched(module, "score")
    return done


def test_a_second_run_computes_nothing_and_writes_the_same_table(tiny, tmp_path, work) -> None:
    evaluate(tiny, ["pca", "noise"], tmp_path, QUICK)
    first = (tmp_path / "tiny" / "accuracy.csv").read_bytes()
    manifest = (tmp_path / "tiny" / "manifest.json").read_text()
    work.clear()
    outcomes = evaluate(tiny, ["pca", "noise"], tmp_path, QUICK)
    assert work == []
    assert not any(outcome.failed for outcome in outcomes)
    assert (tmp_path / "tiny" / "accuracy.csv").read_bytes() == first
    assert (tmp_path / "tiny" / "manifest.json").read_text() == manifest


def test_rows_lost_with_the_table_come_back_from_the_cells(tiny, tmp_path, work) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    first = (tmp_path / "tiny" / "accuracy.csv").read_bytes()
    for name in ("accuracy.csv", "manifest.json", "accuracy.md"):
        (tmp_path / "tiny" / name).unlink()
    work.clear()
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    assert work == []
    assert (tmp_path / "tiny" / "accuracy.csv").read_bytes() == first


def test_changed_metrics_score_the_stored_samples_again(tiny, tmp_path, work, monkeypatch) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    work.clear()
    monkeypatch.setattr(module, "code_digest", lambda *_: "another")
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    assert set(work) == {"describe", "score"}


def test_a_changed_generator_is_fitted_and_drawn_again(tiny, tmp_path, half_file) -> None:
    code, times = half_file.read_text(), []
    for change in "001":
        half_file.write_text(code.replace("< self.mean_", f"< self.mean_ + {change}e-9") + f"\nUNUSED = {len(times)}\n")
        (outcome,) = evaluate(tiny, [f"{half_file}:Half"], tmp_path, QUICK)
        assert not outcome.failed
        kept = Cells(tmp_path / "tiny", "half")
        times.append([kept.record(stage).stat().st_mtime_ns for stage in ("fit", "sample")])
    assert times[0] == times[1]
    assert all(earlier < later for earlier, later in zip(times[1], times[2], strict=True))


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damaged_samples_are_drawn_again(tiny, tmp_path, work, damage) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    path = Cells(tmp_path / "tiny", "noise").arrays("sample")
    good = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(good[:100] if damage == "cut" else good[:200] + bytes([good[200] ^ 1]) + good[201:])
    work.clear()
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    assert work == ["call"]
    assert load_samples(path).shape == tiny.test.shape


def test_a_damaged_record_counts_as_missing(tiny, tmp_path, work, caplog) -> None:
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    Cells(tmp_path / "tiny", "noise").record("score").write_text('{"stage": "sc')
    work.clear()
    evaluate(tiny, ["noise"], tmp_path, QUICK)
    assert work == ["score"]
    assert "cannot be read" in caplog.text


def test_the_row_of_long_trained_weights_stays_while_nothing_has_changed(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("porebench.generators.pca.PCASampler.trained_on_request", True)
    fits.fitted("pca", tiny, refit=True)
    (before,) = evaluate(tiny, ["pca"], tmp_path, QUICK)
    for path in (Places().cache, tmp_path / "tiny" / "cells", tmp_path / "tiny" / "samples"):
        path.rename(tmp_path / f"away-{path.name}")
    (after,) = evaluate(tiny, ["pca"], tmp_path, QUICK)
    assert not after.failed
    for each in (before, after):
        for stage in ("calibration", "overlap"):  # made afresh, of a fit that is at hand and of no reconstructions
            del each.record["cells"][stage]
    assert after.record == before.record
    monkeypatch.setattr(fits, "code_digest", lambda *_: "changed")
    (changed_code,) = evaluate(tiny, ["pca"], tmp_path, QUICK)
    assert changed_code.failed
    assert "porebench train pca" in changed_code.record["reason"]


def test_another_seed_has_a_folder_of_its_own(tiny, tmp_path) -> None:
    for seed in (0, 3):
        evaluate(tiny, ["noise"], tmp_path, Options(quick=True, workers=1, seed=seed))
    tables = [(tmp_path / "tiny" / folder / "accuracy.csv").read_text() for folder in ("", "seed-3")]
    assert tables[0] != tables[1]
    assert json.loads((tmp_path / "tiny" / "manifest.json").read_text())["run"]["seed"] == 0


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def fails(file):
        file.write(b"new")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write(path, fails)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_half_written_files_of_killed_runs_are_swept(tmp_path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / f".sample.npz-1-1{files.PART}").write_bytes(b"half")
    files.sweep(tmp_path)
    assert list((tmp_path / "cells").iterdir()) == []


def test_changed_inputs_are_named() -> None:
    assert changed({"data": "a", "seed": "0"}, {"data": "a", "seed": "1", "weights": "w"}) == ["seed", "weights"]


def test_packages_are_named_without_their_build(monkeypatch) -> None:
    provenance.versions.cache_clear()
    monkeypatch.setattr(provenance, "version", lambda name: "2.13.0+cpu")
    assert provenance.packages(("torch",)) == "torch 2.13.0"
    provenance.versions.cache_clear()


def test_numbers_survive_the_record_exactly(tmp_path) -> None:
    kept = Cells(tmp_path, "g")
    value = float(np.nextafter(0.1, 1))
    kept.finish("score", {"a": "b"}, {"rows": [{"value": value, "n": np.int64(3)}]}, 0.0)
    cell = kept.read("score")
    assert cell is not None
    assert cell.output["rows"] == [{"value": value, "n": 3}]
