"""Which files of a folder are pictures, and which caption belongs to which."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from trainer.data.files import caption_from_name, find_images, natural_key
from trainer.errors import DataError, UserError
from trainer.text.messages import message


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def pictures(folder: Path) -> list[str]:
    return [picture.name for picture in find_images(folder).images]


def captions(folder: Path) -> dict[str, str | None]:
    return {
        picture.name: picture.caption.relative_to(folder).as_posix() if picture.caption else None
        for picture in find_images(folder).images
    }


def sentence(folder: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        find_images(folder)
    return str(caught.value)


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_endings_in_any_case(tmp_path: Path) -> None:
    endings = ["jpg", "jpeg", "png", "gif", "tif", "tiff", "bmp", "webp", "pcx", "ico", "JPG", "Png", "TIFF"]
    endings += ["jfif", "jpe", "jif", "apng", "avif", "heic", "heif", "hif", "jxl"]
    fill(tmp_path, *(f"{number}.{ending}" for number, ending in enumerate(endings)))
    fill(tmp_path, "foojpg", "a.jpg.part", "b.fits", "c.npz", "d.psd", "README", "e.md")
    found = find_images(tmp_path)
    assert [picture.path.suffix[1:] for picture in found.images] == endings
    assert dict(found.others) == {".part": 1, ".fits": 1, ".npz": 1, ".psd": 1, ".md": 1, "": 2}


def test_natural_order_on_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a1.png", "A2.png", "a10.png", "b/1.png", "b/02.png", "b/10.png", "é.png", "猫1.png"]
    fill(tmp_path, *names)
    expected = pictures(tmp_path)
    assert expected == names
    scandir = os.scandir

    class Backwards:
        def __init__(self, folder) -> None:
            with scandir(folder) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_error: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert pictures(tmp_path) == expected


def test_accents_sort_alike_however_they_are_written() -> None:
    composed = "Loïc.png"
    assert natural_key(composed) == natural_key(unicodedata.normalize("NFD", composed))
    assert natural_key("a") != natural_key("A"), "files that differ by letter case only have one order"
    assert natural_key("x²") < natural_key("x³")  # digits that int() does not read


def test_nested_folders_with_spaces_and_letters_of_all_kinds(tmp_path: Path) -> None:
    names = ["å/ä/ö/1.png", "my pictures/to train/b.png", "图片\xa0集/c.png", "日本 語/d.JPG"]
    fill(tmp_path / "Loïc's data", *names)
    assert sorted(pictures(tmp_path / "Loïc's data")) == sorted(names)


def test_hidden_and_junk_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", ".hidden.png", "._a.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/a.png")
    fill(tmp_path, "sub/.git/b.png", "sub/@eaDir/c.jpg", "sub/d.png", "Thumbs.db", ".DS_Store")
    found = find_images(tmp_path)
    assert [picture.name for picture in found.images] == ["a.png", "sub/d.png"]
    assert found.left_out == (".ipynb_checkpoints", "__MACOSX", "sub/.git", "sub/@eaDir")
    assert found.others == ((".db", 1),)


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    fill(tmp_path, "album.png/a.png")
    assert pictures(tmp_path) == ["album.png/a.png"]


def test_links_do_not_lead_round_and_round(tmp_path: Path) -> None:
    fill(tmp_path, "data/a.png", "elsewhere/b.png")
    try:
        (tmp_path / "data/up").symlink_to(tmp_path / "data", target_is_directory=True)
        (tmp_path / "data/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("no links here")
    assert pictures(tmp_path / "data") == ["a.png", "more/b.png"]


def test_digits_of_any_script_are_numbers(tmp_path: Path) -> None:
    numbers = ["１.png", "2.png", "３.png", "١٠.png", "11.png", "１２.png"]
    names = [*numbers, "a１b２.png", "a１b10.png", "a²b.png", "²x.png", "①.png"]
    for name in reversed(names):
        (tmp_path / name).touch()
    assert [image.name for image in find_images(tmp_path).images] == names


def test_a_sub_folder_that_cannot_be_opened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a.png", "locked/b.png")
    deny(monkeypatch, "locked")
    found = find_images(tmp_path)
    assert [picture.name for picture in found.images] == ["a.png"]
    assert found.unreadable == (("locked", message("data.folder_inside_unreadable", reason="Permission denied")),)


def deny(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Tests may run as root, who is let in everywhere."""
    scandir = os.scandir

    def denied(folder):
        if isinstance(folder, Path) and folder.name == name:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", denied)


# ---- captions -------------------------------------------------------------------------------------------------------


def test_txt_before_caption_before_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a.txt", "a.caption", "b.png", "b.caption", "c.png", "sub/c.txt", "sub/d.png")
    assert captions(tmp_path) == {"a.png": "a.txt", "b.png": "b.caption", "c.png": None, "sub/d.png": None}
    assert find_images(tmp_path).lone_captions == ("sub/c.txt",)


def test_dotted_names(tmp_path: Path) -> None:
    fill(tmp_path, "aaa.bbb.jpg", "aaa.bbb.txt", "aaa.ccc.jpg", "aaa.txt")
    assert captions(tmp_path) == {"aaa.bbb.jpg": "aaa.bbb.txt", "aaa.ccc.jpg": None}
    assert find_images(tmp_path).lone_captions == ("aaa.txt",)


