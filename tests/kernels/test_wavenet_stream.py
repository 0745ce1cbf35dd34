"""Streams of a WaveNet: against an independent network, the engine's own and NeuralAmpModelerCore's
outputs; any partition; reset, snapshots; hostile plans and weights."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bunraku.formats.nam import read_nam
from bunraku.formats.specs import ActivationKind, SlimmableSpec, WaveNetSpec
from bunraku.models.wavenet import WaveNet
from bunraku_kernels import InvalidInputError, backends
from bunraku_kernels.examples import Draw
from bunraku_kernels.registry import operators
from bunraku_kernels.wavenet_stream import (
    ArrayPlan,
    FeedforwardWaveNetWeights,
    LayerPlan,
    WaveNetPlan,
    WaveNetStreams,
    open_streams,
    pack_weights,
    wavenet_stream,
)
from bunraku_kernels.wavenet_stream.examples import random_weights
from nam_files import NAM_FOLDER, NAM_PATHS
from torch import Tensor

ABSENT = operators()["wavenet_stream"].availability().absent
DOUBLINGS = tuple(2**i for i in range(10))
STANDARD = WaveNetPlan.a1(16, 8, DOUBLINGS, DOUBLINGS)
A2_TAPS = (6,) * 14 + (15, 15) + (6,) * 7
A2_DILATIONS = (1, 3, 7, 17, 41, 101, 239) * 2 + (1, 13) + (1, 3, 7, 17, 41, 101, 239)
SMALL = WaveNetPlan.a1(6, 3, (1, 7, 40), (2, 33))  # rings of 2 to 80 frames
PACK = Path(__file__).parents[2] / "engine/bunraku/weights"
TOLERANCE = 1e-5  # of the largest value


def a2(channels: int) -> WaveNetPlan:
    layers = tuple(
        LayerPlan(k, d, "lrelu", 0.01) for k, d in zip(A2_TAPS, A2_DILATIONS, strict=True)
    )
    return WaveNetPlan((ArrayPlan(channels, layers, 1, 16, True),))


def device_of(impl: str) -> str:
    return "cpu" if backends.device_type(impl) in ("cpu", "any") else "cuda"


def implementations(*names: str) -> list[object]:
    return [
        pytest.param(
            name,
            marks=[
                *([pytest.mark.skip(reason=ABSENT[name])] if name in ABSENT else []),
                *([] if name == "cuda" else [pytest.mark.cpu_only]),
            ],
        )
        for name in names
    ]


each_implementation = pytest.mark.parametrize(
    "impl", implementations("cuda", "native", "reference")
)
each_with_tensors = pytest.mark.parametrize("impl", implementations("cuda", "reference"))


def packed(plan: WaveNetPlan, impl: str, seed: int = 3) -> FeedforwardWaveNetWeights:
    return pack_weights(plan, random_weights(plan, seed).float(), device_of(impl))


def truth(plan: WaveNetPlan, x: Tensor, seed: int = 3) -> Tensor:
    """The float64 reference on the same rounded numbers, in one block."""
    weights = pack_weights(plan, random_weights(plan, seed).float().double())
    streams = open_streams(weights, x.shape[0], impl="reference")
    return wavenet_stream(x.cpu().double(), streams, impl="reference")


def played(x: Tensor, streams: WaveNetStreams, impl: str, blocks: Iterator[int]) -> Tensor:
    out, begin = [], 0
    while begin < x.shape[1]:
        block = x[:, begin : begin + next(blocks)]
        out.append(wavenet_stream(block.to(streams.position.device), streams, impl=impl))
        begin += block.shape[1]
    return torch.cat(out, dim=1).cpu()


def signal(batch: int, frames: int, seed: int = 5) -> Tensor:
    return Draw(seed).normal(batch, frames).float()


def assert_close(value: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    difference = (value.double().cpu() - expected.double().cpu()).abs().max()
    assert difference <= tolerance * expected.abs().max()


# ---- what it computes ------------------------------------------------------------------------


def plain_network(plan: WaveNetPlan, weights: Tensor, x: Tensor) -> Tensor:
    """The `.nam` format's WaveNet on a whole signal with zeros before it, written apart from the
    reference: torch's convolutions and a cursor over the list."""
    cursor = itertools.count()

    def take(*shape: int) -> Tensor:
        return torch.stack([weights[next(cursor)] for _ in range(math.prod(shape))]).reshape(shape)

    def conv(v: Tensor, out: int, taps: int, dilation: int, bias: bool) -> Tensor:
        kernel = take(out, v.shape[1], taps)
        padded = F.pad(v, ((taps - 1) * dilation, 0))
        return F.conv1d(padded, kernel, take(out) if bias else None, dilation=dilation)

    functions = {"tanh": torch.tanh, "relu": F.relu, "silu": F.silu, "softplus": F.softplus}
    functions |= {"elu": F.elu, "sigmoid": torch.sigmoid}
    condition = x[:, None]
    inputs, skip = condition, torch.zeros(())
    for array in plan.arrays:
        inputs = conv(inputs, array.channels, 1, 1, False)
        for layer in array.layers:
            z = conv(inputs, array.channels, layer.kernel_size, layer.dilation, True)
            h = functions[layer.activation](z + conv(condition, array.channels, 1, 1, False))
            skip = skip + h
            inputs = inputs + conv(h, array.channels, 1, 1, True)
        skip = conv(skip, array.head_size, array.head_kernel_size, 1, array.head_bias)
    result = skip[:, 0] * weights[next(cursor)]
    assert next(cursor) == len(weights)
    return result


