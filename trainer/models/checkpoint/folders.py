"""Folders with a model in diffusers' layout: which files make up each of its parts.

A part's weights may be one file or several with an index, in safetensors or pickles, and under a variant's name:
``diffusion_pytorch_model.fp16.safetensors``, ``model.safetensors.index.fp16.json``,
``pytorch_model-00001-of-00002.bin``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ModelError
from ...paths import open_file

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "transformer")
INDEX = "model_index.json"
_CACHED = "models--"
"""How the Hub's cache begins the name of a model's folder: ``models--owner--name``."""
_LONGEST_CONFIG = 100_000
_LONGEST_INDEX = 4 * 2**20
_MOST_FILES = 10_000
"""Files of one folder that are looked at."""
_MOST_SHARDS = 200
_WEIGHTS = re.compile(
    r"(?P<base>diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<before>[\w-]+?))?"
    r"(?P<shard>-(?P<number>\d{5})-of-(?P<count>\d{5}))?(?:\.(?P<after>[\w-]+))?\.(?P<ending>safetensors|bin)"
)
_INDEX = re.compile(
    r"(?P<base>diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<before>[\w-]+))?"
    r"\.(?P<ending>safetensors|bin)\.index(?:\.(?P<after>[\w-]+))?\.json"
)
_VARIANTS = ("", "fp16", "bf16", "fp32", "ema")
"""The variants in the order they are taken in; others come after them by name, and weights without averaging last."""
_LAST_VARIANTS = ("non_ema", "non-ema")


class WeightSet(NamedTuple):
    """One copy of a part's weights.

    Attributes:
        files: all of its files, whether they are there or not.
        missing: the names of those that are not.
    """

    files: tuple[Path, ...]
    missing: tuple[str, ...]


def model_folder(path: Path) -> Path:
    """Where the model of a folder is: a snapshot for one of the Hub's cache, else the folder itself."""
    snapshots = path / "snapshots"
    if not path.name.startswith(_CACHED) or not snapshots.is_dir():
        return path
    main = _first_line(path / "refs" / "main")
    if main and (snapshots / main).is_dir() and Path(main).name == main:
        return snapshots / main
    found = [each for each in islice(snapshots.iterdir(), _MOST_FILES) if each.is_dir()]
    whole = [each for each in found if (each / INDEX).is_file()]
    return max(whole or found, key=lambda each: each.stat().st_mtime_ns, default=path)


def name_of(path: Path) -> str:
    """What a folder's model is called: of the Hub's cache its own name without the owner's, else the folder's."""
    for folder in (path, *path.parents[:2]):
        if folder.name.startswith(_CACHED):
            return folder.name.rpartition("--")[2] or path.name
    return path.name


def is_model_folder(path: Path) -> bool:
    """Whether a folder has a whole model in it, by its description or its denoiser's."""
    found = model_folder(path)
    return (found / INDEX).is_file() or any(
        (found / part / "config.json").is_file() for part in ("unet", "transformer")
    )


def weights_in(folder: Path) -> WeightSet | None:
    """The weights of one part: a whole copy in the order of preference, else one that lacks a file; None without any.

    Safetensors come before pickles, no variant before any.

    Raises:
        ModelError: an index cannot be read, or names files elsewhere.
    """
    found = sorted(_sets_in(folder), key=lambda each: each[0])
    sets = [each for _, each in found]
    return next((each for each in sets if not each.missing), sets[0] if sets else None)


def config_in(path: Path) -> Mapping[str, Any]:
    """A JSON file's object; nothing if there is no such file.

    Raises:
        ModelError: it cannot be read.
    """
    if not path.is_file():
        return {}
    content = _json(path, _LONGEST_CONFIG)
    return content if isinstance(content, dict) else {}


def _sets_in(folder: Path) -> Iterator[tuple[tuple[Any, ...], WeightSet]]:
    """Every copy of the weights with its place in the order of preference."""
    try:
        names = sorted(each.name for each in islice(folder.iterdir(), _MOST_FILES))
    except OSError:
        return
    indexed = set()
    for name in names:
        index = _INDEX.fullmatch(name)
        if index:
            files = _named_by(folder / name)
            indexed |= set(files)
            yield _place(index), _set_of(folder, files)
    numbered: dict[tuple[str, ...], tuple[re.Match[str], set[str]]] = {}
    for name in names:
        single = _WEIGHTS.fullmatch(name)
        if single and not single["shard"] and (folder / name).is_file():
            yield _place(single), WeightSet((folder / name,), ())
        elif single and single["shard"] and name not in indexed:
            kind = single["base"], _variant(single), single["ending"], single["count"]
            numbered.setdefault(kind, (single, set()))[1].add(name)
    for shard, _ in numbered.values():
        yield _place(shard), _set_of(folder, _all_shards(shard))


def _place(found: re.Match[str]) -> tuple[Any, ...]:
    variant = _variant(found)
    if variant in _VARIANTS:
        rank = _VARIANTS.index(variant)
    else:
        rank = len(_VARIANTS) + (variant in _LAST_VARIANTS)
    return found["ending"] == "bin", rank, variant


def _variant(found: re.Match[str]) -> str:
    return found["before"] or found["after"] or ""


def _set_of(folder: Path, names: Sequence[str]) -> WeightSet:
    missing = tuple(name for name in names if not (folder / name).is_file())
    return WeightSet(tuple(folder / name for name in names), missing)


def _all_shards(shard: re.Match[str]) -> list[str]:
    """The names of all shards of a copy without an index, from one of them."""
    count = min(int(shard["count"]), _MOST_SHARDS)
    name, (start, end) = shard.string, shard.span("number")
    return [f"{name[:start]}{number:05}{name[end:]}" for number in range(1, count + 1)]


def _named_by(index: Path) -> list[str]:
    """The files that an index names.

    Raises:
        ModelError: it cannot be read, or one of them is not beside it.
    """
    content = _json(index, _LONGEST_INDEX)
    entries = content.get("weight_map") if isinstance(content, dict) else None
    named = list(entries.values()) if isinstance(entries, dict) else []
    names = {name for name in named if isinstance(name, str) and Path(name).name == name}
    if len(names) != len(set(map(str, named))) or not 0 < len(names) <= _MOST_SHARDS:
        raise ModelError("models.folder_broken", file=f"{index.parent.name}/{index.name}")
    return sorted(names)


def _json(path: Path, longest: int) -> Any:
    try:
        with open_file(path) as file:
            return json.loads(file.read(longest).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError("models.folder_broken", file=f"{path.parent.name}/{path.name}") from error


def _first_line(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read(1000).decode("utf-8", "replace").strip()
    except OSError:
        return ""
