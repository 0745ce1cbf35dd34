"""States refuse what is not theirs before they change, and a call that failed can be made again."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from bunraku_kernels import InvalidInputError
from bunraku_kernels.wavenet_sample import WaveNetState
from bunraku_kernels.wavenet_sample.examples import random_network
from bunraku_kernels.wavenet_stream import WaveNetPlan, open_streams, pack_weights, wavenet_stream
from bunraku_kernels.wavenet_stream import reference as stream_reference


def streams(impl: str = "reference") -> object:
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
