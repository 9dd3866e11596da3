"""The report page: its sections in one HTML file, with style sheet, script, plotly, and data that is always escaped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...store.files import write_text
from ...store.provenance import commit
from ...store.results import Run
from ..volumes import Draws
from .scene import picture
from .sections import read_source, sections
from .tables import explanation

TEMPLATES = Path(__file__).parent / "templates"
PAGE = "report.html"


def build_page(results: Path, draws: Callable[[Run], Draws]) -> str:
    """Return the report page as HTML: complete, or saying what is missing and which command makes it.

    Args:
        results: the results folder; it may be empty or absent.
        draws: gives volumes of a run to look at; raises ``NoDrawsError`` where there are none.

    Raises:
        ImportError: if plotly, jinja2 or matplotlib is not installed, naming the extra.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only the page needs it
        from plotly.offline import get_plotlyjs  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("the report page needs jinja2 and plotly: pip install 'porebench[report]'") from error
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"explanation": explanation, "picture": picture}
    source = read_source(results, draws)
    made = sections(source)
    panels = [panel for section in made for panel in section.panels]
    content: dict[str, Any] = {
        "sections": made,
        "runs": [run.name for run in source.runs],
        "commit": commit(),
        "plots": {panel.name: panel.plots for panel in panels if panel.plots},
        "scenes": {panel.name: panel.scene for panel in panels if panel.scene},
        "plotly": get_plotlyjs(),
    }
    return environment.get_template("page.html").render(content)


def write_page(results: Path, draws: Callable[[Run], Draws]) -> Path:
    """Write ``report.html`` into the results folder and return its path; arguments as for ``build_page``."""
    path = results / PAGE
    write_text(path, build_page(results, draws))
    return path
