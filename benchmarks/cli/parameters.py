"""Options that several commands share, and what they choose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from porebench import data
from porebench.generators import GENERATORS

from ..evaluate import fits

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


def chosen_generators(
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
        names = [] if own else [name for name in GENERATORS if fits.at_hand(name, dataset, seed, drawn_in)]
    else:
        names = named_generators(registered)
    return list(dict.fromkeys(names + own))


def named_generators(names: str) -> list[str]:
    """Registered generators from their names with commas between, or from "all"."""
    if names == "all":
        return list(GENERATORS)
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in GENERATORS:
            raise ValueError(f"no generator is called {name!r}; registered are {', '.join(GENERATORS)}")
    return list(dict.fromkeys(listed))
