"""Pictures that a look is learnt from: pinned Debian packages, dealt to training and test by file,
cut into views, each painted by the teacher once.

No picture is kept in the repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from bunraku.errors import MediaError
from bunraku.training.pack_data import run_tool

Part = Literal["train", "test"]
Picture = npt.NDArray[np.float32]
"""float32 [height, width, 3], blue first, 0 to 1."""
Bytes = npt.NDArray[np.uint8]

INPUT_PX = 256
OUTPUT_PX = 2 * INPUT_PX
"""The teacher paints at twice the size: the network learns to draw finer than it sees."""
TEST_TENTHS = 1
ENLARGED_AT_MOST = 1.35
"""Times a small picture may be enlarged; below that it is left out."""


@dataclass(frozen=True)
class PicturePackage:
    """Pictures in a Debian package. glob: below the unpacked root, without what is no picture of
    anything (screenshots, boards for calibration)."""

    name: str
    version: str
    sha256: str
    globs: tuple[str, ...]
    licence: str
    repeats: int = 1
    """How often each picture has its turn: photographs are few among painted portraits."""

    @property
    def archive(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_all.deb"


OPENCV = "usr/share/doc/opencv-doc/examples/data"
PICTURES = (
    PicturePackage(
        "wesnoth-1.16-data", "1:1.16.9-1",
        "1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
        ("usr/share/games/wesnoth/1.16/data/core/images/portraits/**/*.png",),
        "GPL-2+",
    ),
    PicturePackage(
        "opencv-doc", "4.6.0+dfsg-12",
        "4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
        (f"{OPENCV}/[abefhlmrs]*.jpg", f"{OPENCV}/rubberwhale*.png", f"{OPENCV}/graf*.png"),
        "Apache-2.0 and BSD-3-Clause", 5,
    ),
    PicturePackage(
        "mate-backgrounds", "1.26.0-1",
        "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        ("usr/share/backgrounds/mate/nature/*.jpg", "usr/share/backgrounds/mate/abstract/*.jpg"),
        "GPL-2+", 5,
    ),
    PicturePackage(
        "plasma-workspace-wallpapers", "4:5.27.5-2",
        "32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        ("usr/share/wallpapers/*/contents/images/2560x1600.jpg",),
        "GPL-2+", 2,
    ),
)  # fmt: skip
EXCLUDED = ("left0", "left1", "right0", "right1", "ellipses", "blox", "board")


def fetch_pictures(folder: Path) -> Path:
    """Download and unpack the packages below `folder`; returns the unpacked root.

    Raises MissingDependencyError without apt and dpkg, MediaError for a package gone or changed.
    """
    packages, root = folder / "packages", folder / "unpacked"
    packages.mkdir(parents=True, exist_ok=True)
    for package in PICTURES:
        done = root / f"{package.archive}.unpacked"
        if done.exists():
            continue
        archive = packages / package.archive
        if not archive.exists():
            run_tool(["apt-get", "download", f"{package.name}={package.version}"], packages)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != package.sha256:
            raise MediaError(
                f"{archive.name} has SHA-256 {digest[:16]}…, the look was made from "
                f"{package.sha256[:16]}…: delete it and download again"
            )
        run_tool(["dpkg-deb", "-x", str(archive), str(root)], packages)
        done.touch()
    return root


def pictures_of(root: Path, part: Part) -> list[Path]:
    """Files of one part, in an order that does not depend on the file system; for training, each
    as often as its package says."""
    turns = [
        (digest_of(path, turn), path)
        for package in PICTURES
        for glob in package.globs
        for path in root.glob(glob)
        for turn in range(package.repeats if part == "train" else 1)
        if part_of(path) == part and not path.name.startswith(EXCLUDED)
    ]
    return [path for _, path in sorted(turns)]


def part_of(path: Path) -> Part:
    """One tenth of the files is for the test: by a hash of the name, without what tells a
    portrait's variants apart, so that one face is never on both sides."""
    group = path.stem.split("-")[0].split("+")[0].rstrip("AB_0123456789")
    tenth = hashlib.sha256(group.encode()).digest()[0] % 10
    return "test" if tenth < TEST_TENTHS else "train"


def digest_of(path: Path, turn: int) -> bytes:
    return hashlib.sha256("/".join([*path.parts[-3:], str(turn)]).encode()).digest()


def views(paths: list[Path], count: int, seed: int, jitter: bool = True) -> Iterator[Bytes]:
    """`count` squares of OUTPUT_PX, uint8 blue first, the files in turn."""
    random = np.random.default_rng(seed)
    made = 0
    while made < count:
        before = made
        for path in paths:
            picture = read_picture(path, random)
            if made == count or picture is None:
                continue
            square = random_square(picture, random)
            yield np.rint((jittered(square, random) if jitter else square) * 255).astype(np.uint8)
            made += 1
        if made == before:
            raise MediaError("no picture is large enough: fetch the packages again")


def read_picture(path: Path, random: np.random.Generator) -> Picture | None:
    """The picture, a transparent one on a random plain or shaded ground; None if too small."""
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.dtype != np.uint8:
        return None
    if min(pixels.shape[:2]) * ENLARGED_AT_MOST < OUTPUT_PX:
        return None
    picture: Picture = pixels[..., :3].astype(np.float32) / np.float32(255)
    if pixels.shape[2] == 4:
        opaque: Picture = pixels[..., 3:].astype(np.float32) / np.float32(255)
        ground = random.uniform(0.1, 0.95, (2, 2, 3)).astype(np.float32)
        size = (picture.shape[1], picture.shape[0])
        shaded = np.asarray(cv2.resize(ground, size), np.float32)
        picture = picture * opaque + shaded * (1 - opaque)
    return picture


def random_square(picture: Picture, random: np.random.Generator) -> Picture:
    """A square of OUTPUT_PX at a random scale, flipped half of the time."""
    import cv2

    height, width = picture.shape[:2]
    low = OUTPUT_PX / min(height, width)
    scale = low * random.uniform(1.0, max(1.0, min(2.5, ENLARGED_AT_MOST / low)))
    size = (max(OUTPUT_PX, round(width * scale)), max(OUTPUT_PX, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, size, interpolation=how)
    x = random.integers(0, size[0] - OUTPUT_PX + 1)
    y = random.integers(0, size[1] - OUTPUT_PX + 1)
    square = scaled[y : y + OUTPUT_PX, x : x + OUTPUT_PX]
    if random.random() < 0.5:
        square = square[:, ::-1]
    return np.ascontiguousarray(np.clip(square, 0, 1), np.float32)


def jittered(picture: Picture, random: np.random.Generator) -> Picture:
    """As other cameras and lamps would have it: white balance, exposure, contrast, saturation."""
    balance = random.uniform(0.85, 1.15, 3).astype(np.float32) * random.uniform(0.6, 1.15)
    lit = np.clip(picture * balance, 0, 1) ** random.uniform(0.75, 1.3)
    grey = lit.mean(axis=2, keepdims=True)
    saturated = grey + (lit - grey) * random.uniform(0.5, 1.4)
    return np.asarray(np.clip(saturated, 0, 1), np.float32)


def paint_views(
    paths: list[Path], count: int, seed: int, paint: Callable[[Picture], Picture]
) -> Iterator[tuple[Bytes, Bytes]]:
    """Pairs (input [INPUT_PX]^2, target [OUTPUT_PX]^2), uint8 blue first."""
    import cv2

    for view in views(paths, count, seed):
        seen = cv2.resize(view, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
        painted = paint(view.astype(np.float32) / np.float32(255))
        yield np.asarray(seen, np.uint8), np.rint(painted * 255).astype(np.uint8)
