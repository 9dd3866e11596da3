"""Generators of porous volumes: one interface, one registry."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from pathlib import Path

from .base import Generator

if __name__ == "generators":
    raise ImportError("import porebench.generators, not generators: a second copy of its classes matches none")

GENERATORS: dict[str, str] = {
    "cvae": "cvae.generator:CVAE",
    "cvae-prior": "cvae.generator:CVAEPrior",
    "autoregressive": "autoregressive.generator:Autoregressive",
    "cvae-seed": "cvae.seed:SeedCVAE",
    "sphere-packing": "sphere_packing:SpherePacking",
    "gaussian-field": "gaussian_field:GaussianField",
    "pca": "pca:PCASampler",
    "reference": "controls:Reference",
    "memoriser": "controls:Memoriser",
    "noise": "controls:Noise",
    "twin": "controls:Twin",
}

CONTROLS: tuple[str, ...] = ("reference", "memoriser", "noise", "twin")
"""Rows that show what the numbers mean; they are in every table and hold no rank."""


def get(name: str) -> type[Generator]:
    """Return the generator class of a registered name.

    Raises:
        ValueError: if no generator has that name.
    """
    if name not in GENERATORS:
        raise ValueError(f"no generator is called {name!r}; registered are {', '.join(GENERATORS)}")
    module, attribute = GENERATORS[name].split(":")
    return _class_of(importlib.import_module(f".{module}", __name__), attribute, GENERATORS[name])


def from_file(reference: str) -> type[Generator]:
    """Return the generator class that ``path/to/file.py:ClassName`` names. Runs that file, as nothing else does.

    Raises:
        ValueError: if the reference is malformed, or names no generator class.
        FileNotFoundError: if there is no such file.
    """
    path, colon, attribute = reference.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise ValueError(f"a generator of your own is given as path/to/file.py:ClassName, got {reference!r}")
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    module_name = f"porebench_user_{file.stem}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path} is not a Python file")
        sys.modules[module_name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[module_name])
    found = _class_of(sys.modules[module_name], attribute, reference)
    if found.name in GENERATORS:
        raise ValueError(f"{reference} is called {found.name!r} like a registered generator; give it another name")
    return found


def _class_of(module: object, attribute: str, reference: str) -> type[Generator]:
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Generator)):
        raise ValueError(f"{reference} is not a class derived from generators.Generator")
    name = getattr(found, "name", None)
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name)):
        raise ValueError(
            f"{reference} needs a class attribute `name`, which its row is headed with: "
            f"up to 64 letters, digits, dots, dashes and underscores, got {name!r}"
        )
    return found


__all__ = ["CONTROLS", "GENERATORS", "Generator", "from_file", "get"]
