"""What the kernel benchmarks measure: each file beside this one offers `cases()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import torch

Run = Callable[[], object]
P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The peer "torch.compile", for the very shapes it is called with. In one graph: it raises
    where it would otherwise give up and be timed as eager PyTorch under another name."""
    return torch.compile(function, dynamic=False, fullgraph=True)


@dataclass(frozen=True)
class Case:
    """One workload with its floor.

    `make(device)` builds the tensors once and returns what is timed, by name: our implementations
    under their own names ("triton", "cuda", "native"), then the peers ("eager", "torch.compile",
    "cudnn", ...). Each run must do the whole work and change nothing that the next one needs.
    `bytes_moved`: the fewest bytes through device memory (inputs once, outputs once).
    `flop`: multiplications and additions. `unit`: the rate that bounds `flop` ("fp32" for FMA
    units, "half" for fp16/bf16 matrix units). `asked`: what the project demands, in words to
    figure: {"over eager": 3.0, "over torch.compile": 1.3, "of copy bandwidth": 0.8,
    "at most us": 30.0}. `devices`: where it makes sense.
    """

    name: str
    make: Callable[[torch.device], Mapping[str, Run]]
    bytes_moved: int
    flop: int
    unit: str = "fp32"
    asked: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ("cuda",)
