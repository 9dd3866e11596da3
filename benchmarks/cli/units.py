"""Durations and sizes as people write them: ``90``, ``20m``, ``1.5h``; ``800M``, ``8G``."""

from __future__ import annotations

import re

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def seconds(text: str) -> float:
    """A duration in seconds.

    Raises:
        ValueError: if it is none.

    Example:
        >>> seconds("90"), seconds("20m"), seconds("1.5h")
        (90.0, 1200.0, 5400.0)
    """
    return _parse(text, _SECONDS, "a duration such as 90, 20m or 2h")


def size(text: str) -> int:
    """A number of bytes.

    Raises:
        ValueError: if it is none.

    Example:
        >>> size("800M"), size("8G")
        (800000000, 8000000000)
    """
    return round(_parse(text, _BYTES, "a size such as 800M or 8G"))


def _parse(text: str, units: dict[str, float], what: str) -> float:
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]?)\s*", text.lower(), re.ASCII)
    value = float(match[1]) * units[match[2]] if match and match[2] in units else 0.0
    if value <= 0:
        raise ValueError(f"expected {what}, got {text!r}")
    return value
