"""Choices that depend on the processor or GPU: each made here, once, for the reason given beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]
"""Number format of products and convolutions, as a user asks for it."""
DECODED = {"cpu": 64 * 30**3, "cuda": 2048 * 30**3}
"""Voxels that a network decodes at a time, one volume excepted: a GPU is busy with many only."""
LAYERED = {"cpu": 2**16, "cuda": 2**22}
"""Cells of a lattice that goes through a network as a whole: a batch of small volumes. Larger ones go in slabs."""
FEATURES = {"cpu": 2**18, "cuda": 2**27}
"""Numbers in a slab, where one layer of cells is not more: so few that they stay in a CPU's cache."""
AMPLITUDES = {"cpu": 2**19, "cuda": 2**27}
"""Amplitudes of Gaussian fields in memory at a time, one field excepted: more leave the cache of a CPU with AVX2, which
then takes a sixth longer, and fewer keep it busy with calls."""
LONG_GRID = 430
"""Sum of a grid's sides from which a Fourier transform is faster than products axis by axis."""


def side_by_side(call: Callable[..., object], *lists: Iterable[object]) -> None:
    """Call a function that lets go of Python's lock with each set of arguments, in as many threads as torch has."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(call, *lists))  # a list, to raise what a thread raised


@functools.cache
def product_format(kind: str, asked: Precision = "auto") -> torch.dtype:
    """Return the number format in which networks multiply on a kind of device.

    With units for bfloat16, products in it are several times as fast as in float32; emulated, without them, they take
    ten to forty times as long.

    Args:
        kind: "cpu" or "cuda".
        asked: "auto" for what the device is fast at, or the name of a format.

    Raises:
        ValueError: if there is no such format.
    """
    if asked == "auto":
        fast = torch.cuda.is_bf16_supported(including_emulation=False) if kind == "cuda" else _bfloat16_units()
        return torch.bfloat16 if fast else torch.float32
    if asked not in {"float32", "bfloat16"}:
        raise ValueError(f"precision must be auto, float32 or bfloat16, got {asked!r}")
    return torch.bfloat16 if asked == "bfloat16" else torch.float32


def _bfloat16_units() -> bool:
    """Return True if the processor, within ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA, has units for bfloat16."""
    known = (
        getattr(torch.cpu, name, lambda: False) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    allowed = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return allowed and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and any(has() for has in known)
