"""Timings from the JSON of pytest-benchmark, the blocks of one benchmark put together; and what was drawn in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .digests import short_digest


def voxel_facts(drawn: NDArray[np.bool_]) -> dict[str, Any]:
    """Achieved porosity, and a digest of the voxels: what tells whether a faster generator draws the same."""
    return {"porosity": float(drawn.mean()), "output": short_digest(np.packbits(drawn).tobytes())}


@dataclass(frozen=True, eq=False)
class Timing:
    """One benchmark over all blocks.

    Attributes:
        group: of benchmarks.
        generator: whose.
        device: "cpu" or "cuda".
        edge: of the volumes in voxels.
        volumes: in a call.
        info: what was recorded beside the clock.
        blocks: median seconds of a call, by block.
        rounds: calls that were timed, in all blocks.
    """

    group: str
    generator: str
    device: str
    edge: int
    volumes: int
    info: dict[str, Any]
    blocks: dict[int, float] = field(default_factory=dict)
    rounds: int = 0

    @property
    def seconds(self) -> float:
        """Of a call: the median of the blocks."""
        return median(self.blocks.values())

    @property
    def milliseconds(self) -> float:
        """Of a volume."""
        return 1e3 * self.seconds / self.volumes

    @property
    def rate(self) -> float:
        """Volumes a second."""
        return self.volumes / self.seconds

    @property
    def spread(self) -> float | None:
        """Slowest less fastest block, over the median; None if there is one block only."""
        times = list(self.blocks.values())
        return (max(times) - min(times)) / self.seconds if len(times) > 1 else None

    @property
    def gave_up(self) -> bool:
        """True if the call was stopped: it takes longer than ``seconds``."""
        return "gave_up" in self.info

    def over(self, other: Timing) -> list[float]:
        """Return volumes a second over those of another benchmark, for each block that both have."""
        shared = sorted(self.blocks.keys() & other.blocks.keys())
        factor = self.volumes / other.volumes
        return [factor * other.blocks[block] / self.blocks[block] for block in shared]


def timings_of(runs: Iterable[dict[str, Any]]) -> list[Timing]:
    """One timing for each benchmark of some runs; of one that is in several runs, that of the newest.

    Args:
        runs: JSON of pytest-benchmark.
    """
    ordered = sorted(runs, key=lambda run: str(run["datetime"]))
    return merged(bench for run in ordered for bench in run["benchmarks"])


def merged(benchmarks: Iterable[dict[str, Any]]) -> list[Timing]:
    """One timing for each benchmark, from its entries in the blocks.

    Args:
        benchmarks: of pytest-benchmark, in any order. Those from before there were blocks count as one.
    """
    found: dict[tuple[Any, ...], Timing] = {}
    for bench in benchmarks:
        info, parameters = bench["extra_info"], bench.get("params") or {}
        device, edge = parameters.get("device", "cpu"), int(info.get("edge", 30))
        settings = json.dumps(info.get("params"), sort_keys=True, default=str)
        key = (bench["group"], info["generator"], device, edge, info["volumes"], settings)
        timing = found.setdefault(key, Timing(bench["group"], info["generator"], device, edge, info["volumes"], {}))
        timing.info.update({name: value for name, value in info.items() if name not in timing.info})
        timing.blocks[info.get("block", 0)] = bench["stats"]["median"]
        found[key] = Timing(**{**vars(timing), "rounds": timing.rounds + len(bench["stats"]["data"])})
    return list(found.values())
