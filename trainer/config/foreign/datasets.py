"""The data that another program's settings name, as a dataset file of sd-scripts has it.

So one reader reads them all: ``dataset_config`` may be a file of LoRA_Easy_Training_Scripts, of OneTrainer (its
settings or its list of concepts) or of ai-toolkit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .sd_scripts import flat_easy
from .synonyms import as_number, is_off, is_on

_EASY_GENERAL: Final = (
    "resolution", "batch_size", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps",
    "bucket_no_upscale", "keep_tokens_separator", "caption_prefix", "caption_suffix",
)  # fmt: skip


def as_dataset_file(values: Any) -> Mapping[str, Any] | None:
    """The content of a file as sd-scripts' TOML would have it; None if it is none of the other programs'.

    Args:
        values: of any file, as it was read: a mapping or a list.
    """
    if isinstance(values, list):
        return _of_concepts(values, {}) if values and all(map(_is_concept, values)) else None
    if not isinstance(values, Mapping):
        return None
    if isinstance(values.get("subsets"), list) and any(str(key).endswith("_args") for key in values):
        return _of_easy(values)
    if isinstance(values.get("concepts"), list):
        return _of_concepts(values["concepts"], values)
    config = values.get("config")
    if isinstance(config, Mapping) and isinstance(config.get("process"), list):
        return _of_ai_toolkit(config)
    return None


def _of_easy(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Subsets are sd-scripts' own, beside what holds for all of them."""
    flat = flat_easy({key: value for key, value in values.items() if key != "subsets"})
    general = {key: flat[key] for key in _EASY_GENERAL if not is_off(flat.get(key))}
    subsets = [
        {key: value for key, value in each.items() if key != "name" and not is_off(value)}
        for each in values["subsets"]
        if isinstance(each, Mapping)
    ]
    return {"datasets": [{**general, "subsets": subsets}]}


# ---- OneTrainer -----------------------------------------------------------------------------------------------------


def _is_concept(value: Any) -> bool:
    return isinstance(value, Mapping) and "path" in value and ("image" in value or "text" in value or "type" in value)


def _of_concepts(concepts: list[Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Concepts of one size make up a dataset; those that are switched off or validate are left out."""
    by_size: dict[str, list[dict[str, Any]]] = {}
    for concept in concepts:
        is_used = _is_concept(concept) and is_on(concept.get("enabled", True))
        if is_used and concept.get("type", "STANDARD") != "VALIDATION":
            image = _part(concept, "image")
            own = image.get("resolution_override") if is_on(image.get("enable_resolution_override")) else ""
            by_size.setdefault(str(own or ""), []).append(_subset_of(concept))
    size = {"batch_size": settings["batch_size"]} if settings.get("batch_size") else {}
    return {
        "datasets": [
            {**size, **({"resolution": resolution} if resolution else {}), "subsets": subsets}
            for resolution, subsets in by_size.items()
        ]
    }


def _subset_of(concept: Mapping[str, Any]) -> dict[str, Any]:
    """A concept as a subset. Its balancing is a number of repeats; a number of samples has none to stand for it."""
    text, image = _part(concept, "text"), _part(concept, "image")
    found: dict[str, Any] = {"image_dir": concept["path"], "caption_extension": ".txt"}
    if concept.get("balancing_strategy", "REPEATS") == "REPEATS":
        found["num_repeats"] = max(1, round(as_number(concept.get("balancing", 1)) or 1))
    if is_on(image.get("enable_random_flip")):
        found["flip_aug"] = True
    if is_on(text.get("enable_tag_shuffling")):
        found |= {"shuffle_caption": True, "keep_tokens": int(as_number(text.get("keep_tags_count", 1)) or 0)}
        found["caption_separator"] = text.get("tag_delimiter", ",")
    if is_on(text.get("tag_dropout_enable")):
        by_tag = str(text.get("tag_dropout_mode", "FULL")).upper() != "FULL"
        found["caption_tag_dropout_rate" if by_tag else "caption_dropout_rate"] = text.get("tag_dropout_probability", 0)
    if str(concept.get("type", "STANDARD")).upper() == "PRIOR_PREDICTION":
        found["is_reg"] = True
    return found


def _part(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = values.get(key)
    return inner if isinstance(inner, Mapping) else {}


# ---- ai-toolkit -----------------------------------------------------------------------------------------------------

_FOLDER_KEYS: Final[Mapping[str, str]] = {
    "num_repeats": "num_repeats",
    "caption_dropout_rate": "caption_dropout_rate",
    "token_dropout_rate": "caption_tag_dropout_rate",
    "shuffle_tokens": "shuffle_caption",
    "keep_tokens": "keep_tokens",
    "random_crop": "random_crop",
    "flip_x": "flip_aug",
    "is_reg": "is_reg",
    "alpha_mask": "alpha_mask",
    "mask_path": "conditioning_data_dir",
    "default_caption": "class_tokens",
}
"""ai-toolkit's key -> sd-scripts'."""


def _of_ai_toolkit(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each folder at each of its resolutions is a dataset of its own."""
    process = next((each for each in config["process"] if isinstance(each, Mapping)), {})
    batch = _part(process, "train").get("batch_size", 1)
    return {"datasets": [each for folder in process.get("datasets") or [] if isinstance(folder, Mapping)
                         for each in _datasets_of(folder, batch)]}  # fmt: skip


def _datasets_of(folder: Mapping[str, Any], batch: Any) -> Iterator[dict[str, Any]]:
    subset = {"image_dir": folder.get("folder_path") or folder.get("dataset_path")}
    subset |= {ours: folder[key] for key, ours in _FOLDER_KEYS.items() if not is_off(folder.get(key))}
    ending = str(folder.get("caption_ext", "txt"))
    subset["caption_extension"] = ending if ending.startswith(".") else f".{ending}"
    sizes = folder.get("resolution", 512)
    for size in sizes if isinstance(sizes, list) else [sizes]:
        side = int(as_number(size) or 512)
        bounds = {"min_bucket_reso": max(64, side // 2), "max_bucket_reso": side * 2, "bucket_reso_steps": 64}
        buckets = {"enable_bucket": True, **bounds} if is_on(folder.get("buckets", True)) else {}
        yield {
            "resolution": side,
            "batch_size": folder.get("batch_size") or batch,
            **buckets,
            "subsets": [dict(subset)],
        }
