"""The ``porebench`` command: thin, calls the modules beside it. Bad input is one sentence and exit code 2."""

from __future__ import annotations

import logging
import sys

import typer
from rich.logging import RichHandler
from sklearn.exceptions import NotFittedError

from .console import err_console
from .evaluate import evaluate, reproduce, rescore, status
from .generators import make_data, sample, train, view
from .report import figures, report
from .studies import ablate, explain, grow, intervals, representative, scaling, validate

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Compare generators of three-dimensional porous microstructures.",
)
data_app = typer.Typer(no_args_is_help=True, help="Make the built-in data sets.")
for _command in (  # in the order in which --help lists them
    evaluate,
    train,
    sample,
    view,
    representative,
    status,
    rescore,
    validate,
    reproduce,
    intervals,
    grow,
    explain,
    ablate,
    scaling,
    report,
    figures,
):
    app.command()(_command)
data_app.command("make")(make_data)
app.add_typer(data_app, name="data")


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
