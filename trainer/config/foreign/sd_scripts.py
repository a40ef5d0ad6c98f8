"""sd-scripts, and the programs that write settings for it: kohya_ss's GUI, LoRA_Easy_Training_Scripts, lora-scripts.

The defaults are those of ``train_network.py`` and ``sdxl_train_network.py`` and of the modules they train with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PureWindowsPath
from types import MappingProxyType
from typing import Any, Final

from ...errors import UserError
from ...text.messages import message
from ..choices import BLOCKS, TEXT_ENCODERS
from . import training
from .blocks import rates_of_blocks
from .synonyms import (
    Given,
    Program,
    Synonym,
    Turned,
    as_list,
    as_number,
    idle,
    is_on,
    missing,
    pairs_of,
    same,
    switch,
    turns,
)

_LORA, _LYCORIS = "networks.lora", "lycoris.kohya"
SCRIPTS: Final = ("train_network", "sdxl_train_network")
"""The scripts that train what Trainyard trains."""
_PRECISIONS: Final = MappingProxyType({"no": "fp32", "float": "fp32", "fp16": "fp16", "bf16": "bf16"})
_DENOISER: Final = tuple(block for block in BLOCKS if block != TEXT_ENCODERS)


# ---- what a key means -----------------------------------------------------------------------------------------------


def _sides(value: Any) -> list[str]:
    """The one or two sides of a size: 512, "512", "512,768", [512, 768]."""
    return [part for part in re.split(r"[,x\s]+", str(value).strip("()[] ")) if part]


def _size(value: Any, _given: Given) -> Turned:
    """Theirs is width,height; ours is height,width, in multiples of 8."""
    sides = _sides(value)
    rounded = [str(int(side) - int(side) % 8) if side.isdecimal() else side for side in sides]
    note = message("foreign.rounded", size=",".join(rounded)) if rounded != sides else None
    return Turned({"image_size": ",".join(reversed(rounded))}, note)


def _buckets(_value: Any, given: Given) -> Mapping[str, Any]:
    """Without buckets every image is cropped to the resolution."""
    on = given.flag("enable_bucket")
    bounds = {
        f"image_{name}": given.value(name) for name in ("min_bucket_reso", "max_bucket_reso", "bucket_reso_steps")
    }
    not_enlarged = on and given.flag("bucket_no_upscale")
    return {**bounds, "image_bucketing": "sd-scripts" if on else "one size", "image_disable_upscale": not_enlarged}


def _network(_value: Any, given: Given) -> Turned:
    module, algo = given.text("network_module"), given.text("network_args.algo").lower() or "lora"
    if module == "networks.loha":
        return Turned({"network_type": "loha"}, message("foreign.loha_convolutions"))
    if module != _LYCORIS:
        return Turned({"network_type": "c3lier" if "network_args.conv_dim" in given else "lierla"})
    if algo == "loha":
        with_tucker = given.flag("network_args.use_tucker") or given.flag("network_args.use_cp")
        return Turned({"network_type": "loha"}, None if with_tucker else message("foreign.loha_tucker"))
    preset = given.text("network_args.preset")
    if preset in ("attn-mlp", "attn-only", "unet-transformer-only"):
        note = message("foreign.attention_only") if preset == "attn-only" else None
        return Turned({"network_type": "lierla"}, note)
    return Turned({"network_type": "c3lier"}, message("foreign.lycoris_convolutions"))


def _convolutions(_value: Any, given: Given) -> Mapping[str, Any]:
    """networks.lora takes an alpha of 1 where none is given, LyCORIS the alpha of the rest."""
    of_sds = given.text("network_module") != _LYCORIS
    alpha = given.value("network_args.conv_alpha")
    return {
        "network_conv_rank": given.value("network_args.conv_dim"),
        "network_conv_alpha": (1.0 if of_sds else 0.0) if alpha is None else alpha,
    }


def _dropout(_value: Any, given: Given) -> Mapping[str, Any]:
    """LyCORIS reads its own word for it."""
    own = given.value("network_args.dropout")
    return {"network_dropout": given.value("network_dropout") if own is None else own}


def _rates(_value: Any, given: Given) -> Turned:
    """One rate for all, one for the U-Net, and one for the text encoders; what has none of its own takes the first.

    A rate of 0 for the text encoders leaves them out, as the flag for it does.
    """
    base = given.value("learning_rate")
    unet = base if given.value("unet_lr") is None else given.value("unet_lr")
    others = as_list(given.value("text_encoder_lr"))
    encoder = others[0] if others else base
    without_unet = given.flag("network_train_text_encoder_only") or as_number(unet) == 0
    without_encoder = given.flag("network_train_unet_only") or as_number(encoder) == 0
    found: dict[str, Any] = {"network_blocks": list(BLOCKS)}
    if without_encoder:
        found |= {"network_blocks": list(_DENOISER), "train_learning_rate": unet}
    elif without_unet:
        found |= {"network_blocks": [TEXT_ENCODERS], "train_learning_rate": encoder}
    else:
        found["train_learning_rate"] = unet
        found["train_textencoder_learning_rate"] = "" if as_number(encoder) == as_number(unet) else encoder
    several = len({as_number(each) for each in others}) > 1 and not without_encoder
    return Turned(found, message("foreign.one_encoder_rate", rate=encoder) if several else None)


def _overruled(settings: Mapping[str, Any], by: str) -> Turned:
    return Turned(settings, message("foreign.overruled", by=by))


def _base_rate(value: Any, given: Given) -> Turned:
    turned = _rates(value, given)
    encoder_has_its_own = "text_encoder_lr" in given or given.flag("network_train_unet_only")
    if "unet_lr" in given and encoder_has_its_own:
        return _overruled(turned.settings, "unet_lr")
    return Turned(turned.settings)


def _steps(value: Any, given: Given) -> Turned:
    if "max_train_epochs" in given:
        return _overruled({}, "max_train_epochs")
    return Turned({"train_iterations": value, "train_epochs": 0})


def _epochs(value: Any, given: Given) -> Mapping[str, Any]:
    """Those a program counts by itself give way to steps."""
    by_steps = "max_train_steps" in given and "max_train_epochs" not in given
    return {} if by_steps else {"train_epochs": value}


def _optimizer(_value: Any, given: Given) -> Turned:
    name = given.text("optimizer_type")
    if given.flag("use_8bit_adam"):
        name = "AdamW8bit"
    elif given.flag("use_lion_optimizer"):
        name = "Lion"
    rate = given.value("learning_rate") if given.value("unet_lr") is None else given.value("unet_lr")
    return training.optimizer(name or "AdamW", pairs_of(given.value("optimizer_args")), rate)


def _schedule(_value: Any, given: Given) -> Turned:
    """AdaFactor that finds its own rate has a schedule of its own, here as there, whichever is chosen."""
    name = given.text("lr_scheduler_type") or given.text("lr_scheduler")
    if name == "adafactor" and given.text("optimizer_type").lower() == "adafactor":
        name = "constant"
    return training.schedule(name, pairs_of(given.value("lr_scheduler_args")), given.text("optimizer_type"))


def _no_half_vae(_value: Any, given: Given) -> Mapping[str, Any]:
    half = _PRECISIONS.get(given.text("mixed_precision"), "fp32")
    return {"train_VAE_precision": "fp32" if given.flag("no_half_vae") else half}


def _lora_precision(_value: Any, given: Given) -> Mapping[str, Any]:
    names = [name for name in ("fp16", "bf16") if given.flag(f"full_{name}")]
    return {"train_lora_precision": names[0] if names else "fp32"}


def _precision(setting: str) -> Any:
    return lambda value, _given: {setting: _PRECISIONS.get(str(value), value)}


def _loss(value: Any, _given: Given) -> Turned:
    plain = str(value).lower()
    found = {"l2": "MSE", "mse": "MSE", "l1": "L1"}.get(plain)
    if found is None:
        return Turned({"train_loss_function": "Smooth-L1"}, message("foreign.huber", name=value))
    return Turned({"train_loss_function": found})


def _base_loras(_value: Any, given: Given) -> Mapping[str, Any]:
    paths = as_list(given.value("base_weights"))
    strengths = as_list(given.value("base_weights_multiplier"))
    strengths += [1.0] * (len(paths) - len(strengths))
    lines = [f"{path}:{strength}" for path, strength in zip(paths, strengths, strict=False)]
    return {"base_loras": "\n".join(lines)}


def _blocks(_value: Any, given: Given) -> Turned:
    rates, is_exact = rates_of_blocks(given)
    return Turned({"network_block_rates": rates}, None if is_exact else message("foreign.block_rates"))


def _prompts(value: Any, _given: Given) -> Mapping[str, Any]:
    """A file of prompts; a form has the lines themselves."""
    text = str(value).strip()
    if "\n" not in text and text.lower().endswith((".txt", ".toml", ".json")):
        return {"sample_prompts_file": text}
    return {"sample_prompt": text}


def _lines(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"caption_wildcards": is_on(value), "caption_lines": "random" if is_on(value) else "first"}


def _layer(value: Any, given: Given) -> Turned:
    """The last layer is SD1's own, and sd-scripts gives SDXL its own, whatever is set."""
    if given.flag("sdxl"):
        return Turned({"clip_skip": 0}, message("foreign.own_layer") if (as_number(value) or 0) > 2 else None)
    return Turned({"clip_skip": 0 if as_number(value) == 1 else value})


