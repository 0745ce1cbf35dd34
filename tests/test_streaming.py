"""Every StreamingModule: streamed equals whole, reset equals fresh, snapshots, gradients."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from bunraku.errors import UserInputError
from bunraku.formats.layout import in_channels, out_channels, receptive_field_frames, weight_count
from bunraku.formats.specs import NetworkSpec, SlimmableSpec
from bunraku.models.build import build_network
from bunraku.models.convnet import ConvNet
from bunraku.models.linear import Linear
from bunraku.models.lstm import Lstm
from bunraku.models.wavenet import WaveNet
from bunraku.streaming import AudioBlock
from bunraku.streaming.module import StreamingModule
from small_specs import many_channel_networks, mono_networks
from torch import Tensor

NETWORKS = mono_networks() | many_channel_networks()
FRAMES = 150
TOLERANCE = 1e-10  # float64
each_network = pytest.mark.parametrize("spec", NETWORKS.values(), ids=NETWORKS.keys())


def signal(spec: NetworkSpec, batch: int = 1, frames: int = FRAMES, seed: int = 3) -> Tensor:
    shape = (batch, in_channels(spec), frames)
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, 0.5, shape))


def streamed(module: StreamingModule, x: Tensor, blocks: list[int], state=None) -> Tensor:
    state = module.init_state(x.shape[0]) if state is None else state
    return torch.cat([module.step(part, state) for part in x.split(blocks, dim=-1)], dim=-1)


def partition(frames: int, block: int | None) -> list[int]:
    """Blocks of `block` frames, or of random lengths from 1 to 60."""
    rng = np.random.default_rng(frames)
    blocks: list[int] = []
    while sum(blocks) < frames:
        wanted = block if block is not None else int(rng.integers(1, 60))
        blocks.append(min(wanted, frames - sum(blocks)))
    return blocks


def test_every_subclass_is_covered() -> None:
    covered = {type(build_network(spec)) for spec in NETWORKS.values()}
    own = {cls for cls in StreamingModule.__subclasses__() if cls.__module__.startswith("bunraku")}
    assert covered == own == {WaveNet, Lstm, ConvNet, Linear}


@each_network
@pytest.mark.parametrize("block", [1, 7, 64, None])
def test_streamed_equals_whole(spec: NetworkSpec, block: int | None) -> None:
    module = build_network(spec).double()
    x = signal(spec, batch=2)
    with torch.no_grad():
        whole = module(x)
    assert whole.shape == (2, out_channels(spec), FRAMES)
    parts = streamed(module, x, partition(FRAMES, block))
    assert torch.max(torch.abs(parts - whole)) <= TOLERANCE * (1.0 + torch.max(torch.abs(whole)))


@each_network
def test_silence_changes_nothing_after_endless_silence(spec: NetworkSpec) -> None:
    module = build_network(spec).double()
    x = signal(spec)
    quiet = torch.zeros_like(x)
    with torch.no_grad():
        late = module(torch.cat([quiet, x], dim=-1))[..., FRAMES:]
        assert torch.max(torch.abs(late - module(x))) <= TOLERANCE * 10


@each_network
def test_reset_equals_fresh_for_the_masked_streams_alone(spec: NetworkSpec) -> None:
    module = build_network(spec).double()
    x = signal(spec, batch=3)
    state = module.init_state(3)
    addresses = [state[name].data_ptr() for name in state]
    first = module.step(x, state)
    before = state.snapshot()
    state.reset(torch.tensor([True, False, True]))
    again = module.step(x, state)
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[2], first[2])
    state.restore(before)
    onwards = module.step(x, state)
    assert torch.equal(onwards[1], again[1])
    state.reset()
    assert torch.equal(module.step(x, state), first)
    assert addresses == [state[name].data_ptr() for name in state], "state must stay in place"


@each_network
def test_snapshot_round_trips(spec: NetworkSpec) -> None:
    module = build_network(spec).double()
    x = signal(spec, batch=2)
    state = module.init_state(2)
    module.step(x, state)
    snapshot = state.snapshot()
    kept = {name: tensor.clone() for name, tensor in snapshot.items()}
    after = module.step(x, state)
    assert all(torch.equal(snapshot[name], kept[name]) for name in kept)
    state.restore(snapshot)
    assert torch.equal(module.step(x, state), after)
    other = module.init_state(2)
    other.restore(snapshot)
    assert torch.equal(module.step(x, other), after)


@each_network
def test_the_future_does_not_reach_back(spec: NetworkSpec) -> None:
    module = build_network(spec).double()
    x = signal(spec)
    changed = x.clone()
    changed[..., 100:] += 1.0
    with torch.no_grad():
        assert torch.equal(module(x)[..., :100], module(changed)[..., :100])


@each_network
def test_nothing_beyond_the_receptive_field_is_heard(spec: NetworkSpec) -> None:
    reach = receptive_field_frames(spec)
    if reach is None:
        pytest.skip("recurrent: its memory has no end")
    module = build_network(spec).double()
    x = signal(spec)
    changed = x.clone()
    changed[..., 0] += 1.0
    with torch.no_grad():
        difference = torch.abs(module(x) - module(changed)).amax(dim=(0, 1))
    assert torch.all(difference[reach:] <= TOLERANCE)


@each_network
def test_gradients_reach_every_weight_that_is_heard(spec: NetworkSpec) -> None:
    module = build_network(spec).double()
    x = signal(spec).requires_grad_()
    module(x).square().mean().backward()
    assert x.grad is not None
    assert torch.any(x.grad != 0)
    for name, parameter in module.named_parameters():
        unheard = name.endswith((".h0", ".c0")) or "layer1x1_post_film" in name
        last_residual = "layer1x1" in name and f"layers.{len_layers(module) - 1}" in name
        if not (unheard or last_residual or name.startswith("condition")):
            assert parameter.grad is not None, name
            assert torch.all(torch.isfinite(parameter.grad)), name
            assert torch.any(parameter.grad != 0), name


def len_layers(module: StreamingModule) -> int:
    return len(module.arrays[-1].layers) if isinstance(module, WaveNet) else -1


@each_network
def test_weights_go_in_and_out_unchanged(spec: NetworkSpec) -> None:
    if isinstance(spec, SlimmableSpec):
        spec = spec.pick()
    module = build_network(spec)
    condition = getattr(spec, "condition", None)
    again = module.to_spec(condition) if condition is not None else module.to_spec()
    assert weight_count(again) == weight_count(spec)
    assert np.array_equal(again.weights, spec.weights)


@pytest.mark.parametrize("shape", [(1, 2, 8), (1, 8), (8,)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    module = build_network(NETWORKS["lstm"])
    with pytest.raises(UserInputError, match=r"give \[batch, 1, frames\]"):
        module(torch.zeros(shape))


def test_a_state_of_another_batch_is_refused() -> None:
    module = build_network(NETWORKS["lstm"])
    with pytest.raises(UserInputError, match="2 streams"):
        module.step(torch.zeros(2, 1, 4), module.init_state(1))
    with pytest.raises(UserInputError, match="batch is 0"):
        module.init_state(0)
    with pytest.raises(UserInputError, match="snapshot"):
        module.init_state(1).restore(module.init_state(2).snapshot())
    with pytest.raises(UserInputError, match="one boolean for each of the 2"):
        module.init_state(2).reset(torch.tensor([True]))


def test_audio_blocks_know_their_time() -> None:
    block = AudioBlock(np.zeros((2, 480), np.float32), 48_000.0, time_ns=5)
    assert (block.channels, block.frames, block.duration_ns) == (2, 480, 10_000_000)
    assert block.end_ns == 10_000_005
    ones = block.with_samples(np.ones((1, 3), np.float32))
    assert (ones.channels, ones.frames, ones.time_ns) == (1, 3, 5)
    bad = itertools.product([np.zeros(4, np.float32), np.zeros((1, 4))], [48_000.0])
    for samples, rate in [*bad, (np.zeros((1, 4), np.float32), 0.0)]:
        with pytest.raises(UserInputError):
            AudioBlock(samples, rate)
