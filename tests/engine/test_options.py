"""Options of training in whole runs: each changes what is trained, and a run that is resumed has the same bytes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.engine.test_resume import CREATED, assert_continues, at, start
from tests.helpers.home import host_in
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import passes
from trainer.engine.validation import Validation
from trainer.errors import SettingsError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Account, Control, Done, Event, Job, Phase, Preview, Saved, Step, Warned
from trainer.models.stable_diffusion.blocks import block_of
from trainer.networks.files import file
from trainer.reports.log import read_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images of 64 pixels a side."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"a thing, {number}")
    return folder


def job_of(model: Path, folder: Path, **changes: Any) -> Job:
    settings = replace(
        Settings(), mode="LoRA", model=str(model), network_rank=2, network_alpha=2.0,
        network_blocks=("IN04", "M00", "OUT03"), lora_data_directory=str(folder), image_size=Size(64, 64),
        image_min_length=64, train_iterations=4, train_batch_size=2, train_learning_rate=1e-2, train_seed=3,
        train_lr_scheduler="constant", save_lora_name="x", save_precision="fp32", effect_strip=False,
    )  # fmt: skip
    return Job.create(replace(settings, **changes), CREATED)


def trained(job: Job, home: Path) -> tuple[dict[str, Tensor], dict[str, str], list[Event], Standalone]:
    """The LoRA's tensors and metadata, what was told, and the host."""
    host = host_in(home)
    done, events = start(job, host)
    assert done.path is not None
    assert not done.stopped
    return *file.read(done.path), events, host


def differs(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def plain(model: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return trained(job_of(model, folder), tmp_path_factory.mktemp("plain"))[0]


@pytest.mark.more
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_gradient_accumulation": 2}, {"ss_gradient_accumulation_steps": "2"}),
        ({"train_max_grad_norm": 1e-3}, {"ss_max_grad_norm": "0.001"}),
        ({"train_noise_offset": 0.1}, {"ss_noise_offset": "0.1"}),
        ({"train_noise_offset": 0.1, "train_noise_offset_random": True}, {"ss_noise_offset_random_strength": "True"}),
        ({"train_adaptive_noise_scale": 0.5}, {"ss_adaptive_noise_scale": "0.5"}),
        ({"train_multires_noise_iterations": 6}, {"ss_multires_noise_iterations": "6"}),
        ({"train_ema_decay": 0.9}, {}),
        ({"network_dropout": 0.3}, {"ss_network_dropout": "0.3"}),
        ({"network_rank_dropout": 0.3}, {}),
        ({"network_module_dropout": 0.3}, {}),
        ({"train_loraplus_ratio": 4.0}, {}),
        ({"network_block_rates": "M00=0.1"}, {}),
        ({"train_debiased_estimation": True}, {"ss_debiased_estimation": "True"}),
    ],
    ids=lambda each: "+".join(each) if isinstance(each, dict) else "",
)  # fmt: skip
def test_every_option_acts_and_is_told_in_the_file(
    changes: dict[str, Any], told: dict[str, str], model: Path, folder: Path, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    tensors, metadata, _, _ = trained(job_of(model, folder, **changes), tmp_path)
    assert tensors.keys() == plain.keys()
    assert differs(tensors, plain)
    assert told.items() <= metadata.items()
    assert json.loads(metadata["trainyard_settings"]).items() >= changes.items()


def test_what_sd_scripts_would_be_given_is_in_its_arguments(model: Path, folder: Path, tmp_path: Path) -> None:
    given = job_of(
        model, folder, network_rank_dropout=0.1, network_module_dropout=0.2, train_loraplus_ratio=4.0,
        network_block_rates="IN=0.5,\nM00=2", save_comment="for the  cover", train_iterations=1,
    )  # fmt: skip
    metadata = trained(given, tmp_path)[1]
    assert json.loads(metadata["ss_network_args"]) == {
        "rank_dropout": "0.1", "module_dropout": "0.2", "loraplus_lr_ratio": "4.0", "block_lr_weights": "IN=0.5, M00=2",
    }  # fmt: skip
    assert metadata["ss_training_comment"] == "for the cover"


def test_a_block_with_a_rate_of_zero_is_not_trained(model: Path, folder: Path, tmp_path: Path) -> None:
    given = job_of(model, folder, network_block_rates="OUT=0, IN04=0.5", train_iterations=1, network_type="c3lier")
    tensors = trained(given, tmp_path)[0]
    assert {block_of(name) for name in tensors} == {"IN04", "M00"}


ALL = {
    "lora_trigger_word": "thing",
    "train_self_reg": 0.5,
    "train_self_reg_images": 2,
    "train_gradient_accumulation": 2,
    "train_max_grad_norm": 1.0,
    "train_noise_offset": 0.1,
    "train_noise_offset_random": True,
    "train_adaptive_noise_scale": 0.1,
    "train_multires_noise_iterations": 4,
    "train_ema_decay": 0.9,
    "network_dropout": 0.1,
    "network_rank_dropout": 0.1,
    "network_module_dropout": 0.2,
    "train_loraplus_ratio": 4.0,
    "network_block_rates": "IN=0.5",
    "train_epochs": 3,
    "save_every_epochs": 1,
    "validation_split": 0.2,
    "validation_every_steps": 2,
    "early_stop_patience": 100,
    "use_gradient_checkpointing": True,
    "data_cache": 0.0,
    "save_as_json": True,
    "logging_save_csv": True,
    "state_every_minutes": 1e-9,
}  # fmt: skip


@pytest.mark.more
def test_a_run_with_all_of_them_continues_to_the_same_bytes(model: Path, folder: Path, tmp_path: Path) -> None:
    """Five images are trained, in three batches an epoch and so in two steps: six of them in all."""
    given = job_of(model, folder, network_blocks=("BASE", "M00", "IN04"), **ALL)
    events = assert_continues(given, tmp_path, at(3, Control.interrupt))
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.number, step.total, step.validation is not None) for step in steps] == [
        (4, 6, True), (5, 6, False), (6, 6, True),
    ]  # fmt: skip


