"""Generative adversarial networks as generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from ..lattice_generator import OnePass
from ..lattice_network import TOLD

if TYPE_CHECKING:
    from ..lattice_module import LatticeModule


@dataclass(kw_only=True, eq=False, repr=False)
class Adversarial(OnePass):
    """Base of generators that learn to draw what a critic cannot tell from real.

    The critic gives a number to a volume and its condition. Network and critic learn from the difference between the
    numbers of a drawn and a real volume of the same condition, and the critic's slope at both is penalised, which keeps
    the two in balance.

    Args:
        width: feature channels on the lattice.
        blocks: residual blocks.
        critic_width: feature channels of the critic's first layer.
        penalty: weight of the squared slope of the critic at real and drawn volumes.
        epochs: fifty batches each.
        batch_size: volumes a batch.
        learning_rate: peak of the schedule, for network and critic.
        weight_decay: of AdamW.
    """

    trained_on_request: ClassVar[bool] = True

    width: int = 64
    blocks: int = 4
    critic_width: int = 64
    penalty: float = 1.0
    epochs: int = 400
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.0


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(Adversarial):
    """Generative adversarial network, conditional and convolutional in three dimensions.

    Each draw is one pass, so it is fast. The critic teaches no more than what tells draws from real volumes at the
    moment, so the balance may never settle: seeds differ, and rare kinds of volumes may be left out. Arguments as for
    ``Adversarial``.

    References:
        Mosser, Dubrule & Blunt (2017), Reconstruction of three-dimensional porous media using generative adversarial
        neural networks, doi:10.1103/PhysRevE.96.043309; Huang et al. (2024), The GAN is dead; long live the GAN!,
        arXiv:2501.05441.
    """

    name: ClassVar[str] = "gan"

    critic_width: int = 32
    penalty: float = 10.0

    def _module(self, *known: Any) -> LatticeModule:
        from .module import Critic, VolumeModule  # noqa: PLC0415 - Lightning takes long to import

        return VolumeModule(Critic(nn.Conv3d, TOLD, self.critic_width), self.penalty, *known)


@dataclass(kw_only=True, eq=False, repr=False)
class SliceGAN(Adversarial):
    """Generative adversarial network that learns volumes from two-dimensional slices alone.

    The critic sees slices across each axis of drawn volumes, and slices of real ones, as micrographs would give them;
    what no slice shows, such as what connects in three dimensions, is left to the network. Arguments as for
    ``Adversarial``.

    References:
        Kench & Cooper (2021), Generating three-dimensional structures from a two-dimensional slice with generative
        adversarial network-based dimensionality expansion, doi:10.1038/s42256-021-00322-1.
    """

    name: ClassVar[str] = "slice-gan"

    def _module(self, *known: Any) -> LatticeModule:
        from .module import Critic, SliceModule  # noqa: PLC0415 - Lightning takes long to import

        return SliceModule(Critic(nn.Conv2d, TOLD + 3, self.critic_width), self.penalty, *known)
