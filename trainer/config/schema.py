"""What is made from the table: settings out of anything a user may hand in, and JSON out of settings."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..errors import Problem, SettingsError, UserError, WrongValue
from ..text.columns import columns, padded
from ..text.messages import Message, literal, message
from . import labels
from .check import problem_with
from .choices import MODES
from .foreign.suggest import meant_by
from .settings import NAMED_ONCE, ROWS, SECOND_PASS_KEY, Row, Settings, row_of
from .size import DEFAULT_SIZE
from .values import prediction_of_switch, read_value, shown, to_json_value

_SIZE = row_of("image_size")
"""TrainTrain writes 512 under this key into the files of every mode, whether or not it was chosen, and a pair of images
has its own size. So 512 under its key stands for nothing chosen; under the short name it is what it says."""
_SECOND_PASS_NAMES = (SECOND_PASS_KEY, "2nd_pass", "second_pass")
_V_PREDICTION = "model_v_pred"
_ALIASES = MappingProxyType({"image_shuffle_tags": "caption_shuffle", _V_PREDICTION: "prediction"})
"""What TrainTrain, and earlier versions of ours, call settings that have another name here."""
_TEXT_ENCODER = "te"
"""The file that newer versions of TrainTrain take the text encoder of some families from; none of them is here, and
those that are have their own."""
_OFF: Mapping[str, Collection[str]] = MappingProxyType(
    {
        _TEXT_ENCODER: ("", "none"),
        "train_self_reg_noise": ("", "0", "0.0"),
        "train_self_reg_batched": ("", "false", "true"),  # one call of the denoiser does both here in any case
    }
)
"""Values of newer TrainTrain's keys that mean nothing, so that nothing is said of them; its files hold every key."""


@dataclass(frozen=True)
class Converted:
    """A key of another program that has become settings.

    Attributes:
        key: as its users know it.
        settings: the short names of the settings it sets, each with its value for people; those that nobody need hear
            of are left out.
        changed: what differs from what the program would do, as a sentence; None if nothing does.
    """

    key: str
    settings: tuple[tuple[str, Message | str], ...]
    changed: Message | None = None

    def entry(self, width: int = 0) -> Message:
        """A line of the list.

        Args:
            width: columns of a terminal that the keys take.
        """
        values = [message("foreign.set", setting=name, value=value) for name, value in self.settings]
        return message("foreign.entry", key=padded(self.key, width), settings=values)


@dataclass(frozen=True)
class Parsed:
    """Settings as they were read, and what of them was not in the table."""

    settings: Settings
    unknown: tuple[str, ...]
    """Keys that are not in the table. They are kept and written back; worth one warning."""
    given: frozenset[str] = frozenset()
    """Short names of the settings that were set: the others hold their default, which a model family may better."""
    account: tuple[Message, ...] = ()
    """Of another program's settings: whose they are, and what became of those that set nothing, in sentences."""
    converted: tuple[Converted, ...] = ()
    """Those that set something."""

    def told(self, *, aligned: bool = False) -> list[Message]:
        """What became of another program's settings, a line each: what differs first, what was simply taken at last.

        Args:
            aligned: for a terminal, in columns.
        """
        changed = [each.changed for each in self.converted if each.changed is not None]
        taken = [each for each in self.converted if each.changed is None]
        width = max((columns(each.key) for each in taken), default=0) if aligned else 0
        heading = [message("foreign.taken")] if taken else []
        return [*self.account[:1], *changed, *self.account[1:], *heading, *(each.entry(width) for each in taken)]

    def without(self, overruled: Collection[str]) -> Parsed:
        """The same, telling nothing of settings that something else has overruled."""
        kept = []
        for each in self.converted:
            left = tuple(pair for pair in each.settings if pair[0] not in overruled)
            if left or not each.settings:
                kept.append(replace(each, settings=left))
        return replace(self, converted=tuple(kept))

    @property
    def warnings(self) -> list[Message]:
        """What the user should hear of: the account of another program's settings, and what is not known."""
        return [*self.told(), *self.not_known()]

    def not_known(self) -> list[Message]:
        """A sentence for each unknown key, with what it may have been meant to be."""
        kept = {key: str(value or "") for key, value in self.settings.unknown}
        named = [key for key in self.unknown if kept.get(key, "").lower() not in _OFF.get(key, ())]
        return [_of_unknown(key, kept.get(key, "")) for key in named]

    def with_defaults(self, better: Mapping[str, Any]) -> Settings:
        """The settings, with other defaults for those that were not set.

        Args:
            better: short name -> value, of the setting's own type.
        """
        changes = {name: value for name, value in better.items() if name not in self.given}
        return replace(self.settings, **changes)


