"""Runs that are broken off and continued: every file they leave has the bytes of one that went through."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.test_space import small_disk
from tests.helpers.home import host_in
from trainer.config.choices import MODES, NETWORK_TYPES
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.cache import cache_path
from trainer.engine import keeper, loop, passes, state, trained
from trainer.engine.run import run
from trainer.errors import DivergedError, StateError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Event, Failed, Job, Paused, Phase, Saved, Step, Warned
from trainer.paths import Folders

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
STEPS = 5
Break = Callable[[Event, Control], None]


class Bug(Exception):
    """What nobody has thought of."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        Image.fromarray(255 - pixels).save(folder / f"{number}_after.png")
        (folder / f"{number}.txt").write_text(f"a thing, {number}")
    return folder


def job_of(model: Path, pairs: Path, **changes: Any) -> Job:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), network_rank=2, network_alpha=2.0,
        network_blocks=("BASE", "IN04", "M00", "OUT03"), original_prompt="red", target_prompt="blue",
        original_image=str(pairs / "0.png"), target_image=str(pairs / "0_after.png"), lora_trigger_word="thing",
        lora_data_directory=str(pairs), diff_target_name="_after", network_train_text_encoder=True,
        image_size=Size(64, 64), image_min_length=64, train_iterations=STEPS, train_batch_size=1,
        train_learning_rate=1e-3, train_seed=3, save_lora_name="x", save_precision="fp32", effect_strip=False,
        save_per_steps=2, logging_save_csv=True, save_as_json=True, state_every_minutes=1e-9, keep_prompts="a cat",
    )  # fmt: skip
    return Job.create(replace(settings, **changes), CREATED)


def files_of(host: Standalone) -> dict[str, bytes]:
    """Every file below the host's folders, with what is in it; but for the cache, which no run is made from."""
    home, cache = host.folders.data.parent, cache_path(host.folders).parent
    found = (path for path in sorted(home.rglob("*")) if path.is_file() and path.parent != cache)
    return {str(path.relative_to(home)): path.read_bytes() for path in found}


def start(job: Job, host: Standalone, react: Break | None = None, *, resume: bool = False) -> tuple[Done, list[Event]]:
    control, events = Control(), []

    def emit(event: Event) -> None:
        events.append(event)
        if react is not None:
            react(event, control)

    return run(job, host, control, emit, resume=resume), events


def at(step: int, act: Callable[[Control], None], *, of_pass: int = 1) -> Break:
    """Does something once, after a step of a pass."""
    seen = []

    def react(event: Event, control: Control) -> None:
        if isinstance(event, Step) and event.number == step:
            seen.append(event)
            if len(seen) == of_pass:
                act(control)

    return react


def fails(_control: Control) -> None:
    raise Bug


def broken_off(job: Job, host: Standalone, react: Break) -> None:
    try:
        done, _ = start(job, host, react)
    except Bug:
        return
    assert done.stopped


def assert_continues(job: Job, folder: Path, *breaks: Break) -> list[Event]:
    """A run that breaks off at each of ``breaks`` and is continued leaves what an undisturbed one leaves."""
    whole, host = host_in(folder / "whole"), host_in(folder / "broken")
    done, _ = start(job, whole)
    assert not done.stopped
    path = host.folders.state(job.name, job.created)
    for number, react in enumerate(breaks):
        if number:
            with pytest.raises(Bug):
                start(job, host, react, resume=True)
        else:
            broken_off(job, host, react)
        assert path.exists()
    done, events = start(job, host_in(folder / "broken"), resume=True)
    assert not done.stopped
    assert files_of(host) == files_of(whole)
    assert not path.exists()
    return events


# ---- as if nothing had been -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_continues(mode: str, model: Path, pairs: Path, tmp_path: Path) -> None:
    events = assert_continues(job_of(model, pairs, mode=mode), tmp_path, at(3, Control.interrupt))
    steps = [event.number for event in events if isinstance(event, Step)]
    assert steps[:2] == [4, 5]
    assert not [event for event in events if isinstance(event, Warned) and "LoRA" in str(event.message)]


