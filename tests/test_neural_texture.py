"""The texture network: which patches it compares, what its loss prefers, what is learnt."""

import numpy as np
import torch

from porebench.generators.lattice_module import Pace, Views
from porebench.generators.lattice_network import told
from porebench.generators.neural_texture import module as texture_module
from porebench.generators.neural_texture.generator import NeuralTexture
from porebench.generators.neural_texture.module import PATCHES, PatchModule, patches

from .conftest import SMALL


def _blocks(n: int, edge: int, rng: np.random.Generator):
    """Return volumes of 12³ voxels of cubes of which three in eight are pore."""
    chosen = np.arange((12 // edge) ** 3) < 3 * (12 // edge) ** 3 // 8
    cells = rng.permuted(np.tile(chosen, (n, 1)), axis=1).reshape(n, *[12 // edge] * 3)
    return cells.repeat(edge, axis=1).repeat(edge, axis=2).repeat(edge, axis=3)


def _module(volumes) -> PatchModule:
    generator = NeuralTexture(**SMALL["neural-texture"])
    views = Views(len(volumes), 1, 4, np.random.default_rng(0))
    torch.manual_seed(0)
    density = np.full(len(volumes), 0.375)
    module = generator._module(
        generator._build(), Pace(1, 4, 1e-3, 0.0, None), volumes, density, views, torch.Generator()
    )
    module.log = lambda *_, **__: None
    return module


def test_patches_are_the_voxels_from_where_they_begin() -> None:
    volumes = torch.rand(2, 9, 10, 11)
    places = torch.tensor([[0.0, 0.999], [0.5, 0.999], [0.25, 0.999]])
    for edge, step in ((3, 1), (3, 2), (5, 2)):
        found = patches(volumes, places, edge, step)
        assert found.shape == (2, 2, edge**3)
        reach = step * (edge - 1)
        begin = [int(places[axis, 0] * (size - reach)) for axis, size in enumerate((9, 10, 11))]
        window = tuple(slice(at, at + reach + 1, step) for at in begin)
        assert torch.equal(found[:, 0], volumes[(slice(None), *window)].flatten(1))
        corner = (slice(None), *(slice(size - reach - 1, None, step) for size in (9, 10, 11)))
        assert torch.equal(found[:, 1], volumes[corner].flatten(1))


def test_the_loss_prefers_draws_with_the_patches_of_real_volumes(monkeypatch) -> None:
    monkeypatch.setattr(texture_module, "ALIKE", 64)
    rng = np.random.default_rng(0)
    module = _module(_blocks(8, 3, rng))
    real, alike, other = (torch.from_numpy(_blocks(64, edge, rng)).float() for edge in (3, 3, 1))
    for edge, scale in PATCHES:
        if edge * scale > 12:
            continue
        losses = [float(module._distance(drawn, real, edge, scale)) for drawn in (alike, other)]
        assert losses[0] < 0.6 * losses[1]


def test_volumes_of_a_porosity_are_compared_with_each_other() -> None:
    """Patches of dense volumes are not to make up for those of sparse ones: groups follow the order of porosity."""
    module = _module(_blocks(8, 3, np.random.default_rng(0)))
    seen = []
    module._distance = lambda drawn, real, *_: seen.append((drawn, real)) or drawn.sum()
    module.volumes = torch.rand(8, 12, 12, 12) < torch.linspace(0.1, 0.8, 8)[:, None, None, None]
    module.told = told(np.full(8, 0.4), module.volumes.double().mean(dim=(1, 2, 3)).numpy())
    module.training_step([(torch.tensor([5, 0, 7, 3]), 0, ()), (torch.tensor([2, 6]), 0, (1,))], 0)
    for drawn, real in seen:
        pores = real.flatten(1).sum(dim=1)
        assert torch.equal(pores, pores.sort().values)
        torch.testing.assert_close(drawn.flatten(1).sum(dim=1), pores, rtol=0.02, atol=1.0)


def test_a_pattern_that_repeats_in_every_cell_is_smoothed_away() -> None:
    generator = NeuralTexture(**{**SMALL["neural-texture"], "epochs": 0})
    volumes = _blocks(8, 3, np.random.default_rng(0))
    generator.fit(volumes, np.full(8, 0.375), rng=0)
    network = generator.network_
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.linspace(-3, 3, 27)[torch.randperm(27)])
        conditions = told(np.array([0.375]), np.array([0.375]))
        streams = np.random.default_rng(0).spawn(1)
        smooth = generator._logits(conditions, (30, 30, 30), streams)[0, 9:21, 9:21, 9:21]
    assert float(smooth.std()) < 0.05 * float(network.last.bias.std())


def test_coarse_blocks_are_learnt(monkeypatch) -> None:
    monkeypatch.setattr(texture_module, "PLACES", 128)
    volumes = _blocks(32, 6, np.random.default_rng(0))
    params = {**SMALL["neural-texture"], "width": 16, "learning_rate": 1e-2, "batch_size": 8}
    density = volumes.mean(axis=(1, 2, 3))

    def faces(drawn):
        return np.mean([np.diff(drawn.astype(np.int8), axis=axis).__abs__().mean() for axis in (1, 2, 3)])

    found = [
        faces(NeuralTexture(**{**params, "epochs": epochs}).fit(volumes, density, rng=0).sample(0.375, 8, rng=0))
        for epochs in (0, 2)
    ]
    real = faces(volumes)
    assert abs(found[1] - real) < 0.85 * abs(found[0] - real)
