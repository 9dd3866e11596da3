"""Commands for volumes that were drawn elsewhere: what is asked for, how real the answers are, and rows handed in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .console import long_command, tell
from .parameters import (
    RESULTS,
    KeyOption,
    PickOption,
    PoreOption,
    ResultsOption,
    ThresholdOption,
    phase,
    picked,
    takes_image,
)

if TYPE_CHECKING:
    from porebench.data import Reading
    from porebench.data.collections import Collection

    from ..store.submissions import Card

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
    pore: PoreOption = None,
    threshold: ThresholdOption = None,
    key: KeyOption = None,
    pick: PickOption = None,
    samples: Annotated[int | None, SAMPLES] = None,
    card: Annotated[
        Path | None, typer.Option(help="Card of the generator, to hand the row in with; see CONTRIBUTING.md.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder; default NAME-score.")] = None,
) -> None:
    """Score volumes that were drawn elsewhere: a row with its verdict, and files to keep."""
    from ..evaluate.outside import score as run
    from ..evaluate.tasks import load_task

    about = _card(card)
    if about is not None and name not in (None, about.name):
        raise ValueError(f"the row is called {about.name} by its card and {name} by --name: leave --name out")
    heading = about.name if about else name or folder.resolve().stem
    place = out or Path(heading if about else f"{heading}-score")
    if place.resolve() == folder.resolve():
        raise ValueError(f"the volumes lie in {folder}, where the row would go: give another folder with --out")
    asked = load_task(task, samples=samples)
    given = _read(folder, pore, threshold, key, pick)
    with long_command() as told:
        judged = run(
            given,
            asked,
            name=heading,
            match=match,
            trained_on=about.trained_on if about else (),
            progress=told["progress"],
        )
    tell(judged.about["paired"])
    typer.echo(str(judged))
    for path in judged.write(place):
        tell(f"wrote {path}")
    if card is not None:
        from ..store.submissions import CARD

        copy = place / CARD
        if copy.resolve() != card.resolve():
            copy.write_bytes(card.read_bytes())
        tell(f"wrote {copy}; to hand it in: results/submissions/{judged.about['suite']}/{heading}/")


def _read(path: Path, pore: str | None, threshold: str | None, key: str | None, pick: str | None) -> Collection:
    """Return the volumes of a file or folder, and say what was taken for pore."""
    from porebench.data.collections import read_collection

    labels, grey = phase(pore, threshold)
    given = read_collection(path, pore=labels, threshold=grey, key=key, pick=picked(pick))
    tell(given.phase)
    return given


def _card(path: Path | None) -> Card | None:
    if path is None:
        return None
    from ..store.submissions import read_card

    return read_card(path)


def check_submissions(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders about to be handed in; default all in the results.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also refuse unknown files, and files changed since they were verified.")
    ] = False,
    results: ResultsOption = RESULTS,
) -> None:
    """Check rows that were handed in: cards, complete numbers, the suite and the test volumes of their task."""
    from ..store.submissions import check_submission, submission_folders

    wrong = 0
    found = folders or submission_folders(results)
    for folder in found:
        try:
            checked = check_submission(folder.resolve(), results, strict=strict, new=bool(folders))
            tell(f"{folder}: {checked.status}")
        except ValueError as error:
            wrong += 1
            tell(f"porebench: {error}")
    tell(f"{len(found)} submissions, {wrong} of them wrong")
    if wrong:
        raise typer.Exit(1)


def verify_submission(
    folder: Annotated[Path, typer.Argument(help="Folder of the submission, submissions/SUITE/NAME in the results.")],
    samples: Annotated[Path, typer.Option(help="Folder of its volumes, or one .npz or .npy file of all.")],
    task: Annotated[str | None, typer.Option(help="Path of the task's image, where its name does not load it.")] = None,
    pore: PoreOption = None,
    threshold: ThresholdOption = None,
    key: KeyOption = None,
    pick: PickOption = None,
) -> None:
    """Score the samples of a submission again, and note that it is verified if every number is the same."""
    from ..evaluate.submissions import verify

    given = _read(samples, pore, threshold, key, pick)
    with long_command() as told:
        written = verify(folder.resolve(), given, task, progress=told["progress"])
    tell(f"{folder.name} is verified; wrote {written}")
