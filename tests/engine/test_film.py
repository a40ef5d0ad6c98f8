"""The images that a run makes by itself: what they may take, and the LoRA of each step, which can be kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.helpers.home import folders_in
from trainer import claims
from trainer.claims import tidy, tidy_steps
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import passes, plan
from trainer.engine.film import Film
from trainer.engine.image_request import ImageRequest
from trainer.engine.plan import Plan, filmed_steps
from trainer.engine.reporting import Reporter
from trainer.engine.run import run
from trainer.engine.space import room_needed
from trainer.errors import OutputError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Event, Job, Preview, Warned
from trainer.networks.files import file
from trainer.paths import Folders
from trainer.web.services import run_images

CREATED = datetime(2026, 1, 2, tzinfo=timezone.utc)


def trained(model: Path, host: Standalone, **changes: Any) -> list[Event]:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), network_rank=2, network_element="CrossAttention", network_blocks=("M00",),
        train_iterations=3, train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="sub/x",
        save_overwrite=True,
    )  # fmt: skip
    events: list[Event] = []
    run(Job.create(replace(settings, **changes), CREATED), host, Control(), events.append, again=True)
    return events


@pytest.fixture
def _filmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is over in seconds has images, too, and reports nothing at its end."""
    monkeypatch.setattr(passes.effect, "report", lambda *_given, **_named: None)
    monkeypatch.setattr(plan, "SHARE", 600.0)


@pytest.mark.usefixtures("_filmed")
def test_the_lora_of_each_image_is_that_of_its_step_and_can_be_kept(model: Path, host: Standalone) -> None:
    images = [each.path for each in trained(model, host) if isinstance(each, Preview)]
    assert [each.name for each in images] == ["000001_+1.png", "000002_+1.png"]
    folders = host.folders
    assert [each.name for each in folders.loras.rglob("*.safetensors")] == ["x.safetensors"]  # none but the LoRA
    day, name = images[0].parent.parent.name, images[0].parent.name
    steps = [run_images.lora_of(day, name, each.name, folders) for each in images]
    assert [each and each.parent for each in steps] == [images[0].parent] * 2
    kept = [run_images.keep(steps[0], folders) for _ in range(2) if steps[0]]
    assert kept == [folders.loras / "sub" / "x_1steps.safetensors"] * 2
    assert sorted(each.name for each in kept[0].parent.glob("x_1steps*")) == [
        "x_1steps.preview.png", "x_1steps.safetensors",
    ]  # fmt: skip
    assert kept[0].with_name("x_1steps.preview.png").read_bytes() == images[0].read_bytes()
    assert run_images.prompt_of(images[0]) == "red"
    shown = run_images.of_lora(kept[1], folders)  # of the same run
    assert [run_images.described(each) for each in shown.images] == [
        {"step": 1, "name": "000001_+1.png", "kept": True}, {"step": 2, "name": "000002_+1.png", "kept": True},
    ]  # fmt: skip
    with safe_open(kept[1], "pt") as opened:
        assert opened.metadata()["ss_output_name"] == "x_1steps"
        assert opened.metadata()["ss_steps"] == "1"

    # Saved by another run that makes no images: the same tensors.
    trained(model, host, effect_strip=False, save_per_steps=1, save_lora_name="plain")
    for step, path in enumerate((kept[0], steps[1]), 1):
        saved = load_file(folders.lora(f"plain_{step}steps"))
        assert path is not None
        film = load_file(path)
        assert film.keys() == saved.keys()
        assert all(torch.equal(film[key], saved[key]) for key in saved)


