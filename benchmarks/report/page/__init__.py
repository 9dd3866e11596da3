"""The report page: everything in ``results/`` in one HTML file that needs no network and no server."""

from .build import build_page, write_page

__all__ = ["build_page", "write_page"]
