"""OneTrainer's files of settings (JSON). The presets it comes with hold what differs from its defaults alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PureWindowsPath
from types import MappingProxyType
from typing import Any, Final

from ...errors import UserError
from ...text.messages import message
from ..choices import BLOCKS, TEXT_ENCODERS
from . import training
from .synonyms import Given, Program, Turned, as_number, idle, is_off, is_on, missing, same, switch, turns

_TYPES: Final = MappingProxyType(
    {
        "FLOAT_32": "fp32",
        "TFLOAT_32": "fp32",
        "FLOAT_16": "fp16",
        "BFLOAT_16": "bf16",
        "INT_8": "int8",
        "FLOAT_8": "fp16",
        "NFLOAT_4": "nf4",
        "NONE": "fp16",
    }
)
_FAMILIES: Final = ("STABLE_DIFFUSION_15", "STABLE_DIFFUSION_2", "STABLE_DIFFUSION_XL")
_OPTIONS: Final = (
    "weight_decay", "d0", "d_coef", "decouple", "use_bias_correction", "safeguard_warmup", "growth_rate",
    "relative_step", "scale_parameter", "warmup_init", "clip_threshold", "decay_rate", "r", "weight_lr_power",
    "momentum",
)  # fmt: skip
_OPTIONS_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ADAFACTOR": ("weight_decay", "relative_step", "scale_parameter", "warmup_init", "clip_threshold",
                      "decay_rate"),
        "PRODIGY": ("weight_decay", "d0", "d_coef", "decouple", "use_bias_correction", "safeguard_warmup",
                    "growth_rate"),
        "DADAPT_ADAM": ("weight_decay", "d0", "decouple", "use_bias_correction", "growth_rate"),
        "SCHEDULE_FREE_ADAMW": ("weight_decay", "r", "weight_lr_power"),
        "SCHEDULE_FREE_SGD": ("weight_decay", "r", "weight_lr_power", "momentum"),
        "SGD": ("weight_decay", "momentum"),
    }
)  # fmt: skip
"""What OneTrainer hands to an optimizer; to those that are not named, the weight decay."""


def _resolution(value: Any, _given: Given) -> Turned:
    """One side, or width x height; several with commas between are trained in turn."""
    first, *others = [part.strip() for part in str(value).split(",")]
    sides = [side.strip() for side in first.lower().split("x")]
    note = message("foreign.one_resolution", size=first) if others else None
    return Turned({"image_size": ",".join(reversed(sides))}, note)


def _buckets(_value: Any, given: Given) -> Turned:
    """With buckets, frames of the resolution's area and of multiples of 64; without, its square."""
    if not given.flag("aspect_ratio_bucketing"):
        return Turned({"image_bucketing": "one size", "image_disable_upscale": False})
    side = int(as_number(str(given.value("resolution")).split(",")[0]) or 512)
    bounds = {"image_min_bucket_reso": max(64, side // 2), "image_max_bucket_reso": side * 2}
    found = {"image_bucketing": "sd-scripts", **bounds, "image_bucket_reso_steps": 64, "image_disable_upscale": False}
    return Turned(found, message("foreign.other_buckets"))


def _network(_value: Any, given: Given) -> Turned:
    """Without a filter OneTrainer trains every linear layer and convolution; with one, some by their names."""
    preset = given.text("layer_filter_preset") or "full"
    if given.text("peft_type").upper() == "LOHA":
        return Turned({"network_type": "loha"}, message("foreign.loha_convolutions") if preset != "full" else None)
    if preset == "full" and not given.text("layer_filter"):
        return Turned({"network_type": "c3lier"}, message("foreign.one_trainer_layers"))
    known = preset in ("attn-mlp", "attention-mlp", "full")
    return Turned({"network_type": "lierla"}, None if known else message("foreign.layers", name=preset))


def _parts(_value: Any, given: Given) -> Turned:
    """Which parts are trained, each with a rate of its own or the one for all."""
    base = given.value("learning_rate")
    unet = given.value("unet.learning_rate") or base
    has_unet = _trains(given, "unet")
    encoders = [name for name in ("text_encoder", "text_encoder_2") if _trains(given, name)]
    rates = [given.value(f"{name}.learning_rate") or base for name in encoders]
    blocks = [block for block in BLOCKS if (block != TEXT_ENCODERS and has_unet) or (block == TEXT_ENCODERS and rates)]
    found: dict[str, Any] = {
        "network_blocks": blocks or list(BLOCKS),
        "train_learning_rate": unet if has_unet else base,
    }
    if rates and as_number(rates[0]) != as_number(found["train_learning_rate"]):
        found["train_textencoder_learning_rate"] = rates[0]
    is_xl = given.text("model_type").startswith("STABLE_DIFFUSION_XL")
    is_partly = is_xl and len(encoders) == 1
    several = len({as_number(rate) for rate in rates}) > 1
    note = message("foreign.both_encoders") if is_partly else None
    return Turned(found, message("foreign.one_encoder_rate", rate=rates[0]) if several else note)


def _trains(given: Given, part: str) -> bool:
    if part == "text_encoder_2" and not given.text("model_type").startswith("STABLE_DIFFUSION_XL"):
        return False
    value = given.value(f"{part}.train")
    return True if value is None else is_on(value)


def _optimizer(_value: Any, given: Given) -> Turned:
    name = given.text("optimizer.optimizer").upper() or "ADAMW"
    options = {key: given.value(f"optimizer.{key}") for key in _OPTIONS_OF.get(name, ("weight_decay",))}
    betas = [given.value(f"optimizer.beta{number}") for number in (1, 2)]
    if None not in betas and name not in ("ADAFACTOR", "SGD", "TIGER", "CAME", "DADAPT_ADAN"):
        options["betas"] = tuple(as_number(beta) for beta in betas)
    if given.value("optimizer.eps") is not None and name not in ("ADAFACTOR", "LION", "LION_8BIT", "CAME", "SGD"):
        options["eps"] = given.value("optimizer.eps")
    kept = {key: value for key, value in options.items() if value is not None and str(value) != "inf"}
    also = {"weight_decay": 0.01} if "SCHEDULE_FREE_ADAMW" in name else None
    return training.optimizer(name, kept, given.value("learning_rate"), also)


def _schedule(value: Any, given: Given) -> Turned:
    names = {"COSINE_WITH_RESTARTS": "cosine_with_restarts", "COSINE_WITH_HARD_RESTARTS": "cosine_with_restarts"}
    name = {"CONSTANT": "constant_with_warmup", **names}.get(str(value), str(value).lower())
    return training.schedule(name, {}, given.text("optimizer.optimizer"))


def _weighting(_value: Any, given: Given) -> Turned:
    plain = given.text("loss_weight_fn")
    found: dict[str, Any] = {"train_snr_gamma": 0.0, "train_debiased_estimation": plain == "DEBIASED_ESTIMATION"}
    if plain == "MIN_SNR_GAMMA":
        found["train_snr_gamma"] = given.value("loss_weight_strength")
    known = plain in ("CONSTANT", "MIN_SNR_GAMMA", "DEBIASED_ESTIMATION")
    return Turned(found, None if known else message("foreign.no_weighting", name=plain))


def _loss(_value: Any, given: Given) -> Turned:
    squared, absolute = (given.number(f"{name}_strength") or 0.0 for name in ("mse", "mae"))
    others = [name for name in ("log_cosh_strength", "huber_strength") if not is_off(given.value(name))]
    name = "L1" if absolute and not squared else "MSE"
    is_plain = not others and sorted((squared, absolute)) == [0.0, 1.0]
    return Turned({"train_loss_function": name}, None if is_plain else message("foreign.one_loss", name=name))


def _every(value: Any, given: Given, key: str, steps: str, epochs: str) -> Turned:
    """How often something is done: OneTrainer has a number and a unit."""
    unit = given.text(f"{key}_unit").upper()
    count = int(as_number(value) or 0)
    found = {steps: count if unit == "STEP" else 0, epochs: count if unit == "EPOCH" else 0}
    known = unit in ("STEP", "EPOCH", "NEVER", "")
    return Turned(found, None if known else message("foreign.by_time", unit=unit))


def _saves(_value: Any, given: Given) -> Turned:
    return _every(given.value("save_every"), given, "save_every", "save_per_steps", "save_every_epochs")


def _samples(_value: Any, given: Given) -> Turned:
    return _every(given.value("sample_after"), given, "sample_after", "sample_every_steps", "sample_every_epochs")


def _name(value: Any, _given: Given) -> Turned:
    path = PureWindowsPath(str(value))
    return Turned({"save_lora_name": path.stem}, message("foreign.output_folder"))


def _file_type(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"save_precision": _TYPES.get(str(value), "fp32")}


def _precision(setting: str) -> Any:
    return lambda value, _given: {setting: _TYPES.get(str(value), "fp16")}


def _ema(value: Any, given: Given) -> Mapping[str, Any]:
    return {"train_ema_decay": 0.0 if str(value) == "OFF" else given.value("ema_decay")}


def _least(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"train_min_timesteps": round(1000 * (as_number(value) or 0.0))}


def _most(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"train_max_timesteps": round(1000 * (as_number(value) or 1.0))}


def _skip(value: Any, given: Given) -> Mapping[str, Any]:
    """How many layers are left out beside those the family leaves out anyway: SDXL one, SD1 none."""
    layers = int(as_number(value) or 0)
    own = 2 if given.text("model_type").startswith("STABLE_DIFFUSION_XL") else 1
    return {"clip_skip": layers + own if layers else 0}


def _prediction(_value: Any, given: Given) -> Mapping[str, Any]:
    forced = [
        word
        for word, key in (("velocity", "force_v_prediction"), ("noise", "force_epsilon_prediction"))
        if given.flag(key)
    ]
    return {"prediction": forced[0]} if forced else {}


def _warmup(value: Any, _given: Given) -> Mapping[str, Any]:
    return training.warmup(value)


_PART: Final = ("weight_dtype", "dropout_probability", "stop_training_after", "stop_training_after_unit",
                "train_embedding", "attention_mask", "guidance_scale", "include")  # fmt: skip
ROWS: Final = (
    same("base_model_name", "model"),
    same("vae.model_name", "vae"),
    turns("force_v_prediction", "prediction", _prediction, False),
    turns("force_epsilon_prediction", "prediction", _prediction, False),
    *missing("rescale_noise_scheduler_to_zero_terminal_snr", note="foreign.zero_snr"),
    *idle("training_method", "model_type", "model_names", "__version", "quantization", "compile"),
    turns("resolution", "image_size", _resolution, "512"),
    turns("aspect_ratio_bucketing",
          "image_bucketing image_min_bucket_reso image_max_bucket_reso image_bucket_reso_steps image_disable_upscale",
          _buckets, True),
    switch("masked_training", "image_use_masks"),
    *missing("unmasked_probability", "unmasked_weight", default=0.1),
    *missing("normalize_masked_area_loss", "masked_prior_preservation_weight", "custom_conditioning_image"),
    turns("text_encoder_layer_skip", "clip_skip", _skip, 0),
    *missing("text_encoder_2_layer_skip"),
    turns("peft_type", "network_type", _network, "LORA"),
    turns("layer_filter_preset", "network_type", _network),
    *missing("layer_filter", "layer_filter_regex"),
    same("lora_rank", "network_rank", 16),
    same("lora_alpha", "network_alpha", 1.0),
    same("dropout_probability", "network_dropout", 0.0),
    same("lora_model_name", "network_resume"),
    *missing("lora_decompose"),
    turns("lora_weight_dtype", "train_lora_precision", _precision("train_lora_precision"), "FLOAT_32"),
    *idle("lora_decompose_norm_epsilon", "lora_decompose_output_axis", "bundle_additional_embeddings"),
    same("epochs", "train_epochs", 100),
    same("batch_size", "train_batch_size", 1),
    same("gradient_accumulation_steps", "train_gradient_accumulation", 1),
    switch("unet.gradient_checkpointing", "use_gradient_checkpointing", True),
    same("clip_grad_norm", "train_max_grad_norm", 1.0),
    turns("learning_rate", "train_learning_rate network_blocks train_textencoder_learning_rate", _parts, 3e-6),
    turns("unet.train", "network_blocks", _parts),
    turns("unet.learning_rate", "train_learning_rate", _parts),
    turns("text_encoder.train", "network_blocks", _parts),
    turns("text_encoder.learning_rate", "train_textencoder_learning_rate", _parts),
    turns("text_encoder_2.train", "network_blocks", _parts),
    turns("text_encoder_2.learning_rate", "train_textencoder_learning_rate", _parts),
    turns("optimizer.optimizer", "train_optimizer train_optimizer_settings", _optimizer, "ADAMW"),
    turns("optimizer.beta1", "train_optimizer_settings", _optimizer),
    turns("optimizer.beta2", "train_optimizer_settings", _optimizer),
    turns("optimizer.eps", "train_optimizer_settings", _optimizer),
    *(turns(f"optimizer.{key}", "train_optimizer_settings", _optimizer) for key in _OPTIONS),
    turns("learning_rate_scheduler", "train_lr_scheduler train_lr_scheduler_settings", _schedule, "CONSTANT"),
    turns("learning_rate_warmup_steps", "train_lr_warmup_steps train_lr_warmup_ratio", _warmup, 200),
    same("learning_rate_cycles", "train_lr_scheduler_num_cycles", 1),
    *missing("learning_rate_min_factor", "custom_learning_rate_scheduler", "scheduler_params"),
    *missing("learning_rate_scaler", "loss_scaler", default="NONE"),
    turns("train_dtype", "train_model_precision", _precision("train_model_precision"), "FLOAT_16"),
    turns("vae.weight_dtype", "train_VAE_precision", _precision("train_VAE_precision"), "FLOAT_32"),
    turns("ema", "train_ema_decay", _ema, "OFF"),
    *missing("ema_decay", default=0.999),
    *missing("ema_update_step_interval", default=5),
    turns("mse_strength", "train_loss_function", _loss, 1.0),
    turns("mae_strength", "train_loss_function", _loss, 0.0),
    turns("log_cosh_strength", "train_loss_function", _loss),
    turns("huber_strength", "train_loss_function", _loss),
    *missing("huber_delta", "vb_loss_strength", default=1.0),
    turns("loss_weight_fn", "train_snr_gamma train_debiased_estimation", _weighting, "CONSTANT"),
    turns("loss_weight_strength", "train_snr_gamma", _weighting, 5.0),
    same("offset_noise_weight", "train_noise_offset", 0.0),
    *missing("generalized_offset_noise", "perturbation_noise_weight"),
    turns("min_noising_strength", "train_min_timesteps", _least, 0.0),
    turns("max_noising_strength", "train_max_timesteps", _most, 1.0),
    *missing("timestep_distribution", default="UNIFORM"),
    *missing("noising_weight", "noising_bias", "dynamic_timestep_shifting"),
    *missing("timestep_shift", default=1.0),
    turns("output_model_destination", "save_lora_name", _name),
    turns("output_dtype", "save_precision", _file_type, "FLOAT_32"),
    turns("save_every", "save_per_steps save_every_epochs", _saves, 0),
    turns("save_every_unit", "save_per_steps save_every_epochs", _saves, "NEVER"),
    *missing("save_skip_first", "validation"),
    turns("sample_after", "sample_every_steps sample_every_epochs", _samples),
    turns("sample_after_unit", "sample_every_steps sample_every_epochs", _samples, "NEVER"),
    *missing("samples", "sample_definition_file_name", default="training_samples/samples.json", note="foreign.samples"),
    *idle("tensorboard", "sample_skip_first", "sample_image_format", "sample_video_format", "sample_audio_format",
          "samples_to_tensorboard", "non_ema_sampling", "backup_after", "backup_after_unit", "rolling_backup",
          "rolling_backup_count", "backup_before_save", "continue_last_backup", "prevent_overwrites",
          "include_train_config", "output_model_format", "workspace_dir", "cache_dir", "latent_caching",
          "clear_cache_before_training", "only_cache", "debug_mode", "debug_dir", "train_device", "temp_device",
          "dataloader_threads", "attention_mechanism", "enable_autocast_cache", "fallback_train_dtype",
          "async_offloading", "force_circular_padding", "frames", "tensorboard_expose", "tensorboard_always_on",
          "tensorboard_port", "validate_after", "validate_after_unit", "optimizer_defaults", "offline_mode",
          "huggingface_cache_dir", "gradient_checkpointing", "save_filename_prefix", "multi_gpu", "device_indexes",
          "text_encoder.gradient_checkpointing", "text_encoder_2.gradient_checkpointing",
          *(f"{part}.{key}" for part in ("unet", "text_encoder", "text_encoder_2") for key in _PART)),
    same("concept_file_name", "dataset_config"),
    same("concepts", "dataset_config"),
)  # fmt: skip
_OTHER_PARTS: Final = ("prior", "transformer", "unconditional_transformer", "text_encoder_3", "text_encoder_4", "vae",
                       "effnet_encoder", "decoder", "decoder_text_encoder", "decoder_vqgan", "embedding", "cloud",
                       "secrets", "quantization", "text_encoder_sequence_length", "additional_embeddings")  # fmt: skip
_KEPT: Final = frozenset(row.key for row in ROWS)


def _refuse(given: Given) -> None:
    """Raises:
    UserError: it trains no LoRA, a network of another kind, or a model of another family.
    """
    method = given.text("training_method") or "FINE_TUNE"
    if method != "LORA":
        raise UserError("foreign.no_training", name=method)
    kind = given.text("peft_type").upper()
    if kind not in ("LORA", "LOHA"):
        raise UserError("foreign.no_network", name=kind)
    family = given.text("model_type") or _FAMILIES[0]
    if not family.startswith(_FAMILIES) or family.endswith(("INPAINTING", "DEPTH")):
        raise UserError("foreign.no_family", name=family)


ONE_TRAINER: Final = Program(
    "OneTrainer",
    ROWS,
    MappingProxyType({"mode": "LoRA", "network_element": "Full", "lora_trigger_word": "", "caption_max_tokens": 75}),
    refuse=_refuse,
)


def flat_one_trainer(values: Mapping[str, Any]) -> dict[str, Any]:
    """A file of OneTrainer with the settings of a part under ``part.key``, without the parts of other models."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    of_others = tuple(f"{part}." for part in _OTHER_PARTS)
    return {key: value for key, value in flat.items() if key in _KEPT or not _is_of_others(key, of_others)}


def _is_of_others(key: str, of_others: tuple[str, ...]) -> bool:
    """What OneTrainer writes into every file: parts of other models, options of other networks and optimizers."""
    begins = (*of_others, "lokr_", "oft_", "text_encoder_3", "text_encoder_4", "optimizer.", "embedding", "unet.",
              "text_encoder.", "text_encoder_2.", "cloud", "secrets", "gradient_reduce", "fused_gradient",
              "async_gradient", "preserve_embedding", "additional_embeddings", "text_encoder_sequence",
              "text_encoder_2_sequence")  # fmt: skip
    return key.startswith(begins)
