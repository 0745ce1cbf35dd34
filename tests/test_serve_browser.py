"""The page as a visitor has it: Chromium with a camera and a microphone that are files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser.fake_devices import CHROMIUM, flags, portrait_pictures, write_wav, write_y4m

pytest.importorskip("aiortc", reason="aiortc is missing: pip install 'bunraku[web]'")
pytest.importorskip("starlette", reason="starlette is missing: pip install 'bunraku[web]'")
pytest.importorskip("cv2", reason="OpenCV is missing: pip install 'bunraku[video]'")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
if not CHROMIUM.exists():
    pytest.skip(f"no {CHROMIUM}: apt-get install chromium", allow_module_level=True)

ENGINE = Path(__file__).parent.parent / "engine"
WAIT_MS = 15_000
MEAN_COLOUR = """(id) => {
  const canvas = new OffscreenCanvas(16, 12), pen = canvas.getContext("2d");
  pen.drawImage(document.getElementById(id), 0, 0, 16, 12);
  return [...pen.getImageData(0, 0, 16, 12).data];
}"""
TAP = """() => {
  const tap = bunraku.voice.context.createAnalyser();
  tap.fftSize = 4096;
  tap.smoothingTimeConstant = 0.5;
  bunraku.voice.bridge.connect(tap);
  window.spectrum = () => {
    const decibels = new Float32Array(tap.frequencyBinCount);
    tap.getFloatFrequencyData(decibels);
    return [...decibels.slice(0, 512)];
  };
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, Any]]:
    from test_serve import free_port

    folder, port = tmp_path_factory.mktemp("recordings"), free_port()
    command = [sys.executable, "-m", "bunraku.cli.main", "serve", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--recordings", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ENGINE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("open http://"), line
        yield line.removeprefix("open ").strip(), folder, server
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("devices")
    video = write_y4m(folder / "camera.y4m", portrait_pictures((320, 240), 45))
    tone = 0.4 * np.sin(2 * np.pi * 300 * np.arange(48_000) / 48_000)
    sound = write_wav(folder / "microphone.wav", tone.astype(np.float32))
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=flags(video, sound)
        )
        yield chromium
        chromium.close()


def until(page: Any, expression: str) -> None:
    """As `wait_for_function`, which the page's security policy forbids."""
    deadline = time.monotonic() + WAIT_MS / 1e3
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def open_page(browser: Any, address: str) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda text: text.type == "error" and page.faults.append(text.text))
    page.goto(address)
    page.click("#power:enabled", timeout=WAIT_MS)
    until(page, "document.getElementById('after').currentTime > 0.3")
    return page


def colours(page: Any, name: str) -> np.ndarray:
    return np.array(page.evaluate(MEAN_COLOUR, name), float).reshape(-1, 4)[:, :3]


