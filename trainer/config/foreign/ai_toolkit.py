"""ai-toolkit's files of settings (YAML, or the same as JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ...errors import UserError
from ...text.messages import message
from ..choices import BLOCKS, TEXT_ENCODERS
from . import training
from .synonyms import Given, Program, Turned, as_number, idle, is_off, is_on, missing, same, switch, turns

_TYPES: Final = MappingProxyType(
    {
        **dict.fromkeys(("float16", "fp16", "f16", "half"), "fp16"),
        **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
        **dict.fromkeys(("float32", "fp32", "float"), "fp32"),
    }
)
_FINDS_ITS_RATE: Final = ("prodigy", "dadapt")


def _network(_value: Any, given: Given) -> Turned:
    if given.value("network.conv") is None:
        return Turned({"network_type": "lierla"}, message("foreign.ai_toolkit_layers"))
    found = {"network_type": "c3lier", "network_conv_rank": given.value("network.conv")}
    alpha = given.value("network.conv_alpha")
    found["network_conv_alpha"] = given.value("network.conv") if alpha is None else alpha
    return Turned(found)


def _rank(_value: Any, given: Given) -> Mapping[str, Any]:
    rank = given.value("network.rank")
    return {"network_rank": given.value("network.linear") if rank is None else rank}


def _alpha(_value: Any, given: Given) -> Mapping[str, Any]:
    alpha = given.value("network.linear_alpha")
    return {"network_alpha": given.value("network.alpha") if alpha is None else alpha}


def _rates(_value: Any, given: Given) -> Mapping[str, Any]:
    """An optimizer that finds its rate is given 1 where the file has less than 0.1."""
    base = given.value("train.lr")
    unet, encoder = (given.value(f"train.{name}_lr") for name in ("unet", "text_encoder"))
    unet, encoder = (base if each is None else each for each in (unet, encoder))
    if given.text("train.optimizer").lower().startswith(_FINDS_ITS_RATE):
        unet, encoder = (1.0 if (as_number(each) or 0) < 0.1 else each for each in (unet, encoder))
    with_unet, with_encoder = given.flag("train.train_unet"), given.flag("train.train_text_encoder")
    chosen = [block for block in BLOCKS if (with_encoder if block == TEXT_ENCODERS else with_unet)]
    found: dict[str, Any] = {"network_blocks": chosen or list(BLOCKS)}
    found["train_learning_rate"] = unet if with_unet else encoder
    if with_encoder and with_unet and as_number(unet) != as_number(encoder):
        found["train_textencoder_learning_rate"] = encoder
    return found


def _steps(_value: Any, given: Given) -> Mapping[str, Any]:
    """It counts batches where gradients are summed over steps, and updates where they are within one."""
    steps = as_number(given.value("train.steps"))
    over = max(1, int(given.number("train.gradient_accumulation_steps") or 1))
    within = max(1, int(given.number("train.gradient_accumulation") or 1))
    found = {"train_gradient_accumulation": over * within, "train_epochs": 0}
    return {**found, "train_iterations": given.value("train.steps") if steps is None else max(1, int(steps) // over)}


def _optimizer(_value: Any, given: Given) -> Turned:
    """Its optimizers begin with another epsilon than torch's."""
    name = given.text("train.optimizer").lower()
    options = given.value("train.optimizer_params") or {}
    with_epsilon = name.startswith(("adam", "prodigy", "dadapt"))
    if name == "adafactor":
        options = {"relative_step": False, "scale_parameter": False, "warmup_init": False, **options}
    also = {"eps": 1e-6} if with_epsilon and "lion" not in name else None
    return training.optimizer(name, options, given.value("train.lr"), also)


def _schedule(_value: Any, given: Given) -> Turned:
    """Its cosine schedules are torch's, in one cycle; its linear one only rises, from a third of the rate."""
    name = given.text("train.lr_scheduler")
    options = dict(given.value("train.lr_scheduler_params") or {})
    warmup = options.pop("num_warmup_steps", 1000 if name == "constant_with_warmup" else 0)
    for theirs, ours in (("cosine", "cosine_annealing"), ("cosine_with_restarts", "cosine_annealing_with_restarts")):
        if name == theirs:
            turned = training.schedule(ours, options)
            break
    else:
        turned = training.schedule("rising" if name == "linear" else name, options)
    return Turned({**turned.settings, "train_lr_warmup_steps": warmup, "train_lr_warmup_ratio": 0.0}, turned.note)


def _precision(setting: str) -> Any:
    return lambda value, _given: {setting: _TYPES.get(str(value).lower(), value)}


def _gamma(_value: Any, given: Given) -> Turned:
    gamma = given.value("train.min_snr_gamma")
    return Turned({"train_snr_gamma": 0.0 if gamma is None else gamma})


