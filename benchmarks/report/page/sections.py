"""Sections of the page, each from what lies in ``results/``, or with the command that makes what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...store.results import Run, read_runs, read_scaling, read_side_table, read_speed
from .. import plots
from ..documents import documents
from ..lengths import voxel_of_run, voxel_sentence
from ..scaling import medians
from ..volumes import Draws, NoDrawsError, solids
from .parts import Origin, Panel, Section, plotted, still
from .scene import scene
from .tables import render_markdown

ACCURACY = "One row a generator. The head of a column explains it, and sorts by it."
COST = "Lower and further left is better. A learned generator is fitted once: pointing at one says how long that takes."
CURVES = "Bands hold nine of ten single volumes. Real volumes are grey; controls are switched on in the legend."
GALLERY = "Each column is one density; each row draws for it. Pores are dark."
VIEW = (
    "Real pores beside a generator's at the same density. Drag to turn both, scroll or pinch to zoom. Both can be "
    "saved: .nrrd holds the size of a voxel, as 3D Slicer and ImageJ take it; .npy is true where there is pore."
)
SPEED = "Volumes a second from densities to voxels in host memory."
VALIDATION = "How often planted defects are found, and how often two real sets are called different."
ABLATION = "What each part of the learned generator contributes."
PROVENANCE = "What every number and picture above was made from, and how to make it again."
VALIDATED = ("porebench validate", "The score is not validated yet.")
ABLATED = ("porebench ablate cvae", "There is no ablation yet.")
FACTS = {
    "date": "date",
    "commit": "commit",
    "weights": "source",
    "digest": "digest",
    "draws": "samples_digest",
    "machine": "processor",
    "command": "command",
}
"""Entries of a record by the heads of their columns."""


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
        Section("accuracy", "Accuracy", ACCURACY, [*_media(source), *_each(source, "accuracy", _accuracy)]),
        Section("cost", "Accuracy against cost", COST, _each(source, "cost", _cost)),
        Section("curves", "Descriptors and amount of pore over density", CURVES, _each(source, "curves", _curves)),
        Section("gallery", "Slices, real and generated", GALLERY, _each(source, "gallery", _gallery)),
        Section("view", "In three dimensions", VIEW, _each(source, "view", _view)),
        Section("speed", "Speed and scaling", SPEED, _speed(source)),
        Section("validation", "Validation of the score", VALIDATION, _studies(source, "validation", *VALIDATED)),
        Section("ablation", "Ablation", ABLATION, _studies(source, "ablation", *ABLATED)),
        Section("provenance", "Provenance", PROVENANCE, _each(source, "provenance", _provenance)),
    ]


def _each(source: Source, name: str, panels: Callable[[Source, Run], Sequence[Panel]]) -> list[Panel]:
    """Return the panels of every data set; one that names the command where there is no data set at all."""
    found = [panel for run in source.runs for panel in panels(source, run)]
    command = Origin(command="porebench evaluate")
    return found if source.runs else [Panel(name, origin=command, missing="No generator has been scored yet.")]


def _media(source: Source) -> list[Panel]:
    """Return the panel that compares data sets; none where there is but one."""
    shown, origin = plots.media(source.runs), Origin("", "*/accuracy.csv", "porebench evaluate")
    text = "NFR100 by data set, the closest to real on average first. Dark is real; empty was not drawn."
    return [plotted("media", "Every data set", origin, text, shown)] if shown else []


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


def _cost(_source: Source, run: Run) -> list[Panel]:
    origin = Origin(run.name, f"{run.name}/manifest.json", run.command)
    shown = plots.cost(run) if run.scores("nfr100") else {}
    title, missing = f"{run.name}: score and time", "No generator has a score."
    front = "On the front are the generators that no other beats in both; controls do not compete."
    return [plotted(f"cost-{run.name}", title, origin, front, shown, missing=missing)]


def _curves(source: Source, run: Run) -> list[Panel]:
    voxel = voxel_of_run(run)
    curves, printed = (plots.curves(run.folder, voxel, every_band=every) for every in (True, False))
    calibration = plots.calibration(run.folder)
    origin, measured = (Origin(run.name, f"{run.name}/{name}.csv", run.command) for name in ("curves", "calibration"))
    text = (
        "How many more or fewer pore voxels a density yields than it asks for. Free count: without making counts exact."
    )
    edge = voxel_sentence(voxel)
    unknown = ("There are no curves over density yet.", "Calibration is not measured yet.")
    panels = [
        plotted(f"curves-{run.name}", run.name, origin, edge, curves, printed, missing=unknown[0]),
        plotted(f"calibration-{run.name}", "Calibration", measured, text, calibration, missing=unknown[1]),
    ]
    for name, title, shown in (
        ("conduction", "Conductivity", plots.conduction(run.folder)),
        ("flow", "Permeability", plots.flow(run.folder, voxel)),
    ):
        if shown:
            origin = Origin(run.name, f"{run.name}/{name}.csv", run.command)
            panels.append(plotted(f"{name}-{run.name}", title, origin, "What is not led through counts as 0.", shown))
    details = source.documents.get(run.folder / "details.md")
    if details is not None:
        name = f"details-{run.name}"
        panels.append(Panel(name, "Calibration and physics", measured, body=render_markdown(details)))
    return panels


def _gallery(source: Source, run: Run) -> list[Panel]:
    return [_drawn(source, run, "gallery", lambda drawn: {"draws": drawn})]


def _view(source: Source, run: Run) -> list[Panel]:
    def shown(drawn: Draws) -> dict[str, Any]:
        return {"scene": scene(drawn, run), "still": still(partial(solids, drawn))}

    return [_drawn(source, run, "view", shown)]


def _drawn(source: Source, run: Run, name: str, shown: Callable[[Draws], dict[str, Any]]) -> Panel:
    """Return a panel that shows draws, and says which are missing."""
    drawn, origin = source.draws.get(run.name), Origin(run.name, f"{run.name}/samples/", run.command)
    if drawn is None:
        return Panel(f"{name}-{run.name}", run.name, origin, missing=source.no_draws[run.name])
    absent = f"Not at hand: draws of {', '.join(drawn.missing)}; {next(iter(drawn.missing.values()), '')} makes them."
    text = " ".join(filter(None, (voxel_sentence(voxel_of_run(run)), absent if drawn.missing else "")))
    return Panel(f"{name}-{run.name}", run.name, origin, text, **shown(drawn))


def _speed(source: Source) -> list[Panel]:
    origin = Origin("", "speed/*.json", "make bench")
    if not source.speed:
        return [Panel("speed-plot", "", origin, missing="Speed has not been measured yet.")]
    sizes, scaled = read_scaling(source.results), Origin("", "speed/scaling.csv", "porebench scaling")
    drawn = {} if sizes is None else plots.scaling(medians(sizes))
    text = "Higher is better. PoreSpy's generators stand beside ours."
    over, missing = "Seconds, and memory at the peak, over voxels.", "Time against size has not been measured yet."
    return [
        plotted("speed-plot", "Volumes a second", origin, text, plots.speed(source.speed)),
        plotted("scaling-plot", "One draw against its size", scaled, over, drawn, missing=missing),
        Panel("speed-table", "", origin, body=render_markdown(source.documents[source.results / "speed" / "speed.md"])),
    ]


def _studies(source: Source, kind: str, command: str, missing: str) -> list[Panel]:
    """Return the document of a kind of study on each data set, with the plots that there are of its rows."""
    panels = []
    for document in sorted((source.results / kind).glob(f"*/{kind}.md")):
        name = document.parent.name
        origin = Origin(name, f"{kind}/{name}/", f"{command} --dataset {name}")
        power = read_side_table(document.parent, "power")
        shown = {} if power is None else plots.power(power)
        body = render_markdown(document.read_text(encoding="utf-8"))
        panels.append(plotted(f"{kind}-{name}", name, origin, "", shown, body=body))
    return panels or [Panel(f"{kind}-missing", origin=Origin(command=command), missing=missing)]


def _provenance(_source: Source, run: Run) -> list[Panel]:
    facts, records = run.manifest["run"], run.records
    first: dict[str, Any] = next(iter(records.values()), {})
    packages = ", ".join(f"{package} {number}" for package, number in first.get("versions", {}).items())
    what = [
        ("what", "value"),
        ("data set", f"{run.name}, SHA-256 {facts['data']}"),
        ("test part", f"{facts['n_test']} volumes, SHA-256 {facts['test']}"),
        ("seed", str(facts["seed"])),
        ("Python", str(first.get("python", ""))),
        ("packages", packages),
    ]
    rows = [[name, *(_short(str(record.get(key, ""))) for key in FACTS.values())] for name, record in records.items()]
    origin = Origin(run.name, f"{run.name}/manifest.json", run.command)
    return [
        Panel(f"provenance-{run.name}", run.name, Origin(run.name), rows=what),
        Panel(f"rows-{run.name}", "", origin, rows=[["generator", *FACTS], *rows]),
    ]


def _short(text: str) -> str:
    """Return a long digest cut to its first sixteen digits; other text as it is."""
    return text[:16] if len(text) == 64 and " " not in text else text
