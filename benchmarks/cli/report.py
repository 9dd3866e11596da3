"""Commands that turn results into tables, a page and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .console import tell
from .parameters import RESULTS, PublishOption, ResultsOption, written_results

README = Path("README.md")


def report(
    results: ResultsOption = RESULTS,
    readme: Annotated[
        Path | None, typer.Option(help="Document whose tables are replaced; with --publish by default README.md.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if a table is not the one in the results.")
    ] = False,
    publish: PublishOption = False,
) -> None:
    """Write the tables of all results again and make the report page; with --publish, put them into the README too."""
    from ..evaluate.draws import read_draws
    from ..report.documents import outdated_reports, write_reports
    from ..report.page import write_page
    from ..store.results import is_published

    if check:
        outdated = outdated_reports(results, readme or README)
        for path in outdated:
            tell(f"{path} is not what the results say; run: porebench report --publish")
        if outdated:
            raise typer.Exit(1)
        return
    written = []
    if publish or not is_published(results):
        written = write_reports(results, readme or (README if publish else None))
    for path in [*written, write_page(results, read_draws)]:
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
    publish: PublishOption = False,
) -> None:
    """Draw the figures of the report for a paper, as PNG and SVG."""
    from ..evaluate.draws import read_draws
    from ..report.figures import write_figures

    folder = out or written_results(results, publish) / "figures"
    for path in write_figures(results, folder, style, only or (), draws=read_draws):
        tell(f"wrote {path}")
