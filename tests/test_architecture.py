"""Imports point one way, and generators run where porespy is not installed."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "data": {"data"},
    "generators": {"data", "generators"},
    "metrics": {"data", "metrics"},
    "benchmarks": {"data", "generators", "metrics", "benchmarks"},
}
OURS = {*ALLOWED, "results", "tests"}
FORBIDDEN = {
    "generators": {"porespy", "numba", "skimage"},
    "data": {"porespy", "torch"},
    "benchmarks": set(),
    "metrics": set(),
}


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


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package) -> None:
    assert _files(package)
    for file in _files(package):
        imported = _imported(file)
        assert imported & OURS <= ALLOWED[package], f"{file.relative_to(ROOT)} imports {imported & OURS}"
        assert not imported & FORBIDDEN.get(package, set()), f"{file.relative_to(ROOT)} imports {imported}"


def test_only_the_descriptors_import_porespy() -> None:
    users = {
        str(file.relative_to(ROOT)) for package in ALLOWED for file in _files(package) if "porespy" in _imported(file)
    }
    assert users <= {"metrics/descriptors.py"}


def test_results_are_never_imported() -> None:
    assert not [file for file in ROOT.glob("tests/*.py") if "results" in _imported(file)]
    assert not list((ROOT / "results").rglob("*.py"))


def test_generators_are_imported_fitted_and_sampled_without_porespy_or_metrics() -> None:
    code = """
import sys
import numpy as np
from porebench import data, generators
density = np.linspace(0.3, 1, 6)
volumes = data.simulate(density, rng=0, shape=(8, 9, 10))
for name in generators.GENERATORS:
    generators.get(name)
for name in ("sphere-packing", "gaussian-field", "pca", "reference", "memoriser", "noise"):
    generators.get(name)().fit(volumes, density, rng=0).sample(0.9, 2, rng=1)
unwanted = {"porespy", "porebench.metrics", "porebench.benchmarks", "numba"} & set(sys.modules)
assert not unwanted, unwanted
"""
    _run(code)


def test_the_command_starts_without_what_only_some_commands_need() -> None:
    code = """
import sys
import porebench.benchmarks.cli
unwanted = {"porespy", "numba", "skimage", "pytorch_lightning", "matplotlib", "plotly", "pyvista"} & set(sys.modules)
assert not unwanted, unwanted
"""
    _run(code)


@pytest.mark.parametrize("package", ["data", "generators", "metrics"])
def test_a_package_imported_by_its_folder_is_refused_with_its_right_name(package) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", f"import {package}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert f"ImportError: import porebench.{package}, not {package}" in done.stderr


def _run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
