"""Whatever one generator does, it becomes a row with phase and reason, and the others go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from porebench.benchmarks.cli.parameters import seconds, size
from porebench.benchmarks.evaluate import isolation
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate

pytestmark = pytest.mark.usefixtures("own_cache")

FAULTS = """
import ctypes, os, signal, subprocess, sys, threading, time
import numpy as np
from porebench.generators import Generator

class Good(Generator):
    name = "good"
    def _fit(self, volumes, density, rng):
        self.mean_ = float(volumes.mean())
    def _sample(self, density, shape, rng):
        return rng.random((len(density), *shape)) < self.mean_

def fault(fit=None, sample=None):
    class Faulty(Good):
        name = sys._getframe(1).f_lineno and "faulty"
        def _fit(self, volumes, density, rng):
            super()._fit(volumes, density, rng)
            if fit: fit()
        def _sample(self, density, shape, rng):
            good = super()._sample(density, shape, rng)
            return sample(good) if sample else good
    return Faulty

def raises(error):
    def act(*_):
        raise error
    return act

Segfault = fault(sample=lambda _: ctypes.string_at(0))
Abort = fault(fit=os.abort)
Exit = fault(fit=lambda: os._exit(0))
SystemExits = fault(sample=raises(SystemExit(3)))
Interrupts = fault(sample=raises(KeyboardInterrupt()))
Killed = fault(sample=lambda _: os.kill(os.getpid(), signal.SIGKILL))
Hangs = fault(sample=lambda _: time.sleep(1000))
Greedy = fault(sample=lambda _: np.ones(10**10))
WrongShape = fault(sample=lambda good: good[:, :1, :1])
TooFew = fault(sample=lambda good: good[:-1])
NotBinary = fault(sample=lambda good: good.astype(np.int16) * 7)
NotANumber = fault(sample=lambda good: np.where(good, np.nan, 0.0))
NotAnArray = fault(sample=lambda good: "pores")
Nothing = fault(sample=lambda good: None)
Mute = fault(fit=raises(RuntimeError()))
Asserts = fault(sample=raises(AssertionError()))
Recurses = fault(sample=lambda good: (lambda f: f(f))(lambda f: f(f)))
Noisy = fault(fit=lambda: os.write(1, b"\\x00{}"), sample=raises(ValueError("said why")))
Closes = fault(fit=lambda: os.closerange(3, 256))

class BadPath(Good):
    name = "../../escape"

class Impostor(Good):
    name = "pca"

class NeedsArguments(Good):
    def __init__(self, must):
        self.must = must

not_a_class = 3
"""

EXPECTED = {
    "Segfault": ("sample", "was killed by SIGSEGV"),
    "Abort": ("fit", "was killed by SIGABRT"),
    "Exit": ("fit", "ended without a result (exit code 0)"),
    "SystemExits": ("sample", "called sys.exit(3); raise an error instead"),
    "Interrupts": ("sample", "KeyboardInterrupt"),
    "Killed": ("sample", "was killed by SIGKILL, perhaps for want of memory"),
    "Greedy": ("sample", "ran out of memory (the limit is 4.0 GB)"),
    "WrongShape": ("sample", "drew an array of shape (50, 1, 1, 12), expected (50, 12, 12, 12)"),
    "TooFew": ("sample", "drew an array of shape (49, 12, 12, 12), expected (50, 12, 12, 12)"),
    "NotBinary": ("sample", "got dtype int16 with values other than 0 and 1"),
    "NotANumber": ("sample", "got dtype float64 with NaN or infinite values"),
    "NotAnArray": ("sample", "got dtype <U5"),
    "Nothing": ("sample", "got dtype object"),
    "Mute": ("fit", "RuntimeError"),
    "Asserts": ("sample", "AssertionError"),
    "Recurses": ("sample", "maximum recursion depth exceeded"),
    "Noisy": ("sample", "said why"),
    "Closes": ("fit", "ended without a result"),
    "BadPath": ("load", "needs a class attribute `name`"),
    "Impostor": ("load", "like a registered generator"),
    "NeedsArguments": ("load", "cannot be made without 'must'; give it a default"),
    "not_a_class": ("load", "is not a class derived from"),
    "Absent": ("load", "is not a class derived from"),
}
LIMITS = Options(quick=True, workers=1, memory=4 * 10**9)


@pytest.fixture(scope="module")
def faults(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("faults") / "faults.py"
    file.write_text(FAULTS)
    return file


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_is_a_row_with_phase_and_reason(fault, faults, tiny) -> None:
    phase, reason = EXPECTED[fault]
    out = faults.parent
    (outcome,) = evaluate(tiny, [f"{faults}:{fault}"], out, LIMITS)
    assert outcome.failed
    assert outcome.record["phase"] == phase, outcome.record
    assert reason in outcome.record["reason"]
    assert outcome.record["seconds"] >= 0
    assert "| " in (out / "tiny" / "accuracy.md").read_text().partition("## Failed")[2]


@pytest.mark.parametrize("content", ["raise RuntimeError('at import')", "import os; os._exit(5)", "def ("])
def test_a_file_that_cannot_be_loaded_is_a_row(content, faults, tiny, tmp_path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(content)
    (outcome,) = evaluate(tiny, [f"{file}:A"], faults.parent, LIMITS)
    assert (outcome.generator, outcome.record["phase"]) == ("A", "load")
    assert any(words in outcome.record["reason"] for words in ("at import", "exit code 5", "invalid syntax"))


def test_a_generator_that_hangs_is_stopped_and_the_others_are_scored(faults, tiny, tmp_path) -> None:
    references = [f"{faults}:Hangs", f"{faults}:Segfault", "noise", f"{faults}:Good"]
    outcomes = evaluate(tiny, references, tmp_path, Options(quick=True, workers=1, timeout=3))
    assert [outcome.failed for outcome in outcomes] == [True, True, False, False]
    assert outcomes[0].record["reason"] == "took longer than 3 s and was stopped"
    alone = evaluate(tiny, ["noise"], tmp_path / "alone", Options(quick=True, workers=1))
    assert alone[0].rows == outcomes[2].rows


@pytest.mark.slow
def test_an_interrupted_run_ends_its_processes_and_keeps_finished_rows(faults, tmp_path) -> None:
    mark = tmp_path / "pid"
    file = tmp_path / "waits.py"
    file.write_text(
        FAULTS
        + f"\nWaits = fault(sample=lambda _: (open({str(mark)!r}, 'w').write(str(os.getpid())), time.sleep(1000)))"
    )
    command = [sys.executable, "-m", "porebench.benchmarks.cli", "evaluate", "--samples", "20", "--quick", "--dataset"]
    command += ["spheres-small", "--generators", "noise", "--generator", f"{file}:Waits", "--out", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:  # noqa: S603
        while not (mark.is_file() and mark.read_text()):
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        assert "the same command goes on from there" in " ".join(run.stderr.read().split())
        assert run.wait(60) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert "| noise |" in (tmp_path / "spheres-small" / "accuracy.md").read_text()


def _told(tell) -> int:
    tell(phase="one")
    tell(name="n")
    return os.getpid()


def test_results_and_facts_come_back_from_another_process() -> None:
    process, facts = isolation.call(_told)
    assert process != os.getpid()
    assert facts == {"phase": "one", "name": "n"}


@pytest.mark.parametrize("text", ["", "0", "-3", "h", "3 weeks", "1e3", "nan", "²"])
def test_what_is_no_duration_or_size_is_refused(text) -> None:
    for parse in (seconds, size):
        with pytest.raises(ValueError, match="expected a"):
            parse(text)
