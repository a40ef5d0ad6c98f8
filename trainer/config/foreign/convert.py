"""Settings of another program as ours, whole or not at all, with an account of every key."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from ...errors import Problem, SettingsError, UserError, WrongValue
from ...text.messages import Message, literal, message
from ..choices import BLOCKS, TEXT_ENCODERS
from ..schema import Converted, Parsed, parse
from ..settings import ROWS, SECOND_PASS_KEY, Row, Settings
from ..values import read_value, shown, slip_of, to_json_value
from .ai_toolkit import AI_TOOLKIT, flat_ai_toolkit
from .one_trainer import ONE_TRAINER, flat_one_trainer
from .sd_scripts import KOHYA_GUI, LORA_EASY, SD_SCRIPTS, flat_easy, flat_gui, flat_sds
from .synonyms import Given, Program, Synonym, is_off, is_same

PROGRAMS: Final = (KOHYA_GUI, SD_SCRIPTS, LORA_EASY, ONE_TRAINER, AI_TOOLKIT)
_GUI_MARKS: Final = ("LoRA_type", "max_resolution", "model_list", "lr_warmup")
_ONE_TRAINER_MARKS: Final = ("training_method", "base_model_name", "concept_file_name", "output_model_destination")
_OURS: Final = frozenset(name for row in ROWS for name in (row.name, row.key)) | {SECOND_PASS_KEY, "second_pass"}


def program_of(values: Mapping[str, Any]) -> Program | None:
    """The program that has written these settings; None if they are ours, or nobody's.

    What holds any setting that only Trainyard has is ours.
    """
    config = values.get("config")
    if isinstance(config, Mapping) and ("job" in values or "process" in config):
        return AI_TOOLKIT
    if any(_is_section(key, value) for key, value in values.items()):
        return LORA_EASY
    keys = {inner for key, value in values.items() for inner in (value if isinstance(value, Mapping) else [key])}
    if keys & (_OURS - SD_SCRIPTS.by_key.keys()):
        return None
    if any(mark in values for mark in _ONE_TRAINER_MARKS):
        return ONE_TRAINER
    if any(mark in values for mark in _GUI_MARKS):
        return KOHYA_GUI
    return SD_SCRIPTS if keys & ({*SD_SCRIPTS.by_key, "network_args", "model_train_type"} - _OURS) else None


def _is_section(key: str, value: Any) -> bool:
    parts = ("args", "dataset_args")
    return (
        key.endswith("_args")
        and isinstance(value, Mapping)
        and any(isinstance(value.get(each), Mapping) for each in parts)
    )


def read(values: Mapping[str, Any], path: str = "") -> Parsed:
    """Settings of ours or of another program, from a mapping.

    Args:
        path: of the file they are from, if there is one: some hold the data beside the settings.

    Raises:
        UserError: they train what Trainyard does not.
        SettingsError: some are wrong; all of them are named.
    """
    if holds_data(values):
        if not path:
            raise UserError("foreign.is_dataset")
        found = parse({"mode": "LoRA", "dataset_config": path})
        return replace(found, account=(message("foreign.data_alone"),))
    program = program_of(values)
    return parse(values) if program is None else convert(values, program, path)


def holds_data(values: Mapping[str, Any]) -> bool:
    """Whether it is a dataset file of sd-scripts, which says which images are trained, and not how."""
    return isinstance(values.get("datasets"), list) and not any(key in _OURS for key in values)


def convert(values: Mapping[str, Any], program: Program, path: str = "") -> Parsed:
    """Settings of another program; see :func:`read`."""
    try:
        flat = _flat(values, program)
    except UserError as error:
        raise error.at(_place(program, path)) from error
    if program.name in _DATA_WITHIN and flat.get(_DATA_WITHIN[program.name]):
        flat[_DATA_WITHIN[program.name]] = path
    given = program.given(flat)
    try:
        if program.refuse is not None:
            program.refuse(given)
    except UserError as error:
        raise error.at(_place(program, path)) from error
    conversion = _Conversion(program, given)
    settings = _with_paths_from(path, parse(conversion.settings).settings)
    left = [
        key
        for key, value in flat.items()
        if not is_off(value) and program.own_names.get(key, key) not in program.by_key
    ]
    # Nothing is left to a model family's own defaults, but for a size that may be in a dataset file.
    all_given = frozenset(row.name for row in ROWS if row.name != "image_size") | conversion.settings.keys()
    converted = [*conversion.converted(), *_dataset_beside(path, settings)]
    return Parsed(settings, (), all_given, tuple(conversion.account(left)), tuple(converted))


_DATA_WITHIN: Final[Mapping[str, str]] = {
    LORA_EASY.name: "subsets", ONE_TRAINER.name: "concepts", AI_TOOLKIT.name: "datasets"
}  # fmt: skip
"""Where a program's settings hold the data: the same file is the dataset file, then."""


def _flat(values: Mapping[str, Any], program: Program) -> dict[str, Any]:
    flatten = {
        KOHYA_GUI.name: flat_gui,
        LORA_EASY.name: flat_easy,
        ONE_TRAINER.name: flat_one_trainer,
        AI_TOOLKIT.name: flat_ai_toolkit,
    }.get(program.name, flat_sds)
    return flatten(values)


def _with_paths_from(file: str, settings: Settings) -> Settings:
    """Paths that are not where the program runs, but beside the file, made whole: that is where they were meant."""
    beside = Path(file).absolute().parent
    changes: dict[str, Any] = {}
    for row in ROWS:
        written = getattr(settings, row.name) if file and row.kind == "path" else ""
        if written and not os.path.exists(written) and os.path.exists(beside / written):
            changes[row.name] = str(beside / written)
    return replace(settings, **changes)


