"""The network types, in the order shown."""

from __future__ import annotations

import torch

from ..errors import NotBuiltError
from ..settings import Settings
from .base import Builder
from .lora import lora_builder

NETWORKS = {"lierla": lora_builder}


def builder(settings: Settings, dtype: torch.dtype, device: torch.device) -> Builder:
    """How adapters of the chosen network type are made.

    Raises:
        NotBuiltError: the type is one of the table's, but not built yet.
    """
    make = NETWORKS.get(settings.network_type)
    if make is None:
        raise NotBuiltError(
            f"{settings.network_type} is not built yet",
            where="network type",
            do=f"Choose one of: {', '.join(NETWORKS)}",
        )
    return make(settings.network_rank, settings.network_alpha, dtype, device)