@pytest.mark.parametrize("of_pass", [1, 2])
def test_every_pass_continues(of_pass: int, model: Path, pairs: Path, tmp_path: Path) -> None:
    job = job_of(model, pairs, mode="Difference", diff_save_1st_pass=True)
    act = Control.interrupt if of_pass == 2 else fails
    events = assert_continues(job, tmp_path, at(3, act, of_pass=of_pass))
    steps = [event.number for event in events if isinstance(event, Step)]
    assert steps == [4, 5] if of_pass == 2 else steps[-5:] == [1, 2, 3, 4, 5]


@pytest.mark.more
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_continues_after_an_error(mode: str, model: Path, pairs: Path, tmp_path: Path) -> None:
    assert_continues(job_of(model, pairs, mode=mode), tmp_path, at(4, fails), at(STEPS, fails))


@pytest.mark.more
@pytest.mark.parametrize("network", [name for name in NETWORK_TYPES if name != "lierla"])
def test_every_network_continues(network: str, model: Path, pairs: Path, tmp_path: Path) -> None:
    assert_continues(job_of(model, pairs, network_type=network), tmp_path, at(3, Control.interrupt))


@pytest.mark.more
@pytest.mark.parametrize(
    "changes",
    [
        {"train_optimizer": "RAdamScheduleFree", "train_iterations": 9},
        {"train_optimizer": "Prodigy", "train_learning_rate": 1.0},
        {"use_gradient_checkpointing": True, "train_model_precision": "int8"},
        {"train_model_precision": "bf16", "save_precision": "bf16"},
        {"save_overwrite": True, "network_strength": 0.5},
        {"image_random_flip": True, "image_color_augmentation": True, "train_batch_size": 2},
        {"mode": "Multi-ADDifT", "image_random_flip": True, "image_random_crop": True},
        {
            "mode": "ADDifT",
            "diff_descriptions": 8,
            "diff_reach_target": True,
            "original_prompt": "",
            "target_prompt": "",
        },
        {"mode": "Difference", "diff_descriptions": 8, "original_prompt": "", "target_prompt": ""},
    ],
)
def test_other_ways_continue(changes: dict[str, Any], model: Path, pairs: Path, tmp_path: Path) -> None:
    assert_continues(job_of(model, pairs, **{"mode": "LoRA", **changes}), tmp_path, at(3, Control.interrupt))


def test_averaged_weights_previews_and_a_lora_that_is_trained_on(
    model: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "question_of", lambda *_: None)  # asked of the file, which is compared
    base = tmp_path / "base"
    start(job_of(model, pairs, mode="LoRA", save_lora_name="given"), host_in(base))
    given = str(base / "loras" / "given.safetensors")
    job = job_of(
        model, pairs, mode="LoRA", train_optimizer="AdamWScheduleFree", network_resume=given, base_loras=f"{given}:0.5",
        sample_prompt="red --s 4", sample_every_steps=2, effect_strip=True,
    )  # fmt: skip
    assert_continues(job, tmp_path, at(3, Control.interrupt))


