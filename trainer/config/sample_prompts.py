"""The prompts of previews: lines with options as sd-scripts has them, and the TOML and JSON forms of the same.

``a cat --n blurry --w 768 --h 512 --d 7 --l 5.5 --s 30``: the negative prompt, width, height, seed, guidance scale and
steps. What a line does not say is as the settings have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..errors import UserError, WrongValue
from ..paths import path_of
from ..text.messages import Message, label, message
from .documents import json_value, read_text, toml_table
from .settings import MAX_SEED, Settings
from .size import Size

MOST_PROMPTS: Final = 100
_MOST_BYTES = 2**20
_OPTION = re.compile(r"(?:^|\s)--(?=[A-Za-z])")
_NAME = re.compile(r"(\w+)[\s=]*(.*)", re.DOTALL)
_STEP = 8
"""Widths and heights are rounded down to multiples of it."""


@dataclass(frozen=True)
class SamplePrompt:
    """One prompt of a run's previews; None is as the settings have it."""

    prompt: str
    negative: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    steps: int | None = None
    cfg: float | None = None

    def size(self, otherwise: Size) -> Size:
        return Size(self.width or otherwise.width, self.height or otherwise.height)


@dataclass(frozen=True)
class SamplePrompts:
    """Attributes:
    prompts: at least one, which may be empty.
    notes: what of the lines is not used.
    """

    prompts: tuple[SamplePrompt, ...]
    notes: tuple[Message, ...] = ()


def sample_prompts(settings: Settings) -> SamplePrompts:
    """The lines of ``sample_prompt``, then what ``sample_prompts_file`` holds.

    Raises:
        UserError: a line or the file cannot be read; it names the line.
    """
    try:
        own = prompts_of_lines(settings.sample_prompt)
    except WrongValue as error:
        raise UserError("error.problem", where=label("sample_prompt"), problem=error.message) from error
    if not settings.sample_prompts_file:
        return own if own.prompts else SamplePrompts((SamplePrompt(settings.sample_prompt),))
    path = path_of(settings.sample_prompts_file, label("sample_prompts_file"))
    of_file = _prompts_of_file(path)
    notes = (message("config.sample_note", file=path.name, note=note) for note in of_file.notes)
    return SamplePrompts(own.prompts + of_file.prompts, (*own.notes, *notes))


def prompts_of_lines(text: str, *, comments: bool = False) -> SamplePrompts:
    """One prompt a line that is not empty.

    Args:
        comments: lines that begin with ``#`` are left out.

    Raises:
        WrongValue: an option of a line cannot be read, or there are too many; the first such line is named.
    """
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line and not (comments and line.startswith("#")):
            reader.add(message("config.sample_line", line=number), *_parts(line))
    return reader.read()


def first_prompt(text: str) -> str:
    """The prompt of the first line that has one, whatever its options are; empty if there is none."""
    prompts = (_parts(line.strip())[0] for line in text.splitlines())
    return next(filter(None, prompts), "")


def _prompts_of_file(path: Path) -> SamplePrompts:
    text, ending = read_text(path, _MOST_BYTES), path.suffix.lower()
    try:
        if ending == ".toml":
            found = _of_entries(_entries_of_toml(toml_table(text, str(path))))
        elif ending == ".json":
            found = _of_entries(json_value(text, str(path)))
        else:
            found = prompts_of_lines(text, comments=True)
        if not found.prompts:
            raise WrongValue("config.sample_file_empty")
    except WrongValue as error:
        raise UserError("error.problem", where=str(path), problem=error.message) from error
    return found


def _entries_of_toml(table: Mapping[str, Any]) -> Any:
    """``[[prompt.subset]]`` each, over what ``[prompt]`` says for all of them."""
    shared = table.get("prompt")
    if not isinstance(shared, Mapping) or not isinstance(shared.get("subset"), list):
        raise WrongValue("config.sample_toml")
    general = {name: value for name, value in shared.items() if name != "subset"}
    return [{**general, **each} if isinstance(each, Mapping) else each for each in shared["subset"]]


