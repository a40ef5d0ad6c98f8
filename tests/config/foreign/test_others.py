"""Settings of OneTrainer and ai-toolkit, against what those would train, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.config.foreign.test_sd_scripts import DENOISER, account, check, written
from trainer.config.choices import BLOCKS
from trainer.config.documents import yaml_mapping
from trainer.config.foreign.convert import read
from trainer.config.foreign.files import load
from trainer.errors import UserError

# ---- OneTrainer -----------------------------------------------------------------------------------------------------

# What OneTrainer's TrainConfig has where a file says nothing.
ONE_TRAINER_DEFAULTS: dict[str, Any] = {
    "network_rank": 16,
    "network_alpha": 1.0,
    "train_epochs": 100,
    "train_batch_size": 1,
    "train_learning_rate": 3e-6,
    "train_optimizer": "AdamW",
    "train_lr_scheduler": "constant_with_warmup",
    "train_lr_warmup_steps": 200,
    "train_max_grad_norm": 1.0,
    "train_snr_gamma": 0.0,
    "train_model_precision": "fp16",
    "train_VAE_precision": "fp32",
    "save_precision": "fp32",
    "use_gradient_checkpointing": True,
    "train_noise_offset": 0.0,
    "image_use_masks": False,
}
PRESET: dict[str, Any] = {
    "backup_after": 10,
    "base_model_name": "stabilityai/stable-diffusion-xl-base-1.0",
    "batch_size": 4,
    "layer_filter_preset": "attn-mlp",
    "learning_rate": 0.0003,
    "model_type": "STABLE_DIFFUSION_XL_10_BASE",
    "output_model_destination": "models/lora.safetensors",
    "output_model_format": "KOHYA_LORA",
    "resolution": "1024",
    "training_method": "LORA",
    "unet": {"weight_dtype": "FLOAT_16"},
    "text_encoder": {"train": False, "weight_dtype": "FLOAT_16"},
    "text_encoder_2": {"train": False, "weight_dtype": "FLOAT_16"},
    "vae": {"weight_dtype": "FLOAT_32"},
}
SAVED: dict[str, Any] = {
    **PRESET,
    "__version": 10,
    "concept_file_name": "training_concepts/zorp.json",
    "resolution": "768",
    "epochs": 20,
    "learning_rate_scheduler": "COSINE",
    "learning_rate_warmup_steps": 0.1,
    "gradient_accumulation_steps": 2,
    "train_dtype": "BFLOAT_16",
    "output_dtype": "FLOAT_16",
    "lora_rank": 32,
    "lora_alpha": 16.0,
    "loss_weight_fn": "MIN_SNR_GAMMA",
    "loss_weight_strength": 5.0,
    "offset_noise_weight": 0.03,
    "min_noising_strength": 0.1,
    "max_noising_strength": 0.9,
    "ema": "GPU",
    "ema_decay": 0.99,
    "masked_training": True,
    "force_v_prediction": True,
    "save_every": 5,
    "save_every_unit": "EPOCH",
    "sample_after": 100,
    "sample_after_unit": "STEP",
    "text_encoder": {"train": True, "learning_rate": 1e-5, "weight_dtype": "FLOAT_16"},
    "text_encoder_2": {"train": True, "learning_rate": 1e-5},
    "unet": {"train": True, "learning_rate": None, "gradient_checkpointing": False},
    "optimizer": {
        "__version": 0, "optimizer": "PRODIGY", "beta1": 0.9, "beta2": 0.99, "beta3": None, "d_coef": 1.0,
        "weight_decay": 0.01, "decouple": True, "use_bias_correction": True, "safeguard_warmup": False, "d0": 1e-6,
        "growth_rate": None, "stochastic_rounding": True, "fused_back_pass": False, "adam_w_mode": False,
    },
    "prior": {"train": True, "model_name": ""},
    "cloud": {"enabled": False},
    "lokr_dim": 16,
    "timestep_distribution": "SIGMOID",
}  # fmt: skip


def test_a_preset_of_one_trainer(tmp_path: Path) -> None:
    parsed = load(written(tmp_path, "#sdxl 1.0 LoRA.json", PRESET))
    check(
        parsed,
        **{**ONE_TRAINER_DEFAULTS, "train_batch_size": 4, "train_learning_rate": 3e-4},
        network_type="lierla",
        network_blocks=DENOISER,
        save_lora_name="lora",
    )
    assert parsed.settings.size == (1024, 1024)
    assert "These are settings of OneTrainer." in account(parsed)
    assert "Without a counterpart" not in account(parsed)


def test_a_file_that_one_trainer_has_saved(tmp_path: Path) -> None:
    parsed = load(written(tmp_path, "saved.json", SAVED))
    check(
        parsed,
        dataset_config="training_concepts/zorp.json",
        train_epochs=20,
        train_lr_scheduler="cosine",
        train_lr_warmup_steps=0,
        train_lr_warmup_ratio=0.1,
        train_gradient_accumulation=2,
        train_model_precision="bf16",
        save_precision="fp16",
        network_rank=32,
        network_alpha=16.0,
        network_blocks=BLOCKS,
        train_learning_rate=3e-4,
        train_textencoder_learning_rate=1e-5,
        train_snr_gamma=5.0,
        train_noise_offset=0.03,
        train_min_timesteps=100,
        train_max_timesteps=900,
        train_ema_decay=0.99,
        image_use_masks=True,
        prediction="velocity",
        save_every_epochs=5,
        save_per_steps=0,
        sample_every_steps=100,
        train_optimizer="Prodigy",
        train_optimizer_settings="weight_decay=0.01; d0=1e-06; d_coef=1.0; weight_decouple=True; bias_correction=True; "
        "safeguard_warmup=False; betas=(0.9, 0.99,)",
        use_gradient_checkpointing=False,
    )
    assert "timestep_distribution" in account(parsed)
    assert not any(name in account(parsed) for name in ("lokr_dim", "cloud", "prior", "stochastic_rounding"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training_method": "EMBEDDING"}, "It is for EMBEDDING"),
        ({"peft_type": "LOKR"}, "the kind LOKR"),
        ({"model_type": "FLUX_DEV_1"}, "the kind FLUX_DEV_1"),
    ],
)
def test_what_one_trainer_trains_that_trainyard_does_not(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read({**PRESET, **changes})


def test_one_trainer_trains_all_layers_where_none_are_chosen() -> None:
    whole = {key: value for key, value in PRESET.items() if key != "layer_filter_preset"}
    check(read(whole), network_type="c3lier")


def test_concepts_within_the_file_are_its_dataset_file(tmp_path: Path) -> None:
    path = written(tmp_path, "packed.json", {**SAVED, "concepts": [{"path": "/data/zorp", "image": {}, "text": {}}]})
    check(load(path), dataset_config=str(path))


# ---- ai-toolkit -----------------------------------------------------------------------------------------------------

YAML = """
job: extension
config:
  name: "my_sdxl_lora"
  process:
    - type: 'sd_trainer'
      training_folder: "output"
      device: cuda:0
      trigger_word: "p3r5on"
      network:
        type: "lora"
        linear: 32
        linear_alpha: 16
      save:
        dtype: float16
        save_every: 250
        max_step_saves_to_keep: 4
      datasets:
        - folder_path: "/data/p3r5on"
          caption_ext: "txt"
          caption_dropout_rate: 0.05
          resolution: [ 512, 1024 ]
      train:
        batch_size: 2
        steps: 3000
        gradient_accumulation_steps: 3
        train_unet: true
        train_text_encoder: false
        gradient_checkpointing: true
        noise_scheduler: "ddpm"
        optimizer: "prodigy"
        lr: 1e-4
        lr_scheduler: "cosine"
        optimizer_params:
          weight_decay: 0.01
        ema_config:
          use_ema: true
          ema_decay: 0.99
        dtype: bf16
      model:
        name_or_path: "/m/sdxl.safetensors"
        is_xl: true
      sample:
        sampler: "ddpm"
        sample_every: 250
        prompts:
          - "[trigger] holding a sign"
          - "portrait of [trigger]"
        neg: "lowres"
        seed: 42
        walk_seed: true
