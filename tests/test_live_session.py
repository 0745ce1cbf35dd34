"""A live session without a sound card: the same engine, paced by a clock or as fast as it goes."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import pytest
from gain_models import gain_bytes, resampling_bytes

soundfile = pytest.importorskip("soundfile")

from bunraku import _native  # noqa: E402
from bunraku.effects.audio.python_effect import AudioEffect, Block  # noqa: E402
from bunraku.errors import BunrakuError, MediaError, NativeCoreError, UserInputError  # noqa: E402
from bunraku.scheduler.block_worker import BlockWorker  # noqa: E402
from bunraku.session.endpoints import FileEndpoint  # noqa: E402
from bunraku.session.live_session import LiveSession  # noqa: E402

RATE_HZ = 48_000


class Delay(AudioEffect):
    """Ten frames late, and says so."""

    latency_frames = 10  # type: ignore[assignment]

    def __init__(self, *, sample_rate_hz: float = RATE_HZ, channels: int = 1) -> None:
        super().__init__(sample_rate_hz=sample_rate_hz, channels=channels)
        self._held = np.zeros((channels, 10), np.float32)

    def process(self, block: Block) -> Block:
        both = np.concatenate([self._held, block], axis=1)
        self._held = both[:, -10:]
        return both[:, :-10]


class Failing(AudioEffect):
    def process(self, block: Block) -> Block:
        raise RuntimeError("the effect is broken")


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """A second of noise, mono."""
    path = tmp_path / "voice.wav"
    noise = 0.1 * np.random.default_rng(3).standard_normal(RATE_HZ)
    soundfile.write(path, noise.astype(np.float32), RATE_HZ, subtype="FLOAT")
    return path


def play(model: bytes, source: Path, **settings: object) -> LiveSession:
    session = LiveSession(model, source=FileEndpoint(source), **settings)  # type: ignore[arg-type]
    with session:
        session.wait()
    return session


def fade_free(samples: np.ndarray) -> slice:
    """All but the first and last 10 ms, where the session fades."""
    return slice(RATE_HZ // 100, len(samples) - RATE_HZ // 100)


@pytest.mark.parametrize("real_time", [True, False])
@pytest.mark.parametrize("block_frames", [64, 1000])
def test_a_file_is_played_whole(
    voice: Path, tmp_path: Path, real_time: bool, block_frames: int
) -> None:
    out = tmp_path / "out.wav"
    begin = time.monotonic()
    session = play(
        gain_bytes(-6.0),
        voice,
        record_to=out,
        real_time=real_time,
        block_frames=block_frames,
        keep_seconds=10.0,
    )
    if real_time:
        assert time.monotonic() - begin >= 0.99
    dry, _ = soundfile.read(voice, dtype="float32")
    wet, rate = soundfile.read(out, dtype="float32")
    assert rate == RATE_HZ
    assert 0 <= len(wet) - len(dry) < block_frames
    middle = fade_free(dry)
    np.testing.assert_allclose(wet[middle], dry[middle] * 10 ** (-6 / 20), atol=1e-6)
    heard, played = session.kept()
    np.testing.assert_array_equal(heard[: len(dry), 0], dry)
    np.testing.assert_array_equal(played[:, 0], wet)
    report = session.report()
    assert report.blocks == -(-len(dry) // block_frames)
    assert report.recording_dropped_frames == 0
    assert report.seconds == pytest.approx(len(wet) / RATE_HZ)
    assert (report.wake_up_ms is not None) == real_time


@pytest.mark.parametrize("depth_blocks", [None, 3])
def test_a_marker_proves_the_declared_latency(tmp_path: Path, depth_blocks: int | None) -> None:
    """Resampler, bridge and effect: the click comes out exactly the declared sum later."""
    source = tmp_path / "click.wav"
    click = np.zeros(RATE_HZ // 2, np.float32)
    click[9600] = 0.5
    soundfile.write(source, click, RATE_HZ, subtype="FLOAT")
    session = play(
        resampling_bytes(),
        source,
        python_effects=[Delay()],
        bridge_depth_blocks=depth_blocks,
        block_frames=480,
        keep_seconds=2.0,
    )
    report = session.report()
    assert report.declared.chain_frames > 0
    assert report.declared.bridge_frames == 480 * (depth_blocks or 1)
    assert report.declared.effects_frames == 10
    assert report.declared_ms == pytest.approx(1e3 * report.declared.frames / RATE_HZ)
    assert report.added_latency_ms.p50 >= report.declared_ms
    assert report.bridge is not None
    if report.bridge.missed == 0:  # on a machine under load the marker's block may be the miss
        _, played = session.kept()
        assert np.argmax(np.abs(played[:, 0])) == 9600 + report.declared.frames
    else:
        pytest.skip(f"the machine was too busy: {report.bridge.missed} blocks came late")


def test_python_effects_are_heard_one_block_later() -> None:
    """The worker's thread and the audio thread's half, without a clock: no timing in it."""
    bridge = _native.RingBridge(2, 64, float(RATE_HZ))
    worker = BlockWorker(bridge, lambda block: block * np.float32(0.5))
    worker.start()
    rng = np.random.default_rng(0)
    sent = [rng.standard_normal((2, 64)).astype(np.float32) for _ in range(20)]
    try:
        for k, block in enumerate(sent):
            played = bridge.exchange(block)
            want = sent[k - 1] * 0.5 if k else np.zeros((2, 64))
            if bridge.stats()["missed"] == 0:
                np.testing.assert_array_equal(played, want)
            time.sleep(0.02)
    finally:
        assert worker.stop()
    if bridge.stats()["missed"]:
        pytest.skip("the machine was too busy: the worker did not run for 20 ms")


def test_a_device_that_calls_four_times_in_a_row_misses_nothing() -> None:
    """The rows without a clock: the worker has all the time between two of them."""
    bridge = _native.RingBridge(1, 64, float(RATE_HZ), 4)
    worker = BlockWorker(bridge, lambda block: block * np.float32(0.5))
    worker.start()
    played = []
    try:
        for _ in range(10):
            for _ in range(4):
                block = np.full((1, 64), len(played) + 1, np.float32)
                played.append(float(bridge.exchange(block)[0, -1]))
            time.sleep(0.05)
    finally:
        assert worker.stop()
    if bridge.stats()["skipped"]:
        pytest.skip("the machine was too busy: the worker did not run for 50 ms")
    assert bridge.latency_frames == 4 * 64
    assert bridge.stats()["missed"] == 0
    assert played == [0.5 * max(0, k + 1 - 4) for k in range(40)]


@pytest.mark.parametrize("depth_blocks", [-1, 0, 1025])
def test_a_bridge_of_no_sensible_depth_is_refused(voice: Path, depth_blocks: int) -> None:
    with pytest.raises(UserInputError, match=f"bridge_depth_blocks is {depth_blocks}: use 1 to"):
        LiveSession(gain_bytes(), source=FileEndpoint(voice), bridge_depth_blocks=depth_blocks)


def test_a_late_effect_is_concealed_and_the_session_goes_on(voice: Path) -> None:
    class Sleeper(Delay):
        calls = 0

        def process(self, block: Block) -> Block:
            self.calls += 1
            if self.calls == 40:
                time.sleep(0.05)
            return super().process(block)

    session = play(gain_bytes(), voice, python_effects=[Sleeper()], block_frames=256)
    bridge = session.report().bridge
    assert bridge is not None
    assert bridge.missed >= 5
    assert bridge.late + bridge.skipped + bridge.not_sent >= 1
    assert session.report().blocks == -(-(RATE_HZ + 256 + 10) // 256), "no block was left out"


def test_a_failing_effect_is_reported(voice: Path) -> None:
    with pytest.raises(BunrakuError, match="the effect is broken"):
        play(gain_bytes(), voice, python_effects=[Failing(sample_rate_hz=RATE_HZ, channels=1)])


def test_a_thousand_hot_swaps_drop_no_block(tmp_path: Path) -> None:
    """While a sine plays; its level glides between two gains and never steps."""
    source = tmp_path / "sine.wav"
    t = np.arange(RATE_HZ) / RATE_HZ
    soundfile.write(source, (0.5 * np.sin(2 * np.pi * 480 * t)).astype(np.float32), RATE_HZ)
    block, fade = 64, 128
    models = [_native.Model(gain_bytes(db)) for db in (-3.0, -6.0)]
    session = LiveSession(
        models[0],
        source=FileEndpoint(source, loop=True),
        block_frames=block,
        crossfade_frames=fade,
        keep_seconds=30.0,
    )
    with session:
        for k in range(1000):
            session.swap(models[(k + 1) % 2])
            session.check()
    _, played = session.kept()
    report = session.report()
    assert report.blocks * block == len(played), "every block was played"
    assert report.recording_dropped_frames == 0
    assert report.seconds > 1000 * fade / RATE_HZ, "each crossfade was played out"
    middle = played[fade_free(played), 0]
    steepest = 0.5 * 10 ** (-3 / 20) * 2 * np.pi * 480 / RATE_HZ
    # An equal-power crossfade of equal signals swells by up to 3 dB; beyond it -60 dB of a step.
    assert np.abs(np.diff(middle)).max() < steepest * np.sqrt(2) + 1.5e-3


def test_swap_without_an_audio_thread_says_so(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bunraku.session.live_session.SWAP_TIMEOUT_S", 0.05)
    session = LiveSession(gain_bytes(), source=FileEndpoint(voice))
    session.swap(gain_bytes(-3.0))
    with pytest.raises(NativeCoreError, match="is the session playing"):
        session.swap(gain_bytes(-6.0))
    session.stop()


def test_parameters_by_name(voice: Path) -> None:
    session = LiveSession(gain_bytes(), source=FileEndpoint(voice), keep_seconds=2.0)
    with session:
        session.wait(0.4)
        session.set_param("0.gain_db", -120.0)
        session.wait()
        with pytest.raises(UserInputError, match=r"at hand: 0\.gain_db"):
            session.set_param("volume", 1.0)
    _, played = session.kept()
    assert np.abs(played[:9600]).max() > 0.1
    assert np.abs(played[-9600:]).max() < 1e-4


def test_seconds_loop_and_request_stop(voice: Path) -> None:
    session = LiveSession(
        gain_bytes(), source=FileEndpoint(voice, loop=True), seconds=2.5, real_time=False
    )
    with session:
        session.wait()
    assert 2.5 <= session.report().seconds < 2.51
    endless = LiveSession(gain_bytes(), source=FileEndpoint(voice, loop=True))
    with endless:
        endless.wait(0.2)
        assert endless.running
        endless.request_stop()
        endless.wait(5.0)
        assert not endless.running
    assert endless.report().seconds < 2.0


def test_blocks_go_on_while_a_c_call_holds_the_gil(voice: Path) -> None:
    """A quarter of the blocks due is a busy machine's doing; with Python in the way it would be
    one at most."""
    hold_the_gil = ctypes.PyDLL(None).usleep
    with LiveSession(gain_bytes(), source=FileEndpoint(voice, loop=True)) as session:
        session.wait(0.3)
        before, begin = session.report().blocks, time.monotonic()
        hold_the_gil(500_000)
        blocks, took = session.report().blocks - before, time.monotonic() - begin
    assert blocks > 0.25 * took * RATE_HZ / 256


def test_meters_move(voice: Path) -> None:
    with LiveSession(gain_bytes(-20.0), source=FileEndpoint(voice)) as session:
        session.wait(0.5)
        (in_peak, in_rms), (out_peak, out_rms) = session.meters()
    assert in_peak > in_rms > 0.05
    assert out_peak == pytest.approx(0.1 * in_peak, rel=0.05)
    assert out_rms == pytest.approx(0.1 * in_rms, rel=0.1)


def test_another_rate_is_resampled_in_the_chain(tmp_path: Path) -> None:
    source = tmp_path / "low.wav"
    t = np.arange(16_000) / 16_000
    soundfile.write(source, (0.25 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), 16_000)
    session = play(gain_bytes(), source, real_time=False, keep_seconds=2.0)
    report = session.report()
    assert report.sample_rate_hz == 16_000
    heard, played = session.kept()
    late = report.declared.frames
    length = 15_000
    np.testing.assert_allclose(
        played[1000 + late : length + late, 0], heard[1000:length, 0], atol=1e-3
    )


def test_stereo_voices_keep_apart(tmp_path: Path) -> None:
    source = tmp_path / "stereo.wav"
    sides = np.stack([np.full(9600, 0.25), np.full(9600, -0.5)], axis=1).astype(np.float32)
    soundfile.write(source, sides, RATE_HZ)
    session = play(gain_bytes(), source, channels=2, real_time=False, keep_seconds=1.0)
    _, played = session.kept()
    np.testing.assert_allclose(played[4800], [0.25, -0.5], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"block_frames": 0}, "block_frames is 0"),
        ({"block_frames": 9000}, "use 1 to 8192"),
        ({"sample_rate_hz": 100}, "sample_rate_hz is 100"),
        ({"seconds": -1.0}, "seconds is -1"),
        ({"device_buffer": 5.0}, "device_buffer is 5"),
        ({"device_buffer": "medium"}, "use low, high, or more than 0"),
        ({"python_effects": ["nothing"]}, "at hand: noise_gate"),
    ],
)
def test_wrong_settings(voice: Path, settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserInputError, match=says):
        LiveSession(gain_bytes(), source=FileEndpoint(voice), **settings)  # type: ignore[arg-type]


def test_a_missing_source_and_a_taken_name(voice: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        LiveSession(gain_bytes(), source=FileEndpoint(tmp_path / "no.wav"))
    with pytest.raises(UserInputError, match="not overwritten"):
        LiveSession(gain_bytes(), source=FileEndpoint(voice), record_to=voice)
