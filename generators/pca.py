"""Principal components of the voxels: the simplest learnt generator, and the floor for learnt reconstruction."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from .base import Floats, Generator, Shape
from .binarise import keep_highest

Floats32 = NDArray[np.float32]

_CHUNK = 2**22
"""Voxels in memory at a time, one volume excepted."""


class PCASampler(Generator):
    """Volumes spanned by the principal components of the training voxels, the n(d) highest voxels pore.

    Each training volume has one score for each component. At density d scores are drawn from a normal law whose mean is
    a locally weighted straight line through the training scores, and whose covariance is that of the residuals of the
    training volumes, weighted by a Gaussian kernel around d. Correlations between scores are kept; what is lost is
    all that a linear map of Gaussian numbers cannot make, sharp pores among it.

    Reconstruction projects on the components and keeps the n(d) highest voxels.

    Args:
        n_components: number of components, at most one less than there are training volumes.
        bandwidth: standard deviation of the kernel, in density.

    References:
        I. T. Jolliffe (2002). Principal Component Analysis, 2nd ed., Springer. doi:10.1007/b98835
        N. Halko, P. G. Martinsson, J. A. Tropp (2011). Finding structure with randomness: probabilistic algorithms for
        constructing approximate matrix decompositions. SIAM Rev. 53, 217-288. doi:10.1137/090771806
        J. Fan (1993). Local linear regression smoothers and their minimax efficiencies. Ann. Statist. 21, 196-216.
        doi:10.1214/aos/1176349022
    """

    name = "pca"
    any_shape = False
    devices = ("cpu", "cuda")
    axes: ClassVar[dict[str, str]] = {
        "mean_": "voxels",
        "components_": "k? voxels",
        "scores_": "n k?",
        "residuals_": "n k?",
        "density_": "n",
    }

    mean_: Floats32
    components_: Floats32
    scores_: Floats
    residuals_: Floats
    density_: Floats

    _on_device: tuple[torch.Tensor, torch.Tensor] | None = None

    def __init__(self, *, n_components: int = 128, bandwidth: float = 0.05) -> None:
        self.n_components = n_components
        self.bandwidth = bandwidth

    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        if self.n_components < 1:
            raise ValueError(f"n_components must be at least 1, got {self.n_components}")
        if not self.bandwidth > 0:
            raise ValueError(f"bandwidth must be positive, got {self.bandwidth}")
        flat = volumes.reshape(len(volumes), -1)
        rank = min(self.n_components, len(flat) - 1, flat.shape[1] - 1)
        self.mean_ = flat.mean(axis=0, dtype=np.float64).astype(np.float32)
        if rank < 1 or np.all(flat == flat[0]):
            self.components_ = np.zeros((0, flat.shape[1]), dtype=np.float32)
            self.scores_ = np.zeros((len(flat), 0))
        else:
            pca = PCA(rank, svd_solver="randomized", random_state=int(rng.integers(2**31)))
            self.scores_ = pca.fit_transform(flat.astype(np.float32)).astype(np.float64)
            self.components_ = np.ascontiguousarray(pca.components_, dtype=np.float32)
        self.density_ = density.copy()
        self.residuals_ = self.scores_ - self._expected(density)[0].numpy()
        self._on_device = None

    def _expected(self, density: Floats) -> tuple[torch.Tensor, Floats]:
        """Return the mean of the scores [n, components] at each density, and its weights [n, training volumes]."""
        away = self.density_ - density[:, None]
        exponent = -0.5 * (away / self.bandwidth) ** 2
        weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        first = np.sum(weight * away, axis=1, keepdims=True)
        second = np.sum(weight * away**2, axis=1, keepdims=True)
        # A slope needs volumes on a range of densities: a ridge as large as a tenth of the bandwidth replaces it else.
        tilt = weight * (away - first) / (second - first**2 + (0.1 * self.bandwidth) ** 2)
        line = weight - np.clip(first, -3 * self.bandwidth, 3 * self.bandwidth) * tilt
        return _weigh(line, self.scores_), weight

    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> torch.Tensor:  # noqa: ARG002
        mean, weight = self._expected(density)
        white = np.stack([stream.standard_normal(weight.shape[1]) for stream in rng.spawn(len(density))])
        return self._render(mean + _weigh(np.sqrt(weight) * white, self.residuals_), density)

    def _reconstruct(self, volumes: NDArray[np.bool_], density: Floats) -> torch.Tensor:
        mean, components = self._tensors()
        scores = []
        for rows in self._chunks(len(volumes)):
            flat = torch.as_tensor(volumes[rows].reshape(-1, len(self.mean_)).astype(np.float32), device=self.device)
            scores.append((flat - mean) @ components.T)
        return self._render(torch.cat(scores), density)

    def _render(self, scores: torch.Tensor, density: Floats) -> torch.Tensor:
        """Return volumes with given scores [n, components] and the porosity law's number of pore voxels."""
        mean, components = self._tensors()
        counts = self.law_.pore_voxels(density, len(self.mean_))
        drawn = torch.empty((len(scores), *self.shape_), dtype=torch.bool, device=self.device)
        for rows in self._chunks(len(scores)):
            part = scores[rows].to(self.device, torch.float32)
            values = _product(part, components, mean).reshape(-1, *self.shape_)
            keep_highest(values, counts[rows], out=drawn[rows])
        return drawn

    def _chunks(self, n: int) -> list[slice]:
        step = max(1, _CHUNK // len(self.mean_))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

    def _tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and components on the device."""
        if self._on_device is None:
            mean, components = (torch.as_tensor(each, device=self.device) for each in (self.mean_, self.components_))
            self._on_device = mean, components
        return self._on_device

    def _move(self) -> None:
        self._on_device = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_on_device": None}


def _product(left: torch.Tensor, right: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Return a matrix product plus an offset; a single row is doubled, to be summed in the order of one of many."""
    return torch.addmm(offset, left.expand(max(len(left), 2), -1), right)[: len(left)]


def _weigh(weight: Floats, values: Floats) -> torch.Tensor:
    """Return sums of rows of values [k, m] with weights [n, k], by torch, with whose threads NumPy's would compete."""
    zero = torch.zeros(1, dtype=torch.float64)
    return _product(torch.as_tensor(weight), torch.as_tensor(values), zero)
