"""`wavenet_sample` on the CPU: the reference against convolutions and closed forms, every
instruction set and type of weights against the reference."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_sample import (
    WaveNetState,
    WaveNetWeights,
    native_kernel,
    project_condition,
    reference,
    wavenet_log_likelihood,
    wavenet_sample,
)
from bunraku_kernels.wavenet_sample.examples import random_condition, random_network
from bunraku_kernels.wavenet_sample.native_kernel import PackedNetwork
from bunraku_kernels.wavenet_sample.op import rounded_to_bfloat16
from bunraku_kernels.wavenet_sample.weights import Distribution
from scipy import stats
from torch import Tensor
from torch.nn import functional

pytestmark = pytest.mark.cpu_only
REASON = backends.why_not("native")
ISAS = native_kernel.isas() if REASON is None else []
needs_native = pytest.mark.skipif(REASON is not None, reason=str(REASON))
every_isa = pytest.mark.parametrize("isa", ISAS or [pytest.param("", marks=needs_native)])
every_type = pytest.mark.parametrize("weight_type", native_kernel.WEIGHT_TYPES)

KINDS: tuple[tuple[Distribution, int], ...] = (
    ("categorical", 256),
    ("categorical", 17),
    ("logistic", 9),
    ("gaussian", 2),
)
every_kind = pytest.mark.parametrize(("distribution", "outputs"), KINDS)
# R, S, A: one channel; less than a register; not whole registers; several tiles and a part of one.
SIZES = ((1, 1, 1), (8, 16, 16), (24, 40, 20), (60, 150, 97), (64, 272, 48))
# Rings that wrap within a block of frames, that end with one, and longer ones.
DILATIONS = (1, 2, 3, 5, 8, 16, 1, 11)
FRAMES = 37


def network(
    distribution: Distribution,
    outputs: int,
    size: tuple[int, int, int] = (24, 40, 20),
) -> WaveNetWeights:
    weights = random_network(distribution, *size, outputs, DILATIONS)
    if weights.is_categorical:
        return weights
    # Log-scales near 0: the density of a narrow distribution magnifies whatever error there is.
    return dataclasses.replace(weights, end=0.2 * weights.end)


def wide_state(weights: WaveNetWeights, batch: int) -> WaveNetState:
    return WaveNetState.initial(weights.to(torch.float64), batch)


def given_samples(weights: WaveNetWeights, batch: int, frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    if weights.is_categorical:
        shape = (batch, frames)
        return torch.randint(0, weights.outputs, shape, generator=generator, dtype=torch.int32)
    return torch.rand(batch, frames, generator=generator) * 2 - 1


def played(
    packed: PackedNetwork, weights: WaveNetWeights, condition: Tensor, pieces: tuple[int, ...] = (),
    temperature: float = 1.0, seed: int = 5, state: WaveNetState | None = None,
) -> tuple[Tensor, WaveNetState]:  # fmt: skip
    """Samples of condition, in pieces of these sizes and a rest, and the state after them."""
    state = state or WaveNetState.initial(weights, condition.shape[0])
    sizes = [*pieces, condition.shape[1] - sum(pieces)]
    parts = [
        native_kernel.sample(packed, part.contiguous(), state, temperature, seed)
        for part in torch.split(condition.float(), sizes, dim=1)
    ]
    return torch.cat(parts, dim=1), state


# ---- the reference ------------------------------------------------------------------------------


def test_philox_gives_the_published_words() -> None:
    ones = [torch.tensor([reference.WORD])] * 4
    zeros = [torch.tensor([0])] * 4
    for counter, key, words in (
        (zeros, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (ones, (reference.WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ):
        assert tuple(int(w) for w in reference.philox4x32_10(counter, key)) == words


def convolved_outputs(weights: WaveNetWeights, samples: Tensor, condition: Tensor) -> Tensor:
    """Outputs [T, O] by whole-signal dilated convolutions, of one stream that begins in silence."""
    if weights.is_categorical:
        codes = functional.pad(samples.long(), (2, 0), value=weights.outputs // 2)
        x = weights.input_prev[codes[:-2]] + weights.input_cur[codes[1:-1]]
    else:
        heard = functional.pad(samples, (2, 0))
        assert weights.input_bias is not None
        x = torch.outer(heard[:-2], weights.input_prev) + weights.input_bias
        x = x + torch.outer(heard[1:-1], weights.input_cur)
    x, skip = x.T[None], torch.zeros(1, weights.skip_channels, len(samples), dtype=x.dtype)
    for index, dilation in enumerate(weights.dilations):
        kernel = torch.stack([weights.past[index], weights.current[index]], dim=2)
        z = functional.conv1d(functional.pad(x, (dilation, 0)), kernel, dilation=dilation)
        hidden = functional.glu(
            torch.cat(
                [
                    torch.tanh((z + condition[:, index].T)[:, : x.shape[1]]),
                    (z + condition[:, index].T)[:, x.shape[1] :],
                ],
                dim=1,
            ),
            dim=1,
        )
        skip = skip + functional.conv1d(hidden, weights.skip[index][..., None])
        residual = weights.residual[index][..., None]
        x = x + functional.conv1d(hidden, residual, weights.residual_bias[index])
    hidden = torch.relu(skip[0].T + weights.skip_bias)
    hidden = torch.relu(functional.linear(hidden, weights.out, weights.out_bias))
    return functional.linear(hidden, weights.end, weights.end_bias)


def log_density(weights: WaveNetWeights, outputs: Tensor, samples: Tensor) -> Tensor:
    """By scipy's distributions."""
    o, y = outputs.numpy(), samples.numpy()
    if weights.is_categorical:
        return -functional.cross_entropy(outputs, samples.long(), reduction="none")
    if weights.distribution == "gaussian":
        return torch.from_numpy(stats.norm.logpdf(y, o[:, 0], scale(outputs[:, 1]).numpy()))
    logits, means, log_scales = outputs.chunk(3, dim=1)
    parts = stats.logistic.logpdf(y[:, None], means.numpy(), scale(log_scales).numpy())
    return torch.logsumexp(torch.log_softmax(logits, 1) + torch.from_numpy(parts), 1)


