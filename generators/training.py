"""Training of networks with Lightning."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def one_cycle(network: nn.Module, learning_rate: float, weight_decay: float, steps: int) -> dict[str, Any]:
    """Return AdamW, and the schedule that warms it up and anneals it to zero, as Lightning takes them."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=max(steps, 1), pct_start=0.1, cycle_momentum=False
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _loader(batches: IterableDataset[Any]) -> DataLoader[Any]:
    """Return a loader of batches that leaves the global random state alone."""
    return DataLoader(batches, batch_size=None, generator=torch.Generator())
