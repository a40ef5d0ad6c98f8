"""Stable Diffusion 1: one CLIP-L text encoder, a U-Net with convolutions around its attention, a 4-channel VAE."""

from __future__ import annotations

from ...config.size import Size
from ..checkpoint.identify import Kind
from . import ldm
from .family import StableDiffusion, TextPart


class SD1(StableDiffusion):
    """Checkpoints in the layout of Stable Diffusion 1.4 and 1.5, of any width and depth."""

    kind = Kind.SD1
    default_size = Size(512, 512)
    scaling_factor = 0.18215
    text_parts = (TextPart("text_encoder", ldm.CLIP),)
    base_model_version = "sd_v1"
    architecture = "stable-diffusion-v1"
    lora_versions = ("sd_v1", "stable-diffusion-v1")
    context = 768

    def heads(self, width: int) -> int:
        del width
        return 8
