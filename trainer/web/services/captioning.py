"""Describing the images of a set in the background: what can do it, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...paths import Folders
from ...text.messages import message
from .tasks import Check, OneTask, Progress, Task

if TYPE_CHECKING:
    from ...captioning.base import Captioner
    from ...captioning.work import Outcome
    from ...engine.host import Host
    from ...sets.image_set import ImageSet

_MOST_PROBLEMS: Final = 50


@dataclass(frozen=True)
class _Work:
    """What is being done, or was last."""

    task: Task[None]
    number: str
    outcome: Outcome
    captioner: Captioner


class Captioning:
    """One for the page; it works on one set at a time."""

    def __init__(self, folders: Folders, host: Callable[[], Host], prepare: Callable[[], object]) -> None:
        """Args:
        host: may take seconds to be made.
        prepare: imports what captioners need, one thread after the other; may take longer.
        """
        self._folders, self._host, self._prepare = folders, host, prepare
        self._one: OneTask[None] = OneTask("captioning.already")
        self._latest: _Work | None = None

    def sources(self) -> dict[str, Any]:
        """What can describe images here, and where to put more of it."""
        from ...captioning.find import own_folder
        from ...captioning.opening import sources

        found = sources(self._folders, self._host())
        return {
            "captioners": [
                {
                    "name": each.name,
                    "label": each.label,
                    "makes": each.makes,
                    "takes_prompt": each.takes_prompt,
                    "problem": each.problem or "",
                }
                for each in found
            ],
            "folder": str(own_folder(self._folders)),
        }

    def start(
        self, number: str, images: ImageSet, given: Mapping[str, Any], names: Sequence[str] | None
    ) -> dict[str, Any]:
        """Begin to describe the images of a set; returns at once.

        Args:
            number: the set's id.
            given: the fields of a :class:`~trainer.captioning.request.CaptionRequest`.
            names: the images; None for all.

        Raises:
            UserError: a field is wrong, what was chosen cannot be used, or others are being described.
        """
        from ...captioning.opening import name_of_choice, open_captioner
        from ...captioning.request import request_from
        from ...captioning.work import Outcome, caption_set

        request, host = request_from(given), self._host()
        what = message("captioning.did", name=name_of_choice(request, self._folders, host))
        captioner = open_captioner(request, self._folders, host, prepare=self._prepare)
        outcome = Outcome()

        def work(check: Check, progress: Progress) -> None:
            try:
                caption_set(
                    images, captioner, request.plan, what, names=names, outcome=outcome, check=check, progress=progress
                )
            finally:
                captioner.close()

        self._latest = _Work(self._one.begin(work), number, outcome, captioner)
        return self.state()

    def stop(self) -> dict[str, Any]:
        """Stop; what was found until then stays."""
        self._one.stop()
        return self.state()

    def close(self) -> None:
        """Stop, and wait until what was found is written."""
        self._one.close()

    def state(self) -> dict[str, Any]:
        """How far it is, of which set, and what came of it."""
        latest = self._latest
        if latest is None:
            return {"state": "none"}
        task, outcome = latest.task, latest.outcome
        problems = list(outcome.problems)
        return {
            "state": task.state,
            "set": latest.number,
            "done": task.done,
            "total": task.total,
            "problem": task.problem or "",
            "note": message("captioning.on_cpu") if self._is_on_cpu(latest.captioner) else "",
            "written": outcome.written,
            "kept": outcome.kept,
            "nothing": outcome.nothing,
            "problems": [each.message for each in problems[:_MOST_PROBLEMS]],
            "problems_in_all": len(problems),
        }

    def _is_on_cpu(self, captioner: Captioner) -> bool:
        """Whether it computes there although there is a better device."""
        at = getattr(captioner, "at", None)
        return at is not None and at.type == "cpu" and self._host().device.type != "cpu"