@pytest.mark.more
def test_a_run_that_is_killed_continues(model: Path, pairs: Path, tmp_path: Path) -> None:
    job = job_of(model, pairs, mode="Difference", train_iterations=10)
    whole, host = host_in(tmp_path / "whole"), host_in(tmp_path / "broken")
    start(job, whole)
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, timezone\n"
        "from tests.engine import test_resume as here; from tests.helpers.home import host_in\n"
        "job = here.job_of(Path(sys.argv[1]), Path(sys.argv[2]), mode='Difference', train_iterations=10)\n"
        "here.start(job, host_in(Path(sys.argv[3])), lambda event, control: print(type(event).__name__, flush=True))\n"
    )
    arguments = [sys.executable, "-c", code, str(model), str(pairs), str(tmp_path / "broken")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as program:
        assert program.stdout is not None
        steps = 0
        for line in program.stdout:
            steps += line.strip() == "Step"
            if steps == 16:
                program.kill()
                break
    start(job, host, resume=True)
    for orphan in host.folders.data.rglob("*.part"):
        orphan.unlink()
    assert files_of(host) == files_of(whole)


# ---- when a state is written, and when not --------------------------------------------------------------------------


def test_summary_tells_where_it_would_continue(model: Path, pairs: Path, tmp_path: Path) -> None:
    host = host_in(tmp_path)
    job = job_of(model, pairs, mode="Difference", state_every_minutes=5)
    broken_off(job, host, at(3, Control.interrupt, of_pass=2))
    told = state.summary(host.folders.state(job.name, job.created))
    assert state.find(job, host.folders) == host.folders.state(job.name, job.created)
    assert told == state.Summary(job.id, "x", CREATED, step=3, steps=STEPS, pass_number=2, passes=2)


@pytest.mark.parametrize("button", [Control.stop_and_save, Control.interrupt])
def test_a_run_that_is_saved_may_go_on(
    button: Callable[[Control], None], model: Path, pairs: Path, tmp_path: Path
) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs, state_every_minutes=5, effect_strip=True)
    done, events = start(job, host, at(2, button))
    assert done == Done(host.folders.lora("x"), 2, stopped=True)
    assert host.folders.state(job.name, job.created).exists()
    measured = [event for event in events if isinstance(event, Phase) and "effect" in str(event.message)]
    assert bool(measured) == (button is Control.stop_and_save), "a program that ends has no time for that"


def test_a_run_that_is_stopped_leaves_no_state(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs)
    broken_off(job, host, at(3, Control.interrupt))
    done, _ = start(job, host, at(4, Control.stop), resume=True)
    assert done.stopped
    assert not host.folders.state(job.name, job.created).exists()


def test_interrupting_what_is_stopped_saves_nothing() -> None:
    control = Control()
    control.stop()
    control.interrupt()
    assert control.is_interrupted
    assert not control.asked_to_save


def test_without_minutes_there_is_no_state(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs, state_every_minutes=0)
    broken_off(job, host, at(3, Control.interrupt))
    assert not (host.folders.data / "states").exists()


def test_a_pause_writes_a_state(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job, seen = host_in(tmp_path), job_of(model, pairs, state_every_minutes=5), []

    def react(event: Event, control: Control) -> None:
        if isinstance(event, Step) and event.number == 2:
            control.pause()
        if isinstance(event, Paused):
            path = host.folders.state(job.name, job.created)
            deadline = time.monotonic() + 20
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append(state.summary(path).step)
            control.resume()

    start(job, host, react)
    assert seen == [2]


def test_a_state_that_cannot_be_written_ends_nothing(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs)
    host.folders.data.mkdir(parents=True)
    (host.folders.data / "states").write_text("in the way")
    done, events = start(job, host)
    assert not done.stopped
    told = [str(event.message) for event in events if isinstance(event, Warned) and "state" in str(event.message)]
    assert len(told) == 1
    assert "was not written" in told[0]


def test_a_full_disk_ends_no_run_and_leaves_the_older_state(model: Path, pairs: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 2_000_000) as disk:
        folders = Folders(disk / "data", tmp_path / "loras", tmp_path / "models")
        host, job = Standalone(torch.device("cpu"), folders), job_of(model, pairs, train_iterations=8)
        path, filler = folders.state(job.name, job.created), disk / "filler"

        def fill(_control: Control) -> None:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(b"0" * 4096)

        def react(event: Event, control: Control) -> None:
            at(4, fill)(event, control)
            at(7, Control.interrupt)(event, control)

        done, events = start(job, host, react)
        assert done == Done(folders.lora("x"), 7, stopped=True)
        told = [str(event.message) for event in events if isinstance(event, Warned)]
        assert any("The state of the run was not written" in text and "No space left" in text for text in told)
        assert state.summary(path).step <= 4
        filler.unlink()
        assert not start(job, host, resume=True)[0].stopped


def test_a_model_that_is_changed_meanwhile_is_told(model: Path, pairs: Path, tmp_path: Path) -> None:
    copy = tmp_path / model.name
    shutil.copy(model, copy)

    def touch(_control: Control) -> None:
        os.utime(copy, ns=(1, 1))

    _, events = start(job_of(copy, pairs), host_in(tmp_path / "home"), at(2, touch))
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert len([text for text in told if f"{copy.name} was changed during the run" in text]) == 1


def test_what_could_not_be_kept_is_told(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs)

    class Odd(dict):  # type: ignore[type-arg]
        """What no file can hold."""

    kept = trained.optimizers.kept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained.optimizers, "kept", lambda optimizer: {**kept(optimizer), "states": {0: {"odd": Odd()}}})
        broken_off(job, host, at(3, Control.interrupt))
    _, events = start(job, host, resume=True)
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert any("Parts of the optimizer could not be kept: loop/optimizer/states/0/odd" in text for text in told)