def _of_entries(entries: Any) -> SamplePrompts:
    if not isinstance(entries, list):
        raise WrongValue("config.sample_list")
    reader = _Reader()
    for number, entry in enumerate(entries, start=1):
        where = message("config.sample_entry", number=number)
        if isinstance(entry, str):
            reader.add(where, *_parts(entry.strip()))
        elif isinstance(entry, Mapping) and isinstance(entry.get("prompt"), str):
            options = [(name, value) for name, value in entry.items() if name not in ("prompt", "enum")]
            reader.add(where, entry["prompt"].strip(), options)
        else:
            raise WrongValue("config.sample_problem", place=where, problem=message("config.sample_no_prompt"))
    return reader.read()


def _parts(line: str) -> tuple[str, list[tuple[str, Any]]]:
    """The prompt of a line, and its options as they are written, without their dashes."""
    prompt, *options = _OPTION.split(line)
    named = (_NAME.match(option) for option in options)
    return prompt.strip(), [(each[1], each[2].strip()) for each in named if each]


class _Reader:
    """Gathers prompts, and what is to be said of them."""

    def __init__(self) -> None:
        self._prompts: list[SamplePrompt] = []
        self._notes: list[Message] = []

    def add(self, where: Message, prompt: str, options: list[tuple[str, Any]]) -> None:
        read = SamplePrompt(prompt)
        for name, value in options:
            known = _OPTIONS.get(name.lower())
            if known is None:
                key = "config.sample_sampler" if name.lower() in _SAMPLERS else "config.sample_option"
                self._notes.append(message(key, place=where, option=name, value=str(value)))
                continue
            field, of_text = known
            try:
                read = replace(read, **{field: of_text(value)})
            except WrongValue as error:
                raise WrongValue(
                    "config.sample_problem",
                    place=where,
                    problem=message("config.sample_value", option=name, problem=error.message),
                ) from error
        self._prompts.append(read)

    def read(self) -> SamplePrompts:
        if len(self._prompts) > MOST_PROMPTS:
            raise WrongValue("config.sample_too_many", count=len(self._prompts), most=MOST_PROMPTS)
        return SamplePrompts(tuple(self._prompts), tuple(self._notes))


def _number(value: Any, *, least: float, most: float, whole: bool = True) -> Any:
    try:
        if isinstance(value, bool):
            raise ValueError
        found = int(str(value)) if whole else float(str(value))
    except ValueError:
        raise WrongValue(f"config.sample_no_{'whole_' if whole else ''}number", value=str(value)) from None
    if not least <= found <= most:
        raise WrongValue("config.sample_outside", value=str(value), least=f"{least:g}", most=str(most))
    return found


def _side(value: Any) -> int:
    found: int = _number(value, least=64, most=8192)
    return found - found % _STEP


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValue("config.sample_no_text", value=str(value))
    return value.strip()


_Named = tuple[str, Callable[[Any], Any]]
_FIELDS: Final[Mapping[str, _Named]] = {
    "n": ("negative", _text),
    "w": ("width", _side),
    "h": ("height", _side),
    "d": ("seed", partial(_number, least=0, most=MAX_SEED)),
    "l": ("cfg", partial(_number, least=0, most=100, whole=False)),
    "s": ("steps", partial(_number, least=1, most=1000)),
}
_LONG: Final = {
    "negative_prompt": "n", "width": "w", "height": "h", "seed": "d", "scale": "l", "sample_steps": "s",
}  # fmt: skip
_OPTIONS: Final[Mapping[str, _Named]] = {**_FIELDS, **{long: _FIELDS[short] for long, short in _LONG.items()}}
"""By the letter in a line and by the key in TOML and JSON: the attribute, and how it is read."""
_SAMPLERS: Final = ("ss", "sample_sampler")
