"""Two runs of one name in one second: one log, one LoRA, one state and one folder of images each."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import passes
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Event, Job, Step
from trainer.networks.files.file import read
from trainer.paths import Folders
from trainer.reports.log import read_log
from trainer.web.services.run_images import of_lora

CREATED = datetime(2026, 1, 2, 3, 4, 5, 0, tzinfo=timezone.utc)


def job(model: Path, number: int) -> Job:
    given = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), network_rank=2, network_blocks=("M00",), train_iterations=6, train_batch_size=1,
        save_lora_name="x", train_seed=number, save_per_steps=3, sample_prompt="red --s 2", sample_every_steps=4,
        sample_strengths=(1.0,), logging_save_csv=True, save_as_json=True, state_every_minutes=1e-6,
    )  # fmt: skip
    return Job(given, CREATED.replace(microsecond=number))


def test_two_runs_of_one_name_in_one_second_share_nothing(
    model: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "question_of", lambda *_: None)  # the strip is what they could share
    jobs = [job(model, number) for number in (1, 2)]
    together, states = threading.Barrier(2, timeout=60), set[Path]()
    done: dict[int, Done] = {}

    def train(number: int) -> None:
        def react(event: Event) -> None:
            if isinstance(event, Step) and event.number in (1, 5):
                together.wait()
                states.update(folders.data.glob("states/*/*.state"))
                together.wait()

        host = Standalone(torch.device("cpu"), folders)
        done[number] = run(jobs[number], host, Control(), react)

    threads = [threading.Thread(target=train, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    names = [f"x{steps}{again}.safetensors" for steps in ("", "_3steps") for again in ("", "_2")]
    assert sorted(path.name for path in folders.loras.glob("*.safetensors")) == sorted(names)
    assert len({each.path for each in done.values()}) == 2
    assert len(states) == 2
    for kind in ("runs", "logs"):
        logs = [read_log(path).rows for path in folders.data.glob(f"{kind}/*/*.csv")]
        assert [log["Step"].tolist() for log in logs] == [[1, 2, 3, 4, 5, 6]] * 2
    assert len(list(folders.data.glob("jsons/*/*.json"))) == 2
    strips = {of_lora(each.path, folders).strip for each in done.values()}
    assert len(strips) == 2
    assert None not in strips
    left = [path for root in (folders.data, folders.loras) for path in root.rglob(".*")]
    assert left == []
    for number, each in done.items():
        told = read(each.path)[1]
        assert (told["ss_session_id"], told["ss_output_name"]) == (jobs[number].id, each.path.stem)
