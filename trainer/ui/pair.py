"""A pair of pictures: two places to drop them, and at once what is wrong with them."""

from __future__ import annotations

import hashlib
import html
import io
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import UserError
from ..paths import Folders, write_unless_there
from ..settings import Settings
from .compat import on
from .form import PREFIX, Form

NAMES = ("original_image", "target_image")
_CLASSES = [f"{PREFIX}-field", f"{PREFIX}-for-difference", f"{PREFIX}-for-addift"]
_MOST_SHOWN = 1024


class Pair:
    """The two pictures, beside the fields that hold their paths."""

    def __init__(self, form: Form, folders: Folders) -> None:
        self._folder = folders.data / "pictures"
        self.pictures: list[Any] = []
        self._paths: list[Any] = []
        with gr.Column(elem_classes=[f"{PREFIX}-pair", *_CLASSES]):
            for name, label in zip(NAMES, ("original", "target"), strict=True):
                with gr.Column(elem_classes=[f"{PREFIX}-one"]):
                    self.pictures.append(_drop(name, label))
                    self._paths.append(form.place_one(name))
            self.note = gr.HTML("", elem_id=f"{PREFIX}_pair_note")
        for picture, path in zip(self.pictures, self._paths, strict=True):
            on(picture.upload, self._keep, [picture], [path])
            on(picture.clear, lambda: "", [], [path])
            on(path.change, self._note, self._paths, [self.note], latest=True)
            on(path.blur, shown, [path], [picture])

    @property
    def components(self) -> list[Any]:
        return [*self.pictures, self.note]

    def updates(self, settings: Settings) -> list[Any]:
        """What the components show for these settings, as an event's function returns it."""
        paths = [getattr(settings, name) for name in NAMES]
        return [*(gr.update(value=shown(path)) for path in paths), self._note(*paths)]

    def _keep(self, picture: Image.Image | None) -> str:
        """A dropped picture as a file, named by its content: the same one is kept once."""
        if picture is None:
            return ""
        opaque = picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255)
        data = io.BytesIO()
        whole = picture.convert("RGB") if opaque else picture
        whole.save(data, "PNG", icc_profile=picture.info.get("icc_profile"))
        path = self._folder / f"{hashlib.sha256(data.getvalue()).hexdigest()[:16]}.png"
        write_unless_there(path, [data.getvalue()])
        return str(path)

    def _note(self, original: str, target: str) -> str:
        """What is wrong with the pair, or how large its pictures are."""
        if not (original and target):
            return ""
        from ..data.pairs import open_pair

        try:
            pair = open_pair(Settings(original_image=original, target_image=target))
        except UserError as error:
            return _html(str(error), "wrong")
        sizes = " and ".join(f"{picture.size[0]} × {picture.size[1]}" for picture in pair.pictures)
        return _html(f"The pictures are {sizes} pixels.", "note")


def _drop(name: str, label: str) -> Any:
    elem_id = f"{PREFIX}_{name}_drop"
    return gr.Image(type="pil", image_mode="RGBA", label=label, height=260, interactive=True, elem_id=elem_id)


def place(form: Form, folders: Folders) -> Pair:
    return Pair(form, folders)


def shown(path: str) -> Image.Image | None:
    """A small copy of the picture for the page; None where there is none."""
    try:
        with Image.open(Path(path.strip('" ')).expanduser()) as picture:
            picture.thumbnail((_MOST_SHOWN, _MOST_SHOWN))
            return picture.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _html(text: str, kind: str) -> str:
    return f'<p class="{PREFIX}-{kind}">{html.escape(text)}</p>'
