"""Commands that turn results into tables, a page and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import tell
from .parameters import RESULTS, ResultsOption


def report(
    results: ResultsOption = RESULTS,
    readme: Annotated[Path, typer.Option(help="Document whose tables are replaced.")] = Path("README.md"),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is not the one in the results.")
    ] = False,
) -> None:
    """Write the tables of all results again, put the newest into the README, and make the report page."""
    from ..evaluate.draws import read_draws
    from ..report.documents import outdated_reports, write_reports
    from ..report.page import write_page

    if check:
        outdated = outdated_reports(results, readme)
        for path in outdated:
            tell(f"{path} is not what the results say; run: porebench report")
        if outdated:
            raise typer.Exit(1)
        return
    for path in [*write_reports(results, readme), write_page(results, read_draws)]:
        tell(f"wrote {path}")


def figures(
    results: ResultsOption = RESULTS,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for PNG and SVG files; default figures in the results.")
    ] = None,
    style: Annotated[
        Literal["column", "page", "screen"], typer.Option(help="One or two columns of a journal, or a web page.")
    ] = "page",
    only: Annotated[list[str] | None, typer.Option(help="Name of a figure; all by default. Repeatable.")] = None,
) -> None:
    """Draw the figures of the report for a paper, as PNG and SVG."""
    from ..evaluate.draws import read_draws
    from ..report.figures import write_figures

    for path in write_figures(results, out or results / "figures", style, only or (), draws=read_draws):
        tell(f"wrote {path}")
