"""Training of a conditional VAE with Lightning: data with symmetries, optimiser, averaged weights, interruption.

Two phases, each with its own learning-rate cycle: the network learns to reconstruct, then its prior samples are refined
against real volumes of the same density while it goes on reconstructing.
"""

from __future__ import annotations

import copy
import itertools
import json
import logging
import math
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import safetensors.torch
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from ..base import SPENT
from .loss import LossSettings, total_loss
from .network import ConditionalVAE, Shape
from .texture import RealTexture, relax

Batch = tuple[Tensor, Tensor, Tensor]

EPOCH_VOLUMES = 448
"""Volumes that an epoch shows at most, drawn anew each time: large data sets take no longer than the built-in one."""
PAIRS = 8
"""Densities a step at which a pair of prior samples is scored."""
REAL_DRAWS = 8
"""Real volumes that each pair is compared with."""
USUAL_GRADIENT = 7e-4
"""Length of the gradient of a mean over 30³ voxels of the cross-entropy by a volume's logits, late in training."""
RECENT = 50
"""Steps over which the usual length of a sample's gradient is found."""
CLIP = 0.2
"""Gradient norm, of a loss that is a mean over voxels, above which a step is shortened."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast.

    Attributes:
        epochs: passes over the training volumes, of at most ``EPOCH_VOLUMES`` each.
        batch_size: volumes a step.
        learning_rate: peak of the one-cycle schedule, or constant where ``one_cycle`` is False.
        one_cycle: warm up, then anneal to zero (Smith & Topin 2019).
        weight_decay: of AdamW.
        average: decay of the moving average of the weights that is kept; 0 keeps the last weights.
        symmetries: augment with the symmetries of the box.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    one_cycle: bool = True
    weight_decay: float = 0.0
    average: float = 0.0
    symmetries: bool = True


@dataclass(frozen=True)
class Phase:
    """One learning-rate cycle under one loss."""

    name: str
    loss: LossSettings
    settings: TrainingSettings


class SymmetricBatches(IterableDataset[Batch]):
    """Endless shuffled epochs of batches, each batch seen through one random symmetry of the box.

    The symmetries are the axis permutations that keep the shape, times the eight reflections: 48 for a cube.
    """

    def __init__(
        self, volumes: NDArray[np.bool_], condition: NDArray[np.float32], settings: TrainingSettings, seed: int
    ) -> None:
        self.volumes = torch.from_numpy(volumes.copy())
        self.condition = torch.from_numpy(condition)
        self.pores = self.volumes.flatten(1).sum(dim=1)
        self.settings = settings
        self.rng = np.random.default_rng(seed)
        shape = volumes.shape[1:]
        turns = [axes for axes in itertools.permutations(range(3)) if tuple(shape[a] for a in axes) == tuple(shape)]
        self.turns = turns if settings.symmetries else [(0, 1, 2)]

    def __len__(self) -> int:
        return math.ceil(min(len(self.volumes), EPOCH_VOLUMES) / self.settings.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rank, ranks = _place()
        order = self.rng.permutation(len(self.volumes))[:EPOCH_VOLUMES]
        for chosen in np.array_split(order, len(self)):
            index = torch.from_numpy(chosen[rank::ranks] if len(chosen) >= ranks else chosen)
            axes = self.turns[self.rng.integers(len(self.turns))]
            flips = [axis + 1 for axis in range(3) if self.settings.symmetries and self.rng.random() < 0.5]
            seen = self.volumes[index].permute(0, *(axis + 1 for axis in axes)).flip(flips)
            yield seen[:, None].float(), self.condition[index], self.pores[index]


class Clock(pl.Callback):
    """Adds the time of each epoch to a file, so that an interrupted training knows what it took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spent = float(path.read_text()) if path.is_file() else 0.0
        self.since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Write the time down."""
        if not trainer.is_global_zero:
            return
        now = time.perf_counter()
        self.spent, self.since = self.spent + now - self.since, now
        self.path.write_text(f"{self.spent:.1f}")


class VAEModule(pl.LightningModule):
    """Optimises a network under a loss; keeps a moving average of its weights.

    Args:
        network: what is trained.
        phase: loss and settings.
        batches: where the training volumes come from.
        noise: source of the latents.
        texture: what prior samples are compared with; None where the loss has no energy score.
    """

    def __init__(
        self,
        network: nn.Module,
        phase: Phase,
        batches: SymmetricBatches,
        noise: torch.Generator,
        texture: RealTexture | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False) if phase.settings.average else network
        self.loss = phase.loss
        self.settings = phase.settings
        self.batches = batches
        self.steps = phase.settings.epochs * len(batches)
        self.noise = noise
        self.texture = texture
        self.gradients: deque[float] = deque(maxlen=RECENT)

    def on_train_start(self) -> None:
        """Give each process but the first noise of its own."""
        rank, ranks = _place()
        if rank:
            self.noise.manual_seed(self.noise.initial_seed() + rank + ranks * self.global_step)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Loss of one batch."""
        voxels, condition, pores = batch
        network = cast("ConditionalVAE", self.network)
        mean, log_variance = network.encode(voxels, condition)
        latent = mean + self._normal(mean.shape) * (0.5 * log_variance).exp()
        logits = network.decode(latent, condition, cast("Shape", tuple(voxels.shape[2:])))
        epoch = self.settings.epochs * self.global_step / self.steps
        loss, terms = total_loss(self.loss, logits, voxels, mean, log_variance, epoch)
        if self.texture is not None:
            terms["energy"] = self._energy_score(condition, pores, cast("Shape", tuple(voxels.shape[2:])))
            loss = loss + terms["energy"]
        self.log_dict({"loss": loss, **terms}, prog_bar=True, batch_size=len(voxels))
        return loss

    def _normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self.noise, device=self.noise.device)

    def _energy_score(self, condition: Tensor, pores: Tensor, shape: Shape) -> Tensor:
        """Mean energy score of a pair of prior samples at each of the batch's first densities."""
        assert self.texture is not None  # noqa: S101 - for the type checker
        network = cast("ConditionalVAE", self.network)
        some = slice(0, min(PAIRS, len(condition)))
        asked, counts = condition[some].repeat(2, 1), pores[some].repeat(2)
        latent = network.from_prior(self._normal((len(asked), *network.latent_shape(shape))), asked, shape)
        logits = network.decode(latent, asked, shape)[:, 0]
        logits.register_hook(self._limit)  # type: ignore[no-untyped-call]
        first, second = relax(logits, counts).chunk(2)
        density = condition[some, 0].contiguous()
        real = self.texture.like(density, REAL_DRAWS, self.noise)
        return self.texture.energy_score(first, second, density, real).mean()

    def _limit(self, gradient: Tensor) -> Tensor:
        """Scales the gradient by each sample's logits to the weight asked for, and shortens those longer than usual.

        A single voxel changes the statistics of a sparse volume more than a cluster does those of a dense one.
        """
        length = gradient.flatten(1).norm(dim=1)
        self.gradients.append(float(length.median()))
        usual = float(np.median(self.gradients))
        scale = self.loss.energy_weight * USUAL_GRADIENT / len(gradient) / length.clamp(min=max(usual, 1e-12))
        limited: Tensor = gradient * scale[:, None, None, None]
        return limited

    def on_train_batch_end(self, *_: Any) -> None:
        """Move the average towards the new weights."""
        if self.settings.average:
            decay = min(self.settings.average, (1 + self.global_step) / (10 + self.global_step))
            for kept, new in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random states, so that a resumed training goes on as if it had not been interrupted."""
        checkpoint["noise"] = self.noise.get_state()
        checkpoint["order"] = json.dumps(self.batches.rng.bit_generator.state)
        checkpoint["gradients"] = list(self.gradients)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the random states up again."""
        self.noise.set_state(checkpoint["noise"])
        self.batches.rng.bit_generator.state = json.loads(checkpoint["order"])
        self.gradients.extend(checkpoint["gradients"])

    def configure_optimizers(self) -> Any:
        """AdamW, with the one-cycle schedule where asked for."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        if not self.settings.one_cycle:
            return optimizer
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.settings.learning_rate, total_steps=self.steps, pct_start=0.1, cycle_momentum=False
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(
    network: nn.Module,
    volumes: NDArray[np.bool_],
    condition: NDArray[np.float32],
    phases: Sequence[Phase],
    rng: np.random.Generator,
    *,
    show_progress: bool,
    checkpoints: Path | None = None,
    machines: tuple[int, int] = (1, 1),
) -> nn.Module:
    """Train a network and return the weights to keep (the moving average where one is kept), in evaluation mode.

    Uses a CUDA device where there is one. bfloat16 for matrix work, float32 for weights and the loss. With several
    devices each runs a copy of this program, started by Lightning (or by Slurm), sees its share of each batch, and
    averages gradients with the others; the copies end here, and the first process returns.

    Args:
        network: what is trained.
        volumes: bool [n, D, H, W].
        condition: density and log-odds of the porosity, [n, 2].
        phases: one after the other.
        rng: seeds order, symmetries and latents.
        show_progress: draw Lightning's progress bar.
        checkpoints: folder where each epoch's state and the time spent are kept and taken up again; None keeps none.
        machines: devices on a machine, and machines.
    """
    if checkpoints is not None:
        checkpoints.mkdir(parents=True, exist_ok=True)
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    rank = 0
    for phase in phases:
        noise_seed, order_seed = (int(seed) for seed in rng.integers(2**63, size=2))
        done = checkpoints / f"{phase.name}.safetensors" if checkpoints is not None else None
        if done is not None and done.is_file():
            network.load_state_dict(safetensors.torch.load_file(done))
            continue
        batches = SymmetricBatches(volumes, condition, phase.settings, order_seed)
        noise = torch.Generator(accelerator).manual_seed(noise_seed)
        texture = None
        if phase.loss.energy_weight:
            texture = RealTexture(batches.volumes.to(accelerator), batches.condition[:, 0].to(accelerator))
        module = VAEModule(network, phase, batches, noise, texture)
        module.to(memory_format=torch.channels_last_3d)
        loader = DataLoader(batches, batch_size=None, generator=torch.Generator())
        rank = _run(module, loader, accelerator, show_progress, done, machines)
        network = module.averaged.cpu().requires_grad_(True)
        if done is not None and rank == 0:
            safetensors.torch.save_file({key: value.contiguous() for key, value in network.state_dict().items()}, done)
    if rank:
        raise SystemExit  # a copy of the program, which has nothing left to do
    return network.requires_grad_(False).eval()


def _place() -> tuple[int, int]:
    """Which of how many processes that train together this is."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)


