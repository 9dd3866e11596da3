"""Benchmark suite that compares generators of three-dimensional porous microstructures."""

from importlib import import_module
from pathlib import Path
from typing import Any

_clone = Path(__file__).resolve().parents[2]
if (_clone / "pyproject.toml").is_file():
    __path__.append(str(_clone))  # a clone without symbolic links has the packages at its root

_EXPORTED = dict.fromkeys(("score", "quick_score", "quick_densities"), "benchmarks.evaluate.outside")
_EXPORTED["ScoreCallback"] = "benchmarks.evaluate.callback"


def __getattr__(name: str) -> Any:
    """Import what is exported here when it is first asked for: the judge takes a second to load."""
    if name in _EXPORTED:
        return getattr(import_module(f".{_EXPORTED[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
