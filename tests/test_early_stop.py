"""Validation volumes may end a training, and change nothing else about it."""

import itertools
import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from porebench.benchmarks.evaluate import fits
from porebench.benchmarks.store.places import Places
from porebench.generators import training
from porebench.generators.cvae import callbacks, module
from porebench.generators.cvae.batches import HELD_OUT, HeldOutBatches
from porebench.generators.cvae.generator import CVAE
from porebench.generators.cvae.module import VAEModule
from porebench.generators.cvae.seed import SeedCVAE
from porebench.generators.training import MONITORED, one_cycle

TINY = {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1, "batch_size": 8}
TWO_PHASES = {**TINY, "epochs": 3, "refine_epochs": 3, "prior_blocks": 1, "ramp_epochs": 0}
OWN = """
from porebench.generators.cvae.generator import CVAE


class Short(CVAE):
    name = "short"

    def __init__(self):
        super().__init__(width=8, encoder_blocks=1, decoder_blocks=1, epochs=2, refine_epochs=0)
"""


class Watched(SeedCVAE):
    """The published network, but watched while it trains."""

    def _phases(self):
        return [replace(phase, settings=replace(phase.settings, early_stop=True)) for phase in super()._phases()]


def _volumes(n: int, edge: int = 9):
    """Pores fill the low end of the last axis, as far as the density says."""
    density = np.linspace(0.1, 0.9, n)
    return np.broadcast_to(np.arange(edge) < density[:, None, None, None] * edge, (n, edge, edge, edge)).copy(), density


def _fit(generator, *, watched: bool = True, **options):
    return generator.fit(*_volumes(16), rng=0, validation=_volumes(10) if watched else None, **options)


def _weights(generator):
    return {key: value.tobytes() for key, value in generator._get_state()[0].items()}


@pytest.fixture
def seen(monkeypatch):
    """The losses on validation volumes, one after the other."""
    losses: list[float] = []
    log = VAEModule.log

    def kept(self, name, value, **options):
        if name == MONITORED:
            losses.append(float(value))
        log(self, name, value, **options)

    monkeypatch.setattr(VAEModule, "log", kept)
    return losses


def _script(monkeypatch, losses):
    """Lets the loss on validation volumes go through those values, the last one for ever."""

    def scripted(self, _batch, _index):
        self.log(MONITORED, torch.tensor(losses[min(self.current_epoch, len(losses) - 1)]), batch_size=1)

    monkeypatch.setattr(VAEModule, "validation_step", scripted)


@pytest.mark.parametrize(
    "make",
    [lambda: CVAE(**TWO_PHASES), lambda: Watched(epochs=3, latent=8, batch_size=8, beta=1.0, learning_rate=1e-3)],
    ids=["lattice", "global"],
)
def test_a_training_that_is_not_ended_gives_the_same_weights_to_the_bit(make, seen) -> None:
    plain = _fit(make(), watched=False)
    assert not seen
    state = torch.get_rng_state()
    watched = _fit(make())
    assert torch.equal(torch.get_rng_state(), state)
    assert watched.epochs_ == plain.epochs_
    assert len(seen) == 2 * sum(watched.epochs_.values()), "two batches of validation volumes an epoch"
    assert _weights(watched) == _weights(plain)


def test_the_loss_on_validation_volumes_falls_while_it_learns(seen) -> None:
    _fit(CVAE(**TINY, epochs=40, refine_epochs=0, beta=0.1, learning_rate=1e-2))
    losses = np.reshape(seen, (-1, 2)).mean(axis=1)
    assert losses[-1] < 0.7 * losses[0]


def test_epochs_are_judged_with_the_same_latents(seen) -> None:
    _fit(CVAE(**{**TWO_PHASES, "learning_rate": 0.0, "refine_learning_rate": 0.0}))
    learn, refine = np.reshape(seen, (2, -1, 2))
    for phase in (learn, refine):
        assert (phase == phase[0]).all(), "nothing was learnt"
    assert (refine > learn).all(), "the energy score of prior samples comes on top"


