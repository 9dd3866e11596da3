import numpy as np
import pytest
import torch

from porebench import data
from porebench.benchmarks.cli import main
from porebench.benchmarks.studies.explain import STEPS, Activity, activity, at_densities, draw_explanation, traversal
from porebench.benchmarks.studies.variants import Variant, build


class Toy(torch.nn.Module):
    """Latent [B, 3]: channel 0 is the volume's porosity, channel 1 is constant, channel 2 its density."""

    def encode(self, voxels, condition):
        mean = torch.stack([voxels.flatten(1).mean(1), torch.zeros(len(voxels)), condition[:, 0]], dim=1)
        return mean, torch.zeros_like(mean)

    def decode(self, latent, condition, shape):
        return (latent[:, 0, None, None, None, None] + torch.zeros(1, 1, *shape)) * 10 + condition[:, 1].reshape(
            -1, 1, 1, 1, 1
        )

    def latent_shape(self, shape):
        return (3,)


@pytest.fixture(scope="module")
def toy(tiny):
    generator = build(Variant("small", "small", params={"width": 4, "encoder_blocks": 1, "decoder_blocks": 1}), 1)
    generator.fit(tiny.train.voxels[:8], tiny.train.density[:8], rng=0)
    generator.network_ = Toy()
    return generator


def test_activity_tells_live_channels_from_dead_ones(toy, tiny) -> None:
    found = activity(toy, tiny.validation.voxels, tiny.validation.density, tiny)
    assert found.bands == ("0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0")
    assert found.active.tolist() == [0.0 if np.var(tiny.validation.porosity) <= 0.01 else 1.0, 0.0, 1.0]
    assert found.order[0] == 2
    inside = tiny.validation.density >= 0.8
    expected = 0.5 * np.mean(tiny.validation.density[inside] ** 2)  # KL of N(d, 1) from N(0, 1)
    assert found.divergence[-1, 2] == pytest.approx(expected, rel=1e-5)
    assert found.divergence[:, 1].tolist() == [0.0] * 5
    assert found.spread[2] == pytest.approx(np.std(tiny.validation.density), rel=1e-5)


def test_a_traversal_moves_one_channel_by_its_spread(toy) -> None:
    found = Activity(("all",), np.ones((1, 3)), np.ones(3), np.array([0.1, 1.0, 1.0]))
    moved = traversal(toy, torch.zeros(1, 3), 0.8, 0, found)
    logits = np.log(moved / (1 - moved))[:, 0, 0]
    assert np.allclose(logits - logits[len(STEPS) // 2], np.array(STEPS), atol=1e-3)
    still = traversal(toy, torch.zeros(1, 3), 0.8, 1, found)
    assert np.ptp(still, axis=0).max() == 0


def test_density_changes_the_amount_of_pore_at_a_fixed_latent(toy, tiny) -> None:
    slices = at_densities(toy, np.array([0.0, 1.0]), seed=0)
    assert slices.shape == (2, *tiny.train.shape[1:])
    assert set(np.unique(slices)) <= {0.0, 1.0}


@pytest.mark.parametrize("which", ["cvae", "cvae-seed"])
def test_the_figure_is_drawn_for_lattice_and_global_latents(which, fitted, training, tmp_path) -> None:
    voxels, density = training
    part = data.Volumes(voxels, density)
    found = draw_explanation(fitted(which), data.Dataset(part, part, part, "x", "factor"), tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert found.divergence.shape[1] == len(found.active) == len(found.order)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["noise"], "no encoder and decoder to explain"), (["cvae", "-o", "{tmp}/x.txt"], "must be called .png")],
)
def test_what_cannot_be_explained_is_one_sentence(arguments, words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["porebench", "explain", *(word.format(tmp=tmp_path) for word in arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
