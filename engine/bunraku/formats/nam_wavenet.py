"""The `config` of a `.nam` WaveNet: old keys and new ones, to specs. Limits are `check.py`'s."""

from __future__ import annotations

from typing import Any

from bunraku.formats import limits
from bunraku.formats.bounded_json import Fields, as_integer, as_number, as_object, as_text
from bunraku.formats.check import check_range, refuse
from bunraku.formats.specs import (
    FILM_SITES,
    ActivationKind,
    ActivationSpec,
    FilmSpec,
    GatingMode,
    WaveNetArraySpec,
    WaveNetLayerSpec,
    WaveNetPostHeadSpec,
)

ACTIVATIONS = {kind.name: kind for kind in ActivationKind} | {
    "LeakyHardTanh": ActivationKind.LeakyHardtanh
}
SLICING_METHOD = "slice_channels_uniform"
DEFAULT_SLOPE = 0.01


def read_activation(value: Any, where: str) -> ActivationSpec:
    """A name, or an object with `type` and the parameters of that type."""
    fields = Fields({"type": value}, where) if isinstance(value, str) else as_object(value, where)
    name = fields.text("type")
    if name not in ACTIVATIONS:
        refuse(fields.where("type"), name, f"known are {', '.join(ACTIVATIONS)}")
    kind = ACTIVATIONS[name]
    if kind == ActivationKind.LeakyReLU:
        return ActivationSpec(kind, (fields.number("negative_slope", DEFAULT_SLOPE),))
    if kind == ActivationKind.PReLU:
        if fields.has("negative_slopes") and not fields.has("negative_slope"):
            slopes = enumerate(fields.items("negative_slopes"))
            here = fields.where("negative_slopes")
            return ActivationSpec(kind, tuple(as_number(s, f"{here}[{i}]") for i, s in slopes))
        return ActivationSpec(kind, (fields.number("negative_slope", DEFAULT_SLOPE),))
    if kind == ActivationKind.LeakyHardtanh:
        defaults = {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01}
        return ActivationSpec(kind, tuple(fields.number(k, d) for k, d in defaults.items()))
    return ActivationSpec(kind)


def read_arrays(config: Fields) -> tuple[WaveNetArraySpec, ...]:
    count = len(config.items("layers"))
    check_range(f"the length of {config.where('layers')}", count, 1, limits.MAX_ARRAYS)
    return tuple(read_array(fields) for fields in config.objects("layers"))


def read_array(fields: Fields) -> WaveNetArraySpec:
    channels = fields.integer("channels")
    layer1x1 = read_part(fields, "layer1x1")
    head1x1 = read_part(fields, "head1x1")
    layer1x1_active = layer1x1.boolean("active", True)
    head1x1_active = head1x1.boolean("active", False)
    head_out_channels, head_kernel_size, head_bias, head_dilation = read_head(fields)
    return WaveNetArraySpec(
        input_size=fields.integer("input_size"),
        condition_size=fields.integer("condition_size"),
        channels=channels,
        bottleneck=fields.integer("bottleneck", channels),
        groups_input=fields.integer("groups_input", 1),
        groups_input_mixin=fields.integer("groups_input_mixin", 1),
        layer1x1_active=layer1x1_active,
        layer1x1_groups=layer1x1.integer("groups", 1) if layer1x1_active else 1,
        head1x1_active=head1x1_active,
        head1x1_out_channels=head1x1.integer("out_channels") if head1x1_active else 1,
        head1x1_groups=head1x1.integer("groups", 1) if head1x1_active else 1,
        head_out_channels=head_out_channels,
        head_kernel_size=head_kernel_size,
        head_bias=head_bias,
        head_dilation=head_dilation,
        films=tuple(read_film(fields, site) for site in FILM_SITES),
        layers=read_layers(fields),
    )


def read_part(fields: Fields, key: str) -> Fields:
    """An optional object; empty where it is absent."""
    return fields.section(key) if fields.has(key) else Fields({}, fields.where(key))


def read_head(fields: Fields) -> tuple[int, int, bool, int]:
    """(out channels, kernel size, bias, dilation) from `head`, or from the older `head_size`."""
    if fields.has("head"):
        head = fields.section("head")
        return (
            head.integer("out_channels"),
            head.integer("kernel_size"),
            head.boolean("bias"),
            head.integer("head_dilation", 1),
        )
    return fields.integer("head_size"), 1, fields.boolean("head_bias"), 1


