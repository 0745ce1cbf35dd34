"""The pipeline of blocks behind `wavenet_sample` on CUDA: every way to spread it gives the
reference's samples, in any order of threads."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from bunraku_kernels import backends
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_sample import (
    WaveNetState,
    WaveNetWeights,
    cuda_kernel,
    reference,
    wavenet_log_likelihood,
    wavenet_sample,
)
from bunraku_kernels.wavenet_sample.cuda_kernel import Wishes
from bunraku_kernels.wavenet_sample.examples import random_condition, random_network
from bunraku_kernels.wavenet_sample.op import rounded_to_bfloat16
from bunraku_kernels.wavenet_sample.weights import Distribution
from torch import Tensor

REASON = backends.why_not("cuda")
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
DEVICE = "cpu" if backends.is_simulated("cuda") else "cuda"
SIMULATED = backends.is_simulated("cuda")

DISTRIBUTIONS: tuple[tuple[Distribution, int], ...] = (
    ("categorical", 16),
    ("logistic", 9),
    ("gaussian", 2),
)
PLANNED = Wishes()
ORDERS = ("forward", "reverse", "random:1", "random:2", "random:3")


@pytest.fixture(params=ORDERS if SIMULATED else ("gpu",))
def any_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The order in which the emulator resumes threads: a lacking barrier or flag shows in one."""
    monkeypatch.setenv("BUNRAKU_EMULATOR_ORDER", request.param)
    return str(request.param)


def played(
    weights: WaveNetWeights,
    condition: Tensor,
    wishes: Wishes = PLANNED,
    *,
    weight_type: str = "fp32",
    temperature: float = 1.0,
    seed: int = 3,
    state: WaveNetState | None = None,
) -> tuple[Tensor, WaveNetState]:
    """Samples by the kernel, on the CPU, and the state after them."""
    near = weights.to(DEVICE)
    packed = cuda_kernel.prepare(near, weight_type)
    state = state or WaveNetState.initial(near, condition.shape[0])
    samples = cuda_kernel.sample_as_wished(
        packed, condition.float().to(DEVICE).contiguous(), state, temperature, seed, wishes
    )
    return samples.cpu(), state


def truth(
    weights: WaveNetWeights, condition: Tensor, weight_type: str, temperature: float = 1.0
) -> tuple[Tensor, WaveNetState]:
    if weight_type == "bf16":
        weights = rounded_to_bfloat16(weights)
    wide = weights.to(torch.float64)
    state = WaveNetState.initial(wide, condition.shape[0])
    return reference.sample(wide, condition.float().double(), state, temperature, 3), state


def assert_close(samples: Tensor, state: WaveNetState, wanted: Tensor, after: WaveNetState) -> None:
    # 1e-5 of the largest value at each step, and what feeding samples back makes of it.
    if samples.dtype == torch.int32:
        assert torch.equal(samples, wanted)
    else:
        assert (samples.double() - wanted).abs().max() <= 5e-5
    scale = after.history.abs().max()
    assert (state.history.cpu().double() - after.history).abs().max() <= 5e-5 * scale
    assert (state.last.cpu().double() - after.last).abs().max() <= 5e-5 * scale
    assert torch.equal(state.time.cpu(), after.time)


def same(one: tuple[Tensor, WaveNetState], other: tuple[Tensor, WaveNetState]) -> bool:
    """To the bit, history and all."""
    return torch.equal(one[0], other[0]) and all(
        torch.equal(getattr(one[1], name), getattr(other[1], name))
        for name in ("history", "last", "time")
    )


@pytest.mark.parametrize("weight_type", ["fp32", "bf16"])
@pytest.mark.parametrize("transport", ["cluster", "grid"])
def test_matches_the_float64_reference_in_any_order(
    any_order: str, transport: str, weight_type: str
) -> None:
    # Wide enough that two warps share each step.
    weights = random_network("categorical", 24, 18, 20, 16, (1, 2, 4, 1, 3))
    condition = random_condition(weights, 5, 6)
    wanted, after = truth(weights, condition, weight_type)
    for blocks, group_streams in ((2, 2), (4, 1), (4, 4)):
        wishes = Wishes(transport, blocks, 1, group_streams)
        samples, state = played(weights, condition, wishes, weight_type=weight_type)
        assert_close(samples, state, wanted, after)


