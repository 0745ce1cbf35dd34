"""From trained weights to a `.nam` file: output gain folded in, what players ask for measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bunraku.errors import BunrakuError
from bunraku.formats.load import load_model_spec
from bunraku.formats.nam_writer import write_nam
from bunraku.formats.specs import ChainSpec, ModelSpec, WaveNetSpec
from bunraku.models.wavenet import WaveNet
from bunraku.training.effect_data import MODEL_RATE, Audio
from bunraku.training.effect_module import render

GAIN_STEPS = 11
REFERENCE_SECONDS = 10.0


def scaled_output(spec: WaveNetSpec, factor: float) -> WaveNetSpec:
    """The same network, its output multiplied: the last weight of the format is head_scale."""
    weights = spec.weights.copy()
    weights[-1] *= np.float32(factor)
    weights.flags.writeable = False
    return replace(spec, weights=weights)


def level_metadata(network: WaveNet, reference: Audio) -> dict[str, str | float]:
    """`loudness` and `gain` as the `.nam` format has them, but on `reference`, dry speech.

    loudness: RMS of the output in dBFS. gain: 0 for an output that grows in proportion with the
    input, 1 for one that does not grow at all, from the output's RMS at eleven input levels
    (definitions of neural-amp-modeler's exporter; it uses a guitar recording of its own).
    """
    steps = np.linspace(0.0, 1.0, GAIN_STEPS)
    rms = np.array(
        [
            np.sqrt(np.mean(render(network, reference * np.float32(g)).astype(np.float64) ** 2))
            for g in steps
        ]
    )
    square = rms[-1] * GAIN_STEPS
    compression = (rms.sum() - square / 2) / max(square / 2, 1e-12)
    return {
        "loudness": round(float(20 * np.log10(max(rms[-1], 1e-9))), 3),
        "gain": round(float(np.clip(compression, 0.0, 1.0)), 4),
    }


def write_effect(
    path: Path,
    network: WaveNet,
    weights: dict[str, Tensor],
    output_factor: float,
    name: str,
    reference: Audio,
    training: dict[str, Any],
) -> ModelSpec:
    """Write `path` and read it back; returns what was read, which is what players will play.

    `reference`: dry speech or other typical input, of which the first seconds set the levels.
    """
    network.load_state_dict(weights)
    spec = scaled_output(network.to_spec(), output_factor)
    levels = level_metadata(
        WaveNet.from_spec(spec), reference[: round(REFERENCE_SECONDS * MODEL_RATE)]
    )
    metadata: dict[str, str | float] = {"name": name, "modeled_by": "bunraku", **levels}
    now = datetime.now()
    date = {k: getattr(now, k) for k in ("year", "month", "day", "hour", "minute", "second")}
    model = ModelSpec(ChainSpec((spec,)), float(MODEL_RATE), name, metadata)
    partial = path.with_suffix(".nam.partial")
    partial.write_bytes(write_nam(model, {"date": date, "training": training}))
    partial.replace(path)
    return load_model_spec(path)


def wavenet_of(model: ModelSpec) -> WaveNet:
    """The network of a file written here. Raises BunrakuError for another kind."""
    node = model.chain.nodes[0] if model.chain.nodes else None
    if not isinstance(node, WaveNetSpec):
        raise BunrakuError("the file holds no WaveNet")
    return WaveNet.from_spec(node)
