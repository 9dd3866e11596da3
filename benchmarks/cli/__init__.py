"""The ``porebench`` command: thin, calls the rooms below it. Bad input is one sentence and exit code 2."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import typer
from rich.logging import RichHandler

from .console import err_console, tell
from .evaluate import evaluate, reproduce, rescore, status
from .generators import make_data, sample, train, view
from .outside import check_submissions, export_task, list_tasks, score, verify_submission
from .report import figures, report
from .studies import ablate, explain, grow, intervals, representative, scaling, validate

PANELS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Compare": (evaluate, score, report, figures),
    "Generate": (train, sample, view),
    "Study": (validate, representative, intervals, grow, explain, ablate, scaling),
    "Keep track": (status, rescore, reproduce),
}

GENERATING = {"torch", "pytorch_lightning", "safetensors"}
"""Packages that scoring does without."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Compare generators of three-dimensional porous microstructures.",
)
for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
data_app = typer.Typer(no_args_is_help=True, help="Make the built-in data sets.")
data_app.command("make")(make_data)
app.add_typer(data_app, name="data", rich_help_panel="Generate")
task_app = typer.Typer(no_args_is_help=True, help="Tasks for generators that draw elsewhere.")
task_app.command("list")(list_tasks)
task_app.command("export")(export_task)
app.add_typer(task_app, name="task", rich_help_panel="Compare")
submissions_app = typer.Typer(no_args_is_help=True, help="Rows that were handed in for such generators.")
submissions_app.command("check")(check_submissions)
submissions_app.command("verify")(verify_submission)
app.add_typer(submissions_app, name="submissions", rich_help_panel="Compare")


def main(*arguments: str) -> None:
    """Run the command line; bad input ends it with one sentence and exit code 2."""
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err_console, show_path=False, show_time=False)],
    )
    try:
        app([*arguments, *sys.argv[1:]])
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        extra = isinstance(error, ImportError) and error.name in GENERATING
        tell(f"porebench: {error}" + ("; generators need it: pip install 'porebench[generators]'" if extra else ""))
        raise SystemExit(2) from None