@pytest.mark.parametrize("weight_type", ["fp32", "bf16"])
@pytest.mark.parametrize(("distribution", "outputs"), DISTRIBUTIONS)
@pytest.mark.parametrize("transport", ["cluster", "grid"])
def test_every_distribution(
    transport: str, distribution: Distribution, outputs: int, weight_type: str
) -> None:
    weights = random_network(distribution, 12, 18, 20, outputs, (1, 2, 4, 1, 3))
    condition = random_condition(weights, 5, 12)
    for temperature in (1.0, 0.0):
        wanted, after = truth(weights, condition, weight_type, temperature)
        for blocks, group_streams in ((1, 0), (4, 2)):
            wishes = Wishes(transport, blocks, 1, group_streams)
            samples, state = played(
                weights, condition, wishes, weight_type=weight_type, temperature=temperature
            )
            assert_close(samples, state, wanted, after)


@pytest.mark.parametrize(
    ("residual", "skip", "hidden", "dilations"),
    [
        (1, 1, 1, (1,)),
        (8, 16, 16, (1, 2, 4, 8)),
        (24, 20, 33, (1, 5)),
        (60, 50, 41, (2, 1, 3)),
        (33, 70, 9, (7,)),
        (16, 16, 16, (1,) * 9),
    ],
)
@pytest.mark.parametrize("weight_type", ["fp32", "bf16"])
@pytest.mark.parametrize("transport", ["cluster", "grid"])
def test_odd_sizes(
    transport: str,
    weight_type: str,
    residual: int,
    skip: int,
    hidden: int,
    dilations: tuple[int, ...],
) -> None:
    weights = random_network("categorical", residual, skip, hidden, 11, dilations, seed=7)
    condition = random_condition(weights, 2, 20)  # longer than each ring
    wanted, after = truth(weights, condition, weight_type)
    for blocks in (1, 4):
        samples, state = played(
            weights, condition, Wishes(transport, blocks), weight_type=weight_type
        )
        assert_close(samples, state, wanted, after)


def spreads() -> Iterator[Wishes]:
    for transport, pipelines, streams in itertools.product(("cluster", "grid"), (1, 2), (1, 2, 4)):
        yield Wishes(transport, 2, pipelines, streams)


def test_how_streams_are_spread_changes_no_bit() -> None:
    weights = random_network("logistic", 12, 18, 20, 9, (1, 2, 4, 1, 3))
    condition = random_condition(weights, 7, 10)
    first, *others = (played(weights, condition, wishes) for wishes in spreads())
    assert all(same(first, other) for other in others)


@pytest.mark.parametrize("transport", ["cluster", "grid"])
@pytest.mark.parametrize("weight_type", ["fp32", "bf16"])
def test_weights_that_find_no_room_on_chip_are_read_from_memory(
    transport: str, weight_type: str
) -> None:
    weights = random_network("gaussian", 24, 40, 40, 2, (1, 2, 1, 4))
    condition = random_condition(weights, 2, 6)
    roomy = Wishes(transport, 2, 1, 1)
    whole = played(weights, condition, roomy, weight_type=weight_type)
    packed = cuda_kernel.prepare(weights.to(DEVICE), weight_type)
    assert packed.plan(2, roomy).missing_bytes == 0
    missing = []
    for capacity in (24_000, 18_000, 12_000):
        tight = dataclasses.replace(roomy, capacity=capacity)
        plan = packed.plan(2, tight)
        # Which block has which rows may differ, but no sum does.
        assert plan.shared_bytes <= capacity
        missing.append(plan.missing_bytes)
        assert same(whole, played(weights, condition, tight, weight_type=weight_type))
    assert missing[-1] > missing[0]
    assert missing[-1] > 0


def test_no_room_for_the_buffers_is_refused() -> None:
    weights = random_network("gaussian", 24, 40, 40, 2, (1, 2, 1, 4))
    with pytest.raises(InvalidInputError, match=r"500 bytes of shared memory.*fewer channels"):
        played(weights, random_condition(weights, 1, 2), Wishes(capacity=500))


@pytest.mark.parametrize(("distribution", "outputs"), DISTRIBUTIONS)
@pytest.mark.parametrize("transport", ["cluster", "grid"])
def test_pieces_equal_the_whole(transport: str, distribution: Distribution, outputs: int) -> None:
    weights = random_network(distribution, 8, 16, 16, outputs, (1, 2, 4, 8))
    condition, wishes = random_condition(weights, 3, 17), Wishes(transport, 4)
    whole, after = played(weights, condition, wishes)
    state, pieces = None, []
    for start, end in itertools.pairwise((0, 1, 2, 7, 9, 17)):
        samples, state = played(weights, condition[:, start:end], wishes, state=state)
        pieces.append(samples)
    assert state is not None
    assert same((whole, after), (torch.cat(pieces, dim=1), state))


