"""The captions of a set, image by image: described, put into words, joined with what is there, and written."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ..data.images.decoding import load_transparent, whole_files_only
from ..data.problems import FileError, FileProblem
from ..errors import DataError
from ..sets.image_set import ImageSet, Item
from ..text.messages import Message, message
from .base import Captioner, Check
from .merging import MISSING, merged
from .tag_choice import TagChoice, words_of

_WRITTEN_EVERY = 30.0
"""Seconds at most until what was found is on the disk."""


@dataclass(frozen=True)
class Plan:
    """What is to be done to the captions.

    Attributes:
        mode: one of :data:`~.merging.MODES`.
        trigger: put in front of every caption that is written.
        choice: which tags, and how they are written.
    """

    mode: str = MISSING
    trigger: str = ""
    choice: TagChoice = field(default_factory=TagChoice)


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        written: how many captions are new or changed.
        kept: how many images keep the caption they have.
        nothing: how many images nothing was found in.
        problems: about images that were left out.
    """

    written: int = 0
    kept: int = 0
    nothing: int = 0
    problems: list[FileProblem] = field(default_factory=list)


def caption_set(
    images: ImageSet,
    captioner: Captioner,
    plan: Plan,
    what: Message,
    *,
    names: Collection[str] | None = None,
    outcome: Outcome,
    check: Check,
    progress: Callable[[int, int], None],
) -> Outcome:
    """Describe the images of a set and write their captions, which one undo takes back together.

    A caption that somebody else changes meanwhile stays as it is.

    Args:
        what: what is done, in words, for the journal.
        names: of the images; None for all of the set.
        outcome: filled as it goes, so that those who stop it know what came of it.
        check: raises ``Stopped``; what was found until then is written.
        progress: called with how many images are done, of how many.

    Raises:
        Stopped: from ``check``.
        UserError: what describes the images cannot go on, or the captions cannot be written.
    """
    writer = _Writer(images, what, outcome)
    items = [each for each in images.items(check=check) if names is None or each.name in names]
    progress(0, len(items))
    with whole_files_only():
        try:
            for done, item in enumerate(items, 1):
                check()
                _describe(item, captioner, plan, writer, check)
                progress(done, len(items))
        finally:
            writer.flush()
    return outcome


def _describe(item: Item, captioner: Captioner, plan: Plan, writer: _Writer, check: Check) -> None:
    if item.problem is not None:
        writer.leave(item, item.problem)
    elif plan.mode == MISSING and item.caption:
        writer.outcome.kept += 1
    else:
        try:
            image = load_transparent(item.path, may_be_smaller=True)
        except FileError as error:
            writer.leave(item, error.problem)
            return
        words = words_of(captioner.describe(image, check), plan.choice)
        if not words:
            writer.outcome.nothing += 1
        after = merged(item.caption, words, plan.mode, plan.trigger) if words or plan.trigger else None
        writer.add(item, after)


class _Writer:
    """Writes captions some at a time: an hour's work is not lost, and no image waits for the disk."""

    def __init__(self, images: ImageSet, what: Message, outcome: Outcome) -> None:
        self.outcome = outcome
        self._images, self._what = images, what
        self._part = secrets.token_hex(8)
        self._before: dict[str, str] = {}
        self._after: dict[str, str] = {}
        self._written_at = time.monotonic()

    def leave(self, item: Item, problem: Message) -> None:
        """Note that an image keeps what it has, because of a problem."""
        self.outcome.problems.append(FileProblem(item.name, problem, message("captioning.left_out"), left_out=True))

    def add(self, item: Item, caption: str | None) -> None:
        """Have a caption written soon; None keeps the one that is there."""
        if caption is None:
            self.outcome.kept += 1
            return
        self._before[item.name], self._after[item.name] = item.caption, caption
        if time.monotonic() - self._written_at > _WRITTEN_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting.

        Raises:
            OutputError: a file cannot be written.
        """
        before, after = self._before, self._after
        self._before, self._after = {}, {}
        try:
            self._write(after, before)
        except DataError:  # one of them has gone: the others are written all the same
            for name, caption in after.items():
                try:
                    self._write({name: caption}, before)
                except DataError as error:
                    what = message("captioning.changed_meanwhile") if error.where == name else error.message
                    self._left(name, what)
        self._written_at = time.monotonic()

    def _write(self, captions: dict[str, str], known: dict[str, str]) -> None:
        if captions:
            done = self._images.write(captions, self._what, known=known, part=self._part)
            self.outcome.written += done.count
            for name in done.left:
                self._left(name, message("captioning.changed_meanwhile"))

    def _left(self, name: str, what: Message) -> None:
        self.outcome.problems.append(FileProblem(name, what, message("captioning.left_out"), left_out=True))