def _dataset_beside(file: str, settings: Settings) -> list[Converted]:
    """A notebook writes what it trains on into a file of its own, and names that in the command alone."""
    beside = Path(file).absolute().parent / "dataset_config.toml"
    if not file or settings.lora_data_directory or settings.dataset_config or not beside.is_file():
        return []
    return [Converted("dataset_config", (("dataset_config", ""),), message("foreign.dataset_beside", path=beside))]


def _place(program: Program, path: str) -> Message | str:
    return message("foreign.place", path=path, program=program.name) if path else program.name


@dataclass
class _Conversion:
    """One reading of a file by its program's table.

    Attributes:
        settings: short name -> value, as :func:`.schema.parse` takes it.
    """

    program: Program
    given: Given
    settings: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Message] = field(default_factory=dict)
    """Key of the table -> what differs from what the program would do."""
    _set_by: dict[str, list[str]] = field(default_factory=dict)
    """Key of the table -> those of its settings that it has given a value."""

    def __post_init__(self) -> None:
        rows = {row.name: row for row in ROWS}
        problems: dict[str, Problem] = {}
        self.settings |= {name: value for name, value in self.program.fixed.items() if name in rows}
        for synonym in self.program.rows:
            value = self.given.value(synonym.key)
            if value is None or not (synonym.settings or synonym.turn):
                continue
            turned = synonym.turned(value, self.given)
            if turned.note is not None and turned.note not in self.notes.values() and synonym.key in self.given:
                self.notes[synonym.key] = turned.note
            for name, each in turned.settings.items():
                if name in rows and each is not None:
                    self._set(rows[name], each, synonym, problems)
        if problems:
            raise SettingsError(list(problems.values()))

    def _set(self, row: Row, value: Any, synonym: Synonym, problems: dict[str, Problem]) -> None:
        try:
            read_value(value, row)
        except WrongValue as error:
            key = self.program.shown(synonym.key)
            problems.setdefault(row.name, Problem(key, literal(key), error.message))
        else:
            self.settings[row.name] = value
            if row.name in synonym.settings:
                self._set_by.setdefault(synonym.key, []).append(row.name)

    def converted(self) -> list[Converted]:
        """The keys that have become settings, but for those that say what their program does without them."""
        found = []
        for key, value in self._told():
            synonym = self.program.by_key[key]
            names = self._shown_of(synonym)
            note = self._note(key, value)
            is_said = not is_off(value) or any(map(self._differs, names))
            changed = message("foreign.changed", key=self.program.shown(key), value=shown(value), note=note)
            if note is not None or (names and is_said and not is_same(value, synonym.default)):
                values = tuple((name, self._shown(name)) for name in names)
                found.append(Converted(self.program.shown(key), values, None if note is None else changed))
        return found

    def account(self, left: list[str]) -> list[Message]:
        """What became of the keys that set nothing, in sentences.

        Args:
            left: keys that are not in the table.
        """
        without: list[str] = []
        idle: list[str] = []
        for key, value in self._told():
            synonym = self.program.by_key[key]
            is_said = not is_off(value) and not is_same(value, synonym.default)
            if is_said and not self._set_by.get(key) and self._note(key, value) is None:
                (idle if synonym.is_idle else without).append(self.program.shown(key))
        written = [key for key in self._own_keys() if self.program.own_names.get(key, key) not in self.given]
        meant = {key: near for key in left if (near := slip_of(key, written))}
        sentences = [message("foreign.account", program=self.program.name)]
        for key, near in meant.items():
            sentences.append(message("foreign.misspelt", program=self.program.name, key=key, near=near))
        unknown = [key for key in left if key not in meant]
        if without or unknown:
            sentences.append(message("foreign.without", entries=[*without, *unknown]))
        if idle:
            sentences.append(message("foreign.idle", entries=idle))
        return sentences

    def _told(self) -> Iterator[tuple[str, Any]]:
        """The file's keys that are in the table, with their values."""
        for key, value in self.given.values.items():
            if key in self.program.by_key and key not in self.program.unseen:
                yield key, value

    def _own_keys(self) -> list[str]:
        """The program's keys as its users write them."""
        return [self.program.shown(row.key) for row in self.program.rows if row.key not in self.program.unseen]

    def _note(self, key: str, value: Any) -> Message | None:
        """What differs from what the program would do."""
        synonym = self.program.by_key[key]
        is_said = not is_off(value) and not is_same(value, synonym.default)
        return self.notes.get(key) or (message(synonym.note) if synonym.note and is_said else None)

    def _shown_of(self, synonym: Synonym) -> list[str]:
        """The settings that a key is shown with: those that its value has gone into, and no other key stands for."""
        names = [name for name in synonym.settings if name in self._set_by.get(synonym.key, ())]
        of_others = {
            self.program.by_key[key].settings[0] for key, _ in self._told() if self.program.by_key[key].settings
        }
        differing = [name for name in names if self._differs(name)]
        return [name for name in differing if name == names[0] or name not in of_others] or names[:1]

    def _differs(self, name: str) -> bool:
        """Whether a setting has another value than Trainyard would give it."""
        row = next(each for each in ROWS if each.name == name)
        return bool(read_value(self.settings[name], row) != row.default)

    def _shown(self, name: str) -> Message | str:
        row = next(each for each in ROWS if each.name == name)
        value = read_value(self.settings[name], row)
        if row.kind == "blocks" and set(value) == set(BLOCKS):
            return message("foreign.all_blocks")
        if row.kind == "blocks" and set(value) == set(BLOCKS) - {TEXT_ENCODERS}:
            return message("foreign.all_but", block=TEXT_ENCODERS)
        if value is None:
            return message("foreign.same_rate")
        return shown(to_json_value(value, row)).replace("\n", "; ")