@pytest.mark.usefixtures("_filmed")
def test_nothing_that_goes_wrong_with_an_image_ends_the_run(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(model, host, effect_strip=False)
    lora = load_file(host.folders.lora("sub/x"))

    class Host(Standalone):
        makes_previews = True

        def draw(self, request: ImageRequest, advance: Any) -> Any:
            raise KeyError("what nobody has thought of")

    def full(path: Path, *given: Any, **named: Any) -> Any:
        if "samples" in path.parts:
            raise OutputError("paths.not_written", where=str(path), reason="No space left on device")
        return save(path, *given, **named)

    save = file.save
    by_host = trained(model, Host(host.device, host.folders))
    monkeypatch.setattr(file, "save", full)
    without_room = trained(model, host)
    for events, said, times in (
        (by_host, "KeyError: 'what nobody has thought of'", 2), (without_room, "No space left on device", 1),
    ):  # fmt: skip
        warnings = [str(each.message) for each in events if isinstance(each, Warned)]
        assert sum(said in each for each in warnings) == times
        again = load_file(host.folders.lora("sub/x"))
        assert all(torch.equal(again[key], lora[key]) for key in lora)
    assert len([each for each in without_room if isinstance(each, Preview)]) == 2


class Played:
    """A run whose steps and images take as long as they are told to."""

    def __init__(self, tmp_path: Path, step: float, image: Callable[[int], float], pause: float = 0.0) -> None:
        self.now, self.drawn, self.warnings = 0.0, list[int](), list[str]()
        total, film_steps = 1000, filmed_steps(1000, 8)
        samples = tmp_path / "samples" / "day" / "run"
        samples.mkdir(parents=True, exist_ok=True)

        class Previews:
            @staticmethod
            def make(_network: Any, at: int) -> list[Path]:
                self.now += image(len(self.drawn))
                self.drawn.append(at)
                path = samples / f"{at:06d}_+1.png"
                path.touch()
                return [path]

        def emit(event: Event) -> None:
            if isinstance(event, Warned):
                self.warnings.append(str(event.message))

        def save(_network: Any, _step: int, path: Path) -> None:
            path.touch()

        made: Any = Previews()
        host: Any = None
        reporter = Reporter("x", host, Control(), emit)
        film, network = Film(made, save, samples, reporter, lambda: self.now), torch.nn.Identity()
        film.begin(film_steps, 0, total)
        for number in range(1, total + 1):
            self.now += step
            if number == 50:
                self.now += pause
                film.paused(pause)
            if number in film_steps:
                film.make(network, number)  # type: ignore[arg-type]


def test_images_that_are_as_dear_as_counted_are_all_made(tmp_path: Path) -> None:
    run = Played(tmp_path, 1.0, lambda _number: 12.0)
    assert run.drawn == list(range(100, 1000, 100))
    assert not run.warnings
    assert 0.1 * run.now >= 9 * 12.0


@pytest.mark.parametrize("pause", [0.0, 5000.0])
def test_dearer_images_become_fewer_at_larger_distances(tmp_path: Path, pause: float) -> None:
    for cost, drawn in ((30.0, 3), (60.0, 1)):
        run = Played(tmp_path, 1.0, lambda _number, cost=cost: cost, pause)
        assert len(run.drawn) == drawn
        assert cost * drawn <= 0.1 * (run.now - pause)
        assert len(run.warnings) == 1
        assert "10 %" in run.warnings[0]
    three = Played(tmp_path, 1.0, lambda _number: 30.0, pause).drawn
    assert three[-1] - three[-2] > 150  # not one after the other, and then none


def test_one_image_that_took_long_does_not_end_the_film(tmp_path: Path) -> None:
    """The first one often does: kernels are chosen, files are read."""
    run = Played(tmp_path, 1.0, lambda number: 40.0 if number == 0 else 5.0)
    assert run.drawn == [100, 700, 800, 900]


def test_a_short_run_has_none_and_a_whole_film_is_counted(tmp_path: Path) -> None:
    settings = Settings(train_iterations=1000, train_batch_size=4)
    assert filmed_steps(60, 1) == ()
    film = Plan(settings, is_filmed=True)
    (one, _, with_film), (_, _, without) = (
        room_needed(1000, torch.float16, settings, each, saved=True) for each in (film, Plan(settings))
    )
    assert with_film - without == 9 * one


def put(path: Path, size: int, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    path.with_suffix(".png").write_bytes(b"image")
    written = time.time() - days * 24 * 3600
    os.utime(path, (written, written))
    return path


def test_old_ones_go_and_the_oldest_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_STEP_BYTES", 100)
    folders: Folders = folders_in(tmp_path)
    samples = folders.data / "samples"
    old, of_last_week, of_today = (
        put(samples / "day" / f"run{days}" / "000001_+1.safetensors", 40, days) for days in (8, 6, 0)
    )
    lora = put(folders.loras / "x.safetensors", 500, 99)
    assert tidy(folders) == 1  # as a program does at its start
    assert [each.exists() for each in (old, of_last_week, of_today, lora)] == [False, True, True, True]
    own = samples / "day" / "own"
    first, second = (put(own / f"{step:06d}_+1.safetensors", 40, 9 - step / 1000) for step in (1, 2))
    assert tidy_steps(samples, own) == 2
    assert [each.exists() for each in (of_last_week, of_today, first, second)] == [False, False, True, True]
    third = put(own / "000003_+1.safetensors", 40, 0)
    assert tidy_steps(samples, own) == 1
    assert [each.exists() for each in (first, second, third)] == [False, True, True]
    assert len(list(samples.rglob("*.png"))) == 6
