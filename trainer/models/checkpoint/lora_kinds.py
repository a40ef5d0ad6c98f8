"""What the keys of a LoRA file are of: the kind of network, what is beside it, and the family it was trained for.

From names alone, so that a file is called what it is before anything of it is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final, NamedTuple

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
        "Flux.2": ("flux2", "flux-2", "flux.2", "flux_2"),
        "Flux.1": ("flux",),
        "Wan": ("wan",),
        "Z-Image": ("zimage", "z-image", "z_image"),
        "Lumina 2": ("lumina",),
        "Qwen-Image": ("qwen",),
        "HunyuanVideo": ("hunyuan-video", "hunyuanvideo", "hunyuan_video"),
        "HunyuanImage": ("hunyuan-image", "hunyuanimage", "hunyuan_image"),
        "HunyuanDiT": ("hunyuan-dit", "hunyuandit", "hunyuan_dit"),
        "SD3": ("sd3", "stable-diffusion-3"),
        "Chroma": ("chroma",),
        "LTX-Video": ("ltx",),
        "HiDream": ("hidream",),
        "PixArt": ("pixart",),
        "Anima": ("anima",),
        "Krea 2": ("krea",),
        "Ernie-Image": ("ernie",),
        "Stable Cascade": ("stable-cascade", "stable_cascade"),
    }
)
"""Family -> how its name begins where a LoRA's metadata says it."""


class _Look(NamedTuple):
    """How a family's modules are called, with ``_`` for ``.``, and how many numbers they take in and give out."""

    family: str
    names: re.Pattern[str]
    takes: int | None = None
    gives: int | None = None

    def shows(self, module: str, takes: int | None, gives: int | None) -> bool:
        return self.takes in (None, takes) and self.gives in (None, gives) and self.names.search(module) is not None


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:^|_)(?:{pattern})")


