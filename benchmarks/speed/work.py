"""Operations and bytes that a volume asks for, and probes of what the machine can do.

Counted is what any implementation of the method has to do, not what ours does: every random number, every butterfly of
a transform, every product of a matrix or a convolution, one comparison for each voxel that is cut off at a threshold;
every number that does not fit into registers is written once and read once. A count is a floor, and the share of the
limit that it gives is one too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from torch.utils.flop_counter import FlopCounterMode

from porebench.data.spheres import LAWS, VOXEL_SIZE
from porebench.generators import Generator

Floats = NDArray[np.float64]

NORMAL, UNIFORM = 20, 10
"""Operations behind a normal number (Box–Muller: logarithm, root, sine) and a uniform one (rounds of a counter)."""
BALL = 5
"""Operations on a voxel in a ball: sum of two squared distances, sum with the third, comparison, address, store."""


@dataclass(frozen=True)
class Work:
    """Work behind one volume.

    Attributes:
        operations: additions, multiplications, comparisons.
        bytes: written and read.
        arithmetic: number format of the operations, "float32" or "bfloat16".
    """

    operations: float
    bytes: float
    arithmetic: str = "float32"


def work(generator: Generator, density: Floats, edge: int) -> Work | None:
    """Return the work behind one volume, the mean over densities; None for a generator whose work is not counted.

    Args:
        generator: fitted.
        density: of the volumes of a batch, [n].
        edge: of the volumes in voxels.
    """
    count = _COUNTS.get(generator.name)
    return None if count is None else count(generator, density, edge)


def _field(generator: Any, density: Floats, edge: int) -> Work:  # noqa: ARG001 - all volumes alike
    """Count white noise for the waves, an inverse transform of a wider grid, the mean of walls, a threshold."""
    wide = next_fast_len(edge + int(generator.support_.max()), real=True)
    points, voxels = wide**3, edge**3
    waves = points / 2
    transform = 2.5 * points * log2(points)  # half of the 5 N log N of a complex transform
    return Work(NORMAL * 2 * waves + transform + 2 * voxels, 2 * 8 * waves + 2 * 4 * voxels + voxels)


def _components(generator: Any, density: Floats, edge: int) -> Work:
    """Count products of scores and components, one comparison a voxel; components are read once a batch."""
    components, voxels = generator.components_.shape[0], edge**3
    shared = 4 * components * voxels / len(density)
    return Work(2 * components * voxels + NORMAL * len(generator.density_) + voxels, shared + 2 * 4 * voxels + voxels)


def _balls(generator: Any, density: Floats, edge: int) -> Work:
    """Count four random numbers a ball and every voxel inside; the volume is cleared and written once."""
    number, radius = generator.spheres(density)
    return _ball_work(number * (edge / generator.shape_[0]) ** 3, radius, edge)


def _simulated(generator: Any, density: Floats, edge: int) -> Work | None:
    """Count balls of the simulator behind the reference; None if the reference hands out real volumes."""
    if not generator.simulator:
        return None
    law = LAWS[generator.simulator]
    return _ball_work(law.spheres * density, density * float(law.radius(0.5)) / VOXEL_SIZE, edge)


def _ball_work(number: Floats, radius: Floats, edge: int) -> Work:
    inside = 4 / 3 * np.pi * radius**3
    operations, moved = number * (4 * UNIFORM + BALL * inside), number * (32 + inside)
    return Work(float(np.mean(operations)), float(edge**3 + np.mean(moved)))


def _library(generator: Any, density: Floats, edge: int) -> Work:  # noqa: ARG001 - all volumes alike
    """Count a bit of each voxel read, a byte written."""
    return Work(edge**3, edge**3 / 8 + edge**3)


def _scattered(generator: Any, density: Floats, edge: int) -> Work:  # noqa: ARG001 - all volumes alike
    """Count one random number and one comparison a voxel."""
    return Work((UNIFORM + 1) * edge**3, 2 * 4 * edge**3 + edge**3)


def _network(generator: Any, density: Floats, edge: int) -> Work:
    """Count products of all layers, as torch does for one volume; weights once a batch, logits and voxels once."""
    counter = FlopCounterMode(display=False)
    with counter:
        generator.sample(density[:1], shape=(edge,) * 3, rng=0)
    weights = 2 * sum(parameter.numel() for parameter in generator.network_.parameters())
    moved = weights / len(density) + (2 * 4 + 1) * edge**3
    return Work(counter.get_total_flops(), moved, generator.number_format)


_COUNTS: dict[str, Callable[[Any, Floats, int], Work | None]] = {
    "gaussian-field": _field,
    "pca": _components,
    "sphere-packing": _balls,
    "twin": _balls,
    "reference": _simulated,
    "memoriser": _library,
    "noise": _scattered,
    "cvae": _network,
    "cvae-prior": _network,
    "cvae-seed": _network,
    "autoregressive": _network,
    "flow-matching": _network,
    "gan": _network,
    "slice-gan": _network,
    "discrete-diffusion": _network,
    "neural-texture": _network,
}


@dataclass(frozen=True)
class Probe:
    """A call that does nothing but use one part of the machine, and its number of operations or bytes."""

    call: Callable[[], object]
    amount: float


def probe(kind: str, device: str, size: int) -> Probe:
    """Return what measures a limit: a matrix product, or a sum of arrays that fit into no cache.

    Args:
        kind: "float32", "bfloat16" or "memory".
        device: of torch.
        size: rows of the matrices, or numbers in an array.
    """
    if kind == "memory":
        a, b, total = (torch.zeros(size, device=device) for _ in range(3))
        return Probe(lambda: torch.add(a, b, out=total), 3 * 4 * size)
    left, right = (torch.ones((size, size), dtype=getattr(torch, kind), device=device) for _ in range(2))
    out = torch.empty_like(left)
    return Probe(lambda: torch.mm(left, right, out=out), 2 * size**3)
