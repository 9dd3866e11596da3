"""Callbacks of a training: a clock, an early end, a progress bar."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm

from .settings import Phase

PATIENCE = 25
"""Epochs without a better loss on validation volumes after which a phase ends."""
WARM_UP = 0.2
"""Share of a phase before which it is never ended, because its learning rate is rising or near its peak."""
MONITORED = "validation"
"""Name of the loss on validation volumes, in the progress bar too."""

_logger = logging.getLogger(__name__)


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


class Patience(EarlyStopping):
    """Ends a phase once the loss on validation volumes has not improved for ``PATIENCE`` epochs, or is not finite.

    Epochs in which the weight of the KL divergence still changes are not judged, nor is the ``WARM_UP``. The state is
    part of the checkpoint: a phase that was interrupted after its end was decided stays ended.
    """

    def __init__(self, phase: Phase) -> None:
        super().__init__(MONITORED, min_delta=0.0, patience=PATIENCE, check_on_train_epoch_end=True)
        self.phase, self.epochs = phase.name, phase.settings.epochs
        self.unjudged = max(phase.loss.quiet_epochs + phase.loss.ramp_epochs, math.ceil(WARM_UP * self.epochs))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop where the end was decided before an interruption."""
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
    """One bar, without a second one for validation."""

    def init_validation_tqdm(self) -> Tqdm:
        """Return a bar that is not shown."""
        return Tqdm(disable=True)
