"""A run's warnings and what is wrong with files, in Japanese: as the run tells them, not as somebody remembers them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.buckets import notes_on_frames
from trainer.data.pairs.scan import scan_pairs
from trainer.data.problems import FileProblem
from trainer.data.scan import scan
from trainer.engine.effect import _warnings
from trainer.job import Change, Effect
from trainer.text.messages import message

ENGLISH = re.compile(r"\b(?:is|are|the|and|used|left|out|has)\b")
JAPANESE = re.compile("[ぁ-んァ-ン一-龥]")


def is_japanese(text: str) -> bool:
    return bool(JAPANESE.search(text)) and not ENGLISH.search(text)


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
    found = [*scan(settings).problems, *scan(replace(settings, image_disable_upscale=True)).problems]
    (tmp_path / "b_shut.png").write_bytes((tmp_path / "b.png").read_bytes())
    (tmp_path / "small_shut.png").write_bytes((tmp_path / "long.png").read_bytes())
    (tmp_path / "lonely_shut.png").write_bytes((tmp_path / "b.png").read_bytes())
    pairs = replace(settings, mode="Multi-ADDifT", diff_target_name="_shut", diff_use_diff_mask=True)
    found += scan_pairs(pairs).problems
    assert len(found) > 20
    for problem in found:
        japanese = problem.text("ja")
        assert japanese.startswith(f"{problem.name}: ")
        assert str(problem) == f"{problem.name} {problem.what}: {problem.done}"
        for text in (problem.what.text("ja"), problem.done.text("ja")):
            known = re.sub(r"\(.*?\)|「.*?」", "", text)
            for name in (path.name for path in tmp_path.iterdir()):
                known = known.replace(name, "")
            assert is_japanese(known), text


def test_a_runs_warnings_are_told_in_japanese() -> None:
    settings = Settings()
    weak = Effect(Path("x"), Change("", 1.0, 0.01), (), Path("s.png"), "a <b> red", ((-1.0, 3.0), (1.0, 0.2)))
    told = [
        *notes_on_frames(replace(settings, image_size=Size(256, 256))),
        *notes_on_frames(replace(settings, sub_image_num=3)),
        *notes_on_frames(replace(settings, sub_image_num=30, image_min_length=256, image_size=Size(768, 512))),
        *_warnings(weak, Settings(mode="ADDifT"), ()),
        *_warnings(weak, Settings(mode="iLECO"), ()),
        *_warnings(replace(weak, differences=((1.0, 0.0),)), Settings(mode="iLECO"), ()),
        *_warnings(replace(weak, whole=Change("", 0.0, 0.0)), Settings(mode="iLECO"), ()),
        *_warnings(replace(weak, whole=Change("", 1e-9, 1e-9)), Settings(mode="iLECO"), ()),
    ]  # fmt: skip
    assert len(told) > 7
    for note in told:
        assert is_japanese(re.sub(r"「.*?」", "", note.text("ja"))), str(note)
    assert "「a <b> red」" in told[-4].text("ja")


@pytest.mark.parametrize("name", ["{0}.png", "%s.png", "赤 {x}.png"])
def test_names_with_braces_stay(name: str) -> None:
    problem = FileProblem(name, message("data.animated"), message("data.first_frame_used"))
    assert problem.text("ja") == f"{name}: アニメーション画像です。最初のコマだけを使います。"
    assert name in message("engine.no_preview", step=7, reason=name).text("ja")
