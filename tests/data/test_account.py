"""The account of a folder's data: short where all is well, and a sentence for each thing that is odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.account import account_of
from trainer.data.look import Look, Unfinished, look, look_over
from trainer.data.samples import Scan
from trainer.data.scan import scan
from trainer.job import Account
from trainer.reports.account import lines_of

GOOD = Settings(image_size=Size(64, 64), image_min_length=64, image_buckets_step=64)


def put(folder: Path, name: str, caption: str | None = "a cat", size: tuple[int, int] = (64, 64)) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(name.encode()) * 1000 + size[0]
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption, "utf-8")


def told(folder: Path, own_size: Size | None = None, **changes: object) -> Account:
    settings = replace(GOOD, lora_data_directory=str(folder), **changes)  # type: ignore[arg-type]
    return account_of(settings, look(settings), own_size=own_size)


def notes(account: Account) -> list[str]:
    """Without the heading's column."""
    return [str(row.text) for row in account.rows if row.is_odd]


def test_a_good_folder_takes_five_lines(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path, f"{number}.png")
    account = told(tmp_path, Size(64, 64), lora_trigger_word="sks", train_iterations=60, train_batch_size=2)
    assert lines_of(account) == [
        f"Images:   6 images in {tmp_path}",
        "Captions: 6 from files (UTF-8), with the trigger word sks",
        'Example:  0.png is "sks, a cat"',
        "Sizes:    64 x 64 (6)",
        "Epoch:    6 samples in 3 steps; 60 steps are 20 epochs, so each image is seen 20 times",
    ]
    assert not notes(account)
    assert [str(fact) for fact in account.facts] == [
        "6 images", "6 with a caption", "trigger word “sks”", "each image seen 20 times",
    ]  # fmt: skip


def test_what_makes_an_epoch_longer_is_named_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "b.png")
    account = told(tmp_path, image_mirroring=True, image_num_multiply=5, train_iterations=15, train_batch_size=4)
    # 2 images, 2 ways round, 5 times: 20 samples, 5 batches of 4; 15 steps are 3 epochs, in each 10 samples an image.
    assert lines_of(account)[-1] == (
        "Epoch:    20 samples (also mirrored, 5 times over) in 5 steps; 15 steps are 3 epochs, so each image is seen "
        "30 times"
    )


def test_folders_sizes_and_files_that_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "one/a.png", size=(128, 64))
    put(tmp_path, "one/b.png", size=(64, 128))
    put(tmp_path, "two/c.png")
    for name in ("notes.md", "one/x.psd", "two/y.psd"):
        (tmp_path / name).write_bytes(b"-")
    (tmp_path / "broken.png").write_bytes(b"-")
    lines = lines_of(told(tmp_path, image_size=Size(128, 128)))
    assert lines[0] == f"Images:   3 images from 2 folders in {tmp_path}; 1 left out"
    assert "Sizes:    64 x 128 (1), 128 x 64 (1), 128 x 128 (1)" in lines
    assert "Ignored:  2 .psd, 1 .md" in lines


def test_folders_with_repeats_and_regularisation_images_have_a_line_each(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path, f"3_zorp cat/{number}.png", None)
    for number in range(4):
        put(tmp_path, f"reg/1_cat/{number}.png", None, size=(64, 80))
    lines = lines_of(told(tmp_path, image_size=Size(64, 64), train_batch_size=1, train_iterations=24))
    # 2 images 3 times are 6 samples, and 6 of regularisation: each of the 4 once, and the first two again.
    assert lines[:3] == [
        f"Images:   2 images in {tmp_path}, and 4 regularisation images in {tmp_path / 'reg' / '1_cat'}",
        "          3_zorp cat: 2 images, 3 times an epoch",
        "          reg/1_cat: 4 regularisation images, 1.5 times an epoch",
    ]
    assert "Captions: 6 from the names of folders" in lines
    assert lines[-1] == (
        "Epoch:    12 samples in 12 steps; 24 steps are 2 epochs, so each image to learn from is seen 6 times, "
        "and each regularisation image 3 times"
    )


def test_captions_and_images_add_up_where_some_are_not_used(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"img/1_zorp/{number}.png", "a zorp")
        Image.new("L", (64, 64), 200).save(tmp_path / f"img/1_zorp/{number}-masklabel.png")
    for number in range(9):
        put(tmp_path, f"reg/1_cat/{number}.png", None)
        Image.new("L", (64, 64), 200).save(tmp_path / f"reg/1_cat/{number}-masklabel.png")
    for changes, count in (({}, 4), ({"validation_split": 0.25}, 3)):
        lines = lines_of(told(tmp_path / "img", **changes))
        folder = tmp_path / "reg" / "1_cat"
        assert lines[0] == f"Images:   {count} images in {tmp_path / 'img'}, and 4 regularisation images in {folder}"
        assert f"Captions: {count} from files (UTF-8), 4 from the names of folders" in lines
        assert f"Masks:    used for {count + 4} of {count + 4} images" in lines
        assert 'Example:  1_zorp/0.png is "a zorp"' in lines or count == 3
        assert ("1 of 4 images set aside" in str(lines)) is (count == 3)


