"""How close a look comes to its teacher, and how still it holds under a camera's noise."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from bunraku.models.image_generator import ImageGenerator
from bunraku.training.look_data import Bytes
from bunraku.training.look_trainer import LookPairs, picture_tensor

NOISE_DEVIATION = 2.5
"""Of 255: a webcam by daylight."""
FLICKER_FRAMES = 6
SSIM_SIGMA_PX = 1.5


@dataclass(frozen=True)
class LookScores:
    """psnr_db and ssim: against the teacher, on views of pictures that training never saw.
    input_psnr_db: the same of the enlarged input, which is what doing nothing reaches.
    flicker: deviation of 255 in time when the same view comes with fresh noise each frame;
    input_flicker: that of the input."""

    psnr_db: float
    ssim: float
    input_psnr_db: float
    flicker: float
    input_flicker: float
    views: int

    def as_json(self) -> dict[str, float]:
        return asdict(self)


def judge(model: ImageGenerator, pairs: LookPairs) -> LookScores:
    import cv2

    psnrs, ssims, inputs, flickers = [], [], [], []
    for seen, painted in zip(pairs.seen, pairs.painted, strict=True):
        made = played(model, seen)
        psnrs.append(psnr_db(made, painted))
        ssims.append(ssim(made, painted))
        enlarged = cv2.resize(seen, painted.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        inputs.append(psnr_db(np.asarray(enlarged, np.uint8), painted))
    for seen in pairs.seen[:8]:
        flickers.append(flicker(model, seen))
    out_flicker, in_flicker = np.mean(flickers, axis=0)
    return LookScores(
        float(np.mean(psnrs)), float(np.mean(ssims)), float(np.mean(inputs)),
        float(out_flicker), float(in_flicker), len(psnrs),
    )  # fmt: skip


@torch.inference_mode()
def played(model: ImageGenerator, seen: Bytes) -> Bytes:
    """One picture through the network: uint8, blue first, in and out."""
    planes = model(picture_tensor(seen)[None])[0]
    picture = planes.permute(1, 2, 0).flip(2).mul(127.5).add(127.5).round().clamp(0, 255)
    return np.asarray(picture.numpy().astype(np.uint8))


def flicker(model: ImageGenerator, seen: Bytes) -> tuple[float, float]:
    random = np.random.default_rng(0)
    noise = random.normal(0, NOISE_DEVIATION, (FLICKER_FRAMES, *seen.shape))
    frames = np.clip(np.rint(seen + noise), 0, 255).astype(np.uint8)
    made = np.stack([played(model, frame) for frame in frames])
    return float(made.std(axis=0).mean()), float(frames.std(axis=0).mean())


def psnr_db(made: Bytes, wanted: Bytes) -> float:
    error = float(np.mean((made.astype(np.float64) - wanted) ** 2))
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def ssim(made: Bytes, wanted: Bytes) -> float:
    """Structural similarity of the lightness (Wang, Bovik, Sheikh and Simoncelli 2004)."""
    import cv2

    def blurred(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), SSIM_SIGMA_PX), np.float64)

    a = cv2.cvtColor(made, cv2.COLOR_BGR2GRAY).astype(np.float64)
    b = cv2.cvtColor(wanted, cv2.COLOR_BGR2GRAY).astype(np.float64)
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = ((2 * mean_a * mean_b + c1) * (2 * both + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )
    return float(likeness.mean())
