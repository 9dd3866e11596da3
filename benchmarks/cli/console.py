"""Printing for people, and the command line as it was typed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

out_console = Console()
err_console = Console(stderr=True)


def show(lines: str | Sequence[str]) -> None:
    """Print Markdown, rendered where the output is a terminal."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    if out_console.is_terminal:
        from rich.markdown import Markdown

        out_console.print(Markdown(text))
    else:
        typer.echo(text)


def tell(text: object) -> None:
    """Print a line for people, on standard error."""
    err_console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def long_command() -> Iterator[dict[str, Any]]:
    """Show progress, and yield the arguments ``progress`` and ``command`` of what runs meanwhile.

    An interruption ends the command with one sentence and exit code 130.
    """
    from ..evaluate.progress import progress_display

    try:
        with progress_display() as progress:
            yield {"progress": progress, "command": _command_line()}
    except KeyboardInterrupt:
        tell("porebench: interrupted; where work was kept, the same command goes on from there")
        raise typer.Exit(130) from None


def _command_line() -> str:
    """Return the command as typed, with paths cut to their last part."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["porebench", *words])
