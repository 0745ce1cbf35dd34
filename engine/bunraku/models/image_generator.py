"""A small ResNet-style image-to-image generator, as Johnson, Alahi and Fei-Fei (2016) have it, made
narrow enough for a frame of video on one core.

What is heavy happens at a quarter of the size; the picture enters and leaves through strided and
sub-pixel convolutions (Shi et al. 2016), so that no layer with many channels sees full size.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bunraku.errors import ModelFormatError

ARCHITECTURE = "bunraku.image_generator"
PADDINGS = ("zeros", "reflect")
NORMS = ("none", "instance")
BOUNDS = {"channels": (4, 256), "blocks": (1, 32), "enlarge": (1, 4)}
SIDE_MULTIPLE = 4
"""Height and width of the input are whole multiples of this."""


@dataclass(frozen=True)
class ImageGeneratorConfig:
    """channels: at half size, twice as many at a quarter. blocks: residual blocks. enlarge: how
    much larger the output is than the input: 1, 2 or 4. padding: "zeros" or "reflect". norm:
    "none" or "instance", which costs time and makes every pixel depend on all others."""

    channels: int = 24
    blocks: int = 5
    enlarge: int = 2
    padding: str = "zeros"
    norm: str = "none"

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ImageGeneratorConfig:
        """Checked, as from a stranger's file. Raises ModelFormatError."""
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown:
            raise ModelFormatError(
                f"{ARCHITECTURE} has no '{unknown[0][:40]}': not of this release"
            )
        config = cls(**fields)
        for name, (low, high) in BOUNDS.items():
            value = getattr(config, name)
            if type(value) is not int or not low <= value <= high:
                raise ModelFormatError(f"{name} is {value!r:.40}: {low} to {high} is allowed")
        if config.enlarge == 3:
            raise ModelFormatError("enlarge is 3: 1, 2 or 4 is allowed")
        for name, known in (("padding", PADDINGS), ("norm", NORMS)):
            if getattr(config, name) not in known:
                raise ModelFormatError(
                    f"{name} is {getattr(config, name)!r:.40}: one of {', '.join(known)}"
                )
        return config

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class ImageGenerator(nn.Module):
    """[N, 3, H, W] to [N, 3, enlarge H, enlarge W], red first, both -1 to 1; H and W are multiples
    of SIDE_MULTIPLE."""

    def __init__(self, config: ImageGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        half, quarter = config.channels, 2 * config.channels
        self.enter = convolution(config, 3, half, kernel=4, stride=2)
        self.down = convolution(config, half, quarter, kernel=4, stride=2)
        self.blocks = nn.Sequential(*(ResidualBlock(config, quarter) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            convolution(config, quarter, 4 * half, kernel=1, norm=False), nn.PixelShuffle(2)
        )
        self.merge = nn.Sequential(convolution(config, half, half), nn.ReLU())
        self.leave = nn.Sequential(
            convolution(config, half, 3 * (2 * config.enlarge) ** 2, norm=False),
            nn.PixelShuffle(2 * config.enlarge),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        half = torch.relu(self.enter(pictures))
        deep = self.blocks(torch.relu(self.down(half)))
        # The sketch of the way in keeps lines where they were.
        painted: Tensor = self.leave(self.merge(half + self.up(deep)))
        return torch.clamp(painted, -1, 1) if not self.training else painted


class ResidualBlock(nn.Module):
    def __init__(self, config: ImageGeneratorConfig, channels: int) -> None:
        super().__init__()
        self.first = convolution(config, channels, channels)
        self.second = convolution(config, channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(torch.relu(self.first(x)))
        return x + y


def convolution(
    config: ImageGeneratorConfig,
    channels_in: int,
    channels_out: int,
    kernel: int = 3,
    stride: int = 1,
    norm: bool = True,
) -> nn.Module:
    """Padded so that the size is kept, or divided by the stride."""
    layer = nn.Conv2d(
        channels_in,
        channels_out,
        kernel,
        stride,
        padding=(kernel - 1) // 2,
        padding_mode="reflect" if config.padding == "reflect" else "zeros",
    )
    if config.norm == "none" or not norm:
        return layer
    return nn.Sequential(layer, nn.InstanceNorm2d(channels_out, affine=True))
