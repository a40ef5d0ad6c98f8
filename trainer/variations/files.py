"""Variations of an image file, or of every image of a folder, written beside it and never over anything."""

from __future__ import annotations

import io
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..config.settings import Settings
from ..data.captions.text_files import MOST_BYTES
from ..data.companions import sort_out
from ..data.files import ImageFile, find_images
from ..data.images.decoding import load_transparent, whole_files_only
from ..data.problems import FileError, FileProblem
from ..errors import DataError
from ..paths import open_file, path_of, write_unless_there
from ..text.messages import message
from .make import drawn, varied
from .recipe import Recipe, field_label

MARK = "_rot_"
"""Between an image's name and the number of its variation."""
MOST_SHOWN, SHOWN_SIDE = 6, 256
"""How many variations are shown before any is written, and how large at most."""
_MADE = re.compile(rf"(.+){MARK}[0-9]{{3,}}")
_CAPTIONS = (".txt", ".caption")


@dataclass(frozen=True)
class Planned:
    """One variation that will be written."""

    source: ImageFile
    number: int
    path: Path


@dataclass(frozen=True)
class Written:
    """What came of it.

    Attributes:
        folder: where the variations are.
        images, variations: how many were varied, and how many files that made.
        seed: as it was used.
        problems: images that were left out, with the reason.
    """

    folder: Path
    images: int
    variations: int
    seed: int
    problems: tuple[FileProblem, ...]


# ---- what will be written -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """The images and the folder of a recipe; its seed is drawn."""

    recipe: Recipe
    sources: tuple[ImageFile, ...]
    folder: Path
    seed: int

    @staticmethod
    def of(recipe: Recipe) -> Plan:
        """Raises:
        DataError: there is no such image or folder, or no image in it.
        """
        path = _existing(recipe.source)
        sources, folder = _images(path, recipe.source) if path.is_dir() else ((_alone(path),), path.parent)
        if recipe.folder:
            folder = _written(recipe.folder, "folder")
        if folder.is_file():
            raise DataError("data.target_is_file", where=field_label("folder"), path=folder)
        stems = {each.path.with_suffix("") for each in sources}
        inner = folder if path in folder.parents else None
        kept = tuple(each for each in sources if each.path == path or not _is_made(each.path, stems, inner))
        if not kept:
            raise DataError("data.only_variations", where=field_label("source"), folder=path)
        seed = random.SystemRandom().randrange(2**32) if recipe.seed < 0 else recipe.seed
        return Plan(recipe, kept, folder, seed)

    @property
    def total(self) -> int:
        return len(self.sources) * self.recipe.number

    def variations(self) -> Iterator[Planned]:
        """In the order of the images; numbers that are taken on the disk are passed over."""
        used: Counter[Path] = Counter()
        for source in self.sources:
            parent = self.folder / Path(source.name).parent
            stem = self.folder / f"{self.recipe.name}_" if self.recipe.name else parent / f"{source.path.stem}{MARK}"
            for _ in range(self.recipe.number):
                used[stem] += 1
                while _taken(stem, used[stem]):
                    used[stem] += 1
                yield Planned(source, used[stem], Path(f"{stem}{used[stem]:03d}.png"))

    def image(self, planned: Planned, original: Image.Image) -> Image.Image:
        return varied(original, drawn(self.recipe.ranges, self.seed, planned.source.name, planned.number))


def _taken(stem: Path, number: int) -> bool:
    return any(os.path.lexists(f"{stem}{number:03d}{ending}") for ending in (".png", *_CAPTIONS))


def _written(text: str, field: str) -> Path:
    return Path(os.path.abspath(path_of(text, field_label(field), to_write=field == "folder")))


def _existing(text: str) -> Path:
    path = _written(text, "source")
    if not os.path.exists(path):
        raise DataError("data.source_missing", where=field_label("source"), path=text)
    return path


