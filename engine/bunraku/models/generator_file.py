"""Image generators in safetensors files: the metadata names the architecture and its shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from bunraku.errors import ModelFormatError
from bunraku.formats.bounded_json import parse
from bunraku.formats.safetensors_file import read_safetensors, write_safetensors
from bunraku.models.image_generator import ARCHITECTURE, ImageGenerator, ImageGeneratorConfig

VALUES = "-1..1"
"""What goes into and comes out of every image generator here."""


def save_generator(path: Path, model: ImageGenerator, **notes: str) -> None:
    """Write the model; `notes` go into the metadata."""
    tensors = {name: value.detach().float().numpy() for name, value in model.state_dict().items()}
    write_safetensors(path, tensors, {**generator_metadata(model), **notes})


def generator_metadata(model: ImageGenerator) -> dict[str, str]:
    return {
        "architecture": ARCHITECTURE,
        "config": json.dumps(model.config.to_json(), sort_keys=True),
        "values": VALUES,
    }


def load_generator(path: Path) -> ImageGenerator:
    """The model of a file by `save_generator`, ready to play.

    Raises ModelFormatError for another architecture, a shape out of bounds, weights that do not
    belong to that shape or are not finite.
    """
    tensors, metadata = read_safetensors(path)
    architecture = metadata.get("architecture", "")
    if architecture != ARCHITECTURE:
        raise ModelFormatError(
            f"{path.name} holds '{architecture:.60}' by its metadata: '{ARCHITECTURE}' is read; "
            "give other networks as .onnx"
        )
    fields: dict[str, Any] = parse(metadata.get("config", "{}").encode()).values
    with torch.device("meta"):
        model = ImageGenerator(ImageGeneratorConfig.from_json(fields))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given = {name: value.shape for name, value in tensors.items()}
    if wanted != given:
        wrong = sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))
        raise ModelFormatError(
            f"{path.name}: {wrong[0]:.60} is {given.get(wrong[0])}, "
            f"{wanted.get(wrong[0])} belongs to its shape: export it again"
        )
    weights = {name: torch.from_numpy(value) for name, value in tensors.items()}
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise ModelFormatError(f"{path.name} holds weights that are not finite: train it again")
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)
