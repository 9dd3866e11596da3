"""The early end of a training."""

from __future__ import annotations

import logging
import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from ..training import MONITORED
from .settings import Phase

PATIENCE = 25
"""Epochs without a better loss on validation volumes after which a phase ends."""
WARM_UP = 0.2
"""Share of a phase before which it is never ended, because its learning rate is rising or near its peak."""

_logger = logging.getLogger(__name__)


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
