"""What generators on a lattice have in common: views, directions, walls, exact counts, time, interruption."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from porebench.generators import get, lattice_module, training
from porebench.generators.lattice_module import LatticeModule, Views
from porebench.generators.lattice_network import TOLD, LatticeNetwork, told
from porebench.generators.training import Pace

from .conftest import SMALL

NAMES = ("flow-matching", "discrete-diffusion", "neural-texture", "gan", "slice-gan")


def _sheets(n: int, edge: int = 12):
    """Return volumes with sheets across the first axis, one voxel thick, as many as the density says."""
    rng = np.random.default_rng(0)
    density = np.linspace(0.1, 0.9, n)
    sheets = [rng.permutation(edge) < round(part * edge) for part in density]
    return np.broadcast_to(np.array(sheets)[:, :, None, None], (n, edge, edge, edge)).copy(), density


def _module(volumes, density):
    network = LatticeNetwork(2, TOLD, 8, 1)
    pace = Pace(epochs=1, batch_size=4, learning_rate=1e-3, weight_decay=0.0, seconds=None)
    views = Views(len(volumes), 6, 40, np.random.default_rng(0))
    return LatticeModule(network, pace, volumes, density, views, torch.Generator())


def test_volumes_are_seen_under_all_orders_and_the_network_is_told_which() -> None:
    volumes, density = _sheets(4)
    module = _module(volumes, density)
    orders = set()
    for parts in itertools.islice(module.views, 30):
        seen, conditions = module.seen(parts)
        varies = torch.stack([seen.diff(dim=axis).abs().amax(dim=(1, 2, 3)) > 0 for axis in (1, 2, 3)], dim=1)
        place = conditions[:, 2:].argmax(dim=1)
        assert torch.equal(conditions[:, 2:].sum(dim=1), torch.ones(len(seen)))
        for across, order in zip(varies, place, strict=True):
            axes = module.orders[int(order)]
            assert across.tolist() == [axis == 0 for axis in axes]
            orders.add(axes)
    assert len(orders) == 6


def test_a_condition_holds_density_log_odds_and_the_mediums_own_order() -> None:
    known = told(np.array([0.2, 0.5]), np.array([0.0, 0.75]))
    np.testing.assert_allclose(known[:, :2], [[0.2, -9], [0.5, np.log(3)]], rtol=1e-6)
    assert known[:, 2:].tolist() == [[1, 0, 0, 0, 0, 0]] * 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bounded", [False, True])
def test_any_shape_is_drawn_with_exact_counts_and_layers_that_are_empty_stay_so(name, bounded) -> None:
    volumes, density = np.random.default_rng(0).random((20, 12, 12, 12)) < 0.3, np.full(20, 0.3)
    if bounded:
        volumes &= np.pad(np.ones((10, 10, 10), dtype=bool), 1)
    generator = get(name)(**{**SMALL[name], "epochs": 0}).fit(volumes, density, rng=0)
    for shape in ((9, 9, 9), (10, 11, 13), (5, 5, 30)):
        drawn = generator.sample(0.3, 2, shape=shape, rng=0)
        assert drawn.shape == (2, *shape)
        assert set(drawn.sum(axis=(1, 2, 3))) == {int(generator.law_.pore_voxels(0.3, int(np.prod(shape))))}
        sides = [np.take(drawn, at, axis).any() for axis, at in itertools.product((1, 2, 3), (0, -1))]
        assert any(sides) is not bounded


@pytest.mark.parametrize("name", [*NAMES, "autoregressive"])
def test_a_training_ends_with_its_time_and_its_rate_falls_with_it(name, monkeypatch) -> None:
    volumes, density = _sheets(8)
    generator = get(name)(**{**SMALL[name], "epochs": 1000})
    generator.minutes = 1 / 60
    ticks = itertools.count(0, 1 / 50)
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    shares = []
    usual = training.one_cycle
    monkeypatch.setattr(training, "one_cycle", lambda at: shares.append(usual(at)) or shares[-1])
    generator.fit(volumes, density, rng=0)
    assert generator.epochs_["learn"] < 1000
    assert max(shares) > 0.9
    assert shares[-1] < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_training_goes_on_where_it_stopped(name, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(lattice_module.Views, "epoch", 3)
    volumes, density = _sheets(8)
    params = {**SMALL[name], "epochs": 3}
    whole = get(name)(**params).fit(volumes, density, rng=0)

    class StoppedError(Exception):
        pass

    ended = LatticeModule.on_train_batch_end

    def fail(self, *arguments):
        ended(self, *arguments)
        if self.global_step == 7:
            raise StoppedError

    monkeypatch.setattr(LatticeModule, "on_train_batch_end", fail)
    with pytest.raises(StoppedError):
        get(name)(**params).fit(volumes, density, rng=0, checkpoints=tmp_path)
    monkeypatch.setattr(LatticeModule, "on_train_batch_end", ended)
    again = get(name)(**params).fit(volumes, density, rng=0, checkpoints=tmp_path)
    for key, values in whole._get_state()[0].items():
        np.testing.assert_array_equal(values, again._get_state()[0][key])
