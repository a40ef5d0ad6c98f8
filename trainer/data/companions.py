"""Files among the images that are none to learn from: masks, control images and previews, as other trainers name them.

Masks go with their images. Everything else is left out, and said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from ..config.settings import Settings
from ..text.messages import Message, label, message
from .files import Found, ImageFile, existing_folder, find_images, natural_key

_MASK: Final = "-masklabel"  # OneTrainer's
_MASKS: Final = (_MASK, "_mask", "-mask", ".mask")
"""What a mask's name has behind its image's; the first that is there counts."""
_CONTROL: Final = "-condlabel"  # OneTrainer's
MASK_FOLDERS: Final = frozenset(("mask", "masks"))
_CONTROL_FOLDERS: Final = frozenset(
    ("conditioning", "conditioning_images", "control", "controls", "control_images", "controlnet")
)
_MADE_CONTROLS: Final = "_controls"  # ai-toolkit's, which holds nothing else
IMAGE_FOLDERS: Final = frozenset(
    ("img", "imgs", "image", "images", "train", "training", "data", "dataset", "input", "inputs", "source", "sources",
     "target", "targets", "original", "originals", "photo", "photos", "picture", "pictures")
)  # fmt: skip
"""Beside one of these, a folder called mask is one of masks."""
_PREVIEW_FOLDERS: Final = frozenset(("sample", "samples"))
_PREVIEW: Final = re.compile(
    r"(?:.*_)?(?:e\d{6}|\d{6})_\d{2}(?:_\d{14})?(?:_\d+)?"  # sd-scripts: name, epoch or step, prompt, time, seed
    r"|\d{13}__\d{9}_\d+"  # ai-toolkit: time, step, prompt
    r"|.*-training-sample-\d+-\d+-\d+"  # OneTrainer: time, step, epoch, step of the epoch
)


def sort_out(found: Found, settings: Settings, *, check: Callable[[], None] | None = None) -> Found:
    """What was found in a folder, with the images to learn from told apart from what goes with them, by their names.

    Args:
        found: its images have no masks yet.
        settings: ``image_use_masks``, ``image_mask_directory`` and, of pairs, ``diff_target_name``.
        check: called again and again where another folder is looked through; may raise to stop.

    Raises:
        DataError: ``image_mask_directory`` cannot be read, or holds no image.
    """
    sorting = _Sorting(found, settings)
    sorting.sort()
    if settings.image_mask_directory and settings.image_use_masks:
        folder = existing_folder(settings.image_mask_directory, setting="image_mask_directory")
        masks = find_images(folder, setting="image_mask_directory", check=check)
        sorting.take_from(masks)
    return sorting.finished()


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


@dataclass
class _Sorting:
    """One way through the images of a folder."""

    found: Found
    settings: Settings
    _by_name: dict[tuple[Path, str], list[ImageFile]] = field(default_factory=dict)
    _inner: dict[Path, tuple[Path, ...]] = field(default_factory=dict)
    """Of each folder with images what :meth:`_inner_folders` says."""
    _places: dict[tuple[Path, Path], tuple[Path, ...]] = field(default_factory=dict)
    """Likewise of :meth:`_places_of`."""
    _folders: set[Path] = field(default_factory=set)
    """All that an image is in, below that of the data."""
    _masks: dict[ImageFile, list[tuple[int, ImageFile]]] = field(default_factory=dict)
    """Of each image its masks, with how much each is preferred."""
    _left_out: dict[ImageFile, Message] = field(default_factory=dict)
    _taken: set[ImageFile] = field(default_factory=set)
    """The masks that belong to an image."""

    def __post_init__(self) -> None:
        for image in self.found.images:
            self._by_name.setdefault((image.path.parent, _folded(image.path.stem)), []).append(image)
            self._folders.update(self._inner_folders(image))

    # ---- names ------------------------------------------------------------------------------------------------------

    def sort(self) -> None:
        folders = self._companion_folders()
        for image in self.found.images:
            folder = next((each for each in self._inner_folders(image) if each in folders), None)
            if folder is not None:
                self._of_folder(image, folder, folders)
            elif self._is_preview(image):
                self._left_out[image] = message("data.is_preview")
            else:
                self._beside(image)

    def _inner_folders(self, image: ImageFile) -> tuple[Path, ...]:
        """Those below the data's folder that an image is in, the outermost first."""
        parent = image.path.parent
        if parent not in self._inner:
            above = [parent, *parent.parents]
            root = self.found.folder
            self._inner[parent] = tuple(reversed(above[: above.index(root)])) if root in above else ()
        return self._inner[parent]

    def _is_preview(self, image: ImageFile) -> bool:
        names = {_folded(folder.name) for folder in self._inner_folders(image)}
        return bool(names & _PREVIEW_FOLDERS) and _PREVIEW.fullmatch(image.path.stem) is not None

    def _companion_folders(self) -> frozenset[Path]:
        """Folders called as one of masks or control images, in which some belong to an image elsewhere and none has a
        caption. Any other folder of that name is one of images: of people who wear a mask, for instance."""
        named = {
            folder
            for image in self.found.images
            for folder in self._inner_folders(image)
            if _folded(folder.name) in MASK_FOLDERS | _CONTROL_FOLDERS | {_MADE_CONTROLS}
        }
        named -= {
            folder for image in self.found.images if image.caption is not None for folder in self._inner_folders(image)
        }
        belonging = {
            folder
            for image in self.found.images
            for folder in self._inner_folders(image)
            if folder in named and self._partners(image, folder, named)
        }
        return frozenset(belonging | {folder for folder in named if _folded(folder.name) == _MADE_CONTROLS})

    def _partners(self, image: ImageFile, folder: Path, companions: Iterable[Path]) -> list[ImageFile]:
        """The images that one in a folder of masks or control images may belong to.

        They are at the same place in the folder above it as it is within its own, or in one for images beside it:
        ``a.png`` or ``images/a.png`` for ``masks/a.png``.
        """
        companions = set(companions)
        places = self._places_of(image.path.parent, folder)
        for stem in image_stems(image):
            found = [
                each
                for place in places
                for each in self._by_name.get((place, stem), [])
                if companions.isdisjoint(self._inner_folders(each))
            ]
            if found:
                return found
        return []

    def _places_of(self, parent: Path, folder: Path) -> tuple[Path, ...]:
        """Where images are that those in ``parent``, below ``folder``, may belong to."""
        if (parent, folder) not in self._places:
            siblings = sorted(each for each in self._folders if each.parent == folder.parent)
            beside = (each for each in siblings if _folded(each.name) in IMAGE_FOLDERS)
            inner = parent.relative_to(folder)
            self._places[parent, folder] = tuple(place / inner for place in (folder.parent, *beside))
        return self._places[parent, folder]

    def _of_folder(self, image: ImageFile, folder: Path, folders: frozenset[Path]) -> None:
        if _folded(folder.name) not in MASK_FOLDERS:
            self._left_out[image] = message("data.is_control_image")
            return
        partners = self._partners(image, folder, folders)
        if len({each.path.parent for each in partners}) > 1:
            self._left_out[image] = message("data.is_mask_of_several", images=[each.name for each in partners[:3]])
        else:
            self._take(image, partners, len(_MASKS))

    def _beside(self, image: ImageFile) -> None:
        stem = _folded(image.path.stem)
        if self._is_target(image, stem):
            return
        if stem.endswith(_CONTROL):
            self._left_out[image] = message("data.is_control_image")
            return
        for rank, ending in enumerate(_MASKS):
            if not stem.endswith(ending):
                continue
            partners = self._by_name.get((image.path.parent, stem.removesuffix(ending)), [])
            if ending == _MASK or (partners and image.caption is None):
                self._take(image, partners, rank)
                return

    def _is_target(self, image: ImageFile, stem: str) -> bool:
        """Whether it is one of a pair, whatever its name ends in."""
        suffix = _folded(self.settings.diff_target_name)
        if not suffix or not stem.endswith(suffix):
            return False
        return (image.path.parent, stem.removesuffix(suffix)) in self._by_name

    def _take(self, mask: ImageFile, images: list[ImageFile], rank: int) -> None:
        self._taken.add(mask)
        if not images:
            self._left_out[mask] = message("data.is_mask_alone")
        for image in images:
            self._masks.setdefault(image, []).append((rank, mask))

    # ---- a folder elsewhere -----------------------------------------------------------------------------------------

    def take_from(self, masks: Found) -> None:
        """Take those of another folder, by the place and the name of each image, before all others."""
        by_place: dict[tuple[Path, str], ImageFile] = {}
        by_stem: dict[str, list[ImageFile]] = {}
        for mask in masks.images:
            by_place[mask.path.parent.relative_to(masks.folder), _folded(mask.path.stem)] = mask
            by_stem.setdefault(_folded(mask.path.stem), []).append(mask)
        for image in self.found.images:
            if masks.folder in image.path.parents:  # the folder is inside that of the images
                self._taken.add(image)
                self._masks.pop(image, None)
                continue
            parts = PurePosixPath(image.name).parent.parts
            places = [Path(*parts[start:]) for start in range(len(parts) + 1)]
            stem = _folded(image.path.stem)
            names = [stem, *(stem + ending for ending in _MASKS)]
            own = [by_place[place, name] for place in places for name in names if (place, name) in by_place]
            own += [by_stem[name][0] for name in names if len(by_stem.get(name, [])) == 1]
            if own:
                self._masks.setdefault(image, []).append((-1, own[0]))

    # ---- the result -------------------------------------------------------------------------------------------------

    def finished(self) -> Found:
        use = self.settings.image_use_masks
        images = []
        for image in self.found.images:
            if image in self._taken or image in self._left_out:
                continue
            ranked = sorted(self._masks.get(image, ()), key=lambda each: each[0])
            images.append(replace(image, mask=ranked[0][1].path) if ranked and use else image)
            for _, extra in ranked[1:]:
                self._left_out.setdefault(extra, message("data.is_second_mask", other=image.name))
        if not use:
            unused = message("data.is_mask_unused", setting=label("image_use_masks"))
            self._left_out |= dict.fromkeys(self._taken, unused)
        return replace(self.found, images=tuple(images), companions=tuple(self._companions()))

    def _companions(self) -> Iterator[tuple[str, Message]]:
        """Those of one kind in a folder together."""
        together: dict[tuple[Path, str], list[ImageFile]] = {}
        for image in sorted(self._left_out, key=lambda each: natural_key(each.name)):
            together.setdefault((image.path.parent, self._left_out[image].key), []).append(image)
        for images in together.values():
            first, *others = images
            what = self._left_out[first]
            if others:
                what = message("data.and_others", what=what, count=len(others))
            yield first.name, what


def image_stems(image: ImageFile) -> Iterator[str]:
    """What the image that belongs to a mask or a control image may be called."""
    stem = _folded(image.path.stem)
    yield stem
    for ending in (*_MASKS, _CONTROL):
        if stem.endswith(ending):
            yield stem.removesuffix(ending)