def dataset(path: Path, folders: Sequence[str], *lines: str, size: int = 64) -> Path:
    subsets = [f"[[datasets.subsets]]\nimage_dir = '{folder}'\n" for folder in folders]
    datasets = f"[[datasets]]\nresolution = {size}\nenable_bucket = true\nmin_bucket_reso = 64\n"
    extra = [*lines, *[""] * len(folders)]
    text = datasets + "".join(f"{subset}{more}\n" for subset, more in zip(subsets, extra, strict=False))
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_dataset_file_is_not_where_the_images_are(tmp_path: Path) -> None:
    for folder in ("one/piyo", "two/piyo"):
        put(tmp_path, f"{folder}/a.png")
    one, two = str(tmp_path / "one" / "piyo"), str(tmp_path / "two" / "piyo")
    path = dataset(tmp_path / "temporary" / "set.toml", [one])
    settings = replace(GOOD, lora_data_directory=str(path))
    found = look(settings)
    lines = lines_of(account_of(settings, found))
    assert lines[0] == f"Images:   1 image in {one}"
    assert isinstance(found.images, Scan)
    assert found.images.place == one
    assert 'Example:  piyo/a.png is "a cat"' in lines
    dataset(path, [one, two])
    found = look(settings)
    lines = lines_of(account_of(settings, found))
    assert lines[:3] == [
        "Images:   2 images from 2 folders",
        f"          {one}: 1 image, 1 time an epoch",
        f"          {two}: 1 image, 1 time an epoch",
    ]
    assert isinstance(found.images, Scan)
    assert found.images.place == "set.toml"
    assert "temporary" not in str(lines)
    (row,) = account_of(settings, Unfinished(1, 9)).rows
    assert str(row.text).startswith("9 images in set.toml.")


def test_a_folder_that_is_in_two_datasets_is_told_apart(tmp_path: Path) -> None:
    put(tmp_path, "piyo/a.png")
    folder = str(tmp_path / "piyo")
    path = dataset(tmp_path / "set.toml", [folder])
    path.write_text(path.read_text("utf-8") + path.read_text("utf-8").replace("= 64\nen", "= 128\nen"), "utf-8")
    lines = lines_of(told(path))
    assert lines[:3] == [
        f"Images:   2 images in {folder}",
        f"          {folder} (dataset 1): 1 image, 1 time an epoch",
        f"          {folder} (dataset 2): 1 image, 1 time an epoch",
    ]


def test_what_becomes_of_captions(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "a cat, red")
    assert not [line for line in lines_of(told(tmp_path)) if line.startswith("   ")]
    changes = {
        "caption_lines": "random",
        "caption_prefix": "photo of",
        "caption_suffix": "outside",
        "caption_wildcards": True,
        "caption_shuffle": True,
        "caption_keep_tokens": 1,
        "caption_tag_dropout_rate": 0.2,
        "caption_dropout_rate": 0.1,
        "caption_dropout_every_n_epochs": 3,
        "caption_weights": True,
        "caption_max_tokens": 75,
    }
    lines = lines_of(told(tmp_path, **changes))
    assert lines[2] == (
        '          one of the lines drawn at each step, "photo of" put in front, "outside" put at the end, one text of '
        "each wildcard drawn, tags shuffled, 20 % of tags left out, the first 1 tag kept in place, no caption 10 % of "
        "the time, no captions in one of 3 epochs, weights such as (tag:1.2) read as in prompts, cut after 75 tokens"
    )
    # Nothing moves, so that nothing is kept in place.
    assert not [line for line in lines_of(told(tmp_path, caption_keep_tokens=1)) if "kept" in line]


def test_where_subsets_differ_each_has_its_line(tmp_path: Path) -> None:
    folders = [str(tmp_path / name) for name in ("cat", "dog", "owl")]
    for folder in folders:
        put(Path(folder), "a.png")
    own = "shuffle_caption = true\nkeep_tokens = 2\nflip_aug = true"
    lines = lines_of(told(dataset(tmp_path / "set.toml", folders, own)))
    at = lines.index("Captions: 3 from files (UTF-8)")
    assert lines[at + 1 : at + 3] == [
        f"          {folders[0]}: tags shuffled, the first 2 tags kept in place",
        f"          {folders[1]}, {folders[2]}: captions as they are",
    ]
    at = lines.index(f"Random:   {folders[0]}: mirrored half of the time")
    assert lines[at + 1] == f"          {folders[1]}, {folders[2]}: images as they are"


