import math

import pytest
import torch

from porebench.generators.cvae.loss import (
    annealed_beta,
    cluster_penalty,
    cross_entropy,
    edge_penalty,
    kl_divergence,
    total_loss,
)
from porebench.generators.cvae.settings import LossSettings


def _ball(edge: int, radius: float) -> torch.Tensor:
    axis = torch.arange(edge) - (edge - 1) / 2
    squares = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    return (squares <= radius**2).float()[None, None]


def test_cross_entropy_of_an_even_guess_is_ln_2() -> None:
    target = _ball(8, 2)
    assert cross_entropy(torch.zeros_like(target), target).item() == pytest.approx(math.log(2))


def test_focal_loss_of_an_even_guess_is_a_quarter_of_cross_entropy_at_gamma_2() -> None:
    target = _ball(8, 2)
    assert cross_entropy(torch.zeros_like(target), target, gamma=2).item() == pytest.approx(math.log(2) / 4)


def test_pore_weight_shares_the_loss_between_phases() -> None:
    logits = torch.zeros(2, 1, 4, 4, 4)
    target = torch.stack([torch.ones(1, 4, 4, 4), torch.zeros(1, 4, 4, 4)])
    assert cross_entropy(logits, target, pore_weight=0.9).tolist() == pytest.approx(
        [0.9 * math.log(2), 0.1 * math.log(2)]
    )


def test_edge_penalty_is_one_on_the_boundary_and_nothing_at_the_centre() -> None:
    boundary = torch.ones(1, 1, 9, 9, 9)
    boundary[..., 1:-1, 1:-1, 1:-1] = 0
    centre = torch.zeros(1, 1, 9, 9, 9)
    centre[..., 4, 4, 4] = 1
    assert edge_penalty(boundary).item() == pytest.approx(boundary.mean().item())
    assert edge_penalty(centre).item() == 0


def test_cluster_penalty_prefers_a_ball_to_scattered_voxels_of_equal_number() -> None:
    ball = _ball(15, 3)
    scattered = torch.zeros(15**3)
    scattered[torch.randperm(15**3, generator=torch.Generator().manual_seed(0))[: int(ball.sum())]] = 1
    assert cluster_penalty(ball).item() < 0.7 * cluster_penalty(scattered.reshape(ball.shape)).item()


def test_kl_of_the_prior_is_zero_and_of_a_shifted_unit_normal_half_the_squared_shift() -> None:
    weight = torch.ones(3)
    zero = torch.zeros(3, 2, 2, 2, 2)
    assert kl_divergence(zero, zero, weight).item() == 0
    assert kl_divergence(zero + 2, zero, weight).item() == pytest.approx(2 * 2 * 8)


def test_free_bits_put_a_floor_under_each_channel() -> None:
    zero = torch.zeros(3, 5)
    assert kl_divergence(zero, zero, torch.ones(3), free_bits=0.1).item() == pytest.approx(0.5)


def test_beta_is_quiet_then_rises_then_holds_or_cycles() -> None:
    once = LossSettings(beta=2, quiet_epochs=5, ramp_epochs=10)
    assert [annealed_beta(once, epoch) for epoch in (0, 4.9, 10, 15, 100)] == pytest.approx([0, 0, 1, 2, 2])
    cyclic = LossSettings(beta=2, quiet_epochs=5, ramp_epochs=10, cyclic=True)
    assert [annealed_beta(cyclic, epoch) for epoch in (4, 10, 15, 24, 25, 30)] == pytest.approx([0, 1, 2, 2, 0, 1])


def test_switched_off_terms_do_not_count() -> None:
    logits = torch.randn(2, 1, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    target = (logits > 1).float()
    mean = torch.ones(2, 3)
    bare, terms = total_loss(LossSettings(beta=0), logits, target, mean, mean, epoch=9)
    assert set(terms) == {"reconstruction", "kl"}
    assert bare.item() == pytest.approx(terms["reconstruction"].item())
    full, _ = total_loss(LossSettings(beta=0, edge_weight=0.1, cluster_weight=0.3), logits, target, mean, mean, epoch=9)
    assert full.item() > bare.item()


def test_sparse_volumes_count_more_with_a_sparse_weight() -> None:
    target = torch.zeros(2, 1, 6, 6, 6)
    target[0, ..., 0] = 1
    target[1, 0, 0, 0, 0] = 1
    good_on_sparse = torch.where(target > 0, 5.0, -5.0)
    good_on_sparse[0] = 0
    mean = torch.zeros(2, 3)
    plain, _ = total_loss(LossSettings(), good_on_sparse, target, mean, mean, epoch=9)
    weighted, _ = total_loss(LossSettings(sparse_weight=1.0), good_on_sparse, target, mean, mean, epoch=9)
    assert weighted.item() < plain.item()
