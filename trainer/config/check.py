"""What must hold across settings before a run: a preset with empty prompts loads, but does not start."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem, WrongValue
from ..text.messages import Message, label, message
from .choices import FAMILIES, MODES, NETWORK_TYPES, OPTIMIZERS, SCHEDULERS, TEXT_ENCODERS, SchedulerInfo, load
from .filenames import EXAMPLE, counts_steps, name_problem, named_by
from .key_values import parse_literals, prompt_pairs, split_block_rates, split_lines, split_prompts
from .sample_prompts import prompts_of_lines
from .settings import ROWS, SECOND_PASS_KEY, Row, Settings, effective, row_of

_Found = Iterator[tuple[str, Message]]
"""Pairs of a setting's short name and what is wrong with it."""


def check_for_run(settings: Settings) -> list[Problem]:
    """Every reason why these settings, each right in itself, would not train; empty if they would."""
    settings = effective(settings)
    mode, second = MODES[settings.mode], settings.second_pass
    found = [problem_with(row_of(name), wrong) for name, wrong in _found(settings, mode.check)]
    if second is not None:
        of_second = _found(second, mode.second_pass_check)
        found += [problem_with(row_of(name), wrong, second=True) for name, wrong in of_second]
    return found


def check_for_family(settings: Settings, family: str) -> list[Problem]:
    """What of settings that would train does not suit a family of models: sizes that its latents cannot have."""
    settings, multiple = effective(settings), FAMILIES[family].size_multiple
    found = []
    for row in ROWS:
        value = getattr(settings, row.name) if row.multiple > 1 else None
        for number in (value,) if isinstance(value, int) else value or ():
            if number % multiple:
                lower = number - number % multiple
                wrong = message(
                    "config.no_multiple_for", family=family, multiple=multiple, value=number, lower=lower,
                    upper=lower + multiple,
                )  # fmt: skip
                found.append(problem_with(row, wrong))
    return found


def problem_with(row: Row, wrong: Message, *, second: bool = False) -> Problem:
    """What is wrong with a setting, or with the same one of the second pass."""
    if second:
        return Problem(
            f"{SECOND_PASS_KEY}.{row.key}",
            message("config.of_pass", name=message("config.second_pass"), label=label(row.name)),
            wrong,
        )
    return Problem(row.key, label(row.name), wrong)


def _found(settings: Settings, check: str) -> list[tuple[str, Message]]:
    own: _Found = load(check)(settings) if check else iter(())
    return [*_common(settings), *own]


def _common(settings: Settings) -> _Found:
    if settings.network_strength == 0:
        yield "network_strength", message("config.no_strength")
    if settings.network_dropout and not NETWORK_TYPES[settings.network_type].drops_hidden:
        values = {"type": settings.network_type, "setting": label("network_rank_dropout")}
        yield "network_dropout", message("config.no_hidden_dropout", **values)
    yield from _factors(settings)
    yield from _file_name(settings)
    low, high = settings.train_min_timesteps, settings.train_max_timesteps
    if low >= high:
        highest = label("train_max_timesteps")
        yield "train_min_timesteps", message("config.no_timesteps", low=low, highest=highest, high=high)
    scheduler = settings.train_lr_scheduler
    yield from _warmup(settings, SCHEDULERS[scheduler])
    if "step_rules" in SCHEDULERS[scheduler].takes and not _readable_rules(settings.train_lr_step_rules):
        yield "train_lr_step_rules", message("config.no_step_rules", scheduler=scheduler)
    try:
        prompts_of_lines(settings.sample_prompt)
    except WrongValue as error:
        yield "sample_prompt", error.message


def _factors(settings: Settings) -> _Found:
    """Factors of learning rates, where the optimizer has but one rate for all."""
    if not OPTIMIZERS[settings.train_optimizer].finds_its_rate:
        return
    factors = set(split_block_rates(settings.network_block_rates).values())
    if factors - {0.0, 1.0}:
        yield "network_block_rates", message("config.one_rate_for_all", optimizer=settings.train_optimizer)
    if settings.train_loraplus_ratio not in (0.0, 1.0):
        yield "train_loraplus_ratio", message("config.one_rate_for_all", optimizer=settings.train_optimizer)


def _file_name(settings: Settings) -> _Found:
    """A pattern that names two files of the run alike, or one as no system can."""
    pattern = settings.save_file_name
    if not pattern:
        return
    by_epochs_alone = MODES[settings.mode].learns_from_folder and not settings.save_per_steps
    if not counts_steps(pattern) and not by_epochs_alone:
        yield "save_file_name", message("config.pattern_needs_step", field="{step}", example=EXAMPLE)
    name = settings.save_lora_name or "untitled"
    problem = name_problem(named_by(pattern, name=name, step=settings.train_iterations, epoch=settings.train_epochs))
    if problem is not None:
        yield "save_file_name", problem


def _warmup(settings: Settings, schedule: SchedulerInfo) -> _Found:
    """A warm-up that is never over: the learning rate would not be reached, or be divided by what is left, nothing."""
    steps = settings.train_iterations
    if "num_warmup_steps" not in schedule.takes or settings.train_epochs:  # or once the images are known
        return
    try:
        own = parse_literals(settings.train_lr_scheduler_settings).get("num_warmup_steps")
    except WrongValue:  # the schedule says it when it is made
        return
    name = "train_lr_warmup_steps" if own is None else "train_lr_scheduler_settings"
    warmup = settings.train_lr_warmup_steps if own is None else own
    if isinstance(warmup, int | float) and warmup >= steps:
        yield name, message("config.endless_warmup", warmup=warmup, steps=steps)


