"""What is asked of a run's LoRA."""

from __future__ import annotations

from collections.abc import Sequence

from ...config.choices import MODES
from ...config.settings import NO, Settings
from ...data.captions.variants import has_trigger
from ...data.latents import Dataset
from ...networks.files.metadata import Usage
from .concepts import ConceptQuestion
from .images import Question
from .pairs import PairQuestion
from .slider import SliderQuestion
from .trigger import CaptionQuestion


def question_of(usage: Usage, settings: Settings, data: Dataset | None) -> Question | None:
    """The question for a LoRA that is used so; None: there is nothing that can be told from images.

    Args:
        data: what it was trained on.
    """
    described = settings.ileco_descriptions > 0
    if usage.sliders:
        return SliderQuestion(usage.sliders, described)
    if usage.prompt_pairs:
        return ConceptQuestion(usage.prompt_pairs, described, asks_empty=settings.hold_unconditional == NO)
    if data is None:
        return None
    mode = MODES[settings.mode]
    if mode.images == "folder":
        return _of_captions(settings.lora_trigger_word.strip(), data.captions)
    if settings.diff_1st_pass_only or any(sample.target is None for sample in data.samples):
        return None
    return PairQuestion(data, "turns" in mode.groups and settings.diff_revert_original_target)


def _of_captions(trigger: str, captions: Sequence[str]) -> Question | None:
    with_it = [caption for caption in captions if has_trigger(caption, trigger)]
    said = with_it or [caption for caption in captions if caption]
    return CaptionQuestion(said, trigger if with_it else "") if said else None
