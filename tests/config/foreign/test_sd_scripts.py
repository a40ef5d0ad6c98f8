"""Settings of sd-scripts and of the programs that write for it, against what those would train, worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.config.choices import BLOCKS
from trainer.config.foreign.files import load, load_command
from trainer.config.schema import Parsed
from trainer.errors import SettingsError, UserError

DENOISER = tuple(block for block in BLOCKS if block != "BASE")

# What train_network.py does where nothing is said (its argument parser, networks/lora.py, prepare_dtype).
SDS_DEFAULTS: dict[str, Any] = {
    "mode": "LoRA",
    "network_type": "lierla",
    "network_rank": 4,
    "network_alpha": 1.0,
    "network_blocks": BLOCKS,
    "network_element": "Full",
    "train_iterations": 1600,
    "train_epochs": 0,
    "train_batch_size": 1,
    "train_learning_rate": 2e-6,
    "train_textencoder_learning_rate": None,
    "train_optimizer": "AdamW",
    "train_optimizer_settings": "",
    "train_lr_scheduler": "constant",
    "train_lr_warmup_steps": 0,
    "train_lr_warmup_ratio": 0.0,
    "train_max_grad_norm": 1.0,
    "train_gradient_accumulation": 1,
    "train_snr_gamma": 0.0,
    "train_loss_function": "MSE",
    "train_noise_offset": 0.0,
    "train_model_precision": "fp32",
    "train_lora_precision": "fp32",
    "train_VAE_precision": "fp32",
    "save_precision": "fp32",
    "train_min_timesteps": 0,
    "train_max_timesteps": 1000,
    "train_seed": -1,
    "use_gradient_checkpointing": False,
    "caption_extension": ".caption",
    "caption_shuffle": False,
    "caption_max_tokens": 75,
    "caption_lines": "first",
    "clip_skip": 0,
    "prediction": "noise",
    "image_bucketing": "one size",
    "image_random_flip": False,
    "image_use_masks": False,
    "prior_loss_weight": 1.0,
}


def check(parsed: Parsed, **wanted: Any) -> None:
    found = {name: getattr(parsed.settings, name) for name in wanted}
    assert found == wanted
    assert set(wanted) - {"mode"} <= parsed.given, "a model family's own defaults must not replace it"


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def account(parsed: Parsed) -> str:
    return "\n".join(map(str, parsed.told()))


# ---- --config_file and commands -------------------------------------------------------------------------------------


def test_what_is_left_out_is_as_sd_scripts_has_it(tmp_path: Path) -> None:
    parsed = load(written(tmp_path, "short.toml", 'output_name = "zorp"\n'))
    check(parsed, **SDS_DEFAULTS)
    assert parsed.settings.save_lora_name == "zorp"
    assert "These are settings of sd-scripts." in account(parsed)


TOML = """
[model_arguments]
pretrained_model_name_or_path = "/models/animagine-xl.safetensors"
v_parameterization = false
[dataset_arguments]
train_data_dir = "/data/img"
reg_data_dir = "/data/reg"
resolution = "1024,768"
enable_bucket = true
min_bucket_reso = 320
max_bucket_reso = 1536
bucket_no_upscale = true
shuffle_caption = true
keep_tokens = 1
caption_extension = ".txt"
caption_dropout_rate = 0.05
max_token_length = 225
flip_aug = true
[training_arguments]
output_dir = "/out"
output_name = "zorp"
max_train_epochs = 10
save_every_n_epochs = 2
train_batch_size = 4
gradient_accumulation_steps = 2
gradient_checkpointing = true
mixed_precision = "bf16"
save_precision = "fp16"
seed = 42
lr_warmup_steps = 0.1
min_snr_gamma = 5
noise_offset = 0.0357
max_data_loader_n_workers = 8
xformers = true
no_half_vae = true
[optimizer_arguments]
optimizer_type = "Prodigy"
learning_rate = 1.0
optimizer_args = ["decouple=True", "weight_decay=0.01", "d_coef=2", "use_bias_correction=True", "betas=0.9,0.99"]
lr_scheduler = "cosine"
[additional_network_arguments]
network_module = "lycoris.kohya"
network_dim = 16
network_alpha = 8
network_args = ["algo=loha", "conv_dim=8", "conv_alpha=4", "use_tucker=True", "rank_dropout=0.1"]
network_train_unet_only = true
"""


def test_a_config_file_of_a_notebook(tmp_path: Path) -> None:
    parsed = load(written(tmp_path, "config_file.toml", TOML))
    check(
        parsed,
        model="/models/animagine-xl.safetensors",
        prediction="noise",
        lora_data_directory="/data/img",
        reg_data_directory="/data/reg",
        image_bucketing="sd-scripts",
        image_min_bucket_reso=320,
        image_max_bucket_reso=1536,
        image_bucket_reso_steps=64,
        image_disable_upscale=True,
        image_random_flip=True,
        caption_shuffle=True,
        caption_keep_tokens=1,
        caption_extension=".txt",
        caption_dropout_rate=0.05,
        caption_max_tokens=225,
        train_epochs=10,
        save_every_epochs=2,
        train_batch_size=4,
        train_gradient_accumulation=2,
        use_gradient_checkpointing=True,
        train_model_precision="bf16",
        train_VAE_precision="fp32",
        save_precision="fp16",
        train_seed=42,
        train_lr_warmup_steps=0,
        train_lr_warmup_ratio=0.1,
        train_snr_gamma=5.0,
        train_noise_offset=0.0357,
        train_optimizer="Prodigy",
        train_optimizer_settings="weight_decouple=True; weight_decay=0.01; d_coef=2; bias_correction=True; "
        "betas=0.9,0.99",
        train_learning_rate=1.0,
        train_lr_scheduler="cosine",
        network_type="loha",
        network_rank=16,
        network_alpha=8.0,
        network_conv_rank=8,
        network_conv_alpha=4.0,
        network_rank_dropout=0.1,
        network_blocks=DENOISER,
        save_lora_name="zorp",
    )
    size = parsed.settings.image_size
    assert size is not None
    assert (size.width, size.height) == (1024, 768), "theirs is width,height"
    assert "Changed: output_dir" in account(parsed)
    assert "Not needed here: max_data_loader_n_workers, xformers" in account(parsed)
    assert "Without a counterpart" not in account(parsed)


BASH = r"""
#!/bin/bash
# settings
MODEL="/models/anything v5.safetensors"
export name=zorp
accelerate launch --num_cpu_threads_per_process 1 "./sd-scripts/train_network.py" \
  --enable_bucket --bucket_no_upscale \
  --pretrained_model_name_or_path="$MODEL" --train_data_dir='/data/my img' \
  --resolution=512,768 --output_name ${name} \
  --network_alpha=64 --network_dim=128 --network_module=networks.lora \
  --network_args "conv_dim=8" "conv_alpha=4" \
  --text_encoder_lr=5e-5 --unet_lr=1e-4 --learning_rate=1e-4 \
  --optimizer_type=AdamW8bit --optimizer_args weight_decay=0.1 "betas=0.9,0.99" \
  --train_batch_size=2 --max_train_steps=3000 --mixed_precision=fp16 --clip_skip=2 --xformers
