"""Machine code for generators that visit voxels one by one; it is made by numba and releases the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
from platformdirs import user_cache_path

Function = TypeVar("Function", bound=Callable[..., object])

if not numba.config.CACHE_DIR:  # type: ignore[attr-defined]  # an installation is never written to
    numba.config.CACHE_DIR = str(user_cache_path("porebench", appauthor=False) / "numba")  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """Return the function, compiled to machine code at its first call and cached on disk."""
    return cast("Function", numba.njit(cache=True, nogil=True)(function))
