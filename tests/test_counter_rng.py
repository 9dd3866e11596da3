import numpy as np
import pytest
import torch
from scipy import stats

from porebench.generators.counter_rng import STEPS_SCALE, _words, normal, steps

MASK = 2**64 - 1


def _splitmix(state: int) -> int:
    """The published generator, one number at a time."""
    mixed = state & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return mixed ^ (mixed >> 31)


@pytest.mark.parametrize("key", [0, 5, 2**62])
def test_words_are_those_of_splitmix(key) -> None:
    rows, step = [0, 3, 100_000], 0x9E3779B97F4A7C15
    wanted = [[_splitmix(key + step * (2**36 * row + place + 1)) for place in range(5)] for row in rows]
    found = _words(key, rows, 5, "cpu").numpy().view(np.uint64)
    assert found.tolist() == wanted


def test_steps_are_equally_frequent_and_have_no_memory() -> None:
    drawn = steps(0, range(200), 10_001, "cpu")
    values, counts = np.unique(drawn.numpy(), return_counts=True)
    assert values.tolist() == list(range(-120, 121, 16))
    assert stats.chisquare(counts).pvalue > 1e-3
    noise = drawn.double() / STEPS_SCALE
    assert [noise.pow(k).mean().item() for k in (1, 2, 3)] == pytest.approx([0, 1, 0], abs=0.003)
    for lag in (1, 2, 8, 64, 5000, 5001):
        assert (noise[:, lag:] * noise[:, :-lag]).mean().item() == pytest.approx(0, abs=0.004)
    assert (noise[1:] * noise[:-1]).mean().item() == pytest.approx(0, abs=0.004)


@pytest.mark.parametrize("number", [4000, 4001])
def test_normal_numbers_are_normal_and_have_no_memory(number) -> None:
    drawn = normal(1, range(100), number, "cpu").double()
    assert drawn.shape == (100, number)
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
    for lag in (1, 2, 2000):
        assert (drawn[:, lag:] * drawn[:, :-lag]).mean().item() == pytest.approx(0, abs=0.008)
        squares = drawn**2 - 1
        assert (squares[:, lag:] * squares[:, :-lag]).mean().item() == pytest.approx(0, abs=0.016)
    assert (drawn[1:] * drawn[:-1]).mean().item() == pytest.approx(0, abs=0.008)


@pytest.mark.parametrize("draw", [steps, normal])
def test_a_row_depends_on_its_number_only(draw) -> None:
    rows = draw(5, [0, 1, 2, 3], 99, "cpu")
    assert torch.equal(draw(5, [3, 1], 99, "cpu"), rows[[3, 1]])
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(draw(6, [0], 99, "cpu"), rows[:1])
