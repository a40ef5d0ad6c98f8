"""``list``: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from ..config import choices, presets
from ..config.schema import describe
from ..text.language import language_of_machine
from .options import add_folders, folders_of
from .words import told


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("list", help=told("commands.list"), description=told("commands.list_description"))
    parser.add_argument("what", choices=sorted(_LISTS))
    parser.add_argument("--json", action="store_true", help=told("commands.json"))
    add_folders(parser, output=True)
    parser.set_defaults(command=_list)


def _list(options: argparse.Namespace) -> int:
    rows = _LISTS[options.what](options)
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for number, row in enumerate(rows):
        if options.what == "presets" and (number == 0 or rows[number - 1]["from"] != row["from"]):
            print(*([""] if number else []), told(f"commands.presets_{row['from']}"), sep="\n")
        print(_line(row))
    return 0


def _line(row: Mapping[str, Any]) -> str:
    if "key" not in row:
        return f"{row['name']}\n    {row['for']}" if row.get("for") else str(row["name"])
    values = {"name": row["short"], "default": repr(row["default"]), "type": row["type"]}
    chosen = told("commands.setting_with_choices", **values, choices=[str(each) for each in row["choices"]])
    return f"{chosen if row.get('choices') else told('commands.setting', **values)}\n    {row['help']}"


def _names_of(names: Iterable[str]) -> Callable[[argparse.Namespace], list[dict[str, Any]]]:
    return lambda _options: [{"name": name} for name in names]


def _presets(options: argparse.Namespace) -> list[dict[str, Any]]:
    folders = folders_of(options).presets
    found = []
    for name in presets.list_presets(folders):
        is_for = presets.told_of(name, folders)
        maker = "you"  # also of a name that a shipped one has
        for each, is_theirs in (("trainyard", presets.is_ours), ("traintrain", presets.is_traintrains)):
            maker = each if is_theirs(name, folders) else maker
        found.append({"name": name, "from": maker, "for": is_for and is_for.text(language_of_machine())})
    return sorted(found, key=lambda row: ("trainyard", "traintrain", "you").index(row["from"]))


def _loras(options: argparse.Namespace) -> list[dict[str, Any]]:
    from ..web.services.gallery import Gallery

    found = []
    for item in Gallery(folders_of(options)).all():
        said = (item.texts.trigger, item.mode, item.base, f"{item.size / 1e6:.1f} MB")
        written = datetime.fromtimestamp(item.written).astimezone()
        row = {"name": item.name, "trigger": item.texts.trigger, "mode": item.mode, "base": item.base}
        line = " · ".join([*filter(None, said), f"{written:%Y-%m-%d}"])
        found.append({**row, "size": item.size, "written": written.isoformat(), "for": line})
    return found


def _settings(_options: argparse.Namespace) -> list[dict[str, Any]]:
    return describe(language_of_machine())


_LISTS: Mapping[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = MappingProxyType(
    {
        "families": _names_of(choices.FAMILIES),
        "loras": _loras,
        "modes": _names_of(choices.MODES),
        "networks": _names_of(choices.NETWORK_TYPES),
        "optimizers": _names_of(choices.OPTIMIZERS),
        "schedulers": _names_of(choices.SCHEDULERS),
        "presets": _presets,
        "settings": _settings,
    }
)
