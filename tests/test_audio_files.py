"""Files in and out: formats, rates, channels, and clear words for what cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")

from bunraku.errors import MediaError, UserInputError  # noqa: E402
from bunraku.io.audio_files import (  # noqa: E402
    AudioClip,
    AudioFileWriter,
    read_audio,
    resampled,
    with_channels,
)


def sine(frames: int, rate_hz: int, hz: float = 997.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(frames) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [(".wav", 0.0), (".w64", 0.0), (".rf64", 0.0), (".flac", 2e-7)]
)
def test_what_is_written_is_read_again(tmp_path: Path, suffix: str, tolerance: float) -> None:
    path = tmp_path / f"sound{suffix}"
    samples = np.stack([sine(5000, 44_100), sine(5000, 44_100, 333.0)], axis=1)
    with AudioFileWriter(path, sample_rate_hz=44_100, channels=2) as writer:
        writer.write(samples[:2000])
        writer.write(samples[2000:])
    clip = read_audio(path)
    assert clip.sample_rate_hz == 44_100
    np.testing.assert_allclose(clip.samples, samples, atol=tolerance)


def test_wav_is_32_bit_float_and_keeps_what_exceeds_full_scale(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    with AudioFileWriter(path, sample_rate_hz=48_000, channels=1) as writer:
        writer.write(np.full((10, 1), 3.5, np.float32))
    assert soundfile.info(path).subtype == "FLOAT"
    assert read_audio(path).samples.max() == 3.5


def test_reading_at_another_rate_keeps_pitch_and_length(tmp_path: Path) -> None:
    path = tmp_path / "sine.wav"
    soundfile.write(path, sine(44_100, 44_100), 44_100)
    clip = read_audio(path, sample_rate_hz=48_000)
    assert len(clip.samples) == 48_000
    middle = slice(4800, -4800)
    np.testing.assert_allclose(clip.samples[middle, 0], sine(48_000, 48_000)[middle], atol=1e-4)
    assert resampled(clip, 48_000) is clip


def test_channels_are_mixed_or_repeated() -> None:
    stereo = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(with_channels(stereo, 1), [[0.5], [0.5]])
    np.testing.assert_array_equal(with_channels(stereo, 3), [[1, 0, 1], [0.5, 0.5, 0.5]])
    assert with_channels(stereo, 2) is stereo


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "mine.wav"
    path.write_bytes(b"precious")
    with pytest.raises(UserInputError, match="not overwritten"):
        AudioFileWriter(path, sample_rate_hz=48_000, channels=1)
    assert path.read_bytes() == b"precious"
    AudioFileWriter(path, sample_rate_hz=48_000, channels=1, overwrite=True).close()


def test_paths_that_cannot_be_written_say_why(tmp_path: Path) -> None:
    for name, says in (("no/folder.wav", "does not exist"), ("sound.txt", "names no audio format")):
        with pytest.raises(UserInputError, match=says):
            AudioFileWriter(tmp_path / name, sample_rate_hz=48_000, channels=1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"x" * 1000])
def test_damaged_files_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"bad\.wav"):
        read_audio(path)


def test_missing_empty_and_endless_files(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        read_audio(tmp_path / "nowhere.wav")
    with pytest.raises(MediaError, match="is a folder"):
        read_audio(tmp_path)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 1), np.float32), 48_000)
    with pytest.raises(MediaError, match="holds no sound"):
        read_audio(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "long.wav", np.zeros(9600, np.float32), 48_000)
    with pytest.raises(MediaError, match="render"):
        read_audio(tmp_path / "long.wav", most_seconds=0.1)


def test_clip_knows_its_length() -> None:
    assert AudioClip(np.zeros((24_000, 1), np.float32), 48_000).seconds == 0.5
