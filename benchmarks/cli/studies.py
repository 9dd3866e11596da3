"""Commands that look into one question each: the benchmark itself, a rock, one generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import long_command, show, tell
from .parameters import (
    RESULTS,
    DeviceOption,
    GeneratorsOption,
    OwnOption,
    PrecisionOption,
    PublishOption,
    ResultsOption,
    SeedOption,
    chosen_generators,
    named_generators,
    takes_dataset,
    takes_image,
    written_results,
)

if TYPE_CHECKING:
    from porebench.data import Dataset, Reading


@takes_image
def representative(
    image: Reading,
    dataset: Annotated[str, typer.Argument(help="Image of a large volume: its path, or its name in data/.")],
    size: Annotated[
        list[int] | None, typer.Option(help="Edge of blocks in voxels. Repeatable; default 10 to 100.", min=2)
    ] = None,
    seed: SeedOption = 0,
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
) -> None:
    """Say how large a block of a rock must be: each descriptor against block size, as a table, a CSV and a figure."""
    from porebench import data

    from ..evaluate.options import Options
    from ..studies.representative import representative as run

    volume, name, phase = data.load_image(dataset, **image)
    tell(f"{name}: {phase}")
    folder = written_results(out, publish) / name
    with long_command() as told:
        lines = run(volume, folder, Options(seed=seed), sizes=size or (), voxel=phase.voxel, **told)
    typer.echo("\n".join(lines))


@takes_dataset
def validate(
    dataset: Dataset,
    seed: SeedOption = 0,
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A third of the volumes, a fifth of the trials, N = 100.")
    ] = False,
) -> None:
    """Measure the benchmark itself: plant known defects, count false alarms, check intervals and ties."""
    from ..studies.validation.run import QUICK, Settings
    from ..studies.validation.run import validate as run
    from ..studies.validation.twins import FULL, twins
    from ..studies.validation.twins import QUICK as FEW

    settings = Settings(seed=seed, **QUICK) if quick else Settings(seed=seed)
    out = written_results(out, publish, dataset)
    with long_command() as told:
        folder = run(dataset, out, settings, **told)
        fits, pairs = FEW if quick else FULL
        twins(dataset, out, seed=seed, fits=fits, pairs=pairs, workers=settings.workers, **told)
    show((folder / "validation.md").read_text())


@takes_dataset
def intervals(
    dataset: Dataset,
    generators: GeneratorsOption = None,
    generator: OwnOption = None,
    n: Annotated[int, typer.Option("-n", help="Volumes in each ensemble.", min=19)] = 64,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
) -> None:
    """Count how many real test volumes lie inside the 90 % intervals of each generator's ensembles."""
    from ..evaluate.options import Options
    from ..studies.intervals import intervals as run

    chosen = chosen_generators(generators, generator, dataset, seed)
    options = Options(seed=seed, device=device, precision=precision)
    out = written_results(out, publish, dataset)
    with long_command() as told:
        written = run(chosen, dataset, out, options, n=n, **told)
    show(written.read_text())


@takes_dataset
def grow(
    dataset: Dataset,
    generator: Annotated[list[str], typer.Argument(help="Registered names, or path/to/file.py:Class.")],
    edge: Annotated[int, typer.Option(help="Of the cubes in voxels; three blocks or more.", min=3)] = 90,
    n: Annotated[int, typer.Option("-n", help="Test volumes whose densities are drawn.", min=2)] = 96,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
) -> None:
    """Draw larger cubes than were learnt from, score their inside, and look at what happens at the walls."""
    from ..evaluate.options import Options
    from ..studies.growth import grow as run

    options = Options(seed=seed, device=device, precision=precision)
    out = written_results(out, publish, dataset)
    with long_command() as told:
        written = run(generator, dataset, out, options, edge=edge, n=n, **told)
    show(written.read_text())


@takes_dataset
def explain(
    dataset: Dataset,
    generator: Annotated[str, typer.Argument(help="Registered name of a conditional VAE: cvae, cvae-seed.")],
    o: Annotated[
        Path | None, typer.Option("-o", "--out", help="PNG; default results/figures/explain-NAME-DATASET.png.")
    ] = None,
    seed: SeedOption = 0,
    precision: PrecisionOption = "auto",
) -> None:
    """Draw what the latent channels of a conditional VAE do, what density changes, and which channels are active."""
    from ..evaluate.options import Options
    from ..studies.explain import explain as run

    options = Options(seed=seed, precision=precision)
    results = RESULTS if o else written_results(RESULTS, publish=False, dataset=dataset)
    path, found = run(generator, dataset, results, options, png=o, show_progress=True)
    for channel in found.order[:8]:
        nats = ", ".join(f"{value:.2f}" for value in found.divergence[:, channel])
        typer.echo(
            f"channel {channel}: {100 * found.active[channel]:.0f} % of units active, KL by band {nats} nats a unit"
        )
    tell(f"wrote {path}")


@takes_dataset
def ablate(
    dataset: Dataset,
    generator: Annotated[str, typer.Argument(help="Registered name of a generator that has variants: cvae.")],
    epochs: Annotated[
        int, typer.Option(help="Budget: passes over the training volumes, in all phases together.", min=1)
    ] = 60,
    seeds: Annotated[int, typer.Option(help="Trainings of each variant, with seeds 0, 1, ...", min=1)] = 2,
    variants: Annotated[str | None, typer.Option(help="Names, comma-separated; default all.")] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
) -> None:
    """Train variants of a generator on one budget and score them on validation volumes: what is each term worth?"""
    from ..evaluate.options import Options
    from ..studies.ablation import ablate as run
    from ..studies.variants import chosen_variants

    chosen = chosen_variants(generator, variants)
    options = Options(device=device, precision=precision)
    out = written_results(out, publish, dataset)
    with long_command() as told:
        folder = run(chosen, dataset, out, options, epochs=epochs, seeds=range(seeds), **told)
    show((folder / "ablation.md").read_text())


def scaling(
    generators: Annotated[
        str | None, typer.Option(help="Registered names, comma-separated. Default: all that draw any shape.")
    ] = None,
    edge: Annotated[
        list[int] | None, typer.Option(help="Of the cubes in voxels. Repeatable; default 30, 60, 120, 240.", min=8)
    ] = None,
    blocks: Annotated[int, typer.Option(help="How often each is measured, in random order.", min=1)] = 3,
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
) -> None:
    """Measure time and peak memory of one draw against its size, each in a process of its own."""
    from ..report.scaling import scaling_lines
    from ..speed.scaling import EDGES
    from ..speed.scaling import scaling as run
    from ..store.results import read_scaling

    out = written_results(out, publish)
    run(named_generators(generators or ""), out, edges=sorted(set(edge or EDGES)), blocks=blocks, tell=tell)
    table = read_scaling(out)
    if table is not None:
        show(scaling_lines(table))
