"""A trained look as files: ONNX for CPUs, safetensors for PyTorch."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import torch

from bunraku.errors import MissingDependencyError
from bunraku.models.generator_file import VALUES, generator_metadata, save_generator
from bunraku.models.image_generator import SIDE_MULTIPLE, ImageGenerator

OPSET = 18
EXAMPLE_PX = 64


def export_look(model: ImageGenerator, folder: Path, name: str, **notes: str) -> tuple[Path, Path]:
    """Write NAME.onnx and NAME.safetensors, with `notes` in their metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx, safetensors = folder / f"{name}.onnx", folder / f"{name}.safetensors"
    onnx.write_bytes(onnx_bytes(model, **notes))
    save_generator(safetensors, model, **notes)
    return onnx, safetensors


def onnx_bytes(model: ImageGenerator, **notes: str) -> bytes:
    """The model in ONNX, height and width free. Raises MissingDependencyError without the exporter.

    Names of modules and paths of this machine, which the exporter puts into the file, are taken
    out of it.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"the export to ONNX needs '{package}': pip install 'bunraku[train]'"
            )
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(1, 3, EXAMPLE_PX, EXAMPLE_PX),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["look"],
            dynamic_shapes=({2: free, 3: free},),
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    graph = proto.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
    graph.ClearField("value_info")
    proto.ClearField("metadata_props")
    metadata = {**generator_metadata(model), "multiple": str(2 * SIDE_MULTIPLE), **notes}
    for key, value in sorted({**metadata, "values": VALUES}.items()):
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    return bytes(proto.SerializeToString(deterministic=True))
