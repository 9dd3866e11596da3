"""Variants of a generator to be trained and compared: one table, and the training of one of its rows.

Needs no more packages than training and sampling do, so that it runs on a machine that cannot score.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from porebench import generators
from porebench.data import Dataset, Volumes, simulate
from porebench.generators import Generator

from ..evaluate import fits
from ..evaluate.options import Options, Stream
from ..store.cells import Cells, Inputs
from ..store.files import save_samples
from ..store.provenance import commit, device_name, peak_memory_mb, versions

FRESH = 192
"""Simulated volumes that are judged on besides the validation part, where the data set is a simulator."""

PASSES = ("epochs", "refine_epochs")
"""Arguments that count passes over the training volumes; others that end in ``epochs`` shape a schedule."""

PUBLISHED: dict[str, dict[str, Any]] = {
    "bce": {"focal_gamma": 0.0, "pore_weight": None, "edge_weight": 0.0, "cluster_weight": 0.0},
    "focal": {"focal_gamma": 2.0, "pore_weight": 0.9, "edge_weight": 0.0, "cluster_weight": 0.0},
    "focal-edge-cluster": {"focal_gamma": 2.0, "pore_weight": 0.9, "edge_weight": 0.1, "cluster_weight": 0.3},
}
"""The three published losses, by name."""

OURS_OFF: dict[str, Any] = {"beta": 0.0, "sparse_weight": 0.0, "refine_epochs": 0}
"""Arguments that turn the lattice network's own terms off, to train it with a published loss (β = 0)."""


@dataclass(frozen=True)
class Variant:
    """A generator with some constructor arguments changed.

    Attributes:
        name: in tables and file names.
        change: what it has or lacks, for a reader.
        generator: registered name.
        params: constructor arguments that differ from the defaults.
    """

    name: str
    change: str
    generator: str = "cvae"
    params: dict[str, Any] = field(default_factory=dict)


VARIANTS: dict[str, tuple[Variant, ...]] = {
    "cvae": (
        Variant("full", "as it is"),
        Variant("no-sparse-weight", "− weight of sparse volumes", params={"sparse_weight": 0.0}),
        Variant("no-energy", "− energy score of prior samples", params={"energy_weight": 0.0}),
        Variant("no-refine", "− refinement of prior samples", params={"refine_epochs": 0}),
        Variant("beta-0.3", "β = 0.3 in both phases", params={"beta": 0.3, "refine_beta": 0.3}),
        Variant("beta-1", "β = 1 in both phases", params={"beta": 1.0, "refine_beta": 1.0}),
        Variant("beta-3", "β = 3 in both phases", params={"beta": 3.0, "refine_beta": 3.0}),
        Variant("free-bits", "+ free bits, 0.1 nats a channel", params={"free_bits": 0.1}),
        Variant("focal", "+ focal loss", params={"focal_gamma": 2.0, "pore_weight": 0.9}),
        Variant("edge-cluster", "+ edge and cluster penalties", params={"edge_weight": 0.1, "cluster_weight": 0.3}),
        *(
            Variant(f"lattice-{loss}", f"published loss ({loss}), lattice latent", params={**OURS_OFF, **terms})
            for loss, terms in PUBLISHED.items()
        ),
        *(
            Variant(f"global-{loss}", f"published loss ({loss}), global latent", "cvae-seed", terms)
            for loss, terms in PUBLISHED.items()
        ),
    ),
}
"""The variants of each generator that can be ablated, the unchanged one first. Add a row to compare one more."""


def chosen_variants(generator: str, names: str | None = None) -> list[Variant]:
    """Return variants of a generator, in the order of the table.

    One whose arguments equal those of an earlier one is left out (say, ``beta-1`` where β is 1 anyway).

    Args:
        generator: registered name.
        names: of variants, comma-separated; None for all.

    Raises:
        ValueError: if there are no such variants.
    """
    if generator not in VARIANTS:
        raise ValueError(f"there are no variants of {generator!r} to compare; there are of {', '.join(VARIANTS)}")
    table = {variant.name: variant for variant in VARIANTS[generator]}
    if names is None:
        different: dict[str, Variant] = {}
        for variant in table.values():
            different.setdefault(repr(build(variant)), variant)
        return list(different.values())
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in table:
            raise ValueError(f"no variant of {generator} is called {name!r}; there are {', '.join(table)}")
    return [variant for variant in table.values() if variant.name in wanted]


