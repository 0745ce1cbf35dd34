"""Recordings of the default pack: speech fetched, split by prompt, played through circuits.

Prompts are dealt to training, validation and test by a hash of the first two words of their name,
so that several takes of one sentence never fall on both sides; one speaker is in the test alone.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bunraku.errors import MediaError, MissingDependencyError, UserInputError
from bunraku.training.pack_sources import EXCLUDED_PROMPTS, SPEECH, Circuit, SpeechPackage

Audio = NDArray[np.float32]
Part = Literal["train", "validation", "test"]

SAMPLE_RATE = 48_000
LEAD_IN_SECONDS = 1.0
"""Silence first: the circuits' power-up transient dies away in it and is cut off."""
PROMPT_BYTES_MIN = 12_000  # G.722 is 8,000 bytes a second: prompts of at least 1.5 s
PAUSE_SECONDS = 0.15


@dataclass(frozen=True)
class DrySet:
    """Dry signals, float32 at 48 kHz. `train` ends in `validation_seconds` of validation."""

    train: Audio
    validation_seconds: float
    test: Audio


def fetch_speech(folder: Path) -> Path:
    """Download and unpack the pinned speech packages below `folder`; returns the unpacked root.

    Raises MissingDependencyError without apt and dpkg, MediaError for a package gone or changed.
    """
    packages, root = folder / "packages", folder / "unpacked"
    packages.mkdir(parents=True, exist_ok=True)
    for package in SPEECH:
        if prompt_folder(root, package).is_dir():
            continue
        archive = packages / f"{package.name}_{package.version}_all.deb"
        if not archive.exists():
            run_tool(["apt-get", "download", f"{package.name}={package.version}"], packages)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != package.sha256:
            raise MediaError(
                f"{archive.name} has SHA-256 {digest[:16]}…, the pack was made from "
                f"{package.sha256[:16]}…: delete it and download again"
            )
        run_tool(["dpkg-deb", "-x", str(archive), str(root)], packages)
    return root


def run_tool(command: list[str], folder: Path) -> None:
    """Run one external program; raises a one-line error that names it."""
    if shutil.which(command[0]) is None:
        raise MissingDependencyError(f"the program '{command[0]}' is needed: install it with apt")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise MediaError(f"'{' '.join(command)}' failed: {reason[0]}")


def prompt_folder(root: Path, package: SpeechPackage) -> Path:
    return root / "usr" / "share" / "asterisk" / "sounds" / package.folder


def part_of(package: SpeechPackage, prompt: Path) -> Part:
    """The part of a prompt: 70 % train, 10 % validation, 20 % test, by a hash of its name."""
    if package.held_out:
        return "test"
    group = "-".join(prompt.stem.split("-")[:2])
    tenth = hashlib.sha256(f"{package.speaker}/{group}".encode()).digest()[0] % 10
    return "train" if tenth < 7 else "validation" if tenth == 7 else "test"


def prompts_of(root: Path, package: SpeechPackage, part: Part) -> list[Path]:
    """Prompts of one speaker for one part, in an order that does not depend on the file system."""
    found = [
        p
        for p in prompt_folder(root, package).glob("*.g722")
        if p.stat().st_size >= PROMPT_BYTES_MIN
        and p.stem not in EXCLUDED_PROMPTS
        and part_of(package, p) == part
    ]
    return sorted(found, key=lambda p: hashlib.sha256(p.name.encode()).digest())


def decode_prompt(path: Path) -> Audio:
    """One prompt as mono float32 at 48 kHz."""
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError(
            "decoding G.722 needs 'av': pip install 'bunraku[pack]'"
        ) from error
    import soxr

    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(stream)]
        rate = int(stream.rate)
    samples = np.concatenate(frames).astype(np.float64) / 32768.0
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE, "VHQ"), dtype=np.float32)


def speech(root: Path, part: Part, seconds: float, seed: int, wide_share: float) -> Audio:
    """`seconds` of speech, the same time for each speaker of the part, at microphone-like levels.

    Each prompt peaks somewhere between -18 and -1 dBFS. A share of the prompts gets synthetic
    energy above 8 kHz, because the recordings have none and a real microphone has.
    """
    random = np.random.default_rng(seed)
    packages = [p for p in SPEECH if p.held_out == (part == "test") or part == "test"]
    quotas = [share_of(p, packages, seconds) for p in packages]
    pieces: list[Audio] = []
    for package, quota in zip(packages, quotas, strict=True):
        wanted, got = round(quota * SAMPLE_RATE), 0
        for path in prompts_of(root, package, part):
            if got >= wanted:
                break
            prompt = decode_prompt(path)
            if random.random() < wide_share:
                prompt = widen(prompt, random)
            peak = 10 ** (random.uniform(-18.0, -1.0) / 20)
            prompt = prompt * np.float32(peak / max(float(np.abs(prompt).max()), 1e-6))
            pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
            piece = np.concatenate([prompt, pause])[: wanted - got]
            pieces.append(piece)
            got += len(piece)
        if got < wanted:
            raise UserInputError(
                f"{package.name}: {part} prompts end after {got / SAMPLE_RATE:.0f} s"
            )
    return np.concatenate(pieces)


