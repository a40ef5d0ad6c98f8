"""Previews of several prompts, and before the first step; what one prompt gives stays what it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import passes, plan
from trainer.engine.image_request import ImageRequest
from trainer.engine.run import run
from trainer.errors import UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Failed, Job, Preview, Step, Warned
from trainer.jobs import run_status
from trainer.jobs.run_status import RunStatus, latest_previews
from trainer.web.services import run_images

CREATED = datetime(2026, 1, 2, tzinfo=timezone.utc)


def trained(model: Path, host: Standalone, **changes: Any) -> list[Event]:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        network_rank=2, network_element="CrossAttention", network_blocks=("M00",), train_iterations=2,
        train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="x", effect_strip=False,
        sample_strengths=(1.0,), save_overwrite=True,
    )  # fmt: skip
    events: list[Event] = []
    run(Job.create(replace(settings, **changes), CREATED), host, Control(), events.append, again=True)
    return events


def previews(events: list[Event]) -> list[Preview]:
    return [event for event in events if isinstance(event, Preview)]


def test_several_prompts_each_as_its_line_says(model: Path, host: Standalone, tmp_path: Path) -> None:
    alone = previews(trained(model, host, sample_prompt="a cat --s 2", sample_every_steps=1, sample_seed=4))
    assert [(each.path.name, each.number, each.prompt) for each in alone] == [("000001_+1.png", 0, "")]
    first = alone[0].path.read_bytes()
    file = tmp_path / "prompts.txt"
    file.write_text("# mine\na cat --s 2 --w 128 --d 9\na cat --s 2 --d 4 --ss euler_a")
    events = trained(
        model, host, sample_prompt="a cat --s 2", sample_prompts_file=str(file), sample_every_steps=1, sample_seed=4
    )
    several = previews(events)
    assert [(each.step, each.path.name, each.number, each.prompt) for each in several] == [
        (1, f"000001_p0{number}_+1.png", number, "a cat") for number in (1, 2, 3)
    ]
    with Image.open(several[1].path) as image:
        assert image.size == (128, 64)
    assert several[0].path.read_bytes() == several[2].path.read_bytes() == first
    warnings = [str(event.message) for event in events if isinstance(event, Warned)]
    assert sum("euler_a" in each for each in warnings) == 1
    kept = run_images.of_lora(host.folders.lora("x"), host.folders)
    assert [(each.step, each.number) for each in kept.images if each.number] == [(1, 1), (1, 2), (1, 3)]
    assert [run_images.described(each) for each in several][1] == {
        "step": 1, "name": "000001_p02_+1.png", "number": 2, "prompt": "a cat",
    }  # fmt: skip


def test_previews_before_the_first_step_show_the_model_as_it_is(model: Path, host: Standalone) -> None:
    events = trained(model, host, sample_prompt="a cat --s 2", sample_at_start=True, sample_strengths=(0.0, 1.0))
    at_start = previews(events)
    assert [each.path.name for each in at_start] == ["000000_+0.png", "000000_+1.png"]
    assert at_start[0].path.read_bytes() == at_start[1].path.read_bytes()
    assert events.index(at_start[1]) < next(at for at, each in enumerate(events) if isinstance(each, Step))
    with_previews = load_file(host.folders.lora("x"))
    trained(model, host, sample_prompt="a cat")
    without = load_file(host.folders.lora("x"))
    assert without.keys() == with_previews.keys()
    assert all(torch.equal(without[name], with_previews[name]) for name in without)


def test_a_run_makes_images_by_itself_and_learns_the_same(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "question_of", lambda *_: None)
    monkeypatch.setattr(plan, "SHARE", 6.0)  # of a run that is over in seconds
    by_itself = previews(trained(model, host, effect_strip=True, sample_strengths=(-1.0, 0.0, 1.0), train_iterations=3))
    assert [(each.step, each.path.name) for each in by_itself] == [(1, "000001_+1.png"), (2, "000002_+1.png")]
    images = [each.path.read_bytes() for each in by_itself]
    assert images[0] != images[1]
    lora = load_file(host.folders.lora("x"))
    for each in by_itself:
        each.path.unlink()

    asked_for = previews(trained(model, host, sample_prompt="red --s 10", sample_every_steps=1, train_iterations=3))
    assert [each.path.read_bytes() for each in asked_for] == images
    same = load_file(host.folders.lora("x"))
    assert all(torch.equal(same[name], lora[name]) for name in lora)
    assert previews(trained(model, host, train_iterations=3)) == []


def test_a_prompt_that_cannot_be_drawn_does_not_keep_the_others_from_it(model: Path, host: Standalone) -> None:
    drawn: list[str] = []

    class Host(Standalone):
        makes_previews = True

        def draw(self, request: ImageRequest, advance: Any) -> list[Image.Image]:
            drawn.append(request.prompt)
            if request.prompt == "b":
                raise UserError("hosts.training_has_device")
            return [Image.new("RGB", (8, 8), "white")] * len(request.strengths)

    other = Host(host.device, host.folders)
    events = trained(model, other, sample_prompt="a\nb\nc --l 3", sample_every_steps=1)
    assert drawn == ["a", "b", "c"]
    assert [each.prompt for each in previews(events)] == ["a", "c"]
    assert sum("No preview at step" in str(each.message) for each in events if isinstance(each, Warned)) == 1


@pytest.mark.parametrize("makes", [True, False])
def test_a_bad_line_stops_the_run_before_the_model_is_loaded_if_previews_are_made(
    model: Path, host: Standalone, tmp_path: Path, makes: bool
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("fine\na cat --w wide")
    given = {"sample_prompts_file": str(file), "sample_at_start": makes}
    if not makes:
        assert not previews(trained(model, host, **given))
        return
    with pytest.raises(UserError, match=r"prompts\.txt: line 2: --w must be a whole number"):
        trained(model, host, **given)


def test_the_gallery_has_every_prompt_of_the_latest_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [Preview(step, Path(f"{step}_{number}.png"), number) for step in range(5) for number in range(1, 21)]
    assert latest_previews(every) == tuple(every[-40:])
    assert latest_previews(every[:30]) == tuple(every[:30])
    single = [Preview(step, Path(f"{step}.png")) for step in range(50)]
    assert latest_previews(single) == tuple(single[-24:])
    monkeypatch.setattr(run_status, "WHOLE_STEPS", 1)
    assert latest_previews(every) == tuple(every[-24:])
    status = RunStatus(clock=lambda: 0.0)
    for each in every:
        status(each)
    assert status.snapshot().images == tuple(every[-24:])
    status(Failed(UserError("hosts.training_has_device")))