def spectrum(page: Any) -> np.ndarray:
    """Decibels to 5 kHz, relative to the loudest: the most of some moments, for on a busy machine
    there are gaps."""
    seen = []
    for _ in range(6):
        page.wait_for_timeout(80)
        seen.append(np.array(page.evaluate("spectrum()"), float))
    most = np.max(seen, axis=0)
    return np.maximum(most - most.max(), -70.0)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference in decibels where either sounds."""
    sounds = np.maximum(one, other) > -60.0
    return float(np.abs(one - other)[sounds].mean())


def test_a_visitor_s_first_minute(browser: Any, served: tuple[str, Path, Any]) -> None:
    address, folder, _ = served
    page = open_page(browser, address)
    page.evaluate(TAP)
    assert page.locator("#camera option").count() >= 2, "the browser's cameras are offered"
    unchanged = np.abs(colours(page, "after") - colours(page, "before")).mean()
    assert unchanged < 12, "without an effect the picture comes back as it went"
    radio = spectrum(page)

    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]", timeout=WAIT_MS)
    page.click("#presets button[data-name='Night radio']")
    page.wait_for_selector("#presets button[data-name='Night radio'][aria-pressed=true]")
    page.wait_for_selector(".effect[data-effect=colour_look]", timeout=WAIT_MS)
    deadline = time.monotonic() + 10
    while (changed := np.abs(colours(page, "after") - colours(page, "before")).mean()) < (
        unchanged + 6
    ):
        assert time.monotonic() < deadline, f"the picture does not change: {changed:.1f}"
        page.wait_for_timeout(100)

    page.click("#voices button[data-name=megaphone]")
    page.wait_for_selector("#voices button[data-name=megaphone][aria-pressed=true]")
    deadline = time.monotonic() + 10
    while (apart := distance(spectrum(page), radio)) <= 3.0:
        assert time.monotonic() < deadline, f"the voice's spectrum does not change: {apart:.1f} dB"

    slider = page.locator(".effect[data-effect=colour_look] input[type=range]")
    slider.fill("0")
    page.wait_for_timeout(600)
    assert np.abs(colours(page, "after") - colours(page, "before")).mean() < changed
    until(page, "document.getElementById('voice-latency').textContent.includes('p99')")
    until(page, "document.getElementById('picture-latency').textContent.includes('p99')")

    page.click("#record")
    page.wait_for_selector("#recordings a", timeout=WAIT_MS)
    with page.expect_download() as download:
        page.click("#recordings a")
    recorded = download.value.path()
    assert streams_of(Path(recorded)) == ["audio", "video"]
    assert next(folder.glob("*.mp4")).stat().st_size == Path(recorded).stat().st_size
    page.click("#power")
    page.wait_for_selector("#status[data-state=waiting]")
    assert page.faults == []
    page.close()


def test_the_page_fits_a_phone(browser: Any, served: tuple[str, Path, Any]) -> None:
    page = open_page(browser, served[0])
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_quick_presses_build_on_each_other(browser: Any, served: tuple[str, Path, Any]) -> None:
    """What was asked for and is not there yet is not lost with the next press."""
    page = open_page(browser, served[0])
    for effect in ("colour_look", "beauty", "colour_look"):
        page.select_option("#add", effect)
    page.locator(".effect[data-effect=beauty] .tools button[aria-pressed]").click()
    until(page, "!document.querySelector('#chain.waiting')")
    shown = page.locator(".effect")
    kinds = [shown.nth(k).get_attribute("data-effect") for k in range(shown.count())]
    assert kinds == ["colour_look", "beauty", "colour_look"]
    assert "off" in (shown.nth(1).get_attribute("class") or "").split()
    shown.nth(0).locator("button[aria-label^=Remove]").click()
    shown.nth(0).locator("button[aria-label^=Switch]").click()
    until(page, "!document.querySelector('#chain.waiting')")
    assert shown.count() == 2
    assert "off" not in (shown.nth(0).get_attribute("class") or "").split()
    assert page.faults == []
    page.close()


def test_a_closed_tab_ends_its_session_only(browser: Any, served: tuple[str, Path, Any]) -> None:
    stays, goes = open_page(browser, served[0]), open_page(browser, served[0])
    goes.close()
    stays.wait_for_timeout(500)
    before = stays.evaluate("document.getElementById('after').currentTime")
    stays.wait_for_timeout(500)
    assert stays.evaluate("document.getElementById('after').currentTime") > before
    deadline = time.monotonic() + 5
    while "bunraku_sessions 1.0" not in stays.request.get(served[0] + "metrics").text():
        assert time.monotonic() < deadline, "the closed tab's session ends"
        stays.wait_for_timeout(100)
    assert stays.faults == []
    stays.close()


def test_sigterm_ends_it_with_the_recording_playable(
    browser: Any, served: tuple[str, Path, Any]
) -> None:
    """Last: the server is gone afterwards."""
    address, folder, server = served
    page = open_page(browser, address)
    before = set(folder.glob("*.mp4"))
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]", timeout=WAIT_MS)
    page.wait_for_timeout(1000)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    assert server.wait(10) == 0
    assert time.monotonic() - began < 2.0 * 2, "two seconds, and as much for a loaded machine"
    (made,) = set(folder.glob("*.mp4")) - before
    assert streams_of(made) == ["audio", "video"]
    page.close()


def streams_of(path: Path) -> list[str]:
    import av

    with av.open(str(path)) as file:
        assert sum(1 for _ in file.decode(video=0)) > 3
        return sorted(stream.type for stream in file.streams)
