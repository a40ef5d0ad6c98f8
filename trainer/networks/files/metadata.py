"""What a LoRA file says of itself: sd-scripts' ``ss_*`` keys, ``modelspec.*``, and the settings it was trained with.

The hosts parse values that start with ``{`` as JSON and show the others as text: objects are valid JSON, and text never
starts like one. People publish these files, so no key but the settings holds a path, and those only what
``publish.py`` lets through.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timezone
from pathlib import Path

import torch

from ...config.choices import NETWORK_TYPES
from ...config.redact import publishable
from ...config.schema import to_json
from ...config.settings import Settings, row_of
from ...config.size import Size
from ...data.buckets import ONE_SIZE
from ...data.samples import Sample, Scan, SubsetCounts
from ...data.subsets import Subset
from ...diffusion.parameterisation import FLOW
from ...job import Job
from ...models.base import Bundle
from ...models.checkpoint.hashes import Hashes
from .settings import KEY as SETTINGS_KEY
from .texts import one_line, plain

_MOST_TAGS, _LONGEST_TAG = 5000, 200
"""What of the captions goes into the header, which hosts read whole for every file they list."""


@dataclass(frozen=True)
class Usage:
    """How the LoRA of a mode is used.

    Attributes:
        prompt: what shows best what it has learned.
        trigger: the word that calls it up; empty if it needs none.
        meaning: what it does at the strength it was trained at, e.g. ``"blue" becomes "yellow"``; may be empty.
        prompt_pairs: prompts, and those whose images they are to give with it.
        sliders: prompts, and those that they are to lead to above and below strength 0.
    """

    prompt: str
    trigger: str = ""
    meaning: str = ""
    prompt_pairs: tuple[tuple[str, str], ...] = ()
    sliders: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Origin:
    """What a run knows beyond its job: the model, the images, how the LoRA is used.

    Attributes:
        settings: what the pass that made the network was run with.
        base_dtype: the precision the model was computed in.
        trains_text_encoder: whether the text encoder has adapters.
        scan: the images, for modes that need them.
        validation_images: how many others are not trained.
    """

    settings: Settings
    bundle: Bundle
    base_dtype: torch.dtype
    usage: Usage
    trains_text_encoder: bool = False
    scan: Scan | None = None
    validation_images: int = 0


def metadata(job: Job, origin: Origin, hashes: Hashes | None, path: Path, steps: int) -> dict[str, str]:
    """All of it for the file at ``path``, trained for ``steps``; values are text, as safetensors has them."""
    texts = {
        **_training(origin, steps),
        **_model(origin, hashes),
        **_modelspec(job, origin, path.stem),
        "ss_session_id": job.id,
        "ss_training_started_at": str(job.created.timestamp()),
    }
    if not path.stem.startswith("{"):  # such a name would be read as JSON; without the key hosts take the file's name
        texts["ss_output_name"] = path.stem
    objects = {
        **_objects(origin.settings, origin.scan),
        SETTINGS_KEY: to_json(publishable(job.settings)),
    }
    return {key: plain(value) for key, value in texts.items()} | {key: _json(value) for key, value in objects.items()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def strength_of_training(settings: Settings) -> float:
    """The strength at which the file does what was trained: its update has been multiplied."""
    return 1.0 / settings.network_strength


# ---- what was done --------------------------------------------------------------------------------------------------


def _training(origin: Origin, steps: int) -> dict[str, str]:
    settings = _as_trained(origin)
    rate = settings.train_learning_rate
    text_rate = settings.train_textencoder_learning_rate
    return {
        "ss_network_module": NETWORK_TYPES[settings.network_type].module,
        "ss_network_dim": str(settings.network_rank),
        "ss_network_alpha": str(settings.network_alpha),
        "ss_learning_rate": str(rate),
        "ss_unet_lr": str(rate),
        "ss_text_encoder_lr": str((rate if text_rate is None else text_rate) if origin.trains_text_encoder else None),
        "ss_optimizer": f"{settings.train_optimizer}({settings.train_optimizer_settings})",
        "ss_lr_scheduler": settings.train_lr_scheduler,
        "ss_lr_warmup_steps": str(settings.warmup),
        "ss_max_train_steps": str(settings.train_iterations),
        "ss_steps": str(steps),
        "ss_seed": str(settings.train_seed),
        "ss_clip_skip": str(settings.clip_skip or 1),
        "ss_loss_type": {"MSE": "l2", "L1": "l1", "Smooth-L1": "smooth_l1"}[settings.train_loss_function],
        "ss_min_snr_gamma": str(settings.train_snr_gamma or None),
        "ss_gradient_checkpointing": str(settings.use_gradient_checkpointing),
        **_sizes(settings, origin.scan),
        "ss_training_comment": settings.save_comment.strip() or f"Trainyard, {settings.mode}",
        "ss_gradient_accumulation_steps": str(settings.train_gradient_accumulation),
        "ss_max_grad_norm": str(settings.train_max_grad_norm),
        "ss_network_dropout": str(settings.network_dropout or None),
        "ss_debiased_estimation": str(settings.train_debiased_estimation),
        **_noise(settings),
        **_captions(settings),
        **_epochs(settings, origin, steps),
    }


def _as_trained(origin: Origin) -> Settings:
    """The settings, without what is off along a rectified flow."""
    if origin.bundle.diffusion.parameterisation is not FLOW:
        return origin.settings
    return replace(
        origin.settings, train_snr_gamma=0.0, train_debiased_estimation=False, train_noise_offset=0.0,
        train_noise_offset_random=False, train_adaptive_noise_scale=0.0, train_multires_noise_iterations=0,
    )  # fmt: skip


def _noise(settings: Settings) -> dict[str, str]:
    """Of noise that is not white."""
    offset, iterations = settings.train_noise_offset, settings.train_multires_noise_iterations
    return {
        "ss_noise_offset": str(offset or None),
        "ss_noise_offset_random_strength": str(settings.train_noise_offset_random),
        "ss_adaptive_noise_scale": str(settings.train_adaptive_noise_scale or None),
        "ss_multires_noise_iterations": str(iterations or None),
        "ss_multires_noise_discount": str(settings.train_multires_noise_discount),
    }


_CAPTION_KEYS = {
    "caption_shuffle": "ss_shuffle_caption",
    "caption_keep_tokens": "ss_keep_tokens",
    "caption_keep_tokens_separator": "ss_keep_tokens_separator",
    "caption_separator": "ss_caption_separator",
    "caption_secondary_separator": "ss_secondary_separator",
    "caption_prefix": "ss_caption_prefix",
    "caption_suffix": "ss_caption_suffix",
    "caption_dropout_rate": "ss_caption_dropout_rate",
    "caption_dropout_every_n_epochs": "ss_caption_dropout_every_n_epochs",
    "caption_tag_dropout_rate": "ss_caption_tag_dropout_rate",
    "caption_wildcards": "ss_enable_wildcard",
    "caption_weights": "ss_weighted_captions",
    "caption_max_tokens": "ss_max_token_length",
}
"""What sd-scripts writes, or calls in its options, of the settings for captions; written where they are set."""


def _captions(settings: Settings) -> dict[str, str]:
    return {
        key: str(getattr(settings, name))
        for name, key in _CAPTION_KEYS.items()
        if getattr(settings, name) != row_of(name).default
    }


def _sizes(settings: Settings, scan: Scan | None) -> dict[str, str]:
    """Several datasets have several, so sd-scripts says them with the datasets alone."""
    if scan is not None and len({subset.dataset for subset in scan.subsets}) > 1:
        return {}
    return {
        "ss_batch_size_per_device": str(settings.train_batch_size),
        "ss_resolution": str(tuple(settings.size)),
    }


def _epochs(settings: Settings, origin: Origin, steps: int) -> dict[str, str]:
    """Modes without images have none."""
    scan = origin.scan
    if scan is None:
        return {}
    every = list(zip(scan.subsets, scan.counts, strict=True))
    reg = {
        "ss_num_reg_images": str(_reg_images(every)),
        "ss_prior_loss_weight": str(settings.prior_loss_weight),
    }
    validation = {
        "ss_num_validation_images": str(origin.validation_images),
        "ss_validation_split": str(settings.validation_split),
        "ss_validate_every_n_steps": str(settings.validation_every_steps or None),
    }
    return {
        **(reg if any(subset.is_reg for subset in scan.subsets) else {}),
        **(validation if origin.validation_images else {}),
        "ss_num_train_images": str(sum(count.taken for subset, count in every if not subset.is_reg)),
        "ss_num_batches_per_epoch": str(scan.batches_per_epoch),
        "ss_num_epochs": str(_rounded_up(settings.train_iterations, scan.steps_per_epoch)),
        "ss_epoch": str(_rounded_up(steps, scan.steps_per_epoch)),
    }


def _rounded_up(count: int, size: int) -> int:
    return -(-count // size)


def _model(origin: Origin, hashes: Hashes | None) -> dict[str, str]:
    bundle = origin.bundle
    found = {
        "ss_base_model_version": bundle.family.base_model_version,
        "ss_v2": str(bundle.family.base_model_version == "sd_v2"),
        "ss_sd_model_name": bundle.name,
        "ss_mixed_precision": {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(origin.base_dtype, "no"),
    }
    if hashes is not None:
        found |= {"ss_sd_model_hash": hashes.legacy, "ss_new_sd_model_hash": hashes.sha256}
    if bundle.vae_name:
        found["ss_vae_name"] = bundle.vae_name
    return found


# ---- what it was done with ------------------------------------------------------------------------------------------


def _network_arguments(settings: Settings) -> dict[str, str]:
    """What sd-scripts would have to be given beside rank and alpha to train the same modules; text, as it has them."""
    info = NETWORK_TYPES[settings.network_type]
    options = {
        "rank_dropout": settings.network_rank_dropout,
        "module_dropout": settings.network_module_dropout,
        "loraplus_lr_ratio": settings.train_loraplus_ratio,
    }
    chosen = {name: str(value) for name, value in options.items() if value}
    if settings.network_block_rates.strip():
        chosen["block_lr_weights"] = one_line(settings.network_block_rates)
    if not info.include_resnets:
        return {**info.arguments, **chosen}
    conv = {
        "conv_dim": str(settings.network_conv_rank or settings.network_rank),
        "conv_alpha": str(settings.network_conv_alpha or settings.network_alpha),
    }
    return {**conv, **info.arguments, **chosen}


def _objects(settings: Settings, scan: Scan | None) -> dict[str, object]:
    found: dict[str, object] = {"ss_network_args": _network_arguments(settings)}
    if scan is None:
        return found
    found["ss_dataset_dirs"] = _folders(scan, is_reg=False)
    if any(subset.is_reg for subset in scan.subsets):
        found["ss_reg_dataset_dirs"] = _folders(scan, is_reg=True)
    found["ss_bucket_info"] = _buckets(scan.buckets)
    if scan.file is not None:
        found["ss_datasets"] = _datasets(scan)
    tags = tag_frequency(_images(scan), scan.subsets)
    return {**found, "ss_tag_frequency": tags} if tags else found


def _folders(scan: Scan, *, is_reg: bool) -> dict[str, object]:
    """The folders of the images with their repeats, as sd-scripts names them: without their paths."""
    subsets = [subset.number for subset in scan.subsets if subset.is_reg == is_reg]
    images = [image for image in _images(scan) if image.subset in subsets]
    counts = Counter((folder_of(image, scan.subsets), image.subset) for image in images)
    found: dict[str, object] = {}
    for (folder, subset), count in counts.items():
        alike = sum(name == folder or name.startswith(f"{folder} (") for name in found)
        name = f"{folder} ({alike + 1})" if alike else folder
        found[name] = {"n_repeats": scan.subsets[subset].repeats, "img_count": count}
    return found


def _buckets(frames: Iterable[tuple[Size, int]]) -> dict[str, object]:
    return {
        "buckets": {
            str(number): {"resolution": list(frame), "count": count} for number, (frame, count) in enumerate(frames)
        }
    }


def _images(scan: Scan) -> list[Sample]:
    """One sample of each image of a subset: sub-images and mirrored ones have the same caption."""
    return list({(side.path, side.subset): side for sample in scan.distinct for side in sample.sides()}.values())


def _datasets(scan: Scan) -> list[object]:
    """What sd-scripts says of the datasets of a dataset file: names of folders and files are without their paths."""
    found: list[object] = []
    for dataset in dict.fromkeys(subset.dataset for subset in scan.subsets):
        members = [subset for subset in scan.subsets if subset.dataset == dataset]
        settings, counts = members[0].settings, [scan.counts[subset.number] for subset in members]
        images = [image for image in _images(scan) if scan.subsets[image.subset].dataset == dataset]
        frames = Counter(bucket.frame for bucket in map(scan.bucket_of, scan.samples) if bucket.dataset == dataset)
        every = list(zip(members, counts, strict=True))
        found.append(
            {
                "is_dreambooth": all(subset.metadata is None for subset in members),
                "batch_size_per_device": settings.train_batch_size,
                "num_train_images": sum(count.taken for subset, count in every if not subset.is_reg),
                "num_reg_images": _reg_images(every),
                "resolution": list(settings.size),
                "enable_bucket": settings.image_bucketing != ONE_SIZE,
                "min_bucket_reso": settings.image_min_bucket_reso,
                "max_bucket_reso": settings.image_max_bucket_reso,
                "tag_frequency": tag_frequency(images, scan.subsets),
                "bucket_info": _buckets(sorted(frames.items())),
                "subsets": [_subset(subset, count) for subset, count in every],
            }
        )
    return found


def _subset(subset: Subset, count: SubsetCounts) -> dict[str, object]:
    settings = subset.settings
    if subset.metadata is None:
        source = {"class_tokens": one_line(subset.class_words), "is_reg": subset.is_reg}
    else:
        source = {"metadata_file": one_line(subset.metadata.name)}
    return {
        "img_count": count.images + count.unused,
        "num_repeats": subset.repeats,
        "color_aug": settings.image_color_augmentation,
        "flip_aug": settings.image_random_flip,
        "random_crop": settings.image_random_crop,
        "shuffle_caption": settings.caption_shuffle,
        "keep_tokens": settings.caption_keep_tokens,
        "keep_tokens_separator": settings.caption_keep_tokens_separator,
        "secondary_separator": settings.caption_secondary_separator,
        "enable_wildcard": settings.caption_wildcards,
        "caption_prefix": settings.caption_prefix,
        "caption_suffix": settings.caption_suffix,
        "image_dir": one_line(subset.folder.name),
        **source,
    }


def _reg_images(every: Iterable[tuple[Subset, SubsetCounts]]) -> int:
    """Regularisation images with their own repeats, as sd-scripts counts them: before they are balanced."""
    return sum((count.images + count.unused) * subset.repeats for subset, count in every if subset.is_reg)


def folder_of(sample: Sample, subsets: Sequence[Subset] = ()) -> str:
    """The name of the folder an image is in, or of the metadata file it is in, without its path."""
    subset = subsets[sample.subset] if subsets else None
    if subset is not None and subset.metadata is not None:
        return one_line(subset.metadata.name) or "images"
    return one_line(Path(os.path.abspath(sample.path)).parent.name) or "images"


def tag_frequency(images: Iterable[Sample], subsets: Sequence[Subset] = ()) -> dict[str, dict[str, int]]:
    """How many images of a folder have a tag: lower case, as sd-scripts counts them and as CLIP reads them.

    The most frequent ones only, and of each only the beginning: captions may be novels.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for image in images:
        folder = folder_of(image, subsets)
        counts.update((folder, tag) for tag in map(one_line, image.caption.lower().split(",")) if tag)
    found: dict[str, dict[str, int]] = {}
    for (folder, tag), count in counts.most_common(_MOST_TAGS):
        short = tag if len(tag) <= _LONGEST_TAG else f"{tag[: _LONGEST_TAG - 1]}…"
        of_folder = found.setdefault(folder, {})
        of_folder[short] = of_folder.get(short, 0) + count
    return found