def test_many_sizes_are_summed_up(tmp_path: Path) -> None:
    for number in range(1, 9):
        put(tmp_path, f"tall {number}.png", size=(64, 64 * number))
    for number in range(2, 6):
        put(tmp_path, f"wide {number}.png", size=(64 * number, 64))
    account = told(tmp_path, image_size=Size(512, 512), image_max_ratio=8.0)
    # Of the frames of 512 by a multiple of 64, 1 : 5 is nearest to 1 : 4, and 1 : 6 to 1 : 8 are trained at 1 : 8.
    assert "Sizes:    8 from 64 x 512 to 512 x 128, most often 64 x 512 (3 samples)" in lines_of(account)


def test_how_much_is_cut_off_and_what_would_keep_it(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, f"{number}.png", size=(832, 1216))
    settings = Settings(lora_data_directory=str(tmp_path))
    lines = lines_of(account_of(settings, look_over(scan(settings))))
    # 832 x 1216 covers 512 x 512 as 512 x 748: 512 / 748 is left, 31.6 % are lost. 384 x 576 is 2 : 3, and loses 2.5 %.
    at = lines.index("Cropped:  3 images lose a tenth or more of the area, most of all 0.png: 32 %, to fit 512 x 512")
    assert lines[at + 1] == "          With image min length 256, image buckets step 64: none."


def test_a_little_cropping_is_not_told(tmp_path: Path) -> None:
    put(tmp_path, "a.png", size=(64, 70))  # 8.6 % are lost
    put(tmp_path, "b.png", size=(64, 71))  # 9.9 %
    assert not any("Cropped" in line for line in lines_of(told(tmp_path)))
    put(tmp_path, "c.png", size=(64, 72))  # 11.1 %
    assert any(line.startswith("Cropped:  1 image loses") for line in lines_of(told(tmp_path)))


@pytest.mark.parametrize(
    ("captions", "trigger", "words"),
    [
        ([None, None], "", "No image has a caption, and there is no trigger word"),
        (["", None], "", "No image has a caption, and there is no trigger word"),
        (["a cat", None], "", "1 of 2 images have no caption, and there is no trigger word"),
        ([None, None], "sks", ""),
        (["sks, a cat", "SKS"], "sks", ""),
        (["sks1, a cat", "a sks"], "sks", ""),
    ],
)
def test_captions_and_the_trigger_word(captions: list[str | None], trigger: str, words: str, tmp_path: Path) -> None:
    for number, caption in enumerate(captions):
        put(tmp_path, f"{number}.png", caption)
    found = notes(told(tmp_path, lora_trigger_word=trigger))
    assert (found[0].startswith(words) and len(found) == 1) if words else not found


