"""Training of a look: crops and noise in, the teacher's picture out, L1 on values and gradients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bunraku.models.image_generator import ImageGenerator, ImageGeneratorConfig
from bunraku.training.look_data import Bytes

CROP_PX = 128
BATCH = 6
STEPS_A_ROUND = 100
LEARNING_RATE = 2e-3
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998
NOISE_MAX = 0.05
"""Highest deviation of the noise on the input, of a range of 2: a webcam in the evening."""
GRADIENT_WEIGHT = 1.0
GRADIENT_SCALES = 3


@dataclass
class LookPairs:
    """seen: uint8 [N, h, w, 3], blue first; painted: uint8 [N, 2 h, 2 w, 3]."""

    seen: Bytes
    painted: Bytes

    @classmethod
    def load(cls, shards: list[Path]) -> LookPairs:
        loaded = [np.load(shard, allow_pickle=False) for shard in shards]
        return cls(
            np.concatenate([shard["seen"] for shard in loaded]),
            np.concatenate([shard["painted"] for shard in loaded]),
        )


@dataclass
class LookTraining:
    """A training in progress; `state` and `restore` make it one that can be continued."""

    config: ImageGeneratorConfig
    seed: int = 0
    steps: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """The mean loss of each round."""

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = ImageGenerator(self.config).train()
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimizer = torch.optim.AdamW(self.model.parameters(), LEARNING_RATE, (0.9, 0.98))
        self.random = np.random.default_rng(self.seed)

    def run(self, pairs: LookPairs, minutes: float, saved: Callable[[], None]) -> None:
        """Rounds until `minutes` of training are spent; `saved` is called after each."""
        while self.seconds < 60 * minutes:
            started = time.perf_counter()
            total = sum(self.step(pairs, minutes) for _ in range(STEPS_A_ROUND))
            self.losses.append(total / STEPS_A_ROUND)
            self.seconds += time.perf_counter() - started
            saved()

    def step(self, pairs: LookPairs, minutes: float) -> float:
        spent = min(1.0, self.seconds / (60 * minutes))
        rate = LEARNING_RATE * max(0.005, 0.5 * (1 + math.cos(math.pi * spent)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * min(1.0, (self.steps + 1) / WARM_UP_STEPS)
        seen, painted = self.batch(pairs)
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16()):
            made = self.model(seen)
        loss = look_loss(made.float(), painted)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        decay = min(AVERAGE_DECAY, self.steps / (self.steps + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        return float(loss.detach())

    def batch(self, pairs: LookPairs) -> tuple[Tensor, Tensor]:
        """Random crops, flipped half of the time, noise on the input alone: so the look does not
        flicker with a camera's noise."""
        side = pairs.seen.shape[1]
        enlarge = pairs.painted.shape[1] // side
        seen, painted = [], []
        for _ in range(BATCH):
            i = int(self.random.integers(len(pairs.seen)))
            y, x = (int(n) for n in self.random.integers(0, side - CROP_PX + 1, 2))
            flip = slice(None, None, -1 if self.random.random() < 0.5 else 1)
            small = pairs.seen[i, y : y + CROP_PX, x : x + CROP_PX][:, flip]
            y, x, end = enlarge * y, enlarge * x, enlarge * CROP_PX
            seen.append(noisy(picture_tensor(small), self.random))
            painted.append(picture_tensor(pairs.painted[i, y : y + end, x : x + end][:, flip]))
        stacked = torch.stack(seen).contiguous(memory_format=torch.channels_last)
        return stacked, torch.stack(painted)

    def trained(self) -> ImageGenerator:
        """The average of the last weights, ready to play."""
        model = ImageGenerator(self.config)
        model.load_state_dict(self.average)
        return model.eval()

    def state(self) -> dict[str, object]:
        return {
            "config": self.config.to_json(),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "seconds": self.seconds,
            "losses": self.losses,
        }

    def restore(self, path: Path) -> None:
        """Continue where `path`, a saved `state`, ended. Nothing but tensors and plain values is
        read from it."""
        kept = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(kept["model"])
        self.average = kept["average"]
        self.optimizer.load_state_dict(kept["optimizer"])
        self.steps, self.seconds = int(kept["steps"]), float(kept["seconds"])
        self.losses = list(kept["losses"])
        self.random = np.random.default_rng((self.seed, self.steps))


def has_fast_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported())


def picture_tensor(pixels: Bytes) -> Tensor:
    """uint8 [h, w, 3], blue first, to float32 [3, h, w], red first, -1 to 1."""
    planes = torch.from_numpy(np.ascontiguousarray(pixels[..., ::-1].transpose(2, 0, 1)))
    return planes.float() / 127.5 - 1


def noisy(picture: Tensor, random: np.random.Generator) -> Tensor:
    """White or, as after a video codec, blurred noise of random strength."""
    noise = torch.randn(picture.shape)
    if random.random() < 0.5:
        noise = 2 * F.avg_pool2d(noise[None], 3, 1, 1)[0]
    return (picture + random.uniform(0, NOISE_MAX) * noise).clamp(-1, 1)


def look_loss(made: Tensor, painted: Tensor) -> Tensor:
    """Mean distance of values, and of differences between neighbours at three scales."""
    loss = (made - painted).abs().mean()
    for _ in range(GRADIENT_SCALES):
        for axis in (2, 3):
            loss = (
                loss
                + GRADIENT_WEIGHT
                / GRADIENT_SCALES
                * (made.diff(dim=axis) - painted.diff(dim=axis)).abs().mean()
            )
        made, painted = F.avg_pool2d(made, 2), F.avg_pool2d(painted, 2)
    return loss
