"""Texts of the queue and its file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the file of the queue
        "jobs.database_in_use": "It is in use by another program. Try again in a moment.",
        "jobs.database_damaged": (
            "It is damaged ({reason}). Restart the program: the file is kept under another name, and a new one is "
            "created."
        ),
        "jobs.database_unusable": (
            "It could not be read or written ({reason}). Make room on the disk, or choose a data folder you may write "
            "to."
        ),
        "jobs.database_replaced": "{path} was damaged, so a new one was created. What is left of the old one is in "
        "{kept}.",
        "jobs.database_restored": "{path} was damaged. {count:job|jobs} could be read from it, and the queue has all "
        "of them again. What is left of the old file is in {kept}.",
        "jobs.database_restored_in_part": "{path} was damaged. {count:job|jobs} could be read from it, and the queue "
        "has them again. Lost are {lost}. What is left of the old file is in {kept}.",
        "jobs.database_not_renamed": "It is damaged and could not be renamed ({reason}). Move it elsewhere yourself.",
        "jobs.database_is_newer": "It was written by a newer Trainyard. Update Trainyard; nothing was changed.",
        "jobs.folder_not_created": "It could not be created ({reason}). Choose another data folder.",
        "jobs.lease_not_written": "It could not be written ({reason}). Choose another data folder.",
        # ---- what cannot be done with a job
        "jobs.no_such_job": "There is no such job in the queue. Look at its list.",
        "jobs.settings_unusable": "Its settings can no longer be used. Delete the job. What is wrong: {reason}",
        "jobs.cannot_edit": "It is {status}. Duplicate it, and edit the copy.",
        "jobs.cannot_run_again": "It is {status}. Duplicate it to run it once more.",
        "jobs.cannot_continue": "It is {status}. Only jobs that failed, were stopped or interrupted can be continued.",
        "jobs.nothing_to_continue": "It has no state to continue from. Run it again from the beginning.",
        "jobs.cannot_delete": "It is running. Stop it first.",
        "jobs.cannot_move": "It is {status}. Only waiting jobs can be moved.",
        "jobs.name_of_job": "{name} is the name of a job that is {status}. Choose another name, or leave it empty for "
        "a free one.",
        "jobs.file_exists": "{name} already exists. Choose another name, leave it empty for a free one, or set "
        "{overwrite}.",
        "jobs.queue_is_closed": "The queue is closed. Restart the program.",
        # ---- how a job ended
        "jobs.stopped_and_saved": "Stopped at step {step} of {steps}, and saved.",
        "jobs.stopped": "Stopped at step {step} of {steps}. Nothing was saved.",
        "jobs.program_closed_and_saved": "The program was closed at step {step} of {steps}. What was trained by then "
        "is saved.",
        "jobs.program_closed": "The program was closed at step {step} of {steps}. The job will not restart "
        "automatically.",
        "jobs.program_ended": "The program ended while this job was running. The job will not restart automatically.",
        # ---- while a job runs
        "jobs.output_gone": "Progress output stopped: the terminal is gone ({reason}).",
        "jobs.step_not_written": "The queue no longer shows how far this job is: {error}",
    }
)
