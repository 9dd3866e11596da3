"""Numbers and tables as text: Markdown for documents, aligned columns for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")

ABSENT = "–"
"""Text of a cell without a number."""


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown.

    Example:
        >>> table_lines(["a", "b"], [["1", "2"]])
        ['| a | b |', '| --- | --- |', '| 1 | 2 |']
    """
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(" --- " for _ in header) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def table_of(items: Iterable[Item], columns: Mapping[str, Callable[[Item], str]]) -> list[str]:
    """Return the lines of a table in Markdown, a row an item, from what each column says of it; none without items.

    Example:
        >>> table_of([1, 2], {"n": str, "square": lambda n: f"{n**2}"})
        ['| n | square |', '| --- | --- |', '| 1 | 1 |', '| 2 | 4 |']
    """
    rows = [[cell(item) for cell in columns.values()] for item in items]
    return table_lines(list(columns), rows) if rows else []


def column_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in columns of equal width, two blanks apart.

    Example:
        >>> column_lines(["a", "b"], [["10", "2"]])
        ['a   b', '10  2']
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (header, *rows)]


def short(value: float) -> str:
    """Return a number with three significant digits or so.

    Example:
        >>> short(1.234), short(12.34)
        ('1.23', '12.3')
    """
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def percent(value: float, digits: int = 1) -> str:
    """Return a share in percent, without a sign or an idle ``.0``; a dash for NaN.

    Example:
        >>> percent(0.125), percent(0.5), percent(0.125, 0)
        ('12.5', '50', '12')
    """
    return ABSENT if value != value else f"{100 * value:.{digits}f}".removesuffix(".0")  # noqa: PLR0124 - NaN


def one_line(text: str) -> str:
    """Return text that fits into a cell of a table."""
    return text.replace("\n", " ").replace("|", "/")
