"""`bunraku inspect`: what a model file holds, what it costs, how it will run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bunraku.cli.reporting import JSON_OPTION, print_json, print_table
from bunraku.errors import BunrakuError
from bunraku.formats.flat import write_flat
from bunraku.formats.layout import (
    flop_per_frame,
    inner_networks,
    receptive_field_frames,
    total_weight_count,
)
from bunraku.formats.load import load_model_spec
from bunraku.formats.specs import (
    ChainSpec,
    ConvNetSpec,
    GainSpec,
    LinearSpec,
    LstmSpec,
    MixSpec,
    ModelSpec,
    NetworkSpec,
    NodeSpec,
    RateSpec,
    SlimmableSpec,
    WaveNetSpec,
)

MS_PER_S = 1000.0
UNITS = {"loudness": "dBFS", "input_level_dbu": "dBu", "output_level_dbu": "dBu"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("inspect")(inspect)


def inspect(
    file: Path = typer.Argument(
        ..., metavar="FILE", help="A .nam, .bnk or preset, or a name of the default pack."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what a model file holds: architecture, shapes, reach, cost, rate, metadata."""
    from bunraku.effects.audio.native_model import find_model

    report = inspect_model(load_model_spec(find_model(file)))
    if as_json:
        print_json(report)
    else:
        print_table(str(file), as_rows(report))


def inspect_model(spec: ModelSpec) -> dict[str, Any]:
    """The report on a model, of plain values: what `--json` prints."""
    flat = write_flat(spec)
    return {
        "name": spec.name,
        "sample_rate_hz": spec.sample_rate_hz,
        "flat_bytes": len(flat),
        "chain": describe_chain(spec.chain, spec.sample_rate_hz),
        "metadata": dict(spec.metadata),
        "native": describe_native(flat),
    }


def describe_chain(chain: ChainSpec, rate: float) -> list[dict[str, Any]]:
    return [describe_node(node, rate) for node in chain.nodes]


def describe_node(node: NodeSpec, rate: float) -> dict[str, Any]:
    match node:
        case GainSpec():
            return {"type": "gain", "gain_db": node.gain_db}
        case MixSpec():
            return {"type": "mix", "wet": node.wet, "chain": describe_chain(node.chain, rate)}
        case RateSpec():
            inner = describe_chain(node.chain, node.sample_rate_hz)
            return {"type": "rate", "sample_rate_hz": node.sample_rate_hz, "chain": inner}
        case _:
            return describe_network(node, rate)


def describe_network(spec: NetworkSpec, rate: float) -> dict[str, Any]:
    reach = receptive_field_frames(spec)
    report: dict[str, Any] = {
        "type": type(spec).__name__.removesuffix("Spec"),
        "weights": total_weight_count(spec),
        "flop_per_frame": flop_per_frame(spec),
        "receptive_field_frames": reach,  # null: recurrent, without an end
        "receptive_field_ms": None if reach is None else reach / rate * MS_PER_S,
        "shape": describe_shape(spec),
    }
    if isinstance(spec, SlimmableSpec):
        report["sizes"] = [
            {"max_value": m, **describe_network(n, rate)}
            for m, n in zip(spec.max_values, spec.networks, strict=True)
        ]
    elif (inner := next(inner_networks(spec), None)) is not None:
        report["condition"] = describe_network(inner, rate)
    return report


def describe_shape(spec: NetworkSpec) -> str:
    """One line for people."""
    match spec:
        case WaveNetSpec():
            arrays = [
                f"{len(a.layers)} layers of {a.channels} channels, kernel "
                f"{span(layer.kernel_size for layer in a.layers)}, dilation "
                f"{span(layer.dilation for layer in a.layers)}, "
                f"{'/'.join(sorted({layer.activation.kind.name for layer in a.layers}))}"
                for a in spec.arrays
            ]
            return "; ".join(arrays)
        case LstmSpec():
            return f"{spec.layer_count} x {spec.hidden_size}"
        case ConvNetSpec():
            norm = ", batch norm" if spec.batchnorm else ""
            return f"{len(spec.dilations)} blocks of {spec.channels} channels{norm}"
        case LinearSpec():
            return f"{spec.receptive_field} taps{', bias' if spec.bias else ''}"
        case SlimmableSpec():
            return f"{len(spec.networks)} sizes"


def span(values: Any) -> str:
    numbers = sorted(set(values))
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def describe_native(flat: bytes) -> dict[str, Any] | None:
    """How the native core of this machine takes it; None where the core is not built."""
    try:
        from bunraku import _native
    except ImportError:
        return None
    try:
        model = _native.Model(flat)
    except BunrakuError as error:
        return {"error": str(error)}
    return {"isa": model.isa, "fast_path": model.fast_path}


def as_rows(report: dict[str, Any]) -> dict[str, Any]:
    """The report as lines for people."""
    rows: dict[str, Any] = {
        "name": report["name"] or "-",
        "sample rate": f"{report['sample_rate_hz']:,.0f} Hz",
        "as flat file": f"{report['flat_bytes']:,} bytes",
    }
    add_chain(rows, report["chain"], "")
    for key, value in report["metadata"].items():
        if key != "name":
            shown = f"{value:.2f}" if isinstance(value, float) else value
            rows[key.replace("_", " ")] = f"{shown} {UNITS.get(key, '')}".rstrip()
    native = report["native"]
    if native is None:
        rows["native core"] = "not built here: `pip install .` builds it"
    elif "error" in native:
        rows["native core"] = native["error"]
    else:
        path = "fast path" if native["fast_path"] else "general path"
        rows["native core"] = f"{path}, {native['isa']}"
    return rows


def add_chain(rows: dict[str, Any], chain: list[dict[str, Any]], prefix: str) -> None:
    for index, node in enumerate(chain):
        label = f"{prefix}{index}"
        kind = node["type"]
        if kind == "gain":
            rows[label] = f"gain {node['gain_db']:g} dB"
        elif kind == "mix":
            rows[label] = f"mix, {node['wet']:.0%} wet"
            add_chain(rows, node["chain"], f"{label}.")
        elif kind == "rate":
            rows[label] = f"at {node['sample_rate_hz']:,.0f} Hz"
            add_chain(rows, node["chain"], f"{label}.")
        else:
            add_network(rows, node, label)


def add_network(rows: dict[str, Any], node: dict[str, Any], label: str) -> None:
    frames = node["receptive_field_frames"]
    reach = (
        "no end (recurrent)"
        if frames is None
        else f"{frames:,} frames, {node['receptive_field_ms']:.1f} ms"
    )
    rows[label] = f"{node['type']}: {node['shape']}"
    rows[f"{label} weights"] = f"{node['weights']:,}"
    rows[f"{label} FLOP a frame"] = f"{node['flop_per_frame']:,.0f}"
    rows[f"{label} receptive field"] = reach
    for size in node.get("sizes", []):
        rows[f"{label} below size {size['max_value']:.3g}"] = (
            f"{size['type']}: {size['shape']}; {size['flop_per_frame']:,.0f} FLOP a frame"
        )
    if "condition" in node:
        inner = node["condition"]
        rows[f"{label} condition"] = f"{inner['type']}: {inner['shape']}"
