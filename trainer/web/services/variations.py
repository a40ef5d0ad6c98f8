"""What the Image tab does: show a few variations, and write all of them in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .tasks import DONE, Check, OneTask, Progress
from .uploads import data_address

if TYPE_CHECKING:
    from ...variations.files import Written

MOST_PROBLEMS = 100


class Variations:
    """One for the page; it writes one set of variations at a time."""

    def __init__(self) -> None:
        self._writing: OneTask[Written] = OneTask("web.variations_running")

    def shown(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A few variations as they will be written, and where to.

        Raises:
            UserError: a field is wrong, or there is no such image.
        """
        from ...variations.files import Plan, shown
        from ...variations.recipe import recipe_from

        plan = Plan.of(recipe_from(given))
        images = [{"name": name, "picture": data_address(image)} for name, image in shown(plan)]
        return {"pictures": images, "seed": plan.seed, "total": plan.total, "folder": str(plan.folder)}

    def start(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Start writing them; returns at once.

        Raises:
            UserError: a field is wrong, there is no such image, or others are being written.
        """
        from ...variations.files import Plan, write
        from ...variations.recipe import recipe_from

        plan = Plan.of(recipe_from(given))

        def work(check: Check, progress: Progress) -> Written:
            progress(0, plan.total)
            return write(plan, check=check, progress=progress)

        self._writing.begin(work)
        return self.state()

    def stop(self) -> dict[str, Any]:
        """Stop; files that are written already stay."""
        self._writing.stop()
        return self.state()

    def close(self) -> None:
        """Stop, and wait for the file that is being written."""
        self._writing.close()

    def state(self) -> dict[str, Any]:
        task = self._writing.latest
        if task is None:
            return {"state": "none"}
        found = task.result
        return {
            "state": task.state,
            "done": task.done,
            "total": task.total,
            "problem": task.problem or "",
            "written": _told(found) if task.state == DONE and found is not None else None,
        }


def _told(found: Written) -> dict[str, Any]:
    return {
        "folder": str(found.folder),
        "pictures": found.images,
        "variations": found.variations,
        "seed": found.seed,
        "problems": [{"file": each.name, "what": each.what, "done": each.done}
                     for each in found.problems[:MOST_PROBLEMS]],
        "problems_in_all": len(found.problems),
    }  # fmt: skip
