"""A camera and a microphone for a browser, as files that Chromium plays again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
CHROMIUM = Path("/usr/bin/chromium")


def write_y4m(path: Path, pictures: Iterable[Pixels], rate_hz: int = 30) -> Path:
    """uint8 [height, width, 3], blue first, of one even size."""
    import cv2

    with path.open("wb") as file:
        for number, pixels in enumerate(pictures):
            if number == 0:
                height, width = pixels.shape[:2]
                file.write(f"YUV4MPEG2 W{width} H{height} F{rate_hz}:1 Ip A1:1 C420\n".encode())
            file.write(b"FRAME\n" + cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420).tobytes())
    return path


def write_wav(path: Path, samples: npt.NDArray[np.float32], rate_hz: int = 48_000) -> Path:
    """float32 [frames], full scale 1, as 16 bits."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def portrait_pictures(size: tuple[int, int], count: int, rate_hz: int = 30) -> Iterable[Pixels]:
    """The bundled portrait under a moving camera."""
    from bunraku.io.video_open import open_source
    from bunraku.io.video_specs import PortraitSpec
    from bunraku.samples import PORTRAIT_PATH

    picture: Callable[[int, int], Pixels]
    source = open_source(PortraitSpec(PORTRAIT_PATH, size, rate_hz))
    picture = source.picture  # type: ignore[attr-defined]
    for number in range(count):
        yield picture(number, round(number * 1e9 / rate_hz))


def flags(video: Path, sound: Path) -> list[str]:
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={video}",
        f"--use-file-for-fake-audio-capture={sound}",
        "--autoplay-policy=no-user-gesture-required",
        "--no-sandbox",
    ]
