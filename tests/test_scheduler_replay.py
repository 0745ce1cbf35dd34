"""Load traces replayed on a simulated clock: a game, a stall, a drift, ten sessions, overload."""

from __future__ import annotations

import math
from itertools import pairwise

from bunraku.scheduler.job import Lane
from bunraku.scheduler.simulate import (
    LoadTrace,
    Replay,
    SimulatedSession,
    Slowdown,
    replay,
)
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
SECOND = 1_000_000_000
FRAME_NS = 33_333_333
BLOCK_NS = 5_333_333


def camera(name: str, *costs_ms: float, offset_ms: float = 0.0) -> SimulatedSession:
    costs = tuple(round(cost * MS) for cost in costs_ms)
    return SimulatedSession(name, Lane.VIDEO, FRAME_NS, costs, round(offset_ms * MS))


def voice(name: str, cost_ms: float = 1.0, offset_ms: float = 0.0) -> SimulatedSession:
    return SimulatedSession(
        name, Lane.AUDIO, BLOCK_NS, (round(cost_ms * MS),), round(offset_ms * MS)
    )


def test_work_takes_as_long_as_the_trace_says() -> None:
    trace = LoadTrace((Slowdown(100, 200, 2.0), Slowdown(300, 400, math.inf)))
    assert trace.end_of(0, 100) == 100
    assert trace.end_of(0, 150) == 200
    assert trace.end_of(150, 10) == 170
    assert trace.end_of(250, 60) == 410
    assert trace.end_of(500, 60) == 560
    assert LoadTrace(drift_per_s=0.02).end_of(SECOND, 100) == SECOND + 102


def test_a_game_takes_a_core_for_two_seconds() -> None:
    """Costs x2.2: lower within 0.5 s, audio untouched, back two seconds after the game."""
    game = LoadTrace((Slowdown(5 * SECOND, 7 * SECOND, 2.2),))
    happened = replay([camera("ana", 22, 15, 9, 5), voice("ana's voice")], game, 15 * SECOND)
    (down_ns, low), (up_ns, high) = happened.rungs["ana"]
    assert (low, high) == (2, 0)
    assert down_ns - 5 * SECOND < 500 * MS
    assert 7 * SECOND < up_ns < 9.2 * SECOND
    assert not [run for run in happened.of("ana's voice") if run.late]
    assert happened.on_time_share("ana") > 0.98
    assert not [r for r in happened.of("ana") if r.late and r.ready_ns > down_ns + 100 * MS]


def test_a_stall_of_200_ms_is_over_when_it_is_over() -> None:
    """Nothing queues up: the second frame after it is in time again."""
    stall = LoadTrace((Slowdown(5 * SECOND, 5 * SECOND + 200 * MS, math.inf),))
    happened = replay([camera("ana", 20, 10)], stall, 12 * SECOND)
    late = [run for run in happened.of("ana") if run.late]
    assert 1 <= len(late) <= 2
    assert happened.dropped["ana"] == 5
    assert not [run for run in late if run.ready_ns > 5 * SECOND + 200 * MS]
    assert len(happened.rungs["ana"]) in {0, 2}, "down and back at most once"
    assert happened.runs[-1].rung == 0


def test_a_slow_drift_is_answered_before_many_frames_are_late() -> None:
    """2 % more each second, for a minute: 25 ms become 55."""
    happened = replay([camera("ana", 25, 15, 8)], LoadTrace(drift_per_s=0.02), 60 * SECOND)
    assert happened.rungs["ana"][0][1] == 1
    assert happened.on_time_share("ana") > 0.99
    assert len(happened.rungs["ana"]) <= 4
    assert not [run for run in happened.of("ana") if run.late and run.started_ns > 20 * SECOND]


def ten_sessions() -> list[SimulatedSession]:
    cameras = [camera(f"c{k}", 2.5, 1.5, offset_ms=3.1 * k) for k in range(10)]
    return [*cameras, *(voice(f"v{k}", 0.25, offset_ms=0.53 * k) for k in range(10))]


def test_ten_sessions_are_all_in_time() -> None:
    happened = replay(ten_sessions(), LoadTrace(), 20 * SECOND)
    assert not [run for run in happened.runs if run.late]
    assert not any(happened.dropped.values())


def test_ten_sessions_and_a_game() -> None:
    game = LoadTrace((Slowdown(5 * SECOND, 7 * SECOND, 1.6),))
    happened = replay(ten_sessions(), game, 20 * SECOND)
    assert not [run for run in happened.runs if run.late and run.lane == Lane.AUDIO], (
        "75 % of the audio thread"
    )
    shares = [happened.on_time_share(f"c{k}") for k in range(10)]
    assert min(shares) > 0.95
    assert all(run.rung == 0 for run in happened.runs[-40:])


