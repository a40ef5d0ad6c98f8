"""Settings of any content are read, checked and written, or refused in a sentence in both languages."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from tests.helpers.hostile import any_settings, json_values, limits, or_a_sentence, texts
from trainer.config.check import check_for_run
from trainer.config.documents import json_object
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
