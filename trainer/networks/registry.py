"""Network types: their classes by name and by the tensors of a file, and where they are attached."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from ..config.choices import NETWORK_TYPES, TEXT_ENCODERS, load
from ..config.key_values import rate_of_block, split_block_rates
from ..config.settings import Settings
from ..models.base import Bundle
from ..models.lora_target import Target, TargetChoice
from .base import Adapter, Builder, Ranks, builder_of


def adapter_type(network_type: str) -> type[Adapter]:
    """The class of a network type of the table; several may share one."""
    found: type[Adapter] = load(NETWORK_TYPES[network_type].path)
    return found


def adapter_types() -> tuple[type[Adapter], ...]:
    """Every class once."""
    return tuple(dict.fromkeys(map(adapter_type, NETWORK_TYPES)))


def adapter_type_of(parts: Iterable[str]) -> type[Adapter] | None:
    """The class whose tensors these are, by their names; None if they are no whole set of any."""
    present = set(parts) - {"alpha"}
    return next((each for each in adapter_types() if present in each.part_sets), None)


def builder(settings: Settings, dtype: torch.dtype, device: torch.device) -> Builder:
    """How new adapters of the chosen network type are made."""
    conv = settings.network_conv_rank, settings.network_conv_alpha
    ranks = Ranks(settings.network_rank, settings.network_alpha, *conv)
    return builder_of(adapter_type(settings.network_type), ranks, dtype, device)


def targets_of(bundle: Bundle, settings: Settings, *, trains_text: bool) -> list[Target]:
    """The modules that the settings train: those of the text encoders first, then the denoiser's in its own order."""
    include_resnets = NETWORK_TYPES[settings.network_type].include_resnets
    rates = split_block_rates(settings.network_block_rates)
    blocks = [block for block in settings.network_blocks if rate_of_block(rates, block)]
    trains_text = trains_text and bool(rate_of_block(rates, TEXT_ENCODERS))
    choice = TargetChoice(blocks, settings.network_element, include_resnets, trains_text)
    return bundle.family.lora_targets(bundle, choice)
