"""What weights of 16 and 8 bits cost: log-likelihood of held-out speech by the native sampler.

    python benchmarks/kernels/train_speech_wavenet.py --minutes 60 --out build/wavenet_speech
    python benchmarks/kernels/wavenet_sample_loss.py --model build/wavenet_speech --seconds 60

Teacher forcing through the very arithmetic that samples. Losses are relative to fp32's nats; "+-"
is one standard error of the mean difference, taking samples as independent. At most 0.5 % is asked.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from bunraku_kernels.wavenet_sample import WaveNetState, WaveNetWeights, native_kernel
from safetensors.torch import load_file
from torch import Tensor

BLOCK = 4000
RESULTS = Path(__file__).parent.parent / "results"


def load(folder: Path) -> tuple[WaveNetWeights, Tensor]:
    """The network, and its condition [L, 2R]: the gates' bias."""
    tensors = load_file(folder / "model.safetensors")
    dilations = tuple(int(d) for d in tensors.pop("dilations"))
    bias = tensors.pop("gate_bias")
    return WaveNetWeights("categorical", dilations, input_bias=None, **tensors), bias


def scores(
    weights: WaveNetWeights, bias: Tensor, codes: Tensor, weight_type: str, isa: str
) -> Tensor:
    """log p, float64 [T], of codes [T]."""
    packed = native_kernel.prepare(weights, weight_type, isa)
    state = WaveNetState.initial(weights, 1)
    condition = bias.expand(1, BLOCK, *bias.shape).contiguous()
    parts = [
        native_kernel.log_likelihood(packed, part[None], condition[:, : len(part)], state)
        for part in codes.split(BLOCK)
    ]
    return torch.cat(parts, dim=1)[0].double()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=Path("build/wavenet_speech"))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--isa", action="append", help="default: the best here; portable is slow")
    parser.add_argument("--out", type=Path, default=RESULTS / "wavenet_sample_loss.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    weights, bias = load(arguments.model)
    held_out = np.load(arguments.model / "held_out.npy")[: round(16_000 * arguments.seconds)]
    codes = torch.from_numpy(held_out.astype(np.int32))
    heard = weights.receptive_field  # before that, the network hears silence that is not there
    rows = []
    for isa in arguments.isa or native_kernel.isas()[:1]:
        exact = scores(weights, bias, codes, "fp32", isa)[heard:]
        for weight_type in native_kernel.WEIGHT_TYPES:
            log_p = scores(weights, bias, codes, weight_type, isa)[heard:]
            nats, less = -log_p.mean(), exact - log_p
            row = {
                "isa": isa,
                "weight_type": weight_type,
                "samples": len(log_p),
                "nats_per_sample": float(nats),
                "loss_percent": float(100 * less.mean() / -exact.mean()),
                "loss_error_percent": float(
                    100 * less.std() / math.sqrt(len(less)) / -exact.mean()
                ),
            }
            rows.append(row)
            print(f"{isa:10} {weight_type}  {row['nats_per_sample']:.5f} nats a sample  "
                  f"loss {row['loss_percent']:+.4f} % +- {row['loss_error_percent']:.4f}",
                  flush=True)  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
