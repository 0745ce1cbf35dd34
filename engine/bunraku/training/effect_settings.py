"""What a training is told, and what it ended in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EffectSettings:
    """Everything `bunraku train effect` can be told."""

    dry: Path
    wet: Path
    out: Path
    name: str = ""
    """Name of the effect and of the file; empty: that of the folder `out`."""
    architecture: str = "standard"
    epochs: int | None = None
    """None: 100, or without bound when `minutes` is given."""
    minutes: float | None = None
    validation_seconds: float = 15.0
    segment_frames: int = 16_384
    batch: int = 2
    learning_rate: float = 1e-2
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    progress_bar: bool = True


@dataclass(frozen=True)
class EffectResult:
    """What a training ended in. ESR: error-to-signal ratio of the written file."""

    model_path: Path
    report_path: Path
    plot_path: Path
    name: str
    architecture: str
    train_esr: float
    validation_esr: float
    minutes: float
    steps: int
    epochs: int
    file_bytes: int
    flop_per_frame: int
    receptive_field_frames: int
    delay_frames: int
    inverted: bool
    coherence: float
    device: str
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}
