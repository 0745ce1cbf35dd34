"""`dilated_conv` against torch's own convolution, against itself in blocks, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from bunraku_kernels import InvalidInputError, backends
from bunraku_kernels.dilated_conv import dilated_conv
from bunraku_kernels.dilated_conv.op import MOST_HIDDEN_CHANNELS, OPERATOR
from bunraku_kernels.dilated_conv.weight_gradients import PIECE_FRAMES, product_over_time
from torch import Tensor

Layer = dict[str, Tensor]
HERE = OPERATOR.availability().here
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KERNELS = [
    pytest.param(impl, marks=[] if impl in HERE else [pytest.mark.skip(reason="not at hand here")])
    for impl in OPERATOR.implementations
]


def layer(
    *, channels: int = 4, hidden: int = 6, skips: int = 5, features: int = 3, taps: int = 3,
    frames: int = 40, batch: int = 2, dtype: torch.dtype = torch.float64,
) -> Layer:  # fmt: skip
    """A gated layer with all its parts but history."""
    generator = torch.Generator().manual_seed(7)

    def draw(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float64) / 2
        return values.to(DEVICE, dtype)

    return {
        "x": draw(batch, channels, frames),
        "weight": draw(2 * hidden, channels, taps),
        "bias": draw(2 * hidden),
        "condition": draw(batch, features, frames),
        "mixin": draw(2 * hidden, features),
        "residual_weight": draw(channels, hidden),
        "residual_bias": draw(channels),
        "skip_weight": draw(skips, hidden),
        "skip_bias": draw(skips),
    }


def by_conv1d(t: Layer, dilation: int) -> tuple[Tensor, Tensor]:
    """The layer as WaveNets are usually written in PyTorch."""
    past = (t["weight"].shape[2] - 1) * dilation
    z = F.conv1d(F.pad(t["x"], (past, 0)), t["weight"], t["bias"], dilation=dilation)
    z = z + F.conv1d(t["condition"], t["mixin"][:, :, None])
    value, gate = z.chunk(2, dim=1)
    h = value.tanh() * gate.sigmoid()
    return (
        t["x"] + F.conv1d(h, t["residual_weight"][:, :, None], t["residual_bias"]),
        F.conv1d(h, t["skip_weight"][:, :, None], t["skip_bias"]),
    )


# Frames below the receptive field, dilations beyond the signal, and plain cases.
SHAPES = [(40, 1), (40, 8), (40, 16), (5, 1), (5, 9), (3, 2), (1, 4), (131, 32)]


@pytest.mark.parametrize(("frames", "dilation"), SHAPES)
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_the_reference_is_torchs_convolution(frames: int, dilation: int, taps: int) -> None:
    t = layer(frames=frames, taps=taps)
    ours, theirs = (
        _values_and_gradients(t, dilation, None),
        _values_and_gradients(t, dilation, by_conv1d),
    )
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-11, atol=1e-11, msg=name)


def _values_and_gradients(t: Layer, dilation: int, truth: Any) -> Layer:
    leaves = {name: value.clone().requires_grad_() for name, value in t.items()}
    if truth is None:
        x_out, skip = dilated_conv(**leaves, dilation=dilation, impl="reference")
    else:
        x_out, skip = truth(leaves, dilation)
    (x_out.sin().sum() + skip.cos().sum()).backward()
    return {"x_out": x_out, "skip": skip} | {name: leaf.grad for name, leaf in leaves.items()}


@pytest.mark.parametrize("impl", KERNELS)
@pytest.mark.parametrize("cuts", [(1, 7, 16, 39), (8, 24), (0, 40)])
@pytest.mark.parametrize("dilation", [1, 5, 30])
def test_blocks_with_history_equal_the_whole(
    impl: str, cuts: tuple[int, ...], dilation: int
) -> None:
    t = layer(dtype=torch.float32)
    whole = dilated_conv(**t, dilation=dilation, impl=impl)
    span = 2 * dilation
    past = torch.cat([t["x"].new_zeros(2, 4, span), t["x"]], dim=2)
    parts = []
    for start, stop in zip((0, *cuts), (*cuts, 40), strict=True):
        block = t | {name: t[name][:, :, start:stop] for name in ("x", "condition")}
        history = past[:, :, start : start + span]
        parts.append(dilated_conv(**block, history=history, dilation=dilation, impl=impl))
    joined = [torch.cat(outputs, dim=2) for outputs in zip(*parts, strict=True)]
    for value, truth in zip(joined, whole, strict=True):
        torch.testing.assert_close(value, truth, rtol=0, atol=2e-6)


@pytest.mark.parametrize("impl", KERNELS)
def test_gradients_reach_back_through_the_history(impl: str) -> None:
    """The gradient of a whole signal is that of its two blocks, chained."""
    t = layer(dtype=torch.float32, taps=2)
    x = t.pop("x")
    dilation, cut = 11, 17

    def loss(outputs: tuple[Tensor, Tensor]) -> Tensor:
        return outputs[0].square().sum() + outputs[1].square().sum()

    whole = x.clone().requires_grad_()
    loss(dilated_conv(whole, **t, dilation=dilation, impl=impl)).backward()
    cutted = x.clone().requires_grad_()
    early, late = cutted[:, :, :cut], cutted[:, :, cut:]
    condition = t.pop("condition")
    total = loss(
        dilated_conv(early, **t, condition=condition[:, :, :cut], dilation=dilation, impl=impl)
    ) + loss(
        dilated_conv(
            late, **t, condition=condition[:, :, cut:], history=early[:, :, cut - dilation :],
            dilation=dilation, impl=impl,
        )
    )  # fmt: skip
    total.backward()
    torch.testing.assert_close(cutted.grad, whole.grad, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("impl", KERNELS)
@pytest.mark.parametrize("unused", [0, 1])
def test_one_of_the_outputs_may_go_unused(impl: str, unused: int) -> None:
    """As in the last layer of a WaveNet, whose x_out leads nowhere."""
    gradients = []
    for chosen in (impl, "reference"):
        t = {k: v.clone().requires_grad_() for k, v in layer(dtype=torch.float32).items()}
        dilated_conv(**t, dilation=2, impl=chosen)[1 - unused].square().sum().backward()
        gradients.append({k: v.grad for k, v in t.items()})
    for name, truth in gradients[1].items():
        value = gradients[0][name]
        assert (value is None) == (truth is None), name
        if truth is not None:
            torch.testing.assert_close(value, truth, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("impl", KERNELS)
def test_results_do_not_vary(impl: str) -> None:
    t = {k: v.clone().requires_grad_() for k, v in layer(dtype=torch.float32, frames=70).items()}
    runs = []
    for _ in range(2):
        outputs = dilated_conv(**t, dilation=3, impl=impl)
        loss = outputs[0].sum() + outputs[1].sum()
        runs.append([*outputs, *torch.autograd.grad(loss, t.values())])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize("impl", KERNELS)
def test_many_channels(impl: str) -> None:
    """The most hidden channels the kernels take, and skips beyond one group of outputs."""
    t = layer(hidden=MOST_HIDDEN_CHANNELS, channels=17, skips=130, batch=1, frames=9, taps=2)
    truth = by_conv1d(t, 4)
    t32 = {name: value.float() for name, value in t.items()}
    for value, true in zip(dilated_conv(**t32, dilation=4, impl=impl), truth, strict=True):
        torch.testing.assert_close(value.double(), true, rtol=1e-4, atol=3e-5)


def test_kernels_refuse_more_hidden_channels_and_auto_does_not() -> None:
    t = layer(hidden=MOST_HIDDEN_CHANNELS + 1, frames=3, batch=1, dtype=torch.float32)
    assert dilated_conv(**t)[1].shape == (1, 5, 3)
    for impl in set(HERE) - {"reference"}:
        with pytest.raises(InvalidInputError, match=r"257 hidden channels.*at most 256"):
            dilated_conv(**t, impl=impl)


@pytest.mark.parametrize("impl", KERNELS)
@pytest.mark.parametrize("sources", [("x", "weight"), ("skip_bias",)])
def test_a_second_derivative_is_refused(impl: str, sources: tuple[str, ...]) -> None:
    t = layer(dtype=torch.float32)
    leaves = [t[name].requires_grad_() for name in sources]
    loss = sum(output.square().sum() for output in dilated_conv(**t, dilation=2, impl=impl))
    once = torch.autograd.grad(loss, leaves, retain_graph=True)
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(once, first, strict=True))
    with pytest.raises(InvalidInputError, match="dilated_conv is differentiable once"):
        torch.autograd.grad(sum(gradient.sum() for gradient in first), leaves)


def test_without_weights_after_it_h_comes_out_and_x_goes_past() -> None:
    t = layer()
    for name in ("residual_weight", "residual_bias", "skip_weight", "skip_bias"):
        del t[name]
    x_out, h = dilated_conv(**t, dilation=2)
    assert x_out is t["x"]
    z = F.conv1d(F.pad(t["x"], (4, 0)), t["weight"], t["bias"], dilation=2)
    z += torch.einsum("zc,bct->bzt", t["mixin"], t["condition"])
    torch.testing.assert_close(h, z[:, :6].tanh() * z[:, 6:].sigmoid())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("delay", [0, 5, 3000])
def test_sums_over_time(batch: int, delay: int) -> None:
    frames = 2 * PIECE_FRAMES + 77
    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(batch, n, frames, generator=generator).double() for n in (3, 2))
    before = torch.randn(batch, 2, 3000, generator=generator).double()
    late = torch.cat([before, b], 2)[:, :, 3000 - delay :][:, :, :frames]
    truth = torch.einsum("bmt,bnt->mn", a, late)
    torch.testing.assert_close(product_over_time(a, b, before, delay), truth)
    silent = torch.cat([0 * before, b], 2)[:, :, 3000 - delay :][:, :, :frames]
    truth = torch.einsum("bmt,bnt->mn", a, silent)
    torch.testing.assert_close(product_over_time(a, b, None, delay), truth)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 5), (2, 0)])
def test_sums_over_nothing_are_zero(shape: tuple[int, int], dtype: torch.dtype) -> None:
    batch, frames = shape
    a, b = (torch.zeros(batch, n, frames, dtype=dtype, device=DEVICE) for n in (3, 2))
    total = product_over_time(a, b, None, 0)
    assert total.dtype == dtype
    assert torch.equal(total.cpu(), torch.zeros(3, 2, dtype=dtype))


@pytest.mark.parametrize("allowed", ["ieee", "tf32"])
def test_sums_over_time_leave_the_callers_precision(allowed: str) -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = allowed
    try:
        product_over_time(torch.ones(1, 2, 3), torch.ones(1, 2, 3), None, 0)
        assert matmul.fp32_precision == allowed
    finally:
        matmul.fp32_precision = before


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dilation": 0}, r"dilation=0.*at least 1"),
        ({"activation": "sine"}, r"activation='sine'.*relu.*or 'gated'"),
        ({"activation": "tanh"}, r"residual_weight is \[4, 6\].*it is \[4, 12\]"),
        ({"weight": torch.zeros(7, 4, 2)}, "7 output channels: 'gated' takes an even number"),
        ({"weight": torch.zeros(12, 5, 3)}, r"weight is \[12, 5, 3\].*it is \[12, 4, 3\]"),
        ({"weight": torch.zeros(12, 4)}, r"weight is \[12, 4\]: it is \[Z, R, K\]"),
        ({"x": torch.zeros(4, 40)}, r"\[4, 40\].*\[batch, channels, time\]"),
        ({"x": torch.zeros(2, 4, 40, dtype=torch.int64)}, r"torch.int64"),
        ({"bias": torch.zeros(6)}, r"bias is \[6\].*it is \[12\]"),
        ({"bias": torch.zeros(12, dtype=torch.float16)}, r"bias is torch.float16"),
        ({"mixin": None}, "condition was given without mixin"),
        ({"condition": None}, "mixin was given without condition"),
        ({"condition": torch.zeros(2, 3, 39)}, r"condition is \[2, 3, 39\].*it is \[2, 3, 40\]"),
        ({"history": torch.zeros(2, 4, 5)}, r"history is \[2, 4, 5\].*it is \[2, 4, 6\]"),
        ({"skip_weight": torch.zeros(5, 12)}, r"skip_weight is \[5, 12\].*it is \[5, 6\]"),
        ({"skip_weight": None}, "skip_bias was given without skip_weight"),
        ({"impl": "cudnn"}, "impl='cudnn'"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    t: dict[str, Any] = layer(dtype=torch.float32) | {"dilation": 3} | change
    moved = {k: v.to(DEVICE) if isinstance(v, Tensor) else v for k, v in t.items()}
    with pytest.raises(InvalidInputError, match=message):
        dilated_conv(**moved)


@pytest.mark.skipif(not backends.is_simulated("cuda"), reason="needs the CUDA emulator")
@pytest.mark.skipif("cuda" not in HERE, reason="the emulated CUDA module was not built")
@pytest.mark.parametrize("order", ["reverse", "random:5"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cuda_threads_may_run_in_any_order(
    order: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several warps and thread blocks, aligned and not: a missing barrier would show."""
    for frames, dilation in ((600, 8), (333, 1)):
        runs = []
        for chosen in ("forward", order):
            monkeypatch.setenv("BUNRAKU_EMULATOR_ORDER", chosen)
            t = layer(frames=frames, channels=20, hidden=35, batch=1, taps=2, dtype=dtype)
            leaves = {name: value.requires_grad_() for name, value in t.items()}
            outputs = dilated_conv(**leaves, dilation=dilation, impl="cuda")
            loss = outputs[0].float().sum() + outputs[1].float().sum()
            runs.append([*outputs, *torch.autograd.grad(loss, leaves.values())])
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.skipif(not backends.is_simulated("cuda"), reason="needs the CUDA emulator")
@pytest.mark.skipif("cuda" not in HERE, reason="the emulated CUDA module was not built")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("hidden", [128, MOST_HIDDEN_CHANNELS])
def test_cuda_fits_gpus_with_little_shared_memory(
    hidden: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTX 30 and 40 give a thread block 99 KB; frames enough for every warp it may have."""
    runs = []
    for capability in ("86", "90"):
        monkeypatch.setenv("BUNRAKU_EMULATOR_SM", capability)
        t = layer(frames=260, channels=3, hidden=hidden, batch=1, taps=1, dtype=dtype)
        leaves = {name: value.requires_grad_() for name, value in t.items()}
        outputs = dilated_conv(**leaves, impl="cuda")
        loss = outputs[0].float().sum() + outputs[1].float().sum()
        runs.append([*outputs, *torch.autograd.grad(loss, leaves.values())])
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
