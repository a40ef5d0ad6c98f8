"""The keys of LoRA files: kohya's, diffusers', peft's and ComfyUI's, all read as kohya's, which are the ones written.

| style | a key |
| --- | --- |
| kohya | ``lora_unet_mid_block_attentions_0_proj_in.lora_down.weight`` |
| diffusers | ``unet.mid_block.attentions.0.proj_in.lora.down.weight``, or with ``lora_A`` as peft |
| peft | ``base_model.model.mid_block.attentions.0.proj_in.lora_A.weight`` |
| ComfyUI | ``diffusion_model.layers.0.attention.to_q.lora_A.weight`` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ...errors import NetworkError
from ...models.checkpoint.lora_kinds import BESIDE, EMBEDDING, UNKNOWN, described, kind_of
from ...models.checkpoint.parts import DENOISER, TEXT_ENCODER, text_encoder_part
from ..base import Adapter
from ..registry import adapter_type_of, adapter_types

_PRODUCT = re.compile(
    r"(?P<path>.+?)(?:\.lora|\.lora_linear_layer|_lora)?\.(?:lora_)?(?P<which>A|B|down|up|mid)"
    r"(?:\.(?!weight$)[\w-]+)?\.weight"
)
MIDDLE: Final = "lora_mid.weight"
"""The core of a convolution's update that is a product of three (Tucker), which is read as one of two."""
_PARTS = {
    "A": "lora_down.weight", "down": "lora_down.weight", "B": "lora_up.weight", "up": "lora_up.weight", "mid": MIDDLE,
}  # fmt: skip
_PEFT = "base_model.model."
COMPONENTS: Mapping[str, str] = MappingProxyType(
    {
        "unet": DENOISER,
        "transformer": DENOISER,
        "diffusion_model": DENOISER,
        "text_encoder_2": text_encoder_part(1),
        "text_encoder": TEXT_ENCODER,
    }
)
"""The parts of a model by the names that diffusers and ComfyUI have for them in keys."""
_TEXT_PREFIXES = {"lora_te": TEXT_ENCODER, "lora_te1": TEXT_ENCODER, "lora_te2": text_encoder_part(1)}


class Key(NamedTuple):
    """One key of a file, taken apart."""

    name: str
    """The module, as kohya calls it."""
    part: str
    """Which of its tensors, as kohya and LyCORIS call it: ``lora_down.weight``, ``hada_w1_a``, ``alpha`` …"""
    component: str
    """The part of the model: ``denoiser``, ``text_encoder`` or ``text_encoder_2``."""
    path: str
    """The module's path in the component, where the key has one, else its name."""


def parse(key: str) -> Key | None:
    """Take a file's key apart; None if it does not name a tensor of a module."""
    found = _PRODUCT.fullmatch(key)
    path, _, part = (found["path"], "", _PARTS[found["which"]]) if found else key.rpartition(".")
    if not path:
        return None
    if "." not in path:
        return Key(path, part, _TEXT_PREFIXES.get("_".join(path.split("_")[:2]), DENOISER), path)
    component, path = _component_of(path)
    return Key(_name(component, path), part, component, path)


def _component_of(path: str) -> tuple[str, str]:
    path = path.removeprefix(_PEFT)
    for name, component in COMPONENTS.items():
        if path.startswith(f"{name}."):
            return component, path.removeprefix(f"{name}.").removeprefix(_PEFT)
    return (TEXT_ENCODER if path.startswith(("text_model.", "encoder.layers.")) else DENOISER), path


def _name(component: str, path: str) -> str:
    if component == DENOISER:
        prefix, path = "lora_unet", path.replace(".processor.", ".")  # where diffusers' attention once had them
    else:
        prefix = "lora_te" if component == TEXT_ENCODER else "lora_te2"
    return f"{prefix}_{path.replace('.', '_')}"


class Keys(NamedTuple):
    """A file's keys, taken apart and sorted.

    Attributes:
        modules: ``{module: {file's key: Key}}``, of those whose tensors are of a network type.
        others: keys that nothing is made of, by their kind; see :mod:`.lora_kinds`.
    """

    modules: dict[str, dict[str, Key]]
    others: dict[str, list[str]]


def sorted_keys(keys: Iterable[str], where: str) -> Keys:
    """A file's keys by what is done with them.

    Raises:
        NetworkError: all of them are of another kind of network, or of none.
    """
    given = list(keys)
    known = {"alpha", MIDDLE}.union(*(parts for each in adapter_types() for parts in each.part_sets))
    modules: dict[str, dict[str, Key]] = {}
    others: dict[str, list[str]] = {}
    for key in given:
        kind = kind_of(key)
        parsed = None if kind == EMBEDDING else parse(key)
        if parsed is None or parsed.part not in known:
            others.setdefault(kind, []).append(key)
        else:
            modules.setdefault(parsed.name, {})[key] = parsed
    for name, found in list(modules.items()):
        if type_of_parts(key.part for key in found.values()) is None:
            for key, parsed in modules.pop(name).items():
                if parsed.part != "alpha":  # which says nothing without the others
                    others.setdefault(kind_of(key), []).append(key)
    if not modules:
        kinds = [each.label for each in adapter_types()]
        label = described(given)
        if label is not None and others.keys() - {UNKNOWN, *BESIDE}:
            raise NetworkError("networks.other_type", where=where, kind=label, kinds=kinds)
        if given:
            raise NetworkError("networks.other_kind", where=where, example=given[0], kinds=kinds)
        raise NetworkError("networks.no_lora", where=where, kinds=kinds)
    return Keys(modules, others)


def type_of_parts(parts: Iterable[str]) -> type[Adapter] | None:
    """The class whose tensors these are in a file; None if they are no whole set of any."""
    return adapter_type_of(set(parts) - {MIDDLE})