def scale(log_scale: Tensor) -> Tensor:
    return log_scale.clamp(min=-7).exp()


@every_kind
def test_reference_is_the_network_of_convolutions(distribution: Distribution, outputs: int) -> None:
    weights = network(distribution, outputs).to(torch.float64)
    samples = given_samples(weights, 1, 60)
    samples = samples if weights.is_categorical else samples.double()
    condition = random_condition(weights, 1, 60)
    scores = reference.log_likelihood(weights, samples, condition, wide_state(weights, 1))
    wanted = convolved_outputs(weights, samples[0], condition[0])
    torch.testing.assert_close(scores[0], log_density(weights, wanted, samples[0]))


def test_condition_is_one_matrix_product() -> None:
    features, weight, bias = torch.randn(2, 5, 7), torch.randn(3, 8, 5), torch.randn(3, 8)
    condition = project_condition(features, weight, bias)
    wanted = torch.einsum("bct,lgc->btlg", features, weight) + bias
    torch.testing.assert_close(condition, wanted)


# ---- every instruction set and type of weights against it ---------------------------------------


def quantised(values: Tensor, bound: Tensor | float) -> Tensor:
    """Values in steps of bound / 127."""
    size = torch.as_tensor(bound, dtype=values.dtype) / 127
    return torch.where(size > 0, torch.round(values / size.clamp(min=1e-30)) * size, 0.0)


def in_steps_of_the_largest(values: Tensor) -> Tensor:
    return quantised(values, values.abs().amax(dim=-1, keepdim=True))


