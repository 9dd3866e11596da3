"""Rows and a figure of volumes that were drawn elsewhere, from their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from porebench.metrics.suites import CURRENT, SUITES

from ..store.results import ALL
from .figures import save
from .style import GREY, PORE, SOLID, new_figure, style
from .text import ABSENT, short, table_lines
from .volumes import typical_slice

SHOWN = 6
"""Volumes of which a slice is shown."""
LATEX = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "–": "--"}

Rows = Sequence[Mapping[str, Any]]


def row_markdown(name: str, rows: Rows, verdict: str) -> list[str]:
    """Return the main columns of a row as a table in Markdown."""
    return table_lines(*_columns(name, rows, verdict))


def row_latex(name: str, rows: Rows, verdict: str) -> str:
    """Return the main columns of a row for a ``tabular`` in LaTeX, the header as a comment."""
    header, cells = _columns(name, rows, verdict)
    escaped = ["".join(LATEX.get(letter, letter) for letter in cell) for cell in cells[0]]
    return f"% {' & '.join(header)}\n{' & '.join(escaped)} \\\\\n"


def outside_figure(rows: Rows, voxels: NDArray[np.bool_], path: Path) -> None:
    """Write a figure of NFR100 by descriptor, beside slices of volumes spread over porosity, into a PNG file.

    Args:
        rows: numbers, as in ``accuracy.csv``.
        voxels: bool [n, depth, height, width].
        path: of the file.
    """
    components = [each for each in SUITES[CURRENT].components if _found(rows, f"nfr100:{each}") is not None]
    with style("page") as width:
        from matplotlib.colors import ListedColormap  # noqa: PLC0415 - only needed where figures are drawn

        figure = new_figure(width, width * 0.5)
        grid = figure.add_gridspec(3, 4)
        bars = figure.add_subplot(grid[:, :2])
        found = [_found(rows, f"nfr100:{each}") or {} for each in components]
        values = np.array([row["value"] for row in found])
        ends = np.array([[row["value"] - row["ci_low"], row["ci_high"] - row["value"]] for row in found]).T.clip(0)
        bars.barh([each.replace("_", " ") for each in components], values, xerr=ends, color=PORE, ecolor=GREY)
        bars.axvline(1, color=GREY, linestyle="dashed")
        bars.invert_yaxis()
        bars.set_xscale("symlog", linthresh=2)
        bars.xaxis.set_major_formatter("{x:g}")
        bars.set_xlabel("NFR100 (1 = cannot be told from real)")
        order = np.argsort(voxels.mean(axis=(1, 2, 3)), kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, SHOWN + 1).round().astype(np.int64)][1:]
        for place, index in enumerate(chosen):
            axes = figure.add_subplot(grid[place // 2, 2 + place % 2])
            axes.imshow(typical_slice(voxels[index]), cmap=ListedColormap([SOLID, PORE]), vmin=0, vmax=1)
            axes.set_title(f"porosity {voxels[index].mean():.2f}")
            axes.set_xticks([])
            axes.set_yticks([])
        save(figure, path)


def _columns(name: str, rows: Rows, verdict: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the one row of the table."""
    families = [family for family in SUITES[CURRENT].families if _found(rows, f"family:{family}") is not None]
    header = ["generator", "NFR100 [95 % CI]", "verdict", *families, "AUC", "density bias %", "copies %"]
    score = _found(rows, "nfr100")
    cells = [
        name,
        ABSENT if score is None else f"{short(score['value'])} [{short(score['ci_low'])}, {short(score['ci_high'])}]",
        verdict,
        *(_text(rows, f"family:{family}", "{:.1f}") for family in families),
        _text(rows, "c2st_auc_nonlinear", "{:.2f}"),
        _text(rows, "density_bias", "{:+.1f}"),
        _text(rows, "copy_rate", "{:.1%}").removesuffix("%"),
    ]
    return header, [cells]


def _found(rows: Rows, metric: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["metric"] == metric and row["band"] == ALL), None)


def _text(rows: Rows, metric: str, pattern: str) -> str:
    row = _found(rows, metric)
    return ABSENT if row is None else pattern.format(row["value"])
