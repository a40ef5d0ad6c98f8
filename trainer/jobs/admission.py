"""What is asked of a job before it waits in the queue: of its data the same as its run will ask.

It refuses what the run would refuse, with the same error, so that nobody finds it out the next morning. It may not
take long, though, and it may not refuse by mistake: a folder with more images than can be looked at in
:data:`~.store.LOOK_SECONDS` is taken as it is, and so is one on a drive that does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..config.check import check_for_run
from ..config.settings import Settings, effective
from ..errors import SettingsError
from ..job import Account
from ..paths import Folders
from .store import LOOK_SECONDS

if TYPE_CHECKING:
    from ..data.look import Check, Progress
    from ..engine.host import Host


def admitted(
    settings: Settings,
    folders: Folders,
    host: Host | None = None,
    *,
    seconds: float = LOOK_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> Account:
    """The account of a job's data, as far as it can be had in time.

    Args:
        host: whose model the job trains on; None where none has been made yet.
        progress: called with how many images are done, and how many there are.

    Raises:
        SettingsError: the settings would not train.
        DataError: the data would not.
    """
    problems = check_for_run(settings)
    if problems:
        raise SettingsError(problems)
    used = effective(settings)
    from ..data.cache import open_cache
    from ..data.epochs import counted_by
    from ..data.look import Look, look, within
    from ..engine.account import account_before

    def work(check: Check, advance: Progress) -> Look:
        def both(done: int, total: int) -> None:
            advance(done, total)
            if progress is not None:
                progress(done, total)

        with open_cache(folders, used.data_cache) as cache:
            return look(used, check=check, progress=both, cache=cache)

    found, steps = within(seconds, work), 0
    if used.train_epochs and isinstance(found, Look):
        counted = counted_by(used, found.images)
        problems = check_for_run(replace(counted, train_epochs=0))  # what depends on the number of steps
        if problems:
            raise SettingsError(problems)
        steps = counted.train_iterations
    return replace(account_before(used, found, host), steps=steps)


def require_model(settings: Settings, host: Host) -> None:
    """What is asked of a job's model before the job waits: its headers only.

    Raises:
        ModelError: no model is chosen, or it cannot be trained on. Where an empty choice means the loaded model, that
            is known only when the run begins.
    """
    used = effective(settings)
    if used.model or not host.lends_model:
        host.check_model(used)