def int8_outputs(weights: WaveNetWeights, samples: Tensor, condition: Tensor) -> Tensor:
    """Outputs [T, O] of one stream with weights of 8 bits a row and activations of 8 bits a
    vector, in float64: what "int8" means."""
    own = {
        name: in_steps_of_the_largest(getattr(weights, name))
        for name in ("past", "current", "residual", "skip", "out", "end")
    }
    state, rows = WaveNetState.initial(weights, 1), []
    inputs: list[list[Tensor]] = [[] for _ in weights.dilations]
    for t in range(samples.shape[0]):
        x = reference.embed(weights, state.last)[0]
        skip = weights.skip_bias
        for index, dilation in enumerate(weights.dilations):
            heard = inputs[index]
            past = heard[t - dilation] if t >= dilation else torch.zeros_like(x)
            heard.append(x)
            z = own["past"][index] @ in_steps_of_the_largest(past) + condition[t, index]
            z = z + own["current"][index] @ in_steps_of_the_largest(x)
            filtered, gate = z.chunk(2)
            hidden = quantised(torch.tanh(filtered) * torch.sigmoid(gate), 1.0)
            skip = skip + own["skip"][index] @ hidden
            x = x + own["residual"][index] @ hidden + weights.residual_bias[index]
        hidden = own["out"] @ in_steps_of_the_largest(torch.relu(skip)) + weights.out_bias
        hidden = own["end"] @ in_steps_of_the_largest(torch.relu(hidden)) + weights.end_bias
        rows.append(hidden)
        reference.advance(state, samples[None, t])
    return torch.stack(rows)


def wanted_scores(
    weights: WaveNetWeights, weight_type: str, samples: Tensor, condition: Tensor
) -> Tensor:
    wide = weights.to(torch.float64)
    samples = samples if weights.is_categorical else samples.double()
    if weight_type == "int8":
        streams = zip(samples, condition, strict=True)
        return torch.stack([log_density(wide, int8_outputs(wide, y, c), y) for y, c in streams])
    wide = rounded_to_bfloat16(wide) if weight_type == "bf16" else wide
    return reference.log_likelihood(wide, samples, condition, wide_state(weights, len(samples)))


def tolerance(weight_type: str, isa: str) -> float:
    """Of a log-likelihood, relative to the largest. int8: an activation that float32 rounds to the
    other side moves by a whole step. avx512ext rounds activations to bfloat16, too."""
    if weight_type == "int8":
        return 0.06
    return 0.03 if weight_type == "bf16" and isa == "avx512ext" else 3e-5


@every_isa
@every_type
@every_kind
@pytest.mark.parametrize("size", SIZES)
def test_native_scores_as_the_reference(
    isa: str, weight_type: str, distribution: Distribution, outputs: int, size: tuple[int, int, int]
) -> None:
    weights = network(distribution, outputs, size)
    batch = 3
    condition = random_condition(weights, batch, FRAMES)
    samples = given_samples(weights, batch, FRAMES)
    state = WaveNetState.initial(weights, batch)
    packed = native_kernel.prepare(weights, weight_type, isa)
    scores = native_kernel.log_likelihood(packed, samples, condition.float(), state)
    wanted = wanted_scores(weights, weight_type, samples, condition.float().double())
    error = (scores.double() - wanted).abs()
    near = tolerance(weight_type, isa)
    assert error.max() <= near * wanted.abs().max()
    assert error.mean() <= 0.2 * near * wanted.abs().max()
    assert state.time.tolist() == [FRAMES] * batch


@every_isa
@every_kind
def test_int8_is_the_quantisation_that_is_defined(
    isa: str, distribution: Distribution, outputs: int
) -> None:
    """Steps of another size would put the scores as far off as quantisation itself does."""
    weights = network(distribution, outputs, (8, 16, 16))
    condition, samples = random_condition(weights, 3, FRAMES), given_samples(weights, 3, FRAMES)
    exact, wanted = (
        wanted_scores(weights, weight_type, samples, condition.float().double())
        for weight_type in ("fp32", "int8")
    )
    state = WaveNetState.initial(weights, 3)
    packed = native_kernel.prepare(weights, "int8", isa)
    scores = native_kernel.log_likelihood(packed, samples, condition.float(), state)
    assert (scores.double() - wanted).abs().mean() < 0.1 * (wanted - exact).abs().mean()