def test_under_overload_everyone_has_a_turn() -> None:
    """160 % of a thread, nothing to lower, deadlines of one always just before the other's: more
    runs for that one, but the other never waits for more than two."""
    happened = replay(
        [camera("a", 26.6), camera("b", 26.6, offset_ms=0.1)], LoadTrace(), 30 * SECOND
    )
    assert len(happened.of("b")) > 400
    begins = [run.started_ns for run in happened.of("b")]
    assert max(b - a for a, b in pairwise(begins)) < 3.01 * 26.6 * MS
    assert happened.dropped["a"] + happened.dropped["b"] > 600


def test_on_one_thread_audio_waits_for_one_frame_at_most() -> None:
    sessions = [camera("ana", 4), *(voice(f"v{k}", 0.3, offset_ms=k) for k in range(3))]
    happened = replay(sessions, LoadTrace(), 10 * SECOND, one_thread=True)
    audio = [run for run in happened.runs if run.lane == Lane.AUDIO]
    assert max(run.started_ns - run.ready_ns for run in audio) <= (4 + 2 * 0.3) * MS
    assert not [run for run in audio if run.late]


def test_a_batch_saves_what_it_shares() -> None:
    def shared(k: int) -> SimulatedSession:
        return SimulatedSession(
            f"s{k}", Lane.VIDEO, FRAME_NS, (12 * MS,), batch_key="net", batch_share=0.25
        )

    happened = replay([shared(k) for k in range(4)], LoadTrace(), 5 * SECOND)
    assert not [run for run in happened.runs if run.late], "4 x 12 ms, but 21 ms together"
    alone = replay([camera(f"s{k}", 12) for k in range(4)], LoadTrace(), 5 * SECOND)
    assert [run for run in alone.runs if run.late]


def test_the_same_replay_is_the_same() -> None:
    game = LoadTrace((Slowdown(1 * SECOND, 2 * SECOND, 2.2),))
    assert replay(ten_sessions(), game, 4 * SECOND) == replay(ten_sessions(), game, 4 * SECOND)


# ---- properties ------------------------------------------------------------------------------

SESSIONS = st.lists(
    st.tuples(
        st.sampled_from(list(Lane)), st.integers(4, 40), st.integers(1, 30), st.integers(0, 40)
    ),
    min_size=1,
    max_size=8,
)
SLOWDOWNS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 200), st.floats(1.0, 5.0)))


def any_replay(
    tasks: list[tuple[Lane, int, int, int]],
    slow: list[tuple[int, int, float]],
    one_thread: bool = False,
) -> Replay:
    sessions = [
        SimulatedSession(f"s{k}", lane, period * MS, (cost * MS,), offset * MS)
        for k, (lane, period, cost, offset) in enumerate(tasks)
    ]
    slowdowns, at = [], 0
    for pause, length, factor in slow:
        slowdowns.append(Slowdown((at + pause) * MS, (at + pause + length) * MS, factor))
        at += pause + length
    return replay(sessions, LoadTrace(tuple(slowdowns)), 1000 * MS, one_thread=one_thread)


@settings(max_examples=80, deadline=None)
@given(SESSIONS, SLOWDOWNS, st.booleans())
def test_never_a_later_deadline_before_an_earlier_one(
    tasks: list[tuple[Lane, int, int, int]], slow: list[tuple[int, int, float]], one: bool
) -> None:
    """Of what was ready in the same lane when a job began, that ran later, nothing was due before
    it; and a lane's thread does one thing at a time."""
    happened = any_replay(tasks, slow, one)
    for lane in Lane:
        runs = sorted((r for r in happened.runs if r.lane == lane), key=lambda r: r.started_ns)
        assert all(a.ended_ns <= b.started_ns for a, b in pairwise(runs))
        for k, run in enumerate(runs):
            ready = [r for r in runs[k + 1 : k + 60] if r.ready_ns <= run.started_ns]
            assert all(run.due_ns <= other.due_ns for other in ready)


@settings(max_examples=80, deadline=None)
@given(SESSIONS, SLOWDOWNS)
def test_audio_waits_for_the_audio_ahead_of_it_and_nothing_else(
    tasks: list[tuple[Lane, int, int, int]], slow: list[tuple[int, int, float]]
) -> None:
    """From ready to started, the audio thread ran other audio jobs without a pause."""
    runs = [r for r in any_replay(tasks, slow).runs if r.lane == Lane.AUDIO]
    for run in runs:
        ahead = [
            min(o.ended_ns, run.started_ns) - max(o.started_ns, run.ready_ns)
            for o in runs
            if o.started_ns < run.started_ns and o.ended_ns > run.ready_ns
        ]
        assert sum(ahead) == run.started_ns - run.ready_ns


@settings(max_examples=60, deadline=None)
@given(SESSIONS, SLOWDOWNS)
def test_every_job_is_run_dropped_or_under_way(
    tasks: list[tuple[Lane, int, int, int]], slow: list[tuple[int, int, float]]
) -> None:
    happened = any_replay(tasks, slow)
    for name, released in happened.released.items():
        under_way = released - happened.dropped[name] - len(happened.of(name))
        assert 0 <= under_way <= 9, "8 blocks may wait and one run"
