"""The time code is read back from what codecs and scalers leave of it, or not at all."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from bunraku.errors import UserInputError
from bunraku.io.pattern import Pattern, flash_brightness
from bunraku.io.time_code import draw_time_code, read_time_code
from bunraku.io.video_specs import PatternSpec

SIZES = [(640, 480), (320, 240), (1280, 720), (641, 481), (120, 90)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("time_ns", [0, 1, 123_456_789_012_345, (1 << 64) - 1])
def test_round_trip(size: tuple[int, int], time_ns: int) -> None:
    pixels = np.full((size[1], size[0], 3), 99, np.uint8)
    draw_time_code(pixels, time_ns, 77_777)
    assert read_time_code(pixels) == (time_ns, 77_777)
    assert (pixels[size[1] // 2 :] == 99).all()


def test_the_number_keeps_its_low_bits() -> None:
    pixels = np.zeros((480, 640, 3), np.uint8)
    draw_time_code(pixels, 5, (1 << 24) + 3)
    assert read_time_code(pixels) == (5, 3)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "crf": "35"}),
        ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
@pytest.mark.parametrize("half", [False, True])
def test_survives_a_codec_and_half_the_size(
    codec: str, options: dict[str, str], half: bool
) -> None:
    av = pytest.importorskip("av")
    cv2 = pytest.importorskip("cv2")
    source = Pattern(PatternSpec())
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 640, 480, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.bit_rate = 400_000
    encoder.options = options
    decoder = av.CodecContext.create("h264" if codec == "libx264" else "vp8", "r")
    packets = []
    for number in range(20):
        pixels = source.picture(number, source.due_ns(number))
        frame = av.VideoFrame.from_ndarray(pixels, "bgr24").reformat(format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    read = []
    for packet in [*packets, *encoder.encode(None)]:
        for frame in decoder.decode(packet):
            pixels = frame.to_ndarray(format="bgr24")
            read.append(read_time_code(cv2.resize(pixels, (320, 240)) if half else pixels))
    read += [read_time_code(f.to_ndarray(format="bgr24")) for f in decoder.decode(None)]
    assert read == [(source.due_ns(n), n) for n in range(20)]


def test_no_code_is_none() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert read_time_code(noise) is None
    assert read_time_code(np.zeros((480, 640, 3), np.uint8)) is None
    assert read_time_code(np.zeros((4, 4, 3), np.uint8)) is None


def test_every_damaged_cell_is_noticed() -> None:
    clean = np.zeros((480, 640, 3), np.uint8)
    draw_time_code(clean, 0x0123_4567_89AB_CDEF, 1)
    for row in range(2, 9):
        for column in range(1, 17):
            pixels = clean.copy()
            cell = pixels[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            cell[:] = 255 - cell
            assert read_time_code(pixels) is None


def test_wrong_values_are_refused() -> None:
    with pytest.raises(UserInputError, match="too small"):
        draw_time_code(np.zeros((50, 100, 3), np.uint8), 0, 0)
    with pytest.raises(UserInputError, match="time_ns is -1"):
        draw_time_code(np.zeros((480, 640, 3), np.uint8), -1, 0)


def test_flashes_when_asked() -> None:
    source = Pattern(PatternSpec(flash_every_s=1.0))
    bright = [flash_brightness(source.picture(n, source.due_ns(n))) > 128 for n in range(95)]
    assert [n for n in range(1, 95) if bright[n] and not bright[n - 1]] == [30, 60, 90]
    assert sum(bright) == 9
    assert not Pattern(PatternSpec()).flashes_at(5.0)


def test_the_pattern_moves() -> None:
    source = Pattern(PatternSpec())
    first, later = (source.picture(n, source.due_ns(n)) for n in (0, 15))
    assert (first[300:, :300] != later[300:, :300]).mean() > 0.3
