"""The account of a run's data together with what its model says about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..config.choices import WITH_FOLDER
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
    of_prompts = tuple(_not_erased(settings))
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
    return Account((*data, *_of_model(about), *notes))


def _not_erased(settings: Settings) -> Iterator[Message]:
    """A target prompt beside a scale that is for erasing: the concept becomes it, and goes beyond."""
    pairs = zip(*prompt_pairs(settings.original_prompt, settings.target_prompt), strict=False)
    original, target = next((pair for pair in pairs if pair[1]), ("", ""))
    if target and settings.ileco_scale > 1:
        values = {"target_setting": label("target_prompt"), "scale_setting": label("ileco_scale")}
        yield message("engine.not_erased", original=original, target=target, **values)


def _of_model(about: About) -> Iterator[AccountRow]:
    """What the model is taken for; what is odd about it is said with what is odd about the data."""
    for number, fact in enumerate(about.facts):
        yield AccountRow(message("data.heading_none") if number else message("models.heading"), fact)
