"""How long a run will take, from those in the queue that are done; the times are worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.jobs import store as stores
from trainer.jobs.durations import expected_seconds
from trainer.jobs.store import DONE, FAILED, Store
from trainer.paths import Folders

SETTINGS = Settings(
    mode="iLECO", model="a.safetensors", original_prompt="red", target_prompt="blue", image_size=Size(512, 512),
    train_batch_size=2, train_iterations=100,
)  # fmt: skip


@pytest.fixture
def done(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Store]]:
    """Adds a job that took so many seconds, to the queue that it returns."""
    store, clock = Store(folders), [1000.0]
    monkeypatch.setattr(stores.time, "time", lambda: clock[0])
    lease = store.lease()

    def run(seconds: float, status: str = DONE, **changes: Any) -> Store:
        entry = store.add(replace(SETTINGS, save_lora_name=f"x{len(store.entries())}", **changes))
        assert store.claim(lease, entry.id)
        clock[0] += seconds
        store.finish(entry.id, lease, status)
        return store

    yield run
    lease.end()
    store.close()


def test_a_run_like_one_before_takes_as_long_and_a_larger_one_longer(done: Callable[..., Store]) -> None:
    store = done(60.0)
    assert expected_seconds(SETTINGS, store) == 60.0
    assert expected_seconds(replace(SETTINGS, train_iterations=300), store) == 180.0
    larger = replace(SETTINGS, train_batch_size=4, train_gradient_accumulation=3, image_size=Size(1024, 512))
    assert expected_seconds(larger, store) == 60.0 * 2 * 3 * 2
    store = done(200.0, train_iterations=1000)  # which is nearer to a long one
    between = expected_seconds(replace(SETTINGS, train_iterations=900), store)
    assert between == pytest.approx(200 - 100 * (200 - 60) / (1000 - 100))
    assert expected_seconds(SETTINGS, store) == 60.0


@pytest.mark.parametrize(
    "changes",
    [{"mode": "LoRA"}, {"model": "b.safetensors"}, {"train_epochs": 3, "mode": "LoRA"}],
)
def test_nothing_is_said_where_no_run_tells_it(done: Callable[..., Store], changes: dict[str, Any]) -> None:
    store = done(60.0)
    done(5.0, FAILED)
    assert expected_seconds(replace(SETTINGS, **changes), store) is None


def test_a_short_run_tells_of_a_long_one_and_two_tell_what_a_step_takes(done: Callable[..., Store]) -> None:
    store = done(60.0, train_iterations=50)
    assert expected_seconds(replace(SETTINGS, train_iterations=5_000), store) == 60.0 * 100
    assert expected_seconds(replace(SETTINGS, train_iterations=1_000_000), store) == 60.0 * 20_000
    done(240.0, train_iterations=500)  # 0.4 seconds a step, and 40 beside them
    assert expected_seconds(replace(SETTINGS, train_iterations=5_000), store) == pytest.approx(40 + 0.4 * 5_000)
    assert expected_seconds(replace(SETTINGS, train_iterations=1), store) == pytest.approx(40 + 0.4)


def test_two_runs_of_which_the_longer_was_quicker_tell_nothing_of_each_other(done: Callable[..., Store]) -> None:
    store = done(60.0, train_iterations=50)
    done(30.0, train_iterations=500)  # on a machine that had nothing else to do
    assert expected_seconds(replace(SETTINGS, train_iterations=1_000), store) == 60.0
    done(1000.0, train_iterations=600)  # 1.7 seconds a step, which leaves less than nothing for start and end
    assert expected_seconds(replace(SETTINGS, train_iterations=5), store) == pytest.approx(6.0)


def test_epochs_take_the_time_of_their_steps(done: Callable[..., Store]) -> None:
    images = {"mode": "LoRA", "lora_data_directory": "images"}
    store = done(60.0, **images)
    epochs = replace(SETTINGS, train_epochs=3, **images)
    assert expected_seconds(epochs, store, steps=700) == 60.0 * 7


def test_no_run_yet(folders: Folders) -> None:
    store = Store(folders)
    assert expected_seconds(SETTINGS, store) is None
    store.close()
