"""From the `config` of a `.nam` file to the plan of its network.

The `.nam` format is NeuralAmpModeler's (https://github.com/sdatkinson/neural-amp-modeler). Its
WaveNet can do more than ours plays: whatever would change the sound is refused, not passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from bunraku_kernels.checks import flag, number, shown
from bunraku_kernels.errors import InvalidInputError
from bunraku_kernels.wavenet_stream.plan import (
    MAX_ARRAYS,
    MAX_LAYERS,
    ArrayPlan,
    LayerPlan,
    WaveNetPlan,
)

ACTIVATIONS = {
    "Tanh": "tanh",
    "ReLU": "relu",
    "LeakyReLU": "lrelu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
}
DEFAULT_SLOPE = 0.01  # of LeakyReLU
FILMS = (
    "conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film",
    "activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film",
)  # fmt: skip
Object = Mapping[str, Any]


def plan_from_nam_config(config: Object) -> WaveNetPlan:
    """The plan of a `.nam` file whose architecture is "WaveNet": `config` is its entry of that
    name, read by `json.load`; its entry "weights" is what `pack_weights` takes.

    Plays the plain kind, old keys or new. InvalidInputError names the entry that is missing, out
    of range or of another kind (gates, FiLM, groups, a bottleneck, a post-stack head, conditioning
    by another model).
    """
    config = _object("config", config)
    _refuse_unless(config, "config", {"in_channels": 1, "condition_dsp": None, "head": None})
    arrays: list[ArrayPlan] = []
    inputs = 1
    for index, entry in enumerate(_list(config, "config", "layers", MAX_ARRAYS)):
        where = f"config.layers[{index}]"
        array = _array(_object(where, entry), where)
        _refuse_unless(entry, where, {"input_size": inputs})
        arrays.append(array)
        inputs = array.channels
    return WaveNetPlan(tuple(arrays))


def _array(entry: Object, where: str) -> ArrayPlan:
    dilations = _list(entry, where, "dilations", MAX_LAYERS)
    _refuse_other_kinds(entry, where, len(dilations))
    if "kernel_size" in entry and "kernel_sizes" in entry:
        _refuse(f"{where}.kernel_sizes", entry["kernel_sizes"], "cannot be beside kernel_size")
    sizes = "kernel_sizes" if "kernel_sizes" in entry else "kernel_size"
    kernel_sizes = _for_each_layer(entry, where, sizes, len(dilations))
    activations = _for_each_layer(entry, where, "activation", len(dilations))
    head_size, head_kernel_size, head_bias = _head(entry, where)
    try:
        layers = tuple(
            LayerPlan(taps, dilation, *_activation(activation))
            for taps, dilation, activation in zip(kernel_sizes, dilations, activations, strict=True)
        )
        return ArrayPlan(
            _entry(entry, where, "channels"), layers, head_size, head_kernel_size, head_bias
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error


def _head(entry: Object, where: str) -> tuple[Any, Any, bool]:
    """(size, kernel size, bias), from `head` or the older `head_size` and `head_bias`."""
    if entry.get("head") is None:
        bias = flag(f"{where}.head_bias", _entry(entry, where, "head_bias"))
        return _entry(entry, where, "head_size"), 1, bias
    head, where = _object(f"{where}.head", entry["head"]), f"{where}.head"
    _refuse_unless(head, where, {"head_dilation": 1})
    bias = flag(f"{where}.bias", _entry(head, where, "bias"))
    return _entry(head, where, "out_channels"), _entry(head, where, "kernel_size"), bias


def _activation(value: Any) -> tuple[str, float | None]:
    """Name and alpha, from a name or an object with `type` and parameters."""
    given = {"type": value} if isinstance(value, str) else _object("activation", value)
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in ACTIVATIONS:
        _refuse("activation", kind, f"played are {', '.join(ACTIVATIONS)}")
    if kind != "LeakyReLU":
        return ACTIVATIONS[kind], None
    return "lrelu", number("negative_slope", given.get("negative_slope", DEFAULT_SLOPE))


def _refuse_other_kinds(entry: Object, where: str, layers: int) -> None:
    """All that a config may ask for beyond the plain kind."""
    plain = {"condition_size": 1, "groups_input": 1, "groups_input_mixin": 1, "gated": False}
    _refuse_unless(entry, where, {**plain, "bottleneck": entry.get("channels")})
    gating = entry.get("gating_mode")
    if gating not in (None, "none") and gating != ["none"] * layers:
        _refuse(f"{where}.gating_mode", gating, "'none' is played")
    if _is_active(entry, where, "head1x1", False):
        _refuse(f"{where}.head1x1", entry["head1x1"], "it must be inactive")
    if not _is_active(entry, where, "layer1x1", True):
        _refuse(f"{where}.layer1x1", entry["layer1x1"], "it must be active")
    _refuse_unless(entry.get("layer1x1") or {}, f"{where}.layer1x1", {"groups": 1})
    for site in FILMS:
        if entry.get(site) not in (None, False) and _is_active(entry, where, site, True):
            _refuse(f"{where}.{site}", entry[site], "it must be inactive")


def _is_active(entry: Object, where: str, key: str, default: bool) -> bool:
    part = entry.get(key)
    if part is None:
        return default
    return flag(f"{where}.{key}.active", _object(f"{where}.{key}", part).get("active", default))


def _refuse_unless(entry: Object, where: str, plain: Object) -> None:
    """What is given of these entries has these values."""
    for key, wanted in plain.items():
        given = entry.get(key)
        if given is not None and (type(given) is not type(wanted) or given != wanted):
            allowed = "it must be absent" if wanted is None else f"only {wanted} is played"
            _refuse(f"{where}.{key}", given, allowed)


def _for_each_layer(entry: Object, where: str, key: str, layers: int) -> list[Any]:
    """One value for all layers, or a list of as many."""
    value = _entry(entry, where, key)
    if not isinstance(value, list):
        return [value] * layers
    if len(value) != layers:
        raise InvalidInputError(
            f"{where}.{key} has {len(value)} entries: {layers}, as there are dilations"
        )
    return value


def _list(entry: Object, where: str, key: str, most: int) -> list[Any]:
    value = _entry(entry, where, key)
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise InvalidInputError(f"{where}.{key}: a list of 1 to {most} entries is wanted")
    return value


def _entry(entry: Object, where: str, key: str) -> Any:
    if key not in entry:
        raise InvalidInputError(f"{where} has no '{key}': is it a WaveNet's, from a .nam file?")
    return entry[key]


def _object(where: str, value: Any) -> Object:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{where} is a {type(value).__name__}: an object is wanted")
    return value


def _refuse(where: str, value: Any, allowed: str) -> NoReturn:
    raise InvalidInputError(f"{where}={shown(value)}: {allowed}")
