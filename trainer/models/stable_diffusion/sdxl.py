"""Stable Diffusion XL: CLIP-L and OpenCLIP-G side by side, a pooled vector and six size numbers beside the prompt."""

from __future__ import annotations

from typing import Any

from ...config.choices import MODES
from ...config.size import Size
from ...diffusion.schedule import NoiseSchedule
from ..checkpoint.identify import FileKind, Kind
from . import ldm
from .family import StableDiffusion, TextPart


class SDXL(StableDiffusion):
    """Checkpoints in the layout of Stable Diffusion XL 0.9 and 1.0 (base), of any width and depth."""

    name = "SDXL"
    label = "Stable Diffusion XL"
    kind = Kind.SDXL
    default_size = Size(1024, 1024)
    scaling_factor = 0.13025
    text_parts = (
        TextPart("text_encoder", f"{ldm.CONDITIONER}0.transformer.", skipped=1, final_norm=False),
        TextPart(
            "text_encoder_2", f"{ldm.CONDITIONER}1.model.", open_clip=True, projected=True, skipped=1, final_norm=False
        ),
    )
    base_model_version = "sdxl_base_v1-0"
    architecture = "stable-diffusion-xl-v1-base"
    implementation = "https://github.com/Stability-AI/generative-models"
    lora_names_as_sgm = True
    blocks = (
        "BASE",
        *(f"IN{number:02d}" for number in range(9)),
        "M00",
        *(f"OUT{number:02d}" for number in range(9)),
    )

    def defaults(self, mode: str, kind: FileKind) -> dict[str, Any]:
        rate = {"train_learning_rate": 2e-4} if "turns" in MODES[mode].groups else {}
        return {**super().defaults(mode, kind), **rate}

    def vae_survives_half(self, vae_name: str) -> bool:
        """Only those finetuned for it; their names say so, their tensors look like any other's."""
        name = vae_name.lower()
        return "fp16" in name and "fix" in name

    def schedule(self, kind: FileKind) -> NoiseSchedule:
        schedule = super().schedule(kind)
        return schedule.with_zero_terminal_snr() if kind.zero_terminal_snr else schedule
