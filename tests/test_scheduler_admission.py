"""What is admitted is kept on a constant load; what cannot be is lowered, or refused in numbers."""

from __future__ import annotations

import re

import pytest
from bunraku.errors import OverloadError, UserInputError
from bunraku.scheduler.admission import Admission, Booking, Demand, load_of
from bunraku.scheduler.job import Lane
from bunraku.scheduler.simulate import LoadTrace, SimulatedSession, replay
from hypothesis import given, settings
from hypothesis import strategies as st

MS = 1_000_000
FRAME_NS = 33_333_333


def video(name: str, *costs_ms: float, period_ns: int = FRAME_NS) -> Demand:
    return Demand(name, Lane.VIDEO, period_ns, tuple(round(c * MS) for c in costs_ms))


def audio(name: str, cost_ms: float, period_ms: float = 5.0) -> Demand:
    return Demand(name, Lane.AUDIO, round(period_ms * MS), (round(cost_ms * MS),))


def test_the_highest_quality_that_fits() -> None:
    admission = Admission(cores=2)
    assert admission.admit(video("a", 20.0, 10.0)) == 0
    assert admission.admit(video("b", 20.0, 8.0, 4.0)) == 1
    assert admission.load(Lane.VIDEO) == pytest.approx(28.0 / 33.333333)
    admission.release("a")
    assert admission.admit(video("b", 20.0, 8.0, 4.0)) == 0, "its own booking is not in its way"
    assert admission.load(Lane.VIDEO) == pytest.approx(20.0 / 33.333333)


def test_the_refusal_has_the_numbers_and_the_remedy() -> None:
    admission = Admission(cores=2)
    admission.admit(video("a", 20.0))
    with pytest.raises(OverloadError) as caught:
        admission.admit(video("ben", 60.0, 12.0))
    text = str(caught.value)
    assert "\n" not in text
    assert "'ben' needs 12.0 ms for each frame at its lowest quality, every 33.3 ms" in text
    assert "8.3 ms are free" in text
    assert "video sessions may use 85 % of a thread, the 1 there use 60 %" in text
    assert "take an effect out" in text
    assert admission.load(Lane.VIDEO) == pytest.approx(0.6), "nothing was booked"
    free_ms = float(re.findall(r"([\d.]+) ms are free", text)[0])
    assert admission.admit(video("ben", free_ms)) == 0, "what is called free is free"


def test_a_refused_change_leaves_the_old_booking() -> None:
    admission = Admission(cores=2)
    admission.admit(video("a", 20.0))
    with pytest.raises(OverloadError, match=r"28\.3 ms are free"):
        admission.admit(video("a", 30.0))
    assert admission.load(Lane.VIDEO) == pytest.approx(0.6)


def test_a_rare_long_job_may_block_a_frequent_one() -> None:
    """40 % and 30 % of a thread would fit, but 30 ms are not interrupted for who comes every 10."""
    admission = Admission(cores=2)
    admission.admit(video("often", 4.0, period_ns=10 * MS))
    with pytest.raises(OverloadError, match=r"needs 30\.0 ms .* 4\.5 ms are free"):
        admission.admit(video("rare", 30.0, period_ns=100 * MS))
    assert admission.admit(video("rare", 4.0, period_ns=100 * MS)) == 0


def test_skipped_frames_come_in_one_piece() -> None:
    """10 ms of each 33 on average, but 40 ms of every fourth: too long for who comes every 33."""
    admission = Admission(cores=2)
    admission.admit(video("a", 10.0))
    whole = Demand("b", Lane.VIDEO, FRAME_NS, (10 * MS,), strides=(4,))
    with pytest.raises(OverloadError):
        admission.admit(whole)
    assert admission.admit(Demand("b", Lane.VIDEO, FRAME_NS, (4 * MS,), strides=(4,))) == 0


def test_audio_and_video_have_a_thread_each_but_on_one_core() -> None:
    for cores, fits in ((2, True), (1, False)):
        admission = Admission(cores=cores)
        admission.admit(audio("a", 2.0))
        if fits:
            assert admission.admit(video("a", 20.0)) == 0
        else:
            with pytest.raises(OverloadError, match=r"15\.0 ms are free"):
                admission.admit(video("a", 20.0))


def test_audio_may_not_take_what_video_was_promised_on_one_core() -> None:
    admission = Admission(cores=1)
    admission.admit(video("a", 20.0))
    with pytest.raises(OverloadError, match=r"'b' needs 2\.0 ms for each block.*larger blocks"):
        admission.admit(audio("b", 2.0))


def test_ten_sessions_fill_the_house() -> None:
    admission = Admission(cores=2)
    rungs = [admission.admit(video(f"s{k}", 8.0, 4.0, 2.0)) for k in range(4)]
    assert rungs == [0, 0, 0, 1], "28 of 28.3 ms"
    for k in range(4, 10):
        with pytest.raises(OverloadError, match=rf"'s{k}' needs 2\.0 ms .* 0\.3 ms are free"):
            admission.admit(video(f"s{k}", 8.0, 4.0, 2.0))


