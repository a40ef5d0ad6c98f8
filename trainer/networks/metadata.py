"""What a LoRA file says of itself: sd-scripts' ``ss_*`` keys, ``modelspec.*``, and the settings it was trained with.

The hosts parse values that start with ``{`` as JSON and show the others as text, so names are plain text and every
object is valid JSON.
"""

from __future__ import annotations

import json
from datetime import timezone
from pathlib import Path

import torch

from ..job import Job
from ..models.base import Bundle
from ..schema import to_json
from ..settings import Settings

_MODULES = {"lierla": "networks.lora", "c3lier": "networks.lora", "loha": "lycoris.kohya"}


def metadata(job: Job, bundle: Bundle, path: Path, steps: int, base_dtype: torch.dtype) -> dict[str, str]:
    """All of it for the file at ``path``, trained for ``steps``; values are text, as safetensors has them."""
    settings = job.settings
    return {
        **_training(settings, steps),
        **_model(bundle, base_dtype),
        **_modelspec(job, bundle, path.stem),
        "ss_output_name": path.stem,
        "ss_session_id": job.id,
        "ss_training_started_at": str(job.created.timestamp()),
        "trainyard_settings": json.dumps(to_json(settings), ensure_ascii=False),
    }


def _training(settings: Settings, steps: int) -> dict[str, str]:
    height, width = settings.image_size
    rate = settings.train_learning_rate
    text_rate = settings.train_textencoder_learning_rate
    conv = {"conv_dim": settings.network_conv_rank, "conv_alpha": settings.network_conv_alpha}
    return {
        "ss_network_module": _MODULES[settings.network_type],
        "ss_network_dim": str(settings.network_rank),
        "ss_network_alpha": str(settings.network_alpha),
        "ss_network_args": json.dumps(conv if settings.network_type == "c3lier" else {}),
        "ss_learning_rate": str(rate),
        "ss_unet_lr": str(rate),
        "ss_text_encoder_lr": str(rate if text_rate is None else text_rate),
        "ss_optimizer": f"{settings.train_optimizer}({settings.train_optimizer_settings})",
        "ss_lr_scheduler": settings.train_lr_scheduler,
        "ss_lr_warmup_steps": str(settings.train_lr_warmup_steps),
        "ss_max_train_steps": str(settings.train_iterations),
        "ss_steps": str(steps),
        "ss_batch_size_per_device": str(settings.train_batch_size),
        "ss_seed": str(settings.train_seed),
        "ss_loss_type": {"MSE": "l2", "L1": "l1", "Smooth-L1": "smooth_l1"}[settings.train_loss_function],
        "ss_min_snr_gamma": str(settings.train_snr_gamma or None),
        "ss_gradient_checkpointing": str(settings.use_gradient_checkpointing),
        "ss_resolution": str((width, height)),
        "ss_training_comment": f"Trainyard, {settings.mode}",
    }


def _model(bundle: Bundle, base_dtype: torch.dtype) -> dict[str, str]:
    mixed = {torch.float16: "fp16", torch.bfloat16: "bf16"}.get(base_dtype, "no")
    return {
        "ss_base_model_version": bundle.family.base_model_version,
        "ss_v2": str(bundle.family.base_model_version == "sd_v2"),
        "ss_sd_model_name": bundle.name,
        "ss_new_sd_model_hash": bundle.sha256 or "",
        "ss_mixed_precision": mixed,
    }


def _modelspec(job: Job, bundle: Bundle, title: str) -> dict[str, str]:
    settings = job.settings
    height, width = settings.image_size
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{bundle.family.architecture}/lora",
        "modelspec.implementation": bundle.family.implementation,
        "modelspec.title": title,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.date": job.created.astimezone(timezone.utc).isoformat(timespec="seconds"),
        "modelspec.prediction_type": "epsilon" if bundle.prediction_type == "epsilon" else "v",
        "modelspec.timestep_range": f"{settings.train_min_timesteps},{settings.train_max_timesteps}",
    }