def _images(folder: Path, text: str) -> tuple[tuple[ImageFile, ...], Path]:
    try:
        found = sort_out(find_images(folder), Settings())  # masks and control images are not varied
    except DataError as error:
        raise error.at(field_label("source")) from error
    if not folder.name:
        raise DataError("data.no_folder_beside", where=field_label("folder"), path=text)
    return found.images, folder.with_name(f"{folder.name}{MARK.rstrip('_')}")


def _alone(path: Path) -> ImageFile:
    captions = (path.with_suffix(ending) for ending in _CAPTIONS)
    return ImageFile(path, path.name, next((each for each in captions if each.is_file()), None))


def _is_made(path: Path, stems: set[Path], inner: Path | None) -> bool:
    """Whether an image of a folder is a variation that was made before: of another one, or into a folder in it."""
    if inner is not None and inner in path.parents:
        return True
    made = _MADE.fullmatch(path.stem)
    return made is not None and path.with_name(made[1]) in stems


# ---- making them ----------------------------------------------------------------------------------------------------


def shown(plan: Plan) -> Iterator[tuple[str, Image.Image]]:
    """A few of the variations, small, as they will be: file names and images. Of several images one each.

    Raises:
        DataError: an image cannot be read.
    """
    several = len(plan.sources) > 1
    few = Plan(plan.recipe, plan.sources[:MOST_SHOWN], plan.folder, plan.seed)
    seen: Counter[Path] = Counter()
    given = 0
    for planned, original in _opened(few.variations()):
        if isinstance(original, FileError):
            raise original
        seen[planned.source.path] += 1
        if several and seen[planned.source.path] > 1:
            continue
        original.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        try:
            made = plan.image(planned, original)
        except FileError as error:
            raise error.at(planned.source.name) from error
        yield planned.path.name, made
        given += 1
        if given == MOST_SHOWN:
            return


def write(
    plan: Plan,
    *,
    check: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write all variations. What is there already stays, whatever it is called.

    Args:
        check: called before each one; may raise to stop. What is written by then stays.
        progress: called with how many are done, and how many there are.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    problems: dict[str, FileProblem] = {}
    varied_ones: set[Path] = set()
    count = 0
    for done, (planned, original) in enumerate(_opened(plan.variations()), start=1):
        if check is not None:
            check()
        name = planned.source.name
        if isinstance(original, FileError):
            problems[name] = _left_out(name, original)
        else:
            try:
                made = plan.image(planned, original)
            except FileError as error:
                problems[name] = _left_out(name, error)
            else:
                count += _put(plan, planned, made)
                varied_ones.add(planned.source.path)
        if progress is not None:
            progress(done, plan.total)
    return Written(plan.folder, len(varied_ones), count, plan.seed, tuple(problems.values()))


def _left_out(name: str, error: FileError) -> FileProblem:
    return FileProblem(name, error.problem, message("data.is_left_out"), left_out=True)


def _opened(planned: Iterator[Planned]) -> Iterator[tuple[Planned, Image.Image | FileError]]:
    """Each with its image, which is read once for all its variations, and what is wrong with it otherwise."""
    path: Path | None = None
    original: Image.Image | FileError | None = None
    for each in planned:
        if each.source.path != path:
            path = each.source.path
            try:
                with whole_files_only():
                    original = load_transparent(path)
            except FileError as error:
                original = error
        assert original is not None
        yield each, original


def _bytes(caption: Path) -> bytes:
    with open_file(caption) as file:
        return file.read(MOST_BYTES)


def _put(plan: Plan, planned: Planned, image: Image.Image) -> bool:
    data = io.BytesIO()
    image.save(data, "PNG")
    if not write_unless_there(planned.path, [data.getvalue()]):
        return False
    caption = planned.source.caption
    if plan.recipe.captions and caption is not None:
        write_unless_there(planned.path.with_suffix(caption.suffix.lower()), [_bytes(caption)])
    return True
