"""The table: every setting, one line each. Form, JSON, flags, checks and help are made from it.

An attribute's name is the short name used by flags and the API. The JSON key is the same where no other is given:
the keys are a file format that other trainers' files share, with their spelling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from .choices import (
    BLOCKS,
    MODES,
    NETWORK_TYPES,
    OPTIMIZERS,
    SCHEDULERS,
    SECOND_PASS_GROUPS,
    WITH_SECOND_PASS,
    Group,
    places_of,
)
from .size import DEFAULT_SIZE, Size

SECOND_PASS_KEY: Final = "2nd pass"
"""Where the second pass's own settings are, in a file."""
NETWORK_ELEMENTS: Final = ("Full", "CrossAttention", "SelfAttention")
BUCKETINGS: Final = ("TrainTrain", "sd-scripts", "no crop", "one size")
LOSS_FUNCTIONS: Final = ("MSE", "L1", "Smooth-L1")
# fmt: off
NAMED_ONCE: Final = (
    "mode", "model", "vae", "original_prompt", "target_prompt", "original_image", "target_image",
)
"""Of those below, what a file does not carry among the second pass's settings."""
SHARED_BY_PASSES: Final = (
    *NAMED_ONCE, "network_resume", "base_loras", "image_size", "train_model_precision", "train_memory_saving",
    "train_lora_precision", "train_VAE_precision", "save_lora_name", "save_per_steps", "save_precision",
    "save_overwrite", "save_as_json", "diff_load_1st_pass", "diff_save_1st_pass", "diff_1st_pass_only",
    "diff_descriptions",
    "logging_save_csv", "logging_verbose", "state_every_minutes", "sample_prompt", "sample_prompts_file",
    "sample_negative", "sample_every_steps",
    "sample_at_start", "sample_seed", "sample_strengths", "effect_strip", "prediction", "train_noise_offset",
    "train_noise_offset_random", "train_adaptive_noise_scale", "train_multires_noise_iterations",
    "train_multires_noise_discount", "save_comment", "save_file_name", "logging_tensorboard", "logging_wandb",
    "clip_skip",
)
# fmt: on
"""What the second pass takes from the first, even if it has its own settings."""
INT8: Final = "int8"
NF4: Final = "nf4"
CODES: Final = (INT8, NF4)
"""The precisions in which nothing computes: weights are decoded where they are used."""
MODEL_PRECISIONS: Final = ("model", "fp32", "bf16", "fp16", *CODES)
NO_SAVING: Final = "none"
LIGHT: Final = "light"
STREAMING: Final = "streaming"
MEMORY_SAVINGS: Final = (NO_SAVING, LIGHT, STREAMING)
"""Each does what the one before it does, and more."""
SAVE_PRECISIONS: Final = ("model", "fp32", "bf16", "fp16")
PRECISIONS: Final = ("fp32", "bf16", "fp16")
CAPTION_LINES: Final = ("first", "random", "joined")
MAX_SEED: Final = 2**32 - 1
AUTOMATIC: Final = "automatic"
YES: Final = "yes"
NO: Final = "no"
FOUND: Final = "found"
PREDICTIONS: Final = (FOUND, "noise", "velocity", "flow")
"""What a model predicts: what is found out about it, or one of those that are known."""
DENSITIES: Final = (AUTOMATIC, "uniform", "logit-normal")
MAX_STEPS: Final = 1_000_000

_OF_A_PASS: Final[tuple[Group, ...]] = ("pass",)
SECTIONS: Final = ("Required", "Network", "Images", "Captions", "Training", "Difference", "Saving", "Samples")
"""Groups of the form, in the order shown."""

_RANKS: Final = tuple(2**power for power in range(2, 11))
_ALPHAS: Final = tuple(2.0**power for power in range(-5, 11))


