"""What is asked of a run's LoRA."""

from __future__ import annotations

from ...config.settings import NO, Settings
from ...networks.files.metadata import Usage
from .concepts import ConceptQuestion
from .images import Question


def question_of(usage: Usage, settings: Settings) -> Question | None:
    """The question for a LoRA that is used so; None: there is nothing that can be told from images."""
    if usage.prompt_pairs:
        asks_empty = settings.hold_unconditional == NO
        return ConceptQuestion(usage.prompt_pairs, described=settings.ileco_descriptions > 0, asks_empty=asks_empty)
    return None
