"""Our own host in a folder of a test's, with all it has there."""

from __future__ import annotations

from pathlib import Path

import torch

from trainer.hosts.standalone import Standalone
from trainer.paths import Folders


def folders_in(folder: Path) -> Folders:
    """Data, LoRAs and models beside each other; none of them is there yet."""
    return Folders(folder / "data", folder / "loras", folder / "models")


def host_in(folder: Path, device: str = "cpu") -> Standalone:
    return Standalone(torch.device(device), folders_in(folder))
