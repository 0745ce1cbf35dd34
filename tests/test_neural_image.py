"""The `neural` effect: regions, strength, tiers; every backend against the PyTorch reference."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import neural_models as onnx
import numpy as np
import pytest
from bunraku.effects.video.neural_backend import PlanesBackend, Wish
from bunraku.effects.video.neural_backends import chosen
from bunraku.effects.video.neural_openvino import openvino_module, set_up_module
from bunraku.effects.video.scene import Face, Mask, Scene
from bunraku.effects.video.video_effect import VideoEffect, make_effect
from bunraku.errors import MissingDependencyError, ModelFormatError, UserInputError
from bunraku.streaming.video_frame import Pixels, VideoFrame

pytest.importorskip("cv2")

HEIGHT, WIDTH = 120, 160
CPU_BACKENDS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
        ),
    )
    for name in ("openvino", "onnxruntime")
]


class HalfPerson:
    """A person fills the left half."""

    def mask(self, frame: VideoFrame) -> Mask:
        mask = np.zeros(frame.pixels.shape[:2], np.float32)
        mask[:, : mask.shape[1] // 2] = 1
        return mask


class FaceAt:
    def __init__(self, *box: float) -> None:
        self.box = box

    def faces(self, frame: VideoFrame) -> tuple[Face, ...]:
        if not self.box:
            return ()
        landmarks, still = np.zeros((478, 3), np.float32), np.eye(4, dtype=np.float32)
        left, top, width, height = self.box
        return (Face(landmarks, (left, top, width, height), still),)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def picture(height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Smooth colours with edges in them, as a camera's picture has."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = [128 + 100 * np.sin(x / 17 + n) * np.cos(y / (11 + n)) for n in range(3)]
    pixels = np.stack(planes, axis=-1)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = (40, 90, 200)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def scene_of(pixels: Pixels, *face: float) -> Scene:
    return Scene(VideoFrame(pixels, 0), HalfPerson().mask, FaceAt(*face).faces)


def opened(**settings: Any) -> VideoEffect:
    effect = make_effect("neural", **settings)
    effect.open()
    return effect


def negative(folder: Path, **settings: Any) -> VideoEffect:
    """The negative of what it sees, at the frame's own size or near it."""
    data = onnx.one_node("Neg", values="-1..1", multiple="8")
    return opened(file=onnx.written(folder, data), **settings)


def shown(effect: VideoEffect, pixels: Pixels, *face: float, tier: int = 0) -> Pixels:
    return effect.process(pixels.copy(), scene_of(pixels, *face), tier)


