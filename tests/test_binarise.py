import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from porebench.generators.binarise import keep_highest


def _slow(scores: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """Sort each volume by falling score, equal scores in voxel order, and take the first so many."""
    kept = torch.zeros(scores.shape, dtype=torch.bool)
    for volume, values, count in zip(kept, scores.tolist(), counts, strict=True):
        flat = np.asarray(values).ravel()
        volume.view(-1)[np.lexsort((np.arange(flat.size), -flat))[:count].tolist()] = True
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.booleans())
def test_the_highest_voxels_are_kept_and_ties_go_by_voxel_order(seed, n, coarse) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (n, 3, 4, 5)) if coarse else rng.normal(size=(n, 3, 4, 5))
    counts = rng.integers(0, 61, n)
    kept = keep_highest(torch.as_tensor(scores, dtype=torch.float32), counts)
    assert torch.equal(kept, _slow(torch.as_tensor(scores, dtype=torch.float32), counts.tolist()))


def test_none_and_all_are_possible() -> None:
    kept = keep_highest(torch.zeros(3, 2, 2, 2), np.array([0, 8, 1]))
    assert kept.sum(dim=(1, 2, 3)).tolist() == [0, 8, 1]
    assert kept[2, 0, 0, 0]


def test_views_and_other_number_types_are_taken() -> None:
    scores = torch.randn(2, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    part = scores[:, 1:5, ::2, 1:6]
    expected = keep_highest(part.contiguous(), np.array([7, 30]))
    assert torch.equal(keep_highest(part, np.array([7, 30])), expected)
    assert torch.equal(keep_highest(part.double(), np.array([7, 30])), expected)
    assert keep_highest(part.half(), np.array([7, 30])).sum(dim=(1, 2, 3)).tolist() == [7, 30]


def test_infinite_scores_are_in_order() -> None:
    scores = torch.tensor([-torch.inf, 0.0, torch.inf, 1.0]).reshape(1, 1, 2, 2)
    assert keep_highest(scores, np.array([2])).flatten().tolist() == [False, False, True, True]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_keeps_the_same_voxels() -> None:
    scores = torch.randint(0, 50, (5, 8, 9, 10), generator=torch.Generator().manual_seed(0)).float()
    counts = np.array([0, 1, 100, 719, 720])
    kept = keep_highest(scores.cuda(), counts)
    assert kept.device.type == "cuda"
    assert torch.equal(kept.cpu(), keep_highest(scores, counts))
