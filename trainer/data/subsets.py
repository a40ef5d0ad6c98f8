"""What a run's images are made up of: one or several folders, each with settings of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config.settings import Settings
from .files import Found, find_images


@dataclass(frozen=True)
class Subset:
    """A folder with settings.

    Attributes:
        number: its place in :attr:`Scan.subsets`.
        name: the folder's name as the user knows it.
        folder: where it is.
        settings: the run's, with what holds for this subset alone put in.
        repeats: how often an epoch has each of its images; of regularisation images, before they are balanced.
        class_words: the caption of an image that has none.
        is_reg: whether its images regularise: they show the class, and are not what is to be learned.
        dataset: a batch is of one dataset, and the subsets of one agree about image size, buckets and batch size.
    """

    number: int
    name: str
    folder: Path
    settings: Settings
    repeats: int = 1
    class_words: str = ""
    is_reg: bool = False
    dataset: int = 0


@dataclass(frozen=True)
class Part:
    """A subset with the images that were found for it."""

    subset: Subset
    found: Found


def find_subsets(settings: Settings, *, check: Callable[[], None] | None = None) -> tuple[Part, ...]:
    """The subsets of ``lora_data_directory``: one for an ordinary folder.

    Args:
        check: called again and again; may raise to stop.

    Raises:
        DataError: there is no folder, or no image in it.
    """
    found = find_images(settings.lora_data_directory, check=check)
    return (Part(whole_folder(settings, found.folder), found),)


def whole_folder(settings: Settings, folder: Path) -> Subset:
    """The only subset of a run, with the run's settings."""
    return Subset(0, folder.name, folder, settings, repeats=settings.image_num_multiply)
