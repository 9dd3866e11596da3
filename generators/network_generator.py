"""Base class of generators that are a network, without what only their training needs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .base import Generator, Shape
from .machine import DECODED, product_format
from .walls import empty_layers, profile


class NetworkGenerator(Generator):
    """Base of generators that are a network: number format, device, and what all of them learn besides weights.

    Attributes:
        network_: trained, in evaluation mode.
        margin_: layers next to the walls without a pore in the training volumes.
        unbounded_: True if the training volumes are cut from a medium without walls.
        walls_stay_empty: True if layers next to the walls without a pore in the training volumes get none in draws.
        epochs_: of each phase of the training.
        minutes: after which the training is to be over, its schedule as short as that; None for no limit.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    walls_stay_empty: ClassVar[bool] = True

    minutes: float | None = None
    network_: nn.Module
    margin_: int
    unbounded_: bool
    epochs_: dict[str, int]

    @abstractmethod
    def _build(self) -> nn.Module:
        """Return an untrained network for volumes of ``shape_``, its weights from torch's current random state."""

    @property
    def number_format(self) -> str:
        """Return the name of the number format in which the network multiplies on its device."""
        return str(product_format(torch.device(self.device).type, self.precision)).removeprefix("torch.")

    def _move(self) -> None:
        self.network_.to(self.device)

    def _built(self, rng: np.random.Generator) -> Any:
        """Return an untrained network, its weights at random."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**63)))
            return self._build()

    def _learnt(self, network: nn.Module, epochs: dict[str, int], volumes: NDArray[np.bool_]) -> None:
        """Take over a trained network, and what its training volumes [n, D, H, W] say of walls."""
        self.network_, self.epochs_ = network, epochs
        round_to_half(network)
        self._move()
        self.margin_ = empty_layers(volumes) if self.walls_stay_empty else 0
        self.unbounded_ = profile(volumes)[1] == 0

    def _restored(self, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Return the network of arrays of ``weights_to_arrays``, to draw with.

        Raises:
            ValueError: if it states more blocks than there are arrays.
            RuntimeError: if names or shapes differ.
        """
        if max((value for key, value in self.params.items() if key.endswith("blocks")), default=0) > len(arrays):
            raise ValueError(f"its {len(arrays)} arrays are too few for so many blocks")
        with torch.device("meta"):  # takes no memory, whatever sizes the file states
            network = self._build()
        tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
        network.load_state_dict(tensors, assign=True)
        return network.requires_grad_(False).to(memory_format=torch.channels_last_3d).eval()  # type: ignore[call-overload]

    def _chunks(self, count: int, shape: Shape) -> Iterator[slice]:
        """Yield rows of volumes [count, *shape] that are drawn at a time."""
        step = max(1, DECODED[torch.device(self.device).type] // int(np.prod(shape)))
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Keep no gradients, and multiply in the number format, meanwhile."""
        kind = torch.device(self.device).type
        used = product_format(kind, self.precision)
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=used == torch.bfloat16):
            yield

    def _known(self) -> dict[str, Any]:
        """Return what is saved beside weights and arrays."""
        return {key: getattr(self, key) for key in ("margin_", "unbounded_", "epochs_")}

    def _set_known(self, values: dict[str, Any]) -> None:
        """Set what ``_known`` returned.

        Raises:
            ValueError: if there are as many empty layers as layers.
        """
        self.margin_, self.unbounded_ = int(values["margin_"]), bool(values["unbounded_"])
        if not 0 <= self.margin_ < min(self.shape_):
            raise ValueError(f"it states {self.margin_} empty layers of {min(self.shape_)}")
        self.epochs_ = {str(phase): int(epochs) for phase, epochs in values["epochs_"].items()}


def accelerator() -> str:
    """Return the type of device that networks are trained on: "cuda" where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def round_to_half(network: nn.Module) -> None:
    """Round weights to half precision, in which they are saved."""
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half())


def weights_to_arrays(network: nn.Module) -> dict[str, NDArray[Any]]:
    """Return the weights of a network by name, floating point ones in half precision."""
    state = {key: value.cpu() for key, value in network.state_dict().items()}
    return {key: (value.half() if value.is_floating_point() else value).numpy() for key, value in state.items()}
