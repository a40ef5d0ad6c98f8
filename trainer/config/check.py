"""What must hold across settings before a run: a preset with empty prompts loads, but does not start."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem
from . import labels
from .choices import MODES, SCHEDULERS, load
from .key_values import prompt_pairs, split_lines, split_prompts
from .settings import Settings, row_of

_Found = Iterator[tuple[str, str]]
"""Pairs of a setting's short name and what is wrong with it."""


def check_for_run(settings: Settings) -> list[Problem]:
    """Every reason why these settings, each right in itself, would not train; empty if they would."""
    mode, second = MODES[settings.mode], settings.second_pass
    problems = _problems(_found(settings, mode.check))
    if mode.second_pass_check and settings.use_2nd_pass_settings and second is not None:
        problems += _problems(_found(second, mode.second_pass_check), within="2nd pass")
    return problems


def _found(settings: Settings, check: str) -> list[tuple[str, str]]:
    own: _Found = load(check)(settings) if check else iter(())
    return [*_common(settings), *own]


def _problems(found: list[tuple[str, str]], within: str = "") -> list[Problem]:
    key_prefix, label_prefix = (f"{within}.", f"{within}, ") if within else ("", "")
    return [
        Problem(f"{key_prefix}{row_of(name).key}", f"{label_prefix}{labels.label_of(name)}", what)
        for name, what in found
    ]


def _common(settings: Settings) -> _Found:
    if settings.network_strength == 0:
        yield "network_strength", "0 would save a LoRA that does nothing; write for instance 1"
    if "step_rules" in SCHEDULERS[settings.train_lr_scheduler].takes and not _readable_rules(
        settings.train_lr_step_rules
    ):
        advice = "write factor:step and a last factor, for instance 1:200,0.1:500,0.01"
        yield "train_lr_step_rules", f"{settings.train_lr_scheduler} needs rules; {advice}"


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
    if not settings.lora_data_directory:
        yield "lora_data_directory", "is empty; write the folder that holds the images"


def ileco(settings: Settings) -> _Found:
    originals, targets = prompt_pairs(settings.original_prompt, settings.target_prompt)
    if not all(originals):
        yield "original_prompt", "is empty; write the concept to be changed (an empty target prompt erases it)"
    elif settings.slider_positive.strip() or settings.slider_negative.strip():
        yield from _slider(settings, len(originals))
    elif len(targets) != len(originals):
        yield "target_prompt", f"has {len(targets)} lines and the original prompt {len(originals)}; write as many"
    elif any(one == other for one, other in zip(originals, targets, strict=True)):
        yield "target_prompt", "is the same as the original prompt, so there is nothing to learn; change one of them"
    if set(originals) & set(split_prompts(settings.keep_prompts)):
        yield "keep_prompts", "name the original prompt, which is to change; take it out"
    if settings.network_blocks == ("BASE",) and not settings.network_train_text_encoder:
        yield (
            "network_blocks",
            "BASE alone trains only with network train text encoder; set that, or choose more blocks",
        )


def _slider(settings: Settings, count: int) -> _Found:
    if settings.target_prompt.strip():
        yield "target_prompt", "has no place beside slider prompts, which say where to go; empty it"
    for name in ("slider_positive", "slider_negative"):
        lines = len(split_lines(getattr(settings, name)))
        if lines not in (1, count):
            yield name, f"has {lines} lines and the original prompt {count}; write one, or as many"
    if settings.slider_positive.strip() == settings.slider_negative.strip():
        yield "slider_negative", "is the same as slider positive, so there is nothing to learn; change one of them"


def difference(settings: Settings) -> _Found:
    if not settings.original_image and not settings.diff_load_1st_pass:
        yield "original_image", "is empty; choose the image as it is before the change"
    if settings.diff_1st_pass_only:
        if settings.diff_load_1st_pass:
            yield "diff_1st_pass_only", "leaves nothing to train when the 1st pass is loaded; unset one of the two"
    elif not settings.target_image:
        yield "target_image", "is empty; choose the image as it is after the change"
    elif settings.target_image == settings.original_image:
        yield "target_image", "is the same as the original image, so there is nothing to learn; choose another"
    if settings.use_2nd_pass_settings and settings.second_pass is None:
        yield "use_2nd_pass_settings", "is set, but there are no 2nd pass settings; write them, or unset it"
    yield from denoiser_blocks(settings)


def denoiser_blocks(settings: Settings) -> _Found:
    if settings.network_blocks == ("BASE",):
        yield "network_blocks", "BASE alone is the text encoder, which Difference does not train; choose more blocks"


def addift(settings: Settings) -> _Found:
    if not settings.original_image:
        yield "original_image", "is empty; choose the image as it is before the change"
    if not settings.target_image:
        yield "target_image", "is empty; choose the image as it is after the change"
    elif settings.target_image == settings.original_image:
        yield "target_image", "is the same as the original image, so there is nothing to learn; choose another"
    prompts = (settings.original_prompt, settings.target_prompt, settings.lora_trigger_word)
    if settings.network_blocks == ("BASE",) and not any(prompt.strip() for prompt in prompts):
        advice = "write a trigger word or a prompt, or choose more blocks"
        yield "network_blocks", f"BASE alone is the text encoder, which has nothing to read; {advice}"
    yield from _turns(settings)


def _turns(settings: Settings) -> _Found:
    if settings.diff_keep_outside > 0 and not settings.diff_use_diff_mask:
        yield "diff_keep_outside", "needs the mask that it keeps clear of; set diff use diff mask, or write 0"


def multi_addift(settings: Settings) -> _Found:
    yield from lora(settings)
    yield from _turns(settings)
    if not settings.diff_target_name:
        advice = "write what the targets' file names end in, such as _closed for a.png and a_closed.png"
        yield "diff_target_name", f"is empty, so each image would be paired with itself; {advice}"
