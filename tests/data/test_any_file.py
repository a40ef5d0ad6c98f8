"""Images, captions and folders of any content: used, or named with a reason."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.hostile import limits, mutated, texts
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.buckets import place
from trainer.data.captions.text_files import decode
from trainer.data.files import natural_key
from trainer.data.images.decoding import inspect_image, load_placed, load_transparent
from trainer.data.scan import scan


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 4), dtype=np.uint8), "RGBA")
WHOLE = [
    *(encoded(NOISE, kind) for kind in ("PNG", "WEBP", "TIFF", "ICO")),
    *(encoded(NOISE.convert("RGB"), kind) for kind in ("JPEG", "BMP", "PCX", "GIF")),
    encoded(NOISE.convert("RGB"), "JPEG", progressive=True),
    encoded(NOISE.convert("P"), "PNG", transparency=0),
    encoded(NOISE.convert("RGB"), "TIFF", compression="tiff_lzw"),
    encoded(NOISE.convert("RGB"), "WEBP", save_all=True, append_images=[Image.new("RGB", (24, 24))]),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@given(content=st.binary(max_size=200) | mutated(st.sampled_from(WHOLE)))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_images(folder: Path, content: bytes) -> None:
    path = folder / "image"
    path.write_bytes(content)
    with limits("images"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size = inspect_image(path).size
        load_placed(path, place(size, Size(64, 64)), size=size)
        load_transparent(path)


@given(content=st.binary(max_size=300) | texts.map(lambda text: text.encode("utf-16-le", "surrogatepass")))
def test_captions(content: bytes) -> None:
    with limits("captions"):
        caption = decode(content)
        assert caption is None or not any(line != line.strip() for line in caption.text.split("\n"))


file_names = st.binary(min_size=1, max_size=30).map(os.fsdecode) | texts.filter(lambda text: "\ud800" not in text)
endings = st.sampled_from((".png", ".jpg", ".txt", ".caption", ".PNG", "", ".webp"))
contents = st.binary(max_size=30) | st.sampled_from(WHOLE)


@given(files=st.lists(st.tuples(file_names, endings, contents), max_size=6))
def test_folders(folder: Path, files: list[tuple[str, str, bytes]]) -> None:
    inside = folder / "pictures"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    for name, ending, content in files:
        try:
            (inside / f"{name.replace('/', '_')[:60]}{ending}").write_bytes(content)
        except (OSError, ValueError):
            continue  # no file can be called so
    with limits("folders"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scan(Settings(lora_data_directory=str(inside), image_size=Size(64, 64), image_min_length=64))
        assert all(problem.text("ja") for problem in found.problems)
        found.require_usable()


@given(names=st.lists(texts, max_size=8))
def test_any_names_have_an_order(names: list[str]) -> None:
    with limits("orders"):
        ordered = sorted(names, key=natural_key)
        assert [natural_key(name) for name in ordered] == sorted(map(natural_key, names))
