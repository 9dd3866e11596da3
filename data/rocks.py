"""Tomographies of rocks that are known by name: where they come from, and what an image of one must look like."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from .phase import Phase

_FILE = Path(__file__).with_name("rocks.toml")
FAR = 0.5
"""Relative difference from the published porosity above which an image is warned of: more than samples differ by."""


@dataclass(frozen=True)
class Rock:
    """What is known of the tomography of a rock; see ``rocks.toml``.

    Attributes:
        name: that `load` takes.
        title: rock, origin and size.
        source: where porosity, permeability and voxel size are stated.
        address: of the file, None where it is to be fetched by hand.
        sha256: of the file at that address.
        licence: of the file at that address.
        page: where to get the file by hand.
        pore: label of pores, None where no source states it.
        voxel_size: edge of a voxel in micrometres.
        porosity: published, in [0, 1].
        permeability: published, in millidarcy.
    """

    name: str
    title: str
    source: str
    address: str | None = None
    sha256: str | None = None
    licence: str | None = None
    page: str | None = None
    pore: float | None = None
    voxel_size: float | None = None
    porosity: float | None = None
    permeability: float | None = None

    @property
    def file(self) -> Path:
        """Path of the downloaded file in the user's cache, whether or not it is there."""
        return rocks_folder() / f"{self.name}{Path(self.address or '').suffix}"


@cache
def rocks() -> dict[str, Rock]:
    """Return the rocks that are known, by name."""
    with _FILE.open("rb") as file:
        return {name: Rock(name, **facts) for name, facts in tomllib.load(file).items()}


def rocks_folder() -> Path:
    """Return the folder of downloaded files in the user's cache."""
    return user_cache_path("porebench", appauthor=False) / "rocks"


def fetch(rock: Rock) -> Path:
    """Return the image file of a rock in the user's cache, downloaded at its first use and checked against its SHA-256.

    An interrupted download leaves nothing behind and starts from the beginning.

    Args:
        rock: one that has an address.

    Raises:
        FileNotFoundError: if the file has to be fetched by hand; says where.
        ConnectionError: if the address cannot be reached.
        ValueError: if another file than expected lies there.
        ImportError: if pooch is not installed, naming the extra.
    """
    by_path = f"give its path, as in --dataset path/to/{rock.name}.raw"
    if rock.address is None or rock.sha256 is None:
        raise FileNotFoundError(
            f"{rock.title}: cannot be fetched by name, since no address with a known SHA-256 is on record; get it from "
            f"{rock.page} and {by_path}"
        )
    try:
        import pooch  # noqa: PLC0415 - in an extra
        from requests import RequestException  # noqa: PLC0415 - comes with pooch
    except ImportError as error:
        raise ImportError(f"{rock.name} is fetched by pooch: pip install 'porebench[rocks]', or {by_path}") from error
    pooch.get_logger().setLevel("WARNING")
    try:
        return Path(
            pooch.retrieve(
                rock.address,
                known_hash=f"sha256:{rock.sha256}",
                fname=rock.file.name,
                path=rock.file.parent,
                progressbar=sys.stderr.isatty(),
            )
        )
    except RequestException as error:
        reason = " ".join(str(error).split())[:120]
        told = f"{rock.name} cannot be fetched from {rock.address} ({reason})"
        raise ConnectionError(f"{told}; try again with a network, or {by_path}") from error
    except ValueError as error:
        raise ValueError(
            f"{rock.address} holds another file than the one on record (SHA-256 {rock.sha256[:16]}…), so it was not "
            f"kept; {by_path}"
        ) from error


def checked(phase: Phase, name: str) -> Phase:
    """Return a decision on the pore phase, with a warning where a file is named after a rock of quite another porosity.

    Args:
        phase: the decision.
        name: of the file; a rock is known by a word of it, as in ``Ketton_1000c.raw``.
    """
    words = set(re.split(r"[^a-z]+", name.lower()))
    rock = next((rock for rock in rocks().values() if rock.name in words), None)
    if rock is None or rock.porosity is None:
        return phase
    apart = abs(phase.porosity - rock.porosity)
    if apart <= FAR * rock.porosity:
        return phase
    swapped = abs(1 - phase.porosity - rock.porosity) < apart
    what = "the phases seem to be swapped: --pore says which value is pore" if swapped else "is it that rock?"
    told = f"{rock.name} has a published porosity of {rock.porosity:g}, {what}"
    return replace(phase, warning=f"{phase.warning}; {told}" if phase.warning else told)
