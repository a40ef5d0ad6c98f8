"""What is asked to be drawn, in the words of a host: every value checked, every mistake a sentence."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer.config.schema import dump
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.image_request import ImageRequest
from trainer.errors import UserError
from trainer.networks.files import file
from trainer.networks.files.find import find_lora, guest_name, lora_names
from trainer.networks.files.settings import KEY as SETTINGS_KEY
from trainer.paths import Folders
from trainer.web.services import image_requests

FORM = Settings(
    mode="iLECO", original_prompt="a cat", target_prompt="a dog", sample_negative="blur", image_size=Size(96, 64),
    model="m", vae="v", prediction="velocity",
)  # fmt: skip


@pytest.fixture
def folders(folders: Folders) -> Folders:
    folders.loras.mkdir()
    return folders


def lora(folders: Folders, name: str, settings: Settings | None = None, **metadata: str) -> Path:
    if settings is not None:
        metadata[SETTINGS_KEY] = dump(settings)
    return file.save(folders.loras / f"{name}.safetensors", {"x": torch.zeros(1)}, metadata)


# ---- iLECO's prompts ------------------------------------------------------------------------------------------------


def prompts(settings: Settings = FORM, which: str = "both", **asked: Any) -> list[tuple[str, str]]:
    pieces = image_requests.of_prompts(settings, which, asked)
    return [(str(piece.labels[0]), piece.request.prompt) for piece in pieces]


def test_both_prompts_share_everything_but_the_prompt() -> None:
    one, other = image_requests.of_prompts(FORM, "both", {"seed": "7", "steps": "8", "cfg": "2.5"})
    assert one.request == ImageRequest("a cat", "blur", 7, 8, 2.5, Size(96, 64), "m", "v", prediction="velocity")
    assert other.request == replace(one.request, prompt="a dog")


def test_each_side_alone_and_an_empty_target() -> None:
    assert prompts(which="original") == [("original", "a cat")]
    assert prompts(which="target") == [("target", "a dog")]
    assert prompts(replace(FORM, target_prompt="")) == [("original", "a cat"), ("target", "")]


def test_several_concepts_and_sliders() -> None:
    several = replace(FORM, original_prompt="a\nb", target_prompt="c\nd")
    assert prompts(several) == [("original", "a"), ("original", "b"), ("target", "c"), ("target", "d")]
    slider = replace(FORM, target_prompt="", slider_positive="old", slider_negative="young")
    assert prompts(slider) == [("original", "a cat"), ("slider positive", "old"), ("slider negative", "young")]


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({"original_prompt": " "}, {}, "original prompt: It is empty"),
        ({"target_prompt": "a\nb"}, {}, "has 2 lines"),
        ({}, {"seed": "x"}, 'seed: It must be a whole number, not "x"'),
        ({}, {"steps": "0"}, "steps: It must be a number from 1 to 150"),
        ({}, {"steps": "2.5"}, "steps: It must be a whole number"),
        ({}, {"cfg": "nan"}, "guidance scale: It must be a number from 0 to 30"),
        ({}, {"cfg": True}, "guidance scale: It must be a number"),
        ({}, {"cfg": [1]}, "guidance scale: It must be a number"),
        ({"original_prompt": "\n".join("abcdefghi"), "target_prompt": ""}, {}, "18 images are too many"),
    ],
)
def test_mistakes_in_prompts(changes: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        prompts(replace(FORM, **changes), **asked)


# ---- a LoRA ---------------------------------------------------------------------------------------------------------


def test_a_lora_by_name_at_strengths_as_they_are_typed(folders: Folders) -> None:
    path = lora(folders, "mine")
    asked = {"lora": "mine", "prompt": "a cat", "strengths": "-1, 0,0.25", "seed": 3, "steps": "4", "cfg": 1.5,
             "size": "64, 128", "model": "m", "vae": "", "negative": "n", "prediction": "velocity"}  # fmt: skip
    piece = image_requests.of_lora(asked, folders)
    assert piece.request == ImageRequest(
        "a cat", "n", 3, 4, 1.5, Size(128, 64), "m", "", prediction="velocity", lora=path, strengths=(-1.0, 0.0, 0.25)
    )
    assert tuple(map(str, piece.labels)) == ("-1", "off", "+0.25")
    blank = {"lora": "mine", "strengths": "", "seed": " ", "steps": "", "size": None}
    assert image_requests.of_lora(blank, folders).request == ImageRequest(
        "", lora=path, strengths=image_requests.STRENGTHS
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "LoRA: It is empty"),
        ({"lora": "gone"}, "gone: There is no such LoRA file"),
        ({"lora": "x" * 5000}, "is too long for a path"),
        ({"lora": "a\0b"}, "has a line break or another control character"),
        ({"lora": "mine", "strengths": "1, many"}, "strengths: "),
        ({"lora": "mine", "strengths": [0] * 17}, "17 images are too many"),
        ({"lora": "mine", "size": "100"}, "height, width: "),
        ({"lora": "mine", "seed": -1}, "seed: "),
        ({"lora": "mine", "prompts": "x"}, '"prompts": It is not known here'),
    ],
)
def test_mistakes_in_strips(folders: Folders, asked: dict[str, Any], words: str) -> None:
    lora(folders, "mine")
    with pytest.raises(UserError, match=words):
        image_requests.of_lora(asked, folders)


def test_the_newest_lora_comes_first(folders: Folders) -> None:
    for age, name in ((30, "old"), (10, "new"), (20, "sub/middle")):
        (folders.loras / "sub").mkdir(exist_ok=True)
        path = lora(folders, name)
        os.utime(path, (1e9 - age, 1e9 - age))
    assert lora_names(folders.loras) == ["new", "sub/middle", "old"]
    assert find_lora("sub/middle", folders.loras) == folders.loras / "sub" / "middle.safetensors"


def test_a_lora_that_is_in_the_folder_for_one_image_is_not_listed(folders: Folders) -> None:
    lora(folders, guest_name())
    lora(folders, "trainyard-mine")
    assert lora_names(folders.loras) == ["trainyard-mine"]


def test_a_lora_says_what_it_is_best_tried_with(folders: Folders) -> None:
    found = image_requests.suited(lora(folders, "ileco", FORM), ["m", "n"], "n")
    assert found == {
        "prompt": "a cat", "negative": "blur", "model": "m", "vae": "v", "prediction": "velocity", "clip_skip": 0,
        "size": [64, 96],
    }  # fmt: skip
    trigger = Settings(mode="LoRA", lora_trigger_word="sks", sample_prompt="something", model="gone")
    assert image_requests.suited(lora(folders, "word", trigger), ["a", "b"], "")["prompt"] == "sks"
    without = replace(trigger, lora_trigger_word="", sample_prompt="\n something --n bad --w x\nelse")
    assert image_requests.suited(lora(folders, "plain", without), [], "")["prompt"] == "something"
    # Where its model is gone: the proposed one, the one that is loaded, or still that one, for the host to complain.
    for models, proposed, expected in ((["only"], "only", "only"), (["", "a"], "", ""), (["a", "b"], "", "gone")):
        assert image_requests.suited(folders.loras / "word.safetensors", models, proposed)["model"] == expected


def test_a_lora_of_another_program(folders: Folders) -> None:
    known = {"modelspec.trigger_phrase": "<b>word</b>"}
    assert image_requests.suited(lora(folders, "theirs", None, **known), ["a", "b"], "") == {
        "prompt": "<b>word</b>",
        "model": "",
    }
    assert image_requests.suited(lora(folders, "silent"), ["a"], "a") == {"prompt": "", "model": "a"}
