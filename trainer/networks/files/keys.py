"""The keys of LoRA files: kohya's, diffusers' and peft's, all read as kohya's, which are the ones written.

| style | a key |
| --- | --- |
| kohya | ``lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`` |
| diffusers | ``unet.mid_block.attentions.0.proj_in.lora.down.weight``, or with ``lora_A`` as peft |
| peft | ``base_model.model.mid_block.attentions.0.proj_in.lora_A.weight`` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ...errors import NetworkError
from ..registry import adapter_type_of, adapter_types

_PRODUCT = re.compile(
    r"(?P<path>.+?)(?:\.lora|\.lora_linear_layer|_lora)?\.(?:lora_)?(?P<which>A|B|down|up)"
    r"(?:\.(?!weight$)[\w-]+)?\.weight"
)
_PARTS = {"A": "lora_down.weight", "down": "lora_down.weight", "B": "lora_up.weight", "up": "lora_up.weight"}
_PEFT = "base_model.model."
_COMPONENTS = ("unet", "text_encoder_2", "text_encoder")
_OUTPUT = re.compile(r"\.to_out$")


class Key(NamedTuple):
    """One key of a file, taken apart."""

    name: str
    """The module, as kohya calls it."""
    part: str
    """Which of its tensors, as kohya and LyCORIS call it: ``lora_down.weight``, ``hada_w1_a``, ``alpha`` …"""
    component: str
    """``unet``, ``text_encoder`` or ``text_encoder_2``."""
    path: str
    """The module's path in the component, where the key has one, else its name."""


def parse(key: str) -> Key | None:
    """Take a file's key apart; None if it does not name a tensor of a module."""
    found = _PRODUCT.fullmatch(key)
    path, _, part = (found["path"], "", _PARTS[found["which"]]) if found else key.rpartition(".")
    if not path:
        return None
    if "." not in path:
        component = {"lora_te": "text_encoder", "lora_te1": "text_encoder", "lora_te2": "text_encoder_2"}
        return Key(path, part, component.get(path.partition("_text_model")[0], "unet"), path)
    component_name, path = _component_of(path)
    return Key(_name(component_name, path), part, component_name, path)


def _component_of(path: str) -> tuple[str, str]:
    path = path.removeprefix(_PEFT)
    for component in _COMPONENTS:
        if path.startswith(f"{component}."):
            return component, path.removeprefix(f"{component}.").removeprefix(_PEFT)
    return ("text_encoder" if path.startswith(("text_model.", "encoder.layers.")) else "unet"), path


def _name(component: str, path: str) -> str:
    if component == "unet":
        path = _OUTPUT.sub(".to_out.0", path.replace(".processor.", "."))
        return "lora_unet_" + path.replace(".", "_")
    prefix = "lora_te2" if component == "text_encoder_2" else "lora_te"
    return f"{prefix}_text_model_{path.removeprefix('text_model.').replace('.', '_')}"


def by_module(keys: Iterable[str], where: str) -> dict[str, dict[str, Key]]:
    """A file's keys taken apart and sorted: ``{module: {file's key: Key}}``.

    Raises:
        NetworkError: one of them is of another kind of network, or of none.
    """
    modules: dict[str, dict[str, Key]] = {}
    unknown = []
    parts = {"alpha"}.union(*(parts for each in adapter_types() for parts in each.part_sets))
    for key in keys:
        parsed = parse(key)
        if parsed is None or parsed.part not in parts:
            unknown.append(key)
        else:
            modules.setdefault(parsed.name, {})[key] = parsed
    unknown += [name for name, found in modules.items() if adapter_type_of(key.part for key in found.values()) is None]
    if unknown or not modules:
        kinds = [each.label for each in adapter_types()]
        if unknown:
            raise NetworkError("networks.other_kind", where=where, example=unknown[0], kinds=kinds)
        raise NetworkError("networks.no_lora", where=where, kinds=kinds)
    return modules
