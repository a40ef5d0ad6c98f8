"""``info``: what a file is."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import NetworkError, UserError
from ..text.messages import Message
from .options import path_argument
from .words import told

if TYPE_CHECKING:
    from ..models.checkpoint.identify import FileKind

# What is known of a file, and what of its metadata its user asks first.
_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "file": "commands.info_file",
        "is": "commands.info_is",
        "tensors": "commands.info_tensors",
        "about": "commands.info_found_out",
        "unused": "commands.info_unused",
        "problem": "commands.info_problem",
        "norm": "commands.info_norm",
        "norms by block": "commands.info_norms",
    }
)
_IMPORTANT: Mapping[str, str] = MappingProxyType(
    {
        "modelspec.title": "commands.info_title",
        "modelspec.description": "commands.info_about",
        "modelspec.trigger_phrase": "commands.info_trigger",
        "modelspec.usage_hint": "commands.info_use",
        "ss_sd_model_name": "commands.info_trained_on",
        "ss_base_model_version": "commands.info_made_for",
        "ss_network_module": "commands.info_network",
        "ss_network_dim": "commands.info_rank",
        "ss_network_alpha": "commands.info_alpha",
        "ss_steps": "commands.info_steps",
        "ss_learning_rate": "commands.info_learning_rate",
        "ss_optimizer": "commands.info_optimizer",
        "ss_lr_scheduler": "commands.info_schedule",
        "ss_seed": "commands.info_seed",
        "ss_resolution": "commands.info_resolution",
        "ss_num_train_images": "commands.info_images",
        "modelspec.date": "commands.info_date",
    }
)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("info", help=told("commands.info"), description=told("commands.info_description"))
    parser.add_argument("file", type=path_argument, metavar="FILE")
    parser.add_argument("--all", action="store_true", help=told("commands.info_all"))
    parser.add_argument("--json", action="store_true", help=told("commands.json"))
    parser.set_defaults(command=_info)


def _info(options: argparse.Namespace) -> int:
    from ..models.checkpoint.identify import Kind, identify

    kind = identify(options.file)
    found: dict[str, Any] = {"file": str(options.file), "is": _label(kind.label), "tensors": len(kind.tensors)}
    if kind.kind is Kind.LORA:
        found.update({**_unused(options.file), **_norms(options.file)})
    else:
        found.update(_of_model(kind))
    if options.json:
        print(json.dumps({**found, **dict(sorted(kind.metadata.items()))}, ensure_ascii=False, indent=2))
        return 0
    rows = {told(_FACTS[key]): value for key, value in found.items()}
    important = {told(text): kind.metadata[key] for key, text in _IMPORTANT.items() if key in kind.metadata}
    others = {key: value for key, value in kind.metadata.items() if key not in _IMPORTANT}
    rows.update({**important, **others} if options.all else important)
    for name, value in rows.items():
        for part in value if isinstance(value, list) else [value]:
            print(f"{name}: {_shortened(_shown(part))}")
    if others and not options.all:
        print(told("commands.info_more", count=len(others)))
    return 0


def _of_model(kind: FileKind) -> dict[str, Any]:
    """What a run would say of a checkpoint that can be trained on."""
    from ..models.about import about_model
    from ..models.registry import family_of

    try:
        about = about_model(kind, family_of(kind))
    except UserError as error:  # not a checkpoint, or one that cannot be trained on: mostly, what it is says so
        return {"problem": told(error.whole)} if error.message.key == "models.other_prediction" else {}
    return {"about": [told(each) for each in (*about.facts, *about.doubts)]}


def _norms(path: Path) -> dict[str, Any]:
    """How large a LoRA's update is, in all and in each block; its share of the weights only a model could tell."""
    from ..networks.files.read import block_norms

    try:
        blocks = block_norms(path)
    except NetworkError as error:
        # Of another kind: what its header says can still be told.
        is_other = error.message.key in ("networks.other_type", "networks.other_kind", "networks.no_lora")
        return {} if is_other else {"problem": told(error.message)}
    return {"norm": math.hypot(*blocks.values()), "norms by block": blocks} if blocks else {}


def _unused(path: Path) -> dict[str, Any]:
    """What of a LoRA is not used, whatever the model is."""
    from ..networks.files.read import unused_in

    try:
        unused = unused_in(path)
    except UserError:  # nothing of it is: what it is says so
        return {}
    return {"unused": told(unused)} if unused else {}


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shortened(text: str, most: int = 500) -> str:
    return text if len(text) <= most else told("commands.info_cut", text=text[:most], count=len(text))


def _label(label: Message | str) -> str:
    return told(label) if isinstance(label, Message) else label
