"""Generators of porous volumes: one interface, one registry."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import io
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import Generator

if __name__ == "generators":
    raise ImportError("import porebench.generators, not generators: a second copy of its classes matches none")

_logger = logging.getLogger(__name__)
_MOVE = 'move what a script does under `if __name__ == "__main__":`'
_DERIVE = "`from porebench.generators import Generator`"

GENERATORS: dict[str, str] = {
    "cvae": "cvae.generator:CVAE",
    "cvae-prior": "cvae.generator:CVAEPrior",
    "autoregressive": "autoregressive.generator:Autoregressive",
    "flow-matching": "flow_matching.generator:FlowMatching",
    "discrete-diffusion": "discrete_diffusion.generator:DiscreteDiffusion",
    "gan": "adversarial.generator:GAN",
    "slice-gan": "adversarial.generator:SliceGAN",
    "neural-texture": "neural_texture.generator:NeuralTexture",
    "cvae-seed": "cvae.seed:SeedCVAE",
    "sphere-packing": "sphere_packing:SpherePacking",
    "gaussian-field": "gaussian_field:GaussianField",
    "pca": "pca:PCASampler",
    "fibres": "fibres:Fibres",
    "quilting": "quilting:Quilting",
    "annealing": "annealing:Annealing",
    "direct-sampling": "direct_sampling:DirectSampling",
    "reference": "controls:Reference",
    "memoriser": "controls:Memoriser",
    "noise": "controls:Noise",
    "twin": "controls:Twin",
}

CONTROLS: tuple[str, ...] = ("reference", "memoriser", "noise", "twin")
"""Rows that show what the numbers mean; they are in every table and hold no rank."""

ON_REQUEST: tuple[str, ...] = (
    "autoregressive",
    "flow-matching",
    "discrete-diffusion",
    "gan",
    "slice-gan",
    "neural-texture",
    "quilting",
    "annealing",
    "direct-sampling",
)
"""Generators that are drawn where they are named, so that a first run takes minutes; else their rows are kept."""


def __getattr__(name: str) -> Any:
    """Import the interface when it is first asked for: the names above are read where torch is not installed."""
    if name == "Generator":
        return importlib.import_module(".base", __name__).Generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
        ValueError: if the reference is malformed, names no generator class, or one that cannot be made.
        FileNotFoundError: if there is no such file.
        ImportError: if the file imports what is not there.
    """
    path, colon, attribute = reference.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise ValueError(f"a generator of your own is given as path/to/file.py:ClassName, got {reference!r}")
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    found = _class_of(_imported(file), attribute, f"{file.name}:{attribute}")
    if found.name in GENERATORS:
        raise ValueError(
            f"{file.name}:{attribute} is called {found.name!r} like a registered generator; give it another name"
        )
    _check_can_be_made(found, f"{file.name}:{attribute}")
    return found


@contextlib.contextmanager
def importable(reference: str) -> Iterator[None]:
    """Let the modules beside a user's own file be imported meanwhile, as beside a script.

    Args:
        reference: ``path/to/file.py:ClassName``; a registered name changes nothing.
    """
    path, colon, _ = reference.rpartition(":")
    folder = str(Path(path).resolve().parent)
    if colon:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        if colon and folder in sys.path:
            sys.path.remove(folder)


def _imported(file: Path) -> ModuleType:
    """Return the module in a user's own file, run once."""
    name = f"porebench_user_{file.stem}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file.name} is not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with importable(f"{file}:"), contextlib.redirect_stdout(io.StringIO()) as printed:
            spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, SystemExit):
            raise ValueError(f"{file.name} calls sys.exit when it is imported; {_MOVE}") from error
        if isinstance(error, ModuleNotFoundError):
            if error.name == "generators":
                raise ImportError(f"{file.name} imports {error.name!r}; write {_DERIVE}") from error
            place = "which is neither installed nor beside it"
            raise ImportError(f"{file.name} imports {error.name!r}, {place}; install it or copy it there") from error
        raise
    if lines := printed.getvalue().splitlines():
        _logger.warning("%s prints %r when it is imported; %s", file.name, lines[0], _MOVE)
    return module


def _check_can_be_made(found: type[Generator], reference: str) -> None:
    """Refuse a class that lacks what the contract asks for, or that cannot be made without arguments."""
    if missing := sorted(getattr(found, "__abstractmethods__", ())):
        takes = {"_fit": "volumes, density, rng", "_sample": "density, shape, rng"}
        method = missing[0]
        raise ValueError(f"{reference} lacks a method; write `def {method}(self, {takes.get(method, '')}):`")
    for name, parameter in inspect.signature(found).parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise ValueError(f"{reference} takes any arguments ({parameter}); name each and give it a default")
        if parameter.default is parameter.empty:
            raise ValueError(
                f"{reference} cannot be made without {name!r}; give it a default, "
                f"`def __init__(self, *, {name}=...): self.{name} = {name}`"
            )


def _class_of(module: object, attribute: str, reference: str) -> type[Generator]:
    from .base import Generator  # noqa: PLC0415 - needs torch

    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Generator)):
        raise ValueError(
            f"{reference} is not a class derived from Generator; write {_DERIVE}, "
            f"`class {attribute}(Generator):`, and in it `_fit` and `_sample`"
        )
    name = getattr(found, "name", None)
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name)):
        raise ValueError(
            f"{reference} needs a class attribute `name`, which its row is headed with, such as "
            f'`name = "{attribute.lower()}"`: up to 64 letters, digits, dots, dashes and underscores, got {name!r}'
        )
    return found


__all__ = ["CONTROLS", "GENERATORS", "ON_REQUEST", "Generator", "from_file", "get", "importable"]
