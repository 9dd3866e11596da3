"""What commands print to, and the command as it was typed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.markdown import Markdown

out_console = Console()
err_console = Console(stderr=True)


def show(table: str) -> None:
    """Print Markdown, rendered where the output is a terminal."""
    if out_console.is_terminal:
        out_console.print(Markdown(table))
    else:
        typer.echo(table)


def command_line() -> str:
    """The command as typed, with paths cut to their last part."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["porebench", *words])
