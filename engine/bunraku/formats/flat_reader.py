"""The flat model file (`.bnk`), read back as `docs/flat-format.md` says: for reports and tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.check import check_range, refuse
from bunraku.formats.flat import (
    FORMAT_VERSION,
    HEADER,
    MAGIC,
    WORD_BYTES,
    check_chain,
    check_rate,
    check_totals,
)
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    ChainSpec,
    ConvNetSpec,
    FilmSpec,
    GainSpec,
    GatingMode,
    LinearSpec,
    LstmSpec,
    MixSpec,
    ModelSpec,
    NetworkSpec,
    NodeSpec,
    RateSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetPostHeadSpec,
    WaveNetSpec,
    Weights,
)

EXPORT_AGAIN = "export it again with `bunraku export`"
T = TypeVar("T")


def is_flat(data: bytes) -> bool:
    """Whether `data` begins as a flat model file does."""
    return data.startswith(MAGIC)


def parse_flat(data: bytes) -> ModelSpec:
    """Read the bytes of a flat file. ModelFormatError where they are damaged or out of bounds."""
    payload, sample_rate_hz, name = parse_header(data)
    cursor = Cursor(payload)
    chain = cursor.record({"CHAN": read_chain}, 1)
    cursor.finish("the payload")
    assert isinstance(chain, ChainSpec)
    check_chain(chain, 1)
    check_totals(chain)
    return ModelSpec(chain, sample_rate_hz, name)


def parse_header(data: bytes) -> tuple[bytes, float, str]:
    """(payload, sample rate in Hz, name)"""
    if len(data) < HEADER.size or not is_flat(data):
        raise ModelFormatError(f"not a flat model file (.bnk): {EXPORT_AGAIN}")
    _magic, version, checksum, size, rate, name, reserved = HEADER.unpack_from(data)
    if version != FORMAT_VERSION:
        refuse("the flat format version", version, f"read is {FORMAT_VERSION}", "update bunraku")
    payload = data[HEADER.size :]
    if size != len(payload) or size % WORD_BYTES or size > limits.MAX_PAYLOAD_BYTES:
        refuse("the payload size", size, f"the file holds {len(payload):,} bytes", EXPORT_AGAIN)
    if zlib.crc32(payload) != checksum:
        refuse(
            "the checksum",
            f"{zlib.crc32(payload):08x}",
            f"written was {checksum:08x}",
            EXPORT_AGAIN,
        )
    check_rate("the sample rate in Hz", rate)
    text, _, padding = name.partition(b"\0")
    if any(reserved) or any(padding) or len(text) > limits.MAX_NAME_BYTES:
        raise ModelFormatError(f"the flat header has bytes where zeros belong: {EXPORT_AGAIN}")
    try:
        return payload, rate, text.decode()
    except UnicodeDecodeError:
        raise ModelFormatError(f"the name is not UTF-8 text: {EXPORT_AGAIN}") from None


@dataclass
class Cursor:
    """Words of a record's body, taken one after the other and never beyond its end."""

    data: bytes
    position: int = 0
    end: int = field(default=-1)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.data)

    def take(self, count: int) -> int:
        """Claim `count` words; their offset in bytes."""
        if count * WORD_BYTES > self.end - self.position:
            raise ModelFormatError(f"a record ends early: {EXPORT_AGAIN}")
        start = self.position
        self.position += count * WORD_BYTES
        return start

    def u32(self) -> int:
        return int(struct.unpack_from("<I", self.data, self.take(1))[0])

    def u32s(self, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{count}I", self.data, self.take(count))

    def f32(self) -> float:
        value = float(struct.unpack_from("<f", self.data, self.take(1))[0])
        if not np.isfinite(value):
            refuse("a number", value, "must be finite", EXPORT_AGAIN)
        return value

    def flag(self) -> bool:
        value = self.u32()
        if value > 1:
            refuse("a switch", value, "must be 0 or 1", EXPORT_AGAIN)
        return value == 1

    def count(self, where: str, highest: int) -> int:
        value = self.u32()
        check_range(where, value, 0, highest)
        return value

    def floats(self) -> Weights:
        count = self.u32()
        start = self.take(count)
        values = np.frombuffer(self.data, dtype="<f4", count=count, offset=start)
        if not np.isfinite(values).all():
            raise ModelFormatError(f"a weight is not finite: {EXPORT_AGAIN}")
        return values.astype(np.float32, copy=False)

    def record(self, readers: dict[str, Callable[[Cursor, int], T]], depth: int) -> T:
        """One record, by the reader of its tag, which must consume its body to the last word."""
        if depth > limits.MAX_NESTING:
            refuse(
                "the nesting of records", depth, f"allowed is {limits.MAX_NESTING}", EXPORT_AGAIN
            )
        start = self.take(1)
        tag = self.data[start : start + WORD_BYTES].decode("latin-1")
        if tag not in readers:
            refuse("a record tag", tag, f"here are known {', '.join(readers)}", EXPORT_AGAIN)
        size = self.u32()
        body_start = self.take(size)
        body = Cursor(self.data, body_start, self.position)
        result = readers[tag](body, depth)
        body.finish(tag)
        return result

    def finish(self, what: str) -> None:
        if self.position != self.end:
            raise ModelFormatError(f"{what} has words left over: {EXPORT_AGAIN}")


def read_chain(cursor: Cursor, depth: int) -> ChainSpec:
    count = cursor.count("the number of effects in a chain", limits.MAX_CHAIN_NODES)
    return ChainSpec(tuple(cursor.record(NODE_READERS, depth + 1) for _ in range(count)))


def read_gain(cursor: Cursor, depth: int) -> GainSpec:
    return GainSpec(cursor.f32())


def read_mix(cursor: Cursor, depth: int) -> MixSpec:
    return MixSpec(cursor.f32(), cursor.record({"CHAN": read_chain}, depth + 1))


def read_rate(cursor: Cursor, depth: int) -> RateSpec:
    return RateSpec(cursor.f32(), cursor.record({"CHAN": read_chain}, depth + 1))


def read_slimmable(cursor: Cursor, depth: int) -> SlimmableSpec:
    count = cursor.count("the number of sizes", limits.MAX_SLIMMABLE_SIZES)
    sizes = [(cursor.f32(), cursor.record(NETWORK_READERS, depth + 1)) for _ in range(count)]
    if not sizes:
        refuse("the number of sizes", 0, "must be at least 1", EXPORT_AGAIN)
    return SlimmableSpec(tuple(m for m, _ in sizes), tuple(n for _, n in sizes))


def read_linear(cursor: Cursor, depth: int) -> LinearSpec:
    inputs, outputs, receptive_field = cursor.u32s(3)
    bias = cursor.flag()
    return LinearSpec(receptive_field, bias, cursor.floats(), inputs, outputs)


def read_convnet(cursor: Cursor, depth: int) -> ConvNetSpec:
    inputs, outputs, channels, groups = cursor.u32s(4)
    batchnorm = cursor.flag()
    activation = read_activation(cursor)
    count = cursor.count("the number of dilations", limits.MAX_LAYERS)
    dilations = cursor.u32s(count)
    return ConvNetSpec(
        channels, dilations, batchnorm, activation, cursor.floats(), inputs, outputs, groups
    )


def read_lstm(cursor: Cursor, depth: int) -> LstmSpec:
    input_size, hidden_size, layer_count, outputs = cursor.u32s(4)
    return LstmSpec(input_size, hidden_size, layer_count, cursor.floats(), outputs)


def read_activation(cursor: Cursor) -> ActivationSpec:
    kind = cursor.count("an activation", max(ActivationKind))
    if kind == 0:
        refuse("an activation", kind, f"allowed is 1 to {max(ActivationKind)}", EXPORT_AGAIN)
    return ActivationSpec(ActivationKind(kind), tuple(cursor.floats().tolist()))


def read_wavenet(cursor: Cursor, depth: int) -> WaveNetSpec:
    inputs = cursor.u32()
    condition = cursor.record(NETWORK_READERS, depth + 1) if cursor.flag() else None
    count = cursor.count("the number of layer arrays", limits.MAX_ARRAYS)
    if count == 0:
        refuse("the number of layer arrays", count, "must be at least 1", EXPORT_AGAIN)
    arrays = tuple(read_array(cursor) for _ in range(count))
    post_head = read_post_head(cursor) if cursor.flag() else None
    return WaveNetSpec(arrays, cursor.floats(), inputs, condition, post_head)


def read_array(cursor: Cursor) -> WaveNetArraySpec:
    input_size, condition_size, channels, bottleneck, groups, mixin_groups = cursor.u32s(6)
    layer1x1_active, layer1x1_groups = cursor.flag(), cursor.u32()
    head1x1_active, head1x1_out_channels, head1x1_groups = cursor.flag(), *cursor.u32s(2)
    head_out_channels, head_kernel_size = cursor.u32s(2)
    head_bias, head_dilation = cursor.flag(), cursor.u32()
    films = tuple(FilmSpec(cursor.flag(), cursor.flag(), cursor.u32()) for _ in FILM_SITES)
    count = cursor.count("the number of layers", limits.MAX_LAYERS)
    layers = tuple(read_layer(cursor) for _ in range(count))
    return WaveNetArraySpec(
        input_size=input_size,
        condition_size=condition_size,
        channels=channels,
        bottleneck=bottleneck,
        head_out_channels=head_out_channels,
        layers=layers,
        groups_input=groups,
        groups_input_mixin=mixin_groups,
        layer1x1_active=layer1x1_active,
        layer1x1_groups=layer1x1_groups,
        head1x1_active=head1x1_active,
        head1x1_out_channels=head1x1_out_channels,
        head1x1_groups=head1x1_groups,
        head_kernel_size=head_kernel_size,
        head_bias=head_bias,
        head_dilation=head_dilation,
        films=films,
    )


def read_layer(cursor: Cursor) -> WaveNetLayerSpec:
    kernel_size, dilation = cursor.u32s(2)
    gating = GatingMode(cursor.count("a gating mode", max(GatingMode)))
    return WaveNetLayerSpec(
        kernel_size, dilation, gating, read_activation(cursor), read_activation(cursor)
    )


def read_post_head(cursor: Cursor) -> WaveNetPostHeadSpec:
    channels, outputs = cursor.u32s(2)
    activation = read_activation(cursor)
    count = cursor.count("the number of post-head kernel sizes", limits.MAX_POST_HEAD_LAYERS)
    return WaveNetPostHeadSpec(channels, outputs, activation, cursor.u32s(count))


NETWORK_READERS: dict[str, Callable[[Cursor, int], NetworkSpec]] = {
    "WAVN": read_wavenet,
    "LSTM": read_lstm,
    "CNVN": read_convnet,
    "LINR": read_linear,
    "SLIM": read_slimmable,
}
NODE_READERS: dict[str, Callable[[Cursor, int], NodeSpec]] = {
    "GAIN": read_gain,
    "MIX ": read_mix,
    "RATE": read_rate,
    **NETWORK_READERS,
}