def test_one_caption_for_two_endings(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "a.jpg", "a.txt")
    assert captions(tmp_path) == {"a.jpg": "a.txt", "a.png": "a.txt"}


def test_letter_case_of_captions(tmp_path: Path) -> None:
    fill(tmp_path, "IMG_1.JPG", "IMG_1.TXT", "IMG_2.JPG", "img_2.txt")
    assert captions(tmp_path) == {"IMG_1.JPG": "IMG_1.TXT", "IMG_2.JPG": "img_2.txt"}
    assert find_images(tmp_path).lone_captions == ()


def test_accents_written_in_two_ways_are_one_name(tmp_path: Path) -> None:
    fill(tmp_path, unicodedata.normalize("NFC", "Loïc.png"), unicodedata.normalize("NFD", "Loïc.txt"))
    assert list(captions(tmp_path).values()) != [None]


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("cat_red hat_id_0001.png", "cat,red hat"),
        ("cat.png", "cat"),
        ("1girl_blue_hair.jpg", "1girl,blue,hair"),
        ("_id_7.png", ""),
        ("a_id_b_id_c.png", "a"),
        ("cat_id.png", "cat,id"),
    ],
)
def test_caption_from_the_file_name(name: str, caption: str) -> None:
    assert caption_from_name(Path("somewhere_id_", name)) == caption


# ---- folders that do not do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["", "  "])
def test_not_set(folder: str) -> None:
    assert sentence(folder) == "lora data directory: It is empty. Write the folder that holds the images."


def test_missing(tmp_path: Path) -> None:
    fill(tmp_path, "pictures/a.png")
    assert sentence(tmp_path / "Pictrues/sub") == (
        f'lora data directory: There is no folder "{tmp_path / "Pictrues/sub"}". '
        f"Perhaps you mean {tmp_path / 'pictures'}."
    )
    assert sentence(tmp_path / "zzz") == (
        f'lora data directory: There is no folder "{tmp_path / "zzz"}". '
        f"Check the path: the nearest folder that exists is {tmp_path}."
    )


@pytest.mark.parametrize(
    ("before", "after", "extra"), [("", "  ", "spaces around it"), ('"', '"', "quotes"), ("'", "' ", "quotes")]
)
def test_spaces_and_quotes_around_a_path(tmp_path: Path, before: str, after: str, extra: str) -> None:
    fill(tmp_path, "testlora/a.png")
    folder = tmp_path / "testlora"
    assert sentence(f"{before}{folder}{after}") == (
        f'lora data directory: There is no folder "{before}{folder}{after}". Write it without the {extra}: {folder}.'
    )


def test_a_home_folder_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "pictures/a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_images("~/pictures").folder == tmp_path / "pictures"
    (tmp_path / "photos").mkdir()
    assert sentence("~/photo").endswith(f"Perhaps you mean {tmp_path / 'photos'}.")


def test_a_file(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    assert sentence(tmp_path / "a.png") == (
        f'lora data directory: "{tmp_path / "a.png"}" is a file. Write the folder that holds the images.'
    )


def test_a_name_no_system_takes() -> None:
    with pytest.raises(UserError, match="lora data directory: It is too long for a path"):
        find_images("x" * 5000)


def test_empty(tmp_path: Path) -> None:
    fill(tmp_path / "a", "b/nothing").joinpath("b/nothing").unlink()
    assert sentence(tmp_path / "a") == (
        f'lora data directory: The folder "{tmp_path / "a"}" is empty, and so are its sub-folders. '
        "Put images there (apng, avif, bmp, gif, heic, heif, hif, ico, jfif, jif, jpe, jpeg, jpg, jxl, pcx, png, tif, "
        "tiff, webp), or choose another folder."
    )


def test_no_picture_among_the_files(tmp_path: Path) -> None:
    fill(tmp_path / "a", "1.psd", "2.PSD", "3.zip", "1.txt", "2.txt", "3.txt")
    assert sentence(tmp_path / "a").startswith(
        f'lora data directory: The folder "{tmp_path / "a"}" holds no image, only other files '
        "(3 .txt, 2 .psd, 1 .zip). Put images there"
    )


def test_the_folder_below_instead_of_the_one_with_the_pictures(tmp_path: Path) -> None:
    fill(tmp_path, "a.png", "captions/a.txt")
    assert sentence(tmp_path / "captions").endswith(
        f"There are images in the folder above it, {tmp_path}. Perhaps you mean that."
    )


def test_pictures_only_where_nobody_looks(tmp_path: Path) -> None:
    fill(tmp_path, ".mine/a.png", "notes.md")
    assert sentence(tmp_path).endswith(
        'There are images in ".mine", a folder that is always left out. Rename it, or move them.'
    )


def test_a_folder_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "locked/a.png")
    deny(monkeypatch, "locked")
    assert sentence(tmp_path / "locked") == (
        f'lora data directory: The folder "{tmp_path / "locked"}" cannot be opened (Permission denied). '
        "Allow reading it, or choose another."
    )
