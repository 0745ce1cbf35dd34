"""A chain preset: a TOML file that puts effects and models one after the other.

    name = "Radio"

    [[effect]]
    type = "gain"
    gain_db = 6.0

    [[effect]]
    type = "mix"
    wet = 0.5

        [[effect.effect]]
        type = "model"
        file = "amp.nam"       # beside the preset: a .nam, a .bnk or another preset

`docs/nam.md` lists all keys. Paths are relative to the preset's folder and stay within it.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bunraku.errors import ModelFormatError
from bunraku.formats.bounded_toml import checked_toml, shape_module
from bunraku.formats.check import refuse
from bunraku.formats.flat import check_chain
from bunraku.formats.specs import (
    ChainSpec,
    GainSpec,
    MixSpec,
    ModelSpec,
    NodeSpec,
    RateSpec,
    SlimmableSpec,
)

if TYPE_CHECKING:
    from bunraku.formats.preset_shape import Effect, ModelEffect, Preset

DEFAULT_SAMPLE_RATE_HZ = 48_000.0

ReadModel = Callable[[Path], ModelSpec]


def parse_preset(data: bytes, path: Path, read_model: ReadModel) -> ModelSpec:
    """Read the bytes of a preset that lies at `path`; `read_model` reads the files it names.

    Its rate is `sample_rate_hz`, else that of its first model, else 48 kHz; models of another rate
    are resampled. Raises ModelFormatError (damaged, hostile, a file missing), OSError.
    """
    preset = checked_preset(data)
    models = {
        effect.file: read_model(path_beside(path, effect.file))
        for effect in model_effects(preset.effect)
    }
    rate = preset.sample_rate_hz
    if rate is None:
        first = next((spec.sample_rate_hz for spec in models.values()), DEFAULT_SAMPLE_RATE_HZ)
        rate = first
    chain = build_chain(preset.effect, rate, models)
    check_chain(chain, 1, "effect")
    return ModelSpec(chain, rate, preset.name or path.stem)


def checked_preset(data: bytes) -> Preset:
    shape = shape_module("bunraku.formats.preset_shape")
    preset: Preset = checked_toml(data, shape.Preset)
    return preset


def model_effects(effects: Iterable[Effect]) -> Iterable[ModelEffect]:
    """Every effect that names a file, in order of appearance."""
    for effect in effects:
        if effect.type == "model":
            yield effect
        elif effect.type != "gain":
            yield from model_effects(effect.effect)


def path_beside(preset: Path, file: str) -> Path:
    """The path that `file` of a preset means. ModelFormatError where it leaves the folder."""
    relative = os.path.normpath(file.replace("\\", "/"))
    first = relative.split("/")[0]
    if "\0" in file or os.path.isabs(relative) or ":" in first or first == "..":
        refuse(
            "file",
            file,
            "must be a relative path within the preset's folder",
            "put the model beside the preset or below it",
        )
    path = preset.parent / relative
    if not path.is_file():
        raise ModelFormatError(
            f"file is '{file}', which is not beside {preset.name}: no file {path}; "
            "put it there or correct the preset"
        )
    return path


def build_chain(effects: Iterable[Effect], rate: float, models: dict[str, ModelSpec]) -> ChainSpec:
    """The effects as nodes of a chain that runs at `rate`."""
    nodes: list[NodeSpec] = []
    for effect in effects:
        match effect.type:
            case "gain":
                nodes.append(GainSpec(effect.gain_db))
            case "mix":
                nodes.append(MixSpec(effect.wet, build_chain(effect.effect, rate, models)))
            case "rate":
                inner = build_chain(effect.effect, effect.sample_rate_hz, models)
                nodes.append(RateSpec(effect.sample_rate_hz, inner))
            case "model":
                nodes += model_nodes(models[effect.file], rate, effect.size)
    return ChainSpec(tuple(nodes))


def model_nodes(model: ModelSpec, rate: float, size: float | None) -> tuple[NodeSpec, ...]:
    """A model's nodes, behind a change of rate where it has another one."""
    chain = model.chain if size is None else of_size(model.chain, size)
    if model.sample_rate_hz == rate:
        return chain.nodes
    return (RateSpec(model.sample_rate_hz, chain),)


def of_size(chain: ChainSpec, size: float) -> ChainSpec:
    """The chain with each slimmable network replaced by the one that plays at `size`."""
    nodes: list[NodeSpec] = []
    for node in chain.nodes:
        match node:
            case SlimmableSpec():
                nodes.append(node.pick(size))
            case MixSpec():
                nodes.append(MixSpec(node.wet, of_size(node.chain, size)))
            case RateSpec():
                nodes.append(RateSpec(node.sample_rate_hz, of_size(node.chain, size)))
            case _:
                nodes.append(node)
    return ChainSpec(tuple(nodes))