def _prediction(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"prediction": "velocity" if is_on(value) else "noise"}


def _masks(_value: Any, given: Given) -> Mapping[str, Any]:
    return {"image_use_masks": given.flag("masked_loss") or given.flag("alpha_mask")}


def _log(value: Any, _given: Given) -> Mapping[str, Any]:
    return {f"logging_{name}": value in (name, "all") for name in ("tensorboard", "wandb")}


# ---- the table ------------------------------------------------------------------------------------------------------

ROWS: Final[tuple[Synonym, ...]] = (
    # the model
    same("pretrained_model_name_or_path", "model"),
    same("vae"),
    turns("v_parameterization", "prediction", _prediction, False, about="foreign.about_prediction"),
    *missing("zero_terminal_snr", note="foreign.zero_snr"),
    *idle("v2", "sdxl", "tokenizer_cache_dir", "disable_mmap_load_safetensors", "lowram", "highvram"),
    # the data
    same("train_data_dir", "lora_data_directory"),
    same("reg_data_dir", "reg_data_directory"),
    same("prior_loss_weight", default=1.0),
    same("dataset_config"),
    same("in_json", "dataset_config"),
    same("dataset_repeats", "image_num_multiply", 1),
    *missing("dataset_class"),
    turns("resolution", "image_size", _size, about="foreign.about_size"),
    turns("enable_bucket", "image_bucketing", _buckets, False, about="foreign.about_buckets"),
    turns("min_bucket_reso", "image_min_bucket_reso", _buckets, 256),
    turns("max_bucket_reso", "image_max_bucket_reso", _buckets, 1024),
    turns("bucket_reso_steps", "image_bucket_reso_steps", _buckets, 64),
    turns("bucket_no_upscale", "image_disable_upscale", _buckets, False),
    switch("flip_aug", "image_random_flip"),
    switch("color_aug", "image_color_augmentation"),
    switch("random_crop", "image_random_crop"),
    *missing("face_crop_aug_range", "resize_interpolation", "train_inpainting"),
    turns("masked_loss", "image_use_masks", _masks, False, about="foreign.about_masks"),
    turns("alpha_mask", "image_use_masks", _masks, False),
    same("conditioning_data_dir", "image_mask_directory"),
    *idle("cache_latents", "cache_latents_to_disk", "vae_batch_size", "skip_cache_check", "cache_info", "debug_dataset",
          "cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk", "text_encoder_batch_size"),
    # captions
    same("caption_extension", default=".caption"),
    same("caption_extention", "caption_extension"),
    switch("shuffle_caption", "caption_shuffle"),
    same("keep_tokens", "caption_keep_tokens", 0),
    same("keep_tokens_separator", "caption_keep_tokens_separator"),
    same("caption_separator", default=","),
    same("secondary_separator", "caption_secondary_separator"),
    turns("enable_wildcard", "caption_wildcards caption_lines", _lines, False, about="foreign.about_wildcards"),
    same("caption_prefix"),
    same("caption_suffix"),
    same("caption_dropout_rate", default=0.0),
    same("caption_dropout_every_n_epochs", default=0),
    same("caption_tag_dropout_rate", default=0.0),
    switch("weighted_captions", "caption_weights"),
    same("max_token_length", "caption_max_tokens", 75),
    turns("clip_skip", "clip_skip", _layer, 0, about="foreign.about_layer"),
    *missing("token_warmup_min", default=1),
    *missing("token_warmup_step"),
    # the network
    turns("network_module", "network_type", _network, _LORA, about="foreign.about_network"),
    turns("network_args.algo", "network_type", _network),
    turns("network_args.preset", "network_type", _network),
    turns("network_args.use_tucker", "network_type", _network),
    turns("network_args.use_cp", "network_type", _network),
    same("network_dim", "network_rank", 4),
    same("network_alpha", default=1.0),
    turns("network_args.conv_dim", "network_conv_rank network_conv_alpha", _convolutions,
          about="foreign.about_convolutions"),
    turns("network_args.conv_alpha", "network_conv_alpha", _convolutions),
    turns("network_dropout", "network_dropout", _dropout, 0.0),
    turns("network_args.dropout", "network_dropout", _dropout),
    same("network_args.rank_dropout", "network_rank_dropout", 0.0),
    same("network_args.module_dropout", "network_module_dropout", 0.0),
    same("network_args.loraplus_lr_ratio", "train_loraplus_ratio", 0.0),
    *missing("network_args.loraplus_unet_lr_ratio", "network_args.loraplus_text_encoder_lr_ratio"),
    turns("network_args.down_lr_weight", "network_block_rates", _blocks, about="foreign.about_rates"),
    turns("network_args.mid_lr_weight", "network_block_rates", _blocks),
    turns("network_args.up_lr_weight", "network_block_rates", _blocks),
    turns("network_args.block_lr_zero_threshold", "network_block_rates", _blocks),
    *missing("network_args.block_dims", "network_args.block_alphas", "network_args.conv_block_dims",
             "network_args.conv_block_alphas", "network_args.dora_wd", "network_args.wd_on_output",
             "network_args.train_norm", "network_args.use_scalar", "network_args.rank_dropout_scale",
             "network_args.rescaled", "network_args.constraint", "network_args.bypass_mode"),
    same("network_weights", "network_resume"),
    *idle("dim_from_weights"),
    turns("base_weights", "base_loras", _base_loras, about="foreign.about_base"),
    turns("base_weights_multiplier", "base_loras", _base_loras),
    *missing("scale_weight_norms"),
    # how it is trained
    turns("max_train_steps", "train_iterations", _steps, 1600),
    turns("max_train_epochs", "train_epochs", _epochs, 0, about="foreign.about_epochs"),
    same("train_batch_size", default=1),
    same("gradient_accumulation_steps", "train_gradient_accumulation", 1),
    switch("gradient_checkpointing", "use_gradient_checkpointing"),
    same("max_grad_norm", "train_max_grad_norm", 1.0),
    same("seed", "train_seed", -1),
    turns("learning_rate", "train_learning_rate network_blocks", _base_rate, 2e-6, about="foreign.about_rate"),
    turns("unet_lr", "train_learning_rate network_blocks", _rates),
    turns("text_encoder_lr", "train_textencoder_learning_rate network_blocks", _rates,
          about="foreign.about_encoder_rate"),
    turns("network_train_unet_only", "network_blocks", _rates, False, about="foreign.about_unet_only"),
    turns("network_train_text_encoder_only", "network_blocks", _rates, about="foreign.about_encoder_only"),
    turns("optimizer_type", "train_optimizer train_optimizer_settings", _optimizer, "AdamW"),
    turns("use_8bit_adam", "train_optimizer train_optimizer_settings", _optimizer),
    turns("use_lion_optimizer", "train_optimizer train_optimizer_settings", _optimizer),
    turns("optimizer_args", "train_optimizer_settings", _optimizer, about="foreign.about_options"),
    turns("lr_scheduler", "train_lr_scheduler train_lr_scheduler_settings", _schedule, "constant"),
    turns("lr_scheduler_type", "train_lr_scheduler train_lr_scheduler_settings", _schedule),
    turns("lr_scheduler_args", "train_lr_scheduler_settings", _schedule),
    turns("lr_warmup_steps", "train_lr_warmup_steps train_lr_warmup_ratio",
          lambda value, _given: training.warmup(value), 0, about="foreign.about_warmup"),
    same("lr_scheduler_num_cycles", "train_lr_scheduler_num_cycles", 1),
    same("lr_scheduler_power", "train_lr_scheduler_power", 1.0),
    *missing("lr_decay_steps", "lr_scheduler_timescale", "lr_scheduler_min_lr_ratio"),
    turns("mixed_precision", "train_model_precision", _precision("train_model_precision"), "no",
          about="foreign.about_precision"),
    turns("full_fp16", "train_lora_precision", _lora_precision, False),
    turns("full_bf16", "train_lora_precision", _lora_precision, False),
    turns("no_half_vae", "train_VAE_precision", _no_half_vae, False, about="foreign.about_vae"),
    *missing("fp8_base", "fp8_base_unet", note="foreign.fp8"),
    turns("loss_type", "train_loss_function", _loss, "l2"),
    *missing("huber_c", default=0.1),
    *missing("huber_schedule", default="snr"),
    *missing("huber_scale", default=1.0),
    same("min_snr_gamma", "train_snr_gamma", 0.0),
    switch("debiased_estimation_loss", "train_debiased_estimation"),
    switch("scale_v_pred_loss_like_noise_pred", "train_scale_v_pred_loss"),
    *missing("v_pred_like_loss", "ip_noise_gamma", "ip_noise_gamma_random_strength"),
    same("noise_offset", "train_noise_offset", 0.0),
    switch("noise_offset_random_strength", "train_noise_offset_random"),
    same("adaptive_noise_scale", "train_adaptive_noise_scale", 0.0),
    same("multires_noise_iterations", "train_multires_noise_iterations", 0),
    same("multires_noise_discount", "train_multires_noise_discount", 0.3),
    same("min_timestep", "train_min_timesteps", 0),
    same("max_timestep", "train_max_timesteps", 1000),
    same("validation_split", default=0.0),
    same("validate_every_n_steps", "validation_every_steps"),
    *missing("validate_every_n_epochs", "validation_seed", "max_validation_steps", "stop_text_encoder_training"),
    *idle("xformers", "sdpa", "mem_eff_attn", "torch_compile", "dynamo_backend", "max_data_loader_n_workers",
          "persistent_data_loader_workers", "cpu_offload_checkpointing", "ddp_timeout", "ddp_gradient_as_bucket_view",
          "ddp_static_graph", "num_cpu_threads_per_process", "config_file", "console_log_simple"),
    # what is written
    same("output_name", "save_lora_name"),
    *missing("output_dir", note="foreign.output_folder"),
    turns("save_precision", "save_precision", _precision("save_precision"), "fp32",
          about="foreign.about_save_precision"),
    *missing("save_model_as", default="safetensors", note="foreign.safetensors"),
    same("save_every_n_epochs", "save_every_epochs", 0),
    same("save_every_n_steps", "save_per_steps", 0),
    same("training_comment", "save_comment"),
    *missing("save_n_epoch_ratio", "save_last_n_epochs", "save_last_n_steps", "no_metadata", "metadata_title",
             "metadata_author", "metadata_description", "metadata_license", "metadata_tags"),
    *missing("save_state", "save_state_on_train_end", "save_last_n_epochs_state", "save_last_n_steps_state",
             "resume", "initial_epoch", "initial_step", "skip_until_initial_step", note="foreign.resume"),
    turns("log_with", "logging_tensorboard logging_wandb", _log),
    *idle("logging_dir", "log_prefix", "log_tracker_name", "log_tracker_config", "wandb_run_name", "wandb_api_key",
          "log_config", "output_config"),
    *missing("huggingface_repo_id", "huggingface_repo_type", "huggingface_path_in_repo", "huggingface_token",
             "huggingface_repo_visibility", "save_state_to_huggingface", "resume_from_huggingface", "async_upload"),
    # previews
    turns("sample_prompts", "sample_prompts_file sample_prompt", _prompts, about="foreign.about_prompts"),
    same("sample_every_n_steps", "sample_every_steps", 0),
    same("sample_every_n_epochs", "sample_every_epochs", 0),
    switch("sample_at_first", "sample_at_start"),
    *idle("sample_sampler"),
)  # fmt: skip
FIXED: Final[Mapping[str, Any]] = MappingProxyType(
    {"mode": "LoRA", "network_element": "Full", "image_use_filename_as_tag": False, "lora_trigger_word": ""}
)


