"""What an ONNX file says of itself, read and checked before a runtime gets to see it.

Field numbers are those of onnx.proto (ONNX, Apache-2.0). Refused: data in other files, operators
and functions that are not ONNX's own, control flow, and sizes out of bounds. The runtime checks
the rest; what a network computes, and for how long, no check of the file can bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bunraku.errors import ModelFormatError
from bunraku.formats.protobuf_wire import fields, signed, text, varint, view

MAX_FILE_BYTES = 256 << 20
MAX_NODES = 20_000
MAX_TENSOR_ELEMENTS = 1 << 26
MAX_RANK = 8
OWN_DOMAINS = ("", "ai.onnx")
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
ELEMENT_TYPES = {1: "float32", 2: "uint8", 3: "int8", 7: "int64", 10: "float16", 16: "bfloat16"}
MODEL_GRAPH, MODEL_OPSET, MODEL_METADATA, MODEL_FUNCTIONS = 7, 8, 14, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE = 1, 5, 11, 12, 15
NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS = 5, 10
ATTRIBUTE_FORBIDDEN = {6: "a graph", 11: "graphs", 22: "a sparse tensor", 23: "sparse tensors"}
TENSOR_DIMS, TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION = 1, 8, 13, 14


@dataclass(frozen=True)
class TensorFacts:
    """shape: None where the file leaves a dimension open."""

    name: str
    element_type: str
    shape: tuple[int | None, ...]


@dataclass
class OnnxFacts:
    """inputs: those that a caller gives, without the weights."""

    inputs: list[TensorFacts] = field(default_factory=list)
    outputs: list[TensorFacts] = field(default_factory=list)
    operators: set[str] = field(default_factory=set)
    metadata: dict[str, str] = field(default_factory=dict)


def read_onnx(path: Path) -> tuple[bytes, OnnxFacts]:
    """The file's bytes and facts. Raises ModelFormatError, naming the file, for what is refused."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelFormatError(f"{size:,} bytes: allowed is up to {MAX_FILE_BYTES:,}")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        return data, facts_of(data)
    except OSError as error:
        raise ModelFormatError(f"{path.name} cannot be read: {error.strerror}") from None
    except ModelFormatError as error:
        raise ModelFormatError(f"{path.name}: {error}") from None


def facts_of(data: bytes) -> OnnxFacts:
    facts, graphs = OnnxFacts(), 0
    for number, value in fields(memoryview(data)):
        if number == MODEL_GRAPH:
            graphs += 1
            read_graph(view(value), facts)
        elif number == MODEL_METADATA:
            pair = {key: text(part) for key, part in fields(view(value))}
            facts.metadata[pair.get(1, "")] = pair.get(2, "")
        elif number == MODEL_FUNCTIONS:
            raise ModelFormatError("it holds functions of its own: export it with them inlined")
        elif number == MODEL_OPSET:
            check_domain("".join(text(part) for key, part in fields(view(value)) if key == 1))
    if graphs != 1:
        raise ModelFormatError("this is no ONNX model: give an .onnx file with one graph")
    return facts


def read_graph(graph: memoryview, facts: OnnxFacts) -> None:
    weights, nodes, inputs = set(), 0, []
    for number, value in fields(graph):
        if number == GRAPH_NODE:
            nodes += 1
            if nodes > MAX_NODES:
                raise ModelFormatError(f"it has more than {MAX_NODES:,} operators")
            read_node(view(value), facts)
        elif number == GRAPH_INITIALIZER:
            weights.add(check_tensor(view(value)))
        elif number == GRAPH_SPARSE:
            raise ModelFormatError("it holds sparse tensors: export it with dense ones")
        elif number == GRAPH_INPUT:
            inputs.append(read_value(view(value)))
        elif number == GRAPH_OUTPUT:
            facts.outputs.append(read_value(view(value)))
    facts.inputs = [tensor for tensor in inputs if tensor.name not in weights]


def read_node(node: memoryview, facts: OnnxFacts) -> None:
    operator, attributes = "", []
    for number, value in fields(node):
        if number == NODE_OPERATOR:
            operator = text(value, 100)
        elif number == NODE_DOMAIN:
            check_domain(text(value, 100))
        elif number == NODE_ATTRIBUTE:
            attributes.append(view(value))
    if operator in CONTROL_FLOW:
        raise ModelFormatError(f"it holds {operator}: only networks without control flow are read")
    facts.operators.add(operator)
    for attribute in attributes:
        for number, value in fields(attribute):
            if number in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                check_tensor(view(value))
            elif number in ATTRIBUTE_FORBIDDEN:
                raise ModelFormatError(f"{operator} holds {ATTRIBUTE_FORBIDDEN[number]}")


def check_domain(domain: str) -> None:
    if domain not in OWN_DOMAINS:
        raise ModelFormatError(f"it needs operators of '{domain:.60}': only ONNX's own are read")


def check_tensor(tensor: memoryview) -> str:
    """The tensor's name. Refuses data in other files and sizes out of bounds."""
    name, elements, rank = "", 1, 0
    for number, value in fields(tensor):
        if number == TENSOR_NAME:
            name = text(value)
        elif number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and value != 0):
            raise ModelFormatError("its weights lie in another file: export it as one file")
        elif number == TENSOR_DIMS:
            for size in repeated_ints(value):
                rank += 1
                if size < 0 or rank > MAX_RANK:
                    raise ModelFormatError(f"a tensor has size {size}, rank {rank}: out of bounds")
                elements *= size
                if elements > MAX_TENSOR_ELEMENTS:
                    raise ModelFormatError(
                        f"a tensor has {elements:,} elements: up to {MAX_TENSOR_ELEMENTS:,} allowed"
                    )
    return name


def repeated_ints(value: int | memoryview) -> Iterator[int]:
    """Packed or not: both are valid."""
    if isinstance(value, int):
        yield signed(value)
        return
    at = 0
    while at < len(value):
        number, at = varint(value, at)
        yield signed(number)


def read_value(value: memoryview) -> TensorFacts:
    """A ValueInfoProto: name 1, type 2 { tensor 1 { element 1, shape 2 { dim 1 } } }."""
    name, element, shape = "", 0, []
    for number, part in fields(value):
        if number == 1:
            name = text(part)
        elif number == 2:
            for _, tensor in (pair for pair in fields(view(part)) if pair[0] == 1):
                for key, inner in fields(view(tensor)):
                    if key == 1:
                        element = signed(inner)
                    elif key == 2:
                        shape = [
                            open_or_size(view(dim)) for n, dim in fields(view(inner)) if n == 1
                        ]
    return TensorFacts(name, ELEMENT_TYPES.get(element, f"type {element}"), tuple(shape[:MAX_RANK]))


def open_or_size(dimension: memoryview) -> int | None:
    for number, value in fields(dimension):
        if number == 1:
            size = signed(value)
            return size if size > 0 else None
    return None
