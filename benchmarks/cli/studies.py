"""Commands that look into one question each: the benchmark itself, a rock, one generator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from porebench import data
from porebench.generators import Generator

from ..evaluate import fits
from ..evaluate.fits import ROOT
from ..store.cells import Inputs
from .console import command_line, err_console, show
from .parameters import (
    BlockOption,
    DatasetOption,
    DeviceOption,
    GeneratorsOption,
    OwnOption,
    PoreValueOption,
    ResultsOption,
    SeedOption,
    SkipBadOption,
    chosen_generators,
    named_generators,
)


def representative(
    dataset: Annotated[str, typer.Argument(help="Image of a large volume: its path, or its name in data/.")],
    size: Annotated[
        list[int] | None, typer.Option(help="Edge of blocks in voxels. Repeatable; default 10 to 100.", min=2)
    ] = None,
    seed: SeedOption = 0,
    out: ResultsOption = ROOT / "results",
    pore_value: PoreValueOption = None,
) -> None:
    """Say how large a block of a rock must be: each descriptor against block size, as a table, a CSV and a figure."""
    from ..evaluate.progress import bars, progress_display
    from ..studies.representative import representative as run

    volume, name = data.load_image(dataset, pore_value=pore_value)
    with progress_display() as progress:
        table = run(
            volume,
            out / name,
            sizes=size or (),
            seed=seed,
            workers=os.cpu_count() or 1,
            bar=bars(progress),
            command=command_line(),
        )
    typer.echo("\n".join(table))


def validate(
    dataset: DatasetOption = "spheres",
    seed: SeedOption = 0,
    out: ResultsOption = ROOT / "results",
    quick: Annotated[bool, typer.Option("--quick", help="A quarter of the volumes and a fifth of the trials.")] = False,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Measure the benchmark itself: plant known defects, count false alarms, check intervals and ties."""
    from ..evaluate.progress import progress_display
    from ..studies.validation.run import QUICK, Settings
    from ..studies.validation.run import validate as run

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    settings = Settings(seed=seed, **QUICK) if quick else Settings(seed=seed)
    with progress_display() as progress:
        folder = run(loaded, out, settings, progress=progress, command=command_line())
    show((folder / "validation.md").read_text())


