"""Frames, nearness and cropping: numbers only."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.buckets import (
    Frames,
    Placement,
    by_nearness,
    choose_frames,
    frames_of,
    notes_on_frames,
    place,
    placements,
)

WIDE = Settings(image_size=Size(512, 768), image_buckets_step=128, image_min_length=256)


def test_the_first_example() -> None:
    frames = frames_of(WIDE)
    assert set(frames.full) == {(384, 768), (512, 768), (512, 640), (512, 512), (640, 512), (768, 512), (768, 384)}
    smaller = [(256, 512), (384, 640), (256, 384), (384, 512), (384, 384), (256, 256), (512, 384), (384, 256)]
    assert set(frames.smaller) == {*smaller, (640, 384), (512, 256)}
    assert list(frames.full) == sorted(frames.full)


def test_the_second_example() -> None:
    first, *smaller = choose_frames(Size(512, 640), frames_of(WIDE), 3)
    assert first == (512, 640)
    assert set(smaller) == {(384, 640), (256, 384), (384, 512)}


def test_nearest_first() -> None:
    # 0.75, 0.667 and 0.6 lie 0.05, 0.133 and 0.2 from 0.8, as 1.0 does: the larger area of the two wins.
    assert choose_frames(Size(512, 640), frames_of(WIDE), 4)[1:] == ((384, 512), (256, 384), (384, 640), (384, 384))


def test_ties_go_to_the_larger_area_and_then_to_the_wider() -> None:
    assert by_nearness(Size(300, 300), [Size(256, 256), Size(512, 512), Size(384, 384)]) == [
        Size(512, 512),
        Size(384, 384),
        Size(256, 256),
    ]
    assert by_nearness(Size(8, 8), [Size(4, 8), Size(12, 8), Size(6, 12), Size(18, 12)]) == [
        Size(18, 12),
        Size(12, 8),
        Size(6, 12),
        Size(4, 8),
    ]
    # 0.4 and 1.6 are as far from 1, and both have an area of 40.
    assert (
        by_nearness(Size(1, 1), [Size(4, 10), Size(8, 5)])
        == by_nearness(Size(1, 1), [Size(8, 5), Size(4, 10)])
        == [Size(8, 5), Size(4, 10)]
    )


def test_the_defaults_have_one_frame() -> None:
    assert frames_of(Settings()) == Frames((Size(512, 512),), ())


def test_an_sdxl_size() -> None:
    frames = frames_of(Settings(image_size=Size(1024, 1024)))
    assert frames.full == ((512, 1024), (768, 1024), (1024, 512), (1024, 768), (1024, 1024))
    assert frames.smaller == ((512, 512), (512, 768), (768, 512), (768, 768))


def test_which_side_of_image_size_comes_first_does_not_matter() -> None:
    assert frames_of(Settings(image_size=Size(768, 512))) == frames_of(Settings(image_size=Size(512, 768)))


@pytest.mark.parametrize(("ratio", "longest"), [(1, 1.0), (1.5, 1.5), (2, 2.0), (3, 3.0)])
def test_no_frame_is_longer_than_the_ratio_allows(ratio: float, longest: float) -> None:
    settings = Settings(image_size=Size(512, 768), image_buckets_step=64, image_min_length=128, image_max_ratio=ratio)
    frames = frames_of(settings)
    assert max(max(frame) / min(frame) for frame in frames.full + frames.smaller) == longest


def test_every_setting_gives_frames_that_can_be_trained() -> None:
    chance = random.Random(1)
    for _ in range(300):
        height, width, step, shortest = (8 * chance.randint(8, 150) for _ in range(4))
        settings = Settings(
            image_size=Size(width, height),
            image_buckets_step=step,
            image_min_length=shortest,
            image_max_ratio=chance.choice([1, 1.3, 2, 7]),
        )
        frames = frames_of(settings)
        square = min(height, width)
        assert (square, square) in frames.full
        assert not set(frames.full) & set(frames.smaller)
        for frame in frames.full + frames.smaller:
            assert frame[0] % 8 == frame[1] % 8 == 0
            assert frame[0] * frame[1] <= height * width
            assert max(frame) <= max(height, width)
            assert frame[::-1] in frames.full + frames.smaller


def test_a_min_length_above_the_size_leaves_the_square_and_is_told() -> None:
    settings = Settings(image_size=Size(512, 768), image_min_length=1024)
    assert frames_of(settings) == Frames((Size(512, 512),), ())
    assert tuple(map(str, notes_on_frames(settings))) == (
        (
            "image min length 1024 is more than the longest side of image size, 768: "
            "every image is trained as 512 x 512. Choose a smaller image min length."
        ),
    )


def test_more_smaller_copies_than_there_are_frames_are_told() -> None:
    assert tuple(map(str, notes_on_frames(Settings(sub_image_num=2)))) == (
        (
            "sub image num is 2, but these sizes leave room for no smaller frame: no smaller copies are trained. "
            "Choose a smaller image min length or image buckets step."
        ),
    )
    many = Settings(image_size=Size(1024, 1024), sub_image_num=9)
    assert tuple(map(str, notes_on_frames(many))) == (
        "sub image num is 9, but there are only 4 smaller frames: each image goes to all of them.",
    )
    assert len(choose_frames(Size(900, 900), frames_of(many), 9)) == 5
    assert notes_on_frames(WIDE) == ()


# ---- no upscaling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "frame"),
    [
        ((512, 512), (512, 512)),  # exactly filled
        ((2000, 2000), (512, 512)),
        ((400, 800), (384, 768)),
        ((511, 511), (384, 384)),
        ((760, 500), (640, 384)),  # the largest it fills, not the nearest in shape
        ((1000, 300), (512, 256)),
        ((256, 256), (256, 256)),
    ],
    ids=str,
)
def test_a_small_picture_goes_to_the_largest_frame_that_it_fills(size: tuple[int, int], frame: tuple[int, int]) -> None:
    assert choose_frames(Size(*size), frames_of(WIDE), upscale=False) == (frame,)
    scaled = place(Size(*size), Size(*frame)).scaled
    assert scaled[0] <= size[0]
    assert scaled[1] <= size[1]


def test_a_picture_that_fills_no_frame_goes_nowhere() -> None:
    assert choose_frames(Size(255, 2000), frames_of(WIDE), 3, upscale=False) == ()


def test_smaller_copies_are_not_enlarged_either() -> None:
    frames = choose_frames(Size(400, 400), frames_of(WIDE), 9, upscale=False)
    assert frames == ((384, 384), (256, 256), (256, 384), (384, 256))


def test_smaller_copies_are_not_larger_than_the_own_frame_where_nothing_is_enlarged() -> None:
    """A long picture's own frame has few pixels: it fills others that have more."""
    frames = frames_of(replace(WIDE, image_max_ratio=3))
    assert (640, 384) in frames.smaller
    own, *smaller = choose_frames(Size(1200, 400), frames, 9, upscale=False)
    assert own == (768, 256)
    assert (512, 256) in smaller
    assert (640, 384) not in smaller
    assert max(width * height for width, height in smaller) <= 768 * 256


