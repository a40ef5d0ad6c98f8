"""Pausing a run: it waits at a step boundary, gives the device's memory back, and goes on as if nothing had been."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.helpers.checkpoints import small_checkpoint
from tests.helpers.home import folders_in, host_in
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Event, Job, Paused, Phase, Resumed, Saved, Step, Warned
from trainer.models.base import Bundle
from trainer.models.placement import Away
from trainer.paths import Folders

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
WAIT = 60.0


def job(model: Path, **changes: object) -> Job:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        network_rank=2, network_alpha=2.0, network_element="CrossAttention", network_blocks=("IN01", "M00", "OUT03"),
        train_iterations=6, train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="x",
        effect_strip=False, **changes,
    )  # fmt: skip
    return Job.create(settings, CREATED)


class Story:
    """What a run tells, with a reaction to each event; from another thread where one is given, as buttons are."""

    def __init__(self, react: Callable[[Event], Callable[[], None] | None]) -> None:
        self.events: list[Event] = []
        self._react = react

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        press = self._react(event)
        if press is not None:
            threading.Timer(0.05, press).start()

    def of(self, *kinds: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kinds)]


def pausing(control: Control, *steps: int, press: Callable[[], None]) -> Callable[[Event], Callable[[], None] | None]:
    """Pauses after these steps, and presses a button in each pause."""

    def react(event: Event) -> Callable[[], None] | None:
        if isinstance(event, Step) and event.number in steps:
            control.pause()
        return press if isinstance(event, Paused) else None

    return react


def train(model: Path, host: Standalone, react=lambda _event: None, control=None, **changes: object):
    story = Story(react)
    return run(job(model, **changes), host, control or Control(), story), story


@pytest.mark.parametrize("optimizer", ["AdamW", "Prodigy", "RAdamScheduleFree"])
def test_a_paused_run_gives_the_same_file(model: Path, tmp_path: Path, optimizer: str) -> None:
    plain, _ = train(model, host_in(tmp_path / "plain"), train_optimizer=optimizer)
    control = Control()
    react = pausing(control, 2, 5, press=control.resume)
    paused, story = train(model, host_in(tmp_path / "paused"), react, control, train_optimizer=optimizer)
    assert paused.path.read_bytes() == plain.path.read_bytes()
    assert [type(event) for event in story.of(Step, Paused, Resumed)] == [
        Step, Step, Paused, Resumed, Step, Step, Step, Paused, Resumed, Step,
    ]  # fmt: skip
    assert story.of(Paused) == [Paused(2), Paused(5)]
    assert story.of(Resumed) == [Resumed(2), Resumed(5)]


@pytest.mark.parametrize("phase", ["loading the model", "encoding the prompts"])
def test_a_pause_before_training_waits_for_the_first_step(model: Path, host: Standalone, phase: str) -> None:
    control = Control()

    def react(event: Event):
        if isinstance(event, Phase) and str(event.message) == phase:
            control.pause()
        return control.resume if isinstance(event, Paused) else None

    done, story = train(model, host, react, control)
    assert done.steps == 6
    assert story.of(Paused) == [Paused(0)]
    names = [str(event.message) for event in story.events[: story.events.index(Paused(0))] if isinstance(event, Phase)]
    assert names[-1] == "training"


def test_a_pause_that_is_taken_back_is_none(model: Path, host: Standalone) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Step):
            control.pause()
            control.resume()

    done, story = train(model, host, react, control)
    assert done.steps == 6
    assert not story.of(Paused, Resumed)


@pytest.mark.parametrize("saves", [False, True])
def test_stopping_ends_a_pause(model: Path, host: Standalone, saves: bool) -> None:
    control = Control()
    react = pausing(control, 3, press=control.stop_and_save if saves else control.stop)
    done, story = train(model, host, react, control)
    path = host.folders.loras / "x.safetensors"
    assert done == Done(path if saves else None, 3, stopped=True)
    assert path.exists() is saves
    assert len(story.of(Saved)) == saves
    assert not story.of(Resumed)


def test_a_stopped_run_does_not_pause(model: Path, host: Standalone) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            control.stop()
            control.pause()

    done, story = train(model, host, react, control)
    assert done == Done(None, 2, stopped=True)
    assert not story.of(Paused)


class Crowded(Standalone):
    """A device that somebody else has filled during the pause: the model comes back at the third attempt."""

    attempts = 0

    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        assert tensors
        assert not any(tensor.grad is not None for tensor in tensors)

        def come_back() -> None:
            self.attempts += 1
            if self.attempts < 3:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

        return come_back


def test_a_device_without_room_loses_nothing(model: Path, tmp_path: Path) -> None:
    control = Control()

    def react(event: Event):
        if isinstance(event, Step) and event.number == 2:
            control.pause()
        if isinstance(event, Warned) and "Still paused" in str(event.message):
            waits.append(control.asked_to_pause)
            return control.resume
        return control.resume if isinstance(event, Paused) else None

    waits: list[bool] = []
    plain, _ = train(model, host_in(tmp_path / "plain"))
    crowded = Crowded(torch.device("cpu"), folders_in(tmp_path / "crowded"))
    done, story = train(model, crowded, react, control)
    assert done.path.read_bytes() == plain.path.read_bytes()
    assert crowded.attempts == 3
    assert waits == [True, True], "it asks once each time it is told to go on"
    assert sum("there is not enough memory on cpu" in str(event.message) for event in story.of(Warned)) == 2


def test_what_was_trained_is_saved_without_room_on_the_device(model: Path, folders: Folders) -> None:
    control, crowded = Control(), Crowded(torch.device("cpu"), folders)
    done, story = train(model, crowded, pausing(control, 2, press=control.stop_and_save), control)
    assert done.path.exists()
    assert any("did not come back" in str(event.message) for event in story.of(Warned))


class Hoarder(Standalone):
    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        raise MemoryError("the machine is full")


def test_a_machine_without_room_pauses_all_the_same(model: Path, folders: Folders) -> None:
    control, hoarder = Control(), Hoarder(torch.device("cpu"), folders)
    done, story = train(model, hoarder, pausing(control, 2, press=control.resume), control)
    assert done.steps == 6
    assert story.of(Paused, Resumed) == [Paused(2), Resumed(2)]
    assert any("frees no memory: the machine is full" in str(event.message) for event in story.of(Warned))


class Stored:
    """A stand-in for a tensor on a device that this machine does not have; ``room`` is that device's, in tensors."""

    def __init__(self, room: list[int], value: float, place: str) -> None:
        self._room, self.value, self.place = room, value, place

    @property
    def device(self) -> torch.device:
        return torch.device(self.place)

    @property
    def data(self) -> Stored:
        return self

    @data.setter
    def data(self, other: Stored) -> None:
        self._room[0] += (self.place != "cpu") - (other.place != "cpu")
        self.value, self.place = other.value, other.place

    def to(self, device: torch.device | str) -> Stored:
        place = str(device)
        if place != "cpu" and self.place == "cpu" and not self._room[0]:
            raise RuntimeError("out of memory")
        return Stored(self._room, self.value, place)


