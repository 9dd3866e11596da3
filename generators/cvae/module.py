"""Training of a conditional VAE with Lightning: optimiser, averaged weights, early end, interruption.

Each phase has its own learning-rate cycle. With validation volumes, a phase ends early once its loss on them gets no
better (``callbacks.Patience``, ``VAEModule.validation_step``); they change nothing else.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from porebench.data.symmetry import Axes

from ..base import Shape
from ..machine import Precision, product_format
from ..network_generator import accelerator
from ..stored import check_sizes
from ..training import MONITORED, Pace, Training, run
from .batches import Batch, HeldOutBatch, HeldOutBatches, SymmetricBatches, place
from .callbacks import Patience
from .loss import total_loss
from .network import Network
from .settings import LossSettings, Phase
from .texture import RealTexture, relax

_logger = logging.getLogger(__name__)

REAL_DRAWS = 8
"""Real volumes with which each pair of prior samples is compared."""
USUAL_GRADIENT = 7e-4
"""Length of the gradient of a mean over 30³ voxels of the cross-entropy by a volume's logits, late in training."""
FARTHEST = 5.0
"""Size of a prior's latents beyond which they cost. Which voxels are the most probable says nothing of scale, so that
nothing else keeps a learned prior from larger and larger ones."""
RECENT = 25
"""Steps over which the usual length of a sample's gradient is averaged."""


