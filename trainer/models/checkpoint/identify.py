"""What kind of model a file is, from the names and shapes in its header alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from ...config.choices import FAMILIES
from ...config.settings import FOUND
from ...diffusion.parameterisation import CHOICES, EPSILON, FLOW, VELOCITY
from ...errors import ModelError
from ...paths import open_file
from ...text.messages import Message, message
from . import known_models, lora_kinds
from .folders import COMPONENTS, WeightSet, config_in, is_model_folder, model_folder, name_of, weights_in
from .gguf import gguf_header
from .header import Header, TensorInfo, read_header
from .names import with_own_names
from .parts import DENOISER, TEXT_ENCODER, VAE
from .unpickle import MOST_TENSORS

MODEL_ENDINGS = (".safetensors", ".ckpt", ".pt", ".bin")
"""Endings of model files' names, for looking one up by its stem; what a file is, its content tells."""

MARKS = ("v_pred", "ztsnr")
"""Names of tensors that hold nothing and say by being there how a model predicts and how it was noised."""

Tensors = Mapping[str, TensorInfo]


class Kind(Enum):
    """Kinds of model files; the value is the end of the key of what a sentence calls them."""

    SD1 = "sd1"
    SD1_INPAINTING = "sd1_inpainting"
    SD2 = "sd2"
    SD2_INPAINTING = "sd2_inpainting"
    SD2_DEPTH = "sd2_depth"
    SD2_UNCLIP = "sd2_unclip"
    SD2_UPSCALER = "sd2_upscaler"
    SDXL = "sdxl"
    SDXL_INPAINTING = "sdxl_inpainting"
    SDXL_REFINER = "sdxl_refiner"
    SDXL_EDM = "sdxl_edm"
    CHECKPOINT = "checkpoint"
    OTHER_FAMILY = "other_family"
    LORA = "lora"
    CONTROLNET = "controlnet"
    EMBEDDING = "embedding"
    VAE = "vae"
    IP_ADAPTER = "ip_adapter"
    CLIP = "clip"
    CLIP_VISION = "clip_vision"
    T5 = "t5"
    LANGUAGE_MODEL = "language_model"
    UPSCALER = "upscaler"
    UNKNOWN = "unknown"


_PART_OF = {Kind.CHECKPOINT: DENOISER, Kind.OTHER_FAMILY: DENOISER, Kind.VAE: VAE}
"""What there is at least in a file of these kinds, whatever it is called there."""
_FAMILIES: Mapping[Kind, str] = {
    Kind.SD1: "SD1",
    Kind.SD1_INPAINTING: "SD1",
    Kind.SD2: "SD2",
    Kind.SD2_INPAINTING: "SD2",
    Kind.SD2_DEPTH: "SD2",
    Kind.SD2_UNCLIP: "SD2",
    Kind.SD2_UPSCALER: "SD2",
    Kind.SDXL: "SDXL",
    Kind.SDXL_INPAINTING: "SDXL",
    Kind.SDXL_REFINER: "SDXL",
    Kind.SDXL_EDM: "SDXL",
}


