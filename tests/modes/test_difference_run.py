"""Whole runs of Difference on a small random checkpoint: what each pass writes, and what the second leaves alone."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, Sizes, sd1_tensors, write_safetensors
from trainer.config import presets
from trainer.config.settings import SHARED_BY_PASSES, Settings, of_second_pass
from trainer.engine import passes as passes_module
from trainer.engine.run import check, run
from trainer.errors import DataError, NetworkError, OutputError, SettingsError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Event, Job, Phase, Preview, Saved, Step, Warned
from trainer.networks.base import Network
from trainer.networks.files.settings import load_settings
from trainer.paths import SHIPPED_PRESETS
from trainer.reports.log import read_log

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
BLOCKS = ("BASE", "IN01", "M00", "OUT03")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, one of another width, and pictures."""
    folder = tmp_path_factory.mktemp("world")
    write_safetensors(folder / "small.safetensors", sd1_tensors(TWO_LEVELS), GROUPS)
    write_safetensors(folder / "other.safetensors", sd1_tensors(Sizes(unet=(64, 64))), GROUPS)
    random = np.random.default_rng(1)
    for name, shape in [("original", (64, 64)), ("target", (64, 64)), ("wide", (64, 96))]:
        Image.fromarray(random.integers(0, 256, (*shape, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes((folder / "target.png").read_bytes()[:2000])
    return folder


def settings_of(world: Path, **changes: object) -> Settings:
    settings = replace(
        Settings(), mode="Difference", model=str(world / "small.safetensors"),
        original_image=str(world / "original.png"),
        target_image=str(world / "target.png"), network_rank=2, network_alpha=2.0, network_blocks=BLOCKS,
        train_iterations=3, train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="x",
        effect_strip=False,
    )  # fmt: skip
    return replace(settings, **changes)


def trained(
    settings: Settings,
    host: Standalone,
    control: Control | None = None,
    react: Callable[[Event], None] = lambda _: None,
) -> tuple[Done, list[Event]]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        react(event)

    return run(Job.create(settings, CREATED), host, control or Control(), emit), events


def elsewhere(host: Standalone, folder: Path) -> Standalone:
    return Standalone(host.device, replace(host.folders, data=folder / "data", loras=folder / "loras"))


def warnings_of(events: list[Event]) -> str:
    return "\n".join(str(event.message) for event in events if isinstance(event, Warned))


def test_both_passes_their_files_logs_and_phases(
    world: Path, host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = replace(Settings(), network_rank=1, train_iterations=2, sample_every_steps=9, save_per_steps=9)
    settings = settings_of(
        world, diff_save_1st_pass=True, logging_save_csv=True, use_2nd_pass_settings=True, second_pass=second,
        sample_every_steps=1, sample_strengths=(0.0,), save_per_steps=1, effect_strip=True,
    )  # fmt: skip
    trained_networks: list[weakref.ref[Network]] = []
    frozen: list[torch.Tensor] = []
    left_over: list[bool] = []
    train = passes_module.train

    def noted(training, network, *rest, **more):
        trained_networks.append(weakref.ref(network))
        return train(training, network, *rest, **more)

    def react(event: Event) -> None:
        if isinstance(event, Step) and len(trained_networks) == 2:
            copier = trained_networks[0]()
            assert copier is not None
            assert copier.strength == 1.0
            assert not any(parameter.requires_grad for parameter in copier.parameters())
            frozen[:] = frozen or [parameter.clone() for parameter in copier.parameters()]
            assert all(torch.equal(*pair) for pair in zip(frozen, copier.parameters(), strict=True))
        if isinstance(event, Phase) and str(event.message) == "measuring the effect":
            left_over.append(trained_networks[0]() is not None)

    monkeypatch.setattr(passes_module, "train", noted)
    done, events = trained(settings, host, react=react)
    assert (done.path, done.steps) == (host.folders.loras / "x.safetensors", 2)
    assert frozen
    assert left_over
    assert not any(left_over)
    copier = load_file(host.folders.loras / "x_copy.safetensors")
    saved = sorted(float(tensor.double().abs().sum()) for name, tensor in copier.items() if "alpha" not in name)
    assert saved == sorted(float(parameter.half().double().abs().sum()) for parameter in frozen)
    difference = load_file(done.path)
    ranks = {tensor.shape[0] for name, tensor in difference.items() if "lora_down" in name}
    assert ranks == {1}
    assert not any(name.startswith("lora_te") for name in {*copier, *difference})
    assert sorted(path.name for path in host.folders.loras.glob("*.safetensors")) == [
        "x.safetensors", "x_1steps.safetensors", "x_copy.safetensors", "x_copy_1steps.safetensors",
        "x_copy_2steps.safetensors",
    ]  # fmt: skip
    for of_kind in (host.folders.log, host.folders.run_log):
        first, last = read_log(of_kind("x", CREATED, "_copy")), read_log(of_kind("x", CREATED))
        assert (len(first.rows), len(last.rows)) == (3, 2)
        assert (first.head["network_rank"], last.head["network_rank"]) == ("2", "1")
    assert of_kind("x", CREATED, "_copy").name.endswith("_copy.csv")
    phases = [str(event.message) for event in events if isinstance(event, Phase)]
    assert [name for name in phases if "training" in name] == ["1st pass: training", "2nd pass: training"]
    assert load_settings(str(done.path), []).settings.second_pass == replace(second, unknown=())
    # At strength 0 the picture is the untouched model's in both passes: the copier is off while pictures are made.
    samples = {event.path.name: event.path.read_bytes() for event in events if isinstance(event, Preview)}
    assert len(samples) == 3
    assert len(set(samples.values())) == 1
    again, _ = trained(settings, elsewhere(host, tmp_path / "again"))
    assert again.path is not None
    assert again.path.read_bytes() == done.path.read_bytes()


def test_a_loaded_copier_gives_what_the_trained_one_gives(world: Path, host: Standalone) -> None:
    both, _ = trained(settings_of(world, diff_save_1st_pass=True, save_precision="fp32"), host)
    loaded = settings_of(world, diff_load_1st_pass="x_copy", save_lora_name="y", save_precision="fp32")
    one, events = trained(loaded, host)
    assert both.path is not None
    assert one.path is not None
    first, second = load_file(both.path), load_file(one.path)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert "1st pass: loading the LoRA" in [str(event.message) for event in events if isinstance(event, Phase)]
    assert not (host.folders.loras / "y_copy.safetensors").exists()


def test_the_1st_pass_only(world: Path, host: Standalone) -> None:
    done, events = trained(settings_of(world, diff_1st_pass_only=True, target_image=""), host)
    assert done.path == host.folders.loras / "x_copy.safetensors"
    assert [event.path.name for event in events if isinstance(event, Saved)] == ["x_copy.safetensors"]


def test_passes_draw_numbers_of_their_own(world: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    train = passes_module.train

    def noted(training, network, settings, **rest):
        seeds.append(settings.train_seed)
        return train(training, network, settings, **rest)

    monkeypatch.setattr(passes_module, "train", noted)
    trained(settings_of(world, train_iterations=1), host)
    assert seeds[0] == 3
    assert seeds[1] != 3


@pytest.mark.parametrize("saves", [False, True])
def test_stopped_in_the_1st_pass(world: Path, host: Standalone, saves: bool) -> None:
    control = Control()
    stop = control.stop_and_save if saves else control.stop
    done, events = trained(settings_of(world), host, control, lambda event: isinstance(event, Step) and stop())
    assert done == Done(host.folders.loras / "x_copy.safetensors" if saves else None, 1, stopped=True)
    assert [event.number for event in events if isinstance(event, Step)] == [1]
    assert ("Stopped in the 1st pass" in warnings_of(events)) is saves
    assert host.folders.loras.exists() is saves


def test_what_the_second_pass_takes_from_the_first() -> None:
    first = replace(Settings(), model="m", save_precision="bf16", prediction="yes", train_seed=5, network_rank=8)
    assert of_second_pass(first) == first
    own = replace(first, second_pass=replace(Settings(), network_rank=2), use_2nd_pass_settings=True)
    second = of_second_pass(own)
    assert all(getattr(second, name) == getattr(own, name) for name in SHARED_BY_PASSES)
    assert (second.network_rank, second.train_seed) == (2, 5)
    assert of_second_pass(replace(own, second_pass=replace(Settings(), train_seed=7))).train_seed == 7


@pytest.mark.parametrize("name", ["Difference", "Difference_Use2ndPass"])
def test_presets_run_as_shipped(world: Path, host: Standalone, name: str) -> None:
    preset = presets.load(name, [SHIPPED_PRESETS]).settings
    few = replace(
        preset, model=str(world / "small.safetensors"), original_image=str(world / "original.png"),
        target_image=str(world / "target.png"), train_iterations=3, effect_strip=False,
        second_pass=preset.second_pass and replace(preset.second_pass, train_iterations=3),
    )  # fmt: skip
    done, _ = trained(few, host)
    assert done.path == host.folders.loras / f"{name}.safetensors"
    assert done.steps == 3


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"original_image": "gone.png"}, DataError, 'original image: "gone.png" is not there'),
        ({"target_image": "broken.png"}, DataError, "target image: .*broken.png"),
        ({"target_image": "wide.png"}, DataError, "differ in shape: the original is 64 x 64, the target 96 x 64"),
        ({"target_image": "original.png"}, UserError, "target image: It is the same as the original image"),
        ({"diff_load_1st_pass": "copier"}, NetworkError, "copier: There is no such LoRA file.* put it into"),
        ({"use_2nd_pass_settings": True}, SettingsError, "there are no 2nd pass settings"),
        (
            {"use_2nd_pass_settings": True, "second_pass": Settings(train_optimizer_settings="odd=1")},
            UserError,
            "2nd pass, train optimizer settings: AdamW does not take odd",
        ),
        ({"diff_save_1st_pass": True, "save_lora_name": "taken"}, OutputError, r"taken_copy.safetensors is already"),
    ],
)
def test_bad_inputs_are_told_in_a_sentence(
    world: Path, host: Standalone, changes: dict[str, object], kind: type[UserError], words: str
) -> None:
    host.folders.loras.mkdir()
    (host.folders.loras / "taken_copy.safetensors").write_text("precious")
    found = {
        key: str(world / value) if key.endswith("image") and (world / str(value)).exists() else value
        for key, value in changes.items()
    }
    events: list[Event] = []
    with pytest.raises(kind, match=words):
        run(Job.create(settings_of(world, **found), CREATED), host, Control(), events.append)
    assert "loading the model" not in [str(event.message) for event in events if isinstance(event, Phase)]


def test_a_copier_of_another_model_is_refused(world: Path, host: Standalone) -> None:
    other = settings_of(world, model=str(world / "other.safetensors"), diff_1st_pass_only=True, train_iterations=1)
    trained(other, host)
    given = settings_of(world, diff_load_1st_pass="x_copy", save_lora_name="y")
    check(Job.create(given, CREATED), host)
    with pytest.raises(NetworkError, match="another kind of model"):
        trained(given, host)
