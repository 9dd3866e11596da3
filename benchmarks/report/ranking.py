"""What a table says of its own ranks: ties, what moves them, and the benchmark's own error."""

from __future__ import annotations

from collections.abc import Sequence

from porebench.generators.controls import Twin

from ..evaluate.ranking import Order
from .text import table_lines

ABSENT = "–"
READING = (
    "Generators share a rank (`=`) if a paired bootstrap over the test densities cannot tell them from the best of "
    "their group (95 %). Controls hold no rank. Beside it, the best and the worst rank when each descriptor, or each "
    "headline band, is left out of the score in turn."
)


def own_error(order: Order | None) -> list[str]:
    """How far apart the table puts a generator and its twin, as a paragraph; nothing where one has no score."""
    found = None if order is None else order.difference(Twin.name, Twin.original)
    if found is None:
        return []
    value, low, high, tied = found
    text = (
        f"The benchmark's own error: `{Twin.name}` is `{Twin.original}` under another name and with other seeds; their "
        f"NFR100 differ by {value:+.2f} [{low:+.2f}, {high:+.2f}], and they are {'tied' if tied else 'not tied'}."
    )
    if not tied:
        text += (
            " Intervals and ties hold for one fit of each generator; between two fits of one generator scores can "
            "differ by as much as this."
        )
    return ["", text]


def rank_section(names: Sequence[str], order: Order | None) -> list[str]:
    """Ranks, how far they move when something is left out of the score, and which pairs are tied.

    Args:
        names: in the order of the table.
        order: the ranking, if there is one.
    """
    if order is None or order.ranking.empty:
        return []
    rows = [
        [rank, name, _span(order.span(name, "descriptor")), _span(order.span(name, "band"))]
        for name in names
        if (rank := order.rank(name)) is not None
    ]
    tied = [f"{row.second} and {row.first}" for row in order.ties.itertuples() if row.tied]
    return [
        "## Ranks",
        "",
        READING,
        "",
        *table_lines(["rank", "generator", "without one descriptor", "without one band"], rows),
        "",
        f"Tied pairs, controls included: {'; '.join(tied) if tied else 'none'}.",
        "",
    ]


def _span(ends: tuple[int, int] | None) -> str:
    if ends is None:
        return ABSENT
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
