"""A preview of the data before any model is loaded: the scan and the crops that a run would use."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...config.choices import MODES
from ...config.settings import Settings, effective
from ...config.size import Size
from ...data.images.memory import DecodingMemory
from ...data.problems import summed_up
from ...errors import UserError
from ...job import Account
from ...paths import Folders
from ...text.messages import message
from .messages import account_rows
from .tasks import DONE, Check, Progress, Task

if TYPE_CHECKING:
    from ...data.samples import Sample, Scan

FROM_FOLDER: Final = tuple(name for name, mode in MODES.items() if mode.learns_from_folder)
"""The modes whose data can be looked at."""
FIELDS = (
    "mode", "lora_data_directory", "dataset_config", "reg_data_directory", "diff_target_name", "lora_trigger_word",
    "image_size", "image_buckets_step", "image_min_length", "image_max_ratio", "sub_image_num", "image_num_multiply",
    "image_mirroring", "image_use_filename_as_tag", "image_disable_upscale", "image_bucketing",
    "image_bucket_reso_steps", "image_min_bucket_reso", "image_max_bucket_reso", "image_random_flip",
    "image_color_augmentation", "image_random_crop", "image_use_masks", "image_mask_directory", "caption_extension",
    "caption_lines", "caption_shuffle", "caption_keep_tokens", "caption_keep_tokens_separator", "caption_separator",
    "caption_secondary_separator", "caption_prefix", "caption_suffix", "caption_dropout_rate",
    "caption_dropout_every_n_epochs", "caption_tag_dropout_rate", "caption_wildcards", "caption_weights",
    "caption_max_tokens", "diff_use_diff_mask",
    "validation_split", "train_iterations", "train_epochs", "train_batch_size", "train_gradient_accumulation",
    "train_self_reg", "train_self_reg_images",
)  # fmt: skip
"""The settings that say what is trained of a folder, and how often."""
THUMBNAIL = 256
"""Longest side, in pixels."""
MOST_IN_A_PAGE = 200
MOST_PROBLEMS = 200


@dataclass(frozen=True)
class Look:
    """The settings that were looked at, and what was found."""

    settings: Settings
    scan: Scan
    account: Account

    @cached_property
    def by_frame(self) -> dict[Size, list[int]]:
        """Frame -> the indices in ``scan.distinct`` of its samples."""
        found: dict[Size, list[int]] = {}
        for place, sample in enumerate(self.scan.distinct):
            found.setdefault(sample.frame, []).append(place)
        return found

    def summary(self) -> dict[str, Any]:
        scan = self.scan
        counts = {frame: len(places) for frame, places in sorted(self.by_frame.items())}
        return {
            "mode": self.settings.mode,
            "folder": scan.place,
            "pictures": scan.images,
            "pairs": scan.pairs,
            "left_out": scan.left_out,
            "samples": len(scan.distinct),
            "repeats": self.settings.image_num_multiply,
            "buckets": [{"width": width, "height": height, "count": each} for (width, height), each in counts.items()],
            "captions": {
                "files": scan.captions.files,
                "names": scan.captions.names,
                "empty": scan.captions.empty,
                "missing": scan.captions.missing,
            },
            "trigger_word": self.settings.lora_trigger_word.strip(),
            "problems": [{"file": each.name, "what": each.what, "done": each.done}
                         for each in scan.problems[:MOST_PROBLEMS]],
            "problems_in_all": len(scan.problems),
            "problem_lines": summed_up(scan.problems),
            "notes": list(scan.notes),
            "account": account_rows(self.account),
        }  # fmt: skip

    def described(self, place: int) -> dict[str, Any]:
        sample = self.scan.distinct[place]
        target = None if sample.target is None else self._side(sample.target)
        return {"place": place, **self._side(sample), "frame": list(sample.frame), "target": target}

    def _side(self, sample: Sample) -> dict[str, Any]:
        return {
            "name": _within(sample.path, self.scan.folder),
            "caption": sample.caption,
            "size": list(sample.size),
            "kept": 1 - sample.cut_off,
            "scale": sample.scaled[0] / sample.size[0],
            "mirrored": sample.mirrored,
            "masked": sample.has_alpha,
        }


class Preview:
    """One for the page. A new look replaces the last one, which is stopped if it is still running.

    Args:
        folders: where what is known of images is kept for the next look and for runs; None: nowhere.
    """

    def __init__(self, folders: Folders | None = None) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._task: Task[Look] | None = None
        self._problem: UserError | None = None
        self._asked: Mapping[str, Any] | None = None
        self._memory = DecodingMemory()

    def look(self, settings: Settings, asked: Mapping[str, Any] | None = None) -> None:
        """Begin to look at the data of these settings; returns at once.

        Args:
            asked: what the page's :data:`FIELDS` held, so that it can tell later whether they still do.

        Raises:
            UserError: the mode has no folder of images.
        """
        if settings.mode not in FROM_FOLDER:
            raise UserError("web.no_folder_in_mode", where=settings.mode, modes=list(FROM_FOLDER))

        def work(check: Check, progress: Progress) -> Look:
            from ...data.account import account_of
            from ...data.cache import open_cache
            from ...data.look import look_over
            from ...data.pairs.scan import scan_for_mode

            used = effective(settings)
            kept = nullcontext() if self._folders is None else open_cache(self._folders, used.data_cache)
            with kept as cache:
                scan = scan_for_mode(used, check=check, progress=progress, cache=cache)
            return Look(used, scan, account_of(used, look_over(scan, check)))

        self._begin(Task(work), None, asked)

    def refuse(self, problem: UserError, asked: Mapping[str, Any] | None = None) -> None:
        """Show why there is nothing to look at."""
        self._begin(None, problem, asked)

    def close(self) -> None:
        """Forget what was found, and stop looking."""
        self._begin(None, None)

    def _begin(
        self, task: Task[Look] | None, problem: UserError | None, asked: Mapping[str, Any] | None = None
    ) -> None:
        with self._lock:
            before, self._task, self._problem, self._asked = self._task, task, problem, asked
        if before is not None:
            before.stop()

    def stop(self) -> None:
        task = self._task
        if task is not None:
            task.stop()

    def state(self, known: str = "") -> dict[str, Any]:
        """How far it is, what was asked, and what was found, unless the look is the one named ``known``."""
        with self._lock:
            task, problem, asked = self._task, self._problem, self._asked
        if task is None:
            return {"state": "failed" if problem else "none", "name": "", "problem": problem or "", "asked": asked}
        found = task.result
        return {
            "asked": asked,
            "state": task.state,
            "name": task.name,
            "problem": task.problem or "",
            "done": task.done,
            "total": task.total,
            "found": None if task.state != DONE or found is None or task.name == known else found.summary(),
        }

    def page(self, first: int, count: int, frame: Size | None = None) -> dict[str, Any]:
        """Some of the samples, in the order of the files, of one bucket or of all."""
        look = self._found()
        places: Any = range(len(look.scan.distinct)) if frame is None else look.by_frame.get(frame, [])
        first = max(0, first)
        here = places[first : first + min(max(0, count), MOST_IN_A_PAGE)]
        return {"first": first, "count": len(places), "samples": [look.described(place) for place in here]}

    def image(self, name: str, place: int, *, target: bool = False, whole: bool = False) -> tuple[bytes, str] | None:
        """An image as it would be trained, as the bytes of a file and their media type; None if there is no such image.

        Args:
            name: of the look it belongs to.
            target: of a pair, the target instead of the original.
            whole: at full size instead of small.

        Raises:
            DataError: its file is gone, or has changed.
        """
        task = self._task
        look = None if task is None or task.name != name else task.result
        if look is None or not 0 <= place < len(look.scan.distinct):
            return None
        sample = look.scan.distinct[place]
        side = sample.target if target else sample
        if side is None:
            return None
        return _content(side, self._memory, whole=whole)

    def _found(self) -> Look:
        task = self._task
        if task is None or task.result is None:
            raise UserError("web.no_preview", button=message("data.look"))
        return task.result


def _content(sample: Sample, memory: DecodingMemory, *, whole: bool) -> tuple[bytes, str]:
    import numpy as np
    from PIL import Image

    from ...data.samples import pixels_of

    pixels, mask = pixels_of(sample, memory)
    image = Image.fromarray(pixels)
    if mask is not None:
        image.putalpha(Image.fromarray(np.rint(mask * 255).astype(np.uint8)))
    if not whole:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
    kind = "JPEG" if mask is None and not whole else "PNG"
    content = io.BytesIO()
    image.save(content, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return content.getvalue(), f"image/{kind.lower()}"


def _within(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if folder in path.parents else path.name
