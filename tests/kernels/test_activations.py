"""Activations and their derivatives, element by element: small signals keep their figures, and
not-a-number and infinity come out as the reference has them."""

from __future__ import annotations

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.upfirdn import upfirdn_bias_act
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RELATIVE = 5e-7  # of each element: four roundings of float32
WILD = torch.tensor([float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1.0, -1.0, 0.0])
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
each_activation = pytest.mark.parametrize("activation", list(ACTIVATIONS))


def orders(
    x: Tensor, activation: str, impl: str, gain: float | None = 1.0, clamp: float | None = None
) -> dict[str, Tensor]:
    """The value, its slope and its curve, by the operator's own two backward passes."""
    x = x.clone().requires_grad_()
    value = bias_act(x, activation=activation, gain=gain, clamp=clamp, impl=impl)
    (slope,) = torch.autograd.grad(value, x, torch.ones_like(x), create_graph=True)
    (curve,) = torch.autograd.grad(slope, x, torch.ones_like(x))
    return {"value": value.detach(), "slope": slope.detach(), "curve": curve}


def assert_elements(x: Tensor, activation: str, impl: str) -> None:
    got = orders(x.to(DEVICE), activation, impl)
    for name, truth in orders(x.double(), activation, "reference").items():
        torch.testing.assert_close(
            got[name].double().cpu(),
            truth,
            rtol=RELATIVE,
            atol=0.0,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@each_kernel
@each_activation
def test_small_signals(impl: str, activation: str) -> None:
    magnitudes = torch.logspace(-6, -2, 401)
    assert_elements(torch.cat([magnitudes, -magnitudes]), activation, impl)


@each_kernel
@each_activation
def test_where_one_form_gives_way_to_another(impl: str, activation: str) -> None:
    magnitudes = torch.linspace(0.01, 2.5, 997)
    x = torch.cat([magnitudes, -magnitudes])
    got = orders(x.to(DEVICE), activation, impl)["value"].double().cpu()
    truth = orders(x.double(), activation, "reference")["value"]
    torch.testing.assert_close(got, truth, rtol=RELATIVE, atol=0.0)


@each_kernel
def test_softplus_of_far_negative_signals_is_not_zero(impl: str) -> None:
    x = torch.linspace(-60, -10, 201)
    got = bias_act(x.to(DEVICE), activation="softplus", impl=impl).double().cpu()
    truth = torch.log1p(torch.exp(x.double()))
    torch.testing.assert_close(got, truth, rtol=1e-5, atol=0.0)


@each_kernel
@each_activation
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_not_a_number_and_infinity(impl: str, activation: str, clamp: float | None) -> None:
    got = orders(WILD.to(DEVICE), activation, impl, None, clamp)
    for name, truth in orders(WILD, activation, "reference", None, clamp).items():
        torch.testing.assert_close(
            got[name].cpu(),
            truth,
            equal_nan=True,
            rtol=1e-6,
            atol=1e-6,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@each_kernel
@each_activation
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_gradient_of_fused_upfirdn(impl: str, activation: str, clamp: float | None) -> None:
    """alpha 0 makes a leaky ReLU's left side flat, which is not yet a ReLU's: 0 x inf."""
    settings = {
        "up": 2,
        "padding": (2, 1, 2, 1),
        "activation": activation,
        "clamp": clamp,
        "alpha": 0.0,
    }

    def slope(f_impl: str, device: str) -> tuple[Tensor, Tensor]:
        bias = WILD.to(device).requires_grad_()
        x = torch.zeros(1, len(WILD), 4, 4, device=device)
        y = upfirdn_bias_act(x, torch.ones(4, 4, device=device), bias, impl=f_impl, **settings)
        (grad,) = torch.autograd.grad(y, bias, torch.ones_like(y))
        return y.detach().cpu(), grad.cpu()

    for got, truth in zip(slope(impl, DEVICE), slope("reference", "cpu"), strict=True):
        torch.testing.assert_close(got, truth, equal_nan=True, rtol=1e-5, atol=1e-5)
