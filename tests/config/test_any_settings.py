"""Settings of any content are read, checked and written, or refused in a sentence in both languages."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.hostile import any_settings, json_values, limits, or_a_sentence, texts
from trainer.config.check import check_for_run
from trainer.config.documents import json_object
from trainer.config.foreign import command_line, datasets
from trainer.config.foreign import convert as foreign
from trainer.config.foreign.convert import PROGRAMS
from trainer.config.redact import at_home, publishable
from trainer.config.schema import dump, parse
from trainer.config.settings import ROWS
from trainer.config.values import read_value


@given(any_settings)
def test_settings(values: dict[str, Any]) -> None:
    with limits("settings"):
        parsed = parse(values)
        for problem in check_for_run(parsed.settings):
            assert problem.text("ja")
        for warning in parsed.warnings:
            assert warning.text("ja")
        assert dump(parse(json.loads(dump(parsed.settings))).settings) == dump(parsed.settings)
        at_home(publishable(parsed.settings))


@given(json_values)
def test_one_value(value: object) -> None:
    with limits("values"):
        for row in ROWS:
            with or_a_sentence():
                read_value(value, row)


@given(texts)
def test_a_file_of_settings(text: str) -> None:
    with limits("settings files"):
        parse(json_object(text, "x.json"))


_THEIR_KEYS = sorted({program.shown(row.key) for program in PROGRAMS for row in program.rows})
_THEIRS = st.dictionaries(st.sampled_from(_THEIR_KEYS), json_values | texts, max_size=8)
_FILES = _THEIRS | st.sampled_from(PROGRAMS).flatmap(
    lambda program: st.tuples(st.just(_LIKE[program.name]), _THEIRS).map(lambda both: _within(*both))
)


def _within(like: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values in the form that a program's files have."""
    if like == "sections":
        return {
            "general_args": {"args": values},
            "network_args": {"args": {"network_args": values}},
            "subsets": [values],
        }
    if like == "process":
        parts = dict.fromkeys(("train", "network", "model", "save", "sample"), values)
        return {"job": "extension", "config": {"name": "x", "process": [{"type": "sd_trainer", **parts, **values}]}}
    if like == "parts":
        parts = dict.fromkeys(("unet", "text_encoder", "optimizer", "vae"), values)
        return {"training_method": "LORA", "base_model_name": "x", **values, **parts}
    return {**({"LoRA_type": "Standard", "max_resolution": "512"} if like == "gui" else {"network_dim": 4}), **values}


_LIKE = dict(zip((program.name for program in PROGRAMS), ("gui", "flat", "sections", "parts", "process"), strict=True))


@given(_FILES)
def test_settings_of_another_program(values: dict[str, Any]) -> None:
    with limits("settings of others"):
        with or_a_sentence():
            parsed = foreign.read(values, "x.json")
            for warning in parsed.warnings:
                assert warning.text("ja")
            assert dump(parse(json.loads(dump(parsed.settings))).settings) == dump(parsed.settings)
        with or_a_sentence():
            datasets.as_dataset_file(values)


_PIECES = ("--", "=", "\\", "^", "`", '"', "'", " ", "\n", "$x", "%x%", "train_network.py", "--network_dim",
           "--network_args", "8", "a=1", "set x=1")  # fmt: skip


@given(texts | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_a_command(text: str) -> None:
    with limits("commands"), or_a_sentence():
        if command_line.is_command(text):
            foreign.read(command_line.options_of(text))
