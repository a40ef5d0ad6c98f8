"""One value of a settings file, of a form or of a flag, as the real type its row of the table asks for.

Every reader raises :class:`WrongValue` with what is wrong and what to write instead, without the setting's name.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from ..errors import WrongValue
from ..paths import path_problem
from .choices import BLOCKS, FAMILIES, TEXT_ENCODERS
from .filenames import name_problem, pattern_problem
from .key_values import parse_literals, split_block_rates
from .settings import AUTOMATIC, FOUND, NO, YES, Row
from .size import DEFAULT_SIZE, Size

_TRUE = frozenset(("true", "1", "on", "yes"))
_FALSE = frozenset(("false", "0", "off", "no", ""))
_STORED_STATES: Mapping[str, Any] = MappingProxyType({AUTOMATIC: False, YES: True, NO: NO})
"""How JSON files carry three states: those of TrainTrain have a switch there, and write false where nobody has pressed
it, so false leaves it to the file."""
_PREDICTION_OF_STATE: Mapping[str, str] = MappingProxyType({AUTOMATIC: FOUND, YES: "velocity", NO: "noise"})
_MOST_WHOLE = 2**31 - 1
_LORA_ENDING = ".safetensors"
_COMMAS = re.compile(r"[,，、\s]+")
_TIMES = re.compile(r"\s*(\d+)\s*[x×*]\s*(\d+)\s*")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_MINUS_SIGNS = str.maketrans(dict.fromkeys("−‐‑–", "-"))


def read_value(value: Any, row: Row) -> Any:
    """The value in the row's own type. Where nothing is written (an empty box, JSON's null), the default holds.

    Raises:
        WrongValue: with what is wrong and what to write instead.
    """
    blank = isinstance(value, str) and not value.strip()
    if value is None or (blank and row.kind in _BLANK_IS_DEFAULT):
        return row.default
    if isinstance(value, str) and value.strip().casefold() in row.also_default:
        return row.default
    return _READERS[row.kind](value, row)


def prediction_of_switch(value: Any) -> Any:
    """What the setting ``prediction`` is where a file has ``model_v_pred`` instead: TrainTrain's switch, or the three
    states that this program had for a while. What is neither is left for that setting to refuse."""
    state = _state_of(value or "", tuple(_PREDICTION_OF_STATE))
    return value if state is None else _PREDICTION_OF_STATE[state]


def to_json_value(value: Any, row: Row) -> Any:
    """The value as JSON files carry it."""
    if row.kind == "size":
        value = value or DEFAULT_SIZE
        return str(value.height) if value.height == value.width else f"{value.height},{value.width}"
    if value is None:
        return ""
    if row.kind == "three states":
        return _STORED_STATES[value]
    return list(value) if isinstance(value, tuple) else value


def shown(value: Any, most: int = 60) -> str:
    """A wrong value as a message quotes it: as it was written, and never a page of it."""
    if isinstance(value, str):
        text = f'"{value}"'
    else:
        text = json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"


_PARTS = re.compile(r"[\s_.\-]")


def closest(word: str, known: Sequence[str]) -> str:
    """What the word was probably meant to be; empty if nothing comes near."""
    by_plain = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(word), by_plain, n=1, cutoff=0.75)
    return by_plain[near[0]] if near else ""


def slip_of(word: str, known: Iterable[str]) -> str:
    """The word that was meant where this one is written with a slip: letters in another order, or one too many, missing
    or wrong; empty if there is none.

    Much nearer than :func:`closest`, so that a word may be refused for it. A name with a whole part more or less is
    another name, and no slip.
    """
    plain, parts = _plain(word), set(_PARTS.split(word))
    by_plain = {_plain(name): name for name in known if not (parts < (own := set(_PARTS.split(name))) or parts > own)}
    near = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.88)
    found = near or [each for each in by_plain if sorted(each) == sorted(plain)]
    return by_plain[found[0]] if found else ""


def _plain(word: str) -> str:
    return re.sub(r"[\s_\-]", "", word).casefold()


def _text(value: Any, _row: Row) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise WrongValue("config.not_text", value=shown(value))
    text = str(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WrongValue("config.broken_character")
    return text


def _path(value: Any, row: Row) -> str:
    # Windows copies paths with quotes around them; a space at the end is a mistake.
    text = _text(value, row).strip('" \t\r\n')
    problem = path_problem(text)
    if problem is not None:
        raise WrongValue(problem)
    return text


def _file_name(value: Any, row: Row) -> str:
    text = _text(value, row)
    if text.lower().endswith(_LORA_ENDING):
        text = text[: -len(_LORA_ENDING)]
    problem = name_problem(text) if text else None
    if problem is not None:
        raise WrongValue(problem)
    return text


def _file_name_pattern(value: Any, row: Row) -> str:
    text = _text(value, row)
    if text.lower().endswith(_LORA_ENDING):
        text = text[: -len(_LORA_ENDING)]
    problem = pattern_problem(text) if text else None
    if problem is not None:
        raise WrongValue(problem)
    return text


def _literals(value: Any, row: Row) -> str:
    text = _text(value, row)
    parse_literals(text)
    return text


def _block_rates(value: Any, row: Row) -> str:
    text = _text(value, row)
    split_block_rates(text)
    return text


def _choice(value: Any, row: Row) -> str:
    if isinstance(value, str):
        for name in row.choices:
            if _plain(name) == _plain(value):
                return name
    near = closest(value, row.choices) if isinstance(value, str) else ""
    if near:
        raise WrongValue("config.no_choice_near", value=shown(value), near=near, choices=row.choices)
    raise WrongValue("config.no_choice", value=shown(value), choices=row.choices)


def _bool(value: Any, _row: Row) -> bool:
    found = _switched(value)
    if found is None:
        raise WrongValue("config.not_bool", value=shown(value))
    return found


def _switched(value: Any) -> bool | None:
    """On or off, however it is written; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float, str)):
        word = str(int(value) if value in (0, 1) else value).strip().casefold()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    return None


