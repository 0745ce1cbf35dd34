"""What a loopback measurement says of paths whose delay is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bunraku import _native
from bunraku.errors import UserInputError
from bunraku.formats.flat import write_flat
from bunraku.formats.specs import ChainSpec, LinearSpec, ModelSpec
from bunraku.measure.latency_series import LatencySeries
from bunraku.measure.loopback import measure_loopback, plain_model
from bunraku.measure.loopback_report import find_markers, notes_of
from bunraku.measure.marker import draw_markers, marker_train
from gain_models import resampling_bytes
from sound_server import PulseServer, missing_programs

RATE_HZ = 48_000
ENGINE = str(Path(__file__).parent.parent / "engine")


def test_a_long_delay_is_not_taken_for_a_short_one() -> None:
    """0.8 s: three markers are under way at a time."""
    frames = 4 * RATE_HZ
    positions = marker_train(frames, RATE_HZ)
    heard = np.roll(draw_markers(positions, frames, RATE_HZ), 38_400)
    heard[:38_400] = 0.0
    found = find_markers(heard, list(positions), RATE_HZ)
    clear = [one for one in found if one is not None and one.clear]
    assert len(clear) == sum(p + 38_400 + 1000 < frames for p in positions)
    assert {round(one.delay_frames) for one in clear} == {38_400}


def test_lost_markers_are_none_or_unclear() -> None:
    frames = 3 * RATE_HZ
    positions = marker_train(frames, RATE_HZ)
    heard = draw_markers(positions[:2] + positions[3:], frames, RATE_HZ)
    found = find_markers(heard, [*positions[:3], None], RATE_HZ)
    assert found[0] is not None
    assert found[1] is not None
    assert found[2] is None or not found[2].clear
    assert found[3] is None


def test_paced_has_the_block_and_what_the_model_adds(tmp_path: Path) -> None:
    path = tmp_path / "late.bnk"
    path.write_bytes(resampling_bytes())
    report = measure_loopback(model=str(path), paced=True, seconds=2.0)
    assert report.through_effect
    assert report.effect_ms is not None
    assert report.declared_ms > 0.5
    assert abs(report.effect_ms - report.declared_ms) < 0.05
    assert report.latency_ms.count + report.lost + report.disturbed == report.emitted > 1
    if report.latency_ms.count:
        assert report.latency_ms.p50 >= report.effect_ms + 1e3 * 256 / RATE_HZ
        assert report.latency_ms.jitter >= 0.0
    json.dumps(report.as_dict(), allow_nan=False)


def test_an_effect_that_hides_the_marker_is_said(tmp_path: Path) -> None:
    """The impulse response is a second of decaying noise: no delay could be named."""
    random = np.random.default_rng(4)
    room = 0.05 * random.normal(size=RATE_HZ) * np.exp(-np.arange(RATE_HZ) / (0.4 * RATE_HZ))
    chain = ChainSpec((LinearSpec(RATE_HZ, False, room.astype(np.float32)),))
    path = tmp_path / "room.bnk"
    path.write_bytes(write_flat(ModelSpec(chain, RATE_HZ, "room")))
    report = measure_loopback(model=str(path), paced=True, seconds=2.0)
    assert not report.through_effect
    assert report.latency_ms.count == 0
    assert report.effect_ms is None
    assert "'room' changes a marker so much that it is not recognised" in report.notes[0]


def test_figures() -> None:
    figures = LatencySeries.of([(k / 10, float(k)) for k in range(101)]).figures()
    assert (figures.p50, figures.p95, figures.p99, figures.max) == (50.0, 95.0, 99.0, 100.0)
    assert (figures.jitter, figures.count, figures.min) == (49.0, 101, 0.0)
    assert LatencySeries.of([]).figures().count == 0


def test_a_drift_that_jitter_hides_shows_in_the_range() -> None:
    """Most of it at the end: p99 less p50 is small, least to most is not."""
    climbing = [(k / 4, min(32.0, 27.5 + 0.5 * k) + 0.01 * (k % 3)) for k in range(80)]
    figures = LatencySeries.of(climbing).figures()
    assert figures.jitter < 0.1
    assert figures.max - figures.min > 4.0


def test_many_missing_markers_come_with_a_remedy() -> None:
    assert notes_of("radio", True, 0.9, 18, 1, 1) == ()
    (busy,) = notes_of("radio", True, 0.9, 18, 0, 9)
    assert busy.startswith("9 of 18 markers were disturbed")
    assert "close other programs" in busy
    (noisy,) = notes_of("radio", True, 0.9, 18, 9, 0)
    assert "lower its gain" in noisy


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_no_effect_adds_nothing_at_any_rate(rate_hz: int) -> None:
    """Not even a resampler: its delay would read as that of a model that is not there."""
    model = _native.Model(plain_model(rate_hz))
    assert _native.Stream(model, sample_rate_hz=rate_hz, max_block_frames=64).latency_frames == 0
    report = measure_loopback(paced=True, seconds=2.0, sample_rate_hz=rate_hz)
    assert (report.declared_ms, report.model_rate_hz) == (0.0, rate_hz)


def test_a_change_of_rate_is_named() -> None:
    from bunraku.cli.measure import loopback_facts

    report = measure_loopback(model="radio", paced=True, seconds=2.0, sample_rate_hz=44_100)
    assert "resampling to the model's 48,000 Hz" in loopback_facts(report)["added by the model"]
    report = measure_loopback(model="radio", paced=True, seconds=2.0)
    assert "resampling" not in loopback_facts(report)["added by the model"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 1.0}, "seconds is 1"),
        ({"seconds": 1e9}, "2 to 300"),
        ({"paced": True, "input_name": "x"}, "leave out input and output"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserInputError, match=message):
        measure_loopback(**settings)  # type: ignore[arg-type]


@pytest.mark.device
def test_the_monitor_of_a_null_sink_is_a_cable(tmp_path: Path) -> None:
    if missing_programs():
        pytest.skip(f"not installed: {', '.join(missing_programs())}")
    server = PulseServer(tmp_path)
    try:
        if not server.ready:
            pytest.skip("PulseAudio does not start here")
        command = [sys.executable, "-m", "bunraku.cli.main", "measure", "loopback", "--json"]
        command += ["--input", "pulse", "--output", "pulse", "--rate", "48000", "-m", "radio"]
        done = subprocess.run(
            [*command, "--seconds", "4"],
            env={**server.environment, "PYTHONPATH": ENGINE},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.kill()
    if "PortAudio" in done.stderr or "no audio" in done.stderr:
        pytest.skip(f"PortAudio does not see PulseAudio here: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    assert report["through_effect"]
    assert 1.0 < report["latency_ms"]["p50"] < 1000.0
    assert report["emitted"] == report["latency_ms"]["count"] + report["lost"] + report["disturbed"]
    assert 0.0 < report["effect_ms"] < 0.1
