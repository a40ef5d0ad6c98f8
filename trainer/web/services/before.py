"""What is said of a run before it begins: in one line what it learns from, how long it takes and what comes of it;
below it what is odd, and the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...config.choices import AUTOMATIC_CARD
from ...config.settings import Settings, effective
from ...errors import UserError
from ...job import Account
from ...jobs.admission import admitted
from ...jobs.durations import expected_seconds
from ...text.messages import Message, message
from .context import PageContext

_PATIENCE = 3.0
"""Seconds in which the images are looked at; of more than that, it is said how many there are."""
MOST_ODD = 4
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Before:
    """Attributes:
    facts: of the run, in a few words each.
    odd: what its user may not mean, in sentences.
    memory: what it takes of the memory, and what would take less where that is too much.
    fits: whether there is as much.
    """

    facts: tuple[Message, ...]
    odd: tuple[Message, ...]
    memory: Message
    fits: bool


def before(context: PageContext, settings: Settings, card: str = AUTOMATIC_CARD, edited: int = 0) -> Before:
    """What there is to say of a run with these settings.

    Args:
        card: one of :data:`.config.choices.CARDS`.
        edited: the job of the queue that gets them; 0: a new one.

    Raises:
        UserError: the settings, the model or a LoRA cannot be used.
    """
    advice = context.memory_of(settings, card)
    account = _account_of(context, settings)
    facts = list(account.facts)
    seconds = expected_seconds(settings, context.worker.store, account.steps)
    if seconds is not None:
        facts.append(duration(seconds))
    if advice.lora:
        megabytes = advice.lora / 1e6
        facts.append(message("before.size", size=f"{megabytes:.0f}" if megabytes >= 10 else f"{megabytes:.1f}"))
    odd = [*_of_name(context, settings, edited), *_of_rates(settings)]
    odd += [row.text for row in account.rows if row.is_odd]
    more = len(odd) - MOST_ODD
    shown = odd[:MOST_ODD] + ([message("before.more", count=more)] if more > 0 else [])
    return Before(tuple(facts), tuple(shown), advice.message, advice.fits)


def _account_of(context: PageContext, settings: Settings) -> Account:
    """That of the data; empty where it cannot be trained, which is marked beside its field or said by Start."""
    try:
        return admitted(settings, context.folders, context.worker.made_host, seconds=_PATIENCE)
    except UserError:
        return Account()


def _of_name(context: PageContext, settings: Settings, edited: int) -> Iterator[Message]:
    """That Start would refuse the name, while there is time to choose another one."""
    if not settings.save_lora_name or (not edited and context.waiting(settings) is not None):
        return
    try:
        context.worker.store.require_free_name(settings, edited)
    except UserError as error:
        yield error.whole


def _of_rates(settings: Settings) -> list[Message]:
    """What the run will warn of."""
    from ...engine.passes import advice_on_rates  # which imports torch; whoever tells the memory has done so

    return advice_on_rates(effective(settings))


def duration(seconds: float) -> Message:
    """How long a run will take, rounded as one would say it."""
    if seconds < 90:
        return message("before.seconds", count=max(10, round(seconds / 10) * 10))
    if seconds < 90 * _MINUTE:
        return message("before.minutes", count=round(seconds / _MINUTE))
    if seconds < 2 * _DAY:
        return message("before.hours", count=_rounded(seconds / _HOUR))
    return message("before.days", count=_rounded(seconds / _DAY))


def _rounded(count: float) -> str:
    """With one place after the point as long as it matters."""
    return f"{count:.1f}" if count < 10 else f"{count:.0f}"
