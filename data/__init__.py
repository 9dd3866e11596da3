"""Porous volumes and their sources."""

if __name__ == "data":
    raise ImportError("import porebench.data, not data: a second copy of its classes matches none")

from .datasets import AXES, NAMES, Axis, at_hand, load, load_image, true_spheres
from .images import Reading, blocks, read_phase, read_set, read_volume
from .phase import Phase
from .seed_format import read_folder, write_folder
from .spheres import LAWS, SphereLaw, is_simulated, simulate, stamp_balls
from .volumes import Dataset, DensityKind, Volumes, spread

__all__ = [
    "AXES",
    "LAWS",
    "NAMES",
    "Axis",
    "Dataset",
    "DensityKind",
    "Phase",
    "Reading",
    "SphereLaw",
    "Volumes",
    "at_hand",
    "blocks",
    "is_simulated",
    "load",
    "load_image",
    "read_folder",
    "read_phase",
    "read_set",
    "read_volume",
    "simulate",
    "spread",
    "stamp_balls",
    "true_spheres",
    "write_folder",
]
