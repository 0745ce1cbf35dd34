"""Between two threads that do not keep pace: the newest wins."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from bunraku.errors import UserInputError
from bunraku.streaming.mailbox import Mailbox
from bunraku.streaming.video_frame import VideoFrame


def test_the_newest_wins_and_the_rest_is_counted() -> None:
    box: Mailbox[int] = Mailbox()
    for item in range(5):
        box.put(item)
    assert (box.take(0), box.dropped) == (4, 4)
    assert box.take(0) is None


def test_a_reader_waits_until_something_comes() -> None:
    box: Mailbox[str] = Mailbox()
    threading.Timer(0.05, lambda: box.put("late")).start()
    assert box.take(5.0) == "late"


def test_closing_wakes_the_reader_and_refuses_more() -> None:
    box: Mailbox[int] = Mailbox()
    threading.Timer(0.05, box.close).start()
    began = time.monotonic()
    assert box.take(5.0) is None
    assert time.monotonic() - began < 4.0
    box.put(1)
    assert box.take(0) is None


def test_what_was_there_may_be_taken_after_closing() -> None:
    box: Mailbox[int] = Mailbox()
    box.put(1)
    box.close()
    assert box.take(0) == 1


def test_frames_know_their_size_and_keep_their_time() -> None:
    frame = VideoFrame(np.zeros((48, 64, 3), np.uint8), 7, 3)
    other = frame.with_pixels(frame.pixels + np.uint8(1))
    assert (frame.size, other.time_ns, other.number) == ((64, 48), 7, 3)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)]
)
def test_other_pictures_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(UserInputError, match="uint8 of shape"):
        VideoFrame(pixels, 0)
