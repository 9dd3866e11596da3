"""The wheel: one package, nothing else; it runs from an empty folder and is never written to."""

import hashlib
import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from porebench import data
from porebench.benchmarks.store.digests import ROOT
from porebench.generators import ON_REQUEST


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_a_wheel_holds_one_package_and_is_small(wheel) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"porebench"}
    assert {"porebench/__init__.py", "porebench/py.typed", "porebench/data/volumes.py"} <= set(names)
    assert any(name.startswith("porebench/generators/weights/spheres/") for name in names)
    assert len(names) == len(set(names))
    assert not [name for name in names if "/results/" in name or "/tests/" in name or "__pycache__" in name]
    weights = {Path(name).stem for name in names if "/weights/" in name}
    assert {"cvae", "cvae-prior"} <= weights
    assert not weights & set(ON_REQUEST)
    assert wheel.stat().st_size < 20e6


def test_an_installation_evaluates_from_an_empty_folder_and_stays_as_it_is(wheel, tmp_path) -> None:
    environment, work = tmp_path / "environment", tmp_path / "work"
    venv.create(environment, with_pip=False)
    (installed,) = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(installed)
    # what porebench needs is taken from this environment, whose own porebench is found by no path of these
    (installed / "needed.pth").write_text("\n".join(site.getsitepackages()))
    work.mkdir()
    density = (np.arange(60) + 0.5) / 60
    voxels = data.simulate(density, "spheres", rng=0, shape=(12, 12, 12))
    data.write_folder(data.Volumes(voxels, density), work / "volumes")
    before = _content(installed / "porebench")
    plain = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "POREBENCH_CACHE"}}
    code = "from porebench.benchmarks.cli import main; main()"
    words = ["evaluate", "--quick", "--generators", "noise,pca", "--no-controls", "--dataset", "volumes"]
    done = subprocess.run(  # noqa: S603
        [environment / "bin" / "python", "-B", "-c", code, *words],
        cwd=work,
        env=plain | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads((work / "results" / "volumes" / "manifest.json").read_text())
    assert {record["status"] for record in manifest["generators"].values()} == {"scored"}
    assert {record["commit"] for record in manifest["generators"].values()} == {"unknown"}
    assert {path.name for path in work.iterdir()} == {"volumes", "results"}
    assert list((tmp_path / "cache" / "porebench").rglob("*.safetensors"))
    assert _content(installed / "porebench") == before


def _content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
