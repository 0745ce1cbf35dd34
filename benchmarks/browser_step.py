"""Are voice and picture of a recording in step, when both came from a browser?

    python benchmarks/browser_step.py [--seconds 30] [--preset Natural] [--keep FILE]

The page's camera is a canvas, its microphone a click: every two seconds the canvas flashes, and
some 100 ms later the click comes to the page's own audio graph. How far they are apart there, by
the page's clock, and how far in the recording that the server makes (`av_source.find_events`): the
difference is the skew. Headless Chromium and the server share this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "engine"), str(ROOT / "tests"), str(ROOT / "kernels")]

from av_source import CLICK_GAIN, FLASH_FRAMES, find_events  # noqa: E402
from browser.fake_devices import CHROMIUM  # noqa: E402
from browser.page_server import page_server  # noqa: E402
from bunraku.measure.bench import machine_name  # noqa: E402
from bunraku.measure.marker import marker  # noqa: E402

CLICK_AFTER_MS, EVERY_FRAMES, FRAME_MS, RATE_HZ = 100, 60, 1000 / 30, 48_000
SETTLE_MS, MOST_BEGIN_MS = 6000, 1900
LEAST_APART_MS, MOST_APART_MS = 60, 500
"""A silent graph that wakes up says a few milliseconds of what it said last."""
DEVICES = """([click, rate, every, flash, frameMs, afterMs]) => {
  // When a context's time 0 was rendered, by the page's clock: lately, for such clocks lose time.
  window.rendered = (context) => {
    const seen = [];
    setInterval(() => {
      seen.push(performance.now() - 1e3 * context.currentTime);
      if (seen.length > 100) seen.shift();
    }, 4);
    return { offsetMs: () => Math.min(...seen) };
  };
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext({ sampleRate: rate });
    const sound = context.createMediaStreamDestination();
    const buffer = context.createBuffer(1, click.length, rate);
    buffer.copyToChannel(new Float32Array(click), 0);
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
    const pen = canvas.getContext("2d");
    const stream = canvas.captureStream(0);
    const [camera] = stream.getVideoTracks();
    const clock = rendered(context);
    window.flashed = [];
    let number = 0;
    const began = performance.now();
    const draw = () => {
      const bright = number % every < flash;
      pen.fillStyle = bright ? "#fff" : "#446";
      pen.fillRect(0, 0, 640, 480);
      pen.fillStyle = bright ? "#fff" : "#c84";
      pen.fillRect((5 * number) % 640, 200, 80, 80);
      camera.requestFrame();
      if (number % every === 0) {
        flashed.push(performance.timeOrigin + performance.now());
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(sound);
        source.start((performance.now() + afterMs - clock.offsetMs()) / 1e3);
      }
      number++;
      setTimeout(draw, began + number * frameMs - performance.now());
    };
    setTimeout(draw, 1000);
    for (const track of sound.stream.getAudioTracks()) stream.addTrack(track);
    return stream;
  };
}"""
EAR = """
registerProcessor("ear", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.seen = [];
    this.quietUntil = 0;
  }
  process([[samples]]) {
    this.seen.push(Date.now() - 1e3 * currentTime);
    if (this.seen.length > 400) this.seen.shift();
    const at = samples ? samples.findIndex((x) => Math.abs(x) > 0.05) : -1;
    if (at < 0 || currentTime < this.quietUntil) return true;
    this.quietUntil = currentTime + 0.05;
    const middle = this.seen.reduce((sum, one) => sum + one, 0) / this.seen.length;
    this.port.postMessage(1e3 * (currentTime + at / sampleRate) + middle);
    return true;
  }
});
"""
LISTEN = """async (ear_text) => {
  const { context, source } = bunraku.voice;
  const text = new Blob([ear_text], { type: "text/javascript" });
  await context.audioWorklet.addModule(URL.createObjectURL(text));
  const ear = new AudioWorkletNode(context, "ear");
  window.clicked = [];
  ear.port.onmessage = ({ data }) => clicked.push(data);
  source.connect(ear).connect(context.destination);
}"""


def record(seconds: float, preset: str, folder: Path) -> tuple[Path, list[tuple[float, float]]]:
    """What the page's record button makes; and, by the page, when each flash was after the button
    was pressed and how much later its click came, in ms."""
    from playwright.sync_api import sync_playwright
    from test_serve import free_port

    with (
        page_server(free_port(), "--recordings", str(folder)) as address,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--autoplay-policy=no-user-gesture-required", "--no-sandbox"],
        )
        page = chromium.new_page(viewport={"width": 1280, "height": 800}, bypass_csp=True)
        page.goto(address)
        click = [CLICK_GAIN * float(x) for x in marker(RATE_HZ)]
        wanted = [click, RATE_HZ, EVERY_FRAMES, FLASH_FRAMES, FRAME_MS, CLICK_AFTER_MS]
        page.evaluate(DEVICES, wanted)
        page.click("#power:enabled")
        page.click(f"#presets button[data-name='{preset}']")
        page.wait_for_timeout(SETTLE_MS)
        page.evaluate(LISTEN, EAR)
        began_ms = page.evaluate("performance.timeOrigin + performance.now()")
        page.click("#record")
        page.wait_for_timeout(1000 * seconds)
        page.click("#record")
        page.wait_for_selector("#recordings a")
        flashed, clicked = page.evaluate("[flashed, clicked]")
        chromium.close()
    seen = [
        (flash - began_ms, click - flash)
        for flash in flashed
        for click in clicked
        if LEAST_APART_MS <= click - flash < MOST_APART_MS
    ]
    return next(folder.glob("*.mp4")), seen


def figures(path: Path, seen: list[tuple[float, float]]) -> dict[str, Any]:
    """Milliseconds by which the picture is later than the voice. A recording begins some hundred
    milliseconds after its button."""
    skews = []
    for event in find_events(path):
        for after_ms, apart_ms in seen:
            if 0 <= after_ms - 1e3 * event.flash_s < MOST_BEGIN_MS:
                skews.append(apart_ms + event.skew_ms)
    if not skews:
        return {"flashes": 0}
    return {
        "flashes": len(skews),
        "skew_ms": {
            "median": round(float(np.median(skews)), 1),
            "least": round(min(skews), 1),
            "most": round(max(skews), 1),
            "all": [round(skew, 1) for skew in skews],
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--preset", default="Natural")
    parser.add_argument("--keep", type=Path, help="the recording")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/browser_step.json")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path, seen = record(wanted.seconds, wanted.preset, Path(folder))
        if wanted.keep is not None:
            shutil.copy(path, wanted.keep)
        result = {
            "machine": machine_name(),
            "load_average": round(load, 1),
            "preset": wanted.preset,
            **figures(path, seen),
        }
    wanted.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
