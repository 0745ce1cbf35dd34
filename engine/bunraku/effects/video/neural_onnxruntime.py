"""onnxruntime on the CPU, one thread: where OpenVINO does not run, as on ARM boards."""

from __future__ import annotations

from typing import Any

from bunraku.effects.video.neural_backend import Planes, PlanesBackend, Wish
from bunraku.effects.video.neural_model import ModelFacts
from bunraku.errors import MissingDependencyError, ModelFormatError, UserInputError

LOG_ERRORS_ONLY = 4


class OnnxruntimeBackend(PlanesBackend):
    def __init__(self, facts: ModelFacts, wish: Wish) -> None:
        super().__init__(facts)
        if wish.device == "cuda":
            raise UserInputError("backend 'onnxruntime' plays on the CPU: choose device 'cpu'")
        if wish.precision == "bfloat16":
            raise UserInputError(
                "backend 'onnxruntime' computes as the file says: choose precision auto or float32"
            )
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError(
                "backend 'onnxruntime' is not installed: pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = LOG_ERRORS_ONLY
        try:
            self._session: Any = onnxruntime.InferenceSession(
                facts.data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class
            raise refused(facts, error) from error
        self._input = self._session.get_inputs()[0].name
        self.says = "onnxruntime, one CPU thread"

    def infer(self, planes: Planes) -> Planes:
        try:
            made: Planes = self._session.run(None, {self._input: planes})[0]
        except Exception as error:
            raise refused(self.facts, error) from error
        return made


def refused(facts: ModelFacts, error: Exception) -> ModelFormatError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return ModelFormatError(f"{facts.path.name} is refused by onnxruntime: {reason}")
