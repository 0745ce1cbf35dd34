"""The recipe: from a dry and a wet recording to a `.nam` file and a report."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.training.effect_settings import EffectResult, EffectSettings

if TYPE_CHECKING:
    from lightning import Trainer

    from bunraku.training.effect_data import EffectData
    from bunraku.training.effect_module import EffectModule

DEVICES = ("auto", "cpu", "cuda")
EPOCHS_MAX = 100_000
MINUTES_MAX = 7 * 24 * 60.0
TARGET_RMS = 0.1
"""The network learns the wet signal at this level; the true gain is folded in at the end."""
CHECKPOINT_NAME = "last.ckpt"
VALIDATION_SHARE_MAX = 0.25


def check_settings(settings: EffectSettings) -> None:
    """Refuse what cannot work, before anything is read."""
    from bunraku.training.effect_architectures import wavenet_arrays

    wavenet_arrays(settings.architecture)
    if settings.device not in DEVICES:
        raise UserInputError(f"device '{settings.device}' is none of {', '.join(DEVICES)}")
    bounds: list[tuple[str, float | None, float, float]] = [
        ("epochs", settings.epochs, 1, EPOCHS_MAX),
        ("minutes", settings.minutes, 0.01, MINUTES_MAX),
        ("validation seconds", settings.validation_seconds, 1, 600),
        ("segment frames", settings.segment_frames, 256, 1 << 20),
        ("batch", settings.batch, 1, 1024),
        ("learning rate", settings.learning_rate, 1e-6, 0.1),
        ("seed", settings.seed, 0, 2**31 - 1),
    ]
    for what, value, low, high in bounds:
        if value is not None and not low <= value <= high:
            raise UserInputError(f"{what} is {value:g}: give {low:g} to {high:g}")


def train_effect(settings: EffectSettings) -> EffectResult:
    """Run the whole recipe. Writes into `settings.out`: NAME.nam, report.json, report.md, plot.png,
    checkpoints/last.ckpt and TensorBoard's events.

    Raises MissingDependencyError, UserInputError, MediaError: each with its remedy.
    """
    require_training_packages()
    check_settings(settings)
    import lightning
    import torch

    from bunraku.training.effect_data import load_pair
    from bunraku.training.effect_report import write_report

    device = chosen_device(settings.device)
    checkpoint = settings.out / "checkpoints" / CHECKPOINT_NAME
    if settings.resume and not checkpoint.is_file():
        raise UserInputError(f"nothing to resume: {checkpoint} does not exist; leave out --resume")
    if checkpoint.is_file() and not settings.resume:
        raise UserInputError(
            f"{settings.out} holds a training already: continue it with --resume or give another "
            "--out"
        )
    data = load_pair(settings.dry, settings.wet, settings.validation_seconds)
    lightning.seed_everything(settings.seed, verbose=False)
    module, factor = make_module(settings, data)
    trainer = make_trainer(settings, device)
    resume_from = checkpoint if settings.resume else None
    if resume_from is not None:
        check_checkpoint(resume_from, module)
    fit(trainer, module, settings, data, resume_from)
    if not module.best_weights:
        raise UserInputError("the training ended before its first epoch: give more --minutes")
    if not math.isfinite(module.best_esr):
        raise UserInputError(
            f"the training diverged: lower the learning rate of {settings.learning_rate:g}"
        )
    torch.set_grad_enabled(True)
    return write_report(settings, data, module, factor, device)


def require_training_packages() -> None:
    for package in ("torch", "lightning", "tensorboard", "soundfile", "soxr", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"training needs the package '{package}': pip install 'bunraku[cli,train]'"
            )


def chosen_device(name: str) -> str:
    """`cpu` or `cuda`; only `auto` chooses. Raises UserInputError where there is no such device."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserInputError("device 'cuda' is not available here: use --device cpu or auto")
    return name


def make_module(settings: EffectSettings, data: EffectData) -> tuple[EffectModule, float]:
    """The module, and the factor that brings its output back to the wet recording's level."""
    from bunraku.models.wavenet import WaveNet
    from bunraku.training.effect_architectures import receptive_field_frames, wavenet_arrays
    from bunraku.training.effect_module import EffectModule, LossSettings, RandomSegments, Schedule

    arrays = wavenet_arrays(settings.architecture)
    context = receptive_field_frames(arrays) - 1
    shortest = context + settings.segment_frames
    if len(data.train_dry) <= shortest:
        raise UserInputError(
            f"{len(data.train_dry)} training frames are too few for segments of "
            f"{settings.segment_frames} with {context} before them: give a longer recording"
        )
    rms = float(np.sqrt(np.mean(data.train_wet.astype(np.float64) ** 2)))
    factor = rms / TARGET_RMS
    segments = RandomSegments(
        data.train_dry, data.train_wet / np.float32(factor), context, settings.segment_frames,
        settings.batch, settings.seed,
    )  # fmt: skip
    epochs = settings.epochs or (EPOCHS_MAX if settings.minutes is not None else 100)
    schedule = Schedule(epochs, segments.steps, settings.minutes, settings.learning_rate)
    validation = (data.validation_dry, data.validation_wet / np.float32(factor))
    module = EffectModule(
        WaveNet(arrays), schedule, LossSettings(), TARGET_RMS**2, validation, segments
    )
    return module, factor


def make_trainer(settings: EffectSettings, device: str) -> Trainer:
    import logging

    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
    from lightning.pytorch.loggers import TensorBoardLogger

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    settings.out.mkdir(parents=True, exist_ok=True)
    callbacks: list[lightning.Callback] = [
        ModelCheckpoint(
            dirpath=settings.out / "checkpoints",
            filename=Path(CHECKPOINT_NAME).stem,
            save_top_k=1,
            monitor=None,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    ]
    if settings.progress_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=5))
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        max_epochs=settings.epochs or (EPOCHS_MAX if settings.minutes is not None else 100),
        logger=TensorBoardLogger(settings.out, name="tensorboard", version=""),
        callbacks=callbacks,
        enable_progress_bar=settings.progress_bar,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        log_every_n_steps=10,
        num_sanity_val_steps=0,
    )


def check_checkpoint(path: Path, module: EffectModule) -> None:
    """Refuse a damaged checkpoint or one of another shape. Nothing in it is unpickled but tensors
    and plain values (torch's weights_only)."""
    import torch

    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        same = {k: v.shape for k, v in kept.items()} == {
            k: v.shape for k, v in module.state_dict().items()
        }
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserInputError(
            f"{path} cannot be resumed ({reason}): delete it and train anew"
        ) from error
    if not same:
        raise UserInputError(
            f"{path} is of another architecture: give the same --architecture as before"
        )


def fit(
    trainer: Trainer,
    module: EffectModule,
    settings: EffectSettings,
    data: EffectData,
    resume_from: Path | None,
) -> None:
    """Lightning's loop, with its advice about workers and dataloaders kept quiet."""
    import warnings

    from torch.utils.data import DataLoader

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        loader = DataLoader(module.segments, batch_size=None)
        trainer.fit(module, loader, ckpt_path=resume_from, weights_only=True)