def test_rebooking_lowers_always_and_raises_if_it_fits() -> None:
    admission = Admission(cores=2)
    admission.admit(video("a", 20.0, 5.0))
    assert admission.rebook("a", Lane.VIDEO, 1)
    assert admission.admit(video("b", 20.0)) == 0
    assert not admission.rebook("a", Lane.VIDEO, 0)
    admission.release("b")
    assert admission.rebook("a", Lane.VIDEO, 0)


def test_what_was_learnt_counts_for_who_comes_in_and_not_for_who_steps_up() -> None:
    house = Admission(cores=2)
    assert house.admit(video("a", 12.0, 8.0)) == 0
    assert house.admit(video("b", 12.0)) == 0
    house.release("b")
    house.learn("a", Lane.VIDEO, 1, 30 * MS)
    assert house.load(Lane.VIDEO) == pytest.approx(12 / 33.3, abs=0.01), "of another quality"
    house.learn("a", Lane.VIDEO, 0, 25 * MS)
    assert house.load(Lane.VIDEO) == pytest.approx(25 / 33.3, abs=0.01)
    with pytest.raises(OverloadError, match="use 75 %"):
        house.admit(video("b", 12.0))
    house.learn("a", Lane.VIDEO, 0, 5 * MS)
    assert house.load(Lane.VIDEO) == pytest.approx(12 / 33.3, abs=0.01), "never less than planned"
    house.learn("a", Lane.VIDEO, 0, 25 * MS)
    assert house.rebook("a", Lane.VIDEO, 1)
    assert house.rebook("a", Lane.VIDEO, 0), "it was let in for it"
    assert house.load(Lane.VIDEO) == pytest.approx(12 / 33.3, abs=0.01), "and is measured anew"


def test_a_quality_that_is_not_there_is_not_booked() -> None:
    """A frame that ends while the chain is exchanged speaks of the old chain's qualities."""
    house = Admission()
    house.admit(Demand("a", Lane.VIDEO, 33 * MS, (9 * MS, 6 * MS)))
    assert not house.rebook("a", Lane.VIDEO, 8)
    assert not house.rebook("a", Lane.VIDEO, -1)
    assert house.admit(Demand("b", Lane.VIDEO, 33 * MS, (9 * MS,))) == 0
    house.release("a")
    assert not house.rebook("a", Lane.VIDEO, 1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Demand("a", Lane.VIDEO, 0, (1,)), "period_ns is 0: use more than 0"),
        (lambda: Demand("a", Lane.VIDEO, 1, ()), "at least one cost"),
        (lambda: Demand("a", Lane.VIDEO, 1, (-1,)), "none below 0"),
        (lambda: Demand("a", Lane.VIDEO, 1, (1, 1), (1,)), "one for each of 2 costs"),
        (lambda: Demand("a", Lane.VIDEO, 1, (1,), (0,)), "none below 1"),
        (lambda: Admission(video_share=1.5), "video_share is 1.5: use more than 0 and at most 1"),
    ],
)
def test_wrong_numbers_say_the_remedy(make: object, says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        make()  # type: ignore[operator]


TASKS = st.lists(
    st.tuples(
        st.integers(4, 60), st.integers(1, 30), st.integers(0, 60), st.sampled_from(list(Lane))
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(TASKS)
def test_an_admitted_set_misses_nothing_on_a_constant_load(
    tasks: list[tuple[int, int, int, Lane]],
) -> None:
    """Any periods, costs and phases, up to the whole of the threads."""
    admission = Admission(audio_share=1.0, video_share=1.0, cores=2)
    sessions = []
    for k, (period_ms, cost_ms, offset_ms, lane) in enumerate(tasks):
        demand = Demand(f"s{k}", lane, period_ms * MS, (cost_ms * MS,))
        try:
            admission.admit(demand)
        except OverloadError:
            continue
        sessions.append(
            SimulatedSession(f"s{k}", lane, period_ms * MS, demand.rung_costs_ns, offset_ms * MS)
        )
    happened = replay(sessions, LoadTrace(), 1500 * MS)
    assert not [run for run in happened.runs if run.late]
    assert not any(happened.dropped.values())


def test_load_counts_blocking_by_the_rarer_only() -> None:
    bookings = [Booking(audio("a", 1.0, 10.0), 0), Booking(audio("b", 2.0, 10.0), 0)]
    assert load_of(bookings) == pytest.approx(0.3)
    bookings.append(Booking(audio("c", 5.0, 50.0), 0))
    assert load_of(bookings) == pytest.approx(0.3 + 0.5)
    assert load_of([]) == 0.0
