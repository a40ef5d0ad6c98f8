"""Gains: each output of a module is multiplied by a number of its own, as (IA)³ does it (Liu et al. 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.lora_target import Target
from .base import Adapter, Parts, Strength, does_not_fit, weight_of


class Gains(Adapter):
    """``W + diag(g) W``: the update is the module's own weight, scaled; so its norm depends on the model."""

    label = "Gains"
    part_sets = (frozenset({"gain"}),)
    input_part = ""

    def __init__(self, target: Target, strength: Strength, gain: Tensor, alpha: float) -> None:
        super().__init__(target, strength)
        self.gain = nn.Parameter(gain)
        self.alpha = alpha

    @classmethod
    def new(cls, target: Target, strength: Strength, rank: int, alpha: float, generator: torch.Generator) -> Gains:
        del rank, generator
        return cls(target, strength, torch.zeros(len(weight_of(target.module))), alpha)

    @classmethod
    def load(cls, target: Target, strength: Strength, parts: Parts, dtype: torch.dtype) -> Gains:
        gain = parts["gain"]
        if gain.shape != weight_of(target.module).shape[:1]:
            raise does_not_fit(target, gain)
        return cls(target, strength, gain.to(dtype, copy=True), float(parts["alpha"]))

    @classmethod
    def is_wide(cls, parts: Parts) -> bool:
        del parts
        return False

    @classmethod
    def rank_of(cls, parts: Parts) -> int:
        del parts
        return 1

    @classmethod
    def norm_of(cls, parts: Parts, weight: Tensor | None, /) -> float | None:
        if weight is None:
            return None
        return float((parts["gain"][:, None] * weight.flatten(1)).norm())

    @property
    def scale(self) -> float:
        return 1.0

    def update(self, x: Tensor) -> Tensor:
        gain = self.gain.to(x.dtype).view(-1, *[1] * (self.weight.ndim - 1))
        weight = self.weight.to(x.dtype) * gain
        if isinstance(self.module, nn.Conv2d):
            return F.conv2d(x, weight, None, self.module.stride, self.module.padding)
        return F.linear(x, weight)

    def tensors(self) -> dict[str, Tensor]:
        return {"gain": self.gain, "alpha": torch.tensor(self.alpha)}

    def scaled(self, factor: float) -> dict[str, Tensor]:
        return {"gain": self.gain.detach() * factor, "alpha": torch.tensor(self.alpha)}