"""


def test_a_file_of_ai_toolkit(tmp_path: Path) -> None:
    path = written(tmp_path, "config.yaml", YAML)
    parsed = load(path)
    check(
        parsed,
        model="/m/sdxl.safetensors",
        prediction="noise",
        dataset_config=str(path),
        lora_trigger_word="p3r5on",
        save_lora_name="my_sdxl_lora",
        network_type="lierla",
        network_rank=32,
        network_alpha=16.0,
        network_blocks=DENOISER,
        train_iterations=1000,  # it counts batches, of which three make up an update
        train_gradient_accumulation=3,
        train_epochs=0,
        train_batch_size=2,
        train_optimizer="Prodigy",
        train_optimizer_settings="eps=1e-06; weight_decay=0.01",
        train_learning_rate=1.0,  # in place of one that is too small for an optimizer that finds its rate
        train_lr_scheduler="cosine_annealing",
        train_snr_gamma=0.0,
        train_max_grad_norm=1.0,
        train_ema_decay=0.99,
        train_model_precision="bf16",
        use_gradient_checkpointing=True,
        save_precision="fp16",
        save_per_steps=250,
        sample_every_steps=250,
        sample_prompt="p3r5on holding a sign\nportrait of p3r5on",
        sample_negative="lowres",
        sample_seed=42,
    )
    assert "These are settings of ai-toolkit." in account(parsed)
    assert "Changed: training_folder" in account(parsed)


def test_the_same_as_json(tmp_path: Path) -> None:
    """As ai-toolkit's own page keeps its jobs."""
    path = written(tmp_path, "job.json", json.dumps(yaml_mapping(YAML, "x")))
    check(load(path), network_rank=32, train_iterations=1000)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("is_xl: true", "is_flux: true", "the kind flux"),
        ("is_xl: true", "arch: qwen_image", "the kind qwen_image"),
        ('type: "lora"', 'type: "lokr"', "the kind lokr"),
        ("type: 'sd_trainer'", "type: 'textual_inversion_trainer'", "It is for textual_inversion_trainer"),
        ("process:", "other:", "There is no process under config"),
    ],
)
def test_what_ai_toolkit_trains_that_trainyard_does_not(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, "config.yaml", YAML.replace(old, new))
    with pytest.raises(UserError, match=said) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} (ai-toolkit): ")
