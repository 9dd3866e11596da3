"""Fitted generators: found by digest, loaded from published weights, or fitted; the same for accuracy and speed."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from porebench import data, generators
from porebench.data import Dataset, Volumes
from porebench.generators import Generator
from porebench.generators.base import SPENT
from porebench.generators.controls import Reference

from ..store.cells import Cells
from ..store.files import file_digest, write_path, write_text
from ..store.provenance import commit, processor, versions

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "results" / "artefacts"
PUBLISHED = ROOT / "generators" / "weights"

log = logging.getLogger("porebench")


@dataclass(frozen=True)
class Fitted:
    """A fitted generator and where it came from.

    Attributes:
        generator: ready to sample.
        digest: hexadecimal, of code, hyper-parameters, training and validation data and seed: what decides its draws.
        source: "fitted", "cached" or "published".
        seconds: how long the fit took, when it was made.
        machine: the processor it was made on.
        weights: digest of the file that keeps it; "" where it could not be kept.
    """

    generator: Generator
    digest: str
    source: str
    seconds: float
    machine: str
    weights: str = ""


def prepare(reference: str, dataset: Dataset) -> tuple[Generator, Volumes]:
    """An unfitted generator, by registered name or ``file.py:Class``, and the volumes that it is to be fitted on.

    Everything learns from the training part, and may ask the validation part when to stop, but for the reference, which
    stands for reality: it draws fresh volumes where the data set is a simulator, and the held-out validation volumes
    otherwise.
    """
    if reference == Reference.name:
        return Reference(simulator=dataset.name if dataset.law is not None else ""), dataset.validation
    found = generators.from_file(reference) if ":" in reference else generators.get(reference)
    generator = found()
    generator.validation = (dataset.validation.voxels, dataset.validation.density)
    return generator, dataset.train


def digest(generator: Generator, training: Volumes, seed: int) -> str:
    """Hexadecimal digest of everything that decides what a fitted generator draws, but for library versions."""
    state = hashlib.sha256()
    for file in _sources(type(generator)):
        state.update(file.read_bytes())
    content = {"name": generator.name, "params": generator.params, "data": training.digest(), "seed": seed}
    content |= _validation(generator)
    state.update(json.dumps(content, sort_keys=True, default=repr).encode())
    return state.hexdigest()[:16]


def identity(generator: Generator, training: Volumes, seed: int) -> dict[str, str]:
    """The parts of ``digest`` one by one, for saying which of them changed."""
    code = hashlib.sha256(b"".join(file.read_bytes() for file in _sources(type(generator))))
    return {
        "generator code": code.hexdigest()[:16],
        "parameters": json.dumps(generator.params, sort_keys=True, default=repr),
        "training data": training.digest()[:16],
        **{name: value[:16] for name, value in _validation(generator).items()},
        "seed": str(seed),
    }


def _validation(generator: Generator) -> dict[str, str]:
    """The digest of what tells the fit when to stop, if anything does."""
    return {} if generator.validation is None else {"validation data": Volumes(*generator.validation).digest()}


def weights_at_hand(generator: Generator, training: Volumes, dataset: str, seed: int) -> str | None:
    """Digest of the file that ``fitted`` would load; None where it would have to fit."""
    kept = _at_hand(generator, training, dataset, seed, digest(generator, training, seed))
    return None if kept is None else file_digest(kept)


def at_hand(name: str, dataset: Dataset, seed: int, drawn_in: Path | None = None) -> bool:
    """Whether a registered generator is fitted already, or can be without being asked for by name.

    Args:
        name: registered name.
        dataset: what it is to be fitted on.
        seed: of the fit.
        drawn_in: a run folder; samples stored there are as good as a fit.
    """
    generator, training = prepare(name, dataset)
    if not generator.trained_on_request or (drawn_in is not None and Cells(drawn_in, name).read("sample") is not None):
        return True
    return _at_hand(generator, training, dataset.name, seed, digest(generator, training, seed)) is not None


def fitted(
    reference: str,
    dataset: Dataset,
    *,
    seed: int = 0,
    device: str = "cpu",
    show_progress: bool = False,
    refit: bool = False,
    machines: tuple[int, int] = (1, 1),
) -> Fitted:
    """The fitted generator of that reference: cached, published, or fitted now and cached.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what to fit on.
        seed: of the fit.
        device: "auto", "cpu" or "cuda"; "auto" takes CUDA where generator and machine have it.
        show_progress: let the fit draw its progress bar.
        refit: fit even where a fitted one is at hand, and even one that trains for hours.
        machines: devices on a machine, and machines, that the training of a network spreads over.

    Raises:
        NeedsTrainingError: for a generator that is only trained on request and has not been.
    """
    generator, training = prepare(reference, dataset)
    key = digest(generator, training, seed)
    if not refit:
        kept = _at_hand(generator, training, dataset.name, seed, key)
        if kept is not None:
            return _load(type(generator), kept, key, device)
        if generator.trained_on_request:
            raise NeedsTrainingError(generator.name, dataset.name)
    generator.show_progress = show_progress
    generator.machines = machines
    generator.checkpoints = CACHE / dataset.name / f"{generator.name}-{key}"
    started = time.perf_counter()
    generator.fit(training.voxels, training.density, rng=seed)
    seconds = time.perf_counter() - started
    spent = generator.checkpoints / SPENT
    if spent.is_file():
        seconds = max(seconds, float(spent.read_text()))  # this call may only have finished what others began
    generator.show_progress, generator.validation = False, None
    weights = ""
    try:
        kept = _cached(generator, dataset.name, key)
        _save(generator, kept, manifest(generator, training, seed, seconds))
        weights = file_digest(kept)
        shutil.rmtree(generator.checkpoints, ignore_errors=True)
    except TypeError as error:
        log.warning("%s is fitted anew each time: %s", generator.name, error)
    generator.to(resolve_device(device, generator))
    return Fitted(generator, key, "fitted", seconds, processor(), weights)


class NeedsTrainingError(ValueError):
    """A generator that takes long to train was asked for without having been trained."""

    def __init__(self, name: str, dataset: str) -> None:
        super().__init__(f"{name} trains for long and only on request: porebench train {name} --dataset {dataset}")


def publish(fitted: Fitted, dataset: Dataset, seed: int) -> Path:
    """Put a fitted generator's weights beside the code, with their manifest, to be committed.

    Returns:
        The weights' path.
    """
    _, training = prepare(fitted.generator.name, dataset)
    path = PUBLISHED / dataset.name / f"{fitted.generator.name}.safetensors"
    _save(fitted.generator, path, manifest(fitted.generator, training, seed, fitted.seconds))
    return path


def manifest(generator: Generator, training: Volumes, seed: int, seconds: float) -> dict[str, Any]:
    """What must be known of a fit: data, configuration, code, cost (epochs of each phase of a network) and machine."""
    return {
        "generator": generator.name,
        "params": generator.params,
        "data": training.digest(),
        "volumes": len(training),
        "seed": seed,
        "commit": commit(),
        "seconds": round(seconds, 1),
        **({"epochs": generator.epochs_} if hasattr(generator, "epochs_") else {}),
        "processor": processor(),
        "threads": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def resolve_device(device: str, generator: Generator) -> str:
    """The device to sample on: "auto" takes CUDA where both generator and machine have it."""
    if device != "auto":
        return device
    return "cuda" if "cuda" in generator.devices and torch.cuda.is_available() else "cpu"


def _sources(kind: type[Generator]) -> list[Path]:
    """The project's files whose code a generator's draws depend on: its own, and those that they take names from."""
    found: set[Path] = set()
    waiting = [inspect.getmodule(kind)]
    while waiting:
        module = waiting.pop()
        file = Path(module.__file__) if module is not None and module.__file__ else None
        if module is None or file is None or file in found:
            continue
        found.add(file)
        for value in vars(module).values():
            home = sys.modules.get(getattr(value, "__module__", None) or "")
            if home is not None and home.__name__.partition(".")[0] in {"generators", "data"}:
                waiting.append(home)
    return sorted(found)


def _cached(generator: Generator, dataset: str, key: str) -> Path:
    return CACHE / dataset / f"{generator.name}-{key}.safetensors"


def _at_hand(generator: Generator, training: Volumes, dataset: str, seed: int, key: str) -> Path | None:
    """The cached fit of this very code, or published weights of this configuration, data and seed."""
    cached = _cached(generator, dataset, key)
    if cached.is_file():
        return cached
    weights = PUBLISHED / dataset / f"{generator.name}.safetensors"
    description = weights.with_suffix(".json")
    if not (weights.is_file() and description.is_file()):
        return None
    stated = json.loads(description.read_text())
    wanted = json.loads(json.dumps({"params": generator.params, "data": training.digest(), "seed": seed}))
    return weights if all(stated.get(name) == value for name, value in wanted.items()) else None


def _load(kind: type[Generator], path: Path, key: str, device: str) -> Fitted:
    stated = json.loads(path.with_suffix(".json").read_text())
    generator = kind.load(path)
    generator.to(resolve_device(device, generator))
    source = "published" if PUBLISHED in path.parents else "cached"
    return Fitted(generator, key, source, float(stated["seconds"]), str(stated["processor"]), file_digest(path))


def _save(generator: Generator, path: Path, stated: dict[str, Any]) -> None:
    write_text(path.with_suffix(".json"), json.dumps(stated, indent=2) + "\n")  # first: weights count once they exist
    write_path(path, generator.save)


def select_test(dataset: Dataset, samples: int | None) -> Volumes:
    """Test volumes to score against: all, or ``samples`` of them spread evenly over density.

    Raises:
        ValueError: if there are fewer test volumes than asked for.
    """
    return dataset.test if samples is None else dataset.test[selected(dataset, samples)]


def selected(dataset: Dataset, samples: int | None) -> NDArray[np.int64]:
    """Which volumes of the test part ``select_test`` takes, in order."""
    if samples is None:
        return np.arange(len(dataset.test))
    if not 1 <= samples <= len(dataset.test):
        raise ValueError(f"--samples must lie between 1 and the {len(dataset.test)} test volumes of {dataset.name}")
    return np.sort(data.spread(dataset.test.density, samples))
