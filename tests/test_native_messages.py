"""A library's greetings stay off the terminal, and standard error is never lost over it."""

from __future__ import annotations

import os
import threading

import pytest
from bunraku.effects.video.native_messages import without_messages


def test_known_lines_are_dropped_and_others_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with without_messages(["hello from"]):
        os.write(2, b"hello from the library\nthe disk is full\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "the disk is full\n"


def test_two_at_once_leave_standard_error_where_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """The first to begin ends first: with nothing between them it would put standard error back,
    and the second would then put it where the first had sent it."""
    where = os.fstat(2)
    first_began, first_may_end, second_began = (threading.Event() for _ in range(3))

    def first() -> None:
        with without_messages([]):
            first_began.set()
            first_may_end.wait(5.0)

    def second() -> None:
        with without_messages([]):
            second_began.set()
            threads[0].join(5.0)
            os.write(2, b"of the second\n")

    threads = [threading.Thread(target=work) for work in (first, second)]
    threads[0].start()
    assert first_began.wait(5.0)
    threads[1].start()
    assert not second_began.wait(0.1), "the first is still at it"
    first_may_end.set()
    for thread in threads:
        thread.join(5.0)
    now = os.fstat(2)
    assert (now.st_dev, now.st_ino) == (where.st_dev, where.st_ino)
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "of the second\nafterwards\n"
