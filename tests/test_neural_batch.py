"""Networks of several sessions in one call: the same pictures, each one's trouble its own."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.effects.video import neural_backends
from bunraku.effects.video.chain import VideoChain, process_together
from bunraku.effects.video.neural_backend import NeuralBackend, Wish
from bunraku.effects.video.neural_batch import Inference, NetworkEffect
from bunraku.effects.video.neural_model import ModelFacts, Size
from bunraku.effects.video.scene import Mask, Scene
from bunraku.effects.video.scene_analyser import SceneAnalyser
from bunraku.effects.video.video_effect import VideoEffect, make_effect
from bunraku.scheduler.clock import SimulatedClock
from bunraku.streaming.video_frame import Pixels, VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
HEIGHT, WIDTH = 48, 64
WHOLE = np.ones((1, 1), np.float32)


class Negative(NeuralBackend):
    """Remembers how many pictures each call had; fails where one has a pixel of `refused`."""

    batches = True

    def __init__(self, calls: list[int], refused: int = -1) -> None:
        self.calls, self.refused = calls, refused

    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        return self.show_all([(pixels, mask)], size)[0]

    def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
        self.calls.append(len(pictures))
        if any(self.refused in pixels for pixels, _ in pictures):
            raise ValueError("the network broke")
        return [255 - pixels for pixels, _ in pictures]


class Inverting(NetworkEffect):
    tiers = ("256", "128")

    def __init__(self, backend: NeuralBackend, network: Hashable | None = "negative") -> None:
        super().__init__()
        self.backend = backend
        self.plays = network

    @property
    def network(self) -> Hashable | None:
        return self.plays

    def ask(self, pixels: Pixels, scene: Scene, tier: int) -> Inference | Pixels:
        return Inference(self.backend, self.plays, pixels, WHOLE, (8 >> tier, 8))

    def take(self, pixels: Pixels, asked: Inference, made: Pixels) -> Pixels:
        return made

    def conceal(self, pixels: Pixels) -> Pixels:
        return np.zeros_like(pixels)


class Add(VideoEffect):
    def __init__(self, amount: int, before: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.amount, self.before = amount, before

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        self.before()
        return pixels + np.uint8(self.amount)


def frame(value: int, number: int = 0) -> VideoFrame:
    return VideoFrame(np.full((HEIGHT, WIDTH, 3), value, np.uint8), number, number)


def shown(chains: Sequence[VideoChain], *values: int) -> list[int]:
    made = process_together([(c, frame(v)) for c, v in zip(chains, values, strict=True)])
    return [int(one.pixels[0, 0, 0]) for one in made]


def test_chains_run_in_step_and_their_networks_in_one_call() -> None:
    calls: list[int] = []
    net = Negative(calls)
    chains = [
        VideoChain([Inverting(net)]),
        VideoChain([Add(5), Inverting(net), Add(1)]),
        VideoChain([Add(7), Add(1), Inverting(net), Inverting(net)]),
        VideoChain([Add(9)]),
    ]
    assert shown(chains, 10, 20, 30, 40) == [245, 231, 38, 49]
    assert calls == [3, 1]


def test_only_what_is_alike_is_one_call() -> None:
    """Another network, another tier, and one that nothing is to be won by."""
    calls: list[int] = []
    net = Negative(calls)
    chains = [VideoChain([Inverting(net, name)]) for name in ("a", "b", None, None, "a", "a")]
    chains[5].set_tier("", 1)
    assert shown(chains, 1, 2, 3, 4, 5, 6) == [254, 253, 252, 251, 250, 249]
    assert sorted(calls) == [1, 1, 1, 1, 2]
    keys = [chain.batch_key(frame(0)) for chain in chains]
    assert keys[0] == keys[4]
    assert keys[2] is keys[3] is None
    assert len(set(keys)) == 4, "a, b, None, and a at another tier"
    wider = VideoFrame(np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8), 0)
    assert chains[0].batch_key(wider) != keys[0]
    assert VideoChain([Add(1)]).batch_key(frame(0)) is None


def test_a_network_that_fails_is_concealed_where_it_failed() -> None:
    calls: list[int] = []
    chains = [VideoChain([Inverting(Negative(calls, refused=13)), Add(1)]) for _ in range(3)]
    assert shown(chains, 10, 13, 20) == [246, 1, 236]
    assert calls == [3, 1, 1, 1], "together, then each alone"
    assert [list(chain.errors) for chain in chains] == [[], [""], []]
    assert chains[1].batch_key(frame(0)) is None, "it is off"
    assert shown(chains, 10, 20, 30) == [246, 1, 226]


def test_each_is_charged_its_share_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock()
    monkeypatch.setattr(time, "monotonic_ns", clock.now_ns)

    class Slow(Negative):
        def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
            clock.advance(30 * MS)
            return super().show_all(pictures, size)

    costs: list[dict[str, int]] = [{} for _ in range(3)]

    def counting(k: int) -> Callable[[str, int, int], None]:
        return lambda name, tier, cost_ns: costs[k].update({name: cost_ns})

    chains = [
        VideoChain(
            [Add(1, lambda k=k: clock.advance(k * MS)), Inverting(Slow([])), Add(1)],
            on_cost=counting(k),
        )
        for k in range(3)
    ]
    shown(chains, 1, 2, 3)
    assert costs == [{"": k * MS, " 2": 10 * MS, " 3": 0} for k in range(3)]


# ---- the networks that there are -----------------------------------------------------------------


class Nobody:
    """A person's mask that costs nothing."""

    def mask(self, seen: VideoFrame) -> Mask:
        return np.linspace(0, 1, seen.pixels.size // 3, dtype=np.float32).reshape(
            seen.pixels.shape[:2]
        )

    def reset(self) -> None: ...
    def close(self) -> None: ...


