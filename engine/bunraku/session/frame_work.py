"""Frames on their way through the chains of their sessions, on the inference thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol, cast

from bunraku.effects.video.chain import VideoChain, process_together
from bunraku.scheduler.job import Job
from bunraku.streaming.video_frame import VideoFrame


class ChainPlace:
    """Where a session's chain stands. lock: held while a frame is in it, or while it is exchanged.

    A frame that hangs keeps its place for good, and the session gets another one.
    """

    def __init__(self, chain: VideoChain) -> None:
        self.chain = chain
        self.lock = threading.Lock()

    def close(self) -> None:
        """Waits for the frame that is in it: models are not closed under it."""
        with self.lock:
            self.chain.close()

    def close_late(self) -> None:
        """As `close`, on a thread of its own, whenever the frame ends."""
        threading.Thread(target=self.close, name="bunraku-late", daemon=True).start()


class Passes(Protocol):
    """A session, as its frames see it. present: hands a frame on; by how many ns later."""

    name: str

    @property
    def place(self) -> ChainPlace: ...

    def present(self, shown: VideoFrame, fills: bool) -> int: ...


@dataclass(eq=False)
class FrameWork:
    """fills: frames left out before it are made up. later_ns: how much later it was shown for them.
    abandoned: the session went on without it."""

    session: Passes
    frame: VideoFrame
    fills: bool = True
    presented: bool = False
    abandoned: bool = False
    later_ns: int = 0


def transform_batch(jobs: Sequence[Job]) -> None:
    transform([cast(FrameWork, job.payload) for job in jobs])


def transform_one(work: FrameWork) -> Callable[[], None]:
    return lambda: transform([work])


def transform(work: Sequence[FrameWork]) -> None:
    """Frames of different sessions through the chains that these have now. When one fails and all
    are run again, what was shown is not shown twice."""
    work = sorted((one for one in work if not one.presented), key=lambda one: one.session.name)
    places = [one.session.place for one in work]
    with ExitStack() as held:
        for place in places:  # by the sessions' names: one order, no deadlock
            held.enter_context(place.lock)
        pairs = zip(places, work, strict=True)
        shown = process_together([(place.chain, one.frame) for place, one in pairs])
    for one, place, frame in zip(work, places, shown, strict=True):
        one.abandoned = one.session.place is not place
        if not one.abandoned:
            one.later_ns = one.session.present(frame, one.fills)
        one.presented = True
