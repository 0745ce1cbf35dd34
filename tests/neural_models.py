"""Small ONNX files, written byte by byte: tests need no package for what they feed to readers."""

from __future__ import annotations

from pathlib import Path

FLOAT, UINT8, INT64 = 1, 2, 7
FREE = (1, 3, "height", "width")
Shape = tuple[int | str, ...]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def value_info(name: str, shape: Shape, element: int = FLOAT) -> bytes:
    dims = b"".join(block(1, number(1, d) if isinstance(d, int) else block(2, d)) for d in shape)
    return block(1, name) + block(2, block(1, number(1, element) + block(2, dims)))


def node(
    operator: str, inputs: list[str], outputs: list[str], domain: str = "", attributes: bytes = b""
) -> bytes:
    """attributes: `integer_attribute` and the like, joined."""
    names = b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs)
    return names + block(4, operator) + (block(7, domain) if domain else b"") + attributes


def integer_attribute(name: str, value: int) -> bytes:
    return block(5, block(1, name) + number(3, value) + number(20, 2))


def graph_attribute(name: str) -> bytes:
    return block(5, block(1, name) + block(6, b"") + number(20, 5))


def tensor(name: str, dims: tuple[int, ...], raw: bytes, element: int = FLOAT) -> bytes:
    sizes = b"".join(number(1, d) for d in dims)
    return sizes + number(2, element) + block(8, name) + block(9, raw)


def graph(
    nodes: list[bytes], tensors: list[bytes], inputs: list[bytes], outputs: list[bytes]
) -> bytes:
    return (
        b"".join(block(1, n) for n in nodes)
        + block(2, "graph")
        + b"".join(block(5, t) for t in tensors)
        + b"".join(block(11, i) for i in inputs)
        + b"".join(block(12, o) for o in outputs)
    )


def model(content: bytes, extra: bytes = b"", **metadata: str) -> bytes:
    notes = b"".join(block(14, block(1, k) + block(2, v)) for k, v in metadata.items())
    return number(1, 8) + block(8, number(2, 17)) + block(7, content) + notes + extra


def one_node(
    operator: str = "Neg",
    shape: Shape = FREE,
    out_shape: Shape | None = None,
    element: int = FLOAT,
    **metadata: str,
) -> bytes:
    """Input x, one operator, output y. Neg on -1..1 is the negative of the picture."""
    given, made = value_info("x", shape, element), value_info("y", out_shape or shape, element)
    return model(graph([node(operator, ["x"], ["y"])], [], [given], [made]), **metadata)


def doubling() -> bytes:
    """Nearest-neighbour enlargement by two: the values go through as they are."""
    import struct

    scales = tensor("scales", (4,), struct.pack("<4f", 1, 1, 2, 2))
    out = ("n", "c", "h", "w")
    nodes = [node("Resize", ["x", "", "scales"], ["y"])]
    return model(graph(nodes, [scales], [value_info("x", FREE)], [value_info("y", out)]))


def written(folder: Path, data: bytes, name: str = "model.onnx") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)
