"""Not-a-number and infinity come out as the reference has them: training that diverged is seen."""

from __future__ import annotations

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.upfirdn import upfirdn_bias_act
from bunraku_kernels.upsample_conv import upsample_conv2d
from torch import Tensor

WILD = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0, -1.0, 0.0, 3e38, -3e38])
each_kernel = pytest.mark.parametrize(
    "impl",
    [
        pytest.param(
            impl,
            marks=[pytest.mark.skip(reason=why)] if (why := backends.why_not(impl)) else [],
        )
        for impl in ("triton", "cuda")
    ],
)


def wild() -> Tensor:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return WILD.repeat(4).reshape(1, 2, 4, 4).to(device)


def assert_same(value: Tensor, truth: Tensor) -> None:
    torch.testing.assert_close(value, truth, equal_nan=True, rtol=1e-5, atol=1e-5)


@each_kernel
@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_bias_act(impl: str, activation: str, clamp: float | None) -> None:
    settings = {"activation": activation, "clamp": clamp}
    assert_same(
        bias_act(wild(), impl=impl, **settings), bias_act(wild(), impl="reference", **settings)
    )


@each_kernel
@pytest.mark.parametrize("activation", ["relu", "lrelu", "linear", "silu"])
@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("taps", [1, 4])
def test_fused_upfirdn(impl: str, activation: str, clamp: float | None, taps: int) -> None:
    f = torch.ones(taps, taps, device=wild().device)
    settings = {"activation": activation, "clamp": clamp, "padding": taps // 2}
    assert_same(
        upfirdn_bias_act(wild(), f, impl=impl, **settings),
        upfirdn_bias_act(wild(), f, impl="reference", **settings),
    )


@each_kernel
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_upsample_conv(impl: str, clamp: float | None) -> None:
    x = wild()[:, :1].contiguous()
    weight = torch.ones(1, 1, 1, 1, device=x.device)
    settings = {"up": 1, "activation": "relu", "clamp": clamp}
    assert_same(
        upsample_conv2d(x, weight, impl=impl, **settings),
        upsample_conv2d(x, weight, impl="reference", **settings),
    )


@each_kernel
def test_bias_of_any_stride(impl: str) -> None:
    x = torch.randn(3, 8, 5, device=wild().device)
    for bias in (torch.randn(16, device=x.device)[::2], torch.randn(1, device=x.device).expand(8)):
        assert_same(bias_act(x, bias, impl=impl), bias_act(x, bias, impl="reference"))
    flat = torch.randn(1, 4, device=x.device).as_strided((1, 4), (0, 1))
    bias = torch.randn(1, device=x.device)
    assert_same(
        bias_act(flat, bias, dim=0, impl=impl), bias_act(flat, bias, dim=0, impl="reference")
    )