def test_files_that_are_gone_are_told(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs)
    broken_off(job, host, at(3, Control.interrupt))
    (host.folders.loras / "x_2steps.safetensors").unlink()
    _, events = start(job, host, resume=True)
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert "Files that the run had written are gone, and are not made again: x_2steps.safetensors." in told


def test_a_job_that_is_done_leaves_no_state_of_an_earlier_run(model: Path, pairs: Path, tmp_path: Path) -> None:
    host, job = host_in(tmp_path), job_of(model, pairs)
    broken_off(job, host, at(3, Control.interrupt))
    assert state.find(job, host.folders) is not None
    start(job, host)
    assert not list((host.folders.data / "states").rglob("*.state"))


def test_states_are_written_as_often_as_asked(model: Path, pairs: Path, tmp_path: Path, monkeypatch: Any) -> None:
    written = []
    monkeypatch.setattr(keeper.StateKeeper, "keep", lambda self, where, loop: written.append(loop["step"]))
    start(job_of(model, pairs, state_every_minutes=60), host_in(tmp_path))
    assert written == []


# ---- errors ---------------------------------------------------------------------------------------------------------


def breaks_in_step(monkeypatch: pytest.MonkeyPatch, step: int, error: Exception) -> None:
    take_gradients = loop.take_gradients
    count = []

    def broken(*arguments: Any, **named: Any) -> None:
        count.append(1)
        if len(count) == step:
            raise error
        take_gradients(*arguments, **named)

    monkeypatch.setattr(loop, "take_gradients", broken)


