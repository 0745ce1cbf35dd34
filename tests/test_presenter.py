"""Frames that are held for a slower voice: in order, one at a time, none lost without a count."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from bunraku.session.presenter import LEAST_HELD_FRAMES, Presenter
from bunraku.streaming.video_frame import VideoFrame

NS_PER_S = 1_000_000_000
PATIENCE_S = 20.0
FRAME_BYTES = 4 * 6 * 3


def frame(number: int) -> VideoFrame:
    return VideoFrame(np.zeros((4, 6, 3), np.uint8), 0, number)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.001)


class Screen:
    """Notes what it was handed once it has it, and how many hand it something at a time. A frame
    whose number is in `gates` waits for its event, one in `breaks` raises."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.gates: dict[int, threading.Event] = {}
        self.breaks: set[int] = set()
        self.begun: set[int] = set()
        self.at_once = self.most_at_once = 0
        self.errors: list[Exception] = []

    def show(self, frame: VideoFrame) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.add(frame.number)
        try:
            if frame.number in self.gates:
                assert self.gates[frame.number].wait(PATIENCE_S)
            if frame.number in self.breaks:
                raise ValueError(f"frame {frame.number} broke it")
            self.numbers.append(frame.number)
        finally:
            self.at_once -= 1

    def presenter(self, **settings: int) -> Presenter:
        return Presenter(self.show, self.errors.append, **settings)


def test_without_delay_frames_are_shown_by_who_brings_them() -> None:
    before, screen = threading.active_count(), Screen()
    presenter = screen.presenter()
    for number in range(3):
        presenter.show(frame(number))
        assert screen.numbers[-1] == number
    assert threading.active_count() == before
    presenter.stop()


def test_a_delayed_frame_comes_so_much_later() -> None:
    screen = Screen()
    presenter = screen.presenter()
    presenter.set_delay(40_000_000)
    began = time.monotonic()
    presenter.show(frame(0))
    presenter.show(frame(1), later_ns=20_000_000)
    until(lambda: len(screen.numbers) == 2)
    assert time.monotonic() - began >= 0.06
    assert screen.numbers == [0, 1]
    presenter.stop()


def test_none_overtakes_a_held_frame_that_is_just_handed_on() -> None:
    screen = Screen()
    screen.gates[0] = threading.Event()
    presenter = screen.presenter()
    presenter.show(frame(0), later_ns=1)
    until(lambda: 0 in screen.begun)
    presenter.show(frame(1))  # no delay, and nothing is held: but one is under way
    assert 1 not in screen.begun
    screen.gates[0].set()
    until(lambda: len(screen.numbers) == 2)
    assert screen.numbers == [0, 1]
    assert screen.most_at_once == 1
    presenter.stop()


def test_none_overtakes_one_that_somebody_else_brought() -> None:
    screen = Screen()
    screen.gates[0] = threading.Event()
    presenter = screen.presenter()
    other = threading.Thread(target=presenter.show, args=(frame(0),))
    other.start()
    until(lambda: 0 in screen.begun)
    presenter.show(frame(1))
    presenter.show(frame(2))
    screen.gates[0].set()
    until(lambda: len(screen.numbers) == 3)
    assert screen.numbers == [0, 1, 2]
    assert screen.most_at_once == 1
    other.join()
    presenter.stop()


def test_a_screen_that_breaks_is_told_of_and_the_next_frame_shown() -> None:
    screen = Screen()
    screen.breaks = {0, 2}
    presenter = screen.presenter()
    for number in range(4):
        presenter.show(frame(number), later_ns=1)
    until(lambda: screen.numbers == [1, 3])
    assert [str(error) for error in screen.errors] == ["frame 0 broke it", "frame 2 broke it"]
    assert (presenter.failed, presenter.dropped) == (2, 0)
    presenter.stop()


def test_without_delay_the_error_is_the_callers() -> None:
    screen = Screen()
    screen.breaks = {0}
    presenter = screen.presenter()
    with pytest.raises(ValueError, match="frame 0"):
        presenter.show(frame(0))
    presenter.show(frame(1))
    assert screen.numbers == [1]
    assert presenter.failed == 0
    presenter.stop()


def test_half_a_second_of_a_fast_camera_is_held_whole() -> None:
    """120 frames at 240 Hz; 32 were held, each pushed out before it was due."""
    screen = Screen()
    presenter = screen.presenter()
    presenter.set_delay(NS_PER_S // 2)
    for number in range(120):
        presenter.show(frame(number))
    until(lambda: len(screen.numbers) == 120)
    assert screen.numbers == list(range(120))
    assert presenter.dropped == 0
    presenter.stop()


def test_what_does_not_fit_is_left_out_evenly_and_counted() -> None:
    clock, screen = itertools.count(), Screen()
    presenter = screen.presenter(  # type: ignore[call-arg]
        most_bytes=20 * FRAME_BYTES, now_ns=lambda: next(clock)
    )
    presenter.set_delay(1000 * NS_PER_S)
    for number in range(40):
        presenter.show(frame(number))
    assert presenter.dropped == 20
    presenter.stop()
    assert len(screen.numbers) == 20
    assert screen.numbers == sorted(screen.numbers)
    assert (screen.numbers[0], screen.numbers[-1]) == (0, 39), "the next to be shown always stays"
    gaps = np.diff(screen.numbers)
    assert gaps.max() <= 3, screen.numbers


def test_a_few_frames_are_held_however_large() -> None:
    screen = Screen()
    presenter = screen.presenter(most_bytes=1)
    presenter.set_delay(1000 * NS_PER_S)
    for number in range(10):
        presenter.show(frame(number))
    presenter.stop()
    assert len(screen.numbers) == LEAST_HELD_FRAMES
    assert screen.numbers[0] == 0


def test_stop_hands_on_what_is_held() -> None:
    """A recording is shown its last frames, which were captured while its sound was."""
    screen = Screen()
    presenter = screen.presenter()
    presenter.set_delay(1000 * NS_PER_S)
    presenter.show(frame(0))
    presenter.show(frame(1))
    presenter.stop()
    presenter.stop()
    assert screen.numbers == [0, 1]
    presenter.set_delay(0)
    presenter.show(frame(2))
    assert screen.numbers == [0, 1]
    assert presenter.dropped == 1


def test_made_up_frames_are_not_missed() -> None:
    screen = Screen()
    presenter = screen.presenter()
    presenter.stop()
    presenter.show(replace(frame(0), interpolated=True))
    assert presenter.dropped == 0
