"""Ten performances opened and closed twenty times: what is left of threads, memory and files?

    python benchmarks/sessions_leak.py [--sessions 10] [--rounds 20] [--play 0.5] [--out FILE]

Each has the test picture, through one of `EFFECTS` in turn, and a voice paced by the clock. See
docs/measuring.md.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bunraku import __version__
from bunraku.errors import OverloadError
from bunraku.formats import performance_shape as shape
from bunraku.measure.bench import machine_name
from bunraku.samples import SPEECH_PATH
from bunraku.session.open_performance import open_performance
from bunraku.session.performance import Performance

RESULTS = Path(__file__).parent / "results"
SETTLE_S = 1.0
MOST_KIB_A_ROUND = 1024.0
"""MediaPipe alone keeps some 50 KiB of each model that was opened and closed; ten sessions open
ten, for calibration opens a face's twice."""
EFFECTS = ("background_blur", "face_overlay", "neural")
"""Both of MediaPipe's models and a network: what holds threads and memory of its own."""
PICTURE_HZ = 2.0
"""Few enough for ten sessions to be admitted beside each other on a machine with other work."""
MOST_TRIES, BETWEEN_TRIES_S = 15, 1.0
"""A frame that was held up while the next session's model was loading counts as what its session
costs, until newer ones have come: then there is room again."""


@dataclass(frozen=True)
class Held:
    """What the process holds; native_threads: as the system counts them."""

    threads: int
    native_threads: int
    files: int
    sockets: int
    rss_kib: int


def held() -> Held:
    give_back_freed()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(link.readlink()))
        except OSError:  # the folder's own
            continue
    return Held(
        threads=threading.active_count(),
        native_threads=int(fields["Threads"]),
        files=len(targets),
        sockets=sum(target.startswith("socket:") for target in targets),
        rss_kib=int(fields["VmRSS"].split()[0]),
    )


def give_back_freed() -> None:
    """What the allocator only holds in stock says nothing; glibc's can let go of it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def preset_of(name: str, effect: str) -> shape.PerformancePreset:
    return shape.PerformancePreset(
        name=name,
        voice=shape.Voice(
            model="radio",
            source=shape.AudioFile(type="file", file=str(SPEECH_PATH), loop=True),
            sink=shape.NoSink(type="none"),
        ),
        picture=shape.Picture(
            source=shape.BuiltInPicture(type="test", width=320, height=240, rate_hz=PICTURE_HZ),
            effect=[shape.Effect(type=effect)],
        ),
    )


def play_round(sessions: int, play_s: float) -> int:
    """All at once; returns how many frames were shown."""
    performances = []
    with ExitStack() as stack:
        for k in range(sessions):
            performances.append(
                admitted(preset_of(f"session {k}", EFFECTS[k % len(EFFECTS)]), stack)
            )
        time.sleep(play_s)
        for performance in performances:
            performance.check()
    pictures = [performance.picture for performance in performances]
    return sum(picture.report().shown for picture in pictures if picture is not None)


def admitted(preset: shape.PerformancePreset, stack: ExitStack) -> Performance:
    for _ in range(MOST_TRIES):
        try:
            return stack.enter_context(open_performance(preset))
        except OverloadError as error:
            refused = error
            time.sleep(BETWEEN_TRIES_S)
    raise refused


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--play", type=float, default=0.5, help="seconds that each round plays")
    parser.add_argument("--out", type=Path, default=RESULTS / "sessions_leak.json")
    arguments = parser.parse_args()
    before = held()
    rounds, shown = [], []
    for _ in range(arguments.rounds):
        shown.append(play_round(arguments.sessions, arguments.play))
        gc.collect()
        rounds.append(held())
    time.sleep(SETTLE_S)
    after = held()
    warm = rounds[len(rounds) // 2 :]  # the allocator and its arenas have settled
    memory = [one.rss_kib for one in warm]
    slope = float(np.polyfit(range(len(memory)), memory, 1)[0]) if len(memory) > 1 else 0.0
    result = {
        "bunraku": __version__,
        "machine": f"{machine_name()}, {os.cpu_count()} cores",
        "load_average": os.getloadavg()[0],
        "sessions": arguments.sessions,
        "rounds": arguments.rounds,
        "effects_in_turn": EFFECTS,
        "frames_shown": sum(shown),
        "before": asdict(before),
        "after": asdict(after),
        "after_each_round": [asdict(one) for one in rounds],
        "rss_kib_a_round_in_the_second_half": slope,
        "asked": {
            "no thread left": after.threads <= before.threads,
            "no native thread more than after half of the rounds": after.native_threads
            <= warm[0].native_threads,
            "no file or socket more than after half of the rounds": after.files <= warm[0].files
            and after.sockets <= warm[0].sockets,
            f"at most {MOST_KIB_A_ROUND:g} KiB more a round": slope <= MOST_KIB_A_ROUND,
            "every round showed frames": min(shown) > 0,
        },
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    told = {key: value for key, value in result.items() if key != "after_each_round"}
    print(json.dumps(told, indent=1))
    return 0 if all(result["asked"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
