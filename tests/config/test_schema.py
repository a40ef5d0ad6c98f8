"""Settings out of anything a user hands in, every mistake told in a sentence, and the way back to JSON."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from tests.helpers.other_values import OTHER
from trainer.config.choices import BLOCKS
from trainer.config.schema import dump, parse, parse_assignment, to_json
from trainer.config.settings import ROWS, Row, Settings
from trainer.config.size import Size
from trainer.errors import SettingsError, UserError


def read(name: str, value: Any) -> Any:
    return getattr(parse({name: value}).settings, name)


def problem_of(values: dict[str, Any]) -> str:
    """The one problem there is, as the user reads it."""
    with pytest.raises(SettingsError) as caught:
        parse(values)
    assert len(caught.value.problems) == 1, str(caught.value)
    return str(caught.value.problems[0])


# Reading


def test_newer_keys_of_traintrains() -> None:
    self_reg = {"train_self_reg": 0, "train_self_reg_filler": "", "train_self_reg_noise": 0}
    parsed = parse({"image_shuffle_tags": True, "te": "None", **self_reg, "train_self_reg_batched": True})
    assert parsed.settings.caption_shuffle
    assert parsed.given == {"caption_shuffle", "train_self_reg", "train_self_reg_filler"}
    assert parsed.warnings == []
    assert to_json(parsed.settings)["te"] == "None"
    told = parse({"te": "qwen.safetensors"}).warnings
    assert list(map(str, told)) == [
        "The text encoder qwen.safetensors is not used: the models that can be trained here have their own."
    ]
    (told,) = parse({"train_self_reg_noise": 0.1}).warnings
    assert str(told).startswith("train_self_reg_noise: there is no such setting")
    assert problem_of({"image_shuffle_tags": True, "caption_shuffle": False}).endswith(
        'given twice, as "image_shuffle_tags" and as "caption_shuffle". Keep one of them'
    )


def test_nothing_set_gives_the_table() -> None:
    parsed = parse({})
    assert parsed.settings == Settings()
    assert (parsed.unknown, parsed.given) == ((), frozenset())


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("network_rank", "16", 16),
        ("network_rank", 16.0, 16),
        ("network_rank", "16.0", 16),
        ("network_rank", " １６ ", 16),
        ("network_rank", "", 16),
        ("network_rank", None, 16),
        ("network_rank", 3, 3),
        ("network_alpha", "0.03125", 0.03125),
        ("network_alpha", 8, 8.0),
        ("train_learning_rate", "5e-4", 0.0005),
        ("train_learning_rate", "１ｅ－４", 0.0001),
        ("train_learning_rate", "1e\u22124", 0.0001),
        ("train_learning_rate", "0,0001", 0.0001),
        ("network_strength", "−0,5", -0.5),
        ("sample_strengths", "0,5", (0.0, 5.0)),
        ("train_textencoder_learning_rate", "", None),
        ("train_textencoder_learning_rate", "0", None),
        ("train_textencoder_learning_rate", "1e-5", 1e-5),
        ("image_mirroring", "", False),
        ("image_mirroring", "true", True),
        ("image_mirroring", "True", True),
        ("image_mirroring", "false", False),
        ("image_mirroring", 1, True),
        ("image_mirroring", 0, False),
        ("image_mirroring", "1", True),
        ("image_mirroring", None, False),
        ("train_optimizer", "adamw", "AdamW"),
        ("train_optimizer", "ADAMW8BIT", "AdamW8bit"),
        ("train_optimizer", "adafactor", "AdaFactor"),
        ("train_loss_function", "smooth-l1", "Smooth-L1"),
        ("network_element", "crossattention", "CrossAttention"),
        ("mode", "multi-addift", "Multi-ADDifT"),
        ("vae", "None", "None"),
        ("vae", "none", "None"),
        ("vae", "Automatic", "None"),
        ("vae", "", ""),
        ("image_size", 512, Size(512, 512)),
        ("image_size", 0, None),
        ("image_size", "0", None),
        ("image_size", None, None),
        ("image_size", "512", Size(512, 512)),
        ("image_size", "768,512", Size(512, 768)),
        ("image_size", "768, 512", Size(512, 768)),
        ("image_size", "768，512", Size(512, 768)),
        ("image_size", [768, 512], Size(512, 768)),
        ("image_size", "512x768", Size(512, 768)),
        ("image_size", " 512 × 768 ", Size(512, 768)),
        ("image_size", "５１２ｘ７６８", Size(512, 768)),
        ("image_size", "512*768", Size(512, 768)),
        ("image_size", "512 x 768", Size(512, 768)),
        ("image_size", "", None),
        ("network_blocks", ["OUT05", "BASE"], ("OUT05", "BASE")),
        ("network_blocks", "base, in01,M00", ("BASE", "IN01", "M00")),
        ("network_blocks", ["IN01", "IN01"], ("IN01",)),
        ("sample_strengths", "-1, 0, 0.5", (-1.0, 0.0, 0.5)),
        ("sample_strengths", [0, 1], (0.0, 1.0)),
        ("sample_strengths", 0.5, (0.5,)),
        ("save_lora_name", "人物/青い 鳥-v1.2", "人物/青い 鳥-v1.2"),
        ("save_lora_name", 123, "123"),
        ("lora_data_directory", ' "C:\\test lora " ', "C:\\test lora"),
        ("lora_data_directory", "D:\\Bilder\\Åsa\u00a0中文", "D:\\Bilder\\Åsa\u00a0中文"),
        ("lora_trigger_word", " keeps spaces ", " keeps spaces "),
        ("train_seed", "4294967295", 2**32 - 1),
        ("diff_alt_ratio", "-1", -1.0),
        ("train_optimizer_settings", "betas=0.9,0.99,\nweight_decay=0.01", "betas=0.9,0.99,\nweight_decay=0.01"),
    ],
)
def test_ways_of_writing(name: str, written: Any, expected: Any) -> None:
    value = read(name, written)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_long_key_and_short_name_are_one(row: Row) -> None:
    value = OTHER[row.name]
    by_key, by_name = parse({row.key: value}), parse({row.name: value})
    assert by_key == by_name
    assert by_key.settings != Settings()
    assert by_key.given == {row.name}


def test_base_is_laid_under() -> None:
    base = parse({"network_rank": 4, "train_seed": 7, "old_key": 1, "2nd pass": {"network_rank": 2}}).settings
    parsed = parse({"train_seed": "9", "2nd_pass.train_iterations": "5", "new_key": 2}, base=base)
    assert (parsed.settings.network_rank, parsed.settings.train_seed) == (4, 9)
    assert parsed.settings.second_pass == Settings(network_rank=2, train_iterations=5)
    assert dict(parsed.settings.unknown) == {"old_key": 1, "new_key": 2}
    assert parsed.unknown == ("new_key",)


@pytest.mark.parametrize("name", ["2nd pass", "2nd_pass", "second_pass"])
def test_second_pass(name: str) -> None:
    parsed = parse({name: {"network_rank": "4", "odd": 1}, f"{name}.network_alpha": "2"})
    assert parsed.settings.second_pass == Settings(network_rank=4, network_alpha=2.0, unknown=(("odd", 1),))
    assert parsed.unknown == ("2nd pass.odd",)
    assert parse({name: ""}, base=parsed.settings).settings.second_pass is None
    assert parse({name: {}}).settings.second_pass == Settings()
    deeper = parse({name: {f"{name}.network_rank": 4}}).settings
    assert deeper.second_pass == Settings(unknown=((f"{name}.network_rank", 4),))
    assert parse(to_json(deeper)).settings == deeper


# Mistakes


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network_rank", "abc", 'must be a whole number, not "abc". Write for instance 16'),
        ("network_rank", 0, "must be from 1 to 4096, not 0"),
        ("network_rank", "16.5", 'a whole number, not "16.5"'),
        ("network_rank", True, "a whole number, not true"),
        ("network_rank", [16], "a whole number, not [16]"),
        ("network_rank", 10**30, "from 1 to 4096"),
        ("train_iterations", 999_999_999, "from 1 to 1000000"),
        ("network_rank", "1e400", "a whole number"),
        ("network_alpha", 0, "must be more than 0"),
        ("network_conv_rank", -1, "must be at least 0, not -1"),
        ("train_iterations", "0", "must be from 1 to 1000000, not 0"),
        ("train_batch_size", 0, "must be at least 1"),
        ("train_learning_rate", "fast", 'must be a number, not "fast". Write for instance 0.0001'),
        ("train_learning_rate", "nan", 'a finite number, not "nan"'),
        ("train_learning_rate", float("inf"), "a finite number, not Infinity"),
        ("train_learning_rate", 10**400, "a finite number"),
        ("train_learning_rate", -1e-4, "must be more than 0, not -0.0001"),
        ("train_learning_rate", "1e-4,", "must be a number"),
        ("train_textencoder_learning_rate", "-1", "must be at least 0"),
        ("network_strength", "NaN", "a finite number"),
        ("image_size(height, width)", "512x", '"512x" is not a size'),
        ("image_size(height, width)", "512x512x3", "width x height (512x768), or height,width (768,512)"),
        ("image_size(height, width)", "500x768", "a multiple of 8, not 500. Write 496 or 504"),
        ("image_size(height, width)", "512,512,512", "is not a size"),
        ("image_size(height, width)", "big", "is not a size"),
        ("image_size(height, width)", "500", "a multiple of 8, not 500. Write 496 or 504"),
        ("image_size(height, width)", "512,0", "must be from 64 to 8192, not 0"),
        ("image_size(height, width)", "32", "must be from 64 to 8192, not 32"),
        ("image_size(height, width)", "-512", "must be from 64 to 8192, not -512"),
        ("image_size(height, width)", {}, "is not a size"),
        ("image_buckets_step", "0", "must be at least 8, not 0"),
        ("image_buckets_step", 100, "a multiple of 8, not 100. Write 96 or 104"),
        ("image_min_length", "0", "must be at least 64"),
        ("image_max_ratio", 0.5, "must be at least 1, not 0.5"),
        ("image_num_multiply", 0, "must be at least 1"),
        ("sub_image_num", -1, "must be at least 0"),
        ("train_min_timesteps", 1000, "must be from 0 to 999"),
        ("train_max_timesteps", 1001, "must be from 1 to 1000"),
        ("train_snr_gamma", -1, "must be at least 0"),
        ("train_seed", -2, "must be from -1 to 4294967295, not -2"),
        ("train_seed", 2**32, "must be from -1 to 4294967295"),
        ("sample_seed", -1, "must be from 0 to 4294967295"),
        ("image_mirroring", "maybe", 'must be true or false, not "maybe"'),
        ("image_mirroring", 2, "must be true or false, not 2"),
        ("image_mirroring", [], "must be true or false"),
        ("train_optimizer", "adamv", '"adamv" is not a choice. Perhaps you mean'),
        ("train_optimizer", 3, "Choose one of AdamW, AdamW8bit"),
        ("mode", "Lycoris", "Choose one of LoRA, iLECO, Difference, ADDifT, Multi-ADDifT"),
        ("network_blocks(BASE = TextEncoder)", [], "Choose at least one block"),
        ("network_blocks(BASE = TextEncoder)", "", "the LoRA would learn nothing"),
        ("network_blocks(BASE = TextEncoder)", ["BASE", "IN12"], 'There is no block "IN12"'),
        ("network_blocks(BASE = TextEncoder)", 5, "must be a list, not 5"),
        ("sample_strengths", [], "Write at least one number"),
        ("sample_strengths", "0, one", 'must be a number, not "one"'),
        ("sample_strengths", [float("nan")], "a finite number"),
        ("target prompt", ["a"], 'must be text, not ["a"]'),
        ("target prompt", True, "must be text, not true"),
        ("target prompt", "\ud800", "a broken character"),
        ("lora_data_directory", "a\nb", "a line break"),
        ("train_optimizer_settings", "betas=(0.9", "The value of betas"),
        ("train_optimizer_settings", "just words", 'has no = in it. Write one key=value per line'),
        ("train_lr_scheduler_settings", "eta_min=1e-5, power=2", "between them"),
        ("2nd pass", [1], "must be an object of settings, not [1]"),
        ("save_lora_name", "..", ".."),
        ("save_lora_name", "../out", "would leave the folder. Write a name, or sub-folder/name"),
        ("save_lora_name", "a/../../b", "would leave the folder"),
        ("save_lora_name", "/etc/lora", "must not start with /"),
        ("save_lora_name", "C:lora", "must not start with a drive such as C:"),
        ("save_lora_name", "C:/lora", "must not start with a drive"),
        ("save_lora_name", "a\\b", "Use / between sub-folder and name"),
        ("save_lora_name", "what?", "must not contain ?"),
        ("save_lora_name", '<a>:"|*', 'must not contain " * : < > |'),
        ("save_lora_name", "two\nlines", "line breaks"),
        ("save_lora_name", "nul\0l", "invisible control characters"),
        ("save_lora_name", "CON", "Windows keeps that name for a device. Choose another, such as CON_1"),
        ("save_lora_name", "sub/nul.v2", "must not be nul"),
        ("save_lora_name", "com1 .x", "must not be com1"),
        ("save_lora_name", "name.", "must not end with a dot"),
        ("save_lora_name", "name ", "must not end with a space"),
        ("save_lora_name", "sub ./name", "must not end with a dot"),
        ("save_lora_name", "a//b", "an empty part"),
        ("save_lora_name", "a/", "an empty part"),
        ("save_lora_name", "鳥" * 80, "is too long"),
        ("save_lora_name", " ", "must not end with a space"),
        ("network_block_rates", "IN04", '"IN04" has no = in it. Write a block and a factor, for instance IN04=0.5'),
        ("network_block_rates", "IN44=1", '"IN44" is not a block. Write one such as IN04, or for all of a kind'),
        ("network_block_rates", "M00=-1", 'The factor of M00 must be a number from 0 to 100, not "-1"'),
        ("network_block_rates", "M00=nan", "must be a number from 0 to 100"),
        ("network_block_rates", "M00=1, m00=2", "M00 is given twice"),
        ("save_file_name", "{name}-{steps}", "may have only name, step, epoch in braces"),
        ("save_file_name", "{step.real}", "may have only name, step, epoch in braces"),
        ("save_file_name", "{step!r}", "may have only name, step, epoch in braces"),
        ("save_file_name", "{step:999}", "may have only name, step, epoch in braces"),
        ("save_file_name", "{name:9}-{step}", "may have only name, step, epoch in braces"),
        ("save_file_name", "{step", "may have only name, step, epoch in braces"),
        ("save_file_name", "{name}", "gives all files the same name. Write {step} into it"),
        ("save_file_name", "{step}: it", "must not contain :"),
        ("save_file_name", "../{step}", "would leave the folder"),
    ],
)  # fmt: skip
def test_mistake_is_told_by_its_label(key: str, value: Any, words: str) -> None:
    sentence = problem_of({key: value})
    name = key.removesuffix("(BASE = TextEncoder)")  # which explains a block, and is said at it
    assert sentence.startswith(f"{name.replace('_', ' ').replace('(', ' (')}: ")
    assert words in sentence
    assert len(sentence) < 600
    assert "\n" not in sentence.replace("two\nlines", "")


def test_all_mistakes_come_at_once_by_their_labels() -> None:
    wrong = {
        "network_rank": 0,
        "image_size": "512x",
        "train_learning_rate": "nan",
        "network_blocks": [],
        "2nd pass": {"network_rank": "x", "train_iterations": 0, "2nd pass": {}},
        "train_min_timesteps": 1000,
    }
    with pytest.raises(SettingsError) as caught:
        parse(wrong)
    assert {problem.key: str(problem.label) for problem in caught.value.problems} == {
        "network_rank": "network rank",
        "image_size(height, width)": "image size (height, width)",
        "train_learning_rate": "train learning rate",
        "network_blocks(BASE = TextEncoder)": "network blocks",
        "2nd pass.network_rank": "2nd pass, network rank",
        "2nd pass.train_iterations": "2nd pass, train iterations",
        "2nd pass": "2nd pass",
        "train_min_timesteps": "train min timesteps",
    }
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)


def test_key_and_short_name_may_not_disagree() -> None:
    assert parse({"original prompt": "a", "original_prompt": "a"}).settings.original_prompt == "a"
    assert "given twice" in problem_of({"original prompt": "a", "original_prompt": "b"})


@pytest.mark.parametrize("value", ["\ud800", {1, 2}, object()])
def test_unknown_key_that_cannot_be_kept_is_told(value: Any) -> None:
    assert "cannot be kept" in problem_of({"odd": value})


# --set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network_rank=4", ("network_rank", "4")),
        ("original_prompt=a = b", ("original_prompt", "a = b")),
        ("original prompt=a", ("original prompt", "a")),
        ("target_prompt=", ("target_prompt", "")),
        ("network_blocks(BASE = TextEncoder)=M00", ("network_blocks(BASE = TextEncoder)", "M00")),
        ("2nd_pass.network_rank=4", ("2nd_pass.network_rank", "4")),
        ("2nd pass.network_rank=4", ("2nd pass.network_rank", "4")),
    ],
)
def test_assignment(text: str, expected: tuple[str, str]) -> None:
    assert parse_assignment(text) == expected
    parse(dict([expected]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("netwrok_rank=4", "Perhaps you mean network_rank"),
        ("2nd_pass.netwrok_rank=4", "Perhaps you mean 2nd_pass.network_rank"),
        ("Network-Rank=4", "Perhaps you mean network_rank"),
        ("zzzz=4", "There is no such setting"),
        ("network_rank", "Write key=value"),
        ("=4", "Write key=value"),
        ("2nd_pass={}", "as in 2nd_pass.network_rank=4"),
    ],
)
def test_wrong_assignment(text: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_assignment(text)
    assert words in str(caught.value)


# Back to JSON


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_field_comes_back(row: Row) -> None:
    settings = parse({row.key: OTHER[row.name]}).settings
    written = json.loads(dump(settings))
    again = parse(written)
    assert again.settings == settings
    assert again.unknown == ()
    assert type(getattr(again.settings, row.name)) is type(getattr(settings, row.name))
    assert to_json(again.settings) == written


def drawn(random_numbers: random.Random, row: Row) -> Any:
    """Any value the row accepts."""
    least, most = row.least if row.least is not None else -1e6, row.most if row.most is not None else 1e6
    if row.kind in ("choice", "three states"):
        return random_numbers.choice(row.choices)
    if row.kind == "bool":
        return random_numbers.random() < 0.5
    if row.kind == "int":
        return int(random_numbers.randint(int(least), int(most)) // row.multiple * row.multiple) or row.default
    if row.kind == "float":
        return random_numbers.uniform(max(least, row.above or least, 1e-9), most) * 10.0 ** -random_numbers.randint(
            0, 3
        ) + max(least, 0)
    if row.kind == "float or none":
        return random_numbers.choice([None, random_numbers.random() + 1e-12])
    if row.kind == "size":
        return Size(*(8 * random_numbers.randint(8, 1024) for _ in range(2)))
    if row.kind == "blocks":
        return tuple(random_numbers.sample(BLOCKS, random_numbers.randint(1, 26)))
    if row.kind == "floats":
        return tuple(random_numbers.uniform(-2, 2) for _ in range(random_numbers.randint(1, 5)))
    if row.kind == "literals":
        return random_numbers.choice(["", "eta_min=1e-5", "a=1;\nb=(1,2),"])
    if row.kind == "block rates":
        return random_numbers.choice(["", "IN04=0.5, OUT=0", "base=2;\nM=0.1"])
    if row.kind == "file name pattern":
        return random_numbers.choice(["", "{name}-{step:06}", "é {epoch}/{step}"])
    return "".join(random_numbers.choices("aZ9 -_,'é青\u00a0🙂", k=random_numbers.randint(0, 12))).strip()


@pytest.mark.parametrize("seed", range(60))
def test_any_settings_come_back(seed: int) -> None:
    random_numbers = random.Random(seed)

    def settings() -> Settings:
        values = {row.name: drawn(random_numbers, row) for row in ROWS}
        low = random_numbers.randint(0, 998)
        values |= {"train_min_timesteps": low, "train_max_timesteps": random_numbers.randint(low + 1, 1000)}
        return Settings(**values, unknown=(("later key", {"é": [1, None, "2"]}),))

    whole = replace(settings(), second_pass=settings() if seed % 2 else None)
    parsed = parse(json.loads(dump(whole)))
    assert parsed.settings == whole
    assert dump(parsed.settings) == dump(whole)


def test_written_file_has_the_tables_keys_in_its_order_then_the_unknown() -> None:
    written = to_json(parse({"zeta": 1, "network_rank": "4", "alpha": [1], "2nd pass": {"own": {}}}).settings)
    assert list(written) == [*(row.key for row in ROWS), "model_v_pred", "2nd pass", "zeta", "alpha"]
    assert (written["network_rank"], written["image_size(height, width)"]) == (4, "512")
    assert written["train_textencoder_learning_rate"] == ""
    assert (written["zeta"], written["alpha"], written["2nd pass"]["own"]) == (1, [1], {})
    assert not {"mode", "model", "vae", "original prompt", "2nd pass"} & set(written["2nd pass"])
    assert "2nd pass" not in to_json(Settings())