def _three_states(value: Any, row: Row) -> str:
    state = _state_of(value, row.choices)
    if state is None:
        raise WrongValue("config.no_choice", value=shown(value), choices=row.choices)
    return state


def _state_of(value: Any, states: Collection[str]) -> str | None:
    """One of the three; what a switch holds stands for yes and for automatic. None for anything else."""
    if isinstance(value, str) and _plain(value) in states:
        return _plain(value)
    word = _switched(value)
    return None if word is None else YES if word else AUTOMATIC


def _int(value: Any, row: Row) -> int:
    number = _whole(value)
    if number is None:
        raise WrongValue("config.not_whole", value=shown(value), example=row.default)
    _check_bounds(number, row)
    if number % row.multiple:
        lower = number - number % row.multiple
        upper = lower + row.multiple
        if lower < (row.least or 0):
            raise WrongValue("config.no_multiple", multiple=row.multiple, value=number, near=upper)
        raise WrongValue("config.no_multiple_between", multiple=row.multiple, value=number, lower=lower, upper=upper)
    return number


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(_plain_digits(value)) if isinstance(value, str) else int(str(value))
    except ValueError:
        number = _number(value)
        return int(number) if number is not None and math.isfinite(number) and number.is_integer() else None


def _float_or_none(value: Any, row: Row) -> float | None:
    """0 stands for "as the other one" in TrainTrain's files, just as an empty text does."""
    return _float(value, row) or None


def _float(value: Any, row: Row) -> float:
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(plain := _plain_digits(value).strip()):
        value = plain.replace(",", ".")
    number = _number(value)
    if number is None:
        raise WrongValue("config.not_number", value=shown(value), example=_example(row))
    if not math.isfinite(number):
        raise WrongValue("config.not_finite", value=shown(value), example=_example(row))
    _check_bounds(number, row)
    return number


def _example(row: Row) -> str:
    default = row.default[-1] if isinstance(row.default, tuple) else row.default
    return "5e-5" if default is None else f"{default:g}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return float(_plain_digits(value)) if isinstance(value, str) else float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf


def _plain_digits(text: str) -> str:
    """A number with ASCII digits and signs: an East Asian keyboard writes ``１ｅ－４``, a text program ``−1``."""
    return unicodedata.normalize("NFKC", text).translate(_MINUS_SIGNS)


