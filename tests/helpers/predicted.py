"""What a model predicts, for weights that are stored in fewer bits to be compared with plain ones."""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.config.size import Size
from trainer.models.base import Bundle


def in_float32(bundle: Bundle) -> dict[str, torch.dtype]:
    """The types to place every part in, by its name."""
    return dict.fromkeys(bundle.modules, torch.float32)


def predicted(bundle: Bundle, x: Tensor, timesteps: list[int]) -> Tensor:
    """Of one prompt, for latents ``(B, 4, 8, 8)`` at ``B`` timesteps."""
    conditioning = bundle.encode(["a red circle"], size=Size(64, 64))
    return bundle.predict(x, torch.tensor(timesteps), conditioning)
