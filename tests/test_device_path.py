"""What generators do on a GPU, run on the CPU: the same code with the device as a parameter, and no wait for the host.

A mode answers for torch: every tensor claims to lie on a CUDA device, and what is made there, random sources too, is
made on the CPU. So the branches for GPUs run, with real numbers, and every call that would wait for the device is seen.
"""

import copy
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from porebench.generators.base import _to_volumes
from porebench.generators.binarise import keep_highest
from porebench.generators.cvae.module import _energy
from porebench.generators.cvae.texture import RealTexture

CUDA = torch.device("cuda:0")
WAITS = {
    getattr(torch.Tensor, name)
    for name in (
        "cpu",
        "item",
        "tolist",
        "numpy",
        "nonzero",
        "__bool__",
        "__int__",
        "__float__",
        "__index__",
        "__array__",
    )
} | {torch.nonzero, torch.masked_select, torch.unique}


class PretendedCuda(TorchFunctionMode):
    """Tensors claim to be on a CUDA device; calls that would wait for it are kept in ``waits``."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.source = torch.Generator

    def __enter__(self):
        torch.Generator = lambda device=None: self.source("cpu")
        return super().__enter__()

    def __exit__(self, *error):
        torch.Generator = self.source
        return super().__exit__(*error)

    def __torch_function__(self, function, types, arguments=(), settings=None):
        settings = dict(settings or {})
        if function == torch.Tensor.device.__get__:
            return CUDA
        if function == torch.Tensor.is_cuda.__get__:
            return True
        if function in WAITS:
            self.waits.append(function.__name__)
        if function is torch.Tensor.__getitem__ and _is_mask(arguments[1]):
            self.waits.append("selection by a mask")
        if "device" in settings:
            settings["device"] = "cpu"
        arguments = tuple(_on_cpu(argument) for argument in arguments)
        return function(*arguments, **settings)


def _on_cpu(argument):
    named = isinstance(argument, str) and argument.startswith("cuda")
    return "cpu" if named or isinstance(argument, torch.device) else argument


def _is_mask(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)


@pytest.fixture
def cuda():
    """The mode, without the warning that there is no such device."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*CUDA is not available.*")
        yield PretendedCuda()


def test_every_way_to_wait_for_the_device_is_seen(cuda) -> None:
    with cuda:
        values = torch.arange(4.0, device="cuda")
        assert values.device == CUDA
        for wait in (values.cpu, values[0].item, values.tolist, values.nonzero, lambda: values[values > 1]):
            wait()
        assert values.max() > 2
        int(values[1])
        waits = ["cpu", "item", "tolist", "nonzero", "selection by a mask", "__bool__", "__int__"]
        assert cuda.waits == waits
        values[:2] + values[2:]
        assert cuda.waits == waits


def test_the_highest_voxels_are_the_same_ones_on_either_path(cuda) -> None:
    scores = torch.randn((6, 4, 5, 6), generator=torch.Generator().manual_seed(0))
    scores[1] = scores[1].round()  # equal ones at the threshold
    scores[2] = 0
    counts = np.array([0, 40, 50, 120, 1, 119])
    here = keep_highest(scores, counts)
    with cuda:
        there = keep_highest(scores, counts)
    assert not cuda.waits
    np.testing.assert_array_equal(here.numpy(), there.numpy())
    np.testing.assert_array_equal(there.sum(dim=(1, 2, 3)), counts)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 3, 3, 3), (1, 2, 4, 8)])
def test_voxels_leave_the_device_as_bits(shape, cuda) -> None:
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.4
    with cuda:
        array = _to_volumes(drawn, drawn.shape, "test")
    assert cuda.waits == ["cpu", "numpy"]
    assert array.dtype == np.bool_
    np.testing.assert_array_equal(array, drawn.numpy())


def test_the_energy_score_can_be_recorded_and_is_the_same_on_either_path(cuda) -> None:
    source = torch.Generator().manual_seed(0)
    density = torch.linspace(0.1, 0.6, 40)
    texture = RealTexture(torch.rand((40, 9, 9, 9), generator=source) < density[:, None, None, None], density)
    logits = torch.randn((6, 9, 9, 9), generator=source)
    asked, pores = density[[5, 15, 30]].contiguous(), torch.tensor([150, 250, 400])
    real = texture.like(asked, 4, source)

    def score() -> tuple[float, torch.Tensor]:
        given = logits.clone().requires_grad_()
        with cuda if recorded else nullcontext():
            energy = _energy(texture, given, pores, asked, real)
            energy.backward()
        return energy.item(), given.grad

    recorded = False
    here = score()
    recorded = True
    there = score()
    assert cuda.waits == []  # a wait could not be recorded
    assert there[0] == pytest.approx(here[0], rel=1e-4)
    assert torch.allclose(there[1], here[1], rtol=1e-2, atol=1e-5 * here[1].abs().max())


@pytest.mark.parametrize("name", ["cvae", "gaussian-field", "pca", "noise"])
def test_the_path_for_gpus_draws_the_same_and_waits_for_nothing(name, fitted, cuda) -> None:
    generator = copy.deepcopy(fitted(name))
    density = np.array([0.9, 0.4, 0.7])
    here = generator.sample(density, rng=5)
    generator.device = "cuda"
    with cuda:
        generator._move()
        generator._sample(density, generator.shape_, np.random.default_rng(5))  # fills what is kept for this shape
        cuda.waits.clear()
        there = generator._sample(density, generator.shape_, np.random.default_rng(5))
        assert cuda.waits == []
    assert there.dtype == torch.bool
    np.testing.assert_array_equal(np.count_nonzero(there, axis=(1, 2, 3)), np.count_nonzero(here, axis=(1, 2, 3)))
    if name != "cvae":  # whose layers are in bfloat16 where there is a GPU, or none is pretended
        assert np.mean(there.numpy() != here) < 0.01