def _loss(value: Any, _given: Given) -> Turned:
    found = {"mse": "MSE", "mae": "L1", "l1": "L1"}.get(str(value).lower())
    return Turned({"train_loss_function": found or "MSE"},
                  None if found else message("foreign.one_loss", name="MSE"))  # fmt: skip


def _timesteps(_value: Any, given: Given) -> Mapping[str, Any]:
    least, most = (given.number(f"train.{name}_denoising_steps") for name in ("min", "max"))
    return {
        "train_min_timesteps": int(least or 0),
        "train_max_timesteps": min(1000, int(999 if most is None else most) + 1),
    }


def _ema(_value: Any, given: Given) -> Mapping[str, Any]:
    used = given.flag("train.ema_config.use_ema")
    return {"train_ema_decay": given.value("train.ema_config.ema_decay") if used else 0.0}


def _prediction(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"prediction": "velocity" if is_on(value) else "noise"}


def _prompts(value: Any, given: Given) -> Turned:
    """Prompts, with ``[trigger]`` for the trigger word."""
    word = given.text("trigger_word")
    prompts = [str(each.get("prompt", "") if isinstance(each, Mapping) else each) for each in _listed(value)]
    lines = [prompt.replace("[trigger]", word).replace("\n", " ") for prompt in prompts]
    return Turned({"sample_prompt": "\n".join(lines)})


def _listed(value: Any) -> list[Any]:
    """A list as it is; anything else as the only part of one."""
    return value if isinstance(value, list) else [value]


def _negative(value: Any, _given: Given) -> Mapping[str, Any]:
    return {"sample_negative": "" if is_off(value) else value}


_MODEL_IDLE: Final = ("is_xl", "is_v2", "is_ssd", "is_vega", "arch", "dtype", "quantize_te", "qtype", "qtype_te",
                      "low_vram", "te_name_or_path", "model_kwargs", "layer_offloading", "compile")  # fmt: skip
ROWS: Final = (
    same("name", "save_lora_name"),
    same("trigger_word", "lora_trigger_word", note="foreign.trigger"),
    *missing("training_folder", note="foreign.output_folder"),
    *idle("type", "device", "performance_log_every", "sqlite_db_path", "logging.log_every", "logging.verbose",
          "logging.project_name", "logging.run_name", "logging.use_ui_logger", "meta"),
    same("model.name_or_path", "model"),
    same("model.vae_path", "vae"),
    turns("model.is_v_pred", "prediction", _prediction, False),
    *idle(*(f"model.{key}" for key in _MODEL_IDLE)),
    *missing("model.quantize", note="foreign.fp8"),
    *missing("model.lora_path", "model.assistant_lora_path", "model.unet_path", "model.refiner_name_or_path"),
    turns("network.type", "network_type", _network, "lora"),
    turns("network.linear", "network_rank", _rank, 4),
    turns("network.rank", "network_rank", _rank),
    turns("network.alpha", "network_alpha", _alpha, 1.0),
    turns("network.linear_alpha", "network_alpha", _alpha),
    turns("network.conv", "network_type network_conv_rank network_conv_alpha", _network),
    turns("network.conv_alpha", "network_conv_alpha", _network),
    same("network.dropout", "network_dropout", 0.0),
    same("network.pretrained_lora_path", "network_resume"),
    *missing("network.network_kwargs", "network.all_layers"),
    *idle("network.transformer_only", "network.lokr_factor", "network.lokr_full_rank", "network.old_lokr_format"),
    turns("train.steps", "train_iterations train_epochs", _steps, 1000),
    same("train.batch_size", "train_batch_size", 1),
    turns("train.gradient_accumulation_steps", "train_gradient_accumulation", _steps, 1),
    turns("train.gradient_accumulation", "train_gradient_accumulation", _steps),
    switch("train.gradient_checkpointing", "use_gradient_checkpointing", True),
    same("train.max_grad_norm", "train_max_grad_norm", 1.0),
    turns("train.lr", "train_learning_rate network_blocks train_textencoder_learning_rate", _rates, 1e-6),
    turns("train.unet_lr", "train_learning_rate", _rates),
    turns("train.text_encoder_lr", "train_textencoder_learning_rate", _rates),
    turns("train.train_unet", "network_blocks", _rates, True),
    turns("train.train_text_encoder", "network_blocks", _rates, False),
    turns("train.optimizer", "train_optimizer train_optimizer_settings", _optimizer, "adamw"),
    turns("train.optimizer_params", "train_optimizer_settings", _optimizer),
    turns("train.lr_scheduler", "train_lr_scheduler train_lr_scheduler_settings train_lr_warmup_steps", _schedule,
          "constant"),
    turns("train.lr_scheduler_params", "train_lr_scheduler_settings train_lr_warmup_steps", _schedule),
    turns("train.dtype", "train_model_precision", _precision("train_model_precision"), "fp32"),
    turns("model.vae_dtype", "train_VAE_precision", _precision("train_VAE_precision"), "float16"),
    turns("train.min_snr_gamma", "train_snr_gamma", _gamma, 0.0),
    *missing("train.snr_gamma", note="foreign.fixed_snr"),
    same("train.noise_offset", "train_noise_offset", 0.0),
    turns("train.min_denoising_steps", "train_min_timesteps", _timesteps, 0),
    turns("train.max_denoising_steps", "train_max_timesteps", _timesteps, 999),
    turns("train.loss_type", "train_loss_function", _loss, "mse"),
    turns("train.ema_config.use_ema", "train_ema_decay", _ema, False),
    turns("train.ema_config.ema_decay", "train_ema_decay", _ema, 0.999),
    same("train.prompt_dropout_prob", "caption_dropout_rate"),
    same("train.reg_weight", "prior_loss_weight", 1.0),
    *missing("train.content_or_style", default="balanced"),
    *missing("train.noise_scheduler", default="ddpm"),
    *idle("train.skip_first_sample", "train.disable_sampling", "train.xformers", "train.sdp", "train.attention_backend",
          "train.unload_text_encoder", "train.cache_text_embeddings", "train.timestep_type", "train.linear_timesteps",
          "train.linear_timesteps2", "train.bypass_guidance_embedding"),
    turns("save.dtype", "save_precision", _precision("save_precision"), "float16"),
    same("save.save_every", "save_per_steps", 1000),
    *missing("save.max_step_saves_to_keep", default=5),
    *missing("save.push_to_hub"),
    *idle("save.save_format", "save.hf_repo_id", "save.hf_private"),
    switch("logging.use_wandb", "logging_wandb"),
    turns("sample.prompts", "sample_prompt", _prompts),
    turns("sample.samples", "sample_prompt", _prompts),
    turns("sample.neg", "sample_negative", _negative),
    same("sample.sample_every", "sample_every_steps", 0),
    same("sample.seed", "sample_seed", 0),
    *idle("sample.sampler", "sample.width", "sample.height", "sample.walk_seed", "sample.guidance_scale",
          "sample.sample_steps", "sample.sample_start_step", "sample.network_multiplier", "sample.format"),
    same("datasets", "dataset_config"),
)  # fmt: skip


