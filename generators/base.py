"""The contract of a generator: what every row of the table can do, and the checks done once for all of them.

A new generator derives from :class:`Generator`, writes ``_fit`` and ``_sample``, and gets everything else:
checked input and output, seeding, saving and loading, voxel-wise occupancy.

Every public method makes one ``numpy.random.Generator`` of ``rng``, and nothing else is random. ``_sample`` spawns a
stream for each volume from it (``rng.spawn``) and copies what it draws to the device. So a volume depends on the seed
and on its place in the list alone; batches, threads and, but for rounding, the device change nothing.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError
from torch.nn import functional

from .machine import Precision
from .porosity_law import PorosityLaw
from .stored import check_axes, check_params, check_sizes, check_stored_shape, parse_header

Floats = NDArray[np.float64]
Shape = tuple[int, int, int]
Rng = int | np.random.Generator | None
Streams = Sequence[np.random.Generator]
"""Sources of random numbers, one for each volume."""

FORMAT = 1
SPENT = "seconds"
"""File in a generator's ``checkpoints`` that says how long the interrupted fit took so far."""
_DAMAGE = (SafetensorError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors that reading a damaged file raises."""


class Generator(ABC):
    """A conditional source of porous volumes.

    The constructor takes keyword hyper-parameters with defaults, stores each unchanged under its own name and does no
    work. Learnt attributes are set by ``_fit`` and end in ``_``; NumPy arrays and JSON values among them are saved and
    loaded without further code.

    Attributes:
        name: what the registry, the tables and the command line call it.
        any_shape: False if it can draw the training shape only.
        devices: torch device types it can sample on.
        trained_on_request: True if it trains for hours, so that ``evaluate`` must not do so unasked.
        trained_on: descriptors that the fit makes agree with those of the training volumes, or close relatives of them;
            tables mark them, and show the score without them.
        axes: axes of each learnt array, as ``stored.check_axes`` takes them, to refuse damaged files; None for any.
        precision: number format asked for in which a network multiplies; "auto" takes one that the device is fast at.
        law_: the number of pore voxels of the training volumes as a function of density.
        shape_: depth, height and width of the training volumes.
        validation: argument of ``fit``, for ``_fit`` to read while it runs; so are the next three.
    """

    name: ClassVar[str]
    any_shape: bool = True
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    trained_on_request: ClassVar[bool] = False
    trained_on: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[Mapping[str, str] | None] = None

    law_: PorosityLaw
    shape_: Shape
    device: str = "cpu"
    precision: Precision = "auto"
    validation: tuple[NDArray[np.bool_], Floats] | None = None
    checkpoints: Path | None = None
    machines: tuple[int, int] = (1, 1)
    show_progress: bool = False

    # --- what a new generator writes -------------------------------------------------------------------------

    @abstractmethod
    def _fit(self, volumes: NDArray[np.bool_], density: Floats, rng: np.random.Generator) -> None:
        """Learn from volumes bool [n, D, H, W] with density float64 [n]; ``law_`` and ``shape_`` are set before."""

    @abstractmethod
    def _sample(self, density: Floats, shape: Shape, rng: np.random.Generator) -> NDArray[np.bool_] | torch.Tensor:
        """Return one realisation a density, in order: bool [len(density), *shape]."""

    def _reconstruct(self, volumes: NDArray[np.bool_], density: Floats) -> NDArray[np.bool_] | torch.Tensor:
        """Return the generator's best rendering of given volumes, bool of the same shape. Optional."""
        raise NotImplementedError(f"{self.name} cannot reconstruct volumes")

    def _get_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return learnt arrays and JSON values by name. Override where ``_`` attributes are neither."""
        learnt = {
            key: value for key, value in vars(self).items() if key.endswith("_") and key not in {"law_", "shape_"}
        }
        arrays = {key: value for key, value in learnt.items() if isinstance(value, np.ndarray)}
        return arrays, {key: value for key, value in learnt.items() if key not in arrays}

    def _set_state(self, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
        """Set what ``_get_state`` returned. Must not take memory for more than the arrays hold."""
        if self.axes is not None:
            check_axes(self.axes, arrays, self.shape_)
        for key, value in {**arrays, **values}.items():
            if key.startswith("_") or not key.endswith("_"):
                raise ValueError(f"{key!r} is no learnt attribute")
            setattr(self, key, value)

    # --- what everyone calls ---------------------------------------------------------------------------------

    @final
    def fit(
        self,
        volumes: ArrayLike,
        density: ArrayLike,
        *,
        rng: Rng = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        checkpoints: Path | None = None,
        machines: tuple[int, int] = (1, 1),
        show_progress: bool = False,
    ) -> Self:
        """Learn from real volumes.

        A generator that is fitted in seconds ignores all but the first three arguments.

        Args:
            volumes: bool [n, depth, height, width], True = pore; n ≥ 1.
            density: float [n] in [0, 1].
            rng: seed or ``numpy.random.Generator``; None draws fresh entropy.
            validation: held-out volumes bool [m, depth, height, width] and their densities [m], which may end the fit
                early; nothing is learnt from them. None: the fit runs to its end.
            checkpoints: folder where the fit keeps its state, to be resumed after an interruption; None keeps none.
            machines: devices on a machine, and machines, that the fit may spread over.
            show_progress: draw a progress bar.

        Returns:
            The generator itself.

        Raises:
            TypeError: if volumes are not boolean.
            ValueError: if shapes disagree, a set is empty, or a density lies outside [0, 1].
        """
        voxels, densities = _check_volumes(volumes, density)
        held_out = None if validation is None else _check_volumes(*validation)
        if held_out is not None and held_out[0].shape[1:] != voxels.shape[1:]:
            raise ValueError(
                f"validation volumes of {held_out[0].shape[1:]} do not go with volumes of {voxels.shape[1:]}"
            )
        self.shape_ = check_sizes(voxels.shape[1:])
        self.law_ = PorosityLaw.fit(densities, np.count_nonzero(voxels, axis=(1, 2, 3)), voxels[0].size)
        self.validation, self.checkpoints = held_out, checkpoints
        self.machines, self.show_progress = machines, show_progress
        try:
            self._fit(voxels, densities, np.random.default_rng(rng))
        finally:
            del self.validation, self.checkpoints, self.machines, self.show_progress
        return self

    @final
    def sample(
        self, density: ArrayLike, n: int | None = None, *, shape: Shape | None = None, rng: Rng = None
    ) -> NDArray[np.bool_]:
        """Draw realisations: sixteen at one density by ``sample(0.5, 16)``, one for each entry by ``sample([...])``.

        Args:
            density: one density, or float [n], in [0, 1].
            n: realisations of a single density, 1 by default.
            shape: depth, height and width in voxels; default is the training shape.
            rng: seed or ``numpy.random.Generator``; None draws fresh entropy. The same seed on the same machine
                gives the same voxels.

        Returns:
            bool [n, depth, height, width] in host memory, True = pore, in the order of ``density``.

        Raises:
            NotFittedError: before ``fit`` or ``load``.
            ValueError: if a density lies outside [0, 1], ``n`` is not a positive number, or this generator cannot
                extrapolate to ``shape``.
        """
        self._check_fitted()
        densities = _check_density(density, n)
        target = self._check_shape(shape)
        drawn = self._sample(densities, target, np.random.default_rng(rng))
        return _to_volumes(drawn, (len(densities), *target), self.name)

    @final
    def probability(self, density: float, n: int = 64, *, shape: Shape | None = None, rng: Rng = None) -> Floats:
        """Return the voxel-wise probability of pore at a density, from an ensemble of n realisations.

        Returns:
            float64 [depth, height, width] in [0, 1]; its standard error is at most 0.5/√n.
        """
        occupancy: Floats = self.sample(density, n, shape=shape, rng=rng).mean(axis=0, dtype=np.float64)
        return occupancy

    @property
    def reconstructs(self) -> bool:
        """Return True if ``reconstruct`` is available."""
        return type(self)._reconstruct is not Generator._reconstruct

    @final
    def reconstruct(self, volumes: ArrayLike, density: ArrayLike) -> NDArray[np.bool_]:
        """Render given volumes through the generator (encode and decode), with n(density) pore voxels each.

        Args:
            volumes: bool [n, depth, height, width].
            density: float [n] in [0, 1].

        Returns:
            bool [n, depth, height, width].

        Raises:
            NotFittedError: before ``fit`` or ``load``.
            NotImplementedError: if the generator has no encoder.
            TypeError: if ``volumes`` is not boolean.
            ValueError: if shapes disagree or differ from what the generator can encode.
        """
        self._check_fitted()
        voxels, densities = _check_volumes(volumes, density)
        self._check_shape(voxels.shape[1:])
        return _to_volumes(self._reconstruct(voxels, densities), voxels.shape, self.name)

    @property
    def number_format(self) -> str | None:
        """Return the name of the number format in which a network multiplies; None for other generators."""
        return None

    @final
    def to(self, device: str, precision: Precision | None = None) -> Self:
        """Move sampling to a torch device.

        Args:
            device: of torch.
            precision: number format in which a network multiplies from now on; None leaves it as it is.

        Raises:
            ValueError: if the generator does not run there.
            RuntimeError: if the device is not available; there is no silent fall-back to the CPU.
        """
        kind = torch.device(device).type
        if kind not in self.devices:
            raise ValueError(f"{self.name} samples on {' or '.join(self.devices)}, not on {device}")
        if kind == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"device {device} was asked for, but torch finds no CUDA device on this machine")
        self.device = device
        self.precision = precision or self.precision
        if hasattr(self, "shape_"):
            self._move()
        return self

    def _move(self) -> None:  # noqa: B027 - optional
        """Move learnt tensors, where there are any, to ``self.device``."""

    @final
    def save(self, path: str | Path) -> None:
        """Write hyper-parameters and learnt state to one safetensors file: arrays and JSON, no code."""
        self._check_fitted()
        arrays, values = self._get_state()
        header = {
            "format": FORMAT,
            "generator": self.name,
            "params": self.params,
            "shape": list(self.shape_),
            "law": asdict(self.law_),
            "values": values,
        }
        try:
            text = json.dumps(header, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{self.name} cannot be saved: learnt attributes must be NumPy arrays or JSON values ({error}); "
                "else override _get_state and _set_state"
            ) from error
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        contiguous = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        save_file(contiguous, str(path), metadata={"porebench": text})

    @final
    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Return the generator in a file of ``save``. Runs no code of the file; takes memory in proportion to its size.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file is not a saved generator of this class.
            RuntimeError: if ``device`` is not available.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no saved generator at {path}; `porebench train {cls.name}` makes one")
        try:
            with safe_open(str(path), framework="np") as file:
                header = parse_header((file.metadata() or {})["porebench"], len(file.keys()))
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            if header["format"] != FORMAT or header["generator"] != cls.name:
                raise ValueError(f"it holds a {header['generator']!r} in format {header['format']}")
            check_params(cls, header["params"])
            generator = cls(**header["params"])
            generator.shape_ = check_stored_shape(header["shape"])
            generator.law_ = PorosityLaw(**header["law"])
            generator._set_state(arrays, header["values"])
        except _DAMAGE as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"{path} is not a saved {cls.name} generator: {reason}") from error
        return generator.to(device)

    @property
    def params(self) -> dict[str, Any]:
        """Return the hyper-parameters by name, as the constructor took them."""
        return {key: getattr(self, key) for key in inspect.signature(type(self)).parameters}

    @final
    def altered(self, **params: Any) -> Self:
        """Return a copy that has other hyper-parameters and shares the learnt state.

        Raises:
            TypeError: if there is no such hyper-parameter.
        """
        if unknown := params.keys() - self.params.keys():
            raise TypeError(
                f"{self.name} has no {', '.join(sorted(unknown))}; it has {', '.join(self.params) or 'none'}"
            )
        other = type(self)(**{**self.params, **params})
        other.__dict__ = vars(self) | vars(other)
        return other

    @final
    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={value!r}" for key, value in self.params.items())
        return f"{type(self).__name__}({inside})"

    def _check_fitted(self) -> None:
        if not hasattr(self, "shape_"):
            raise NotFittedError(f"{self.name} is not fitted; call fit or load first")

    def _check_shape(self, shape: tuple[int, ...] | None) -> Shape:
        if shape is None:
            return self.shape_
        sizes = check_sizes(shape)
        if sizes != self.shape_ and not self.any_shape:
            raise ValueError(f"{self.name} cannot extrapolate: fitted on {self.shape_}, asked for {sizes}")
        return sizes


def _check_volumes(volumes: ArrayLike, density: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    voxels = np.asarray(volumes)
    if voxels.dtype != np.bool_:
        raise TypeError(f"volumes must be boolean with True = pore, got dtype {voxels.dtype}")
    if voxels.ndim != 4 or 0 in voxels.shape:
        raise ValueError(f"volumes must have shape [n, depth, height, width] with n ≥ 1, got {voxels.shape}")
    densities = _check_density(density)
    if len(densities) != len(voxels):
        raise ValueError(f"density must have one entry for each of {len(voxels)} volumes, got {len(densities)}")
    return voxels, densities


def _check_density(density: ArrayLike, n: int | None = None) -> Floats:
    try:
        values = np.asarray(density, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"density must be a number or a list of numbers, got {density!r}") from error
    if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
        raise ValueError(f"n must be a positive whole number, got {n!r}")
    if values.ndim == 0:
        values = np.full(1 if n is None else n, values)
    elif n is not None:
        raise ValueError("n goes with a single density; a list of densities already says how many")
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"density must be a number or a non-empty list of numbers, got shape {values.shape}")
    outside = ~((values >= 0) & (values <= 1))
    if outside.any():
        raise ValueError(f"density must lie in [0, 1], got {values[outside][0]}")
    return values


def _to_volumes(drawn: NDArray[Any] | torch.Tensor, expected: tuple[int, ...], name: str) -> NDArray[np.bool_]:
    """Return what a generator drew as booleans of the expected shape; refuse what has no plain meaning as that.

    Numbers 0 and 1 are taken for solid and pore, and a channel of length one is left out.
    """
    array = _to_host(drawn.detach()) if isinstance(drawn, torch.Tensor) else np.asarray(drawn)
    if array.dtype != np.bool_:
        held, advice = "", ""
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            held = " with NaN or infinite values"
        elif array.dtype.kind not in "iuf":
            advice = "; return an array or a tensor, `np.stack(list(volumes))`"
        elif not np.all((array == 0) | (array == 1)):
            held = " with values other than 0 and 1"
            advice = "; cut it, `drawn > 0.5`" if array.dtype.kind == "f" else "; compare it, `drawn == 255`"
        if held or advice:
            raise TypeError(f"{name} must draw boolean voxels with True = pore, got dtype {array.dtype}{held}{advice}")
        array = array.astype(np.bool_)
    if array.ndim == len(expected) + 1 and 1 in array.shape[1:]:
        array = array.squeeze(1 + array.shape[1:].index(1))
    if array.shape != expected:
        raise ValueError(f"{name} drew an array of shape {array.shape}, expected {expected}")
    return array


def _to_host(drawn: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as an array; voxels travel from a device as bits, an eighth of their bytes."""
    if drawn.device.type == "cpu" or drawn.dtype != torch.bool:
        array: NDArray[Any] = drawn.cpu().numpy()
        return array
    flat = functional.pad(drawn.flatten().view(torch.uint8), (0, -drawn.numel() % 8)).view(-1, 8)
    place = torch.arange(8, dtype=torch.uint8, device=drawn.device)
    packed = (flat << place).sum(dim=1, dtype=torch.uint8).cpu().numpy()
    voxels = np.unpackbits(packed, count=drawn.numel(), bitorder="little")
    return voxels.view(np.bool_).reshape(drawn.shape)
