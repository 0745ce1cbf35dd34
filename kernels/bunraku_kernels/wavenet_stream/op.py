"""`wavenet_stream`: a whole WaveNet on one block of many streams, their histories updated in place.

The network is that of plan.py. Streams open as after endless silence. Any partition of a signal
into blocks gives the same output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bunraku_kernels.backends import device_type, why_not
from bunraku_kernels.checks import tensor_given, whole_number
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator
from bunraku_kernels.wavenet_stream import limits
from bunraku_kernels.wavenet_stream.streams import TensorStreams, WaveNetStreams
from bunraku_kernels.wavenet_stream.weights import FeedforwardWaveNetWeights

OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", limits.refused_by_cuda),
        Implementation("native", "native_kernel", limits.refused_by_native),
        Implementation("reference", "reference", limits.refused_by_reference),
    ),
    in_place=True,
)
MAX_BATCH = 65_536


def open_streams(
    weights: FeedforwardWaveNetWeights, batch: int, *, impl: str = "auto"
) -> WaveNetStreams:
    """`batch` streams (1 to 65,536) of a network, each as after endless silence.

    impl: "native" opens voices of the real-time core, which only that can play; every other name
    opens tensors. "auto" takes the core for float32 weights on a CPU where it is built, else
    tensors. Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that does
    not work here.
    """
    OPERATOR.check(impl)
    if not isinstance(weights, FeedforwardWaveNetWeights):
        raise InvalidInputError(
            f"weights is a {type(weights).__name__}: what pack_weights makes is wanted"
        )
    batch = whole_number("batch", batch, 1)
    if batch > MAX_BATCH:
        raise InvalidInputError(f"batch={batch}: a whole number from 1 to {MAX_BATCH}")
    refusal = limits.refused_by_core(weights)
    if impl == "native" and refusal is not None:
        raise InvalidInputError(f"wavenet_stream with impl='native': {refusal}")
    if impl == "native" or (impl == "auto" and refusal is None and why_not("native") is None):
        from bunraku_kernels.wavenet_stream.native_kernel import opened  # needs _native

        return opened(weights, batch)
    wanted = "any" if impl == "auto" else device_type(impl)
    if wanted not in ("any", weights.device.type):
        raise InvalidInputError(
            f"the weights are on {weights.device}: impl='{impl}' takes {wanted} tensors; say "
            f"pack_weights(..., device='{wanted}')"
        )
    return TensorStreams.opened(weights, batch)


def wavenet_stream(x: Tensor, streams: WaveNetStreams, *, impl: str = "auto") -> Tensor:
    """The next block of every stream.

    x: [batch, frames] of the weights' type on their device, any number of frames, full scale about
    1. streams: from `open_streams`; moved on by `frames`. Not differentiable. With impl="cuda" one
    launch on the caller's stream, which may be captured in a CUDA graph: a replay plays the next
    block.

    Returns y [batch, frames]. Raises InvalidInputError, and ImplementationUnavailableError for an
    `impl` that does not work here. Not-a-number and infinity in x make that stream's output
    unspecified (the core's functions may give numbers for them) for as long as the network
    remembers, `plan.receptive_field` frames, or until it is reset. Other streams do not hear them.
    """
    OPERATOR.check(impl)
    if not isinstance(streams, WaveNetStreams):
        raise InvalidInputError(
            f"streams is a {type(streams).__name__}: what open_streams makes is wanted"
        )
    weights = streams.weights
    if tensor_given("x", x).ndim != 2 or x.shape[0] != streams.batch:
        raise InvalidInputError(
            f"x is {list(x.shape)}: [{streams.batch}, frames] for these streams"
        )
    if x.dtype != weights.packed.dtype or x.device != weights.device:
        raise InvalidInputError(
            f"x is {x.dtype} on {x.device}: these streams take {weights.packed.dtype} on "
            f"{weights.device}"
        )
    if x.requires_grad and torch.is_grad_enabled():
        raise InvalidInputError(
            "x requires a gradient, and streams give none: pass x.detach(); dilated_conv trains"
        )
    if x.shape[1] == 0:
        return torch.empty_like(x)
    y: Tensor = torch.ops.bunraku.wavenet_stream_(
        x.contiguous(),
        weights.packed,
        weights.program,
        streams.ring,
        streams.position,
        weights.plan.text,
        streams.voices,
        impl,
    )
    return y


@registered("wavenet_stream_", mutates_args=("ring", "position"))
def _step(
    x: Tensor, packed: Tensor, program: Tensor, ring: Tensor, position: Tensor,
    plan: str, voices: int, impl: str,
) -> Tensor:  # fmt: skip
    run: Tensor = OPERATOR.run(impl, "step", x, packed, program, ring, position, plan, voices)
    return run


@_step.register_fake
def _(
    x: Tensor, packed: Tensor, program: Tensor, ring: Tensor, position: Tensor,
    plan: str, voices: int, impl: str,
) -> Tensor:  # fmt: skip
    return torch.empty_like(x)
