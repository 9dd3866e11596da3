"""Generators of other toolboxes, asked for the porosity and the feature size of ours.

Each draws one volume a call. How much pore and how large a feature it is asked for is found by trial, so that what
comes out has the wanted porosity and the wanted mean chord; the same settings are then kept for larger volumes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from metrics.descriptors import porespy
from metrics.morphology import mean_chord

Voxels = NDArray[np.bool_]

TRIALS, TRIAL_VOLUMES = 6, 8
WAVELENGTHS = 1000
"""Waves that GSTools adds up for a field; its own default."""


@dataclass(frozen=True)
class Settings:
    """What a peer is asked for.

    Attributes:
        size: of a feature in voxels; what it means depends on the peer.
        pore: volume fraction of pore.
    """

    size: float
    pore: float


Draw = Callable[[int, Settings, int], Voxels]
"""Edge in voxels, settings and seed -> bool [edge, edge, edge], True = pore."""


def blobs(edge: int, settings: Settings, seed: int) -> Voxels:
    """White noise under a Gaussian filter of standard deviation ``size``, its lowest part pore."""
    drawn = porespy().generators.blobs([edge] * 3, settings.pore, blobiness=edge / (40 * settings.size), seed=seed)
    return np.asarray(drawn, dtype=np.bool_)


def overlapping_spheres(edge: int, settings: Settings, seed: int) -> Voxels:
    """Balls of radius ``size`` at random voxels, as many as give the porosity to 0.01."""
    drawn = porespy().generators.overlapping_spheres([edge] * 3, r=settings.size, porosity=1 - settings.pore, seed=seed)
    return ~np.asarray(drawn, dtype=np.bool_)


def random_spheres(edge: int, settings: Settings, seed: int) -> Voxels:
    """Balls of radius ``size``, a whole number, by random sequential addition; ``pore`` before voxels are cut off."""
    radius = max(1, round(settings.size))
    return np.asarray(porespy().generators.random_spheres([edge] * 3, r=radius, phi=settings.pore, seed=seed)) > 0


def polydisperse_spheres(edge: int, settings: Settings, seed: int) -> Voxels:
    """Overlapping balls with radii uniform in ⅔ to 4/3 of ``size``, as in the built-in law, in PoreSpy's classes."""
    radii = stats.uniform(2 / 3 * settings.size, 2 / 3 * settings.size)
    drawn = porespy().generators.polydisperse_spheres(
        [edge] * 3, 1 - settings.pore, dist=radii, r_min=2 / 3 * settings.size, seed=seed
    )
    return ~np.asarray(drawn, dtype=np.bool_)


def random_field(edge: int, settings: Settings, seed: int) -> Voxels:
    """GSTools' spatial random field of a Gaussian covariance with length ``size``, its highest part pore.

    Raises:
        ImportError: if GSTools is not installed.
    """
    import gstools  # noqa: PLC0415 - only the comparison needs it

    field = gstools.SRF(gstools.Gaussian(dim=3, len_scale=settings.size), seed=seed, mode_no=WAVELENGTHS)
    axis = np.arange(float(edge))
    layers = [field.structured([axis[z : z + 1], axis, axis], store=False) for z in range(edge)]
    values = np.concatenate(layers)
    return np.asarray(values >= np.quantile(values, 1 - settings.pore), dtype=np.bool_)


PEERS: dict[str, Draw] = {
    "porespy blobs": blobs,
    "porespy overlapping_spheres": overlapping_spheres,
    "porespy random_spheres": random_spheres,
    "porespy polydisperse_spheres": polydisperse_spheres,
    "gstools SRF": random_field,
}


def matched(draw: Draw, edge: int, porosity: float, chord: float, start: float) -> Settings:
    """Settings with which what is drawn has a porosity and a mean chord, as nearly as a few trials find them.

    Args:
        draw: of a peer.
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
    """The settings of a peer; a GSTools field gets the correlation of the matched ``blobs``, and its exact porosity.

    White noise under a Gaussian filter σ has the correlation exp(-r²/4σ²); GSTools' Gaussian model of length L has
    exp(-π r²/4L²).
    """
    if PEERS[name] is random_field:
        return Settings(float(np.sqrt(np.pi)) * matched(blobs, edge, porosity, chord, 1.0).size, porosity)
    return matched(PEERS[name], edge, porosity, chord, 1.0 if PEERS[name] is blobs else 2.0)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Stops what runs inside after so many seconds, at the next step of Python (main thread, not on Windows).

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
