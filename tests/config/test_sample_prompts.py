"""Prompts of previews as users have them: sd-scripts' lines, and its TOML and JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trainer.config import labels
from trainer.config.check import check_for_run
from trainer.config.sample_prompts import MOST_PROMPTS, SamplePrompt, SamplePrompts, prompts_of_lines, sample_prompts
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.errors import UserError, WrongValue

# As sd-scripts' guide shows them: a comment, an empty line, and every option.
LINES = """\
# prompt 1
masterpiece, best quality, 1girl, in white shirts --n low quality, worst quality, bad anatomy --w 768 --h 770 --d 1 --l 7.5 --s 28

# prompt 2
masterpiece, 1boy, in business suit, standing at street --n (low quality, worst quality:1.4) --w 576 --h 832 --d 2 --l 5
a plain one
"""  # noqa: E501
READ = (
    SamplePrompt(
        "masterpiece, best quality, 1girl, in white shirts", "low quality, worst quality, bad anatomy", 768, 768, 1, 28,
        7.5,
    ),
    SamplePrompt(
        "masterpiece, 1boy, in business suit, standing at street", "(low quality, worst quality:1.4)", 576, 832, 2,
        None, 5.0,
    ),
    SamplePrompt("a plain one"),
)  # fmt: skip


def settings(**changes: Any) -> Settings:
    return replace(Settings(), **changes)


def in_file(path: Path, content: str | bytes) -> SamplePrompts:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return sample_prompts(settings(sample_prompts_file=str(path)))


def problem_of(path: Path, content: str) -> str:
    with pytest.raises(UserError) as caught:
        in_file(path, content)
    return str(caught.value)


def test_the_lines_of_a_file(tmp_path: Path) -> None:
    assert in_file(tmp_path / "prompts.txt", LINES) == SamplePrompts(READ)


@pytest.mark.parametrize("encoded", [b"\xef\xbb\xbf" + "猫\r\n犬\r\n".encode(), "猫\n犬".encode("utf-16")])
def test_as_windows_editors_write_it(tmp_path: Path, encoded: bytes) -> None:
    assert in_file(tmp_path / "p.txt", encoded).prompts == (SamplePrompt("猫"), SamplePrompt("犬"))


def test_one_prompt_in_the_settings_is_that_prompt() -> None:
    for text in ("", "a cat", "a cat -- with dashes", "#1 cat, 2--3 dogs, well-known --- one", "(a:1.2) -n b"):
        assert sample_prompts(settings(sample_prompt=text)) == SamplePrompts((SamplePrompt(text),))


def test_several_lines_in_the_settings_are_several_prompts_before_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("three\n")
    both = settings(sample_prompt="one --s 9\n\n two --n\n", sample_prompts_file=str(tmp_path / "p.txt"))
    assert sample_prompts(both).prompts == (
        SamplePrompt("one", steps=9), SamplePrompt("two", negative=""), SamplePrompt("three"),
    )  # fmt: skip
    alone = settings(sample_prompts_file=str(tmp_path / "p.txt"))
    assert sample_prompts(alone).prompts == (SamplePrompt("three"),)


def test_what_a_line_does_not_say_is_left_to_the_settings() -> None:
    assert SamplePrompt("a", width=128).size(Size(512, 768)) == Size(128, 768)
    assert SamplePrompt("a", height=64).size(Size(512, 768)) == Size(512, 64)


def test_toml_with_what_holds_for_all(tmp_path: Path) -> None:
    text = """
        [prompt]
        negative_prompt = "bad"
        width = 768
        scale = 6

        [[prompt.subset]]
        prompt = "one"
        seed = 4
        sample_steps = 30

        [[prompt.subset]]
        prompt = "two"
        width = 100
        sample_sampler = "k_euler_a"
    """
    found = in_file(tmp_path / "p.toml", text)
    assert found.prompts == (
        SamplePrompt("one", "bad", 768, None, 4, 30, 6.0), SamplePrompt("two", "bad", 96, cfg=6.0),
    )  # fmt: skip
    assert [str(note) for note in found.notes] == [
        "p.toml, prompt 2: the sampler cannot be chosen, so sample_sampler k_euler_a is left out."
    ]


def test_json(tmp_path: Path) -> None:
    text = '[{"prompt": "one", "negative_prompt": "bad", "height": 512, "scale": 6.5, "enum": 0}, "two --d 3"]'
    assert in_file(tmp_path / "p.JSON", text).prompts == (
        SamplePrompt("one", "bad", height=512, cfg=6.5), SamplePrompt("two", seed=3),
    )  # fmt: skip


def test_options_that_mean_nothing_here_are_told_and_left_out() -> None:
    found = prompts_of_lines("a cat --ar 3:2 --ss euler_a\n\nb --W 64 --v")
    assert found.prompts == (SamplePrompt("a cat"), SamplePrompt("b", width=64))
    assert [str(note) for note in found.notes] == [
        "line 1: ar 3:2 means nothing here and is left out.",
        "line 1: the sampler cannot be chosen, so ss euler_a is left out.",
        "line 3: v  means nothing here and is left out.",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("a --w big", 'line 2: --w must be a whole number, not "big"'),
        ("a --h 32", "line 2: --h must be from 64 to 8192, not 32"),
        ("a --d -1", "line 2: --d must be from 0 to 4294967295, not -1"),
        ("a --l nan", "line 2: --l must be from 0 to 100, not nan"),
        ("a --l", 'line 2: --l must be a number, not ""'),
        ("a --s 0", "line 2: --s must be from 1 to 1000, not 0"),
        ("a --s 7.5", 'line 2: --s must be a whole number, not "7.5"'),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "p.txt"
    assert problem_of(path, f"# fine\n{line}\nfine") == f"{path}: {told}."
    (problem,) = check_for_run(
        settings(mode="iLECO", original_prompt="a", target_prompt="b", sample_prompt=f"fine\n{line}")
    )
    assert str(problem) == f"{labels.label_of('sample_prompt')}: {told}"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.txt", "# nothing else\n\n", "holds no prompt. Write one per line."),
        ("p.txt", "a\n" * (MOST_PROMPTS + 1), f"holds {MOST_PROMPTS + 1} prompts"),
        ("p.json", "{}", "must hold a list of prompts"),
        ("p.json", "[", "JSON"),
        ("p.json", '["a", {"prompt": 1}]', 'prompt 2: It has no "prompt", or one that is not text.'),
        ("p.json", '[{"prompt": "a", "width": true}]', 'prompt 1: --width must be a whole number, not "True"'),
        ("p.json", '[{"prompt": "a", "negative_prompt": 3}]', "prompt 1: --negative_prompt must be text, not 3"),
        ("p.toml", "[prompt]\nwidth = 3", "holds no [[prompt.subset]]"),
        ("p.toml", 'prompt = "a"', "holds no [[prompt.subset]]"),
        ("p.toml", "prompt =", "TOML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: str, told: str) -> None:
    path = tmp_path / name
    said = problem_of(path, content)
    assert said.startswith(str(path))
    assert told in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone"):
        sample_prompts(settings(sample_prompts_file=str(tmp_path / "gone.txt")))


def test_an_error_of_a_line_is_no_error_of_the_others() -> None:
    with pytest.raises(WrongValue, match="line 3"):
        prompts_of_lines("a\nb\nc --w x\nd --w y")
