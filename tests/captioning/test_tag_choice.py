"""Which tags become words, how they are written, and how they join a caption."""

from __future__ import annotations

import pytest

from trainer.captioning.base import CHARACTER, RATING, Description, Tag
from trainer.captioning.merging import APPEND, MISSING, PREPEND, REPLACE, merged, with_trigger
from trainer.captioning.tag_choice import TagChoice, unwanted_in, words_of, written

FOUND = Description(
    tags=(
        Tag("long_hair", 0.5),
        Tag("1girl", 0.9),
        Tag("safe", 0.3, RATING),
        Tag("questionable", 0.6, RATING),
        Tag("hatsune_miku", 0.8, CHARACTER),
        Tag("smile", 0.35),
        Tag("hat", 0.349),
    )
)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (TagChoice(), "1girl, long hair, smile"),
        (TagChoice(threshold=0.6), "1girl"),
        (TagChoice(threshold=0), "1girl, long hair, smile, hat"),
        (TagChoice(character_threshold=0.8), "hatsune miku, 1girl, long hair, smile"),
        (TagChoice(rating=True), "1girl, long hair, smile, questionable"),
        (TagChoice(rating=True, unwanted=unwanted_in("Questionable")), "1girl, long hair, smile, safe"),
        (TagChoice(unwanted=unwanted_in("Long Hair,\nsmile")), "1girl"),
        (TagChoice(underscores=True), "1girl, long_hair, smile"),
        (TagChoice(threshold=1), ""),
    ],
)
def test_the_choice(choice: TagChoice, words: str) -> None:
    assert words_of(FOUND, choice) == words


@pytest.mark.parametrize(
    "face",
    ["0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
     "o_o", "u_u", "x_x", "|_|", "||_||", ";_;", "O_O"],
)  # fmt: skip
def test_a_face_keeps_its_underscore(face: str) -> None:
    assert written(face, TagChoice()) == face


@pytest.mark.parametrize(
    ("tag", "as_words"),
    [
        ("long_hair", "long hair"),
        ("v_over_eye", "v over eye"),
        ("a_bug", "a bug"),
        ("miku_(cosplay)", "miku (cosplay)"),
        ("c_(control)", "c (control)"),
        ("_leading__and_double_", "leading and double"),
        (":3", ":3"),
    ],
)
def test_other_underscores_become_spaces(tag: str, as_words: str) -> None:
    assert written(tag, TagChoice()) == as_words


def test_brackets_are_escaped_once() -> None:
    escape = TagChoice(escape=True)
    assert written("miku_(cosplay)", escape) == r"miku \(cosplay\)"
    assert written(r"miku_\(cosplay\)", escape) == r"miku \(cosplay\)"
    assert written("[x]", escape) == r"\[x\]"
    assert written("miku_(cosplay)", TagChoice()) == "miku (cosplay)"


def test_a_text_stays_a_text() -> None:
    text = Description(text="a woman with a hat, smiling,  artstation ")
    assert words_of(text, TagChoice(threshold=1)) == "a woman with a hat, smiling, artstation"
    assert words_of(text, TagChoice(unwanted=unwanted_in("artstation"))) == "a woman with a hat, smiling"
    assert words_of(Description(text="a hat"), TagChoice(unwanted=unwanted_in("hat"))) == "a hat"  # no tag by itself


@pytest.mark.parametrize(
    ("before", "mode", "trigger", "after"),
    [
        ("", MISSING, "", "hat, long hair"),
        ("mine", MISSING, "zorp", None),
        ("mine", REPLACE, "", "hat, long hair"),
        ("mine", APPEND, "", "mine, hat, long hair"),
        ("mine,", APPEND, "", "mine, hat, long hair"),
        ("mine", PREPEND, "", "hat, long hair, mine"),
        ("mine, Long_Hair", APPEND, "", "mine, Long_Hair, hat"),
        ("long hair, hat", APPEND, "", None),
        ("one\ntwo", APPEND, "", "one, hat, long hair\ntwo, hat, long hair"),
        ("", MISSING, "zorp", "zorp, hat, long hair"),
        ("mine", PREPEND, "zorp", "zorp, hat, long hair, mine"),
        ("zorp, mine", PREPEND, "zorp", "hat, long hair, zorp, mine"),
        ("zorp, mine", APPEND, "zorp", "zorp, mine, hat, long hair"),
        ("hat, long hair", REPLACE, "", None),
    ],
)
def test_new_words_join_a_caption(before: str, mode: str, trigger: str, after: str | None) -> None:
    assert merged(before, "hat, long hair", mode, trigger) == after


@pytest.mark.parametrize(
    ("caption", "after"),
    [
        ("a cat", "zorp cat, a cat"),
        ("zorp cat on a roof", "zorp cat on a roof"),
        ("Zorp_Cat, roof", "Zorp_Cat, roof"),
        ("roof, zorp cat", "roof, zorp cat"),
        ("zorp cats", "zorp cat, zorp cats"),
        ("", "zorp cat"),
    ],
)
def test_the_trigger_word_is_there_once(caption: str, after: str) -> None:
    assert with_trigger(caption, " zorp  cat, ") == after
    assert with_trigger(caption, "") == caption
