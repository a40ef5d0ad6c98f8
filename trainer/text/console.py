"""Writing to a console, whatever characters it can show.

Where output is piped or redirected on Windows it is in a code page of a few hundred characters, and the names of files
may hold halves of characters that no encoding has.
"""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any, TextIO

_HANDLER = "trainyard.escaped"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""What cannot be shown, as JSON writes it (``\u732b``): so JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_HANDLER, _escaped)


def never_fail(*streams: Any) -> None:
    """Have streams of text write what they cannot show as escapes instead of failing."""
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def tell(text: str, file: TextIO | None = None) -> None:
    """Print a line to a console that belongs to another program."""
    stream = sys.stdout if file is None else file
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, _HANDLER).decode(encoding), file=stream)
