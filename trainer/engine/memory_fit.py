"""Whether a run has enough memory, and what to change where it has not: in words, or as settings that fit a GPU.

What saves memory is tried in one order, the mildest first and each on top of those before it, until the run fits. So
less memory never changes fewer settings, and what leaves the result as it is comes before what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import torch

from ..config.choices import AUTOMATIC_CARD, MODES, WITH_SECOND_PASS
from ..config.settings import (
    INT8,
    LIGHT,
    NF4,
    NO_SAVING,
    ROWS,
    SHARED_BY_PASSES,
    STREAMING,
    Settings,
    effective,
    row_of,
)
from ..config.size import Size
from ..data.dataset_file import dataset_file
from ..errors import MemoryShortError, UserError
from ..optim.optimizers import is_available
from ..text.messages import Message, label, message
from .host import Host
from .memory_estimate import MemoryEstimate, estimate_memory

_UNTRACEABLE = (RuntimeError, NotImplementedError, LookupError, TypeError, ValueError, AttributeError)
"""What a library raises where it looks at numbers, which the meta device does not have."""
_SIDES: Final = (1024, 768, 512)
_ROUND: Final = 64
_RANK, _LEAST_RANK = 8, 4
_USABLE: Final = 0.9
"""Of a card's memory, and of what is free of the CPU's; the rest is for the desktop and other programs."""

Change = dict[str, Any]
"""Short name -> value."""


def _at_once() -> None:
    """Wait for nobody."""


@dataclass(frozen=True)
class MemoryAdvice:
    """What is said of a run's memory.

    Attributes:
        message: what it takes, and where that is too much what would take less.
        fits: whether it is less than there is, as far as that is known.
        lora: bytes that the finished LoRA takes on the disk; 0 where that is not known.
    """

    message: Message
    fits: bool
    lora: int = 0


@dataclass(frozen=True)
class Fit:
    """Settings that fit a GPU's memory, as far as that is known.

    Attributes:
        settings: the given ones, or those that fit.
        changed: the short names of those that were changed.
        message: what was changed, or why nothing was.
        fits: False where nothing makes the run fit.
    """

    settings: Settings
    changed: tuple[str, ...]
    message: Message
    fits: bool = True


def fit(
    settings: Settings, host: Host, card: str, keep: Collection[str] = (), wait: Callable[[], None] = _at_once
) -> Fit:
    """Change what must be changed for a run to fit a GPU.

    Args:
        card: one of :data:`.config.choices.CARDS`: its memory in GB, or :data:`.config.choices.AUTOMATIC_CARD` for the
            GPU that the host computes on. Without one that changes nothing.
        keep: short names of settings that stay as they are.
        wait: called before every estimate but the first, to let others go ahead.

    Raises:
        UserError: the settings, the model or a LoRA cannot be used.
    """
    device, limit = _memory_of(card, host)
    if device.type != "cuda" or limit is None:
        return Fit(settings, (), message("engine.card_none", device=device.type))
    automatic = card == AUTOMATIC_CARD
    name = message("engine.this_card", room=shown(limit)) if automatic else message("engine.card", size=card)
    try:
        found = fitting(settings, host, limit, device, keep, wait)
    except _UNTRACEABLE as error:
        return Fit(settings, (), _unknown(error))
    if found is None:
        return Fit(settings, (), message("engine.card_never", card=name), fits=False)
    fitted, needed = found[0], shown(found[1].most)
    changed = _changed(settings, fitted)
    if not changed:
        return Fit(settings, (), message("engine.card_fits", card=name, needed=needed))
    changes = [_is_now(each, fitted) for each in changed]
    return Fit(fitted, changed, message("engine.card_changed", card=name, changes=changes, needed=needed))


def memory_advice(
    settings: Settings, host: Host, card: str = AUTOMATIC_CARD, wait: Callable[[], None] = _at_once
) -> MemoryAdvice:
    """What a run with these settings takes, in words, and what to change where there is less.

    Args:
        card, wait: as for :func:`fit`.

    Raises:
        UserError: as :func:`estimate_memory`.
    """
    device, room = _memory_of(card, host)
    try:
        needed = estimate_memory(settings, host, device)
        if room is None or needed.most <= room:
            return MemoryAdvice(message("engine.memory_needed", needed=shown(needed.most)), True, needed.lora)
        return MemoryAdvice(_too_much(settings, host, needed, room, device, wait), False, needed.lora)
    except _UNTRACEABLE as error:
        return MemoryAdvice(_unknown(error), fits=True)


def out_of_memory(settings: Settings, host: Host) -> MemoryShortError:
    """The error for a run that the memory was not enough for, with the settings that would fit as far as can be told.

    Whatever goes wrong here must not hide that: then the error names the settings to lower without figures.
    """
    try:
        needed, room = estimate_memory(settings, host), room_on(host.device)
        if room is not None and needed.most > room:
            return MemoryShortError(_too_much(settings, host, needed, room, host.device, _at_once))
    except (UserError, MemoryError, *_UNTRACEABLE):
        return MemoryShortError("engine.not_enough_memory")
    return MemoryShortError("engine.not_enough_memory")


def _too_much(
    settings: Settings,
    host: Host,
    needed: MemoryEstimate,
    room: int,
    device: torch.device,
    wait: Callable[[], None],
) -> Message:
    given = {"needed": shown(needed.most), "room": shown(room)}
    found = fitting(settings, host, room, device, wait=wait, needed=needed)
    if found is None:
        return message("engine.memory_never_enough", **given)
    changes = [_change(name, getattr(found[0], name)) for name in _changed(settings, found[0])]
    return message("engine.memory_too_much", **given, changes=changes, less=shown(found[1].most))


def _change(name: str, value: Any) -> Message:
    if isinstance(value, bool):
        return message("engine.memory_turn_on" if value else "engine.memory_turn_off", setting=label(name))
    return message("engine.memory_set", setting=label(name), value=str(value))


def _is_now(name: str, settings: Settings) -> Message:
    value = getattr(settings, name)
    if isinstance(value, bool):
        return message("engine.card_on" if value else "engine.card_off", setting=label(name))
    return message("engine.card_value", setting=label(name), value=str(value))


def _changed(before: Settings, after: Settings) -> tuple[str, ...]:
    """The short names of what differs in either pass, in the order of the table."""
    passes = [(before, after), (before.second_pass or before, after.second_pass or after)]
    return tuple(
        row.name for row in ROWS if any(getattr(old, row.name) != getattr(new, row.name) for old, new in passes)
    )


def _unknown(error: Exception) -> Message:
    return message("engine.memory_unknown", reason=f"{type(error).__name__}: {error}")


def shown(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{max(1, round(size / 1e6))} MB"


# ---- how much there is ----------------------------------------------------------------------------------------------


def _memory_of(card: str, host: Host) -> tuple[torch.device, int | None]:
    """The device a run is to fit, and the bytes it may take there; None where that is unknown."""
    if card == AUTOMATIC_CARD:
        return host.device, room_on(host.device)
    return host.device if host.device.type == "cuda" else torch.device("cuda"), int(_USABLE * int(card) * 2**30)


def room_on(device: torch.device) -> int | None:
    """The bytes that a run could have on a device; None where that is unknown. On a card, what this process has there
    counts as free: the run takes its place."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:  # not every host has it
        return None
    room: int = psutil.virtual_memory().available
    return room