def opened(**wanted: Any) -> VideoChain:
    still: Any = Nobody()
    chain = VideoChain([make_effect("neural", **wanted)], SceneAnalyser(still, still))
    chain.open()
    return chain


@pytest.fixture(scope="module")
def batching() -> Any:
    """PyTorch on the CPU, batching as it does on a GPU; chains with it, and its batches' sizes."""
    torch = pytest.importorskip("torch")
    from bunraku.effects.video.neural_torch import TorchBackend

    sizes: list[int] = []

    class Batching(TorchBackend):
        def __init__(self, facts: ModelFacts, wish: Wish) -> None:
            super().__init__(facts, wish)
            self.batches = True

        def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
            sizes.append(len(pictures))
            return super().show_all(pictures, size)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(neural_backends.BACKENDS, "torch", Batching)
        chains = {
            region: [
                opened(backend="torch", device="cpu", region=region, strength=strength)
                for strength in (1.0, 0.5, 0.25, 1.0)
            ]
            for region in ("frame", "person")
        }
    yield Batching, chains, sizes
    torch.set_num_threads(threads)


@settings(max_examples=12, deadline=None)
@given(
    count=st.integers(1, 4),
    tier=st.integers(0, 2),
    region=st.sampled_from(["frame", "person"]),
    seed=st.integers(0, 99),
)
def test_a_batch_makes_what_single_calls_make(
    batching: Any, count: int, tier: int, region: str, seed: int
) -> None:
    _, regions, sizes = batching
    chains: list[VideoChain] = regions[region][:count]
    noise = np.random.default_rng(seed)
    frames = [
        VideoFrame(noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), 0) for _ in range(count)
    ]
    for chain in chains:
        chain.set_tier("neural", tier)
    alone = [chain.process(one) for chain, one in zip(chains, frames, strict=True)]
    sizes.clear()
    together = process_together(list(zip(chains, frames, strict=True)))
    assert sizes == [count]
    assert not any(chain.errors for chain in chains)
    for a, b in zip(alone, together, strict=True):
        assert np.abs(a.pixels.astype(int) - b.pixels).max() <= 1
    assert len({chain.batch_key(frames[0]) for chain in chains}) == 1


@pytest.mark.gpu
def test_on_a_gpu_a_batch_makes_what_single_calls_make() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    chains = [opened(backend="torch", device="cuda", strength=k / 3) for k in (1, 2, 3)]
    frames = [frame(40 * k) for k in (1, 2, 3)]
    assert len({chain.batch_key(frames[0]) for chain in chains} - {None}) == 1
    alone = [chain.process(one) for chain, one in zip(chains, frames, strict=True)]
    for _ in range(2):  # captured, replayed
        together = process_together(list(zip(chains, frames, strict=True)))
        for a, b in zip(alone, together, strict=True):
            assert np.abs(a.pixels.astype(int) - b.pixels).max() <= 2


def test_another_look_or_a_face_is_another_matter(
    batching: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bunraku.models.generator_file import save_generator
    from bunraku.models.image_generator import ImageGenerator, ImageGeneratorConfig

    monkeypatch.setitem(neural_backends.BACKENDS, "torch", batching[0])
    path = tmp_path / "other.safetensors"
    save_generator(path, ImageGenerator(ImageGeneratorConfig(4, 1)))
    wanted = {"backend": "torch", "device": "cpu"}
    ours, same, theirs = opened(**wanted), opened(**wanted), opened(**wanted, file=str(path))
    assert ours.batch_key(frame(0)) == same.batch_key(frame(0)) is not None
    assert theirs.batch_key(frame(0)) not in (None, ours.batch_key(frame(0)))
    assert opened(**wanted, region="face").batch_key(frame(0)) is None
    ours.close()
    assert ours.batch_key(frame(0)) is None


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "torch"])
def test_on_a_cpu_nothing_is_won_and_nothing_batched(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chain = opened(backend=backend, device="cpu")
    assert chain.batch_key(frame(0)) is None
    chain.close()
