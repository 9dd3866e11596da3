"""The score of a network while it trains."""

import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

import porebench
from porebench.benchmarks.evaluate import callback
from porebench.benchmarks.evaluate.tasks import Task
from porebench.data import Dataset, Volumes, simulate


class Toy(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture(scope="module")
def task() -> Task:
    parts = []
    for seed, n in enumerate((60, 40, 10)):
        density = (np.arange(n) + 0.5) / n
        parts.append(Volumes(simulate(density, "spheres", np.random.default_rng(seed)), density))
    return Task("spheres", Dataset(*parts, "spheres", "factor"))


def _train(task, draw, tmp_path, **options) -> tuple[pl.Trainer, Toy]:
    module = Toy()
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[porebench.ScoreCallback(task, draw, **options)],
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        trainer.fit(module, DataLoader(torch.ones(2, 1)))
    return trainer, module


def test_a_training_logs_the_score_of_its_draws_every_other_epoch(task, tmp_path) -> None:
    seen = []

    def draw(module, density):
        seen.append((module.training, torch.is_grad_enabled(), len(density)))
        return torch.from_numpy(simulate(density, "spheres", np.random.default_rng(7)))

    trainer, module = _train(task, draw, tmp_path, every=2)
    assert seen == [(False, False, 40)]
    assert module.training
    expected = porebench.quick_score(
        simulate(porebench.quick_densities(task), "spheres", np.random.default_rng(7)), task
    )
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert logged["nfr100"] == pytest.approx(expected["nfr100"], rel=1e-6)
    assert {f"nfr100/{family}" for family in expected if family != "nfr100"} < set(logged)


def test_draws_that_are_not_one_for_each_density_stop_the_training(task, tmp_path) -> None:
    with pytest.raises(ValueError, match="one for each density"):
        _train(task, lambda _, density: np.zeros((len(density) - 1, 30, 30, 30), dtype=bool), tmp_path)


def test_a_callback_that_would_never_score_is_refused(task) -> None:
    with pytest.raises(ValueError, match="positive number of epochs"):
        callback.ScoreCallback(task, lambda *_: None, every=0)
