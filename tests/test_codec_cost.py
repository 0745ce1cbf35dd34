"""Pictures for browsers are refused before the machine has no time left for the sound."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from bunraku.errors import OverloadError, UserInputError

pytest.importorskip("aiortc", reason="aiortc is missing: pip install 'bunraku[web]'")
pytest.importorskip("starlette", reason="starlette is missing: pip install 'bunraku[web]'")
pytest.importorskip("websockets", reason="websockets is missing: pip install 'bunraku[web]'")
pytest.importorskip("prometheus_client", reason="prometheus-client is missing")
pytest.importorskip("cv2", reason="OpenCV is missing: pip install 'bunraku[video]'")

from bunraku.formats.performance_shape import Picture
from bunraku.io.pattern import Pattern
from bunraku.io.video_specs import PatternSpec
from bunraku.scheduler.process_scheduler import ProcessScheduler, borrow_scheduler, give_back
from bunraku.serving import browser_performance
from bunraku.serving.browser_performance import BrowserPerformance
from bunraku.serving.browser_voice import BrowserVoice
from bunraku.serving.codec_cost import (
    BELIEVED,
    SMALL,
    USUAL,
    WAY_NS,
    CodecBudget,
    CodecCost,
    Cost,
    Pictures,
    codec_budget,
    measured_cost,
)
from bunraku.session.control.effect_rack import EffectRack
from test_serve import calling, camera, colour, connect, in_loop, serving, until
from test_video_session import ListSink

MS = 1_000_000
ROUND = CodecCost(Cost(MS - WAY_NS, 1.0), Cost(2 * MS - WAY_NS, 2.0))
"""Of 1000x1000 pixels, decoding takes 2 ms and encoding 4."""
THOUSAND = (1000, 1000)


def budget(machine_cores: int = 2) -> CodecBudget:
    return CodecBudget(lambda: ROUND, machine_cores=machine_cores)


# ---- the sums ------------------------------------------------------------------------------------


def test_a_picture_is_decoded_and_encoded_and_a_stage_sends_two() -> None:
    assert Pictures(THOUSAND, 50.0).cores(ROUND) == pytest.approx(0.3)
    assert Pictures(THOUSAND, 50.0, decoded=0, encoded=2).cores(ROUND) == pytest.approx(0.4)
    assert Pictures((500, 500), 50.0).cores(ROUND) == pytest.approx(50 * (3 + 3 / 4) / 1000)


@pytest.mark.parametrize(("machine", "cores"), [(1, 0.5), (2, 0.7), (3, 1.4), (8, 4.9)])
def test_all_cores_but_one_may_take_part(machine: int, cores: float) -> None:
    assert budget(machine).cores == pytest.approx(cores)


def test_what_does_not_fit_is_refused_with_the_numbers_and_the_remedy() -> None:
    codecs = budget()
    codecs.book("a", Pictures(THOUSAND, 50.0))
    codecs.book("b", Pictures(THOUSAND, 50.0))
    with pytest.raises(OverloadError) as caught:
        codecs.book("c", Pictures(THOUSAND, 50.0))
    text = str(caught.value)
    assert "\n" not in text
    assert "a camera of 1000x1000 at 50 Hz takes 0.30 cores" in text
    assert "0.10 of 0.70 are free beside 2 others" in text
    assert "smaller" in text
    assert codecs.load == pytest.approx(0.6), "nothing was booked"
    codecs.book("c", Pictures(THOUSAND, 16.0))
    codecs.release("c")
    codecs.release("a")
    codecs.release("nobody")
    codecs.book("c", Pictures(THOUSAND, 50.0))
    assert codecs.load == pytest.approx(0.6)


def test_a_session_s_own_booking_is_not_in_its_way() -> None:
    codecs = budget()
    codecs.book("a", Pictures(THOUSAND, 50.0))
    codecs.book("b", Pictures(THOUSAND, 50.0))
    codecs.book("b", Pictures(THOUSAND, 60.0))
    with pytest.raises(OverloadError):
        codecs.book("b", Pictures(THOUSAND, 100.0))
    assert codecs.load == pytest.approx(0.66), "the old one stays"


def test_who_is_alone_may_take_the_machine_but_no_more() -> None:
    """On a slow one not even one picture would be let in."""
    codecs = budget(1)
    with pytest.raises(OverloadError, match=r"1\.20 cores .* 1\.00 of 1\.00 are free: take"):
        codecs.book("a", Pictures(THOUSAND, 200.0))
    codecs.book("a", Pictures(THOUSAND, 150.0))
    with pytest.raises(OverloadError, match=r"0\.00 of 0\.50 are free beside"):
        codecs.book("b", Pictures((100, 100), 1.0))


# ---- what is measured ----------------------------------------------------------------------------


def test_the_codec_is_measured_once() -> None:
    cost = measured_cost()
    assert cost is measured_cost()
    assert codec_budget() is codec_budget()
    for one in (cost.decoding, cost.encoding):
        assert 1e4 < one.of(USUAL) < 1e9
        assert one.of(SMALL) <= one.of(USUAL)
    assert cost.encoding.of(USUAL) > cost.decoding.of(USUAL), "VP8 is dearer to make than to read"


def test_a_codec_that_has_moved_is_believed_to_cost_the_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import aiortc.codecs

    monkeypatch.delattr(aiortc.codecs, "get_encoder")
    assert measured_cost.__wrapped__() == BELIEVED


# ---- a session's picture -------------------------------------------------------------------------


@pytest.fixture
def scheduler() -> Iterator[ProcessScheduler]:
    borrowed = borrow_scheduler()
    yield borrowed
    give_back(borrowed)


class NoVoice:
    def close(self) -> None:
        pass


def a_performance(scheduler: ProcessScheduler, codecs: CodecBudget) -> BrowserPerformance:
    return BrowserPerformance(
        cast(BrowserVoice, NoVoice()),
        scheduler=scheduler,
        name="a test's picture",
        on_message=lambda text: None,
        codecs=codecs,
    )


def pattern() -> Pattern:
    return Pattern(PatternSpec((160, 128), 30.0))


def no_effects() -> EffectRack:
    return EffectRack(lambda: None, Picture(), None)


def test_a_picture_is_booked_while_it_is_open(scheduler: ProcessScheduler) -> None:
    codecs = budget()
    performance = a_performance(scheduler, codecs)
    for close in (performance.close_picture, performance.close):
        performance.open_picture(no_effects(), pattern(), ListSink())
        assert codecs.load == pytest.approx(Pictures((160, 128), 30.0).cores(ROUND))
        close()
        assert codecs.load == 0.0
    performance.close()


def test_a_picture_that_cannot_start_is_not_booked(scheduler: ProcessScheduler) -> None:
    class Broken(ListSink):
        def start(self) -> None:
            raise UserInputError("no such screen")

    codecs = budget()
    performance = a_performance(scheduler, codecs)
    with pytest.raises(UserInputError, match="screen"):
        performance.open_picture(no_effects(), pattern(), Broken())
    assert codecs.load == 0.0
    performance.open_picture(no_effects(), pattern(), ListSink())
    performance.close()


def test_what_is_refused_is_not_opened(scheduler: ProcessScheduler) -> None:
    codecs = budget()
    codecs.book("other", Pictures(THOUSAND, 110.0))
    performance = a_performance(scheduler, codecs)
    with pytest.raises(OverloadError, match="160x128"):
        performance.open_picture(no_effects(), pattern(), ListSink())
    assert performance.picture is None
    codecs.release("other")
    performance.open_picture(no_effects(), pattern(), ListSink())
    performance.close()


def test_a_tab_too_many_is_told_and_lets_in_once_another_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Room for one camera of 160x120, with aiortc as the browser."""
    one = Pictures((160, 120), 30.0).cores(ROUND)
    codecs = budget()
    codecs.cores = 1.5 * one
    monkeypatch.setattr(browser_performance, "codec_budget", lambda: codecs)

    async def work() -> None:
        async with serving() as settings, connect(settings) as second:
            await until(second, "welcome")
            async with connect(settings) as first:
                await until(first, "welcome")
                async with calling(first) as track:
                    await colour(track, 2)
                    text = await refusal(second)
                    assert re.search(r"a camera of 160x120 at 30 Hz .* beside 1 other: ", text)
                    await colour(track, 2)
                    await first.send('{"type": "hang_up"}')
                    await freed(codecs)
                async with calling(first) as track:
                    await colour(track, 2)
            await freed(codecs)
            async with calling(second) as track:
                await colour(track, 2)

    in_loop(work)
    assert codecs.load == 0.0


async def freed(codecs: CodecBudget) -> None:
    for _ in range(500):
        if codecs.load == 0.0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("what was booked stays booked")


async def refusal(line: Any) -> str:
    from aiortc import RTCConfiguration, RTCPeerConnection

    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTrack(camera())
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"type": "offer", "sdp": peer.localDescription.sdp}
        await line.send(json.dumps({**offer, "width": 160, "height": 120, "rate_hz": 30}))
        return str((await until(line, "error"))["text"])
    finally:
        await peer.close()
