"""The interrogators of A1111, Forge and reForge, as their modules were seen to have them; Neo has none."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .base import Double, module_of

TAGS = ("rating:safe", "1girl", "long_hair", "hat", ":3")
_SIDE = 512


class Network(nn.Module):
    """DeepDanbooru's interface: images of (n, 512, 512, 3) from 0 to 1, and a probability for each of its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags = list(TAGS)
        self.weight = nn.Parameter(torch.linspace(-4, 4, 3 * len(TAGS)).reshape(3, -1))

    def forward(self, pixels: Tensor) -> Tensor:
        assert pixels.shape[1:] == (_SIDE, _SIDE, 3)
        assert pixels.dtype == self.weight.dtype
        return torch.sigmoid(pixels.mean((1, 2)) @ self.weight)


class DeepDanbooru:
    """``deepbooru.model``: on the device between ``start`` and ``stop``, and only with the host's lock held."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self.model: Network | None = None
        self.is_started = False
        self.error: Exception | None = None

    def start(self) -> None:
        assert self._double.lock.is_held
        if self.model is None:
            self.model = Network()
            if self.error is not None:  # as of a file that it takes for malicious; next time it counts as loaded
                self.model.tags = []
                raise self.error
        self.is_started = True

    def stop(self) -> None:
        assert self._double.lock.is_held
        self.is_started = False


class InterrogateModels:
    """``shared.interrogator``: what goes wrong is printed, and stands in the answer as ``<error>``."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self.fails = False
        self.ranks = False

    def interrogate(self, image: Image.Image) -> str:
        assert self._double.lock.is_held
        assert image.mode == "RGB"
        caption = f"an image of {image.width} by {image.height}"
        if self.fails:
            return f"{caption}<error>"
        return f"{caption}, (by an artist:0.213), (trending:1.000)" if self.ranks else f"{caption}, by an artist"


def resize_image(mode: int, image: Image.Image, width: int, height: int) -> Image.Image:
    """The mode "resize and fill" alone: fitted, in the middle, and the edges drawn out to the border."""
    assert (mode, width, height) == (2, _SIDE, _SIDE)
    scale = _SIDE / max(image.size)
    fitted = np.asarray(image.resize((round(image.width * scale), round(image.height * scale))))
    down, across = _SIDE - fitted.shape[0], _SIDE - fitted.shape[1]
    borders = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return Image.fromarray(np.pad(fitted, borders, "edge"))


def interrogator_modules(double: Double) -> dict[str, types.ModuleType]:
    """Name → module, beside those of :meth:`Double.modules`."""
    contents: dict[str, dict[str, Any]] = {
        "modules.interrogate": {"InterrogateModels": InterrogateModels},
        "modules.deepbooru": {"model": DeepDanbooru(double)},
        "modules.images": {"resize_image": resize_image},
    }
    return {name: module_of(name, content) for name, content in contents.items()}
