"""The hook for neural image-to-image networks: any ONNX or safetensors generator, live."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from typing import Any, Literal

from pydantic import Field

from bunraku.effects.video.neural_backend import NeuralBackend, Wish
from bunraku.effects.video.neural_backends import chosen, make_backend
from bunraku.effects.video.neural_batch import Inference, NetworkEffect
from bunraku.effects.video.neural_model import (
    ModelFacts,
    Size,
    model_file,
    onnx_facts,
    suffixes_of,
)
from bunraku.effects.video.neural_regions import (
    Region,
    face_region,
    frame_region,
    person_region,
)
from bunraku.effects.video.scene import Scene
from bunraku.effects.video.video_effect import EffectSettings, PresetPath
from bunraku.streaming.video_frame import Pixels

GENERATOR_MULTIPLE = 8
"""Of the sides that our own generators get: they need 4, and eights suit the CPU."""
NEEDS = {
    "frame": frozenset[str](),
    "person": frozenset({"person"}),
    "face": frozenset({"faces"}),
}
REOPEN: dict[str, Any] = {"reopen": True}


class NeuralSettings(EffectSettings):
    file: PresetPath = Field(
        "watercolour", description="An .onnx or .safetensors file, or a look of the pack."
    )
    strength: float = Field(1.0, ge=0, le=1, description="How much of the look shows: 0 none.")
    region: Literal["frame", "person", "face"] = Field(
        "frame",
        description="Where it shows: everywhere, on the person, on the largest face.",
        json_schema_extra=REOPEN,
    )
    backend: Literal["auto", "openvino", "onnxruntime", "torch"] = Field(
        "auto", description="What plays the network.", json_schema_extra=REOPEN
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto is bfloat16 where it is faster.", json_schema_extra=REOPEN
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the network runs.", json_schema_extra=REOPEN
    )
    values: Literal["auto", "-1..1", "0..1", "0..255"] = Field(
        "auto",
        description="The network's range of values; auto: what the file says, else 0..1.",
        json_schema_extra=REOPEN,
    )


class NeuralImage(NetworkEffect):
    """A network of free size gets about 256, 192 or 128 squared pixels in the frame's proportions;
    one of fixed size always its own, every frame, every second or every third, held between."""

    name = "neural"
    summary = "A neural image-to-image network: a look of the pack, or your own."
    Settings = NeuralSettings
    tiers = ("256", "192", "128")
    SIDES_PX = (256, 192, 128)

    def __init__(self, settings: EffectSettings | None = None) -> None:
        super().__init__(settings)
        self.needs = NEEDS[self.settings.region]
        self._backend: NeuralBackend | None = None
        self._facts: ModelFacts | None = None
        self._network: Hashable | None = None
        self._prepared: set[Size] = set()
        self._held: Pixels | None = None
        self._held_frames = 0

    @classmethod
    def bundled(cls, setting: str) -> tuple[str, ...]:
        from bunraku.weights import looks

        return tuple(looks.names()) if setting == "file" else ()

    @property
    def says(self) -> str:
        """Which backend plays on what, once it is open: for a report."""
        return self._backend.says if self._backend else ""

    @property
    def network(self) -> Hashable | None:
        return self._network

    def open(self) -> None:
        self.close()
        wish = Wish(self.settings.backend, self.settings.precision, self.settings.device)
        backend = chosen(wish, suffixes_of(self.settings.file))
        path = model_file(self.settings.file, ".safetensors" if backend == "torch" else ".onnx")
        if backend == "torch":
            self._facts = ModelFacts(path, "-1..1", multiple=GENERATOR_MULTIPLE)
        else:
            self._facts = onnx_facts(path, self.settings.values)
        self._backend = make_backend(backend, self._facts, wish)
        # Crops of faces differ in size from frame to frame.
        if self._backend.batches and self.settings.region != "face":
            weights = hashlib.sha256(self._facts.data or path.read_bytes()).digest()
            self._network = weights, self._facts.values, self._backend.says
        self.prepare((480, 640))

    def prepare(self, part: Size) -> None:
        """Compile for all tiers at once, so that stepping down does not cost a frame."""
        assert self._facts is not None
        assert self._backend is not None
        sizes = {self.size(part, tier) for tier in range(len(self.tiers))}
        if not sizes <= self._prepared:
            self._backend.prepare(sorted(sizes))
            self._prepared |= sizes

    def size(self, part: Size, tier: int) -> Size:
        """What the network gets. A face's crop changes its size from frame to frame, so it gets one
        of the few sizes that are compiled already."""
        assert self._facts is not None
        side = self.SIDES_PX[tier]
        if self.settings.region != "face":
            return self._facts.size_for(side, part)
        fitting = [other for other in self.SIDES_PX if other <= min(side, *part)]
        side = max(fitting, default=self.SIDES_PX[-1])
        return self._facts.size_for(side, (side, side))

    def ask(self, pixels: Pixels, scene: Scene, tier: int) -> Inference | Pixels:
        region = self.region(pixels, scene)
        if region is None or self._backend is None or self._facts is None:
            return pixels
        part = pixels[region.rows, region.columns]
        size = self.size(part.shape[:2], tier)
        if self._facts.fixed is not None and self.may_hold(pixels, tier):
            assert self._held is not None
            return self._held.copy()
        self.prepare(part.shape[:2])
        return Inference(self._backend, self._network, part, region.mask, size)

    def take(self, pixels: Pixels, asked: Inference, made: Pixels) -> Pixels:
        if made.shape != pixels.shape:
            asked.pixels[:] = made  # a part of `pixels`
            made = pixels
        if self._facts is not None and self._facts.fixed is not None:
            self._held, self._held_frames = made.copy(), 0
        return made

    def region(self, pixels: Pixels, scene: Scene) -> Region | None:
        """Where the look shows in this frame; None where it shows nowhere."""
        strength = self.settings.strength
        if strength == 0:
            return None
        if self.settings.region == "person":
            return person_region(pixels, scene, strength)
        if self.settings.region == "face":
            return face_region(pixels, scene, strength)
        return frame_region(pixels, strength)

    def may_hold(self, pixels: Pixels, tier: int) -> bool:
        """Whether the last picture stands for this one too: `tier` frames long."""
        if self._held is None or self._held.shape != pixels.shape or self._held_frames >= tier:
            return False
        self._held_frames += 1
        return True

    def reset(self) -> None:
        self._held = None

    def close(self) -> None:
        if self._backend is not None:
            self._backend.close()
        self._backend = self._facts = self._network = self._held = None
        self._prepared = set()
