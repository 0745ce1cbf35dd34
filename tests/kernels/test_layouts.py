"""The registered operators take tensors however they lie: nothing but the public functions lays
them out, and an exported program does not call those."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from bunraku_kernels import InvalidInputError, available
from bunraku_kernels.bias_act import bias_act
from bunraku_kernels.dilated_conv import dilated_conv
from bunraku_kernels.examples import Example, examples
from bunraku_kernels.frame import frame_to_tensor, tensor_to_frame
from bunraku_kernels.layout import (
    ArgumentLayouts,
    any_layout,
    contiguous,
    laid_out_densely,
    with_packed_pixels,
)
from bunraku_kernels.registry import operators
from bunraku_kernels.upfirdn import upfirdn, upfirdn_bias_act
from bunraku_kernels.upfirdn.examples import BINOMIAL
from cases import DEVICE, cast
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class Calls(TorchDispatchMode):
    """The first few calls of each registered operator, with copies of what they were given."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self.seen: dict[str, list[tuple[Any, list[Any]]]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.namespace == "bunraku":
            kept = self.seen.setdefault(str(func), [])
            if len(kept) < self._most:
                kept.append((func, list(tree_map_only(Tensor, lambda a: a.clone(), args))))
        return func(*args, **(kwargs or {}))


def calls_of(name: str, impl: str) -> Iterator[tuple[Any, list[Any]]]:
    calls = Calls(most=2 if impl == "reference" else 1)
    device = "cpu" if impl == "native" else DEVICE
    for example in _spread(examples()[name]):
        tensors = cast(example, torch.float32, device, grad=True)
        with calls:
            outputs = example.run(tensors, impl)
            if example.differentiable:
                wanted = [tensors[key] for key in example.differentiable]
                total = sum(o.square().sum() for o in outputs if o.is_floating_point())
                gradients = torch.autograd.grad(
                    total, wanted, create_graph=example.second_order, allow_unused=True
                )
                if example.second_order:
                    curved = [g.square().sum() for g in gradients if g is not None]
                    torch.autograd.grad(sum(curved), wanted, allow_unused=True)
    for some in calls.seen.values():
        yield from some


def _spread(some: list[Example]) -> list[Example]:
    """A few of them, small ones first, so that emulated kernels are done soon."""
    some = [e for e in some if all(t.numel() > 1 for t in e.tensors.values())]
    return sorted(some, key=lambda e: sum(t.numel() for t in e.tensors.values()))[:12]


def transposed(x: Tensor) -> Tensor:
    return x.transpose(0, -1).contiguous().transpose(0, -1)


def sliced(x: Tensor) -> Tensor:
    wide = x.new_zeros([2 * size for size in x.shape]) + 3
    inside = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    return inside.copy_(x)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else transposed(x)


def expanded(x: Tensor) -> Tensor:
    return x[..., :1].expand(x.shape)


LAYOUTS = (transposed, sliced, channels_last, expanded)


