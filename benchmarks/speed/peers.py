"""Generators of other toolboxes, asked for the porosity and the feature size of ours.

Each draws one volume a call. How much pore and how large a feature it is asked for is found by trial, so that what
comes out has the wanted porosity and the wanted mean chord; the same settings are then kept for larger volumes.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from porebench.metrics.morphology import mean_chord

Voxels = NDArray[np.bool_]

TRIALS, TRIAL_VOLUMES = 6, 8
WAVES = 1000
"""Waves that GSTools adds up for a field; its own default."""


@cache
def porespy() -> Any:
    """Return the PoreSpy package, imported at the first use and without its side effects.

    The import silences NumPy's floating-point warnings for the whole process and puts a handler on the root logger;
    both are undone. One thread a call, as for every peer.
    """
    root = logging.getLogger()
    handlers, errors = root.handlers[:], np.geterr()
    try:
        import porespy as package  # noqa: PLC0415
    finally:
        np.seterr(**errors)
        root.handlers[:] = handlers
    logging.getLogger("porespy").setLevel(logging.ERROR)
    package.settings.ncores = 1
    package.settings.tqdm["disable"] = True
    return package


@dataclass(frozen=True)
class Settings:
    """Request to a peer.

    Attributes:
        size: of a feature in voxels; its meaning depends on the peer.
        pore: volume fraction of pore.
    """

    size: float
    pore: float


Arguments = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A generator of another toolbox.

    Attributes:
        arguments: of a call, beside the seed: from the edge in voxels and the settings.
        call: with arguments and seed; bool [edge, edge, edge], True = pore.
        start: size to begin matching with.
    """

    arguments: Callable[[int, Settings], Arguments]
    call: Callable[[Arguments, int], Voxels]
    start: float

    def draw(self, edge: int, settings: Settings, seed: int) -> Voxels:
        """Return one volume."""
        return self.call(self.arguments(edge, settings), seed)


def _blobs(arguments: Arguments, seed: int) -> Voxels:
    return np.asarray(porespy().generators.blobs(**arguments, seed=seed), dtype=np.bool_)


def _overlapping_spheres(arguments: Arguments, seed: int) -> Voxels:
    """Return spheres as pore, which are solid in PoreSpy."""
    return ~np.asarray(porespy().generators.overlapping_spheres(**arguments, seed=seed), dtype=np.bool_)


def _random_spheres(arguments: Arguments, seed: int) -> Voxels:
    return np.asarray(porespy().generators.random_spheres(**arguments, seed=seed)) > 0


def _polydisperse_spheres(arguments: Arguments, seed: int) -> Voxels:
    least, most = arguments["radii"]
    given = {key: value for key, value in arguments.items() if key != "radii"}
    radii = stats.uniform(least, most - least)
    drawn = porespy().generators.polydisperse_spheres(**given, dist=radii, r_min=least, seed=seed)
    return ~np.asarray(drawn, dtype=np.bool_)


def _random_field(arguments: Arguments, seed: int) -> Voxels:
    """Return the highest part of a field as pore, drawn layer by layer, so that the call can be stopped.

    Raises:
        ImportError: if GSTools is not installed.
    """
    import gstools  # noqa: PLC0415 - only the comparison needs it

    model = gstools.Gaussian(dim=3, len_scale=arguments["len_scale"])
    field = gstools.SRF(model, seed=seed, mode_no=arguments["mode_no"])
    axis = np.arange(float(arguments["edge"]))
    values = np.concatenate([field.structured([[z], axis, axis], store=False) for z in axis])
    return np.asarray(values >= np.quantile(values, 1 - arguments["pore"]), dtype=np.bool_)


PEERS: dict[str, Peer] = {
    "porespy blobs": Peer(
        lambda edge, to: {"shape": [edge] * 3, "porosity": to.pore, "blobiness": edge / (40 * to.size)}, _blobs, 1.0
    ),
    "porespy overlapping_spheres": Peer(
        lambda edge, to: {"shape": [edge] * 3, "r": to.size, "porosity": 1 - to.pore}, _overlapping_spheres, 2.0
    ),
    "porespy random_spheres": Peer(
        lambda edge, to: {"shape": [edge] * 3, "r": max(1, round(to.size)), "phi": to.pore}, _random_spheres, 2.0
    ),
    "porespy polydisperse_spheres": Peer(
        lambda edge, to: {"shape": [edge] * 3, "porosity": 1 - to.pore, "radii": [2 / 3 * to.size, 4 / 3 * to.size]},
        _polydisperse_spheres,
        2.0,
    ),
    "gstools SRF": Peer(
        lambda edge, to: {"edge": edge, "len_scale": to.size, "mode_no": WAVES, "pore": to.pore}, _random_field, 2.0
    ),
}
"""Peers by toolbox and name. Size: the standard deviation of the filter of ``blobs``, the (mean) radius of spheres
(uniform from 2/3 to 4/3 of the mean where they differ, as in the built-in law), the correlation length of a field."""


def matched(
    draw: Callable[[int, Settings, int], Voxels], edge: int, porosity: float, chord: float, start: float
) -> Settings:
    """Return settings with which draws have a porosity and a mean chord, as nearly as a few trials find them.

    Args:
        draw: a volume from edge, settings and seed.
        edge: of the trial volumes in voxels.
        porosity: wanted.
        chord: mean chord of the pores, wanted, in voxels.
        start: size to begin with.
    """
    best, least = Settings(start, porosity), np.inf
    settings = best
    for _ in range(TRIALS):
        drawn = np.stack([draw(edge, settings, seed) for seed in range(TRIAL_VOLUMES)])
        pore, length = max(float(drawn.mean()), 1e-6), max(float(mean_chord(drawn).mean()), 1e-6)
        error = abs(np.log(pore / porosity)) + abs(np.log(length / chord))
        if error < least:
            best, least = settings, error
        size = float(np.clip(settings.size * chord / length, 0.3, edge / 4))
        settings = Settings(size, float(np.clip(settings.pore * porosity / pore, 1e-3, 0.9)))
    return best


def peer_settings(name: str, edge: int, porosity: float, chord: float) -> Settings:
    """Return the settings of a peer; a GSTools field gets the correlation of the matched ``blobs`` and the porosity.

    White noise under a Gaussian filter σ has the correlation exp(-r²/4σ²); GSTools' Gaussian model of length L has
    exp(-π r²/4L²).
    """
    if name == "gstools SRF":
        return Settings(float(np.sqrt(np.pi)) * peer_settings("porespy blobs", edge, porosity, chord).size, porosity)
    return matched(PEERS[name].draw, edge, porosity, chord, PEERS[name].start)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Stop what runs inside after so many seconds, at the next step of Python (main thread, not on Windows).

    Raises:
        TimeoutError: if the time was over.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
