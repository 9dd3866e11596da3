"""Sections of the page, each from what lies in ``results/``, or with the command that makes what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ...store.results import Run, read_runs, read_scaling, read_side_table, read_speed
from .. import plots
from ..documents import documents
from ..scaling import growths
from ..series import Cost, costs, payback, peers
from ..text import ABSENT
from ..volumes import Draws, NoDrawsError, solids
from .parts import Origin, Panel, Section, plotted, still
from .scene import gallery, scene
from .tables import render_markdown, table

ACCURACY = "One row a generator. The head of a column explains it, and sorts by it."
COST = (
    "Lower and further left is better. A learned generator is fitted once; whether that pays back depends on how many "
    "volumes are drawn and on what else could draw them."
)
CURVES = "Bands hold nine of ten single volumes. Real volumes are grey; controls are switched on in the legend."
GALLERY = "Each column is one density; each row draws for it. Pores are dark."
VIEW = "Real pores beside a generator's at the same density. Drag to turn both, scroll or pinch to zoom."
SPEED = "Volumes a second from densities to voxels in host memory."
VALIDATION = "How often planted defects are found, and how often two real sets are called different."
ABLATION = "What each part of the learned generator contributes."
PROVENANCE = "What every number and picture above was made from, and how to make it again."
SLOW_FIT = 1.0
"""Seconds of a fit from which on the table says when it pays back."""


@dataclass(frozen=True, eq=False)
class Source:
    """Content of a results folder: runs, speeds, Markdown, and draws or the reason why there are none."""

    results: Path
    runs: list[Run]
    speed: list[dict[str, Any]]
    documents: dict[Path, str]
    draws: dict[str, Draws]
    no_draws: dict[str, str]


def read_source(results: Path, draws: Callable[[Run], Draws]) -> Source:
    """Return everything that the page is made from.

    Args:
        results: the results folder.
        draws: gives volumes of a run to look at; raises ``NoDrawsError`` where there are none.
    """
    runs = read_runs(results)
    found, reasons = {}, {}
    for run in runs:
        try:
            found[run.name] = draws(run)
        except NoDrawsError as error:
            reasons[run.name] = str(error)
    return Source(results, runs, read_speed(results), documents(results), found, reasons)


def sections(source: Source) -> list[Section]:
    """Return every section in order; each has at least one panel."""
    return [
        Section("accuracy", "Accuracy", ACCURACY, _each(source, "accuracy", _accuracy)),
        Section("cost", "Accuracy against cost", COST, _each(source, "cost", _cost)),
        Section("curves", "Descriptors and amount of pore over density", CURVES, _each(source, "curves", _curves)),
        Section("gallery", "Slices, real and generated", GALLERY, _each(source, "gallery", _gallery)),
        Section("view", "In three dimensions", VIEW, _each(source, "view", _view)),
        Section("speed", "Speed and scaling", SPEED, _speed(source)),
        Section("validation", "Validation of the score", VALIDATION, _validation(source.results)),
        Section("ablation", "Ablation", ABLATION, _ablation(source.results)),
        Section("provenance", "Provenance", PROVENANCE, _each(source, "provenance", _provenance)),
    ]


def _each(source: Source, name: str, panels: Callable[[Source, Run], Sequence[Panel]]) -> list[Panel]:
    """Return the panels of every data set; one that names the command where there is no data set at all."""
    found = [panel for run in source.runs for panel in panels(source, run)]
    command = Origin(command="porebench evaluate")
    return found if source.runs else [Panel(name, origin=command, missing="No generator has been scored yet.")]


def _accuracy(source: Source, run: Run) -> list[Panel]:
    origin = Origin(run.name, f"{run.name}/accuracy.csv", run.command)
    tables = render_markdown(source.documents[run.folder / "accuracy.md"])
    found = [Panel(f"accuracy-{run.name}", run.name, origin, body=tables)]
    if run.scores("nfr100"):
        by_density = "1 (dashed) is as close as other real volumes are. Bars are 95 % intervals."
        what, dark = "What is wrong: NFR100 by descriptor", "Dark is real; bright is far from it."
        found += [
            plotted(f"bands-{run.name}", "NFR100 by density", origin, by_density, plots.bands(run)),
            plotted(f"descriptors-{run.name}", what, origin, dark, plots.descriptors(run)),
        ]
    return found


def _cost(source: Source, run: Run) -> list[Panel]:
    origin = Origin(run.name, f"{run.name}/manifest.json", run.command)
    if not run.scores("nfr100"):
        return [Panel(f"cost-{run.name}", run.name, origin, missing="No generator has a score.")]
    others = peers(source.speed)
    front = "On the front are the generators that no other beats in both; controls do not compete."
    crossing = (
        "Where two lines cross, the one with the slower fit has paid back. The table says at how many volumes; "
        "it compares time alone, so read it beside the scores."
    )
    return [
        plotted(f"cost-{run.name}", f"{run.name}: score and time", origin, front, plots.cost(run)),
        plotted(f"totals-{run.name}", "When a fit pays back", origin, crossing, plots.totals(run, others)),
        *_payback_panel(run, others, origin),
    ]


def _payback_panel(run: Run, others: Sequence[Cost], origin: Origin) -> list[Panel]:
    """Return from how many volumes on each generator with a slow fit is quicker in all than each other one."""
    points = [*costs(run), *others]
    rows = []
    for learned in (point for point in points if point.fit_seconds > SLOW_FIT):
        cells = [learned.generator, f"{learned.fit_seconds:.0f}"]
        for rival in points:
            volumes = payback(learned, rival)
            never = ABSENT if rival is learned else "never"
            cells.append(never if volumes is None or rival is learned else f"{volumes:,.0f}")
        rows.append(cells)
    if not rows:
        return []
    header = ["pays back, after volumes, against", "fit s", *(point.generator for point in points)]
    return [Panel(f"payback-{run.name}", "", origin, body=table(header, rows))]


def _curves(source: Source, run: Run) -> list[Panel]:
    curves, calibration = plots.curves(run.folder, every_band=True), plots.calibration(run.folder)
    origins = [Origin(run.name, f"{run.name}/{name}.csv", run.command) for name in ("curves", "calibration")]
    panels = [
        Panel(f"curves-{run.name}", run.name, origins[0], missing="There are no curves over density yet."),
        Panel(f"calibration-{run.name}", "Calibration", origins[1], missing="Calibration is not measured yet."),
    ]
    if curves:
        panels[0] = plotted(f"curves-{run.name}", run.name, origins[0], "", curves, plots.curves(run.folder))
    if calibration:
        text = (
            "How many more or fewer pore voxels a density yields than it asks for. Free count: without making counts "
            "exact."
        )
        panels[1] = plotted(f"calibration-{run.name}", "Calibration", origins[1], text, calibration)
    details = source.documents.get(run.folder / "details.md")
    if details is not None:
        name = f"details-{run.name}"
        panels.append(Panel(name, "Calibration and physics", origins[1], body=render_markdown(details)))
    return panels


def _gallery(source: Source, run: Run) -> list[Panel]:
    drawn, origin = source.draws.get(run.name), Origin(run.name, f"{run.name}/samples/", run.command)
    if drawn is None:
        return [Panel(f"gallery-{run.name}", run.name, origin, missing=source.no_draws[run.name])]
    return [Panel(f"gallery-{run.name}", run.name, origin, _missing_draws(drawn), gallery(drawn))]


def _view(source: Source, run: Run) -> list[Panel]:
    drawn, origin = source.draws.get(run.name), Origin(run.name, f"{run.name}/samples/", run.command)
    if drawn is None:
        return [Panel(f"view-{run.name}", run.name, origin, missing=source.no_draws[run.name])]
    picture = still(partial(solids, drawn))
    return [Panel(f"view-{run.name}", run.name, origin, _missing_draws(drawn), scene=scene(drawn), still=picture)]


def _missing_draws(drawn: Draws) -> str:
    if not drawn.missing:
        return ""
    return f"Not at hand: draws of {', '.join(drawn.missing)}; {next(iter(drawn.missing.values()))} makes them."


def _speed(source: Source) -> list[Panel]:
    origin = Origin("", "speed/*.json", "make bench")
    if not source.speed:
        return [Panel("speed-plot", "", origin, missing="Speed has not been measured yet.")]
    text = "Higher is better. PoreSpy's generators stand beside ours."
    return [
        plotted("speed-plot", "Volumes a second", origin, text, plots.speed(source.speed)),
        _scaling(source),
        Panel("speed-table", "", origin, body=render_markdown(source.documents[source.results / "speed" / "speed.md"])),
    ]


def _scaling(source: Source) -> Panel:
    sizes, origin = read_scaling(source.results), Origin("", "speed/scaling.csv", "porebench scaling")
    if sizes is None:
        return Panel("scaling-plot", "", origin, missing="Time against size has not been measured yet.")
    text = "Seconds, and memory at the peak, over voxels."
    return plotted("scaling-plot", "One draw against its size", origin, text, plots.scaling(growths(sizes)))


def _validation(results: Path) -> list[Panel]:
    panels = []
    for path in sorted((results / "validation").glob("*/power.csv")):
        name, document = path.parent.name, path.with_name("validation.md")
        origin = Origin(name, f"validation/{name}/", f"porebench validate --dataset {name}")
        body = render_markdown(document.read_text(encoding="utf-8")) if document.is_file() else Markup()
        power = read_side_table(path.parent, "power")
        if power is not None:
            panels.append(plotted(f"validation-{name}", name, origin, "", plots.power(power), body=body))
    missing = Origin(command="porebench validate")
    return panels or [Panel("validation-missing", origin=missing, missing="The score is not validated yet.")]


def _ablation(results: Path) -> list[Panel]:
    panels = []
    for document in sorted((results / "ablation").glob("*/ablation.md")):
        name = document.parent.name
        origin = Origin(name, f"ablation/{name}/", f"porebench ablate cvae --dataset {name}")
        body = render_markdown(document.read_text(encoding="utf-8"))
        panels.append(Panel(f"ablation-{name}", name, origin, body=body))
    missing = Origin(command="porebench ablate cvae")
    return panels or [Panel("ablation-missing", origin=missing, missing="There is no ablation yet.")]


def _provenance(_source: Source, run: Run) -> list[Panel]:
    facts, records = run.manifest["run"], run.records
    first: dict[str, Any] = next(iter(records.values()), {})
    what = [
        ["data set", f"{run.name}, SHA-256 {facts['data']}"],
        ["test part", f"{facts['n_test']} volumes, SHA-256 {facts['test']}"],
        ["seed", str(facts["seed"])],
        ["Python", str(first.get("python", ""))],
        ["packages", ", ".join(f"{package} {number}" for package, number in first.get("versions", {}).items())],
    ]
    keys = {
        "date": "date",
        "commit": "commit",
        "weights": "source",
        "digest": "digest",
        "draws": "samples_digest",
        "machine": "processor",
        "command": "command",
    }
    rows = [[name, *(_short(str(record.get(key, ""))) for key in keys.values())] for name, record in records.items()]
    body = table(["what", "value"], what, "text") + table(["generator", *keys], rows, "text")
    origin = Origin(run.name, f"{run.name}/manifest.json", run.command)
    return [Panel(f"provenance-{run.name}", run.name, origin, body=body)]


def _short(text: str) -> str:
    """Return a long digest cut to its first sixteen digits; other text as it is."""
    return text[:16] if len(text) == 64 and " " not in text else text
