"""Sections from studies that write their own document: the validation of the score, and the ablation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from . import plots
from .parts import Origin, Panel, Section, data_address
from .tables import render_markdown


def documented(results: Path) -> list[Section]:
    """The validation of the score and the ablation, from the folders of these names in ``results/``."""
    return [
        Section(
            "validation",
            "Validation of the score",
            "How often planted defects are found, and how often two real sets are called different.",
            _validation(results) or [_missing("validation", "The score is not validated yet.", "porebench validate")],
        ),
        Section(
            "ablation",
            "Ablation",
            "What each part of the learned generator contributes.",
            _ablation(results) or [_missing("ablation", "There is no ablation yet.", "porebench ablate cvae")],
        ),
    ]


def _missing(name: str, reason: str, command: str) -> Panel:
    return Panel(f"{name}-missing", origin=Origin(command=command), missing=reason)


def _validation(results: Path) -> list[Panel]:
    panels = []
    for path in sorted((results / "validation").glob("*/power.csv")):
        folder, name = path.parent, path.parent.name
        document, picture = folder / "validation.md", folder / "power.png"
        panels.append(
            Panel(
                f"validation-{name}",
                name,
                Origin(name, f"validation/{name}/", f"porebench validate --dataset {name}"),
                body=render_markdown(document.read_text()) if document.is_file() else Markup(),
                plot=plots.power(pd.read_csv(path)),
                still=data_address(picture.read_bytes(), "image/png") if picture.is_file() else "",
            )
        )
    return panels


def _ablation(results: Path) -> list[Panel]:
    panels = []
    for document in sorted((results / "ablation").glob("*/ablation.md")):
        name = document.parent.name
        origin = Origin(name, f"ablation/{name}/", f"porebench ablate cvae --dataset {name}")
        panels.append(Panel(f"ablation-{name}", name, origin, body=render_markdown(document.read_text())))
    return panels
