"""Volumes in the page: slices as pictures, and packed bits from which the browser makes surfaces."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ...store.results import REAL
from ..style import CUT, PORE, SHADES, SOLID
from ..volumes import Draws, typical_slice
from .parts import data_address


def scene(draws: Draws) -> dict[str, Any]:
    """Return everything that the three-dimensional view shows: bits of each volume, packed, width fastest."""
    return {
        "shape": list(draws.voxels[REAL].shape[1:]),
        "density": [round(float(density), 4) for density in draws.density],
        "porosity": {name: [round(float(v.mean()), 4) for v in volumes] for name, volumes in draws.voxels.items()},
        "bits": {name: [_packed(volume) for volume in volumes] for name, volumes in draws.voxels.items()},
        "colours": [*SHADES, CUT],
    }


def gallery(draws: Draws) -> Markup:
    """Return a grid of slices: a row a generator, a column a density."""
    head = "".join(f'<th scope="col">{density:.2f}</th>' for density in draws.density)
    rows = []
    for name, volumes in draws.voxels.items():
        cells = []
        for density, volume in zip(draws.density, volumes, strict=True):
            what = escape(f"{name} at density {density:.2f}: a slice, pores dark; porosity {volume.mean():.3f}")
            cells.append(
                f'<td><img class="slice" alt="{what}" title="{what}" src="{_picture(typical_slice(volume))}"></td>'
            )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    html = (
        f'<div class="scroll"><table class="gallery"><thead><tr><th scope="col">density</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    return Markup(html)  # noqa: S704 - names are escaped, the rest is ours


def _packed(volume: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(volume, bitorder="little").tobytes()).decode()


def _picture(pores: NDArray[np.bool_]) -> str:
    """Return a slice as a PNG of one bit a voxel."""
    from PIL import Image  # noqa: PLC0415 - only the page needs it

    image = Image.fromarray(pores.astype(np.uint8))
    image.putpalette(_rgb(SOLID) + _rgb(PORE))
    buffer = io.BytesIO()
    image.save(buffer, format="png", bits=1, optimize=True)
    return data_address(buffer.getvalue(), "image/png")


def _rgb(colour: str) -> bytes:
    return bytes.fromhex(colour.removeprefix("#"))
