"""Does sound hold while Python is busy? Our C callback against a Python callback, on real streams.

    python benchmarks/live_underflow.py [--server pulse] [--block 256] [--seconds 10] [--out FILE]

Starts a PulseAudio with a null sink and a JACK with its dummy driver of its own; no sound card is
needed. See benchmarks/README.md and docs/live-audio.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bunraku import __version__, _native
from bunraku.formats.flat import write_flat
from bunraku.measure.bench import machine_name
from shapes import model_spec

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from sound_server import JackServer, PulseServer  # noqa: E402

RESULTS = Path(__file__).parent / "results"
RATE_HZ = 48_000
BLOCKS = (64, 128, 256)
DEVICES = {"jack": "system", "pulse": "pulse"}
CALLBACKS = ("c", "python")
BUFFERS = ("low", "high")
MODEL = "standard"
START_UP_S = 1.0
BYTECODE_S = 0.02
C_CALL_ITEMS = 3_000_000


@dataclass(frozen=True)
class Figures:
    """One stream. The first second, in which programs and servers start, is counted apart."""

    server: str
    realtime_server: bool
    callback: str
    buffer: str
    block_frames: int
    seconds: float
    callbacks: int
    misses: int
    underflows: int
    start_up_underflows: int
    compute_p50_ms: float
    compute_p99_ms: float
    compute_max_ms: float
    block_ms: float
    device_output_latency_ms: float
    longest_gil_hold_ms: float
    load_average: float


# ---- one stream, in a process of its own --------------------------------------------------------


def keep_python_busy(until: float) -> float:
    """Bytecodes for 20 ms, then a C call that holds the GIL for longer, again and again.

    Returns the longest of those calls in seconds.
    """
    longest = 0.0
    while time.monotonic() < until:
        end = time.monotonic() + BYTECODE_S
        while time.monotonic() < end:
            pass
        begin = time.monotonic()
        sum(range(C_CALL_ITEMS))
        longest = max(longest, time.monotonic() - begin)
    return longest


def play_with_c_callback(
    device_name: str, block_frames: int, buffer: str, seconds: float
) -> dict[str, Any]:
    """As `bunraku live` plays: the product's own session."""
    from bunraku.session.endpoints import DeviceEndpoint
    from bunraku.session.live_session import LiveSession

    session = LiveSession(
        write_flat(model_spec(MODEL)),
        source=DeviceEndpoint(device_name),
        sink=DeviceEndpoint(device_name),
        block_frames=block_frames,
        sample_rate_hz=RATE_HZ,
        device_buffer=buffer,  # type: ignore[arg-type]
        reconnect=False,
    )
    with session:
        hold = keep_python_busy(time.monotonic() + START_UP_S)
        before = session.report()
        hold = max(hold, keep_python_busy(time.monotonic() + seconds))
        report = session.report()
    assert report.device is not None
    return {
        "callbacks": report.blocks - before.blocks,
        "misses": report.misses - before.misses,
        "underflows": report.output_underflows - before.output_underflows,
        "start_up_underflows": before.output_underflows,
        "compute_p50_ms": report.compute_ms.p50,
        "compute_p99_ms": report.compute_ms.p99,
        "compute_max_ms": report.compute_ms.max,
        "device_output_latency_ms": report.device.output_latency_ms,
        "longest_gil_hold_ms": 1e3 * hold,
    }


def play_with_python_callback(
    device_name: str, block_frames: int, buffer: str, seconds: float
) -> dict[str, Any]:
    """As a Python program usually does it: sounddevice calls a Python function."""
    import numpy as np
    import sounddevice

    stream = _native.Stream(
        _native.Model(write_flat(model_spec(MODEL))),
        sample_rate_hz=float(RATE_HZ),
        max_block_frames=block_frames,
    )
    took_s: list[float] = []
    underflows = [0]

    def callback(heard: Any, played: Any, frames: int, when: Any, status: Any) -> None:
        begin = time.perf_counter()
        underflows[0] += bool(status.output_underflow)
        played[:, 0] = stream.process(np.ascontiguousarray(heard.T))[0]
        took_s.append(time.perf_counter() - begin)

    device = sounddevice.Stream(
        samplerate=RATE_HZ, blocksize=block_frames, channels=1, dtype="float32", latency=buffer,
        callback=callback, device=device_name,
    )  # fmt: skip
    with device:
        hold = keep_python_busy(time.monotonic() + START_UP_S)
        calls, flagged = len(took_s), underflows[0]
        hold = max(hold, keep_python_busy(time.monotonic() + seconds))
        measured = np.array(took_s[calls:] or [0.0])
        total = underflows[0]
        latency_s = device.latency[1]
    p50, p99, most = (1e3 * float(np.quantile(measured, q)) for q in (0.5, 0.99, 1.0))
    return {
        "callbacks": len(measured),
        "misses": int((measured > block_frames / RATE_HZ).sum()),
        "underflows": total - flagged,
        "start_up_underflows": flagged,
        "compute_p50_ms": p50,
        "compute_p99_ms": p99,
        "compute_max_ms": most,
        "device_output_latency_ms": 1e3 * latency_s,
        "longest_gil_hold_ms": 1e3 * hold,
    }


# ---- all of them --------------------------------------------------------------------------------


