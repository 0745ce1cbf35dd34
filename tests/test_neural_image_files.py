"""Model files from strangers: what is read, what is refused and in which words."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import neural_models as onnx
import numpy as np
import pytest
from bunraku.effects.video.neural_model import ModelFacts, onnx_facts
from bunraku.errors import BunrakuError, ModelFormatError
from bunraku.formats.onnx_facts import MAX_FILE_BYTES, facts_of
from bunraku.formats.safetensors_file import read_safetensors, tensors_of, write_safetensors
from bunraku.weights import looks


def facts(folder: Path, data: bytes, values: str = "auto") -> ModelFacts:
    return onnx_facts(Path(onnx.written(folder, data)), values)


def one_input_graph(nodes: list[bytes], tensors: list[bytes]) -> bytes:
    given, made = onnx.value_info("x", onnx.FREE), onnx.value_info("y", onnx.FREE)
    return onnx.graph(nodes, tensors, [given], [made])


def with_node(**fields: object) -> bytes:
    node = onnx.node(**{"operator": "Neg", "inputs": ["x"], "outputs": ["y"], **fields})  # type: ignore[arg-type]
    return onnx.model(one_input_graph([node], []))


def with_tensor(tensor: bytes) -> bytes:
    return onnx.model(one_input_graph([onnx.node("Add", ["x", "w"], ["y"])], [tensor]))


def two_inputs() -> bytes:
    values = [onnx.value_info(name, onnx.FREE) for name in "xzy"]
    return onnx.model(onnx.graph([onnx.node("Add", ["x", "z"], ["y"])], [], values[:2], values[2:]))


EXTERNAL = onnx.number(1, 4) + onnx.number(2, 1) + onnx.block(8, "w") + onnx.number(14, 1)
LOCATION = onnx.block(13, onnx.block(1, "location") + onnx.block(2, "/etc/passwd"))
HUGE = onnx.number(1, 1 << 40) + onnx.number(2, 1) + onnx.block(8, "w")
HOSTILE = {
    "empty": (b"", "no ONNX model"),
    "text": (b"<html>not a model</html>", "protocol buffer|cut off"),
    "two inputs": (two_inputs(), "2 inputs and 1 outputs"),
    "one channel": (onnx.one_node(shape=(1, 1, "h", "w")), r"\[1, 1, None, None\]"),
    "batch of four": (onnx.one_node(shape=(4, 3, "h", "w")), r"\[4, 3"),
    "flat": (onnx.one_node(shape=(1, 3)), r"\[1, 3\]: \[1, 3, height, width\]"),
    "int64": (onnx.one_node(element=onnx.INT64), "takes int64"),
    "one side free": (onnx.one_node(shape=(1, 3, 64, "w")), "one side"),
    "tiny": (onnx.one_node(shape=(1, 3, 8, 8)), "8x8: 16 to 2048"),
    "giant": (onnx.one_node(shape=(1, 3, 4096, 4096)), "4096x4096"),
    "shrinks": (onnx.one_node(shape=(1, 3, 64, 64), out_shape=(1, 3, 32, 32)), "32x32 for 64x64"),
    "odd multiple": (onnx.one_node(shape=(1, 3, 64, 64), out_shape=(1, 3, 96, 96)), "96x96"),
    "external": (with_tensor(EXTERNAL), "another file"),
    "external path": (with_tensor(onnx.number(1, 4) + LOCATION), "another file"),
    "external constant": (
        with_node(attributes=onnx.block(5, onnx.block(1, "value") + onnx.block(5, EXTERNAL))),
        "another file",
    ),
    "huge tensor": (with_tensor(HUGE), "elements: up to"),
    "negative tensor": (with_tensor(onnx.number(1, -4) + onnx.number(2, 1)), "size -4"),
    "many ranks": (with_tensor(onnx.number(1, 1) * 9), "rank 9"),
    "custom operator": (with_node(domain="evil.ops"), "operators of 'evil.ops'"),
    "custom opset": (
        onnx.model(
            one_input_graph([onnx.node("Neg", ["x"], ["y"])], []),
            onnx.block(8, onnx.block(1, "ai.example") + onnx.number(2, 1)),
        ),
        "'ai.example'",
    ),
    "functions": (
        onnx.model(one_input_graph([onnx.node("Neg", ["x"], ["y"])], []), onnx.block(25, b"")),
        "functions of its own",
    ),
    "loop": (with_node(operator="Loop"), "holds Loop"),
    "subgraph": (with_node(attributes=onnx.graph_attribute("body")), "holds a graph"),
    "two graphs": (onnx.one_node() + onnx.block(7, b""), "one graph"),
    "bad range": (onnx.one_node(values="-9..9"), "values are '-9..9'"),
    "bad multiple": (onnx.one_node(multiple="0"), "multiple is '0'"),
    "uint8 range": (onnx.one_node(element=onnx.UINT8, values="0..1"), "uint8: 0..255"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_onnx_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(ModelFormatError, match=reason) as caught:
        facts(tmp_path, data)
    assert str(caught.value).startswith("model.onnx: ")
    assert "\n" not in str(caught.value)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ModelFormatError, match=r"large\.onnx: 268,435,457 bytes"):
        onnx_facts(path, "auto")


def test_many_nodes_are_refused() -> None:
    node = onnx.node("Neg", ["x"], ["y"])
    with pytest.raises(ModelFormatError, match="20,000 operators"):
        facts_of(onnx.model(onnx.block(1, node) * 20_001))


def test_damaged_files_end_in_our_error_soon() -> None:
    whole = looks.find("watercolour").read_bytes()
    dice, started = random.Random(5), time.process_time()
    for _ in range(300):
        data = bytearray(whole[: dice.randrange(len(whole))] if dice.random() < 0.5 else whole)
        for _ in range(dice.randrange(1, 30)):
            if data:
                data[dice.randrange(min(len(data), 4000))] = dice.randrange(256)
        try:
            facts_of(bytes(data))
        except BunrakuError:
            continue
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_what_only_the_runtime_sees_is_our_error_too(tmp_path: Path, name: str) -> None:
    pytest.importorskip(name)
    pytest.importorskip("cv2")
    from bunraku.effects.video.video_effect import make_effect

    for index, data in enumerate(
        (with_node(operator="NoSuchThing"), with_node(inputs=["nowhere"]))
    ):
        effect = make_effect(
            "neural", file=onnx.written(tmp_path, data, f"{index}.onnx"), backend=name
        )
        with pytest.raises(
            ModelFormatError, match=f"refused by {'OpenVINO' if name == 'openvino' else name}"
        ):
            effect.open()


def test_memory_that_layers_would_take_is_refused_before_they_run(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    import struct

    from bunraku.effects.video.video_effect import make_effect

    scales = onnx.tensor("s", (4,), struct.pack("<4f", 1, 1, 200, 200))
    back = onnx.tensor("b", (4,), struct.pack("<4f", 1, 1, 0.005, 0.005))
    nodes = [onnx.node("Resize", ["x", "", "s"], ["m"]), onnx.node("Resize", ["m", "", "b"], ["y"])]
    file = onnx.written(tmp_path, onnx.model(one_input_graph(nodes, [scales, back])))
    with pytest.raises(ModelFormatError, match="its layers give"):
        make_effect("neural", file=file, backend="openvino").open()


def test_the_bundled_look_is_read() -> None:
    read = onnx_facts(looks.find("watercolour"), "auto")
    assert (read.values, read.multiple, read.fixed) == ("-1..1", 8, None)
    assert len(read.data) < 2_000_000
    for path in looks.FOLDER.glob("watercolour.*"):
        assert b"site-packages" not in path.read_bytes(), "the exporter's paths are in the file"


# ---- safetensors ---------------------------------------------------------------------------------


def safetensors(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + payload


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_safetensors_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(1, np.float32)}
    write_safetensors(path, tensors, {"a": "b"})
    read, metadata = read_safetensors(path)
    assert metadata == {"a": "b"}
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)


def test_narrow_types_are_widened() -> None:
    half = np.array([1.5, -2], "<f2").tobytes()
    brain = (np.array([1.5, -2], np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"h": entry("F16", [2], 0, 4), "b": entry("BF16", [2], 4, 8)}
    read, _ = tensors_of(safetensors(header, half + brain))
    assert read["h"].tolist() == read["b"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no safetensors"),
        (b"\xff" * 64, "no safetensors"),
        (safetensors(b"[1]"), "must be a JSON object"),
        (safetensors({"w": entry("F64", [1], 0, 8)}, bytes(8)), "F32, F16, BF16 are read"),
        (safetensors({"w": entry("F32", [4], 0, 16)}, bytes(8)), "outside the file"),
        (safetensors({"w": entry("F32", [1 << 30, 1 << 30], 0, 8)}, bytes(8)), "8 bytes, not"),
        (safetensors({"w": entry("F32", [-1], 0, 4)}, bytes(8)), "out of bounds"),
        (safetensors({"w": entry("F32", [1], 6, 2)}, bytes(8)), "outside the file"),
        (safetensors({"w": 7}), "must be an object"),
    ],
)
def test_hostile_safetensors_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        tensors_of(data)
