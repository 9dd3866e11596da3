"""The conditional VAE: the suite's own learned generator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..base import Generator, Shape
from ..binarise import keep_highest
from .loss import LossSettings
from .module import Phase, TrainingSettings, train
from .network import ConditionalVAE, LatticeVAE

CHUNK = 64
LOG_ODDS_LIMIT = 9.0


class VAEGenerator(Generator):
    """What every conditional VAE shares: condition, training, decoding in chunks, binarisation, weights as arrays."""

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    exact_count: bool
    network_: nn.Module

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
        self.network_ = train(
            network,
            volumes,
            self._condition(density),
            self._phases(),
            rng,
            show_progress=self.show_progress,
            checkpoints=self.checkpoints,
        )
        with torch.no_grad():
            for value in self.network_.state_dict().values():
                if value.is_floating_point():
                    value.copy_(value.half())  # as it is saved
        self._move()

    def _condition(self, density: NDArray[np.float64]) -> NDArray[np.float32]:
        """Density and log-odds of the porosity expected there, float32 [n, 2]."""
        porosity = self.law_.porosity(density)
        with np.errstate(divide="ignore"):
            log_odds = np.log(porosity) - np.log1p(-porosity)
        clipped = np.clip(log_odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)
        return np.stack([density, clipped], axis=1).astype(np.float32)

    def _sample(self, density: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> Tensor:
        noise = torch.Generator(self.device).manual_seed(int(rng.integers(2**63)))
        network = cast("ConditionalVAE", self.network_)
        condition = torch.from_numpy(self._condition(density)).to(self.device)

        def latent(start: int, stop: int) -> Tensor:
            size = (stop - start, *network.latent_shape(shape))
            drawn = torch.randn(size, generator=noise, device=self.device)
            return network.from_prior(drawn, condition[start:stop], shape)

        return self._decode(latent, density, shape)

    def _reconstruct(self, volumes: NDArray[np.bool_], density: NDArray[np.float64]) -> Tensor:
        network = cast("ConditionalVAE", self.network_)
        voxels = torch.from_numpy(volumes.copy())[:, None]
        condition = torch.from_numpy(self._condition(density))

        def latent(start: int, stop: int) -> Tensor:
            seen = voxels[start:stop].to(self.device).float()
            return network.encode(seen, condition[start:stop].to(self.device))[0]

        depth, height, width = volumes.shape[1:]
        return self._decode(latent, density, (depth, height, width))

    def _decode(self, latent: Any, density: NDArray[np.float64], shape: Shape) -> Tensor:
        """Pore voxels [n, *shape] from ``latent(start, stop)``, decoded in chunks on the device."""
        network = cast("ConditionalVAE", self.network_)
        condition = torch.from_numpy(self._condition(density)).to(self.device)
        counts = self.law_.pore_voxels(density, int(np.prod(shape)))
        parts = []
        device_type = torch.device(self.device).type
        with torch.inference_mode(), torch.autocast(device_type, dtype=torch.bfloat16):
            for start in range(0, len(density), CHUNK):
                stop = min(start + CHUNK, len(density))
                logits = network.decode(latent(start, stop), condition[start:stop], shape)[:, 0]
                parts.append(keep_highest(logits, counts[start:stop]) if self.exact_count else logits > 0)
        return torch.cat(parts)

    def _move(self) -> None:
        self.network_.to(self.device)

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Weights in half precision, which costs nothing: they are used in bfloat16."""
        state = {key: value.cpu() for key, value in self.network_.state_dict().items()}
        return {key: (v.half() if v.is_floating_point() else v).numpy() for key, v in state.items()}, {}

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:  # noqa: ARG002 - none kept
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
    so any shape can be drawn. One decoder pass from a standard normal latent gives a volume. Training first learns to
    reconstruct, then refines prior samples by their energy score against real volumes (``texture``).

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
        exact_count: True keeps the n(d) most probable voxels; False thresholds the probability at one half.

    References:
        Kingma & Welling (2014), arXiv:1312.6114; Sohn, Lee & Yan (2015), conditional VAE;
        Perez, Strub, de Vries, Dumoulin & Courville (2018), FiLM, arXiv:1709.07871.
    """

    name: ClassVar[str] = "cvae"

    def __init__(
        self,
        *,
        width: int = 64,
        latent_channels: int = 4,
        encoder_blocks: int = 2,
        decoder_blocks: int = 3,
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
        refine_epochs: int = 60,
        refine_learning_rate: float = 4e-4,
        refine_beta: float = 0.15,
        energy_weight: float = 4.0,
        exact_count: bool = True,
    ) -> None:
        super().__init__(
            prior_blocks=prior_blocks,
            epochs=epochs,
            learning_rate=learning_rate,
            refine_epochs=refine_epochs,
            refine_learning_rate=refine_learning_rate,
            refine_beta=refine_beta,
            energy_weight=energy_weight,
            exact_count=exact_count,
        )
