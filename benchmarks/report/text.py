"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

ABSENT = "–"
"""Text of a cell without a number."""


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table.

    Example:
        >>> table_lines(["a", "b"], [["1", "2"]])
        ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def short(value: float) -> str:
    """Return a number with three significant digits or so.

    Example:
        >>> short(1.234), short(12.34)
        ('1.23', '12.3')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def one_line(text: str) -> str:
    """Return text that fits into a cell of a table."""
    return text.replace("\n", " ").replace("|", "/")