# ---- what saves memory ----------------------------------------------------------------------------------------------


def fitting(
    settings: Settings,
    host: Host,
    limit: int,
    device: torch.device | None = None,
    keep: Collection[str] = (),
    wait: Callable[[], None] = _at_once,
    needed: MemoryEstimate | None = None,
) -> tuple[Settings, MemoryEstimate] | None:
    """The first settings, in the order of :func:`_savings`, with which a run stays below ``limit`` bytes of the device,
    by default the host's; None if there are none. Left out is a change that saves nothing, or that moves to the CPU's
    memory more than that has room for.

    Args:
        keep, wait: as for :func:`fit`.
        needed: what the run takes as it is, where that is known.

    Raises:
        UserError: as :func:`estimate_memory`.
    """
    device = device or host.device
    needed = needed or estimate_memory(settings, host, device)
    saves = _savings(device, has_sizes=dataset_file(effective(settings)) is not None)
    for save in saves:
        while needed.most > limit:
            changed = _with(settings, save, keep)
            if changed == settings:
                break
            wait()
            cheaper = estimate_memory(changed, host, device)
            if not cheaper.saves_over(needed) or not _has_ram(cheaper.in_ram - needed.in_ram):
                break
            settings, needed = changed, cheaper
    return (settings, needed) if needed.most <= limit else None


