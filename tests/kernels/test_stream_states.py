"""States refuse what is not theirs before they change, a call that failed can be made again, and
where a state was made does not say where it can be played."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from bunraku_kernels import InvalidInputError, backends
from bunraku_kernels.upsample_conv import UpsampleConv1dStream
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
