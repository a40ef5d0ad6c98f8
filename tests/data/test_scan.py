"""From a folder to samples: what is trained, how often, with which caption; and every problem by file name."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from io import BytesIO
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data import scan as scan_module
from trainer.data.problems import COUNTED, summed_up
from trainer.data.samples import Sample, Scan, pixels_of
from trainer.data.scan import scan
from trainer.errors import DataError, Stopped
from trainer.text.catalogue import texts_of

ROOT = Path(__file__).resolve().parent.parent.parent
WIDE: dict[str, Any] = {"image_size": Size(512, 768), "image_buckets_step": 128, "image_min_length": 256}
SMALL: dict[str, Any] = {"image_size": Size(64, 64), "image_min_length": 64, "image_buckets_step": 64}


def picture(path: Path, width: int = 64, height: int = 64, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def text(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def scanned(folder: Path, **settings: Any) -> Scan:
    return scan(Settings(lora_data_directory=str(folder), **{**SMALL, **settings}))


def told(found: Scan) -> list[str]:
    return [str(problem) for problem in found.problems]


# ---- samples --------------------------------------------------------------------------------------------------------


def test_one_picture_three_smaller_copies_mirrored_is_eight_samples(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 512, 640)
    found = scanned(tmp_path, **WIDE, sub_image_num=3, image_mirroring=True)
    assert len(found.samples) == 8
    assert found.images == 1
    assert {sample.frame for sample in found.samples} == {(512, 640), (384, 640), (256, 384), (384, 512)}
    assert [sample.mirrored for sample in found.samples] == [False, True] * 4
    assert found.buckets == (((256, 384), 2), ((384, 512), 2), ((384, 640), 2), ((512, 640), 2))


def test_a_sample_says_how_it_is_cut(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 200, 100)
    text(tmp_path / "a.txt", "a cat")
    (sample,) = scanned(tmp_path, lora_trigger_word="sks").samples
    assert sample == Sample(
        path=path,
        caption="sks, a cat",
        frame=(64, 64),
        scaled=(128, 64),
        crop=(32, 0),
        mirrored=False,
        has_alpha=False,
        size=(200, 100),
    )
    assert hash(sample) == hash(scanned(tmp_path, lora_trigger_word="sks").samples[0])


def test_samples_keep_the_order_of_the_files_and_repeat_as_a_whole(tmp_path: Path) -> None:
    for name in ("b/1.png", "a10.png", "a2.jpg", "B.PNG"):
        picture(tmp_path / name)
    found = scanned(tmp_path, image_num_multiply=3)
    names = [sample.path.relative_to(tmp_path).as_posix() for sample in found.distinct]
    assert names == ["a2.jpg", "a10.png", "B.PNG", "b/1.png"]
    assert found.samples == found.distinct * 3
    assert found.buckets == (((64, 64), 12),)
    assert found.images == 4
    assert all(one is other for one, other in zip(found.samples, found.distinct * 3, strict=True)), "no copies"


def test_two_scans_agree(tmp_path: Path) -> None:
    for number in range(30):
        picture(tmp_path / f"{number % 7}" / f"{number}.png", 64 + number, 64)
        text(tmp_path / f"{number % 7}" / f"{number}.txt", "x" * (number % 5))
    text(tmp_path / "3" / "10.png", "broken")
    assert scanned(tmp_path) == scanned(tmp_path)


def test_pixels_are_those_that_the_sample_describes(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 128, 64)
    plain, mirrored = scanned(tmp_path, image_mirroring=True).samples
    expected = np.asarray(Image.open(path))[:, 32:96]
    assert np.array_equal(pixels_of(plain)[0], expected)
    assert np.array_equal(pixels_of(mirrored)[0], expected[:, ::-1])
    assert pixels_of(plain)[1] is None


def test_alpha_becomes_a_mask_that_follows(tmp_path: Path) -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (64, 128), dtype=np.uint8)
    Image.fromarray(np.dstack([np.full((64, 128, 3), 200, np.uint8), alpha])).save(tmp_path / "a.png")
    plain, mirrored = scanned(tmp_path, image_mirroring=True).samples
    assert plain.has_alpha
    for sample, expected in ((plain, alpha[:, 32:96]), (mirrored, alpha[:, 95:31:-1])):
        pixels, mask = pixels_of(sample)
        assert mask is not None
        assert np.abs(mask - expected / 255).max() < 1e-6
        assert np.abs(pixels[..., 0] - (128 + 72 * (expected / 255))).max() <= 1


def test_progress_and_stopping(tmp_path: Path) -> None:
    for number in range(9):
        picture(tmp_path / f"{number}.png")
    settings = Settings(lora_data_directory=str(tmp_path), **SMALL)
    seen: list[tuple[int, int]] = []
    scan(settings, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 9) for number in range(1, 10)]

    def stop() -> None:
        if len(seen) > 11:
            raise Stopped

    before = threading.active_count()
    with pytest.raises(Stopped):
        scan(settings, check=stop, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) == 12
    assert threading.active_count() == before


def test_a_scan_can_be_stopped_while_a_picture_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network drive that has gone: neither the button nor Ctrl-C waits for the picture."""
    for number in range(3):
        picture(tmp_path / f"{number}.png")
    ever = threading.Event()
    monkeypatch.setattr(scan_module, "inspect_image", lambda path, **_: ever.wait(60))
    began = time.monotonic()

    def stop() -> None:
        if time.monotonic() - began > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        scan(Settings(lora_data_directory=str(tmp_path), **SMALL), check=stop)
    assert time.monotonic() - began < 10
    left = [thread for thread in threading.enumerate() if thread.name == "trainyard-read"]
    assert all(thread.daemon for thread in left)  # the program can end
    ever.set()
    for thread in left:
        thread.join()


