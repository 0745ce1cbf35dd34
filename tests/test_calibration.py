"""What the parts of a chain cost, collected while it is measured and handed on while it plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bunraku.effects.video.chain import VideoChain
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import EffectSettings, PresetPath, VideoEffect
from bunraku.errors import OverloadError
from bunraku.scheduler.admission import Demand
from bunraku.scheduler.job import Lane
from bunraku.scheduler.process_scheduler import borrow_scheduler, give_back
from bunraku.session import calibration
from bunraku.session.calibration import MOST_AGE_S, MOST_REMEMBERED, RUNS, Calibrations, CostTally
from bunraku.session.video_session import VideoSession
from bunraku.streaming.video_frame import Pixels, VideoFrame
from test_video_session import HandSource, ListSink


def test_costs_are_handed_on_but_while_they_are_collected() -> None:
    told: list[tuple[str, int]] = []
    tally = CostTally(lambda name, cost_ns: told.append((name, cost_ns)))
    tally.add("blur", 0, 5)
    tally.collect()
    tally.add("blur", 0, 6)
    tally.finish()
    tally.add("blur", 1, 7)
    assert told == [("blur", 5), ("blur", 7)]


def test_typical_is_the_mean_of_a_tier_without_the_first_run() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    tally.collect()
    for cost_ns in (1000, 10, 0, 20, 0):
        tally.add("person", 0, cost_ns)
    for cost_ns in (900, 6):
        tally.add("person", 1, cost_ns)
    assert tally.typical_ns("person", 0) == 8, "it runs for every second frame"
    assert tally.typical_ns("person", 1) == 6


def test_what_ran_once_counts_and_what_never_ran_costs_nothing() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    tally.collect()
    tally.add("look", 0, 40)
    assert tally.typical_ns("look", 0) == 40
    assert tally.typical_ns("look", 1) == 0


def test_each_measurement_begins_anew() -> None:
    tally = CostTally(lambda name, cost_ns: None)
    for cost_ns in (100, 7):
        tally.collect()
        tally.add("look", 0, cost_ns)
        assert tally.typical_ns("look", 0) == cost_ns
        tally.finish()


# ---- chains that come back -----------------------------------------------------------------------

SIZE = (64, 48)
TIERS = 2
WHOLE = RUNS * TIERS


class CountedSettings(EffectSettings):
    strength: float = 1.0
    file: PresetPath | None = None


class Counted(VideoEffect):
    """Counts its frames; fails where it is told to. Like those in the catalogue, but it is not."""

    Settings = CountedSettings
    tiers = ("full", "cheap")
    says = "an abacus"

    def __init__(self, fails: bool = False, says: str = says, **settings: object) -> None:
        super().__init__(CountedSettings(**settings))  # type: ignore[arg-type]
        self.name = "counted"  # type: ignore[misc]
        self.says = says
        self.fails = fails
        self.frames = 0
        self.resets = 0

    def process(self, pixels: Pixels, scene: Scene, tier: int) -> Pixels:
        self.frames += 1
        if self.fails:
            raise ValueError("no beads")
        return pixels

    def reset(self) -> None:
        self.resets += 1


class Other(Counted):
    pass


def frames_for(known: Calibrations, *effects: Counted, size: tuple[int, int] = SIZE) -> int:
    """How many frames run until the costs of a chain of these are known."""
    told: list[int] = []
    tally = CostTally(lambda name, cost_ns: told.append(cost_ns))
    chain = VideoChain(effects, on_cost=tally.add)
    frame = VideoFrame(np.zeros((size[1], size[0], 3), np.uint8), 0)
    costs_ns = known.costs_ns(chain, frame, tally)
    assert list(costs_ns) == list(chain.effects)
    assert all(len(costs) == TIERS for costs in costs_ns.values())
    assert told == [], "what is measured is not counted as played"
    assert not chain.errors
    assert all(tier == 0 for tier in chain.tiers.values())
    assert all(effect.resets >= 1 for effect in effects), "as after a cut"
    return effects[0].frames


def test_a_chain_that_comes_back_needs_one_frame() -> None:
    known = Calibrations()
    assert frames_for(known, Counted()) == WHOLE
    assert frames_for(known, Counted()) == 1
    assert frames_for(known, Counted(), Other()) == WHOLE
    assert frames_for(known, Counted(), Other()) == 1


def test_what_changes_the_cost_is_measured_anew(tmp_path: Path) -> None:
    """A look of strength 0, say, is free: it must not make another's seem so."""
    file = tmp_path / "weights"
    file.write_bytes(b"small")
    known = Calibrations()

    def both(**wanted: object) -> list[int]:
        return [frames_for(known, Counted(**wanted)) for _ in range(2)]  # type: ignore[arg-type]

    assert both() == [WHOLE, 1]
    assert both(strength=0.0) == [WHOLE, 1]
    assert both(says="another backend") == [WHOLE, 1]
    assert both(file=str(file)) == [WHOLE, 1]
    file.write_bytes(b"larger than it was")
    assert both(file=str(file)) == [WHOLE, 1], "it was replaced"
    assert frames_for(known, Other()) == WHOLE
    assert frames_for(known, Counted(), size=(96, 64)) == WHOLE
    assert frames_for(known, Counted()) == 1, "and none of it was forgotten"