def _refuse(given: Given) -> None:
    """Raises:
    UserError: it trains a network of another kind, or no LoRA.
    """
    module, algo = given.text("network_module"), given.text("network_args.algo").lower()
    known = algo in ("", "lora", "locon", "loha") if module == _LYCORIS else module in (_LORA, "networks.loha")
    if not known:
        raise UserError("foreign.no_network", name=algo if module == _LYCORIS else module)
    if any(key in given for key in ("num_vectors_per_token", "token_string")):
        raise UserError("foreign.no_training", name="textual inversion")


SD_SCRIPTS: Final = Program("sd-scripts", ROWS, FIXED, refuse=_refuse)


# ---- kohya_ss's GUI -------------------------------------------------------------------------------------------------

_LORA_TYPES: Final = MappingProxyType(
    {
        "Standard": (_LORA, ""),
        "Kohya LoCon": (_LORA, ""),
        "LoCon": (_LYCORIS, "locon"),
        "LyCORIS/LoCon": (_LYCORIS, "locon"),
        "LyCORIS/LoHa": (_LYCORIS, "loha"),
        "Kohya LoHa": ("networks.loha", ""),
    }
)
_OF_NETWORK: Final = (
    "conv_dim", "conv_alpha", "rank_dropout", "module_dropout", "use_tucker", "use_cp", "dora_wd", "train_norm",
    "use_scalar", "rank_dropout_scale", "rescaled", "bypass_mode", "down_lr_weight", "mid_lr_weight", "up_lr_weight",
    "block_lr_zero_threshold", "block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas",
    "loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio",
)  # fmt: skip
_GUI_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "LoRA_type": "network_module",
        "LyCORIS_preset": "network_args.preset",
        "constrain": "network_args.constraint",
        "lora_network_weights": "network_weights",
        "optimizer": "optimizer_type",
        "max_resolution": "resolution",
        "epoch": "max_train_epochs",
        "lr_warmup": "lr_warmup_steps",
        "sdxl_no_half_vae": "no_half_vae",
        **{name: f"network_args.{name}" for name in _OF_NETWORK},
    }
)
_ZERO_IS_NONE: Final = (
    "clip_skip", "seed", "max_train_steps", "max_train_epochs", "unet_lr", "text_encoder_lr", "min_snr_gamma",
    "noise_offset", "adaptive_noise_scale", "multires_noise_iterations", "multires_noise_discount", "max_timestep",
    "save_every_n_epochs", "save_every_n_steps", "sample_every_n_epochs", "sample_every_n_steps", "ip_noise_gamma",
    "v_pred_like_loss", "vae_batch_size", "network_args.rank_dropout", "network_args.module_dropout",
    "network_dropout", "scale_weight_norms",
)  # fmt: skip
_ONLY_LYCORIS: Final = ("LyCORIS_preset", "use_tucker", "use_cp", "dora_wd", "train_norm", "use_scalar",
                        "rank_dropout_scale", "rescaled", "bypass_mode")  # fmt: skip
