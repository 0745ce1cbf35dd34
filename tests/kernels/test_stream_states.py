"""States refuse what is not theirs before they change, a call that failed can be made again, and
where a state was made does not say where it can be played."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from bunraku_kernels import InvalidInputError, backends
from bunraku_kernels.upsample_conv import UpsampleConv1dStream
from bunraku_kernels.upsample_conv.stream import UpsampleConv1dState
from bunraku_kernels.wavenet_sample import WaveNetState, wavenet_sample
from bunraku_kernels.wavenet_sample.examples import random_network
from bunraku_kernels.wavenet_stream import (
    WaveNetPlan,
    WaveNetStreams,
    open_streams,
    pack_weights,
    wavenet_stream,
)
from bunraku_kernels.wavenet_stream import reference as stream_reference

needs_native = pytest.mark.skipif(
    backends.why_not("native") is not None, reason=str(backends.why_not("native"))
)

pytestmark = pytest.mark.cpu_only


def streams(impl: str = "reference") -> WaveNetStreams:
    plan = WaveNetPlan.a1(4, 2, [1, 2, 4], [1, 2])
    flat = torch.randn(plan.weight_count, generator=torch.Generator().manual_seed(3)) * 0.3
    return open_streams(pack_weights(plan, flat), 2, impl=impl)


def test_a_failed_block_leaves_the_stream_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 32, generator=torch.Generator().manual_seed(4))
    expected = wavenet_stream(x, streams(), impl="reference")
    state = streams()
    calls, convolved = 0, stream_reference._convolved

    def fails_once(*arguments: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise MemoryError
        return convolved(*arguments)

    monkeypatch.setattr(stream_reference, "_convolved", fails_once)
    with pytest.raises(MemoryError):
        wavenet_stream(x, state, impl="reference")
    assert torch.equal(wavenet_stream(x, state, impl="reference"), expected)


@pytest.mark.parametrize("position", [-1, (1 << 63) - 1])
def test_positions_beyond_all_time_are_refused(position: int) -> None:
    state = streams()
    snapshot = state.snapshot()
    snapshot["position"][1] = position
    with pytest.raises(InvalidInputError, match="position"):
        state.restore(snapshot)


@pytest.mark.parametrize("name", ["time", "last"])
def test_a_sampler_state_is_restored_whole_or_not_at_all(name: str) -> None:
    weights = random_network("categorical", 4, 4, 4, 8, (1, 2))
    state = WaveNetState.initial(weights, 2)
    other = state.snapshot()
    other.history.fill_(1.0)
    wrong = dataclasses.replace(other, **{name: getattr(other, name).double()[:1]})
    before = state.history.clone()
    with pytest.raises(InvalidInputError, match="the snapshot is of"):
        state.restore(wrong)
    assert torch.equal(state.history, before)


# ---- inference mode --------------------------------------------------------------------------


@pytest.mark.parametrize("impl", ["reference", pytest.param("native", marks=needs_native)])
def test_streams_opened_under_inference_mode_play_anywhere(impl: str) -> None:
    x = torch.randn(2, 24, generator=torch.Generator().manual_seed(4))
    expected = wavenet_stream(x, streams(impl), impl=impl)
    with torch.inference_mode():
        state = streams(impl)  # their weights, too
        y = [wavenet_stream(x[:, :7], state, impl=impl)]
    y.append(wavenet_stream(x[:, 7:], state, impl=impl))
    torch.testing.assert_close(torch.cat(y, dim=1), expected)
    assert state.position.tolist() == [24, 24]
    state.reset(torch.tensor([True, False]))
    assert state.position.tolist() == [0, 24]
    state.reset()
    torch.testing.assert_close(wavenet_stream(x, state, impl=impl), expected)


def test_snapshots_taken_under_inference_mode_are_restored_anywhere() -> None:
    x = torch.randn(2, 24, generator=torch.Generator().manual_seed(4))
    state = streams()
    with torch.inference_mode():
        kept = state.snapshot()
        expected = wavenet_stream(x, state, impl="reference")
    state.restore(kept)
    assert torch.equal(wavenet_stream(x, state, impl="reference"), expected)


def test_upsampler_states_made_under_inference_mode_step_anywhere() -> None:
    draw = torch.Generator().manual_seed(5)
    weight, x = torch.randn(3, 2, 6, generator=draw), torch.randn(1, 3, 9, generator=draw)
    stream = UpsampleConv1dStream(weight, stride=2, impl="reference")
    expected = stream.step(x, stream.init_state(1))
    with torch.inference_mode():
        state = stream.init_state(1)
        kept = state.snapshot()
    for fresh in (state, kept):
        assert torch.equal(stream.step(x, fresh), expected)
        fresh.reset()
        assert torch.equal(stream.step(x, fresh), expected)


@pytest.mark.parametrize("impl", ["reference", pytest.param("native", marks=needs_native)])
def test_sampler_states_made_under_inference_mode_play_anywhere(impl: str) -> None:
    weights = random_network("categorical", 4, 4, 4, 8, (1, 2))
    draw = torch.Generator().manual_seed(6)
    condition = torch.randn(2, 5, 2, 8, generator=draw)
    expected = wavenet_sample(weights, condition, WaveNetState.initial(weights, 2), impl=impl)
    with torch.inference_mode():
        state = WaveNetState.initial(weights, 2)
        kept = state.snapshot()
    for fresh in (state, kept):
        assert torch.equal(wavenet_sample(weights, condition, fresh, impl=impl), expected)
        fresh.reset()
        assert torch.equal(wavenet_sample(weights, condition, fresh, impl=impl), expected)


# ---- what no state takes ---------------------------------------------------------------------


def states() -> list[tuple[str, Any]]:
    """Of two streams each, where each may be reset and restored."""
    upsampler = UpsampleConv1dStream(torch.ones(3, 2, 6), stride=2, impl="reference")
    sampler = WaveNetState.initial(random_network("categorical", 4, 4, 4, 8, (1, 2)), 2)
    return [
        ("upsampler", upsampler.init_state(2)), ("sampler", sampler), ("streams", streams()),
    ]  # fmt: skip


each_state = pytest.mark.parametrize("state", [pytest.param(s, id=name) for name, s in states()])


@each_state
@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.tensor([1, 0]), r"mask is torch\.int64 \[2\]: bool \[2\]"),
        (torch.tensor([True]), r"mask is torch\.bool \[1\]: bool \[2\]"),
        (torch.tensor([[True, False]]), r"\[1, 2\]: bool \[2\]"),
        (torch.tensor(True), r"\[\]: bool \[2\]"),
        ([True, False], r"mask is a list: a torch\.Tensor"),
        (np.array([True, False]), r"mask is a numpy\.ndarray: a torch\.Tensor"),
        (1, "mask is a int"),
    ],
)
def test_a_mask_is_bool_for_each_stream(state: Any, mask: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        state.reset(mask)


@each_state
@pytest.mark.parametrize("foreign", [None, 3, "state", object(), torch.zeros(2)])
def test_foreign_snapshots_are_refused(state: Any, foreign: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"is a .* wanted|is a .*: a dict"):
        state.restore(foreign)


@pytest.mark.parametrize("time", [-1, -(1 << 63), (1 << 62) + 1, (1 << 63) - 1])
def test_a_sampler_state_of_no_time_is_refused(time: int) -> None:
    state = WaveNetState.initial(random_network("categorical", 4, 4, 4, 8, (1, 2)), 2)
    forged = state.snapshot()
    forged.time[1] = time
    forged.history.fill_(1.0)
    with pytest.raises(InvalidInputError, match="time is below 0 or above 2\\^62"):
        state.restore(forged)
    assert not state.history.any()


# ---- what the upsampler refuses --------------------------------------------------------------


@pytest.mark.parametrize(
    "weight",
    [torch.ones(3, 2, 4, dtype=torch.int64), *(torch.ones(s) for s in [(0, 2, 4), (3, 0, 4)])],
    ids=["whole numbers", "no inputs", "no outputs"],
)
def test_an_upsampler_of_nothing_is_refused(weight: torch.Tensor) -> None:
    with pytest.raises(InvalidInputError, match="floating-point, no axis empty"):
        UpsampleConv1dStream(weight, stride=2)


def test_an_upsampler_steps_no_state_of_another_type() -> None:
    weight = torch.ones(3, 2, 4)
    stream = UpsampleConv1dStream(weight, stride=2)
    other = UpsampleConv1dStream(weight.double(), stride=2).init_state(1)
    other.frames.fill_(1.0)
    with pytest.raises(InvalidInputError, match=r"the state holds torch\.float64"):
        stream.step(torch.zeros(1, 3, 4), other)
    assert bool((other.frames == 1.0).all())
    with pytest.raises(InvalidInputError, match="batch=-1"):
        stream.init_state(-1)


@pytest.mark.parametrize("position", [0, 1 << 62])
def test_positions_of_all_time_are_restored(position: int) -> None:
    state = streams()
    snapshot = state.snapshot()
    snapshot["position"][1] = position
    state.restore(snapshot)
    assert state.position.tolist() == [0, position]


def test_an_upsampler_of_other_kinds_of_arguments_is_refused() -> None:
    weight = torch.ones(3, 2, 4)
    for change, message in (
        ({"stride": 2.0}, r"stride=2\.0: a whole number from 1"),
        ({"stride": 0}, "stride=0: a whole number from 1"),
        ({"stride": 1 << 40}, "stride=1099511627776: at most 65536"),
        ({"padding": -1}, "padding=-1: a whole number from 0"),
        ({"padding": 0.5}, r"padding=0\.5: a whole number from 0"),
        ({"gain": "2"}, "gain='2': a finite number"),
        ({"alpha": "2"}, "alpha='2': a finite number"),
        ({"pre_alpha": None}, "pre_alpha=None: a finite number"),
        ({"activation": 3}, "activation=3: choose one of"),
        ({"weight": weight.numpy()}, r"weight is a numpy\.ndarray: a torch\.Tensor"),
        ({"weight": weight[0]}, r"weight is \[2, 4\]: \[I, O, k\]"),
        ({"bias": [0.0, 0.0]}, r"bias is a list: a torch\.Tensor"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            UpsampleConv1dStream(**{"weight": weight, "stride": 2, **change})
    stream = UpsampleConv1dStream(weight, stride=2)
    for batch in (1.0, "1", True, None):
        with pytest.raises(InvalidInputError, match=r"batch=.*: a whole number from 0"):
            stream.init_state(batch)  # type: ignore[arg-type]
    for x in (np.zeros((1, 3, 4), np.float32), [[[0.0]]]):
        with pytest.raises(InvalidInputError, match=r"x is a .*: a torch\.Tensor"):
            stream.step(x, stream.init_state(1))  # type: ignore[arg-type]
    for state in (None, torch.zeros(1, 3, 1), UpsampleConv1dState(torch.zeros(3))):
        with pytest.raises(InvalidInputError, match="the state is a"):
            stream.step(torch.zeros(1, 3, 4), state)  # type: ignore[arg-type]


def test_no_streams_are_played_too() -> None:
    stream = UpsampleConv1dStream(torch.ones(3, 2, 6), stride=2, impl="reference")
    state = stream.init_state(0)
    assert stream.step(torch.zeros(0, 3, 4), state).shape == (0, 2, 8)
    state.reset()
    state.restore(state.snapshot())
    sampler = WaveNetState.initial(random_network("categorical", 4, 4, 4, 8, (1, 2)), 0)
    sampler.reset(torch.zeros(0, dtype=torch.bool))
    sampler.restore(sampler.snapshot())
