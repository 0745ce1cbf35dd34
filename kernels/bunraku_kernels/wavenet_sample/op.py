"""`wavenet_sample`: samples of an autoregressive WaveNet, one after the other, in one call.

The network of van den Oord et al., "WaveNet: A Generative Model for Raw Audio" (2016), with the
layer order of Deep Voice (Arik et al., 2017): `reference.py` states it. The same seed gives the
same samples on every backend, up to arithmetic error; continuing in pieces gives what one call
gives.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from bunraku_kernels import backends
from bunraku_kernels.checks import is_one_of, number, shown, tensor_given, whole_number
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.registration import registered
from bunraku_kernels.registry import Implementation, Operator
from bunraku_kernels.wavenet_sample.prepared import PreparedWeights
from bunraku_kernels.wavenet_sample.state import WaveNetState, check_state, check_weights
from bunraku_kernels.wavenet_sample.weights import WaveNetWeights

WEIGHT_TYPES = {
    "cuda": ("fp32", "bf16"),
    "native": ("fp32", "bf16", "int8"),
    "reference": ("fp32", "bf16"),
}
MATRICES = frozenset({"past", "current", "residual", "skip", "out", "end"})
CHANGED = ("history", "last", "time")
MAX_SEED = 2**63 - 1
PREPARED = PreparedWeights()


def _takes_float32(prepared: Any, *arguments: Any) -> str | None:
    for argument in arguments:
        if isinstance(argument, Tensor) and argument.dtype == torch.float64:
            return "torch.float64 is for the reference; it takes float32"
    return None


OPERATOR = Operator(
    __package__,
    (
        Implementation("cuda", "cuda_kernel", _takes_float32),
        Implementation("native", "native_kernel", _takes_float32),
        Implementation("reference", "reference"),
    ),
    in_place=True,
)


def wavenet_sample(
    weights: WaveNetWeights,
    condition: Tensor,
    state: WaveNetState,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    weight_type: str = "fp32",
    impl: str = "auto",
) -> Tensor:
    """The next T samples of each of B streams; `state` moves on by T samples, in place.

    condition: [B, T, L, 2R] of the weights' type (float32, or float64 for the reference): what each
    layer adds before its gate, see `project_condition`. temperature: 0 takes the likeliest class or
    the mean, 1 the network's own distribution. seed: 0 to 2^63 - 1, with the stream's number and
    time the counter of Philox. weight_type: what the matrices are stored as, "fp32", "bf16" or,
    native only, "int8"; sums are float32. impl: "auto" takes the CUDA implementation for CUDA
    tensors and the native one for CPU tensors, where they are at hand.

    Returns [B, T]: int32 classes, or values from -1 to 1 of the condition's type. Not
    differentiable. Not-a-number and infinity in the condition make that stream's later samples
    unspecified, though still classes or, of real values, not-a-number at worst, until it is reset
    (or for as long as the network remembers, if it is categorical). Other streams do not hear them.
    Raises InvalidInputError, and ImplementationUnavailableError for an `impl` that
    does not work here.
    """
    _check_call(weights, condition, state, weight_type, impl)
    temperature = number("temperature", temperature)
    if temperature < 0:
        raise InvalidInputError(f"temperature={temperature}: a finite number, 0 or more")
    seed = whole_number("seed", seed)
    if not 0 <= seed <= MAX_SEED:
        raise InvalidInputError(f"seed={seed}: a whole number from 0 to 2^63 - 1")
    samples: Tensor = torch.ops.bunraku.wavenet_sample_(
        _flat(weights), condition.contiguous(), state.history, state.last, state.time, state.stream,
        weights.dilations, weights.distribution, weight_type, temperature, seed,
        _implementation(impl, condition, weight_type),
    )  # fmt: skip
    return samples


def wavenet_log_likelihood(
    weights: WaveNetWeights,
    samples: Tensor,
    condition: Tensor,
    state: WaveNetState,
    *,
    weight_type: str = "fp32",
    impl: str = "auto",
) -> Tensor:
    """log p of each of the given samples [B, T] (of real values: its density), in nats [B, T].

    The arguments are those of `wavenet_sample`, whose arithmetic this runs; `state` moves on over
    the given samples. There is no CUDA implementation: teacher forcing needs no loop there.
    """
    _check_call(weights, condition, state, weight_type, impl)
    if tensor_given("samples", samples).shape != condition.shape[:2]:
        raise InvalidInputError(
            f"samples {list(samples.shape)}: {list(condition.shape[:2])} as the condition is wanted"
        )
    if samples.device != condition.device:
        raise InvalidInputError(f"samples are on {samples.device}, condition on {condition.device}")
    kind = torch.int32 if weights.is_categorical else condition.dtype
    chosen = _implementation(impl, condition, weight_type, "log_likelihood")
    scores: Tensor = torch.ops.bunraku.wavenet_log_likelihood_(
        _flat(weights), samples.to(kind).contiguous(), condition.contiguous(), state.history,
        state.last, state.time, state.stream, weights.dilations, weights.distribution, weight_type,
        chosen,
    )  # fmt: skip
    return scores


# ---- checks -------------------------------------------------------------------------------------


def _check_call(
    weights: WaveNetWeights, condition: Tensor, state: WaveNetState, weight_type: str, impl: str
) -> None:
    OPERATOR.check(impl)
    check_weights(weights)
    check_state(state)
    tensor_given("condition", condition)
    known = WEIGHT_TYPES["native"] if impl == "auto" else WEIGHT_TYPES[impl]
    if not is_one_of(weight_type, known):
        raise InvalidInputError(
            f"weight_type={shown(weight_type)}: impl='{impl}' of wavenet_sample takes "
            f"{', '.join(known)}"
        )
    wanted = (weights.layers, 2 * weights.residual_channels)
    if condition.ndim != 4 or condition.shape[2:] != wanted:
        raise InvalidInputError(
            f"condition is {list(condition.shape)}: [batch, samples, {wanted[0]}, {wanted[1]}] is "
            "wanted (layers, 2 * residual channels; see project_condition)"
        )
    if condition.dtype not in (torch.float32, torch.float64):
        raise InvalidInputError(f"condition is {condition.dtype}: float32 is taken")
    if condition.dtype != weights.dtype:
        raise InvalidInputError(
            f"condition is {condition.dtype}, the weights {weights.dtype}: use weights.to(...)"
        )
    if condition.device != weights.device:
        raise InvalidInputError(
            f"condition is on {condition.device}, the weights on {weights.device}: use weights.to()"
        )
    _check_state(weights, condition, state)


def _check_state(weights: WaveNetWeights, condition: Tensor, state: WaveNetState) -> None:
    batch = condition.shape[0]
    wanted = {
        "history": ((batch, weights.history_frames, weights.residual_channels), condition.dtype),
        "last": ((batch, 2), condition.dtype),
        "time": ((batch,), torch.int64),
        "stream": ((batch,), torch.int64),
    }
    for name, (shape, dtype) in wanted.items():
        tensor = getattr(state, name)
        if tuple(tensor.shape) != shape or tensor.dtype != dtype:
            raise InvalidInputError(
                f"state.{name} is {tensor.dtype} {list(tensor.shape)}: {dtype} {list(shape)} is "
                "wanted; open a state of this network and batch with WaveNetState.initial"
            )
        if tensor.device != condition.device or not tensor.is_contiguous():
            raise InvalidInputError(
                f"state.{name} must be dense and on {condition.device}, as the condition"
            )


def _implementation(impl: str, condition: Tensor, weight_type: str, which: str = "sample") -> str:
    """The name of the implementation that `impl` means for this call."""
    if which == "log_likelihood" and impl == "cuda":
        raise InvalidInputError("wavenet_log_likelihood has no impl='cuda': use 'reference'")
    if impl != "auto":
        return impl
    for name in OPERATOR.availability().here:
        fits = backends.device_type(name) in ("any", condition.device.type)
        if name != "reference" and (
            backends.is_simulated(name) or condition.dtype != torch.float32
        ):
            continue
        if which == "log_likelihood" and name == "cuda":
            continue
        if fits and weight_type in WEIGHT_TYPES[name]:
            return name
    raise InvalidInputError(
        f"weight_type='{weight_type}' with {condition.dtype} on {condition.device}: no "
        "implementation takes it here; use weight_type='fp32'"
    )


# ---- the registered operators -------------------------------------------------------------------


def _flat(weights: WaveNetWeights) -> list[Tensor]:
    return [weights.end.new_empty(0) if t is None else t for _, t in weights.tensors()]


def _prepared(
    tensors: list[Tensor], dilations: list[int], distribution: str, weight_type: str, impl: str
) -> Any:
    """What the implementation made of these weights; a network that was seen before is not checked
    and packed again."""
    # The stand-in for an absent bias is made anew at each call.
    kept = [tensor for tensor in tensors if tensor.numel() > 0]
    purpose = (impl, weight_type, distribution, tuple(dilations))

    def make() -> Any:
        optional = [tensor if tensor.numel() > 0 else None for tensor in tensors]
        weights = WaveNetWeights(distribution, tuple(dilations), *optional)  # type: ignore[arg-type]
        if impl == "reference":
            return weights if weight_type == "fp32" else rounded_to_bfloat16(weights)
        module = importlib.import_module(f"{__package__}.{OPERATOR.implementations[impl].module}")
        return module.prepare(weights, weight_type)

    return PREPARED.get(purpose, kept, make)


def _check_classes(samples: Tensor, classes: int) -> None:
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high >= classes:
        raise InvalidInputError(
            f"samples go from {low} to {high}: classes 0 to {classes - 1} have scores"
        )


def rounded_to_bfloat16(weights: WaveNetWeights) -> WaveNetWeights:
    """The weights with matrices that bfloat16 can hold."""
    tensors = {
        name: t.to(torch.bfloat16).to(t.dtype) if t is not None and name in MATRICES else t
        for name, t in weights.tensors()
    }
    return WaveNetWeights(weights.distribution, weights.dilations, **tensors)  # type: ignore[arg-type]


@registered("wavenet_sample_", mutates_args=CHANGED)
def _sample(
    weights: list[Tensor], condition: Tensor, history: Tensor, last: Tensor, time: Tensor,
    stream: Tensor, dilations: list[int], distribution: str, weight_type: str, temperature: float,
    seed: int, impl: str,
) -> Tensor:  # fmt: skip
    state = WaveNetState(history, last, time, stream, silence=0.0)
    prepared = _prepared(weights, dilations, distribution, weight_type, impl)
    samples: Tensor = OPERATOR.run(impl, "sample", prepared, condition, state, temperature, seed)
    return samples


@registered("wavenet_log_likelihood_", mutates_args=CHANGED)
def _log_likelihood(
    weights: list[Tensor], samples: Tensor, condition: Tensor, history: Tensor, last: Tensor,
    time: Tensor, stream: Tensor, dilations: list[int], distribution: str, weight_type: str,
    impl: str,
) -> Tensor:  # fmt: skip
    state = WaveNetState(history, last, time, stream, silence=0.0)
    if distribution == "categorical" and samples.numel():
        _check_classes(samples, weights[-1].shape[0])
    prepared = _prepared(weights, dilations, distribution, weight_type, impl)
    scores: Tensor = OPERATOR.run(impl, "log_likelihood", prepared, samples, condition, state)
    return scores


@_sample.register_fake
def _(
    weights: list[Tensor], condition: Tensor, history: Tensor, last: Tensor, time: Tensor,
    stream: Tensor, dilations: list[int], distribution: str, *_: Any,
) -> Tensor:  # fmt: skip
    kind = torch.int32 if distribution == "categorical" else condition.dtype
    return condition.new_empty(condition.shape[:2], dtype=kind)


@_log_likelihood.register_fake
def _(weights: list[Tensor], samples: Tensor, condition: Tensor, *_: Any) -> Tensor:
    return condition.new_empty(condition.shape[:2])
