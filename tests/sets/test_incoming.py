"""Files, folders and zip archives on their way into a set, well-meant or not; and a set on its way out as a zip."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from trainer.errors import DataError, UserError
from trainer.sets import incoming
from trainer.sets.image_set import ImageSet
from trainer.sets.incoming import INCOMING, Incoming, import_into, tidy
from trainer.sets.names import safe_name, safe_parts
from trainer.sets.packing import packed
from trainer.text.messages import message


def png(colour: str = "red", size: tuple[int, int] = (64, 64)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


RED, BLUE, WHITE = png(), png("blue"), png("white")


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "cats"
    folder.mkdir()
    return ImageSet(folder, tmp_path / "journals")


def zipped(path: Path, contents: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:  # type: ignore[arg-type]
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def take(images: ImageSet, contents: dict[str, bytes]) -> incoming.Imported:
    batch = Incoming(images)
    for name, content in contents.items():
        batch.take(name, [content[:10], content[10:]])
    return batch.finish()


def problems(found: incoming.Imported) -> dict[str, str]:
    return {each.name: str(each.what) for each in found.problems}


def test_a_zip_comes_in_with_captions_and_masks(images: ImageSet, tmp_path: Path) -> None:
    contents = {"my set/a.png": RED, "my set/a.txt": b"cat", "my set/sub/b.png": BLUE, "my set/masks/a.png": WHITE}
    more = {"my set/": b"", "__MACOSX/my set/._a.png": b"x", "my set/.DS_Store": b"x", "my set/Thumbs.db": b"x"}
    found = import_into(images, zipped(tmp_path / "data.zip", {**contents, **more}, compression=zipfile.ZIP_DEFLATED))
    assert (found.images, found.captions, found.masks, found.problems) == (2, 1, 1, ())
    assert files(images.folder) == {name.removeprefix("my set/"): content for name, content in contents.items()}
    assert [(each.name, each.caption, each.mask is not None) for each in images.items()] == [
        ("a.png", "cat", True),
        ("sub/b.png", "", False),
    ]


def test_a_folder_comes_in_and_stays_as_it_is(images: ImageSet, tmp_path: Path) -> None:
    source = tmp_path / "from"
    for name, content in {"a.png": RED, "a.caption": b"cat", "notes.pdf": b"x", "x/b.png": BLUE}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    os.symlink(tmp_path, source / "round")
    before = files(source)
    found = import_into(images, source)
    assert (found.images, found.captions) == (2, 1)
    assert problems(found) == {"notes.pdf": "is neither an image nor a caption"}
    assert files(images.folder) == {"a.png": RED, "a.caption": b"cat", "x/b.png": BLUE}
    assert files(source) == before


def test_a_folder_whose_name_says_how_often_its_images_are_used_keeps_its_name(images: ImageSet) -> None:
    take(images, {"10_zorp cat/a.png": RED})
    take(images, {"holiday/b.png": BLUE})
    assert set(files(images.folder)) == {"10_zorp cat/a.png", "b.png"}


def test_nothing_is_written_over_and_what_belongs_together_stays_together(images: ImageSet) -> None:
    take(images, {"a.png": RED, "a.txt": b"red"})
    found = take(images, {"a.png": BLUE, "a.txt": b"blue", "masks/a.png": WHITE, "b.png": WHITE})
    assert found.renamed == (("a.png", "a_2.png"),)
    assert {each.name: (each.caption, each.mask is not None) for each in images.items()} == {
        "a.png": ("red", False),
        "a_2.png": ("blue", True),
        "b.png": ("", False),
    }
    assert files(images.folder)["a.png"] == RED
    take(images, {"a.jpg": RED})
    assert "a_3.jpg" in files(images.folder), "or it would share a caption"


def test_what_is_there_already_comes_in_once(images: ImageSet) -> None:
    contents = {"a.png": RED, "a.txt": b"red", "b.png": BLUE}
    take(images, contents)
    found = take(images, contents)
    assert (found.images, found.there, found.renamed) == (0, 2, ())
    assert files(images.folder) == contents


def test_captions_of_images_that_are_there_are_theirs_and_can_be_undone(images: ImageSet) -> None:
    take(images, {"a.png": RED, "b.png": BLUE, "b.txt": b"old"})
    take(images, {"a.txt": b"new a", "b.txt": b"new b", "c.txt": b"nobody's", "a_mask.png": WHITE})
    assert {each.name: each.caption for each in images.items()} == {"a.png": "new a", "b.png": "new b"}
    assert images.item("a.png").mask == images.folder / "a_mask.png"
    assert files(images.folder)["c.txt"] == b"nobody's"
    images.undo()
    assert {each.name: each.caption for each in images.items()} == {"a.png": "", "b.png": "old"}


def test_a_caption_that_belongs_to_no_image_is_named_at_once(images: ImageSet) -> None:
    take(images, {"a.png": RED})
    captions = {"a.txt": b"a", "b.txt": b"b", "sub/alone.txt": b"x", "notapic.txt": b"y", "meta_cap.json": b"{}"}
    found = take(images, {"b.png": BLUE, **captions})
    assert [str(each) for each in found.problems] == [
        f"{name} belongs to no image here: not used until an image of that name comes in"
        for name in ("notapic.txt", "sub/alone.txt")
    ]
    assert found.captions == 2
    assert files(images.folder)["notapic.txt"] == b"y", "it is kept"
    assert list(problems(take(images, {"notapic.txt": b"y"}))) == ["notapic.txt"]
    found = take(images, {"notapic.png": WHITE, "notapic.txt": b"y"})
    assert (found.problems, images.item("notapic_2.png").caption) == ((), "y")


def test_a_caption_that_came_before_its_image_is_its_caption(images: ImageSet) -> None:
    take(images, {"a.txt": b"first", "sub/b.caption": b"below", "c.txt": b"old"})
    found = take(images, {"a.png": RED, "sub/b.png": BLUE, "c.png": WHITE, "c.txt": b"its own", "sub/a.png": BLUE})
    assert {each.name: each.caption for each in images.items()} == {
        "a.png": "first", "c_2.png": "its own", "sub/a.png": "", "sub/b.png": "below",
    }  # fmt: skip
    assert (found.problems, found.renamed) == ((), (("c.png", "c_2.png"),))
    take(images, {"a.jpg": BLUE})
    assert images.item("a_2.jpg").caption == "", "the caption is a.png's"
    images.undo()
    images.undo()
    assert files(images.folder)["a.txt"] == b"first"


def test_an_image_that_brings_a_caption_does_not_get_the_one_that_came_before_it(images: ImageSet) -> None:
    take(images, {"a.txt": b"old", "b.txt": b"old"})
    take(images, {"a.png": RED, "a.caption": b"its own", "b.png": BLUE, "b.png.txt": b"its own"})
    assert {each.name: each.caption for each in images.items()} == {"a_2.png": "its own", "b_2.png": "its own"}


def test_what_would_take_the_place_of_a_mask_gets_another_name_with_its_own(images: ImageSet) -> None:
    take(images, {"a.txt": b"a", "masks/a.png": WHITE, "b_mask.png": WHITE})
    found = take(images, {"a.png": RED, "masks/a.png": BLUE, "b.png": RED, "b_mask.png": BLUE})
    assert set(found.renamed) == {("a.png", "a_2.png"), ("b.png", "b_2.png")}
    masks = {
        each.name: each.mask.name if each.mask else "" for each in images.items() if each.name in ("a_2.png", "b_2.png")
    }
    assert masks == {"a_2.png": "a_2.png", "b_2.png": "b_2_mask.png"}
    kept = files(images.folder)
    assert kept["masks/a.png"] == kept["b_mask.png"] == WHITE


@pytest.mark.skipif(os.path.normcase("A") == "a", reason="one file for both names")
def test_names_that_differ_by_their_case_stay_apart(images: ImageSet) -> None:
    take(images, {"A.png": RED, "a.png": BLUE, "a.jpg": WHITE})
    assert len(images.items()) == 3


def test_what_came_in_is_undone_by_setting_it_aside(images: ImageSet) -> None:
    take(images, {"a.png": RED, "a.txt": b"mine"})
    images.write({"a.png": "written"}, message("sets.did_import"))
    images.set_aside(["a.png"])
    take(images, {"a.png": BLUE, "a.txt": b"other", "sub/b.png": WHITE, "alone.txt": b"x"})
    before = files(images.folder)
    assert before["a.png"] == BLUE

    done = images.undo()
    assert (str(done.what), done.count, done.left) == ("a.png, sub/b.png brought in", 2, ())
    assert images.items() == []
    assert files(images.folder) == {
        ".aside/a.png": RED, ".aside/a.txt": b"written",
        ".aside/a_2.png": BLUE, ".aside/a_2.txt": b"other", ".aside/sub/b.png": WHITE, ".aside/alone.txt": b"x",
    }  # fmt: skip
    images.again()
    assert files(images.folder) == before
    for _ in range(4):
        images.undo()
    assert files(images.folder)[".aside/a_2.png"] == BLUE
    assert images.history()[0] is None
    for _ in range(4):
        images.again()
    assert files(images.folder) == before


def test_two_images_with_one_caption_keep_it_for_both(images: ImageSet) -> None:
    take(images, {"a.png": RED, "a.jpg": BLUE, "a.txt": b"both"})
    assert {each.name: each.caption for each in images.items()} == {"a.png": "both", "a.jpg": "both"}


@pytest.mark.parametrize(
    "name",
    ["../out.png", "/out.png", "a/../../out.png", "C:\\out.png", "\\\\server\\share\\out.png", "..\\..\\out.png"],
)
def test_no_path_leads_out_of_the_set(images: ImageSet, tmp_path: Path, name: str) -> None:
    before = files(tmp_path)
    found = import_into(images, zipped(tmp_path / "evil.zip", {name: RED, "good.png": BLUE}))
    assert list(problems(found).values()) == ["has a path that leads out of the archive or folder"]
    journal = images.journal.path.relative_to(tmp_path).as_posix()
    assert set(files(tmp_path)) - set(before) == {"evil.zip", "cats/good.png", journal}
    found = take(images, {name: RED})
    assert found.images == 0


def test_a_link_in_an_archive_is_not_made(images: ImageSet, tmp_path: Path) -> None:
    path = tmp_path / "links.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("link.png")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
        archive.writestr("a.png", RED)
    found = import_into(images, path)
    assert problems(found) == {"link.png": "is a link"}
    assert files(images.folder) == {"a.png": RED}


def test_a_bomb_is_refused_before_anything_is_unpacked(images: ImageSet, tmp_path: Path, monkeypatch) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"a.bmp": bytes(30_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(DataError, match="hundreds of times larger"):
        import_into(images, bomb)
    monkeypatch.setattr(incoming, "MOST_FILES", 3)
    with pytest.raises(DataError, match="more than 3 files"):
        import_into(images, zipped(tmp_path / "many.zip", {f"{number}.png": RED for number in range(4)}))
    monkeypatch.setattr(incoming, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="would take"):
        import_into(images, zipped(tmp_path / "large.zip", {"a.png": bytes(200)}))
    monkeypatch.undo()
    monkeypatch.setattr(incoming, "_SPARE", 10**18)
    with pytest.raises(DataError, match="are free on the disk"):
        import_into(images, zipped(tmp_path / "full.zip", {"a.png": RED}))
    assert files(images.folder) == {}


def test_an_archive_that_lies_about_its_size_fills_nothing(images: ImageSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "lies.zip", {"a.bmp": bytes(5_000_000), "b.png": RED}, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    assert content.count((5_000_000).to_bytes(4, "little")) == 2
    path.write_bytes(content.replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    found = import_into(images, path)
    assert list(problems(found)) == ["a.bmp"]
    assert files(images.folder) == {"b.png": RED}


def test_what_cannot_be_unpacked_is_said_and_the_rest_comes_in(images: ImageSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "broken.zip", {"a.png": RED, "b.png": BLUE, "inner.zip": b"PK", "c.psd": b"x"})
    content = bytearray(path.read_bytes())
    content[content.index(RED) + 20] ^= 1
    path.write_bytes(content)
    found = import_into(images, path)
    assert set(problems(found)) == {"a.png", "inner.zip", "c.psd"}
    assert "CRC" in problems(found)["a.png"]
    assert files(images.folder) == {"b.png": BLUE}


def test_what_is_called_an_image_and_is_none_does_not_come_in(images: ImageSet, tmp_path: Path) -> None:
    photo = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(photo, "JPEG")
    bad = {
        "noise.png": bytes(range(256)) * 2,
        "half.jpg": photo.getvalue()[:900],
        "half.png": RED[:60],
        "none.webp": b"",
    }
    left = dict.fromkeys(bad, "is no image that can be read")
    found = take(images, {"a.png": RED, "whole.jpg": photo.getvalue(), **bad, "noise.txt": b"a cat"})
    assert (found.images, problems(found)) == (2, {**left, "noise.txt": "belongs to no image here"})
    assert sorted(files(images.folder)) == ["a.png", "noise.txt", "whole.jpg"]
    other = ImageSet(tmp_path / "zipped", tmp_path / "journals")
    found = import_into(
        other, zipped(tmp_path / "x.zip", {"b/a.png": RED, **{f"b/{name}": each for name, each in bad.items()}})
    )
    assert (found.images, problems(found)) == (1, {f"b/{name}": what for name, what in left.items()})


@pytest.mark.parametrize("content", [b"", b"words", b"PK\3\4" + bytes(50)])
def test_a_file_that_is_no_zip_is_refused_in_a_sentence(images: ImageSet, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: It is no zip archive"):
        import_into(images, path)


def test_an_encrypted_archive_is_refused_in_a_sentence(images: ImageSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a.png": RED})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="password"):
        import_into(images, path)


def test_japanese_names_of_older_programs_are_read(images: ImageSet, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"XXXX.png": RED, "XXXX.txt": b"cat"})
    path.write_bytes(path.read_bytes().replace(b"XXXX", "画像".encode("cp932")))
    import_into(images, path)
    assert set(files(images.folder)) == {"画像.png", "画像.txt"}


def test_names_are_made_safe() -> None:
    assert safe_name('a<b>:"c|?*.png') == "a_b___c___.png"
    assert safe_name("CON.png") == "_CON.png"
    assert safe_name("name. . ") == "name"
    assert safe_name("é" * 300 + ".png").endswith("é.png")
    assert len(safe_name("é" * 300 + ".png").encode()) <= 180
    assert safe_name("...") == safe_name(" ") == ""
    assert safe_parts("a\\b/c.png") == ("a", "b", "c.png")
    assert safe_parts("a/./b.png") == ("a", "b.png")
    assert safe_parts("a//") == ("a",)
    assert safe_parts("") is safe_parts("/".join("a" * 40)) is None
    assert "\u202e" not in safe_name("gnp.\u202eexe.png")


def test_names_that_become_one_get_numbers(images: ImageSet) -> None:
    take(images, {"a?.png": RED, "a*.png": BLUE})
    assert sorted(files(images.folder).values()) == sorted([RED, BLUE])


def test_a_batch_that_is_dropped_or_left_leaves_nothing(images: ImageSet) -> None:
    batch = Incoming(images)
    batch.take("a.png", [RED])
    assert images.items() == [], "what is on its way is not trained"
    batch.drop()
    assert list(images.folder.iterdir()) == []
    left = Incoming(images)
    left.take("a.png", [RED])
    tidy(images.folder)
    assert left.folder.exists()
    os.utime(left.folder, (0, 0))
    tidy(images.folder)
    assert list((images.folder / INCOMING).iterdir()) == []
    with pytest.raises(DataError):
        import_into(images, images.folder.parent / "gone.zip")


def test_a_transfer_that_breaks_off_leaves_no_half_of_a_file(images: ImageSet) -> None:
    def broken():
        yield RED[:20]
        raise ConnectionError

    batch = Incoming(images)
    with pytest.raises((ConnectionError, UserError)):
        batch.take("a.png", broken())
    batch.take("b.png", [BLUE])
    batch.finish()
    assert files(images.folder) == {"b.png": BLUE}


def test_a_set_goes_out_as_a_zip_and_comes_in_again_as_it_was(images: ImageSet, tmp_path: Path) -> None:
    contents = {"a.png": RED, "a.txt": b"cat", "sub/b.png": BLUE, "masks/a.png": WHITE, "ü.png": WHITE}
    take(images, contents)
    images.write({"sub/b.png": "dog"}, incoming.message("sets.did_import"))
    aside = {"aside.png": RED}
    take(images, aside)
    images.set_aside(["aside.png"])
    Incoming(images).take("c.png", [RED])
    path = tmp_path / "out.zip"
    path.write_bytes(b"".join(packed(images)))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    other = ImageSet(tmp_path / "again", tmp_path / "journals")
    import_into(other, path)
    assert files(other.folder) == {**contents, "sub/b.txt": b"dog"}
