"""Volumes in the page: slices as pictures, and packed bits from which the browser makes surfaces."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...store.results import REAL, Run
from ..lengths import voxel_of_run
from ..style import CUT, PORE, SHADES, SOLID
from ..volumes import Draws, typical_slice
from .parts import data_address


def scene(draws: Draws, run: Run) -> dict[str, Any]:
    """Return everything that the three-dimensional view shows and saves: bits of each volume, packed, width fastest."""
    _, unit = voxel_of_run(run) or (1.0, "")
    return {
        "run": run.name,
        "voxel_size": draws.voxel_size,
        "unit": re.sub("[^A-Za-z]", "", unit.replace("µ", "u")),  # a header is plain ASCII
        "shape": list(draws.voxels[REAL].shape[1:]),
        "density": [round(float(density), 4) for density in draws.density],
        "porosity": {name: [round(float(v.mean()), 4) for v in volumes] for name, volumes in draws.voxels.items()},
        "bits": {name: [_packed(volume) for volume in volumes] for name, volumes in draws.voxels.items()},
        "colours": [*SHADES, CUT],
    }


def _packed(volume: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(volume, bitorder="little").tobytes()).decode()


def picture(volume: NDArray[np.bool_]) -> str:
    """Return the address of a picture of a typical slice of a volume: a PNG of one bit a voxel."""
    from PIL import Image  # noqa: PLC0415 - only the page needs it

    image = Image.fromarray(typical_slice(volume).astype(np.uint8))
    image.putpalette(bytes.fromhex(f"{SOLID}{PORE}".replace("#", "")))
    buffer = io.BytesIO()
    image.save(buffer, format="png", bits=1, optimize=True)
    return data_address(buffer.getvalue(), "image/png")
