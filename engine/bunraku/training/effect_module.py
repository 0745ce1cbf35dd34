"""The trained thing and its data as Lightning wants them: segments in, ESR down."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from bunraku.models.wavenet import WaveNet
from bunraku.training.effect_data import Audio
from bunraku.training.effect_losses import training_loss

WARM_UP_STEPS = 50
FINAL_RATE_SHARE = 0.01
ADAM_BETAS = (0.9, 0.99)
EVALUATION_FRAMES = 1 << 17


@dataclass(frozen=True)
class LossSettings:
    """Weights of the loss's parts beside plain ESR."""

    pre_emphasis: float = 0.5
    dc: float = 0.1


@dataclass(frozen=True)
class Schedule:
    """How long to train: epochs, and minutes if given, whichever ends first."""

    epochs: int
    steps_per_epoch: int
    minutes: float | None = None
    learning_rate: float = 1e-2

    def progress(self, step: int, seconds: float) -> float:
        """How much of the training is done, 0 to 1."""
        done = step / max(1, self.epochs * self.steps_per_epoch)
        if self.minutes is not None:
            done = max(done, seconds / (60 * self.minutes))
        return min(1.0, done)

    def rate(self, step: int, seconds: float) -> float:
        """Learning rate: linear warm-up, then a cosine down to one hundredth (Loshchilov and
        Hutter, "SGDR", 2017, without restarts)."""
        falling = 0.5 * (1 + math.cos(math.pi * self.progress(step, seconds)))
        share = FINAL_RATE_SHARE + (1 - FINAL_RATE_SHARE) * falling
        return self.learning_rate * share * min(1.0, (step + 1) / WARM_UP_STEPS)


class RandomSegments(IterableDataset[tuple[Tensor, Tensor]]):
    """Batches for one epoch: dry [batch, 1, context + frames], wet [batch, 1, frames].

    Starts are drawn anew each epoch from the seed and the epoch's number, so a resumed training
    sees what an unbroken one would have seen.
    """

    def __init__(
        self, dry: Audio, wet: Audio, context: int, frames: int, batch: int, seed: int
    ) -> None:
        super().__init__()
        self.dry, self.wet = torch.from_numpy(dry.copy()), torch.from_numpy(wet.copy())
        self.context, self.frames, self.batch, self.seed = context, frames, batch, seed
        self.epoch = 0

    @property
    def steps(self) -> int:
        """Batches in an epoch: about as many frames as the recording has."""
        return max(1, (len(self.dry) - self.context) // (self.frames * self.batch))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        last = len(self.dry) - self.frames
        for _ in range(self.steps):
            starts = torch.randint(self.context, last + 1, (self.batch,), generator=random)
            dry = [self.dry[s - self.context : s + self.frames] for s in starts.tolist()]
            wet = [self.wet[s : s + self.frames] for s in starts.tolist()]
            yield torch.stack(dry)[:, None], torch.stack(wet)[:, None]


@dataclass
class History:
    """What the loss curve is drawn from; kept in checkpoints."""

    step: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    validation_esr: list[float] = field(default_factory=list)


class EffectModule(lightning.LightningModule):
    """Fits a WaveNet to the wet signal, which comes scaled to a level that suits training."""

    def __init__(
        self,
        network: WaveNet,
        schedule: Schedule,
        loss: LossSettings,
        mean_power: float,
        validation: tuple[Audio, Audio],
        segments: RandomSegments,
    ) -> None:
        super().__init__()
        self.network = network
        self.schedule = schedule
        self.loss_settings = loss
        self.mean_power = mean_power
        self.validation = validation
        self.segments = segments
        self.history = History()
        self.best_esr = math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.seconds_before = 0.0
        self._began = time.monotonic()
        self._epoch_losses: list[float] = []

    @property
    def seconds(self) -> float:
        """Time spent training, earlier runs included."""
        return self.seconds_before + time.monotonic() - self._began

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.network.parameters(), lr=self.schedule.learning_rate, betas=ADAM_BETAS
        )

    def on_fit_start(self) -> None:
        self._began = time.monotonic()

    def on_train_epoch_start(self) -> None:
        self.segments.epoch = self.current_epoch

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        if self.schedule.progress(self.global_step, self.seconds) >= 1.0 and self.global_step:
            self.trainer.should_stop = True
            return -1
        rate = self.schedule.rate(self.global_step, self.seconds)
        for optimizer in self.trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        return None

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        dry, wet = batch
        output = self.network(dry)[..., -wet.shape[-1] :]
        loss = training_loss(
            output, wet, self.mean_power, self.loss_settings.pre_emphasis, self.loss_settings.dc
        )
        self._epoch_losses.append(float(loss.detach()))
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Validate, remember the best weights, extend the history."""
        error = whole_signal_esr(self.network, *self.validation, self.device)
        losses = self._epoch_losses or [math.nan]
        self.history.step.append(self.global_step)
        self.history.seconds.append(self.seconds)
        self.history.train_loss.append(sum(losses) / len(losses))
        self.history.validation_esr.append(error)
        self._epoch_losses = []
        if error < self.best_esr or not self.best_weights:
            self.best_esr = error
            self.best_weights = {
                name: value.detach().cpu().clone()
                for name, value in self.network.state_dict().items()
            }
        self.log("validation_esr", error, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["effect"] = {
            "seconds": self.seconds,
            "best_esr": self.best_esr,
            "best_weights": self.best_weights,
            "history": dict(vars(self.history)),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint["effect"]
        self.seconds_before = kept["seconds"]
        self.best_esr = kept["best_esr"]
        self.best_weights = kept["best_weights"]
        self.history = History(**kept["history"])


@torch.no_grad()
def render(network: WaveNet, dry: Audio, device: torch.device | str = "cpu") -> Audio:
    """`dry` through the network as one stream, in large blocks. Float32, the same length."""
    state = network.init_state(1)
    x = torch.from_numpy(dry.copy())[None, None].to(device)
    pieces = [
        network.step(x[..., start : start + EVALUATION_FRAMES], state).cpu()
        for start in range(0, x.shape[-1], EVALUATION_FRAMES)
    ]
    return torch.cat(pieces, -1)[0, 0].numpy()


def whole_signal_esr(
    network: WaveNet, dry: Audio, wet: Audio, device: torch.device | str = "cpu"
) -> float:
    """ESR of the network over a whole recording, in float64 sums."""
    error = render(network, dry, device).astype("float64") - wet
    return float((error**2).sum() / (wet.astype("float64") ** 2).sum())
