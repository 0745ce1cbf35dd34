"""The recipe of a look: fetch pictures, let the teacher paint them, train, judge, export."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.training.look_data import Part, fetch_pictures, paint_views, pictures_of

NAME = "watercolour"
TRAIN_VIEWS = 800
TEST_VIEWS = 32
SHARD_VIEWS = 25
SEEDS: dict[Part, int] = {"train": 1, "test": 2}
CHANNELS, BLOCKS = 16, 8
MINUTES_MAX = 7 * 24 * 60.0
CHECKPOINT = "look.ckpt"


def train_look(
    work: Path, minutes: float, resume: bool = False, says: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Run the whole recipe in `work`; painted views and the checkpoint in it are used again.

    Writes NAME.onnx, NAME.safetensors and look.json, whose content is returned. `says` gets a line
    now and then. Raises MissingDependencyError, MediaError, UserInputError.
    """
    say = says or (lambda line: None)
    if not 0.01 <= minutes <= MINUTES_MAX:
        raise UserInputError(f"minutes is {minutes:g}: give 0.01 to {MINUTES_MAX:g}")
    require_packages()
    import torch

    from bunraku.models.image_generator import ImageGeneratorConfig
    from bunraku.training.look_export import export_look
    from bunraku.training.look_judge import judge
    from bunraku.training.look_trainer import LookPairs, LookTraining

    checkpoint = work / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise UserInputError(
            f"{work} holds a training already: continue it with --resume or give another --work"
        )
    root = fetch_pictures(work)
    shards = paint(root, work, "train", TRAIN_VIEWS, say)
    test = LookPairs.load(paint(root, work, "test", TEST_VIEWS, say))
    training = LookTraining(ImageGeneratorConfig(CHANNELS, BLOCKS))
    if checkpoint.exists():
        training.restore(checkpoint)

    def saved() -> None:
        partial = checkpoint.with_suffix(".part")
        torch.save(training.state(), partial)
        os.replace(partial, checkpoint)
        say(f"step {training.steps}: loss {training.losses[-1]:.4f}")

    training.run(LookPairs.load(shards), minutes, saved)
    model = training.trained()
    files = export_look(model, work, NAME, licence="MIT")
    report = {
        **judge(model, test).as_json(),
        "steps": training.steps,
        "minutes": training.seconds / 60,
        "train_views": SHARD_VIEWS * len(shards),
        "train_pictures": len(set(pictures_of(root, "train"))),
        "test_pictures": len(set(pictures_of(root, "test"))),
        "parameters": sum(p.numel() for p in model.parameters()),
        "file_bytes": files[0].stat().st_size,
        "teacher_ms": teacher_ms(test.painted[0]),
        "config": model.config.to_json(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    (work / "look.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def require_packages() -> None:
    import importlib.util

    for package, extra in (("torch", "train"), ("onnxscript", "train"), ("cv2", "video")):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"training a look needs '{package}': pip install 'bunraku[{extra}]'"
            )


def paint(root: Path, work: Path, part: Part, count: int, say: Callable[[str], None]) -> list[Path]:
    """Shards of painted views in `work`, made where they are not there already."""
    from bunraku.training.look_teacher import watercolour

    shards = [work / f"{part}-{n:03d}.npz" for n in range(-(-count // SHARD_VIEWS))]
    for index, shard in enumerate(shards):
        if shard.exists():
            continue
        wanted = min(SHARD_VIEWS, count - index * SHARD_VIEWS)
        # A shard's own seed, and the pictures from another one on: an interrupted run goes on.
        files = pictures_of(root, part)
        start = index * SHARD_VIEWS % len(files)
        pairs = list(
            paint_views(
                files[start:] + files[:start], wanted, SEEDS[part] + 100 * index, watercolour
            )
        )
        partial = shard.with_suffix(".part.npz")
        np.savez(
            partial, seen=np.stack([p[0] for p in pairs]), painted=np.stack([p[1] for p in pairs])
        )
        os.replace(partial, shard)
        say(f"{part}: {min(count, (index + 1) * SHARD_VIEWS)} of {count} views painted")
    return shards


def teacher_ms(view: np.ndarray[Any, np.dtype[np.uint8]]) -> float:
    """CPU time of the teacher for one picture here, the best of three."""
    from bunraku.training.look_teacher import watercolour

    picture, times = view.astype(np.float32) / np.float32(255), []
    for _ in range(3):
        started = time.process_time()
        watercolour(picture)
        times.append(time.process_time() - started)
    return 1000 * min(times)