def arguments_in(layout: Callable[[Tensor], Tensor], func: Any, arguments: list[Any]) -> Any:
    """The arguments with every tensor laid out so, and then with one of them after the other."""
    written = {p for p, a in enumerate(func._schema.arguments) if a.alias_info is not None}
    places = [
        place
        for place, value in enumerate(arguments)
        if isinstance(value, (Tensor, list))
        and not (layout is expanded and (place in written or not _is_float(value)))
    ]
    for chosen in (places, *([place] for place in places)):
        changed = list(arguments)
        for place in chosen:
            changed[place] = tree_map_only(Tensor, layout, arguments[place])
        yield changed


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def tensors_of(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def plainly(value: Any) -> Any:
    return tree_map_only(Tensor, lambda t: t.clone(memory_format=torch.contiguous_format), value)


def places() -> Iterator[object]:
    """Every layout for what is fast; one, which is another of ours, where threads are simulated.
    The native kernels of wavenet_stream are left out: they keep what they need beside the tensors,
    so that a call cannot be made again."""
    for name, operator in operators().items():
        status = operator.availability()
        for impl in status.here:
            marks = [pytest.mark.cpu_only] if impl in ("native", "reference") else []
            if (name, impl) != ("wavenet_stream", "native"):
                for layout in [channels_last] if impl in status.simulated else LAYOUTS:
                    given = (name, impl, layout)
                    yield pytest.param(*given, marks=marks, id=f"{name}-{impl}-{layout.__name__}")


@pytest.mark.parametrize(("name", "impl", "layout"), list(places()))
def test_registered_operators_take_any_layout(
    name: str, impl: str, layout: Callable[[Tensor], Tensor]
) -> None:
    seen = 0
    for func, arguments in calls_of(name, impl):
        for changed in arguments_in(layout, func, arguments):
            plain = plainly(changed)
            truth, result = func(*plain), func(*changed)
            # What was written to is compared as well.
            torch.testing.assert_close(
                tensors_of((result, changed)), tensors_of((truth, plain)), equal_nan=True
            )
            seen += 1
    assert seen


@pytest.mark.cpu_only
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", list(operators()))
def test_fake_operators_know_the_strides_of_any_layout(
    name: str, layout: Callable[[Tensor], Tensor]
) -> None:
    for func, arguments in calls_of(name, "reference"):
        # What goes into those that write in place is too much to be tried one by one.
        several = None if not func._schema.is_mutable else 1
        for changed in itertools.islice(arguments_in(layout, func, arguments), several):
            torch.library.opcheck(func, tuple(changed), test_utils="test_faketensor")


# The fastest here is the reference, which reads any strides; the kernels read addresses.
KERNEL = "cuda" if "cuda" in available()["upfirdn"].here else "auto"
IMAGE = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(1))
SIGNAL = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(2))
WEIGHT = torch.randn(8, 4, 2, generator=torch.Generator().manual_seed(3))
FRAME = (IMAGE[:, :3].permute(0, 2, 3, 1).contiguous() * 50 + 128).to(torch.uint8)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: bias_act(x, x[0, :, 0, 0], activation="silu", impl=KERNEL), IMAGE),
        (lambda x: upfirdn(x, BINOMIAL, up=2, padding=1, impl=KERNEL), IMAGE),
        (lambda x: upfirdn_bias_act(x, BINOMIAL, padding=2, impl=KERNEL), IMAGE),
        (lambda x: dilated_conv(x, WEIGHT, dilation=2, impl=KERNEL)[1], SIGNAL),
        (lambda x: tensor_to_frame(x[:, :3], FRAME, mask=x[:, 3:].abs()), IMAGE),
        (lambda x: frame_to_tensor(x, (4, 4)), FRAME),
    ],
)
@pytest.mark.parametrize("layout", [transposed, sliced])
def test_an_exported_program_takes_another_layout(
    function: Callable[[Tensor], Tensor], x: Tensor, layout: Callable[[Tensor], Tensor]
) -> None:
    class Module(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)

    program = torch.export.export(Module(), (x,)).module()
    torch.testing.assert_close(program(layout(x)), function(x))


@pytest.mark.cpu_only
def test_layouts_copy_only_what_lies_otherwise() -> None:
    kinds = [("x", "Tensor"), ("n", "int"), ("dy", "Optional[Tensor]"), ("w", "List[Tensor]"),
             ("any", "Tensor")]  # fmt: skip
    layouts = ArgumentLayouts(kinds, {"x": laid_out_densely, "dy": "x", "any": any_layout})
    x, last, odd = IMAGE, channels_last(IMAGE), transposed(IMAGE)
    assert all(
        a is b for a, b in zip(layouts.laid_out([x, 1, x, [], odd]), [x, 1, x], strict=False)
    )
    laid = layouts.laid_out([last, 1, last, [x, odd], odd])
    assert laid[0] is last
    assert laid[2] is last
    assert laid[3][0] is x
    assert laid[3][1].is_contiguous()
    assert laid[4] is odd
    assert layouts.laid_out([last, 1, x, [], x])[2].stride() == last.stride()
    assert layouts.laid_out([x, 1, last, [], x])[2].is_contiguous()
    assert layouts.laid_out([odd, 1, None, [], x])[0].is_contiguous()
    assert contiguous(x) is x


@pytest.mark.cpu_only
def test_rows_of_frames_may_lie_apart_pixels_may_not() -> None:
    wide = torch.zeros(2, 4, 8, 3, dtype=torch.uint8)
    assert with_packed_pixels(crop := wide[:, :, :5]) is crop
    assert with_packed_pixels(wide[:, :, ::2]).is_contiguous()
    assert with_packed_pixels(wide.flip(3)).is_contiguous()


# ---- forward-mode differentiation ----------------------------------------------------------------


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: bias_act(x, activation="silu"), IMAGE),
        (lambda x: upfirdn(x, BINOMIAL, padding=2), IMAGE),
        (lambda x: upfirdn_bias_act(x, BINOMIAL, padding=2), IMAGE),
        (lambda x: dilated_conv(x, WEIGHT)[1], SIGNAL),
    ],
)
def test_forward_mode_is_refused(function: Callable[[Tensor], Tensor], x: Tensor) -> None:
    tangent = torch.ones_like(x)
    with pytest.raises(InvalidInputError, match=r"no forward-mode derivative.*use backward mode"):
        torch.func.jvp(function, (x,), (tangent,))
    with torch.autograd.forward_ad.dual_level():
        for leaf in (x, x.clone().requires_grad_()):
            with pytest.raises(InvalidInputError, match="no forward-mode derivative"):
                function(torch.autograd.forward_ad.make_dual(leaf, tangent))
        assert torch.equal(function(x), function(x.clone()))  # what has no tangent passes