def _of_unknown(key: str, value: str) -> Message:
    if key == _TEXT_ENCODER:
        return message("config.text_encoder_unused", file=value)
    near = meant_by(key)
    return message("config.unknown_key_near", key=key, near=near) if near else message("config.unknown_key", key=key)


def parse(values: Mapping[str, Any], *, base: Settings | None = None) -> Parsed:
    """Settings from JSON keys or short names, with numbers as numbers or text.

    Args:
        values: what is set. ``2nd pass`` holds a mapping; one of its settings may also be given as
            ``2nd_pass.network_rank``.
        base: what holds where nothing is set; the defaults if left out.

    Raises:
        SettingsError: with every problem there is, each by its setting's label.
    """
    reader = _Reader()
    settings = reader.read(values, base or Settings())
    if reader.problems:
        raise SettingsError(reader.problems)
    return Parsed(settings, tuple(reader.unknown), frozenset(reader.given))


class _Reader:
    """One reading of a mapping; collects problems instead of stopping at the first.

    Args:
        second: it is that of the second pass's settings.
    """

    def __init__(self, *, second: bool = False) -> None:
        self.problems: list[Problem] = []
        self.unknown: list[str] = []
        self.given: set[str] = set()
        self._written: dict[str, str] = {}
        self._second = second
        self._prefix = f"{SECOND_PASS_KEY}." if second else ""

    def read(self, values: Mapping[str, Any], base: Settings) -> Settings:
        by_name = _rows_by_name()
        changes: dict[str, Any] = {}
        unknown = dict(base.unknown)
        second: dict[str, Any] = {}
        for key, value in values.items():
            row = by_name.get(key)
            if key == _V_PREDICTION and "prediction" in values:
                continue  # which says more
            if row is not None:
                self._read_one(row, key, prediction_of_switch(value) if key == _V_PREDICTION else value, changes)
            elif key in _SECOND_PASS_NAMES:
                changes["second_pass"] = self._second_pass(value, base, second)
            elif _inside_second_pass(key) and not self._second:
                second[_inside_second_pass(key)] = value
            else:
                self._keep(key, value, unknown)
        if second:
            changes["second_pass"] = self._read_second(second, base.second_pass or Settings())
        return replace(base, **changes, unknown=tuple(unknown.items()))

    def _read_one(self, row: Row, key: str, value: Any, changes: dict[str, Any]) -> None:
        try:
            read = read_value(value, row)
        except WrongValue as error:
            self._add(row, error.message)
            return
        if key == _SIZE.key and read == DEFAULT_SIZE:
            read = None
        if row.name in self.given and changes.get(row.name) != read:
            self._add(row, message("config.given_twice", key=self._written[row.name], name=key))
        self.given.add(row.name)
        self._written[row.name] = key
        changes[row.name] = read

    def _keep(self, key: str, value: Any, unknown: dict[str, Any]) -> None:
        try:
            json.dumps({key: value}, ensure_ascii=False).encode("utf-8")
        except (TypeError, ValueError, RecursionError):
            # Better said now than when a trained LoRA is to be written with it.
            wrong = message("config.unknown_value")
            self.problems.append(Problem(f"{self._prefix}{key}", literal(repr(key)), wrong))
        else:
            unknown[key] = value
            self.unknown.append(f"{self._prefix}{key}")

    def _second_pass(self, value: Any, base: Settings, second: dict[str, Any]) -> Settings | None:
        """The second pass before anything of it is read; what is to be read goes into ``second``."""
        if value is None or value == "":
            return None
        if self._second:
            self._add_second(message("config.second_pass_within"))
        elif isinstance(value, Mapping):
            second.update(value)
        else:
            self._add_second(message("config.second_pass_no_object", value=shown(value)))
        return base.second_pass or Settings()

    def _read_second(self, values: Mapping[str, Any], base: Settings) -> Settings:
        inner = _Reader(second=True)
        settings = inner.read(values, base)
        self.problems.extend(inner.problems)
        self.unknown.extend(inner.unknown)
        self.given.add("second_pass")
        return settings

    def _add(self, row: Row, wrong: Message) -> None:
        self.problems.append(problem_with(row, wrong, second=self._second))

    def _add_second(self, wrong: Message) -> None:
        self.problems.append(Problem(SECOND_PASS_KEY, message("config.second_pass"), wrong))


