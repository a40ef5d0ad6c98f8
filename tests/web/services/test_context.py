"""What the page knows of a job that it is asked to start again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from tests.helpers.played_host import played_host
from trainer.config.settings import Settings
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext

MINE = Settings(mode="iLECO", original_prompt="red", target_prompt="blue", save_lora_name="mine")


@pytest.fixture
def context(folders: Folders) -> Iterator[PageContext]:
    worker = Worker(Store(folders), played_host)
    yield PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    worker.close()
    worker.store.close()


def test_a_job_that_waits_with_the_same_settings_is_known(context: PageContext) -> None:
    entry = context.put(MINE)
    seed = context.worker.store.job(entry.id).settings.train_seed
    assert seed >= 0, "drawn when it was added"
    for same in (MINE, replace(MINE, train_seed=seed)):
        found = context.waiting(same)
        assert found is not None
        assert found.id == entry.id
    for other in (replace(MINE, train_seed=seed + 1), replace(MINE, network_rank=3), replace(MINE, save_lora_name="")):
        assert context.waiting(other) is None


def test_a_job_that_runs_is_not_waiting(context: PageContext) -> None:
    entry = context.put(MINE)
    lease = context.worker.store.lease()
    context.worker.store.claim(lease, entry.id)
    assert context.waiting(MINE) is None
    lease.end()


def test_a_run_with_the_same_settings_is_known(context: PageContext) -> None:
    worker = context.worker
    assert context.running_alike(MINE) is None
    entry = context.put(MINE)
    seed = worker.store.job(entry.id).settings.train_seed

    class Running:
        def __init__(self) -> None:
            self.is_running, self.entry, self.store = True, entry, worker.store

    while_it_runs = replace(context, worker=cast(Worker, Running()))
    for same in (MINE, replace(MINE, train_seed=seed), replace(MINE, save_lora_name="other")):
        assert while_it_runs.running_alike(same) == entry
    for other in (replace(MINE, train_seed=seed + 1), replace(MINE, network_rank=3), None):
        assert while_it_runs.running_alike(other) is None
