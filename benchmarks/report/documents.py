"""Every document and README table that is made from results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..store.files import write_text
from ..store.results import Run, read_run, read_scaling, read_side_table, read_speed
from ..store.tables import table_text
from ..store.timings import timings_of
from .accuracy import accuracy_markdown, remarks, summary_table
from .choice import choice_lines
from .details import conduction_lines, flow_lines, network_lines, side_markdown
from .foretold import foretold_lines
from .lengths import voxel_of_run, voxel_sentence
from .scaling import scaling_lines
from .speed import reaches, speed_markdown, speed_summary
from .studies import study_documents
from .validation import validation_documents

SPEED_DATASET = "spheres"
"""Data set of the accuracy that stands beside the speed."""


def write_reports(results: Path, readme: Path | None) -> list[Path]:
    """Write every document again from what is in the results, and the tables between the README's markers, if given.

    A marker is ``<!-- table NAME -->``, closed by ``<!-- end -->``; NAME is a data set's (also after ``conduction-``,
    ``network-`` or ``flow-``), ``choice``, ``foretold``, ``speed`` or a study's.

    Returns:
        The files written.
    """
    texts = documents(results, readme)
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def outdated_reports(results: Path, readme: Path) -> list[Path]:
    """Return the files that ``write_reports`` would change."""
    texts = documents(results, readme).items()
    return [path for path, text in texts if not path.is_file() or path.read_text(encoding="utf-8") != text]


def documents(results: Path, readme: Path | None = None) -> dict[Path, str]:
    """Return every file that is made from the results, with the text it should have.

    Raises:
        ValueError: if a file of the results is damaged.
    """
    texts: dict[Path, str] = {}
    tables: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    runs = [read_run(path.parent) for path in sorted(results.glob("*/manifest.json"))]
    for run in runs:
        texts[run.folder / "accuracy.md"] = accuracy_markdown(run)
        details = side_markdown(run.folder, voxel_sentence(voxel_of_run(run)))
        if details is not None:
            texts[run.folder / "details.md"] = details
        tables[run.name] = [*summary_table(run), "", _made(run)]
        for name, told in (("conduction", conduction_lines), ("network", network_lines), ("flow", flow_lines)):
            table = read_side_table(run.folder, name)
            if table is not None:
                tables[f"{name}-{run.name}"] = told(table)
        if run.name == SPEED_DATASET:
            digests = {name: record["digest"] for name, record in run.records.items() if "digest" in record}
    tables["choice"] = choice_lines(runs)
    tables["foretold"] = foretold_lines(runs)
    speed, sizes = read_speed(results), read_scaling(results)
    if speed:
        scaling = [] if sizes is None else scaling_lines(sizes)
        texts[results / "speed" / "speed.md"] = speed_markdown(speed, digests, scaling)
        tables["speed"] = speed_summary(speed, digests)
        reached = reaches(timings_of(speed))
        if len(reached):
            texts[results / "speed" / "roofline.csv"] = table_text(reached, digits=4)
    for written, lines in (validation_documents(results), study_documents(results)):
        texts |= written
        tables |= lines
    if readme is not None and readme.is_file():
        texts[readme] = insert_tables(readme.read_text(encoding="utf-8"), tables)
    return texts


def _made(run: Run) -> str:
    """Return size, date and machine of a run in a sentence."""
    machine = next(iter(run.records.values()))["processor"]
    return f"{run.manifest['run']['n_test']} test volumes, {run.newest['date']}, {machine}.{remarks(run)}"


def insert_tables(text: str, tables: Mapping[str, Sequence[str]]) -> str:
    """Return text with each marked table replaced by the one of that name; marks without a table stay as they are."""
    for name, lines in tables.items():
        before, mark, rest = text.partition(f"<!-- table {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if mark and end:
            text = f"{before}{mark}" + "\n".join(lines) + f"\n{end}{after}"
    return text