@pytest.mark.cpu_only
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "softplus", "elu", "sigmoid"])
def test_the_reference_is_the_network_after_endless_silence(activation: str) -> None:
    first = ArrayPlan(5, (LayerPlan(3, 4, activation), LayerPlan(2, 7, activation)), 3, 2)
    second = ArrayPlan(3, (LayerPlan(4, 1, activation), LayerPlan(1, 1, activation)), 1, 5, True)
    plan = WaveNetPlan((first, second))
    flat, x = random_weights(plan, 1), signal(2, 90).double()
    silence = torch.zeros(2, 2 * plan.receptive_field, dtype=torch.float64)
    whole = plain_network(plan, flat, torch.cat([silence, x], dim=1))
    streams = open_streams(pack_weights(plan, flat), 2, impl="reference")
    y = wavenet_stream(x, streams, impl="reference")
    assert_close(y, whole[:, silence.shape[1] :], 1e-12)


@each_implementation
@pytest.mark.parametrize("activation", ["softplus", "elu"])
def test_activations_that_the_core_lacks(impl: str, activation: str) -> None:
    plan = WaveNetPlan((ArrayPlan(5, (LayerPlan(2, 3, activation), LayerPlan(3, 2, activation))),))
    x, weights = signal(1, 30), packed(plan, impl)
    if impl == "native":
        with pytest.raises(InvalidInputError, match=f"activation='{activation}': it has linear"):
            open_streams(weights, 1, impl=impl)
        return
    y = played(x, open_streams(weights, 1, impl=impl), impl, itertools.repeat(16))
    assert_close(y, truth(plan, x))


@each_implementation
@pytest.mark.parametrize(
    "plan",
    [STANDARD, WaveNetPlan.a1(12, 6, DOUBLINGS[:7], DOUBLINGS), a2(8), a2(3)],
    ids=["a1_standard", "a1_lite", "a2_full", "a2_lite"],
)
def test_networks_in_use(impl: str, plan: WaveNetPlan) -> None:
    x = signal(2, 80)
    y = played(x, open_streams(packed(plan, impl), 2, impl=impl), impl, iter((64, 16)))
    assert_close(y, truth(plan, x))


@pytest.mark.cpu_only
def test_counts_of_networks_in_use() -> None:
    assert STANDARD.weight_count == 13_802
    assert STANDARD.flop_per_frame == 26_640
    assert STANDARD.receptive_field == 1 + 4 * 1023
    assert a2(8).flop_per_frame == 23_552
    assert a2(3).flop_per_frame == 3_462


# ---- the engine's networks -------------------------------------------------------------------

KINDS = {
    ActivationKind.Tanh: "tanh",
    ActivationKind.ReLU: "relu",
    ActivationKind.LeakyReLU: "lrelu",
    ActivationKind.Sigmoid: "sigmoid",
    ActivationKind.SiLU: "silu",
}