_OF_FLUX = r"double_blocks_\d+_(img|txt)_|single_blocks_\d+_|single_transformer_blocks_\d+_"
_OF_FLUX_2 = (
    r"(double_blocks_\d+_(img|txt)_attn_qkv|single_blocks_\d+_linear1"
    r"|single_transformer_blocks_\d+_attn_to_qkv_mlp_proj)$"
)
_JOINT = r"joint_blocks_\d+_.*(qkv|fc1)|transformer_blocks_\d+_attn_add_[qkv]_proj"
_OF_COSMOS = r"blocks_\d+_(self|cross)_attn_(q|output)_proj"
_OF_WAN = r"blocks_\d+_(self|cross)_attn_(q|k|v|o|k_img|v_img)(_|$)"
_OF_LUMINA = r"((noise|context)_refiner|layers)_\d+_(attention_(qkv|out|to_[qkv])|feed_forward_w[13])"
_OF_PIXART = r"blocks_\d+_cross_attn_(q|kv)_linear"
# In this order: what tells one family comes before what several share.
_LOOKS = (
    _Look("HiDream", _names(r"(double|single)_stream_blocks_\d+_block_")),
    _Look("Flux.2 Klein 4B", _names(r"single_transformer_blocks_\d+_attn_to_qkv_mlp_proj$"), takes=3072),
    _Look("Flux.2 Klein 4B", _names(r"single_blocks_\d+_linear1$"), gives=27648),
    _Look("Flux.2 Klein 4B", _names(r"double_blocks_\d+_(img|txt)_mlp_0$"), takes=3072, gives=18432),
    _Look("Flux.2 Klein 9B", _names(_OF_FLUX_2), takes=4096),
    _Look("Flux.2 dev", _names(_OF_FLUX_2), takes=6144),
    _Look("Flux.2", _names(r".*(single|double)_stream_modulation|single_transformer_blocks_\d+_attn_to_qkv_mlp_proj$")),
    _Look("Chroma", _names(r"distilled_guidance_layer_")),
    _Look(
        "HunyuanVideo",
        _names(
            r".*individual_token_refiner_|double_blocks_19_|single_blocks_3[89]_|double_blocks_\d+_(img|txt)_mod_linear"
        ),
    ),
    _Look("Flux.1", _names(r"double_blocks_\d+_(img|txt)_mod_lin$|single_blocks_\d+_modulation_lin$|guidance_in_")),
    _Look("Flux.1", _names(r"single_transformer_blocks_\d+_norm_linear$|transformer_blocks_\d+_norm1_linear$")),
    _Look("Qwen-Image", _names(r"transformer_blocks_\d+_(img|txt)_(mlp|mod)_")),
    _Look("Flux.1 / Chroma", _names(_OF_FLUX)),
    _Look("Qwen-Image", _names(r"transformer_blocks_(19|[2-5]\d)_attn_add_[qkv]_proj"), takes=3072),
    _Look("Flux.1 / Qwen-Image", _names(r"transformer_blocks_\d+_attn_add_[qkv]_proj"), takes=3072),
    _Look("SD3.5 Medium", _names(r"(joint|transformer)_blocks_\d+_(x_block_)?attn2_"), takes=1536),
    _Look("SD3 / SD3.5 Medium", _names(_JOINT), takes=1536),
    _Look("SD3.5 Large", _names(_JOINT), takes=2432),
    _Look("SD3", _names(r"joint_blocks_\d+_|transformer_blocks_\d+_attn_add_q_proj")),
    _Look("Krea 2", _names(r"blocks_\d+_attn_w[qkvo]$|txtfusion_|text_fusion_")),
    _Look("Ernie-Image", _names(r"layers_\d+_(self_attention_to_|mlp_linear_fc2$)")),
    _Look("Anima", _names(r"llm_adapter_")),
    _Look("Anima / Cosmos-Predict2 2B", _names(_OF_COSMOS), takes=2048),
    _Look("Cosmos-Predict2 14B", _names(_OF_COSMOS), takes=5120),
    _Look("Anima / Cosmos-Predict2", _names(r"blocks_\d+_(self|cross)_attn_(q|k|v|output)_proj")),
    _Look("Wan 2.1 1.3B", _names(_OF_WAN), takes=1536),
    _Look("Wan 2.2 5B", _names(_OF_WAN), takes=3072),
    _Look("Wan 2.1 / 2.2 14B", _names(_OF_WAN), takes=5120),
    _Look("Wan", _names(_OF_WAN)),
    _Look("Z-Image", _names(_OF_LUMINA), takes=3840),
    _Look("Lumina 2", _names(_OF_LUMINA), takes=2304),
    _Look(
        "Z-Image / Lumina 2",
        _names(r"(noise|context)_refiner_\d+_|layers_\d+_(attention_|feed_forward_w\d|adaLN_modulation)"),
    ),
    _Look("PixArt", _names(_OF_PIXART), takes=1152),
    _Look("Sana", _names(_OF_PIXART), takes=2240),
    _Look("PixArt / Sana", _names(_OF_PIXART)),
    _Look("AuraFlow", _names(r"(double|single)_layers_\d+_attn_w|single_transformer_layers")),
)
_LONGEST_LOOK, _MOST_LOOKED_AT = 200, 10_000
"""Letters of a name, and keys of a file: enough for any LoRA."""
_FIRST_MATRIX = re.compile(r"\.(lora_(down|A)(\.[\w-]+)?\.weight|lora\.down\.weight|hada_w1_b)$")
_LAST_MATRIX = re.compile(r"\.(lora_(up|B)(\.[\w-]+)?\.weight|lora\.up\.weight|hada_w1_a)$")


def foreign_family(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> str | None:
    """The family a LoRA was trained for, if it is one of those that Trainyard does not train; else None.

    What the metadata says is made more exact by what the tensors show, and comes before it.

    Args:
        shapes: key -> the shape of its tensor.
    """
    seen = _seen(shapes)
    said = _said(metadata)
    if said is None or (seen is not None and seen.startswith(f"{said} ") and "/" not in seen):
        return seen
    return said


def _said(metadata: Mapping[str, str]) -> str | None:
    for key in ("ss_base_model_version", "modelspec.architecture"):
        text = metadata.get(key, "").lower()
        for family, starts in _SAID.items():
            if text.startswith(starts):
                return family
    return None


def _seen(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    modules: dict[str, tuple[int | None, int | None]] = {}
    for key, shape in islice(shapes.items(), _MOST_LOOKED_AT):
        name = module_of(key)[:_LONGEST_LOOK].replace(".", "_")
        takes, gives = modules.get(name, (None, None))
        if len(shape) > 1 and _FIRST_MATRIX.search(key, _end_of(key)):
            takes = shape[1]
        elif shape and _LAST_MATRIX.search(key, _end_of(key)):
            gives = shape[0]
        modules[name] = takes, gives
    return next(
        (look.family for look in _LOOKS if any(look.shows(name, *sizes) for name, sizes in modules.items())), None
    )