def test_images_to_hold_are_made_before_the_first_step(model: Path, folder: Path, tmp_path: Path) -> None:
    """Of captions with other words; the LoRA then becomes another one."""
    words = {"lora_trigger_word": "thing", "train_iterations": 1, "train_self_reg": 1.0}
    loras = []
    for images in (4, 0):
        given = job_of(model, folder, **words, train_self_reg_images=images)
        lora, _, events, _ = trained(given, tmp_path / str(images))
        phases = [str(each.message) for each in events if isinstance(each, Phase)]
        assert (
            phases.count("making images with other words, which are to stay as they are") == images / 2
        )  # as many at a time as a batch has
        assert not images or phases.index(
            "making images with other words, which are to stay as they are"
        ) < phases.index("training")
        loras.append(lora)
    assert differs(*loras)


def test_fp16_scaling_clips_and_accumulates(model: Path, folder: Path, tmp_path: Path) -> None:
    """The loop with its scaler, on the CPU: what is learned is the same to rounding."""
    from tests.engine.test_loop import CPU, Regression, hooks_of, settings
    from trainer.engine.loop import train

    found = []
    for scales in (False, True):
        problem = Regression()
        given = settings(train_gradient_accumulation=3, train_max_grad_norm=0.05, train_optimizer="SGDNesterov")
        with problem.network.attached():
            train(
                problem, problem.network, given, device=CPU, scale_loss=scales, control=Control(),
                emit=lambda _event: None, hooks=hooks_of(),
            )  # fmt: skip
        found.append([parameter.detach().clone() for parameter in problem.network.parameters()])
        assert problem.steps == 3 * 60
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


# ---- epochs ---------------------------------------------------------------------------------------------------------


def test_epochs_decide_the_steps_wherever_they_are_told(model: Path, folder: Path, tmp_path: Path) -> None:
    """Six images in batches of two: three steps an epoch."""
    given = job_of(
        model, folder, train_epochs=3, save_every_epochs=1, sample_every_epochs=2, sample_prompt="x",
        train_lr_scheduler="linear", logging_save_csv=True,
    )  # fmt: skip
    _, metadata, events, host = trained(given, tmp_path)
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.number, step.total) for step in steps] == [(number, 9) for number in range(1, 10)]
    assert steps[-1].rates[0] == pytest.approx(1e-2 / 9), "the schedule ends with the run"
    assert [event.step for event in events if isinstance(event, Saved)] == [3, 6, 9]
    assert {event.step for event in events if isinstance(event, Preview)} == {6}
    wanted = {
        "ss_max_train_steps": "9", "ss_steps": "9", "ss_num_epochs": "3", "ss_epoch": "3",
        "ss_num_batches_per_epoch": "3",
    }  # fmt: skip
    assert wanted.items() <= metadata.items()
    assert read_log(host.folders.log("x", CREATED)).head["train_iterations"] == "9"
    (account,) = [event for event in events if isinstance(event, Account)]
    assert any("9 steps" in str(row.text) and "3 times" in str(row.text) for row in account.rows)


