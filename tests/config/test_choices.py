"""Descriptors: each leads to what it names, and the table shows what they say."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from trainer.config import presets
from trainer.config.choices import (
    MODES,
    NETWORK_TYPES,
    OPTIMIZERS,
    SCHEDULERS,
    SECOND_PASS,
    Course,
    load,
)
from trainer.config.settings import ROWS, SHARED_BY_PASSES, Settings
from trainer.paths import TRAINYARD_PRESETS

TRAINTRAINS = (
    "adamw", "adamw8bit", "adafactor", "lion", "prodigy", "dadaptadam", "dadaptlion", "dadaptadagrad", "dadaptadan",
    "dadaptsgd",
)  # fmt: skip


def test_what_users_of_traintrain_know_comes_first() -> None:
    assert list(MODES)[:5] == ["LoRA", "iLECO", "Difference", "ADDifT", "Multi-ADDifT"]
    assert list(NETWORK_TYPES)[:3] == ["lierla", "c3lier", "loha"]
    assert tuple(name.lower() for name in OPTIMIZERS)[:10] == TRAINTRAINS
    assert list(SCHEDULERS)[:2] == ["cosine_annealing", "cosine_annealing_with_restarts"]


@pytest.mark.parametrize("choices", [MODES, NETWORK_TYPES, OPTIMIZERS, SCHEDULERS])
def test_every_path_leads_to_something(choices: dict) -> None:
    for info in choices.values():
        assert choices[info.name] is info
        if info.path.startswith(".") or find_spec(info.path.split(".")[0].split(":")[0]):
            assert callable(load(info.path)), info.name


def test_checks_and_presets_of_the_modes_are_there() -> None:
    for mode in MODES.values():
        for check in filter(None, (mode.check, mode.second_pass_check)):
            assert callable(load(check)), mode.name
        assert not mode.preset or mode.preset in presets.list_presets([TRAINYARD_PRESETS])
        assert presets.of_mode(mode.name).settings.mode == mode.name


def test_the_names_of_modes_give_distinct_classes() -> None:
    assert [mode.slug for mode in MODES.values()][:5] == ["lora", "ileco", "difference", "addift", "multi-addift"]
    assert len({mode.slug for mode in MODES.values()}) == len(MODES)


def test_every_group_of_settings_is_shown_somewhere() -> None:
    for row in ROWS:
        assert row.modes, row.name
        for mode in MODES:
            assert (mode in row.modes) == (row.group in MODES[mode].groups)
    assert {group for mode in MODES.values() for group in mode.groups} <= {row.group for row in ROWS}


def test_what_the_second_pass_shows_for_itself_is_not_needed_by_the_first_alone() -> None:
    own = {row.name for row in ROWS if SECOND_PASS in row.modes}
    assert own.isdisjoint({"mode", "model", "save_lora_name", "original_image"})
    assert {"model", "vae", "base_loras"} <= set(SHARED_BY_PASSES) - own


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_a_schedule_is_given_by_default_may_be_set_as_well(name: str) -> None:
    info = SCHEDULERS[name]
    course = Course(30, 3, 2, 1.0, "1:10,0.1", [1e-4])
    of_the_run = {"num_training_steps", "total_steps", "cycle_momentum"}
    assert set(info.defaults(course)) - of_the_run <= set(info.takes)


def test_a_run_of_fewer_steps_than_cycles_has_periods_of_one() -> None:
    assert [Course(steps, 0, cycles, 1.0, "", []).period for steps, cycles in ((100, 4), (2, 4), (1, 1))] == [25, 1, 1]


def test_defaults_are_choices() -> None:
    settings = Settings()
    assert settings.mode in MODES
    assert settings.network_type in NETWORK_TYPES
    assert settings.train_optimizer in OPTIMIZERS
    assert settings.train_lr_scheduler in SCHEDULERS
