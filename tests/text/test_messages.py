"""Messages: rendered late, in the reader's language; kept as JSON; free of what they were made from."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest

from trainer.errors import Problem, SettingsError, UserError
from trainer.text.messages import from_json, label, literal, message, say

HOSTILE = 'a "b" {c} %s \\ <i> 犬'


def test_a_message_is_rendered_in_the_readers_language() -> None:
    error = UserError("jobs.cannot_edit", where=HOSTILE, status=message("queue.is_running"))
    assert str(error) == f"{HOSTILE}: It is running. Duplicate it, and edit the copy."
    assert (
        error.text("ja_JP") == f"{HOSTILE}: 状態が「学習中」のため編集できません。複製して、そちらを編集してください。"
    )
    assert error.text("de") == str(error)


@pytest.mark.parametrize(("count", "told"), [(0, "0 jobs deleted."), (1, "1 job deleted."), (2, "2 jobs deleted.")])
def test_a_number_stands_with_the_word_that_goes_with_it(count: int, told: str) -> None:
    assert say("commands.jobs_deleted", count=count) == told
    assert str(count) in say("commands.jobs_deleted", "ja", count=count)


def test_a_list_is_joined_as_the_language_does() -> None:
    parts = message("data.account_list", parts=["a", label("network_rank"), 3])
    assert parts.text() == "a, network rank, 3"
    assert parts.text("ja") == f"a、{label('network_rank').text('ja')}、3"


def test_a_message_comes_back_from_json() -> None:
    told = message("error.at", where=Path("/x") / HOSTILE, message=UserError("web.no_such_run", where="a").whole)
    listed = message("hosts.model_kept_in", types=["float8", 1, 0.5])
    for each in (told, listed, literal(HOSTILE)):
        assert from_json(each.as_json()) == each
        assert from_json(each.as_json()).text("ja") == each.text("ja")


@pytest.mark.parametrize("kept", ["out of memory", "", "3", "null", "[]", "{}", '{"key": "a"}', '"words"', HOSTILE])
def test_what_an_older_version_kept_is_read_as_it_is(kept: str) -> None:
    assert from_json(kept).text("ja") == kept


def test_a_key_that_is_gone_is_read_as_its_english_text() -> None:
    kept = json.loads(message("jobs.stopped", step=2, steps=3).as_json())
    for changes in ({"key": "jobs.of_another_version"}, {"values": {"step": 2}}):
        assert str(from_json(json.dumps({**kept, **changes}))) == "Stopped at step 2 of 3. Nothing was saved."


class Heavy(Exception):
    """Stands for an error whose traceback holds a run's tensors."""


def test_a_message_keeps_no_exception_alive() -> None:
    def fail() -> tuple[UserError, weakref.ref[Heavy]]:
        error = Heavy("too much")
        return UserError("hosts.image_failed", reason=error), weakref.ref(error)

    told, reference = fail()
    gc.collect()
    assert reference() is None
    assert "(too much)" in str(told)


def test_an_error_keeps_its_text_in_another_place() -> None:
    error = UserError("web.no_such_run", where="a").at(label("model"))
    assert str(error) == "model: There is no such run. Refresh the list."


def test_all_problems_of_settings_are_one_message() -> None:
    names = ("network_rank", "train_seed", "model")
    wrong = message("config.not_text", value=1)
    error = SettingsError([Problem(name, label(name), wrong) for name in names])
    assert str(error) == (
        "network rank: It must be text, not 1. train seed: It must be text, not 1. model: It must be text, not 1."
    )
    assert from_json(error.whole.as_json()).text("ja") == error.text("ja")
    assert error.text("ja").count("。") == 3