def test_a_folder_of_many_files_can_be_stopped_before_any_is_opened(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}.dat").touch()
    asked = []

    def stop() -> None:
        asked.append(1)
        if len(asked) == 20:
            raise Stopped

    with pytest.raises(Stopped):
        scan(Settings(lora_data_directory=str(tmp_path)), check=stop)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_named_and_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    text(tmp_path / "a.txt", "a cat")
    os.mkfifo(tmp_path / "pipe.png")
    picture(tmp_path / "b.png")
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket.png"))
        found = scanned(tmp_path)
    assert found.images == 2
    assert set(told(found)) == {
        "pipe.png cannot be opened (it is a pipe, not a file): left out",
        "socket.png cannot be opened (it is a socket, not a file): left out",
        "zero.png cannot be opened (it is a device, not a file): left out",
        "b.png has a caption file, b.txt, that cannot be opened (it is a pipe, not a file): used without a caption",
        "loop cannot be opened (Too many levels of symbolic links): left out",
        "loop.png cannot be opened (Too many levels of symbolic links): left out",
    }


# ---- captions -------------------------------------------------------------------------------------------------------


def captions(found: Scan) -> dict[str, str]:
    return {sample.path.name: sample.caption for sample in found.distinct}


def test_captions_of_every_kind(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        picture(tmp_path / f"{name}.png")
    text(tmp_path / "a.txt", "a cat\r\non a mat")
    text(tmp_path / "a.caption", "not this")
    text(tmp_path / "b.caption", "\ufeffa dog")
    text(tmp_path / "c.txt", "l’été, un garçon".encode("cp1252"))
    text(tmp_path / "d.txt", "青い髪の女の子".encode("cp932"))
    text(tmp_path / "e.txt", "一个女孩".encode("gbk"))
    text(tmp_path / "f.txt", "Loïc".encode("utf-16"))
    found = scanned(tmp_path)
    assert captions(found) == {
        "a.png": "a cat",
        "b.png": "a dog",
        "c.png": "l’été, un garçon",
        "d.png": "青い髪の女の子",
        "e.png": "一个女孩",
        "f.png": "Loïc",
        "g.png": "",
    }
    assert (found.captions.files, found.captions.missing, found.captions.empty) == (6, 1, 0)
    assert dict(found.captions.encodings) == {
        "UTF-8": 1,
        "UTF-8 with BOM": 1,
        "cp1252 (Western)": 1,
        "cp932 (Shift-JIS)": 1,
        "GBK": 1,
        "UTF-16": 1,
    }
    assert found.problems == ()


def test_the_trigger_word_goes_first_and_alone_where_there_is_no_caption(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    text(tmp_path / "a.txt", "a cat")
    assert captions(scanned(tmp_path, lora_trigger_word="Loïc")) == {"a.png": "Loïc, a cat", "b.png": "Loïc"}


def test_problems_of_one_kind_are_one_line(tmp_path: Path) -> None:
    sizes = [(64, 64), (128, 64), (160, 160), (96, 96), (64, 80)]
    for number, size in enumerate(sizes):
        picture(tmp_path / f"{number}.png", *size)
    for number in range(2):
        text(tmp_path / f"{number}.txt", "")
    text(tmp_path / "z.txt", "alone")
    (tmp_path / "broken.png").write_bytes(b"x")
    (tmp_path / "broken2.png").write_bytes(b"x")
    found = scanned(tmp_path, image_size=Size(512, 512), image_min_length=512)
    lines = [str(line) for line in summed_up(found.problems)]
    # 64 x 64 becomes 512 x 512, 8 times as large; 160 x 160 is 3.2 times enlarged.
    assert lines == [
        "5 images are small (64 x 64 to 160 x 160): used, 3.2 to 8 times enlarged (0.png, 1.png, 2.png, 2 more)",
        "2 images have empty caption files: used without a caption (0.png, 1.png)",
        "broken2.png is no image in a format that can be read: left out (likewise broken.png)",
        "z.txt belongs to no image: left out",
    ]
    assert len(found.problems) == 10
    japanese = [line.text("ja") for line in summed_up(found.problems)]
    assert japanese[0] == (
        "小さい画像が 5 枚あります(64 x 64~160 x 160)。3.2~8 倍に拡大して使います(0.png、1.png、2.png、ほか 2 件)。"
    )


def test_every_text_of_many_has_the_values_of_the_text_of_one() -> None:
    for key, many in COUNTED.items():
        for language in ("en", "ja"):
            texts = texts_of(language)
            values = {name for _, name, _, _ in Formatter().parse(texts[key]) if name}
            of_many = {name for _, name, _, _ in Formatter().parse(texts[many]) if name}
            assert of_many <= values | {"count"}, key


def test_file_names_as_tags_take_the_place_of_caption_files(tmp_path: Path) -> None:
    picture(tmp_path / "cat_red hat_id_1.png")
    picture(tmp_path / "_id_2.png")
    text(tmp_path / "cat_red hat_id_1.txt", b"\x89PNG not read")
    found = scanned(tmp_path, image_use_filename_as_tag=True, lora_trigger_word="sks")
    assert captions(found) == {"_id_2.png": "sks", "cat_red hat_id_1.png": "sks, cat,red hat"}
    assert (found.captions.names, found.captions.empty, found.captions.files) == (2, 1, 0)
    assert found.problems == ()


def test_captions_with_a_problem_are_told_and_the_picture_is_used(tmp_path: Path) -> None:
    for name in ("empty", "image", "nul", "unclear"):
        picture(tmp_path / f"{name}.png")
    text(tmp_path / "empty.txt", " \n")
    picture(tmp_path / "image.txt", format="PNG")
    text(tmp_path / "nul.txt", b"red\0hat")
    text(tmp_path / "unclear.txt", "девушка с длинными волосами".encode("cp1251"))
    found = scanned(tmp_path, lora_trigger_word="sks")
    assert found.images == 4
    *first, last = told(found)
    assert first == [
        "empty.png has an empty caption file, empty.txt: used with the trigger word alone",
        "image.png has a caption file, image.txt, that is a PNG image by its content: used with the trigger word alone",
        "nul.png has a caption file, nul.txt, that holds no text, but binary data: used with the trigger word alone",
    ]
    assert last.startswith("unclear.png has a caption, unclear.txt, in an unclear encoding: read as ")
    assert captions(found)["image.png"] == "sks"
    assert "used without a caption" in told(scanned(tmp_path))[0]


def test_a_shared_caption_and_a_lonely_one_are_told(tmp_path: Path) -> None:
    picture(tmp_path / "sub/a.png")
    picture(tmp_path / "sub/a.jpg")
    picture(tmp_path / "aaa.ccc.jpg")
    text(tmp_path / "sub/a.txt", "a cat")
    text(tmp_path / "aaa.txt", "a dog")
    found = scanned(tmp_path)
    assert told(found) == [
        "sub/a.txt is the caption of several images (sub/a.jpg, sub/a.png): used for each of them",
        "aaa.txt belongs to no image: left out",
    ]
    assert captions(found) == {"a.png": "a cat", "a.jpg": "a cat", "aaa.ccc.jpg": ""}
    assert found.left_out == 0


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_bad_files_in_the_middle_of_a_set_are_left_out_by_name(tmp_path: Path) -> None:
    for name in ("1.png", "3.jpg", "6.png"):
        picture(tmp_path / name)
    truncated = picture(tmp_path / "2 ä.png")
    truncated.write_bytes(truncated.read_bytes()[:3000])
    text(tmp_path / "4.png", "")
    text(tmp_path / "5.webp", "<html>")
    text(tmp_path / "data.npz", "PK")
    found = scanned(tmp_path)
    assert [sample.path.name for sample in found.samples] == ["1.png", "3.jpg", "6.png"]
    assert (found.images, found.left_out) == (3, 3)
    first, *rest = told(found)
    assert first.startswith("2 ä.png is broken (")
    assert first.endswith("): left out")
    assert rest == [
        "4.png is empty (0 bytes): left out",
        "5.webp is no image, but a web page that was saved as one: left out",
    ]
    assert found.others == ((".npz", 1),)
    assert found.usable
    found.require_usable()


def test_truncated_files_are_seen_where_a_host_looks_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    whole = picture(tmp_path / "b.jpg")
    whole.write_bytes(whole.read_bytes()[:-300])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    found = scanned(tmp_path)
    assert [sample.path.name for sample in found.samples] == ["a.png"]
    assert str(found.problems[0].what).startswith("is broken (")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_nothing_usable(tmp_path: Path) -> None:
    for number in range(5):
        text(tmp_path / f"{number}.png", "" if number else "not a picture")
    found = scanned(tmp_path)
    assert not found.usable
    with pytest.raises(DataError) as caught:
        found.require_usable()
    assert str(caught.value) == (
        f'lora data directory: No image in "{tmp_path}" can be trained: '
        "0.png is no image in a format that can be read, 1.png is empty (0 bytes), 2.png is empty (0 bytes), "
        "and 2 more. Mend or replace them."
    )


def test_what_a_transparent_picture_does(tmp_path: Path) -> None:
    blank = np.zeros((64, 192, 4), np.uint8)
    Image.fromarray(blank).save(tmp_path / "clear.png")
    blank[:, :40, 3] = 255
    Image.fromarray(blank).save(tmp_path / "side.png")
    blank[30, 96, 3] = 1
    Image.fromarray(blank).save(tmp_path / "spot.png")
    found = scanned(tmp_path)
    assert [sample.path.name for sample in found.samples] == ["spot.png"]
    assert told(found)[:2] == [
        "clear.png is fully transparent: left out",
        "side.png is fully transparent in its middle, which is what would be trained: left out",
    ]


def test_tiny_and_extreme_pictures_are_used_and_told(tmp_path: Path) -> None:
    picture(tmp_path / "dot.png", 1, 1)
    picture(tmp_path / "fine.png", 40, 40)
    picture(tmp_path / "line.png", 640, 64)
    assert told(scanned(tmp_path)) == [
        "dot.png is small (1 x 1): used, 64 times enlarged",
        "line.png has an extreme shape (640 x 64): used, but only 10 % of it fit 64 x 64",
    ]


def test_without_upscaling(tmp_path: Path) -> None:
    for name, size in {"fits": (512, 512), "less": (400, 400), "tiny": (200, 900)}.items():
        picture(tmp_path / f"{name}.png", *size)
    found = scanned(tmp_path, **WIDE, image_disable_upscale=True)
    assert {sample.path.stem: sample.frame for sample in found.samples} == {"fits": (512, 512), "less": (384, 384)}
    assert told(found) == [
        "tiny.png is smaller (200 x 900) than every size to train at, and image disable upscale is on: left out"
    ]


def test_notes_of_pictures_and_of_settings(tmp_path: Path) -> None:
    picture(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    found = scanned(tmp_path, sub_image_num=1)
    assert told(found) == ["a.gif is animated: only its first frame is used"]
    assert len(found.notes) == 1
    assert str(found.notes[0]).startswith("sub image num is 1, but")


def test_a_file_that_changes_after_the_scan(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 100, 100)
    (sample,) = scanned(tmp_path).samples
    picture(path, 50, 100)
    with pytest.raises(DataError) as caught:
        pixels_of(sample)
    assert str(caught.value) == f"{path}: It has changed: it was 100 x 100 and is 50 x 100 now. Start again."
    path.unlink()
    with pytest.raises(DataError, match="cannot be opened"):
        pixels_of(sample)


# ---- many -----------------------------------------------------------------------------------------------------------


def encoded(side: int) -> bytes:
    file = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_300_pictures_hold_no_pixels(tmp_path: Path) -> None:
    """300 pictures of 256 pixels a side are 59 MB; Pillow's own memory is not seen here, but its objects are."""
    content = encoded(256)
    for number in range(300):
        (tmp_path / f"{number}.png").write_bytes(content)
    settings = Settings(lora_data_directory=str(tmp_path), **SMALL, image_num_multiply=10, image_mirroring=True)
    scan(settings)  # what is imported on the way does not count
    alive: list[int] = []

    def look(done: int, total: int) -> None:
        if done % 100 == 0:
            alive.append(sum(isinstance(thing, Image.Image) for thing in gc.get_objects()))

    before = sum(isinstance(thing, Image.Image) for thing in gc.get_objects())
    tracemalloc.start()
    try:
        found = scan(settings, progress=look)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.samples) == 6000
    assert max(alive) - before < 20
    assert peak < 12_000_000  # a few files on their way at a time, by chance more or fewer


MANY = """
import os, sys
from trainer.data.scan import scan
from trainer.config.settings import Settings

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

highest = before = 0
def look(done, total):
    global highest, before
    if done == 20:
        before = resident()
    if done % 20 == 0:
        highest = max(highest, resident())

settings = Settings(lora_data_directory=sys.argv[1], image_num_multiply=10, image_mirroring=True, sub_image_num=2,
                    image_size=Size(512, 768), image_buckets_step=128, image_min_length=256)
found = scan(settings, progress=look)
highest = max(highest, resident())
assert found.images == 10000 and len(found.samples) == 600000, (found.images, len(found.samples))
assert sum(count for _, count in found.buckets) == 600000
assert "torch" not in sys.modules
print((highest - before) // 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's own count of memory")
def test_10000_pictures_hold_no_pixels(tmp_path: Path) -> None:
    content = encoded(128)  # 10,000 of them are 650 MB as Pillow keeps them
    for number in range(10_000):
        (tmp_path / f"{number}.png").write_bytes(content)
        (tmp_path / f"{number}.txt").write_text(f"a caption of some length, with the number {number} in it")
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150