def test_a_warmup_is_held_against_the_steps_of_the_epochs(model: Path, folder: Path, tmp_path: Path) -> None:
    given = {"train_epochs": 3, "train_lr_scheduler": "linear", "train_iterations": 5}
    trained(job_of(model, folder, train_lr_warmup_steps=8, **given), tmp_path / "a")
    with pytest.raises(SettingsError, match="The warm-up takes 9 steps and the run only 9"):
        start(job_of(model, folder, train_lr_warmup_steps=9, **given), host_in(tmp_path / "b"))


def test_the_queue_knows_the_steps_of_the_epochs(model: Path, folder: Path, tmp_path: Path) -> None:
    from trainer.jobs.admission import admitted
    from trainer.jobs.store import Store

    home = host_in(tmp_path)
    store = Store(home.folders)
    given = job_of(model, folder, train_epochs=3, validation_split=0.2, train_lr_scheduler="linear").settings
    assert store.add(given).steps == 3 * 3
    assert store.edit(1, replace(given, train_epochs=5)).steps == 5 * 3
    with pytest.raises(SettingsError, match="The warm-up takes 9 steps and the run only 9"):
        admitted(replace(given, train_lr_warmup_steps=9), home.folders)


def test_epochs_mean_nothing_to_modes_without_images(model: Path, folder: Path, tmp_path: Path) -> None:
    given = job_of(
        model, folder, mode="iLECO", original_prompt="a", target_prompt="b", train_epochs=9, save_every_epochs=1,
        train_iterations=2,
    )  # fmt: skip
    events = trained(given, tmp_path)[2]
    assert [event.total for event in events if isinstance(event, Step)] == [2, 2]


# ---- what is saved --------------------------------------------------------------------------------------------------


