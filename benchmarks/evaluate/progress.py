"""Progress bars of long commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def progress_display() -> Progress:
    """Return the progress display of a long command, on standard error."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def bars(progress: Progress | None) -> Callable[[str, int], AbstractContextManager[Callable[[int], Any]]]:
    """Return a function that opens a bar with a text and a total and yields its steps; silent without a display."""
    if progress is None:
        return lambda _text, _total: nullcontext(lambda _step: None)

    @contextmanager
    def bar(text: str, total: int) -> Iterator[Callable[[int], Any]]:
        task = progress.add_task(text, total=total)
        yield lambda step: progress.advance(task, step)
        progress.remove_task(task)

    return bar
