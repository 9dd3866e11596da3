"""What a run of ``evaluate`` is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

FULL = {"n_bootstrap": 1000, "n_permutations": 200}
QUICK = {"n_bootstrap": 200, "n_permutations": 100}
QUICK_SAMPLES = 256


@dataclass(frozen=True)
class Options:
    """What a run is asked for.

    Attributes:
        seed: of fits, draws, bootstrap and permutations.
        samples: test volumes to draw and score against, spread over density; None takes all.
        device: "auto", "cpu" or "cuda".
        quick: fewer samples and resamplings.
        workers: threads that describe volumes.
        timeout: seconds that loading, fitting, drawing or reconstructing may take for one generator; None for any.
        memory: bytes that one generator's process may allocate; None for any.
        extras: side tables to make that are not made by default, "physics" or "voxel-test".
        processes: generators that are worked on at a time, on this machine.
        scheduler: address of a Dask scheduler whose workers do the work; None for this machine.
    """

    seed: int = 0
    samples: int | None = None
    device: str = "auto"
    quick: bool = False
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    timeout: float | None = None
    memory: int | None = None
    extras: tuple[str, ...] = ()
    processes: int = 1
    scheduler: str | None = None
