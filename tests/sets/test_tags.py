"""Captions as tags, and what is done to many of them at once."""

from __future__ import annotations

import pytest

from trainer.errors import UserError
from trainer.sets.tags import Change, TagCount, has_tags, tag_counts, tags_of, written_tags


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (Change("add", ("smile",)), "cat, red", "cat, red, smile"),
        (Change("add", ("Red", "smile")), "cat, red", "cat, red, smile"),
        (Change("add", ("smile",)), "", "smile"),
        (Change("front", ("red",)), "cat, red, dog", "red, cat, dog"),
        (Change("front", ("red", "dog")), "cat, dog", "dog, cat"),
        (Change("front", ("zorp",), adds=True), "cat, dog", "zorp, cat, dog"),
        (Change("front", ("zorp",)), "cat,dog", "cat,dog"),
        (Change("remove", ("blue eyes",)), "cat, blue_eyes, dog", "cat, dog"),
        (Change("remove", ("cat",)), "cat", ""),
        (Change("remove", ("o_o",)), "cat, o o, o_o", "cat, o o"),
        (Change("replace", ("cat",), "kitten, small"), "cat, red, small", "kitten, small, red"),
        (Change("replace", ("cat",), ""), "cat, red", "red"),
        (Change("replace", ("red",), "blue"), "cat, bored", "cat, bored"),
        (Change("replace_text", ("a dog",), "zorp"), "a dog, a dogma", "zorp, zorpma"),
        (Change("sort"), "b10, a, b9", "a, b9, b10"),
        (Change("sort", keep=1), "zorp, c, b", "zorp, b, c"),
        (Change("tidy"), "cat,, red , Cat,", "cat, red"),
        (Change("tidy"), "cat,red", "cat,red"),
        (Change("remove", ("dog",)), "cat,, red ,", "cat,, red ,"),
        (Change("add", ("x",)), "cat\ndog", "cat, x\ndog, x"),
    ],
)
def test_a_change_does_to_a_caption_what_it_says(change: Change, before: str, after: str) -> None:
    assert change.of(before) == after
    if change.kind != "replace_text":
        assert change.of(after) == after, "done twice it is no other"


def test_tags_are_counted_once_an_image_and_called_as_mostly_written() -> None:
    counts = tag_counts(["Red, cat, red", "red, dog", "red\ncat", "", "blue_eyes", "blue eyes", "blue eyes"])
    assert counts == [TagCount("blue eyes", 3), TagCount("red", 3), TagCount("cat", 2), TagCount("dog", 1)]


def test_tags_are_found_however_they_are_written() -> None:
    assert has_tags("Blue_Eyes, cat", ["blue eyes"])
    assert not has_tags("blue eyes, cat", ["blue eyes", "dog"])
    assert not has_tags("blue eyes, cat", [], ["CAT"])
    assert tags_of("a  b, c\nd,") == ["a b", "c", "d"]
    assert written_tags("a, b\nA, c") == ("a", "b", "c")


@pytest.mark.parametrize("change", [{"kind": "add"}, {"kind": "remove", "tags": (" ",)}, {"kind": "burn"}])
def test_a_change_that_lacks_what_it_is_about_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Change(**change)  # type: ignore[arg-type]
