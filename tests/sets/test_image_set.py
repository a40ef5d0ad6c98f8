"""A folder of images looked at and changed: captions where a run reads them, undo, what is set aside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.scan import scan
from trainer.errors import DataError, UserError
from trainer.sets import journal as journals
from trainer.sets.image_set import ASIDE, ImageSet
from trainer.sets.journal import Journal
from trainer.sets.tags import Change
from trainer.text.messages import message

WHAT = message("sets.did_captions", count=1)


def image(path: Path, colour: str = "red", size: tuple[int, int] = (64, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Three images with captions, one of them with a mask, and one without anything."""
    folder = tmp_path / "cats"
    for name in ("a", "b", "sub/c", "d"):
        image(folder / f"{name}.png")
    (folder / "a.txt").write_text("cat, red")
    (folder / "b.txt").write_text("cat, blue")
    (folder / "sub" / "c.txt").write_text("dog")
    image(folder / "masks" / "a.png", "white")
    return ImageSet(folder, tmp_path / "journals")


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def captions(images: ImageSet) -> dict[str, str]:
    return {each.name: each.caption for each in images.items()}


def trained(images: ImageSet) -> dict[str, str]:
    """What a run would read of the folder: each image with its caption."""
    found = scan(Settings(mode="LoRA", lora_data_directory=str(images.folder), image_size=Size(256, 256)))
    return {side.path.relative_to(images.folder).as_posix(): side.caption for side in found.trained}


def test_a_set_lists_what_a_run_would_train(images: ImageSet) -> None:
    items = {each.name: each for each in images.items()}
    assert {name: each.caption for name, each in items.items()} == trained(images)
    assert list(items) == ["a.png", "b.png", "d.png", "sub/c.png"]
    assert items["a.png"].mask == images.folder / "masks" / "a.png"
    assert items["b.png"].mask is None
    assert items["a.png"].size == (images.folder / "a.png").stat().st_size


def test_a_caption_is_written_where_a_run_reads_it(images: ImageSet) -> None:
    written = {"a.png": "neu: größer", "d.png": " new ,  one \n\n two", "sub/c.png": ""}
    assert images.write(written, WHAT).count == 3
    assert (images.folder / "a.txt").read_bytes() == "neu: größer".encode()
    assert (images.folder / "d.txt").read_bytes() == b"new , one\ntwo"
    assert (images.folder / "sub" / "c.txt").read_bytes() == b""
    assert captions(images) == {
        "a.png": "neu: größer",
        "b.png": "cat, blue",
        "d.png": "new , one\ntwo",
        "sub/c.png": "",
    }
    assert trained(images)["a.png"] == "neu: größer"
    assert images.write({"b.png": "cat,  blue "}, WHAT).count == 0, "it says the same"


@pytest.mark.parametrize(
    ("file", "content", "new"),
    [
        ("x.caption", b"old", "x.caption"),
        ("x.png.txt", b"old", "x.png.txt"),
        ("X.TXT", b"old", "X.TXT"),
        ("x.txt", "古い".encode("cp932"), "x.txt"),
        ("x.txt", "\ufeffold".encode("utf-16"), "x.txt"),
        ("x.json", b'{"caption": "old"}', "x.txt"),
        ("metadata.jsonl", b'{"file_name": "x.png", "text": "old"}\n', "x.txt"),
    ],
)
def test_wherever_a_caption_stands_the_new_one_counts_and_undo_brings_back_every_byte(
    tmp_path: Path, file: str, content: bytes, new: str
) -> None:
    images = ImageSet(tmp_path / "set", tmp_path / "journals")
    image(images.folder / "x.png")
    (images.folder / file).write_bytes(content)
    before = files(images.folder)
    assert captions(images)["x.png"] in ("old", "古い")
    images.write({"x.png": "new"}, WHAT)
    assert trained(images) == captions(images) == {"x.png": "new"}
    assert (images.folder / new).read_text("utf-8") == "new"
    if new != file:
        assert (images.folder / file).read_bytes() == content, "what holds more than this caption stays as it is"
    images.undo()
    assert files(images.folder) == before
    images.again()
    assert captions(images) == {"x.png": "new"}


