"""Do effects written in Python keep up with a device that calls several times in a row?

    python benchmarks/bridge_depth.py [--server pulse] [--block 256] [--buffer high] [--seconds 10]

Plays the effect `noise_gate` on a sound server of our own, through a bridge one block deep and
through one as deep as a session makes it. See docs/live-audio.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from bunraku import __version__
from bunraku.formats.flat import write_flat
from bunraku.measure.bench import machine_name
from bunraku.session.endpoints import DeviceEndpoint
from bunraku.session.live_session import LiveSession
from shapes import model_spec

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from sound_server import JackServer, PulseServer  # noqa: E402

RESULTS = Path(__file__).parent / "results"
RATE_HZ = 48_000
BLOCKS = (64, 128, 256, 512)
JACK_PERIOD_FRAMES = 256
DEVICES = {"jack": "system", "pulse": "pulse"}
MODEL = "standard"
EFFECT = "noise_gate"
START_UP_S = 1.0


@dataclass(frozen=True)
class Figures:
    """One stream, after its first second. chosen: the depth is the session's own choice."""

    server: str
    buffer: str
    block_frames: int
    chosen: bool
    bridge_frames: int
    seconds: float
    blocks: int
    missed: int
    underflows: int
    load_average: float


def play(
    device_name: str, block_frames: int, buffer: str, depth: int | None, seconds: float
) -> Any:
    session = LiveSession(
        write_flat(model_spec(MODEL)),
        source=DeviceEndpoint(device_name),
        sink=DeviceEndpoint(device_name),
        block_frames=block_frames,
        sample_rate_hz=RATE_HZ,
        device_buffer=buffer,  # type: ignore[arg-type]
        python_effects=[EFFECT],
        bridge_depth_blocks=depth,
        reconnect=False,
    )
    with session:
        session.wait(START_UP_S)
        before = session.report()
        session.wait(seconds)
        report = session.report()
    assert report.bridge is not None
    assert before.bridge is not None
    return {
        "bridge_frames": report.declared.bridge_frames,
        "blocks": report.bridge.blocks - before.bridge.blocks,
        "missed": report.bridge.missed - before.bridge.missed,
        "underflows": report.output_underflows - before.output_underflows,
    }


def measure(
    server_name: str, block_frames: int, buffer: str, chosen: bool, seconds: float
) -> Figures:
    """A server of our own, a process that plays on it. Raises RuntimeError when either fails."""
    with tempfile.TemporaryDirectory() as folder:
        server: PulseServer | JackServer
        if server_name == "pulse":
            server = PulseServer(Path(folder), RATE_HZ)
        else:
            server = JackServer(Path(folder), RATE_HZ, JACK_PERIOD_FRAMES)
        try:
            if not server.ready:
                raise RuntimeError(f"{server_name} does not start here")
            played = subprocess.run(
                [sys.executable, __file__, "--play", "chosen" if chosen else "one",
                 "--server", server_name, "--block", str(block_frames), "--buffer", buffer,
                 "--seconds", str(seconds)],
                env=server.environment, capture_output=True, text=True, timeout=seconds + 60,
                check=False,
            )  # fmt: skip
        finally:
            server.kill()
    if played.returncode != 0:
        words = played.stderr.strip().splitlines() or [f"code {played.returncode}"]
        raise RuntimeError(f"{server_name}: {words[-1]}")
    return Figures(
        server=server_name,
        buffer=buffer,
        block_frames=block_frames,
        chosen=chosen,
        seconds=seconds,
        load_average=os.getloadavg()[0],
        **json.loads(played.stdout),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--server", action="append", choices=list(DEVICES), help="default: both")
    parser.add_argument("--block", action="append", type=int, help="default: 64, 128, 256 and 512")
    parser.add_argument("--buffer", action="append", choices=("low", "high"), help="default: both")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each stream")
    parser.add_argument("--out", type=Path, default=RESULTS / "bridge_depth.json")
    parser.add_argument("--play", choices=("one", "chosen"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.play:
        device_name, depth = DEVICES[arguments.server[0]], 1 if arguments.play == "one" else None
        played = play(
            device_name, arguments.block[0], arguments.buffer[0], depth, arguments.seconds
        )
        print(json.dumps(played))
        return 0
    figures = []
    for server, buffer, block, chosen in product(
        arguments.server or DEVICES,
        arguments.buffer or ("high", "low"),
        arguments.block or BLOCKS,
        (False, True),
    ):
        if server == "jack" and buffer == "low" and not arguments.buffer:
            continue  # JACK's period decides: low and high are the same
        try:
            figure = measure(server, block, buffer, chosen, arguments.seconds)
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        figures.append(figure)
        print(f"{server} {buffer:4} block {block:4}, bridge {figure.bridge_frames:4} frames:"
              f" missed {figure.missed:,} of {figure.blocks:,}"
              f" ({figure.missed / max(1, figure.blocks):.1%}),"
              f" underflows {figure.underflows}, load {figure.load_average:.1f}")  # fmt: skip
    if not figures:
        return 1
    result = {
        "bunraku": __version__,
        "machine": f"{machine_name()}, {os.cpu_count()} cores",
        "figures": [asdict(f) for f in figures],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
