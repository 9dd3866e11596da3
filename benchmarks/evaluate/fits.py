"""Fitted generators: found by digest, loaded from published weights, or fitted; the same for accuracy and speed."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from porebench import generators
from porebench.data import Dataset, Volumes
from porebench.generators import Generator
from porebench.generators.base import SPENT
from porebench.generators.controls import Reference
from porebench.generators.network_generator import NetworkGenerator, accelerator
from porebench.generators.porosity_law import PorosityLaw

from ..store.cells import Inputs
from ..store.digests import ROOT, code_digest, short_digest
from ..store.files import file_digest, write_path, write_text
from ..store.places import Places
from ..store.provenance import commit, device_name, processor, versions
from .options import Options

log = logging.getLogger("porebench")

ON_CPU = Options(device="cpu")


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit to be made or found.

    Attributes:
        generator: unfitted.
        training: volumes that the generator learns from.
        validation: volumes that may tell a long fit when to stop; None where there is no such thing to tell.
        dataset: name of the data set.
        seed: of the fit.
        shape: of the volumes that are to be drawn; None for that of the training volumes.
        law: number of pore voxels that draws of that shape have; None for that of the training volumes.
    """

    generator: Generator
    training: Volumes
    validation: Volumes | None
    dataset: str
    seed: int
    shape: tuple[int, int, int] | None = None
    law: PorosityLaw | None = None

    @cached_property
    def identity(self) -> Inputs:
        """Inputs that decide what the fitted generator draws, but for library versions."""
        watched = {} if self.validation is None else {"validation data": self.validation.digest()[:16]}
        return {
            "generator code": code_digest(type(self.generator)),
            "parameters": json.dumps(self.generator.params, sort_keys=True, default=repr),
            "training data": self.training.digest()[:16],
            **watched,
            "seed": str(self.seed),
        }

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digest of the identity."""
        return short_digest({"name": self.generator.name, **self.identity})

    def cached(self, places: Places) -> Path:
        """Return where this very fit is kept, once it is made."""
        return places.cache / self.dataset / f"{self.generator.name}-{self.digest}.safetensors"

    def at_hand(self, places: Places) -> Path | None:
        """Return the file of this very fit, or of published weights of the same parameters, data and seed."""
        cached = self.cached(places)
        if cached.is_file():
            return cached
        weights = places.published / self.dataset / f"{self.generator.name}.safetensors"
        description = weights.with_suffix(".json")
        if not (weights.is_file() and description.is_file()):
            return None
        stated = json.loads(description.read_text())
        wanted = {"params": self.generator.params, "data": self.training.digest(), "seed": self.seed}
        same = all(stated.get(name) == value for name, value in json.loads(json.dumps(wanted)).items())
        return weights if same else None

    def weights(self, places: Places) -> str | None:
        """Return the digest of the file that is at hand; None where the generator would have to be fitted."""
        kept = self.at_hand(places)
        return None if kept is None else file_digest(kept)

    def manifest(self, generator: Generator, seconds: float) -> dict[str, Any]:
        """Return what must be known of the fit: data, settings, cost (epochs of each phase of a network), machine."""
        return {
            "generator": generator.name,
            "params": generator.params,
            "data": self.training.digest(),
            "volumes": len(self.training),
            "seed": self.seed,
            "commit": commit(),
            "seconds": round(seconds, 1),
            **({"epochs": generator.epochs_} if hasattr(generator, "epochs_") else {}),
            **({"precision": generator.number_format} if generator.number_format else {}),
            "processor": machine(generator),
            "threads": os.cpu_count(),
            "python": platform.python_version(),
            "versions": versions(),
        }


@dataclass(frozen=True)
class Fitted:
    """A fitted generator and where it came from.

    Attributes:
        generator: ready to sample.
        fit: what it was fitted from.
        source: "fitted", "cached" or "published".
        seconds: duration of the fit, when it was made.
        machine: processor of the fit.
        weights: digest of the file that keeps it; "" where it could not be kept.
    """

    generator: Generator
    fit: Fit
    source: str
    seconds: float
    machine: str
    weights: str = ""

    @property
    def inputs(self) -> Inputs:
        """Inputs of the fit and digest of the weights, as studies record them."""
        return {**self.fit.identity, "weights": self.weights}


class NeedsTrainingError(ValueError):
    """A generator that takes long to train was asked for without having been trained."""

    def __init__(self, name: str, dataset: str) -> None:
        super().__init__(f"{name} trains for long and only on request: porebench train {name} --dataset {dataset}")


def prepare(reference: str, dataset: Dataset, seed: int = 0, places: Places | None = None) -> Fit:
    """Return the fit of a generator on a data set, not made yet.

    Every generator learns from the training part, and may ask the validation part when to stop, but for the reference,
    which stands for reality: it draws fresh volumes where the data set is a simulator, and the held-out validation
    volumes otherwise. A network that draws any shape, and was not trained on blocks of this size, is the one that was
    trained on blocks of the usual size of the same image; how much pore a density asks for, it learns from blocks of
    this size.

    Args:
        reference: registered name, or ``path/to/file.py:Class``, which runs that file.
        dataset: the data set.
        seed: of the fit.
        places: where trained networks are looked for; None to take none of blocks of another size.
    """
    if reference == Reference.name:
        return Fit(Reference(simulator=dataset.simulator), dataset.validation, None, dataset.name, seed)
    found = generators.from_file(reference) if ":" in reference else generators.get(reference)
    fit, usual = Fit(found(), dataset.train, dataset.validation, dataset.name, seed), dataset.usual
    long = fit.generator.trained_on_request or isinstance(fit.generator, NetworkGenerator)
    if places is None or usual is None or not (long and fit.generator.any_shape) or fit.at_hand(places) is not None:
        return fit
    train = dataset.train
    known = dataset.density_kind == "factor"  # elsewhere density is the porosity, whatever the size
    law = PorosityLaw.fit(train.density, train.pore_voxels, int(np.prod(train.shape))) if known else None
    return replace(
        fit, training=usual.train, validation=usual.validation, dataset=usual.name, shape=train.shape, law=law
    )


def fitted(
    reference: str,
    dataset: Dataset,
    options: Options = ON_CPU,
    *,
    show_progress: bool = False,
    refit: bool = False,
    machines: tuple[int, int] = (1, 1),
    minutes: float | None = None,
) -> Fitted:
    """Return the fitted generator of a reference: cached, published, or fitted now and cached.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: what to fit on.
        options: seed of the fit, device, precision and places count.
        show_progress: let the fit draw its progress bar.
        refit: fit even where a fitted one is at hand, and even one that trains for hours.
        machines: devices on a machine, and machines, that the training of a network spreads over.
        minutes: after which the training of a network is to be over; None for no limit.

    Raises:
        NeedsTrainingError: for a generator that is only trained on request and has not been.
    """
    fit = prepare(reference, dataset, options.fit_seed, None if refit else options.places)
    return made(fit, options, show_progress=show_progress, refit=refit, machines=machines, minutes=minutes)


def made(
    fit: Fit,
    options: Options = ON_CPU,
    *,
    show_progress: bool = False,
    refit: bool = False,
    machines: tuple[int, int] = (1, 1),
    minutes: float | None = None,
) -> Fitted:
    """Return the generator of a fit, which has a seed of its own; arguments as for ``fitted``."""
    places = options.places
    kept = None if refit else fit.at_hand(places)
    if kept is not None:
        stated = json.loads(kept.with_suffix(".json").read_text())
        generator = type(fit.generator).load(kept)
        generator.law_ = fit.law or generator.law_
        generator.to(resolve_device(options.device, generator), options.precision)
        source = "published" if places.published in kept.parents else "cached"
        return Fitted(generator, fit, source, float(stated["seconds"]), str(stated["processor"]), file_digest(kept))
    generator = fit.generator
    if generator.trained_on_request and not refit:
        raise NeedsTrainingError(generator.name, fit.dataset)
    generator.to("cpu", options.precision)
    kept = fit.cached(places)
    checkpoints = kept.with_suffix("")
    watched = None if fit.validation is None else (fit.validation.voxels, fit.validation.density)
    if isinstance(generator, NetworkGenerator):
        generator.minutes = minutes
    started = time.perf_counter()
    generator.fit(
        fit.training.voxels,
        fit.training.density,
        rng=fit.seed,
        validation=watched,
        checkpoints=checkpoints,
        machines=machines,
        show_progress=show_progress,
    )
    seconds = time.perf_counter() - started
    spent = checkpoints / SPENT
    if spent.is_file():
        seconds = max(seconds, float(spent.read_text()))  # this call may only have finished what others began
    weights = ""
    try:
        _save(generator, kept, fit.manifest(generator, seconds))
        weights = file_digest(kept)
        shutil.rmtree(checkpoints, ignore_errors=True)
    except TypeError as error:
        log.warning("%s is fitted anew each time: %s", generator.name, error)
    generator.law_ = fit.law or generator.law_  # what is kept has that of the training volumes
    generator.to(resolve_device(options.device, generator))
    return Fitted(generator, fit, "fitted", seconds, machine(generator), weights)


def machine(generator: Generator) -> str:
    """Return the name of what a generator is fitted on: a network on a GPU where there is one."""
    return device_name(accelerator()) if generator.number_format else processor()


def publish(ready: Fitted, places: Places | None = None) -> Path:
    """Write a fitted generator's weights beside the code, with their manifest, to be committed; return their path.

    Raises:
        ValueError: in an installation, which is never written to.
    """
    published = (places or Places()).published
    if ROOT in published.parents and not (ROOT / "pyproject.toml").is_file():
        raise ValueError("weights are published from a clone of the repository; this is an installation")
    path = published / ready.fit.dataset / f"{ready.generator.name}.safetensors"
    _save(ready.generator, path, ready.fit.manifest(ready.generator, ready.seconds))
    return path


def resolve_device(device: str, generator: Generator) -> str:
    """Return the device to sample on: "auto" takes CUDA where both generator and machine have it."""
    if device != "auto":
        return device
    return "cuda" if "cuda" in generator.devices and torch.cuda.is_available() else "cpu"


def _save(generator: Generator, path: Path, stated: dict[str, Any]) -> None:
    write_text(path.with_suffix(".json"), json.dumps(stated, indent=2) + "\n")  # first: weights count once they exist
    write_path(path, generator.save)
