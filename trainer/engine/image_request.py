"""What a host is asked to draw. Nothing heavy is imported here: the page asks before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config.size import DEFAULT_SIZE, Size


@dataclass(frozen=True)
class Drawing:
    """Pictures to be made: one for each strength of the LoRA, all from the same noise; one without a LoRA.

    Attributes:
        cfg: guidance scale; 1 or less leaves the negative prompt out.
        size: multiples of 8.
        model, vae: as in :class:`Settings`; empty means what is loaded.
        velocity: the model predicts the velocity, whatever it says itself (``model_v_pred``).
        lora: a LoRA file.
        strengths: how strongly the LoRA is put on in each picture.
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    steps: int = 20
    cfg: float = 7.0
    size: Size = DEFAULT_SIZE
    model: str = ""
    vae: str = ""
    velocity: bool = False
    lora: Path | None = None
    strengths: tuple[float, ...] = (1.0,)
