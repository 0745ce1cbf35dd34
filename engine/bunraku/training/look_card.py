"""The model card of the bundled look, written from what the recipe measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bunraku.training.look_data import EXCLUDED, PICTURES
from bunraku.training.look_recipe import NAME


def install(work: Path, weights: Path) -> None:
    """Copy the trained look from the work folder and write its card beside it."""
    weights.mkdir(parents=True, exist_ok=True)
    for suffix in (".onnx", ".safetensors"):
        shutil.copyfile(work / f"{NAME}{suffix}", weights / f"{NAME}{suffix}")
    report = json.loads((work / "look.json").read_text())
    (weights / f"{NAME}.md").write_text(card(report))


def card(report: Mapping[str, Any]) -> str:
    """One page of Markdown."""
    return "\n\n".join(
        [
            f"# {NAME}",
            "Watercolour under ink: flat washes, few tones, pigment at their rims, drawn lines.",
            teacher_section(report),
            data_section(report),
            training_section(report),
            quality_section(report),
            "## Limits\n\nA local filter learnt from a local filter: it knows strokes and lines, "
            "not faces. Fine lines and small speckles come out softer than the teacher's. Half of "
            "what it saw is painted fantasy portraits, the rest landscapes and things; real faces "
            "were judged by eye only. At a smaller input (lower tiers) brush and lines grow "
            "relative to the picture.",
            "## Licence\n\nThe weights are under the licence of this repository (MIT); they hold "
            "no picture. What they were learnt from keeps its licence.\n",
        ]
    )


def teacher_section(report: Mapping[str, Any]) -> str:
    return (
        "## Teacher\n\nA classical filter, `bunraku.training.look_teacher`: generalised Kuwahara "
        "filtering, soft quantisation of the lightness, darkened rims of washes, extended "
        "difference of Gaussians for the ink. It paints 512x512 and takes "
        f"{report['teacher_ms']:.0f} ms of CPU time; the network sees 256x256 and paints the "
        "same 512x512 (times: docs/neural-video.md)."
    )


def data_section(report: Mapping[str, Any]) -> str:
    packages = "; ".join(f"`{p.name}` {p.version} ({p.licence})" for p in PICTURES)
    return (
        f"## Data\n\nPictures of Debian packages, pinned by version and SHA-256: {packages}; "
        f"without calibration boards and drawings (names that begin with {', '.join(EXCLUDED)}). "
        f"{report['train_pictures']} pictures gave {report['train_views']} views for training; "
        f"{report['test_pictures']} others, held out by name, {report['views']} for the test. A "
        "view: random scale and place, flip, white balance, exposure, saturation; transparent "
        "portraits on a random ground. The input alone gets noise."
    )


def training_section(report: Mapping[str, Any]) -> str:
    config = report["config"]
    return (
        f"## Training\n\n`bunraku train look --work WORK --minutes {report['minutes']:.0f}`: "
        f"`bunraku.models.image_generator` with {config['channels']} channels, "
        f"{config['blocks']} residual blocks and {report['parameters']:,} parameters; "
        f"{report['steps']:,} steps in {report['minutes']:.0f} minutes on {report['threads']} "
        f"thread(s) of a shared 2-core x86_64 CPU, torch {report['torch']}. Loss: L1 on values, "
        "and on differences between neighbours at three scales. Minutes decide the number of "
        "steps, so another machine ends at slightly other weights."
    )


def quality_section(report: Mapping[str, Any]) -> str:
    rows = [
        ("PSNR to the teacher, held out", f"**{report['psnr_db']:.2f} dB**"),
        ("The same of the enlarged input: nothing done", f"{report['input_psnr_db']:.2f} dB"),
        ("SSIM to the teacher, held out", f"**{report['ssim']:.3f}**"),
        (
            "Flicker under camera noise (deviation in time, of 255)",
            f"{report['flicker']:.2f}, of an input with {report['input_flicker']:.2f}",
        ),
        ("Input to output", "any multiple of 8 to twice the size, values -1..1, red first"),
        ("File", f"{report['file_bytes'] / 1000:.0f} kB, and the same weights as safetensors"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## Quality\n\n| | |\n|---|---|\n{table}"
