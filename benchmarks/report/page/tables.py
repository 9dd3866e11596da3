"""Tables of the page: the Markdown that ``porebench report`` writes, with an explanation on every column."""

from __future__ import annotations

import itertools
import re
from html import escape

from markdown_it import MarkdownIt
from markupsafe import Markup

from porebench.metrics.table import METRICS

COLUMNS = {
    "generator": "What draws the volumes. reference, memoriser and noise are controls that give the table a scale.",
    "rank": "Place by NFR100; generators that cannot be told apart share one.",
    "NFR100 [95 % CI]": "Noise-floor ratio at 100 volumes, over the headline bands, with its 95 % interval. "
    "1: cannot be told from real volumes. 5: the gap is five times what two batches of 100 real volumes show.",
    "verdict": "Whether draws can be told from real volumes, by six tests at 5 % together; if so, by what.",
    "size": "NFR100 of the family of size: local thickness, distance to solid, chords, surface.",
    "correlation": "NFR100 of the family of correlation: two-point correlation, lineal path, slab porosity.",
    "topology": "NFR100 of the family of topology: Euler number, clusters, percolation, diffusivity of the pores.",
    "direction": "NFR100 of the family of direction: each axis against the mean of the three.",
    "joint": "NFR100 of all descriptors together, uncorrelated in real volumes.",
    "copies %": "Share of draws that take half of their pores from one training volume.",
    "copied patches %": "Share of patches of 10³ voxels that occur in training volumes.",
    "fits": "Fits that the row stands on.",
    "NFR100 without *": "NFR100 without the descriptors that the generator was trained on.",
    "density bias %": "Excess of pore voxels over what the density asks for.",
    "IoU": "Overlap of test volumes with their reconstruction, where a generator can reconstruct.",
    "fit s": "Seconds to fit or train, on the machine named under provenance.",
    "ms a volume": "Milliseconds to draw one volume, all test volumes at once.",
    "density error (real)": "Mean distance of the density that a draw shows from the one asked for; real volumes' own.",
    "percolation (real)": "Share of axes along which the pores percolate; that of real volumes.",
    "empty volumes": "Draws without a single pore voxel.",
}


def explanation(column: str) -> str:
    """Return what a column of a table shows, for its tooltip; "" where nothing is known."""
    if column in COLUMNS:
        return COLUMNS[column]
    if column.startswith("NFR100 "):
        return f"NFR100 of the volumes with a density in {column.removeprefix('NFR100 ')} alone."
    if column.endswith(" (floor)"):
        return "Wasserstein distance to the real distribution, in physical units; what real volumes show between them."
    wanted = re.sub(r" (%|\[.*\]|\(.*\))$", "", column).lower()
    for metric in METRICS.values():
        if wanted in {metric.name.lower(), metric.symbol.lower(), metric.name.replace("_", " ").lower()}:
            unit = f" ({metric.unit})" if metric.unit else ""
            return f"{metric.description[:1].upper()}{metric.description[1:]}{unit}. {metric.reference}"
    return ""


def render_markdown(text: str) -> Markup:
    """Return Markdown as HTML; nothing in it is taken for HTML. Tables can be sorted and explain their columns.

    The first heading is dropped, since the page has its own, and later sections are folded.
    """
    first, *rest = text.removeprefix("# ").split("\n## ")
    parts = [_tables(first.partition("\n")[2])]
    for section in rest:
        title, _, body = section.partition("\n")
        parts.append(f"<details><summary>{escape(title)}</summary>{_tables(body)}</details>")
    return Markup("".join(parts))  # noqa: S704 - the Markdown renderer and escape() made it safe


def _tables(text: str) -> str:
    text = "\n".join(line for line in text.split("\n") if not line.startswith("!["))  # pictures lie beside the text
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token, following in itertools.pairwise(tokens):
        if token.type == "th_open":
            token.attrs = {"scope": "col", "title": explanation(following.content)}
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html.replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
