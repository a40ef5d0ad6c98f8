"""The groups of parameters an optimizer is made for: each has a learning rate of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from ..config.choices import OPTIMIZERS
from ..config.key_values import rate_of_block, split_block_rates
from ..config.settings import Settings
from ..models.checkpoint.parts import DENOISER, TEXT_ENCODER
from ..networks.base import Network

WIDTH = 64
DEPTHS: Mapping[str, int] = MappingProxyType({DENOISER: 1, TEXT_ENCODER: 2})
"""With ``train_rate_by_size``: how many inputs a layer may have, and how many layers may follow one another, for the
rate to be what the settings say. As the small checkpoints have them that our presets were chosen on."""


@dataclass(frozen=True)
class RateGroup:
    """Parameters with one learning rate.

    Attributes:
        part: of the model, the denoiser or the text encoders.
        rate: the part's.
        factor: what that is multiplied by here.
    """

    part: str
    rate: float
    factor: float
    parameters: list[nn.Parameter] = field(default_factory=list)

    def for_optimizer(self) -> dict[str, Any]:
        return {"params": self.parameters, "lr": self.rate * self.factor}


def rate_groups(
    network: Network, settings: Settings, block_of: Callable[[str], str | None] = lambda _name: None
) -> list[RateGroup]:
    """All trained parameters of a network, the denoiser's first.

    The rate of a block is multiplied by its ``network_block_rates``, that of what starts at zero by LoRA+'s ratio
    (Hayou et al. 2024).

    With ``train_rate_by_size``, the rate of what multiplies a layer's input is divided by the number of inputs in units
    of :data:`WIDTH`, where that is more than one. Adam changes each weight by about the rate, whatever the gradient, so
    what the changes add to the output grows with the number of inputs; what those of the other matrix add does not
    (LoRA+; Yang and Hu 2021). Of layers that follow one another, each of which adds to what the last one hands on, the
    changes add up, so the rate is divided by their number as well, in units of :data:`DEPTHS`. Optimizers that find
    their rate have one for all.

    Args:
        block_of: the block of the module an adapter of this name belongs to, as the family knows it.
    """
    rates = {DENOISER: settings.train_learning_rate, TEXT_ENCODER: settings.train_textencoder_learning_rate}
    blocks, ratio = split_block_rates(settings.network_block_rates), settings.train_loraplus_ratio or 1.0
    by_size = settings.train_rate_by_size and not OPTIMIZERS[settings.train_optimizer].finds_its_rate
    found: dict[tuple[str, float], RateGroup] = {}
    for part, rate in rates.items():
        for adapter in network.adapters_of(part):
            factor = rate_of_block(blocks, block_of(adapter.name))
            if by_size:
                factor *= min(1.0, DEPTHS[part] / adapter.depth)
            factors = {id(each): ratio for each in adapter.zero_at_first()}
            if by_size:
                by_width = min(1.0, WIDTH / adapter.inputs)
                factors |= {id(each): by_width for each in adapter.on_inputs()}
            for parameter in adapter.parameters():
                if parameter.requires_grad:
                    own = factor * factors.get(id(parameter), 1.0)
                    new = RateGroup(part, settings.train_learning_rate if rate is None else rate, own)
                    found.setdefault((part, own), new).parameters.append(parameter)
    return list(found.values())


class ShownRates:
    """The learning rate of each part as it acts, without the factors of its groups: what a run reports.

    Args:
        groups: what ``optimizer`` was made for; it may have arranged them anew.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, groups: list[RateGroup]) -> None:
        firsts = {group.part: group for group in reversed(groups)}
        self._places = [
            (_place_of(group.parameters[0], optimizer), group.factor) for group in reversed(firsts.values())
        ]

    def of(self, rates: list[float]) -> list[float]:
        """Those of the parts, given those of the optimizer's groups."""
        return [rates[place] / factor for place, factor in self._places]


def _place_of(parameter: nn.Parameter, optimizer: torch.optim.Optimizer) -> int:
    return next(
        place
        for place, group in enumerate(optimizer.param_groups)
        if any(each is parameter for each in group["params"])
    )