# ---- cover and crop -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "frame", "scaled", "crop"),
    [
        ((512, 512), (512, 512), (512, 512), (0, 0)),
        ((1000, 500), (512, 512), (1024, 512), (256, 0)),
        ((500, 1000), (512, 512), (512, 1024), (0, 256)),
        ((600, 400), (512, 512), (768, 512), (128, 0)),
        ((333, 100), (64, 64), (213, 64), (74, 0)),  # 213.12 is rounded, and half of 149 cut off
        ((1, 1), (512, 640), (640, 640), (64, 0)),
        ((1, 10000), (512, 512), (512, 5_120_000), (0, 2_559_744)),
    ],
)
def test_cover_and_crop(size, frame, scaled, crop) -> None:
    placement = place(Size(*size), Size(*frame))
    assert (placement.frame, placement.scaled, placement.crop) == (frame, scaled, crop)


def test_what_is_scaled_always_covers_and_keeps_its_shape() -> None:
    chance = random.Random(2)
    for _ in range(2000):
        size = Size(chance.randint(1, 5000), chance.randint(1, 5000))
        frame = Size(8 * chance.randint(1, 128), 8 * chance.randint(1, 128))
        placement = place(size, frame)
        assert placement.scaled[0] >= frame[0]
        assert placement.scaled[1] >= frame[1]
        assert frame[0] == placement.scaled[0] or frame[1] == placement.scaled[1]
        for axis in (0, 1):
            both = placement.crop[axis] * 2
            assert both in (placement.scaled[axis] - frame[axis], placement.scaled[axis] - frame[axis] - 1)
        exact = max(frame[0] / size[0], frame[1] / size[1])
        assert abs(placement.scaled[0] - size[0] * exact) <= 0.500001
        assert abs(placement.scaled[1] - size[1] * exact) <= 0.500001
        assert 0 < placement.kept() <= 1


# ---- the buckets of sd-scripts, worked out by hand from its rule ----------------------------------------------------

SD_SCRIPTS = Settings(image_bucketing="sd-scripts", image_size=Size(512, 512))


def placed(settings: Settings, width: int, height: int) -> Placement | None:
    found = placements(Size(width, height), settings, frames_of(settings))
    return found[0] if found else None


def test_the_buckets_of_sd_scripts() -> None:
    # 512 * 512 / 256 is 1024, / 320 is 819, / 384 is 682, / 448 is 585, / 704 is 372, / 832 is 315, / 960 is 273.
    tall = [(256, 832), (256, 896), (256, 960), (256, 1024), (320, 704), (320, 768), (384, 640), (448, 576)]
    wide = [(height, width) for width, height in tall]
    assert frames_of(SD_SCRIPTS) == Frames(tuple(Size(*each) for each in sorted([*tall, (512, 512), *wide])), ())


