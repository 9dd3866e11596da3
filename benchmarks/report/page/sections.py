"""The sections of the page, each from what lies in ``results/``, or with the command that makes what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from porebench.metrics.table import METRICS

from ...evaluate.draws import Draws, NoDrawsError, read_draws
from .. import figures, lines
from ..documents import documents
from ..profiles import read_calibration, read_curves
from ..scaling import growths, read_scaling
from ..series import Cost, Run, costs, payback, peers, read_runs, read_speed
from ..volumes import solids
from . import plots
from .documents import documented
from .parts import Origin, Panel, Section, still
from .scene import gallery, scene
from .tables import render_markdown, table

EVALUATE = "porebench evaluate"
BENCH = "make bench"
SLOW_FIT = 1.0
"""Seconds of a fit from which on one asks whether it pays back."""


@dataclass(frozen=True, eq=False)
class Source:
    """What was read of a results folder: runs, speeds, Markdown, and draws or the reason why there are none."""

    results: Path
    runs: list[Run]
    speed: list[dict[str, Any]]
    documents: dict[Path, str]
    draws: dict[str, Draws]
    no_draws: dict[str, str]


def read_source(results: Path) -> Source:
    """Everything that the page is made from; broken or absent parts are left out and told of in their place."""
    runs = read_runs(results)
    draws, reasons = {}, {}
    for run in runs:
        try:
            draws[run.name] = read_draws(run)
        except NoDrawsError as error:
            reasons[run.name] = str(error)
    return Source(results, runs, read_speed(results), documents(results), draws, reasons)


def sections(source: Source) -> list[Section]:
    """Every section in order; each has at least one panel."""
    return [
        Section(
            "accuracy",
            "Accuracy",
            "One row a generator. The head of a column explains it, and sorts by it.",
            _each(source, "accuracy", _accuracy),
        ),
        Section(
            "cost",
            "Accuracy against cost",
            "Lower and further left is better. A learned generator is fitted once; whether that pays back depends on "
            "how many volumes are drawn and on what else could draw them.",
            _each(source, "cost", _cost),
        ),
        Section(
            "curves",
            "Descriptors and amount of pore over density",
            "Bands hold nine of ten single volumes. Real volumes are grey; controls are switched on in the legend.",
            _each(source, "curves", _curves),
        ),
        Section(
            "gallery",
            "Slices, real and generated",
            "Each column is one density; each row draws for it. Pores are dark.",
            _each(source, "gallery", _gallery),
        ),
        Section(
            "view",
            "In three dimensions",
            "Real pores beside a generator's at the same density. Drag to turn both, scroll or pinch to zoom.",
            _each(source, "view", _view),
        ),
        Section(
            "speed", "Speed and scaling", "Volumes a second from densities to voxels in host memory.", _speed(source)
        ),
        *documented(source.results),
        Section(
            "provenance",
            "Provenance",
            "What every number and picture above was made from, and how to make it again.",
            _each(source, "provenance", _provenance),
        ),
    ]


def _each(source: Source, name: str, panels: Callable[[Source, Run], Sequence[Panel]]) -> list[Panel]:
    """The panels of every data set; one that names the command where there is no data set at all."""
    if not source.runs:
        return [Panel(name, origin=Origin(command=EVALUATE), missing="No generator has been scored yet.")]
    return [panel for run in source.runs for panel in panels(source, run)]


def _accuracy(source: Source, run: Run) -> list[Panel]:
    origin = Origin(run.name, f"{run.name}/accuracy.csv", run.command)
    tables = render_markdown(source.documents[run.folder / "accuracy.md"])
    found = [Panel(f"accuracy-{run.name}", run.name, origin, body=tables)]
    if run.generators:
        found += [
            Panel(
                f"bands-{run.name}",
                "NFR100 by density",
                origin,
                "1 (dashed) is as close as other real volumes are. Bars are 95 % intervals.",
                plot=plots.bands(run),
                still=still(partial(figures.bands, run)),
            ),
            Panel(
                f"descriptors-{run.name}",
                "What is wrong: NFR100 by descriptor",
                origin,
                "Dark is real; bright is far from it.",
                plot=plots.descriptors(run),
                still=still(partial(figures.descriptors, run)),
            ),
        ]
    return found


def _cost(source: Source, run: Run) -> list[Panel]:
    origin = Origin(run.name, f"{run.name}/manifest.json", run.command)
    if not run.generators:
        return [Panel(f"cost-{run.name}", run.name, origin, missing="No generator has a score.")]
    others = peers(source.speed)
    return [
        Panel(
            f"cost-{run.name}",
            f"{run.name}: score and time",
            origin,
            "On the front are the generators that no other beats in both; controls do not compete.",
            plot=plots.cost(run),
            still=still(partial(figures.cost, run)),
        ),
        Panel(
            f"totals-{run.name}",
            "When a fit pays back",
            origin,
            "Where two lines cross, the one with the slower fit has paid back. The table says at how many volumes; "
            "it compares time alone, so read it beside the scores.",
            plot=plots.totals(run, others),
            still=still(partial(figures.totals, run, others)),
        ),
        *_payback_panel(run, others, origin),
    ]


def _payback_panel(run: Run, others: Sequence[Cost], origin: Origin) -> list[Panel]:
    """From how many volumes on each generator with a slow fit is quicker in all than each other one."""
    points = [*costs(run), *others]
    rows = []
    for learned in (point for point in points if point.fit_seconds > SLOW_FIT):
        cells = [learned.generator, f"{learned.fit_seconds:.0f}"]
        for rival in points:
            volumes = payback(learned, rival)
            never = "never" if rival is not learned else "–"
            cells.append(never if volumes is None or rival is learned else f"{volumes:,.0f}")
        rows.append(cells)
    if not rows:
        return []
    header = ["pays back, after volumes, against", "fit s", *(point.generator for point in points)]
    return [Panel(f"payback-{run.name}", "", origin, body=table(header, rows))]


def _curves(source: Source, run: Run) -> list[Panel]:
    profiles, calibrated = read_curves(run.folder), read_calibration(run.folder)
    origins = [Origin(run.name, f"{run.name}/{name}.csv", run.command) for name in ("curves", "calibration")]
    panels = [
        Panel(f"curves-{run.name}", run.name, origins[0], missing="There are no curves over density yet."),
        Panel(f"calibration-{run.name}", "Calibration", origins[1], missing="Calibration is not measured yet."),
    ]
    if profiles:
        panels[0] = replace(
            panels[0],
            missing="",
            choices={name.replace("_", " "): plots.profiles(found, _unit(name)) for name, found in profiles.items()},
            still=still(partial(lines.curves, profiles)),
        )
    if calibrated:
        panels[1] = replace(
            panels[1],
            missing="",
            text="How many more or fewer pore voxels a density yields than it asks for. Free count: without "
            "making counts exact.",
            plot=plots.profiles(calibrated, "excess of pore voxels, %"),
            still=still(partial(lines.calibration, calibrated)),
        )
    details = source.documents.get(run.folder / "details.md")
    if details is not None:
        panels.append(
            Panel(f"details-{run.name}", "Calibration and physics", origins[1], body=render_markdown(details))
        )
    return panels


def _unit(descriptor: str) -> str:
    metric = METRICS[descriptor]
    return f"{descriptor.replace('_', ' ')}, {metric.unit}" if metric.unit else descriptor.replace("_", " ")


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
    origin = Origin("", "speed/*.json", BENCH)
    if not source.speed:
        return [Panel("speed-plot", "", origin, missing="Speed has not been measured yet.")]
    return [
        Panel(
            "speed-plot",
            "Volumes a second",
            origin,
            "Higher is better. PoreSpy's generators stand beside ours.",
            plot=plots.speed(source.speed),
            still=still(partial(figures.speed, source.speed)),
        ),
        *_scaling(source),
        Panel("speed-table", "", origin, body=render_markdown(source.documents[source.results / "speed" / "speed.md"])),
    ]


def _scaling(source: Source) -> list[Panel]:
    sizes, origin = read_scaling(source.results), Origin("", "speed/scaling.csv", "porebench scaling")
    if sizes is None:
        return [Panel("scaling-plot", "", origin, missing="Time against size has not been measured yet.")]
    found = growths(sizes)
    return [
        Panel(
            "scaling-plot",
            "One draw against its size",
            origin,
            "Seconds over voxels; the memory of each draw at its peak shows at the points.",
            plot=plots.scaling(found),
            still=still(partial(figures.scaling, found)),
        )
    ]


def _provenance(_source: Source, run: Run) -> list[Panel]:
    facts, records = run.manifest["run"], run.manifest["generators"]
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
    """A long digest cut to its first sixteen digits; other text as it is."""
    return text[:16] if len(text) == 64 and " " not in text else text
