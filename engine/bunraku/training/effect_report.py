"""What a training leaves: the `.nam`, its ESR measured from the file, a plot, JSON, Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bunraku.training.effect_architectures import (
    flop_per_frame,
    receptive_field_frames,
    wavenet_arrays,
)
from bunraku.training.effect_data import MODEL_RATE, Audio, EffectData
from bunraku.training.effect_export import wavenet_of, write_effect
from bunraku.training.effect_module import EffectModule, History, render, whole_signal_esr
from bunraku.training.effect_settings import EffectResult, EffectSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAIN_ESR_SECONDS = 60.0
OVERLAY_SECONDS = 0.03
SPECTRUM_FRAMES = 1024
SPECTRUM_FLOOR_DB = -90.0
TRANSFER_POINTS = 4000


def write_report(
    settings: EffectSettings,
    data: EffectData,
    module: EffectModule,
    factor: float,
    device: str,
) -> EffectResult:
    """Write everything into `settings.out` and return the figures.

    ESR is measured with the network as read back from the written file.
    """
    name = settings.name or settings.out.resolve().name
    module.network.to("cpu")
    training = {
        "recipe": "bunraku train effect",
        "architecture": settings.architecture,
        "seed": settings.seed,
        "minutes": round(module.history.seconds[-1] / 60, 2),
        "steps": module.history.step[-1],
        "train_seconds": round(len(data.train_dry) / MODEL_RATE, 1),
        "validation_esr": module.best_esr,
        "data": {"latency": {"delay_frames": data.alignment.delay_frames}},
    }
    path = settings.out / f"{name}.nam"
    model = write_effect(
        path, module.network, module.best_weights, factor, name, data.validation_dry, training
    )
    network = wavenet_of(model)
    frames = round(TRAIN_ESR_SECONDS * MODEL_RATE)
    arrays = wavenet_arrays(settings.architecture)
    result = EffectResult(
        model_path=path,
        report_path=settings.out / "report.json",
        plot_path=settings.out / "plot.png",
        name=name,
        architecture=settings.architecture,
        train_esr=whole_signal_esr(network, data.train_dry[-frames:], data.train_wet[-frames:]),
        validation_esr=whole_signal_esr(network, data.validation_dry, data.validation_wet),
        minutes=module.history.seconds[-1] / 60,
        steps=module.history.step[-1],
        epochs=len(module.history.step),
        file_bytes=path.stat().st_size,
        flop_per_frame=flop_per_frame(arrays),
        receptive_field_frames=receptive_field_frames(arrays),
        delay_frames=data.alignment.delay_frames,
        inverted=data.alignment.inverted,
        coherence=data.alignment.coherence,
        device=device,
        notes=notes_about(data),
    )
    output = render(network, data.validation_dry)
    draw(result.plot_path, data.validation_dry, data.validation_wet, output, module.history, name)
    report = {**result.as_json(), "history": vars(module.history)}
    result.report_path.write_text(json.dumps(report, indent=1) + "\n")
    (settings.out / "report.md").write_text(markdown(result))
    return result


def notes_about(data: EffectData) -> list[str]:
    """What the user should know about the recordings, in sentences."""
    notes = []
    if data.alignment.delay_frames:
        late = "late" if data.alignment.delay_frames > 0 else "early"
        notes.append(
            f"The wet recording lines up best taken as {late}, frames: "
            f"{abs(data.alignment.delay_frames)}; that was taken out."
        )
    if data.alignment.inverted:
        notes.append("The effect inverts the polarity; the model does so too.")
    if data.source_rate != MODEL_RATE:
        notes.append(f"Recorded at {data.source_rate} Hz, trained at {MODEL_RATE} Hz.")
    return notes


def markdown(result: EffectResult) -> str:
    """A page for people."""
    rows: list[tuple[str, Any]] = [
        ("Validation ESR", f"{result.validation_esr:.5f}"),
        ("Training ESR", f"{result.train_esr:.5f}"),
        ("Architecture", result.architecture),
        ("FLOP a frame", f"{result.flop_per_frame:,}"),
        ("Receptive field", f"{result.receptive_field_frames / MODEL_RATE * 1e3:.0f} ms"),
        ("File", f"{result.model_path.name}, {result.file_bytes / 1e3:.0f} kB"),
        ("Trained", f"{result.minutes:.1f} min, {result.steps} steps, {result.device}"),
        ("Delay taken out", f"{result.delay_frames} frames"),
        ("Coherence of dry and wet", f"{result.coherence:.2f}"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    notes = "".join(f"\n{note}\n" for note in result.notes)
    head = f"# {result.name}\n\n| | |\n|---|---|\n"
    return f"{head}{table}\n{notes}\n![report]({result.plot_path.name})\n"


def draw(path: Path, dry: Audio, wet: Audio, output: Audio, history: History, name: str) -> None:
    """Six panels: waveforms, transfer curve, loss; spectrograms of dry, wet and error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    figure.suptitle(f"{name}: validation recording")
    draw_waveforms(axes[0, 0], wet, output)
    draw_transfer(axes[0, 1], dry, wet, output)
    draw_history(axes[0, 2], history)
    reference = float(np.abs(wet).max())
    draw_spectrogram(axes[1, 0], dry, "dry", float(np.abs(dry).max()))
    draw_spectrogram(axes[1, 1], wet, "wet (circuit)", reference)
    draw_spectrogram(axes[1, 2], output - wet, "error, on the scale of wet", reference)
    figure.savefig(path, dpi=90)


