"""The WebUI's own interrogators: CLIP, which is BLIP with names that CLIP ranks, and DeepBooru.

AUTOMATIC1111, Forge and reForge have both, Forge Neo neither. They fetch their models when first used, as they do for
the WebUI's own buttons; nothing here does.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...captioning.base import GENERAL, RATING, Check, Description, Tag, over_white
from ...errors import MemoryShortError, UserError

CLIP, DEEPBOORU = "CLIP", "DeepBooru"
_PLACES = {CLIP: "modules.interrogate", DEEPBOORU: "modules.deepbooru"}
_FAILED = "<error>"
_RANKED = re.compile(r"\(([^()]+):\d+\.\d+\)")
_RATING = "rating:"
_SIDE = 512
_FILL = 2
"""The host's number for scaling an image to fit and filling the border."""


def interrogators() -> tuple[str, ...]:
    """The names of those that this WebUI has."""
    return tuple(name for name, place in _PLACES.items() if importlib.util.find_spec(place) is not None)


class Interrogator:
    """One of the WebUI's interrogators."""

    def __init__(self, name: str, alone: Callable[[Check], AbstractContextManager[None]]) -> None:
        """Args:
        alone: the host's models are nobody else's for the time of a block.

        Raises:
            UserError: this WebUI has none of that name.
        """
        if name not in interrogators():
            raise UserError("captioning.no_interrogator", where=name, known=interrogators())
        self._name, self._alone = name, alone

    def describe(self, image: Image.Image, check: Check) -> Description:
        ask = _clip if self._name == CLIP else _deepbooru
        with self._alone(check):
            try:
                return ask(over_white(image))
            except (torch.cuda.OutOfMemoryError, MemoryError) as error:
                raise MemoryShortError("captioning.memory") from error
            except UserError:
                raise
            except Exception as error:  # whatever the host, or its download, runs into
                raise UserError("captioning.interrogator_failed", where=self._name, reason=error) from error

    def close(self) -> None:
        """The host keeps its models as its settings say."""


def _clip(image: Image.Image) -> Description:
    """A sentence, and behind it what the WebUI's settings have CLIP rank; without the ranks."""
    from modules import shared

    text = str(shared.interrogator.interrogate(image))
    if _FAILED in text:  # it prints the reason, and answers this
        raise UserError("captioning.interrogator_error", where=CLIP)
    return Description(text=_RANKED.sub(r"\1", text))


def _deepbooru(image: Image.Image) -> Description:
    """All tags with their scores: the choice is ours, whatever the WebUI's settings say."""
    from modules import deepbooru, images

    model: Any = deepbooru.model
    try:
        model.start()
    except Exception:
        model.model = None  # without its weights and tags it would count as loaded from then on
        raise
    try:
        pixels = np.array(images.resize_image(_FILL, image, _SIDE, _SIDE), dtype=np.float32)[None] / 255
        network: Any = model.model
        weight = next(network.parameters())
        with torch.no_grad():
            scores = network(torch.from_numpy(pixels).to(weight.device, weight.dtype))[0].float().cpu().tolist()
        return Description(tags=tuple(_tag(name, score) for name, score in zip(network.tags, scores, strict=True)))
    finally:
        model.stop()


def _tag(name: str, score: float) -> Tag:
    category = RATING if name.startswith(_RATING) else GENERAL
    return Tag(name, score, category)
