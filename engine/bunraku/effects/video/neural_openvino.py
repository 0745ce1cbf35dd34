"""OpenVINO: one thread, bfloat16 where the CPU has it, compiled once for each size and kept."""

from __future__ import annotations

import os
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bunraku.effects.video.neural_backend import Planes, PlanesBackend, Wish
from bunraku.effects.video.neural_model import ModelFacts, Size, check_output
from bunraku.errors import MissingDependencyError, ModelFormatError, UserInputError

MAX_LAYER_ELEMENTS = 1 << 27
MAX_ALL_ELEMENTS = 1 << 30
"""Sizes of what layers give, known before anything is compiled: half a gigabyte for one."""
CACHED_MAX = 64
"""Compiled networks in the user's cache, about as large as their files."""
SIZES_MAX = 16
"""Compiled sizes that are kept; each holds the network's memory for one frame."""
_first_use = threading.Lock()


class OpenvinoBackend(PlanesBackend):
    def __init__(self, facts: ModelFacts, wish: Wish) -> None:
        super().__init__(facts)
        if wish.device == "cuda":
            raise UserInputError("backend 'openvino' plays on the CPU: choose device 'cpu'")
        self._core: Any = openvino_module().Core()
        self._options = options_for(self._core, wish.precision)
        self._compiled: dict[Size, Any] = {}
        self.says = f"OpenVINO, {self._options['INFERENCE_PRECISION_HINT']}, one CPU thread"

    def prepare(self, sizes: list[Size]) -> None:
        for size in sizes:
            self.request_for(size)

    def infer(self, planes: Planes) -> Planes:
        request = self.request_for((planes.shape[2], planes.shape[3]))
        request.infer([planes], share_inputs=True)
        made: Planes = request.get_output_tensor(0).data
        return made

    def request_for(self, size: Size) -> Any:
        if size not in self._compiled:
            if len(self._compiled) == SIZES_MAX:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[size] = self.compiled(size)
        return self._compiled[size]

    def compiled(self, size: Size) -> Any:
        """Raises ModelFormatError with OpenVINO's reason in one line."""
        try:
            model = self._core.read_model(model=self.facts.data)
            model.reshape([1, 3, *size])
        except Exception as error:  # its own errors are RuntimeError, and others' from below
            raise refused(self.facts, error) from error
        check_layers(model, self.facts)
        shape = tuple(int(n) for n in model.output(0).partial_shape.to_shape())
        check_output(self.facts, size, shape)
        try:
            compiled = self._core.compile_model(model, "CPU", self._options)
        except Exception as error:
            raise refused(self.facts, error) from error
        return compiled.create_infer_request()

    def close(self) -> None:
        self._compiled.clear()


def openvino_module() -> Any:
    """Ready for several threads. Raises MissingDependencyError."""
    with _first_use:
        return set_up_module()


@cache
def set_up_module() -> Any:
    try:
        # It would report its use to a server, and fork this process to do so: a fork
        # write-protects the audio thread's memory, which then waits for page faults.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino
    except ImportError as error:
        raise MissingDependencyError(
            "backend 'openvino' is not installed: pip install 'bunraku[video]'"
        ) from error
    # Its first tensor looks NumPy up in a function's static variable, and lets go of the GIL at
    # that: a second thread with its first tensor would wait there for ever, and keep the GIL.
    openvino.Tensor(np.zeros(1, np.float32), shared_memory=True)
    return openvino


def options_for(core: Any, precision: str) -> dict[str, Any]:
    capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bfloat16" and not capable:
        raise UserInputError("precision is bfloat16, which this CPU lacks: choose auto or float32")
    narrow = capable and precision != "float32"
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if narrow else "f32",
        "ENABLE_CPU_PINNING": False,  # the scheduler's thread stays where the system puts it
    }
    folder = cache_folder()
    return options if folder is None else {**options, "CACHE_DIR": str(folder)}


def cache_folder() -> Path | None:
    """Where compiled networks are kept, so that the next start is quick: the user's own folder,
    the oldest of many files removed. None where nothing can be kept."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(base) / "bunraku" / "openvino"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = sorted(folder.glob("*.blob"), key=lambda blob: blob.stat().st_mtime)
        for blob in kept[:-CACHED_MAX]:
            blob.unlink(missing_ok=True)
        return folder if os.access(folder, os.W_OK) else None
    except (OSError, RuntimeError):
        return None


def check_layers(model: Any, facts: ModelFacts) -> None:
    """Refuse a network that would take the machine's memory: all sizes are known by now."""
    total = 0
    for layer in model.get_ops():
        for output in layer.outputs():
            shape = output.get_partial_shape()
            if shape.is_dynamic:
                raise ModelFormatError(
                    f"{facts.path.name}: {layer.get_type_name()} has a size that depends on the "
                    "picture: only networks of known sizes are read"
                )
            elements = 1
            for side in shape.to_shape():
                elements *= int(side)
            total += elements
            if elements > MAX_LAYER_ELEMENTS or total > MAX_ALL_ELEMENTS:
                raise ModelFormatError(
                    f"{facts.path.name}: its layers give {total:,} numbers: allowed are "
                    f"{MAX_LAYER_ELEMENTS:,} for one, {MAX_ALL_ELEMENTS:,} for all"
                )


def refused(facts: ModelFacts, error: Exception) -> ModelFormatError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1][:160] if lines else type(error).__name__
    return ModelFormatError(f"{facts.path.name} is refused by OpenVINO: {reason}")
