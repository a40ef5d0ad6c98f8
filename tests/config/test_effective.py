"""What a mode does not show has no effect in it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.helpers.other_values import OTHER
from trainer.config.check import check_for_run
from trainer.config.choices import MODES, SECOND_PASS_GROUPS, WITH_SECOND_PASS
from trainer.config.schema import dump, parse
from trainer.config.settings import ROWS, SHARED_BY_PASSES, Row, Settings, effective, of_second_pass

HIDDEN = [(mode, row) for mode, info in MODES.items() for row in ROWS if row.group not in info.groups]
OWN = replace(Settings(), mode="Difference", use_2nd_pass_settings=True, second_pass=Settings())


def name_of(value: object) -> str:
    return value.name if isinstance(value, Row) else str(value)


@pytest.mark.parametrize(("mode", "row"), HIDDEN, ids=name_of)
def test_a_hidden_setting_is_not_read(mode: str, row: Row) -> None:
    plain = Settings(mode=mode)
    left_over = replace(plain, **{row.name: OTHER[row.name]})
    if mode in WITH_SECOND_PASS and row.group in SECOND_PASS_GROUPS:
        assert effective(left_over) != effective(plain)  # the second pass's switch, shown with its settings
        return
    assert effective(left_over) == effective(plain)
    assert check_for_run(left_over) == check_for_run(plain)


@pytest.mark.parametrize("mode", MODES)
def test_every_setting_a_mode_shows_is_read(mode: str) -> None:
    for row in ROWS:
        if row.group in MODES[mode].groups and row.name != "mode":
            changed = replace(Settings(mode=mode), **{row.name: OTHER[row.name]})
            assert getattr(effective(changed), row.name) == OTHER[row.name], row.name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_of_the_second_pass_only_what_is_shown_for_it_is_read(row: Row) -> None:
    def trained_with(settings: Settings) -> Settings:
        return replace(of_second_pass(effective(settings)), second_pass=None)

    changed = replace(OWN, second_pass=replace(Settings(), **{row.name: OTHER[row.name]}))
    shown = row.group in SECOND_PASS_GROUPS and row.name not in SHARED_BY_PASSES and row.name != "use_2nd_pass_settings"
    assert (trained_with(changed) != trained_with(OWN)) == shown


@pytest.mark.parametrize("mode", MODES)
def test_a_second_pass_that_is_not_used_is_not_read(mode: str) -> None:
    left_over = replace(Settings(mode=mode), second_pass=Settings(network_rank=99), unknown=(("own", 1),))
    assert effective(left_over) == effective(Settings(mode=mode))
    used = replace(left_over, use_2nd_pass_settings=True)
    assert (effective(used).second_pass is not None) == (mode in WITH_SECOND_PASS)


def test_files_keep_what_was_written() -> None:
    written = {"mode": "iLECO", "lora_data_directory": "somewhere", "diff_alt_ratio": 0.5, "own": 1}
    settings = parse(written).settings
    assert effective(settings).lora_data_directory == ""
    assert parse(written).settings == parse(json.loads(dump(settings))).settings
