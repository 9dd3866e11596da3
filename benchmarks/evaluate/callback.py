"""The score of a network while it trains, as a callback of PyTorch Lightning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from .outside import quick_densities, quick_score
from .tasks import Task, load_task

Draw = Callable[[pl.LightningModule, NDArray[np.float64]], torch.Tensor | NDArray[np.bool_]]


class ScoreCallback(pl.Callback):
    """Logs NFR100 of draws against at most 64 validation volumes, and of each family, at the end of some epochs.

    The names are ``nfr100`` and ``nfr100/<family>``, so ``EarlyStopping("nfr100", check_on_train_epoch_end=True)`` and
    ``ModelCheckpoint(monitor="nfr100")`` can follow them. Test volumes are never looked at.

    Args:
        task: name or path of a data set, path of a ``task.json``, or a task.
        draw: gives one volume for each density, bool [n, depth, height, width], True = pore, from the module and the
            densities, float64 [n]. The module is in evaluation mode, and no gradient is kept.
        every: epochs from one score to the next.

    Raises:
        ValueError: if ``every`` is not positive; while training, if the volumes are not one for each density.

    Example:
        >>> callback = ScoreCallback("spheres", lambda module, density: module.sample(density), every=5)
    """

    def __init__(self, task: str | Path | Task, draw: Draw, *, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be a positive number of epochs, got {every}")
        self.task = task if isinstance(task, Task) else load_task(task)
        self.draw, self.every = draw, every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, score and log, on the first process alone."""
        if (trainer.current_epoch + 1) % self.every or not trainer.is_global_zero:
            return
        training = pl_module.training
        pl_module.eval()
        try:
            with torch.no_grad():
                drawn = torch.as_tensor(self.draw(pl_module, quick_densities(self.task)))
        finally:
            pl_module.train(training)
        scores = quick_score(drawn.cpu().numpy(), self.task)
        overall = scores.pop("nfr100")
        pl_module.log("nfr100", overall, prog_bar=True, rank_zero_only=True)
        pl_module.log_dict({f"nfr100/{family}": value for family, value in scores.items()}, rank_zero_only=True)