@every_isa
@every_kind
def test_native_writes_the_references_state(
    isa: str, distribution: Distribution, outputs: int
) -> None:
    weights = network(distribution, outputs)
    condition, samples = random_condition(weights, 2, FRAMES), given_samples(weights, 2, FRAMES)
    state, wide = WaveNetState.initial(weights, 2), wide_state(weights, 2)
    packed = native_kernel.prepare(weights, "fp32", isa)
    native_kernel.log_likelihood(packed, samples, condition.float(), state)
    exact = samples if weights.is_categorical else samples.double()
    reference.log_likelihood(weights.to(torch.float64), exact, condition.float().double(), wide)
    torch.testing.assert_close(state.history.double(), wide.history, atol=2e-4, rtol=2e-5)
    assert torch.equal(state.last.double(), wide.last)


@every_isa
@every_kind
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_native_chooses_as_the_reference(
    isa: str, distribution: Distribution, outputs: int, temperature: float
) -> None:
    """Following the native samples, the reference makes the same choice at each step, except where
    the uniform number lies on the edge between two."""
    weights = network(distribution, outputs, (8, 16, 16))
    condition = random_condition(weights, 4, 50)
    packed = native_kernel.prepare(weights, "fp32", isa)
    samples, _ = played(packed, weights, condition, temperature=temperature, seed=2**40 + 7)
    wide, state = weights.to(torch.float64), wide_state(weights, 4)
    differ = 0
    for t in range(samples.shape[1]):
        outs = reference.step(wide, condition[:, t].float().double(), state)
        uniforms = reference.uniform_numbers(state.time, state.stream, 2**40 + 7).double()
        chosen = reference.choose(wide, outs, uniforms, temperature)
        if weights.is_categorical:
            differ += int((chosen != samples[:, t]).sum())
        else:
            differ += int(((chosen - samples[:, t]).abs() > 2e-4).sum())
        reference.advance(state, samples[:, t])
    assert differ <= (0 if temperature == 0.0 else 1)


@every_isa
@every_type
@every_kind
def test_pieces_equal_the_whole_and_a_batch_its_streams(
    isa: str, weight_type: str, distribution: Distribution, outputs: int
) -> None:
    weights = network(distribution, outputs)
    condition = random_condition(weights, 7, FRAMES)
    packed = native_kernel.prepare(weights, weight_type, isa)
    whole, after = played(packed, weights, condition)
    pieces, at_end = played(packed, weights, condition, (1, 8, 3, 0, 13))
    assert torch.equal(pieces, whole)
    assert torch.equal(at_end.history, after.history)
    assert torch.equal(at_end.last, after.last)
    for stream in (0, 2, 6):
        alone = WaveNetState.initial(weights, 1)
        alone.stream[0] = stream
        single, _ = played(packed, weights, condition[stream : stream + 1], (5, 9), state=alone)
        assert torch.equal(single[0], whole[stream])
        assert torch.equal(alone.history[0], after.history[stream])


@every_isa
def test_streams_of_different_age_share_a_call(isa: str) -> None:
    weights = network("categorical", 17)
    packed = native_kernel.prepare(weights, "fp32", isa)
    condition = random_condition(weights, 3, 30)
    state = WaveNetState.initial(weights, 3)
    played(packed, weights, condition[:, :11], state=state)
    state.reset(torch.tensor([False, True, False]))
    later, _ = played(packed, weights, condition[:, 11:], state=state)
    fresh = WaveNetState.initial(weights, 3)
    again, _ = played(packed, weights, condition[:, 11:], state=fresh)
    assert torch.equal(later[1], again[1])
    assert not torch.equal(later[0], again[0])
    assert state.time.tolist() == [30, 19, 30]


