"""Images that a run made and that are still on the disk: the strip at its end, and those made during training."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from ...claims import STEP_ENDING, files_of
from ...errors import OutputError, UserError
from ...job import Job, Preview
from ...jobs.run_status import latest_previews
from ...models.checkpoint.header import read_header
from ...networks.files import picture
from ...networks.files.edit import copied
from ...networks.files.settings import settings_of
from ...paths import Folders, candidates, is_file, open_file, path_problem, write_whole
from ...text.messages import Message, from_json

_STRIP = "effect.png"
_SAMPLE = re.compile(r"(\d+)_(?:p(\d+)_)?[+-].*\.png")


@dataclass(frozen=True)
class RunImages:
    """Attributes:
    folder: where they are: the run's folder within the day's; None if there are none.
    strip: the LoRA at several strengths.
    prompt: what the strip was made from.
    words: whether the LoRA does what was asked, in sentences.
    images: the latest made during training, oldest first.
    """

    folder: Path | None = None
    strip: Path | None = None
    prompt: str = ""
    words: tuple[Message, ...] = ()
    images: tuple[Preview, ...] = ()


def of_lora(path: Path, folders: Folders) -> RunImages:
    """Those of the run that made a LoRA file; the file says when the run began and under which name."""
    try:
        settings = settings_of(path).settings
        metadata = read_header(path).metadata
        began = datetime.fromtimestamp(float(metadata["ss_training_started_at"])).astimezone()
    except (UserError, KeyError, ValueError, OverflowError, OSError):
        return RunImages()  # made by another program
    folder = files_of(metadata.get("ss_session_id", ""), Job(settings, began).name, began, folders).samples
    if not folder.is_dir():
        return RunImages()
    found = ((_SAMPLE.fullmatch(each.name), each) for each in folder.iterdir())
    images = sorted((int(match[1]), int(match[2] or 0), each) for match, each in found if match)
    latest = latest_previews([Preview(step, each, number) for step, number, each in images])
    told = _told(folder / _STRIP)
    if told.get("lora") != metadata.get("ss_output_name"):  # a run may save several LoRAs
        return RunImages(folder, images=latest)
    # Not splitlines: a prompt may hold other ends of lines than the one that JSON escapes.
    words = tuple(from_json(line) for line in told.get("words", "").split("\n") if line)
    return RunImages(folder, folder / _STRIP, told.get("prompt", ""), words, latest)


def image(day: str, run: str, name: str, folders: Folders) -> Path | None:
    """The file of one of them, or None. The names may come from anyone."""
    root = (folders.data / "samples").resolve()
    if any(path_problem(part) for part in (day, run, name)):
        return None
    path = (root / day / run / name).resolve()
    is_one = len(path.parents) > 2 and path.parents[2] == root and path.suffix == ".png"
    return path if is_one and os.path.isfile(path) else None


def described(image: Preview) -> dict[str, Any]:
    """For the page: where there are several prompts, with the number of its own, and the prompt if it is known;
    "kept" where the LoRA of its step lies beside it."""
    told: dict[str, Any] = {"step": image.step, "name": image.path.name}
    if image.path.with_suffix(STEP_ENDING).is_file():
        told["kept"] = True
    return {**told, "number": image.number, "prompt": image.prompt} if image.number else told


def lora_of(day: str, run: str, name: str, folders: Folders) -> Path | None:
    """The LoRA of the step of one of the images, as long as it lies beside it. The names may come from anyone."""
    of_image = image(day, run, name, folders)
    path = None if of_image is None else of_image.with_suffix(STEP_ENDING)
    return path if path is not None and os.path.isfile(path) else None


def prompt_of(image: Path) -> str:
    """What an image made during training shows; empty where its file does not say."""
    from PIL import Image

    from ...engine.previews import PROMPT_KEY  # with torch

    try:
        with open_file(image) as file, Image.open(file) as opened:
            return str(opened.info.get(PROMPT_KEY, ""))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def kept_before(lora: Path, folders: Folders) -> Path | None:
    """Where the LoRA of a step is among the others, if it was kept before.

    Args:
        lora: see :func:`lora_of`.

    Raises:
        UserError: it cannot be read.
    """
    target, metadata = _place_for(lora, folders)
    return next((each for each in takewhile(is_file, candidates(target)) if _is_of_same_step(each, metadata)), None)


def keep(lora: Path, folders: Folders) -> Path:
    """Copy the LoRA of a step to the others, under a free name, with the image of the step as its picture.

    Args:
        lora: see :func:`lora_of`.

    Returns:
        The copy; the one that is there if the step was kept before.

    Raises:
        UserError: it cannot be read, or the copy cannot be written.
    """
    there = kept_before(lora, folders)
    if there is not None:
        return there
    copy = copied(lora, _place_for(lora, folders)[0])
    beside = copy.with_name(copy.stem + picture.ENDING)
    # The LoRA is what was asked for; without a picture of its own, the gallery shows another one of the run.
    with suppress(OSError, OutputError):
        if not beside.exists():
            with open_file(lora.with_suffix(".png")) as file:
                write_whole(beside, [file.read()])
    return copy


def _place_for(lora: Path, folders: Folders) -> tuple[Path, Mapping[str, str]]:
    """Where the LoRA of a step goes if nothing is there, and its metadata."""
    name, metadata = Path(settings_of(lora).settings.save_lora_name), read_header(lora).metadata
    stem = Path(metadata.get("ss_output_name", "")).name or f"{name.name}_{metadata.get('ss_steps', '')}steps"
    return folders.loras / name.parent / f"{stem}{STEP_ENDING}", metadata


def _is_of_same_step(there: Path, metadata: Mapping[str, str]) -> bool:
    """Whether a LoRA file is of the same run and step as one with this metadata."""
    try:
        found = read_header(there).metadata
    except UserError:
        return False
    return all(found.get(key) == metadata.get(key, "") for key in ("ss_session_id", "ss_steps"))


def as_json(kept: RunImages) -> dict[str, Any]:
    """For the page."""
    return {
        "folder": None if kept.folder is None else [kept.folder.parent.name, kept.folder.name],
        "strip": None if kept.strip is None else kept.strip.name,
        "prompt": kept.prompt,
        "words": list(kept.words),
        "pictures": [described(each) for each in kept.images],
    }


def _told(strip: Path) -> dict[str, str]:
    """What the strip's metadata says; nothing if there is no strip."""
    from PIL import Image

    from ...engine.effect import LORA_KEY, PROMPT_KEY, WORDS_KEY  # with torch

    keys = {"lora": LORA_KEY, "prompt": PROMPT_KEY, "words": WORDS_KEY}
    try:
        with open_file(strip) as file, Image.open(file) as opened:
            return {name: str(opened.info.get(key, "")) for name, key in keys.items()}
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return {}
