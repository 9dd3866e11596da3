"""Lengths of a run in the unit of its data set, where the image's file, or who gave it, stated the size of a voxel."""

from __future__ import annotations

from porebench.data.phase import voxel_in

from ..store.results import Run

Voxel = tuple[float, str] | None
"""Edge and unit of a voxel, the unit "" where only the edge is known; None where neither is."""


def voxel_of_run(run: Run) -> Voxel:
    """Return edge and unit of a voxel, the unit "" where only the edge is known; None where a run states neither."""
    return voxel_in(str(run.manifest.get("phase", "")))


def voxel_sentence(voxel: Voxel) -> str:
    """Return the sentence that tells the edge of a voxel; "" where it is not known.

    Example:
        >>> voxel_sentence((5.345, "µm")), voxel_sentence((2.0, "")), voxel_sentence(None)
        ('1 voxel = 5.345 µm.', '1 voxel = 2, in the unit that the data set was given in.', '')
    """
    if voxel is None:
        return ""
    edge, unit = voxel
    return (
        f"1 voxel = {edge:.5g} {unit}."
        if unit
        else f"1 voxel = {edge:.5g}, in the unit that the data set was given in."
    )
