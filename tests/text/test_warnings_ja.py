"""A run's warnings and what is wrong with files, in Japanese: as the run tells them, not as somebody remembers them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.buckets import notes_on_frames
from trainer.data.pair_scan import scan_pairs
from trainer.data.samples import Scan
from trainer.data.scan import scan
from trainer.engine.effect import _warnings
from trainer.job import Change, Effect
from trainer.text import warnings_ja
from trainer.web.services.messages import file_problem, said

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = re.compile(r"\b(?:is|are|the|and|used|left|out|has)\b")
JAPANESE = re.compile("[ぁ-んァ-ン一-龥]")


def is_japanese(text: str) -> bool:
    return bool(JAPANESE.search(text)) and not ENGLISH.search(text)


def sentences() -> Iterator[str]:
    """Every text of the sources outside the page, with 7 for what is put in."""
    for path in (ROOT / "trainer").rglob("*.py"):
        if "web" in path.relative_to(ROOT / "trainer").parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(each.value) if isinstance(each, ast.Constant) else "7" for each in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_form_is_that_of_a_sentence_in_the_sources() -> None:
    """A sentence that is worded anew would be English again, and nobody would see it."""
    assembled = re.compile("differs by|by its content|cannot be opened|is no image|another shape|used with")
    texts = list(sentences())
    unknown = []
    for form, _ in (*warnings_ja.WARNINGS, *warnings_ja.WHAT, *warnings_ja.DONE):
        loose = form.replace(r"at step (\d+) of (\d+)", "(.+)").replace(r"(\d+ x \d+)", "(.+)")
        if not assembled.search(form) and not any(re.fullmatch(loose, text, re.DOTALL) for text in texts):
            unknown.append(form)
    assert unknown == [], "those put together from several texts are told below"


def problems(found: Scan) -> list[str]:
    return [str(each) for each in found.problems]


def test_what_is_wrong_with_files_is_told_in_japanese(tmp_path: Path) -> None:
    def picture(name: str, size: tuple[int, int] = (640, 640), mode: str = "RGB") -> Image.Image:
        made = Image.new(mode, size, 90 if mode == "L" else (9, 99, len(name), 0)[: len(mode)])
        made.save(tmp_path / name)
        return made

    first = picture("a: is b.png")
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[picture("b.png").transpose(0)])
    picture("sheer.png", mode="RGBA")
    picture("small.png", (90, 90))
    picture("long.png", (4000, 100))
    (tmp_path / "broken.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.png").write_text("<!doctype html>")
    (tmp_path / "zip.png").write_bytes(b"PK\3\4" + bytes(90))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "b.txt").touch()
    (tmp_path / "small.txt").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "nobody.txt").write_text("words")
    settings = Settings(lora_data_directory=str(tmp_path))
    found = [*problems(scan(settings)), *problems(scan(replace(settings, image_disable_upscale=True)))]
    (tmp_path / "b_shut.png").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "small_shut.png").write_bytes((tmp_path / "long.png").read_bytes())
    (tmp_path / "lonely_shut.png").write_bytes((tmp_path / "b.png").read_bytes())
    pairs = replace(settings, mode="Multi-ADDifT", diff_target_name="_shut", diff_use_diff_mask=True)
    found += problems(scan_pairs(pairs))
    assert len(found) > 20
    for english in found:
        japanese = said(english, "ja")
        name = next(
            name for name in sorted(map(str, names(tmp_path)), key=len, reverse=True) if english.startswith(name)
        )
        assert japanese.startswith(f"{name}: ")
        assert is_japanese(re.sub(r"\(.*?\)|「.*?」", "", japanese.removeprefix(name))), english
        assert said(english) == english
    for each in scan(settings).problems:
        assert all(map(JAPANESE.search, file_problem(each.what, each.done, "ja")))
        assert file_problem(each.what, each.done) == (each.what, each.done)


def names(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir())


def test_a_runs_warnings_are_told_in_japanese() -> None:
    settings = Settings()
    weak = Effect(Path("x"), Change("", 1.0, 0.01), (), Path("s.png"), "a <b> red", ((-1.0, 3.0), (1.0, 0.2)))
    told = [
        *notes_on_frames(replace(settings, image_size=Size(256, 256))),
        *notes_on_frames(replace(settings, sub_image_num=3)),
        *notes_on_frames(replace(settings, sub_image_num=30, image_min_length=256, image_size=Size(768, 512))),
        *_warnings(weak, "ADDifT"),
        *_warnings(weak, "iLECO"),
        *_warnings(replace(weak, differences=((1.0, 0.0),)), "iLECO"),
        *_warnings(replace(weak, whole=Change("", 0.0, 0.0)), "iLECO"),
        *_warnings(replace(weak, whole=Change("", 1e-9, 1e-9)), "iLECO"),
    ]  # fmt: skip
    assert len(told) > 7
    assert all(map(str.strip, told))
    for english in told:
        japanese = said(english, "ja")
        known = re.sub(r"「.*?」", "", japanese)
        assert is_japanese(known), english
    assert "「a <b> red」" in said(told[-4], "ja")
    assert said("Something nobody has words for.", "ja") == "Something nobody has words for."


@pytest.mark.parametrize("name", ["{0}.png", "%s.png", "赤 {x}.png"])
def test_names_with_braces_stay(name: str) -> None:
    assert said(f"{name} is animated: only its first frame is used", "ja") == (
        f"{name}: アニメーション画像です。最初のコマだけを使います。"
    )
    assert name in said(f"No sample picture at step 7: {name}", "ja")
