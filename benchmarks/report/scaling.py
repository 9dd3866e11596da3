"""Time and memory against size as a table, from ``speed/scaling.csv``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..store.results import SCALING_KEY
from .text import ABSENT, table_lines

READING = (
    "Seconds to draw one volume at porosity {porosity:.2f}, each in a process of its own, medians of {blocks} blocks "
    "in random order (widest spread between blocks: {spread:.0f} %). Exponent: of time over voxels. Over linear: "
    "time at {large}³ over {factor:.0f} × that of one volume of {small}³, and over that of a volume in a batch of "
    "them, where the fixed cost of a call is shared. Bytes a voxel: growth of the peak of memory from {middle}³ to "
    "{large}³; the constant is the rest."
)


@dataclass(frozen=True)
class Growth:
    """Growth of the cost of one generator with size.

    Attributes:
        generator: whose.
        voxels: sizes that were drawn, ascending.
        seconds: of one volume of each.
        memory: that a draw took at its peak beyond what the process had before, bytes.
        batched: seconds of a volume of the smallest size in a batch; None if that was not measured.
    """

    generator: str
    voxels: list[int]
    seconds: list[float]
    memory: list[float]
    batched: float | None

    @property
    def exponent(self) -> float:
        """Slope of the logarithm of time over that of voxels; 1 is linear."""
        return float(np.polyfit(np.log(self.voxels), np.log(self.seconds), 1)[0])

    def over_linear(self, small: float, at: int) -> float:
        """Return the time at a place's size over that of as many of the smallest volumes, which take ``small`` each."""
        return self.seconds[at] * self.voxels[0] / self.voxels[at] / small

    def bytes_a_voxel(self, at: int) -> float:
        """Return the growth of peak memory from the size before, bytes a voxel."""
        return (self.memory[at] - self.memory[at - 1]) / (self.voxels[at] - self.voxels[at - 1])


def growths(table: pd.DataFrame) -> list[Growth]:
    """Return the growth of each generator's cost, blocks put together by their median."""
    own = table.assign(memory=table["peak_bytes"] - table["before_bytes"])
    points = own.groupby(list(SCALING_KEY))[["seconds", "memory"]].median()
    found = []
    for name in dict.fromkeys(table["generator"]):
        single = points.xs((name, 1), level=("generator", "volumes")).sort_index()
        batches = points.loc[name].loc[single.index[0]].drop(1, errors="ignore")
        batched = float(batches["seconds"].iloc[-1] / batches.index[-1]) if len(batches) else None
        voxels = [int(edge) ** 3 for edge in single.index]
        found.append(Growth(str(name), voxels, single["seconds"].tolist(), single["memory"].tolist(), batched))
    return found


def scaling_lines(table: pd.DataFrame) -> list[str]:
    """Return a paragraph on how to read the table, the table in Markdown, and the machine."""
    edges = sorted(table["edge"].unique())
    usual = [edge for edge in edges if set(table["generator"]) == set(table.loc[table["edge"] == edge, "generator"])]
    large = usual[-1] ** 3
    rows = []
    for growth in growths(table):
        times = {voxels: f"{seconds:.3g}" for voxels, seconds in zip(growth.voxels, growth.seconds, strict=True)}
        at, single = growth.voxels.index(large), len(growth.voxels) == 1
        batched = None if growth.batched is None else growth.over_linear(growth.batched, at)
        rows.append(
            [
                growth.generator,
                *(times.get(edge**3, ABSENT) for edge in edges),
                ABSENT if single else f"{growth.exponent:.2f}",
                f"{growth.over_linear(growth.seconds[0], at):.2f}",
                ABSENT if batched is None else f"{batched:.2f}",
                ABSENT if single else f"{growth.bytes_a_voxel(at):.1f}",
                f"{growth.memory[-1] / 1e9:.2f}",
            ]
        )
    header = ["generator", *(f"s at {edge}³" for edge in edges), "exponent", "over linear", "over linear, batch"]
    header += ["bytes a voxel", "GB at the largest"]
    seconds = table.groupby(list(SCALING_KEY))["seconds"]
    reading = READING.format(
        porosity=table["porosity"].mean(),
        blocks=table["block"].nunique(),
        spread=100 * float(((seconds.max() - seconds.min()) / seconds.median()).max()),
        large=usual[-1],
        small=usual[0],
        middle=usual[-2] if len(usual) > 1 else usual[-1],
        factor=(usual[-1] / usual[0]) ** 3,
    )
    newest = table.sort_values("date").iloc[-1]
    machine = f"{newest['date']}, {newest['processor']}, {newest['threads']} threads, {newest['commit']}."
    return [reading, "", *table_lines(header, rows), "", machine]