"""
CMD = r"""
@echo off
set MODEL=C:\models\anything v5.safetensors
accelerate launch --num_cpu_threads_per_process 1 train_network.py ^
  --enable_bucket --bucket_no_upscale ^
  --pretrained_model_name_or_path="%MODEL%" --train_data_dir="C:\data\my img" ^
  --resolution=512,768 --output_name=zorp --network_alpha=64 --network_dim=128 ^
  --network_module=networks.lora --network_args conv_dim=8 conv_alpha=4 ^
  --text_encoder_lr=5e-5 --unet_lr=1e-4 --learning_rate=1e-4 ^
  --optimizer_type=AdamW8bit --optimizer_args weight_decay=0.1 betas=0.9,0.99 ^
  --train_batch_size=2 --max_train_steps=3000 --mixed_precision=fp16 --clip_skip=2 --xformers
"""
POWERSHELL = r"""
$pretrained_model = "C:\models\anything v5.safetensors" # base model
$output_name = "zorp"
accelerate launch --num_cpu_threads_per_process=8 ".\sd-scripts\train_network.py" `
  --enable_bucket --bucket_no_upscale `
  --pretrained_model_name_or_path=$pretrained_model --train_data_dir="C:\data\my img" `
  --resolution="512,768" --output_name=$output_name --network_alpha=64 --network_dim=128 `
  --network_module=networks.lora --network_args "conv_dim=8" "conv_alpha=4" `
  --text_encoder_lr=5e-5 --unet_lr=1e-4 --learning_rate=1e-4 `
  --optimizer_type=AdamW8bit --optimizer_args "weight_decay=0.1" "betas=0.9,0.99" `
  --train_batch_size=2 --max_train_steps=3000 --mixed_precision=fp16 --clip_skip=2 --xformers
"""


@pytest.mark.parametrize(
    ("name", "text", "model", "folder"),
    [
        ("train.sh", BASH, "/models/anything v5.safetensors", "/data/my img"),
        ("train.bat", CMD, r"C:\models\anything v5.safetensors", r"C:\data\my img"),
        ("train.ps1", POWERSHELL, r"C:\models\anything v5.safetensors", r"C:\data\my img"),
        ("note.txt", BASH, "/models/anything v5.safetensors", "/data/my img"),
        ("no ending", CMD.replace("\n", "\r\n"), r"C:\models\anything v5.safetensors", r"C:\data\my img"),
    ],
)
def test_a_command_of_any_shell(name: str, text: str, model: str, folder: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    parsed = load(path)
    check(
        parsed,
        model=model,
        lora_data_directory=folder,
        save_lora_name="zorp",
        image_disable_upscale=True,
        network_type="c3lier",
        network_rank=128,
        network_alpha=64.0,
        network_conv_rank=8,
        network_conv_alpha=4.0,
        train_learning_rate=1e-4,
        train_textencoder_learning_rate=5e-5,
        train_optimizer="AdamW8bit",
        train_optimizer_settings="weight_decay=0.1; betas=0.9,0.99",
        train_batch_size=2,
        train_iterations=3000,
        train_model_precision="fp16",
        train_VAE_precision="fp16",
        clip_skip=2,
    )
    assert parsed.settings.size == (512, 768)


@pytest.mark.parametrize("gap", ["", " ", "   "])
def test_a_command_that_has_lost_its_lines(gap: str) -> None:
    """As a field of one line leaves it."""
    parsed = load_command(BASH.strip().splitlines()[4] + "".join(
        line.strip().rstrip("\\").join((gap, "\\")) for line in BASH.strip().splitlines()[5:]
    ).rstrip("\\").replace('"$MODEL"', "m.safetensors").replace("${name}", "zorp"))  # fmt: skip
    check(parsed, model="m.safetensors", network_rank=128, clip_skip=2, network_conv_alpha=4.0)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        # networks/lora.py: without conv_dim only linear layers; conv_alpha 1 where conv_dim has none beside it
        ("--network_dim=8", {"network_type": "lierla", "network_conv_rank": 0}),
        ("--network_args conv_dim=4", {"network_type": "c3lier", "network_conv_rank": 4, "network_conv_alpha": 1.0}),
        # lycoris.kohya: convolutions are trained, at the rank and alpha of the rest where nothing is said
        ("--network_module=lycoris.kohya --network_args algo=locon",
         {"network_type": "c3lier", "network_conv_rank": 0, "network_conv_alpha": 0.0}),
        ("--network_module=lycoris.kohya --network_args preset=attn-mlp", {"network_type": "lierla"}),
        # rates: what has none of its own takes --learning_rate; 0 leaves the text encoders out
        ("--learning_rate=3e-4", {"train_learning_rate": 3e-4, "train_textencoder_learning_rate": None}),
        ("--learning_rate=3e-4 --unet_lr=1e-4",
         {"train_learning_rate": 1e-4, "train_textencoder_learning_rate": 3e-4, "network_blocks": BLOCKS}),
        ("--unet_lr=1e-4 --text_encoder_lr=0", {"train_learning_rate": 1e-4, "network_blocks": DENOISER}),
        ("--learning_rate=1e-4 --network_train_unet_only", {"network_blocks": DENOISER}),
        ("--text_encoder_lr=5e-5 --network_train_text_encoder_only",
         {"train_learning_rate": 5e-5, "network_blocks": ("BASE",)}),
        # steps, or epochs, which go first
        ("--max_train_steps=500 --max_train_epochs=3", {"train_epochs": 3}),
        ("--max_train_steps=500", {"train_epochs": 0, "train_iterations": 500}),
        # a warm-up below 1 is a share
        ("--lr_warmup_steps=200", {"train_lr_warmup_steps": 200, "train_lr_warmup_ratio": 0.0}),
        ("--lr_warmup_steps=0.05", {"train_lr_warmup_steps": 0, "train_lr_warmup_ratio": 0.05}),
        # AdaFactor finds its rate unless told otherwise, with transformers' own defaults
        ("--optimizer_type=AdaFactor --learning_rate=1e-3",
         {"train_optimizer": "AdaFactor",
          "train_optimizer_settings": "relative_step=True; scale_parameter=True; warmup_init=False"}),
        ("--optimizer_type=adafactor --optimizer_args relative_step=False scale_parameter=False",
         {"train_optimizer_settings": "relative_step=False; scale_parameter=False; warmup_init=False"}),
        ("--optimizer_type=pytorch_optimizer.CAME --optimizer_args weight_decay=0.01",
         {"train_optimizer": "CAME", "train_optimizer_settings": "weight_decay=0.01"}),
        ("--optimizer_type=DAdaptation --optimizer_args decouple=True growth_rate=1.02",
         {"train_optimizer": "DAdaptAdam", "train_optimizer_settings": "weight_decouple=True"}),
        ("--optimizer_type=prodigyplus.ProdigyPlusScheduleFree --learning_rate=1 --optimizer_args use_speed=1 d0=1e-5",
         {"train_optimizer": "Prodigy", "train_optimizer_settings": "d0=1e-5"}),
        ("--optimizer_type=un.Heard --learning_rate=1 --optimizer_args weight_decay=0.01 odd=1",
         {"train_optimizer": "Prodigy", "train_optimizer_settings": "weight_decay=0.01"}),
        ("--optimizer_type=AdamWScheduleFree --lr_scheduler=cosine", {"train_lr_scheduler": "constant"}),
        ("--optimizer_type=un.Heard --learning_rate=1e-4", {"train_optimizer": "AdamW"}),
        ("--use_8bit_adam --seed=1", {"train_optimizer": "AdamW8bit"}),
        ("--optimizer_type=DAdaptAdam --optimizer_args decouple=True",
         {"train_optimizer": "DAdaptAdam", "train_optimizer_settings": "weight_decouple=True"}),
        ("--optimizer_type=Lion --max_grad_norm=0", {"train_optimizer": "Lion", "train_max_grad_norm": 0.0}),
        ("--lr_scheduler_type=CosineAnnealingLR --lr_scheduler_args T_max=100 eta_min=1e-6",
         {"train_lr_scheduler": "cosine_annealing", "train_lr_scheduler_settings": "T_max=100; eta_min=1e-6"}),
        # precisions: half of the VAE follows unless kept whole; full_… is the network's
        ("--mixed_precision=bf16 --full_bf16",
         {"train_model_precision": "bf16", "train_VAE_precision": "bf16", "train_lora_precision": "bf16"}),
        ("--save_precision=float --seed=1", {"save_precision": "fp32"}),
        ("--resolution=512 --seed=1", {"image_bucketing": "one size"}),
        ("--resolution=512 --enable_bucket",
         {"image_bucketing": "sd-scripts", "image_min_bucket_reso": 256, "image_max_bucket_reso": 1024}),
        ("--clip_skip=1 --seed=1", {"clip_skip": 0}),
        ("--clip_skip=2 --seed=1", {"clip_skip": 2}),
        ("--v2 --v_parameterization", {"prediction": "velocity"}),
        ("--enable_wildcard --shuffle_caption", {"caption_wildcards": True, "caption_lines": "random"}),
        ("--masked_loss --conditioning_data_dir=/masks",
         {"image_use_masks": True, "image_mask_directory": "/masks"}),
        ("--network_weights=/a.safetensors --dim_from_weights", {"network_resume": "/a.safetensors"}),
        ("--base_weights /a.safetensors /b.safetensors --base_weights_multiplier 0.5",
         {"base_loras": "/a.safetensors:0.5\n/b.safetensors:1.0"}),
        ("--network_args down_lr_weight=0,0,0,0,0,0,0.5,0.5,0.5,1,1,1 mid_lr_weight=2 up_lr_weight=1,1,1,1,1,1,0",
         {"network_block_rates":
          "IN00=0, IN01=0, IN02=0, IN03=0, IN04=0, IN05=0, IN06=0.5, IN07=0.5, IN08=0.5, M00=2, OUT06=0"}),
        ("--sample_prompts=prompts.txt --sample_every_n_epochs=1 --sample_at_first",
         {"sample_prompts_file": "prompts.txt", "sample_every_epochs": 1, "sample_at_start": True}),
        ("--loss_type=l1 --debiased_estimation_loss", {"train_loss_function": "L1", "train_debiased_estimation": True}),
        ("--dataset_config=/d.toml --seed=1", {"dataset_config": "/d.toml"}),
        ("--multires_noise_iterations=6 --multires_noise_discount=0.2",
         {"train_multires_noise_iterations": 6, "train_multires_noise_discount": 0.2}),
        ("--log_with=all --seed=1", {"logging_tensorboard": True, "logging_wandb": True}),
    ],
)  # fmt: skip
def test_what_single_options_mean(options: str, wanted: dict[str, Any]) -> None:
    check(load_command(f"accelerate launch train_network.py {options}"), **wanted)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--network_module=lycoris.kohya --network_args algo=lokr", "the kind lokr, which Trainyard does not train"),
        ("--network_module=networks.dylora", "the kind networks.dylora, which Trainyard does not train"),
    ],
)
def test_another_network_is_not_trained_as_one_of_ours(options: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_command(f"accelerate launch train_network.py {options} --network_dim=8")


def test_a_command_that_takes_its_settings_from_a_file(tmp_path: Path) -> None:
    """As kohya_ss prints them; what the command says itself goes first."""
    written(tmp_path, "config_lora.toml", "network_dim = 12\nmax_train_steps = 70\n[a]\nnetwork_alpha = 3\n")
    command = "accelerate launch sdxl_train_network.py --config_file={} --max_train_steps=80"
    path = written(tmp_path, "train.sh", command.format("config_lora"))
    check(load(path), network_rank=12, network_alpha=3.0, train_iterations=80)
    written(tmp_path, "train.sh", command.format("gone.toml"))
    with pytest.raises(UserError, match=r"takes its settings from gone\.toml, which is not there"):
        load(path)


def test_sdxl_has_a_layer_of_its_own() -> None:
    parsed = load_command("accelerate launch sdxl_train_network.py --clip_skip=3 --network_dim=8")
    check(parsed, clip_skip=0)
    assert "clip_skip (" in account(parsed)


def test_another_script_is_named() -> None:
    with pytest.raises(UserError, match=r"flux_train_network\.py does not train what Trainyard trains"):
        load_command("accelerate launch flux_train_network.py --network_dim=8")


def test_a_value_that_cannot_be_is_named_by_the_key_of_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.toml", 'network_dim = "many"\nmax_train_steps = -5\nseed = 1\n')
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert {problem.key for problem in caught.value.problems} == {"network_dim", "max_train_steps"}


def test_keys_without_a_counterpart_are_named_unless_they_are_off() -> None:
    parsed = load_command(
        "accelerate launch train_network.py --scale_weight_norms=1 --ip_noise_gamma=0 --huber_c=0.1 "
        "--zero_terminal_snr --optimizer_type=Unheard.Of --my_own_option=3"
    )
    text = account(parsed)
    assert "Without a counterpart in Trainyard, so without effect: scale_weight_norms, my_own_option." in text
    assert "zero_terminal_snr (true). Trainyard does this for models" in text
    assert "There is no Unheard.Of; AdamW is used instead." in text
    assert parsed.unknown == ()


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ("--enable_wildcard", {'enable_wildcard → caption_wildcards true, caption_lines "random"'}),
        ("--lr_warmup_steps=0.1", {"lr_warmup_steps → train_lr_warmup_ratio 0.1"}),
        ("--lr_warmup_steps=20", {"lr_warmup_steps → train_lr_warmup_steps 20"}),
        ("--log_with=wandb", {"log_with → logging_wandb true"}),
        ("--optimizer_type=Lion --optimizer_args weight_decay=0.1", {
            'optimizer_type → train_optimizer "Lion"', 'optimizer_args → train_optimizer_settings "weight_decay=0.1"'}),
        ("--unet_lr=0 --text_encoder_lr=0.5", {
            'unet_lr → train_learning_rate 0.5, network_blocks ["BASE"]',
            'text_encoder_lr → network_blocks ["BASE"]'}),
        ("--network_dim=4 --caption_extension=.caption --seed=5", {"seed → train_seed 5"}),
    ],
)  # fmt: skip
def test_an_entry_shows_the_settings_that_got_the_value(options: str, lines: set[str]) -> None:
    told = account(load_command(f"accelerate launch train_network.py {options}")).splitlines()
    assert {line.strip() for line in told[told.index("Taken:") + 1 :]} == lines


def test_what_is_overruled_is_not_told() -> None:
    given = "--network_dim=9 --enable_wildcard --lr_scheduler=unheard_of --output_dir=x"
    parsed = load_command(f"accelerate launch train_network.py {given}")
    assert "Changed: lr_scheduler" in account(parsed)
    left = parsed.without({"network_rank", "caption_wildcards", "train_lr_scheduler"})
    assert [str(line).split(" (")[0].strip() for line in left.told()[1:]] == [
        "Changed: output_dir", "Taken:", 'enable_wildcard → caption_lines "random"'
    ]  # fmt: skip


def test_entries_are_aligned_in_a_terminal() -> None:
    parsed = load_command("accelerate launch train_network.py --seed=5 --network_dim=9")
    assert [str(line) for line in parsed.told(aligned=True)[-2:]] == [
        "  seed        → train_seed 5", "  network_dim → network_rank 9"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("shuffle_captoin", "shuffle_caption"),
        ("network_dims", "network_dim"),
        ("sede", "seed"),
        ("network_args.conv_dm", "network_args.conv_dim"),
        ("cache_latents_to_disk_now", ""),
        ("my_own_option", ""),
    ],
)
def test_a_key_with_a_slip_is_named_apart(key: str, near: str, tmp_path: Path) -> None:
    told = account(load(written(tmp_path, "a.json", {"pretrained_model_name_or_path": "/m", key: 3})))
    assert (f"sd-scripts has no setting {key} that Trainyard knows of; perhaps you mean {near}." in told) == bool(near)
    assert (f"so without effect: {key}." in told) != bool(near)


def test_the_key_of_a_form_is_named_by_the_forms_own_name(tmp_path: Path) -> None:
    values = {"LoRA_type": "Standard", "network_dim": 8, "epohc": 3, "lr_warmup": 10}
    told = account(load(written(tmp_path, "a.json", values)))
    assert "kohya_ss has no setting epohc that Trainyard knows of; perhaps you mean epoch." in told
    assert "lr_warmup → train_lr_warmup_ratio 0.1" in told


# ---- kohya_ss -------------------------------------------------------------------------------------------------------

GUI: dict[str, Any] = {
    "LoRA_type": "Standard", "LyCORIS_preset": "full", "adaptive_noise_scale": 0, "additional_parameters": "",
    "block_alphas": "", "bucket_no_upscale": True, "bucket_reso_steps": 64, "cache_latents": True,
    "caption_dropout_every_n_epochs": 0, "caption_dropout_rate": 0, "caption_extension": ".txt", "clip_skip": "1",
    "color_aug": False, "constrain": 0.0, "conv_alpha": 1, "conv_dim": 1, "decompose_both": False, "down_lr_weight": "",
    "enable_bucket": True, "epoch": 10, "factor": -1, "flip_aug": False, "full_bf16": False,
    "gradient_accumulation_steps": 1, "gradient_checkpointing": True, "keep_tokens": "0", "learning_rate": 0.0003,
    "logging_dir": "/x/log", "lora_network_weights": "", "lr_scheduler": "cosine", "lr_scheduler_num_cycles": "",
    "lr_scheduler_power": "", "lr_warmup": 10, "max_bucket_reso": 2048, "max_resolution": "1024,1024",
    "max_timestep": 1000, "max_token_length": "75", "max_train_epochs": "", "max_train_steps": "", "mid_lr_weight": "",
    "min_bucket_reso": 256, "min_snr_gamma": 0, "min_timestep": 0, "mixed_precision": "bf16", "module_dropout": 0,
    "multires_noise_discount": 0, "multires_noise_iterations": 0, "network_alpha": 16, "network_dim": 32,
    "network_dropout": 0, "noise_offset": 0.05, "noise_offset_type": "Original", "num_cpu_threads_per_process": 2,
    "optimizer": "AdamW8bit", "optimizer_args": "", "output_dir": "/x/model", "output_name": "zorp",
    "pretrained_model_name_or_path": "/m/sdxl.safetensors", "prior_loss_weight": 1.0, "rank_dropout": 0,
    "reg_data_dir": "", "save_every_n_epochs": 1, "save_every_n_steps": 0, "save_model_as": "safetensors",
    "save_precision": "fp16", "scale_weight_norms": 0, "sdxl": True, "sdxl_no_half_vae": True, "seed": "1234",
    "shuffle_caption": True, "text_encoder_lr": 0.0, "train_batch_size": 2, "train_data_dir": "/x/img",
    "train_norm": False, "training_comment": "trigger: zorp", "unet_lr": 0.0001, "unit": 1, "up_lr_weight": "",
    "use_cp": False, "use_tucker": False, "use_wandb": False, "v2": False, "v_parameterization": False, "vae": "",
    "weighted_captions": False, "xformers": "xformers",
}  # fmt: skip


def test_a_file_of_kohyas_gui(tmp_path: Path) -> None:
    parsed = load(written(tmp_path, "kohya.json", GUI))
    check(
        parsed,
        model="/m/sdxl.safetensors",
        lora_data_directory="/x/img",
        save_lora_name="zorp",
        network_type="lierla",  # Standard: conv_dim and conv_alpha are not handed on
        network_rank=32,
        network_alpha=16.0,
        network_blocks=DENOISER,  # a text encoder's rate of 0 beside the U-Net's own
        train_learning_rate=1e-4,
        train_epochs=10,
        train_lr_scheduler="cosine",
        train_lr_warmup_steps=0,
        train_lr_warmup_ratio=0.1,  # percent
        train_optimizer="AdamW8bit",
        train_batch_size=2,
        train_model_precision="bf16",
        train_VAE_precision="fp32",
        train_seed=1234,
        train_snr_gamma=0.0,
        train_noise_offset=0.05,
        train_max_grad_norm=1.0,
        clip_skip=0,  # SD1's own, and in SDXL without effect there
        caption_extension=".txt",
        caption_shuffle=True,
        save_every_epochs=1,
        save_comment="trigger: zorp",
        image_max_bucket_reso=2048,
        image_disable_upscale=True,
        use_gradient_checkpointing=True,
    )
    assert parsed.settings.size == (1024, 1024)
    assert "max_resolution → image_size" in account(parsed)
    assert "Without a counterpart" not in account(parsed)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"LoRA_type": "Kohya LoCon", "conv_dim": 8, "conv_alpha": 4},
         {"network_type": "c3lier", "network_conv_rank": 8, "network_conv_alpha": 4.0}),
        ({"LoRA_type": "LyCORIS/LoHa", "conv_dim": 8, "conv_alpha": 4}, {"network_type": "loha"}),
        ({"text_encoder_lr": 5e-5, "unet_lr": 0.0}, {"network_blocks": ("BASE",), "train_learning_rate": 5e-5}),
        ({"text_encoder_lr": 0, "unet_lr": 0}, {"network_blocks": BLOCKS, "train_learning_rate": 3e-4}),
        ({"max_train_steps": "1200"}, {"train_iterations": 1200, "train_epochs": 0}),
        ({"max_train_steps": "1200", "max_train_epochs": "7"}, {"train_epochs": 7}),
        ({"noise_offset_type": "Multires", "multires_noise_iterations": 8, "multires_noise_discount": 0.2},
         {"train_noise_offset": 0.0, "train_multires_noise_iterations": 8}),
        ({"seed": "0"}, {"train_seed": -1}),
        ({"optimizer": "Prodigy", "optimizer_args": "weight_decay=0.01 decouple=True d0=0.0001"},
         {"train_optimizer": "Prodigy",
          "train_optimizer_settings": "weight_decay=0.01; weight_decouple=True; d0=0.0001"}),
        ({"sample_prompts": "a cat --n bad --w 512", "sample_every_n_steps": 50},
         {"sample_prompt": "a cat --n bad --w 512", "sample_every_steps": 50}),
    ],
)  # fmt: skip
def test_what_the_gui_hands_on(changes: dict[str, Any], wanted: dict[str, Any], tmp_path: Path) -> None:
    check(load(written(tmp_path, "kohya.json", {**GUI, **changes})), **wanted)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"LoRA_type": "LyCORIS/LoKr"}, "LyCORIS/LoKr"),
        ({"flux1_checkbox": True}, "flux1"),
        ({"num_vectors_per_token": 8}, "textual inversion"),
    ],
)
def test_what_the_gui_trains_that_trainyard_does_not(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(tmp_path, "kohya.json", {**GUI, **changes})
    with pytest.raises(UserError, match=said) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path} (kohya_ss): ")


# ---- LoRA_Easy_Training_Scripts -------------------------------------------------------------------------------------

EASY = """
[[subsets]]
num_repeats = 5
keep_tokens = 1
caption_extension = ".txt"
shuffle_caption = true
name = "subset 1"
image_dir = "/data/5_zorp"

[train_mode]
train_mode = "lora"

[general_args.args]
pretrained_model_name_or_path = "/m/anime.safetensors"
mixed_precision = "bf16"
seed = 23
clip_skip = 2
xformers = true
max_train_epochs = 12
max_data_loader_n_workers = 1
persistent_data_loader_workers = true
max_token_length = 225
prior_loss_weight = 1.0
cache_latents = true
[general_args.dataset_args]
resolution = 768
batch_size = 3

[network_args.args]
network_dim = 32
network_alpha = 16.0
min_timestep = 0
max_timestep = 1000
[network_args.args.network_args]
conv_dim = 16
conv_alpha = 8.0
algo = "locon"

[optimizer_args.args]
optimizer_type = "Came"
lr_scheduler = "cosine"
learning_rate = 0.0001
warmup_ratio = 0.05
text_encoder_lr = 1e-5
max_grad_norm = 1.0
loss_type = "l2"
min_snr_gamma = 8
[optimizer_args.args.optimizer_args]
weight_decay = "0.04"

[saving_args.args]
easy_name = "zorp"
output_dir = "/out/${replace}"
output_name = "${replace}_v1"
save_precision = "bf16"
save_model_as = "safetensors"
save_every_n_epochs = 3

[bucket_args.dataset_args]
enable_bucket = true
min_bucket_reso = 256
max_bucket_reso = 1024
bucket_reso_steps = 64
[logging_args.args]
[sample_args.args]
"""


def test_a_file_of_lora_easy(tmp_path: Path) -> None:
    path = written(tmp_path, "easy.toml", EASY)
    parsed = load(path)
    check(
        parsed,
        model="/m/anime.safetensors",
        save_lora_name="zorp_v1",
        dataset_config=str(path),  # its subsets are read from the same file
        network_type="c3lier",
        network_rank=32,
        network_alpha=16.0,
        network_conv_rank=16,
        network_conv_alpha=8.0,
        train_epochs=12,
        train_batch_size=3,
        train_seed=23,
        clip_skip=2,
        caption_max_tokens=225,
        train_model_precision="bf16",
        save_precision="bf16",
        train_optimizer="CAME",
        train_optimizer_settings="weight_decay=0.04",
        train_learning_rate=1e-4,
        train_textencoder_learning_rate=1e-5,
        train_lr_scheduler="cosine",
        train_lr_warmup_ratio=0.05,
        train_snr_gamma=8.0,
        save_every_epochs=3,
        image_bucketing="sd-scripts",
    )
    assert parsed.settings.size == (768, 768)
    assert "These are settings of LoRA_Easy_Training_Scripts." in account(parsed)
