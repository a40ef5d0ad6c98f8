"""The settings a LoRA was trained with, as its own header carries them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from ...config import presets
from ...config.documents import json_object
from ...config.redact import at_home
from ...config.schema import Parsed, parse
from ...errors import UserError
from ...models.checkpoint.header import Header, read_header
from ...paths import candidates
from .find import ENDING

KEY: Final = "trainyard_settings"
"""Of the header's metadata."""
ENDED_EARLY: Final = "trainyard_ended_early"
"""The same: there only if the run was done before its last step."""


def load_settings(name_or_path: str | os.PathLike[str], folders: Iterable[Path]) -> Parsed:
    """Settings from a preset's name, a settings file's path, a LoRA file that carries its settings, a mode's name, or
    a command of sd-scripts.

    Args:
        name_or_path: a name is looked for in ``folders`` first, with or without ``.json``.
        folders: where presets are; the first that has the name gives it.

    Raises:
        UserError: there is no such preset or file, or it cannot be read.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    folders = list(folders)
    if not presets.is_file_or_preset(os.fspath(name_or_path), folders):
        return presets.load(name_or_path, folders)
    path = presets.find(name_or_path, folders)
    return settings_of(path) if path.name.lower().endswith(ENDING) else presets.load_file(path)


def job_of(lora: Path) -> str:
    """The id of the job that made a file (:attr:`.Job.id`); empty if it is no LoRA of ours."""
    try:
        return read_header(lora).metadata.get("ss_session_id", "")
    except UserError:
        return ""


def finished_file(path: Path, job_id: str) -> Path | None:
    """The LoRA a job has trained to its end, at ``path`` or under one of the names beside it; None if there is none."""
    for candidate in itertools.takewhile(os.path.exists, candidates(path)):
        if job_of(candidate) == job_id:
            return candidate if _is_whole(read_header(candidate)) else None
    return None


def is_finished(path: Path, created: datetime) -> bool:
    """Whether a file is the LoRA that a job made at that moment has trained to its end."""
    try:
        header = read_header(path)
    except UserError:
        return False
    return header.metadata.get("ss_training_started_at") == str(created.timestamp()) and _is_whole(header)


def _is_whole(header: Header) -> bool:
    told = header.metadata
    return told.get("ss_steps") == told.get("ss_max_train_steps") or ENDED_EARLY in told


def settings_of(lora: Path) -> Parsed:
    """The settings a LoRA was trained with; its tensors are not read.

    Raises:
        UserError: the file is no model file, or holds no settings of ours.
        SettingsError: it holds settings that are wrong; all of them are named.
    """
    text = read_header(lora).metadata.get(KEY)
    if text is None:
        raise UserError("networks.no_settings", where=str(lora))
    # That it was allowed to replace a file once is no leave to replace this one.
    parsed = parse({**json_object(text, f"{lora}, {KEY}"), "save_overwrite": False})
    return replace(parsed, settings=at_home(parsed.settings))