@pytest.mark.parametrize(
    ("schedule", "judged"),
    [({"ramp_epochs": 0}, 4), ({"ramp_epochs": 6}, 6), ({"ramp_epochs": 5, "quiet_epochs": 3}, 8)],
    ids=["a fifth", "ramp", "quiet and ramp"],
)
def test_a_phase_ends_when_nothing_is_learnt_but_not_in_its_warm_up(monkeypatch, caplog, schedule, judged) -> None:
    monkeypatch.setattr(callbacks, "PATIENCE", 2)
    with caplog.at_level(logging.INFO, logger="porebench.generators"):
        ended = _fit(CVAE(**TINY, epochs=20, refine_epochs=0, learning_rate=0.0, **schedule))
    assert ended.epochs_ == {"learn": judged + 1 + 2}
    assert f"learn ended after {judged + 3} of 20 epochs" in caplog.text
    assert _fit(CVAE(**TINY, epochs=judged + 2, refine_epochs=0, learning_rate=0.0)).epochs_ == {"learn": judged + 2}


def test_a_loss_that_is_not_finite_ends_a_phase_with_a_warning(monkeypatch, caplog) -> None:
    _script(monkeypatch, [1.0, 1.0, 1.0, 0.9, np.nan])
    assert _fit(CVAE(**TINY, epochs=10, refine_epochs=0, ramp_epochs=0)).epochs_ == {"learn": 5}
    assert "learn ended after 5 of 10 epochs: validation loss nan, best 0.9" in caplog.text


def test_the_published_method_runs_all_its_epochs(monkeypatch, seen) -> None:
    monkeypatch.setattr(callbacks, "PATIENCE", 1)
    published = _fit(SeedCVAE(epochs=18, latent=8, batch_size=8, learning_rate=0.0))
    assert published.epochs_ == {"learn": 18}
    assert not seen


def _interrupt(monkeypatch, step: int) -> None:
    """Lets the training fail after so many steps, once."""
    steps = 0
    keep_average = VAEModule.on_train_batch_end

    def failing(self, *arguments):
        nonlocal steps
        steps += 1
        if steps == step:
            raise RuntimeError("the lights went out")
        keep_average(self, *arguments)

    monkeypatch.setattr(VAEModule, "on_train_batch_end", failing)


@pytest.mark.parametrize("step", [3, 5, 9, 12])
def test_an_interrupted_training_is_judged_as_if_it_had_not_been(tmp_path, monkeypatch, seen, step) -> None:
    whole = _fit(CVAE(**TWO_PHASES))
    expected, resumed = list(seen), CVAE(**TWO_PHASES)
    seen.clear()
    with monkeypatch.context() as patch:
        _interrupt(patch, step)
        with pytest.raises(RuntimeError, match="lights"):
            _fit(resumed, checkpoints=tmp_path / "state")
    _fit(resumed, checkpoints=tmp_path / "state")
    assert resumed.epochs_ == whole.epochs_
    assert _weights(resumed) == _weights(whole)
    assert seen == expected, "no epoch is judged twice, or not at all"


@pytest.mark.parametrize("step", [9, 10, None], ids=["before the last", "in the last", "after the end"])
def test_patience_lasts_over_an_interruption(tmp_path, monkeypatch, step) -> None:
    monkeypatch.setattr(callbacks, "PATIENCE", 2)
    _script(monkeypatch, [5.0, 5.0, 3.0, 4.0, 4.0, 1.0])
    settings = {**TINY, "epochs": 10, "refine_epochs": 1, "ramp_epochs": 0}
    whole, resumed = _fit(CVAE(**settings)), CVAE(**settings)
    assert whole.epochs_ == {"learn": 5, "refine": 1}
    with monkeypatch.context() as patch:
        if step is None:
            patch.setattr(module.safetensors.torch, "save_file", lambda *_, **__: 1 / 0)
        else:
            _interrupt(patch, step)
        with pytest.raises((RuntimeError, ZeroDivisionError)):
            _fit(resumed, checkpoints=tmp_path / "state")
    _fit(resumed, checkpoints=tmp_path / "state")
    assert resumed.epochs_ == whole.epochs_
    assert _weights(resumed) == _weights(whole)


