"""The `config` of a `.nam` file as a plan: played as the reference plays the same plan written by
hand, as the engine reads it, and refused where it asks for more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bunraku_kernels import InvalidInputError
from bunraku_kernels.wavenet_stream import (
    ArrayPlan,
    LayerPlan,
    WaveNetPlan,
    open_streams,
    pack_weights,
    plan_from_nam_config,
    wavenet_stream,
)
from bunraku_kernels.wavenet_stream.examples import random_weights

pytestmark = pytest.mark.cpu_only

PACK = Path(__file__).parents[2] / "engine/bunraku/weights"
OLD_KEYS = {
    "input_size": 1, "condition_size": 1, "channels": 4, "head_size": 3, "kernel_size": 3,
    "dilations": [1, 2, 8], "activation": "Tanh", "gated": False, "head_bias": False,
}  # fmt: skip
NEW_KEYS = {
    "input_size": 4, "condition_size": 1, "channels": 3, "bottleneck": 3,
    "head": {"out_channels": 1, "kernel_size": 5, "bias": True},
    "kernel_sizes": [2, 4], "dilations": [5, 1],
    "activation": [{"type": "LeakyReLU", "negative_slope": 0.2}, {"type": "SiLU"}],
    "gating_mode": ["none", "none"], "secondary_activation": [None, None],
    "layer1x1": {"active": True, "groups": 1}, "head1x1": {"active": False},
    "conv_pre_film": False, "conv_post_film": {"active": False},
}  # fmt: skip
CONFIG = {"layers": [OLD_KEYS, NEW_KEYS], "head": None, "head_scale": 0.5}
BY_HAND = WaveNetPlan(
    (
        ArrayPlan(4, (LayerPlan(3, 1), LayerPlan(3, 2), LayerPlan(3, 8)), 3),
        ArrayPlan(3, (LayerPlan(2, 5, "lrelu", 0.2), LayerPlan(4, 1, "silu")), 1, 5, True),
    )
)


def test_a_config_is_the_plan_written_by_hand() -> None:
    plan = plan_from_nam_config(json.loads(json.dumps(CONFIG)))
    assert plan == BY_HAND
    flat = random_weights(plan, 3).float()
    x = torch.randn(2, 70, generator=torch.Generator().manual_seed(1))
    y, expected = (
        wavenet_stream(x, open_streams(pack_weights(p, w), 2, impl=impl), impl=impl)
        for p, w, impl in ((plan, flat.tolist(), "auto"), (BY_HAND, flat, "reference"))
    )
    assert (y - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_the_slope_of_a_leaky_relu_is_the_formats_own() -> None:
    config = {"layers": [{**OLD_KEYS, "head_size": 1, "activation": "LeakyReLU"}]}
    assert plan_from_nam_config(config).arrays[0].layers[0].slope == 0.01


@pytest.mark.parametrize("path", sorted(PACK.glob("*.nam")), ids=lambda p: p.stem)
def test_our_own_files_are_played(path: Path) -> None:
    file = json.loads(path.read_text(encoding="utf-8"))
    plan = plan_from_nam_config(file["config"])
    assert plan.weight_count == len(file["weights"])
    streams = open_streams(pack_weights(plan, file["weights"]), 1)
    assert wavenet_stream(torch.zeros(1, 16), streams).isfinite().all()


def changed(**entries: Any) -> dict[str, Any]:
    return {"layers": [{**OLD_KEYS, **entries}, NEW_KEYS]}


def changed_new(**entries: Any) -> dict[str, Any]:
    return {"layers": [OLD_KEYS, {**NEW_KEYS, **entries}]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "config is a NoneType: an object"),
        ([CONFIG], "config is a list: an object"),
        ({}, "config has no 'layers'"),
        ({"layers": []}, r"config.layers: a list of 1 to 16"),
        ({"layers": [OLD_KEYS] * 17}, r"config.layers: a list of 1 to 16"),
        ({"layers": [3]}, r"config.layers\[0\] is a int: an object"),
        ({**CONFIG, "head": {"channels": 4}}, "config.head=.*must be absent"),
        ({**CONFIG, "condition_dsp": {}}, "config.condition_dsp=.*must be absent"),
        ({**CONFIG, "in_channels": 2}, "config.in_channels=2: only 1"),
        (changed(channels=0), r"config.layers\[0\]: channels=0: a whole number from 1 to 256"),
        (changed(channels="4"), "channels='4'"),
        (changed(channels=5), r"layers\[1\].input_size=4: only 5"),
        (changed(dilations=[]), "dilations: a list of 1 to 256"),
        (changed(dilations=[1] * 257), "dilations: a list of 1 to 256"),
        (changed(dilations=[1, 2, 10**9]), "dilation=1000000000"),
        (changed(dilations=[1, 2, True]), "dilation=True"),
        (changed(kernel_size=2.0), "kernel_size=2.0"),
        (changed(kernel_size=[3, 3]), "kernel_size has 2 entries: 3"),
        (changed(kernel_sizes=[3, 3, 3]), "kernel_sizes=.*cannot be beside kernel_size"),
        (changed(activation="Hardtanh"), "activation='Hardtanh': played are Tanh"),
        (changed(activation={"type": ["Tanh"]}), r"activation=\['Tanh'\]: played are"),
        (changed(activation=3), "activation is a int"),
        (changed(gated=True), "gated=True: only False"),
        (changed(gating_mode="blended"), "gating_mode='blended'"),
        (changed(condition_size=2), "condition_size=2: only 1"),
        (changed(groups_input=4), "groups_input=4: only 1"),
        (changed(head_bias="no"), "head_bias='no': True or False"),
        (changed(head_size=2), "head_size=2 of array 0: 3"),
        (changed_new(bottleneck=2), "bottleneck=2: only 3"),
        (changed_new(head={"out_channels": 1}), r"layers\[1\].head has no 'bias'"),
        (changed_new(head={**NEW_KEYS["head"], "head_dilation": 2}), "head_dilation=2: only 1"),  # type: ignore[dict-item]
        (changed_new(layer1x1={"active": False}), "layer1x1=.*must be active"),
        (changed_new(layer1x1={"groups": 3}), "layer1x1.groups=3: only 1"),
        (changed_new(head1x1={"active": True}), "head1x1=.*must be inactive"),
        (changed_new(conv_pre_film={}), "conv_pre_film={}: it must be inactive"),
        (changed_new(conv_pre_film={"active": 1}), "conv_pre_film.active=1: True or False"),
        (
            changed_new(activation=[{"type": "LeakyReLU", "negative_slope": "x"}, "Tanh"]),
            "negative_slope='x'",
        ),
    ],
)
def test_what_is_not_played_is_named(config: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        plan_from_nam_config(config)
    assert "\n" not in str(caught.value)