def build(variant: Variant, epochs: int | None = None) -> Generator:
    """Return the unfitted generator of a variant.

    Args:
        variant: see ``VARIANTS``.
        epochs: budget, the passes over the training volumes in all phases together; every argument that counts
            epochs shrinks or grows with it. None keeps the generator's own.
    """
    kind = generators.get(variant.generator)
    params = kind(**variant.params).params
    if epochs is not None:
        scale = epochs / sum(params.get(name, 0) for name in PASSES)
        params |= {name: round(scale * value) for name, value in params.items() if name.endswith("epochs")}
        params["epochs"] = max(1, params["epochs"])
    return kind(**params)


def judged_on(dataset: Dataset) -> Dataset:
    """Return the data set with its test part, which is for the tables, replaced by what variants are judged on.

    That is the validation part, and fresh volumes where the data set is simulated.
    """
    judged = dataset.validation
    if dataset.law is not None:
        density = (np.arange(FRESH) + 0.5) / FRESH
        voxels = simulate(density, dataset.law, rng=np.random.default_rng([FRESH, 1]), shape=judged.shape)
        judged = Volumes(
            np.concatenate([judged.voxels, voxels]), np.concatenate([judged.density, density]), judged.voxel_size
        )
    return replace(dataset, test=judged)


def run_name(variant: Variant, seed: int) -> str:
    """Return the name of the cells of one training."""
    return f"{variant.name}-seed-{seed}"


def draw(
    variant: Variant,
    seed: int,
    judged: Dataset,
    folder: Path,
    *,
    epochs: int,
    options: Options,
    show_progress: bool = False,
) -> None:
    """Train one variant and keep what it draws and reconstructs, unless that is at hand.

    All of the budget is used: the fit is not told of validation volumes, on which it is judged.

    Args:
        variant: see ``VARIANTS``.
        seed: of fit and draws.
        judged: see ``judged_on``; draws are made at the densities of its test part.
        folder: where cells are kept.
        epochs: budget, see ``build``.
        options: device and precision count.
        show_progress: let the fit draw its progress bar.
    """
    generator, real = build(variant, epochs), judged.test
    cells = Cells(folder, run_name(variant, seed))
    inputs = drawing_inputs(generator, seed, judged)
    if all(cells.fresh(stage, inputs) is not None for stage in ("reconstruct", "sample")):
        return
    generator.to("cpu", options.precision)
    began = time.perf_counter()
    generator.fit(judged.train.voxels, judged.train.density, rng=seed, show_progress=show_progress)
    output = {
        "fit_seconds": round(time.perf_counter() - began, 1),
        "fit_machine": device_name("cuda" if torch.cuda.is_available() else "cpu"),
        "commit": commit(),
        "versions": versions(),
    }
    generator.to(fits.resolve_device(options.device, generator))
    began = time.perf_counter()
    made = generator.reconstruct(real.voxels, real.density)
    save_samples(Volumes(made, real.density, real.voxel_size), cells.arrays("reconstruct"))
    cells.finish("reconstruct", inputs, {}, time.perf_counter() - began)
    began = time.perf_counter()
    voxels, counts = drawn(generator, real.density, seed)
    samples = Volumes(voxels, real.density, real.voxel_size)
    save_samples(samples, cells.arrays("sample"))
    output |= {"samples_digest": samples.digest(), "free_counts": counts.tolist()}
    cells.finish("sample", inputs, output, time.perf_counter() - began, peak_memory_mb())


def drawn(generator: Generator, density: NDArray[np.float64], seed: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return draws of a trained variant, and the numbers of pore voxels of further draws that leave them free."""
    rng = Stream.SAMPLES.of(seed)
    voxels = generator.sample(density, rng=rng)
    free = generator.altered(exact_count=False).sample(density, rng=rng)
    return voxels, np.count_nonzero(free, axis=(1, 2, 3))


def drawing_inputs(generator: Generator, seed: int, judged: Dataset) -> Inputs:
    """Return what decides the draws of a variant, whatever machine and packages they are made with."""
    fit = fits.Fit(generator, judged.train, None, judged.name, seed)
    return {**fit.identity, "judged data": judged.test.digest()[:16]}
