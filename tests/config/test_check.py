"""What would not train although every setting is right in itself is told before a run."""

from __future__ import annotations

from typing import Any

import pytest

from trainer.config.check import check_for_run
from trainer.config.schema import parse

READY = {
    "LoRA": {"mode": "LoRA", "lora_data_directory": "images"},
    "iLECO": {"mode": "iLECO", "original prompt": "red", "target prompt": "blue"},
    "Difference": {"mode": "Difference", "original image": "a.png", "target image": "b.png"},
    "ADDifT": {"mode": "ADDifT", "original image": "a.png", "target image": "b.png"},
    "Multi-ADDifT": {"mode": "Multi-ADDifT", "lora_data_directory": "images", "diff_target_name": "_closed"},
}


def run_problems(values: dict[str, Any]) -> dict[str, str]:
    return {problem.key: str(problem.message) for problem in check_for_run(parse(values).settings)}


@pytest.mark.parametrize("mode", READY)
def test_ready_settings_have_no_problem(mode: str) -> None:
    assert run_problems(READY[mode]) == {}


def test_other_words_may_be_held_where_there_is_no_trigger_word() -> None:
    assert run_problems({**READY["LoRA"], "train_self_reg": 1, "train_self_reg_images": 32}) == {}


@pytest.mark.parametrize(
    ("mode", "changes", "key", "words"),
    [
        ("LoRA", {"lora_data_directory": " "}, "lora_data_directory", "is empty"),
        ("LoRA", {"network_strength": 0}, "network_strength", "does nothing"),
        ("LoRA", {"train_self_reg": 0.5}, "train_self_reg", "lora trigger word is empty"),
        ("LoRA", {"train_self_reg_images": 16}, "train_self_reg_images", "while train self reg is 0"),
        ("LoRA", {"train_lr_scheduler": "piecewise_constant"}, "train_lr_step_rules", "needs rules"),
        (
            "LoRA",
            {"train_lr_scheduler": "piecewise_constant", "train_lr_step_rules": "1:x,0.1"},
            "train_lr_step_rules",
            "1:200,0.1:500,0.01",
        ),
        (
            "LoRA",
            {"train_min_timesteps": 500, "train_max_timesteps": "500"},
            "train_min_timesteps",
            "500 must be less than train max timesteps, 500",
        ),
        (
            "Difference",
            {"use_2nd_pass_settings": True, "2nd pass": {"train_min_timesteps": 700, "train_max_timesteps": 600}},
            "2nd pass.train_min_timesteps",
            "700 must be less than",
        ),
        ("LoRA", {"network_type": "loha", "network_dropout": 0.1}, "network_dropout", "has no effect on loha"),
        (
            "LoRA",
            {"train_optimizer": "Prodigy", "network_block_rates": "IN=0.5"},
            "network_block_rates",
            "no effect with",
        ),
        (
            "LoRA",
            {"train_optimizer": "Prodigy", "train_loraplus_ratio": 4},
            "train_loraplus_ratio",
            "one learning rate",
        ),
        ("LoRA", {"save_file_name": "{epoch}", "save_per_steps": 5}, "save_file_name", "several files the same name"),
        ("iLECO", {"save_file_name": "{epoch}"}, "save_file_name", "several files the same name"),
        (
            "LoRA",
            {"save_file_name": "{name} {step}" + 100 * "x", "save_lora_name": 99 * "y"},
            "save_file_name",
            "too long",
        ),
        ("iLECO", {"original prompt": ""}, "original prompt", "is empty. Write the concept"),
        ("iLECO", {"target prompt": "red "}, "target prompt", "nothing to learn"),
        ("iLECO", {"keep_prompts": "green;\n red "}, "keep_prompts", "Take it out"),
        ("iLECO", {"network_blocks": ["BASE"]}, "network_blocks(BASE = TextEncoder)", "choose more blocks"),
        ("Difference", {"original image": ""}, "original image", "before the change"),
        ("Difference", {"target image": ""}, "target image", "after the change"),
        ("Difference", {"target image": "a.png"}, "target image", "nothing to learn"),
        (
            "Difference",
            {"diff_1st_pass_only": True, "diff_load_1st_pass": "x"},
            "diff_1st_pass_only",
            "nothing to train",
        ),
        ("Difference", {"use_2nd_pass_settings": True}, "use_2nd_pass_settings", "there are no 2nd pass settings"),
        ("Difference", {"network_blocks": "BASE"}, "network_blocks(BASE = TextEncoder)", "does not train"),
        (
            "Difference",
            {"use_2nd_pass_settings": True, "2nd pass": {"network_strength": 0}},
            "2nd pass.network_strength",
            "does nothing",
        ),
        (
            "Difference",
            {"use_2nd_pass_settings": True, "2nd pass": {"network_blocks": "BASE"}},
            "2nd pass.network_blocks(BASE = TextEncoder)",
            "does not train",
        ),
        ("ADDifT", {"original image": ""}, "original image", "before the change"),
        ("ADDifT", {"target image": ""}, "target image", "after the change"),
        ("ADDifT", {"target image": "a.png"}, "target image", "nothing to learn"),
        ("Multi-ADDifT", {"lora_data_directory": ""}, "lora_data_directory", "is empty"),
        (
            "LoRA",
            {"image_bucketing": "sd-scripts", "image_size(height, width)": "1280,960"},
            "image_max_bucket_reso",
            "is less than 1280",
        ),
        (
            "Multi-ADDifT",
            {"image_bucketing": "sd-scripts", "image_min_bucket_reso": 576},
            "image_min_bucket_reso",
            "is more than 512",
        ),
        ("Multi-ADDifT", {"diff_target_name": ""}, "diff_target_name", "paired with itself"),
    ],
)
def test_what_would_not_train_is_told(mode: str, changes: dict[str, Any], key: str, words: str) -> None:
    found = run_problems({**READY[mode], **changes})
    assert list(found) == [key]
    assert words in found[key]


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("iLECO", {"target prompt": ""}),
        ("iLECO", {"network_blocks": "BASE", "network_train_text_encoder": True}),
        ("LoRA", {"network_blocks": "BASE"}),
        ("LoRA", {"train_lr_scheduler": "piecewise_constant", "train_lr_step_rules": "1:10,0.1:20,0.005"}),
        ("Difference", {"original image": "", "diff_load_1st_pass": "copier"}),
        ("Difference", {"target image": "", "diff_1st_pass_only": True}),
        ("Difference", {"use_2nd_pass_settings": True, "2nd pass": {}}),
        ("Difference", {"2nd pass": {"network_strength": 0}}),
        ("ADDifT", {"target prompt": ""}),
    ],
)
def test_what_looks_odd_and_trains(mode: str, changes: dict[str, Any]) -> None:
    assert run_problems({**READY[mode], **changes}) == {}


def test_all_run_problems_come_at_once() -> None:
    assert set(run_problems({"mode": "Difference", "network_strength": 0})) == {
        "network_strength",
        "original image",
        "target image",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"train_optimizer": "Prodigy", "network_block_rates": "IN=0, OUT=1", "train_loraplus_ratio": 1},
        {"save_file_name": "{name}-{epoch:02}", "save_every_epochs": 1},
        {"save_file_name": "{step}", "save_per_steps": 5},
        {"train_epochs": 5, "train_iterations": 10, "train_lr_warmup_steps": 20, "train_lr_scheduler": "linear"},
    ],
)
def test_options_that_go_together_have_no_problem(changes: dict[str, Any]) -> None:
    """Of a warm-up and epochs it is known once the images are."""
    assert run_problems(READY["LoRA"] | changes) == {}
