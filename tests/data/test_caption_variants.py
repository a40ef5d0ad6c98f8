"""Captions that change from step to step: sd-scripts' order of operations, worked out by hand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from trainer.config.settings import Settings
from trainer.data.captions.variants import CaptionRules, with_trigger, with_wildcards, without_trigger

SEEDS = range(200)


def rules(**changes: Any) -> CaptionRules:
    names = {name if name.startswith("lora_") else f"caption_{name}": value for name, value in changes.items()}
    return CaptionRules.of(Settings(**names))


def drawn(written: str, *, epoch: int = 1, **changes: Any) -> list[str]:
    """The caption for each of the seeds."""
    return [rules(**changes).drawn(written, random.Random(seed), epoch) for seed in SEEDS]


class Told(random.Random):
    """A generator whose random numbers are told; a shuffle reverses the order."""

    def __init__(self, numbers: Sequence[float]) -> None:
        super().__init__(0)
        self._numbers = list(numbers)

    def random(self) -> float:
        return self._numbers.pop(0)

    def shuffle(self, x: Any) -> None:
        x.reverse()

    def choice(self, seq: Any) -> Any:
        return seq[-1]


def test_the_trigger_word_goes_first() -> None:
    assert with_trigger("sks", "a cat") == "sks, a cat"
    assert with_trigger(" Loïc ", "") == "Loïc"
    assert with_trigger("", "a cat") == "a cat"
    assert with_trigger("", "") == ""


@pytest.mark.parametrize(
    "caption", ["zorp", "zorp, 1girl", "Zorp woman", "zorp. It is", "ZORP,1girl", "1girl, zorp", "a large (zorp)."]
)
def test_a_trigger_word_that_is_there_is_not_doubled(caption: str) -> None:
    assert with_trigger("zorp", caption) == caption


@pytest.mark.parametrize("caption", ["zorpy cat", "1girl, azorp", "zor"])
def test_a_trigger_word_that_is_another_word_is_added(caption: str) -> None:
    assert with_trigger("zorp", caption) == f"zorp, {caption}"


@pytest.mark.parametrize(
    ("caption", "filler", "expected"),
    [
        ("zorp, 1girl", "", "1girl"),
        ("a Zorp, sitting", "", "a, sitting"),
        ("1girl, zorp, zorp", "", "1girl"),
        ("zorp", "", ""),
        ("zorpy,  x", "", "zorpy,  x"),
        ("zorp, 1girl", "person", "person, 1girl"),
        ("a zorp on a mat", r"\\1", r"a \\1 on a mat"),
    ],
)
def test_a_caption_without_its_trigger_word(caption: str, filler: str, expected: str) -> None:
    assert without_trigger(caption, "zorp", filler) == expected
    assert without_trigger(caption, " ", filler) == caption


def test_nothing_changes_where_nothing_is_set() -> None:
    plain = rules(lora_trigger_word="zorp")
    for written in ("a,b ,  c", "{a|b}", "a ||| b", "", "one\ntwo"):
        assert not plain.varies(written)
        assert plain.drawn(written, random.Random(1), 1) == plain.plain(written)
    assert plain.plain("a,b ,  c") == "zorp, a,b ,  c"
    assert plain.plain("one\ntwo") == "zorp, one"


def test_all_of_it_in_order() -> None:
    """The last line; prefix and suffix; the last of each wildcard; all but the kept tags turned round; of those the
    ones left out whose number is below the rate; the secondary separator last."""
    made = rules(
        lines="random", prefix="best,", suffix=", end", wildcards=True, shuffle=True, keep_tokens=1,
        tag_dropout_rate=0.5, dropout_rate=0.1, secondary_separator=";;;",
    )  # fmt: skip
    # "best, c, {d|e}, f;;;g , end" -> best | c, e, f;;;g, end -> turned round: end, f;;;g, e, c
    told = Told([0.1, 0.5, 0.9, 0.49, 0.7])  # the caption stays; end and f;;;g stay, e goes, c stays
    assert made.drawn("a, b\nc, {d|e}, f;;;g", told, 1) == "best, end, f,g, c"
    assert made.drawn("a, b\nc", Told([0.09]), 1) == ""


def test_shuffle_keeps_the_first_tags_in_front() -> None:
    found = Counter(drawn("a, b, c, d", shuffle=True, keep_tokens=2))
    assert found.keys() == {"a, b, c, d", "a, b, d, c"}
    assert min(found.values()) > 70  # of 200, both equally likely
    assert len(set(drawn("a, b, c, d", shuffle=True))) == 24


def test_the_trigger_word_is_never_moved_nor_left_out() -> None:
    for caption in drawn("a, b, c", shuffle=True, tag_dropout_rate=0.5, lora_trigger_word="zorp, x"):
        assert caption.startswith("zorp, x")
    assert "zorp, x" in drawn("a, b, c", tag_dropout_rate=0.9, lora_trigger_word="zorp, x")
    # One that the caption begins with is the first of the tags that are kept, not one more.
    found = set(drawn("zorp, a, b", shuffle=True, keep_tokens=1, lora_trigger_word="zorp"))
    assert found == {"zorp, a, b", "zorp, b, a"}


def test_a_trigger_word_within_a_caption_stays_where_it_is_unless_tags_are_shuffled() -> None:
    assert rules(lora_trigger_word="zorp", prefix="best,").plain("a small zorp, left") == "best, a small zorp, left"
    found = set(drawn("a, my zorp, b", tag_dropout_rate=1, lora_trigger_word="zorp"))
    assert found == {"my zorp"}
    assert "a, my zorp, b" in drawn("a, my zorp, b", tag_dropout_rate=0.1, lora_trigger_word="zorp")
    divided = rules(lora_trigger_word="zorp", keep_tokens_separator="|||")
    assert divided.drawn("a ||| b, my zorp", random.Random(0), 1) == "a, b, my zorp"
    assert set(drawn("a, zorp, x, b", tag_dropout_rate=1, lora_trigger_word="zorp, x")) == {"zorp, x"}
    shuffled = set(drawn("a, b, my zorp, c", shuffle=True, keep_tokens=1, lora_trigger_word="zorp"))
    assert shuffled == {"my zorp, a, b, c", "my zorp, a, c, b"}


def test_a_trigger_word_that_a_wildcard_may_not_draw_is_in_front_then() -> None:
    made = rules(lora_trigger_word="zorp", wildcards=True)
    found = Counter(made.drawn("a {zorp|cat}", random.Random(seed), 1) for seed in SEEDS)
    assert found.keys() == {"a zorp", "zorp, a cat"}
    assert min(found.values()) > 70  # of 200, both equally likely


@pytest.mark.parametrize("trigger", ["{zorp|zarp}", "{ zorp | zarp }"])
def test_a_trigger_word_that_is_drawn_is_never_moved_nor_left_out(trigger: str) -> None:
    changes: dict[str, Any] = {"lora_trigger_word": trigger, "wildcards": True}
    shuffled = set(drawn("a, b", shuffle=True, **changes))
    assert shuffled == {f"{word}, {rest}" for word in ("zorp", "zarp") for rest in ("a, b", "b, a")}
    assert set(drawn("a, b", tag_dropout_rate=1, **changes)) == {"zorp", "zarp"}
    assert set(drawn("a, zorp hat", tag_dropout_rate=1, **changes)) == {"zorp hat", "zarp"}


@pytest.mark.parametrize(
    ("trigger", "written", "expected"),
    [
        ("zorp", "zorp, a zorp hat, x", {"zorp, a zorp hat, x"}),
        ("zorp", "a zorp, b zorp", {"a zorp, b zorp"}),
        ("zorp, 1girl", "1girl, solo", {"zorp, 1girl, 1girl, solo"}),
        ("zorp", "zorp, x, zorp hat, y", {"zorp, zorp hat, x, y", "zorp, zorp hat, y, x"}),
        ("zorp", "zorp, x ||| a, zorp hat", {"zorp, x, zorp hat, a"}),
    ],
)
def test_other_tags_with_the_trigger_word_go_behind_it(trigger: str, written: str, expected: set[str]) -> None:
    made = set(drawn(written, shuffle=True, keep_tokens_separator="|||", lora_trigger_word=trigger))
    assert made == expected


def test_a_separator_says_what_is_kept() -> None:
    settings: dict[str, Any] = {"shuffle": True, "keep_tokens_separator": "|||", "keep_tokens": 3}
    assert set(drawn("a, b ||| c, d ||| e, f", **settings)) == {"a, b, c, d, e, f", "a, b, d, c, e, f"}
    assert set(drawn("a, b, c, d", **settings)) == {"a, b, c, d"}  # without it, the number counts
    assert rules(keep_tokens_separator="|||").plain("a ||| b") == "a, b"


def test_tags_are_left_out_at_their_rate() -> None:
    counts = Counter(tag for caption in drawn("a, b, c", tag_dropout_rate=0.25) for tag in caption.split(", "))
    for tag in "abc":
        assert 125 < counts[tag] < 175  # 150 expected, four deviations of 6.1 allowed
    assert set(drawn("a, b", tag_dropout_rate=1)) == {""}


def test_captions_are_left_out_at_their_rate_or_in_every_nth_epoch() -> None:
    found = Counter(drawn("a", dropout_rate=0.25, lora_trigger_word="zorp"))
    assert found.keys() == {"zorp, a", ""}
    assert 25 < found[""] < 75
    assert [drawn("a", dropout_every_n_epochs=3, epoch=epoch)[0] for epoch in range(1, 7)] == [
        "a",
        "a",
        "",
        "a",
        "a",
        "",
    ]


def test_lines() -> None:
    assert set(drawn("a, b\nc\nd", lines="random")) == {"a, b", "c", "d"}
    assert set(drawn("a, b\nc\nd", lines="joined")) == {"a, b c d"}
    assert set(drawn("a, b\nc\nd", lines="first")) == {"a, b"}


def test_prefix_and_suffix() -> None:
    made = rules(prefix="best,", suffix="in oil", lora_trigger_word="zorp")
    assert made.plain("a cat") == "zorp, best, a cat in oil"
    assert made.plain("zorp, a cat") == "zorp, best, a cat in oil"
    assert made.plain("") == "zorp, best, in oil"


def test_a_prefix_goes_behind_the_trigger_word_even_where_the_caption_has_it_twice() -> None:
    made = rules(prefix="best,", lora_trigger_word="zorp")
    assert made.plain("zorp, a zorp hat") == "zorp, best, a zorp hat"
    assert made.plain("a zorp hat") == "best, a zorp hat"
    assert rules(prefix="zorp style,", lora_trigger_word="zorp").plain("zorp, a hat") == "zorp, zorp style, a hat"
    either = rules(prefix="best,", lora_trigger_word="{zorp|zarp}", wildcards=True)
    assert either.plain("zorp, a zorp hat") == "zorp, best, a zorp hat"
    assert either.plain("{zorp|zarp}, a zorp hat") == "zorp, best, a zorp hat"


def test_other_separators() -> None:
    assert set(drawn("a. b, c. d", shuffle=True, separator=".", keep_tokens=1)) == {"a, b, c, d", "a, d, b, c"}
    assert set(drawn("a;;;b, c", shuffle=True, secondary_separator=";;;")) == {"a,b, c", "c, a,b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a {red|blue} cat", {"a red cat", "a blue cat"}),
        ("{a|{b|c} d}", {"a", "b d", "c d"}),
        ("{a|b}{c|d}", {"ac", "ad", "bc", "bd"}),
        ("{a|b|}", {"a", "b", ""}),
        ("{a}", {"a"}),
        ("{}", {"{}"}),
        ("{{a|b}}", {"{a|b}"}),
        ("{{{a|b}}}", {"{a}", "{b}"}),
        ("{ {{x}} |b}", {" {x} ", "b"}),
        ("a | b", {"a | b"}),
        ("a } b", {"a } b"}),
        ("a { b|c", {"a { b|c"}),
        ("{a|{b|c}", {"{a|b", "{a|c"}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{2$$ and $$a|b|c}", {f"{one} and {two}" for one in "abc" for two in "abc" if one != two}),
        ("{1-2$$+$$a|b}", {"a", "b", "a+b", "b+a"}),
        ("{3$$a|b}", {"a, b", "b, a"}),
        ("{0-1$$a|b}", {"", "a", "b"}),
        ("{2$$$$a|b}", {"ab", "ba"}),
    ],
)
def test_wildcards(text: str, expected: set[str]) -> None:
    assert {with_wildcards(text, random.Random(seed)) for seed in SEEDS} == expected


def test_the_first_of_each_wildcard_stands_for_the_rest() -> None:
    assert with_wildcards("{a|b} {2$$c|d|e} {{x}}", None) == "a c, d {x}"


@pytest.mark.parametrize("text", ["{" * 9999, "{a|" * 9999, "{a|" * 9999 + "}" * 9999, "{9$$" * 500, "}" * 9999])
def test_odd_braces_take_no_time(text: str) -> None:
    assert with_wildcards(text, random.Random(0)).count("a") == text.count("a") or "}" in text


def test_the_same_generator_draws_the_same() -> None:
    changes: dict[str, Any] = {"shuffle": True, "tag_dropout_rate": 0.3, "wildcards": True, "lines": "random"}
    written = "a, b, {c|d|e}, f\ng, h, i"
    assert drawn(written, **changes) == drawn(written, **changes)
    assert len(set(drawn(written, **changes))) > 50