def read_film(fields: Fields, site: str) -> FilmSpec:
    if not fields.has(site) or fields.values[site] is False:
        return FilmSpec()
    film = fields.section(site)
    if not film.boolean("active", True):
        return FilmSpec()
    return FilmSpec(True, film.boolean("shift", True), film.integer("groups", 1))


def read_layers(fields: Fields) -> tuple[WaveNetLayerSpec, ...]:
    count = len(fields.items("dilations"))
    check_range(f"the length of {fields.where('dilations')}", count, 1, limits.MAX_LAYERS)
    if fields.has("kernel_size") and fields.has("kernel_sizes"):
        refuse(
            fields.where("kernel_size"),
            fields.values["kernel_size"],
            "cannot be beside kernel_sizes",
        )
    key = "kernel_sizes" if fields.has("kernel_sizes") else "kernel_size"
    kernel_sizes = fields.for_each_layer(key, count, as_integer)
    activations = fields.for_each_layer("activation", count, read_activation)
    gatings = read_gatings(fields, count)
    secondaries = read_secondaries(fields, gatings)
    return tuple(
        WaveNetLayerSpec(kernel_size, dilation, gating, activation, secondary)
        for kernel_size, dilation, gating, activation, secondary in zip(
            kernel_sizes,
            fields.integers("dilations"),
            gatings,
            activations,
            secondaries,
            strict=True,
        )
    )


def read_gatings(fields: Fields, count: int) -> list[GatingMode]:
    if fields.has("gating_mode"):
        return fields.for_each_layer("gating_mode", count, read_gating_mode)
    gated = fields.boolean("gated", False)
    return [GatingMode.gated if gated else GatingMode.none] * count


def read_gating_mode(value: Any, where: str) -> GatingMode:
    text = as_text(value, where)
    if text not in GatingMode.__members__:
        refuse(where, text, f"known are {', '.join(GatingMode.__members__)}")
    return GatingMode[text]


def read_secondaries(fields: Fields, gatings: list[GatingMode]) -> list[ActivationSpec]:
    """Read only where a layer is gated or blended; elsewhere the key holds anything."""
    if all(gating == GatingMode.none for gating in gatings):
        return [ActivationSpec()] * len(gatings)
    by_mode = fields.has("gating_mode") and fields.has("secondary_activation")
    if not by_mode:  # the old boolean `gated` has no choice of its own
        sigmoid = ActivationSpec(ActivationKind.Sigmoid)
        return [ActivationSpec() if g == GatingMode.none else sigmoid for g in gatings]
    raw = fields.for_each_layer(
        "secondary_activation", len(gatings), lambda value, where: (value, where)
    )
    return [
        ActivationSpec() if gating == GatingMode.none else read_activation(value, where)
        for gating, (value, where) in zip(gatings, raw, strict=True)
    ]


def read_post_head(config: Fields, width: int) -> WaveNetPostHeadSpec | None:
    """`width`: the channels of the last array's head, which the post-stack head reads."""
    if not config.has("head"):
        return None
    head = config.section("head")
    if head.integer("in_channels", width) != width:
        refuse(
            head.where("in_channels"),
            head.values["in_channels"],
            f"must be {width}, the last head size",
        )
    return WaveNetPostHeadSpec(
        channels=head.integer("channels"),
        out_channels=head.integer("out_channels"),
        activation=read_activation(head.take("activation"), head.where("activation")),
        kernel_sizes=tuple(head.integers("kernel_sizes")),
    )


def read_slimming(config: Fields) -> list[tuple[int, ...]]:
    """For each array its allowed numbers of channels; empty where it is not slimmable."""
    return [read_allowed_channels(fields) for fields in config.objects("layers")]


def read_allowed_channels(fields: Fields) -> tuple[int, ...]:
    if not fields.has("slimmable"):
        return ()
    slimmable = fields.section("slimmable")
    if not slimmable.has("method"):
        return ()
    method = slimmable.text("method")
    if method != SLICING_METHOD:
        refuse(slimmable.where("method"), method, f"known is {SLICING_METHOD}")
    kwargs = read_part(slimmable, "kwargs")
    if kwargs.has("allowed_channels"):
        return tuple(kwargs.integers("allowed_channels"))
    channels = fields.integer("channels")
    check_range(fields.where("channels"), channels, 1, limits.MAX_CHANNELS)
    return tuple(range(1, channels + 1))
