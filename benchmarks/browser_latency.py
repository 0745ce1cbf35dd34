"""What a visitor of `bunraku serve` waits for: glass to glass, and the voice there and back.

    python benchmarks/browser_latency.py [--seconds 20] [--preset "Night radio"] [--leaks]

Chromium plays a file as its camera, each frame with a time code (`io/time_code.py`). The page reads
the code from its own picture and from the one that comes back; glass to glass is the time between
the capture of a frame, as the browser tells it, and the presentation of the frame with the same
code that came back. The voice's figures are the AudioWorklet's: from the moment a sample is in its
input to the moment it is in its output, played-ahead sound included. It tells quantiles of each
fifth of a second, so what stands here is their median and their greatest, named so. --leaks opens
and closes ten sessions twenty times, with aiortc as the browser, and counts threads, descriptors
and memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "engine"), str(ROOT / "tests"), str(ROOT / "kernels")]

from browser.fake_devices import (  # noqa: E402
    CHROMIUM,
    flags,
    portrait_pictures,
    write_wav,
    write_y4m,
)
from browser.page_server import page_server  # noqa: E402

SIZE, RATE_HZ, FRAMES = (640, 480), 30, 90
SETTLE_MS = 6000
MOST_MS = 2000  # the camera's file lasts 3 s: an older capture of the same code is of another round
WATCH = """() => {
  window.seen = { before: [], after: [] };
  const canvas = new OffscreenCanvas(288, 160);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const level = (data, row, column) => data[4 * ((row * 16 + 8) * 288 + column * 16 + 8)];
  const number = (video) => {
    pen.drawImage(video, 0, 0, 288, 160, 0, 0, 288, 160);
    const { data } = pen.getImageData(0, 0, 288, 160);
    if (level(data, 1, 1) - level(data, 1, 2) < 80) return null;
    let value = 0;
    for (let bit = 64; bit < 88; bit++) {
      const cell = level(data, 2 + Math.floor(bit / 16), 1 + (bit % 16));
      value = 2 * value + (cell > 128 ? 1 : 0);
    }
    return value;
  };
  for (const name of ["before", "after"]) {
    const video = document.getElementById(name);
    const look = (now, told) => {
      const captured = name === "before" && told.captureTime;
      seen[name].push([number(video), captured || told.presentationTime]);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
  window.rounds = [];
  const before = bunraku.voice.onFigures;
  bunraku.voice.onFigures = (round) => { rounds.push(round); before(round); };
}"""


def coded_pictures() -> Any:
    from bunraku.io.time_code import draw_time_code

    for number, pixels in enumerate(portrait_pictures(SIZE, FRAMES)):
        drawn = np.ascontiguousarray(pixels).copy()
        draw_time_code(drawn, number, number)
        yield drawn


def measure(seconds: float, preset: str) -> dict[str, Any]:
    import soundfile
    from bunraku.samples import SPEECH_PATH
    from playwright.sync_api import sync_playwright
    from test_serve import free_port

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = write_y4m(folder / "camera.y4m", coded_pictures(), RATE_HZ)
        samples, rate = soundfile.read(SPEECH_PATH, dtype="float32", always_2d=True)
        sound = write_wav(folder / "microphone.wav", samples[:, 0], rate)
        with page_server(free_port()) as address, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=flags(video, sound)
            )
            page = chromium.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.click("#power:enabled")
            page.click(f"#presets button[data-name='{preset}']")
            page.wait_for_timeout(SETTLE_MS)
            load = os.getloadavg()[0]
            page.evaluate(WATCH)
            page.wait_for_timeout(1000 * seconds)
            seen, rounds = page.evaluate("[seen, rounds]")
            chromium.close()
    glass = glass_to_glass(seen["before"], seen["after"])
    return {
        "preset": preset,
        "size": list(SIZE),
        "rate_hz": RATE_HZ,
        "seconds": seconds,
        "load_average": round(load, 1),
        "frames_back": len(seen["after"]),
        "frames_read": len(glass),
        "glass_ms": quantiles(glass),
        "audio_round_trip_ms": round_trips([one for one in rounds if one["count"]]),
        "audio_gaps": rounds[-1]["gaps"] - rounds[0]["gaps"],
    }


def glass_to_glass(before: list[Any], after: list[Any]) -> list[float]:
    """Milliseconds, a frame's first return after its latest capture. Frames that the page missed on
    either side are left out."""
    times = []
    done = set()
    for number, shown_ms in after:
        captures = [t for n, t in before if n == number and shown_ms - MOST_MS < t < shown_ms]
        if number is None or not captures or (number, captures[-1]) in done:
            continue
        done.add((number, captures[-1]))
        times.append(shown_ms - captures[-1])
    return times


def quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    at = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(values, q)), 1) for name, q in at.items()}


def round_trips(intervals: list[dict[str, float]]) -> dict[str, float]:
    """Of the quantiles of many short intervals, none of which is a quantile of the whole."""
    if not intervals:
        return {}
    p50, p95, p99 = ([one[name] for one in intervals] for name in ("p50", "p95", "p99"))
    return {
        "intervals": len(intervals),
        "median_of_p50": round(float(np.median(p50)), 1),
        "median_of_p95": round(float(np.median(p95)), 1),
        "p95_of_p99": round(float(np.percentile(p99, 95)), 1),
        "greatest_p99": round(max(p99), 1),
    }


# ---- sessions opened and closed ------------------------------------------------------------------


def leaks(times: int = 20, sessions: int = 10) -> dict[str, Any]:
    from test_serve import calling, colour, connect, serving, until

    counted: list[tuple[int, int, float]] = []

    async def visit(settings: Any) -> None:
        async with connect(settings) as line:
            await until(line, "welcome", 60)
            async with calling(line, 5.0) as track:
                await colour(track, 2)

    async def work() -> None:
        async with serving(max_sessions=sessions) as settings:
            for _ in range(times):
                await asyncio.gather(*(visit(settings) for _ in range(sessions)))
                await asyncio.sleep(0.5)
                counted.append(what_is_held())

    asyncio.run(work())
    names = ("threads", "descriptors", "memory_mb")
    return {
        "sessions": sessions,
        "times": times,
        **{name: [row[k] for row in counted] for k, name in enumerate(names)},
        "threads_after_the_end": threading.active_count(),
    }


def what_is_held() -> tuple[int, int, float]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return threading.active_count(), len(os.listdir("/proc/self/fd")), round(memory, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--preset", action="append")
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks/results/browser_latency.json"
    )
    wanted = parser.parse_args()
    result: dict[str, Any] = json.loads(wanted.out.read_text()) if wanted.out.exists() else {}
    result["machine"] = {"cpu": platform.machine(), "cores": os.cpu_count()}
    if wanted.leaks:
        result["leaks"] = leaks()
    else:
        presets = wanted.preset or ["Natural", "Night radio"]
        result["latency"] = [measure(wanted.seconds, preset) for preset in presets]
    wanted.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