def _check_bounds(number: float, row: Row) -> None:
    most = row.most if row.most is not None else _MOST_WHOLE if isinstance(number, int) else math.inf
    if row.above is not None and number <= row.above:
        raise WrongValue("config.not_above", bound=f"{row.above:g}", value=shown(number))
    if row.least is not None and row.most is not None and not row.least <= number <= row.most:
        raise WrongValue("config.not_between", least=row.least, most=row.most, value=shown(number))
    if row.least is not None and number < row.least:
        raise WrongValue("config.too_small", least=f"{row.least:g}", value=shown(number))
    if number > most:
        raise WrongValue("config.too_large", most=most, value=shown(number))


def _size(value: Any, row: Row) -> Size | None:
    """0 stands for no chosen size, just as an empty text does. ``768x512`` is width by height; ``512,768``, with the
    height first as in the JSON key, is the same."""
    if isinstance(value, str) and (times := _TIMES.fullmatch(_plain_digits(value).casefold())):
        value = [times[2], times[1]]
    parts = _list(value) if isinstance(value, (str, list, tuple)) else [value]
    numbers = [_whole(part) for part in parts]
    if len(numbers) not in (1, 2) or None in numbers:
        raise WrongValue("config.no_size", value=shown(value))
    sides = [number for number in numbers if number is not None]
    if sides == [0]:
        return None
    for side in sides:
        _int(side, row)
    return Size(height=sides[0], width=sides[-1])


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part for part in _COMMAS.split(value) if part]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise WrongValue("config.no_list", value=shown(value))


def _blocks(value: Any, row: Row) -> tuple[str, ...]:
    names = [str(name).strip() for name in _list(value)]
    by_plain = {name.casefold(): name for name in row.choices}
    wrong = [name for name in names if name.casefold() not in by_plain]
    if wrong:
        blocks = [f"{first} … {last}" if last != first else first for first, last in _runs(row.choices)]
        raise WrongValue("config.unknown_blocks", names=[shown(name) for name in wrong], blocks=blocks)
    if not names:
        raise WrongValue("config.no_blocks")
    found = tuple(dict.fromkeys(by_plain[name.casefold()] for name in names))
    return (*found, *_of_families_unknown_to(found))


def _runs(blocks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The first and the last of each run of blocks that differ in their numbers alone."""
    for _, run in groupby(blocks, key=lambda block: block.rstrip("0123456789")):
        names = list(run)
        yield names[0], names[-1]


def _of_families_unknown_to(found: Collection[str]) -> Iterator[str]:
    """Blocks that a list leaves out since it is older than their family.

    A list without a block of a family, the text encoders aside, is about other families. If it has all blocks of those,
    it leaves nothing out, and all blocks of the family are meant as well.
    """
    of_families = [set(family.blocks) - {TEXT_ENCODERS} for family in FAMILIES.values()]
    unknown = [blocks for blocks in of_families if blocks.isdisjoint(found)]
    others = [blocks for blocks in of_families if blocks not in unknown]
    if others and all(blocks <= set(found) for blocks in others):
        yield from (block for block in BLOCKS if any(block in blocks for blocks in unknown))


def _floats(value: Any, row: Row) -> tuple[float, ...]:
    numbers = tuple(_float(part, row) for part in _list([value] if isinstance(value, (int, float)) else value))
    if not numbers:
        raise WrongValue("config.no_numbers")
    return numbers


# An empty text is a value, too; choosing no blocks is a mistake.
_BLANK_IS_DEFAULT = frozenset(("choice", "int", "float", "float or none", "size", "floats"))
_READERS: Mapping[str, Callable[[Any, Row], Any]] = MappingProxyType(
    {
        "choice": _choice,
        "text": _text,
        "path": _path,
        "file name": _file_name,
        "file name pattern": _file_name_pattern,
        "literals": _literals,
        "block rates": _block_rates,
        "bool": _bool,
        "three states": _three_states,
        "int": _int,
        "float": _float,
        "float or none": _float_or_none,
        "size": _size,
        "blocks": _blocks,
        "floats": _floats,
    }
)
