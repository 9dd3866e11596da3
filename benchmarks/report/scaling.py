"""Time and memory against size as a table, from ``speed/scaling.csv``."""

from __future__ import annotations

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


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``seconds`` and ``memory`` of each draw, medians of blocks: a row a generator, size and number of volumes.

    Sizes are edges and ``voxels``, ascending; memory is that at the peak beyond what the process had before, bytes.
    """
    own = table.assign(memory=table["peak_bytes"] - table["before_bytes"], voxels=table["edge"] ** 3)
    found = own.groupby([*SCALING_KEY, "voxels"], sort=False)[["seconds", "memory"]].median()
    return found.reset_index().sort_values("edge", kind="stable")


def scaling_lines(table: pd.DataFrame) -> list[str]:
    """Return a paragraph on how to read the table, the table in Markdown, and the machine."""
    edges = sorted(table["edge"].unique())
    usual = [edge for edge in edges if set(table["generator"]) == set(table.loc[table["edge"] == edge, "generator"])]
    large, measured, rows = usual[-1] ** 3, medians(table), []
    for name in dict.fromkeys(table["generator"]):
        own = measured[measured["generator"] == name].set_index("voxels")
        single = own[own["volumes"] == 1]
        least, several = single.index[0], len(single) > 1
        batches = own[(own["volumes"] > 1) & (own.index == least)]
        linear = single.loc[large, "seconds"] * least / large
        growth = single["memory"].diff() / single.index.diff()
        rows.append(
            [
                name,
                *(f"{single.loc[edge**3, 'seconds']:.3g}" if edge**3 in single.index else ABSENT for edge in edges),
                f"{np.polyfit(np.log(single.index), np.log(single['seconds']), 1)[0]:.2f}" if several else ABSENT,
                f"{linear / single['seconds'].iloc[0]:.2f}",
                f"{linear / (batches['seconds'] / batches['volumes']).iloc[-1]:.2f}" if len(batches) else ABSENT,
                f"{growth[large]:.1f}" if several else ABSENT,
                f"{single['memory'].iloc[-1] / 1e9:.2f}",
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
