"""Camera frames to tensors and back: what test_operators.py does not say about every operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame
from bunraku_kernels.frame.op import OPERATOR
from bunraku_kernels.frame.reference import _resized
from bunraku_kernels.frame.taps import taps
from torch import Tensor
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(1, 1), (1, 17), (9, 1), (5, 7), (37, 53), (3, 130)]
Way = tuple[str, str]  # implementation, instruction set


def _ways() -> Iterator[Any]:
    """Every implementation, the native one on every instruction set."""
    absent = OPERATOR.availability().absent
    for impl in OPERATOR.implementations:
        marks = [pytest.mark.skip(reason=absent[impl])] if impl in absent else []
        if impl != "cuda":
            marks.append(pytest.mark.cpu_only)
        isas = [""]
        if impl == "native" and impl not in absent:
            isas = backends.native_module().isa_list()
        for isa in isas:
            yield pytest.param((impl, isa), id=f"{impl}-{isa}".rstrip("-"), marks=marks)


@pytest.fixture(params=list(_ways()))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    impl, isa = request.param
    if isa:
        monkeypatch.setenv("BUNRAKU_ISA", isa)
    return impl, isa


def _device(impl: str) -> str:
    kind = backends.device_type(impl)
    return "cuda" if kind == "cuda" else "cpu"


def _frames(*shape: int, seed: int = 0, impl: str = "reference") -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 256, (*shape, 3), generator=generator, dtype=torch.uint8)
    return codes.to(_device(impl))


def _values(*shape: int, seed: int = 0, impl: str = "reference") -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(_device(impl))


# ---- the definition ------------------------------------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size_in", [1, 2, 3, 7, 16, 33, 100])
@pytest.mark.parametrize("size_out", [1, 2, 5, 16, 31, 128])
def test_taps_are_those_of_interpolate(size_in: int, size_out: int, antialias: bool) -> None:
    """The matrix that the taps stand for, against what F.interpolate does to unit vectors."""
    found = taps(size_in, size_out, antialias)
    matrix = torch.zeros(size_out, size_in, dtype=torch.float64)
    for k in range(found.count):
        matrix[torch.arange(size_out), found.first.long() + k] += found.weights[:, k].double()
    rows = torch.eye(size_in, dtype=torch.float64)[None, None]
    truth = functional.interpolate(rows, (size_out, size_in), mode="bilinear", antialias=antialias)
    assert (matrix - truth[0, 0]).abs().max() < 1e-7
    assert (found.first.diff() >= 0).all()
    assert (found.by_tap.t() == found.weights).all()


def _by_hand(line: list[float], size_out: int, antialias: bool) -> list[float]:
    scale = len(line) / size_out
    width = max(scale, 1.0) if antialias else 1.0
    result = []
    for i in range(size_out):
        centre = (i + 0.5) * scale
        weights = [max(0.0, 1 - abs(j + 0.5 - centre) / width) for j in range(len(line))]
        result.append(sum(w * v for w, v in zip(weights, line, strict=True)) / sum(weights))
    return result


@pytest.mark.cpu_only
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 1), (7, 2), (9, 12)])
def test_reference_resizes_as_the_formula_says(size: tuple[int, int], antialias: bool) -> None:
    """Plain loops over the triangle; one column is where F.interpolate itself goes wrong."""
    planes = _values(2, 3, 6, 5).double()
    height, width = size
    down = torch.tensor(
        [[[_by_hand(c, height, antialias) for c in p.t().tolist()] for p in n] for n in planes]
    )
    truth = torch.tensor(
        [[[_by_hand(r, width, antialias) for r in p.t().tolist()] for p in n] for n in down]
    )
    assert (_resized(planes, height, width, antialias) - truth).abs().max() < 1e-6


@pytest.mark.cpu_only
def test_reference_is_the_usual_chain_of_operations() -> None:
    frame = _frames(40, 60)
    y = frame_to_tensor(frame, (16, 24), order="bgr", mean=MEAN, std=STD, impl="reference")
    planes = frame[..., [2, 1, 0]].permute(2, 0, 1)[None].float() / 255
    small = functional.interpolate(planes, (16, 24), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    assert torch.allclose(y, (small - mean) / std, atol=1e-5)


# ---- implementations agree -----------------------------------------------------------------------


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("resize", ["antialias", "bilinear"])
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_into_tensor_agrees(
    way: Way, order: str, resize: str, layout: str, dtype: torch.dtype
) -> None:
    impl, _ = way
    for seed, (height, width) in enumerate(SIZES):
        whole = _frames(2, height + 2, width + 5, seed=seed, impl=impl)
        crop = whole[:, 1 : height + 1, 2 : width + 2]  # rows are padded, addresses odd
        size = SIZES[(3 * seed + 1) % len(SIZES)]
        settings: dict[str, Any] = {"order": order, "resize": resize, "mean": MEAN, "std": STD}
        y = frame_to_tensor(crop, size, dtype=dtype, layout=layout, impl=impl, **settings)
        crop = crop.cpu()
        truth = frame_to_tensor(crop, size, dtype=torch.float64, impl="reference", **settings)
        assert y.shape == (2, 3, *size)
        assert y.is_contiguous(memory_format=_format(layout))
        assert (y.cpu().double() - truth).abs().max() < (5e-6 if dtype == torch.float32 else 2e-3)


def _format(layout: str) -> torch.memory_format:
    return torch.contiguous_format if layout == "nchw" else torch.channels_last


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("mask_like", ["none", "other size", "half"])
def test_into_frame_agrees(
    way: Way, order: str, layout: str, dtype: torch.dtype, mask_like: str
) -> None:
    impl, _ = way
    for seed, (height, width) in enumerate(SIZES):
        frame = _frames(2, height + 1, width + 3, seed=seed, impl=impl)[:, 1:, 2 : width + 2]
        size = SIZES[(2 * seed + 1) % len(SIZES)]
        y = (2 * _values(2, 3, *size, seed=seed, impl=impl) - 0.5).to(dtype)
        y = y.contiguous(memory_format=_format(layout))
        mask = None
        if mask_like != "none":
            shape = (7, 9) if mask_like == "other size" else size
            mask = 1.4 * _values(2, 1, *shape, seed=9, impl=impl) - 0.2
            mask = mask.half() if mask_like == "half" else mask
        settings: dict[str, Any] = {"mask": mask, "order": order}
        codes = tensor_to_frame(y, frame, impl=impl, **settings)
        settings["mask"] = None if mask is None else mask.cpu()
        truth = tensor_to_frame(y.cpu(), frame.cpu(), impl="reference", **settings)
        difference = (codes.cpu().int() - truth.int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).sum() <= max(1, difference.numel() // 500)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_round_trip_at_equal_size_is_exact(
    way: Way, order: str, layout: str, dtype: torch.dtype
) -> None:
    impl, _ = way
    every_code = torch.arange(256, dtype=torch.uint8).repeat(3).reshape(16, 16, 3)
    frames = torch.stack([every_code, every_code.flip(0)]).to(_device(impl))
    settings: dict[str, Any] = {"order": order, "mean": MEAN, "std": STD, "impl": impl}
    y = frame_to_tensor(frames, (16, 16), dtype=dtype, layout=layout, **settings)
    assert torch.equal(tensor_to_frame(y, torch.zeros_like(frames), **settings), frames)


@pytest.mark.parametrize("mask_size", [(1, 1), (4, 6), (30, 31)])
def test_mask_of_zero_keeps_the_original(way: Way, mask_size: tuple[int, int]) -> None:
    impl, _ = way
    frame = _frames(19, 37, impl=impl)
    y = _values(1, 3, 8, 8, impl=impl)
    y[0, 0, 2, 2] = float("nan")
    mask = torch.zeros(1, 1, *mask_size, device=frame.device)
    assert torch.equal(tensor_to_frame(y, frame, mask=mask, impl=impl), frame)


def test_mask_of_one_replaces(way: Way) -> None:
    impl, _ = way
    frame = _frames(19, 37, impl=impl)
    y = _values(1, 3, 8, 8, impl=impl)
    blended = tensor_to_frame(y, frame, mask=torch.ones(1, 1, 3, 3, device=y.device), impl=impl)
    replaced = tensor_to_frame(y, frame, impl=impl)
    assert (blended.int() - replaced.int()).abs().max() <= 1


def test_wild_values_stay_in_their_place(way: Way) -> None:
    """Limited to 0..255 before the resize; not-a-number is black, and so is a mask of it absent."""
    impl, _ = way
    y = torch.full((1, 3, 4, 4), 0.5)
    y[0, :, 0, 0] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    y[0, :, 3, 3] = torch.tensor([7.0, -7.0, 1e30])
    y = y.to(_device(impl))
    frame = torch.full((4, 4, 3), 9, dtype=torch.uint8, device=y.device)
    codes = tensor_to_frame(y, frame, order="rgb", impl=impl).cpu()
    assert codes[0, 0].tolist() == [0, 255, 0]
    assert codes[3, 3].tolist() == [255, 0, 255]
    rest = codes.reshape(-1, 3)[1:-1]
    assert (rest == 128).all()  # 127.5 rounds to even
    large = tensor_to_frame(y, frame.repeat(2, 2, 1), order="rgb", impl=impl).cpu()
    assert (large[3:5, 3:5] == 128).all()
    mask = torch.tensor([[float("nan"), 2.0], [-3.0, 1.0]], device=y.device).reshape(1, 1, 2, 2)
    corners = tensor_to_frame(y, frame, mask=mask, impl=impl).cpu()
    assert corners[3, 0].tolist() == [9, 9, 9]
    assert corners[0, 0].tolist() == [9, 9, 9]
    assert corners[0, 3].tolist() == [128, 128, 128]


def test_halves_round_to_even(way: Way) -> None:
    impl, _ = way
    halves = torch.arange(255, dtype=torch.float32) + 0.5
    y = halves.reshape(1, 1, 15, 17).repeat(1, 3, 1, 1).to(_device(impl))
    frame = torch.zeros(15, 17, 3, dtype=torch.uint8, device=y.device)
    codes = tensor_to_frame(y, frame, std=(1 / 255,) * 3, impl=impl)
    assert torch.equal(codes.cpu()[..., 0].reshape(-1).float(), halves.round())


def test_frame_may_be_written_in_place(way: Way) -> None:
    """Inside a larger picture, whose other pixels must stay."""
    impl, _ = way
    picture = _frames(30, 45, impl=impl)
    kept = picture.clone()
    crop = picture[4:25, 3:40]
    y, mask = _values(1, 3, 8, 8, impl=impl), _values(1, 1, 8, 8, seed=1, impl=impl)
    apart = tensor_to_frame(y, crop, mask=mask, impl=impl)
    returned = tensor_to_frame(y, crop, mask=mask, out=crop, impl=impl)
    assert returned is crop
    assert torch.equal(crop, apart)
    kept[4:25, 3:40] = apart
    assert torch.equal(picture, kept)


def test_planes_may_be_given(way: Way) -> None:
    impl, _ = way
    frame = _frames(20, 30, impl=impl)
    given = torch.empty(1, 3, 8, 9, dtype=torch.float16, device=frame.device)
    given = given.contiguous(memory_format=torch.channels_last)
    settings: dict[str, Any] = {"dtype": torch.float16, "layout": "channels_last", "impl": impl}
    returned = frame_to_tensor(frame, (8, 9), out=given, **settings)
    assert returned is given
    assert torch.equal(given, frame_to_tensor(frame, (8, 9), **settings))


def test_great_scales(way: Way) -> None:
    """A window larger than any tile of shared memory, and the other way round."""
    impl, _ = way
    long = _frames(1, 16384, impl=impl)
    y = frame_to_tensor(long, (1, 1), order="rgb", impl=impl)
    weights = 1 - (torch.arange(16384, dtype=torch.float64) + 0.5 - 8192).abs() / 16384
    truth = (weights[:, None] * long[0].cpu().double()).sum(0) / weights.sum() / 255
    assert (y.flatten().cpu().double() - truth).abs().max() < 1e-5
    back = tensor_to_frame(torch.ones(1, 3, 1, 1, device=long.device), long, impl=impl)
    assert (back == 255).all()


# ---- what is refused -----------------------------------------------------------------------------

FRAME = torch.zeros(8, 10, 3, dtype=torch.uint8)
ALPHA = torch.zeros(4, 4, 4, dtype=torch.uint8)
CHANNELS_FIRST = torch.zeros(3, 8, 8, dtype=torch.uint8)
Y = torch.zeros(1, 3, 4, 4)
REFUSED: list[tuple[str, Callable[[], object]]] = [
    (r"alpha.*\[\.\.\., :3\]\.contiguous", lambda: frame_to_tensor(ALPHA, (2, 2))),
    ("3 channels must come last.*permute", lambda: frame_to_tensor(CHANNELS_FIRST, (2, 2))),
    (r"\[N, H, W, 3\] for a batch", lambda: frame_to_tensor(torch.zeros(8, 8).byte(), (2, 2))),
    ("torch.uint8, 0 to 255", lambda: frame_to_tensor(FRAME.float(), (2, 2))),
    ("from_numpy", lambda: frame_to_tensor(FRAME.numpy(), (2, 2))),  # type: ignore[arg-type]
    ("strides .*contiguous", lambda: frame_to_tensor(FRAME[:, ::2], (2, 2))),
    ("strides .*contiguous", lambda: frame_to_tensor(FRAME[:1].expand(4, 10, 3), (2, 2))),
    ("frame height=0: from 1 to 16384", lambda: frame_to_tensor(FRAME[:0], (2, 2))),
    (r"size\[1\]=0: from 1", lambda: frame_to_tensor(FRAME, (2, 0))),
    (r"size\[0\]=2.0: a whole number", lambda: frame_to_tensor(FRAME, (2.0, 2))),  # type: ignore[arg-type]
    (r"size=256: \(height, width\)", lambda: frame_to_tensor(FRAME, 256)),  # type: ignore[arg-type]
    (r"size=\(2, 2, 2\): \(height", lambda: frame_to_tensor(FRAME, (2, 2, 2))),  # type: ignore[arg-type]
    ("order=None: one of", lambda: frame_to_tensor(FRAME, (2, 2), order=None)),  # type: ignore[arg-type]
    ("order=.*: one of", lambda: frame_to_tensor(FRAME, (2, 2), order=FRAME.numpy())),  # type: ignore[arg-type]
    ("mean=0.5: three finite", lambda: frame_to_tensor(FRAME, (2, 2), mean=0.5)),  # type: ignore[arg-type]
    ("mean='123': three finite", lambda: tensor_to_frame(Y, FRAME, mean="123")),  # type: ignore[arg-type]
    ("std=.*'2'.*: three numbers", lambda: frame_to_tensor(FRAME, (2, 2), std=(1, "2", 1))),  # type: ignore[arg-type]
    ("out is a list: a torch.Tensor", lambda: frame_to_tensor(FRAME, (4, 4), out=[1])),  # type: ignore[arg-type]
    ("y is a numpy.ndarray: a torch.T", lambda: tensor_to_frame(Y.numpy(), FRAME)),  # type: ignore[arg-type]
    ("mask is a float: a torch.Tensor", lambda: tensor_to_frame(Y, FRAME, mask=0.5)),  # type: ignore[arg-type]
    ("order='gbr': one of 'bgr', 'rgb'", lambda: frame_to_tensor(FRAME, (2, 2), order="gbr")),
    ("resize='cubic': one of", lambda: frame_to_tensor(FRAME, (2, 2), resize="cubic")),
    ("layout='nhwc': one of", lambda: frame_to_tensor(FRAME, (2, 2), layout="nhwc")),
    ("dtype=torch.int8: one of", lambda: frame_to_tensor(FRAME, (2, 2), dtype=torch.int8)),
    ("std=.*three numbers above 0", lambda: frame_to_tensor(FRAME, (2, 2), std=(1, 0, 1))),
    ("mean=.*three finite", lambda: frame_to_tensor(FRAME, (2, 2), mean=(1, float("nan"), 1))),
    ("mean=.*three finite", lambda: frame_to_tensor(FRAME, (2, 2), mean=(1, 2))),
    (r"out is .*this call writes", lambda: frame_to_tensor(FRAME, (2, 2), out=Y)),
    ("wants torch.empty", lambda: frame_to_tensor(FRAME, (4, 4), layout="channels_last", out=Y)),
    (r"y is \[3, 4, 4\]: \[1, 3, h, w\]", lambda: tensor_to_frame(Y[0], FRAME)),
    (r"y is \[1, 3, 4, 4\]: \[2, 3", lambda: tensor_to_frame(Y, torch.stack([FRAME, FRAME]))),
    ("y's type=torch.int32", lambda: tensor_to_frame(Y.int(), FRAME)),
    (r"mask is \[1, 3, 4, 4\]: \[1, 1", lambda: tensor_to_frame(Y, FRAME, mask=Y)),
    ("y is on meta", lambda: tensor_to_frame(Y.to("meta"), FRAME)),
    ("out is", lambda: tensor_to_frame(Y, FRAME, out=FRAME[:4])),
    ("frames overlap", lambda: tensor_to_frame(
        Y.expand(2, 3, 4, 4), torch.stack([FRAME, FRAME]), out=FRAME.expand(2, 8, 10, 3))),
    ("float64 is for the reference", lambda: tensor_to_frame(Y.double(), FRAME, impl="native")),
]  # fmt: skip


@pytest.mark.cpu_only
@pytest.mark.parametrize(("message", "call"), REFUSED)
def test_refusals_name_value_range_and_remedy(message: str, call: Callable[[], object]) -> None:
    absent = OPERATOR.availability().absent
    if "float64" in message and "native" in absent:
        pytest.skip(absent["native"])
    with pytest.raises(InvalidInputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.cpu_only
def test_numbers_may_be_a_tensor_or_numpys() -> None:
    expected = frame_to_tensor(FRAME, (2, 2), mean=(0.5, 0.5, 0.5), impl="reference")
    for mean in (torch.full((3,), 0.5), torch.full((3,), 0.5).numpy()):
        y = frame_to_tensor(FRAME, (2, 2), mean=mean, impl="reference")  # type: ignore[arg-type]
        assert torch.equal(y, expected)


@pytest.mark.cpu_only
@pytest.mark.skipif("native" in OPERATOR.availability().absent, reason="not built")
def test_an_instruction_set_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUNRAKU_ISA", "sse9")
    for call in (
        lambda: frame_to_tensor(FRAME, (2, 2), impl="native"),
        lambda: tensor_to_frame(Y, FRAME, impl="native"),
    ):
        with pytest.raises(InvalidInputError, match=r"BUNRAKU_ISA='sse9': .*portable.*unset"):
            call()


@pytest.mark.cpu_only
def test_the_help_begins_with_the_order_of_channels() -> None:
    for function in (frame_to_tensor, tensor_to_frame):
        paragraph = (function.__doc__ or "").split("\n\n")[1]
        assert paragraph.lstrip().startswith("order:")
        assert "OpenCV" in paragraph.splitlines()[0]