def test_tensors_go_away_and_come_back_to_where_each_was() -> None:
    room = [0]
    tensors = [Stored(room, number, place) for number, place in enumerate(["xpu:0", "cpu", "xpu:1", "xpu:0"])]
    away = Away([*tensors, tensors[0]])  # a shared one is moved once
    assert [tensor.place for tensor in tensors] == ["cpu"] * 4
    assert room == [3]
    room[0] = 1
    with pytest.raises(RuntimeError, match="out of memory"):
        away.come_back()
    assert [tensor.place for tensor in tensors] == ["cpu"] * 4
    room[0] = 3
    away.come_back()
    assert [(tensor.value, tensor.place) for tensor in tensors] == [
        (0, "xpu:0"),
        (1, "cpu"),
        (2, "xpu:1"),
        (3, "xpu:0"),
    ]


def test_paged_tensors_see_to_themselves() -> None:
    paged = Stored([0], 1.0, "xpu:0")
    paged.is_paged = True
    Away([paged])
    assert paged.place == "xpu:0"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", ["AdamW", "Prodigy", "RAdamScheduleFree", "AdamW8bit"])
def test_a_pause_on_cuda_gives_memory_back_and_changes_nothing(tmp_path: Path, optimizer: str) -> None:
    model = small_checkpoint(tmp_path, dtype=torch.float16)
    changes = {"train_optimizer": optimizer, "network_blocks": ("BASE", "IN01", "M00", "OUT03")}
    plain, _ = train(model, host_in(tmp_path / "plain", "cuda"), **changes)
    control, held = Control(), []

    def react(event: Event):
        if isinstance(event, Step) and event.number == 6:
            held.append(torch.cuda.memory_allocated())
        if isinstance(event, Phase) and str(event.message) == "training":
            control.pause()
        if isinstance(event, Paused):
            held.append(torch.cuda.memory_allocated())
            return control.resume
        return None

    paused, _ = train(model, host_in(tmp_path / "paused", "cuda"), react, control, **changes)
    assert paused.path.read_bytes() == plain.path.read_bytes()
    assert held[0] < held[-1] / 10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_tensors_keep_identity_values_and_layout() -> None:
    layer = nn.Conv2d(4, 8, 3, device="cuda").to(memory_format=torch.channels_last)
    before = layer.weight.detach().clone()
    kept, strides = layer.weight, layer.weight.stride()
    away = Away(layer.parameters())
    assert layer.weight.device.type == "cpu"
    away.come_back()
    assert layer.weight is kept
    assert layer.weight.stride() == strides
    assert torch.equal(layer.weight, before)