_ONLY_KOHYA: Final = ("down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_lr_zero_threshold", "block_dims",
                      "block_alphas", "conv_block_dims", "conv_block_alphas")  # fmt: skip
_GUI_ONLY: Final = idle(
    "model_list", "save_as_bool", "additional_parameters", "dynamo_mode", "dynamo_use_dynamic",
    "dynamo_use_fullgraph", "extra_accelerate_launch_args", "gpu_ids", "main_process_port", "multi_gpu",
    "num_machines", "num_processes", "use_wandb", "sdxl_cache_text_encoder_outputs", "no_token_padding",
    "noise_offset_type", "stop_text_encoder_training_pct",
)  # fmt: skip


KOHYA_GUI: Final = Program(
    "kohya_ss",
    (*(replace(row, default=1) if row.key == "max_train_epochs" else row for row in ROWS), *_GUI_ONLY),
    FIXED,
    _GUI_NAMES,
    MappingProxyType(dict.fromkeys(_ZERO_IS_NONE, (0,))),
    _refuse,
    ("network_args.algo", "network_train_unet_only", "network_train_text_encoder_only", "log_with"),
)


def flat_gui(values: Mapping[str, Any]) -> dict[str, Any]:
    """A file of kohya_ss's GUI as the GUI hands it to sd-scripts: what the type of LoRA or a switch leaves out is gone.

    Raises:
        UserError: it trains what Trainyard does not.
    """
    for name in ("flux1_checkbox", "sd3_checkbox", "hunyuan_image_checkbox", "anima_checkbox", "lumina_checkbox"):
        if is_on(values.get(name)):
            raise UserError("foreign.no_family", name=name.removesuffix("_checkbox"))
    kind = str(values.get("LoRA_type") or "Standard")
    if kind not in _LORA_TYPES:
        raise UserError("foreign.no_network", name=kind)
    module, algo = _LORA_TYPES[kind]
    if "LoRA_type" not in values and "network_dim" not in values:
        raise UserError("foreign.no_training", name="fine-tuning")
    flat = {key: value for key, value in values.items() if key not in _LEFT_BY_GUI and not key.startswith(_OF_OTHERS)}
    flat["LoRA_type"] = module
    if algo:
        flat["network_args.algo"] = algo
    if kind == "Standard":
        flat = {key: value for key, value in flat.items() if key not in ("conv_dim", "conv_alpha")}
    left = _ONLY_LYCORIS if module == _LORA else _ONLY_KOHYA
    flat = {key: value for key, value in flat.items() if key not in left}
    _set_gui_rates(flat)
    _set_gui_steps(flat)
    _set_gui_noise(flat)
    if is_on(values.get("use_wandb")):
        flat["log_with"] = "wandb"
    return flat


