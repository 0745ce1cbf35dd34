"""Hostile `.nam` files by the thousand: each is refused with ModelFormatError, or it plays.

Mutates small valid files, by structure (keys dropped, doubled, retyped, values from a list of nasty
ones, weights cut, nesting, parts of other files) and by bytes. What is accepted is written flat,
loaded by the native core where it is built, and two blocks are played, which must be finite or not
but must return. Anything else than ModelFormatError is a defect and ends the run.

    python tests/fuzz/nam_mutations.py --count 100000
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
for folder in (ROOT / "engine", ROOT / "tests"):
    sys.path.insert(0, str(folder))

import numpy as np  # noqa: E402
from bunraku.errors import ModelFormatError  # noqa: E402
from bunraku.formats.flat import write_flat  # noqa: E402
from bunraku.formats.flat_reader import parse_flat  # noqa: E402
from bunraku.formats.nam import parse_nam  # noqa: E402
from bunraku.formats.nam_writer import write_nam  # noqa: E402
from small_specs import as_model, mono_networks  # noqa: E402

BLOCK_FRAMES = 64
MAX_MEMORY_BYTES = 3 << 30
MAX_ONE_S = 5.0
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 7, 255, 256, 257, 65_536, 65_537, 1 << 20, 1 << 31, 1 << 63,
    10**39, -(10**20), 0.5, -0.0, 1e-45, 1e38, 1e39, 1e308, "", "Tanh", "gated", "blended", "1",
    "WaveNet", "LSTM", "ConvNet", "Linear", "SlimmableContainer", "0.5.0", "0.7.9", "0.8.0",
    "1.0.0", "0.4.9", "٠.٥.٠", "\u0000", "x" * 300, [], {}, [[]], [1], [1, 1], [0.1] * 70,
    {"active": True},
    {"type": "PReLU", "negative_slopes": [0.1, 0.2]}, {"type": "LeakyHardtanh", "min_val": 1e38},
    {"method": "slice_channels_uniform"},
    {"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 2, 4]}},
]  # fmt: skip
TOKENS = [
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 400, b"[" * 80, b"{" * 80,
    b'{"a":' * 200, b'"', b"\\", b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b":", b"]", b"}", b"-",
    b"0x10", b"1.", b".5", b"01", b"true", b"null", b'"\\ud800"', b"/**/", b'"version":"0.5.0",',
]  # fmt: skip
Slot = tuple[Any, Any]


def seeds() -> list[bytes]:
    """Small valid files, one for each feature."""
    files = [write_nam(as_model(network)) for network in mono_networks().values()]
    return [data for data in files if len(data) < 12_000]


def slots(value: Any) -> list[Slot]:
    """Every place of a JSON tree, as (container, key); of long lists of numbers only a few."""
    found: list[Slot] = []
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        long = len(value) > 30
        keys = [0, len(value) // 2, len(value) - 1] if long else list(range(len(value)))
    else:
        return found
    for key in keys:
        found.append((value, key))
        found += slots(value[key])
    return found


class Mutator:
    """Deterministic from its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.files = seeds()
        self.trees = [json.loads(data) for data in self.files]

    def __call__(self) -> bytes:
        if self.random.random() < 0.7:
            return self.by_structure()
        return self.by_bytes(self.random.choice(self.files))

    def by_structure(self) -> bytes:
        tree = copy.deepcopy(self.random.choice(self.trees))
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 4])):
            places = slots(tree)
            if not places:
                break
            container, key = self.random.choice(places)
            self.random.choice(self.changes())(container, key)
        data = json.dumps(tree).encode()
        if self.random.random() < 0.1:
            return self.by_bytes(data)
        return data

    def changes(self) -> list[Callable[[Any, Any], None]]:
        nasty, near = self.replace, self.nudge
        return [nasty, nasty, near, near, near, self.drop, self.resize, self.wrap, self.graft]

    def replace(self, container: Any, key: Any) -> None:
        container[key] = copy.deepcopy(self.random.choice(NASTY))

    def nudge(self, container: Any, key: Any) -> None:
        """Another value of the same kind: the mutants that come through."""
        value = container[key]
        if isinstance(value, bool):
            container[key] = not value
        elif isinstance(value, int):
            container[key] = value + self.random.choice([-1, 1, 2])
        elif isinstance(value, float):
            container[key] = value * self.random.choice([-1.0, 0.0, 3.0, 1e6, 1e30])
        elif isinstance(value, str):
            words = ["ReLU", "Softsign", "PReLU", "none", "gated", "blended", value + "x", "0.6.1"]
            container[key] = self.random.choice(words)
        elif isinstance(value, list):
            self.random.shuffle(value)
        else:
            self.replace(container, key)

    def drop(self, container: Any, key: Any) -> None:
        del container[key]

    def resize(self, container: Any, key: Any) -> None:
        value = container[key]
        if isinstance(value, list) and value:
            cut = self.random.randrange(len(value) + 1)
            container[key] = self.random.choice([value[:cut], value + value[:cut], value * 3])
        else:
            container[key] = [value] * self.random.choice([1, 2, 300])

    def wrap(self, container: Any, key: Any) -> None:
        value = container[key]
        for _ in range(self.random.choice([1, 9, 70])):
            value = {"model": value} if self.random.random() < 0.5 else [value]
        container[key] = value

    def graft(self, container: Any, key: Any) -> None:
        """A part of another file, or the whole of it, also where a model nests models."""
        other = copy.deepcopy(self.random.choice(self.trees))
        choice = self.random.random()
        if choice < 0.3:
            container[key] = other
        elif choice < 0.5 and isinstance(container, dict):
            container["condition_dsp"] = other
        else:
            giver, part = self.random.choice(slots(other))
            container[key] = giver[part]

    def by_bytes(self, data: bytes) -> bytes:
        raw = bytearray(data)
        for _ in range(self.random.choice([1, 1, 2, 5, 20])):
            if not raw:
                break
            at = self.random.randrange(len(raw))
            match self.random.randrange(6):
                case 0:
                    raw[at] ^= 1 << self.random.randrange(8)
                case 1:
                    raw[at] = self.random.choice(b'0123456789eE+-.,:[]{}" ntf\\')
                case 2:
                    del raw[at : at + self.random.choice([1, 2, 10, len(raw)])]
                case 3:
                    raw[at:at] = self.random.choice(TOKENS)
                case 4:
                    end = at + self.random.randrange(40)
                    raw[at:at] = raw[at:end]
                case 5:
                    other = self.random.choice(self.files)
                    start = self.random.randrange(len(other))
                    raw[at : at + 30] = other[start : start + 30]
        return bytes(raw)


