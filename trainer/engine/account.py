"""The account of a run's data together with what its model says about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..config.choices import MODES, WITH_FOLDER
from ..config.key_values import prompt_pairs
from ..config.settings import Settings
from ..config.size import Size
from ..data.account import account_of
from ..data.look import Look, Unfinished
from ..errors import UserError
from ..job import Account, AccountRow
from ..models.about import About
from ..text.messages import Message, label, message

if TYPE_CHECKING:
    from .host import Host


def account_before(settings: Settings, found: Look | Unfinished, host: Host | None) -> Account:
    """What a run says before its first step.

    Args:
        settings: those in effect.
        host: whose model it is; None where that is not known yet.
    """
    of_prompts = tuple(_of_prompts(settings))
    if host is None:
        return account_of(settings, found, notes=of_prompts)
    # Modes without a folder of images have other defaults than the size the model is made for.
    size = host.defaults(replace(settings, mode=WITH_FOLDER)).get("image_size")
    try:
        about = host.check_model(settings).about
    except UserError:  # whoever checks the model says so
        about = About()
    own_size = size if isinstance(size, Size) else None
    account = account_of(settings, found, own_size=own_size, notes=(*about.doubts, *of_prompts))
    notes = [row for row in account.rows if row.heading == message("data.heading_note")]
    data = account.rows[: len(account.rows) - len(notes)]
    return Account((*data, *_of_model(about), *notes), account.facts)


def _of_prompts(settings: Settings) -> Iterator[Message]:
    """What prompts lead to that their user may not mean."""
    setting = {"target_setting": label("target_prompt")}
    mode = MODES[settings.mode]
    if mode.images == "pair" and "turns" in mode.groups:
        if settings.original_prompt and settings.target_prompt not in ("", settings.original_prompt):
            yield message("engine.prompts_differ")
    elif mode.images == "none" and not (settings.slider_positive or settings.slider_negative):
        pairs = list(zip(*prompt_pairs(settings.original_prompt, settings.target_prompt), strict=False))
        changed, erased = ([pair for pair in pairs if bool(pair[1]) == has_target] for has_target in (True, False))
        if changed and settings.ileco_scale > 1:  # for erasing: the concept becomes the target, and goes beyond
            named = dict(zip(("original", "target"), changed[0], strict=True))
            yield message("engine.not_erased", **named, **setting, scale_setting=label("ileco_scale"))
        elif erased and erased[0][0] and settings.ileco_scale == 1:
            ends = {"positive": label("slider_positive"), "negative": label("slider_negative")}
            yield message("engine.erased", original=erased[0][0], **setting, **ends)


def _of_model(about: About) -> Iterator[AccountRow]:
    """What the model is taken for; what is odd about it is said with what is odd about the data."""
    for number, fact in enumerate(about.facts):
        yield AccountRow(message("data.heading_none") if number else message("models.heading"), fact)
