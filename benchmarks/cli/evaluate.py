"""Commands that score generators, and that say what of the scores still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from porebench import data
from porebench.generators import CONTROLS
from porebench.generators.controls import Twin

from ..evaluate.fits import ROOT
from .console import command_line, err_console, show
from .parameters import (
    BlockOption,
    DatasetOption,
    DeviceOption,
    GeneratorsOption,
    GivenOption,
    OwnOption,
    PoreValueOption,
    ResultsOption,
    SeedOption,
    SkipBadOption,
    chosen_generators,
)
from .units import seconds, size


def evaluate(
    dataset: DatasetOption = "spheres",
    generators: GeneratorsOption = None,
    generator: OwnOption = None,
    samples: Annotated[int | None, typer.Option(help="Test volumes to draw and compare with; default all.")] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    out: ResultsOption = ROOT / "results",
    quick: Annotated[bool, typer.Option("--quick", help="About half the samples and fewer resamplings.")] = False,
    timeout: Annotated[
        str, typer.Option(help="How long loading, fitting or drawing may take for one generator: 90, 20m, 2h.")
    ] = "6h",
    memory: Annotated[
        str | None, typer.Option(help="How much memory one generator may take: 800M, 8G. Default: all there is.")
    ] = None,
    physics: Annotated[
        bool, typer.Option("--physics", help="Also solve for the diffusivity of the solid (minutes): physics.csv.")
    ] = False,
    voxel_test: Annotated[
        bool, typer.Option("--voxel-test", help="Also train a network to tell draws from real ones: voxel-test.csv.")
    ] = False,
    controls: Annotated[
        bool, typer.Option(help="Also score the rows that every table needs: controls, and the twin's original.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which cells would be made, and how long that would take.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="Do what fits into this time, 20m or 2h, and say what was left.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Generators to work on at a time; more than 1 needs porebench[cluster].", min=1)
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers do the work: tcp://host:8786.")
    ] = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Score generators against real volumes and write the accuracy table."""
    from ..evaluate.options import Options
    from ..evaluate.progress import progress_display
    from ..evaluate.run import evaluate as run
    from ..store.results import run_folder

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    chosen = chosen_generators(generators, generator or [], loaded, seed, drawn_in=run_folder(out, loaded.name, seed))
    if controls:
        chosen = list(dict.fromkeys([*chosen, Twin.original, *CONTROLS]))
    options = Options(
        seed=seed,
        samples=samples,
        device=device,
        quick=quick,
        timeout=seconds(timeout),
        memory=None if memory is None else size(memory),
        extras=tuple(name for name, asked in (("physics", physics), ("voxel-test", voxel_test)) if asked),
        processes=workers,
        scheduler=scheduler,
    )
    if dry_run or budget is not None:
        from ..audit.estimate import estimate, within

        estimates = estimate(loaded, chosen, out, options)
        if dry_run:
            typer.echo("\n".join(estimates.table()))
            return
        chosen, left = within(estimates, seconds(budget or ""))
        for line in left:
            err_console.print(line, markup=False)
        if not chosen:
            raise typer.Exit(1)
    try:
        with progress_display() as progress:
            outcomes = run(loaded, chosen, out, options, progress=progress, command=command_line())
    except KeyboardInterrupt:
        err_console.print("porebench: interrupted; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    folder = run_folder(out, loaded.name, seed)
    show((folder / "accuracy.md").read_text())
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        err_console.print(
            f"{outcome.generator} failed to {outcome.record['phase']}: {outcome.record['reason']}", markup=False
        )
    if failed:
        raise typer.Exit(1)


def status(
    results: ResultsOption = ROOT / "results",
    dataset: GivenOption = None,
    generator: OwnOption = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless every row is fresh.")] = False,
) -> None:
    """Say of every cell of the results whether it is fresh, stale (and why), failed or missing."""
    from ..audit.status import FRESH, MISSING
    from ..audit.status import status as find
    from ..report.documents import status_table

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    states = find(results, given, generator or [])
    show("\n".join(status_table(states)))
    if check and any(state.state not in {FRESH, MISSING} for state in states):
        raise typer.Exit(1)


def rescore(
    results: Annotated[Path, typer.Argument(help="Results folder, or the folder of one data set.")] = ROOT / "results",
    dataset: GivenOption = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a number of the tables has moved.")
    ] = False,
) -> None:
    """Compute all scores again from the stored samples, without fitting or drawing, and print old against new."""
    from ..audit.compare import rescore as run

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    moved = False
    for compared in run(results, given, keep=not check):
        typer.echo("\n".join(compared.lines()))
        moved |= bool(compared.moved)
    if check and moved:
        raise typer.Exit(1)


def reproduce(
    manifest: Annotated[Path, typer.Argument(help="A manifest.json that porebench evaluate wrote, or its folder.")],
    dataset: GivenOption = None,
    generator: OwnOption = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the new run; default nowhere.")] = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
) -> None:
    """Run everything again that a manifest lists, and say what differs; exit with 1 if a number does."""
    from ..audit.reproduce import reproduce as run

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    folder = manifest.parent if manifest.name == "manifest.json" else manifest
    same = True
    for line, agrees in run(folder, given, generator or [], out):
        typer.echo(line)
        same &= agrees
    if not same:
        raise typer.Exit(1)