def _row(
    kind: str,
    default: Any,
    section: str,
    group: Group = "pass",
    *,
    key: str = "",
    choices: Iterable[str] = (),
    offered: tuple[float, ...] = (),
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    multiple: int = 1,
    also_default: tuple[str, ...] = (),
) -> Any:
    metadata = {
        "kind": kind, "section": section, "group": group, "key": key, "choices": tuple(choices), "offered": offered,
        "least": least, "most": most, "above": above, "multiple": multiple,
        "also_default": also_default,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def _choice(default: str, choices: Iterable[str], section: str, group: Group = "pass") -> Any:
    return _row("choice", default, section, group, choices=choices)


def _text(section: str, group: Group = "pass", *, kind: str = "text", default: str = "", **more: Any) -> Any:
    return _row(kind, default, section, group, **more)


def _switch(section: str, group: Group = "pass", *, default: bool = False) -> Any:
    return _row("bool", default, section, group)


def _int(default: int, section: str, group: Group = "pass", **bounds: Any) -> Any:
    return _row("int", default, section, group, **bounds)


def _float(default: float, section: str, group: Group = "pass", **bounds: Any) -> Any:
    return _row("float", default, section, group, **bounds)


# fmt: off
@dataclass(frozen=True)
class Settings:
    """What is to be trained, and how. Not set by the user: the default."""

    mode: str = _choice("LoRA", MODES, "Required", "run")
    model: str = _text("Required", "run", kind="path")
    vae: str = _text("Required", "run", kind="path", default="None", also_default=("none", "automatic"))
    original_prompt: str = _text("Required", "prompts", key="original prompt")
    target_prompt: str = _text("Required", "prompts", key="target prompt")
    original_image: str = _text("Required", "pair", kind="path", key="original image")
    target_image: str = _text("Required", "pair", kind="path", key="target image")
    use_2nd_pass_settings: bool = _switch("Required", "second pass")
    network_type: str = _choice("lierla", NETWORK_TYPES, "Required")
    network_rank: int = _int(16, "Required", least=1, most=4096, offered=_RANKS)
    network_alpha: float = _float(8.0, "Required", above=0, offered=_ALPHAS)
    network_element: str = _choice("Full", NETWORK_ELEMENTS, "Network")
    network_blocks: tuple[str, ...] = _row(
        "blocks", BLOCKS, "Required", key="network_blocks(BASE = TextEncoder)", choices=BLOCKS)
    network_conv_rank: int = _int(0, "Network", least=0, offered=(0, *_RANKS))
    network_conv_alpha: float = _float(0.0, "Network", least=0, offered=(0.0, *_ALPHAS))
    network_resume: str = _text("Network", "resume", kind="path")
    base_loras: str = _text("Network", "run")
    network_strength: float = _float(1.0, "Network")
    network_train_text_encoder: bool = _switch("Network", "concept")
    network_block_rates: str = _text("Network", kind="block rates")
    network_dropout: float = _float(0.0, "Network", least=0, most=0.95)
    network_rank_dropout: float = _float(0.0, "Network", least=0, most=0.95)
    network_module_dropout: float = _float(0.0, "Network", least=0, most=0.95)
    lora_data_directory: str = _text("Required", "folder", kind="path")
    lora_trigger_word: str = _text("Required", "trigger word")
    diff_target_name: str = _text("Required", "named pairs")
    image_size: Size | None = _row(  # noqa: RUF009 - a field, as the others
        "size", None, "Required", "run",
        key="image_size(height, width)", least=64, most=8192, multiple=8)
    dataset_config: str = _text("Images", "subsets", kind="path")
    reg_data_directory: str = _text("Images", "subsets", kind="path")
    image_buckets_step: int = _int(
        256, "Images", "folder", least=8, multiple=8, offered=tuple(range(64, 577, 64)))
    image_min_length: int = _int(512, "Images", "folder", least=64, multiple=8)
    image_max_ratio: float = _float(2.0, "Images", "folder", least=1)
    sub_image_num: int = _int(0, "Images", "folder", least=0)
    image_num_multiply: int = _int(1, "Images", "folder", least=1)
    image_mirroring: bool = _switch("Images", "folder")
    image_use_filename_as_tag: bool = _switch("Images", "folder")
    image_disable_upscale: bool = _switch("Images", "folder")
    data_cache: float = _float(10.0, "Images", "folder", least=0)
    image_bucketing: str = _choice("TrainTrain", BUCKETINGS, "Images", "folder")
    image_bucket_reso_steps: int = _int(
        64, "Images", "folder", least=8, multiple=8, offered=(8, 16, 32, 64, 128))
    image_min_bucket_reso: int = _int(256, "Images", "folder", least=64, most=8192)
    image_max_bucket_reso: int = _int(1024, "Images", "folder", least=64, most=8192)
    image_random_flip: bool = _switch("Images", "folder")
    image_random_crop: bool = _switch("Images", "folder")
    image_color_augmentation: bool = _switch("Images", "folder")
    image_use_masks: bool = _switch("Images", "folder", default=True)
    image_mask_directory: str = _text("Images", "folder", kind="path")
    caption_extension: str = _text("Captions", "folder")
    caption_lines: str = _choice("first", CAPTION_LINES, "Captions", "folder")
    caption_shuffle: bool = _switch("Captions", "folder")
    caption_keep_tokens: int = _int(0, "Captions", "folder", least=0)
    caption_keep_tokens_separator: str = _text("Captions", "folder")
    caption_separator: str = _text("Captions", "folder", default=",")
    caption_secondary_separator: str = _text("Captions", "folder")
    caption_prefix: str = _text("Captions", "folder")
    caption_suffix: str = _text("Captions", "folder")
    caption_dropout_rate: float = _float(0.0, "Captions", "folder", least=0, most=1)
    caption_dropout_every_n_epochs: int = _int(0, "Captions", "folder", least=0)
    caption_tag_dropout_rate: float = _float(0.0, "Captions", "folder", least=0, most=1)
    caption_wildcards: bool = _switch("Captions", "folder")
    caption_weights: bool = _switch("Captions", "folder")
    caption_max_tokens: int = _int(0, "Captions", "folder", least=0, offered=(0, 75, 150, 225))
    train_iterations: int = _int(1000, "Required", least=1, most=MAX_STEPS)
    train_epochs: int = _int(0, "Required", "folder", least=0, most=MAX_STEPS)
    train_batch_size: int = _int(2, "Required", least=1)
    train_gradient_accumulation: int = _int(1, "Training", least=1, most=1024)
    train_learning_rate: float = _float(1e-4, "Required", above=0)
    train_textencoder_learning_rate: float | None = _row("float or none", None, "Training", "text rate", least=0)
    train_loraplus_ratio: float = _float(0.0, "Training", least=0, most=1000, offered=(0.0, 4.0, 16.0))
    train_rate_by_size: bool = _switch("Training")
    train_max_grad_norm: float = _float(0.0, "Training", least=0, offered=(0.0, 1.0))
    train_ema_decay: float = _float(0.0, "Training", least=0, most=0.99999, offered=(0.0, 0.99, 0.999, 0.9999))
    train_optimizer: str = _choice("AdamW", OPTIMIZERS, "Required")
    train_optimizer_settings: str = _text("Required", kind="literals")
    train_lr_scheduler: str = _choice("cosine", SCHEDULERS, "Required")
    train_lr_scheduler_settings: str = _text("Required", kind="literals")
    train_lr_step_rules: str = _text("Training")
    train_lr_warmup_steps: int = _int(0, "Training", least=0)
    train_lr_warmup_ratio: float = _float(0.0, "Training", least=0, most=0.99, offered=(0.0, 0.05, 0.1))
    train_lr_scheduler_num_cycles: int = _int(1, "Training", least=1)
    train_lr_scheduler_power: float = _float(1.0, "Training", least=0)
    train_seed: int = _int(-1, "Training", least=-1, most=MAX_SEED)
    train_min_timesteps: int = _int(0, "Training", least=0, most=999)
    train_max_timesteps: int = _int(1000, "Training", least=1, most=1000)
    train_timestep_density: str = _choice(AUTOMATIC, DENSITIES, "Training")
    train_timestep_mean: float = _float(0.0, "Training", least=-5, most=5, offered=(-0.2, 0.0))
    train_timestep_std: float = _float(1.0, "Training", above=0, most=10)
    train_timestep_shift: float = _float(1.0, "Training", least=0, most=100, offered=(0.0, 1.0, 3.0))
    train_fixed_timsteps_in_batch: bool = _switch("Training")
    train_loss_function: str = _choice("MSE", LOSS_FUNCTIONS, "Training")
    train_snr_gamma: float = _float(5.0, "Training", least=0)
    train_debiased_estimation: bool = _switch("Training")
    train_scale_v_pred_loss: bool = _switch("Training")
    train_noise_offset: float = _float(0.0, "Training", "noise", least=0, most=1, offered=(0.0, 0.05, 0.1))
    train_noise_offset_random: bool = _switch("Training", "noise")
    train_adaptive_noise_scale: float = _float(0.0, "Training", "noise", least=-10, most=10)
    train_multires_noise_iterations: int = _int(0, "Training", "noise", least=0, most=16, offered=(0, 6, 8, 10))
    train_multires_noise_discount: float = _float(0.3, "Training", "noise", least=0, most=1)
    train_model_precision: str = _choice("fp16", MODEL_PRECISIONS, "Training")
    train_memory_saving: str = _choice(NO_SAVING, MEMORY_SAVINGS, "Training")
    train_lora_precision: str = _choice("fp32", PRECISIONS, "Training")
    train_VAE_precision: str = _choice("fp32", PRECISIONS, "Training")  # noqa: N815 - the key is spelt so
    slider_positive: str = _text("Training", "concept")
    slider_negative: str = _text("Training", "concept")
    slider_scale: float = _float(1.0, "Training", "concept", above=0)
    ileco_scale: float = _float(1.0, "Training", "concept", above=0)
    ileco_denoise_steps: int = _int(0, "Training", "concept", least=0)
    ileco_closed_form: bool = _switch("Training", "concept")
    ileco_descriptions: int = _int(0, "Training", "concept", least=0, most=1000, offered=(0, 48, 96))
    keep_prompts: str = _text("Training")
    keep_weight: float = _float(1.0, "Training", least=0)
    hold_unconditional: str = _row("three states", AUTOMATIC, "Training", choices=(AUTOMATIC, YES, NO))
    hold_negative: str = _text("Training")
    prior_loss_weight: float = _float(1.0, "Training", "subsets", least=0)
    validation_split: float = _float(0.0, "Training", "folder", least=0, most=0.5)
    validation_every_steps: int = _int(0, "Training", "folder", least=0)
    early_stop_patience: int = _int(0, "Training", least=0)
    train_self_reg: float = _float(0.0, "Training", "self reg", least=0)
    train_self_reg_filler: str = _text("Training", "self reg")
    train_self_reg_images: int = _int(0, "Training", "self reg", least=0, most=256, offered=(0, 16, 32))
    use_gradient_checkpointing: bool = _switch("Required")
    save_lora_name: str = _text("Required", "run", kind="file name")
    save_per_steps: int = _int(0, "Saving", least=0)
    save_every_epochs: int = _int(0, "Saving", "folder", least=0)
    save_file_name: str = _text("Saving", "run", kind="file name pattern")
    save_comment: str = _text("Saving", "run")
    save_precision: str = _choice("fp16", SAVE_PRECISIONS, "Saving")
    save_overwrite: bool = _switch("Saving")
    save_as_json: bool = _switch("Saving")
    state_every_minutes: float = _float(5.0, "Saving", "run", least=0)
    diff_load_1st_pass: str = _text("Difference", "copier", kind="path")
    diff_save_1st_pass: bool = _switch("Difference", "copier")
    diff_1st_pass_only: bool = _switch("Difference", "copier")
    diff_revert_original_target: bool = _switch("Difference", "turns")
    diff_use_diff_mask: bool = _switch("Difference", "turns")
    diff_reach_target: bool = _switch("Difference", "turns")
    diff_alt_ratio: float = _float(1.0, "Difference", "turns")
    diff_both_turns: bool = _switch("Difference", "turns")
    diff_noise_count: int = _int(1, "Difference", "turns", least=1)
    diff_keep_outside: float = _float(0.0, "Difference", "turns", least=0)
    diff_descriptions: int = _int(0, "Difference", "descriptions", least=0, most=1000, offered=(0, 48, 96))
    logging_save_csv: bool = _switch("Saving")
    logging_verbose: bool = _switch("Saving")
    logging_tensorboard: bool = _switch("Saving", "run")
    logging_wandb: bool = _switch("Saving", "run")
    sample_prompt: str = _text("Samples")
    sample_prompts_file: str = _text("Samples", kind="path")
    sample_negative: str = _text("Samples")
    sample_every_steps: int = _int(0, "Samples", least=0)
    sample_every_epochs: int = _int(0, "Samples", "folder", least=0)
    sample_at_start: bool = _switch("Samples")
    sample_seed: int = _int(0, "Samples", least=0, most=MAX_SEED)
    sample_strengths: tuple[float, ...] = _row("floats", (0.0, 1.0), "Samples")
    effect_strip: bool = _switch("Samples", default=True)
    prediction: str = _choice(FOUND, PREDICTIONS, "Training")
    clip_skip: int = _int(0, "Training", "run", least=0, most=12)

    second_pass: Settings | None = dataclasses.field(
        default=None, metadata={"kind": "second pass", "key": SECOND_PASS_KEY})
    unknown: tuple[tuple[str, Any], ...] = dataclasses.field(default=(), metadata={"kind": "unknown"})
    """Keys a file had that are not in the table, with their values: written back as they came."""
# fmt: on

    @property
    def size(self) -> Size:
        """The image size, where images are not trained at their own sizes."""
        return self.image_size or DEFAULT_SIZE

    @property
    def recomputes(self) -> bool:
        """Whether a step computes some of its activations again to save memory."""
        return self.use_gradient_checkpointing or self.train_memory_saving != NO_SAVING

    @property
    def warmup(self) -> int:
        """The steps of the warm-up: those given, or a share of the run's."""
        return self.train_lr_warmup_steps or int(self.train_lr_warmup_ratio * self.train_iterations)


@dataclass(frozen=True)
class Row:
    """One setting of the table, as everything that is made from it sees it."""

    name: str
    """The attribute of :class:`Settings`, and the short name that flags and the API use."""
    key: str
    """The key in JSON files."""
    kind: str
    """choice, text, path, file name, file name pattern, literals, block rates, bool, three states, int, float, float
    or none, size, blocks or floats."""
    default: Any
    section: str
    group: Group
    """The settings it is shown with; which modes show them is said in their descriptors."""
    choices: tuple[str, ...]
    offered: tuple[float, ...]
    """Values to offer; any other within the bounds will do."""
    least: float | None
    most: float | None
    above: float | None
    """It must be more than this."""
    multiple: int
    also_default: tuple[str, ...]
    """Words that mean the default as well, in lower case."""

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that show it; :data:`.choices.SECOND_PASS` among them if the second pass has its own."""
        return places_of(self.group)


def _row_of(field: dataclasses.Field[Any]) -> Row:
    return Row(name=field.name, default=field.default, **{**field.metadata, "key": field.metadata["key"] or field.name})


ROWS: Final = tuple(
    _row_of(field) for field in dataclasses.fields(Settings) if field.metadata["kind"] not in ("second pass", "unknown")
)
"""The table in its order, without the second pass and the unknown keys, which are no settings in themselves."""


def of_second_pass(settings: Settings) -> Settings:
    """What the second pass runs with: its own settings if they are used, with those of the first that both share.

    Without its own seed it has that of the first.
    """
    own = settings.second_pass if settings.use_2nd_pass_settings else None
    if own is None:
        return settings
    shared = {name: getattr(settings, name) for name in SHARED_BY_PASSES}
    seed = settings.train_seed if own.train_seed < 0 else own.train_seed
    return dataclasses.replace(own, **shared, train_seed=seed)


def row_of(name: str) -> Row:
    """The row of a setting, by its short name.

    Raises:
        KeyError: there is no such setting.
    """
    for row in ROWS:
        if row.name == name:
            return row
    raise KeyError(name)


def effective(settings: Settings) -> Settings:
    """The settings as a run reads them: those that the mode does not show hold the table's default.

    So what is left over from another mode, and nobody can see, has no effect. Files keep what was written.
    """
    mode = MODES[settings.mode]
    has_second_pass = settings.mode in WITH_SECOND_PASS
    groups = {*mode.groups, *(SECOND_PASS_GROUPS if has_second_pass else ())}
    second = settings.second_pass if has_second_pass and settings.use_2nd_pass_settings else None
    own = second and _only(second, _OF_A_PASS)  # whether it is used at all is a setting of the first
    return dataclasses.replace(_only(settings, groups), second_pass=own, unknown=())


def _only(settings: Settings, groups: Collection[Group]) -> Settings:
    hidden: dict[str, Any] = {row.name: row.default for row in ROWS if row.group not in groups}
    return dataclasses.replace(settings, **hidden)
