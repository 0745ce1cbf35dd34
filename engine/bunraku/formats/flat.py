"""The flat model file (`.bnk`), written as `docs/flat-format.md` says, to the bit."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from bunraku.formats import limits
from bunraku.formats.check import check_history, check_network, check_range, refuse
from bunraku.formats.layout import history_floats, in_channels, out_channels
from bunraku.formats.specs import (
    ActivationSpec,
    ChainSpec,
    ConvNetSpec,
    GainSpec,
    LinearSpec,
    LstmSpec,
    MixSpec,
    ModelSpec,
    NetworkSpec,
    NodeSpec,
    RateSpec,
    SlimmableSpec,
    WaveNetArraySpec,
    WaveNetSpec,
    Weights,
)

MAGIC = b"BUNRAKU\n"
FORMAT_VERSION = 1
HEADER = struct.Struct("<8sIIQd64s32s")
WORD_BYTES = 4


def write_flat(spec: ModelSpec) -> bytes:
    """The bytes of the flat file of `spec`. ModelFormatError where it is beyond the limits."""
    check_chain(spec.chain, 1)
    check_totals(spec.chain)
    check_rate("the sample rate in Hz", spec.sample_rate_hz)
    payload = chain_record(spec.chain)
    if len(payload) > limits.MAX_PAYLOAD_BYTES:
        refuse(
            "the size of the flat file",
            len(payload),
            f"allowed is up to {limits.MAX_PAYLOAD_BYTES:,} bytes",
            "use fewer or smaller models",
        )
    header = HEADER.pack(
        MAGIC,
        FORMAT_VERSION,
        zlib.crc32(payload),
        len(payload),
        spec.sample_rate_hz,
        packed_name(spec.name),
        b"",
    )
    return header + payload


def packed_name(name: str) -> bytes:
    """UTF-8, cut between characters to what the header holds."""
    raw = name.replace("\0", " ").encode(errors="replace")[: limits.MAX_NAME_BYTES]
    return raw.decode(errors="ignore").encode()


def check_rate(where: str, rate: float) -> None:
    check_range(where, rate, limits.MIN_SAMPLE_RATE_HZ, limits.MAX_SAMPLE_RATE_HZ)


def check_chain(chain: ChainSpec, depth: int, where: str = "the chain") -> None:
    """Limits of a chain and of all that is in it. `depth` counts records around each other."""
    if depth > limits.MAX_NESTING:
        refuse(f"{where}: the nesting", depth, f"allowed is {limits.MAX_NESTING}", "nest less")
    check_range(f"{where}: the number of effects", len(chain.nodes), 0, limits.MAX_CHAIN_NODES)
    for index, node in enumerate(chain.nodes):
        here = f"{where}[{index}]"
        match node:
            case GainSpec():
                check_range(
                    f"{here}: gain_db", node.gain_db, limits.MIN_GAIN_DB, limits.MAX_GAIN_DB
                )
            case MixSpec():
                check_range(f"{here}: wet", node.wet, 0.0, 1.0)
                check_chain(node.chain, depth + 2, here)
            case RateSpec():
                check_rate(f"{here}: the sample rate in Hz", node.sample_rate_hz)
                check_chain(node.chain, depth + 2, here)
            case _:
                check_network(node, here, depth + 1)
                channels = (in_channels(node), out_channels(node))
                if channels != (1, 1):
                    refuse(
                        f"{here}: (input, output) channels", channels, "in a chain must be (1, 1)"
                    )


def check_totals(chain: ChainSpec) -> None:
    """Limits of everything in a file together."""
    check_history(chain_history(chain), "the chain")
    changes = rate_changes(chain)
    if changes > limits.MAX_RATE_CHANGES:
        refuse(
            "the number of sample rate changes",
            changes,
            f"allowed are up to {limits.MAX_RATE_CHANGES}",
            "use models of one rate, or put those of another rate together",
        )


def rate_changes(chain: ChainSpec) -> int:
    """How many RateSpecs are in a chain, at any depth."""
    return sum(
        isinstance(node, RateSpec) + rate_changes(node.chain)
        for node in chain.nodes
        if isinstance(node, MixSpec | RateSpec)
    )


def chain_history(chain: ChainSpec) -> int:
    """What one voice of all networks of a chain remembers, in floats."""
    return sum(
        chain_history(node.chain) if isinstance(node, MixSpec | RateSpec) else history_floats(node)
        for node in chain.nodes
        if not isinstance(node, GainSpec)
    )


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def record(tag: str, body: bytes) -> bytes:
    return tag.encode() + words(len(body) // WORD_BYTES) + body


def floats(values: Weights | tuple[float, ...]) -> bytes:
    return words(len(values)) + np.asarray(values, dtype="<f4").tobytes()


def activation_body(spec: ActivationSpec) -> bytes:
    return words(spec.kind) + floats(spec.parameters)


def chain_record(chain: ChainSpec) -> bytes:
    return record(
        "CHAN", words(len(chain.nodes)) + b"".join(node_record(node) for node in chain.nodes)
    )


def node_record(node: NodeSpec) -> bytes:
    match node:
        case GainSpec():
            return record("GAIN", struct.pack("<f", node.gain_db))
        case MixSpec():
            return record("MIX ", struct.pack("<f", node.wet) + chain_record(node.chain))
        case RateSpec():
            return record("RATE", struct.pack("<f", node.sample_rate_hz) + chain_record(node.chain))
        case _:
            return network_record(node)


def network_record(spec: NetworkSpec) -> bytes:
    match spec:
        case WaveNetSpec():
            return record("WAVN", wavenet_body(spec))
        case LstmSpec():
            shape = words(spec.input_size, spec.hidden_size, spec.layer_count, spec.out_channels)
            return record("LSTM", shape + floats(spec.weights))
        case ConvNetSpec():
            shape = words(
                spec.in_channels,
                spec.out_channels,
                spec.channels,
                spec.groups,
                int(spec.batchnorm),
            )
            dilations = words(len(spec.dilations), *spec.dilations)
            activation = activation_body(spec.activation)
            return record("CNVN", shape + activation + dilations + floats(spec.weights))
        case LinearSpec():
            shape = words(spec.in_channels, spec.out_channels, spec.receptive_field, int(spec.bias))
            return record("LINR", shape + floats(spec.weights))
        case SlimmableSpec():
            sizes = zip(spec.max_values, spec.networks, strict=True)
            body = b"".join(struct.pack("<f", m) + network_record(n) for m, n in sizes)
            return record("SLIM", words(len(spec.networks)) + body)


def wavenet_body(spec: WaveNetSpec) -> bytes:
    parts = [words(spec.in_channels, int(spec.condition is not None))]
    if spec.condition is not None:
        parts.append(network_record(spec.condition))
    parts.append(words(len(spec.arrays)))
    parts += [array_body(array) for array in spec.arrays]
    parts.append(words(int(spec.post_head is not None)))
    if spec.post_head is not None:
        head = spec.post_head
        parts.append(words(head.channels, head.out_channels))
        parts.append(activation_body(head.activation))
        parts.append(words(len(head.kernel_sizes), *head.kernel_sizes))
    parts.append(floats(spec.weights))
    return b"".join(parts)


def array_body(array: WaveNetArraySpec) -> bytes:
    shape = words(
        array.input_size,
        array.condition_size,
        array.channels,
        array.bottleneck,
        array.groups_input,
        array.groups_input_mixin,
        int(array.layer1x1_active),
        array.layer1x1_groups,
        int(array.head1x1_active),
        array.head1x1_out_channels,
        array.head1x1_groups,
        array.head_out_channels,
        array.head_kernel_size,
        int(array.head_bias),
        array.head_dilation,
    )
    films = b"".join(words(int(f.active), int(f.shift), f.groups) for f in array.films)
    layers = b"".join(
        words(layer.kernel_size, layer.dilation, layer.gating)
        + activation_body(layer.activation)
        + activation_body(layer.secondary_activation)
        for layer in array.layers
    )
    return shape + films + words(len(array.layers)) + layers
