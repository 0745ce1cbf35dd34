"""Hostile `.nam` and flat files: refused in one clear line or played; bounded memory and time."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.flat import HEADER, write_flat
from bunraku.formats.flat_reader import parse_flat
from bunraku.formats.nam import parse_nam, read_nam
from bunraku.formats.nam_writer import write_nam
from bunraku.formats.specs import SlimmableSpec
from small_specs import ARRAY, as_model, layers, mono_networks, wavenet

FUZZ = Path(__file__).parent / "fuzz" / "nam_mutations.py"
NETWORKS = mono_networks()
Tree = dict[str, Any]


def tree(name: str = "two arrays") -> Tree:
    """A small valid file as JSON."""
    loaded: Tree = json.loads(write_nam(as_model(NETWORKS[name])))
    return loaded


def read(value: Tree | str | bytes) -> Any:
    data = json.dumps(value) if isinstance(value, dict) else value
    return parse_nam(data.encode() if isinstance(data, str) else data)


def refused(value: Tree | str | bytes) -> str:
    """The one line with which `value` is refused."""
    with pytest.raises(ModelFormatError) as caught:
        read(value)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


@pytest.mark.parametrize("version", ["0.5.0", "0.5.4", "0.6.0", "0.7.0", "0.7.12"])
def test_versions_that_are_read(version: str) -> None:
    assert read(tree() | {"version": version})


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ("0.4.9", "export it again from a newer trainer"),
        ("0.8.0", "update bunraku"),
        ("1.0.0", "update bunraku"),
        ("1.5.0", "update bunraku"),
        ("0.5", "export the model again"),
        ("0.5.0-beta", "export the model again"),
        ("٠.٥.٠", "export the model again"),
        ("0.5.0\n", "export the model again"),
        (0.5, "must be text"),
        (None, "version is missing"),
    ],
)
def test_versions_that_are_refused(version: Any, remedy: str) -> None:
    message = refused(tree() | {"version": version})
    assert message.startswith("version ")
    assert remedy in message


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("architecture", "Transformer", "architecture is 'Transformer': known are WaveNet, LSTM"),
        ("sample_rate", 44_100_000, "sample_rate is 44100000.0: allowed is 8,000.0 to 384,000.0"),
        ("sample_rate", True, "sample_rate is True: must be a number"),
        ("weights", [0.5], "the number of weights is 1: this shape needs"),
        ("weights.3", "1", "weights[3] is '1': must be a number"),
        ("weights.3", True, "weights[3] is True: must be a number"),
        ("weights.3", 1e39, "weights[3] is inf: must be a finite float32"),
        ("weights", {}, "weights is an object: must be a list"),
        ("config", [], "config is a list: must be an object"),
        ("config.layers", [], "the length of config.layers is 0: allowed is 1 to 16"),
        ("config.layers.0.channels", 0, "layers[0].channels is 0: allowed is 1 to 256"),
        ("config.layers.0.channels", 257, "layers[0].channels is 257: allowed is 1 to 256"),
        ("config.layers.0.channels", True, "config.layers[0].channels is True: must be a whole"),
        ("config.layers.0.channels", 2.5, "config.layers[0].channels is 2.5: must be a whole"),
        ("config.layers.0.channels", 10**30, "must fit in 32 bits"),
        ("config.layers.0.channels", None, "config.layers[0].channels is missing"),
        ("config.layers.0.dilations.1", 65_537, "dilations[1] is 65537: allowed is 1 to 65,536"),
        ("config.layers.0.dilations", [1] * 257, "dilations is 257: allowed is 1 to 256"),
        ("config.layers.0.kernel_size", 257, "allowed is 1 to 256"),
        ("config.layers.0.kernel_sizes", [3, 3], "cannot be beside kernel_sizes"),
        ("config.layers.0.activation", "Sine", "activation.type is 'Sine': known are Tanh"),
        ("config.layers.0.activation", ["Tanh"], "activation is 1: must be 2, as dilations"),
        ("config.layers.0.gating_mode", "both", "gating_mode is 'both': known are none, gated"),
        ("config.layers.0.gated", 1, "config.layers[0].gated is 1: must be true or false"),
        ("config.layers.0.groups_input", 3, "must divide its 4 input channels"),
        ("config.layers.0.condition_size", 2, "must be 1, the channels of the conditioning"),
        ("config.layers.1.input_size", 3, "input_size is 3: must be 4, what comes before it"),
        ("config.layers.0.head_size", 3, "both must be 3, the head size of the array before"),
        ("config.layers.0.layer1x1", {"active": False, "groups": 1}, "the number of weights"),
        ("config.layers.0.conv_pre_film", {"groups": 3}, "must divide its 1 input channels"),
        ("config.layers.0.head1x1_post_film", {}, "cannot be where head1x1 is not active"),
        ("config.layers.0.slimmable", {"method": "prune"}, "method is 'prune': known is slice"),
        ("config.head", {}, "config.head.channels is missing"),
        ("config.in_channels", 2, "condition_size is 1: must be 2, the channels of the"),
        ("metadata", [], "metadata is a list: must be an object"),
        ("metadata.loudness", "loud", "metadata.loudness is 'loud': must be a number"),
    ],
)
def test_wrong_values_are_named(path: str, value: Any, message: str) -> None:
    loaded = tree()
    place: Any = loaded
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        place = place[key]
    place[last] = value
    assert message in refused(loaded)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "the top of the file is a list: must be a JSON object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"a": NaN}', "must be finite"),
        (b'{"a": -Infinity}', "must be finite"),
        (b'{"a": ' + b"9" * 5000 + b"}", "up to 40 digits"),
        (b'{"version": "0.5.0", "version": "0.5.1"}', "'version': must occur once"),
        (b'{"a":' * 1000, "the depth of the JSON is 65: allowed is 64"),
        (b"[" * 1_000_000, "the depth of the JSON is 65: allowed is 64"),
        (b'{"a": [' + b"[]," * 200_000, "allowed is 100,000"),
        (b'"\\' * 2_000_000, "not valid JSON"),
        (b" " * (limits.MAX_NAM_BYTES + 1), "the file size is 33554433: allowed is up to"),
    ],
    ids=lambda value: repr(value[:12]) if isinstance(value, bytes) else "",
)
def test_what_is_not_decent_json_is_refused(text: bytes, message: str) -> None:
    assert message in refused(text)


def test_a_bomb_of_small_words_is_refused() -> None:
    """Shapes within each limit whose whole is not: reach, history, weights."""
    long = tree()
    long["config"]["layers"][0]["dilations"] = [65_536] * 200
    assert "the number of weights" in refused(long)
    far = wavenet(layers_of(65_536, 9, 3))
    assert "the receptive field is 1179649: allowed is 1 to 1,048,576" in refused_network(far)
    wide = wavenet(layers_of(65_536, 6, 3, channels=32))
    assert "what a voice remembers" in refused_network(wide)


def layers_of(dilation: int, count: int, kernel_size: int, channels: int = 4) -> Any:
    from dataclasses import replace

    return replace(
        ARRAY,
        channels=channels,
        bottleneck=channels,
        layers=layers((dilation,) * count, kernel_size),
    )


def refused_network(network: Any) -> str:
    with pytest.raises(ModelFormatError) as caught:
        write_flat(as_model(network))
    return str(caught.value)


def test_nested_models_end() -> None:
    inner = tree("lstm")
    for _ in range(12):
        inner = {
            "version": "0.7.0",
            "architecture": "SlimmableContainer",
            "config": {"submodels": [{"max_value": 1.0, "model": inner}]},
            "weights": [],
        }
    assert "the nesting of models is 9: allowed is 8" in refused(inner)


def test_slimming_is_bounded_and_sorted() -> None:
    slim = tree()
    layer = slim["config"]["layers"][1]
    for allowed in ([], [2, 1], [1, 1, 2], [0, 2], [1], [1, 3]):
        layer["slimmable"] = {
            "method": "slice_channels_uniform",
            "kwargs": {"allowed_channels": allowed},
        }
        if allowed:
            assert "must ascend from 1 or more to channels (2)" in refused(slim)
        else:
            assert not isinstance(read(slim).chain.nodes[0], SlimmableSpec)


def test_containers_are_checked() -> None:
    container = tree("slimmable")
    submodels = container["config"]["submodels"]
    submodels[1]["max_value"] = 0.5
    assert "must be a finite float32 and ascending" in refused(container)
    submodels[1]["max_value"] = 1e39
    assert "must be a finite float32 and ascending" in refused(container)
    submodels[1]["max_value"] = 0.9
    assert "the last max_value is 0.9: must be 1 or more" in refused(container)
    submodels[1]["max_value"] = 1.0
    submodels[1]["model"]["sample_rate"] = 44_100
    assert "must be 48000.0, as of the model around it" in refused(container)


def test_batch_norm_must_not_divide_by_zero() -> None:
    loaded = tree("convnet batchnorm")
    loaded["weights"] = [-0.5] * len(loaded["weights"])
    assert "variance + epsilon of batch norm 0 is -1.0: must be above zero" in refused(loaded)


def test_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.nam"
    path.write_bytes(b"{}")
    with pytest.raises(ModelFormatError, match=r"bad\.nam: version is missing"):
        read_nam(path)


def test_metadata_cannot_write_to_the_terminal() -> None:
    loaded = tree()
    loaded["metadata"] = {"name": "\x1b[31mred\n" + "x" * 1000, "date": {"year": 2024}}
    name = read(loaded).name
    assert name.isprintable()
    assert len(name) <= 200
    assert len(write_flat(read(loaded))) > HEADER.size


# ---- flat files ----------------------------------------------------------------------------------


def resealed(payload: bytes, **changes: Any) -> bytes:
    fields = {
        "magic": b"BUNRAKU\n",
        "version": 1,
        "crc": zlib.crc32(payload),
        "size": len(payload),
        "rate": 48_000.0,
        "name": b"x",
        "zeros": b"",
    } | changes
    return HEADER.pack(*fields.values()) + payload


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": b"BUNRAKI\n"}, "not a flat model file"),
        ({"version": 2}, "version is 2: read is 1; update bunraku"),
        ({"crc": 1}, "checksum"),
        ({"size": 4}, "payload size is 4"),
        ({"size": 1 << 60}, "payload size"),
        ({"rate": float("nan")}, "sample rate"),
        ({"rate": 7_999.0}, "sample rate"),
        ({"name": b"\xff"}, "UTF-8"),
        ({"name": b"x" * 64}, "zeros"),
        ({"name": b"x\0y"}, "zeros"),
        ({"zeros": b"\0\1"}, "zeros"),
    ],
)
def test_damaged_flat_headers_are_refused(changes: dict[str, Any], message: str) -> None:
    payload = write_flat(as_model(NETWORKS["gated"]))[HEADER.size :]
    assert parse_flat(resealed(payload))
    with pytest.raises(ModelFormatError, match=message):
        parse_flat(resealed(payload, **changes))


def test_every_cut_and_every_wrong_word_of_a_flat_file_is_survived() -> None:
    flat = write_flat(as_model(NETWORKS["condition lstm"]))
    payload = flat[HEADER.size :]
    for size in range(0, len(payload), 4):
        with pytest.raises(ModelFormatError):
            parse_flat(resealed(payload[:size]))
    for at in range(0, min(len(payload), 1200), 4):
        for word in (0, 1, 3, 0x7FC00000, 0xFFFFFFFF):
            changed = payload[:at] + struct.pack("<I", word) + payload[at + 4 :]
            with contextlib.suppress(ModelFormatError):
                parse_flat(resealed(changed))


# ---- many ----------------------------------------------------------------------------------------


def test_thousands_of_mutants_in_bounded_memory_and_time() -> None:
    """In a process of its own, whose memory the script limits; a defect exits with its trace."""
    command = [sys.executable, "-W", "error", str(FUZZ), "--count", "4000", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout
    assert "played" in done.stdout or "written" in done.stdout


def test_a_real_size_of_weights_costs_little() -> None:
    from tracemalloc import get_traced_memory, start, stop

    data = write_nam(as_model(wavenet(layers_of(1, 40, 3, channels=32))))
    start()
    assert np.isfinite(parse_nam(data).chain.nodes[0].weights).all()
    peak = get_traced_memory()[1]
    stop()
    assert peak < 20 * len(data)
