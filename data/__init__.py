"""Porous volumes and their sources."""

if __name__ == "data":
    raise ImportError("import porebench.data, not data: a second copy of its classes matches none")

from .datasets import AXES, NAMES, Axis, load, load_image, true_spheres
from .images import blocks, read_volume
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
    "SphereLaw",
    "Volumes",
    "blocks",
    "is_simulated",
    "load",
    "load_image",
    "read_folder",
    "read_volume",
    "simulate",
    "spread",
    "stamp_balls",
    "true_spheres",
    "write_folder",
]
