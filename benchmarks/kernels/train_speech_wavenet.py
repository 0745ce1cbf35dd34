"""Train a WaveNet on recorded speech, to measure what reduced precision costs in log-likelihood.

    apt-get install asterisk-core-sounds-en-g722
    python benchmarks/kernels/train_speech_wavenet.py --minutes 60 --out build/wavenet_speech

One speaker, 16 kHz, mu-law codes of 8 bits, no condition, teacher forcing over whole signals. The
weights go to `model.safetensors` under the names of `WaveNetWeights` fields and the held-out
signal to `held_out.npy` (int16 codes); `wavenet_sample_loss.py` reads both. Needs torch, av and
safetensors. The learning rate follows the share of the time that has passed, so that any budget
gives a finished model.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

Codes = NDArray[np.int16]
CLASSES = 256
SILENCE = CLASSES // 2
HELD_OUT_TENTHS = 1
CHECKPOINT_SECONDS = 240.0


def mu_law_encode(signal: NDArray[np.float64]) -> Codes:
    """[-1, 1] to codes 0..255 (ITU-T G.711's curve with mu = 255, rounded to the nearest code)."""
    mu = CLASSES - 1
    bent = np.sign(signal) * np.log1p(mu * np.abs(signal)) / math.log1p(mu)
    codes: Codes = np.clip(np.rint((bent + 1.0) / 2.0 * mu), 0, mu).astype(np.int16)
    return codes


def decode(path: Path) -> NDArray[np.float64]:
    """One recording as mono float64 at its own rate."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float64) / 32768.0


def read_codes(folder: Path) -> tuple[Codes, Codes]:
    """All recordings below `folder`, (training, held out), split by the first word of the name."""
    parts: dict[bool, list[Codes]] = {False: [], True: []}
    for path in sorted(folder.rglob("*.g722")):
        word = path.stem.split("-")[0]
        tenth = hashlib.sha256(word.encode()).digest()[0] % 10
        parts[tenth < HELD_OUT_TENTHS].append(mu_law_encode(decode(path)))
    if not parts[False] or not parts[True]:
        raise SystemExit(f"no speech below {folder}: apt-get install asterisk-core-sounds-en-g722")
    return np.concatenate(parts[False]), np.concatenate(parts[True])


class SpeechWaveNet(nn.Module):
    """The network of `wavenet_sample` for training: categorical, no condition but a bias."""

    def __init__(self, residual: int, skip: int, hidden: int, dilations: list[int]) -> None:
        super().__init__()
        layers = len(dilations)
        self.dilations = dilations

        def weight(*shape: int, gain: float = 1.0) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape) * gain / math.sqrt(shape[-1]))

        self.input_prev = nn.Parameter(torch.randn(CLASSES, residual) * 0.3)
        self.input_cur = nn.Parameter(torch.randn(CLASSES, residual) * 0.3)
        self.past = weight(layers, 2 * residual, residual, gain=0.7)
        self.current = weight(layers, 2 * residual, residual, gain=0.7)
        self.gate_bias = nn.Parameter(torch.zeros(layers, 2 * residual))
        self.residual = weight(layers, residual, residual, gain=0.5)
        self.residual_bias = nn.Parameter(torch.zeros(layers, residual))
        self.skip = weight(layers, skip, residual, gain=1.0 / math.sqrt(layers))
        self.skip_bias = nn.Parameter(torch.zeros(skip))
        self.out = weight(hidden, skip, gain=1.4)
        self.out_bias = nn.Parameter(torch.zeros(hidden))
        self.end = weight(CLASSES, hidden)
        self.end_bias = nn.Parameter(torch.zeros(CLASSES))

    @property
    def receptive_field(self) -> int:
        return sum(self.dilations) + 2

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [T] to logits [T, 256]; row t predicts codes[t] from those before it."""
        shifted = functional.pad(codes, (2, 0), value=SILENCE)
        x = functional.embedding(shifted[:-2], self.input_prev) + functional.embedding(
            shifted[1:-1], self.input_cur
        )
        channels = x.shape[1]
        skips: Tensor | None = None
        for index, dilation in enumerate(self.dilations):
            past = functional.pad(x, (0, 0, dilation, 0))[: len(x)]
            both = torch.cat([self.past[index], self.current[index]], dim=1)
            z = functional.linear(torch.cat([past, x], dim=1), both, self.gate_bias[index])
            hidden = torch.tanh(z[:, :channels]) * torch.sigmoid(z[:, channels:])
            one = functional.linear(hidden, self.skip[index])
            skips = one if skips is None else skips + one
            x = x + functional.linear(hidden, self.residual[index], self.residual_bias[index])
        assert skips is not None
        a = torch.relu(skips + self.skip_bias)
        a = torch.relu(functional.linear(a, self.out, self.out_bias))
        return functional.linear(a, self.end, self.end_bias)


def crops(codes: Codes, length: int, seed: int) -> Iterator[Tensor]:
    random = np.random.default_rng(seed)
    while True:
        start = int(random.integers(0, len(codes) - length))
        yield torch.from_numpy(codes[start : start + length].astype(np.int64))


def negative_log_likelihood(model: SpeechWaveNet, codes: Tensor, context: int) -> Tensor:
    """Mean nats per sample over codes[context:]."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(codes)
    return functional.cross_entropy(logits[context:].float(), codes[context:])


@torch.no_grad()
def held_out_loss(model: SpeechWaveNet, codes: Codes, length: int) -> float:
    context = model.receptive_field
    starts = range(0, min(len(codes) - length, 12 * length), length)
    whole = torch.from_numpy(codes.astype(np.int64))
    losses = [negative_log_likelihood(model, whole[s : s + length], context) for s in starts]
    return float(torch.stack(losses).mean())


def unigram_entropy(train: Codes, held_out: Codes) -> float:
    """Nats per sample of the held-out codes under the training codes' frequencies."""
    counts = np.bincount(train, minlength=CLASSES) + 1.0
    return float(-np.log(counts / counts.sum())[held_out].mean())


def rate_at(share: float, peak: float) -> float:
    """Warm-up over 2 % of the time, then a cosine to a hundredth."""
    if share < 0.02:
        return peak * max(share / 0.02, 0.01)
    return peak * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0))))