def test_costs_that_are_handed_out_are_the_caller_s_own() -> None:
    known, tally = Calibrations(), CostTally(lambda name, cost_ns: None)
    frame = VideoFrame(np.zeros((48, 64, 3), np.uint8), 0)
    first = known.costs_ns(VideoChain([Counted()], on_cost=tally.add), frame, tally)
    kept = list(first["counted"])
    first["counted"][0] = -1
    assert known.costs_ns(VideoChain([Counted()]), frame, tally)["counted"] == kept


def test_where_an_effect_fails_nothing_is_remembered() -> None:
    known = Calibrations()
    for _ in range(2):
        assert frames_for(known, Counted(fails=True)) == 1, "it is off from its first frame on"
    assert frames_for(known, Counted()) == WHOLE
    good = Counted()
    assert frames_for(known, good, Counted(fails=True)) == WHOLE
    assert frames_for(known, Counted(), Counted()) == WHOLE


def test_an_effect_that_fails_when_it_comes_back_is_measured_and_no_longer_remembered() -> None:
    known = Calibrations()
    assert frames_for(known, Counted()) == WHOLE
    assert frames_for(known, Counted(fails=True)) == 2, "to warm up, and to be measured"
    assert frames_for(known, Counted()) == WHOLE


def test_an_effect_without_a_name_may_be_anything() -> None:
    known = Calibrations()
    for _ in range(2):
        effect = Counted()
        effect.name = ""  # type: ignore[misc]
        tally = CostTally(lambda name, cost_ns: None)
        frame = VideoFrame(np.zeros((48, 64, 3), np.uint8), 0)
        known.costs_ns(VideoChain([effect], on_cost=tally.add), frame, tally)
        assert effect.frames == WHOLE


def test_the_memory_is_short_and_bounded() -> None:
    now_s = 0.0
    known = Calibrations(lambda: now_s)
    frames_for(known, Counted())
    now_s = MOST_AGE_S
    assert frames_for(known, Counted()) == 1
    now_s += 1.0
    assert frames_for(known, Counted()) == WHOLE
    for k in range(MOST_REMEMBERED):
        frames_for(known, Counted(strength=2.0 + k))
    assert frames_for(known, Counted()) == WHOLE, "the oldest had to go"
    assert frames_for(known, Counted(strength=1.0 + MOST_REMEMBERED)) == 1


def test_a_session_goes_back_to_a_chain_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not refused for good by what was measured in a busy moment."""
    monkeypatch.setattr(calibration.calibrations, "_known", type(calibration.calibrations._known)())
    scheduler = borrow_scheduler()
    effects = [Counted() for _ in range(4)]
    try:
        source = HandSource()
        with VideoSession(source, [effects[0]], [ListSink()], scheduler=scheduler) as session:
            session.set_effects([])
            session.set_effects([effects[1]])
            assert [effect.frames for effect in effects[:2]] == [WHOLE, 1]
            session.set_effects([])
            scheduler.admission.admit(
                Demand("greedy", Lane.VIDEO, 10**9, (849_000_000,)), is_in=True
            )
            with pytest.raises(OverloadError):
                session.set_effects([effects[2]])
            assert effects[2].frames == 1
            scheduler.admission.release("greedy")
            session.set_effects([effects[3]])
            assert effects[3].frames == WHOLE
    finally:
        scheduler.admission.release("greedy")
        give_back(scheduler)