@pytest.mark.parametrize("transport", ["cluster", "grid"])
def test_a_batch_equals_its_streams_one_by_one(transport: str) -> None:
    weights = random_network("logistic", 8, 16, 16, 9, (1, 2, 4))
    condition = random_condition(weights, 6, 8)
    together, after = played(weights, condition, Wishes(transport, 2, 1, 4))
    for index in range(6):
        state = WaveNetState.initial(weights.to(DEVICE), 1)
        state.stream[:] = index
        alone, state = played(
            weights, condition[index : index + 1], Wishes(transport, 2), state=state
        )
        assert torch.equal(alone[0], together[index])
        assert torch.equal(state.history[0], after.history[index])


def test_streams_of_different_age_play_together() -> None:
    """Their rings stand at different slots, and their random numbers at different counts."""
    weights = random_network("categorical", 8, 16, 16, 12, (1, 3, 4))
    condition = random_condition(weights, 2, 15)
    whole, _ = played(weights, condition)
    _, state = played(weights, condition[:, :5])
    fresh = WaveNetState.initial(weights.to(DEVICE), 2)
    for name in ("history", "last", "time"):
        getattr(state, name)[1] = getattr(fresh, name)[1]
    mixed = torch.stack([condition[0, 5:], condition[1, :10]])
    samples, _ = played(weights, mixed, state=state)
    assert torch.equal(samples[0], whole[0, 5:])
    assert torch.equal(samples[1], whole[1, :10])


def test_more_streams_than_fit_at_once_take_several_launches() -> None:
    weights = random_network("categorical", 8, 16, 16, 12, (1, 2))
    condition = random_condition(weights, 23, 4)
    tight = Wishes("grid", 2, 1, 1, capacity=3_500)
    plan = cuda_kernel.prepare(weights.to(DEVICE), "fp32").plan(23, tight)
    assert plan.pipelines * plan.groups * plan.group_streams < 23
    wanted, after = truth(weights, condition, "fp32")
    assert_close(*played(weights, condition, tight), wanted, after)


def test_time_beyond_32_bits_and_codes_out_of_range() -> None:
    weights = random_network("categorical", 8, 16, 16, 12, (1, 3, 4))
    condition = random_condition(weights, 2, 6)
    states = [WaveNetState.initial(weights.to(DEVICE), 2) for _ in range(2)]
    wide = WaveNetState.initial(weights.to(torch.float64), 2)
    for state in (*states, wide):
        state.time[:] = torch.tensor([2**40 + 3, 2**33 - 2])
        state.last[:] = torch.tensor([[-5.0, 1e9], [3.0, 11.0]])
    wanted = reference.sample(weights.to(torch.float64), condition.float().double(), wide, 1.0, 3)
    for state, transport in zip(states, ("cluster", "grid"), strict=True):
        samples, _ = played(weights, condition, Wishes(transport, 2), state=state)
        assert torch.equal(samples, wanted)
        assert torch.equal(state.time.cpu(), wide.time)


@pytest.mark.parametrize("transport", ["cluster", "grid"])
@pytest.mark.parametrize(("distribution", "outputs"), DISTRIBUTIONS)
@pytest.mark.parametrize("wild", [math.nan, math.inf])
def test_a_wild_condition_is_heard_by_its_stream_alone_and_until_reset(
    transport: str, distribution: Distribution, outputs: int, wild: float
) -> None:
    weights = random_network(distribution, 8, 12, 12, outputs, (1, 3))
    clean = random_condition(weights, 5, 4 + weights.receptive_field).float()
    spoilt = clean.clone()
    spoilt[1, 2] = wild
    wishes = Wishes(transport, 2, 1, 4)  # four streams share a pass
    expected, fresh = played(weights, clean, wishes)
    samples, state = played(weights, spoilt, wishes)
    others = [0, 2, 3, 4]
    assert torch.equal(samples[others], expected[others])
    assert torch.equal(samples[1, :2], expected[1, :2])
    assert torch.equal(state.history[others], fresh.history[others])
    if distribution == "categorical":
        assert bool(((samples >= 0) & (samples < outputs)).all())
        assert state.history.isfinite().all()  # forgotten
    state.reset(torch.tensor([False, True, False, False, False]))
    again, _ = played(weights, clean, wishes, state=state)
    assert torch.equal(again[1], expected[1])


def test_sampling_follows_the_distribution() -> None:
    """Chi-square over many streams' first samples, with a fixed seed: 5 sigma."""
    classes, streams = 8, 4_000
    weights = random_network("categorical", 4, 4, 4, classes, (1,))
    condition = random_condition(weights, 1, 1).expand(streams, -1, -1, -1).contiguous()
    wide = weights.to(torch.float64)
    logits = reference.step(wide, condition[:1, 0].float().double(), WaveNetState.initial(wide, 1))[
        0
    ]
    samples, _ = played(weights, condition)
    expected = streams * torch.softmax(logits, dim=0)
    observed = torch.bincount(samples[:, 0].long(), minlength=classes)
    chi_square = ((observed - expected) ** 2 / expected).sum().item()
    assert chi_square < classes - 1 + 5 * (2 * (classes - 1)) ** 0.5
    # A uniform choice would not pass.
    flat = torch.full_like(expected, streams / classes)
    assert ((flat - expected) ** 2 / expected).sum().item() > 1_000


