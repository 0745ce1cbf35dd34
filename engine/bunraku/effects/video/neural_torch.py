"""PyTorch with bunraku_kernels: the whole way of a frame on the GPU; on a CPU the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bunraku.effects.video.neural_backend import NeuralBackend, Wish
from bunraku.effects.video.neural_model import ModelFacts, Size
from bunraku.effects.video.scene import Mask
from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.streaming.video_frame import Pixels


class TorchBackend(NeuralBackend):
    def __init__(self, facts: ModelFacts, wish: Wish) -> None:
        try:
            from bunraku.models.generator_file import load_generator
            from bunraku.models.image_player import ImagePlayer, cuda_at_hand
        except ImportError as error:
            raise MissingDependencyError(
                "backend 'torch' is not installed: pip install 'bunraku[train,kernels]'"
            ) from error
        if wish.device == "cuda" and not cuda_at_hand():
            raise UserInputError("device 'cuda' is not available here: choose device 'cpu' or auto")
        if wish.precision == "bfloat16":
            raise UserInputError(
                "backend 'torch' computes in float32, on a GPU in float16: choose precision auto"
            )
        device = "cuda" if wish.device != "cpu" and cuda_at_hand() else "cpu"
        self._player: Any = ImagePlayer(load_generator(facts.path), device)
        self.batches = device == "cuda"
        self.says = f"PyTorch on {device}, {'float16' if device == 'cuda' else 'float32'}"

    def show(self, pixels: Pixels, mask: Mask, size: Size) -> Pixels:
        return self.show_all([(pixels, mask)], size)[0]

    def show_all(self, pictures: Sequence[tuple[Pixels, Mask]], size: Size) -> list[Pixels]:
        shown: list[Pixels] = self._player.show(pictures, size)
        return shown

    def close(self) -> None:
        self._player = None
