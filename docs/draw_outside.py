"""Draw the volumes of a task with another toolbox, its own defaults kept but for the porosity, without porebench.

``porebench task export spheres -o task`` makes a task, ``python docs/draw_outside.py porespy-blobs task drawn.npz``
draws for it, and ``porebench score drawn.npz --task task/task.json`` scores the draws.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

Shape = tuple[int, int, int]
Voxels = NDArray[np.bool_]


def porespy_blobs(shape: Shape, porosity: float, seed: int) -> Voxels:
    """Return filtered noise above a threshold, True = pore."""
    import porespy as ps

    if porosity == 0:
        return np.zeros(shape, dtype=np.bool_)  # blobs takes 0 for no threshold
    return np.asarray(ps.generators.blobs(list(shape), porosity=porosity, seed=seed), dtype=np.bool_)


def porespy_spheres(shape: Shape, porosity: float, seed: int) -> Voxels:
    """Return overlapping balls of one radius as pore; the toolbox's balls are solid."""
    import porespy as ps

    ps.settings.tqdm["disable"] = True
    return ~np.asarray(ps.generators.overlapping_spheres(list(shape), porosity=1 - porosity, seed=seed), dtype=np.bool_)


def gstools_field(shape: Shape, porosity: float, seed: int) -> Voxels:
    """Return the highest part of a Gaussian random field of unit correlation length as pore."""
    import gstools

    field = gstools.SRF(gstools.Gaussian(dim=3), seed=seed)
    values = field.structured([np.arange(float(length)) for length in shape])
    return np.asarray(values >= np.quantile(values, 1 - porosity), dtype=np.bool_)


TOOLBOXES: dict[str, Callable[[Shape, float, int], Voxels]] = {
    "porespy-blobs": porespy_blobs,
    "porespy-spheres": porespy_spheres,
    "gstools-field": gstools_field,
}


def main() -> None:
    """Draw one volume for each row of the task's conditions, and print the milliseconds of one."""
    parser = argparse.ArgumentParser(description="Draw the volumes of a task with another toolbox.")
    parser.add_argument("toolbox", choices=TOOLBOXES)
    parser.add_argument("task", type=Path, help="folder of: porebench task export")
    parser.add_argument("out", type=Path, help=".npz file to write")
    asked = parser.parse_args()
    conditions = pd.read_csv(asked.task / "conditions.csv")
    draw, began = TOOLBOXES[asked.toolbox], time.perf_counter()
    drawn = [
        draw((int(row.depth), int(row.height), int(row.width)), float(row.porosity_expected), int(row.index))
        for row in tqdm(conditions.itertuples(index=False), total=len(conditions))
    ]
    print(f"{1000 * (time.perf_counter() - began) / len(drawn):.1f} ms a volume")
    np.savez_compressed(asked.out, voxels=np.stack(drawn))


if __name__ == "__main__":
    main()