def plan_of(spec: WaveNetSpec) -> WaveNetPlan:
    arrays = []
    for array in spec.arrays:
        layers = tuple(
            LayerPlan(
                layer.kernel_size,
                layer.dilation,
                KINDS[layer.activation.kind],
                layer.activation.parameters[0] if layer.activation.parameters else None,
            )
            for layer in array.layers
        )
        arrays.append(
            ArrayPlan(
                array.channels,
                layers,
                array.head_out_channels,
                array.head_kernel_size,
                array.head_bias,
            )
        )
    return WaveNetPlan(tuple(arrays))


def wavenets(path: Path) -> Iterator[WaveNetSpec]:
    """Those of a file that are of the plain kind."""
    for node in read_nam(path).chain.nodes:
        for network in node.networks if isinstance(node, SlimmableSpec) else (node,):
            if isinstance(network, WaveNetSpec) and network.condition is None:
                plain = all(
                    a.condition_size == 1 and not any(f.active for f in a.films)
                    for a in network.arrays
                )
                if plain:
                    yield network


NAM = [*sorted(PACK.glob("*.nam")), *NAM_PATHS]
OURS = {path: list(wavenets(path)) for path in NAM}


@each_implementation
@pytest.mark.parametrize("path", [p for p in NAM if OURS[p]], ids=lambda p: p.stem)
def test_plays_nam_files_as_the_engine_does(impl: str, path: Path) -> None:
    x = 0.3 * signal(1, 150)
    for spec in OURS[path]:
        plan, flat = plan_of(spec), torch.from_numpy(np.array(spec.weights))
        model = WaveNet.from_spec(spec).double()
        silence = torch.zeros(1, 1, plan.receptive_field, dtype=torch.float64)
        with torch.no_grad():
            whole = model(torch.cat([silence, x.double()[:, None]], dim=2))
        streams = open_streams(pack_weights(plan, flat, device_of(impl)), 1, impl=impl)
        y = played(x, streams, impl, iter((64, 16, 1, 64, 5)))
        assert_close(y, whole[:, 0, plan.receptive_field :])


