import numpy as np
import pytest
import torch

from porebench.generators.cvae import texture as statistics
from porebench.generators.cvae.texture import RealTexture, _flow, _SoftHistogram, crps, local_statistics, relax


def _blobs(n: int, share: float, edge: int = 12, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(n, edge, edge, edge, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(noise[:, None], 3, stride=1, padding=1)[:, 0]
    threshold = smooth.flatten(1).quantile(1 - share, dim=1)
    return (smooth > threshold[:, None, None, None]).float()


def test_relaxed_volumes_sum_to_their_counts_and_keep_the_order() -> None:
    logits = torch.randn(3, 6, 6, 6, generator=torch.Generator().manual_seed(0)) * 5
    counts = torch.tensor([5, 50, 150])
    relaxed = relax(logits, counts)
    assert relaxed.sum(dim=(1, 2, 3)).tolist() == pytest.approx(counts.tolist(), rel=0.01)
    order = logits.flatten(1).argsort(dim=1)
    assert (relaxed.flatten(1).gather(1, order).diff(dim=1) >= 0).all()


def test_relaxing_crisp_logits_gives_their_volume() -> None:
    volume = _blobs(2, 0.3)
    relaxed = relax(volume * 40 - 20, volume.sum(dim=(1, 2, 3)))
    assert torch.allclose(relaxed, volume, atol=1e-3)


def test_shifting_all_logits_has_no_gradient() -> None:
    logits = torch.randn(2, 6, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (relax(logits, torch.tensor([40, 90])) ** 2).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0.1
    assert logits.grad.sum(dim=(1, 2, 3)).abs().max() < 1e-4


def test_the_gradient_of_a_relaxed_volume_is_that_of_finite_differences() -> None:
    logits = torch.randn(1, 5, 5, 5, generator=torch.Generator().manual_seed(1))
    direction = torch.randn(1, 5, 5, 5, generator=torch.Generator().manual_seed(2))
    weights = torch.linspace(0, 1, 125).reshape(1, 5, 5, 5)
    count = torch.tensor([30])
    moved = logits.clone().requires_grad_()
    (relax(moved, count) * weights).sum().backward()
    assert moved.grad is not None
    step = 1e-2
    ahead, behind = ((relax(logits + s * direction, count) * weights).sum() for s in (step, -step))
    assert (moved.grad * direction).sum().item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=0.03)


def test_soft_histogram_counts_and_differentiates() -> None:
    value = torch.tensor([[0.0, 0.25, 1.0, 0.1]], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([[1.0, 2.0, 3.0, 0.5]], dtype=torch.float64, requires_grad=True)
    counts = _SoftHistogram.apply(weight, value, 2)
    assert counts[0].tolist() == pytest.approx([1 + 1 + 0.4, 1 + 0.1, 3])
    inner = torch.tensor([[0.13, 0.37, 0.81, 0.66]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w, v: _SoftHistogram.apply(w, v, 2), (weight, inner))


def test_statistics_count_what_they_say() -> None:
    volume = torch.zeros(1, 12, 12, 12)
    volume[0, 3:5, 3:5, 3:5] = 1
    found = local_statistics(volume)[0]
    pairs = found[0].item() * 8
    assert pairs == pytest.approx(4)  # twelve pairs of neighbours, a third of them along each axis
    assert found[7].item() * 8 == pytest.approx(2)  # six squares, a third of them across each axis
    along = 12  # numbers that each axis has: seven runs, squares, four lags
    assert found[along : 4 * along].abs().max() < 1e-6  # no axis differs from the mean of the three
    cubes, euler_6 = (found[4 * along + i].item() * 8 for i in range(2))
    assert (cubes, euler_6) == pytest.approx((1, 1))


def test_statistics_turn_with_the_volume() -> None:
    volume = _blobs(3, 0.2)
    turned = volume.permute(0, 3, 1, 2).flip(1)
    plain, other = local_statistics(volume), local_statistics(turned)
    along = 12
    mean, each = plain[:, :along], plain[:, along : 4 * along].unflatten(1, (3, along))
    assert each.abs().max() > 0.01
    turned_each = other[:, along : 4 * along].unflatten(1, (3, along))
    assert torch.allclose(each[:, [2, 0, 1]], turned_each, rtol=0.02, atol=0.002)
    assert torch.allclose(mean, other[:, :along], rtol=0.02, atol=0.02)
    rest = [at for at in range(4 * along, plain.shape[1]) if at - 4 * along not in (4, 5, 6, 8, 9, 10)]  # nor by axis
    assert torch.allclose(plain[:, rest], other[:, rest], rtol=0.02, atol=0.02)


def test_flow_of_an_open_volume_is_that_of_a_resistor_and_a_plug_stops_it() -> None:
    volume = torch.ones(2, 12, 12, 12)
    assert (_flow(volume) ** 2).flatten().tolist() == pytest.approx([16 / 5] * 6, rel=0.01)  # 16 rows of five bonds
    volume[1, 6] = 0
    found = _flow(volume)[1] ** 2
    assert found[0] < 0.1
    assert found[1].item() == pytest.approx(found[2].item(), rel=1e-5)


def test_flow_is_differentiated_as_power_by_conductance(monkeypatch) -> None:
    monkeypatch.setattr(statistics, "RELAXATIONS", 200)
    volume = torch.rand(1, 9, 9, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.5 + 0.5
    volume.requires_grad_()
    _flow(volume).sum().backward()
    found = volume.grad
    assert found is not None
    with torch.no_grad():
        step = 0.02  # sums are in float32
        for at in ((0, 4, 4, 4), (0, 0, 2, 8), (0, 3, 2, 6)):
            more, less = volume.clone(), volume.clone()
            more[at] += step
            less[at] -= step
            slope = (_flow(more) - _flow(less)).sum() / (2 * step)
            assert found[at].item() == pytest.approx(slope.item(), rel=0.03, abs=3e-4)


def test_statistics_are_finite_for_volumes_without_pore_and_without_solid() -> None:
    for volume in (torch.zeros(1, 4, 5, 6), torch.ones(1, 4, 5, 6)):
        assert local_statistics(volume).isfinite().all()


def test_the_score_of_the_true_distribution_is_the_least() -> None:
    noise = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 8, 1, generator=noise)

    def score(shift: float, spread: float) -> float:
        first, second = (torch.randn(4000, 1, generator=noise) * spread + shift for _ in range(2))
        return crps(first, second, real).mean().item()

    true = score(0, 1)
    assert true == pytest.approx(1 / np.sqrt(np.pi), abs=0.03)
    assert all(score(*wrong) > true + 0.02 for wrong in ((0.5, 1), (0, 0.4), (0, 2)))


def test_real_volumes_score_better_than_coarser_ones() -> None:
    real = torch.cat([_blobs(40, share, seed=i) for i, share in enumerate((0.1, 0.2, 0.3))])
    density = torch.cat([torch.full((40,), share) for share in (0.1, 0.2, 0.3)])
    density = density + torch.linspace(0, 0.01, 120)
    texture = RealTexture(real, density)
    asked = torch.full((30,), 0.205)
    like = texture.like(asked, 8, torch.Generator().manual_seed(0))
    fresh, more = _blobs(30, 0.2, seed=8), _blobs(30, 0.2, seed=9)
    coarse = fresh[:, ::2, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    honest = texture.energy_score(fresh, more, asked, like).mean()
    assert texture.energy_score(coarse, coarse.flip(0), asked, like).mean() > 2 * honest
    assert texture.energy_score(fresh, fresh, asked, like).mean() > honest  # the same volume twice has no spread