def measure(
    server_name: str,
    callback: str,
    block_frames: int,
    buffer: str,
    seconds: float,
    *,
    realtime_server: bool,
) -> Figures:
    """A server of our own, a process that plays on it. Raises RuntimeError when either fails."""
    with tempfile.TemporaryDirectory() as folder:
        server: PulseServer | JackServer
        if server_name == "pulse":
            server = PulseServer(Path(folder), RATE_HZ, realtime=realtime_server)
        else:
            server = JackServer(Path(folder), RATE_HZ, block_frames)
        try:
            if not server.ready:
                raise RuntimeError(f"{server_name} does not start here")
            played = subprocess.run(
                [sys.executable, __file__, "--play", callback, "--server", server_name,
                 "--block", str(block_frames), "--buffer", buffer, "--seconds", str(seconds)],
                env=server.environment, capture_output=True, text=True, timeout=seconds + 60,
                check=False,
            )  # fmt: skip
        finally:
            server.kill()
    if played.returncode != 0:
        words = played.stderr.strip().splitlines() or [f"code {played.returncode}"]
        raise RuntimeError(f"{server_name}, {callback} callback: {words[-1]}")
    return Figures(
        server=server_name,
        realtime_server=realtime_server,
        callback=callback,
        buffer=buffer,
        block_frames=block_frames,
        seconds=seconds,
        block_ms=1e3 * block_frames / RATE_HZ,
        load_average=os.getloadavg()[0],
        **json.loads(played.stdout),
    )


COLUMNS = ("server", "callback", "buffer", "block", "seconds", "calls", "of due", "misses",
           "underflows", "in 1st s", "p99 / max, ms", "device, ms", "load")  # fmt: skip


def print_table(figures: list[Figures]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{MODEL} network, 48 kHz, duplex; Python busy, GIL held by C calls")
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if i < 3 else "right")
    for f in figures:
        due = f.seconds / (f.block_ms / 1e3)
        server = f"{f.server}, real-time" if f.realtime_server else f.server
        cells = (server, f.callback, f.buffer, str(f.block_frames), f"{f.seconds:.0f}",
                 f"{f.callbacks:,}", f"{f.callbacks / due:.1%}", f"{f.misses:,}",
                 f"{f.underflows:,}", f"{f.start_up_underflows:,}",
                 f"{f.compute_p99_ms:.2f} / {f.compute_max_ms:.2f}",
                 f"{f.device_output_latency_ms:.1f}", f"{f.load_average:.1f}")  # fmt: skip
        table.add_row(*cells, style="bold" if f.callback == "c" else "")
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--server", action="append", choices=list(DEVICES), help="default: both")
    parser.add_argument("--block", action="append", type=int, help="default: 64, 128 and 256")
    parser.add_argument("--callback", action="append", choices=CALLBACKS, help="default: both")
    parser.add_argument("--buffer", action="append", choices=BUFFERS, help="default: both")
    parser.add_argument(
        "--seconds",
        type=float,
        help="for each stream; default: 60 for our callback at 256 and high, 10",
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "live_underflow.json")
    parser.add_argument(
        "--realtime-server", action="store_true",
        help="all of PulseAudio's threads with real-time priority, as jackd has it anyway",
    )  # fmt: skip
    parser.add_argument("--add", action="store_true", help="keep what else FILE holds")
    parser.add_argument("--play", choices=CALLBACKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        play = play_with_c_callback if arguments.play == "c" else play_with_python_callback
        device_name = DEVICES[arguments.server[0]]
        figures_of_one = play(
            device_name, arguments.block[0], arguments.buffer[0], arguments.seconds
        )
        print(json.dumps(figures_of_one))
        return 0
    figures = []
    for server, block, buffer, callback in product(
        arguments.server or DEVICES,
        arguments.block or BLOCKS,
        arguments.buffer or BUFFERS,
        arguments.callback or CALLBACKS,
    ):
        if server == "jack" and buffer == "low" and not arguments.buffer:
            continue  # JACK's period decides: low and high are the same
        main_figure = (callback, block, buffer) == ("c", 256, "high")
        seconds = arguments.seconds or (60.0 if main_figure else 10.0)
        try:
            figures.append(
                measure(
                    server, callback, block, buffer, seconds,
                    realtime_server=arguments.realtime_server or server == "jack",
                )
            )  # fmt: skip
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
    if not figures:
        return 1
    print_table(figures)
    kept = other_figures(arguments.out, figures) if arguments.add else []
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "bunraku": __version__,
        "machine": f"{machine_name()}, {os.cpu_count()} cores",
        "realtime_allowed": realtime_allowed(),
        "figures": kept + [asdict(f) for f in figures],
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {arguments.out}")
    return 0


def other_figures(path: Path, figures: list[Figures]) -> list[dict[str, Any]]:
    """Those of an earlier run that this one did not measure again."""
    keys = ("server", "realtime_server", "callback", "buffer", "block_frames")
    new = {tuple(asdict(f)[key] for key in keys) for f in figures}
    old = json.loads(path.read_text())["figures"] if path.exists() else []
    return [figure for figure in old if tuple(figure[key] for key in keys) not in new]


def realtime_allowed() -> bool:
    """Whether this user may have SCHED_FIFO, which sound servers ask for."""
    probe = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
