"""The `neural` video effect on one thread: every backend at hand at every tier, and the teacher.

    python benchmarks/neural_video.py [--frames 200] [--seconds 8] [--batch] [--out FILE]

A frame of 640x480 goes through the whole effect: resize, network, back to the frame, blend. CPU
time is that of all threads of the process: on a busy machine the wall clock says how long a frame
took, the CPU time what it cost. Beside them the network alone, and each backend's distance from
PyTorch in float32.

--batch: instead, the network alone on 1, 2 and 4 pictures in one call, by turns; milliseconds for
each picture. With PyTorch on a GPU the whole way of the frames.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "neural_video.json"
BATCH_RESULTS = RESULTS.with_name("neural_batch.json")
BATCHES, BATCH_SIDES = (1, 2, 4), (256, 128)
HEIGHT, WIDTH = 480, 640
WARM_UP_FRAMES = 10
CASES = (
    ("openvino", "bfloat16"),
    ("openvino", "float32"),
    ("onnxruntime", "float32"),
    ("torch", "float32"),
)
REGIONS = ("frame", "person", "face")
FACE_BOX = (260.0, 120.0, 130.0, 150.0)


class StillAnalyses:
    """A person's mask and a face that cost nothing, so that the effect alone is timed."""

    def mask(self, frame: Any) -> Any:
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        return np.clip(1.5 - np.hypot((x - 320) / 160, (y - 300) / 240), 0, 1).astype(np.float32)

    def faces(self, frame: Any) -> Any:
        from bunraku.effects.video.scene import Face

        return (Face(np.zeros((478, 3), np.float32), FACE_BOX, np.eye(4, dtype=np.float32)),)

    def reset(self) -> None: ...
    def close(self) -> None: ...


def picture() -> Any:
    """A landscape of slopes, edges and noise: the network's time does not depend on it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    planes = [128 + 90 * np.sin(x / (40 + 9 * n)) * np.cos(y / (31 - 5 * n)) for n in range(3)]
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 3))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


def timed(run: Callable[[], Any], frames: int, seconds: float) -> dict[str, float]:
    """Milliseconds a call: wall clock p50 and p99, CPU time p50 and p99, over at least 20 calls."""
    for _ in range(WARM_UP_FRAMES):
        run()
    wall, cpu, began = [], [], time.perf_counter()
    while len(wall) < 20 or (len(wall) < frames and time.perf_counter() - began < seconds):
        start, start_cpu = time.perf_counter(), time.process_time()
        run()
        cpu.append(time.process_time() - start_cpu)
        wall.append(time.perf_counter() - start)
    return {
        "frames": len(wall),
        "wall_p50_ms": round(1e3 * float(np.percentile(wall, 50)), 2),
        "wall_p99_ms": round(1e3 * float(np.percentile(wall, 99)), 2),
        "cpu_p50_ms": round(1e3 * float(np.percentile(cpu, 50)), 2),
        "cpu_p99_ms": round(1e3 * float(np.percentile(cpu, 99)), 2),
    }


def measure(backend: str, precision: str, frames: int, seconds: float) -> list[dict[str, Any]]:
    from bunraku.effects.video.scene import Scene
    from bunraku.effects.video.video_effect import make_effect
    from bunraku.streaming.video_frame import VideoFrame

    rows, pixels, still = [], picture(), StillAnalyses()
    scene = Scene(VideoFrame(pixels, 0), still.mask, still.faces)
    wanted = precision if backend == "openvino" else "auto"
    for region in REGIONS:
        effect: Any = make_effect(
            "neural", backend=backend, precision=wanted, device="cpu", region=region
        )
        started = time.perf_counter()
        effect.open()
        open_ms = 1e3 * (time.perf_counter() - started)
        for tier, name in enumerate(effect.tiers if region == "frame" else effect.tiers[:1]):
            made = effect.process(pixels.copy(), scene, tier)
            shown = effect.region(pixels, scene)
            size = effect.size(pixels[shown.rows, shown.columns].shape[:2], tier)
            row = {
                "backend": backend, "precision": precision, "region": region, "tier": name,
                "network_input": f"{size[1]}x{size[0]}", "open_ms": round(open_ms, 1),
                **timed(lambda: effect.process(pixels.copy(), scene, tier), frames, seconds),  # noqa: B023
                "distance_of_255": distance(made, scene, region, tier),
            }  # fmt: skip
            if region == "frame" and hasattr(effect._backend, "infer"):
                planes = effect._backend.planes_of(pixels, size)
                alone = timed(lambda: effect._backend.infer(planes), frames, seconds)  # noqa: B023
                row["network_cpu_p50_ms"] = alone["cpu_p50_ms"]
                row["network_wall_p50_ms"] = alone["wall_p50_ms"]
            rows.append(row)
            print(json.dumps(row), flush=True)
        effect.close()
    return rows


def distance(made: Any, scene: Any, region: str, tier: int) -> float:
    """Mean absolute difference from PyTorch in float32."""
    from bunraku.effects.video.video_effect import make_effect

    effect = make_effect("neural", backend="torch", device="cpu", region=region)
    effect.open()
    wanted = effect.process(scene.frame.pixels.copy(), scene, tier)
    return round(float(np.abs(made.astype(np.int16) - wanted).mean()), 3)


def teacher(seconds: float) -> dict[str, Any]:
    from bunraku.training.look_teacher import watercolour

    view = picture()[:, :480].astype(np.float32) / np.float32(255)
    return {"backend": "teacher, 480x480", **timed(lambda: watercolour(view), 20, seconds)}


def batch_calls(side: int) -> dict[tuple[str, int], Callable[[], Any]]:
    """By the backend's words and the number of pictures."""
    import torch
    from bunraku.effects.video.neural_backend import Wish
    from bunraku.effects.video.neural_backends import installed, make_backend
    from bunraku.effects.video.neural_model import ModelFacts, onnx_facts
    from bunraku.effects.video.neural_regions import whole
    from bunraku.weights import looks

    facts = onnx_facts(looks.find("watercolour", ".onnx"), "auto")
    planes = np.random.default_rng(0).uniform(-1, 1, (max(BATCHES), 3, side, side))
    planes, pixels = planes.astype(np.float32), picture()[:side, :side].copy()
    calls: dict[tuple[str, int], Callable[[], Any]] = {}
    for precision in ("bfloat16", "float32") if "openvino" in installed() else ():
        backend: Any = make_backend("openvino", facts, Wish(precision=precision, device="cpu"))
        for count in BATCHES:
            model = backend._core.read_model(model=facts.data)
            model.reshape([count, 3, side, side])
            request = backend._core.compile_model(model, "CPU", backend._options)
            infer = request.create_infer_request().infer
            calls[backend.says, count] = partial(infer, [planes[:count]], share_inputs=True)
    if "onnxruntime" in installed():
        backend = make_backend("onnxruntime", of_any_batch(facts), Wish(device="cpu"))
        calls |= {(backend.says, n): partial(backend.infer, planes[:n]) for n in BATCHES}
    weights = ModelFacts(looks.find("watercolour", ".safetensors"), "-1..1")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        backend = make_backend("torch", weights, Wish(device=device))
        for count in BATCHES:
            frames = [(pixels, whole(1.0))] * count
            given = torch.from_numpy(planes[:count]).to(memory_format=torch.channels_last)
            network = partial(torch.inference_mode()(backend._player.model), given)
            whole_way = partial(backend.show_all, frames, (side, side))
            calls[backend.says, count] = whole_way if device == "cuda" else network
    return calls


