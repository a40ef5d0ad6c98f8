"""What a cross-attention U-Net receives for prompts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..base import Conditioning


@dataclass(frozen=True)
class CLIPConditioning(Conditioning):
    """What CLIP makes of ``B`` prompts, and the sizes of their images.

    Attributes:
        sequence: ``(B, 77·k, D)``, the text encoders' hidden states; ``k`` windows for long prompts.
        pooled: ``(B, P)``, one vector a prompt, or None where the family has none.
        size_ids: ``(B, 6)``, whole numbers of pixels: the image's height and width in its file, what is cropped off at
            the top and at the left after scaling, the height and width it is trained at. None where the family is not
            told.
    """

    sequence: Tensor
    pooled: Tensor | None = None
    size_ids: Tensor | None = None

    def __len__(self) -> int:
        return self.sequence.shape[0]

    @staticmethod
    def join(parts: Sequence[CLIPConditioning]) -> CLIPConditioning:
        """Several as one batch.

        Sequences of different lengths are repeated to a common one: cross-attention over a sequence and its repetitions
        gives what it gives over the sequence alone, which padding with anything else would not.

        Raises:
            ValueError: some have a pooled vector and others not.
        """
        common = math.lcm(*(part.sequence.shape[1] for part in parts))
        times = [common // part.sequence.shape[1] for part in parts]
        sequences = [
            part.sequence.repeat(1, count, 1) if count > 1 else part.sequence
            for part, count in zip(parts, times, strict=True)
        ]
        return CLIPConditioning(
            torch.cat(sequences),
            _cat_all([part.pooled for part in parts]),
            _cat_all([part.size_ids for part in parts]),
        )

    def sized(self, sizes: Tensor) -> Conditioning:
        if self.size_ids is None:
            return self
        return replace(self.expand(len(sizes)), size_ids=sizes.to(self.size_ids))

    def sized_like(self, other: Conditioning) -> Conditioning:
        assert isinstance(other, CLIPConditioning)
        return replace(self, size_ids=other.size_ids)

    def without(self, rows: Sequence[int]) -> Conditioning:
        """Zeros where there is a pooled vector: SDXL knows no prompt as that, and so hosts have it."""
        if self.pooled is None:
            return self
        sequence, pooled = self.sequence.clone(), self.pooled.clone()
        for row in rows:
            sequence[row], pooled[row] = 0, 0
        return replace(self, sequence=sequence, pooled=pooled)


def _cat_all(tensors: Sequence[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    if not present:
        return None
    if len(present) != len(tensors):
        raise ValueError("conditionings with and without a pooled vector cannot go in one batch")
    return torch.cat(present)
