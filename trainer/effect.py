"""What a LoRA changes, to be looked at: the same prompts and seeds at several strengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from .models.base import Bundle
from .models.sample import Request, sample
from .networks.base import Network


def strength_grid(
    bundle: Bundle,
    network: Network,
    requests: Sequence[Request],
    strengths: Sequence[float],
    *,
    check: Callable[[], None] = lambda: None,
) -> list[list[Image.Image]]:
    """Pictures ``[request][strength]``; the network is attached only while they are made.

    Args:
        check: called before every denoising step; raises to stop.
    """
    columns = []
    with network.attached():
        for strength in strengths:
            network.strength = strength
            columns.append(sample(bundle, list(requests), check=check))
    return [list(row) for row in zip(*columns, strict=True)]
