"""Adversarial networks: what the critic sees, whose weights a loss moves, what is learnt."""

import numpy as np
import pytest
import torch
from torch import nn

from porebench.generators.adversarial.generator import GAN, SliceGAN
from porebench.generators.adversarial.module import SLICES, Critic
from porebench.generators.lattice_module import Pace, Views
from porebench.generators.lattice_network import TOLD, told

from .conftest import SMALL


def _module(kind, volumes, density):
    generator = kind(**SMALL[kind.name])
    pace = Pace(1, 4, 1e-3, 0.0, None)
    views = Views(len(volumes), 1, 4, np.random.default_rng(0))
    torch.manual_seed(0)
    module = generator._module(generator._build(), pace, volumes, density, views, torch.Generator())
    module.log_dict = lambda *_, **__: None
    return module


@pytest.fixture(name="volumes", scope="module")
def _volumes():
    rng = np.random.default_rng(0)
    density = rng.uniform(0.1, 0.5, 8)
    return rng.random((8, 10, 11, 12)) < density[:, None, None, None], density


@pytest.mark.parametrize("kind", [GAN, SliceGAN])
def test_a_step_moves_network_and_critic(kind, volumes) -> None:
    module = _module(kind, *volumes)
    module.training_step(next(iter(module.views)), 0).backward()
    for part in (module.network, module.critic):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


@pytest.mark.parametrize("kind", [GAN, SliceGAN])
def test_the_network_learns_from_the_critics_opinion_and_not_from_its_lesson(kind, volumes) -> None:
    """A penalty that only the critic can pay leaves the gradient of the network as it is."""
    gradients = []
    for penalty in (0.0, 100.0):
        module = _module(kind, *volumes)
        module.penalty = penalty
        module.training_step(next(iter(module.views)), 0).backward()
        gradients.append([p.grad.clone() for p in module.network.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_the_critic_of_slices_sees_slices_across_each_axis_and_nothing_else(volumes) -> None:
    module = _module(SliceGAN, *volumes)
    seen = []

    class Watcher(nn.Module):
        def forward(self, x, condition):
            seen.append((x, condition))
            return x.flatten(1).mean(dim=1)

    module.critic = Watcher()
    real = torch.from_numpy(volumes[0]).float()
    places = torch.rand(len(real), 3, SLICES)
    numbers = module.judge(real, told(volumes[1], real.mean((1, 2, 3)).double().numpy()), places)
    assert numbers.shape == (len(real) * 3 * SLICES,)
    for axis, (slices, conditions) in enumerate(seen):
        sides = [size for other, size in enumerate((10, 11, 12)) if other != axis]
        assert slices.shape == (len(real) * SLICES, 1, *sides)
        assert conditions[:, TOLD:].argmax(dim=1).unique().tolist() == [axis]
        index = int(places[1, axis, 2] * real.shape[axis + 1])
        assert torch.equal(slices[SLICES + 2, 0], real[1].select(axis, index))


@pytest.mark.parametrize("shape", [(1, 2, 3), (12, 13, 14), (30, 30, 30)])
def test_a_critic_gives_each_volume_a_number_that_depends_on_its_condition(shape) -> None:
    torch.manual_seed(0)
    critic = Critic(nn.Conv3d, TOLD, 4)
    x = torch.rand(3, 1, *shape)
    numbers = [critic(x, told(np.full(3, density), np.full(3, density))) for density in (0.1, 0.4)]
    assert numbers[0].shape == (3,)
    assert not torch.allclose(*numbers)


@pytest.mark.parametrize("kind", [GAN, SliceGAN])
def test_layers_are_learnt(kind) -> None:
    """Volumes whose pores fill their lower half: a critic that sees places teaches where they lie."""
    volumes = np.zeros((16, 12, 12, 12), dtype=bool)
    volumes[:, :, :, 4:8] = volumes[:, :, 4:8] = volumes[:, 4:8] = True
    params = {**SMALL[kind.name], "epochs": 3, "critic_width": 8, "penalty": 0.1, "learning_rate": 3e-3}
    generator = kind(**params).fit(volumes, np.full(16, 0.5), rng=0)
    drawn = generator.sample(0.5, 8, rng=0)
    agree = (drawn == volumes[:8]).mean()
    assert agree > 0.75
