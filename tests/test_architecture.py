"""Imports point one way and in no circle, and generators run where PoreSpy is not installed."""

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("data", "generators", "metrics", "benchmarks")
FORBIDDEN = {"generators": {"porespy", "skimage"}, "data": {"porespy", "torch"}}


def _imported(file: Path) -> set[str]:
    """Packages that a file imports, at any depth of it; those of porebench without its name."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("porebench.").split(".")[0] for name in names}


def _files(package: str) -> list[Path]:
    return [file for file in (ROOT / package).rglob("*.py") if not file.name.startswith("test_")]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_none_of_what_they_must_do_without(package) -> None:
    assert _files(package)
    for file in _files(package):
        assert not _imported(file) & FORBIDDEN[package], file.relative_to(ROOT)


def test_porespy_is_imported_to_be_timed_and_for_the_network_of_pores_alone() -> None:
    users = {
        str(file.relative_to(ROOT)) for package in PACKAGES for file in _files(package) if "porespy" in _imported(file)
    }
    assert users == {"benchmarks/speed/peers.py", "metrics/pore_network.py"}


def test_one_file_of_the_project_imports_numba() -> None:
    files = [file for package in ("data", "generators", "metrics", "benchmarks") for file in _files(package)]
    assert [file.name for file in files if "numba" in _imported(file)] == ["compile.py"]


def test_modules_import_each_other_in_no_circle() -> None:
    graph = grimp.build_graph("porebench", cache_dir=None)
    assert len(graph.modules) > 80
    TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}).prepare()


def test_results_are_never_imported() -> None:
    assert not [file for file in ROOT.glob("tests/*.py") if "results" in _imported(file)]
    assert not list((ROOT / "results").rglob("*.py"))


def test_generators_are_imported_fitted_and_sampled_without_porespy_or_metrics() -> None:
    code = """
import numpy as np
from porebench import data, generators
density = np.linspace(0.3, 1, 6)
volumes = data.simulate(density, rng=0, shape=(8, 9, 10))
for name in generators.GENERATORS:
    generators.get(name)
for name in ("sphere-packing", "gaussian-field", "pca", "reference", "memoriser", "noise"):
    generators.get(name)().fit(volumes, density, rng=0).sample(0.9, 2, rng=1)
"""
    _run(code, unwanted=("porespy", "pytorch_lightning", "porebench.metrics", "porebench.benchmarks"))


def test_speed_is_timed_where_numba_is_not_installed_of_generators_that_do_without() -> None:
    code = """
import sys
sys.modules["numba"] = None
from porebench.benchmarks.speed.conftest import samples_on
assert samples_on("cvae", "cuda") and samples_on("gaussian-field", "cuda") and not samples_on("annealing", "cpu")
"""
    _run(code, unwanted=("porespy",))


def test_the_command_starts_without_what_only_some_commands_need() -> None:
    heavy = ("porespy", "numba", "skimage", "torch", "pytorch_lightning", "scipy", "pandas", "matplotlib", "pyvista")
    _run("import porebench.benchmarks.cli", unwanted=(*heavy, "plotly", "sklearn"))


def test_the_evaluation_loads_no_page_no_study_no_clock_and_no_lightning() -> None:
    rooms = ("report.page", "report.figures", "report.speed", "studies", "speed", "audit", "cli")
    unwanted = ["pytorch_lightning", *(f"porebench.benchmarks.{room}" for room in rooms)]
    _run("import porebench.benchmarks.evaluate.run", unwanted=unwanted)


def test_volumes_drawn_elsewhere_are_scored_without_torch_and_porespy() -> None:
    code = """
import numpy as np
from porebench.benchmarks.evaluate.outside import quick_densities, quick_score
shape = (len(quick_densities("spheres")), 30, 30, 30)
assert quick_score(np.random.default_rng(0).random(shape) < 0.1, "spheres")["nfr100"] > 10
"""
    _run(code, unwanted=("torch", "pytorch_lightning", "safetensors", "porespy", "matplotlib", "plotly", "pyvista"))


@pytest.mark.parametrize("package", ["data", "generators", "metrics"])
def test_a_package_imported_by_its_folder_is_refused_with_its_right_name(package) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", f"import {package}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert f"ImportError: import porebench.{package}, not {package}" in done.stderr


def _run(code: str, unwanted) -> None:
    """Run code in a process of its own, which must not load some modules."""
    check = f"\nimport sys\nloaded = {set(unwanted)!r} & set(sys.modules)\nassert not loaded, loaded"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
