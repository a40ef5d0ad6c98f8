"""Captions in every encoding that users' programs write, and what is no caption at all."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from trainer.data.captions.text_files import MOST_BYTES, Caption, decode, read_caption
from trainer.data.problems import FileError

JAPANESE = (
    "1人の女の子、青い髪、セーラー服",
    "女性, 帽子, 青空",
    "猫",
    "赤い目, 黒髪ロング",
    "Tシャツを着た少女がソファに座っている",
    "桜の木の下で本を読む少女",
    "1girl, 猫耳, smile",
    "a photo of 東京タワー",
    "ドット絵の剣士",
    "夜景、雨に濡れた道路。ネオンが反射している",
)
CHINESE = (
    "一个女孩，蓝色的头发",
    "女孩, 帽子, 蓝天",
    "狗",
    "穿着T恤的少女坐在沙发上",
    "白色连衣裙，站在海边",
    "1girl, 猫耳, smile",
    "a photo of 上海",
    "水墨风格的山水画，远处有一座塔",
    "戴眼镜的程序员",
    "夜景，樱花，长发美女",
)
WESTERN = (
    "une femme à l’école, cheveux dorés",
    "L’été dernier… nous étions “là-bas” – à l’étranger",
    "«\xa0Bonjour\xa0!\xa0» dit le garçon très élégant",
    "l’eau",
    "don’t look, the girl’s hat",
    "Loïc",
    "arrivée, créée, œuvre, naïve",
    "ÉTÉ, AÉROPORT",
    "a\xa0cat",
    "Mädchen mit blauen Haaren, groß, Straße, Übermensch",
    "El niño pequeño está aquí, ¿qué?",
    "São Paulo, coração, não",
    "smörgåsbord på en ö, blå øjne",
    "a “red” hat, girl – smiling",
    "20°C, piñata, café",
)


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("text", JAPANESE)
def test_shift_jis(text: str) -> None:
    assert decode(text.encode("cp932")) == Caption(text, "cp932 (Shift-JIS)")


@pytest.mark.parametrize("text", CHINESE)
def test_gbk(text: str) -> None:
    assert decode(text.encode("gbk")) == Caption(text, "GBK")


@pytest.mark.parametrize("text", WESTERN)
def test_cp1252(text: str) -> None:
    assert decode(text.encode("cp1252")) == Caption(plain(text), "cp1252 (Western)")


@pytest.mark.parametrize("text", ["a cat, red hat", *JAPANESE, *CHINESE, *WESTERN])
def test_unicode_of_every_kind(text: str) -> None:
    for codec, name in {
        "utf-8": "UTF-8",
        "utf-8-sig": "UTF-8 with BOM",
        "utf-16": "UTF-16",
        "utf-32": "UTF-32",
    }.items():
        assert decode(text.encode(codec)) == Caption(plain(text), name)
    assert decode("\ufeff".encode("utf-16-be") + text.encode("utf-16-be")) == Caption(plain(text), "UTF-16")


@pytest.mark.parametrize("text", ["a cat, red hat", "1girl, 猫耳, smile", "une école"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_where_it_is_obvious(text: str, codec: str) -> None:
    assert decode(text.encode(codec)) == Caption(text, "UTF-16")


def test_the_bytes_that_users_report() -> None:
    """0x92 and 0xa0 stopped other trainers, as did 0xff at position 0."""
    assert decode(b"the girl\x92s hat,\xa0red") == Caption("the girl’s hat, red", "cp1252 (Western)")
    assert decode(b"\xff\xfec\0a\0t\0") == Caption("cat", "UTF-16")


def test_lines_stay_lines_and_spaces_become_one() -> None:
    assert decode(b"  one,\r\ntwo,\n\n three\t  3\x0bfour\n") == Caption("one,\ntwo,\nthree 3\nfour", "UTF-8")
    assert decode("\ufeffa\ufeffb".encode()) == Caption("ab", "UTF-8 with BOM")


@pytest.mark.parametrize("content", [b"", b" \r\n\t", b"\xef\xbb\xbf", b"\xff\xfe"], ids=repr)
def test_empty(content: bytes) -> None:
    caption = decode(content)
    assert caption is not None
    assert caption.text == ""


def test_an_unclear_encoding_is_said_to_be_one() -> None:
    caption = decode("девушка с длинными волосами".encode("cp1251"))
    assert caption is not None
    assert not caption.certain


def test_a_broken_character_does_not_lose_the_caption() -> None:
    caption = decode(b"caf\x81 and a long caption")
    assert caption is not None
    assert not caption.certain
    assert caption.text.endswith("and a long caption")
    marked = decode(b"\xff\xfec\0a\0t\0\x00\xd8")  # half a surrogate pair
    assert marked is not None
    assert marked.text.startswith("cat")


def picture(image_format: str) -> bytes:
    file = BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(file, image_format)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (picture("PNG"), "is a PNG image by its content"),
        (picture("JPEG"), "is a JPEG image by its content"),
        (picture("BMP"), "is a BMP image by its content"),
        (b"PK\3\4" + bytes(range(256)), "is a ZIP or Office file by its content"),
        (b"red\0hat", "holds no text, but binary data"),
        (bytes(100), "holds no text, but binary data"),
        (b"red \x07 hat", "holds no text, but binary data"),
        (b"a" * (MOST_BYTES + 1), "is too long for a caption (more than 1000 kB)"),
    ],
    ids=["png", "jpeg", "bmp", "zip", "nul", "zeros", "bell", "long"],
)
def test_what_is_no_caption_is_refused_by_name(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_caption(path)
    assert str(caught.value.problem) == what
    assert caught.value.where == str(path)


def test_a_caption_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_caption(tmp_path / "gone.txt")
    assert str(caught.value.problem).startswith("cannot be opened (")


def test_no_bytes_at_all_make_it_crash() -> None:
    chance = random.Random(3)
    for length in (1, 2, 3, 5, 8, 40):
        for _ in range(400):
            high = chance.random() < 0.5
            content = bytes(chance.randrange(128 if high else 0, 256) for _ in range(length))
            caption = decode(content)
            assert caption is None or caption.text.split("\n") == [plain(line) for line in caption.text.split("\n")]
