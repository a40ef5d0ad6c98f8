"""Images on one sheet, each with its label below."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

COLUMNS = 3
"""Of images that are looked at together."""
_SMALLEST = 12
"""Pixels of letters that can be read."""
_PAPER, _INK = (38, 38, 42), (236, 236, 236)
"""Dark, as a film strip is: it glares on no page, light or dark."""


Row = Sequence[tuple[Image.Image, str]]


def side_by_side(images: Sequence[Image.Image], labels: Sequence[str]) -> Image.Image:
    """Images of one size in a row."""
    return sheet([[list(zip(images, labels, strict=True))]])


def sheet(groups: Sequence[Sequence[Row]]) -> Image.Image:
    """Groups of rows of images, one below the other; images of another size than the first are fitted into it.

    The letters grow with the images, so that they can be read where the sheet is shown smaller.
    """
    width, height = groups[0][0][0][0].size
    letters = _letters(width, height)
    band, gap = row_height(groups) - height, max(4, min(width, height) // 64)
    rows = [(row, bool(number) and row is group[0]) for number, group in enumerate(groups) for row in group]
    columns = max(len(row) for row, _ in rows)
    whole_height = (height + band) * len(rows) + band * (len(groups) - 1)
    whole, top = Image.new("RGB", ((width + gap) * columns - gap, whole_height), _PAPER), 0
    for row, begins_group in rows:
        top += band * begins_group
        for column, (image, label) in enumerate(row):
            left = column * (width + gap)
            fitted = image if image.size == (width, height) else ImageOps.pad(image, (width, height), color=_PAPER)
            whole.paste(fitted, (left, top))
            written = _written(label, letters)
            whole.paste(_INK, (left + 2, top + height + (band - letters) // 2), written)
        top += height + band
    return whole


def row_height(groups: Sequence[Sequence[Row]]) -> int:
    """How high each row of a sheet is, with its labels."""
    width, height = groups[0][0][0][0].size
    return height + _letters(width, height) * 4 // 3


def _letters(width: int, height: int) -> int:
    return max(_SMALLEST, min(width, height) // 10)


def in_columns(rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> list[list[Row]]:
    """Rows of any length, each with its label, as groups that are :data:`COLUMNS` wide; the images are numbered."""
    count = len(rows[0][1])
    return [
        [
            [(image, f"{number}: {label}") for number, image in enumerate(images[at : at + COLUMNS], at + 1)]
            for label, images in rows
        ]
        for at in range(0, count, COLUMNS)
    ]


def _written(label: str, letters: int) -> Image.Image:
    """A label as a mask ``letters`` pixels high."""
    try:
        font: ImageFont.ImageFont | ImageFont.FreeTypeFont = ImageFont.load_default(letters)
    except TypeError:  # before Pillow 10.1 it has one size
        font = ImageFont.load_default()
    left, _, right, _ = font.getbbox(label)
    _, top, _, bottom = font.getbbox("Aq0+")
    mask = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), label, fill=255, font=font)
    scale = letters / mask.height
    return mask.resize((max(1, round(mask.width * scale)), letters), Image.Resampling.LANCZOS)