def share_of(package: SpeechPackage, packages: Sequence[SpeechPackage], seconds: float) -> float:
    """Seconds for one speaker: half of a test goes to the speaker that training never heard."""
    held_out = sum(p.held_out for p in packages)
    if not held_out:
        return seconds / len(packages)
    return seconds / 2 / (held_out if package.held_out else len(packages) - held_out)


def widen(x: Audio, random: np.random.Generator) -> Audio:
    """Add noise above 8 kHz that follows the envelope of the 4 to 8 kHz band, as fricatives do."""
    spectrum = np.fft.rfft(x)
    hz = np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE)
    upper = np.fft.irfft(spectrum * ((hz > 4000) & (hz < 7800)), len(x))
    window = np.hanning(241)
    envelope = np.sqrt(np.maximum(np.convolve(upper**2, window / window.sum(), "same"), 0.0))
    noise = np.fft.rfft(random.standard_normal(len(x)) * envelope)
    slope = np.where(hz > 7800, (7800 / np.maximum(hz, 1.0)) ** 1.5, 0.0)
    return (x + random.uniform(0.5, 1.5) * np.fft.irfft(noise * slope, len(x))).astype(np.float32)


def excitation(seed: int) -> Audio:
    """16 s of sweeps and noise bursts from -36 to -3 dBFS: what speech alone never reaches."""
    random = np.random.default_rng(seed)
    pieces: list[Audio] = []
    for seconds, peak in ((4.0, 0.05), (4.0, 0.5)):
        t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        rate = np.log(20_000 / 30) / seconds
        sweep = np.sin(2 * np.pi * 30 / rate * (np.exp(rate * t) - 1))
        pieces.append((peak * sweep).astype(np.float32))
    for level_db in (-36, -30, -24, -18, -14, -10, -6, -3):
        noise = random.standard_normal(SAMPLE_RATE)
        spectrum = np.fft.rfft(noise)
        hz = np.fft.rfftfreq(SAMPLE_RATE, 1 / SAMPLE_RATE)
        pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(hz, 40.0)), SAMPLE_RATE)
        fade = np.minimum(
            1.0, np.minimum(np.arange(SAMPLE_RATE), np.arange(SAMPLE_RATE)[::-1]) / 960
        )
        pieces.append((pink / np.abs(pink).max() * 10 ** (level_db / 20) * fade).astype(np.float32))
    return np.concatenate(pieces)


def dry_set(root: Path, train_seconds: float, validation_seconds: float, test_seconds: float,
            seed: int = 0) -> DrySet:  # fmt: skip
    """The dry signals that every circuit of the pack is recorded with."""
    train = [excitation(seed), speech(root, "train", train_seconds, seed + 1, wide_share=0.5)]
    validation = speech(root, "validation", validation_seconds, seed + 2, wide_share=0.0)
    test = speech(root, "test", test_seconds, seed + 3, wide_share=0.0)
    return DrySet(np.concatenate([*train, validation]), validation_seconds, test)


def play_through(circuit: Circuit, dry: Audio, folder: Path) -> Audio:
    """`dry` through the circuit, float32, the same length; the power-up transient is cut off.

    Raises MediaError when the circuit's output reaches full scale, where the host would clip it.
    """
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    lead_in = round(LEAD_IN_SECONDS * SAMPLE_RATE)
    gain = np.float32(10 ** (circuit.input_gain_db / 20))
    source, result = folder / f"{circuit.name}-in.wav", folder / f"{circuit.name}-out.wav"
    padded = np.concatenate([np.zeros(lead_in, np.float32), dry * gain])
    soundfile.write(source, padded, SAMPLE_RATE, subtype="FLOAT")
    controls = [word for k, v in circuit.controls.items() for word in ("-c", f"{k}:{v:g}")]
    run_tool(["lv2proc", "-i", source.name, "-o", result.name, *controls, circuit.uri], folder)
    wet, _ = soundfile.read(result, dtype="float32", always_2d=True)
    wet = wet[lead_in : lead_in + len(dry), 0]
    source.unlink()
    result.unlink()
    if np.abs(wet).max() >= 0.999:
        raise MediaError(f"{circuit.name}: the output clips at full scale; lower input or level")
    return np.asarray(wet)
