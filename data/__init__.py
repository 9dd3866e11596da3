"""What a porous volume is, and where volumes come from."""

from .volumes import Dataset, DensityKind, Volumes

__all__ = ["Dataset", "DensityKind", "Volumes"]
