"""Matplotlib's figure, imported where a figure is drawn: the import takes a second, and the package is optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_class() -> type[Figure]:
    """The figure of matplotlib.

    Raises:
        ImportError: if it is not installed, naming the extra.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - only needed where figures are drawn
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'porebench[report]'") from error
    return Figure
