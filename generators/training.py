"""Training of networks with Lightning, and the base class of generators that are one."""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from .base import SPENT, Generator
from .machine import product_format

CLIP = 0.2
"""Gradient norm, of a loss that is a mean over voxels, above which a step is shortened."""
MONITORED = "validation"
"""Name of the loss on validation volumes, in the progress bar too."""


class NetworkGenerator(Generator):
    """Base of generators that are a network: number format, device, and what all of them learn besides weights.

    Attributes:
        network_: trained, in evaluation mode.
        margin_: layers next to the walls without a pore in the training volumes.
        unbounded_: True if the training volumes are cut from a medium without walls.
        epochs_: of each phase of the training.
        minutes: after which the training is to be over, its schedule as short as that; None for no limit.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    minutes: float | None = None
    network_: nn.Module
    margin_: int
    unbounded_: bool
    epochs_: dict[str, int]

    @property
    def number_format(self) -> str:
        """Return the name of the number format in which the network multiplies on its device."""
        return str(product_format(torch.device(self.device).type, self.precision)).removeprefix("torch.")

    def _move(self) -> None:
        self.network_.to(self.device)

    def _known(self) -> dict[str, Any]:
        """Return what is saved beside weights and arrays."""
        return {key: getattr(self, key) for key in ("margin_", "unbounded_", "epochs_")}

    def _set_known(self, values: dict[str, Any]) -> None:
        """Set what ``_known`` returned.

        Raises:
            ValueError: if there are as many empty layers as layers.
        """
        self.margin_, self.unbounded_ = int(values["margin_"]), bool(values["unbounded_"])
        if not 0 <= self.margin_ < min(self.shape_):
            raise ValueError(f"it states {self.margin_} empty layers of {min(self.shape_)}")
        self.epochs_ = {str(phase): int(epochs) for phase, epochs in values["epochs_"].items()}


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


def accelerator() -> str:
    """Return the type of device that networks are trained on: "cuda" where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


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


def round_to_half(network: nn.Module) -> None:
    """Round weights to half precision, in which they are saved."""
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half())


def weights_to_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Return the weights of a network by name, floating point ones in half precision."""
    state = {key: value.cpu() for key, value in network.state_dict().items()}
    return {key: (value.half() if value.is_floating_point() else value).numpy() for key, value in state.items()}


def weights_from_arrays(network: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give a network that was built without memory, on the device "meta", weights of ``weights_to_arrays``.

    Raises:
        RuntimeError: if names or shapes differ.
    """
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    network.load_state_dict(tensors, assign=True)


def _loader(batches: IterableDataset[Any]) -> DataLoader[Any]:
    """Return a loader of batches that leaves the global random state alone."""
    return DataLoader(batches, batch_size=None, generator=torch.Generator())
