"""Files of named tensors in the safetensors format, read and written with NumPy alone.

Source: the format's description (huggingface/safetensors, Apache-2.0): eight bytes of length, a
JSON header, then the tensors back to back. Bounded before anything is allocated; nothing in such a
file can be run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bunraku.errors import ModelFormatError
from bunraku.formats.bounded_json import Fields, parse

MAX_FILE_BYTES = 256 << 20
MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
MAX_RANK = 8
METADATA = "__metadata__"
TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
Tensors = dict[str, npt.NDArray[np.float32]]


def read_safetensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The tensors as float32, and the metadata. Raises ModelFormatError, naming the file."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFormatError(f"{size:,} bytes: allowed is up to {MAX_FILE_BYTES:,}")
        with path.open("rb") as file:
            return tensors_of(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise ModelFormatError(f"{path.name} cannot be read: {error.strerror}") from None
    except ModelFormatError as error:
        raise ModelFormatError(f"{path.name}: {error}") from None


def tensors_of(data: bytes) -> tuple[Tensors, dict[str, str]]:
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, len(data) - 8):
        raise ModelFormatError(f"its header has {length:,} bytes: this is no safetensors file")
    header, payload = parse(data[8 : 8 + length]), memoryview(data)[8 + length :]
    if len(header.values) > MAX_TENSORS:
        raise ModelFormatError(f"it has more than {MAX_TENSORS:,} tensors")
    metadata = {}
    if header.has(METADATA):
        section = header.section(METADATA)
        metadata = {key: section.text(key) for key in section.values}
    names = [name for name in header.values if name != METADATA]
    return {name: read_tensor(header.section(name), payload) for name in names}, metadata


def read_tensor(entry: Fields, payload: memoryview) -> npt.NDArray[np.float32]:
    kind, shape = entry.text("dtype"), entry.integers("shape")
    offsets = entry.integers("data_offsets")
    if kind not in TYPES:
        raise ModelFormatError(f"{entry.path} is {kind:.20}: {', '.join(TYPES)} are read")
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise ModelFormatError(f"{entry.path} has the shape {shape!s:.80}: out of bounds")
    elements = 1
    for size in shape:
        elements *= size
    expected = elements * TYPES[kind].itemsize
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= len(payload):
        raise ModelFormatError(f"{entry.path} lies outside the file: copy it again")
    if offsets[1] - offsets[0] != expected:
        raise ModelFormatError(
            f"{entry.path} has {offsets[1] - offsets[0]:,} bytes, not {expected:,}"
        )
    flat = np.frombuffer(payload[offsets[0] : offsets[1]], TYPES[kind])
    if kind == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return np.asarray(flat, np.float32).reshape(shape).copy()


def write_safetensors(
    path: Path, tensors: Mapping[str, npt.NDArray[np.float32]], metadata: Mapping[str, str]
) -> None:
    """Write float32 tensors; the same input gives the same bytes."""
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))}
    at = 0
    for name in sorted(tensors):
        size = tensors[name].size * 4
        header[name] = {
            "dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [at, at + size],
        }  # fmt: skip
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(tensors):
            file.write(np.ascontiguousarray(tensors[name], "<f4").tobytes())
