"""A stream refuses what is not its own, and a call that fails leaves it where it was."""

from __future__ import annotations

import pytest
import torch
from bunraku_kernels import InvalidInputError
from bunraku_kernels.upsample_conv import UpsampleConv1dStream

pytestmark = pytest.mark.cpu_only


def layer(kernel: int = 4, bias: torch.Tensor | None = None) -> UpsampleConv1dStream:
    torch.manual_seed(0)
    return UpsampleConv1dStream(torch.randn(3, 2, kernel), bias, stride=2)


@pytest.mark.parametrize("bias", [torch.zeros(3), torch.zeros(2, dtype=torch.float16)])
def test_a_bias_that_does_not_fit_is_refused(bias: torch.Tensor) -> None:
    with pytest.raises(InvalidInputError, match="bias is"):
        layer(bias=bias)


def test_the_bias_is_kept_as_it_was() -> None:
    bias = torch.ones(2)
    stream = layer(bias=bias)
    bias.fill_(100.0)
    y = stream.step(torch.zeros(1, 3, 4), stream.init_state(1))
    assert torch.equal(y, torch.ones_like(y))


def test_a_state_of_another_layer_or_batch_is_refused() -> None:
    stream, other = layer(4), layer(8)
    x = torch.randn(1, 3, 4)
    with pytest.raises(InvalidInputError, match="the state holds"):
        stream.step(x, other.init_state(1))
    with pytest.raises(InvalidInputError, match="the snapshot holds"):
        stream.init_state(2).restore(stream.init_state(1))


def test_a_failed_step_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = layer()
    state = stream.init_state(1)
    stream.step(torch.randn(1, 3, 5), state)
    before = state.snapshot()

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("bunraku_kernels.upsample_conv.stream.phase_conv", fails)
    with pytest.raises(MemoryError):
        stream.step(torch.randn(1, 3, 5), state)
    assert torch.equal(state.frames, before.frames)