@needs_native
def test_a_state_moves_between_backends() -> None:
    weights = network("gaussian", 2)
    condition = random_condition(weights, 2, 40).float()
    snapshots = []
    for impl in (("native", "reference"), ("reference", "native"), ("native", "native")):
        state = WaveNetState.initial(weights, 2)
        wavenet_sample(weights, condition[:, :19], state, seed=1, impl=impl[0])
        samples = wavenet_sample(weights, condition[:, 19:], state, seed=1, impl=impl[1])
        snapshots.append((samples, state.history))
    for samples, history in snapshots[1:]:
        torch.testing.assert_close(samples, snapshots[0][0], atol=1e-3, rtol=0)
        torch.testing.assert_close(history, snapshots[0][1], atol=1e-3, rtol=1e-3)


@needs_native
def test_seed_stream_and_time_decide_the_samples() -> None:
    weights = network("categorical", 256)
    condition = random_condition(weights, 1, 64).expand(3, -1, -1, -1)
    ways = [played(native_kernel.prepare(weights, "fp32", isa), weights, condition)[0]
            for isa in ISAS]  # fmt: skip
    for other in ways[1:]:
        assert torch.equal(other, ways[0])
    packed = native_kernel.prepare(weights, "fp32")
    assert torch.equal(played(packed, weights, condition)[0], ways[0])
    assert not torch.equal(played(packed, weights, condition, seed=6)[0], ways[0])
    assert not torch.equal(played(packed, weights, condition, seed=5 + 2**32)[0], ways[0])
    assert not torch.equal(ways[0][0], ways[0][1])
    old = WaveNetState.initial(weights, 3)
    old.time += 2**32 * sum(DILATIONS)
    assert not torch.equal(played(packed, weights, condition, state=old)[0], ways[0])


# ---- the samples follow the distribution --------------------------------------------------------


def constant_network(distribution: Distribution, outputs: list[float]) -> WaveNetWeights:
    """Whatever it hears, it says `outputs`."""
    weights = random_network(distribution, 4, 4, 4, len(outputs), (1, 2))
    end = torch.zeros_like(weights.end)
    return dataclasses.replace(weights, end=end, end_bias=torch.tensor(outputs))


def many_samples(weights: WaveNetWeights, isa: str, temperature: float) -> Tensor:
    packed = native_kernel.prepare(weights, "fp32", isa)
    condition = torch.zeros(16, 1500, weights.layers, 2 * weights.residual_channels)
    return played(packed, weights, condition, temperature=temperature, seed=11)[0].flatten()


def chi_square_p(samples: Tensor, probabilities: Tensor) -> float:
    counts = torch.bincount(samples.long(), minlength=len(probabilities)).double()
    expected = probabilities * len(samples)
    return float(stats.chisquare(counts.numpy(), expected.numpy()).pvalue)


@every_isa
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("classes", [2, 19, 256])
def test_classes_follow_the_softmax(isa: str, temperature: float, classes: int) -> None:
    logits = torch.linspace(-1.3, 1.1, classes)[torch.randperm(classes)]
    samples = many_samples(constant_network("categorical", logits.tolist()), isa, temperature)
    wanted = torch.softmax(logits.double() / temperature, 0)
    assert chi_square_p(samples, wanted) > 1e-3
    # The test can tell a wrong temperature.
    assert chi_square_p(samples, torch.softmax(logits.double() / (1.4 * temperature), 0)) < 1e-3


@every_isa
def test_values_follow_their_density(isa: str) -> None:
    gaussian = many_samples(constant_network("gaussian", [0.1, -2.5]), isa, 0.8).numpy()
    normal = stats.norm(0.1, 0.8 * math.exp(-2.5))
    assert stats.kstest(gaussian, normal.cdf).pvalue > 1e-3
    outs = [0.2, -0.4, -0.3, 0.35, -3.2, -2.9]
    mixture = many_samples(constant_network("logistic", outs), isa, 1.0).numpy()
    share = 1 / (1 + math.exp(-0.6))

    def cumulative(y: object) -> object:
        parts = [stats.logistic(outs[2 + i], math.exp(outs[4 + i])).cdf(y) for i in range(2)]
        return share * parts[0] + (1 - share) * parts[1]

    assert stats.kstest(mixture, cumulative).pvalue > 1e-3
    assert stats.kstest(gaussian, stats.norm(0.1, math.exp(-2.5)).cdf).pvalue < 1e-6