_LEFT_BY_GUI: Final = (
    "unit", "factor", "decompose_both", "train_on_input", "constrain", "ae", "apply_t5_attn_mask", "blocks_to_swap",
    "discrete_flow_shift", "double_blocks_to_swap", "enable_all_linear", "guidance_scale", "img_attn_dim",
    "img_mlp_dim", "img_mod_dim", "in_dims", "logit_mean", "logit_std", "mem_eff_save", "mode_scale",
    "model_prediction_type", "model_type", "pos_emb_random_crop_rate", "save_clip", "single_blocks_to_swap",
    "single_dim", "single_mod_dim", "split_mode", "split_qkv", "timestep_sampling", "train_blocks",
    "train_double_block_indices", "train_lora_ggpo", "train_single_block_indices", "txt_attn_dim", "txt_mlp_dim",
    "txt_mod_dim", "weighting_scheme", "ggpo_beta", "ggpo_sigma", "enable_scaled_pos_embed",
)  # fmt: skip
_OF_OTHERS: Final = ("flux1_", "sd3_", "t5xxl", "t5_", "train_t5", "hunyuan_", "anima_", "lumina_", "clip_l", "clip_g",
                     "save_t5")  # fmt: skip
"""Of networks and models that Trainyard does not have; the form writes them into every file."""


