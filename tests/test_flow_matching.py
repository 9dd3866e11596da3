"""Flow matching: what noise says of a voxel alone, times, where draws leave the flow."""

import numpy as np
import pytest
import torch

from porebench.generators.flow_matching import module as flow_module
from porebench.generators.flow_matching.generator import FlowMatching
from porebench.generators.flow_matching.module import BINS, FlowModule
from porebench.generators.flow_matching.odds import LATEST, pore_odds
from porebench.generators.lattice import walls_like
from porebench.generators.lattice_generator import MOST_STEPS
from porebench.generators.lattice_module import Views
from porebench.generators.lattice_network import TOLD, LatticeNetwork, told
from porebench.generators.training import Pace

from .conftest import SMALL


def _silent() -> LatticeNetwork:
    """Return a network that adds nothing."""
    network = FlowMatching(width=8, blocks=1)._build()
    torch.nn.init.zeros_(network.last.weight)
    torch.nn.init.zeros_(network.last.bias)
    return network


def test_a_network_that_adds_nothing_gives_the_posterior_of_independent_voxels() -> None:
    porosity, at = 0.3, 0.4
    generator = torch.Generator().manual_seed(0)
    pore = (torch.rand((8, 6, 6, 6, 27), generator=generator) < porosity).float()
    x = at * (2 * pore - 1) + (1 - at) * torch.randn(pore.shape, generator=generator)
    conditions = told(np.full(8, 0.5), np.full(8, porosity))
    with torch.inference_mode():
        odds = pore_odds(_silent(), x, torch.full((8,), at), conditions, walls_like((18, 18, 18), x))
    assert odds.shape == x.shape
    by_size = odds.flatten().argsort().chunk(10)
    for some in by_size:
        expected, found = torch.sigmoid(odds.flatten()[some]).mean(), pore.flatten()[some].mean()
        assert float(found) == pytest.approx(float(expected), abs=0.03)


def test_times_are_spread_in_proportion_to_losses() -> None:
    volumes, density = np.zeros((4, 6, 6, 6), dtype=bool), np.full(4, 0.5)
    pace = Pace(1, 4, 1e-3, 0.0, None)
    views = Views(4, 6, 4, np.random.default_rng(0))
    module = FlowModule(
        LatticeNetwork(27, TOLD, 8, 1), pace, volumes, density, views, torch.Generator(), sparse_weight=0.3
    )
    module.losses.copy_(torch.linspace(1, 0, BINS))
    times = module._times(10_000)
    assert float(times.min()) >= 0
    assert float(times.max()) <= LATEST
    counts = torch.histc(times, BINS, 0, LATEST)
    torch.testing.assert_close(counts / counts.sum(), module.losses / module.losses.sum(), atol=2e-3, rtol=0)


def test_the_likelihood_of_early_and_late_times_is_followed(monkeypatch) -> None:
    volumes, density = np.random.default_rng(0).random((16, 12, 12, 12)) < 0.3, np.full(16, 0.3)
    pace = Pace(1, 16, 1e-3, 0.0, None)
    views = Views(16, 6, 16, np.random.default_rng(0))
    module = FlowModule(_silent(), pace, volumes, density, views, torch.Generator(), sparse_weight=0.3)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(flow_module, "RECENT", 0.8)
    for _, batch in zip(range(40), views, strict=False):
        module.training_step(batch, 0)
    assert torch.all(module.losses < 1)
    assert module.losses[0] > 4 * module.losses[-1]


def test_draws_leave_the_flow_where_a_share_of_the_uncertainty_is_left() -> None:
    volumes = np.random.default_rng(0).random((20, 12, 12, 12)) < 0.3
    density = np.full(20, 0.3)
    small = SMALL["flow-matching"]
    late, early = (
        FlowMatching(**{**small, "left": left, "epochs": 0}).fit(volumes, density, rng=0).last_ for left in (0.1, 0.9)
    )
    assert 0 < early < late <= LATEST


def test_a_file_that_states_no_possible_time_or_steps_is_refused(tmp_path) -> None:
    volumes = np.random.default_rng(0).random((8, 6, 6, 6)) < 0.3
    generator = FlowMatching(**{**SMALL["flow-matching"], "epochs": 0}).fit(volumes, np.full(8, 0.3), rng=0)
    for name, value in (("last_", 2.0), ("last_", -1.0), ("steps", 0), ("steps", MOST_STEPS + 1)):
        wrong = generator.altered()
        setattr(wrong, name, value)
        wrong.save(tmp_path / "a.safetensors")
        with pytest.raises(ValueError, match="it states"):
            FlowMatching.load(tmp_path / "a.safetensors")
