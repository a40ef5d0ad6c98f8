"""One file from an address, or a gallery by gallery-dl.

Nothing calls it but ``data fetch``, which says what will be fetched and from where, and waits for a yes.
"""

from __future__ import annotations

import http.client
import importlib.util
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from ..errors import UserError
from ..paths import write_whole

_WITHIN: Final = 30.0
_PIECE: Final = 2**20
_PAGES: Final = ("text/html", "application/xhtml+xml")
_UNSAFE: Final = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_LONGEST_NAME: Final = 200


@dataclass(frozen=True)
class Offer:
    """A file that can be fetched.

    Attributes:
        address: where it is in the end, after all redirections.
        host: whose that is.
        name: what it will be called.
        size: bytes, if the server says so.
    """

    address: str
    host: str
    name: str
    size: int | None


def offered(url: str) -> Offer | None:
    """What is at an address, by the headers of the answer alone; None if it is a page, as a gallery's is.

    Raises:
        UserError: it is no address, or does not answer.
    """
    _check(url)
    with _opened(urllib.request.Request(url), url) as answer:
        kind = answer.headers.get_content_type()
        length = answer.headers.get("Content-Length", "")
        final = answer.url
        name = answer.headers.get_filename() or unquote(urlsplit(final).path).rpartition("/")[2]
    if kind in _PAGES:
        return None
    safe = _UNSAFE.sub("_", name).strip(" .")[:_LONGEST_NAME]
    if not safe:
        raise UserError("captioning.fetch_no_name", where=url)
    return Offer(final, urlsplit(final).hostname or "", safe, int(length) if length.isdecimal() else None)


def fetch(offer: Offer, folder: Path, progress: Callable[[int], None]) -> Path:
    """Fetch a file, which is whole or absent; where its name is taken, the new one gets a number.

    Args:
        progress: called with how many bytes are there.

    Raises:
        UserError: it ends too early, or the server refuses.
        OutputError: it cannot be written.
    """

    def pieces() -> Iterator[bytes]:
        done = 0
        with _opened(urllib.request.Request(offer.address), offer.address) as answer:
            try:
                while piece := answer.read(_PIECE):
                    done += len(piece)
                    yield piece
                    progress(done)
            except (http.client.HTTPException, OSError) as error:
                raise UserError("captioning.fetch_broke_off", where=offer.address, reason=error) from error
        if offer.size is not None and done != offer.size:
            raise UserError("captioning.fetch_other_size", where=offer.address, size=done, expected=offer.size)

    return write_whole(folder / offer.name, pieces())


def gallery_command(url: str, folder: Path) -> list[str]:
    """The command by which gallery-dl fetches the images of a page, with their tags, into a folder.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("gallery_dl") is not None:
        program = [sys.executable, "-m", "gallery_dl"]
    else:
        found = shutil.which("gallery-dl")
        if found is None:
            raise UserError("captioning.no_gallery_dl", where=url)
        program = [found]
    return [*program, "--directory", str(folder), "--write-tags", "--", url]


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise UserError("captioning.fetch_no_address", where=url)


def _opened(request: urllib.request.Request, url: str) -> http.client.HTTPResponse:
    try:
        found: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_WITHIN)
    except urllib.error.HTTPError as error:
        raise UserError("captioning.fetch_refused", where=url, status=error.code) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            "captioning.not_reached", where=url, reason=getattr(reason, "strerror", None) or reason
        ) from error
    return found