def _set_gui_rates(flat: dict[str, Any]) -> None:
    """A rate of 0 leaves a part out, unless both are 0: then the one for all holds."""
    unet, encoder = (as_number(flat.get(key, 0)) or 0 for key in ("unet_lr", "text_encoder_lr"))
    if unet and not encoder:
        flat["network_train_unet_only"] = True
    if encoder and not unet:
        flat["network_train_text_encoder_only"] = True


def _set_gui_steps(flat: dict[str, Any]) -> None:
    """Epochs are what the form counts steps from, unless steps are given; a number of epochs of its own goes first."""
    epochs, steps = (as_number(flat.pop(key, 0)) or 0 for key in ("max_train_epochs", "max_train_steps"))
    if epochs or steps:
        flat.pop("epoch", None)
        flat["max_train_epochs" if epochs else "max_train_steps"] = int(epochs or steps)
    warmup, of_steps = (as_number(flat.pop(key, 0)) or 0 for key in ("lr_warmup", "lr_warmup_steps"))
    if of_steps:
        flat["lr_warmup_steps"] = int(of_steps)
    elif warmup:
        flat["lr_warmup"] = f"{warmup:g}%"


def _set_gui_noise(flat: dict[str, Any]) -> None:
    if str(flat.get("noise_offset_type", "Original")) == "Original":
        left: tuple[str, ...] = ("multires_noise_iterations", "multires_noise_discount")
    else:
        left = ("noise_offset", "adaptive_noise_scale", "noise_offset_random_strength")
    for key in left:
        flat.pop(key, None)


