"""A classifier two-sample test on raw voxels: a small convolutional network that no descriptor has told what to see."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from porebench.data.symmetry import symmetries, transform

from .descriptor_classifier import fold_auc, fold_of
from .estimate import Estimate

FOLDS = 3
EPOCHS = 8
BATCH = 32
WIDTH = 12
LEARNING_RATE = 4e-3


def voxel_auc(
    generated: NDArray[np.bool_],
    real: NDArray[np.bool_],
    generated_density: NDArray[np.float64],
    real_density: NDArray[np.float64],
    seed: int,
    *,
    progress: Callable[[int], object] | None = None,
) -> Estimate | None:
    """Return the AUC of a small 3-D network between generated and real volumes, 3-fold; None with too few densities.

    Three convolutions of stride 2 and the mean and maximum over space; each training volume is turned or mirrored at
    random each time it is shown. 0.5 = no difference was found, which a larger network might find.

    Args:
        generated: bool [n, depth, height, width].
        real: bool [m, depth, height, width].
        generated_density: what was asked for, [n].
        real_density: of the real volumes, [m].
        seed: of folds, weights and order. Same seed, same machine and threads: same result.
        progress: called with 1 after each of ``FOLDS`` folds.

    References:
        Lopez-Paz and Oquab (2017), doi:10.48550/arXiv.1610.06545.
    """
    volumes = np.concatenate([generated, real])
    labels = np.repeat([True, False], [len(generated), len(real)])
    fold = fold_of(np.concatenate([generated_density, real_density]), labels, FOLDS, seed)
    if fold is None:
        return None
    decision = np.empty(len(labels))
    for index in range(FOLDS):
        held_out = fold == index
        rng = np.random.default_rng([seed, index])
        network = _train(volumes[~held_out], labels[~held_out], rng)
        decision[held_out] = _decide(network, volumes[held_out])
        if progress is not None:
            progress(1)
    return fold_auc(decision, labels, fold)


class _Network(nn.Module):
    """Logit of "generated" from volumes [n, 1, depth, height, width] in {−1, 1}."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, WIDTH, 2 * WIDTH, 2 * WIDTH)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv3d(before, after, 3, stride=2, padding=1), nn.BatchNorm3d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(2 * widths[-1], 1)

    def forward(self, volumes: Tensor) -> Tensor:
        seen: Tensor = self.features(volumes).flatten(2)
        pooled = torch.cat([seen.mean(dim=2), seen.amax(dim=2)], dim=1)
        logits: Tensor = self.head(pooled)[:, 0]
        return logits


def _train(volumes: NDArray[np.bool_], labels: NDArray[np.bool_], rng: np.random.Generator) -> _Network:
    """Return a network fitted on labelled volumes; torch's global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        network = _Network()
    turns = symmetries(volumes.shape[1:])
    steps = EPOCHS * -(-len(volumes) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    target = torch.from_numpy(labels.astype(np.float32))
    for _ in range(EPOCHS):
        for chosen in np.array_split(rng.permutation(len(volumes)), -(-len(volumes) // BATCH)):
            turned = transform(volumes[chosen], turns[rng.integers(len(turns))])
            loss = nn.functional.binary_cross_entropy_with_logits(network(_tensor(turned)), target[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def _decide(network: _Network, volumes: NDArray[np.bool_]) -> NDArray[np.float64]:
    parts = [network(_tensor(volumes[start : start + 128])) for start in range(0, len(volumes), 128)]
    return torch.cat(parts).double().numpy()


def _tensor(volumes: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(volumes.astype(np.float32) * 2 - 1)[:, None]