@dataclass(frozen=True)
class FileKind:
    """What a model file, or a diffusers folder, turned out to be.

    Attributes:
        name: the file's (or folder's) name, as sentences call it.
        kind: what it is.
        label: what a sentence calls it: "a LoRA (192 modules)", "an SD1 checkpoint".
        family: ``"SD1"``, ``"SD2"``, ``"SDXL"`` … or None where that cannot be said; of a LoRA and a VAE only one of
            those that Trainyard does not train.
        parts: which of ``"denoiser"``, ``"vae"``, ``"text_encoder"`` it holds.
        prediction_type: the name of a parameterisation, or any other word, where the file says so; else None.
        prediction_reason: what of it says so: ``"mark"``, ``"scheduler"``, ``"beside"``, ``"metadata"`` or ``"name"``;
            ``"chosen"`` and ``"host"`` for the user's choice and the WebUI's; empty where nothing does.
        tensors: name -> type and shape.
        metadata: safetensors' own metadata; empty for other formats.
        files: prefix of the tensors' names -> the files they are in; a single file has the prefix ``""``. Empty for
            tensors that come from a host.
        configs: of a diffusers folder, component -> its parsed JSON.
        quantised: the format its weights are quantised to, by its key; empty if they are plain numbers.
    """

    name: str
    kind: Kind
    label: Message
    family: str | None
    parts: frozenset[str]
    prediction_type: str | None
    tensors: Tensors
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prediction_reason: str = ""
    quantised: str = ""

    @property
    def zero_terminal_snr(self) -> bool:
        """Whether it says that no signal is left at the last timestep."""
        return "ztsnr" in self.tensors or bool(self.configs.get("scheduler", {}).get(_RESCALED))

    @property
    def is_folder(self) -> bool:
        """Whether this is a diffusers folder, with a file for each part."""
        return bool(self.configs)


def identify(path: Path | str) -> FileKind:
    """Say what a model file or diffusers folder is, without reading its weights or importing torch.

    Args:
        path: a ``.safetensors``, ``.ckpt``, ``.pt`` or ``.bin`` file, or a folder.

    Raises:
        ModelError: nothing there, not a model at all, empty, cut short or damaged.
    """
    path = Path(path)
    if path.is_dir():
        return _identify_folder(path)
    header = gguf_header(path)
    if header is not None:
        return classify(path.name, header, files={"": (path,)}, quantised=_GGUF)
    header = read_header(path)
    named = replace(header, tensors=with_own_names(header.tensors))
    called = f"{path.parent.name}/{path.name}"
    return classify(path.name, named, files={"": (path,)}, beside=_prediction_beside(path), called=called)


def classify(
    name: str,
    header: Header,
    *,
    files: Mapping[str, tuple[Path, ...]] | None = None,
    configs: Mapping[str, Mapping[str, Any]] | None = None,
    beside: str | None = None,
    called: str = "",
    quantised: str = "",
) -> FileKind:
    """Say what tensors of these names and shapes make up.

    Args:
        beside: what a file beside them says of the prediction type.
        called: the file's folder and name, which may say it, too.
        quantised: see :attr:`FileKind.quantised`; empty to look at the names and types.
    """
    quantised = quantised or _quantised(header)
    kind, label, family = _identified(header, quantised)
    if kind is Kind.SDXL and _scheduler(configs or {}).startswith("EDM"):
        kind, label = Kind.SDXL_EDM, message("models.kind_sdxl_edm")
    parts = _parts_of(header.tensors) | {_PART_OF[kind]} if kind in _PART_OF else _parts_of(header.tensors)
    if kind in _FAMILIES and parts == {DENOISER}:
        label = message("models.kind_unet_of", kind=label)
    if quantised and kind is not Kind.LORA:
        label = message("models.kind_quantised", kind=label, format=message(f"models.format_{quantised}"))
    prediction, reason = _prediction_type(header, configs or {}, beside)
    if kind is Kind.SDXL and prediction is None and _NAMES_FLOW.search(called):
        prediction, reason = FLOW.name, "name"
    return FileKind(
        name, kind, label, family, parts, prediction, header.tensors, header.metadata, files or {},
        configs or {}, reason, quantised,
    )  # fmt: skip


def refuse_quantised(kind: FileKind) -> None:
    """Refuse weights that are numbers only together with others, beside them in the file.

    Raises:
        ModelError: says what they are quantised to.
    """
    if kind.quantised == _GGUF:
        raise ModelError("models.gguf", file=kind.name)
    if kind.quantised:
        raise ModelError("models.quantised", file=kind.name, format=message(f"models.format_{kind.quantised}"))


class _Trait(NamedTuple):
    """Tensor names beginning with (or containing, if so marked) one of these tell a kind."""

    kind: Kind
    starts: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()