# ---- LoRA_Easy_Training_Scripts -------------------------------------------------------------------------------------

LORA_EASY: Final = Program(
    "LoRA_Easy_Training_Scripts",
    (*ROWS, *idle("easy_name", "tag_occurrence", "tag_file_location", "save_toml", "save_toml_location")),
    FIXED,
    MappingProxyType(
        {
            "batch_size": "train_batch_size",
            "warmup_ratio": "lr_warmup_steps",
            "subsets": "dataset_config",
            **{name: f"network_args.{name}" for name in (*_OF_NETWORK, "algo", "preset", "dropout")},
        }
    ),
    refuse=_refuse,
    unseen=("network_module",),
)


def flat_easy(values: Mapping[str, Any]) -> dict[str, Any]:
    """A file of LoRA_Easy without its sections, as it hands it to sd-scripts.

    Raises:
        UserError: it trains what Trainyard does not.
    """
    flat: dict[str, Any] = {"subsets": values.get("subsets")}
    if _inner(values, "train_mode").get("train_mode") == "ti":
        raise UserError("foreign.no_training", name="textual inversion")
    for section in values.values():
        flat |= {**_inner(section, "args"), **_inner(section, "dataset_args")}
    if "guidance_scale" in flat or values.get("flux_args"):
        raise UserError("foreign.no_family", name="flux")
    options = _inner(flat, "network_args")
    flat.pop("network_args", None)
    if options.get("algo"):
        flat["network_module"] = _LYCORIS
    if is_on(flat.pop("fa", False)) or options.get("unit"):
        raise UserError("foreign.no_network", name="networks.dylora" if options.get("unit") else "networks.lora_fa")
    name = str(flat.get("easy_name", ""))
    flat = {key: value.replace("${replace}", name) if isinstance(value, str) else value for key, value in flat.items()}
    return flat | {key: value for key, value in options.items() if key not in ("unit",)}


