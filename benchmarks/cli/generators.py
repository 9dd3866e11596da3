"""Commands that make and show volumes: fits, draws, data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import tell
from .parameters import DeviceOption, PrecisionOption, SeedOption, takes_dataset, takes_image

if TYPE_CHECKING:
    from porebench.data import Dataset, Reading

REFERENCE = Annotated[str, typer.Argument(help="Registered name, or path/to/file.py:Class.")]
SHAPE = typer.Option(help="Depth, height and width of the draw; default the training shape.")


@takes_dataset
def train(
    dataset: Dataset,
    generator: REFERENCE,
    seed: SeedOption = 0,
    precision: PrecisionOption = "auto",
    publish: Annotated[
        bool, typer.Option("--publish", help="Also put the weights into generators/weights/, to be committed.")
    ] = False,
    devices: Annotated[int, typer.Option(help="GPUs (or processes) that train a network together.", min=1)] = 1,
    num_nodes: Annotated[int, typer.Option(help="Machines that do, each with so many (under Slurm).", min=1)] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="End the training of a network (but autoregressive) after so long, its schedule fitted.", min=1
        ),
    ] = None,
) -> None:
    """Fit a generator on a data set, whether or not a fitted one is at hand, and keep it for the other commands."""
    from porebench.generators import importable

    from ..evaluate import fits
    from ..evaluate.options import Options

    options, machines = Options(seed=seed, device="cpu", precision=precision), (devices, num_nodes)
    with importable(generator):
        ready = fits.fitted(
            generator, dataset, options, show_progress=True, refit=True, machines=machines, minutes=minutes
        )
    tell(f"{ready.generator.name} fitted on {dataset.name} in {ready.seconds:.1f} s")
    if publish:
        tell(f"weights in {fits.publish(ready)}")


@takes_dataset
def sample(
    dataset: Dataset,
    generator: REFERENCE,
    density: Annotated[float, typer.Option(help="Density of every realisation, in [0, 1].")],
    o: Annotated[Path, typer.Option("-o", "--out", help="Folder, or a file whose suffix says the format.")],
    n: Annotated[int, typer.Option("-n", help="Number of realisations.")] = 1,
    shape: Annotated[tuple[int, int, int] | None, SHAPE] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    file_format: Annotated[
        Literal["npz", "npy", "tiff", "raw", "nrrd", "hdf5", "vti", "seed"] | None,
        typer.Option("--format", help="Of the files in the folder; 'seed' is the published format. Default npz."),
    ] = None,
    intervals: Annotated[
        bool,
        typer.Option("--intervals", help="Also the 5-95 % interval of every descriptor, and the occupancy of voxels."),
    ] = False,
) -> None:
    """Draw realisations of a fitted generator (fitting it first where needed) into files."""
    import numpy as np

    from porebench.data import Volumes
    from porebench.data.export import choose_format, write_volumes
    from porebench.generators import importable

    from ..evaluate.fits import fitted
    from ..evaluate.options import Options

    choose_format(o, file_format)
    if intervals and n < 2:
        raise ValueError("intervals need an ensemble: ask for more than one volume with -n")
    with importable(generator):
        ready = fitted(generator, dataset, Options(device=device, precision=precision), show_progress=True)
        voxels = ready.generator.sample(density, n, shape=shape, rng=seed)
    drawn = Volumes(voxels, np.full(n, density), dataset.test.voxel_size, ready.generator.name)
    written = write_volumes(drawn, o, file_format)
    place = written[0] if len(written) == 1 else f"{len(written)} files in {o}"
    tell(f"{n} volumes of {' × '.join(map(str, drawn.shape))} voxels: {place}")
    if intervals:
        from ..studies.intervals import interval_lines, write_ensemble

        table, summary, files = write_ensemble(drawn, o, workers=os.cpu_count() or 1)
        typer.echo("\n".join(interval_lines(table)))
        typer.echo(
            f"voxels are pore in {100 * summary['mean']:.1f} % of the draws, sd over voxels {100 * summary['sd']:.1f} "
            f"(by chance {100 * summary['sd_by_chance']:.1f}); never {100 * summary['never']:.1f} %, "
            f"always {100 * summary['always']:.1f} %"
        )
        for path in files:
            tell(f"wrote {path}")


@takes_image
def view(
    image: Reading,
    what: Annotated[str, typer.Argument(help="A volume's file, or a generator as for 'sample'.")],
    density: Annotated[float, typer.Option(help="Density of the realisation that a generator draws.")] = 0.5,
    index: Annotated[int, typer.Option(help="Which volume of a file that holds several.", min=0)] = 0,
    png: Annotated[
        Path | None, typer.Option(help="Picture to write instead of opening a window; needed without a display.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Data set that a generator is fitted on.")] = "spheres",
    shape: Annotated[tuple[int, int, int] | None, SHAPE] = None,
    seed: SeedOption = 0,
) -> None:
    """Show a volume in three dimensions: a window to turn it in, or a PNG where there is no display."""
    from porebench import data
    from porebench.data.images import SUFFIXES
    from porebench.generators import GENERATORS, importable

    from ..evaluate.fits import fitted
    from ..report.volumes import has_display
    from ..report.volumes import view as show

    if what in GENERATORS or ".py:" in what:
        with importable(what):
            generator = fitted(what, data.load(dataset), show_progress=True).generator
            voxels = generator.sample(density, shape=shape, rng=seed)[0]
        title = f"{generator.name} at density {density:g}"
    elif not Path(what).exists():
        known = ", ".join(SUFFIXES)
        raise FileNotFoundError(f"there is no file {what}: give a volume ({known}) or the name of a generator")
    else:
        voxels, phase = data.read_phase(what, index=index, **image)
        title = Path(what).name
        tell(f"{title}: {phase}")
    if png is None and not has_display():
        png = Path("view.png")
        tell("no display: drawing into a file (--png names another)")
    written = show(voxels, title, png=png)
    if written:
        tell(f"wrote {written}")


def make_data(
    name: Annotated[str, typer.Argument(help="Name of a built-in data set, such as spheres.")],
    out: Annotated[Path, typer.Option(help="Folder for distribution_{index}_{density}.npy files.")],
    part: Annotated[Literal["train", "validation", "test"] | None, typer.Option(help="Only this part.")] = None,
) -> None:
    """Write a built-in data set's 512 training and validation volumes (or one part) in the published file format."""
    import numpy as np

    from porebench import data

    if name not in data.NAMES:
        raise ValueError(f"no built-in data set is called {name!r}; there are {', '.join(data.NAMES)}")
    loaded = data.load(name)
    parts = [loaded.train, loaded.validation] if part is None else [getattr(loaded, part)]
    volumes = data.Volumes(
        np.concatenate([chosen.voxels for chosen in parts]), np.concatenate([chosen.density for chosen in parts])
    )
    data.write_folder(volumes, out)
    tell(f"{len(volumes)} files in {out}")
