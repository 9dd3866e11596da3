"""The ``porebench`` command: thin, calls the modules beside it. Bad input is one sentence and exit code 2."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markdown import Markdown
from sklearn.exceptions import NotFittedError

import data
from generators import CONTROLS, GENERATORS
from generators.twin import Twin

from . import artefacts
from .artefacts import ROOT
from .units import seconds, size

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Compare generators of three-dimensional porous microstructures.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make the built-in data sets.")
app.add_typer(data_app, name="data")

out_console = Console()
err_console = Console(stderr=True)

DatasetOption = Annotated[str, typer.Option(help="Built-in name, folder of published files, or image of a volume.")]
BlockOption = Annotated[int, typer.Option(help="Edge in voxels of the blocks an image is cut into.", min=2)]
SkipBadOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable files and list them.")]
PoreValueOption = Annotated[
    int | None, typer.Option(help="Value that means pore in an image; default the smaller one.")
]
SeedOption = Annotated[int, typer.Option(help="Seed of fits, draws and resampling.", min=0)]
ResultsOption = Annotated[Path, typer.Option(help="Results folder.")]
GivenOption = Annotated[
    list[str] | None, typer.Option(help="A data set that is not built in: its folder or image. Repeatable.")
]
GeneratorsOption = Annotated[
    str | None,
    typer.Option(help="Registered names, comma-separated, or 'all'. Default: all that need no long training."),
]
OwnOption = Annotated[
    list[str] | None,
    typer.Option(help="path/to/file.py:Class, a generator of your own; runs that file. Repeatable."),
]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to sample.")]


@app.command()
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
    from .evaluate import Options, progress_display
    from .evaluate import evaluate as run
    from .runs import run_folder

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    chosen = _chosen(generators, generator or [], loaded, seed, drawn_in=run_folder(out, loaded.name, seed))
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
        from .budget import estimate, within

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
            outcomes = run(loaded, chosen, out, options, progress=progress, command=_command_line())
    except KeyboardInterrupt:
        err_console.print("porebench: interrupted; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    folder = run_folder(out, loaded.name, seed)
    _show((folder / "accuracy.md").read_text())
    failed = [outcome for outcome in outcomes if outcome.failed]
    for outcome in failed:
        err_console.print(
            f"{outcome.generator} failed to {outcome.record['phase']}: {outcome.record['reason']}", markup=False
        )
    if failed:
        raise typer.Exit(1)


@app.command()
def train(
    generator: Annotated[str, typer.Argument(help="Registered name, or path/to/file.py:Class.")],
    dataset: DatasetOption = "spheres",
    seed: SeedOption = 0,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Also put the weights into generators/weights/, to be committed.")
    ] = False,
    devices: Annotated[int, typer.Option(help="GPUs (or processes) that train a network together.", min=1)] = 1,
    num_nodes: Annotated[int, typer.Option(help="Machines that do, each with so many (under Slurm).", min=1)] = 1,
) -> None:
    """Fit a generator on a data set, whether or not a fitted one is at hand, and keep it for the other commands."""
    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    machines = (devices, num_nodes)
    ready = artefacts.fitted(generator, loaded, seed=seed, show_progress=True, refit=True, machines=machines)
    err_console.print(f"{ready.generator.name} fitted on {loaded.name} in {ready.seconds:.1f} s")
    if publish:
        path = artefacts.publish(ready, loaded, seed)
        err_console.print(f"weights in {path.relative_to(ROOT)}")


@app.command()
def sample(
    generator: Annotated[str, typer.Argument(help="Registered name, or path/to/file.py:Class.")],
    density: Annotated[float, typer.Option(help="Density of every realisation, in [0, 1].")],
    o: Annotated[Path, typer.Option("-o", "--out", help="Folder, or a file whose suffix says the format.")],
    n: Annotated[int, typer.Option("-n", help="Number of realisations.")] = 1,
    dataset: DatasetOption = "spheres",
    shape: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Depth, height and width; default the training shape.")
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    file_format: Annotated[
        Literal["npz", "npy", "tiff", "raw", "vti", "seed"] | None,
        typer.Option("--format", help="Of the files in the folder; 'seed' is the published format. Default npz."),
    ] = None,
    intervals: Annotated[
        bool,
        typer.Option("--intervals", help="Also the 5-95 % interval of every descriptor, and the occupancy of voxels."),
    ] = False,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    skip_bad: SkipBadOption = False,
) -> None:
    """Draw realisations of a fitted generator (fitting it first where needed) into files."""
    from .formats import choose_format, write_volumes

    choose_format(o, file_format)
    if intervals and n < 2:
        raise ValueError("intervals need an ensemble: ask for more than one volume with -n")
    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    ready = artefacts.fitted(generator, loaded, device=device, show_progress=True)
    voxels = ready.generator.sample(density, n, shape=shape, rng=seed)
    drawn = data.Volumes(voxels, np.full(n, density), loaded.test.voxel_size, ready.generator.name)
    written = write_volumes(drawn, o, file_format)
    place = written[0] if len(written) == 1 else f"{len(written)} files in {o}"
    err_console.print(f"{n} volumes of {' × '.join(map(str, drawn.shape))} voxels: {place}", markup=False)
    if intervals:
        from .intervals import interval_lines, write_ensemble

        table, summary, files = write_ensemble(drawn, o, workers=os.cpu_count() or 1)
        typer.echo("\n".join(interval_lines(table)))
        typer.echo(
            f"voxels are pore in {100 * summary['mean']:.1f} % of the draws, sd over voxels {100 * summary['sd']:.1f} "
            f"(by chance {100 * summary['sd_by_chance']:.1f}); never {100 * summary['never']:.1f} %, "
            f"always {100 * summary['always']:.1f} %"
        )
        for path in files:
            err_console.print(f"wrote {path}", markup=False)


@app.command()
def view(
    what: Annotated[str, typer.Argument(help="A volume's file, or a generator as for 'sample'.")],
    density: Annotated[float, typer.Option(help="Density of the realisation that a generator draws.")] = 0.5,
    index: Annotated[int, typer.Option(help="Which volume of a file that holds several.", min=0)] = 0,
    png: Annotated[
        Path | None, typer.Option(help="Picture to write instead of opening a window; needed without a display.")
    ] = None,
    dataset: DatasetOption = "spheres",
    shape: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Depth, height and width: of the draw, or of a .raw file.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Type of a voxel in a .raw file.")] = "uint8",
    seed: SeedOption = 0,
    pore_value: PoreValueOption = None,
) -> None:
    """Show a volume in three dimensions: a window to turn it in, or a PNG where there is no display."""
    from .formats import read_any
    from .viewing import has_display
    from .viewing import view as show

    if what in GENERATORS or ".py:" in what:
        loaded = data.load(dataset)
        generator = artefacts.fitted(what, loaded, show_progress=True).generator
        voxels = generator.sample(density, shape=shape, rng=seed)[0]
        title = f"{generator.name} at density {density:g}"
    else:
        raw = {"shape": shape, "dtype": dtype} if what.endswith(".raw") else {}
        voxels = read_any(what, index, pore_value=pore_value, **raw)
        title = Path(what).name
    if png is None and not has_display():
        png = Path("view.png")
        err_console.print("no display: drawing into a file (--png names another)")
    written = show(voxels, title, png=png)
    if written:
        err_console.print(f"wrote {written}", markup=False)


@app.command()
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
    from .evaluate import bars, progress_display
    from .representative import representative as run

    volume, name = data.load_image(dataset, pore_value=pore_value)
    with progress_display() as progress:
        table = run(
            volume,
            out / name,
            sizes=size or (),
            seed=seed,
            workers=os.cpu_count() or 1,
            bar=bars(progress),
            command=_command_line(),
        )
    typer.echo("\n".join(table))


@app.command()
def status(
    results: ResultsOption = ROOT / "results",
    dataset: GivenOption = None,
    generator: OwnOption = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless every row is fresh.")] = False,
) -> None:
    """Say of every cell of the results whether it is fresh, stale (and why), failed or missing."""
    from .report import status_table
    from .status import FRESH, MISSING
    from .status import status as find

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    states = find(results, given, generator or [])
    _show("\n".join(status_table(states)))
    if check and any(state.state not in {FRESH, MISSING} for state in states):
        raise typer.Exit(1)


@app.command()
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
    from .rescore import rescore as run

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    moved = False
    for compared in run(results, given, keep=not check):
        typer.echo("\n".join(compared.lines()))
        moved |= bool(compared.moved)
    if check and moved:
        raise typer.Exit(1)


@app.command()
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
    from .evaluate import progress_display
    from .validate import QUICK, Settings
    from .validate import validate as run

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    settings = Settings(seed=seed, **QUICK) if quick else Settings(seed=seed)
    with progress_display() as progress:
        folder = run(loaded, out, settings, progress=progress, command=_command_line())
    _show((folder / "validation.md").read_text())


@app.command()
def reproduce(
    manifest: Annotated[Path, typer.Argument(help="A manifest.json that porebench evaluate wrote, or its folder.")],
    dataset: GivenOption = None,
    generator: OwnOption = None,
    out: Annotated[Path | None, typer.Option(help="Where to keep the new run; default nowhere.")] = None,
    block: BlockOption = 30,
    pore_value: PoreValueOption = None,
) -> None:
    """Run everything again that a manifest lists, and say what differs; exit with 1 if a number does."""
    from .reproduce import reproduce as run

    given = [data.load(name, block=block, pore_value=pore_value) for name in dataset or []]
    folder = manifest.parent if manifest.name == "manifest.json" else manifest
    same = True
    for line, agrees in run(folder, given, generator or [], out):
        typer.echo(line)
        same &= agrees
    if not same:
        raise typer.Exit(1)


@app.command()
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
    from metrics.descriptors import describe

    from .drawing import plan
    from .intervals import coverage_inputs, coverage_rows, write_coverage
    from .runs import run_folder

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    chosen = _chosen(generators, generator or [], loaded, seed)
    folder = run_folder(out, loaded.name, seed)
    workers = os.cpu_count() or 1
    test = describe(loaded.test.voxels, workers=workers)
    rows, inputs = [], {}
    for name in chosen:
        ready = artefacts.fitted(name, loaded, seed=seed, device=device, show_progress=True)
        err_console.print(ready.generator.name)
        rows += coverage_rows(ready.generator, loaded, test, n=n, seed=seed, workers=workers)
        fit = plan(name, loaded, loaded.test, folder, seed=seed, device=device).inputs("fit", ready.weights)
        inputs[ready.generator.name] = coverage_inputs(fit, loaded.test, n)
    written = write_coverage(rows, loaded, n, seed, folder, _command_line(), inputs)
    _show(written.read_text())


@app.command()
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
    from .drawing import plan
    from .grow import grow as run
    from .grow import grown_inputs
    from .runs import run_folder

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    folder = run_folder(out, loaded.name, seed)
    ready, inputs = [], {}
    for name in generator:
        found = artefacts.fitted(name, loaded, seed=seed, device=device, show_progress=True)
        fit = plan(name, loaded, loaded.test, folder, seed=seed, device=device).inputs("fit", found.weights)
        inputs[found.generator.name] = grown_inputs(fit, loaded.test, edge, n)
        ready.append(found.generator)
    written = run(
        ready,
        loaded,
        folder,
        edge=edge,
        n=n,
        seed=seed,
        workers=os.cpu_count() or 1,
        command=_command_line(),
        tell=err_console.print,
        inputs=inputs,
    )
    _show(written.read_text())


@app.command()
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
    from .explain import explain as run

    loaded = data.load(dataset, block=block, pore_value=pore_value, skip_bad=skip_bad)
    ready = artefacts.fitted(generator, loaded, seed=seed, show_progress=True)
    path = o or ROOT / "results" / "figures" / f"explain-{ready.generator.name}-{loaded.name}.png"
    found = run(ready.generator, loaded, path, seed=seed)
    for channel in found.order[:8]:
        nats = ", ".join(f"{value:.2f}" for value in found.divergence[:, channel])
        typer.echo(
            f"channel {channel}: {100 * found.active[channel]:.0f} % of units active, KL by band {nats} nats a unit"
        )
    err_console.print(f"wrote {path}", markup=False)


@app.command()
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
    from .ablate import ablate as run
    from .variants import chosen_variants

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
            command=_command_line(),
        )
    except KeyboardInterrupt:
        err_console.print("porebench: interrupted; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    _show((folder / "ablation.md").read_text())


@app.command()
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
    from .scaling import EDGES, chosen
    from .scaling import scaling as run
    from .scaling_report import read_scaling, scaling_lines

    names = chosen(_registered(generators) if generators else [])
    run(names, out, edges=sorted(set(edge or EDGES)), blocks=blocks, tell=err_console.print)
    table = read_scaling(out)
    if table is not None:
        _show("\n".join(scaling_lines(table)))


@app.command()
def report(
    results: ResultsOption = ROOT / "results",
    readme: Annotated[Path, typer.Option(help="Document whose tables are replaced.")] = ROOT / "README.md",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is not the one in the results.")
    ] = False,
) -> None:
    """Write the tables of all results again, put the newest into the README, and make the report page."""
    from .page import write_page
    from .report import outdated_reports, write_reports

    if check:
        outdated = outdated_reports(results, readme)
        for path in outdated:
            err_console.print(f"{path} is not what the results say; run: porebench report", markup=False)
        if outdated:
            raise typer.Exit(1)
        return
    for path in write_reports(results, readme):
        err_console.print(f"wrote {path}", markup=False)
    err_console.print(f"wrote {write_page(results)}", markup=False)


@app.command()
def figures(
    results: ResultsOption = ROOT / "results",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for PNG and SVG files.")] = ROOT
    / "results"
    / "figures",
    style: Annotated[
        Literal["column", "page", "screen"], typer.Option(help="One or two columns of a journal, or a web page.")
    ] = "page",
    only: Annotated[list[str] | None, typer.Option(help="Name of a figure; all by default. Repeatable.")] = None,
) -> None:
    """Draw the figures of the report for a paper, as PNG and SVG."""
    from .figures import write_figures

    for path in write_figures(results, out, style, only or ()):
        err_console.print(f"wrote {path}", markup=False)


@data_app.command("make")
def make_data(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(data.NAMES)}.")],
    out: Annotated[Path, typer.Option(help="Folder for distribution_{index}_{density}.npy files.")],
    part: Annotated[Literal["train", "validation", "test"] | None, typer.Option(help="Only this part.")] = None,
) -> None:
    """Write a built-in data set's 512 training and validation volumes (or one part) in the published file format."""
    if name not in data.NAMES:
        raise ValueError(f"no built-in data set is called {name!r}; there are {', '.join(data.NAMES)}")
    loaded = data.load(name)
    parts = [loaded.train, loaded.validation] if part is None else [getattr(loaded, part)]
    volumes = data.Volumes(
        np.concatenate([chosen.voxels for chosen in parts]), np.concatenate([chosen.density for chosen in parts])
    )
    data.write_folder(volumes, out)
    err_console.print(f"{len(volumes)} files in {out}", markup=False)


