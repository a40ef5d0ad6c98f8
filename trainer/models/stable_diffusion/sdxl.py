"""Stable Diffusion XL: CLIP-L and OpenCLIP-G side by side, a pooled vector and six size numbers beside the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.choices import MODES
from ...config.size import Size
from ...diffusion.schedule import NoiseSchedule
from ..checkpoint.identify import FileKind, Kind
from . import ldm
from .family import StableDiffusion, TextPart


class SDXL(StableDiffusion):
    """Checkpoints in the layout of Stable Diffusion XL 0.9 and 1.0 (base), of any width and depth."""

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
    lora_versions = ("sdxl_", "stable-diffusion-xl")
    last_layer = 2
    context = 2048
    sgm_names = True

    def defaults(self, mode: str, kind: FileKind) -> dict[str, Any]:
        """LoRA trains convolutions, too: where the latents are finest, there is no attention that it could train."""
        rate = {"train_learning_rate": 2e-4} if "turns" in MODES[mode].groups else {}
        network = {"network_type": "c3lier"} if mode == "LoRA" else {}
        return {**super().defaults(mode, kind), **rate, **network}

    def vae_survives_half(self, vae_name: str) -> bool:
        """Only those finetuned for it; their names say so, their tensors look like any other's."""
        name = vae_name.lower()
        return "fp16" in name and "fix" in name

    def fits_lora(self, inputs: Mapping[str, tuple[int, ...]]) -> bool:
        """By that width, or by names that only its LoRAs have."""
        own = ("lora_te2_", "lora_unet_input_blocks_", "lora_unet_output_blocks_")
        return super().fits_lora(inputs) or any(name.startswith(own) for name in inputs)

    def schedule(self, kind: FileKind) -> NoiseSchedule:
        schedule = super().schedule(kind)
        return schedule.with_zero_terminal_snr() if kind.zero_terminal_snr else schedule
