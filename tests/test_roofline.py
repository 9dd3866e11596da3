import numpy as np
import pytest
import torch

from porebench.benchmarks.report.speed import LIMITS, reaches
from porebench.benchmarks.speed.work import probe, work
from porebench.benchmarks.store.timings import Timing
from porebench.generators import GENERATORS, get
from porebench.generators.cvae.generator import CVAE


def _timing(group: str, name: str, seconds: float, volumes: int = 1, **info) -> Timing:
    return Timing(group, name, "cpu", 30, volumes, info, {0: seconds, 1: seconds, 2: seconds})


SPEEDS = [
    _timing("limits", "float32", 0.5, amount=1e9),
    _timing("limits", "bfloat16", 0.5, amount=4e9),
    _timing("limits", "memory", 0.1, amount=1e9),
]


def test_the_slower_of_arithmetic_and_memory_is_the_limit() -> None:
    timed = [
        _timing("sampling", "a", 0.64, 64, operations=2e6, bytes=1e6, arithmetic="float32"),
        _timing("sampling", "b", 0.64, 64, operations=2e6, bytes=1e8, arithmetic="bfloat16"),
        _timing("sampling", "a", 0.64, 512, operations=2e6, bytes=1e6, arithmetic="float32"),
        _timing("sampling", "uncounted", 0.64, 64),
    ]
    found = reaches([*SPEEDS, *timed])
    first, second = found.itertuples()
    assert (first.bound, second.bound) == ("arithmetic", "memory")
    assert first.limit == pytest.approx(1e-3)  # 2e6 operations at 2e9 a second
    assert first.share == pytest.approx(0.1)  # of 10 ms a volume
    assert second.limit == pytest.approx(1e-2)  # 1e8 bytes at 1e10 a second
    assert found[LIMITS["bfloat16"]].tolist() == pytest.approx([8e9, 8e9])


def test_without_measured_limits_nothing_is_said() -> None:
    assert reaches([_timing("sampling", "a", 1.0, 64, operations=1.0, bytes=1.0, arithmetic="float32")]).empty


SEARCHING = ("fibres", "quilting", "annealing", "direct-sampling")
"""Generators that go on until they have found something, so that their work depends on what they find."""


@pytest.mark.parametrize("name", SEARCHING)
def test_the_work_of_a_search_is_not_counted(name, training) -> None:
    assert work(get(name)().fit(*training, rng=0), np.array([0.5]), training[0].shape[1]) is None


@pytest.mark.parametrize(
    "name", [name for name in GENERATORS if "epochs" not in get(name)().params and name not in SEARCHING]
)
def test_the_work_of_each_other_generator_is_counted(name, training) -> None:
    generator = get(name)(**({"simulator": "spheres"} if name == "reference" else {})).fit(*training, rng=0)
    counted = work(generator, np.array([0.5, 0.9]), generator.shape_[0])
    assert counted.operations > 0
    assert counted.bytes >= generator.shape_[0] ** 3


def test_the_work_of_a_network_is_that_of_its_convolutions(training, monkeypatch) -> None:
    generator = CVAE(epochs=1, refine_epochs=0).fit(*training, rng=0)
    convolve, layers = torch.nn.functional.conv3d, []

    def counting(x, weight, *rest, **settings):
        out = convolve(x, weight, *rest, **settings)
        layers.append(2 * out.numel() * weight[0].numel())
        return out

    monkeypatch.setattr(torch.nn.functional, "conv3d", counting)
    counted = work(generator, np.array([0.5, 0.9]), 9)
    assert counted.arithmetic == generator.number_format
    assert counted.operations == pytest.approx(sum(layers), rel=0.02)  # and the small layers of the condition
    assert work(generator.to("cpu", "float32"), np.array([0.5]), 9).arithmetic == "float32"


def test_a_generator_of_ones_own_has_no_count(replay) -> None:
    assert work(replay, np.array([0.5]), 8) is None


@pytest.mark.parametrize("kind", LIMITS)
def test_a_probe_does_the_work_that_it_claims(kind) -> None:
    found = probe(kind, "cpu", 64)
    assert found.amount == (12 * 64 if kind == "memory" else 2 * 64**3)
    out = found.call()
    assert out.flatten()[0].item() == (0 if kind == "memory" else 64)
