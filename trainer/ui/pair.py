"""A pair of pictures: two places to drop them, beside the fields with their paths; the script compares them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import DataError
from ..paths import write_unless_there
from ..settings import Settings
from .compat import on
from .desk import Desk
from .form import PREFIX, Form

NAMES = ("original_image", "target_image")
_CLASSES = [f"{PREFIX}-field", f"{PREFIX}-for-difference", f"{PREFIX}-for-addift"]
_MOST_SHOWN = 1024


class Pair:
    """The two pictures, beside the fields that hold their paths."""

    def __init__(self, form: Form, desk: Desk) -> None:
        folder = desk.folders.data / "pictures"
        self.pictures: list[Any] = []
        paths: list[Any] = []
        with gr.Column(elem_classes=[f"{PREFIX}-pair", *_CLASSES]):
            for name, label in zip(NAMES, (desk.say("pair.original"), desk.say("pair.target")), strict=True):
                with gr.Column(elem_classes=[f"{PREFIX}-one"]):
                    self.pictures.append(_drop(name, label))
                    paths.append(form.place_one(name))
            gr.HTML(f'<div id="{PREFIX}_pair"></div>', elem_classes=[f"{PREFIX}-both"])
        for picture, path in zip(self.pictures, paths, strict=True):
            on(picture.upload, lambda dropped: kept(dropped, folder), [picture], [path])
            on(picture.clear, lambda: "", [], [path])
            on(path.blur, shown, [path], [picture])

    @property
    def components(self) -> list[Any]:
        return list(self.pictures)

    def updates(self, settings: Settings) -> list[Any]:
        """What the components show for these settings, as an event's function returns it."""
        return [gr.update(value=shown(getattr(settings, name))) for name in NAMES]


def kept(picture: Image.Image | None, folder: Path) -> str:
    """The path of a dropped picture as a file, named by its content: the same one is kept once."""
    if picture is None:
        return ""
    opaque = picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255)
    data = io.BytesIO()
    whole = picture.convert("RGB") if opaque else picture
    whole.save(data, "PNG", icc_profile=picture.info.get("icc_profile"))
    path = folder / f"{hashlib.sha256(data.getvalue()).hexdigest()[:16]}.png"
    write_unless_there(path, [data.getvalue()])
    return str(path)


def shown(path: str) -> Image.Image | None:
    """A small copy of the picture for the page, upright; None where there is none."""
    from ..data.images import load_transparent

    written = path.strip('" ')
    if not written:
        return None
    try:
        picture = load_transparent(Path(written).expanduser())
    except (DataError, RuntimeError):
        return None
    picture.thumbnail((_MOST_SHOWN, _MOST_SHOWN))
    return picture


def _drop(name: str, label: str) -> Any:
    elem_id = f"{PREFIX}_{name}_drop"
    return gr.Image(type="pil", image_mode="RGBA", label=label, height=260, interactive=True, elem_id=elem_id)
