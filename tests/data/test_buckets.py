"""Frames, nearness and cropping: numbers only."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.buckets import Frames, by_nearness, choose_frames, frames_of, notes_on_frames, place

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