# In this order: a LoRA's or ControlNet's names contain those of the model it is for.
_ADDITIONS = (
    _Trait(
        Kind.CONTROLNET,
        (
            "control_model.", "controlnet_cond_embedding.", "input_hint_block.", "lllite_", "controlnet_blocks.",
            "controlnet_x_embedder.", "control_layers.", "control_all_x_embedder.",
        ),
    ),
    _Trait(Kind.IP_ADAPTER, ("image_proj.", "ip_adapter.")),
    _Trait(Kind.EMBEDDING, ("string_to_param.", "emb_params")),
)  # fmt: skip
_WHOLES = (
    _Trait(Kind.VAE, ("first_stage_model.", "vae.", "encoder.conv_in.", "decoder.conv_in.", "encoder.down.")),
    _Trait(Kind.T5, contains=("block.0.layer.0.SelfAttention.",)),
    _Trait(Kind.CLIP_VISION, ("vision_model.", "visual_projection.")),
    _Trait(Kind.CLIP, contains=("encoder.layers.0.self_attn.", "transformer.resblocks.0.")),
    _Trait(Kind.LANGUAGE_MODEL, contains=("layers.0.self_attn.",)),
    _Trait(
        Kind.UPSCALER, ("conv_first.", "params_ema.conv_first.", "params.conv_first.", "model.0."), ("RRDB", ".RDB1.")
    ),
)
_GGUF = "gguf"


class _Format(NamedTuple):
    """A format of quantised weights, told by what is kept beside them: the ends of its names, its types if they tell,
    and those of the weight it is of."""

    name: str
    endings: tuple[str, ...]
    types: tuple[str, ...] = ()
    weight_types: tuple[str, ...] = ()


_SCALE = ".weight_scale"
# In this order: a format has what a plainer one has, and more.
_FORMATS = (
    _Format("nvfp4", (".weight_scale_2",)),
    _Format("svdquant", (".wscales", ".smooth_factor")),
    _Format("bitsandbytes_4", (".absmax", ".bitsandbytes__nf4", ".bitsandbytes__fp4")),
    _Format("bitsandbytes_8", (".SCB",)),
    _Format("gptq", (".qweight",)),
    _Format("mxfp8", (_SCALE,), ("F8_E8M0", "U8")),
    _Format("int8", (_SCALE,), (), ("I8",)),
    _Format("scaled_fp8", ("scaled_fp8", ".scale_weight", _SCALE)),
    _Format("comfy", (".comfy_quant",)),
)


def _quantised(header: Header) -> str:
    tensors = header.tensors
    for each in _FORMATS:
        for name, info in tensors.items():
            if name.endswith(each.endings) and (not each.types or info.dtype in each.types):
                weight = tensors.get(name.removesuffix("_scale"))
                if not each.weight_types or (weight is not None and weight.dtype in each.weight_types):
                    return each.name
    return ""


def _identified(header: Header, quantised: str) -> tuple[Kind, Message, str | None]:
    """The kind, what a sentence calls it, and the family; see :class:`FileKind`."""
    tensors = header.tensors
    # SVDQuant keeps matrices of a low rank beside its weights, by the names a LoRA has.
    lora = None if quantised == "svdquant" else lora_kinds.described(tensors)
    if lora is not None:
        family = lora_kinds.foreign_family(_shapes(tensors), header.metadata)
        label = lora if family is None else message("models.kind_for_family", kind=lora, family=family)
        return Kind.LORA, label, family
    addition = next((trait.kind for trait in _ADDITIONS if _shows(trait, tensors)), None)
    if addition is not None:
        return addition, message(f"models.kind_{addition.value}"), None
    family = _family_by_signature(tensors)
    if family is not None:
        return Kind.CHECKPOINT, message("models.kind_checkpoint", family=family), family
    denoiser = known_models.denoiser_of(tensors)
    if denoiser is not None:
        return Kind.OTHER_FAMILY, message("models.kind_checkpoint", family=denoiser.name), denoiser.family
    kind = _kind_of(tensors)
    vae = known_models.vae_of(tensors) if kind in (Kind.VAE, *_SAYS_LITTLE) else None
    if vae is not None:
        return Kind.VAE, message("models.kind_vae_of", family=vae.name), vae.family
    text_encoder = (
        known_models.text_encoder_of(tensors) if kind in (Kind.T5, Kind.LANGUAGE_MODEL, *_SAYS_LITTLE) else None
    )
    if text_encoder is not None:
        kind = Kind.T5 if text_encoder.family == "T5" else Kind.LANGUAGE_MODEL
        return kind, message("models.kind_text_encoder", name=text_encoder.name), None
    return kind, message(f"models.kind_{kind.value}"), _FAMILIES.get(kind)


