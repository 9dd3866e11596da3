"""A run that is killed at any moment, or has no room to write, loses at most the cell in progress."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from porebench import data
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.benchmarks.store import files
from porebench.benchmarks.store.cells import STAGES, Cells

KILLS = 24
NAMES = ("pca", "noise", "memoriser")


def _command(folder, out) -> list[str]:
    words = ["evaluate", "--quick", "--dataset", str(folder), "--generators", ",".join(NAMES), "--out", str(out)]
    return [sys.executable, "-m", "porebench.benchmarks.cli", *words]


def _start(command) -> subprocess.Popen:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, **quiet)  # noqa: S603


def _finished(run) -> set[tuple[str, str]]:
    """The cells that stand complete on disk; every record there is one."""
    found = set()
    for name in NAMES:
        cells = Cells(run, name)
        for stage in STAGES:
            if cells.record(stage).exists():
                assert cells.read(stage) is not None, f"{name} {stage} is damaged"
                found.add((name, stage))
    for path in (run / "manifest.json", run / "accuracy.csv"):
        if path.exists():
            assert path.read_text().endswith("\n")
    return found


@pytest.mark.slow
def test_killed_at_random_points_a_run_loses_nothing_finished(tiny, tmp_path) -> None:
    folder = tmp_path / "tiny-set"
    data.write_folder(data.Volumes(tiny.train.voxels, tiny.train.density), folder)
    began = time.monotonic()
    assert _start(_command(folder, tmp_path / "whole")).wait() == 0
    whole = time.monotonic() - began
    expected = (tmp_path / "whole" / "tiny-set" / "accuracy.csv").read_bytes()
    rng, killed, completed, out, before = random.Random(0), 0, 0, tmp_path / "out0", set()  # noqa: S311
    while killed < KILLS:
        run = _start(_command(folder, out))
        try:
            run.wait(rng.uniform(0.2, 0.9) * whole)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            killed += 1
        run.wait()
        now = _finished(out / "tiny-set")
        assert before <= now, f"lost {before - now}"
        before = now
        if run.returncode == 0:
            assert (out / "tiny-set" / "accuracy.csv").read_bytes() == expected
            completed += 1
            out, before = tmp_path / f"out{completed}", set()
    assert _start(_command(folder, out)).wait() == 0
    assert (out / "tiny-set" / "accuracy.csv").read_bytes() == expected
    assert not list(out.rglob(f"*{files.PART}"))
    assert killed == KILLS


@pytest.mark.parametrize("moment", ["while writing", "before renaming", "after renaming"])
def test_killed_in_the_middle_of_a_write_the_old_file_or_the_new_one_stands(moment, tmp_path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "old")
    kill = "os.kill(os.getpid(), 9)"
    code = {
        "while writing": f"files.write(path, lambda f: (f.write(b'ne'), f.flush(), {kill}))",
        "before renaming": f"Path.replace = lambda *_: {kill}; files.write_text(path, 'new')",
        "after renaming": f"files._flush_folder = lambda _: {kill}; files.write_text(path, 'new')",
    }[moment]
    imports = "import os; from pathlib import Path; from porebench.benchmarks.store import files"
    program = f"{imports}; path = Path({str(path)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", program], check=False)  # noqa: S603
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == ("new" if moment == "after renaming" else "old")
    files.sweep(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.usefixtures("own_cache")
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_from_there(tiny, tmp_path, monkeypatch) -> None:
    options = Options(quick=True, workers=1)
    evaluate(tiny, ["noise"], tmp_path, options)
    before = (tmp_path / "tiny" / "accuracy.csv").read_bytes()
    write = files.write_path

    def full(path, content):
        if path.name in {"describe.npz", "accuracy.csv"}:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write_path", full)
        with pytest.raises(OSError, match="No space left on device"):
            evaluate(tiny, ["memoriser"], tmp_path, options)
    assert (tmp_path / "tiny" / "accuracy.csv").read_bytes() == before
    evaluate(tiny, ["memoriser"], tmp_path, options)
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    assert [record["status"] for record in manifest["generators"].values()] == ["scored", "scored"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path) -> None:
    """A file stands where the results folder should: no permission is needed to see the message."""
    (tmp_path / "out").write_text("")
    done = subprocess.run(  # noqa: S603
        _command("spheres-small", tmp_path / "out"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "porebench: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_file_size_limit_stands_for_a_full_disk(tiny, tmp_path) -> None:
    """Real writes that fail halfway: samples are larger than the limit that the shell sets."""
    folder = tmp_path / "tiny-set"
    data.write_folder(data.Volumes(tiny.train.voxels, tiny.train.density), folder)
    limited = ["bash", "-c", 'ulimit -f 2; exec "$@"', "--", *_command(folder, tmp_path / "out")]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    _finished(tmp_path / "out" / "tiny-set")
    assert _start(_command(folder, tmp_path / "out")).wait() == 0
    assert np.isfinite(len(_finished(tmp_path / "out" / "tiny-set")))
