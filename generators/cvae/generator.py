"""The conditional VAE: the suite's own learned generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..base import Generator, Shape
from ..binarise import keep_highest
from ..counter_rng import normal
from ..machine import DECODED, product_format
from ..walls import empty_layers, profile
from .module import train
from .network import ConditionalVAE, LatticeVAE
from .settings import LossSettings, Phase, TrainingSettings

LOG_ODDS_LIMIT = 9.0
LEVELS = np.linspace(0, 1, 21)
"""Densities at which the threshold of volumes without an exact count is known."""
LOGIT_LIMIT = 40.0
CALIBRATED = 1024
"""Prior samples by which it is found."""
BEYOND = 2 * LOGIT_LIMIT
"""By how much logits are lowered in layers next to the walls that no training volume has pores in."""


class VAEGenerator(Generator):
    """What every conditional VAE shares: condition, training, decoding in chunks, binarisation, weights as arrays."""

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    exact_count: bool
    network_: nn.Module
    levels_: list[float]
    margin_: int
    unbounded_: bool
    epochs_: dict[str, int]

    @property
    def number_format(self) -> str:
        """Name of the number format in which its network multiplies on its device."""
        return str(product_format(torch.device(self.device).type, self.precision)).removeprefix("torch.")

    def _build(self) -> nn.Module:
        """An untrained network for volumes of ``shape_``; initial weights from torch's current random state."""
        raise NotImplementedError

    def _phases(self) -> list[Phase]:
        """What the network is trained on, one after the other."""
        raise NotImplementedError

    def _fit(self, volumes: NDArray[np.bool_], density: NDArray[np.float64], rng: np.random.Generator) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            network = self._build()
        held_out = None if self.validation is None else (self.validation[0], self.condition(self.validation[1]))
        self.network_, self.epochs_ = train(
            network,
            volumes,
            self.condition(density),
            self._phases(),
            rng,
            show_progress=self.show_progress,
            checkpoints=self.checkpoints,
            machines=self.machines,
            validation=held_out,
            precision=self.precision,
        )
        with torch.no_grad():
            for value in self.network_.state_dict().values():
                if value.is_floating_point():
                    value.copy_(value.half())  # as it is saved
        self._move()
        self.margin_ = self._empty_layers(volumes)
        self.unbounded_ = profile(volumes)[1] == 0
        self.levels_ = self._calibrate(density, rng)

    def condition(self, density: NDArray[np.float64]) -> NDArray[np.float32]:
        """Density and log-odds of the porosity expected there, float32 [n, 2]."""
        porosity = self.law_.porosity(density)
        with np.errstate(divide="ignore"):
            log_odds = np.log(porosity) - np.log1p(-porosity)
        clipped = np.clip(log_odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)
        return np.stack([density, clipped], axis=1).astype(np.float32)

    def _sample(self, density: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> Tensor:
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        levels = torch.as_tensor(np.interp(density, LEVELS, self.levels_), dtype=torch.float32, device=self.device)
        drawn = torch.empty((len(density), *shape), dtype=torch.bool, device=self.device)
        for rows, logits in self._draw(density, shape, rng):
            if self.exact_count:
                keep_highest(logits, counts[rows], out=drawn[rows])
            else:
                torch.gt(logits, levels[rows, None, None, None], out=drawn[rows])
        return drawn

    def _draw(
        self, density: NDArray[np.float64], shape: Shape, rng: np.random.Generator
    ) -> Iterator[tuple[slice, Tensor]]:
        """Logits [rows, *shape] of prior samples, chunk by chunk.

        Larger volumes of an unbounded medium are the inside of ones so wide that it knows of no wall.
        """
        key = int(rng.integers(2**62))
        network = cast("ConditionalVAE", self.network_)
        beyond = [
            network.sight if self.unbounded_ and size > known else 0
            for size, known in zip(shape, self.shape_, strict=True)
        ]
        depth, height, width = (size + 2 * more for size, more in zip(shape, beyond, strict=True))
        wide = (depth, height, width)
        size = network.latent_shape(wide)

        def latent(rows: slice, condition: Tensor) -> Tensor:
            noise = normal(key, range(rows.start, rows.stop), prod(size), self.device).reshape(-1, *size)
            return network.from_prior(noise, condition, wide)

        kept = [slice(more, more + edge) for more, edge in zip(beyond, shape, strict=True)]
        for rows, logits in self._decode(latent, density, wide):
            yield rows, logits[:, *kept]

    def _reconstruct(self, volumes: NDArray[np.bool_], density: NDArray[np.float64]) -> Tensor:
        depth, height, width = volumes.shape[1:]
        counts = self.law_.pore_voxels(density, volumes[0].size)
        voxels = torch.from_numpy(volumes.copy())[:, None]
        network = cast("ConditionalVAE", self.network_)

        def latent(rows: slice, condition: Tensor) -> Tensor:
            return network.encode(voxels[rows].to(self.device).float(), condition)[0]

        decoded = self._decode(latent, density, (depth, height, width))
        return torch.cat([keep_highest(x, counts[rows]) if self.exact_count else x > 0 for rows, x in decoded])

    def _decode(
        self, latent: Callable[[slice, Tensor], Tensor], density: NDArray[np.float64], shape: Shape
    ) -> Iterator[tuple[slice, Tensor]]:
        """Logits [rows, *shape] of ``latent(rows, condition)``, decoded in chunks on the device."""
        network = cast("ConditionalVAE", self.network_)
        condition = torch.from_numpy(self.condition(density)).to(self.device)
        kind = torch.device(self.device).type
        used = product_format(kind, self.precision)
        chunk = max(1, DECODED[kind] // int(np.prod(shape)))
        for start in range(0, len(density), chunk):
            rows = slice(start, min(start + chunk, len(density)))
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=used == torch.bfloat16):
                logits = network.decode(latent(rows, condition[rows]), condition[rows], shape)[:, 0]
                self._empty_walls(logits)
            yield rows, logits

    def _empty_layers(self, volumes: NDArray[np.bool_]) -> int:
        """How many layers next to the walls stay empty in draws."""
        return empty_layers(volumes)

    def _empty_walls(self, logits: Tensor) -> None:
        """Make pores of logits [n, D, H, W] next to the walls less likely than anywhere else, where there were none."""
        for axis in (1, 2, 3):
            width = min(self.margin_, logits.shape[axis])
            logits.narrow(axis, 0, width).sub_(BEYOND)
            logits.narrow(axis, logits.shape[axis] - width, width).sub_(BEYOND)

    def _calibrate(self, density: NDArray[np.float64], rng: np.random.Generator) -> list[float]:
        """The logits above which prior samples at ``LEVELS`` have, on average, as many voxels as the law says.

        Drawn at densities distributed as the training volumes'; each sample counts for the two levels next to it.
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

    def _move(self) -> None:
        self.network_.to(self.device)

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Weights in half precision: the fit has rounded them to it."""
        state = {key: value.cpu() for key, value in self.network_.state_dict().items()}
        arrays = {key: (v.half() if v.is_floating_point() else v).numpy() for key, v in state.items()}
        known = {key: getattr(self, key) for key in ("levels_", "margin_", "unbounded_", "epochs_")}
        return arrays, known

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        self.levels_ = [float(level) for level in values["levels_"]]
        if len(self.levels_) != len(LEVELS):
            raise ValueError(f"expected {len(LEVELS)} levels, got {len(self.levels_)}")
        self.margin_, self.unbounded_ = int(values["margin_"]), bool(values["unbounded_"])
        if not 0 <= self.margin_ < min(self.shape_):
            raise ValueError(f"it states {self.margin_} empty layers of {min(self.shape_)}")
        self.epochs_ = {str(phase): int(epochs) for phase, epochs in values["epochs_"].items()}
        if max((value for key, value in self.params.items() if key.endswith("_blocks")), default=0) > len(arrays):
            raise ValueError(f"its {len(arrays)} arrays are too few for so many blocks")
        with torch.device("meta"):  # takes no memory, whatever the sizes
            network = self._build()
        tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
        network.load_state_dict(tensors, assign=True)
        self.network_ = network.to(memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]


class CVAE(VAEGenerator):
    """Fully convolutional conditional VAE with a latent lattice: one cell of latent channels for 3³ voxels.

    Density enters by feature-wise modulation and as an offset of the logits; the distance to the walls is an input,
    so any shape can be drawn; where the training volumes are cut from a larger medium, so are larger draws. One
    decoder pass from a standard normal latent gives a volume. Training first learns to reconstruct, then refines
    prior samples by their energy score against real volumes (``texture``).

    Args:
        width: feature channels on the lattice.
        latent_channels: latent channels a cell.
        encoder_blocks: residual blocks of the encoder.
        decoder_blocks: residual blocks of the decoder.
        prior_blocks: residual blocks of a learned prior; 0 draws the latent from the standard normal.
        beta: weight of the KL divergence while it learns to reconstruct.
        quiet_epochs: epochs at the start without KL divergence.
        ramp_epochs: epochs over which its weight then rises.
        free_bits: nats a latent channel has free.
        focal_gamma: γ of the focal cross-entropy; 0 switches focusing off.
        pore_weight: α of the class-balanced cross-entropy; None weighs both phases alike.
        sparse_weight: exponent by which sparse volumes count more.
        edge_weight: λ of the published edge penalty.
        cluster_weight: λ of the published cluster penalty.
        epochs: passes over the training volumes to learn to reconstruct.
        learning_rate: peak learning rate of that phase.
        refine_epochs: passes during which prior samples are refined; 0 leaves them as they are.
        refine_learning_rate: peak learning rate of that phase.
        refine_beta: weight of the KL divergence in that phase.
        energy_weight: λ of the energy score of prior samples in that phase.
        batch_size: volumes a step.
        exact_count: True keeps the n(d) most probable voxels; False keeps those above a threshold that was found for
            the density when it was fitted, so that the number is the network's own.

    References:
        Kingma & Welling (2014), arXiv:1312.6114; Sohn, Lee & Yan (2015), conditional VAE;
        Perez, Strub, de Vries, Dumoulin & Courville (2018), FiLM, arXiv:1709.07871.
    """

    name: ClassVar[str] = "cvae"

    def __init__(
        self,
        *,
        width: int = 32,
        latent_channels: int = 4,
        encoder_blocks: int = 2,
        decoder_blocks: int = 2,
        prior_blocks: int = 0,
        beta: float = 1.0,
        quiet_epochs: int = 0,
        ramp_epochs: int = 20,
        free_bits: float = 0.0,
        focal_gamma: float = 0.0,
        pore_weight: float | None = None,
        sparse_weight: float = 0.3,
        edge_weight: float = 0.0,
        cluster_weight: float = 0.0,
        epochs: int = 160,
        learning_rate: float = 1e-3,
        refine_epochs: int = 80,
        refine_learning_rate: float = 4e-4,
        refine_beta: float = 0.5,
        energy_weight: float = 4.0,
        batch_size: int = 16,
        exact_count: bool = True,
    ) -> None:
        self.width = width
        self.latent_channels = latent_channels
        self.encoder_blocks = encoder_blocks
        self.decoder_blocks = decoder_blocks
        self.prior_blocks = prior_blocks
        self.beta = beta
        self.quiet_epochs = quiet_epochs
        self.ramp_epochs = ramp_epochs
        self.free_bits = free_bits
        self.focal_gamma = focal_gamma
        self.pore_weight = pore_weight
        self.sparse_weight = sparse_weight
        self.edge_weight = edge_weight
        self.cluster_weight = cluster_weight
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.refine_epochs = refine_epochs
        self.refine_learning_rate = refine_learning_rate
        self.refine_beta = refine_beta
        self.energy_weight = energy_weight
        self.batch_size = batch_size
        self.exact_count = exact_count

    def _build(self) -> nn.Module:
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
    what they draw, so it need not be told the distribution of the encoder's latents. Arguments as for ``CVAE``.
    """

    name: ClassVar[str] = "cvae-prior"
    trained_on_request: ClassVar[bool] = True

    def __init__(
        self,
        *,
        prior_blocks: int = 3,
        epochs: int = 160,
        learning_rate: float = 1e-3,
        refine_epochs: int = 120,
        refine_learning_rate: float = 4e-4,
        refine_beta: float = 0.1,
        energy_weight: float = 4.0,
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
            exact_count=exact_count,
        )