def test_a_new_caption_file_ends_as_most_others_do(tmp_path: Path) -> None:
    images = ImageSet(tmp_path / "set", tmp_path / "journals")
    for name in "abc":
        image(images.folder / f"{name}.png")
    (images.folder / "a.caption").write_text("one")
    images.write({"b.png": "two"}, WHAT)
    assert (images.folder / "b.caption").read_text() == "two"
    chosen = ImageSet(images.folder, tmp_path / "journals", extension="_tags.txt")
    chosen.write({"c.png": "three"}, WHAT)
    assert (images.folder / "c_tags.txt").read_text() == "three"


def test_a_caption_that_is_no_text_is_not_written_over(images: ImageSet) -> None:
    (images.folder / "b.txt").write_bytes((images.folder / "a.png").read_bytes())
    before = files(images.folder)
    with pytest.raises(DataError, match=r"b\.png: .*not written over"):
        images.write({"b.png": "x"}, WHAT)
    assert images.change(Change("add", ("x",))).count == 3
    assert files(images.folder)["b.txt"] == before["b.txt"]


def test_a_change_concerns_the_images_it_is_for(images: ImageSet) -> None:
    assert images.change(Change("add", ("smile",)), ["a.png", "d.png"]).count == 2
    assert captions(images)["a.png"] == "cat, red, smile"
    assert captions(images)["d.png"] == "smile"
    assert images.change(Change("remove", ("cat",))).count == 2
    assert captions(images) == {"a.png": "red, smile", "b.png": "blue", "d.png": "smile", "sub/c.png": "dog"}


def test_changes_are_undone_one_after_the_other_also_by_another_program(images: ImageSet, tmp_path: Path) -> None:
    states = [files(images.folder)]
    for change in (Change("add", ("one",)), Change("replace", ("cat",), "kitten"), Change("sort")):
        images.change(change)
        states.append(files(images.folder))
    later = ImageSet(images.folder, tmp_path / "journals")
    assert str(later.history()[0]) == "tags sorted"
    for state in reversed(states[:-1]):
        later.undo()
        assert files(images.folder) == state
    with pytest.raises(UserError, match="nothing to undo"):
        later.undo()
    for state in states[1:]:
        images.again()
        assert files(images.folder) == state
    with pytest.raises(UserError, match="nothing to do again"):
        images.again()
    images.undo()
    images.change(Change("add", ("other",)))
    assert images.history()[1] is None, "what was undone is gone once something else is done"


def test_what_somebody_else_has_written_since_is_not_undone(images: ImageSet) -> None:
    images.change(Change("add", ("x",)))
    (images.folder / "a.txt").write_text("by hand")
    assert images.undo().left == ("a.txt",)
    assert captions(images) == {"a.png": "by hand", "b.png": "cat, blue", "d.png": "", "sub/c.png": "dog"}


def test_a_caption_that_was_changed_elsewhere_is_not_written_over(images: ImageSet) -> None:
    (images.folder / "a.txt").write_text("by hand")
    done = images.write({"a.png": "mine", "b.png": "mine"}, WHAT, known={"a.png": "cat, red", "b.png": "cat, blue"})
    assert (done.count, done.left) == (1, ("a.png",))
    assert captions(images)["a.png"] == "by hand"
    assert captions(images)["b.png"] == "mine"


def test_what_is_typed_in_one_go_is_undone_in_one_go(images: ImageSet) -> None:
    for text in ("cat, r", "cat, re", "cat, rest"):
        images.write({"a.png": text}, WHAT, apart=False)
    images.write({"b.png": "other"}, WHAT, apart=False)
    images.undo()
    assert captions(images)["a.png"] == "cat, rest"
    images.undo()
    assert captions(images)["a.png"] == "cat, red"
    images.again()
    assert captions(images)["a.png"] == "cat, rest"


def test_a_program_killed_while_it_writes_is_undone_all_the_same(images: ImageSet, monkeypatch) -> None:
    before = files(images.folder)

    class KilledError(BaseException):
        """As if the power failed."""

    written = []

    def put(contents) -> None:
        path, content = next(iter(contents.items()))
        path.write_bytes(content)
        written.append(path)
        raise KilledError

    monkeypatch.setattr(images, "_put", put)
    with pytest.raises(KilledError):
        images.change(Change("add", ("x",)))
    assert written
    assert files(images.folder) != before
    monkeypatch.undo()
    images.journal.path.write_bytes(images.journal.path.read_bytes() + b'{"entry": {"wha')
    assert images.undo().left == ()
    assert files(images.folder) == before
    images.again()
    assert captions(images)["b.png"] == "cat, blue, x"


