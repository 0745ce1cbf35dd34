"""What a voice costs is booked before it plays; what cannot be kept is refused with numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("soundfile", reason="soundfile is not installed: pip install 'bunraku[cli]'")

from bunraku.effects.audio.python_effect import AudioEffect, Block
from bunraku.errors import OverloadError
from bunraku.io.audio_files import AudioClip
from bunraku.scheduler.job import Lane
from bunraku.scheduler.process_scheduler import ProcessScheduler, borrow_scheduler, give_back
from bunraku.session.endpoints import ClipEndpoint
from bunraku.session.live_session import LiveSession
from bunraku.session.voice_cost import effects_cost_ns, least_ns

RATE_HZ, BLOCK = 48_000, 256


class Takes(AudioEffect):
    """So many milliseconds for each block; not in the catalogue: it has no name."""

    def __init__(self, cost_ms: float) -> None:
        super().__init__(sample_rate_hz=RATE_HZ, channels=1)
        self.cost_ms = cost_ms
        self.blocks = 0

    def process(self, block: Block) -> Block:
        self.blocks += 1
        end = time.perf_counter() + self.cost_ms / 1e3
        while time.perf_counter() < end:
            pass
        return block

    def reset(self) -> None:
        self.blocks = 0


class Breaks(Takes):
    def process(self, block: Block) -> Block:
        raise RuntimeError("broken")


@pytest.fixture
def scheduler() -> Iterator[ProcessScheduler]:
    borrowed = borrow_scheduler()
    yield borrowed
    give_back(borrowed)


def session(*effects: AudioEffect, **more: Any) -> LiveSession:
    clip = AudioClip(np.zeros((RATE_HZ, 1), np.float32), RATE_HZ)
    return LiveSession(
        "radio",
        source=ClipEndpoint(clip, loop=True),
        sink=None,
        block_frames=BLOCK,
        python_effects=effects,
        **more,
    )


def test_the_least_of_some_runs_counts_and_leaves_no_trace() -> None:
    effect = Takes(0.5)
    assert effects_cost_ns([effect], BLOCK) >= 500_000
    assert effect.blocks == 0, "it was reset"
    assert effects_cost_ns([Breaks(0.0)], BLOCK) == 0
    times = iter([9.0, 1.0, *[5.0] * 20])
    assert least_ns(lambda block: time.sleep(next(times) / 1e3), 1, BLOCK) >= 1_000_000


def test_a_voice_that_no_block_could_keep_is_refused(scheduler: ProcessScheduler) -> None:
    with (
        pytest.raises(OverloadError, match=r"ms for each block, every 5\.3 ms;.*larger blocks"),
        session(Takes(6.0)),
    ):
        pass
    assert scheduler.admission.load(Lane.AUDIO) == 0.0
    assert scheduler.executor.stats().sessions == ()


def test_a_voice_is_booked_while_it_plays_and_by_its_new_effects(
    scheduler: ProcessScheduler,
) -> None:
    with session(Takes(0.2)) as voice:
        before = scheduler.admission.load(Lane.AUDIO)
        assert before >= 0.2 / 5.34
        with pytest.raises(OverloadError, match="leave out an effect written in Python"):
            voice.admit(voice.model, [Takes(5.2)])
        assert scheduler.admission.load(Lane.AUDIO) == before
        voice.admit(voice.model, [Takes(0.6)])
        assert scheduler.admission.load(Lane.AUDIO) > before
    assert scheduler.admission.load(Lane.AUDIO) == 0.0
