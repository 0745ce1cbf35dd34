"""The generator that looks are made of: shape, files, export, and that its recipe learns."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.errors import ModelFormatError, UserInputError
from bunraku.formats.safetensors_file import read_safetensors, write_safetensors
from bunraku.weights import looks

torch = pytest.importorskip("torch")

from bunraku.models.generator_file import load_generator, save_generator  # noqa: E402
from bunraku.models.image_generator import ImageGenerator, ImageGeneratorConfig  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(**fields: Any) -> ImageGenerator:
    torch.manual_seed(1)
    return ImageGenerator(ImageGeneratorConfig(**{"channels": 4, "blocks": 1, **fields})).eval()


@pytest.mark.parametrize("enlarge", [1, 2, 4])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("norm", ["none", "instance"])
def test_sizes(enlarge: int, padding: str, norm: str) -> None:
    made = small(enlarge=enlarge, padding=padding, norm=norm)(torch.rand(2, 3, 24, 40))
    assert made.shape == (2, 3, 24 * enlarge, 40 * enlarge)
    assert float(made.detach().abs().max()) <= 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channels": 3}, "channels is 3: 4 to 256"),
        ({"blocks": True}, "blocks is True"),
        ({"enlarge": 3}, "1, 2 or 4"),
        ({"padding": "wrap"}, "zeros, reflect"),
        ({"norm": 1}, "none, instance"),
        ({"depth": 1}, "no 'depth'"),
    ],
)
def test_shapes_from_strangers_are_checked(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFormatError, match=reason):
        ImageGeneratorConfig.from_json(fields)


def test_a_file_gives_the_same_network(tmp_path: Path) -> None:
    model, path, x = small(norm="instance"), tmp_path / "m.safetensors", torch.rand(1, 3, 16, 16)
    save_generator(path, model, licence="MIT")
    assert torch.equal(load_generator(path)(x), model(x))
    assert read_safetensors(path)[1]["licence"] == "MIT"


def test_files_that_do_not_belong_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_generator(path, small())
    tensors, metadata = read_safetensors(path)
    name = next(iter(tensors))

    def refused(reason: str, changed: dict[str, Any], notes: dict[str, str]) -> None:
        write_safetensors(path, changed, notes)
        with pytest.raises(ModelFormatError, match=reason):
            load_generator(path)

    refused("give other networks as .onnx", tensors, {})
    refused("export it again", {**tensors, name: tensors[name][:1]}, metadata)
    refused("export it again", {**tensors, "extra": tensors[name]}, metadata)
    refused("not finite", {**tensors, name: tensors[name] * np.float32(np.nan)}, metadata)
    wide = json.dumps({"channels": 100_000})
    refused("4 to 256", tensors, {**metadata, "config": wide})


def test_both_bundled_files_hold_the_same_weights() -> None:
    """Whoever plays the ONNX hears of the same training as who plays the safetensors."""
    model = load_generator(looks.find("watercolour", ".safetensors"))
    inside = looks.find("watercolour", ".onnx").read_bytes()
    for value in model.state_dict().values():
        assert value.numpy().astype("<f4").tobytes() in inside


@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="no onnxscript here")
def test_export_to_onnx_plays_the_same(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from bunraku.training.look_export import export_look

    model, x = small(padding="reflect", norm="instance"), torch.rand(1, 3, 24, 40)
    onnx, _ = export_look(model, tmp_path, "small", licence="MIT")
    made = onnxruntime.InferenceSession(onnx).run(None, {"picture": x.numpy()})[0]
    assert np.abs(made - model(x).detach().numpy()).max() < 1e-4
    assert str(Path(__file__).parent).encode() not in onnx.read_bytes()


def test_the_recipe_learns_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bunraku.training import look_trainer
    from bunraku.training.look_judge import judge

    monkeypatch.setattr(look_trainer, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(look_trainer, "CROP_PX", 48)
    monkeypatch.setattr(look_trainer, "BATCH", 2)
    dice = np.random.default_rng(3)
    coarse = dice.integers(0, 255, (4, 20, 20, 3), np.uint8)
    painted = coarse.repeat(16, axis=1).repeat(16, axis=2)
    pairs = look_trainer.LookPairs(painted[:, ::2, ::2], 255 - painted)
    training = look_trainer.LookTraining(ImageGeneratorConfig(4, 1))
    first = training.step(pairs, 1.0)
    for _ in range(24):
        last = training.step(pairs, 1.0)
    assert last < 0.9 * first
    torch.save(training.state(), tmp_path / "look.ckpt")
    again = look_trainer.LookTraining(ImageGeneratorConfig(4, 1))
    again.restore(tmp_path / "look.ckpt")
    assert again.steps == 25
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(again.trained()(x), training.trained()(x))
    few = look_trainer.LookPairs(pairs.seen[:1], pairs.painted[:1])
    scores = judge(training.trained(), few)
    assert scores.views == 1
    assert scores.psnr_db > scores.input_psnr_db


def test_the_teacher_paints() -> None:
    pytest.importorskip("cv2")
    from bunraku.training.look_teacher import watercolour

    y, x = np.mgrid[:64, :64].astype(np.float32) / 64
    picture = np.stack([x, y, (x > 0.5).astype(np.float32)], axis=-1)
    painted = watercolour(picture)
    assert painted.shape == picture.shape
    assert painted.dtype == np.float32
    assert 0 <= float(painted.min()) <= float(painted.max()) <= 1
    assert np.array_equal(painted, watercolour(picture)), "the same picture, the same painting"


def test_no_face_is_on_both_sides() -> None:
    from bunraku.training.look_data import part_of

    variants = ["knight.png", "knight+female.png", "knight-2.png", "leuvenA.jpg", "leuvenB.jpg"]
    parts = [part_of(Path(name)) for name in variants]
    assert len(set(parts[:3])) == len(set(parts[3:])) == 1


def test_minutes_are_checked_before_anything_is_fetched(tmp_path: Path) -> None:
    from bunraku.training.look_recipe import train_look

    with pytest.raises(UserInputError, match="minutes is -1"):
        train_look(tmp_path, -1)
    assert not list(tmp_path.iterdir())
