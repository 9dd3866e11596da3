"""The conditional VAE: the suite's own learned generator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base import Floats, Shape
from ..binarise import keep_highest
from ..lattice_network import told
from ..network_generator import NetworkGenerator, weights_to_arrays
from ..stored import check_sizes
from .network import LatticeVAE, Network
from .settings import LossSettings, Phase, TrainingSettings

LEVELS = np.linspace(0, 1, 21)
"""Densities at which the threshold of volumes without an exact count is known."""
LOGIT_LIMIT = 40.0
CALIBRATED = 1024
"""Prior samples from which the thresholds at ``LEVELS`` are found."""
BEYOND = 2 * LOGIT_LIMIT
"""Difference by which logits are lowered in layers next to the walls in which no training volume has pores."""


class VAEGenerator(NetworkGenerator):
    """Base of conditional VAEs: training, decoding in chunks, binarisation, weights as arrays."""

    exact_count: bool
    network_: Network
    levels_: list[float]

    @abstractmethod
    def _phases(self) -> list[Phase]:
        """Return the phases of the training, in order."""

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        from .module import train  # noqa: PLC0415 - Lightning takes long to import

        watched = None
        if self.validation is not None:
            watched = (self.validation[0], self.condition(self.validation[1]).numpy())
        network, epochs = train(
            self._built(rng),
            volumes,
            self.condition(density).numpy(),
            self._phases(),
            rng,
            validation=watched,
            checkpoints=self.checkpoints,
            machines=self.machines,
            show_progress=self.show_progress,
            precision=self.precision,
            minutes=self.minutes,
        )
        self._learnt(network, epochs, volumes)
        self.levels_ = self._calibrate(density, rng)

    def condition(self, density: Floats) -> Tensor:
        """Return what the network is told of volumes of given densities, float32 [n, TOLD]."""
        return told(density, self.law_.porosity(density))

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> Tensor:
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        levels = torch.as_tensor(np.interp(density, LEVELS, self.levels_), dtype=torch.float32, device=self.device)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        for rows, logits in self._draw(density, shape, rng):
            if self.exact_count:
                keep_highest(logits, counts[rows], out=drawn[rows])
            else:
                torch.gt(logits, levels[rows, None, None, None], out=drawn[rows])
        return drawn

    def _draw(self, density: Floats, shape: Shape, rng: np.random.Generator) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows and logits [rows, *shape] of prior samples, chunk by chunk.

        Volumes of an unbounded medium that are larger than the training volumes are cut from the middle of ones so wide
        that their walls are outside the receptive field.
        """
        streams = rng.spawn(len(density))
        larger = [self.unbounded_ and size > known for size, known in zip(shape, self.shape_, strict=True)]
        beyond = [self.network_.sight if more else 0 for more in larger]
        wide = check_sizes(size + 2 * more for size, more in zip(shape, beyond, strict=True))
        size = self.network_.latent_shape(wide)

        def latent(rows: slice, condition: Tensor) -> Tensor:
            noise = np.stack([stream.standard_normal(size, dtype=np.float32) for stream in streams[rows]])
            return self.network_.from_prior(torch.from_numpy(noise).to(self.device), condition, wide)

        kept = [slice(more, more + edge) for more, edge in zip(beyond, shape, strict=True)]
        for rows, logits in self._decode(latent, density, wide):
            yield rows, logits[:, *kept]

    def _reconstruct(self, volumes: NDArray[np.bool_], density: Floats) -> Tensor:
        counts = self.law_.pore_voxels(density, volumes[0].size)
        voxels = torch.from_numpy(volumes.copy())[:, None]

        def latent(rows: slice, condition: Tensor) -> Tensor:
            return self.network_.encode(voxels[rows].to(self.device).float(), condition)[0]

        decoded = self._decode(latent, density, check_sizes(volumes.shape[1:]))
        return torch.cat([keep_highest(x, counts[rows]) if self.exact_count else x > 0 for rows, x in decoded])

    def _decode(
        self, latent: Callable[[slice, Tensor], Tensor], density: Floats, shape: Shape
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows and logits [rows, *shape] of ``latent(rows, condition)``, decoded in chunks on the device."""
        condition = self.condition(density).to(self.device)
        for rows in self._chunks(len(density), shape):
            with self._drawing():
                logits = self.network_.decode(latent(rows, condition[rows]), condition[rows], shape)[:, 0]
                self._empty_walls(logits)
            yield rows, logits

    def _empty_walls(self, logits: Tensor) -> None:
        """Lower logits [n, D, H, W] in the ``margin_`` layers next to the walls below all others."""
        for axis in (1, 2, 3):
            width = min(self.margin_, logits.shape[axis])
            logits.narrow(axis, 0, width).sub_(BEYOND)
            logits.narrow(axis, logits.shape[axis] - width, width).sub_(BEYOND)

    def _calibrate(self, density: Floats, rng: np.random.Generator) -> list[float]:
        """Return the logits above which prior samples at ``LEVELS`` have, on average, as many voxels as the law says.

        Samples have densities distributed as the training volumes'; each counts for the two levels next to it.
        """
        asked = np.quantile(density, np.linspace(0, 1, CALIBRATED))
        counts = self.law_.pore_voxels(asked, int(np.prod(self.shape_)))
        logits = torch.cat([part.flatten(1) for _, part in self._draw(asked, self.shape_, rng)])
        near = np.maximum(0, 1 - np.abs(asked[:, None] - LEVELS) * (len(LEVELS) - 1))
        known, levels = [], []
        for place, weight in zip(LEVELS, near.T, strict=True):
            used = np.flatnonzero(weight)
            if len(used) == 0:
                continue
            some, low, high = logits[used], -LOGIT_LIMIT, LOGIT_LIMIT
            for _ in range(20):
                middle = (low + high) / 2
                pores = (some > middle).sum(dim=1).cpu().numpy()
                low, high = (middle, high) if weight[used] @ (pores - counts[used]) > 0 else (low, middle)
            known.append(place)
            levels.append(high)
        return [float(level) for level in np.interp(LEVELS, known, levels)]

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return the weights in half precision, to which the fit has rounded them, and what else was learnt."""
        return weights_to_arrays(self.network_), {"levels_": self.levels_, **self._known()}

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        self.levels_ = [float(level) for level in values["levels_"]]
        if len(self.levels_) != len(LEVELS):
            raise ValueError(f"expected {len(LEVELS)} levels, got {len(self.levels_)}")
        self._set_known(values)
        self.network_ = self._restored(arrays)


@dataclass(kw_only=True, eq=False, repr=False)
class CVAE(VAEGenerator):
    """Fully convolutional conditional VAE with a latent lattice: one cell of latent channels for 3³ voxels.

    Density enters by feature-wise modulation and as an offset of the logits. The distance to the walls is an input, so
    any shape can be drawn; where the training volumes are cut from a larger medium, so are larger draws. One decoder
    pass from a standard normal latent gives a volume. Training first learns to reconstruct, then refines prior samples
    by their energy score against real volumes (``texture``).

    Args:
        width: feature channels on the lattice.
        latent_channels: latent channels a cell.
        encoder_blocks: residual blocks of the encoder.
        decoder_blocks: residual blocks of the decoder.
        prior_blocks: residual blocks of a learned prior; 0 draws the latent from the standard normal.
        beta: of ``LossSettings`` while it learns to reconstruct, as are the next eight.
        epochs: passes over the training volumes to learn to reconstruct.
        learning_rate: peak learning rate of these epochs.
        refine_epochs: passes that refine prior samples; 0 leaves them as they are.
        refine_learning_rate: peak learning rate of the refinement.
        refine_beta: weight of the KL divergence in the refinement.
        energy_weight: λ of the energy score of prior samples in the refinement.
        batch_size: volumes a step.
        exact_count: True keeps the n(d) most probable voxels; False keeps those above a threshold that the fit found
            for the density, so that the number of voxels is the network's own.

    References:
        Kingma & Welling (2014), arXiv:1312.6114; Sohn, Lee & Yan (2015), conditional VAE;
        Perez, Strub, de Vries, Dumoulin & Courville (2018), FiLM, arXiv:1709.07871.
    """

    name: ClassVar[str] = "cvae"
    trained_on: ClassVar[tuple[str, ...]] = (  # relatives of the statistics of ``texture``
        "specific_surface",
        "euler_6",
        "mean_chord",
        "chord_lengths",
        "chord_direction",
        "surface_direction",
        "two_point_correlation",
        "two_point_direction",
        "lineal_path",
        "lineal_path_direction",
        "profile_sd",
        "mean_local_thickness",
        "thickness_distribution",
        "pore_diffusivity",
    )

    width: int = 32
    latent_channels: int = 4
    encoder_blocks: int = 2
    decoder_blocks: int = 2
    prior_blocks: int = 0
    beta: float = 1.0
    quiet_epochs: int = 0
    ramp_epochs: int = 20
    free_bits: float = 0.0
    focal_gamma: float = 0.0
    pore_weight: float | None = None
    sparse_weight: float = 0.3
    edge_weight: float = 0.0
    cluster_weight: float = 0.0
    epochs: int = 160
    learning_rate: float = 1e-3
    refine_epochs: int = 120
    refine_learning_rate: float = 4e-4
    refine_beta: float = 0.5
    energy_weight: float = 4.0
    batch_size: int = 16
    exact_count: bool = True

    def _build(self) -> Network:
        return LatticeVAE(self.width, self.latent_channels, self.encoder_blocks, self.decoder_blocks, self.prior_blocks)

    def _phases(self) -> list[Phase]:
        learn = LossSettings(
            focal_gamma=self.focal_gamma,
            pore_weight=self.pore_weight,
            sparse_weight=self.sparse_weight,
            edge_weight=self.edge_weight,
            cluster_weight=self.cluster_weight,
            beta=self.beta,
            free_bits=self.free_bits,
            quiet_epochs=self.quiet_epochs,
            ramp_epochs=self.ramp_epochs,
        )
        settings = TrainingSettings(self.epochs, self.batch_size, self.learning_rate, average=0.995)
        phases = [Phase("learn", learn, settings)]
        if self.refine_epochs:
            refine = replace(
                learn, beta=self.refine_beta, quiet_epochs=0, ramp_epochs=0, energy_weight=self.energy_weight
            )
            longer = replace(settings, epochs=self.refine_epochs, learning_rate=self.refine_learning_rate)
            phases.append(Phase("refine", refine, longer))
        return phases


class CVAEPrior(CVAE):
    """The conditional VAE with more bits in its latent, drawn from a prior that is learned.

    A network turns noise into the latent lattice in one step. It is trained with the decoder by the energy score of
    their draws, so the distribution of the encoder's latents need not be known. Arguments as for ``CVAE``.
    """

    name: ClassVar[str] = "cvae-prior"
    trained_on_request: ClassVar[bool] = True

    def __init__(
        self,
        *,
        prior_blocks: int = 3,
        epochs: int = 160,
        learning_rate: float = 1e-3,
        refine_epochs: int = 480,
        refine_learning_rate: float = 4e-4,
        refine_beta: float = 0.1,
        energy_weight: float = 4.0,
        batch_size: int = 32,
        exact_count: bool = True,
    ) -> None:
        super().__init__(
            width=64,
            decoder_blocks=3,
            prior_blocks=prior_blocks,
            epochs=epochs,
            learning_rate=learning_rate,
            refine_epochs=refine_epochs,
            refine_learning_rate=refine_learning_rate,
            refine_beta=refine_beta,
            energy_weight=energy_weight,
            batch_size=batch_size,
            exact_count=exact_count,
        )