def _inner(values: Any, key: str) -> dict[str, Any]:
    inner = values.get(key) if isinstance(values, Mapping) else None
    return dict(inner) if isinstance(inner, Mapping) else {}


# ---- reading a file -------------------------------------------------------------------------------------------------


def flat_sds(values: Mapping[str, Any]) -> dict[str, Any]:
    """A ``--config_file`` without its sections, which sd-scripts only has for order, and with the network's arguments.

    Raises:
        UserError: it is for another script of sd-scripts.
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= value if isinstance(value, Mapping) and key != "network_args" else {key: value}
    kind = str(flat.pop("model_train_type", "sd-lora"))  # lora-scripts
    if kind not in ("sd-lora", "sdxl-lora"):
        raise UserError("foreign.no_family", name=kind)
    if kind == "sdxl-lora":
        flat["sdxl"] = True
    for key, value in pairs_of(flat.pop("network_args", None)).items():
        flat[f"network_args.{key}"] = value
    return flat


def script_of(words: list[str]) -> str:
    """The script that a command runs; empty if it names none.

    Raises:
        UserError: it is another than Trainyard trains like.
    """
    for word in words:
        if word.startswith("-"):
            continue
        name = PureWindowsPath(word).name  # which takes both kinds of slashes
        if name.lower().endswith(".py"):
            if name[:-3].lower() not in SCRIPTS:
                raise UserError("foreign.no_script", name=name, scripts=[f"{each}.py" for each in SCRIPTS])
            return name
    return ""