def test_their_bounds_and_steps() -> None:
    settings = replace(
        SD_SCRIPTS, image_bucket_reso_steps=128, image_min_bucket_reso=300, image_max_bucket_reso=600
    )  # which sd-scripts takes for 256 and 640
    # 256 could be 1024 high, but no more than 640.
    assert frames_of(settings).full == ((256, 640), (384, 640), (512, 512), (640, 256), (640, 384))


def test_a_size_that_is_no_square_and_no_multiple() -> None:
    settings = replace(SD_SCRIPTS, image_size=Size(700, 500), image_min_bucket_reso=512, image_max_bucket_reso=704)
    # The root of 350000 is 591, so the square is 576; 350000 / 512 is 683, / 576 is 607, / 640 is 546, / 704 is 497.
    assert frames_of(settings).full == ((512, 640), (576, 576), (640, 512))


@pytest.mark.parametrize(
    ("image", "frame", "scaled", "crop"),
    [
        ((1024, 1024), (512, 512), (512, 512), (0, 0)),
        ((832, 1216), (384, 640), (438, 640), (27, 0)),  # 0.684 lies 0.084 from 0.6 and 0.094 from 0.778
        ((600, 400), (640, 384), (640, 427), (0, 21)),  # enlarged
        ((448, 576), (448, 576), (448, 576), (0, 0)),  # a bucket itself
        ((512, 2048), (256, 1024), (256, 1024), (0, 0)),
        ((300, 3000), (256, 1024), (256, 2560), (0, 768)),
    ],
)
def test_where_sd_scripts_puts_an_image(
    image: tuple[int, int], frame: tuple[int, int], scaled: tuple[int, int], crop: tuple[int, int]
) -> None:
    assert placed(SD_SCRIPTS, *image) == Placement(Size(*frame), Size(*scaled), crop)


@pytest.mark.parametrize(
    ("image", "frame", "scaled", "crop"),
    [
        # The area allows 423.5 x 619. 384 wide would be 561 high, cut to 512: 0.75. 576 high is 394 wide, cut to 384:
        # 0.667, nearer to 0.684.
        ((832, 1216), (384, 576), (394, 576), (5, 0)),
        ((400, 300), (384, 256), (400, 300), (8, 22)),  # its own size, rounded down
        ((512, 512), (512, 512), (512, 512), (0, 0)),
        ((100, 700), (64, 640), (100, 700), (18, 30)),
    ],
)
def test_where_sd_scripts_puts_an_image_that_it_may_not_enlarge(
    image: tuple[int, int], frame: tuple[int, int], scaled: tuple[int, int], crop: tuple[int, int]
) -> None:
    settings = replace(SD_SCRIPTS, image_disable_upscale=True)
    assert placed(settings, *image) == Placement(Size(*frame), Size(*scaled), crop)


@pytest.mark.parametrize("image", [(60, 300), (9000, 63), (40000, 20)])
def test_what_has_no_bucket_without_being_enlarged(image: tuple[int, int]) -> None:
    assert placed(replace(SD_SCRIPTS, image_disable_upscale=True), *image) is None


# ---- each image at its own size -------------------------------------------------------------------------------------

NO_CROP = Settings(image_bucketing="no crop", image_size=Size(1024, 1024))


@pytest.mark.parametrize(
    ("image", "frame", "scaled", "crop"),
    [
        ((832, 1216), (832, 1216), (832, 1216), (0, 0)),
        ((64, 640), (64, 640), (64, 640), (0, 0)),
        ((1000, 700), (960, 704), (1006, 704), (23, 0)),  # 1.364 is nearer to 1.429 than 1.5 is
        ((2048, 1536), (1152, 896), (1195, 896), (21, 0)),  # to 1024 x 1024 pixels: 1182 x 887
        ((10000, 10), (1536, 64), (64000, 64), (31232, 0)),
        ((40, 40), (64, 64), (64, 64), (0, 0)),
    ],
)
def test_an_image_at_its_own_size(
    image: tuple[int, int], frame: tuple[int, int], scaled: tuple[int, int], crop: tuple[int, int]
) -> None:
    assert placed(NO_CROP, *image) == Placement(Size(*frame), Size(*scaled), crop)


def test_an_image_at_its_own_size_that_may_not_be_enlarged() -> None:
    settings = replace(NO_CROP, image_disable_upscale=True)
    assert placed(settings, 1000, 700) == Placement(Size(960, 640), Size(960, 672), (0, 16))
    assert placed(settings, 63, 700) is None


def test_a_finer_step_cuts_off_less() -> None:
    assert placed(replace(NO_CROP, image_bucket_reso_steps=8), 1000, 700) == Placement(
        Size(1000, 696), Size(1000, 700), (0, 2)
    )


def test_sizes_of_their_own_have_no_smaller_copies() -> None:
    for settings in (SD_SCRIPTS, NO_CROP):
        assert notes_on_frames(settings) == ()
        (note,) = notes_on_frames(replace(settings, sub_image_num=2))
        assert (
            str(note)
            == f"sub image num is 2, but {settings.image_bucketing} makes no smaller copies: none are trained."
        )