def save(model: SpeechWaveNet, out: Path) -> None:
    tensors = {name: value.detach().contiguous() for name, value in model.named_parameters()}
    tensors["dilations"] = torch.tensor(model.dilations)
    partial = out / "model.partial"
    save_file(tensors, partial)
    partial.replace(out / "model.safetensors")


def train(
    model: SpeechWaveNet, codes: Codes, held_out: Codes, arguments: argparse.Namespace
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=1e-3)
    begin = last_saved = time.monotonic()
    budget = arguments.minutes * 60.0
    recent: list[float] = []
    for step, crop in enumerate(crops(codes, arguments.crop, arguments.seed)):
        elapsed = time.monotonic() - begin
        if elapsed > budget:
            break
        for group in optimiser.param_groups:
            group["lr"] = rate_at(elapsed / budget, arguments.rate)
        loss = negative_log_likelihood(model, crop, model.receptive_field)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        recent.append(loss.item())
        if step % 50 == 0:
            print(
                f"{elapsed:7.0f} s  step {step:5}  train {np.mean(recent[-50:]):.4f} nats",
                flush=True,
            )
        if time.monotonic() - last_saved > CHECKPOINT_SECONDS:
            last_saved = time.monotonic()
            save(model, arguments.out)
            print(
                f"          held out {held_out_loss(model, held_out, 16384):.4f} nats", flush=True
            )
    save(model, arguments.out)
    print(f"done      held out {held_out_loss(model, held_out, 16384):.4f} nats", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--speech", type=Path, default=Path("/usr/share/asterisk/sounds/en_US_f_Allison")
    )
    parser.add_argument("--out", type=Path, default=Path("build/wavenet_speech"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--crop", type=int, default=12288, help="samples a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    codes, held_out = read_codes(arguments.speech)
    np.save(arguments.out / "held_out.npy", held_out)
    print(f"{len(codes) / 16000:.0f} s to train on, {len(held_out) / 16000:.0f} s held out; "
          f"unigram {unigram_entropy(codes, held_out):.4f} nats a sample")  # fmt: skip
    model = SpeechWaveNet(64, 256, 256, [2**i for i in range(10)] * 2)
    train(model, codes, held_out, arguments)


if __name__ == "__main__":
    main()
