"""One program for each block of elements; the three orders share the kernel."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from bunraku_kernels.activations import ACTIVATIONS
from bunraku_kernels.aot import CompiledAhead
from bunraku_kernels.bias_act.passes import channel_steps, passes
from bunraku_kernels.triton_math import activated

BLOCK = 1024


@triton.jit
def bias_act_kernel(
    x_ptr, b_ptr, dy_ptr, ddx_ptr, out_ptr, count, channels, stride, alpha, gain, clamp,
    ORDER: tl.constexpr, CODE: tl.constexpr, HAS_BIAS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The channel of element i is (i / stride) % channels, for any dense layout."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    u = tl.load(x_ptr + i, inside, 0.0).to(tl.float32)
    if HAS_BIAS:
        u += tl.load(b_ptr + (i // stride) % channels, inside, 0.0).to(tl.float32)
    dy = tl.load(dy_ptr + i, inside, 0.0).to(tl.float32) if ORDER >= 1 else 0.0
    ddx = tl.load(ddx_ptr + i, inside, 0.0).to(tl.float32) if ORDER == 2 else 0.0
    y = activated(u, dy, ddx, alpha, gain, clamp, ORDER, CODE)
    tl.store(out_ptr + i, y.to(out_ptr.dtype.element_ty), inside)


def _launch(
    order: int, ddx: Tensor | None, dy: Tensor | None, x: Tensor, b: Tensor | None,
    dim: int, act: str, alpha: float, gain: float, clamp: float,
) -> Tensor:  # fmt: skip
    out = torch.empty_like(x)
    count = x.numel()
    if count == 0:
        return out
    channels, stride = channel_steps(x, b, dim)
    bias_act_kernel[(triton.cdiv(count, BLOCK),)](
        x, b, dy, ddx, out, count, channels, stride, alpha, gain, clamp,
        ORDER=order, CODE=ACTIVATIONS[act].code, HAS_BIAS=b is not None, BLOCK=BLOCK,
    )  # fmt: skip
    return out


forward, grad, grad_of_grad = passes(_launch)


def ahead_of_time() -> list[CompiledAhead]:
    """What is compiled without a GPU in the tests: each order, in each type."""
    return [
        CompiledAhead(
            bias_act_kernel,
            {"x_ptr": f"*{t}", "b_ptr": f"*{t}", "dy_ptr": f"*{t}", "ddx_ptr": f"*{t}",
             "out_ptr": f"*{t}", "count": "i32", "channels": "i32", "stride": "i32",
             "alpha": "fp32", "gain": "fp32", "clamp": "fp32"},
            {"ORDER": order, "CODE": ACTIVATIONS["silu"].code, "HAS_BIAS": True, "BLOCK": BLOCK},
        )
        for order in (0, 1, 2)
        for t in ("fp32", "fp16", "bf16")
    ]  # fmt: skip
