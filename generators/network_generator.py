"""Base class of generators that are a network, without what only their training needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import nn

from .base import Generator
from .machine import product_format


class NetworkGenerator(Generator):
    """Base of generators that are a network: number format, device, and what all of them learn besides weights.

    Attributes:
        network_: trained, in evaluation mode.
        margin_: layers next to the walls without a pore in the training volumes.
        unbounded_: True if the training volumes are cut from a medium without walls.
        epochs_: of each phase of the training.
        minutes: after which the training is to be over, its schedule as short as that; None for no limit.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")

    minutes: float | None = None
    network_: nn.Module
    margin_: int
    unbounded_: bool
    epochs_: dict[str, int]

    @property
    def number_format(self) -> str:
        """Return the name of the number format in which the network multiplies on its device."""
        return str(product_format(torch.device(self.device).type, self.precision)).removeprefix("torch.")

    def _move(self) -> None:
        self.network_.to(self.device)

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


def weights_from_arrays(network: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give a network that was built without memory, on the device "meta", weights of ``weights_to_arrays``.

    Raises:
        RuntimeError: if names or shapes differ.
    """
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    tensors = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    network.load_state_dict(tensors, assign=True)