def test_the_average_is_saved_and_previewed(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are made where the network is its average, worked out from the weights after each step."""
    weights: list[list[Tensor]] = []
    seen: dict[str, list[Tensor]] = {}

    def now(network: Any) -> list[Tensor]:
        return [each.detach().clone() for each in network.parameters()]

    make = passes.train

    def watched(training: Any, network: Any, settings: Settings, **named: Any) -> int:
        hooks = named["hooks"]
        weights.append(now(network))
        named["hooks"] = replace(
            hooks,
            step_done=lambda step: (weights.append(now(network)), hooks.step_done(step)),
            save=lambda step: (seen.update(saved=now(network)), hooks.save(step)),
            preview=lambda step: seen.update(previewed=now(network)),
        )
        taken = make(training, network, settings, **named)
        seen["finished"] = now(network)
        return taken

    monkeypatch.setattr(passes, "train", watched)
    given = job_of(model, folder, train_ema_decay=0.5, save_per_steps=2, sample_every_steps=2, train_iterations=3)
    trained(given, tmp_path)
    means = [each.double() for each in weights[0]]
    averages = []
    for step in (1, 2, 3):
        share = min(0.5, (1 + step) / (10 + step))
        means = [share * mean + (1 - share) * each.double() for mean, each in zip(means, weights[step], strict=True)]
        averages.append(means)
    for name, wanted in (("saved", averages[1]), ("previewed", averages[1]), ("finished", averages[2])):
        for one, other in zip(seen[name], wanted, strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-8)


def test_files_saved_on_the_way_have_the_names_of_the_pattern(model: Path, folder: Path, tmp_path: Path) -> None:
    given = job_of(model, folder, save_file_name="{name}/{epoch}-{step:06}", save_per_steps=2, train_iterations=5)
    host = trained(given, tmp_path)[3]
    loras = host.folders.loras
    found = sorted(path.relative_to(loras).as_posix() for path in loras.rglob("*.safetensors"))
    assert found == ["x.safetensors", "x/1-000002.safetensors", "x/2-000004.safetensors"]


# ---- validation -----------------------------------------------------------------------------------------------------


def validated(model: Path, folder: Path, **changes: Any) -> Job:
    given = {"validation_split": 0.3, "validation_every_steps": 2, "train_iterations": 4, **changes}
    return job_of(model, folder, **given)


def test_the_validation_loss_has_a_column_of_its_own(model: Path, folder: Path, tmp_path: Path) -> None:
    _, metadata, events, host = trained(validated(model, folder, logging_save_csv=True), tmp_path)
    path = host.folders.log("x", CREATED)
    *_, titles, first, second, third, fourth = csv.reader(path.open())
    assert titles == ["Step", "Loss", "Learning Rate 1", "Validation Loss"]
    measured = [event.validation for event in events if isinstance(event, Step) if event.validation is not None]
    assert [first[3], third[3]] == ["", ""]
    assert [float(second[3]), float(fourth[3])] == measured
    read = read_log(path).rows["Validation Loss"]
    assert read.dropna().tolist() == measured
    assert (metadata["ss_num_validation_images"], metadata["ss_num_train_images"]) == ("2", "4")
    (account,) = [event for event in events if isinstance(event, Account)]
    assert any("2 of 6 images set aside" in str(row.text) for row in account.rows)


@pytest.mark.more
def test_measuring_changes_nothing_of_what_is_trained(model: Path, folder: Path, tmp_path: Path) -> None:
    once = validated(model, folder, validation_every_steps=4, network_dropout=0.2, network_blocks=("BASE", "M00"))
    often = replace(once.settings, validation_every_steps=1)
    first, _, events, _ = trained(once, tmp_path / "a")
    second, _, more, _ = trained(Job(often, CREATED), tmp_path / "b")
    assert not differs(first, second)
    last = [next(e.validation for e in reversed(each) if isinstance(e, Step)) for each in (events, more)]
    assert last[0] == last[1], "the same noise and timesteps whenever it is measured"


def test_the_validation_loss_is_that_of_the_images_left_out_with_the_network_whole(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice on the same network it is the same; its timesteps reach every tenth; neither dropout nor gradients act."""
    seen: list[Any] = []
    loss = Validation.loss

    def watched(self: Any) -> float:
        inner, timesteps, names = self._pass.loss, [], set()

        def noted(rng: Any) -> Any:
            found = inner(rng)
            assert not found.samples.requires_grad
            timesteps.extend(found.timesteps.tolist())
            names.update(found.names)
            return found

        self._pass.loss = noted
        one, again = loss(self), loss(self)
        self._pass.loss = inner
        assert one == again
        seen.append((timesteps, names))
        return one

    monkeypatch.setattr(Validation, "loss", watched)
    events = trained(validated(model, folder, network_dropout=0.5, network_module_dropout=0.5), tmp_path)[2]
    timesteps, names = seen[0]
    assert {time // 100 for time in timesteps} == set(range(10))
    assert len(names) == 2
    assert seen[1] == seen[0]
    assert sum(isinstance(event, Step) and event.validation is not None for event in events) == 2


def test_a_run_stops_early_and_saves_its_best(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([5.0, 3.0, 4.0, 4.0, 4.0])
    monkeypatch.setattr(Validation, "loss", lambda self: next(losses))
    changes = {"validation_every_steps": 1, "early_stop_patience": 3, "train_iterations": 50}
    tensors, metadata, events, _ = trained(validated(model, folder, **changes), tmp_path / "early")
    assert [event.number for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5]
    assert events[-1] == Done(events[-1].path, 5, stopped=False)
    assert metadata["ss_steps"] == "2"
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert any("Stopped after step 5" in each and "step 2 is saved" in each for each in told)
    monkeypatch.setattr(Validation, "loss", lambda self: 1.0)
    short = trained(validated(model, folder, train_iterations=2), tmp_path / "two")[0]
    assert not differs(tensors, short), "the weights after the second step"


def test_a_run_that_stopped_early_is_done_for_the_queue(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.networks.files.settings import finished_file

    monkeypatch.setattr(Validation, "loss", lambda self: 1.0)
    job = validated(model, folder, validation_every_steps=1, early_stop_patience=1, train_iterations=50)
    host = trained(job, tmp_path)[3]
    path = host.folders.lora("x")
    assert finished_file(path, job.id) == path


# ---- programs beside the log ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["logging_tensorboard", "logging_wandb"])
def test_a_missing_package_is_told_before_the_run(
    name: str, model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for module in ("torch.utils.tensorboard", "tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, module, None)
    events: list[Event] = []
    with pytest.raises(UserError, match="Install it with: pip install"):
        start(job_of(model, folder, **{name: True}), host_in(tmp_path), lambda event, _control: events.append(event))
    assert not [event for event in events if isinstance(event, Step)]