def test_only_captions_without_the_trigger_word_get_it_is_said_in_japanese(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sks")
    rows = told(tmp_path, lora_trigger_word="sks").rows
    assert any(row.text.text("ja").endswith("トリガーワード sks のないものには先頭に追加") for row in rows)


def test_without_a_trigger_word_no_other_words_are_held(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "bb.png", "a dog")
    held: dict[str, object] = {"train_self_reg": 1.0, "train_self_reg_images": 16}
    (found,) = notes(told(tmp_path, **held))
    assert found.startswith("There is no trigger word, so train self reg images cannot keep other words from showing")
    assert not notes(told(tmp_path, **held, lora_trigger_word="sks"))
    assert not notes(told(tmp_path, **{**held, "train_self_reg": 0.0}))


def test_images_that_are_there_twice_are_named(tmp_path: Path) -> None:
    for name in ("a.png", "z.png"):
        put(tmp_path, name)
    for number in range(4):
        (tmp_path / f"a{number}.png").write_bytes((tmp_path / "a.png").read_bytes())
        (tmp_path / f"a{number}.txt").write_text("a cat")
    with Image.open(tmp_path / "z.png") as image:
        image.save(tmp_path / "zz.webp", quality=90)
    (tmp_path / "zz.txt").write_text("a cat")
    assert notes(told(tmp_path)) == [
        (
            "4 images are there twice, with the same pixels: a1.png like a0.png, a2.png like a0.png, a3.png like "
            "a0.png, and 1 more."
        ),
        "1 image looks nearly like another: zz.webp like z.png.",
    ]


def test_what_the_run_takes_of_the_samples(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    put(tmp_path, "b.png")
    (note,) = notes(told(tmp_path, train_batch_size=3))
    assert note == "train batch size is 3, more than there are samples (2): no step takes more than there are."
    (note,) = notes(told(tmp_path, train_batch_size=3, image_num_multiply=2))
    assert note.endswith("(2): each step takes the same ones several times.")
    many = notes(told(tmp_path, image_num_multiply=50, train_iterations=10, train_batch_size=2))
    assert many[0].startswith("image num multiply is 50, which makes 100 samples; the run takes 20 of them")


@pytest.mark.parametrize(
    ("size", "own", "words"),
    [
        (512, 1024, "The model is made for 1024 x 1024, and 512 x 512 is much smaller"),
        (1024, 512, "The model is made for 512 x 512, and 1024 x 1024 is much larger"),
        (768, 1024, ""),
        (768, 512, ""),
        (512, None, ""),
    ],
)
def test_a_model_that_is_made_for_another_size(size: int, own: int | None, words: str) -> None:
    settings = replace(GOOD, image_size=Size(size, size))
    found = notes(account_of(settings, Unfinished(0, 0), own_size=own and Size(own, own)))
    assert (len(found) == 1 and found[0].startswith(words)) if words else not found


def test_prompts_alone_do_well_with_less_than_the_model_is_made_for() -> None:
    settings = replace(GOOD, mode="iLECO")
    assert account_of(settings, Look(None), own_size=Size(512, 512)) == Account()
    assert notes(account_of(settings, Look(None), own_size=Size(32, 32)))[0].startswith("The model is made for 32 x 32")


def test_a_pair_of_images(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    with Image.open(tmp_path / "a.png") as image:
        image.paste("white", (0, 0, 32, 64))
        image.save(tmp_path / "b.png")
    settings = Settings(mode="ADDifT", original_image=str(tmp_path / "a.png"), target_image=str(tmp_path / "b.png"))
    assert lines_of(account_of(settings, look(settings))) == [
        "Images: from a.png (64 x 64) to b.png (64 x 64)",
        "        they differ in 50 % of the area",
    ]
    with Image.open(tmp_path / "a.png") as image:
        red, green, blue = image.getpixel((0, 0))
        image.putpixel((0, 0), (red, green, (blue + 128) % 256))
        image.save(tmp_path / "b.png")
    assert notes(account_of(settings, look(settings)))[0].startswith("The two images hardly differ")


def test_pairs_need_no_caption_and_equal_ones_are_counted(tmp_path: Path) -> None:
    for name in ("a.png", "c.png", "c_b.png"):
        put(tmp_path, name, None)
    (tmp_path / "a_b.png").write_bytes((tmp_path / "a.png").read_bytes())
    account = told(tmp_path, mode="Multi-ADDifT", diff_target_name="_b", train_batch_size=1)
    assert lines_of(account)[0] == f"Images:   2 pairs of images in {tmp_path}"
    assert notes(account) == ["In 1 of 2 pairs both images have the same pixels: nothing is learned from them."]


def test_a_look_that_took_too_long_says_so() -> None:
    settings = replace(GOOD, lora_data_directory="/pictures")
    account = account_of(settings, Unfinished(40, 9000))
    (row,) = account.rows
    assert str(row.text).startswith("9000 images in /pictures. They are more than can be looked at now (40 so far)")
    assert list(map(str, account.facts)) == ["9000 images"]
    account = account_of(settings, Unfinished(0, 0))
    (row,) = account.rows
    assert str(row.text).startswith("/pictures is slow to answer.")
    assert account.facts == ()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_row_has_its_texts_in_both_languages(language: str, tmp_path: Path) -> None:
    put(tmp_path, "a/a.png", None, size=(64, 256))
    put(tmp_path, "b/b.png", "sks")
    (tmp_path / "c.psd").write_bytes(b"-")
    account = told(tmp_path, Size(512, 512), lora_trigger_word="sks", train_batch_size=9, image_mirroring=True)
    lines = lines_of(account, language)
    assert len(lines) >= 9
    assert not any("data." in line for line in lines)


def test_masks_are_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        put(tmp_path, name)
    Image.new("L", (64, 64), 200).save(tmp_path / "a-masklabel.png")
    assert "Masks:    used for 1 of 2 images" in lines_of(told(tmp_path))


def test_an_image_at_its_own_size_may_lose_a_part_of_a_step_and_has_no_buckets_to_be_finer(tmp_path: Path) -> None:
    put(tmp_path, "a.png", size=(110, 90))
    lines = lines_of(told(tmp_path, image_size=Size(512, 512), image_min_length=512, image_bucketing="no crop"))
    # Of 64 x 64 and 128 x 64 the former is nearer; it is covered by 78 x 64, of which 14 columns are lost.
    assert "Cropped:  1 image loses a tenth or more of the area, most of all a.png: 18 %, to fit 64 x 64" in lines
    assert not [line for line in lines if "image min length" in line]


def test_what_is_drawn_at_random_is_named(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    lines = lines_of(told(tmp_path, image_random_flip=True, image_color_augmentation=True))
    assert "Random:   mirrored half of the time, colours changed slightly" in lines
