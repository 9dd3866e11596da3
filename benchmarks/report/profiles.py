"""Curves over density of real and generated volumes, from ``curves.csv`` and ``calibration.csv``, for figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from porebench.metrics.descriptors import HEADLINE

REAL = "real"
ENOUGH = 10.0
"""Pore voxels that a density must ask for to show how many more or fewer are drawn, in percent."""


@dataclass(frozen=True)
class Profile:
    """One quantity of one generator, or of the real volumes, over density.

    Attributes:
        name: the generator's; "real" for real volumes.
        free: whether counts were not made exact, where a generator has that choice.
        density: in rising order.
        mean: of the volumes at each density.
        low: 5th percentile of single volumes.
        high: 95th percentile.
    """

    name: str
    free: bool
    density: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]

    @property
    def label(self) -> str:
        """The name, and whether counts are free."""
        return f"{self.name}, free count" if self.free else self.name


def read_curves(folder: Path) -> dict[str, list[Profile]]:
    """Every headline descriptor over density, the real volumes first; empty where there is no ``curves.csv``."""
    table = _read(folder / "curves.csv")
    if table is None:
        return {}
    parts = {descriptor: table[table["descriptor"] == descriptor] for descriptor in HEADLINE}
    return {descriptor: _profiles(part) for descriptor, part in parts.items() if len(part)}


def read_calibration(folder: Path) -> list[Profile]:
    """Excess of pore voxels over what each density asks for, percent; empty where there is no ``calibration.csv``."""
    table = _read(folder / "calibration.csv")
    if table is None:
        return []
    known = table[table["target"] >= ENOUGH].copy()
    for column in ("mean", "low", "high"):
        known[column] = 100 * (known[column] / known["target"] - 1)
    return _profiles(known)


def _read(path: Path) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    table = pd.read_csv(path, dtype={"generator": str, "exact_count": str}, keep_default_na=False, na_values=[""])
    return table if len(table) else None


def _profiles(table: pd.DataFrame) -> list[Profile]:
    if "exact_count" not in table:
        table = table.assign(exact_count="")
    found = []
    for (name, exact), part in table.groupby(["generator", "exact_count"], sort=False, dropna=False):
        rows = part.sort_values("density")
        columns = [[float(value) for value in rows[column]] for column in ("density", "mean", "low", "high")]
        found.append(Profile(str(name), exact == "no", *columns))
    return sorted(found, key=lambda profile: profile.name != REAL)
