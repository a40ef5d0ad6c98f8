"""What the keys of a LoRA file are of: the kind of network, what is beside it, and the family it was trained for.

From names alone, so that a file is called what it is before anything of it is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from ...text.messages import Message, message

LORA: Final = "lora"
EMBEDDING: Final = "embedding"
UNKNOWN: Final = "unknown"
BESIDE: Final = ("dora", "norm", "bias", EMBEDDING)
"""What a network has beside its modules' own tensors; the other kinds are networks in themselves."""

_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "dora": r"\.(dora_scale|lora_magnitude_vector(\.[\w-]+)?(\.weight)?)",
        "norm": r"\.[wb]_norm",
        "bias": r"\.(bias_(indices|values|size)|lora_(up|down|A|B)(\.[\w-]+)?\.bias|diff_b)",
        LORA: (
            r"\.(lora_(down|up|mid|A|B)(\.[\w-]+)?(\.weight)?|(lora_linear_layer|lora)\.(down|up)\.weight)"
            r"|_lora\.(down|up)\.weight"
        ),
        "loha": r"\.hada_(w[12]_[ab]|t[12])",
        "lokr": r"\.lokr_(w[12](_[ab])?|t2)",
        "oft": r"\.(oft_blocks|oft_diag|oft_[rR](\.[\w-]+)?(\.weight)?)",
        "ia3": r"\.(on_input|ia3_l(\.[\w-]+)?(\.weight)?|ia3\.weight)",
        "glora": r"\.[ab][12m]\.weight",
        "full": r"\.(diff|set_weight)",
    }
)
"""Kind -> how its keys end."""
_KIND = re.compile(f"(?:{'|'.join(f'(?P<{kind}>{ending})' for kind, ending in _ENDINGS.items())})$")
_EMBEDDED = "bundle_emb."
_WITHOUT_KIND = re.compile(r"\.(alpha|scale|rescale|network_alpha)$")
"""Keys of which every kind may have some."""
_STARTS = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_te3_", "lora_transformer_", "lycoris_")


def kind_of(key: str) -> str:
    """The kind of network, or of what is beside one, that a key is of; :data:`UNKNOWN` if it is of none."""
    if key.startswith(_EMBEDDED):
        return EMBEDDING
    found = _KIND.search(key, _end_of(key))
    return found.lastgroup or UNKNOWN if found else UNKNOWN


def module_of(key: str) -> str:
    """The part of a key that names the module; all of it where that cannot be told."""
    start = _end_of(key)
    found = _KIND.search(key, start) or _WITHOUT_KIND.search(key, start)
    return key[: found.start()] if found else key


def _end_of(key: str) -> int:
    """Where the last three parts of a key begin, or what a kind may have before them: names may be long."""
    at = len(key)
    for _ in range(3):
        dot = key.rfind(".", 0, at)
        if dot < 0:
            break
        at = dot
    return max(0, at - len("_lora"))


def described(keys: Iterable[str]) -> Message | None:
    """What a sentence calls a file with these keys: a LoRA, a LoKr …, with the number of its modules; None if it is
    none of them."""
    modules: dict[str, set[str]] = {}
    for key in keys:
        kind = kind_of(key)
        if kind == UNKNOWN and key.startswith(_STARTS) and not _WITHOUT_KIND.search(key):
            modules.setdefault(UNKNOWN, set()).add(key.partition(".")[0])
        elif kind != UNKNOWN and kind != EMBEDDING:
            modules.setdefault(kind, set()).add(module_of(key))
    whole = {kind: found for kind, found in modules.items() if kind not in BESIDE}
    if not whole:
        return message(f"models.kind_{LORA}", count=len(set().union(*modules.values()))) if modules else None
    counts = Counter({kind: len(found) for kind, found in whole.items()})
    main, count = counts.most_common(1)[0]
    if main in (LORA, UNKNOWN):
        main = "dora" if "dora" in modules else LORA
    return message(f"models.kind_{main}", count=count)


# ---- families that are not trained here -----------------------------------------------------------------------------


_SAID: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Flux": ("flux",),
        "Wan": ("wan",),
        "Z-Image": ("zimage", "z-image", "z_image"),
        "Lumina 2": ("lumina",),
        "Qwen-Image": ("qwen",),
        "HunyuanVideo": ("hunyuan",),
        "SD3": ("sd3", "stable-diffusion-3"),
        "Chroma": ("chroma",),
        "LTX-Video": ("ltx",),
        "HiDream": ("hidream",),
        "PixArt": ("pixart",),
        "Anima": ("anima",),
        "Stable Cascade": ("stable-cascade", "stable_cascade"),
    }
)
"""Family -> how its name begins where a LoRA's metadata says it."""
_LOOKS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "Flux": re.compile(r"(^|_)(double_blocks_\d+_(img|txt)_|single_blocks_\d+_|single_transformer_blocks_\d+_)"),
        "Qwen-Image": re.compile(r"(^|_)transformer_blocks_\d+_(img|txt)_(mlp|mod)_"),
        "SD3": re.compile(r"(^|_)(joint_blocks_\d+_|transformer_blocks_\d+_attn_add_q_proj)"),
        "Cosmos / Anima": re.compile(r"(^|_)blocks_\d+_(self|cross)_attn_(q|k|v|output)_proj"),
        "Wan": re.compile(r"(^|_)blocks_\d+_(self|cross)_attn_(q|k|v|o|k_img|v_img)(_|$)"),
        "Z-Image / Lumina 2": re.compile(
            r"(^|_)((noise|context)_refiner_\d+_|layers_\d+_(attention_|feed_forward_w\d|adaLN_modulation))"
        ),
    }
)
"""Family -> how its modules' names look, with ``_`` for ``.``."""
_LONGEST_LOOK, _MOST_LOOKED_AT = 200, 10_000
"""Letters of a name, and keys of a file: enough for any LoRA."""


def foreign_family(keys: Iterable[str], metadata: Mapping[str, str]) -> str | None:
    """The family a LoRA was trained for, if it is one of those that Trainyard does not train; else None."""
    for key in ("ss_base_model_version", "modelspec.architecture"):
        said = metadata.get(key, "").lower()
        for family, starts in _SAID.items():
            if said.startswith(starts):
                return family
    modules = {module_of(key)[:_LONGEST_LOOK].replace(".", "_") for key in islice(keys, _MOST_LOOKED_AT)}
    return next((name for name, look in _LOOKS.items() if any(map(look.search, modules))), None)
