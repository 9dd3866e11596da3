"""Commands for volumes that were drawn elsewhere: what is asked for, and how real the answers are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import long_command, tell
from .parameters import takes_image

if TYPE_CHECKING:
    from porebench.data import Reading

TASK = typer.Option(help="Name or path of a data set, or path of a task.json.")
SAMPLES = typer.Option(help="Test densities to ask for, spread over density; default all.", min=2)
BLOCK = typer.Option(help="Edge in voxels of the blocks an image is cut into.", min=2)


def list_tasks() -> None:
    """List the tasks that can be exported anywhere; any image of a porous medium is one too."""
    from porebench import data

    from ..evaluate.tasks import load_task
    from ..report.text import column_lines

    rows = []
    for name in data.NAMES:
        task = load_task(name)
        size = " × ".join(map(str, task.test.shape))
        rows.append([name, str(len(task.dataset.train)), str(len(task.test)), size, f"{task.test.voxels.mean():.3f}"])
    typer.echo("\n".join(column_lines(["task", "training volumes", "conditions", "voxels", "mean porosity"], rows)))


@takes_image
def export_task(
    image: Reading,
    dataset: Annotated[str, typer.Argument(help="Name or path of a data set.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder.")] = Path("task"),
    samples: Annotated[int | None, SAMPLES] = None,
    block: Annotated[int, BLOCK] = 30,
) -> None:
    """Write what a generator may learn from and the densities that it is asked for, to draw with any program."""
    from ..evaluate.tasks import load_task

    task = load_task(dataset, block=block, reading=image, samples=samples)
    if task.dataset.phase:
        tell(f"{task.dataset.name}: {task.dataset.phase}")
    for path in task.export(out):
        tell(f"wrote {path}")
    tell(f"draw one volume for each of {len(task.test)} rows, then: porebench score FOLDER --task {out / 'task.json'}")


def score(
    folder: Annotated[Path, typer.Argument(help="Folder of volumes, or one .npz or .npy file of all.")],
    task: Annotated[str, TASK],
    name: Annotated[str | None, typer.Option(help="Heading of the row; default the folder's name.")] = None,
    match: Annotated[
        Literal["order", "name", "porosity"],
        typer.Option(help="What pairs volumes with densities: their order, the numbers in names, or porosity."),
    ] = "order",
    pore: Annotated[float | None, typer.Option(help="Value that means pore; default 1, or the smaller one.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Value above which a voxel is pore, of grey volumes.")] = None,
    samples: Annotated[int | None, SAMPLES] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder; default NAME-score.")] = None,
) -> None:
    """Score volumes that were drawn elsewhere: a row with its verdict, and files to keep."""
    from porebench.data.collections import read_collection

    from ..evaluate.outside import score as run
    from ..evaluate.tasks import load_task

    heading = name or folder.resolve().stem
    asked = load_task(task, samples=samples)
    given = read_collection(folder, pore=pore, threshold=threshold)
    tell(given.phase)
    with long_command() as told:
        judged = run(given, asked, name=heading, match=match, progress=told["progress"])
    tell(judged.about["paired"])
    typer.echo(str(judged))
    for path in judged.write(out or Path(f"{heading}-score")):
        tell(f"wrote {path}")
