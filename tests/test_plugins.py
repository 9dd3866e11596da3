"""A generator in a user's own file: its neighbours are importable, and docs/plugins.md explains every refusal."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from porebench import generators
from porebench.benchmarks.evaluate import isolation
from porebench.benchmarks.evaluate.draw import draw
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate

pytestmark = pytest.mark.usefixtures("own_cache")

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
QUICK = Options(quick=True, workers=1)
GOOD = """
import sys
import numpy as np, torch
from porebench.generators import Generator

class Mine(Generator):
    name = "mine"
    def _fit(self, volumes, density, rng):
        self.mean_ = float(volumes.mean())
    def _sample(self, density, shape, rng):
        drawn = rng.random((len(density), *shape)) < density[:, None, None, None]
        return drawn
"""
FAULTS = {
    "not derived": ("class Mine(Generator):", "class Mine:"),
    "no name": ('name = "mine"', "pass"),
    "a registered name": ('name = "mine"', 'name = "pca"'),
    "an abstract method left": ("def _sample", "def sample_volumes"),
    "an argument without default": ("    def _fit", "    def __init__(self, weights): pass\n    def _fit"),
    "any arguments": ("    def _fit", "    def __init__(self, **options): pass\n    def _fit"),
    "the former import": ("from porebench.generators", "from generators"),
    "a missing module": ("import sys", "import no_such_module"),
    "an exit at import": ("import sys", "import sys; sys.exit()"),
    "prints at import": ("import sys", "print('loading weights')"),
    "an exit in the fit": ("self.mean_ = float(volumes.mean())", "sys.exit('no weights')"),
    "global random numbers": ("rng.random((len(density), *shape))", "np.random.rand(len(density), *shape)"),
    "probabilities": ("return drawn", "return 0.5 * drawn"),
    "grey values": ("return drawn", "return 255 * drawn.astype('uint8')"),
    "not a number": ("return drawn", "return np.where(drawn, np.nan, 0)"),
    "channels": ("return drawn", "return np.stack([drawn, ~drawn], axis=1)"),
    "a fixed batch": ("return drawn", "return drawn[:1]"),
    "a Python generator": ("return drawn", "return (volume for volume in drawn)"),
    "an object": ("self.mean_ = float(volumes.mean())", "self.network_ = torch.nn.Identity()"),
}


def _told(fault: str, tiny, folder: Path, caplog) -> str:
    """Return what is said of a generator with a fault."""
    folder.mkdir()
    (folder / "mine.py").write_text(GOOD.replace(*FAULTS[fault], 1) if fault else GOOD)
    caplog.clear()
    try:
        draw(f"{folder / 'mine.py'}:Mine", tiny, folder, QUICK, False, lambda **_: None)
    except BaseException as error:  # as in a process of its own
        return isolation._reason(error, None)
    return "; ".join(record.getMessage() for record in caplog.records)


def test_the_page_quotes_what_is_said_of_each_fault_and_nothing_else(tiny, tmp_path, caplog, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if Path(place).resolve() != PAGE.parents[1]])
    said = {fault: _told(fault, tiny, tmp_path / fault.replace(" ", "-"), caplog) for fault in FAULTS}
    quoted = re.findall(r"^> (.+)$", PAGE.read_text(), re.MULTILINE)
    assert all(said.values()), said
    assert sorted(quoted) == sorted(set(said.values()))


def test_nothing_is_said_of_a_generator_without_fault(tiny, tmp_path, caplog) -> None:
    assert not _told("", tiny, tmp_path / "good", caplog)


@pytest.mark.parametrize(
    "answer",
    [
        "list(drawn)",
        "torch.from_numpy(drawn)",
        "drawn.copy(order='F')",
        "drawn.astype('uint8')",
        "1.0 * drawn",
        "drawn[:, None]",
    ],
)
def test_arrays_in_other_shells_are_taken(answer, tiny, tmp_path, caplog, monkeypatch) -> None:
    monkeypatch.setitem(FAULTS, "shell", ("return drawn", f"return {answer}"))
    assert not _told("shell", tiny, tmp_path / "good", caplog)


def test_neighbours_are_importable_while_a_generator_is_loaded_and_runs(tiny, tmp_path) -> None:
    (tmp_path / "neighbour_at_import.py").write_text("SHARE = 1.0\n")
    (tmp_path / "neighbour_at_work.py").write_text("SHARE = 0.5\n")
    text = GOOD.replace("import sys", "from neighbour_at_import import SHARE")
    text = text.replace(
        "return drawn", "import neighbour_at_work\n        return drawn & (SHARE > neighbour_at_work.SHARE)"
    )
    (tmp_path / "mine.py").write_text(text)
    before = list(sys.path)
    (outcome,) = evaluate(tiny, [f"{tmp_path / 'mine.py'}:Mine"], tmp_path / "results", QUICK)
    assert not outcome.failed, outcome.record
    generators.from_file(f"{tmp_path / 'mine.py'}:Mine")
    assert sys.path == before


def test_a_file_that_failed_to_load_fails_again_with_the_same_reason(tmp_path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError('the first line')")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the first line"):
            generators.from_file(f"{tmp_path / 'mine.py'}:Mine")


def test_what_a_generator_prints_does_not_mix_with_the_table() -> None:
    code = "from porebench.benchmarks.evaluate import isolation; isolation.call(print, 'sampling')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert "sampling" in done.stderr
    assert done.stdout == ""
