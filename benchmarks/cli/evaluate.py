"""Commands that score generators, and that say what of the scores still holds."""

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
    seconds,
    size,
    takes_dataset,
    takes_datasets,
    written_results,
)

if TYPE_CHECKING:
    from porebench.data import Dataset


@takes_dataset
def evaluate(
    dataset: Dataset,
    generators: GeneratorsOption = None,
    generator: OwnOption = None,
    samples: Annotated[int | None, typer.Option(help="Test volumes to draw and compare with; default all.")] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    out: ResultsOption = RESULTS,
    publish: PublishOption = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="About half the samples, fewer resamplings; of named generators, no other rows."),
    ] = False,
    fits: Annotated[
        int | None,
        typer.Option(help="Fits that a row stands on, where one takes a minute at most. [default: 3]", min=1),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="List of what the score is made of; the earlier one is 2026.1. [default: 2026.2]")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print every table, not the main one alone.")] = False,
    timeout: Annotated[
        str, typer.Option(help="How long loading, fitting or drawing may take for one generator: 90, 20m, 2h.")
    ] = "6h",
    memory: Annotated[
        str | None, typer.Option(help="How much memory one generator may take: 800M, 8G. Default: all there is.")
    ] = None,
    physics: Annotated[
        bool,
        typer.Option(
            "--physics",
            help="Also solve for conduction in solid and pores, and find the network of pores (minutes): physics.csv, "
            "conduction.csv, network.csv.",
        ),
    ] = False,
    flow: Annotated[
        bool, typer.Option("--flow", help="Also solve for the permeability of the pores (minutes): flow.csv.")
    ] = False,
    voxel_test: Annotated[
        bool, typer.Option("--voxel-test", help="Also train a network to tell draws from real ones: voxel-test.csv.")
    ] = False,
    controls: Annotated[
        bool | None,
        typer.Option(
            help="Also score the rows that every table needs: controls, and the twin's original. [default: yes, unless "
            "--quick goes with named generators]"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say which cells would be made, and how long that would take.")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="Do what fits into this time, 20m or 2h, and say what was left.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Generators to work on at a time.", min=1)] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers do the work: tcp://host:8786.")
    ] = None,
) -> None:
    """Score generators against real volumes and write the accuracy table."""
    from porebench.generators import CONTROLS
    from porebench.generators.controls import Twin
    from porebench.metrics.suites import CURRENT, named

    from ..evaluate.options import Options
    from ..evaluate.run import evaluate as run
    from ..report.accuracy import beside_published, compact_table
    from ..store.results import read_run, run_folder

    published, out = run_folder(out, dataset, seed), written_results(out, publish, dataset)
    folder = run_folder(out, dataset, seed)
    chosen = chosen_generators(generators, generator, dataset, seed, drawn_in=folder)
    if controls is None:
        controls = not (quick and (generators or generator))
    if controls:
        chosen = list(dict.fromkeys([*chosen, Twin.original, *CONTROLS]))
    options = Options(
        seed=seed,
        samples=samples,
        device=device,
        precision=precision,
        quick=quick,
        fits=fits,
        suite=named(suite or CURRENT).name,
        timeout=seconds(timeout),
        memory=None if memory is None else size(memory),
        extras=tuple(
            name
            for name, asked in (
                ("physics", physics),
                ("conduction", physics),
                ("network", physics),
                ("flow", flow),
                ("voxel-test", voxel_test),
            )
            if asked
        ),
        processes=workers,
        scheduler=scheduler,
    )
    if dry_run or budget is not None:
        from ..audit.estimate import estimate, within

        estimates = estimate(dataset, chosen, out, options)
        if dry_run:
            typer.echo("\n".join(estimates.table()))
            return
        chosen, left = within(estimates, seconds(budget or ""))
        for line in left:
            tell(line)
        if not chosen:
            raise typer.Exit(1)
    with long_command() as told:
        outcomes = run(dataset, chosen, out, options, **told)
    if verbose:
        show((folder / "accuracy.md").read_text())
    else:
        typer.echo("\n".join(compact_table(read_run(folder))))
        tell(f"every table: {folder / 'accuracy.md'}")
    if published != folder and (published / "manifest.json").is_file():
        typer.echo("\n".join(["", *beside_published(read_run(folder), read_run(published))]))
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        tell(f"{outcome.generator} failed to {outcome.record['phase']}: {outcome.record['reason']}")
    if failed:
        raise typer.Exit(1)


@takes_datasets
def status(
    given: list[Dataset],
    results: ResultsOption = RESULTS,
    generator: OwnOption = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless every row is fresh.")] = False,
    same_as: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT",
            help="First make fresh what is stale since that commit only because descriptors are computed, or volumes "
            "drawn, another way, if both ways give the same to the last bit (a clone; minutes).",
        ),
    ] = None,
) -> None:
    """Say of every cell of the results whether it is fresh, stale (and why), failed or missing."""
    from ..audit.status import FRESH, MISSING, status_table
    from ..audit.status import status as find

    if same_as:
        from ..audit.same import make_fresh

        for path in make_fresh(results, same_as, given):
            typer.echo(f"same numbers as at {same_as}: {path}")
    states = find(results, given, generator or [])
    show(status_table(states))
    if check and any(state.state not in {FRESH, MISSING} for state in states):
        raise typer.Exit(1)


@takes_datasets
def rescore(
    given: list[Dataset],
    results: Annotated[Path, typer.Argument(help="Results folder, or the folder of one data set.")] = RESULTS,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a number of the tables has moved.")
    ] = False,
    publish: PublishOption = False,
) -> None:
    """Compute all scores again from the stored samples, without fitting or drawing, and print old against new."""
    from ..audit.compare import rescore as run
    from ..store.results import is_published

    if is_published(results) and not (check or publish):
        raise ValueError(
            f"the tables in {results} are published: give --check to compare, --publish to change them, or the folder "
            "of your own results"
        )
    moved = False
    for compared in run(results, given, keep=not check):
        typer.echo("\n".join(compared.lines()))
        moved |= bool(compared.moved)
    if check and moved:
        raise typer.Exit(1)


@takes_datasets
def reproduce(
    given: list[Dataset],
    manifest: Annotated[Path, typer.Argument(help="A manifest.json that porebench evaluate wrote, or its folder.")],
    generator: OwnOption = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the new run; default nowhere.")] = None,
) -> None:
    """Run everything again that a manifest lists, and say what differs; exit with 1 if a number does."""
    from ..audit.compare import reproduce as run

    folder = manifest.parent if manifest.name == "manifest.json" else manifest
    same = True
    for line, agrees in run(folder, given, generator or [], out and written_results(out, False)):
        typer.echo(line)
        same &= agrees
    if not same:
        raise typer.Exit(1)
