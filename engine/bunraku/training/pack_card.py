"""Model cards of the default pack, written from what training and the test measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bunraku.training.pack_recipe import TEST_SECONDS, TRAIN_SECONDS, VALIDATION_SECONDS
from bunraku.training.pack_sources import HOST_PACKAGE, PLUGIN_PACKAGE, SPEECH, Circuit


def install(circuits: Sequence[Circuit], work: Path, weights: Path) -> None:
    """Copy trained effects from the work folder into the pack, write their cards, list them.

    The list in README.md covers the effects given and no others.
    """
    weights.mkdir(parents=True, exist_ok=True)
    reports = {}
    for circuit in circuits:
        run = work / circuit.name / "run"
        report = json.loads((run / "pack.json").read_text())
        model = weights / f"{circuit.name}.nam"
        shutil.copyfile(run / f"{circuit.name}.nam", model)
        model.with_suffix(".md").write_text(card(circuit, report))
        reports[circuit.name] = report
    (weights / "README.md").write_text(index(circuits, reports))


def card(circuit: Circuit, report: Mapping[str, Any]) -> str:
    """One page of Markdown."""
    return "\n\n".join(
        [
            f"# {circuit.name}",
            circuit.use,
            circuit_section(circuit, report),
            data_section(),
            training_section(circuit, report),
            quality_section(report),
            limits_section(circuit, report),
            sentences(
                "## Licence\n\nThe weights are under the licence of this repository (MIT);",
                "they hold no audio and no code of the circuit. What they were learnt from",
                "keeps its licence.\n",
            ),
        ]
    )


def circuit_section(circuit: Circuit, report: Mapping[str, Any]) -> str:
    controls = ", ".join(f"`{k}` {v:g}" for k, v in circuit.controls.items()) or "as they come"
    delay = report["delay_frames"]
    before, after = circuit.input_gain_db, report["output_gain_db"]
    return sentences(
        f"## Circuit\n\n{circuit.title}: the guitarix plugin `{circuit.uri}`",
        f"(Debian {PLUGIN_PACKAGE}, GPL-2+), rendered offline by {HOST_PACKAGE} at 48 kHz.",
        f"Controls: {controls}; the rest at their defaults.",
        f"Gain before the circuit {before:+.1f} dB, after it {after:+.1f} dB: speech keeps its",
        "loudness. The same input later in time gives the same output, which is checked each",
        "time the recordings are made.",
        *([f"Its own delay of {delay} frames was taken out."] if delay else []),
    )


def data_section() -> str:
    speakers = "; ".join(
        f"{p.language}: {p.speaker} ({p.licence}{', test only' if p.held_out else ''})"
        for p in SPEECH
    )
    return sentences(
        f"## Data\n\nPrompts of Debian's `asterisk-core-sounds-*-g722` {SPEECH[0].version},",
        f"each at a random peak of -18 to -1 dBFS. {speakers}.",
        f"Training: {TRAIN_SECONDS:.0f} s of speech, half of the prompts with synthetic energy",
        "above 8 kHz (the recordings have none), and 16 s of sweeps and noise.",
        f"Validation: {VALIDATION_SECONDS:.0f} s of other prompts.",
        f"Held-out test: {TEST_SECONDS:.0f} s of prompts used nowhere else, half of them by a",
        "speaker who is in neither of the other two. The bundled sample is in none.",
    )


def training_section(circuit: Circuit, report: Mapping[str, Any]) -> str:
    minutes, command = report["minutes"], f"bunraku train pack --work WORK --only {circuit.name}"
    return sentences(
        f"## Training\n\n`{command} --minutes {minutes:.0f}`: WaveNet of the shape",
        f"`{report['architecture']}`, {report['steps']} steps in {minutes:.1f} minutes on",
        f"{report['machine']}. Minutes decide the number of steps, so another machine ends at",
        "slightly other weights.",
    )


def sentences(*parts: str) -> str:
    return " ".join(parts)


def quality_section(report: Mapping[str, Any]) -> str:
    rows = [
        ("Held-out ESR, speech", f"**{report['test_esr']:.5f}**"),
        ("Validation ESR", f"{report['validation_esr']:.5f}"),
        ("Training ESR (last minute of the training part)", f"{report['train_esr']:.5f}"),
        ("FLOP a frame", f"{report['flop_per_frame']:,}"),
        ("Receptive field", f"{report['receptive_field_frames']:,} frames"),
        ("Latency", "0 frames"),
        ("File", f"{report['file_bytes'] / 1000:.0f} kB"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        "## Quality\n\nESR: energy of the error over energy of the circuit's output, measured with "
        f"the shipped file by `python benchmarks/pack_quality.py --work WORK`.\n\n"
        f"| | |\n|---|---|\n{table}"
    )


def limits_section(circuit: Circuit, report: Mapping[str, Any]) -> str:
    return sentences(
        "## Limits\n\nLearnt at 48 kHz from read speech at microphone levels; singing, music and",
        "inputs far above full scale were not judged. Nothing real above 8 kHz was heard, only",
        "synthetic energy. The controls are fixed.",
        *(["It inverts the polarity, as the circuit does."] if report["inverted"] else []),
        *([circuit.limits] if circuit.limits else []),
    )


def index(circuits: Sequence[Circuit], reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The pack's README: one line an effect."""
    lines = [
        f"| [`{c.name}`]({c.name}.md) | {c.use} | {r['architecture']} | {r['flop_per_frame']:,} | "
        f"{r['file_bytes'] / 1000:.0f} kB | {r['test_esr']:.5f} |"
        for c, r in ((c, reports[c.name]) for c in circuits)
    ]
    return "\n".join(
        [
            "# The default pack",
            "",
            "Voice effects learnt from circuits, played by name: `bunraku live --model radio`.",
            "A model card lies beside each. Made by `bunraku train pack`: docs/training.md.",
            "",
            "| effect | for | shape | FLOP a frame | file | held-out ESR |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
            "Looks for pictures lie here too (`watercolour`): docs/neural-video.md.",
            "",
        ]
    )