def intervals(
    dataset: DatasetOption = "spheres",
    generators: GeneratorsOption = None,
    generator: OwnOption = None,
    n: Annotated[int, typer.Option("-n", help="Volumes in each ensemble.", min=19)] = 64,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    out: ResultsOption = ROOT / "results",
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Count how many real test volumes lie inside the 90 % intervals of each generator's ensembles."""
    from porebench.metrics.descriptors import describe

    from ..store.results import run_folder
    from ..studies.intervals import coverage_inputs, coverage_rows, write_coverage

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    chosen = chosen_generators(generators, generator or [], loaded, seed)
    folder = run_folder(out, loaded.name, seed)
    workers = os.cpu_count() or 1
    test = describe(loaded.test.voxels, workers=workers)
    rows, inputs = [], {}
    for name in chosen:
        ready, fit = _fitted(name, loaded, folder, seed, device)
        err_console.print(ready.name)
        rows += coverage_rows(ready, loaded, test, n=n, seed=seed, workers=workers)
        inputs[ready.name] = coverage_inputs(fit, loaded.test, n)
    written = write_coverage(rows, loaded, n, seed, folder, command_line(), inputs)
    show(written.read_text())


def grow(
    generator: Annotated[list[str], typer.Argument(help="Registered names, or path/to/file.py:Class.")],
    dataset: DatasetOption = "spheres",
    edge: Annotated[int, typer.Option(help="Of the cubes in voxels; three blocks or more.", min=3)] = 90,
    n: Annotated[int, typer.Option("-n", help="Test volumes whose densities are drawn.", min=2)] = 96,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    out: ResultsOption = ROOT / "results",
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Draw larger cubes than were learnt from, score their inside, and look at what happens at the walls."""
    from ..store.results import run_folder
    from ..studies.growth import grow as run
    from ..studies.growth import grown_inputs

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    folder = run_folder(out, loaded.name, seed)
    ready, inputs = [], {}
    for name in generator:
        found, fit = _fitted(name, loaded, folder, seed, device)
        inputs[found.name] = grown_inputs(fit, loaded.test, edge, n)
        ready.append(found)
    written = run(
        ready,
        loaded,
        folder,
        edge=edge,
        n=n,
        seed=seed,
        workers=os.cpu_count() or 1,
        command=command_line(),
        tell=err_console.print,
        inputs=inputs,
    )
    show(written.read_text())


def _fitted(name: str, dataset: data.Dataset, folder: Path, seed: int, device: str) -> tuple[Generator, Inputs]:
    """A generator, at hand or fitted now, and what the fit is made from, as ``status`` compares it."""
    from ..evaluate.draw import plan

    found = fits.fitted(name, dataset, seed=seed, device=device, show_progress=True)
    planned = plan(name, dataset, dataset.test, folder, seed=seed, device=device)
    return found.generator, planned.inputs("fit", found.weights)


def explain(
    generator: Annotated[str, typer.Argument(help="Registered name of a conditional VAE: cvae, cvae-seed.")],
    o: Annotated[
        Path | None, typer.Option("-o", "--out", help="PNG; default results/figures/explain-NAME-DATASET.png.")
    ] = None,
    dataset: DatasetOption = "spheres",
    seed: SeedOption = 0,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Draw what the latent channels of a conditional VAE do, what density changes, and which channels are active."""
    from ..studies.explain import explain as run

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    ready = fits.fitted(generator, loaded, seed=seed, show_progress=True)
    path = o or ROOT / "results" / "figures" / f"explain-{ready.generator.name}-{loaded.name}.png"
    found = run(ready.generator, loaded, path, seed=seed)
    for channel in found.order[:8]:
        nats = ", ".join(f"{value:.2f}" for value in found.divergence[:, channel])
        typer.echo(
            f"channel {channel}: {100 * found.active[channel]:.0f} % of units active, KL by band {nats} nats a unit"
        )
    err_console.print(f"wrote {path}", markup=False)


def ablate(
    generator: Annotated[str, typer.Argument(help="Registered name of a generator that has variants: cvae.")],
    dataset: DatasetOption = "spheres",
    epochs: Annotated[
        int, typer.Option(help="Budget: passes over the training volumes, in all phases together.", min=1)
    ] = 60,
    seeds: Annotated[int, typer.Option(help="Trainings of each variant, with seeds 0, 1, ...", min=1)] = 2,
    variants: Annotated[str | None, typer.Option(help="Names, comma-separated; default all.")] = None,
    device: DeviceOption = "auto",
    out: ResultsOption = ROOT / "results",
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Train variants of a generator on one budget and score them on validation volumes: what is each term worth?"""
    from ..studies.ablation import ablate as run
    from ..studies.variants import chosen_variants

    chosen = chosen_variants(generator, variants)
    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    try:
        folder = run(
            loaded,
            chosen,
            out,
            epochs=epochs,
            seeds=range(seeds),
            device=device,
            show_progress=True,
            tell=err_console.print,
            command=command_line(),
        )
    except KeyboardInterrupt:
        err_console.print("porebench: interrupted; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    show((folder / "ablation.md").read_text())


def scaling(
    generators: Annotated[
        str | None, typer.Option(help="Registered names, comma-separated. Default: all that draw any shape.")
    ] = None,
    edge: Annotated[
        list[int] | None, typer.Option(help="Of the cubes in voxels. Repeatable; default 30, 60, 120, 240.", min=8)
    ] = None,
    blocks: Annotated[int, typer.Option(help="How often each is measured, in random order.", min=1)] = 3,
    out: ResultsOption = ROOT / "results",
) -> None:
    """Measure time and peak memory of one draw against its size, each in a process of its own."""
    from ..report.scaling import read_scaling, scaling_lines
    from ..speed.scaling import EDGES, chosen
    from ..speed.scaling import scaling as run

    names = chosen(named_generators(generators) if generators else [])
    run(names, out, edges=sorted(set(edge or EDGES)), blocks=blocks, tell=err_console.print)
    table = read_scaling(out)
    if table is not None:
        show("\n".join(scaling_lines(table)))