def test_a_journal_does_not_grow_without_end(images: ImageSet, monkeypatch) -> None:
    monkeypatch.setattr(journals, "MOST_BYTES", 2000)
    for number in range(20):
        images.write({"a.png": f"caption {number}"}, WHAT)
        assert images.journal.path.stat().st_size < 2500
    images.undo()
    assert captions(images)["a.png"] == "caption 18"
    images.undo()
    assert captions(images)["a.png"] == "caption 17"


def test_images_are_set_aside_with_what_belongs_to_them_and_brought_back(images: ImageSet) -> None:
    before = files(images.folder)
    assert images.set_aside(["a.png", "sub/c.png", "gone.png"]).count == 2
    assert list(captions(images)) == list(trained(images)) == ["b.png", "d.png"]
    aside = {each.name: each for each in images.items(aside=True)}
    assert list(aside) == ["a.png", "sub/c.png"]
    assert aside["a.png"].caption == "cat, red"
    assert aside["a.png"].mask is not None
    assert sorted(files(images.folder).values()) == sorted(before.values()), "nothing is deleted"
    images.bring_back(["a.png"])
    images.bring_back(["sub/c.png"])
    assert files(images.folder) == before


def test_setting_aside_is_undone_and_done_again(images: ImageSet) -> None:
    before = files(images.folder)
    images.set_aside(["a.png"])
    after = files(images.folder)
    images.undo()
    assert files(images.folder) == before
    images.again()
    assert files(images.folder) == after


def test_a_name_that_is_taken_among_what_is_aside_gets_a_number(images: ImageSet) -> None:
    images.set_aside(["b.png"])
    image(images.folder / "b.png", "blue")
    (images.folder / "b.txt").write_text("the other")
    images.set_aside(["b.png"])
    assert [(each.name, each.caption) for each in images.items(aside=True)] == [
        ("b.png", "cat, blue"),
        ("b_2.png", "the other"),
    ]
    images.bring_back(["b_2.png"])
    assert captions(images)["b_2.png"] == "the other"


def test_a_caption_of_two_images_stays_with_the_one_that_stays(images: ImageSet) -> None:
    Image.new("RGB", (64, 64)).save(images.folder / "a.jpg")
    images.set_aside(["a.png"])
    assert captions(images)["a.jpg"] == "cat, red"


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "/etc/passwd", "sub/../../secret.png", ".aside/a.png", "a.txt/..", "", ".", "C:/a.png", "a\0.png",
     "..\\secret.png", "sub"],
)  # fmt: skip
def test_no_name_leads_out_of_a_set(images: ImageSet, name: str) -> None:
    image(images.folder.parent / "secret.png")
    with pytest.raises(DataError):
        images.path_of(name)
    with pytest.raises(DataError):
        images.write({name: "x"}, WHAT)
    assert images.set_aside([name]).count == 0


def test_a_name_inside_is_found(images: ImageSet) -> None:
    assert images.path_of("sub/c.png") == images.folder / "sub" / "c.png"
    images.set_aside(["a.png"])
    assert images.path_of("a.png", aside=True) == images.folder / ASIDE / "a.png"


def test_who_changes_a_set_at_the_same_time_waits_or_is_told(images: ImageSet, monkeypatch) -> None:
    monkeypatch.setattr(journals, "_PATIENCE", 0.05)
    other = Journal(images.folder, images.journal.path.parent)
    with other.held(), pytest.raises(UserError, match="another window or program"):
        images.change(Change("add", ("x",)))
    assert images.change(Change("add", ("x",))).count == 4


def test_two_sets_of_one_name_have_journals_of_their_own(tmp_path: Path) -> None:
    paths = [Journal(tmp_path / place / "cats", tmp_path).path for place in ("one", "two")]
    assert paths[0] != paths[1]
    assert Journal(Path(os.path.relpath(tmp_path / "one" / "cats")), tmp_path).path == paths[0]


def test_many_captions_are_changed_and_changed_back(tmp_path: Path) -> None:
    images = ImageSet(tmp_path / "many", tmp_path / "journals")
    images.folder.mkdir()
    for number in range(300):
        (images.folder / f"{number}.png").touch()
        (images.folder / f"{number}.txt").write_text(f"cat, {number}")
    assert images.change(Change("add", ("x",))).count == 300
    assert images.undo().count == 300
    assert captions(images)["7.png"] == "cat, 7"
