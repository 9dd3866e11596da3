"""Benchmark suite that compares generators of three-dimensional porous microstructures."""

from pathlib import Path

_clone = Path(__file__).resolve().parents[2]
if (_clone / "pyproject.toml").is_file():
    __path__.append(str(_clone))  # a clone without symbolic links has the packages at its root