def _readable_rules(rules: str) -> bool:
    *steps, last = rules.split(",")
    pairs = [step.partition(":") for step in steps]
    return _is_number(last) and all(_is_number(factor) and until.strip().isdecimal() for factor, _, until in pairs)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def lora(settings: Settings) -> _Found:
    if not (settings.lora_data_directory or settings.dataset_config):
        reads_files = "subsets" in MODES[settings.mode].groups
        key, file = ("config.no_folder_or_file", label("dataset_config")) if reads_files else ("config.no_folder", "")
        yield "lora_data_directory", message(key, file=file)
    from_made_images = settings.train_self_reg_images > 0  # which a preset asks for; the account of the data says it
    if settings.train_self_reg > 0 and not from_made_images and not settings.lora_trigger_word.strip():
        yield "train_self_reg", message("config.self_reg_needs_trigger", setting=label("lora_trigger_word"))
    if settings.train_self_reg_images > 0 and settings.train_self_reg == 0:
        yield "train_self_reg_images", message("config.self_reg_images_need_weight", setting=label("train_self_reg"))
    yield from buckets(settings)


def buckets(settings: Settings) -> _Found:
    """What sd-scripts refuses, too: an image size outside the bounds of its buckets."""
    if settings.image_bucketing != "sd-scripts" or settings.image_disable_upscale:
        return
    shorter, longer = sorted(settings.size)
    if settings.image_min_bucket_reso > shorter:
        yield "image_min_bucket_reso", message("config.bucket_above_size", side=shorter)
    if settings.image_max_bucket_reso < longer:
        yield "image_max_bucket_reso", message("config.bucket_below_size", side=longer)


def ileco(settings: Settings) -> _Found:
    originals, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
    if not all(originals):
        yield "original_prompt", message("config.no_concept")
    elif settings.slider_positive.strip() or settings.slider_negative.strip():
        yield from _slider(settings, len(originals))
    elif len(targets) != len(originals):
        yield "target_prompt", message("config.other_lines", count=len(targets), wanted=len(originals))
    elif any(one == other for one, other in zip(originals, targets, strict=True)):
        yield "target_prompt", message("config.same_prompt")
    if set(originals) & set(split_prompts(settings.keep_prompts)):
        yield "keep_prompts", message("config.kept_is_original")
    if set(originals) & set(split_prompts(settings.hold_negative)):
        yield "hold_negative", message("config.kept_is_original")
    if settings.ileco_closed_form:
        products = [each.name for each in NETWORK_TYPES.values() if each.is_product]
        if settings.network_type not in products:
            yield "ileco_closed_form", _no_closed_form(settings, "network_type", products)
        if settings.network_element == "SelfAttention":
            yield "ileco_closed_form", _no_closed_form(settings, "network_element", ["Full", "CrossAttention"])
    if settings.network_blocks == (TEXT_ENCODERS,) and not settings.network_train_text_encoder:
        setting = label("network_train_text_encoder")
        yield "network_blocks", message("config.base_needs_text_encoder", setting=setting)


def _no_closed_form(settings: Settings, name: str, choices: list[str]) -> Message:
    return message("config.no_closed_form", setting=label(name), value=getattr(settings, name), choices=choices)


def _slider(settings: Settings, count: int) -> _Found:
    if settings.target_prompt.strip():
        yield "target_prompt", message("config.target_beside_slider")
    for name in ("slider_positive", "slider_negative"):
        lines = len(split_lines(getattr(settings, name)))
        if lines not in (1, count):
            yield name, message("config.other_slider_lines", count=lines, wanted=count)
    if settings.slider_positive.strip() == settings.slider_negative.strip():
        yield "slider_negative", message("config.same_slider", setting=label("slider_positive"))


def difference(settings: Settings) -> _Found:
    if not settings.original_image and not settings.diff_load_1st_pass:
        yield "original_image", message("config.no_original_image")
    if settings.diff_1st_pass_only:
        if settings.diff_load_1st_pass:
            yield "diff_1st_pass_only", message("config.nothing_after_copier")
    elif not settings.target_image:
        yield "target_image", message("config.no_target_image")
    elif settings.target_image == settings.original_image:
        yield "target_image", message("config.same_image")
    if settings.use_2nd_pass_settings and settings.second_pass is None:
        yield "use_2nd_pass_settings", message("config.no_second_pass")
    yield from denoiser_blocks(settings)


def denoiser_blocks(settings: Settings) -> _Found:
    if settings.network_blocks == (TEXT_ENCODERS,):
        yield "network_blocks", message("config.base_not_in_difference")


def addift(settings: Settings) -> _Found:
    if not settings.original_image:
        yield "original_image", message("config.no_original_image")
    if not settings.target_image:
        yield "target_image", message("config.no_target_image")
    elif settings.target_image == settings.original_image:
        yield "target_image", message("config.same_image")
    prompts = (settings.original_prompt, settings.target_prompt, settings.lora_trigger_word)
    if settings.network_blocks == (TEXT_ENCODERS,) and not any(prompt.strip() for prompt in prompts):
        yield "network_blocks", message("config.base_has_nothing_to_read")
    yield from _turns(settings)


def _turns(settings: Settings) -> _Found:
    if settings.diff_keep_outside > 0 and not settings.diff_use_diff_mask:
        yield "diff_keep_outside", message("config.outside_needs_mask", setting=label("diff_use_diff_mask"))


def multi_addift(settings: Settings) -> _Found:
    yield from lora(settings)
    yield from _turns(settings)
    if not settings.diff_target_name:
        yield "diff_target_name", message("config.no_suffix")
