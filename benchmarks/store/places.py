"""Folders that fitted generators are read from and kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path

from .digests import ROOT

VARIABLE = "POREBENCH_CACHE"
"""Environment variable that names the folder of fits."""


@dataclass(frozen=True)
class Places:
    """Folders that fitted generators are read from and kept in.

    Attributes:
        named: folder of fits; None for the one that the environment names, or the user's cache folder.
        published: folder of the weights that come with the program; only a clone is ever written to.
    """

    named: Path | None = None
    published: Path = ROOT / "generators" / "weights"

    @property
    def cache(self) -> Path:
        """Folder of fits."""
        asked = os.environ.get(VARIABLE)
        return self.named or (Path(asked) if asked else user_cache_path("porebench", appauthor=False) / "fits")

    def settled(self) -> Places:
        """Return the same folders by name, for a process with another environment."""
        return replace(self, named=self.cache)
