"""Weights between the flat list of a spec and the parameters of a module."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from bunraku.formats.specs import Weights


@torch.no_grad()
def load_weights(tensors: Iterable[Tensor], weights: Weights) -> None:
    """Copy `weights` into `tensors` in order; the caller has checked that they fit exactly."""
    position = 0
    for tensor in tensors:
        part = weights[position : position + tensor.numel()]
        position += tensor.numel()
        tensor.copy_(torch.from_numpy(part.copy()).view(tensor.shape))
    assert position == weights.size


def collect_weights(tensors: Iterable[Tensor]) -> Weights:
    """The values of `tensors` in order, as read-only float32."""
    parts = [tensor.detach().cpu().to(torch.float32).numpy().ravel() for tensor in tensors]
    weights = np.concatenate(parts).astype(np.float32)
    weights.flags.writeable = False
    return weights