def of_any_batch(facts: Any) -> Any:
    """The same network; the bundled file says one picture a call."""
    import onnx

    model = onnx.load_from_string(facts.data)
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return replace(facts, data=model.SerializeToString())


def batches(rounds: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for side in BATCH_SIDES:
        calls = batch_calls(side)
        spent: dict[tuple[str, int], list[tuple[float, float]]] = {key: [] for key in calls}
        for run in calls.values():
            for _ in range(3):
                run()
        began = time.perf_counter()
        for k in range(rounds):
            if k >= 30 and time.perf_counter() - began > seconds * len(calls):
                break
            for key, run in calls.items():
                start, start_cpu = time.perf_counter(), time.process_time()
                run()
                cpu, wall = time.process_time() - start_cpu, time.perf_counter() - start
                spent[key].append((1e3 * wall / key[1], 1e3 * cpu / key[1]))
        for (says, count), times in spent.items():
            wall_ms, cpu_ms = np.median(times, axis=0)
            alone_wall_ms, alone_cpu_ms = np.median(spent[says, 1], axis=0)
            row = {
                "backend": says, "side": side, "pictures": count, "calls": len(times),
                "wall_p50_ms": round(wall_ms, 2), "cpu_p50_ms": round(cpu_ms, 2),
                "wall_of_alone": round(wall_ms / alone_wall_ms, 3),
                "cpu_of_alone": round(cpu_ms / alone_cpu_ms, 3),
            }  # fmt: skip
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    import cv2
    import torch
    from bunraku.effects.video.neural_backends import installed
    from bunraku.measure.bench import machine_name

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8.0, help="at most, for each figure")
    parser.add_argument("--batch", action="store_true", help="pictures in one call instead")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    out = arguments.out or (BATCH_RESULTS if arguments.batch else RESULTS)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    if arguments.batch:
        rows = batches(arguments.frames, arguments.seconds)
    else:
        for backend, precision in CASES:
            if backend in installed():
                rows += measure(backend, precision, arguments.frames, arguments.seconds)
        rows.append(teacher(arguments.seconds))
    report = {
        "machine": machine_name(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        **({} if arguments.batch else {"frame": f"{WIDTH}x{HEIGHT}"}),
        "rows": rows,
    }
    out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(f"{out}\n")


if __name__ == "__main__":
    main()