def _refuse(given: Given) -> None:
    """Raises:
    UserError: it trains no LoRA, a network of another kind, or a model of another family.
    """
    kind = given.text("type")
    if kind not in ("sd_trainer", "diffusion_trainer", "ui_trainer", ""):
        raise UserError("foreign.no_training", name=kind)
    network = given.text("network.type").lower()
    if network not in ("lora", "locon"):
        raise UserError("foreign.no_network", name=network)
    if not any(key.startswith("network.") for key in given.values):
        raise UserError("foreign.no_training", name="fine-tuning")
    arch = given.text("model.arch").lower()
    flags = [key for key in given.values if key.startswith("model.is_") and given.flag(key)]
    others = [key for key in flags if key not in ("model.is_xl", "model.is_v2", "model.is_v_pred")]
    if others or (arch and not arch.startswith(("sd1", "sd2", "sdxl"))):
        raise UserError("foreign.no_family", name=arch or others[0].removeprefix("model.is_"))


AI_TOOLKIT: Final = Program(
    "ai-toolkit",
    ROWS,
    MappingProxyType(
        {"mode": "LoRA", "network_element": "Full", "caption_max_tokens": 75, "image_bucketing": "sd-scripts"}
    ),
    refuse=_refuse,
)


def flat_ai_toolkit(values: Mapping[str, Any]) -> dict[str, Any]:
    """The first process of a file, with the keys of a part as ``part.key``.

    Raises:
        UserError: there is none.
    """
    config = values.get("config")
    processes = config.get("process") if isinstance(config, Mapping) else None
    process = next((each for each in processes or [] if isinstance(each, Mapping)), None)
    if process is None or not isinstance(config, Mapping):
        raise UserError("foreign.no_process")
    flat = {"name": config.get("name"), **_flat(process)}
    prompts = flat.get("sample.prompts") or flat.get("sample.samples")
    if is_off(prompts):
        flat.pop("sample.sample_every", None)
    return flat


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in ("train.optimizer_params", "train.lr_scheduler_params"):
            found |= _flat(value, f"{path}.")
        else:
            found[path] = value
    return found
