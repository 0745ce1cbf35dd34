"""What is special to upsample_conv: torch's own compositions as an independent truth, streaming,
large tiles, and what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from bunraku_kernels import backends
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.examples import Draw
from bunraku_kernels.registry import operators
from bunraku_kernels.upsample_conv import (
    UpsampleConv1dStream,
    phase_weights,
    upsample_conv1d,
    upsample_conv2d,
)
from bunraku_kernels.upsample_conv.weights import phased, unphased
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

HERE = operators()["upsample_conv"].availability().here


def place(impl: str) -> str:
    kind = backends.device_type(impl)
    return kind if kind != "any" else "cpu"


def close(value: Tensor, truth: Tensor, tolerance: float = 1e-10) -> None:
    assert value.shape == truth.shape
    largest = max(truth.abs().max().item(), 1.0)
    assert (value.cpu().double() - truth).abs().max().item() <= tolerance * largest


# ---- an independent truth, in float64 ------------------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("up", [1, 2, 3])
def test_nearest_is_interpolate_then_conv2d(k: int, up: int) -> None:
    d = Draw(k)
    x, w, b = d.normal(2, 3, 4, 5), d.normal(4, 3, k, k), d.normal(4)
    large = F.interpolate(x, scale_factor=up, mode="nearest")
    for padding in range(k + 2):
        if up * 4 + 2 * padding >= k:
            ours = upsample_conv2d(x, w, b, up=up, padding=padding, impl="reference")
            close(ours, F.conv2d(large, w, b, padding=padding))
    close(upsample_conv2d(x, w, b, up=up), F.conv2d(large, w, b, padding=k // 2))


@pytest.mark.cpu_only
@pytest.mark.parametrize(("k", "up"), [(1, 2), (3, 2), (4, 2), (5, 2), (4, 3), (2, 4), (3, 1)])
def test_transposed_is_conv_transpose2d(k: int, up: int) -> None:
    d = Draw(k)
    x, w, b = d.normal(2, 3, 4, 5), d.normal(4, 3, k, k), d.normal(4)
    for padding, extra in itertools.product(range(k), range(up)):
        truth = F.conv_transpose2d(x, w.transpose(0, 1), b, up, padding, extra)
        ours = upsample_conv2d(
            x, w, b, up=up, mode="transposed", padding=padding, output_padding=extra
        )
        close(ours, truth)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("k", "up", "taps"), [(3, 2, 4), (1, 2, 4), (3, 2, 3), (5, 3, 6), (1, 4, 1)]
)
def test_fir_is_conv_transpose2d_then_the_filter(k: int, up: int, taps: int) -> None:
    """The full result, and of it what lies where both paddings centre it; it may start before."""
    d = Draw(k)
    x, w = d.normal(2, 3, 5, 6), d.normal(4, 3, k, k)
    f = d.uniform(taps, taps)
    spread = F.conv_transpose2d(x, w.transpose(0, 1), stride=up)
    channels = spread.shape[1]
    whole = F.conv_transpose2d(
        spread, (f * up * up).expand(channels, 1, taps, taps).contiguous(), groups=channels
    )
    ours = upsample_conv2d(x, w, up=up, mode="fir", fir=f)
    height, width = 5 * up, 6 * up
    assert ours.shape == (2, 4, height, width)
    start = (k - 1) - k // 2 + (taps - 1) - (taps + up - 1) // 2
    framed = F.pad(whole, [up] * 4)[:, :, up + start :, up + start :]
    close(ours, F.pad(framed, [0, up, 0, up])[:, :, :height, :width])


@pytest.mark.cpu_only
def test_fir_agrees_with_the_published_order_of_stylegan2() -> None:
    """3 x 3 kernel, up 2, filter [1, 3, 3, 1]: transposed convolution, one sample of padding on
    each side, filter times 4 (Karras et al., 2020)."""
    d = Draw(3)
    x, w = d.normal(1, 2, 4, 4), d.normal(3, 2, 3, 3)
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64) / 8
    spread = F.pad(F.conv_transpose2d(x, w.transpose(0, 1), stride=2), [1, 1, 1, 1])
    blur = (4 * torch.outer(taps, taps)).expand(3, 1, 4, 4).contiguous()
    truth = F.conv2d(spread, blur, groups=3)
    close(upsample_conv2d(x, w, mode="fir"), truth)
    close(upsample_conv2d(x, w, mode="fir", fir=taps), truth)


@pytest.mark.cpu_only
@pytest.mark.parametrize(("k", "stride"), [(16, 8), (4, 2), (7, 3), (3, 5), (11, 1)])
def test_one_dimension_is_conv_transpose1d(k: int, stride: int) -> None:
    d = Draw(k)
    x, w, b = d.normal(2, 3, 9), d.normal(3, 4, k), d.normal(4)
    for padding in {0, (k - 1) // 2, max(0, (k - stride) // 2)}:
        truth = F.conv_transpose1d(F.leaky_relu(x, 0.1), w, b, stride, padding)
        ours = upsample_conv1d(x, w, b, stride=stride, padding=padding, pre_activation="lrelu")
        close(ours, truth)


@pytest.mark.cpu_only
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_layer_is_one_convolution_a_sample(demodulate: bool) -> None:
    d = Draw(5)
    x, w, b, style = d.normal(3, 4, 5, 5), d.normal(6, 4, 3, 3), d.normal(6), d.normal(3, 4)
    ours = upsample_conv2d(
        x, w, b, style=style, demodulate=demodulate, activation="lrelu", clamp=2.0
    )
    for n in range(3):
        own = w * style[n][None, :, None, None]
        if demodulate:
            own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        u = F.conv2d(F.interpolate(x[n : n + 1], scale_factor=2), own, b, padding=1)
        close(ours[n : n + 1], (2**0.5 * F.leaky_relu(u, 0.2)).clamp(-2, 2))


@pytest.mark.cpu_only
def test_instance_norm_is_torchs_and_ignores_the_bias() -> None:
    d = Draw(6)
    x, w, b = d.normal(2, 3, 4, 5), d.normal(4, 3, 3, 3), d.normal(4)
    truth = F.relu(F.instance_norm(F.conv2d(F.interpolate(x, scale_factor=2), w, b, padding=1)))
    close(upsample_conv2d(x, w, b, norm="instance", activation="relu", gain=1.0), truth)
    close(upsample_conv2d(x, w, norm="instance", activation="relu", gain=1.0), truth)


class _LibraryProducts(TorchDispatchMode):
    """What is left to cuBLAS and cuDNN outside our operators, which keep TF32 off."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if any(word in str(func) for word in ("mm", "mv", "dot", "conv")):
            self.seen.add(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.cpu_only
@pytest.mark.parametrize("mode", ["nearest", "fir", "transposed"])
def test_no_product_is_left_to_tf32(mode: str) -> None:
    d = Draw(8)
    given = [d.normal(*shape).requires_grad_() for shape in ((2, 3, 4, 5), (4, 3, 3, 3), (2, 3))]
    products = _LibraryProducts()
    with products:
        x, w, style = given
        y = upsample_conv2d(x, w, mode=mode, style=style, demodulate=True, activation="tanh")
        first = torch.autograd.grad(y.square().sum(), given, create_graph=True)
        torch.autograd.grad([g.square().sum() for g in first], given)
    assert "bunraku.upsample_conv_product.default" in products.seen
    assert {name for name in products.seen if not name.startswith("bunraku.")} == set()


@pytest.mark.cpu_only
def test_phases_spend_nothing_on_zeros() -> None:
    d = Draw(7)
    assert phase_weights("nearest", d.normal(4, 3, 3, 3)).weights.shape == (4, 2, 2, 4, 3)
    assert phase_weights("fir", d.normal(4, 3, 3, 3)).weights.shape == (4, 3, 3, 4, 3)
    vocoder = phase_weights("transposed", d.normal(4, 3, 1, 16), up=(1, 8), padding=(0, 4))
    assert vocoder.weights.shape == (8, 1, 2, 4, 3)
    again = phased(unphased(vocoder.weights, (1, 8), vocoder.crop), (1, 8), vocoder.crop)
    assert torch.equal(again, vocoder.weights)


# ---- kernels beyond the small examples -----------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("impl", [i for i in HERE if i != "reference"])
def test_large_tiles_and_sums(impl: str, dtype: torch.dtype) -> None:
    """Enough channels, pixels and blocks for the largest tiles, none of them a multiple of one."""
    d = Draw(8)
    batch = 9 if impl == "cuda" else 1  # which is how many blocks its largest tiles ask for
    x = d.normal(batch, 40, 11, 13).to(dtype).to(memory_format=torch.channels_last)
    w = d.normal(130, 40, 1, 3, scale=80**-0.5).to(dtype)
    truth = upsample_conv2d(x.double(), w.double(), norm="instance", impl="reference")
    ours = upsample_conv2d(x.to(place(impl)), w.to(place(impl)), norm="instance", impl=impl)
    close(ours, truth, 1e-5 if dtype == torch.float32 else 2e-3)


@pytest.mark.parametrize("impl", HERE)
def test_a_large_mean_does_not_spoil_the_statistics(impl: str) -> None:
    d = Draw(9)
    x, w, b = d.normal(1, 2, 9, 9).float(), d.normal(3, 2, 3, 3).float(), d.normal(3).float()
    inputs = [t.to(place(impl)) for t in (x, w, b + 1000)]
    truth = upsample_conv2d(x.double(), w.double(), norm="instance", impl="reference")
    # Near 1000 neighbouring float32 numbers are 6e-5 apart, which is what is lost at most.
    close(upsample_conv2d(*inputs, norm="instance", impl=impl), truth, 1e-4)


@pytest.mark.parametrize("impl", [i for i in HERE if i != "reference"])
def test_output_takes_the_layout_of_x(impl: str) -> None:
    x = torch.randn(1, 8, 3, 3, device=place(impl))
    w = torch.randn(4, 8, 3, 3, device=place(impl))
    last = upsample_conv2d(x.to(memory_format=torch.channels_last), w, impl=impl)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert upsample_conv2d(x, w, impl=impl).is_contiguous()


# ---- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("impl", HERE)
@pytest.mark.parametrize(
    ("k", "stride", "pre"), [(16, 8, "lrelu"), (7, 3, "sigmoid"), (3, 4, "linear")]
)
def test_streamed_equals_whole_for_any_partition(impl: str, k: int, stride: int, pre: str) -> None:
    d = Draw(k)
    x, w, b = (
        t.float().to(place(impl)) for t in (d.normal(2, 3, 23), d.normal(3, 4, k), d.normal(4))
    )
    settings: dict[str, Any] = {"stride": stride, "pre_activation": pre, "activation": "tanh"}
    whole = upsample_conv1d(x, w, b, causal=True, impl=impl, **settings)
    stream = UpsampleConv1dStream(w, b, impl=impl, **settings)
    assert stream.history_frames == -(-k // stride) - 1
    for blocks in ([23], [1, 2, 20], [5, 0, 17, 1]):
        state = stream.init_state(2)
        parts = [stream.step(part, state) for part in x.split(blocks, dim=2)]
        close(torch.cat(parts, 2), whole.cpu().double(), 1e-5)


@pytest.mark.cpu_only
def test_causal_output_depends_on_no_later_frame_and_padding_is_latency() -> None:
    d = Draw(1)
    x, w = d.normal(1, 2, 10), d.normal(2, 3, 16)
    whole = upsample_conv1d(x, w, stride=8, causal=True)
    later = x.clone()
    later[:, :, 6:] = 9
    changed = upsample_conv1d(later, w, stride=8, causal=True)
    assert torch.equal(changed[:, :, : 6 * 8], whole[:, :, : 6 * 8])
    stream = UpsampleConv1dStream(w, stride=8, padding=4)
    streamed = stream.step(x, stream.init_state(1))
    centred = upsample_conv1d(x, w, stride=8, padding=4)
    assert stream.latency_samples == 4
    close(streamed[:, :, 4:], centred[:, :, : 80 - 4])


@pytest.mark.cpu_only
def test_reset_equals_fresh_and_snapshots_return() -> None:
    d = Draw(2)
    x, w = d.normal(2, 3, 5), d.normal(3, 4, 8)
    stream = UpsampleConv1dStream(w, stride=2)
    fresh, state = stream.init_state(2), stream.init_state(2)
    first = stream.step(x, state)
    kept, memory = state.snapshot(), state.frames.data_ptr()
    again = stream.step(x, state)
    assert not torch.equal(first, again)
    state.restore(kept)
    assert torch.equal(stream.step(x, state), again)
    state.restore(kept)
    state.reset(torch.tensor([True, False]))
    mixed = stream.step(x, state)
    assert torch.equal(mixed[0], stream.step(x, fresh)[0])
    assert torch.equal(mixed[1], again[1])
    state.reset()
    assert torch.equal(stream.step(x, state), first)
    assert state.frames.data_ptr() == memory


@pytest.mark.cpu_only
def test_a_style_may_be_wider_than_half_types() -> None:
    d = Draw(7)
    x, weight = d.normal(2, 3, 4, 4).half(), d.normal(4, 3, 3, 3).half()
    style = d.normal(2, 3).half()
    wide, narrow = (upsample_conv2d(x, weight, style=s) for s in (style.float(), style))
    assert torch.equal(wide, narrow)


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(2, 3, 4)}, r"x is .*\[2, 3, 4\].*\[N, I, H, W\]"),
        ({"x": torch.zeros(2, 5, 4, 4)}, r"weight is .*I = 5"),
        ({"x": torch.zeros(2, 3, 0, 4)}, "only the batch may be empty"),
        ({"weight": torch.zeros(4, 3, 3, 3).half()}, "weight is torch.float16.*convert it"),
        ({"bias": torch.zeros(3)}, r"bias is \[3\].*\[4\]"),
        ({"style": torch.zeros(2, 4)}, r"style is \[2, 4\].*\[2, 3\]"),
        ({"style": torch.zeros(2, 3).half()}, "of torch.float16 .*of torch.float32 on cpu"),
        ({"style": torch.zeros(2, 3).double()}, "of torch.float64 .*of torch.float32 on cpu"),
        ({"style": torch.zeros(2, 3, device="meta")}, "on meta: .* on cpu"),
        ({"mode": "bilinear"}, "nearest, fir, transposed"),
        ({"up": 0}, "up=0: a whole number from 1"),
        ({"mode": "fir", "up": 1}, "say mode='nearest'"),
        ({"fir": torch.ones(4)}, "with mode='fir', else None"),
        ({"norm": "batch"}, "'instance' or None"),
        ({"activation": "gelu"}, "choose one of linear"),
        ({"clamp": -1.0}, "a finite number above 0"),
        ({"mode": "transposed", "padding": 9}, "leaves.*of output"),
        ({"padding": -1}, "padding=-1: a whole number from 0"),
        ({"x": torch.zeros(2, 3, 4, 4).numpy()}, r"x is a numpy\.ndarray: a torch\.Tensor"),
        ({"x": torch.zeros(2, 3, 4, 4).to(torch.float8_e5m2)}, "x is torch.float8_e5m2"),
        ({"weight": [1.0]}, "weight is a list: a torch.Tensor"),
        ({"bias": 0.0}, "bias is a float: a torch.Tensor"),
        ({"style": [1.0]}, "style is a list: a torch.Tensor"),
        ({"fir": [1.0], "mode": "fir"}, "fir is a list: a torch.Tensor"),
        ({"fir": torch.ones(4, dtype=torch.int32), "mode": "fir"}, "floating-point filter"),
        ({"fir": torch.ones(300), "mode": "fir"}, "at most 256 taps"),
        ({"up": 2.0}, "up=2.0: a whole number from 1"),
        ({"up": (2, 2)}, r"up=\(2, 2\): a whole number from 1"),
        ({"up": 2**40}, "up=1099511627776: at most 65536"),
        ({"padding": (1, 1, 1)}, r"padding=\(1, 1, 1\): a whole number, or two"),
        ({"padding": (1, 0.5)}, r"padding\[1\]=0.5: a whole number from 0"),
        ({"padding": "11"}, "padding='11': a whole number"),
        ({"padding": 2**70}, "padding=1180591620717411303424: at most"),
        ({"output_padding": None}, "output_padding=None: a whole number"),
        ({"gain": "2"}, "gain='2': a finite number"),
        ({"alpha": True}, "alpha=True: a finite number"),
        ({"demodulate": 1}, "demodulate=1: True or False"),
        ({"impl": "cudnn"}, "upsample_conv has cuda, triton, reference"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, Any], message: str) -> None:
    given = {"x": torch.zeros(2, 3, 4, 4), "weight": torch.zeros(4, 3, 3, 3), **change}
    with pytest.raises(InvalidInputError, match=message):
        upsample_conv2d(**given)


@pytest.mark.cpu_only
def test_bad_sound_is_refused_in_words() -> None:
    x, w = torch.zeros(1, 2, 5), torch.zeros(2, 3, 4)
    with pytest.raises(InvalidInputError, match=r"causal with padding=1"):
        upsample_conv1d(x, w, stride=2, padding=1, causal=True)
    with pytest.raises(InvalidInputError, match=r"I = 2"):
        upsample_conv1d(x, w.transpose(0, 1), stride=2)
    for change, message in (
        ({"stride": 2.0}, r"stride=2\.0: a whole number from 1"),
        ({"padding": (1,)}, r"padding=\(1,\): a whole number from 0"),
        ({"causal": "yes"}, "causal='yes': True or False"),
        ({"pre_alpha": "0.1"}, r"pre_alpha='0\.1': a finite number"),
        ({"pre_activation": None}, "activation=None: choose one of"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            upsample_conv1d(x, w, **{"stride": 2, **change})  # type: ignore[arg-type]
    stream = UpsampleConv1dStream(w, stride=2)
    with pytest.raises(InvalidInputError, match=r"the streams want torch.float32 \[1, 2, T\]"):
        stream.step(torch.zeros(1, 3, 5), stream.init_state(1))