def _has_ram(more: int) -> bool:
    """Whether the CPU's memory has room for so many bytes more, as far as that is known."""
    room = room_on(torch.device("cpu"))
    return more <= 0 or room is None or more <= _USABLE * room


_Save = Callable[[Settings], Change]
"""What to change in a pass's settings, one step; nothing where there is nothing to change."""


def _savings(device: torch.device, *, has_sizes: bool) -> Iterator[_Save]:
    """What saves memory, the mildest first.

    Args:
        has_sizes: whether a dataset file says batch and image size.
    """
    on_card = device.type == "cuda"
    yield partial(_set, name="train_memory_saving", value=LIGHT, instead_of=NO_SAVING)
    yield _checkpoint
    if not has_sizes:
        yield _smaller_batch
    if on_card and torch.cuda.is_available() and is_available("AdamW8bit"):
        yield partial(_set, name="train_optimizer", value="AdamW8bit", instead_of="AdamW")
    yield partial(_set, name="effect_strip", value=False)
    if on_card:
        yield partial(_set, name="train_VAE_precision", value="fp16", instead_of="fp32")
        yield partial(_set, name="train_model_precision", value="fp16", instead_of="fp32")
    yield partial(_set, name="train_model_precision", value=INT8)
    if on_card:
        yield partial(_set, name="train_memory_saving", value=STREAMING)
        yield partial(_set, name="train_model_precision", value=NF4)
    yield partial(_lower_rank, least=_RANK)
    if not has_sizes:
        for side in _SIDES:
            yield partial(_smaller_images, side=side)
    yield partial(_lower_rank, least=_LEAST_RANK)


def _set(settings: Settings, name: str, value: Any, instead_of: Any = None) -> Change:
    return {name: value} if instead_of in (None, getattr(settings, name)) else {}


def _checkpoint(settings: Settings) -> Change:
    """Whole blocks are computed again, so there is nothing left for the milder way to do."""
    milder = {"train_memory_saving": NO_SAVING} if settings.train_memory_saving == LIGHT else {}
    return {"use_gradient_checkpointing": True, **milder}


def _with(settings: Settings, save: _Save, keep: Collection[str]) -> Settings:
    """With the same in the second pass, where that has its own settings."""
    first = {name: value for name, value in save(settings).items() if name not in keep}
    second = settings.second_pass if settings.use_2nd_pass_settings and settings.mode in WITH_SECOND_PASS else None
    if second is None:
        return replace(settings, **first)
    own = {name: value for name, value in save(second).items() if name not in (*keep, *SHARED_BY_PASSES)}
    return replace(settings, **first, second_pass=replace(second, **own))


def _smaller_batch(settings: Settings) -> Change:
    """Fewer samples at once, and as many a step: the gradients of more batches are added up."""
    batch, batches = settings.train_batch_size, settings.train_gradient_accumulation
    divisor = next((each for each in range(2, batch + 1) if batch % each == 0), 1)
    if batches * divisor > (row_of("train_gradient_accumulation").most or 1):
        return {}
    return {"train_batch_size": batch // divisor, "train_gradient_accumulation": batches * divisor}


def _lower_rank(settings: Settings, least: int) -> Change:
    """A lower rank at the same scale, which is alpha divided by rank."""
    rank = max(least, settings.network_rank // 2)
    if rank >= settings.network_rank:
        return {}
    return {"network_rank": rank, "network_alpha": settings.network_alpha * rank / settings.network_rank}


def _smaller_images(settings: Settings, side: int) -> Change:
    size = settings.image_size
    if size is None:  # a pair's own
        return {"image_size": Size(side, side)} if MODES[settings.mode].images == "pair" else {}
    if size.area <= side * side:
        return {}
    scale = (side * side / size.area) ** 0.5
    width, height = (max(_ROUND, int(each * scale) // _ROUND * _ROUND) for each in (size.width, size.height))
    return {"image_size": Size(width, height)}
