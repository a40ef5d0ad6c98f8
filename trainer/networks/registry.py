"""The network types, in the order shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch

from ..config.settings import Settings
from ..models.base import Bundle
from ..models.stable_diffusion.lora_targets import all_text_targets, unet_targets
from .base import Builder, Target
from .loha import loha_builder
from .lora import lora_builder


class NetworkType(NamedTuple):
    """One row: how its adapters are made and where they go."""

    builder: Callable[..., Builder]
    around: bool
    """Also in the residual, down- and up-sampling blocks."""
    stored_as: str
    """What its files hold: ``lora`` or ``loha``, see :func:`.keys.network_type_of`."""


NETWORKS: Mapping[str, NetworkType] = MappingProxyType(
    {
        "lierla": NetworkType(lora_builder, around=False, stored_as="lora"),
        "c3lier": NetworkType(lora_builder, around=True, stored_as="lora"),
        "loha": NetworkType(loha_builder, around=True, stored_as="loha"),
    }
)


def builder(settings: Settings, dtype: torch.dtype, device: torch.device) -> Builder:
    """How new adapters of the chosen network type are made."""
    make = NETWORKS[settings.network_type].builder
    conv = settings.network_conv_rank, settings.network_conv_alpha
    return make(settings.network_rank, settings.network_alpha, dtype, device, *conv)


def targets_of(bundle: Bundle, settings: Settings, *, trains_text: bool) -> list[Target]:
    """The modules that the settings train: those of the text encoders first, then the U-Net's in its own order."""
    targets = all_text_targets(bundle) if trains_text else []
    return targets + unet_targets(
        bundle.unet,
        settings.network_blocks,
        settings.network_element,
        around=NETWORKS[settings.network_type].around,
        sgm=bundle.family.lora_names_as_sgm,
    )
