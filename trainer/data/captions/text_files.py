"""Caption files: bytes to text, whatever program wrote them.

UTF-8 and what has a byte order mark are certain. Of the rest, a reading is taken that makes sense: in Windows Western
(cp1252) accents stand alone among plain letters, in Shift-JIS and GBK nearly all characters are of the common ones.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...paths import open_file, reason_of
from ...text.messages import Message, message
from ..problems import FileError
from .json_files import caption_in, captions_in_list

MOST_BYTES = 1_000_000
"""More is no caption: the longest prompts have a few thousand letters."""
MOST_BYTES_OF_LIST = 100_000_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with BOM"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),  # begins like UTF-16's, so it goes first
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_KNOWN_FILES = (
    (b"\x89PNG", message("data.caption_is_image", format="PNG")),
    (b"\xff\xd8\xff", message("data.caption_is_image", format="JPEG")),
    (b"GIF8", message("data.caption_is_image", format="GIF")),
    (b"RIFF", message("data.caption_is_riff")),
    (b"BM", message("data.caption_is_image", format="BMP")),
    (b"II*\0", message("data.caption_is_image", format="TIFF")),
    (b"MM\0*", message("data.caption_is_image", format="TIFF")),
    (b"PK\3\4", message("data.caption_is_archive")),
    (b"%PDF", message("data.caption_is_file", format="PDF")),
    (b"\x93NUMPY", message("data.caption_is_file", format="NumPy")),
)
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f]")
_ZEROS = 0.1
"""Of the characters, how many have a zero byte at least, where UTF-16 has no mark."""
_SURE, _LIKELY = 0.7, 0.5
"""Of what is beyond ASCII, how much makes sense: at least so much to stop looking, or not to be called unclear."""


@dataclass(frozen=True)
class Caption:
    """What a caption file says.

    Attributes:
        text: its lines, without empty ones and with single spaces; may be empty.
        encoding: the file's, as users know it.
        certain: False if the encoding is no more than the least bad guess.
    """

    text: str
    encoding: str
    certain: bool = True


def read_caption(path: Path) -> Caption | None:
    """The caption in a file; None for a JSON file that holds none.

    Raises:
        FileError: the file cannot be opened, or holds no text.
    """
    read = _read(path, MOST_BYTES)
    if path.suffix.lower() != ".json":
        return read
    try:
        found = caption_in(read.text)
    except ValueError as error:
        raise FileError(message("data.caption_no_json"), path) from error
    return None if found is None else replace(read, text=found)


def read_list(path: Path) -> dict[str, Caption]:
    """The captions in a list of images, by the name that it gives each of them.

    Raises:
        FileError: the file cannot be opened, or is no such list.
    """
    read = _read(path, MOST_BYTES_OF_LIST)
    try:
        found = captions_in_list(read.text)
    except ValueError as error:
        raise FileError(message("data.caption_no_json"), path) from error
    return {name: replace(read, text=text) for name, text in found.items()}


def _read(path: Path, most: int) -> Caption:
    """The text of a file."""
    try:
        with open_file(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise FileError(message("data.cannot_open", reason=reason_of(error)), path) from error
    if len(content) > most:
        raise FileError(message("data.caption_too_long", most=most // 1000), path)
    caption = decode(content)
    if caption is None:
        raise FileError(_no_text(content), path)
    return caption


def decode(content: bytes) -> Caption | None:
    """The caption that a file's bytes stand for; None if they are no text."""
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            # Lenient: the mark says what it is, and a broken character is no reason to lose a caption.
            return _caption(content[len(mark) :].decode(codec, "replace"), name)
    if b"\0" in content:
        return _unmarked_utf16(content)
    try:
        return _caption(content.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError:
        return _legacy(content)


def _caption(text: str, encoding: str, *, certain: bool = True) -> Caption | None:
    if _CONTROLS.search(text):
        return None
    lines = (" ".join(line.split()) for line in text.replace("\ufeff", "").splitlines())
    return Caption("\n".join(filter(None, lines)), encoding, certain)


def _no_text(content: bytes) -> Message:
    known = (problem for start, problem in _KNOWN_FILES if content.startswith(start))
    return next(known, message("data.no_text"))


def _unmarked_utf16(content: bytes) -> Caption | None:
    """Zeros in every second place are plain letters of UTF-16."""
    if len(content) % 2:
        return None
    even, odd = content[::2].count(0), content[1::2].count(0)
    if (even and odd) or max(even, odd) < _ZEROS * len(content) / 2:
        return None
    try:
        text = content.decode("utf-16-le" if odd else "utf-16-be")
    except UnicodeDecodeError:
        return None
    return _caption(text, "UTF-16")


# ---- encodings from before UTF-8 ------------------------------------------------------------------------------------


def _legacy(content: bytes) -> Caption | None:
    """The reading that makes most sense; plain Western text wins over a tie, as it is the narrower pattern."""
    western = _western_score(content)
    readings = [(western, "cp1252", "cp1252 (Western)")]
    for codec, name, score in (
        ("cp932", "cp932 (Shift-JIS)", _japanese_score),
        ("gb18030", "GBK", _chinese_score),
    ):
        sense = _sense(content, codec, score)
        if sense is not None:
            readings.append((sense, codec, name))
    best = readings[0] if western >= _SURE else max(readings, key=lambda reading: reading[0])
    sense, codec, name = best
    # Python's cp1252 has five holes; a byte in one of them must not lose the rest.
    return _caption(content.decode(codec, "replace"), name, certain=sense >= _LIKELY)


def _sense(content: bytes, codec: str, score: Callable[[bytes], float]) -> float | None:
    """How much of a text that is not plain ASCII is common in its language, 0 to 1; None if it cannot be decoded."""
    try:
        characters = [character for character in content.decode(codec) if ord(character) > 127]
    except UnicodeDecodeError:
        return None
    if not characters:
        return None
    return sum(score(_encoded(character, codec)) for character in characters) / len(characters)


def _encoded(character: str, codec: str) -> bytes:
    return character.encode(codec, "replace")


def _japanese_score(code: bytes) -> float:
    """1 for punctuation, kana and the kanji of JIS level 1; 0 for half-width kana, which Chinese turns into."""
    if len(code) != 2:
        return 0.0
    number = int.from_bytes(code, "big")
    return float(0x8140 <= number <= 0x84BE or 0x889F <= number <= 0x9872)


def _chinese_score(code: bytes) -> float:
    """1 for punctuation and the hanzi of GB 2312 level 1; 0 for the extension, which Japanese turns into."""
    if len(code) != 2 or code[1] < 0xA1:
        return 0.0
    return float(0xA1 <= code[0] <= 0xA3 or 0xB0 <= code[0] <= 0xD7)


_LETTER = "A-Za-z"
_ACCENTED = "À-ÖØ-öø-ÿŠŒŽšœžŸ"
_WESTERN = re.compile(
    "|".join(
        (
            f"(?<=[a-z])[à-öø-ÿšœž]{{1,2}}(?![{_ACCENTED}])",  # école, créée: never a capital after a small letter
            f"(?<=[A-Z])[{_ACCENTED}]{{1,2}}(?![{_ACCENTED}])",
            f"(?<![{_ACCENTED}{_LETTER}])[{_ACCENTED}]{{1,2}}(?=[{_LETTER}])",  # état, Île
            '(?<![^\\s,;.(«“"\'’-])[àÀôÔéÉèÈæÆøØåÅöÖóÓ](?![^\\s,;.)!?»”"])',  # à, o, å: words of one letter
            f"(?<=[{_LETTER}{_ACCENTED}0-9])’(?=[\\s{_LETTER}{_ACCENTED}.,;!?)]|$)",
            f"(?<![^\\s(,])[‘’“](?=[{_LETTER}{_ACCENTED}0-9])",
            f"(?<=[{_LETTER}{_ACCENTED}0-9.,!?])[”’](?=[\\s.,;:!?)]|$)",
            "(?<=\\s)[–—](?=\\s)",
            f"(?<=[{_LETTER}0-9])[–—](?=[{_LETTER}0-9])",
            f"(?<=[{_LETTER}0-9\\s])…(?=[\\s{_LETTER},.)]|$)",
            f"(?<![^\\s(])«(?=[\\s{_LETTER}{_ACCENTED}])",
            f"(?<=[\\s{_LETTER}{_ACCENTED}.!?])»(?=[\\s.,;:!?)]|$)",
            "(?<![^\\s])[¿¡](?=[A-Za-zÀ-ÿ])",
            "(?<=[0-9])[°²³½€£](?=[\\sCFcfm.,;)]|$)",
            "[€£](?=[0-9])",
            f"(?<=[{_LETTER}])[™®©](?=[\\s.,;)]|$)",
            "(?<![^\\s,])•(?=\\s)",
            "\xa0",
        )
    )
)


def _western_score(content: bytes) -> float:
    """How many of the characters beyond ASCII stand where Western text has them, 0 to 1."""
    text = content.decode("cp1252", "replace")
    beyond = sum(ord(character) > 127 for character in text)
    placed = sum(len(match.group()) for match in _WESTERN.finditer(text))
    return placed / beyond