def draw_waveforms(axes: Axes, wet: Audio, output: Audio) -> None:
    half = round(OVERLAY_SECONDS * MODEL_RATE / 2)
    centre = int(np.clip(np.argmax(np.abs(wet)), half, max(half, len(wet) - half)))
    part = slice(centre - half, centre + half)
    ms = np.arange(-half, half)[: len(wet[part])] / MODEL_RATE * 1e3
    axes.plot(ms, wet[part], label="circuit", linewidth=2)
    axes.plot(ms, output[part], label="model", linewidth=1)
    axes.set(title="loudest moment", xlabel="ms", ylabel="amplitude")
    axes.legend()


def draw_transfer(axes: Axes, dry: Audio, wet: Audio, output: Audio) -> None:
    points = np.linspace(0, len(dry) - 1, min(TRANSFER_POINTS, len(dry))).astype(int)
    axes.plot(dry[points], wet[points], ".", markersize=2, label="circuit")
    axes.plot(dry[points], output[points], ".", markersize=2, label="model")
    axes.set(title="input to output", xlabel="dry", ylabel="wet")
    axes.legend()


def draw_history(axes: Axes, history: History) -> None:
    minutes = np.asarray(history.seconds) / 60
    axes.semilogy(minutes, history.train_loss, label="training loss")
    axes.semilogy(minutes, history.validation_esr, label="validation ESR")
    axes.set(title="training", xlabel="minutes")
    axes.legend()


def draw_spectrogram(axes: Axes, x: Audio, title: str, reference: float) -> None:
    """Magnitudes in dB against `reference`, whole recording."""
    hop = max(SPECTRUM_FRAMES // 2, len(x) // 1500)
    starts = np.arange(0, max(1, len(x) - SPECTRUM_FRAMES), hop)
    window = np.hanning(SPECTRUM_FRAMES)
    frames = np.stack([x[s : s + SPECTRUM_FRAMES] * window for s in starts])
    magnitude = np.abs(np.fft.rfft(frames, axis=1)) / (max(reference, 1e-9) * window.sum() / 2)
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-7))
    axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        vmin=SPECTRUM_FLOOR_DB,
        vmax=0.0,
        extent=(0, len(x) / MODEL_RATE, 0, MODEL_RATE / 2000),
    )
    axes.set(title=title, xlabel="s", ylabel="kHz")
