"""What several test files share: generators by case, fitted once a session, and one that follows a script."""

from __future__ import annotations

import functools
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from porebench import data, generators
from porebench.benchmarks.evaluate.options import Options
from porebench.benchmarks.evaluate.run import evaluate
from porebench.generators import Generator

SHAPE = (8, 9, 10)

torch.set_num_threads(1)  # the tests themselves run side by side

OWN = '''
"""A generator in a user's own file: two private methods and a name."""

import numpy as np

from porebench.generators import Generator


class Runs(Generator):
    """One run of pore voxels, of the length that the porosity law asks for, from a random place on."""

    name = "runs"

    def __init__(self, *, longest: float = 1.0) -> None:
        self.longest = longest

    def _fit(self, volumes, density, rng):
        self.most_ = int(self.longest * volumes[0].size)

    def _sample(self, density, shape, rng):
        voxels = int(np.prod(shape))
        pores = np.minimum(self.law_.pore_voxels(density, voxels), self.most_)
        after = (np.arange(voxels) - rng.integers(voxels, size=(len(density), 1))) % voxels
        return (after < pores[:, None]).reshape(-1, *shape)
'''

HALF = """
from porebench.generators import Generator

class Half(Generator):
    name = "half"
    def _fit(self, volumes, density, rng):
        self.mean_ = float(volumes.mean())
    def _sample(self, density, shape, rng):
        return rng.random((len(density), *shape)) < self.mean_
"""

SMALL: dict[str, dict[str, Any]] = {
    "cvae": {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1, "epochs": 1, "batch_size": 8, "refine_epochs": 2},
    "cvae-prior": {"epochs": 1, "refine_epochs": 2},
    "cvae-seed": {"epochs": 1, "latent": 8},
    "autoregressive": {"width": 8, "blocks": 1, "epochs": 2, "batch_size": 4, "learning_rate": 2e-2},
    "flow-matching": {"width": 8, "blocks": 1, "epochs": 1, "batch_size": 4, "steps": 3},
    "discrete-diffusion": {"width": 8, "blocks": 1, "epochs": 1, "batch_size": 4, "steps": 3},
    "neural-texture": {"width": 8, "blocks": 1, "epochs": 1, "batch_size": 4, "projections": 8},
    "gan": {"width": 8, "blocks": 1, "critic_width": 4, "epochs": 1, "batch_size": 4},
    "slice-gan": {"width": 8, "blocks": 1, "critic_width": 4, "epochs": 1, "batch_size": 4},
}
"""Settings that make slow generators fast enough for a test."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "reference-simulated": ("reference", {"simulator": "spheres"}),
    "sphere-packing-hard": ("sphere-packing", {"overlap": False}),
    "gaussian-field-plain": ("gaussian-field", {"isotropic": False, "walls": False}),
}
"""Settings that lead to other code, by the name of the case."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--generator",
        action="append",
        default=[],
        metavar="FILE.py:CLASS",
        help="another generator to run the contract tests on (may be repeated)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = [*generators.GENERATORS, *VARIANTS, "own", *metafunc.config.getoption("--generator")]
        metafunc.parametrize("case", cases, scope="session")


@pytest.fixture(scope="session")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a generator that is not registered."""
    file = tmp_path_factory.mktemp("own") / "runs.py"
    file.write_text(OWN)
    return file


@pytest.fixture
def half_file(tmp_path: Path) -> Path:
    """A file of the test's own with the shortest generator, Half, to be added to."""
    file = tmp_path / "mine.py"
    file.write_text(HALF)
    return file


@pytest.fixture(scope="session")
def reference_of(own_file: Path) -> Callable[[str], str]:
    """The registered name or ``path/to/file.py:Class`` of a case."""

    def of(case: str) -> str:
        return f"{own_file}:Runs" if case == "own" else VARIANTS.get(case, (case, {}))[0]

    return of


@pytest.fixture(scope="session")
def make(reference_of: Callable[[str], str]) -> Callable[[str], Generator]:
    """An unfitted generator of a case."""

    from_file = functools.cache(generators.from_file)  # a file that is run again gives another class

    def of(case: str) -> Generator:
        reference = reference_of(case)
        found = from_file(reference) if ":" in reference else generators.get(reference)
        return found(**VARIANTS[case][1] if case in VARIANTS else SMALL.get(case, {}))

    return of