def distance(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_pixels_go_in_and_out_right(tmp_path: Path, backend: str) -> None:
    pixels = picture()
    made = shown(negative(tmp_path, backend=backend, precision="float32"), pixels)
    assert np.abs(made.astype(int) - (255 - pixels.astype(int))).max() <= 1
    assert made.shape == pixels.shape
    assert made.dtype == np.uint8


@pytest.mark.parametrize("region", ["frame", "person", "face"])
def test_strength_zero_is_the_original_to_the_bit(region: str) -> None:
    pixels = picture()
    assert np.array_equal(
        shown(opened(strength=0.0, region=region), pixels, 60, 40, 30, 40), pixels
    )


def test_half_strength_is_half_way(tmp_path: Path) -> None:
    pixels = picture()
    made = shown(negative(tmp_path, strength=0.5, precision="float32"), pixels)
    assert np.abs(made.astype(int) - 127.5).max() <= 1.5


def test_strength_changes_between_frames(tmp_path: Path) -> None:
    pixels, effect = picture(), negative(tmp_path)
    assert distance(shown(effect, pixels), pixels) > 20
    effect.change(strength=0.0)
    assert np.array_equal(shown(effect, pixels), pixels)


def test_person_alone_changes(tmp_path: Path) -> None:
    pixels = picture()
    made = shown(negative(tmp_path, region="person", precision="float32"), pixels)
    half = WIDTH // 2
    assert np.array_equal(made[:, half:], pixels[:, half:])
    assert np.abs(made[:, :half].astype(int) - (255 - pixels[:, :half].astype(int))).max() <= 1


def test_face_changes_within_an_oval(tmp_path: Path) -> None:
    pixels, effect = picture(240, 320), negative(tmp_path, region="face")
    made = shown(effect, pixels, 140, 90, 60, 70)
    changed = np.abs(made.astype(int) - pixels).max(axis=2) > 12
    rows, columns = np.nonzero(changed)
    assert 60 < rows.min() < rows.max() < 190
    assert 110 < columns.min() < columns.max() < 230
    assert not changed[66:72, 112:118].any(), "the corners of the crop stay"


@pytest.mark.parametrize("face", [(-40, -30, 60, 60), (300, 220, 80, 90), (0, 0, 320, 240)])
def test_a_face_at_the_border_is_cut_there(tmp_path: Path, face: tuple[float, ...]) -> None:
    pixels = picture(240, 320)
    made = shown(negative(tmp_path, region="face"), pixels, *face)
    assert made.shape == pixels.shape
    assert distance(made, pixels) > 0


def test_no_face_no_change(tmp_path: Path) -> None:
    pixels = picture()
    assert np.array_equal(shown(negative(tmp_path, region="face"), pixels), pixels)


def test_an_enlarging_network_keeps_the_frames_size(tmp_path: Path) -> None:
    pixels, file = picture(), onnx.written(tmp_path, onnx.doubling())
    made = shown(opened(file=file, precision="float32"), pixels)
    assert made.shape == pixels.shape
    assert distance(made, pixels) < 6


class SizesSeen(PlanesBackend):
    """Plays nothing, remembers what it was asked."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner.facts)
        self.sizes: list[tuple[int, int]] = []

    def infer(self, planes: Any) -> Any:
        self.sizes.append(planes.shape[2:])
        return planes


def sizes_of(effect: Any, pixels: Pixels, *face: float) -> list[tuple[int, int]]:
    effect._backend = SizesSeen(effect._backend)
    for tier in range(len(effect.tiers)):
        shown(effect, pixels, *face, tier=tier)
    return list(effect._backend.sizes)


def test_tiers_are_sizes_in_the_frames_proportions() -> None:
    sizes = sizes_of(opened(), picture(480, 640))
    assert sizes == [(224, 296), (168, 224), (112, 144)]


def test_a_face_gets_few_sizes() -> None:
    sizes = sizes_of(opened(region="face"), picture(480, 640), 250, 150, 120, 140)
    assert sizes == [(192, 192), (192, 192), (128, 128)]


def test_a_fixed_size_is_kept_and_lower_tiers_hold_the_picture(tmp_path: Path) -> None:
    fixed = onnx.one_node("Neg", shape=(1, 3, 64, 96), values="-1..1")
    effect: Any = opened(file=onnx.written(tmp_path, fixed))
    effect._backend = SizesSeen(effect._backend)
    for tier, runs in ((0, 6), (1, 3), (2, 2)):
        effect.reset()
        effect._backend.sizes.clear()
        for _ in range(6):
            shown(effect, picture(), tier=tier)
        assert effect._backend.sizes == [(64, 96)] * runs


def test_a_uint8_network_gets_bytes(tmp_path: Path) -> None:
    file = onnx.written(tmp_path, onnx.one_node("Identity", element=onnx.UINT8))
    pixels = picture(128, 160)
    assert np.array_equal(shown(opened(file=file), pixels), pixels)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("region", ["frame", "person", "face"])
def test_backends_agree_with_the_reference(backend: str, region: str) -> None:
    """In float32 the rest is the resize before and after, which differs by rounding and filter."""
    pytest.importorskip("torch")
    pixels, face = picture(240, 320), (130, 60, 90, 110)
    reference = opened(backend="torch", device="cpu", region=region)
    wanted = shown(reference, pixels, *face)
    made = shown(opened(backend=backend, precision="float32", region=region), pixels, *face)
    assert distance(made, wanted) < 1.0
    assert distance(wanted, pixels) > 2.0 if region == "face" else distance(wanted, pixels) > 5.0


def reference_planes(planes: Any) -> Any:
    import torch
    from bunraku.models.generator_file import load_generator
    from bunraku.weights import looks

    model = load_generator(looks.find("watercolour", ".safetensors"))
    with torch.inference_mode():
        return model(torch.from_numpy(planes)).numpy()


@pytest.mark.parametrize(
    ("backend", "precision", "tolerance"),
    [("openvino", "float32", 2e-4), ("openvino", "auto", 0.15), ("onnxruntime", "float32", 2e-4)],
)
def test_networks_agree_with_the_reference(backend: str, precision: str, tolerance: float) -> None:
    """Plane by plane, in the network's range of two; bfloat16 has eight bits of mantissa."""
    pytest.importorskip("torch")
    pytest.importorskip(backend)
    effect: Any = opened(backend=backend, precision=precision)
    planes = effect._backend.planes_of(picture(240, 320), (96, 128))
    made = np.array(effect._backend.infer(planes))
    assert np.abs(made - reference_planes(planes)).max() < tolerance


def test_bfloat16_is_close_on_average() -> None:
    pytest.importorskip("openvino")
    pixels = picture(240, 320)
    fine = shown(opened(backend="openvino", precision="float32"), pixels)
    assert distance(shown(opened(backend="openvino"), pixels), fine) < 1.0


def test_says_what_plays() -> None:
    effect: Any = make_effect("neural")
    assert effect.says == ""
    effect.open()
    assert "OpenVINO" in effect.says or "onnxruntime" in effect.says or "PyTorch" in effect.says
    effect.close()
    effect.close()
    assert effect.says == ""


def test_no_cache_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_folder))
    assert distance(shown(opened(backend="openvino"), picture()), picture()) > 2