def native_core() -> Any:
    """The native core, or None where it is not built."""
    try:
        from bunraku import _native
    except ImportError:
        return None
    return _native


def mutate_flat(flat: bytes, rng: random.Random) -> bytes:
    """A flat file with a few words changed and its checksum made right again."""
    import struct
    import zlib

    raw = bytearray(flat)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(32, len(raw) // 4) * 4
        word = rng.choice([0, 1, 2, 3, 7, 8, 255, 257, 1 << 16, 1 << 31, 0x7FC00000, 0x7F800000])
        raw[at : at + 4] = struct.pack("<I", rng.choice([word, rng.getrandbits(32)]))
    if rng.random() < 0.2:
        del raw[rng.randrange(128, len(raw)) // 4 * 4 :]
        raw[16:24] = struct.pack("<Q", len(raw) - 128)
    raw[12:16] = struct.pack("<I", zlib.crc32(raw[128:]))
    return bytes(raw)


def play(native: Any, flat: bytes) -> None:
    """Two blocks through the core; the answer must come, whatever it is."""
    stream = native.Stream(native.Model(flat), max_block_frames=BLOCK_FRAMES)
    x = np.linspace(-0.5, 0.5, BLOCK_FRAMES, dtype=np.float32)[None]
    for _ in range(2):
        assert stream.process(x).shape == x.shape


def try_nam(data: bytes, native: Any, rng: random.Random) -> str:
    """What became of one file. Raises whatever is not ModelFormatError."""
    try:
        spec = parse_nam(data)
        flat = write_flat(spec)
    except ModelFormatError as error:
        message = str(error)
        assert message
        assert len(message) < 2_000
        return "refused"
    assert write_flat(parse_flat(flat)) == flat
    if native is None:
        return "written"
    play(native, flat)  # what the reader accepts, the core must play
    try_flat(mutate_flat(flat, rng), native)
    return "played"


def try_flat(flat: bytes, native: Any) -> str:
    """A damaged flat file: both readers refuse it or the core plays it."""
    import contextlib

    with contextlib.suppress(ModelFormatError):
        parse_flat(flat)
    try:
        play(native, flat)
    except ModelFormatError:
        return "refused"
    return "played"


def run(count: int, seed: int) -> Counter[str]:
    """Try `count` files; how many were refused, and how many played."""
    native = native_core()
    mutate, rng = Mutator(seed), random.Random(seed)
    results: Counter[str] = Counter()
    for index in range(count):
        data = mutate()
        began = time.monotonic()
        try:
            results[try_nam(data, native, rng)] += 1
        except BaseException:
            failed = Path(f"nam-mutant-{seed}-{index}.nam")
            failed.write_bytes(data)
            print(f"defect: kept as {failed.resolve()}", file=sys.stderr)
            raise
        took = time.monotonic() - began
        assert took < MAX_ONE_S, f"file {index} took {took:.1f} s"
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    began = time.monotonic()
    results = run(arguments.count, arguments.seed)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tally = ", ".join(f"{number:,} {kind}" for kind, number in sorted(results.items()))
    print(
        f"{arguments.count:,} files in {time.monotonic() - began:.0f} s: {tally}; "
        f"peak memory {peak_mb:,.0f} MB"
    )


if __name__ == "__main__":
    main()