# ---- Stability's ModelSpec ------------------------------------------------------------------------------------------


def _modelspec(job: Job, origin: Origin, title: str) -> dict[str, str]:
    settings, bundle, usage = origin.settings, origin.bundle, origin.usage
    width, height = settings.size
    found = {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{bundle.family.architecture_of(bundle)}/lora",
        "modelspec.implementation": bundle.family.implementation,
        "modelspec.title": title,
        "modelspec.description": description(origin),
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": job.created.astimezone(timezone.utc).isoformat(timespec="seconds"),
        "modelspec.timestep_range": f"{settings.train_min_timesteps},{settings.train_max_timesteps}",
    }
    if bundle.diffusion.parameterisation.modelspec:
        found["modelspec.prediction_type"] = bundle.diffusion.parameterisation.modelspec
    if usage.trigger:
        found["modelspec.trigger_phrase"] = usage.trigger
    if usage.meaning:
        found["modelspec.usage_hint"] = usage_hint(settings, usage)
    return found


def usage_hint(settings: Settings, usage: Usage) -> str:
    """Which strength does what."""
    return f"strength {strength_of_training(settings):g}: {usage.meaning}"


def description(origin: Origin) -> str:
    """One sentence or two on what the file is."""
    means = f" At {usage_hint(origin.settings, origin.usage)}." if origin.usage.meaning else ""
    return f"{origin.settings.mode} on {origin.bundle.name}, trained with Trainyard.{means}"