@pytest.mark.skipif(not NAM_FOLDER.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("impl", implementations("native", "reference"))
@pytest.mark.parametrize("name", ["wavenet", "wavenet_a1_standard"])
def test_plays_what_nam_core_plays(impl: str, name: str) -> None:
    (spec,) = OURS[NAM_FOLDER / f"{name}.nam"]
    weights = pack_weights(plan_of(spec), torch.from_numpy(np.array(spec.weights)))
    x = torch.from_numpy(np.load(NAM_FOLDER / "input.npy"))[None, :6000]
    expected = torch.from_numpy(np.load(NAM_FOLDER / f"{name}.expected.npy"))[None, :6000]
    y = played(x, open_streams(weights, 1, impl=impl), impl, itertools.repeat(512))
    assert_close(y, expected, 2e-5)


# ---- streaming -------------------------------------------------------------------------------


@each_implementation
@pytest.mark.parametrize("block", [1, 2, 16, 17, 63, 64, 65, 200, 512, 4096])
def test_any_partition_gives_the_whole(impl: str, block: int) -> None:
    # The reference takes about 50 ms a block.
    frames = 4096 if block >= 200 or (impl != "reference" and block >= 16) else 260
    x = signal(1, frames)
    y = played(x, open_streams(packed(SMALL, impl), 1, impl=impl), impl, itertools.repeat(block))
    assert_close(y, truth(SMALL, x))


@each_implementation
def test_random_partitions_give_the_whole_to_the_bit(impl: str) -> None:
    """Every frame is summed in one order, whatever the block; so the reference apart, whose
    matrix products choose theirs by size."""
    x, random = signal(2, 400), np.random.default_rng(0)
    weights = packed(SMALL, impl)
    whole = played(x, open_streams(weights, 2, impl=impl), impl, itertools.repeat(400))
    for _ in range(3):
        blocks = (int(2 ** random.uniform(0, 7)) for _ in itertools.count())
        y = played(x, open_streams(weights, 2, impl=impl), impl, blocks)
        assert_close(y, whole, 2e-6)
        if impl == "cuda":
            assert torch.equal(y, whole)


@each_implementation
def test_a_batch_is_its_streams(impl: str) -> None:
    x, weights = signal(11, 70), packed(SMALL, impl)
    together = played(x, open_streams(weights, 11, impl=impl), impl, itertools.repeat(35))
    for index in (0, 5, 10):
        alone = open_streams(weights, 1, impl=impl)
        y = played(x[index : index + 1], alone, impl, itertools.repeat(35))
        assert_close(y, together[index : index + 1], 1e-6)


@each_implementation
def test_reset_streams_are_as_fresh_and_the_others_go_on(impl: str) -> None:
    x, weights = signal(3, 200), packed(SMALL, impl)
    streams = open_streams(weights, 3, impl=impl)
    played(x, streams, impl, itertools.repeat(100))
    mask = torch.tensor([True, False, True], device=streams.position.device)
    streams.reset(mask)
    assert streams.position.tolist() == [0, 200, 0]
    y = played(x, streams, impl, itertools.repeat(100))
    fresh = played(x, open_streams(weights, 3, impl=impl), impl, itertools.repeat(100))
    twice = truth(SMALL, torch.cat([x, x], dim=1))[:, 200:]
    assert_close(y[::2], fresh[::2], 0.0)
    assert_close(y[1:2], twice[1:2])
    streams.reset()
    assert_close(played(x, streams, impl, itertools.repeat(100)), fresh, 0.0)


@each_with_tensors
def test_snapshots_go_on_where_they_were_taken(impl: str) -> None:
    x, streams = signal(2, 150), open_streams(packed(SMALL, impl), 2, impl=impl)
    played(x, streams, impl, itertools.repeat(75))
    addresses = streams.ring.data_ptr(), streams.position.data_ptr()
    kept = streams.snapshot()
    once = played(x, streams, impl, itertools.repeat(75))
    streams.restore(kept)
    assert torch.equal(played(x, streams, impl, itertools.repeat(75)), once)
    assert addresses == (streams.ring.data_ptr(), streams.position.data_ptr())
    other = open_streams(packed(SMALL, impl), 2, impl=impl)
    other.restore(kept)
    assert torch.equal(played(x, other, impl, itertools.repeat(75)), once)


@each_with_tensors
@pytest.mark.parametrize("start", [79, 2**31 - 30, 2**40 + 1])
def test_positions_far_on(impl: str, start: int) -> None:
    """The rings of fresh streams hold constants, so they may begin at any position."""
    x, streams = signal(2, 120), open_streams(packed(SMALL, impl), 2, impl=impl)
    streams.position[1] = start
    y = played(x, streams, impl, itertools.repeat(50))
    assert_close(y, truth(SMALL, x))
    assert streams.position.tolist() == [120, start + 120]


@pytest.mark.parametrize("impl", implementations("cuda"))
@pytest.mark.parametrize("start", [-500, -1, -(2**63), 2**63 - 50])
def test_no_position_leads_out_of_the_rings(impl: str, start: int) -> None:
    """Whatever was written to `position`, which is the caller's to write."""
    frames = -start if start == -1 else 120  # up to 0, where the count begins anew
    x, streams = signal(3, frames), open_streams(packed(SMALL, impl), 3, impl=impl)
    streams.ring[::2] = math.nan  # the neighbours'
    streams.position[1] = start
    y = played(x, streams, impl, itertools.repeat(50))
    assert_close(y[1:2], truth(SMALL, x)[1:2])
    assert streams.position[1] == (start + frames + 2**63) % 2**64 - 2**63


@each_with_tensors
def test_implementations_hand_streams_to_each_other(impl: str) -> None:
    if device_of(impl) != "cpu":
        pytest.skip("the reference plays on the CPU here")
    x, streams = signal(2, 160), open_streams(packed(SMALL, impl), 2, impl=impl)
    halves = [played(x[:, :80], streams, impl, itertools.repeat(33))]
    halves.append(played(x[:, 80:], streams, "reference", itertools.repeat(33)))
    assert_close(torch.cat(halves, dim=1), truth(SMALL, x))


LONG_HEAD = WaveNetPlan((ArrayPlan(5, (LayerPlan(6, 3), LayerPlan(3, 50)), 1, 16, True),))


@pytest.mark.parametrize("order", ["reverse", "random:1", "random:2"])
@pytest.mark.parametrize("plan", [SMALL, LONG_HEAD], ids=["small", "long_head"])
@pytest.mark.parametrize("impl", implementations("cuda"))
def test_no_thread_waits_for_luck(
    impl: str, plan: WaveNetPlan, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not backends.is_simulated("cuda"):
        pytest.skip("the order of threads is the emulator's")
    monkeypatch.setenv("BUNRAKU_EMULATOR_ORDER", order)
    x = signal(3, 350)
    y = played(x, open_streams(packed(plan, impl), 3, impl=impl), impl, iter((64, 70, 16, 200)))
    assert_close(y, truth(plan, x))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
def test_a_replayed_graph_plays_the_next_block() -> None:
    x, streams = signal(4, 64 * 9).cuda(), open_streams(packed(SMALL, "cuda"), 4, impl="cuda")
    block, graph = torch.zeros(4, 64, device="cuda"), torch.cuda.CUDAGraph()
    wavenet_stream(block, streams, impl="cuda")
    streams.reset()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        y = wavenet_stream(block, streams, impl="cuda")
    out = []
    for part in x.split(64, dim=1):
        block.copy_(part)
        graph.replay()
        out.append(y.clone())
    assert_close(torch.cat(out, dim=1), truth(SMALL, x))


@pytest.mark.cpu_only
def test_not_a_number_is_forgotten_and_stays_in_its_stream() -> None:
    x = signal(2, 4 * SMALL.receptive_field)
    spoilt = x.clone()
    spoilt[0, 3] = math.nan
    for impl in ("reference", "cuda"):
        if impl in ABSENT or device_of(impl) != "cpu":
            continue
        streams = open_streams(packed(SMALL, impl), 2, impl=impl)
        y = played(spoilt, streams, impl, itertools.repeat(64))
        assert_close(y[1:], truth(SMALL, x)[1:])
        after = 3 + SMALL.receptive_field
        assert y[0, 3:after].isnan().any()
        assert_close(y[0, after:], truth(SMALL, x)[0, after:])


LEAKY = WaveNetPlan((ArrayPlan(5, tuple(LayerPlan(3, d, "lrelu") for d in (1, 9, 20)), 1, 4),))


@each_implementation
@pytest.mark.parametrize("plan", [SMALL, LEAKY], ids=["tanh", "lrelu"])
@pytest.mark.parametrize("wild", [math.nan, math.inf])
def test_wild_input_is_heard_by_its_stream_alone_and_until_reset(
    impl: str, plan: WaveNetPlan, wild: float
) -> None:
    x = signal(3, 128 + plan.receptive_field)
    spoilt = x.clone()
    spoilt[1, 60:63] = wild
    streams = open_streams(packed(plan, impl), 3, impl=impl)
    y, clean = played(spoilt, streams, impl, itertools.repeat(64)), truth(plan, x)
    assert_close(y[::2], clean[::2])
    assert_close(y[1, :60], clean[1, :60])
    after = 62 + plan.receptive_field
    assert_close(y[1, after:], clean[1, after:])
    played(spoilt[:, :70], streams, impl, itertools.repeat(64))
    streams.reset(torch.tensor([False, True, False], device=streams.position.device))
    assert_close(played(x[:, :64], streams, impl, itertools.repeat(64))[1], clean[1, :64])


# ---- choosing and refusing -------------------------------------------------------------------


@pytest.mark.cpu_only
def test_auto_plays_whatever_streams_it_opened() -> None:
    x = signal(2, 40)
    for dtype in (torch.float32, torch.float64):
        weights = pack_weights(SMALL, random_weights(SMALL, 3).float().to(dtype))
        streams = open_streams(weights, 2)
        y = wavenet_stream(x.to(dtype), streams)
        assert y.dtype == dtype
        assert_close(y, truth(SMALL, x))
    assert wavenet_stream(x[:, :0].to(dtype), streams).shape == (2, 0)


@pytest.mark.parametrize("impl", implementations("native"))
def test_the_cores_voices_are_played_by_the_core_alone(impl: str) -> None:
    weights = packed(SMALL, impl)
    ours, tensors = (open_streams(weights, 1, impl=i) for i in (impl, "reference"))
    with pytest.raises(InvalidInputError, match="play them with 'native'"):
        wavenet_stream(signal(1, 4), ours, impl="reference")
    with pytest.raises(InvalidInputError, match="opened with impl='native'"):
        wavenet_stream(signal(1, 4), tensors, impl=impl)
    with pytest.raises(InvalidInputError, match="for snapshots open the streams"):
        ours.snapshot()
    with pytest.raises(InvalidInputError, match="for snapshots open the streams"):
        ours.restore(tensors.snapshot())
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InvalidInputError, match=r"neither copied nor pickled: .*snapshot\(\)"):
            copied(ours)
    with pytest.raises(RuntimeError, match="streams were closed"):
        backends.native_module().wavenet_voices_step(10**9, 0, 0, 1, 4)
    with pytest.raises(InvalidInputError, match="takes float32 on cpu"):
        open_streams(pack_weights(SMALL, random_weights(SMALL, 3)), 1, impl=impl)


@pytest.mark.parametrize("impl", implementations("native"))
def test_an_instruction_set_that_is_none_is_refused(
    impl: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUNRAKU_ISA", "sse9")
    with pytest.raises(InvalidInputError, match=r"BUNRAKU_ISA='sse9': .*portable.*unset"):
        open_streams(packed(SMALL, impl), 1)


@pytest.mark.parametrize("impl", implementations("cuda"))
def test_networks_too_large_for_a_thread_block(impl: str) -> None:
    wide = WaveNetPlan((ArrayPlan(17, (LayerPlan(2, 1),)),))
    deep = WaveNetPlan((ArrayPlan(16, tuple(LayerPlan(3, 1) for _ in range(60))),))
    for plan, message in ((wide, "17 channels: it takes up to 16"), (deep, "do not fit")):
        streams = open_streams(packed(plan, impl), 1, impl=impl)
        with pytest.raises(InvalidInputError, match=message):
            wavenet_stream(signal(1, 4).to(streams.position.device), streams, impl=impl)


LAYER = LayerPlan(3, 2)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerPlan(3, 0), "dilation=0: a whole number from 1 to 65536"),
        (lambda: LayerPlan(3, 65_537), "dilation=65537"),
        (lambda: LayerPlan(0, 1), "kernel_size=0"),
        (lambda: LayerPlan(10**9, 1), "kernel_size=1000000000"),
        (lambda: LayerPlan(2.5, 1), r"kernel_size=2\.5"),
        (lambda: LayerPlan(3, 1, "gelu"), "activation='gelu': choose one of linear"),
        (lambda: LayerPlan(3, 1, "lrelu", math.nan), "alpha=nan"),
        (lambda: LayerPlan(3, 1, "lrelu", "0.1"), "alpha='0.1'"),
        (lambda: LayerPlan(3, 1, ["tanh"]), r"activation=\['tanh'\]"),
        (lambda: ArrayPlan(4, LAYER), "layers is not a tuple of LayerPlan"),
        (lambda: ArrayPlan(4, [3]), "layers is not a tuple of LayerPlan"),
        (lambda: ArrayPlan(4, (LAYER,), head_bias=1), "head_bias=1: True or False"),
        (lambda: WaveNetPlan((LAYER,)), "arrays is not a tuple of ArrayPlan"),
        (lambda: WaveNetPlan.a1(4, 2, [1], 3), "dilations=3: a list of whole numbers"),
        (lambda: ArrayPlan(0, (LAYER,)), "channels=0"),
        (lambda: ArrayPlan(10**6, (LAYER,)), "channels=1000000"),
        (lambda: ArrayPlan(4, ()), "number of layers=0"),
        (lambda: ArrayPlan(4, (LAYER,), head_kernel_size=0), "head_kernel_size=0"),
        (lambda: WaveNetPlan(()), "number of arrays=0"),
        (lambda: WaveNetPlan((ArrayPlan(4, (LAYER,), 2),)), "head_size=2 of array 0: 1, which is"),
        (
            lambda: WaveNetPlan((ArrayPlan(4, (LAYER,), 3), ArrayPlan(2, (LAYER,)))),
            "head_size=3 of array 0: 2, which is the channels of the next",
        ),
        (
            lambda: WaveNetPlan((ArrayPlan(256, (LayerPlan(256, 65_536),)),)),
            "a stream would remember 4278190080 floats",
        ),
    ],
)
def test_hostile_plans_are_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(InvalidInputError, match=message):
        make()


