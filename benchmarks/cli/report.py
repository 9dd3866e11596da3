"""Commands that turn results into tables, a page and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..evaluate.fits import ROOT
from .console import err_console
from .parameters import ResultsOption


def report(
    results: ResultsOption = ROOT / "results",
    readme: Annotated[Path, typer.Option(help="Document whose tables are replaced.")] = ROOT / "README.md",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is not the one in the results.")
    ] = False,
) -> None:
    """Write the tables of all results again, put the newest into the README, and make the report page."""
    from ..report.documents import outdated_reports, write_reports
    from ..report.page import write_page

    if check:
        outdated = outdated_reports(results, readme)
        for path in outdated:
            err_console.print(f"{path} is not what the results say; run: porebench report", markup=False)
        if outdated:
            raise typer.Exit(1)
        return
    for path in write_reports(results, readme):
        err_console.print(f"wrote {path}", markup=False)
    err_console.print(f"wrote {write_page(results)}", markup=False)


def figures(
    results: ResultsOption = ROOT / "results",
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for PNG and SVG files.")] = ROOT
    / "results"
    / "figures",
    style: Annotated[
        Literal["column", "page", "screen"], typer.Option(help="One or two columns of a journal, or a web page.")
    ] = "page",
    only: Annotated[list[str] | None, typer.Option(help="Name of a figure; all by default. Repeatable.")] = None,
) -> None:
    """Draw the figures of the report for a paper, as PNG and SVG."""
    from ..report.figures import write_figures

    for path in write_figures(results, out, style, only or ()):
        err_console.print(f"wrote {path}", markup=False)
