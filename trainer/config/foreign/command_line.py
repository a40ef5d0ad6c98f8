"""Commands as people paste them, from a shell of Linux, from cmd or from PowerShell, as words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .sd_scripts import ROWS, script_of

_OPTION = re.compile(r"(?:^|\s)--[A-Za-z][\w-]*")
_CONTINUED = re.compile(r"[\\^`][ \t]*(?:\r?\n|$)")
_BEFORE_OPTION = re.compile(r"[\\^`](?=\s*--[A-Za-z])")
"""A line's end that a field of one line has lost."""
_GOES_ON = re.compile(r"\s*--[A-Za-z]")
"""A line that only has more options: it belongs to the command before it, as guides print one over several lines."""
_SCRIPT = re.compile(r"\s*[^\s=-][^\s=]*\.py\b")
_SET: Final = (
    re.compile(r"""^\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)=(?P<value>"[^"]*"|'[^']*'|[^\s"';&]*)\s*;?\s*(?:#.*)?$"""),
    re.compile(r"""^\s*\$(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s"';&]+)\s*(?:#.*)?$"""),
    re.compile(r"""^\s*@?set\s+"?(?P<name>[A-Za-z_]\w*)=(?P<value>[^"]*?)"?\s*$""", re.IGNORECASE),
)
"""How the three shells give a variable its value."""
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$env:(\w+)|\$(\w+)|%(\w+)%")
_WORD = re.compile(r"""(?:\\[ ](?=[^\s-])|[^\s"']|"(?:\\"|[^"])*"|'[^']*')+""")
_SEVERAL: Final = frozenset(
    ("network_args", "optimizer_args", "lr_scheduler_args", "base_weights", "base_weights_multiplier",
     "text_encoder_lr")
)  # fmt: skip
"""Options that take several words."""
_SWITCHES: Final = frozenset(
    row.key for row in ROWS if isinstance(row.default, bool)
) | {"xformers", "sdpa", "cache_latents", "lowram", "highvram", "v2", "use_8bit_adam", "use_lion_optimizer",
     "network_train_text_encoder_only", "dim_from_weights", "persistent_data_loader_workers", "mem_eff_attn",
     "zero_terminal_snr", "cache_latents_to_disk", "cache_text_encoder_outputs", "fp8_base", "save_state",
     "save_state_on_train_end", "no_metadata", "train_inpainting", "log_config"}  # fmt: skip


def is_command(text: str) -> bool:
    """Whether a text is, or ends in, a command with long options."""
    if text.lstrip().startswith(("{", "[")):
        return False
    return len(_OPTION.findall(text)) >= (1 if re.search(r"\w\.py\b|\baccelerate\b", text) else 2)


def options_of(text: str) -> dict[str, Any]:
    """The options of the first command in a text, or in a script, that has any.

    A command may go on over several lines, with or without a sign at their ends.

    Raises:
        UserError: it runs a script that trains what Trainyard does not.
    """
    words = next((words for words in _commands(text) if any(map(_OPTION.match, words))), [])
    script = script_of(words)
    found = dict(_pairs(words))
    found.pop("num_cpu_threads_per_process", None)
    if script.startswith("sdxl"):
        found["sdxl"] = True
    return found


def _commands(text: str) -> Iterator[list[str]]:
    variables: dict[str, str] = {}
    for line in _lines_of_commands(text):
        assigned = next((match for pattern in _SET if (match := pattern.match(line))), None)
        if assigned is not None and not _OPTION.search(line):
            variables[assigned["name"].lower()] = _without_quotes(_filled(assigned["value"], variables))
            continue
        yield [_without_quotes(_filled(word, variables)) for word in _WORD.findall(line)]


def _lines_of_commands(text: str) -> list[str]:
    """A text's lines without comments, each command as one line."""
    whole = _BEFORE_OPTION.sub(" ", _CONTINUED.sub(" ", text))
    lines: list[str] = []
    for line in whole.splitlines():
        if line.lstrip().startswith(("#", "::")) or re.match(r"\s*@?rem\b", line, re.IGNORECASE):
            continue
        before = lines[-1] if lines else ""
        is_script = _SCRIPT.match(line) and "accelerate" in before and ".py" not in before
        if before.strip() and (_GOES_ON.match(line) or is_script):
            lines[-1] = f"{before} {line}"
        else:
            lines.append(line)
    return lines


def _filled(word: str, variables: Mapping[str, str]) -> str:
    """With the values of variables; one that has none stays, and is then seen in the setting."""

    def value(match: re.Match[str]) -> str:
        name = next(filter(None, match.groups()))
        return variables.get(name.lower(), match[0])

    return _VARIABLE.sub(value, word)


def _without_quotes(word: str) -> str:
    """``--a="b c"`` as ``--a=b c``. A backslash stays: it is part of a path in Windows."""
    plain = word if '"' in word or "'" in word else re.sub(r"\\ (?=[^\s-])", " ", word)
    return re.sub(
        r'"((?:\\"|[^"])*)"|\'([^\']*)\'', lambda match: (match[1] or match[2] or "").replace('\\"', '"'), plain
    )


def _pairs(words: list[str]) -> Iterator[tuple[str, Any]]:
    """Each option with its value: after a ``=``, or the words that follow it."""
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not _OPTION.match(word):
            continue
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        several = [value] if equals else []
        takes = 0 if (equals and name not in _SEVERAL) or name in _SWITCHES else len(words)
        while place < len(words) and takes and not _OPTION.match(words[place]):
            several.append(words[place])
            place += 1
            takes = takes - 1 if name in _SEVERAL else 0
        yield name, several if name in _SEVERAL else several[0] if several else True
