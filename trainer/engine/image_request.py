"""What a host is asked to make images of. Nothing heavy is imported here: the page asks before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.settings import FOUND
from ..models.image_spec import ImageSpec


@dataclass(frozen=True)
class ImageRequest(ImageSpec):
    """Images from the same noise: one for each strength of a LoRA, or one without a LoRA.

    Attributes:
        model, vae, prediction, clip_skip: as in :class:`Settings`; an empty model means what is loaded.
        lora: a LoRA file.
        strengths: how strongly the LoRA is put on in each image.
    """

    model: str = ""
    vae: str = ""
    prediction: str = FOUND
    clip_skip: int = 0
    lora: Path | None = None
    strengths: tuple[float, ...] = (1.0,)