class VAEModule(Training[Network]):
    """Optimises a network under the loss of a phase.

    Latents are drawn from ``noise``; ``texture`` is None where the loss has no energy score. After ``seconds``, if not
    None, the phase is over, and its schedule is as short as that.
    """

    def __init__(
        self,
        network: Network,
        phase: Phase,
        batches: SymmetricBatches,
        noise: torch.Generator,
        texture: RealTexture | None,
        seconds: float | None = None,
    ) -> None:
        told = phase.settings
        pace = Pace(told.epochs, told.batch_size, told.learning_rate, told.weight_decay, seconds)
        steps = told.epochs * len(batches)
        super().__init__(network, pace, decay=told.average, steps=steps, order=batches.rng, noise=noise)
        self.batches, self.texture = batches, texture
        self.loss, self.settings = phase.loss, phase.settings
        self.pairs = max(1, min(phase.settings.batch_size // 2, len(batches.pores) // len(batches)))
        self.limit = Limit(self.loss.energy_weight)
        self.energy: Callable[..., Tensor] = functools.partial(_energy, texture)

    def on_train_start(self) -> None:
        """Start the clock; give each process noise of its own; on a GPU, record the energy score's steps as one."""
        super().on_train_start()
        rank, ranks = place()
        if rank:
            self.noise.manual_seed(self.noise.initial_seed() + rank + ranks * self.global_step)
        if self.texture is not None and self.noise.device.type == "cuda":
            volumes, device = self.batches.volumes[: self.pairs], self.noise.device
            logits = torch.randn(2 * len(volumes), *volumes.shape[1:], device=device, requires_grad=True)
            density = self.batches.condition[: self.pairs, 0].to(device)
            real = self.texture.like(density, REAL_DRAWS, torch.Generator(device))
            pores = self.batches.pores[: self.pairs].to(device)
            try:
                recorded: Any = torch.cuda.make_graphed_callables(self.energy, (logits, pores, density, real))
                self.energy = recorded
            except RuntimeError as error:
                _logger.warning("the energy score is computed step by step, which is slower: %s", error)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch."""
        epoch = self.settings.epochs * self.global_step / self.steps
        loss, terms = self._loss(self.network, self.loss, batch, self.noise, epoch)
        if self.texture is not None:
            voxels, conditions, pores, axes = batch
            some = slice(0, self.pairs)
            asked, density = conditions[some].repeat(2, 1), conditions[some, 0].contiguous()
            latent = self._latent(self.network, asked, check_sizes(voxels.shape[2:]), self.noise)
            terms["wild"] = torch.relu(latent.abs() - FARTHEST).square().mean()
            logits = self.limit(self.network.decode(latent, asked, check_sizes(voxels.shape[2:]))[:, 0])
            real = self.texture.like(density, REAL_DRAWS, self.noise)
            terms["energy"] = self.energy(_turned_back(logits, axes).contiguous(), pores[some], density, real)
            loss = loss + terms["energy"] + terms["wild"]
        self.log_dict({"loss": loss, **terms}, prog_bar=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: HeldOutBatch, index: int) -> None:
        """Log the loss of the averaged weights on validation volumes, which ``callbacks.Patience`` watches.

        The KL divergence has its final weight, and the energy score, whose gradient is scaled in training, counts as it
        is. Latents have a source of their own and are the same for each epoch, so that epochs can be compared and the
        training is left as it is.
        """
        known, real = batch
        noise = torch.Generator(self.noise.device).manual_seed(index)
        settled = replace(self.loss, quiet_epochs=0, ramp_epochs=0)
        loss, _ = self._loss(self.averaged, settled, known, noise, self.settings.epochs)
        voxels, condition, pores, _axes = known
        if self.texture is not None:
            asked, shape = condition.repeat(2, 1), check_sizes(voxels.shape[2:])
            logits = self.averaged.decode(self._latent(self.averaged, asked, shape, noise), asked, shape)[:, 0]
            loss = loss + _energy(self.texture, logits, pores, condition[:, 0].contiguous(), real)
        self.log(MONITORED, loss, prog_bar=True, batch_size=len(voxels), sync_dist=True)

    def _loss(
        self, network: Network, settings: LossSettings, batch: Batch, noise: torch.Generator, epoch: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of reconstructions from latents of the posterior, without the energy score, and its terms."""
        voxels, condition = batch[0].float(), batch[1]
        mean, log_variance = network.encode(voxels, condition)
        latent = mean + _normal(mean.shape, noise) * (0.5 * log_variance).exp()
        logits = network.decode(latent, condition, check_sizes(voxels.shape[2:]))
        return total_loss(settings, logits, voxels, mean, log_variance, epoch)

    def _latent(self, network: Network, condition: Tensor, shape: Shape, noise: torch.Generator) -> Tensor:
        """Return a latent of the prior for each condition."""
        return network.from_prior(_normal((len(condition), *network.latent_shape(shape)), noise), condition, shape)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the usual gradient too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["usual"] = self.limit.usual

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what ``on_save_checkpoint`` kept."""
        super().on_load_checkpoint(checkpoint)
        self.limit.usual = checkpoint["usual"]

    def configure_optimizers(self) -> Any:
        """Return AdamW, with the one-cycle schedule where asked for."""
        return super().configure_optimizers() if self.settings.one_cycle else self._optimizer()


class Limit:
    """Scales the gradient by each sample's logits to a weight, and shortens those longer than usual.

    A single voxel changes the statistics of a sparse volume more than a cluster does those of a dense one.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.usual: Tensor | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the logits [B, D, H, W], whose gradient is scaled on its way back."""
        logits.register_hook(self._scaled)  # type: ignore[no-untyped-call]
        return logits

    def _scaled(self, gradient: Tensor) -> Tensor:
        length = gradient.flatten(1).norm(dim=1)
        now = length.median()
        self.usual = now if self.usual is None else torch.lerp(self.usual.to(now.device), now, 1 / RECENT)
        scale = self.weight * USUAL_GRADIENT / len(gradient) / length.clamp(min=self.usual.clamp(min=1e-12))
        scaled: Tensor = gradient * scale[:, None, None, None]
        return scaled


def _energy(texture: RealTexture | None, logits: Tensor, pores: Tensor, density: Tensor, real: Tensor) -> Tensor:
    """Return the mean energy score of pairs of samples: logits [2 B, D, H, W], numbers of pore voxels and density [B].

    All is in float32, but for products of voxels.
    """
    assert texture is not None  # noqa: S101 - else there is no energy score
    with torch.autocast(logits.device.type, enabled=False):
        first, second = relax(logits.float(), pores.repeat(2)).chunk(2)
        return texture.energy_score(first, second, density, real).mean()


def _turned_back(volumes: Tensor, axes: Axes) -> Tensor:
    """Return volumes [B, D, H, W], seen with their axes in an order, with the axes in the medium's own."""
    return volumes.permute(0, *(axes.index(axis) + 1 for axis in range(3)))


def _normal(shape: Sequence[int], noise: torch.Generator) -> Tensor:
    return torch.randn(tuple(shape), generator=noise, device=noise.device)


def train(
    network: Network,
    volumes: NDArray[np.bool_],
    condition: NDArray[np.float32],
    phases: Sequence[Phase],
    rng: np.random.Generator,
    *,
    validation: tuple[NDArray[np.bool_], NDArray[np.float32]] | None,
    checkpoints: Path | None,
    machines: tuple[int, int],
    show_progress: bool,
    precision: Precision,
    minutes: float | None = None,
) -> tuple[Network, dict[str, int]]:
    """Train a network, on a CUDA device where there is one, with weights and loss in float32.

    With several devices each runs a copy of this program, started by Lightning or by Slurm, sees its share of each
    batch and averages gradients with the others; the copies end here, and the first process returns.

    Weights are the last ones, also where a phase ends early: the loss on a few volumes says that nothing is learnt any
    more, not which of the last epochs is best. A phase that does not end early gives the same weights, to the bit, as
    without validation volumes.

    Args:
        network: untrained.
        volumes: bool [n, D, H, W].
        condition: density and log-odds of the porosity, [n, 2].
        phases: one after the other.
        rng: seeds order, symmetries and latents.
        validation: volumes bool [m, D, H, W] and condition [m, 2].
        checkpoints: folder for each epoch's state and the seconds spent.
        machines: devices on a machine, and machines.
        show_progress: draw Lightning's progress bar.
        precision: number format of products.
        minutes: after which all phases are over; each has the share of the time left that its epochs have of those
            left, and is not ended by validation volumes. None for no limit.

    Returns:
        The network in evaluation mode, with averaged weights where there are any, and each phase's number of epochs.
    """
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    device = accelerator()
    rank = 0
    epochs: dict[str, int] = {}
    began = time.perf_counter()
    for number, phase in enumerate(phases):
        noise_seed, order_seed = (int(seed) for seed in rng.integers(2**63, size=2))
        done = checkpoints / f"{phase.name}.safetensors" if checkpoints is not None else None
        if done is not None and done.is_file():
            network.load_state_dict(safetensors.torch.load_file(done))
            with safe_open(str(done), framework="pt") as file:
                epochs[phase.name] = int(file.metadata()["epochs"])
            continue
        used = product_format(device, precision)
        batches = SymmetricBatches(volumes, condition, phase.settings, order_seed)
        noise = torch.Generator(device).manual_seed(noise_seed)
        texture = None
        if phase.loss.energy_weight:
            texture = RealTexture(batches.volumes.to(device), batches.condition[:, 0].to(device), used)
        share = phase.settings.epochs / sum(later.settings.epochs for later in phases[number:])
        seconds = None if minutes is None else max(0.0, share * (60 * minutes - (time.perf_counter() - began)))
        module = VAEModule(network, phase, batches, noise, texture, seconds)
        module.to(memory_format=torch.channels_last_3d)
        held_out = None
        if validation is not None and phase.settings.early_stop and minutes is None:
            held_out = HeldOutBatches(*validation, phase.settings.batch_size, texture)
        trainer = run(
            module,
            batches,
            held_out,
            epochs=phase.settings.epochs,
            used=used,
            folder=None if done is None else done.with_suffix(""),
            machines=machines,
            show_progress=show_progress,
            callbacks=() if held_out is None else (Patience(phase),),
        )
        rank, epochs[phase.name] = trainer.global_rank, trainer.global_step // len(batches)
        network = module.averaged.cpu().requires_grad_(True)
        if done is not None and rank == 0:
            weights = {key: value.contiguous() for key, value in network.state_dict().items()}
            safetensors.torch.save_file(weights, done, metadata={"epochs": str(epochs[phase.name])})
    if rank:
        raise SystemExit  # a copy of the program, which has nothing left to do
    return network.requires_grad_(False).eval(), epochs
