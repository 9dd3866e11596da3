"""Discrete diffusion: the order of voxels, what the network is told, what its loss sees, what is learnt."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from porebench.generators.discrete_diffusion.generator import CORRECTED, CORRECTIONS, DiscreteDiffusion
from porebench.generators.discrete_diffusion.module import HiddenModule
from porebench.generators.discrete_diffusion.odds import hidden_odds, turns, uncovered
from porebench.generators.lattice import to_cells, walls_like
from porebench.generators.lattice_generator import MOST_STEPS
from porebench.generators.lattice_module import Views
from porebench.generators.lattice_network import TOLD, LatticeNetwork, told
from porebench.generators.training import Pace

from .conftest import SMALL


class _Watcher(LatticeNetwork):
    """A network that gives what it is told to be given, and keeps what it saw."""

    def __init__(self, logits=0.0) -> None:
        super().__init__(27, TOLD + 2, 8, 1)
        self.logits, self.seen = torch.nn.Parameter(torch.tensor(logits)), []

    def forward(self, cells, told, walls):
        self.seen.append((cells.clone(), told.clone()))
        return self.logits * torch.ones_like(cells)


def test_a_cell_uncovers_one_voxel_after_the_other_in_random_order() -> None:
    turn = turns(torch.rand((2, 5, 6, 7, 27), generator=torch.Generator().manual_seed(0)))
    place = (27 * turn).long()
    assert torch.equal(place.sort(dim=-1).values, torch.arange(27).expand(place.shape))
    first = torch.bincount((place == 0).nonzero()[:, -1], minlength=27)
    assert int(first.min()) > 0
    rest = 27 * turn - place
    assert float(rest.mean()) == pytest.approx(0.5, abs=0.05)
    assert uncovered(0) == 0
    assert uncovered(1) == 1


def test_the_network_is_told_how_many_pore_voxels_are_hidden() -> None:
    network, shape = _Watcher(), (9, 9, 9)
    known = torch.zeros(2, 3, 3, 3, 27)
    known[0, 0, 0, 0, :9], known[0, 0, 0, 0, 9:] = 1, -1
    inside = torch.ones(1, 3, 3, 3, 27, dtype=torch.bool)
    conditions = told(np.array([0.4, 0.4]), np.array([0.2, 0.2]))
    hidden_odds(network, known, conditions, torch.tensor([81.0, 81.0]), walls_like(shape, known), inside)
    condition = network.seen[0][1]
    expected = [(81 - 9 + 0.5) / (729 - 27 + 1), 81.5 / 730]
    torch.testing.assert_close(torch.sigmoid(condition[:, 1]), torch.tensor(expected))
    torch.testing.assert_close(condition[:, -1], torch.tensor([702 / 729, 1.0]))
    torch.testing.assert_close(condition[:, -2], conditions[:, 1])


def test_the_loss_sees_hidden_voxels_inside_the_walls_alone() -> None:
    volumes = np.random.default_rng(0).random((16, 10, 10, 10)) < 0.3
    views = Views(16, 6, 16, np.random.default_rng(0))
    network = _Watcher(0.7)
    pace = Pace(1, 16, 1e-3, 0.0, None)
    module = HiddenModule(network, pace, volumes, np.full(16, 0.3), views, torch.Generator(), sparse_weight=0.0)
    module.log = lambda *_, **__: None
    parts = next(iter(views))
    loss = float(module.training_step(parts, 0).detach())
    known = network.seen[0][0]
    real = to_cells(module.seen(parts)[0][:, None])
    inside = to_cells(torch.ones(1, 1, 10, 10, 10)) > 0
    hidden = (known == 0) & inside
    assert torch.equal(known[~hidden & inside], (2 * real - 1)[~hidden & inside])
    assert not known[:, ~inside[0]].any()
    shares = hidden.flatten(1).float().mean(dim=1) * 64 * 27 / 1000
    assert float(shares.max()) > 0.99  # few voxels are uncovered at first
    expected = []
    for volume, open_to in zip(real, hidden, strict=True):
        share = float(volume[open_to].mean()) if open_to.any() else 0.0
        expected.append(np.log1p(np.exp(0.7)) - 0.7 * share if open_to.any() else 0.0)
    assert loss == pytest.approx(np.mean(expected), rel=1e-5)


def test_each_step_uncovers_more_and_then_some_are_drawn_given_all_others() -> None:
    volumes = np.random.default_rng(0).random((8, 12, 12, 12)) < 0.3
    generator = DiscreteDiffusion(**{**SMALL["discrete-diffusion"], "epochs": 0, "steps": 6})
    generator.fit(volumes, np.full(8, 0.3), rng=0)
    network = generator.network_ = _Watcher(-0.8)
    drawn = generator.sample(0.3, 2, rng=0)
    shares = [float((cells != 0).float().mean()) for cells, _ in network.seen]
    np.testing.assert_allclose(shares[:6], [uncovered(step / 6) for step in range(6)], atol=0.03)
    assert shares[6:] == pytest.approx([1 - CORRECTED] * CORRECTIONS)
    for number, ((before, _), (after, _)) in enumerate(pairwise(network.seen)):
        stays = (before != 0) & (after != 0)
        assert torch.equal(before[stays], after[stays])
        assert torch.equal(stays, before != 0) is (number < 5), "hidden once more, in other places"
    last = network.seen[-1][0]
    cells = to_cells(torch.from_numpy(drawn)[:, None].float())
    assert torch.equal(cells[last != 0], (last[last != 0] + 1) / 2)


def test_what_hangs_together_is_learnt() -> None:
    """Volumes that are one layer of two, or the other: voxels drawn one by one at the right odds would mix both."""
    volumes = np.zeros((32, 6, 6, 6), dtype=bool)
    volumes[::2, :3] = volumes[1::2, 3:] = True
    params = {**SMALL["discrete-diffusion"], "width": 16, "epochs": 4, "steps": 16, "learning_rate": 1e-2}
    generator = DiscreteDiffusion(**params).fit(volumes, np.full(32, 0.5), rng=0)
    drawn = generator.sample(0.5, 16, rng=0)
    mixed = []
    for axis in (1, 2, 3):  # whichever it takes for the direction of the layers
        halves = [part.mean(axis=(1, 2, 3)) for part in np.split(drawn, 2, axis=axis)]
        mixed.append(np.minimum(*halves))
    assert np.min(mixed, axis=0).mean() < 0.05


def test_a_file_that_states_no_possible_steps_is_refused(tmp_path) -> None:
    volumes = np.random.default_rng(0).random((8, 6, 6, 6)) < 0.3
    generator = DiscreteDiffusion(**{**SMALL["discrete-diffusion"], "epochs": 0}).fit(volumes, np.full(8, 0.3), rng=0)
    for steps in (0, MOST_STEPS + 1):
        generator.altered(steps=steps).save(tmp_path / "a.safetensors")
        with pytest.raises(ValueError, match="it states"):
            DiscreteDiffusion.load(tmp_path / "a.safetensors")
