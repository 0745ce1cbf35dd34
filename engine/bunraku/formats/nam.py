"""Read a `.nam` file: JSON to a checked ModelSpec. `docs/nam.md` says what is read and what not.

Source of the format: NeuralAmpModelerCore (MIT, Steven Atkinson), whose behaviour is the reference
where the format leaves a choice.
"""

from __future__ import annotations

import re
from pathlib import Path

from bunraku.errors import ModelFormatError
from bunraku.formats import limits
from bunraku.formats.bounded_json import Fields, as_text, parse
from bunraku.formats.check import check_network, check_range, refuse
from bunraku.formats.layout import in_channels, out_channels
from bunraku.formats.nam_wavenet import read_activation, read_arrays, read_post_head, read_slimming
from bunraku.formats.slicing import slice_wavenet
from bunraku.formats.specs import (
    ChainSpec,
    ConvNetSpec,
    LinearSpec,
    LstmSpec,
    ModelSpec,
    NetworkSpec,
    SlimmableSpec,
    WaveNetSpec,
)

DEFAULT_SAMPLE_RATE_HZ = 48_000.0
VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)
OLDEST, NEWEST_MINOR = (0, 5, 0), (0, 7)
TEXT_METADATA = ("name", "modeled_by", "gear_type", "gear_make", "gear_model", "tone_type")
NUMBER_METADATA = ("loudness", "gain", "input_level_dbu", "output_level_dbu")
MAX_METADATA_TEXT = 200