@pytest.mark.cpu_only
def test_hostile_weights_are_refused() -> None:
    good = random_weights(SMALL, 3).float()
    with pytest.raises(InvalidInputError, match=rf"takes \[{SMALL.weight_count}\]"):
        pack_weights(SMALL, good[:-1])
    with pytest.raises(InvalidInputError, match=rf"takes \[{SMALL.weight_count}\]"):
        pack_weights(SMALL, good[None])
    with pytest.raises(InvalidInputError, match="float16: float32"):
        pack_weights(SMALL, good.half())
    for numbers in (["a"], [[1.0], [1.0, 2.0]], [None], [10**400]):
        with pytest.raises(InvalidInputError, match="a flat list of numbers is wanted"):
            pack_weights(SMALL, numbers)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"weights is a numpy\.ndarray"):
        pack_weights(SMALL, good.numpy())  # type: ignore[arg-type]
    for device in ("here", [1], torch.int32, 10**30):
        with pytest.raises(InvalidInputError, match=r"device=.*: it cannot be used"):
            pack_weights(SMALL, good, device)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="plan is a dict"):
        pack_weights({}, good)  # type: ignore[arg-type]
    for bad in (math.nan, math.inf):
        spoilt = good.clone()
        spoilt[17] = bad
        with pytest.raises(InvalidInputError, match=f"weight 17 is {bad}"):
            pack_weights(SMALL, spoilt)
    relu = WaveNetPlan((ArrayPlan(2, tuple(LayerPlan(2, 1, "relu") for _ in range(4))),))
    with pytest.raises(InvalidInputError, match="silence overflows"):
        pack_weights(relu, torch.full([relu.weight_count], 1e30))


