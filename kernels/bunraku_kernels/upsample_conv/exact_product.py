"""A matrix product that never uses TF32, nor do its derivatives of any order. An operator of its
own, because torch.compile cannot trace the switching of TF32."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bunraku_kernels.layout import any_layout
from bunraku_kernels.precision import exact_float32
from bunraku_kernels.registration import registered


def exact_product(a: Tensor, b: Tensor) -> Tensor:
    """a [M, K] times b [K, N], of one type and device."""
    return torch.ops.bunraku.upsample_conv_product(a, b)  # type: ignore[no-any-return]


@registered("upsample_conv_product", layouts={"a": any_layout, "b": any_layout})
def _product(a: Tensor, b: Tensor) -> Tensor:
    with exact_float32():
        return a @ b


@_product.register_fake
def _(a: Tensor, b: Tensor) -> Tensor:
    return a.new_empty(a.shape[0], b.shape[1])


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
    a, b = ctx.saved_tensors
    wants_a, wants_b = ctx.needs_input_grad
    return (
        exact_product(dy, b.t()) if wants_a else None,
        exact_product(a.t(), dy) if wants_b else None,
    )


_product.register_autograd(_backward, setup_context=_keep)
