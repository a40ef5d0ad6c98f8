"""Captions in files of other endings, in JSON beside the images and in lists; and what is told about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.captions.json_files import caption_in, captions_in_list
from trainer.data.captions.syntax import syntax_in
from trainer.data.samples import Scan
from trainer.data.scan import scan


def scanned(folder: Path, **changes: Any) -> Scan:
    sizes: dict[str, Any] = {"image_size": Size(64, 64), "image_min_length": 64, "image_buckets_step": 64}
    return scan(Settings(lora_data_directory=str(folder), **sizes, **changes))


def captions(folder: Path, **changes: Any) -> dict[str, str]:
    return {sample.path.name: sample.caption for sample in scanned(folder, **changes).distinct}


def notes(folder: Path, **changes: Any) -> list[str]:
    return [str(note) for note in scanned(folder, **changes).notes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("name", ["a.cap", "a.captions", "a.tags", "A.TAGS", "a.png.txt", "a.caption", "a.json"])
def test_any_usual_ending_is_found(folder: Path, name: str) -> None:
    (folder / name).write_text('{"caption": "a cat"}' if name.endswith("json") else "a cat")
    assert captions(folder) == {"a.png": "a cat", "b.png": ""}
    assert scanned(folder).others == ()


def test_of_several_the_first_usual_one_counts(folder: Path) -> None:
    for name in ("a.json", "a.tags", "a.cap", "a.txt", "a.png.txt"):
        (folder / name).write_text(f'"{name}"')
    for name in ("a.txt", "a.png.txt", "a.cap", "a.tags", "a.json"):
        assert captions(folder)["a.png"].strip('"') == name
        (folder / name).unlink()


@pytest.mark.parametrize("extension", [".wd14", "wd14", "WD14"])
def test_the_ending_may_be_chosen(folder: Path, extension: str) -> None:
    (folder / "a.txt").write_text("not this")
    (folder / "a.wd14").write_text("a cat")
    assert captions(folder, caption_extension=extension) == {"a.png": "a cat", "b.png": ""}
    assert dict(scanned(folder, caption_extension=extension).others) == {".txt": 1}


def test_an_ending_may_be_the_end_of_the_name(folder: Path) -> None:
    (folder / "a_tags.txt").write_text("a cat")
    (folder / "b.txt").write_text("not this")
    assert captions(folder, caption_extension="_tags.txt") == {"a.png": "a cat", "b.png": ""}


# ---- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"caption": "a cat", "tags": "x, y"}, "a cat, x, y"),  # sd-scripts' two
        ({"caption": " a \n b ", "id": 3}, "a\nb"),
        ({"captions": ["a cat", "a dog"]}, "a cat\na dog"),
        ({"text": "a cat"}, "a cat"),
        ({"prompt": "a cat", "steps": 20}, "a cat"),
        ({"caption": "", "description": "a cat"}, "a cat"),
        ({"tags": ["1girl", "long_hair"]}, "1girl, long hair"),
        ({"tags": "1girl long_hair :d"}, "1girl, long hair, :d"),  # as a booru has them
        ({"tag_string": "1girl solo_focus", "rating": "s"}, "1girl, solo focus"),
        ({"tags": [{"name": "1girl", "score": 0.9}, {"tag": "smile"}]}, "1girl, smile"),
        ({"rating": {"general": 0.9}, "character": {"miku_(x)": 0.8}, "general": {"1girl": 0.99, "solo": 0.7}},
         "miku (x), 1girl, solo"),  # a WD tagger's
        ("a cat", "a cat"),
        (["1girl", "solo"], "1girl, solo"),
        ({"width": 3, "nodes": []}, None),
        ({"caption": 3, "tags": {}}, None),
        (3, None),
        ([], None),
        (None, None),
    ],
)  # fmt: skip
def test_what_a_json_file_says(value: Any, expected: str | None) -> None:
    assert caption_in(json.dumps(value)) == expected


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, '{"caption": "a"} x', "1" * 10_000])
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=""):
        caption_in(text)


def test_json_that_says_nothing_is_told_once(folder: Path) -> None:
    for name in "ab":
        (folder / f"{name}.json").write_text('{"nodes": []}')
    assert captions(folder) == {"a.png": "", "b.png": ""}
    assert notes(folder) == [
        "2 JSON files beside images hold no caption: none of caption, text, prompt, description and tags is in it."
    ]


def test_broken_json_is_told_and_other_json_is_left_alone(folder: Path) -> None:
    (folder / "a.json").write_text('{"caption": ')
    (folder / "info.json").write_text("{}")
    found = scanned(folder)
    assert [str(each) for each in found.problems] == [
        "a.png has a caption file, a.json, that is no valid JSON: used without a caption"
    ]
    assert dict(found.others) == {".json": 1}


# ---- lists ----------------------------------------------------------------------------------------------------------


def test_a_list_of_hugging_faces(folder: Path) -> None:
    (folder / "sub").mkdir()
    Image.new("RGB", (64, 64)).save(folder / "sub" / "c.png")
    lines = [{"file_name": "a.png", "text": "a cat"}, {"file_name": "sub/c.png", "text": "a bird"}, {"file_name": "x"}]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert captions(folder) == {"a.png": "a cat", "b.png": "", "c.png": "a bird"}
    assert scanned(folder).others == ()
    assert scanned(folder).captions.files == 2
    (folder / "a.txt").write_text("this")
    assert captions(folder)["a.png"] == "this"
    assert captions(folder, caption_extension=".txt")["c.png"] == ""


def test_the_names_of_a_list() -> None:
    text = '{"file_name": "./a.png", "text": "1"}\n{"image": "b\\\\c.png", "caption": "2"}\n[]\n{"text": "3"}'
    assert captions_in_list(text) == {"a.png": "1", "b/c.png": "2"}


def test_a_list_that_is_broken_is_told_once(folder: Path) -> None:
    (folder / "metadata.jsonl").write_text('{"file_name": "a.png"\n')
    assert [str(each) for each in scanned(folder).problems] == ["metadata.jsonl is no valid JSON: left out"]


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_lines_that_are_not_used_are_told(folder: Path) -> None:
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "b.txt").write_text("one\n\n")
    (note,) = notes(folder)
    assert note.startswith("1 caption file has several lines, of which only the first is used.")
    assert notes(folder, caption_lines="joined") == []


@pytest.mark.parametrize(
    ("caption", "kinds"),
    [
        ("a (cat:1.2), b", {"weights"}),
        ("((cat))", {"weights"}),
        ("a [cat]", {"weights"}),
        (r"tag \(series\)", {"escapes"}),
        ("{red|blue} cat, __color__", {"wildcards", "files"}),
        ("zorp ||| sitting", {"separator"}),
        ("<lora:foo:1> cat", {"networks"}),
        ("a (tall) cat at 12:30, x_x, __, a|b, {x}, <3, >:(", set()),
        ("", set()),
    ],
)
def test_syntax_that_is_learned_as_text(caption: str, kinds: set[str]) -> None:
    assert syntax_in(caption, Settings()) == kinds
    on = Settings(caption_weights=True, caption_wildcards=True, caption_keep_tokens_separator="|||")
    assert syntax_in(caption, on) == kinds & {"networks", "files"}


def test_syntax_is_told_once_a_kind(folder: Path) -> None:
    (folder / "a.txt").write_text("{red|blue} cat (x:1.2)")
    (folder / "b.txt").write_text("{red|blue} dog")
    found = notes(folder)
    assert len(found) == 2
    assert any(
        note.startswith("2 captions have wildcards, such as { red | blue }, which are learned") for note in found
    )