def _shapes(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: info.shape for name, info in tensors.items()}


_SAYS_LITTLE = (Kind.UNKNOWN, Kind.EMBEDDING)
"""Kinds of what no name has told; an embedding is told by having a few tensors only."""


def _family_by_signature(tensors: Tensors) -> str | None:
    for family in FAMILIES.values():
        if family.signature and all(_has(tensors, *each) for each in family.signature.items()):
            return family.name
    return None


def _kind_of(tensors: Tensors) -> Kind:
    """The kind of what is neither added to a model nor known by a family's signature."""
    unet = unet_prefix(tensors)
    if unet is not None:
        return _unet_kind(tensors, unet)
    if _starts(tensors, "model.diffusion_model.") or (_starts(tensors, "transformer.") and _starts(tensors, "vae.")):
        return Kind.UNKNOWN  # a whole model, so it is not what one of its parts is
    for trait in _WHOLES:
        if _shows(trait, tensors):
            return trait.kind
    if tensors and len(tensors) <= 4 and all(len(info.shape) <= 2 for info in tensors.values()):
        return Kind.EMBEDDING
    return Kind.UNKNOWN


def _has(tensors: Tensors, ending: str, sizes: tuple[int, ...]) -> bool:
    found = (info.shape for name, info in tensors.items() if name.endswith(ending))
    return any(shape[: len(sizes)] == sizes for shape in found)


def _starts(tensors: Tensors, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)


def _shows(trait: _Trait, tensors: Tensors) -> bool:
    return any(
        name.startswith(trait.starts) or any(mark in name for mark in trait.contains) for name in tensors
    )  # str.startswith(()) is False


def unet_prefix(tensors: Mapping[str, Any]) -> str | None:
    """The prefix of a Stable Diffusion U-Net's tensors, or None."""
    for prefix in ("model.diffusion_model.", "unet.", ""):
        if f"{prefix}input_blocks.0.0.weight" in tensors or (
            f"{prefix}conv_in.weight" in tensors and f"{prefix}time_embedding.linear_1.weight" in tensors
        ):
            return prefix
    return None


def _unet_kind(tensors: Tensors, prefix: str) -> Kind:
    """Told by structure rather than by width, so that a small model of a family is one of the family."""
    first = tensors.get(f"{prefix}input_blocks.0.0.weight") or tensors[f"{prefix}conv_in.weight"]
    channels = first.shape[1] if len(first.shape) == 4 else 0
    own = {name[len(prefix) :]: info.shape for name, info in tensors.items() if name.startswith(prefix)}
    context = next((shape[-1] for name, shape in own.items() if name.endswith("attn2.to_k.weight") and shape), 0)
    if "label_emb.weight" in own:
        return Kind.SD2_UPSCALER if channels == 7 else Kind.UNKNOWN
    if any(name.startswith(("label_emb.", "add_embedding.")) for name in own):
        if any(name.startswith(("cond_stage_model.", "noise_augmentor.", "embedder.")) for name in tensors):
            return Kind.SD2_UNCLIP
        if any(name.startswith("edm_") for name in tensors):
            return Kind.SDXL_EDM
        only_open_clip = any(name.startswith("conditioner.embedders.0.model.") for name in tensors)
        if context == 1280 or only_open_clip:
            return Kind.SDXL_REFINER
        return {4: Kind.SDXL, 9: Kind.SDXL_INPAINTING}.get(channels, Kind.UNKNOWN)
    project = next((len(shape) for name, shape in own.items() if name.endswith("proj_in.weight")), 0)
    if project == 4 and not any("temporal" in name or "time_stack" in name for name in own):
        return {4: Kind.SD1, 8: Kind.UNKNOWN}.get(channels, Kind.SD1_INPAINTING)
    if project == 2 and not any("temporal" in name or "time_stack" in name for name in own):
        return {4: Kind.SD2, 5: Kind.SD2_DEPTH}.get(channels, Kind.SD2_INPAINTING)
    return Kind.UNKNOWN


