"""How many steps epochs are, once the images are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..config.settings import MAX_STEPS, Settings
from ..errors import UserError
from ..text.messages import label
from .cache import DataCache
from .pairs.pair import Pair
from .pairs.scan import scan_for_mode
from .samples import Scan
from .validation import split_off


def with_steps(settings: Settings, scan: Scan | None) -> Settings:
    """The settings with the number of steps that ``train_epochs`` stands for; as they are where it is 0.

    Args:
        scan: the images; None for modes without epochs.

    Raises:
        UserError: these are more steps than a run may have.
    """
    if not settings.train_epochs or scan is None:
        return settings
    steps = settings.train_epochs * scan.steps_per_epoch
    if steps > MAX_STEPS:
        numbers = {"epochs": settings.train_epochs, "per_epoch": scan.steps_per_epoch, "steps": steps}
        raise UserError("data.too_many_epochs", where=label("train_epochs"), most=MAX_STEPS, **numbers)
    return replace(settings, train_iterations=steps)


def counted_by(settings: Settings, images: Scan | Pair | None) -> Settings:
    """The same for all images that were found, of which some may be left for validation.

    Raises:
        UserError: too many steps, or no image to spare.
    """
    return with_steps(settings, split_off(images, settings)[0]) if isinstance(images, Scan) else settings


def counted(settings: Settings, check: Callable[[], None] | None = None, cache: DataCache | None = None) -> Settings:
    """Settings in effect, with the number of steps that ``train_epochs`` stands for: the images are looked at.

    Args:
        check: called between images and while one is waited for; may raise to stop.
        cache: what is known of images from earlier.

    Raises:
        UserError: there are none that can be used, or too many steps.
    """
    if not settings.train_epochs:
        return settings
    scan = scan_for_mode(settings, check=check, cache=cache)
    scan.require_usable()
    return counted_by(settings, scan)