@pytest.mark.cpu_only
def test_bad_calls_are_refused() -> None:
    weights = packed(SMALL, "reference")
    streams = open_streams(weights, 2, impl="reference")
    for batch in (0, -1, 65_537, 1.5):
        with pytest.raises(InvalidInputError, match=f"batch={batch}"):
            open_streams(weights, batch)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="weights is a Tensor: what pack_weights makes"):
        open_streams(weights.flat, 2)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="streams is a dict: what open_streams makes"):
        wavenet_stream(signal(2, 8), streams.snapshot())  # type: ignore[arg-type]
    for no_tensor in (signal(2, 8).numpy(), [[0.0], [0.0]]):
        with pytest.raises(InvalidInputError, match=r"x is a .*: a torch\.Tensor is wanted"):
            wavenet_stream(no_tensor, streams)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match=r"mask is a .*: a torch\.Tensor is wanted"):
            streams.reset(no_tensor)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match=r"snapshot\['ring'\] is a .* is wanted"):
            streams.restore({**streams.snapshot(), "ring": no_tensor})  # type: ignore[dict-item]
    for foreign in (None, 3, streams):
        with pytest.raises(InvalidInputError, match=r"the snapshot is a .*: a dict"):
            streams.restore(foreign)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="impl='fast'"):
        open_streams(weights, 2, impl="fast")
    for x in (signal(3, 8), signal(2, 8)[0], signal(2, 8)[:, :, None]):
        with pytest.raises(InvalidInputError, match=r"\[2, frames\]"):
            wavenet_stream(x, streams)
    with pytest.raises(InvalidInputError, match=r"x is torch\.float64"):
        wavenet_stream(signal(2, 8).double(), streams)
    with pytest.raises(InvalidInputError, match="requires a gradient"):
        wavenet_stream(signal(2, 8).requires_grad_(), streams)
    with pytest.raises(InvalidInputError, match=r"mask is torch\.int64 \[2\]: bool \[2\]"):
        streams.reset(torch.ones(2, dtype=torch.int64))
    with pytest.raises(InvalidInputError, match=r"bool \[2\]"):
        streams.reset(torch.ones(3, dtype=torch.bool))
    kept = streams.snapshot()
    with pytest.raises(InvalidInputError, match=r"snapshot\['ring'\] is absent"):
        streams.restore({"position": kept["position"]})
    with pytest.raises(InvalidInputError, match=r"as\s+many streams"):
        open_streams(weights, 3, impl="reference").restore(kept)
    with pytest.raises(InvalidInputError, match="below 0"):
        streams.restore({**kept, "position": kept["position"] - 1})


@pytest.mark.cpu_only
def test_weights_are_a_copy_and_plans_compare_by_value() -> None:
    flat = random_weights(SMALL, 3).float()
    weights = pack_weights(SMALL, flat)
    flat.zero_()
    assert weights.packed.abs().sum() > 0
    assert WaveNetPlan.from_text(SMALL.text) == SMALL
    assert hash(WaveNetPlan.from_text(SMALL.text)) == hash(SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.arrays = ()  # type: ignore[misc]
