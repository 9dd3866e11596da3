"""Training of a conditional VAE with Lightning: data with symmetries, optimiser, averaged weights, early stop."""

from __future__ import annotations

import copy
import itertools
import logging
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from .loss import LossSettings, total_loss
from .network import ConditionalVAE

Batch = tuple[Tensor, Tensor]

EPOCH_VOLUMES = 448
"""Volumes that an epoch shows at most, drawn anew each time: large data sets take no longer than the built-in one."""
CLIP = 0.2
"""Gradient norm, of a loss that is a mean over voxels, above which a step is shortened."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast.

    Attributes:
        epochs: passes over the training volumes, of at most ``EPOCH_VOLUMES`` each.
        batch_size: volumes a step.
        learning_rate: peak of the one-cycle schedule, or constant where ``one_cycle`` is False.
        one_cycle: warm up, then anneal to zero (Smith & Topin 2019).
        weight_decay: of AdamW.
        average: decay of the moving average of the weights that is kept; 0 keeps the last weights.
        symmetries: augment with the symmetries of the box.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    one_cycle: bool = True
    weight_decay: float = 0.0
    average: float = 0.0
    symmetries: bool = True


class SymmetricBatches(IterableDataset[Batch]):
    """Endless shuffled epochs of batches, each batch seen through one random symmetry of the box.

    The symmetries are the axis permutations that keep the shape, times the eight reflections: 48 for a cube.
    """

    def __init__(
        self, volumes: NDArray[np.bool_], condition: NDArray[np.float32], settings: TrainingSettings, seed: int
    ) -> None:
        self.volumes = torch.from_numpy(volumes.copy())
        self.condition = torch.from_numpy(condition)
        self.settings = settings
        self.rng = np.random.default_rng(seed)
        shape = volumes.shape[1:]
        turns = [axes for axes in itertools.permutations(range(3)) if tuple(shape[a] for a in axes) == tuple(shape)]
        self.turns = turns if settings.symmetries else [(0, 1, 2)]

    def __len__(self) -> int:
        return math.ceil(min(len(self.volumes), EPOCH_VOLUMES) / self.settings.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.rng.permutation(len(self.volumes))[:EPOCH_VOLUMES]
        for chosen in np.array_split(order, len(self)):
            index = torch.from_numpy(chosen)
            axes = self.turns[self.rng.integers(len(self.turns))]
            flips = [axis + 1 for axis in range(3) if self.settings.symmetries and self.rng.random() < 0.5]
            seen = self.volumes[index].permute(0, *(axis + 1 for axis in axes)).flip(flips)
            yield seen[:, None].float(), self.condition[index]


class VAEModule(pl.LightningModule):
    """Optimises a network under a loss; keeps a moving average of its weights."""

    def __init__(
        self,
        network: nn.Module,
        loss: LossSettings,
        settings: TrainingSettings,
        steps: int,
        noise: torch.Generator,
    ) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False) if settings.average else network
        self.loss = loss
        self.settings = settings
        self.steps = steps
        self.noise = noise

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Loss of one batch."""
        voxels, condition = batch
        network = cast("ConditionalVAE", self.network)
        mean, log_variance = network.encode(voxels, condition)
        noise = torch.randn(mean.shape, generator=self.noise, device=mean.device)
        latent = mean + noise * (0.5 * log_variance).exp()
        logits = network.decode(latent, condition, cast("tuple[int, int, int]", tuple(voxels.shape[2:])))
        epoch = self.settings.epochs * self.global_step / self.steps
        loss, terms = total_loss(self.loss, logits, voxels, mean, log_variance, epoch)
        self.log_dict({"loss": loss, **terms}, prog_bar=True, batch_size=len(voxels))
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the new weights."""
        if self.settings.average:
            decay = min(self.settings.average, (1 + self.global_step) / (10 + self.global_step))
            for kept, new in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def configure_optimizers(self) -> Any:
        """AdamW, with the one-cycle schedule where asked for."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        if not self.settings.one_cycle:
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.settings.learning_rate, total_steps=self.steps, pct_start=0.1, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    network: nn.Module,
    volumes: NDArray[np.bool_],
    condition: NDArray[np.float32],
    loss: LossSettings,
    settings: TrainingSettings,
    rng: np.random.Generator,
    *,
    show_progress: bool,
) -> nn.Module:
    """Train a network and return the weights to keep (the moving average where one is kept), in evaluation mode.

    Uses a CUDA device where there is one. bfloat16 for matrix work, float32 for weights and the loss.
    """
    noise_seed, order_seed = (int(seed) for seed in rng.integers(2**63, size=2))
    batches = SymmetricBatches(volumes, condition, settings, order_seed)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    noise = torch.Generator(accelerator).manual_seed(noise_seed)
    module = VAEModule(network, loss, settings, settings.epochs * len(batches), noise)
    module.to(memory_format=torch.channels_last_3d)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        lightning_log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
        level = lightning_log.level
        lightning_log.setLevel(logging.WARNING)
        try:
            trainer = pl.Trainer(
                accelerator=accelerator,
                devices=1,
                precision="bf16-mixed",
                max_epochs=settings.epochs,
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=show_progress,
                default_root_dir=scratch,
                gradient_clip_val=CLIP,
            )
            trainer.fit(module, DataLoader(batches, batch_size=None, generator=torch.Generator()))
        finally:
            lightning_log.setLevel(level)
    return module.averaged.cpu().eval()
