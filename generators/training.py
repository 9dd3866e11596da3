"""Training of networks with Lightning."""

from __future__ import annotations

import copy
import json
import logging
import math
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from .base import SPENT
from .network_generator import accelerator

CLIP = 0.2
"""Gradient norm, of a loss that is a mean over voxels, above which a step is shortened."""
MONITORED = "validation"
"""Name of the loss on validation volumes, in the progress bar too."""
WARM_UP = 0.1
"""Share of a training in which the learning rate rises to its peak."""
FIRST_RATE = 0.04
"""Learning rate at the start of a training, as a share of its peak."""


@dataclass(frozen=True)
class Pace:
    """Length and pace of a training.

    Attributes:
        epochs: at most.
        batch_size: volumes a step.
        learning_rate: peak.
        weight_decay: of AdamW.
        seconds: after which it is over, its schedule as short as that; None for no limit.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seconds: float | None

    @classmethod
    def of(cls, generator: Any) -> Pace:
        """Return that of a network's generator, which has them as attributes, and minutes."""
        seconds = None if generator.minutes is None else 60 * generator.minutes
        return cls(generator.epochs, generator.batch_size, generator.learning_rate, generator.weight_decay, seconds)


class Clock(pl.Callback):
    """Keeps the seconds of all epochs in a file, those before an interruption included."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent = float(path.read_text()) if path.is_file() else 0.0
        self.since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the seconds."""
        if trainer.is_global_zero:
            now = time.perf_counter()
            self.spent, self.since = self.spent + now - self.since, now
            self.path.write_text(f"{self.spent:.1f}")


Network = TypeVar("Network", bound=nn.Module)


class Training(pl.LightningModule, Generic[Network]):
    """Base of what optimises a network: a moving average of its weights, a clock, random states in checkpoints.

    Attributes:
        averaged: network with averaged weights; the network itself where nothing is averaged.
    """

    network: Network
    averaged: Network

    def __init__(
        self,
        network: Network,
        pace: Pace,
        *,
        decay: float,
        steps: int,
        order: np.random.Generator,
        noise: torch.Generator | None = None,
    ) -> None:
        """Prepare the training of a network.

        Args:
            network: untrained.
            pace: of the training.
            decay: of the moving average; 0 for none.
            steps: of the whole training.
            order: source of what a batch is made of.
            noise: source of all else that is random.
        """
        super().__init__()
        self.network, self.pace, self.decay, self.steps = network, pace, decay, steps
        self.order, self.noise = order, noise or torch.Generator()
        self.averaged = copy.deepcopy(network).requires_grad_(False) if decay else network
        self.spent, self.since = 0.0, time.perf_counter()

    def on_train_start(self) -> None:
        """Start the clock."""
        self.since = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the new weights; end the training where its time is over."""
        if self.decay:
            move_average(self.averaged, self.network, self.decay, self.global_step)
        now = time.perf_counter()
        self.spent, self.since = self.spent + now - self.since, now
        if self.pace.seconds is not None and self.spent >= self.pace.seconds:
            self.trainer.should_stop = True

    @property
    def progress(self) -> float:
        """Return the share of the training that is over, by steps or by time, whichever is more."""
        by_time = 0.0 if self.pace.seconds is None else self.spent / max(self.pace.seconds, 1e-9)
        return max(by_time, self.global_step / max(1, self.steps))

    def configure_optimizers(self) -> Any:
        """Return the optimiser, and the one-cycle schedule of its learning rate."""
        optimizer = self._optimizer()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: one_cycle(self.progress))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _optimizer(self) -> torch.optim.Optimizer:
        pace = self.pace
        return torch.optim.AdamW(self.network.parameters(), lr=pace.learning_rate, weight_decay=pace.weight_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep random states and the time spent for a resumed training."""
        checkpoint["noise"] = self.noise.get_state()
        checkpoint["order"] = json.dumps(self.order.bit_generator.state)
        checkpoint["spent"] = self.spent

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what ``on_save_checkpoint`` kept."""
        self.noise.set_state(checkpoint["noise"])
        self.order.bit_generator.state = json.loads(checkpoint["order"])
        self.spent = float(checkpoint["spent"])


class Bar(TQDMProgressBar):
    """One bar, without a second one for validation."""

    def init_validation_tqdm(self) -> Tqdm:
        """Return a bar that is not shown."""
        return Tqdm(disable=True)


def run(
    module: pl.LightningModule,
    batches: IterableDataset[Any],
    held_out: IterableDataset[Any] | None,
    *,
    epochs: int,
    used: torch.dtype,
    folder: Path | None,
    machines: tuple[int, int],
    show_progress: bool,
    callbacks: Sequence[pl.Callback] = (),
) -> pl.Trainer:
    """Train a module, from its last checkpoint where there is one, and return the trainer.

    Args:
        module: network, loss and optimiser; its products are in the number format ``used``, weights in float32.
        batches: of an epoch.
        held_out: batches of validation volumes, seen after each epoch; None for none.
        epochs: at most.
        used: number format of products.
        folder: where each epoch's state is kept, its parent has the seconds spent; None keeps none.
        machines: devices on a machine, and machines.
        show_progress: draw Lightning's progress bar.
        callbacks: besides those for bar, clock and checkpoints.
    """
    lightning_log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = lightning_log.level
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        lightning_log.setLevel(logging.WARNING)
        last = None if folder is None else folder / "last.ckpt"
        all_callbacks: list[pl.Callback] = [*([Bar()] if show_progress else []), *callbacks]
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            keep = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
            all_callbacks += [Clock(folder.parent / SPENT), keep]
        try:
            trainer = pl.Trainer(
                accelerator=accelerator(),
                devices=machines[0],
                num_nodes=machines[1],
                strategy="auto" if machines == (1, 1) else "ddp_find_unused_parameters_true",
                precision="bf16-mixed" if used == torch.bfloat16 else "32-true",
                max_epochs=epochs,
                logger=False,
                callbacks=all_callbacks,
                num_sanity_val_steps=0,
                enable_checkpointing=folder is not None,
                enable_model_summary=False,
                enable_progress_bar=show_progress,
                default_root_dir=scratch,
                gradient_clip_val=CLIP,
                benchmark=True,  # batches are alike, so the fastest convolution of a GPU is found once
            )
            trainer.fit(
                module,
                _loader(batches),
                _loader(held_out) if held_out is not None else None,
                ckpt_path=last if last is not None and last.is_file() else None,
                weights_only=True,
            )
            return trainer
        finally:
            lightning_log.setLevel(level)


def move_average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move averaged weights towards a network's, at first faster than ``decay`` says."""
    now = min(decay, (1 + step) / (10 + step))
    for kept, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - now)
        else:
            kept.copy_(new)


def one_cycle(progress: float) -> float:
    """Return the learning rate as a share of its peak: it rises while warming up, then falls to zero, along cosines.

    Args:
        progress: share of the training that is over.

    References:
        Smith & Topin (2019), doi:10.1117/12.2520589.
    """
    if progress < WARM_UP:
        return (1 + FIRST_RATE - (1 - FIRST_RATE) * math.cos(math.pi * progress / WARM_UP)) / 2
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP)))


def _loader(batches: IterableDataset[Any]) -> DataLoader[Any]:
    """Return a loader of batches that leaves the global random state alone."""
    return DataLoader(batches, batch_size=None, generator=torch.Generator())