def test_the_speech_network_stays_on_chip() -> None:
    """R=64, S=256, A=256, O=256, 20 layers in bfloat16: 8 blocks of at most 227 KB hold it all."""
    dilations = tuple(2**i for i in range(10)) * 2
    weights = random_network("categorical", 64, 256, 256, 256, dilations)
    packed = cuda_kernel.prepare(weights.to(DEVICE), "bf16")
    if not SIMULATED and torch.cuda.get_device_capability()[0] < 9:
        pytest.skip("no clusters here")
    plan = packed.plan(1, Wishes("cluster", 8 if not SIMULATED else 0))
    assert plan.blocks == 8
    assert plan.missing_bytes == 0
    assert plan.shared_bytes <= 227 * 1024
    assert plan.threads == 256
    rows = [plan.block(b) for b in range(8)]
    assert [layers for layers, _, _ in rows] == [3, 3, 3, 3, 2, 2, 2, 2]


def test_the_speech_network_plays_its_samples(any_order: str) -> None:
    if any_order not in ("forward", "random:1", "gpu"):
        pytest.skip("large for the emulator: two orders")
    dilations = (1, 2, 4, 512)
    weights = random_network("categorical", 64, 256, 256, 256, dilations)
    condition = random_condition(weights, 1, 3)
    for weight_type in ("fp32", "bf16"):
        wanted, after = truth(weights, condition, weight_type)
        samples, state = played(weights, condition, Wishes(blocks=4), weight_type=weight_type)
        assert_close(samples, state, wanted, after)


@pytest.mark.skipif(not SIMULATED, reason="the capability of a GPU is what it is")
def test_without_clusters_the_grid_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_network("categorical", 8, 16, 16, 12, (1, 3, 4))
    condition = random_condition(weights, 2, 5)
    monkeypatch.setenv("BUNRAKU_EMULATOR_SM", "80")
    packed = cuda_kernel.prepare(weights, "fp32")
    assert packed.plan(2, Wishes()).transport == "grid"
    with pytest.raises(InvalidInputError, match="no pipeline"):
        packed.plan(2, Wishes("cluster"))
    assert_close(*played(weights, condition), *truth(weights, condition, "fp32"))


def test_through_the_public_function() -> None:
    weights = random_network("categorical", 8, 16, 16, 12, (1, 3, 4)).to(DEVICE)
    condition = random_condition(weights, 2, 9).float().to(DEVICE)
    wanted, _ = played(weights, condition, weight_type="bf16", seed=5, temperature=0.8)
    settings = {"seed": 5, "temperature": 0.8, "weight_type": "bf16"}
    state = WaveNetState.initial(weights, 2)
    samples = wavenet_sample(weights, condition, state, impl="cuda", **settings)  # type: ignore[arg-type]
    assert torch.equal(samples.cpu(), wanted)
    assert state.time.tolist() == [9, 9]
    with pytest.raises(InvalidInputError, match=r"weight_type='int8'.*fp32, bf16"):
        wavenet_sample(weights, condition, state, weight_type="int8", impl="cuda")
    with pytest.raises(InvalidInputError, match="no impl='cuda'"):
        wavenet_log_likelihood(weights, samples, condition, state, impl="cuda")
    wide = weights.to(torch.float64)
    with pytest.raises(InvalidInputError, match="float64 is for the reference"):
        wavenet_sample(wide, condition.double(), WaveNetState.initial(wide, 2), impl="cuda")


def test_weights_are_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_network("categorical", 8, 16, 16, 12, (1, 3)).to(DEVICE)
    condition = random_condition(weights, 1, 2).float().to(DEVICE)
    state, calls = WaveNetState.initial(weights, 1), []
    prepare = cuda_kernel.prepare

    def counted(weights: WaveNetWeights, weight_type: str) -> cuda_kernel.PackedWeights:
        calls.append(weight_type)
        return prepare(weights, weight_type)

    monkeypatch.setattr(cuda_kernel, "prepare", counted)
    for _ in range(3):
        wavenet_sample(weights, condition, state, impl="cuda")
    assert len(calls) == 1
    with torch.no_grad():
        weights.end_bias[0] = 100.0  # class 0 from now on
    samples = wavenet_sample(weights, condition, state, temperature=0.0, impl="cuda")
    assert len(calls) == 2, "changed weights were not packed anew"
    assert samples.tolist() == [[0, 0]]
