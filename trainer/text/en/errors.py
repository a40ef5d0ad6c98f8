"""How errors are put together, and texts about files and bugs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "error.at": "{where}: {message}",
        "error.settings": "{problems}.",
        "error.also": "{first} {second}",
        "error.problem": "{problem}.",
        "error.problems": "{first}. {others}",
        # ---- files
        "paths.not_written": (
            "It could not be written ({reason}). Make room on the disk, or choose a folder you may write to."
        ),
        "paths.no_free_name": "It is taken, and so is every name like it. Choose another name.",
        "paths.control_character": "It has a line break or another control character in it. Write one path",
        "paths.too_long": "It is too long for a path ({count:letter|letters}, {start}). Write a shorter one",
        "paths.device_name": "It is the name of a device on Windows ({name}). Choose another one",
        "paths.no_home": "It begins with the home folder of a user who is not known ({name}). Write the whole path",
        "paths.is_pipe": "it is a pipe, not a file",
        "paths.is_socket": "it is a socket, not a file",
        "paths.is_device": "it is a device, not a file",
        # ---- a bug of ours
        "paths.bug": "Something went wrong that should not have ({kind}: {error}). Please report it, with the file "
        "{file}.",
    }
)
