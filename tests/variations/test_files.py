"""Variations as files: what they are called, where they go, and that nothing that is there is ever touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli import main
from trainer.errors import SettingsError, Stopped, UserError
from trainer.variations.files import Plan, shown, write
from trainer.variations.recipe import Recipe, recipe_from


def picture(path: Path, colour: str = "red", size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_file_gets_its_variations_beside_it_with_its_caption(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.b.jpg")
    (tmp_path / "a.b.caption").write_bytes("café".encode("cp1252"))
    before = hashes(tmp_path)
    done = write(Plan.of(Recipe(str(original), number=3, seed=4)))
    assert (done.images, done.variations, done.seed, done.folder) == (1, 3, 4, tmp_path)
    after = hashes(tmp_path)
    assert set(after) - set(before) == {f"a.b_rot_00{n}.{end}" for n in (1, 2, 3) for end in ("png", "caption")}
    assert {name: after[name] for name in before} == before
    assert (tmp_path / "a.b_rot_002.caption").read_bytes() == "café".encode("cp1252")
    with Image.open(tmp_path / "a.b_rot_001.png") as made:
        assert (made.mode, made.size) == ("RGBA", (40, 30))


def test_what_is_there_is_passed_over_and_a_second_time_goes_on(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.png")
    (tmp_path / "a_rot_002.png").write_text("mine")
    (tmp_path / "a_rot_003.txt").write_text("mine too")
    first = write(Plan.of(Recipe(str(original), number=2, seed=4)))
    between = hashes(tmp_path)
    second = write(Plan.of(Recipe(str(original), number=2, seed=4)))
    after = hashes(tmp_path)
    assert first.variations == second.variations == 2
    assert set(after) == {"a.png", "a_rot_003.txt", *(f"a_rot_00{n}.png" for n in (1, 2, 4, 5, 6))}
    assert {name: after[name] for name in between} == between
    pictures = [after[f"a_rot_00{n}.png"] for n in (1, 4, 5, 6)]
    assert len(set(pictures)) == 4, "a second time makes others, not the same again"


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(Plan.of(Recipe(str(picture(tmp_path / folder / "a.png")), seed=9)))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert Plan.of(Recipe(str(tmp_path / "one" / "a.png"))).seed >= 0


def test_a_folder_gets_a_new_one_beside_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a.png", "a.jpg", "deep/b.webp"):
        picture(data / name)
    (data / "broken.png").write_bytes(b"no picture")
    before = hashes(data)
    ticks: list[tuple[int, int]] = []
    done = write(Plan.of(Recipe(str(data), number=2, seed=1)), progress=lambda *tick: ticks.append(tick))
    assert hashes(data) == before
    assert sorted(hashes(tmp_path / "data_rot")) == [
        "a_rot_001.png", "a_rot_002.png", "a_rot_003.png", "a_rot_004.png",
        "deep/b_rot_001.png", "deep/b_rot_002.png",
    ]  # fmt: skip
    assert (done.images, done.variations) == (3, 6)
    assert [(each.name, str(each.done)) for each in done.problems] == [("broken.png", "left out")]
    assert ticks == [(number, 8) for number in range(1, 9)]


def test_masks_and_control_images_are_not_varied(tmp_path: Path) -> None:
    for name in ("a.png", "a_mask.png", "masks/a.png", "b-condlabel.png"):
        picture(tmp_path / "data" / name)
    write(Plan.of(Recipe(str(tmp_path / "data"), number=1)))
    assert sorted(hashes(tmp_path / "data_rot")) == ["a_rot_001.png"]


def test_variations_are_not_varied_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    picture(data / "a.png")
    picture(data / "b_rot_001.png")  # of no picture here, so somebody's own
    for _ in range(2):
        assert write(Plan.of(Recipe(str(data), folder=str(data), number=1))).images == 2
    assert write(Plan.of(Recipe(str(data), folder=str(data / "inside"), number=1))).images == 2
    assert write(Plan.of(Recipe(str(data), folder=str(data / "inside"), number=1))).images == 2


def test_the_folder_above_can_take_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "data" / "dots.a.png")
    picture(tmp_path / "data" / "dots.a_rot_001.png")
    assert write(Plan.of(Recipe(str(tmp_path / "data"), folder=str(tmp_path), number=1))).images == 1
    (tmp_path / "data" / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "data" / "deep")
    assert Plan.of(Recipe("..")).folder == tmp_path / "data_rot"


def test_a_name_of_its_own_numbers_all_of_them(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "data" / name)
    write(Plan.of(Recipe(str(tmp_path / "data"), folder=str(tmp_path / "out"), name="new", number=2)))
    assert sorted(hashes(tmp_path / "out")) == [f"new_00{n}.png" for n in (1, 2, 3, 4)]


def test_what_is_shown_is_what_is_written(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.png", size=(1024, 512))
    plan = Plan.of(Recipe(str(original), number=9, seed=3))
    few = dict(shown(plan))
    write(plan)
    assert list(few) == [f"a_rot_00{n}.png" for n in range(1, 7)]
    for name, small in few.items():
        assert small.size == (256, 128)
        with Image.open(tmp_path / name) as whole:
            where, there = (each.getchannel("A").getbbox() for each in (small, whole))
        assert where is not None
        assert there is not None
        assert [4 * side for side in where] == pytest.approx(list(there), abs=9), "a pixel or two of the small one"


def test_of_several_pictures_one_each_is_shown(tmp_path: Path) -> None:
    for number in range(8):
        picture(tmp_path / "data" / f"{number}.png")
    assert [name for name, _ in shown(Plan.of(Recipe(str(tmp_path / "data"))))] == [
        f"{number}_rot_001.png" for number in range(6)
    ]


def test_stopping_keeps_what_is_written_and_leaves_no_half(tmp_path: Path) -> None:
    original = picture(tmp_path / "a.png")
    looks = iter(range(10))

    def check() -> None:
        if next(looks) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        write(Plan.of(Recipe(str(original), number=9)), check=check)
    assert sorted(hashes(tmp_path)) == ["a.png", "a_rot_001.png", "a_rot_002.png", "a_rot_003.png"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "image file or directory: It is empty"),
        ({"source": "a", "number": "many", "most_angle": 200}, 'must be a number, not "many". max tilting angle'),
        ({"source": "a", "number": 1.5}, "must be a whole number from 1 to 1000"),
        ({"source": "a", "least_scale": 0}, "minimum downscale ratio: It must be a number from 0.01 to 1"),
        ({"source": "a", "least_scale": "nan"}, "must be a number"),
        ({"source": "a", "seed": "inf"}, "must be a number"),
        ({"source": "a", "fixed_side": "middle"}, "must be one of none, right, left, top, bottom"),
        ({"source": "a", "name": "../b"}, "would leave the folder"),
        ({"source": "a\nb"}, "line break"),
        ({"source": "a", "colour": 1}, "colour: It is not known here"),
        ({"source": "a", "captions": "yes"}, "must be true or false"),
    ],
)
def test_what_is_typed_wrong_is_told_by_its_label(given: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        recipe_from(given)
    assert words in str(caught.value)


@pytest.mark.parametrize("written", ["nowhere.png", "~nobody-of-this-name/a", "x" * 5000, "empty", "a.txt"])
def test_a_path_without_a_picture_is_a_sentence(tmp_path: Path, written: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("words")
    where = written if written.startswith(("~", "x")) else str(tmp_path / written)
    with pytest.raises(UserError):
        list(shown(Plan.of(recipe_from({"source": where}))))


def test_the_command_line_makes_them_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("words")
    flags = ["--number", "2", "--seed", "4", "--fix-side", "left", "--max-angle", "0", "--min-scale", "0.5"]
    assert main(["images", str(original), *flags, "--no-captions"]) == 0
    assert f"Wrote 2 variations of 1 image to {tmp_path}, with seed 4" in capsys.readouterr().out
    assert sorted(hashes(tmp_path)) == ["a.png", "a.txt", "a_rot_001.png", "a_rot_002.png"]
    recipe = Recipe(str(original), str(tmp_path / "page"), "", "left", 2, 0.0, 0.5, 4, captions=False)
    write(Plan.of(recipe))
    made = hashes(tmp_path)
    assert [made[f"page/a_rot_00{n}.png"] for n in (1, 2)] == [made[f"a_rot_00{n}.png"] for n in (1, 2)]


def test_the_command_line_tells_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", str(tmp_path / "nowhere"), "--number", "0"]) == 2
    assert 'number of images: It must be a whole number from 1 to 1000, not "0"' in capsys.readouterr().err
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["images", str(tmp_path / "a.png")]) == 2
    assert "a.png is no image" in capsys.readouterr().out
