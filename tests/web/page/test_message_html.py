"""The HTML of the message line, without a browser."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from trainer.config.schema import Converted
from trainer.config.settings import row_of
from trainer.errors import Problem, SettingsError, UserError
from trainer.job import Account, AccountRow
from trainer.text.messages import label, literal, message
from trainer.text.words import Words
from trainer.web.page.message import Message


def message_line(language: str = "en") -> Message:
    context: Any = SimpleNamespace(language=language, say=Words(language).say)
    return Message(context)


def test_long_lists_are_folded_and_come_last() -> None:
    taken = [Converted(key, ((key, "<b>"),)).entry() for key in ("one", "two")]
    lines = [
        message("foreign.account", program="X"),
        message("foreign.without", entries=["three"]),
        message("foreign.idle", entries=["four"]),
    ]
    shown = message_line().loaded(lines, taken, Account())
    plain, *folds = shown.split("<details>")
    assert "These are settings of X." in plain
    assert "without effect: three." in plain
    assert [re.findall("<summary>(.*?)</summary>", fold) for fold in folds] == [
        ["Taken over: 2 settings"],
        ["Not needed here: 1 setting"],
    ]
    assert re.findall("<li>(.*?)</li>", folds[0]) == ["one → one &lt;b&gt;", "two → two &lt;b&gt;"]
    assert "引き継いだ設定: 2件" in message_line("ja").loaded(lines, taken, Account())


def test_what_is_told_of_a_job_names_it() -> None:
    account = Account((AccountRow(literal("Images"), literal("3")),))
    shown = message_line().told("run.started", account, job=7, name="mine")
    assert 'data-job="7"' in shown
    assert "<b>Images</b> <span>3</span>" in shown


def test_an_error_names_the_settings_it_is_about_to_the_page() -> None:
    problems = [Problem(row_of(name).key, label(name), literal("no")) for name in ("train_iterations", "image_size")]
    assert 'data-settings="train_iterations image_size"' in message_line().wrong(SettingsError(problems))
    assert 'data-settings="vae"' in message_line().wrong(UserError(literal("no"), where=label("vae")))
    assert "data-settings" not in message_line().wrong(UserError(literal("no"), where="a.png"))
