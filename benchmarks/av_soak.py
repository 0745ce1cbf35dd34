"""Ten minutes of voice and picture together: on time, without underflow, in step?

    python benchmarks/av_soak.py [--minutes 10] [--hog]

A paced film (640x480, 30 a second) through background blur, a 256 x 256 network and a voice model,
recorded to MP4; flashes and clicks in the recording tell how far picture and voice are apart. With
--hog another process takes one core for 5 s of every 20 s. See docs/measuring.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av_figures import HOG_EVERY_S, HOG_S, Log, draw, judged
from av_source import FRAME_RATE_HZ, find_events, make_film
from bunraku import __version__
from bunraku.errors import OverloadError
from bunraku.formats import performance_shape as shape
from bunraku.measure.bench import machine_name
from bunraku.session.open_performance import Wanted, open_performance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bunraku.session.performance import PerformanceReport

RESULTS = Path(__file__).parent / "results"
FILM_S = 20
MOST_SESSIONS = 40
HOG = f"""
import time
while True:
    time.sleep({HOG_EVERY_S - HOG_S})
    end = time.monotonic() + {HOG_S}
    print(time.monotonic(), flush=True)
    while time.monotonic() < end:
        pass
"""


def preset_of(film: Path, name: str = "soak") -> shape.PerformancePreset:
    return shape.PerformancePreset(
        name=name,
        voice=shape.Voice(
            model="radio",
            source=shape.PictureSound(type="picture"),
            sink=shape.NoSink(type="none"),
        ),
        picture=shape.Picture(
            source=shape.VideoFile(type="file", file=str(film), loop=True),
            effect=[shape.Effect(type="background_blur"), shape.Effect(type="neural")],
        ),
    )


@contextmanager
def hogging(log: Log) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", HOG], stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        told, _ = process.communicate()
        log.hogs += [float(line) for line in told.split()]


def soak(film: Path, recording: Path, seconds: float, hog: bool) -> tuple[PerformanceReport, Log]:
    log = Log()
    opened = open_performance(
        preset_of(film),
        None,
        Wanted(record_to=recording, overwrite=True),
        on_message=lambda text: print("·", text, file=sys.stderr),
    )
    with ExitStack() as stack:
        performance = stack.enter_context(opened)
        log.watch(performance)
        if hog:
            stack.enter_context(hogging(log))
        performance.wait(seconds=seconds, on_tick=log.tick)
    return opened.performance.report(), log


def refusal(film: Path) -> dict[str, Any]:
    """Open the same performance again and again until one is refused."""
    with ExitStack() as stack:
        for count in range(MOST_SESSIONS):
            opened = open_performance(preset_of(film, f"soak {count + 1}"))
            stack.callback(opened.close)
            try:
                assert opened.performance.picture is not None
                opened.performance.picture.prepare()
            except OverloadError as error:
                return {"admitted": count, "message": str(error)}
    return {"admitted": MOST_SESSIONS, "message": ""}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--hog", action="store_true", help="another process takes a core")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/av_soak[_hog].json")
    parser.add_argument("--keep", type=Path, help="keep the recording here")
    arguments = parser.parse_args()
    out = arguments.out or RESULTS / f"av_soak{'_hog' if arguments.hog else ''}.json"
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        recording = arguments.keep or Path(folder) / "recording.mp4"
        make_film(film, FILM_S)
        report, log = soak(film, recording, 60.0 * arguments.minutes, arguments.hog)
        events = find_events(recording)
        refused = refusal(film)
    assert report.picture is not None
    result = {
        "bunraku": __version__,
        "machine": f"{machine_name()}, {os.cpu_count()} cores",
        "load_average_before": load_before,
        "load_average_most": log.highest_load,
        "film": f"640x480 at {FRAME_RATE_HZ} Hz, {FILM_S} s, looped",
        "minutes": arguments.minutes,
        "hog": arguments.hog,
        **judged(report, log, events, refused),
        "report": report.as_dict(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    hog = f", a core taken {HOG_S:g} s of every {HOG_EVERY_S:g} s" if arguments.hog else ""
    share = f"{100 * report.picture.on_time_share:.1f} % on time"
    title = f"background blur + neural 256 + voice, 640x480@30{hog}: {share}"
    draw(out.with_suffix(".png"), log, report.picture.budget_ms, title)
    shown = {
        key: result[key] for key in ("on_time_share", "underflows", "skew", "rungs", "refusal")
    }
    print(json.dumps({**shown, "asked": result["asked"]}, indent=1))
    print(f"written: {out}, {out.with_suffix('.png')}")
    return 0 if all(result["asked"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
