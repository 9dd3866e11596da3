"""How the speed benchmarks keep time: several blocks, a random order in each, the same output every time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from porebench.benchmarks.speed.conftest import BLOCKS
from porebench.benchmarks.store.timings import merged, voxel_facts

ROOT = Path(__file__).resolve().parent.parent
FILE = """
import numpy as np
import pytest
from porebench.benchmarks.store.timings import voxel_facts

@pytest.mark.parametrize("name", ["a", "b", "c", "d"])
def test_speed(measure, name):
    drawn = np.zeros((1, 2, 2, 2), dtype=bool)
    drawn[0, 0] = True
    measure(lambda: drawn, 1, check=voxel_facts, generator=name, params={})

def test_changing(measure):
    facts = iter(range(1000))
    measure(lambda: None, 1, check=lambda _: {"output": next(facts)}, generator="e", params={})
"""


def test_every_benchmark_runs_in_every_block_in_another_order(tmp_path) -> None:
    (tmp_path / "test_it.py").write_text(FILE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "porebench.benchmarks.speed.conftest",
        "-p",
        "no:cacheprovider",
        "test_it.py",
    ]
    command += ["-q", "-rf", "--benchmark-json=times.json"]
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}  # nobody's worker
    alone["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(  # noqa: S603
        command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False
    )
    assert f"{4 * BLOCKS} passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("the same call gave another result") >= BLOCKS
    written = json.loads((tmp_path / "times.json").read_text())
    assert "node" not in written["machine_info"]
    assert written["machine_info"]["processor_kind"]
    timed = written["benchmarks"]
    steady = [bench for bench in timed if bench["extra_info"].get("generator") in list("abcd")]
    blocks = [[b["extra_info"]["generator"] for b in steady if b["extra_info"]["block"] == i] for i in range(BLOCKS)]
    assert [sorted(block) for block in blocks] == [list("abcd")] * BLOCKS
    assert len({tuple(block) for block in blocks}) > 1
    for timing in merged(steady):
        assert sorted(timing.blocks) == list(range(BLOCKS))
        assert timing.info["porosity"] == 0.5
        assert timing.info["first_call_seconds"] > 0
        assert timing.spread >= 0


def test_another_voxel_is_another_digest() -> None:
    drawn = np.zeros((2, 3, 3, 3), dtype=bool)
    other = drawn.copy()
    other[1, 2, 2, 2] = True
    assert voxel_facts(drawn)["output"] != voxel_facts(other)["output"]
    assert voxel_facts(other)["porosity"] == pytest.approx(1 / 54)
