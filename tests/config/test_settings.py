"""The table and its help: complete, consistent, and light to import."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.config import labels
from trainer.config.choices import BLOCKS, MODES, SECOND_PASS
from trainer.config.schema import describe
from trainer.config.settings import ROWS, SECTIONS, Row, Settings, row_of
from trainer.config.values import read_value
from trainer.text.en import settings as settings_en
from trainer.text.ja import settings as settings_ja
from trainer.text.language import LANGUAGES

NAMES = [row.name for row in ROWS]


def test_the_blocks() -> None:
    assert len(BLOCKS) == 26
    assert BLOCKS[0] == "BASE"
    assert BLOCKS[1:13] == tuple(f"IN{n:02}" for n in range(12))
    assert BLOCKS[13:15] == ("M00", "OUT00")


def test_every_field_is_a_row_save_the_two_that_hold_others() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert fields - set(NAMES) == {"second_pass", "unknown"}


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_short_name_is_the_key_without_brackets(row: Row) -> None:
    assert row.key.partition("(")[0].replace(" ", "_") == row.name


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_default_is_a_value_its_own_row_accepts(row: Row) -> None:
    assert read_value(row.default, row) == row.default
    assert row.section in SECTIONS
    assert set(row.modes) <= {*MODES, SECOND_PASS}
    for offered in row.offered:
        assert read_value(offered, row) == offered


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("original_prompt", {"iLECO", "Difference", "ADDifT"}),
        ("use_2nd_pass_settings", {SECOND_PASS}),
        ("network_resume", {"LoRA", "Difference", "Multi-ADDifT"}),
        ("network_train_text_encoder", {"iLECO"}),
        ("lora_data_directory", {"LoRA", "Multi-ADDifT"}),
        ("lora_trigger_word", {"LoRA", "Multi-ADDifT", "ADDifT"}),
        ("image_size", {*MODES}),
        ("image_mirroring", {"LoRA", "Multi-ADDifT"}),
        ("train_textencoder_learning_rate", {"LoRA"}),
        ("network_rank", {*MODES, SECOND_PASS}),
        ("save_lora_name", set(MODES)),
        ("diff_alt_ratio", {"ADDifT", "Multi-ADDifT"}),
    ],
)
def test_modes_that_show_a_setting(name: str, modes: set[str]) -> None:
    assert set(row_of(name).modes) == modes


def test_table_and_help_have_the_same_settings() -> None:
    assert set(settings_en.HELP) == set(NAMES)
    assert set(settings_ja.HELP) == set(NAMES)
    assert set(settings_ja.LABELS) == set(NAMES)
    assert set(settings_ja.SECTIONS) == set(SECTIONS)
    assert set(settings_en.ALSO) == set(settings_ja.ALSO) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_short_and_ends_as_a_sentence(name: str) -> None:
    assert labels.help_of(name).endswith(".")
    assert len(labels.help_of(name)) <= 200
    japanese = labels.help_of(name, "ja_JP")
    assert any("\u3040" <= character <= "\u30ff" for character in japanese)
    assert len(japanese) <= 120


def test_labels_are_unique_and_those_users_know() -> None:
    assert labels.label_of("network_rank") == "network rank"
    assert labels.label_of("image_size") == "image size (height, width)"
    assert labels.label_of("train_fixed_timsteps_in_batch") == "train fixed timesteps in batch"
    for language in LANGUAGES:
        assert len({labels.label_of(name, language) for name in NAMES}) == len(NAMES)


def test_description_has_a_row_for_every_setting_in_the_tables_order() -> None:
    described = describe()
    assert [row["short"] for row in described] == NAMES
    assert all(row["help"] and row["label"] and row["section"] for row in [*described, *describe("ja")])
    assert next(row for row in described if row["short"] == "image_size")["default"] == "512"


def test_settings_bring_no_torch() -> None:
    code = (
        "import sys\n"
        "from trainer.config import settings, schema, presets, labels\n"
        "heavy = {'torch', 'gradio', 'numpy', 'diffusers', 'transformers'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
