"""The file beside a LoRA that fills its card in a WebUI: what it is, its trigger word, its strength.

From then on it belongs to the user: the WebUI writes changes of the card into the same file.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...paths import write_unless_there
from .metadata import Origin, description
from .texts import one_line


def write_card(lora: Path, origin: Origin) -> bool:
    """Write the card of ``lora`` unless it has one.

    Returns:
        Whether it was written.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    text = json.dumps(card(origin), ensure_ascii=False, indent=4) + "\n"
    return write_unless_there(lora.with_suffix(".json"), [text.encode()])


def card(origin: Origin) -> dict[str, object]:
    """What the WebUI's card editor reads."""
    settings = origin.settings
    rank = f"rank {settings.network_rank}, alpha {settings.network_alpha:g}"
    rate = f"learning rate {settings.train_learning_rate:g}"
    return {
        "description": one_line(description(origin)),
        "sd version": origin.bundle.family.name,
        "activation text": one_line(origin.usage.trigger),
        "preferred weight": 1.0,
        "negative text": "",
        "notes": f"{settings.network_type}, {rank}; {settings.train_optimizer}, {rate}, seed {settings.train_seed}",
    }
