"""``info``: what a file is. ``list``: what there is to choose from."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..config import choices, presets
from ..config.schema import describe
from ..errors import NetworkError
from .options import add_folders, folders_of

# What of a file's metadata its user asks first, under plain words.
_TELLING = {
    "modelspec.title": "title",
    "modelspec.description": "what it is",
    "modelspec.trigger_phrase": "trigger words",
    "modelspec.usage_hint": "use",
    "ss_sd_model_name": "trained on",
    "ss_base_model_version": "made for",
    "ss_network_module": "network",
    "ss_network_dim": "rank",
    "ss_network_alpha": "alpha",
    "ss_steps": "steps",
    "ss_learning_rate": "learning rate",
    "ss_optimizer": "optimizer",
    "ss_lr_scheduler": "schedule",
    "ss_seed": "seed",
    "ss_resolution": "resolution",
    "ss_num_train_images": "pictures",
    "modelspec.date": "date",
}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    info = commands.add_parser(
        "info", help="say what a file is", description="Say what a model or LoRA file is, and what it says of itself."
    )
    info.add_argument("file", type=Path, metavar="FILE")
    info.add_argument(
        "--all", action="store_true", help="everything the file says of itself, not only what matters most"
    )
    info.add_argument("--json", action="store_true")
    info.set_defaults(command=_info)

    listing = commands.add_parser("list", help="list what there is", description="List what there is to choose from.")
    listing.add_argument("what", choices=sorted(_LISTS))
    listing.add_argument("--json", action="store_true")
    add_folders(listing)
    listing.set_defaults(command=_list)


def _info(options: argparse.Namespace) -> int:
    from ..models.checkpoint.identify import Kind, identify

    kind = identify(options.file)
    rows: dict[str, Any] = {"file": str(options.file), "is": kind.label, "tensors": len(kind.tensors)}
    if kind.kind is Kind.LORA and options.file.suffix == ".safetensors":
        rows.update(_norms(options.file))
    if options.json:
        print(json.dumps({**rows, **dict(sorted(kind.metadata.items()))}, ensure_ascii=False, indent=2))
        return 0
    chosen = kind.metadata if options.all else {key: kind.metadata[key] for key in _TELLING if key in kind.metadata}
    rows.update((_TELLING.get(key, key), value) for key, value in chosen.items())
    for key, value in rows.items():
        print(f"{key}: {_shortened(_shown(value))}")
    if len(chosen) < len(kind.metadata):
        print(f"… and {len(kind.metadata) - len(chosen)} entries more: --all")
    return 0


def _norms(path: Path) -> dict[str, Any]:
    """How large a LoRA's update is, in all and in each block; its share of the weights only a model could tell."""
    from ..networks.files.read import block_norms

    try:
        blocks = block_norms(path)
    except NetworkError:  # of another kind; what its header says can still be told
        return {}
    return {"norm": math.hypot(*blocks.values()), "norms by block": blocks}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shortened(text: str, most: int = 500) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters; whole with --json)"


def _list(options: argparse.Namespace) -> int:
    rows = _LISTS[options.what](options)
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for row in rows:
        print(_line(row))
    return 0


def _line(row: dict[str, Any]) -> str:
    if "key" not in row:
        return str(row["name"])
    chosen = f", one of: {', '.join(map(str, row['choices']))}" if row.get("choices") else ""
    return f"{row['short']} = {row['default']!r}  ({row['type']}{chosen})\n    {row['help']}"


def _names_of(names: Iterable[str]) -> Callable[[argparse.Namespace], list[dict[str, Any]]]:
    return lambda _options: [{"name": name} for name in names]


def _presets(options: argparse.Namespace) -> list[dict[str, Any]]:
    return [{"name": name} for name in presets.list_presets(folders_of(options).presets)]


def _settings(_options: argparse.Namespace) -> list[dict[str, Any]]:
    return describe()


_LISTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "modes": _names_of(choices.MODES),
    "networks": _names_of(choices.NETWORK_TYPES),
    "optimizers": _names_of(choices.OPTIMIZERS),
    "schedulers": _names_of(choices.SCHEDULERS),
    "presets": _presets,
    "settings": _settings,
}
