"""A figure that explains a conditional VAE: what latent channels do, what density does, which channels are active.

Works with any generator that keeps a network with ``encode`` and ``decode`` (see ``generators.cvae.network``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from porebench.data import Dataset
from porebench.generators.binarise import keep_highest
from porebench.generators.cvae.generator import VAEGenerator
from porebench.metrics.bands import density_bands

from ..evaluate import fits
from ..evaluate.options import Options
from ..report.figures import save
from ..report.style import new_figure, style
from ..store.results import data_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Floats = NDArray[np.float64]

ACTIVE_VARIANCE = 0.01
"""Variance of the posterior mean over volumes above which a latent unit is active (Burda et al. 2016)."""
STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Shifts of a channel, in standard deviations of its posterior means."""
DENSITIES = 5
SHOWN = 3
VOLUMES = 64
MOST_BARS = 16


@dataclass(frozen=True, eq=False)
class Activity:
    """Information that each latent channel carries about a volume.

    Attributes:
        bands: names of the density bands that hold volumes.
        divergence: KL divergence of the posterior from the prior, nats a latent unit (a lattice cell of the channel, or
            the channel itself), mean over the volumes of each band: float64 [bands, channels].
        active: share of the channel's units whose posterior mean varies over volumes, float64 [channels].
        spread: standard deviation of the posterior means of a channel, float64 [channels].
    """

    bands: tuple[str, ...]
    divergence: Floats
    active: Floats
    spread: Floats

    @property
    def order(self) -> NDArray[np.int64]:
        """Channels, the one that says most first."""
        return np.asarray(np.argsort(-self.divergence.mean(axis=0), kind="stable"))


def explain(
    reference: str,
    dataset: Dataset,
    out: Path,
    options: Options,
    *,
    png: Path | None = None,
    show_progress: bool = False,
) -> tuple[Path, Activity]:
    """Draw the figure of a generator, fitted first where needed, and write it as a PNG.

    Args:
        reference: registered name, or ``path/to/file.py:Class``.
        dataset: whose validation volumes are encoded.
        out: the results folder.
        options: seed (of the fit, and of the latent that is decoded at several densities), precision and places count.
        png: the picture; default ``figures/explain-NAME-DATASET.png`` in the results folder.
        show_progress: let a fit draw its progress bar.

    Returns:
        The picture, and what its third part shows.

    Raises:
        ValueError: if the generator has no latent space, or the path is no PNG.
        ImportError: if matplotlib is not installed.
    """
    fit = fits.prepare(reference, dataset, options.seed)
    name = fit.generator.name
    if not isinstance(fit.generator, VAEGenerator):
        raise ValueError(f"{name} has no encoder and decoder to explain; cvae and cvae-seed have")
    path = png or out / "figures" / f"explain-{name}-{data_folder(out, dataset).name}.png"
    if path.suffix.lower() != ".png":
        raise ValueError(f"the picture must be called .png, got {path.name}")
    ready = fits.made(fit, replace(options, device="cpu"), show_progress=show_progress)
    return path, draw_explanation(cast(VAEGenerator, ready.generator), dataset, path, seed=options.seed)


def draw_explanation(generator: VAEGenerator, dataset: Dataset, path: Path, *, seed: int = 0) -> Activity:
    """Write the figure of a fitted generator on the CPU as a PNG, and return what its third part shows."""
    volumes = dataset.validation.spread(VOLUMES)
    with torch.inference_mode():
        found = activity(generator, volumes.voxels, volumes.density, dataset)
        dense = int(0.8 * (len(volumes) - 1))  # well filled, and not the fullest
        middle = float(volumes.density[dense])
        start = _encode(generator, volumes.voxels[dense : dense + 1], volumes.density[dense : dense + 1])[0]
        rows = [traversal(generator, start, middle, int(channel), found) for channel in found.order[:SHOWN]]
        low, high = float(volumes.density[0]), float(volumes.density[-1])
        levels = np.linspace(low + 0.2 * (high - low), high, DENSITIES)
        across = at_densities(generator, levels, seed)
    with style("page") as width:
        figure = _draw(width, generator.name, found, rows, middle, levels, across)
        save(figure, path)
    return found


def activity(generator: VAEGenerator, voxels: NDArray[np.bool_], density: Floats, dataset: Dataset) -> Activity:
    """Return the activity of each latent channel, from the posteriors of real volumes.

    References:
        Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders, arXiv:1509.00519, for active units.
    """
    mean, log_variance = _encode(generator, voxels, density)
    nats = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    each = nats.reshape(*nats.shape[:2], -1).mean(dim=2).numpy().astype(np.float64)
    flat = mean.reshape(*mean.shape[:2], -1)
    active = (flat.var(dim=0, unbiased=False) > ACTIVE_VARIANCE).double().mean(dim=1).numpy()
    sd = flat.permute(1, 0, 2).reshape(flat.shape[1], -1).std(dim=1, unbiased=False).double().numpy()
    bands = [band for band in density_bands(density, dataset.density_kind) if band.contains(density).any()]
    divergence = np.stack([each[band.contains(density)].mean(axis=0) for band in bands])
    return Activity(tuple(band.name for band in bands), divergence, active, sd)


