"""How the default pack is made: record each circuit, train it with the effect recipe, judge it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.errors import MediaError, UserInputError
from bunraku.training.pack_data import SAMPLE_RATE, Audio, dry_set, fetch_speech, play_through
from bunraku.training.pack_sources import CIRCUITS, Circuit

TRAIN_SECONDS = 240.0
VALIDATION_SECONDS = 28.0
TEST_SECONDS = 60.0
DEFAULT_MINUTES = 8.0


@dataclass(frozen=True)
class Recordings:
    """Files of one circuit, float32 WAV at 48 kHz."""

    train_dry: Path
    train_wet: Path
    test_dry: Path
    test_wet: Path


def find_circuit(name: str) -> Circuit:
    """A circuit of the pack by name; UserInputError lists those there are."""
    for circuit in CIRCUITS:
        if circuit.name == name:
            return circuit
    known = ", ".join(circuit.name for circuit in CIRCUITS)
    raise UserInputError(f"the pack has no effect '{name}': it has {known}")


def record(circuit: Circuit, folder: Path) -> Recordings:
    """Make the circuit's recordings below `folder`, fetching speech on the first call.

    The wet signals are scaled so that training speech keeps its loudness (RMS).
    """
    import soundfile

    dry_folder, wet_folder = folder / "dry", folder / circuit.name
    files = Recordings(
        dry_folder / "train.wav",
        wet_folder / "train.wav",
        dry_folder / "test.wav",
        wet_folder / "test.wav",
    )
    for path in (files.train_dry, files.train_wet):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not files.test_dry.exists():
        dry = dry_set(fetch_speech(folder), TRAIN_SECONDS, VALIDATION_SECONDS, TEST_SECONDS)
        soundfile.write(files.train_dry, dry.train, SAMPLE_RATE, subtype="FLOAT")
        soundfile.write(files.test_dry, dry.test, SAMPLE_RATE, subtype="FLOAT")
    train_dry, test_dry = read(files.train_dry), read(files.test_dry)
    train_wet = play_through(circuit, train_dry, wet_folder)
    test_wet = play_through(circuit, test_dry, wet_folder)
    check_repeatable(circuit, test_dry, test_wet, wet_folder)
    gain = np.float32(np.sqrt(np.mean(train_dry**2) / np.mean(train_wet**2)))
    soundfile.write(files.train_wet, train_wet * gain, SAMPLE_RATE, subtype="FLOAT")
    soundfile.write(files.test_wet, test_wet * gain, SAMPLE_RATE, subtype="FLOAT")
    notes = {"output_gain_db": float(20 * np.log10(gain)), "uri": circuit.uri}
    (wet_folder / "recording.json").write_text(json.dumps(notes) + "\n")
    return files


def check_repeatable(circuit: Circuit, dry: Audio, wet: Audio, folder: Path) -> None:
    """A circuit that plays the same twice, and the same later, is one that a network can learn."""
    later = 1237
    shifted = np.concatenate([np.zeros(later, np.float32), dry[:-later]])
    again = play_through(circuit, shifted, folder)[later:]
    energy = float(np.sum(wet[: len(again)].astype(np.float64) ** 2))
    change = float(np.sum((again - wet[: len(again)]).astype(np.float64) ** 2)) / energy
    if change > 1e-3:
        raise MediaError(
            f"{circuit.name}: the same input played later differs by {change:.1e} of its energy: "
            "switch off modulation, noise and everything else that has a clock"
        )


def read(path: Path) -> Audio:
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32)


def train_circuit(
    circuit: Circuit, folder: Path, minutes: float, progress_bar: bool, resume: bool = False
) -> dict[str, Any]:
    """Record, train and judge one circuit in `folder`/NAME/run; returns the report with
    `test_esr`, also written as run/pack.json."""
    from bunraku.training.effect_recipe import train_effect
    from bunraku.training.effect_settings import EffectSettings

    files = record(circuit, folder)
    result = train_effect(
        EffectSettings(
            dry=files.train_dry,
            wet=files.train_wet,
            out=folder / circuit.name / "run",
            name=circuit.name,
            architecture=circuit.architecture,
            minutes=minutes,
            validation_seconds=VALIDATION_SECONDS,
            progress_bar=progress_bar,
            resume=resume,
        )
    )
    recording = json.loads((folder / circuit.name / "recording.json").read_text())
    report = {
        **result.as_json(),
        **recording,
        "machine": this_machine(),
        "test_esr": test_esr(result.model_path, files),
    }
    (folder / circuit.name / "run" / "pack.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def this_machine() -> str:
    """What trains here, in words, for `pack.json`."""
    import torch

    cpu = platform.machine()
    return f"{torch.get_num_threads()} thread(s) of a {cpu} CPU, torch {torch.__version__}"


def test_esr(model: Path, files: Recordings) -> float:
    """ESR of a `.nam` file on the held-out recordings, the delay taken out as in training."""
    from bunraku.formats.load import load_model_spec
    from bunraku.training.effect_alignment import align
    from bunraku.training.effect_export import wavenet_of
    from bunraku.training.effect_module import whole_signal_esr

    delay = delay_of(files)
    dry, wet = align(read(files.test_dry), read(files.test_wet), delay)
    return whole_signal_esr(wavenet_of(load_model_spec(model)), dry, wet)


def delay_of(files: Recordings) -> int:
    """Frames that training took out: measured on the training recording, as the recipe does."""
    from bunraku.training.effect_alignment import measure_alignment

    return measure_alignment(read(files.train_dry), read(files.train_wet), SAMPLE_RATE).delay_frames