@pytest.mark.parametrize("error", [Bug("odd"), torch.cuda.OutOfMemoryError("out of memory"), RuntimeError("a kernel")])
def test_an_error_saves_what_there_is(
    error: Exception, model: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, host = job_of(model, pairs, state_every_minutes=5), host_in(tmp_path / "broken")
    events: list[Event] = []
    with monkeypatch.context() as patch:
        breaks_in_step(patch, 4, error)
        with pytest.raises((Bug, UserError, RuntimeError)):
            run(job, host, Control(), events.append)
    assert isinstance(events[-1], Failed)
    saved = Saved(host.folders.lora("x"), 3)
    assert saved in events
    assert state.summary(host.folders.state(job.name, job.created)).step == 3
    whole = host_in(tmp_path / "whole")
    start(job, whole)
    start(job, host, resume=True)
    assert files_of(host) == files_of(whole)


def test_numbers_that_break_down_leave_the_older_state(
    model: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, host = job_of(model, pairs), host_in(tmp_path)
    step = torch.optim.AdamW.step
    taken = []

    def breaking(self: Any, closure: Any = None) -> None:
        step(self, closure)
        parameters = self.param_groups[0]["params"]
        taken.append(len(parameters) > 2)  # or it is the trial before the run
        if sum(taken) == 3:
            for parameter in parameters:
                parameter.data.fill_(torch.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", breaking)
    with pytest.raises(DivergedError):
        start(job, host)
    path = host.folders.state(job.name, job.created)
    found = state.read(path)
    assert found.summary.step <= 2
    assert all(tensor.isfinite().all() for name, tensor in found.tensors.items() if name.startswith("loop/network"))
    assert not host.folders.lora("x").exists()


# ---- refusals -------------------------------------------------------------------------------------------------------


class Home:
    """A run that was broken off after its third step, in a copy of everything it was made from."""

    def __init__(self, model: Path, pairs: Path, folder: Path) -> None:
        self.model, self.images = folder / model.name, folder / "images"
        shutil.copy(model, self.model)
        shutil.copytree(pairs, self.images)
        Image.new("L", (64, 64), 200).save(self.images / "2-masklabel.png")
        self.host = host_in(folder / "home")
        self.job = job_of(self.model, self.images, mode="LoRA", train_iterations=4)
        self.state = self.host.folders.state(self.job.name, self.job.created)
        broken_off(self.job, self.host, at(3, Control.interrupt))

    def refusal(self, job: Job | None = None) -> str:
        before = self.state.read_bytes() if self.state.exists() else b""
        events: list[Event] = []
        with pytest.raises(StateError) as caught:
            run(job or self.job, self.host, Control(), events.append, resume=True)
        assert not [event for event in events if isinstance(event, Failed)], "the caller may start anew"
        assert (self.state.read_bytes() if self.state.exists() else b"") == before
        return str(caught.value)


@pytest.fixture
def home(model: Path, pairs: Path, tmp_path: Path) -> Home:
    return Home(model, pairs, tmp_path)


def test_a_run_without_a_state_is_not_continued(home: Home) -> None:
    home.state.unlink()
    assert home.refusal() == (f"There is no state to continue from: {home.state} does not exist. Start the run anew.")


def test_other_settings_are_refused(home: Home) -> None:
    other = Job(replace(home.job.settings, train_learning_rate=2e-3, network_rank=4), home.job.created)
    assert home.refusal(other) == (
        "The run cannot be continued: these settings have been changed since: network rank, train learning rate. "
        "Start it anew."
    )


def test_what_has_changed_is_refused(home: Home) -> None:
    """One after the other, each put back: a model, an image, its mask, a caption, one image more and one less."""

    def told(path: Path, content: bytes) -> str:
        before, times = path.read_bytes(), path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
        reason = home.refusal()
        path.write_bytes(before)  # at another time, with the same content
        return reason

    model = bytearray(home.model.read_bytes())
    model[-1] ^= 1
    assert told(home.model, bytes(model)) == (
        f"The run cannot be continued: {home.model.name} has been changed since. Start it anew."
    )
    image = home.images / "1.png"
    Image.new("RGB", (64, 64)).save(home.images / "black.png")
    black = (home.images / "black.png").read_bytes()
    assert "black.png was not used before" in home.refusal()
    (home.images / "black.png").unlink()
    assert "1.png has been changed since" in told(image, black)
    Image.new("L", (64, 64), 255).save(home.images / "white.png")
    white = (home.images / "white.png").read_bytes()
    (home.images / "white.png").unlink()
    assert "2-masklabel.png has been changed since" in told(home.images / "2-masklabel.png", white)
    assert "the caption of 2.png has been changed since" in told(home.images / "2.txt", b"another thing")
    shutil.move(image, home.images.parent / "1.png")
    assert "1.png was used before and is no longer there" in home.refusal()
    shutil.move(home.images.parent / "1.png", image)
    done, _ = start(home.job, home.host, resume=True)
    assert done.steps == 4, "everything is as it was"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_half_a_state_is_refused(home: Home, share: float) -> None:
    content = home.state.read_bytes()
    home.state.write_bytes(content[: int(len(content) * share)])
    assert "is damaged or was not written to its end" in home.refusal()


def test_a_damaged_state_is_refused(home: Home) -> None:
    content = bytearray(home.state.read_bytes())
    content[-100] ^= 1
    home.state.write_bytes(content)
    assert "is damaged or was not written to its end" in home.refusal()


def test_something_else_is_refused(home: Home) -> None:
    shutil.copy(home.host.folders.lora("x"), home.state)
    assert f"{home.state} is not the state of a run" in home.refusal()
    other = job_of(home.model, home.images, mode="LoRA", train_iterations=4, save_lora_name="y")
    other_state = home.host.folders.state("y", CREATED)
    broken_off(other, home.host, at(3, Control.interrupt))
    shutil.copy(other_state, home.state)
    assert "the state is that of another job, y" in home.refusal()


def test_other_libraries_are_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "made_on", lambda device: {"torch": "3.0"})
    _, events = start(home.job, home.host, resume=True)
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert any("The run began with" in text and "torch" in text for text in told)