@every_isa
def test_extremes_of_temperature_and_outputs(isa: str) -> None:
    ties = constant_network("categorical", [0.0, 3.0, 3.0, -1e30, 3.0])
    assert set(many_samples(ties, isa, 0.0).tolist()) == {1}
    assert set(many_samples(ties, isa, 1e-40).tolist()) <= {1, 2, 4}
    assert set(many_samples(ties, isa, 1e30).tolist()) <= {0, 1, 2, 3, 4}
    for outs in ([5.0, -50.0], [-5.0, 3.0], [0.2, -50.0]):
        values = many_samples(constant_network("gaussian", outs), isa, 1e300)
        assert bool(((values >= -1) & (values <= 1)).all())
    quiet = many_samples(constant_network("gaussian", [0.2, -50.0]), isa, 1.0)
    assert quiet.std() == pytest.approx(math.exp(-7), rel=0.02)


# ---- calls --------------------------------------------------------------------------------------


@needs_native
def test_calls_reuse_their_scratch_and_run_at_the_same_time() -> None:
    weights = network("categorical", 256)
    packed = native_kernel.prepare(weights, "int8")
    condition = random_condition(weights, 1, 200)
    alone, _ = played(packed, weights, condition)
    for _ in range(5):
        played(packed, weights, condition)
    assert packed.sampler.idle_workspaces == 1
    results: list[Tensor] = []

    def run() -> None:
        for _ in range(10):
            results.append(played(packed, weights, condition)[0])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(torch.equal(result, alone) for result in results)
    assert packed.sampler.idle_workspaces <= 4


@needs_native
def test_auto_is_native_for_cpu_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = network("logistic", 9)
    condition = random_condition(weights, 2, 20).float()
    samples = [
        wavenet_sample(weights, condition, WaveNetState.initial(weights, 2), seed=4, impl=impl)
        for impl in ("auto", "native")
    ]
    assert torch.equal(*samples)
    state = WaveNetState.initial(weights, 2)
    score = wavenet_log_likelihood(weights, samples[0], condition, state, weight_type="int8")
    assert score.shape == (2, 20)
    monkeypatch.setenv("BUNRAKU_ISA", "portable")
    assert native_kernel.prepare(weights, "fp32").isa == "portable"
    monkeypatch.setenv("BUNRAKU_ISA", "")
    assert native_kernel.prepare(weights, "fp32").isa == ISAS[0]


@every_isa
def test_a_damaged_state_is_survived(isa: str) -> None:
    weights = network("categorical", 17)
    packed = native_kernel.prepare(weights, "fp32", isa)
    condition = random_condition(weights, 4, 20)
    state = WaveNetState.initial(weights, 4)
    state.last[:, 0] = torch.tensor([math.nan, 1e30, -5.0, 17.0])
    state.last[:, 1] = torch.tensor([math.inf, -math.inf, 16.5, math.nan])
    state.time[:] = torch.tensor([-3, 2**62, 0, -(2**62)])
    state.history[1] = math.nan
    samples, _ = played(packed, weights, condition, state=state)
    assert bool(((samples >= 0) & (samples < 17)).all())
    for weight_type in ("bf16", "int8"):
        other = native_kernel.prepare(weights, weight_type, isa)
        samples, _ = played(other, weights, condition, state=state.snapshot())
        assert bool(((samples >= 0) & (samples < 17)).all())


@every_isa
@every_type
def test_extreme_weights_do_not_break_packing(isa: str, weight_type: str) -> None:
    weights = network("categorical", 17)
    huge = dataclasses.replace(weights, out=weights.out * 3e38 / weights.out.abs().max())
    tiny = dataclasses.replace(
        weights, end=weights.end * 1e-44, skip=torch.zeros_like(weights.skip)
    )
    for one in (huge, tiny):
        packed = native_kernel.prepare(one, weight_type, isa)
        samples, _ = played(packed, one, random_condition(one, 2, 12))
        assert bool(((samples >= 0) & (samples < 17)).all())


