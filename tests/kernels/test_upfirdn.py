"""`upfirdn` against scipy, loops and PyTorch's convolutions; its gradients as upfirdn; what it
refuses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F
from bunraku_kernels import InvalidInputError
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.registry import operators
from bunraku_kernels.upfirdn import upfirdn, upfirdn_bias_act
from bunraku_kernels.upfirdn.examples import BINOMIAL
from cases import DEVICE, deviation
from torch import Tensor

HERE = operators()["upfirdn"].availability().here


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_loops(
    x: np.ndarray[Any, Any], f: np.ndarray[Any, Any], up: tuple[int, int], down: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> np.ndarray[Any, Any]:  # fmt: skip
    """The definition for one image: a true convolution of the padded, upsampled samples."""
    spread = np.zeros((x.shape[0] * up[1], x.shape[1] * up[0]))
    spread[:: up[1], :: up[0]] = x
    x0, x1, y0, y1 = padding
    spread = np.pad(spread, ((max(y0, 0), max(y1, 0)), (max(x0, 0), max(x1, 0))))
    spread = spread[max(-y0, 0) : spread.shape[0] - max(-y1, 0)]
    spread = spread[:, max(-x0, 0) : spread.shape[1] - max(-x1, 0)]
    rows = range(0, spread.shape[0] - f.shape[0] + 1, down[1])
    columns = range(0, spread.shape[1] - f.shape[1] + 1, down[0])
    windows = [[spread[r : r + f.shape[0], c : c + f.shape[1]] for c in columns] for r in rows]
    return np.array([[np.sum(w * f[::-1, ::-1]) for w in row] for row in windows])


# ---- the reference against independent truths ----------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("up", "down", "taps"), list(itertools.product((1, 2, 3), (1, 2, 5), (1, 4, 9)))
)
def test_signals_agree_with_scipy(up: int, down: int, taps: int) -> None:
    x, f = normal(2, 3, 17), normal(taps, seed=1).float()
    truth = scipy.signal.upfirdn(f.double().numpy(), x.numpy(), up, down)
    # scipy gives the full convolution of samples without zeros after the last.
    y = upfirdn(x, f, up=up, down=down, padding=(taps - 1, taps - up), impl="reference")
    assert y.shape == truth.shape
    np.testing.assert_allclose(y.numpy(), truth, atol=1e-12)


@pytest.mark.cpu_only
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (2, 1, 3, 0), (-1, 2, 4, -2)])
@pytest.mark.parametrize(("up", "down"), [((1, 1), (1, 1)), ((2, 3), (1, 2)), ((1, 2), (3, 1))])
def test_images_agree_with_loops(up: Any, down: Any, padding: Any) -> None:
    x, f = normal(1, 1, 7, 8), normal(3, 5, seed=1).float()
    truth = by_loops(x[0, 0].numpy(), f.double().numpy(), up, down, padding)
    y = upfirdn(x, f, up=up, down=down, padding=padding, impl="reference")
    assert y.shape[2:] == truth.shape
    np.testing.assert_allclose(y[0, 0].numpy(), truth, atol=1e-12)


@pytest.mark.cpu_only
def test_up_2_is_a_transposed_convolution() -> None:
    x = normal(2, 3, 5, 6)
    f = torch.outer(BINOMIAL, BINOMIAL)
    weight = f.double().expand(3, 1, 4, 4)
    truth = F.conv_transpose2d(x, weight, stride=2, groups=3)
    y = upfirdn(x, f, up=2, padding=(3, 2, 3, 2), impl="reference")
    torch.testing.assert_close(y, truth)


@pytest.mark.cpu_only
def test_options_mean_what_they_say() -> None:
    x, f = normal(1, 2, 6, 7), normal(4, seed=1).float()
    y = upfirdn(x, f, padding=2, impl="reference")
    torch.testing.assert_close(upfirdn(x, torch.outer(f, f), padding=2, impl="reference"), y)
    torch.testing.assert_close(
        upfirdn(x, f.flip(0), padding=2, flip_filter=True, impl="reference"), y
    )
    torch.testing.assert_close(upfirdn(x, f, padding=2, gain=3.0, impl="reference"), 3.0 * y)


@pytest.mark.cpu_only
def test_the_fused_reference_is_the_two_operators() -> None:
    x, b = normal(2, 3, 5, 6), normal(3, seed=1)
    settings: dict[str, Any] = {"activation": "silu", "gain": 1.3, "clamp": 0.9}
    u = upfirdn(x, BINOMIAL, up=2, padding=(2, 1, 2, 1), gain=4.0, impl="reference")
    truth = bias_act(u, b, impl="reference", **settings)
    y = upfirdn_bias_act(
        x, BINOMIAL, b, up=2, padding=(2, 1, 2, 1), filter_gain=4.0, impl="reference", **settings
    )
    torch.testing.assert_close(y, truth)


# ---- every implementation ------------------------------------------------------------------------


@pytest.mark.parametrize("impl", HERE)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("sampling", ["up", "down", "blur", "long"])
def test_results_of_several_tiles(impl: str, memory_format: Any, sampling: str) -> None:
    """Wider, higher and with more channels than a tile, so that tiles meet."""
    planes = memory_format == torch.contiguous_format
    channels, height, width = (1, 36, 144) if planes else (40, 6, 18)
    settings: dict[str, Any] = {
        "up": {"up": 2, "padding": (2, 1, 2, 1)},
        "down": {"down": 2, "padding": (1, 1, 2, 0)},
        "blur": {"padding": (2, 1, 1, 2)},
        "long": {"padding": 3, "down": (1, 3)},
    }[sampling]
    f = normal(7, seed=2).float() if sampling == "long" else BINOMIAL
    if sampling == "up":
        height, width = height // 2, width // 2
    x = normal(1, channels, height, width, dtype=torch.float32)
    x = x.to(torch.float16).to(DEVICE).contiguous(memory_format=memory_format)
    b = torch.linspace(-1, 1, channels, device=DEVICE, dtype=torch.float16)
    y = upfirdn_bias_act(x, f.to(DEVICE), b, activation="lrelu", impl=impl, **settings)
    truth = upfirdn_bias_act(
        x.cpu().double(), f, b.cpu().double(), activation="lrelu", impl="reference", **settings
    )
    assert y.is_contiguous(memory_format=memory_format)
    assert deviation(y, truth) <= 2e-3


@pytest.mark.parametrize("impl", HERE)
def test_gradients_of_every_order_are_upfirdn(impl: str) -> None:
    """Linear: the gradient does not depend on x, and <y, w> = <x, gradient>."""
    x = normal(1, 2, 5, 6, dtype=torch.float32).to(DEVICE).requires_grad_()
    f = normal(4, 3, seed=1).float().to(DEVICE)
    y = upfirdn(x, f, up=(2, 1), down=(1, 2), padding=(1, 2, 3, 0), gain=0.5, impl=impl)
    w = normal(*y.shape, seed=2).float().to(DEVICE).requires_grad_()
    (dx,) = torch.autograd.grad(y, x, w, create_graph=True)
    torch.testing.assert_close((y * w).sum(), (x * dx).sum(), rtol=1e-4, atol=1e-4)
    v = normal(*x.shape, seed=3).float().to(DEVICE)
    (dw,) = torch.autograd.grad(dx, w, v)
    again = upfirdn(v, f, up=(2, 1), down=(1, 2), padding=(1, 2, 3, 0), gain=0.5, impl=impl)
    torch.testing.assert_close(dw, again)


@pytest.mark.parametrize("impl", HERE)
def test_the_largest_filter_and_factors(impl: str) -> None:
    x = normal(1, 1, 40, 6, dtype=torch.float32).to(DEVICE)
    f = (normal(32, 2, seed=1) / 8).float().to(DEVICE)
    y = upfirdn(x, f, up=(7, 1), down=(1, 9), padding=(4, 3, 31, 0), impl=impl)
    truth = upfirdn(x.cpu().double(), f.cpu(), up=(7, 1), down=(1, 9), padding=(4, 3, 31, 0),
                    impl="reference")  # fmt: skip
    assert deviation(y, truth) <= 1e-5


@pytest.mark.parametrize("impl", HERE)
@pytest.mark.parametrize("padding", [(-6, 9, -3, 8), (9, -7, 8, -5), (-6, -1, -3, 2)])
def test_crops_to_the_last_sample(impl: str, padding: Any) -> None:
    """All of x but the last, or first, row and column; and the gradients pad what was cropped."""
    x = normal(1, 2, 2, 4, dtype=torch.float32).to(DEVICE).requires_grad_()
    f = torch.tensor([2.0]).to(DEVICE)
    y = upfirdn(x, f, up=(2, 3), padding=padding, impl=impl)
    x0, x1, y0, y1 = padding
    spread = torch.zeros(2, 6, 8).to(DEVICE)
    spread[:, ::3, ::2] = x.detach()[0]
    truth = F.pad(F.pad(4 * spread, (min(x0, 0), min(x1, 0), min(y0, 0), min(y1, 0))),
                  (max(x0, 0), max(x1, 0), max(y0, 0), max(y1, 0)))  # fmt: skip
    torch.testing.assert_close(y[0], truth)
    weights = normal(*y.shape, seed=3).float().to(DEVICE)
    (dx,) = torch.autograd.grad(y, x, weights)
    torch.testing.assert_close((dx * x).sum(), (weights * y).sum())


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": torch.zeros(2, 3)}, r"x has the shape \[2, 3\]: \[N, C, H, W\] or"),
        ({"x": torch.zeros(1, 1, 4, 4, dtype=torch.int32)}, "x is torch.int32"),
        ({"f": torch.zeros(3, dtype=torch.float16)}, "f is torch.float16 on cpu: float32"),
        ({"f": torch.zeros(1, 2, 3)}, r"f has the shape \[1, 2, 3\]: \[taps\] or"),
        ({"f": torch.zeros(0)}, "not empty"),
        ({"f": torch.zeros(3, requires_grad=True)}, "f.detach"),
        ({"up": 0}, "up=0: whole numbers from 1"),
        ({"down": (1, 2, 3)}, r"down=\(1, 2, 3\)"),
        ({"padding": (1, 2)}, r"padding=\(1, 2\): one whole number or \(x0, x1, y0, y1\)"),
        ({"padding": -3}, "leaves nothing.*3 x 3 taps; pad more"),
        ({"padding": (-4, 9, 0, 0)}, "crops all of x: along x it may take 3 .* and 3 at the end"),
        ({"padding": (0, 0, 9, -4)}, "crops all of x: along y it may take 3 at the beginning"),
        ({"padding": (-7, 20, 0, 0), "up": 2}, "along x it may take 6 .* and 7 at the end; crop"),
        ({"x": torch.zeros(1, 1, 9), "padding": (-9, 20)}, "crops all of x: along x it may take 8"),
        ({"x": torch.zeros(1, 1, 9), "padding": (0, 0, 0, 0)}, r"\(before, after\)"),
        ({"x": torch.zeros(1, 1, 9), "up": (2, 2)}, "up="),
    ],
)
def test_bad_input_is_refused_in_words(changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"x": torch.zeros(1, 2, 4, 4), "f": torch.ones(3), **changed}
    with pytest.raises(InvalidInputError, match=message):
        upfirdn(given.pop("x"), given.pop("f"), **given)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"bias": torch.zeros(3)},
            r"bias is torch.float32 \[3\] on cpu: x wants torch.float32 \[2\]",
        ),
        ({"activation": "gelu"}, "activation='gelu'"),
        ({"clamp": 0.0}, "clamp=0.0"),
    ],
)
def test_bad_fused_settings_are_refused_in_words(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        upfirdn_bias_act(torch.zeros(1, 2, 4, 4), torch.ones(3), **changed)


def test_a_longer_filter_is_for_the_reference() -> None:
    x, f = torch.ones(1, 1, 50), torch.ones(33)
    assert upfirdn(x, f).shape == (1, 1, 18)
    for impl in set(HERE) - {"reference"}:
        with pytest.raises(InvalidInputError, match="33 taps along an axis is for the reference"):
            upfirdn(x.to(DEVICE), f.to(DEVICE), impl=impl)