def test_a_damaged_cache_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wanted = shown(opened(backend="openvino"), picture())
    blobs = list((tmp_path / "bunraku" / "openvino").glob("*.blob"))
    assert blobs
    for blob in blobs:
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:1000])
    assert np.array_equal(shown(opened(backend="openvino"), picture()), wanted)


def test_unknown_looks_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match="no look is named 'oils': the pack has watercolour"):
        opened(file="oils")
    with pytest.raises(UserInputError, match=r"gone\.onnx is no file"):
        opened(file=str(tmp_path / "gone.onnx"))


def test_a_backend_that_does_not_read_the_file_lists_those_that_do(tmp_path: Path) -> None:
    file = onnx.written(tmp_path, onnx.one_node())
    with pytest.raises(UserInputError, match=r"'torch' does not read \.onnx: openvino, onnxr"):
        opened(file=file, backend="torch")


def test_a_backend_that_is_missing_lists_those_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    from bunraku.effects.video import neural_backends

    monkeypatch.setattr(neural_backends, "installed", lambda: ["onnxruntime"])
    with pytest.raises(MissingDependencyError, match="at hand for this file: onnxruntime"):
        chosen(Wish(backend="openvino"), (".onnx",))
    assert chosen(Wish(), (".onnx",)) == "onnxruntime"
    monkeypatch.setattr(neural_backends, "installed", list)
    with pytest.raises(MissingDependencyError, match=r"bunraku\[video\]"):
        chosen(Wish(), (".onnx",))
    with pytest.raises(MissingDependencyError, match="pip install onnxruntime;"):
        chosen(Wish(backend="onnxruntime"), (".onnx",))


def test_the_remedy_for_onnxruntime_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No extra of ours brings it."""
    from bunraku.effects.video.neural_model import onnx_facts
    from bunraku.effects.video.neural_onnxruntime import OnnxruntimeBackend

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    facts = onnx_facts(Path(onnx.written(tmp_path, onnx.one_node())), "auto")
    with pytest.raises(MissingDependencyError, match=r"pip install onnxruntime$"):
        OnnxruntimeBackend(facts, Wish())


def test_a_gpu_that_is_not_there_is_refused() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserInputError, match="'cuda' is not available"):
        opened(device="cuda")
    with pytest.raises(UserInputError, match=r"needs PyTorch and a \.safetensors"):
        chosen(Wish(device="cuda"), (".onnx",))


def test_a_network_that_changes_its_size_midway_is_refused(tmp_path: Path) -> None:
    """What onnxruntime learns only when it runs."""
    pytest.importorskip("onnxruntime")
    import struct

    scales = onnx.tensor("scales", (4,), struct.pack("<4f", 1, 1, 0.5, 1))
    out = ("n", "c", "h", "w")
    nodes = [onnx.node("Resize", ["x", "", "scales"], ["y"])]
    content = onnx.graph(
        nodes, [scales], [onnx.value_info("x", onnx.FREE)], [onnx.value_info("y", out)]
    )
    for backend in ("openvino", "onnxruntime"):
        pytest.importorskip(backend)
        with pytest.raises(ModelFormatError, match="whole multiple"):
            shown(
                opened(file=onnx.written(tmp_path, onnx.model(content)), backend=backend), picture()
            )


class OpenvinoOfTheTest(ModuleType):
    """Says where it is asked for a tensor, and takes long for the first."""

    def __init__(self) -> None:
        super().__init__("openvino")
        self.asked: list[str] = []

    def Tensor(self, array: np.ndarray, shared_memory: bool) -> None:
        self.asked.append("begun")
        time.sleep(0.05)
        self.asked.append("done")


def test_openvino_s_first_tensor_is_one_thread_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two first ones at once, of two sessions that open a look, would stop the process for good: of
    them one waits in OpenVINO with the GIL, which the other needs."""
    fake = OpenvinoOfTheTest()
    monkeypatch.setitem(sys.modules, "openvino", fake)
    set_up_module.cache_clear()
    try:
        seen: list[list[str]] = []
        threads = [
            threading.Thread(target=lambda: seen.append(list(openvino_module().asked)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert seen == [["begun", "done"]] * 4, "one asked, and nobody went on before it was done"
    finally:
        set_up_module.cache_clear()