def test_states_are_restored_and_reset() -> None:
    weights = network("categorical", 17)
    condition = random_condition(weights, 2, 9).float()
    state = WaveNetState.initial(weights, 2)
    wavenet_sample(weights, condition, state, impl="reference")
    kept = state.snapshot()
    first = wavenet_sample(weights, condition, state, impl="reference")
    state.restore(kept)
    assert torch.equal(wavenet_sample(weights, condition, state, impl="reference"), first)
    state.reset()
    fresh = WaveNetState.initial(weights, 2)
    for name in ("history", "last", "time", "stream"):
        assert torch.equal(getattr(state, name), getattr(fresh, name))
    with pytest.raises(InvalidInputError, match="same network and batch"):
        state.restore(WaveNetState.initial(weights, 3))


@pytest.mark.parametrize("impl", ["reference", pytest.param("native", marks=needs_native)])
@pytest.mark.parametrize(("distribution", "outputs"), [("categorical", 17), ("gaussian", 2)])
@pytest.mark.parametrize("wild", [math.nan, math.inf])
def test_a_wild_condition_is_heard_by_its_stream_alone_and_until_reset(
    impl: str, distribution: Distribution, outputs: int, wild: float
) -> None:
    weights = network(distribution, outputs)
    frames = 3 + weights.receptive_field
    clean = random_condition(weights, 3, frames).float()
    spoilt = clean.clone()
    spoilt[1, 2] = wild
    states = [WaveNetState.initial(weights, 3) for _ in range(2)]
    expected, samples = (
        wavenet_sample(weights, c, state, impl=impl)
        for c, state in zip((clean, spoilt), states, strict=True)
    )
    assert torch.equal(samples[::2], expected[::2])
    assert torch.equal(samples[1, :2], expected[1, :2])
    for name in ("history", "last", "time"):
        assert torch.equal(getattr(states[1], name)[::2], getattr(states[0], name)[::2])
    if distribution == "categorical":
        assert bool(((samples >= 0) & (samples < outputs)).all())
        assert states[1].history.isfinite().all()  # forgotten
    states[1].reset(torch.tensor([False, True, False]))
    again = wavenet_sample(weights, clean, states[1], impl=impl)
    assert torch.equal(again[1], expected[1])


def test_the_reference_survives_a_state_of_no_classes() -> None:
    weights = network("categorical", 17)
    state = WaveNetState.initial(weights, 2)
    state.last[:] = torch.tensor([[math.nan, math.inf], [-math.inf, 1e30]])
    condition = random_condition(weights, 2, 3).float()
    samples = wavenet_sample(weights, condition, state, impl="reference")
    assert bool(((samples >= 0) & (samples < 17)).all())


# ---- bad input ----------------------------------------------------------------------------------


def changed(**tensors: Tensor | None) -> WaveNetWeights:
    return dataclasses.replace(network("categorical", 17), **tensors)  # type: ignore[arg-type]


def bad_weights() -> Iterator[tuple[dict[str, object], str]]:
    good = network("categorical", 17)
    yield {"skip": good.skip * math.nan}, "skip holds NaN"
    yield {"end_bias": good.end_bias + math.inf}, "end_bias holds NaN or infinity"
    yield {"past": good.past[:, :-1]}, r"past is \[8, 47, 24\]: \[8, 48, 24\]"
    yield {"residual": good.residual[0]}, "residual is .* 3 dimensions"
    yield {"out_bias": good.out_bias.double()}, "out_bias is torch.float64"
    yield {"input_bias": torch.zeros(24)}, "input_bias: a categorical network has none"
    yield {"end": good.end[:1], "end_bias": good.end_bias[:1]}, "1 classes"
    yield {"dilations": (1, 2, 3, 0, 8, 16, 1, 11)}, r"dilations\[3\]=0"
    yield {"dilations": (1, 2, 3, 65_537, 8, 16, 1, 11)}, r"dilations\[3\]=65537"
    yield {"dilations": (1, 2.5, 3, 5, 8, 16, 1, 11)}, r"dilations\[1\]=2.5"
    yield {"dilations": (65_536,) * 8}, "samples of history"
    yield {"dilations": ()}, "0 dilations"
    yield {"dilations": (1,) * 7}, r"past is \[8, 48, 24\]: \[7, 48, 24\]"
    yield {"dilations": 3}, "dilations=3: a tuple of whole numbers"
    yield {"dilations": (True,) * 8}, r"dilations\[0\]=True"
    yield {"skip": None}, "skip is a NoneType: a torch.Tensor"
    yield {"end": good.end.numpy()}, r"end is a numpy\.ndarray: a torch.Tensor"
    yield {"distribution": "laplace"}, "distribution='laplace'"
    yield {"distribution": "gaussian"}, "input_bias is None"


