"""Folders that fitted generators are read from and kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from .digests import ROOT


def _cache() -> Path:
    named = os.environ.get("POREBENCH_CACHE")
    return Path(named) if named else user_cache_path("porebench", appauthor=False) / "fits"


@dataclass(frozen=True)
class Places:
    """Folders that fitted generators are read from and kept in.

    Attributes:
        cache: folder of fits; by default the environment variable POREBENCH_CACHE, else the user's cache folder.
        published: folder of the weights that come with the program; only a clone is ever written to.
    """

    cache: Path = field(default_factory=_cache)
    published: Path = ROOT / "generators" / "weights"