def traversal(generator: VAEGenerator, start: Tensor, density: float, channel: int, found: Activity) -> Floats:
    """Return middle slices of the pore probability as one channel is moved everywhere, float64 [steps, H, W].

    Args:
        generator: fitted.
        start: latent of one volume, [1, channels, ...].
        density: of that volume.
        channel: to be moved by ``STEPS`` times its spread.
        found: knows the spread.
    """
    moved = start.repeat(len(STEPS), *[1] * (start.ndim - 1))
    shift = torch.tensor(STEPS) * float(found.spread[channel])
    moved[:, channel] += shift.reshape(-1, *[1] * (start.ndim - 2))
    return _slices(torch.sigmoid(_decode(generator, moved, np.full(len(STEPS), density))))


def at_densities(generator: VAEGenerator, density: Floats, seed: int) -> Floats:
    """Return middle slices of the pores that one latent makes at several densities, float64 [n, H, W]."""
    noise = torch.Generator().manual_seed(seed)
    latent = torch.randn((1, *generator.network_.latent_shape(generator.shape_)), generator=noise)
    logits = _decode(generator, latent.repeat(len(density), *[1] * (latent.ndim - 1)), density)
    counts = generator.law_.pore_voxels(density, int(np.prod(generator.shape_)))
    return _slices(keep_highest(logits, counts).float())


def _encode(generator: VAEGenerator, voxels: NDArray[np.bool_], density: Floats) -> tuple[Tensor, Tensor]:
    condition = generator.condition(density)
    return generator.network_.encode(torch.from_numpy(voxels.copy())[:, None].float(), condition)


def _decode(generator: VAEGenerator, latent: Tensor, density: Floats) -> Tensor:
    """Return logits [n, D, H, W]."""
    condition = generator.condition(density)
    return generator.network_.decode(latent, condition, generator.shape_)[:, 0]


def _slices(volumes: Tensor) -> Floats:
    """Return the middle slice of each volume."""
    return volumes[:, volumes.shape[1] // 2].numpy().astype(np.float64)


def _draw(
    width: float,
    name: str,
    found: Activity,
    rows: list[Floats],
    density: float,
    levels: Floats,
    across: Floats,
) -> Figure:
    """Return the figure: a row a moved channel, a row of densities, and bars."""
    figure = new_figure(width, width * (0.2 * (len(rows) + 1) + 0.36))
    parts: Any = figure.subfigures(3, 1, height_ratios=[0.2 * len(rows) + 0.05, 0.25, 0.32])
    parts[0].suptitle(f"{name}: pore probability as one latent channel is moved, density {density:.2f}")
    grid = parts[0].subplots(len(rows), len(STEPS), squeeze=False)
    for row, channel, slices in zip(grid, found.order, rows, strict=False):
        for axes, picture in zip(row, slices, strict=True):
            _show(axes, picture)
        row[0].set_ylabel(f"channel {channel}")
    for axes, step in zip(grid[0], STEPS, strict=True):
        axes.set_title(f"{step:+.0f} sd")
    parts[1].suptitle("Pores of one latent at several densities")
    for axes, level, picture in zip(parts[1].subplots(1, len(levels)), levels, across, strict=True):
        _show(axes, picture)
        axes.set_title(f"{level:.2f}")
    parts[2].suptitle("Which latent channels are active")
    _bars(parts[2].subplots(), found)
    return figure


def _show(axes: Axes, picture: Floats) -> None:
    axes.imshow(picture, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])


def _bars(axes: Axes, found: Activity) -> None:
    """Draw the KL divergence of the channels that say most, a bar a density band."""
    shown = found.order[:MOST_BARS]
    share = 0.8 / len(found.bands)
    places = np.arange(len(shown))
    greys = np.linspace(0.75, 0.1, len(found.bands))
    for index, (band, grey) in enumerate(zip(found.bands, greys, strict=True)):
        axes.bar(places + share * index, found.divergence[index, shown], share, color=str(grey), label=band)
    labels = [f"{channel}\n{100 * found.active[channel]:.0f} % active" for channel in shown]
    axes.set_xticks(
        places + 0.4 - share / 2, labels if len(shown) <= SHOWN + 5 else [str(channel) for channel in shown]
    )
    axes.set(xlabel="latent channel", ylabel="KL, nats a unit")
    axes.legend(title="density")