@pytest.mark.parametrize(("change", "message"), list(bad_weights()))
def test_bad_weights_are_named(change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        changed(**change)


@needs_native
def test_bad_calls_are_named() -> None:
    weights = network("categorical", 17)
    condition = random_condition(weights, 1, 4).float()
    state = WaveNetState.initial(weights, 1)
    for temperature in (-0.1, math.nan, math.inf):
        with pytest.raises(InvalidInputError, match="temperature="):
            wavenet_sample(weights, condition, state, temperature=temperature)
    with pytest.raises(InvalidInputError, match="classes 0 to 16"):
        wavenet_log_likelihood(weights, torch.full((1, 4), 17), condition, state, impl="native")
    with pytest.raises(InvalidInputError, match=r"instruction set 'sse9'.*portable"):
        native_kernel.prepare(weights, "fp32", "sse9")
    for batch in (-1, 1.0, "1", True, None):
        with pytest.raises(InvalidInputError, match=r"batch=.*: a whole number from 0"):
            WaveNetState.initial(weights, batch)  # type: ignore[arg-type]
    for empty in (condition[:0], condition[:, :0]):
        nothing = WaveNetState.initial(weights, len(empty))
        assert wavenet_sample(weights, empty, nothing, impl="native").numel() == 0
        assert nothing.time.sum() == 0


def test_arguments_of_another_kind_are_named() -> None:
    weights = network("categorical", 17)
    condition = random_condition(weights, 1, 4).float()
    state = WaveNetState.initial(weights, 1)
    good: dict[str, Any] = {"weights": weights, "condition": condition, "state": state}
    for change, message in (
        ({"weights": {}}, "weights is a dict: WaveNetWeights"),
        ({"condition": condition.numpy()}, r"condition is a numpy\.ndarray: a torch\.Tensor"),
        ({"condition": condition.tolist()}, r"condition is a list: a torch\.Tensor"),
        ({"state": state.history}, "the state is a Tensor: a WaveNetState"),
        ({"state": dataclasses.replace(state, time=[0])}, r"state\.time is a list"),
        ({"temperature": "1"}, "temperature='1': a finite number"),
        ({"temperature": None}, "temperature=None: a finite number"),
        ({"seed": 1.0}, r"seed=1\.0: a whole number"),
        ({"seed": -1}, "seed=-1: a whole number from 0"),
        ({"seed": 2**63}, "seed=9223372036854775808: a whole number from 0"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            wavenet_sample(**{**good, **change})
    with pytest.raises(InvalidInputError, match=r"samples is a list: a torch\.Tensor"):
        wavenet_log_likelihood(weights, [[1] * 4], condition, state)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="classes 0 to 16"):
        wavenet_log_likelihood(weights, torch.full((1, 4), 17), condition, state, impl="reference")


def test_features_of_another_kind_are_named() -> None:
    features, weight, bias = torch.zeros(1, 3, 4), torch.zeros(2, 6, 3), torch.zeros(2, 6)
    with pytest.raises(InvalidInputError, match=r"features is a numpy\.ndarray"):
        project_condition(features.numpy(), weight, bias)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"bias is torch\.float64 on cpu: features are"):
        project_condition(features, weight, bias.double())