def main(*arguments: str) -> None:
    """Run the command line; bad input ends it with one sentence and exit code 2."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err_console, show_path=False, show_time=False)],
    )
    try:
        app([*arguments, *sys.argv[1:]])
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError, NotFittedError) as error:
        err_console.print(f"porebench: {error}", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def _chosen(
    registered: str | None, own: list[str], dataset: data.Dataset, seed: int, *, drawn_in: Path | None = None
) -> list[str]:
    """Generators asked for, each once; where none is, all registered ones that need no long training.

    Args:
        registered: as given by ``--generators``.
        own: as given by ``--generator``.
        dataset: what they are to be fitted on.
        seed: of the fit.
        drawn_in: a run folder whose samples make up for a fit that is not at hand, for a command that needs no more.
    """
    if registered is None:
        names = [] if own else [name for name in GENERATORS if artefacts.at_hand(name, dataset, seed, drawn_in)]
    else:
        names = _registered(registered)
    return list(dict.fromkeys(names + own))


def _registered(names: str) -> list[str]:
    """Registered generators from their names with commas between, or from "all"."""
    if names == "all":
        return list(GENERATORS)
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in GENERATORS:
            raise ValueError(f"no generator is called {name!r}; registered are {', '.join(GENERATORS)}")
    return list(dict.fromkeys(listed))


def _show(table: str) -> None:
    """Print Markdown, rendered where the output is a terminal."""
    if out_console.is_terminal:
        out_console.print(Markdown(table))
    else:
        typer.echo(table)


def _command_line() -> str:
    """The command as typed, with paths cut to their last part."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["porebench", *words])


if __name__ == "__main__":
    main()