def _parts_of(tensors: Tensors) -> frozenset[str]:
    found = set()
    if unet_prefix(tensors) is not None:
        found.add(DENOISER)
    if any(name.startswith(("first_stage_model.", "vae.", "encoder.conv_in.", "decoder.conv_in.")) for name in tensors):
        found.add(VAE)
    if any(name.startswith(("cond_stage_model.", "conditioner.embedders.", "text_encoder.")) for name in tensors):
        found.add(TEXT_ENCODER)
    return frozenset(found)


_PREDICTIONS: Mapping[str, str] = {
    **dict.fromkeys(("eps", EPSILON.modelspec, EPSILON.name), EPSILON.name),
    **dict.fromkeys((VELOCITY.modelspec, VELOCITY.name), VELOCITY.name),
    **dict.fromkeys(("flow_matching", "flow_prediction", "rectified_flow", FLOW.modelspec), FLOW.name),
}
"""What files call it -> the name of the parameterisation. ModelSpec and diffusers have words for the first two alone;
for the flow these are what programs write."""
_SAYS_NOTHING = ("", "none", "null")
_NAMES_FLOW = re.compile(r"(?i:rectified)|(?:(?<![A-Za-z])rf|(?<![A-Z])RF)(?![A-Za-z])(?!.*/)")
"""In a file's name, or, as the whole word, in its folder's. The published rectified-flow models of SDXL have no mark
and no metadata, only their name; Forge Neo goes by it, too."""


def _prediction_type(
    header: Header, configs: Mapping[str, Mapping[str, Any]], beside: str | None
) -> tuple[str | None, str]:
    """What the file says, and what of it: the first of a mark among the weights, diffusers' scheduler, a file beside,
    the metadata."""
    if "v_pred" in header.tensors:
        return VELOCITY.name, "mark"
    metadata = header.metadata
    architecture = metadata.get("modelspec.architecture", "")
    flow = _scheduler(configs).startswith("FlowMatch")
    for reason, stated in (
        ("scheduler", FLOW.name if flow else str(configs.get("scheduler", {}).get("prediction_type", ""))),
        ("beside", beside or ""),
        ("metadata", _own_prediction(metadata)),
        ("metadata", metadata.get("modelspec.prediction_type", "")),
        ("metadata", {"stable-diffusion-v2-768-v": "v", "stable-diffusion-v2-512": "epsilon"}.get(architecture, "")),
    ):
        word = stated.strip().lower()
        if word not in _SAYS_NOTHING:
            return _PREDICTIONS.get(word, stated.strip()), reason
    return None, ""


def _scheduler(configs: Mapping[str, Mapping[str, Any]]) -> str:
    return str(configs.get("scheduler", {}).get("_class_name", ""))


def _own_prediction(metadata: Mapping[str, str]) -> str:
    """What our own metadata says, in the words of the setting ``prediction``."""
    try:
        stated = json.loads(metadata.get("trainyard_config", "{}")).get("prediction", "")
    except (ValueError, AttributeError):  # who reads the rest of it says what is wrong with it
        return ""
    return CHOICES[stated].name if stated in CHOICES else str(stated)