def read_nam(path: str | Path) -> ModelSpec:
    """Read the `.nam` file at `path`.

    Raises ModelFormatError (damaged, hostile, of another version), OSError (cannot be read).
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(limits.MAX_NAM_BYTES + 1)
    try:
        return parse_nam(data, name=path.stem)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error.__cause__


def parse_nam(data: bytes, name: str = "") -> ModelSpec:
    """Read the bytes of a `.nam` file; `name` is used where its metadata has none."""
    top = parse(data)
    network, rate = read_model(top, None, 1)
    where = top.text("architecture")
    check_network(network, where)
    channels = (in_channels(network), out_channels(network))
    if channels != (1, 1):
        refuse(
            f"{where}: (input, output) channels",
            channels,
            "a model of its own must have (1, 1)",
            "use it as a condition_dsp, or one copy for each channel",
        )
    metadata = read_metadata(top)
    return ModelSpec(ChainSpec((network,)), rate, str(metadata.get("name", name)), metadata)


def read_metadata(top: Fields) -> dict[str, str | float]:
    """The well-known entries; others, and null, are left out."""
    if not top.has("metadata"):
        return {}
    fields = top.section("metadata")
    found: dict[str, str | float] = {}
    for key in TEXT_METADATA:
        if fields.has(key):
            text = as_text(fields.values[key], fields.where(key))[:MAX_METADATA_TEXT]
            found[key] = "".join(c if c.isprintable() else " " for c in text)
    for key in NUMBER_METADATA:
        if fields.has(key):
            found[key] = fields.number(key)
    return found


def check_version(top: Fields) -> None:
    text = top.text("version")
    allowed = "read are 0.5.0 to 0.7.x"
    match = VERSION.fullmatch(text)
    if match is None:
        refuse(top.where("version"), text, allowed)
    version = tuple(int(part) for part in match.groups())
    if version < OLDEST:
        refuse(top.where("version"), text, allowed, "export it again from a newer trainer")
    if version[:2] > NEWEST_MINOR:
        refuse(top.where("version"), text, allowed, "update bunraku, or export an older version")


def read_model(top: Fields, parent_rate: float | None, depth: int) -> tuple[NetworkSpec, float]:
    """A whole model object (the file itself, a submodel, a condition_dsp) and its sample rate.

    Without a rate of its own it has its parent's; with one it must be the parent's.
    """
    if depth > limits.MAX_NESTING:
        refuse(f"{top.path}: the nesting of models", depth, f"allowed is {limits.MAX_NESTING}")
    check_version(top)
    rate = top.number("sample_rate", parent_rate or DEFAULT_SAMPLE_RATE_HZ)
    check_range(
        top.where("sample_rate"), rate, limits.MIN_SAMPLE_RATE_HZ, limits.MAX_SAMPLE_RATE_HZ
    )
    if parent_rate is not None and rate != parent_rate:
        refuse(top.where("sample_rate"), rate, f"must be {parent_rate}, as of the model around it")
    architecture = top.text("architecture")
    readers = {
        "WaveNet": read_wavenet,
        "LSTM": read_lstm,
        "ConvNet": read_convnet,
        "Linear": read_linear,
        "SlimmableContainer": read_container,
    }
    if architecture not in readers:
        refuse(top.where("architecture"), architecture, f"known are {', '.join(readers)}")
    return readers[architecture](top, rate, depth), rate


def read_container(top: Fields, rate: float, depth: int) -> SlimmableSpec:
    top.items("weights")
    submodels = list(top.section("config").objects("submodels"))
    where = f"{top.where('config')}.submodels"
    check_range(f"the length of {where}", len(submodels), 1, limits.MAX_SLIMMABLE_SIZES)
    max_values = tuple(submodel.number("max_value") for submodel in submodels)
    networks = []
    for submodel in submodels:
        network, _ = read_model(submodel.section("model"), rate, depth + 1)
        # The reference player leaves a container within a container at its full size.
        networks.append(network.pick() if isinstance(network, SlimmableSpec) else network)
    return SlimmableSpec(max_values, tuple(networks))


def read_wavenet(top: Fields, rate: float, depth: int) -> WaveNetSpec | SlimmableSpec:
    config = top.section("config")
    condition = None
    if config.has("condition_dsp"):
        condition, _ = read_model(config.section("condition_dsp"), rate, depth + 1)
        # "Size" is for the model, not for what conditions it: as in the reference player.
        condition = condition.pick() if isinstance(condition, SlimmableSpec) else condition
    if config.has("head_scale"):
        config.number("head_scale")  # its value is the last weight
    arrays = read_arrays(config)
    spec = WaveNetSpec(
        arrays=arrays,
        weights=top.weights("weights"),
        in_channels=config.integer("in_channels", 1),
        condition=condition,
        post_head=read_post_head(config, arrays[-1].head_out_channels),
    )
    allowed = read_slimming(config)
    if not any(allowed):
        return spec
    check_network(spec, config.path, depth)
    return slice_wavenet(spec, allowed, config.path)


def read_lstm(top: Fields, rate: float, depth: int) -> LstmSpec:
    config = top.section("config")
    input_size = config.integer("input_size")
    if config.integer("in_channels", 1) != input_size:
        refuse(
            config.where("in_channels"),
            config.integer("in_channels", 1),
            f"must be {input_size}, the input_size",
        )
    return LstmSpec(
        input_size=input_size,
        hidden_size=config.integer("hidden_size"),
        layer_count=config.integer("num_layers"),
        out_channels=config.integer("out_channels", 1),
        weights=top.weights("weights"),
    )


def read_convnet(top: Fields, rate: float, depth: int) -> ConvNetSpec:
    config = top.section("config")
    return ConvNetSpec(
        channels=config.integer("channels"),
        dilations=tuple(config.integers("dilations")),
        batchnorm=config.boolean("batchnorm"),
        activation=read_activation(config.take("activation"), config.where("activation")),
        in_channels=config.integer("in_channels", 1),
        out_channels=config.integer("out_channels", 1),
        groups=config.integer("groups", 1),
        weights=top.weights("weights"),
    )


def read_linear(top: Fields, rate: float, depth: int) -> LinearSpec:
    config = top.section("config")
    return LinearSpec(
        receptive_field=config.integer("receptive_field"),
        bias=config.boolean("bias"),
        in_channels=config.integer("in_channels", 1),
        out_channels=config.integer("out_channels", 1),
        weights=top.weights("weights"),
    )
