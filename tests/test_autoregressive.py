"""The autoregressive network: order of the voxels, what it sees, counts, directions, shapes, interruption."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from porebench.generators import training
from porebench.generators.autoregressive import module
from porebench.generators.autoregressive.generator import Autoregressive, _shift
from porebench.generators.autoregressive.module import AutoregressiveModule, Batches
from porebench.generators.autoregressive.network import AutoregressiveNetwork
from porebench.generators.autoregressive.order import POSITIONS, STEPS, drawing_steps, positions, steps_on
from porebench.generators.lattice import depth_to_space
from porebench.generators.training import Pace

TINY = {"width": 8, "blocks": 1, "batch_size": 4}


def _layers(n: int, edge: int = 12):
    """Return volumes with sheets across the first axis, one voxel thick, as many as the density says."""
    rng = np.random.default_rng(0)
    density = np.linspace(0.1, 0.9, n)
    sheets = [rng.permutation(edge) < round(part * edge) for part in density]
    return np.broadcast_to(np.array(sheets)[:, :, None, None], (n, edge, edge, edge)).copy(), density


def _module(volumes, density, network=None):
    network = network or AutoregressiveNetwork(8, 1)
    pace = Pace(epochs=1, batch_size=4, learning_rate=1e-3, weight_decay=0.0, seconds=None)
    batches = Batches(len(volumes), 6, 4, np.random.default_rng(0))
    return AutoregressiveModule(network, pace, volumes, density, batches, sparse_weight=0.3)


def test_each_voxel_is_drawn_once_and_each_step_draws_one_position() -> None:
    steps = drawing_steps()
    assert sorted(positions()) == list(range(27))
    assert set(np.unique(steps)) == set(range(STEPS))
    for step, position in enumerate(POSITIONS):
        assert np.flatnonzero((steps == step).any(axis=(1, 2, 3))).tolist() == [position]


def test_voxels_drawn_together_are_at_least_three_apart_and_the_first_ones_twelve() -> None:
    volume = depth_to_space(steps_on((8, 8, 8), torch.device("cpu")).movedim(-1, 0)[None])[0, 0].numpy()
    for step in range(STEPS):
        places = np.argwhere(volume == step)
        apart = np.linalg.norm(places[0] - places[1:], axis=1).min()
        assert apart >= (12 if step == 0 else 3)


def test_the_positions_drawn_first_have_no_neighbours_across_a_face() -> None:
    first = np.isin(np.arange(27).reshape(3, 3, 3), positions()[:9])
    tiled = np.tile(first, (2, 2, 2))
    assert not any((tiled & np.roll(tiled, 1, axis)).any() for axis in range(3))


def test_the_network_sees_voxels_of_earlier_steps_only() -> None:
    volumes, density = _layers(2)
    other = ~volumes
    step = torch.tensor([7, 20])
    earlier = steps_on((4, 4, 4), torch.device("cpu")) < step[:, None, None, None, None]
    seen = []

    class Recorder(AutoregressiveNetwork):
        def forward(self, known, condition, walls, position=None):
            seen.append(known.clone())
            return super().forward(known, condition, walls, position)

    for voxels in (volumes, other):
        _module(voxels, density)._losses(Recorder(8, 1), ([(torch.arange(2), 0, ())], step))
    assert torch.equal(seen[0] != 0, earlier)
    assert torch.equal(seen[0], -seen[1])


def test_the_likelihood_of_all_steps_adds_up_to_that_of_the_volume() -> None:
    """An untrained network gives each voxel the odds of the pores left; its steps must cover all voxels."""
    volumes, density = _layers(1)
    trained = _module(volumes, density)
    batch = ([(torch.zeros(STEPS, dtype=torch.int64), 0, ())], torch.arange(STEPS))
    each, later, porosity = trained._losses(trained.network, batch)
    assert later[-1] == 0
    assert float(later.detach()[0] + each.detach()[0]) > float(each.detach().sum()) > 0  # more is known with each step
    assert porosity[0] == pytest.approx(volumes.mean())


def test_a_direction_of_the_medium_is_learned_under_all_symmetries(monkeypatch) -> None:
    monkeypatch.setattr(module.Batches, "epoch", 400)
    volumes, density = _layers(24, edge=6)
    generator = Autoregressive(width=24, blocks=1, batch_size=16, epochs=1, learning_rate=5e-3).fit(
        volumes, density, rng=0
    )
    step = torch.arange(24) % STEPS
    as_it_is, turned = (
        _module(seen, density)._losses(generator.network_, ([(torch.arange(24), 0, ())], step))[0].sum()
        for seen in (volumes, volumes.transpose(0, 3, 2, 1).copy())
    )
    assert turned > 1.2 * as_it_is


def test_numbers_of_pore_voxels_spread_as_in_training_volumes_and_less_in_larger_ones() -> None:
    rng = np.random.default_rng(0)
    density = np.full(200, 0.5)
    volumes = rng.random((200, 9, 9, 9)) < rng.choice([0.4, 0.6], (200, 1, 1, 1))
    generator = Autoregressive(**TINY, epochs=0).fit(volumes, density, rng=0)
    small, large = (
        generator._counts(density, (edge,) * 3, np.random.default_rng(1).spawn(200)) / edge**3 for edge in (9, 36)
    )
    assert small.std() == pytest.approx(volumes.mean(axis=(1, 2, 3)).std(), rel=0.1)
    assert large.std() == pytest.approx(small.std() / 8, rel=0.1)
    assert small.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("shape", [(9, 9, 9), (10, 11, 13), (5, 5, 30)])
@pytest.mark.parametrize("bounded", [False, True])
def test_any_shape_is_drawn_and_layers_that_are_empty_stay_so(shape, bounded) -> None:
    volumes, density = np.random.default_rng(0).random((20, 12, 12, 12)) < 0.4, np.full(20, 0.4)
    if bounded:
        volumes &= np.pad(np.ones((10, 10, 10), dtype=bool), 1)
    generator = Autoregressive(**TINY, epochs=0).fit(volumes, density, rng=0)
    drawn = generator.sample(0.4, 2, shape=shape, rng=0)
    assert drawn.shape == (2, *shape)
    assert drawn.any()
    sides = [np.take(drawn, at, axis).any() for axis, at in itertools.product((1, 2, 3), (0, -1))]
    assert any(sides) is not bounded


def test_an_interrupted_training_goes_on_where_it_stopped(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(module.Batches, "epoch", 2)
    volumes, density = _layers(8)
    whole = Autoregressive(**TINY, epochs=3).fit(volumes, density, rng=0, validation=_layers(3))

    class StoppedError(Exception):
        pass

    judged = AutoregressiveModule.on_validation_epoch_end

    def fail(self):
        judged(self)
        if self.current_epoch == 2:
            raise StoppedError

    monkeypatch.setattr(AutoregressiveModule, "on_validation_epoch_end", fail)
    with pytest.raises(StoppedError):
        Autoregressive(**TINY, epochs=3).fit(volumes, density, rng=0, validation=_layers(3), checkpoints=tmp_path)
    monkeypatch.setattr(AutoregressiveModule, "on_validation_epoch_end", judged)
    again = Autoregressive(**TINY, epochs=3).fit(volumes, density, rng=0, validation=_layers(3), checkpoints=tmp_path)
    assert again.epochs_ == whole.epochs_
    for name, values in whole._get_state()[0].items():
        np.testing.assert_array_equal(values, again._get_state()[0][name])


def test_a_training_that_its_time_ends_before_an_epoch_keeps_weights_that_were_judged(monkeypatch) -> None:
    ticks = itertools.count(0, 0.1)
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    lowest = []
    judged = AutoregressiveModule.on_validation_epoch_end

    def watch(self) -> None:
        judged(self)
        lowest.append((self.global_step, self.lowest))

    monkeypatch.setattr(AutoregressiveModule, "on_validation_epoch_end", watch)
    volumes, density = _layers(8)
    generator = Autoregressive(**TINY, epochs=3)
    generator.minutes = 1 / 60
    generator.fit(volumes, density, rng=0, validation=_layers(3))
    ((steps, loss),) = lowest
    assert 0 < steps < module.EPOCH
    assert loss < np.inf


def test_logits_are_shifted_to_the_number_of_pores_that_is_wanted() -> None:
    logits = torch.randn((3, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    waiting = torch.zeros((4, 4, 4), dtype=torch.bool)
    waiting[:2] = True
    wanted = torch.tensor([5.0, 16.0, 24.0])
    expected = (torch.sigmoid(logits + _shift(logits, waiting, wanted)) * waiting).flatten(1).sum(dim=1)
    torch.testing.assert_close(expected, wanted, atol=0.01, rtol=0)


def test_the_share_of_pores_before_each_step_follows_where_pores_are() -> None:
    volumes = np.zeros((1, 12, 12, 12), dtype=bool)
    volumes[0, ::3, ::3, ::3] = True  # the position that is drawn first
    shares = Autoregressive()._shares(volumes)
    assert shares[0] == 0
    assert np.all(np.diff(shares) >= 0)
    assert shares[7] == pytest.approx(1, abs=1e-3)


def test_draws_hold_about_as_many_pores_as_the_density_asks_for() -> None:
    volumes = np.random.default_rng(0).random((60, 12, 12, 12)) < np.linspace(0.05, 0.5, 60)[:, None, None, None]
    density = volumes.mean(axis=(1, 2, 3))
    generator = Autoregressive(**TINY, epochs=0).fit(volumes, density, rng=0)
    drawn = generator.sample(np.repeat([0.1, 0.4], 16), rng=0).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(drawn.reshape(2, 16).mean(axis=1), [0.1, 0.4], rtol=0.1)