def as_chosen(kind: FileKind, prediction: str) -> FileKind:
    """The file as the setting ``prediction`` says it is: what is found of it, or a model for one kind of prediction.

    Who denies the velocity denies the marks that say it. Zero terminal SNR is one of them: where no signal is left,
    the noise tells nothing of the image.
    """
    if prediction == FOUND:
        return kind
    chosen = replace(kind, prediction_type=CHOICES[prediction].name, prediction_reason="chosen")
    if not CHOICES[prediction].needs_signal:
        return chosen
    scheduler = {key: value for key, value in kind.configs.get("scheduler", {}).items() if key != _RESCALED}
    return replace(
        chosen,
        tensors={name: info for name, info in kind.tensors.items() if name not in MARKS},
        configs={**kind.configs, "scheduler": scheduler} if kind.configs else kind.configs,
    )


_RESCALED = "rescale_betas_zero_snr"
_LONGEST_CONFIG = 100_000
_PARAMETERIZATION = re.compile(r"^\s*parameterization\s*:\s*[\"']?(\w+)", re.MULTILINE)


def _prediction_beside(path: Path) -> str | None:
    """What the original code's configuration says, where it lies beside a checkpoint under the same name."""
    try:
        with open_file(path.with_suffix(".yaml")) as file:
            text = file.read(_LONGEST_CONFIG).decode("utf-8", "replace")
    except OSError:
        return None
    found = _PARAMETERIZATION.search(text)
    if found:
        return found[1]
    return "eps" if "ldm.models.diffusion" in text else None  # that code's own default


def _identify_folder(path: Path) -> FileKind:
    """A diffusers folder: its parts' tensors get the part's name as prefix (``unet.conv_in.weight``)."""
    folder, name = model_folder(path), name_of(path)
    if not is_model_folder(path):
        return _identify_part(folder, name)
    tensors: dict[str, TensorInfo] = {}
    files: dict[str, tuple[Path, ...]] = {}
    for component in COMPONENTS:
        weights = weights_in(folder / component)
        if weights is not None:
            files[f"{component}."] = _whole(weights, name, component)
            tensors.update(_tensors_of(files[f"{component}."], f"{component}.", name))
    if not tensors:
        raise ModelError("models.folder_without_weights", folder=name)
    if "unet." not in files and "transformer." not in files:
        raise ModelError("models.folder_lacks", folder=name, part="unet")
    configs = {part: config_in(folder / part / f"{file}.json") for part, file in _CONFIGS.items()}
    return classify(name, Header(tensors), files=files, configs=configs)


_CONFIGS = {"unet": "config", "vae": "config", "text_encoder": "config", "scheduler": "scheduler_config"}


def _identify_part(folder: Path, name: str) -> FileKind:
    """A folder with one part of a model in diffusers' layout, as a VAE is published."""
    weights = weights_in(folder)
    config = config_in(folder / "config.json")
    if weights is None or not config:
        raise ModelError("models.folder_without_model", folder=name)
    files = {"": _whole(weights, name, folder.name)}
    return classify(name, Header(_tensors_of(files[""], "", name)), files=files, configs={"vae": config})


def _whole(weights: WeightSet, name: str, part: str) -> tuple[Path, ...]:
    if weights.missing:
        raise ModelError("models.folder_lacks_file", folder=name, part=part, file=weights.missing[0])
    return weights.files


def _tensors_of(files: Iterable[Path], prefix: str, name: str) -> dict[str, TensorInfo]:
    found: dict[str, TensorInfo] = {}
    for file in files:
        found.update({f"{prefix}{tensor}": info for tensor, info in read_header(file).tensors.items()})
        if len(found) > MOST_TENSORS:
            raise ModelError("models.large_table", file=name)
    return found
