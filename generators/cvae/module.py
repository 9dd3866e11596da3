"""Training of a conditional VAE with Lightning: optimiser, averaged weights, early end, interruption.

Each phase has its own learning-rate cycle. With validation volumes, a phase ends early once its loss on them gets no
better (``callbacks.Patience``, ``VAEModule.validation_step``); they change nothing else.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from ..machine import Precision, product_format
from ..stored import check_sizes
from ..training import MONITORED, accelerator, move_average, one_cycle, run
from .batches import Batch, HeldOutBatch, HeldOutBatches, SymmetricBatches, place
from .callbacks import Patience
from .loss import total_loss
from .network import Network
from .settings import LossSettings, Phase
from .texture import RealTexture, relax

PAIRS = 8
"""Densities a step at which a pair of prior samples is scored."""
REAL_DRAWS = 8
"""Real volumes with which each pair of prior samples is compared."""
USUAL_GRADIENT = 7e-4
"""Length of the gradient of a mean over 30³ voxels of the cross-entropy by a volume's logits, late in training."""
RECENT = 50
"""Steps over which the usual length of a sample's gradient is found."""


class VAEModule(pl.LightningModule):
    """Optimises a network under the loss of a phase; keeps a moving average of the weights.

    Latents are drawn from ``noise``; ``texture`` is None where the loss has no energy score.
    """

    def __init__(
        self,
        network: Network,
        phase: Phase,
        batches: SymmetricBatches,
        noise: torch.Generator,
        texture: RealTexture | None,
    ) -> None:
        super().__init__()
        self.network, self.batches, self.noise, self.texture = network, batches, noise, texture
        self.averaged = copy.deepcopy(network).requires_grad_(False) if phase.settings.average else network
        self.loss, self.settings = phase.loss, phase.settings
        self.steps = phase.settings.epochs * len(batches)
        self.gradients: deque[float] = deque(maxlen=RECENT)

    def on_train_start(self) -> None:
        """Give each process noise of its own."""
        rank, ranks = place()
        if rank:
            self.noise.manual_seed(self.noise.initial_seed() + rank + ranks * self.global_step)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch."""
        epoch = self.settings.epochs * self.global_step / self.steps
        loss, terms = self._loss(self.network, self.loss, batch, self.noise, epoch)
        if self.texture is not None:
            some = slice(0, min(PAIRS, len(batch[0])))
            voxels, condition, pores = (part[some] for part in batch)
            first, second = self._prior_pairs(self.network, voxels, condition, pores, self.noise)
            density = condition[:, 0].contiguous()
            real = self.texture.like(density, REAL_DRAWS, self.noise)
            terms["energy"] = self.texture.energy_score(first, second, density, real).mean()
            loss = loss + terms["energy"]
        self.log_dict({"loss": loss, **terms}, prog_bar=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: HeldOutBatch, index: int) -> None:
        """Log the loss of the averaged weights on validation volumes, which ``callbacks.Patience`` watches.

        The KL divergence has its final weight, and the energy score, whose gradient is scaled in training, counts as it
        is. Latents have a source of their own and are the same for each epoch, so that epochs can be compared and the
        training is left as it is.
        """
        voxels, condition, pores, real = batch
        noise = torch.Generator(self.noise.device).manual_seed(index)
        settled = replace(self.loss, quiet_epochs=0, ramp_epochs=0)
        loss, _ = self._loss(self.averaged, settled, (voxels, condition, pores), noise, self.settings.epochs)
        if self.texture is not None:
            first, second = self._prior_pairs(self.averaged, voxels, condition, pores, noise)
            loss = loss + self.texture.energy_score(first, second, condition[:, 0].contiguous(), real).mean()
        self.log(MONITORED, loss, prog_bar=True, batch_size=len(voxels), sync_dist=True)

    def _loss(
        self, network: Network, settings: LossSettings, batch: Batch, noise: torch.Generator, epoch: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of reconstructions from latents of the posterior, without the energy score, and its terms."""
        voxels, condition, _ = batch
        mean, log_variance = network.encode(voxels, condition)
        latent = mean + _normal(mean.shape, noise) * (0.5 * log_variance).exp()
        logits = network.decode(latent, condition, check_sizes(voxels.shape[2:]))
        return total_loss(settings, logits, voxels, mean, log_variance, epoch)

    def _prior_pairs(
        self, network: Network, voxels: Tensor, condition: Tensor, pores: Tensor, noise: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return two relaxed prior samples with condition and number of pore voxels of each volume: [B, D, H, W]."""
        shape = check_sizes(voxels.shape[2:])
        asked = condition.repeat(2, 1)
        latent = network.from_prior(_normal((len(asked), *network.latent_shape(shape)), noise), asked, shape)
        logits = network.decode(latent, asked, shape)[:, 0]
        if logits.requires_grad:
            logits.register_hook(self._limit)  # type: ignore[no-untyped-call]
        first, second = relax(logits, pores.repeat(2)).chunk(2)
        return first, second

    def _limit(self, gradient: Tensor) -> Tensor:
        """Scale the gradient by each sample's logits to the weight asked for, and shorten those longer than usual.

        A single voxel changes the statistics of a sparse volume more than a cluster does those of a dense one.
        """
        length = gradient.flatten(1).norm(dim=1)
        self.gradients.append(float(length.median()))
        usual = float(np.median(self.gradients))
        scale = self.loss.energy_weight * USUAL_GRADIENT / len(gradient) / length.clamp(min=max(usual, 1e-12))
        limited: Tensor = gradient * scale[:, None, None, None]
        return limited

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the new weights."""
        if self.settings.average:
            move_average(self.averaged, self.network, self.settings.average, self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random states and recent gradients for a resumed training."""
        checkpoint["noise"] = self.noise.get_state()
        checkpoint["order"] = json.dumps(self.batches.rng.bit_generator.state)
        checkpoint["gradients"] = list(self.gradients)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the random states and recent gradients."""
        self.noise.set_state(checkpoint["noise"])
        self.batches.rng.bit_generator.state = json.loads(checkpoint["order"])
        self.gradients.extend(checkpoint["gradients"])

    def configure_optimizers(self) -> Any:
        """Return AdamW, with the one-cycle schedule where asked for."""
        settings = self.settings
        if settings.one_cycle:
            return one_cycle(self.network, settings.learning_rate, settings.weight_decay, self.steps)
        return torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )


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

    Returns:
        The network in evaluation mode, with averaged weights where there are any, and each phase's number of epochs.
    """
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    device = accelerator()
    rank = 0
    epochs: dict[str, int] = {}
    for phase in phases:
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
        module = VAEModule(network, phase, batches, noise, texture)
        module.to(memory_format=torch.channels_last_3d)
        held_out = None
        if validation is not None and phase.settings.early_stop:
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