def _rows_by_name() -> dict[str, Row]:
    table = ROWS
    by_name = {row.key: row for row in table} | {row.name: row for row in table}
    return by_name | {alias: by_name[name] for alias, name in _ALIASES.items()}


def _inside_second_pass(key: str) -> str:
    """``network_rank`` of ``2nd_pass.network_rank``; empty for any other key."""
    outer, dot, inner = key.partition(".")
    return inner if dot and outer in _SECOND_PASS_NAMES else ""


def parse_assignment(text: str) -> tuple[str, str]:
    """``key=value`` of the command line as a pair for :func:`parse`; the value is read there.

    Raises:
        UserError: there is no ``=``, or no setting of that name.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    for row in ROWS:  # a JSON key may hold a = itself
        if text.startswith(f"{row.key}="):
            return row.key, text.removeprefix(f"{row.key}=")
    if not equals or not key:
        raise UserError("config.sets_nothing", where="--set", text=text)
    if key in _SECOND_PASS_NAMES:
        raise UserError("config.sets_second_pass", where=f"--set {key}")
    known = _rows_by_name()
    inner = _inside_second_pass(key)
    if (inner or key) not in known:
        near = meant_by(inner or key)
        if near:
            near = f"{key.removesuffix(inner) if inner else ''}{near}"
            raise UserError("config.no_setting_near", where=f"--set {key}", near=near)
        raise UserError("config.no_setting", where=f"--set {key}")
    return key, value


def to_json(settings: Settings) -> dict[str, Any]:
    """The settings as a JSON file carries them: long keys in the table's order, then what was not known."""
    chosen = settings.image_size == DEFAULT_SIZE and MODES[settings.mode].images == "pair"
    written = {}
    for row in ROWS:
        key = row.name if row is _SIZE and chosen else row.key
        written[key] = to_json_value(getattr(settings, row.name), row)
    written[_V_PREDICTION] = settings.prediction == "velocity"  # TrainTrain reads our files, too
    if settings.second_pass is not None:
        written[SECOND_PASS_KEY] = _second_to_json(settings.second_pass)
    return written | dict(settings.unknown)


def _second_to_json(second: Settings) -> dict[str, Any]:
    """Without what the second pass takes from the first, unless it was set all the same."""
    shared = [row for row in ROWS if row.name in NAMED_ONCE]
    left_out = {row.key for row in shared if getattr(second, row.name) == row.default}
    return {key: value for key, value in to_json(second).items() if key not in left_out}


def dump(settings: Settings) -> str:
    """The text of a settings file."""
    return json.dumps(to_json(settings), ensure_ascii=False, indent=4) + "\n"


def describe(language: str = "en") -> list[dict[str, Any]]:
    """The table as plain rows: what there is to set, for lists, forms and pages."""
    described = []
    for row in ROWS:
        described.append(
            {
                "key": row.key,
                "short": row.name,
                "label": labels.label_of(row.name, language),
                "help": labels.help_of(row.name, language),
                "also": labels.also_of(row.name, language),
                "type": row.kind,
                "default": row.default if row.kind == "three states" else to_json_value(row.default, row),
                "choices": list(row.choices),
                "offered": list(row.offered),
                "least": row.least if row.least is not None else row.above,
                "most": row.most,
                "modes": list(row.modes),
                "section": labels.section_of(row.section, language),
            }
        )
    return described