def _run(
    module: VAEModule,
    loader: DataLoader[Batch],
    accelerator: str,
    show_progress: bool,
    done: Path | None,
    machines: tuple[int, int],
) -> int:
    """One Lightning training, from its last checkpoint where there is one; which process of those in it this is."""
    lightning_log = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    level = lightning_log.level
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", category=FutureWarning)
        lightning_log.setLevel(logging.WARNING)
        folder = done.with_suffix("") if done is not None else Path(scratch)
        keep = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
        last = folder / "last.ckpt"
        try:
            trainer = pl.Trainer(
                accelerator=accelerator,
                devices=machines[0],
                num_nodes=machines[1],
                strategy="auto" if machines == (1, 1) else "ddp_find_unused_parameters_true",
                precision="bf16-mixed",
                max_epochs=module.settings.epochs,
                logger=False,
                callbacks=[keep, Clock(folder.parent / SPENT)] if done is not None else [],
                enable_checkpointing=done is not None,
                enable_model_summary=False,
                enable_progress_bar=show_progress,
                default_root_dir=scratch,
                gradient_clip_val=CLIP,
            )
            trainer.fit(module, loader, ckpt_path=last if last.is_file() else None, weights_only=True)
            return trainer.global_rank
        finally:
            lightning_log.setLevel(level)
