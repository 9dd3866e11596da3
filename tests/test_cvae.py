import json

import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import nn

from porebench.generators.autoregressive.network import AutoregressiveNetwork
from porebench.generators.autoregressive.order import STEPS
from porebench.generators.base import SPENT
from porebench.generators.cvae import module
from porebench.generators.cvae.batches import SymmetricBatches
from porebench.generators.cvae.generator import CVAE
from porebench.generators.cvae.module import VAEModule
from porebench.generators.cvae.network import GlobalVAE, LatticeVAE
from porebench.generators.cvae.seed import SeedCVAE
from porebench.generators.cvae.settings import TrainingSettings
from porebench.generators.lattice import ORDERS, Convolution, depth_to_space, space_to_depth, wall_distance, walls_like
from porebench.generators.machine import FEATURES, LAYERED

SMALL = {"width": 8, "encoder_blocks": 1, "decoder_blocks": 1, "batch_size": 8, "refine_epochs": 0}


def _half_spaces(n: int, edge: int = 9) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Pores fill the low end of the last axis, as far as the density says."""
    density = np.linspace(0.1, 0.9, n)
    return np.broadcast_to(np.arange(edge) < density[:, None, None, None] * edge, (n, edge, edge, edge)).copy(), density


def test_the_published_network_has_14_9_million_parameters() -> None:
    network = GlobalVAE((30, 30, 30))
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(14.9e6, rel=0.005)
    mean, _ = network.encode(torch.zeros(2, 1, 30, 30, 30), torch.zeros(2, 2))
    assert mean.shape == (2, 256)
    assert network.decode(mean, torch.zeros(2, 2), (30, 30, 30)).shape == (2, 1, 30, 30, 30)


def test_depth_to_space_undoes_space_to_depth_and_keeps_places() -> None:
    volume = torch.rand(2, 1, 6, 9, 12)
    cells = space_to_depth(volume)
    assert torch.equal(depth_to_space(cells), volume)
    assert torch.equal(cells[:, :, 1, 2, 3].reshape(2, 3, 3, 3), volume[:, 0, 3:6, 6:9, 9:12])


def test_wall_distance_is_symmetric_and_negative_outside() -> None:
    inside = wall_distance((9, 9, 9), torch.device("cpu"))[0]
    assert torch.allclose(inside[0], inside[1].flip(0))
    beyond = wall_distance((9, 9, 10), torch.device("cpu"))[0]
    assert (beyond[5, ..., 3] < 0).all()


def test_a_lattice_network_draws_any_shape() -> None:
    network = LatticeVAE(8, 2, 1, 1)
    condition = torch.zeros(1, 2 + ORDERS)
    for shape in ((8, 9, 10), (30, 30, 30), (3, 4, 61)):
        mean, _ = network.encode(torch.zeros(1, 1, *shape), condition)
        assert mean.shape == (1, *network.latent_shape(shape))
        assert network.decode(mean, condition, shape).shape == (1, 1, *shape)


@pytest.mark.parametrize("thick", [1, 3, 6])
def test_a_large_lattice_is_drawn_in_slabs_without_seams(monkeypatch, thick) -> None:
    network, other = LatticeVAE(8, 2, 1, 2, prior_blocks=1), AutoregressiveNetwork(8, 2)
    shape = (37, 21, 60)
    noise, condition = torch.randn(2, *network.latent_shape(shape)), torch.rand(2, 2 + ORDERS)
    known, told = torch.randn(2, 13, 7, 20, 27), torch.rand(2, 3 + ORDERS + STEPS)

    depths, through = [], Convolution.slabs

    def seen(self, slabs, depth):
        return through(self, (depths.append(slab.shape[1]) or slab for slab in slabs), depth)

    def draws() -> list[torch.Tensor]:
        walls = walls_like(shape, known)
        decoded = network.decode(network.from_prior(noise, condition, shape), condition, shape)
        return [decoded, other(known, told, walls), other(known, told, walls, position=3)]

    with torch.no_grad():
        for parameter in (*network.parameters(), *other.parameters()):
            parameter.normal_(0, 0.2)
        whole = draws()
        monkeypatch.setattr(Convolution, "slabs", seen)
        monkeypatch.setitem(LAYERED, "cpu", 1)
        monkeypatch.setitem(FEATURES, "cpu", thick * 8 * 2 * 7 * 20)
        cut = draws()
    assert 1 < max(depths) < 13
    assert len(depths) > 20
    assert [values.shape for values in whole] == [values.shape for values in cut]
    for one, another in zip(whole, cut, strict=True):
        assert torch.allclose(one, another, atol=1e-4 * float(one.std()))


def test_augmentation_turns_and_mirrors_but_keeps_shape_and_content() -> None:
    volumes = np.zeros((20, 4, 4, 5), dtype=bool)
    volumes[:, 0, 1, 2] = volumes[:, 0, 1, 3] = True
    settings = TrainingSettings(epochs=1, batch_size=5, learning_rate=1e-3)
    batches = SymmetricBatches(volumes, np.zeros((20, 2 + ORDERS), np.float32), settings, seed=0)
    seen = torch.cat([voxels for _ in range(10) for voxels, *_ in batches])
    assert seen.shape == (200, 1, 4, 4, 5)
    assert (seen.flatten(1).sum(dim=1) == 2).all()
    assert len({tuple(volume.flatten().tolist()) for volume in seen}) > 8


def test_batches_say_in_which_order_their_axes_are() -> None:
    volumes = np.zeros((6, 3, 3, 3), dtype=bool)
    volumes[:, 0] = volumes[:, 1, 0, 0] = True
    batches = SymmetricBatches(volumes, np.zeros((6, 2 + ORDERS), np.float32), TrainingSettings(1, 3, 1e-3), seed=0)
    told: dict[tuple[int, ...], set[int]] = {}
    for _ in range(40):
        for voxels, condition, _, axes in batches:
            assert (condition[:, 2:].sum(dim=1) == 1).all()
            told.setdefault(axes, set()).add(int(condition[0, 2:].argmax()))
            (across,) = (
                axis for axis in range(3) if voxels[0, 0].sum([other for other in range(3) if other != axis]).max() == 9
            )
            assert axes[across] == 0
    assert len(told) == 6
    assert sorted(number for numbers in told.values() for number in numbers) == list(range(6))


def test_one_epoch_shows_every_volume_once() -> None:
    volumes = np.zeros((11, 3, 3, 3), dtype=bool)
    condition = np.zeros((11, 2 + ORDERS), np.float32)
    condition[:, 0] = np.arange(11)
    batches = SymmetricBatches(volumes, condition, TrainingSettings(1, 4, 1e-3), seed=0)
    assert sorted(torch.cat([rows[:, 0] for _, rows, *_ in batches]).tolist()) == list(range(11))


def test_training_learns_to_reconstruct_and_keeps_the_count() -> None:
    volumes, density = _half_spaces(32)
    generator = CVAE(**SMALL, epochs=40, quiet_epochs=40, learning_rate=1e-2).fit(volumes, density, rng=0)
    again = generator.reconstruct(volumes, density)
    overlap = (again & volumes).sum() / (again | volumes).sum()
    assert overlap > 0.8
    assert (again.sum(axis=(1, 2, 3)) == generator.law_.pore_voxels(density, 729)).all()


def test_latents_of_a_learned_prior_do_not_run_away(monkeypatch) -> None:
    class Far(CVAE):
        name = "far"

        def _build(self) -> LatticeVAE:
            network = super()._build()
            nn.init.constant_(network.prior_out.bias, 20)
            return network

    def reached() -> float:
        volumes, density = _half_spaces(16)
        short = {**SMALL, "prior_blocks": 1, "epochs": 1, "refine_epochs": 12, "refine_learning_rate": 0.7}
        return float(Far(**short).fit(volumes, density, rng=0).network_.prior_out.bias.abs().max())

    kept = reached()
    monkeypatch.setattr(module, "FARTHEST", 1e6)
    assert kept < 18 < reached()


def test_exact_count_gives_the_count_of_the_law_and_else_the_network_decides() -> None:
    volumes, density = _half_spaces(16)
    exact = CVAE(**SMALL, epochs=1).fit(volumes, density, rng=0)
    free = CVAE(**SMALL, epochs=1, exact_count=False).fit(volumes, density, rng=0)
    wanted = exact.law_.pore_voxels(density, 729)
    assert (exact.sample(density, rng=1).sum(axis=(1, 2, 3)) == wanted).all()
    assert (free.sample(density, rng=1).sum(axis=(1, 2, 3)) != wanted).any()


def test_without_an_exact_count_the_threshold_gives_the_count_of_the_law_on_average() -> None:
    volumes, density = _half_spaces(32)
    generator = CVAE(**SMALL, epochs=20, learning_rate=1e-2, exact_count=False).fit(volumes, density, rng=0)
    asked = np.repeat([0.2, 0.5, 0.8], 400)
    drawn = generator.sample(asked, rng=1).sum(axis=(1, 2, 3)).reshape(3, 400).mean(axis=1)
    assert drawn == pytest.approx(generator.law_.pore_voxels(asked[::400], 729), rel=0.1)
    generator.levels_ = [level + 1 for level in generator.levels_]
    fewer = generator.sample(asked, rng=1).sum(axis=(1, 2, 3)).reshape(3, 400).mean(axis=1)
    assert (fewer < drawn).all()


def test_the_same_seed_trains_the_same_network() -> None:
    volumes, density = _half_spaces(16)
    one, two, other = (CVAE(**SMALL, epochs=2).fit(volumes, density, rng=seed) for seed in (3, 3, 4))
    assert (one.sample(density, rng=1) == two.sample(density, rng=1)).all()
    assert (one.sample(density, rng=1) != other.sample(density, rng=1)).any()


@pytest.mark.parametrize("stop", [3, 7])
def test_an_interrupted_training_resumes_to_the_same_network(tmp_path, monkeypatch, stop: int) -> None:
    volumes, density = _half_spaces(16)
    settings = {**SMALL, "epochs": 2, "refine_epochs": 2, "prior_blocks": 1}
    whole = CVAE(**settings).fit(volumes, density, rng=0)
    steps = 0

    def interrupted(self: VAEModule, *arguments: object) -> None:
        nonlocal steps
        steps += 1
        if steps == stop:
            raise RuntimeError("the lights went out")
        keep_average(self, *arguments)

    keep_average = VAEModule.on_train_batch_end
    resumed, state = CVAE(**settings), tmp_path / "state"
    with monkeypatch.context() as patch:
        patch.setattr(VAEModule, "on_train_batch_end", interrupted)
        with pytest.raises(RuntimeError, match="lights"):
            resumed.fit(volumes, density, rng=0, checkpoints=state)
    resumed.fit(volumes, density, rng=0, checkpoints=state)
    assert (resumed.sample(density, rng=1) == whole.sample(density, rng=1)).all()
    assert float((state / SPENT).read_text()) > 0


def test_refining_changes_prior_samples_and_keeps_reconstructing() -> None:
    volumes, density = _half_spaces(16)
    settings = {**SMALL, "epochs": 20, "learning_rate": 1e-2}
    plain = CVAE(**settings).fit(volumes, density, rng=0)
    refined = CVAE(**{**settings, "refine_epochs": 4}).fit(volumes, density, rng=0)
    assert (plain.sample(density, rng=1) != refined.sample(density, rng=1)).any()
    overlap, before = (
        (again & volumes).sum() / (again | volumes).sum()
        for again in (g.reconstruct(volumes, density) for g in (refined, plain))
    )
    assert overlap > before - 0.1


def test_weights_of_another_configuration_are_refused(tmp_path) -> None:
    volumes, density = _half_spaces(8)
    path = tmp_path / "weights.safetensors"
    CVAE(**SMALL, epochs=1).fit(volumes, density, rng=0).save(path)
    with safe_open(str(path), framework="np") as file:
        header = json.loads(file.metadata()["porebench"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    header["params"]["width"] = 16
    safetensors.numpy.save_file(arrays, str(path), metadata={"porebench": json.dumps(header)})
    with pytest.raises(ValueError, match="not a saved cvae generator"):
        CVAE.load(path)


def test_the_published_method_is_trained_on_request_only() -> None:
    assert SeedCVAE.trained_on_request
    assert SeedCVAE().params["beta"] == 0


def test_the_published_network_can_be_drawn_from_without_training() -> None:
    volumes, density = _half_spaces(4, 30)
    generator = SeedCVAE(epochs=0).fit(volumes, density, rng=0)
    assert generator.epochs_ == {}
    assert generator.sample(0.5, 1, rng=0).sum() == generator.law_.pore_voxels(np.array([0.5]), 27000)


def test_layers_that_never_had_pores_stay_empty_in_draws_and_reconstructions() -> None:
    rng = np.random.default_rng(0)
    volumes = np.zeros((16, 9, 12, 9), dtype=bool)
    volumes[:, 2:-2, 3:-2, 2:-2] = rng.random((16, 5, 7, 5)) < 0.5
    density = np.full(16, 0.5)
    generator = CVAE(**SMALL, epochs=1).fit(volumes, density, rng=0)
    assert generator.margin_ == 2
    inside = np.zeros((9, 12, 9), dtype=bool)
    inside[2:-2, 2:-2, 2:-2] = True
    for drawn in (generator.sample(density, rng=1), generator.reconstruct(volumes, density)):
        assert drawn.any()
        assert not drawn[:, ~inside].any()
    open_ = CVAE(**SMALL, epochs=1).fit(np.ones((2, 9, 9, 9), dtype=bool), [0.9, 1.0], rng=0)
    assert open_.margin_ == 0


@pytest.mark.parametrize("prior_blocks", [0, 1])
def test_from_as_far_as_a_network_sees_a_wall_changes_nothing(prior_blocks) -> None:
    torch.manual_seed(0)
    network = LatticeVAE(4, 2, 1, 1, prior_blocks)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sight, size = network.sight, 12
    condition = torch.tensor([[0.5, 0.0, 1.0, *[0.0] * (ORDERS - 1)]])
    cells = -(-sight // 3)
    near, far = ((size + 2 * more,) * 3 for more in (3 * cells, 3 * cells + 9))
    noise = torch.randn(1, *network.latent_shape(far))
    with torch.no_grad():
        drawn = [
            network.decode(network.from_prior(latent, condition, shape), condition, shape)
            for latent, shape in ((noise[..., 3:-3, 3:-3, 3:-3].contiguous(), near), (noise, far))
        ]
    inside = [slice((it.shape[-1] - size) // 2, (it.shape[-1] + size) // 2) for it in drawn]
    one, other = (it[..., at, at, at] for it, at in zip(drawn, inside, strict=True))
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(drawn[0][..., :size, :size, :size], one, atol=1e-4)


def test_larger_draws_of_an_unbounded_medium_are_cut_from_wider_ones() -> None:
    rng = np.random.default_rng(0)
    volumes = rng.random((8, 9, 9, 9)) < 0.4
    generator = CVAE(**SMALL, epochs=1, exact_count=False).fit(volumes, np.full(8, 0.4), rng=0)
    assert generator.unbounded_
    drawn = generator.sample(0.4, shape=(12, 9, 15), rng=1)
    generator.unbounded_ = False
    sight = generator.network_.sight
    wider = generator.sample(0.4, shape=(12 + 2 * sight, 9, 15 + 2 * sight), rng=1)
    assert np.array_equal(drawn, wider[:, sight:-sight, :, sight:-sight])
    volumes[:, 0] = volumes[:, -1] = False
    assert not CVAE(**SMALL, epochs=1).fit(volumes, np.full(8, 0.4), rng=0).unbounded_
