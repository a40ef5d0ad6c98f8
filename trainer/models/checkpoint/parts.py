"""The parts of a model, by the names that files, precision, placement and networks know them by."""

from __future__ import annotations

from ...text.messages import Message, message

DENOISER = "denoiser"
VAE = "vae"
TEXT_ENCODER = "text_encoder"
"""The first text encoder, and what stands for all of them where they are treated alike."""


def text_encoder_part(number: int) -> str:
    """The name of a text encoder, counted from 0: ``text_encoder``, ``text_encoder_2`` …"""
    return TEXT_ENCODER if number == 0 else f"{TEXT_ENCODER}_{number + 1}"


def is_text_encoder(part: str) -> bool:
    """Whether a part is one of the text encoders."""
    return part.startswith(TEXT_ENCODER)


def part_label(part: str) -> Message:
    """What a sentence calls a part, whatever family the model is of."""
    return message(f"models.part_{part}")