def test_a_finished_phase_keeps_its_number_of_epochs(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(callbacks, "PATIENCE", 1)
    _script(monkeypatch, [1.0])
    resumed = CVAE(**{**TWO_PHASES, "epochs": 10})
    with monkeypatch.context() as patch:
        _interrupt(patch, 2 * 4 + 1)
        with pytest.raises(RuntimeError, match="lights"):
            _fit(resumed, checkpoints=tmp_path / "state")
    assert _fit(resumed, checkpoints=tmp_path / "state").epochs_ == {"learn": 4, "refine": 3}


def test_a_training_with_a_limit_of_time_ends_there_and_shares_it_among_its_phases(monkeypatch) -> None:
    ticks = itertools.count(0, 0.03)
    for reader in (module, training):
        monkeypatch.setattr(reader, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    generator = CVAE(**TINY, epochs=10**4, refine_epochs=10**4)
    generator.minutes = 0.05
    epochs = _fit(generator).epochs_
    assert 3 <= next(ticks) < 3.5
    assert 0 < epochs["refine"] < 10**4
    assert epochs["learn"] == pytest.approx(epochs["refine"], rel=0.1)


def test_a_learning_rate_warms_up_and_ends_at_nothing() -> None:
    assert [one_cycle(at) for at in (0, 0.1, 0.55, 1)] == pytest.approx([0.04, 1, 0.5, 0])


def test_the_volumes_that_judge_are_few_and_spread_over_density() -> None:
    volumes, density = _volumes(100)
    condition = np.stack([density, density], axis=1).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(100)
    batches = HeldOutBatches(volumes[shuffled], condition[shuffled], 16, None)
    first, second = (batch[1][:, 0].numpy() for batch, _ in batches)
    assert len(first) + len(second) == HELD_OUT
    for part in (first, second):
        assert part.min() < 0.13
        assert part.max() > 0.87
        assert np.diff(part).max() < 0.06
    for (voxels, asked, pores, _), _ in batches:
        assert (voxels.flatten(1).sum(dim=1) == pores).all()
        assert (pores / 729 - asked[:, 0]).abs().max() < 1 / 9
    assert len(HeldOutBatches(volumes[:3], condition[:3], 16, None).batches[0][0][0]) == 3


def test_the_bar_shows_the_loss_on_validation_volumes_and_no_second_bar(capsys) -> None:
    _fit(CVAE(**TINY, epochs=2, refine_epochs=0), show_progress=True)
    shown = capsys.readouterr().out
    assert "Epoch 1" in shown
    assert f"{MONITORED}=" in shown
    assert "Validation" not in shown


def test_validation_volumes_of_another_shape_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"validation volumes of \(6, 6, 6\) do not go with volumes of \(9, 9, 9\)"):
        CVAE(**TINY).fit(*_volumes(4), validation=_volumes(4, edge=6))


@pytest.mark.usefixtures("own_cache")
def test_a_fit_may_ask_the_validation_part_and_says_how_long_it_took(tiny, tmp_path, monkeypatch) -> None:
    file = tmp_path / "short.py"
    file.write_text(OWN)
    asked = []
    fit = CVAE._fit
    monkeypatch.setattr(CVAE, "_fit", lambda self, *a: (asked.append(self.validation), fit(self, *a)))
    ready = fits.fitted(f"{file}:Short", tiny, refit=True)
    ((voxels, density),) = asked
    assert (voxels == tiny.validation.voxels).all()
    assert (density == tiny.validation.density).all()
    assert ready.generator.validation is None, "it is not kept"
    (stated,) = Places().cache.rglob("short-*.json")
    assert json.loads(stated.read_text())["epochs"] == {"learn": 2}
    again = fits.fitted(f"{file}:Short", tiny)
    assert again.source == "cached"
    assert again.generator.epochs_ == {"learn": 2}
    other = replace(tiny, validation=tiny.test)
    assert fits.prepare("pca", other).digest != fits.prepare("pca", tiny).digest
