"""What happens at the end of an epoch: the time is written down, and a training that learns no more is ended."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm

PATIENCE = 25
"""Epochs without a better loss on validation volumes after which a phase ends."""
WARM_UP = 0.2
"""Share of a phase before which it is never ended: its learning rate is still rising, or near its peak."""
MONITORED = "validation"
"""What the loss on validation volumes is called, in the progress bar too."""

_logger = logging.getLogger(__name__)


class Clock(pl.Callback):
    """Adds the time of each epoch to a file, so that an interrupted training knows what it took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent = float(path.read_text()) if path.is_file() else 0.0
        self.since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the time down."""
        if not trainer.is_global_zero:
            return
        now = time.perf_counter()
        self.spent, self.since = self.spent + now - self.since, now
        self.path.write_text(f"{self.spent:.1f}")


class Patience(EarlyStopping):
    """Ends a phase once the loss on validation volumes has not improved for ``PATIENCE`` epochs, or is not finite.

    Its state is part of the checkpoint. A training that was interrupted after its end was decided stays ended.

    Args:
        phase: what it is called in the log.
        epochs: of the phase, at most.
        unjudged: epochs at the start that are not looked at, besides ``WARM_UP`` of all.
    """

    def __init__(self, phase: str, epochs: int, unjudged: int) -> None:
        super().__init__(MONITORED, min_delta=0.0, patience=PATIENCE, check_on_train_epoch_end=True)
        self.phase = phase
        self.epochs = epochs
        self.unjudged = max(unjudged, math.ceil(WARM_UP * epochs))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do not go on where the end was decided before an interruption."""
        del pl_module
        trainer.should_stop = self.stopped_epoch > 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the epoch, unless it is among the first."""
        if trainer.current_epoch < self.unjudged:
            return
        super().on_train_epoch_end(trainer, pl_module)
        if 0 < self.stopped_epoch < self.epochs - 1:
            loss = float(trainer.callback_metrics[MONITORED])
            level = logging.INFO if math.isfinite(loss) else logging.WARNING
            text = "%s ended after %d of %d epochs: validation loss %.4g, best %.4g"
            _logger.log(level, text, self.phase, self.stopped_epoch + 1, self.epochs, loss, float(self.best_score))


class Bar(TQDMProgressBar):
    """One bar, which shows the loss on validation volumes beside the others and no second bar to compute it."""

    def init_validation_tqdm(self) -> Tqdm:
        """A bar that is not shown."""
        return Tqdm(disable=True)