@pytest.fixture(scope="session")
def training() -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Sphere packs with three different edge lengths, so that swapped axes show."""
    density = np.random.default_rng(0).permutation(np.linspace(0.3, 1, 24))
    return data.simulate(density, "spheres", rng=1, shape=SHAPE), density


@pytest.fixture(scope="session")
def fitted(
    make: Callable[[str], Generator], training: tuple[NDArray[np.bool_], NDArray[np.float64]]
) -> Callable[[str], Generator]:
    """The generator of a case, fitted once a session; do not change it."""
    known: dict[str, Generator] = {}

    def of(case: str) -> Generator:
        if case not in known:
            known[case] = make(case).fit(*training, rng=2)
        return known[case]

    return of


@pytest.fixture(scope="session")
def other_process() -> Iterator[ProcessPoolExecutor]:
    """A single process that starts from nothing, as on platforms without fork."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def _part(n: int, seed: int) -> data.Volumes:
    rng = np.random.default_rng(seed)
    density = rng.permutation((np.arange(n) + 0.5) / n)
    return data.Volumes(data.simulate(density, "spheres", rng, shape=(12, 12, 12)), density, name="tiny")


@pytest.fixture(scope="session")
def tiny() -> data.Dataset:
    """A data set that a run takes a second for."""
    return data.Dataset(_part(60, 0), _part(40, 1), _part(50, 2), "tiny", "factor")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits are kept in a folder of the test's own."""
    monkeypatch.setenv("POREBENCH_CACHE", str(tmp_path / "fits"))


@pytest.fixture(scope="session")
def results(tiny: data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small results folder, as ``evaluate`` and the speed benchmarks leave it; do not change it."""
    folder = tmp_path_factory.mktemp("small") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POREBENCH_CACHE", str(folder.parent / "fits"))
        evaluate(
            tiny, ["reference", "pca", "noise"], folder, Options(quick=True, workers=1), command="porebench evaluate"
        )
    run = {
        "datetime": "2026-01-01T00:00:00",
        "machine_info": {"processor": "a processor", "threads": 2, "commit": "abc"},
        "benchmarks": [_speed("pca", 1, 100.0), _speed("pca", 64, 600.0), _speed("porespy blobs", 64, 200.0, "peers")],
    }
    (folder / "speed").mkdir()
    (folder / "speed" / "cpu.json").write_text(json.dumps(run))
    return folder


@pytest.fixture(scope="session")
def finished(tiny: data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A run of some generators on the small data set, with the fits that it kept, made once; do not change it."""

    @functools.cache
    def of(*references: str) -> Path:
        folder = tmp_path_factory.mktemp("finished")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("POREBENCH_CACHE", str(folder / "fits"))
            evaluate(tiny, references, folder / "results", Options(quick=True, workers=1))
        return folder

    return of


@pytest.fixture
def own_copy(finished: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A copy of such a run's results for one test to change, with its fits at hand."""

    def of(*references: str) -> Path:
        copy = tmp_path / "copy"
        shutil.copytree(finished(*references), copy)
        monkeypatch.setenv("POREBENCH_CACHE", str(copy / "fits"))
        return copy / "results"

    return of


def _speed(name: str, volumes: int, rate: float, group: str = "sampling") -> dict[str, Any]:
    return {
        "group": group,
        "params": {"device": "cpu"} if group == "sampling" else None,
        "stats": {"median": volumes / rate, "iqr": 0.0, "data": [1.0]},
        "extra_info": {
            "generator": name,
            "volumes": volumes,
            "volumes_per_second": rate,
            "device": "a processor",
            "devices": ["cpu"],
            "digest": "",
        },
    }


class ReplayGenerator(Generator):
    """Draws what it was told to, one item a call, and keeps a record of the calls."""

    name = "replay"

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.calls: list[tuple[str, Any]] = []

    def _fit(self, volumes: NDArray[np.bool_], density: NDArray[np.float64], rng: np.random.Generator) -> None:
        self.calls.append(("fit", (volumes, density, rng)))

    def _sample(
        self, density: NDArray[np.float64], shape: tuple[int, int, int], rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        self.calls.append(("sample", (density, shape, rng)))
        return self.script.pop(0)


@pytest.fixture
def replay(training: tuple[NDArray[np.bool_], NDArray[np.float64]]) -> ReplayGenerator:
    """A fitted generator whose draws are the items of ``script``."""
    return ReplayGenerator().fit(*training, rng=0)
