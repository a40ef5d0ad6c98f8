"""Whole runs on a small random checkpoint: what they write, that they repeat, and how they end."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.helpers.checkpoints import small_checkpoint
from trainer.config import presets
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import passes
from trainer.engine.run import check, run
from trainer.errors import DivergedError, OutputError, SettingsError, UserError
from trainer.hosts import standalone
from trainer.hosts.standalone import Standalone
from trainer.job import (
    Account,
    Control,
    Detail,
    Done,
    Effect,
    Event,
    Failed,
    Job,
    Phase,
    Preview,
    Saved,
    Step,
    Trained,
    TrainsOn,
    Warned,
)
from trainer.models.base import Bundle, Conditioning
from trainer.models.placement import dtype_of
from trainer.networks.files import file
from trainer.networks.files.settings import load_settings
from trainer.reports.account import lines_of
from trainer.reports.log import CSVLog, read_log
from trainer.text.messages import literal

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

BEFORE_TRAINING = ("loading the model", "encoding the prompts", "encoding the prompts to keep")


def job(model: Path, **changes: object) -> Job:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        network_rank=2, network_alpha=2.0, network_element="CrossAttention", network_blocks=("IN01", "M00", "OUT03"),
        train_iterations=4, train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="x",
        effect_strip=False,
    )  # fmt: skip
    return Job.create(replace(settings, **changes), CREATED)


def collect(
    given: Job, host: Standalone, control: Control | None = None, react=lambda event: None
) -> tuple[Done, list[Event]]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        react(event)

    return run(given, host, control or Control(), emit), events


def header(path: Path) -> tuple[dict[str, str], list[str]]:
    with safe_open(str(path), "pt") as opened:
        return opened.metadata(), sorted(opened.keys())


def test_a_run_begins_with_an_account_of_its_data_and_keeps_it(model: Path, host: Standalone, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(folder / f"{number}.png")
    changes = {"mode": "LoRA", "lora_data_directory": str(folder), "image_min_length": 64}
    _, events = collect(job(model, **changes), host)
    kinds = [type(event) for event in events]
    assert kinds.index(Account) < kinds.index(TrainsOn)
    account = events[kinds.index(Account)]
    assert str(account.rows[0].text) == f"2 images in {folder}"
    odd = [str(row.text) for row in account.rows if row.is_odd]
    assert odd[0].startswith("No image has a caption, and there is no trigger word")
    assert odd[1].startswith("The model is made for 512 x 512, and 64 x 64 is much smaller")
    (kept,) = host.folders.data.glob("runs/*/x-*.txt")
    assert kept.read_text("utf-8").splitlines() == lines_of(account)


def test_events_tell_the_whole_story(model: Path, host: Standalone) -> None:
    done, events = collect(job(model), host)
    assert done == Done(host.folders.loras / "x.safetensors", 4, stopped=False)
    phases = [str(event.message) for event in events if isinstance(event, Phase)]
    assert phases == [*BEFORE_TRAINING, "training", "saving", "measuring the effect"]
    assert [event.number for event in events if isinstance(event, Step)] == [1, 2, 3, 4]
    assert [type(event) for event in events[-5:]] == [Saved, Trained, Phase, Effect, Done]
    assert events[-5] == Saved(done.path, 4)
    assert events[-4] == Trained(done.path, 4, stopped=False)
    assert events[-1] == done
    assert [str(event.message) for event in events if isinstance(event, Warned)] == [
        "U-Net, VAE, text encoder: stored as fp16, copied to fp32 because the CPU computes in it."
    ]


def test_what_the_file_holds(model: Path, host: Standalone) -> None:
    done, _ = collect(job(model, save_precision="bf16"), host)
    metadata, keys = header(done.path)
    assert len(keys) == 3 * 3 * 4
    with safe_open(str(done.path), "pt") as opened:
        assert {opened.get_tensor(key).dtype for key in keys} == {torch.bfloat16}
        up = [opened.get_tensor(key).float().abs().sum().item() for key in keys if "lora_up" in key]
    assert all(amount > 0 for amount in up)
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["ss_output_name"] == "x"
    assert metadata["ss_seed"] == "3"
    assert metadata["ss_session_id"].isdigit()
    assert json.loads(metadata["trainyard_settings"])["original prompt"] == "red"
    for key, value in metadata.items():
        if value.startswith("{"):
            assert isinstance(json.loads(value), dict), key


def test_the_same_job_gives_the_same_file(model: Path, host: Standalone, tmp_path: Path) -> None:
    first = collect(job(model), host)[0].path.read_bytes()
    torch.manual_seed(123)  # the world around it does not matter
    elsewhere = Standalone(host.device, replace(host.folders, loras=tmp_path / "elsewhere"))
    sampled = job(model)
    assert collect(sampled, elsewhere)[0].path.read_bytes() == first
    other = Standalone(host.device, replace(host.folders, loras=tmp_path / "other"))
    assert collect(job(model, train_seed=4), other)[0].path.read_bytes() != first


def test_sample_pictures_do_not_change_what_is_trained(model: Path, host: Standalone, tmp_path: Path) -> None:
    plain, _ = collect(job(model), host)
    elsewhere = Standalone(host.device, replace(host.folders, loras=tmp_path / "elsewhere"))
    changes = {"sample_prompt": "red", "sample_every_steps": 2, "sample_strengths": (0.0, 1.0)}
    sampled, events = collect(job(model, **changes), elsewhere)
    pictures = [event for event in events if isinstance(event, Preview)]
    assert [(event.step, event.path.name) for event in pictures] == [(2, "000002_+0.png"), (2, "000002_+1.png")]
    with Image.open(pictures[0].path) as picture:
        assert picture.size == (64, 64)
    assert pictures[0].path.read_bytes() != pictures[1].path.read_bytes()
    with safe_open(str(plain.path), "pt") as one, safe_open(str(sampled.path), "pt") as two:
        assert all(torch.equal(one.get_tensor(key), two.get_tensor(key)) for key in one.keys())  # noqa: SIM118


def test_a_failing_sample_never_ends_the_run(model: Path, host: Standalone) -> None:
    host.folders.samples("x", CREATED).parent.mkdir(parents=True)
    host.folders.samples("x", CREATED).write_text("in the way")
    done, events = collect(job(model, sample_every_steps=1), host)
    assert done.steps == 4
    assert done.path.exists()
    warnings = [str(event.message) for event in events if isinstance(event, Warned)]
    assert sum("No preview at step" in warning for warning in warnings) == 3


def test_seed_minus_one_is_drawn_once_and_recorded(model: Path) -> None:
    one, two = job(model, train_seed=-1), job(model, train_seed=-1)
    assert one.settings.train_seed >= 0
    assert one.settings.train_seed != two.settings.train_seed


def test_a_lora_file_is_its_own_preset(model: Path, host: Standalone) -> None:
    given = job(model, save_lora_name="again", train_optimizer="CAME")
    done, _ = collect(given, host)
    parsed = load_settings(str(done.path), [])
    assert parsed.settings == given.settings
    assert parsed.unknown == ()


def test_saves_on_the_way(model: Path, host: Standalone) -> None:
    _, events = collect(job(model, save_per_steps=2, train_iterations=5), host)
    saved = [(event.path.name, event.step) for event in events if isinstance(event, Saved)]
    assert saved == [("x_2steps.safetensors", 2), ("x_4steps.safetensors", 4), ("x.safetensors", 5)]
    assert header(host.folders.loras / "x_2steps.safetensors")[0]["ss_steps"] == "2"


def test_json_and_csv_when_asked_for(model: Path, host: Standalone) -> None:
    given = job(model, save_as_json=True, logging_save_csv=True)
    collect(given, host)
    data = host.folders.data
    saved = data / "jsons" / "20260102" / "x-20260102_030405.json"
    assert presets.load(str(saved), []).settings == given.settings
    log = read_log(data / "logs" / "20260102" / "x-20260102_030405.csv")
    assert list(log.head) == [
        "network_rank", "network_alpha", "train_learning_rate", "train_iterations", "train_lr_scheduler",
        "model_version", "train_optimizer", "save_lora_name",
    ]  # fmt: skip
    assert log.head["save_lora_name"] == "x"
    assert list(log.rows.columns) == ["Step", "Loss", "Learning Rate 1"]
    assert log.rows["Step"].tolist() == [1, 2, 3, 4]
    assert log.rows["Learning Rate 1"].iloc[0] == pytest.approx(1e-2)


def test_every_run_keeps_a_log_and_its_account_but_no_more(model: Path, host: Standalone) -> None:
    collect(job(model), host)
    data = host.folders.data
    found = sorted((path.relative_to(data).parts[0], path.suffix) for path in data.rglob("*.*"))
    assert found == [("runs", ".csv"), ("runs", ".txt")]


def test_text_encoder_is_trained_when_asked_for(model: Path, host: Standalone) -> None:
    blocks = ("BASE", "M00")
    done, _ = collect(job(model, network_train_text_encoder=True, network_blocks=blocks), host)
    keys = header(done.path)[1]
    assert sum(key.startswith("lora_te_text_model_encoder_layers_") for key in keys) == 3 * 12
    log = read_log(host.folders.run_log("x", CREATED))
    assert "Learning Rate 2" in log.rows.columns
    quiet, _ = collect(job(model, network_blocks=blocks, save_lora_name="y"), host)
    assert not any(key.startswith("lora_te") for key in header(quiet.path)[1])


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradient_checkpointing_trains_the_same(
    model: Path, host: Standalone, tmp_path: Path, checkpointing: bool
) -> None:
    done, _ = collect(job(model, use_gradient_checkpointing=checkpointing, save_precision="fp32"), host)
    with safe_open(str(done.path), "pt") as opened:
        total = sum(opened.get_tensor(key).abs().sum().item() for key in opened.keys() if "lora_up" in key)  # noqa: SIM118
    plain, _ = collect(job(model, save_precision="fp32", save_lora_name="plain"), host)
    with safe_open(str(plain.path), "pt") as opened:
        wanted = sum(opened.get_tensor(key).abs().sum().item() for key in opened.keys() if "lora_up" in key)  # noqa: SIM118
    assert total == pytest.approx(wanted, rel=1e-4)


# ---- stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["loading the model", "encoding the prompts", "training"])
def test_stop_in_every_phase(model: Path, host: Standalone, phase: str) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Phase) and str(event.message) == phase:
            control.stop()

    done, events = collect(job(model), host, control, react)
    assert done.stopped
    assert done.path is None
    assert not any(isinstance(event, Step | Saved) for event in events)
    assert not host.folders.loras.exists()


def test_stop_while_sampling(model: Path, host: Standalone) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Preview):
            control.stop()

    done, events = collect(job(model, sample_every_steps=2), host, control, react)
    assert done == Done(None, 2, stopped=True)
    assert sum(isinstance(event, Preview) for event in events) == 1


def test_stop_and_save_from_another_thread(model: Path, host: Standalone) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            thread = threading.Thread(target=control.stop_and_save)
            thread.start()
            thread.join()

    done, events = collect(job(model, train_iterations=50), host, control, react)
    assert done == Done(host.folders.loras / "x.safetensors", 2, stopped=True)
    metadata, _ = header(done.path)
    assert metadata["ss_steps"] == "2"
    assert metadata["ss_max_train_steps"] == "50"
    assert sum(isinstance(event, Step) for event in events) == 2


def test_stop_and_save_before_the_first_step_saves_nothing(model: Path, host: Standalone) -> None:
    control = Control()
    control.stop_and_save()
    done, _ = collect(job(model), host, control)
    assert done == Done(None, 0, stopped=True)
    assert not host.folders.loras.exists()


# ---- going wrong ---------------------------------------------------------------------------------


def test_a_learning_rate_far_too_high_stops_and_saves_nothing_broken(model: Path, host: Standalone) -> None:
    given = job(model, train_learning_rate=1e30, train_lr_scheduler="constant", train_iterations=30)
    events: list[Event] = []
    with pytest.raises(DivergedError, match=r"step \d+"):
        run(given, host, Control(), events.append)
    assert isinstance(events[-1], Failed)
    assert not list(host.folders.loras.glob("*")) if host.folders.loras.exists() else True
    done, _ = collect(job(model), host)  # the next job runs
    assert done.path.exists()


def test_numbers_too_large_for_the_files_precision_are_not_saved(model: Path, host: Standalone) -> None:
    given = job(model, train_learning_rate=3e5, train_iterations=1, train_lr_scheduler="constant")
    with pytest.raises(DivergedError, match="hold NaN or infinite values in the file's precision"):
        collect(given, host)
    assert not host.folders.loras.exists()


def test_all_wrong_settings_at_once(host: Standalone) -> None:
    with pytest.raises(SettingsError) as caught:
        check(job(Path("none"), original_prompt="", network_blocks=("IN00",)), host)
    assert "original prompt" in str(caught.value)


def test_a_taken_name_is_refused_before_anything_is_loaded(model: Path, host: Standalone) -> None:
    taken = host.folders.loras / "x.safetensors"
    taken.parent.mkdir(parents=True)
    taken.write_text("precious")
    events: list[Event] = []
    with pytest.raises(OutputError, match=r"x\.safetensors is already there"):
        run(job(model), host, Control(), events.append)
    assert [type(event) for event in events] == [Failed]
    assert taken.read_text() == "precious"
    done, _ = collect(job(model, save_overwrite=True), host)
    assert done.path == taken
    assert taken.stat().st_size > 1000


def test_a_name_taken_meanwhile_gets_a_suffix(model: Path, host: Standalone) -> None:
    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 1:
            host.folders.loras.mkdir(parents=True)
            (host.folders.loras / "x.safetensors").write_text("somebody else's")

    done, _ = collect(job(model), host, react=react)
    assert done.path.name == "x_2.safetensors"
    assert (host.folders.loras / "x.safetensors").read_text() == "somebody else's"


def test_no_model(host: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    given = job(Path("x"))
    given = replace(given, settings=replace(given.settings, model=""))
    folder = re.escape(str(host.folders.models))
    with pytest.raises(
        UserError, match=f"model: No model is chosen, and there is none in {folder}. Put a checkpoint"
    ) as told:
        check(given, host)
    assert str(standalone.TOY) in str(told.value)
    assert standalone.TOY.is_file()
    monkeypatch.setattr(standalone, "TOY", host.folders.models / "nothing")
    with pytest.raises(UserError, match="or give the path of its file\\.$"):
        check(given, host)
    host.folders.models.mkdir(exist_ok=True)
    (host.folders.models / "there.safetensors").touch()
    with pytest.raises(UserError, match="model: No model is chosen. Choose one, or give the path of its file"):
        check(given, host)
    with pytest.raises(UserError, match=r"model: There is no file nowhere\.safetensors"):
        check(job(Path("nowhere.safetensors")), host)


def test_a_finished_lora_is_not_lost_to_a_full_disk(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = file.write_whole

    def full(path: Path, pieces: list[bytes], *, overwrite: bool = False) -> Path:
        if path.parent == host.folders.loras:
            raise OutputError(literal("could not be written (No space left on device)."), where=str(path))
        return write(path, pieces, overwrite=overwrite)

    monkeypatch.setattr(file, "write_whole", full)
    done, events = collect(job(model, save_per_steps=2), host)
    assert done.path == host.folders.data / "rescued" / "x.safetensors"
    assert header(done.path)[0]["ss_steps"] == "4"
    warnings = [str(event.message) for event in events if isinstance(event, Warned)]
    assert sum("No space left" in warning for warning in warnings) == 2  # on the way, and at the end
    assert f"it is in {done.path}" in warnings[-1]


def test_a_log_that_cannot_be_written_does_not_end_the_run(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_log: CSVLog, event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(CSVLog, "__call__", full)
    done, events = collect(job(model), host)
    assert done.steps == 4
    assert done.path.exists()
    assert sum("the log ends here" in str(event.message) for event in events if isinstance(event, Warned)) == 1


def test_short_memory_is_a_sentence(model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_arguments: object, **_options: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate …")

    monkeypatch.setattr(passes, "train", short)
    events: list[Event] = []
    with pytest.raises(UserError, match=r"There is not enough memory\. Turn on gradient checkpointing"):
        run(job(model), host, Control(), events.append)
    assert isinstance(events[-1], Failed)


def test_a_folder_that_is_a_file_is_refused_before_anything_is_loaded(model: Path, host: Standalone) -> None:
    host.folders.loras.write_text("")
    events: list[Event] = []
    with pytest.raises(OutputError, match="cannot be written to"):
        run(job(model), host, Control(), events.append)
    assert [type(event) for event in events] == [Failed]


@pytest.mark.parametrize(("trains_text", "calls"), [(False, 3), (True, 3 + 4 + 2)])
def test_prompts_are_encoded_once_unless_the_text_encoder_is_trained(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch, trains_text: bool, calls: int
) -> None:
    seen: list[str] = []
    encode = Bundle.encode

    def counted(bundle: Bundle, prompts: list[str], **options: object) -> Conditioning:
        seen.extend(prompts)
        return encode(bundle, prompts, **options)

    monkeypatch.setattr(Bundle, "encode", counted)
    monkeypatch.setattr(passes, "same_words", lambda *_: {})  # it encodes other words as well, before the training
    collect(job(model, network_train_text_encoder=trains_text, network_blocks=("BASE", "M00")), host)
    assert len(seen) == calls  # the empty prompt is held in the first step and in the last
    assert seen.count("blue") == 1
    assert seen.count("") == (3 if trains_text else 1)


def test_network_strength_multiplies_the_saved_update(model: Path, host: Standalone) -> None:
    plain, _ = collect(job(model, save_precision="fp32"), host)
    strong, _ = collect(job(model, save_precision="fp32", network_strength=-4.0, save_lora_name="strong"), host)
    with safe_open(str(plain.path), "pt") as one, safe_open(str(strong.path), "pt") as two:
        names = {key.split(".")[0] for key in one.keys()}  # noqa: SIM118
        for name in names:
            down, up = (f"{name}.lora_{part}.weight" for part in ("down", "up"))
            update = one.get_tensor(up).flatten(1) @ one.get_tensor(down).flatten(1)
            scaled = two.get_tensor(up).flatten(1) @ two.get_tensor(down).flatten(1)
            torch.testing.assert_close(scaled, -4.0 * update)


class Lender(Standalone):
    """A host that counts what it lends and gets back."""

    lent = returned = 0

    def take_model(self, settings: Settings, check: Callable[[], None] | None = None) -> Bundle:
        self.lent += 1
        return super().take_model(settings, check)

    def give_back(self) -> None:
        self.returned += 1


@pytest.mark.parametrize("end", ["done", "stopped", "diverged", "crashed"])
def test_the_host_gets_its_model_back_however_the_run_ends(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    lender, control = Lender(host.device, host.folders), Control()

    def react(event: Event) -> None:
        if end == "stopped" and isinstance(event, Step):
            control.stop()
        if end == "crashed" and isinstance(event, Step):
            raise RuntimeError("a bug")

    rate = 1e30 if end == "diverged" else 1e-2
    given = job(model, train_learning_rate=rate, train_lr_scheduler="constant")
    ended: type[Exception] | None = {"diverged": DivergedError, "crashed": RuntimeError}.get(end)
    if ended:
        with pytest.raises(ended):
            collect(given, lender, control, react)
    else:
        collect(given, lender, control, react)
    assert (lender.lent, lender.returned) == (1, 1)


@pytest.mark.parametrize("trains_text", [False, True])
def test_an_untrained_text_encoder_leaves_the_device_before_training(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch, trains_text: bool
) -> None:
    story: list[str] = []
    monkeypatch.setattr(passes, "text_to", lambda _bundle, device: story.append(f"text to {device}"))

    def react(event: Event) -> None:
        if isinstance(event, Phase):
            story.append(str(event.message))

    collect(job(model, network_train_text_encoder=trains_text, network_blocks=("BASE", "M00")), host, react=react)
    moved = [] if trains_text else ["text to cpu"]
    assert story == [*BEFORE_TRAINING, *moved, "training", "saving", "measuring the effect"]


def test_verbose_tells_more_and_changes_nothing(model: Path, host: Standalone, tmp_path: Path) -> None:
    _, quiet = collect(job(model), host)
    assert not any(isinstance(event, Detail) for event in quiet)
    elsewhere = Standalone(host.device, replace(host.folders, loras=tmp_path / "elsewhere"))
    _, events = collect(job(model, logging_verbose=True), elsewhere)
    told = [str(event.message) for event in events if isinstance(event, Detail)]
    assert "small.safetensors: Stable Diffusion 1, epsilon" in told[0]
    assert "12 modules" in told[1]
    assert [line.partition(":")[0] for line in told[2:]] == ["step 1", "step 2", "step 3", "step 4"]
    assert [event for event in events if isinstance(event, Step)] == [
        event for event in quiet if isinstance(event, Step)
    ]


def test_v_prediction_on_demand(model: Path, host: Standalone, tmp_path: Path) -> None:
    """A velocity model's Min-SNR weight is another one, and the file says what it was trained as."""
    noise, eps = collect(job(model), host)
    elsewhere = Standalone(host.device, replace(host.folders, loras=tmp_path / "elsewhere"))
    velocity, v = collect(job(model, prediction="velocity"), elsewhere)
    assert header(noise.path)[0]["modelspec.prediction_type"] == "epsilon"
    assert header(velocity.path)[0]["modelspec.prediction_type"] == "v"
    losses = [[event.loss for event in events if isinstance(event, Step)] for events in (eps, v)]
    assert all(one != two for one, two in zip(*losses, strict=True))


def test_images_are_encoded_before_the_rest_of_the_model_is_there(
    host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that VAE and denoiser need not be on a card together: till then, its weights are those in the file."""
    path = small_checkpoint(tmp_path, dtype=torch.float16)
    for number in range(2):
        Image.new("RGB", (64, 64), (90 * number, 0, 0)).save(tmp_path / f"{number}.png")
    take, bundles = host.take_model, list[Bundle]()
    monkeypatch.setattr(host, "take_model", lambda *given: bundles.append(take(*given)) or bundles[-1])
    seen: dict[str, set[tuple[torch.dtype, torch.dtype]]] = {}

    def look(event: Event) -> None:
        if isinstance(event, Phase) and bundles:
            found = dtype_of(bundles[0].vae), dtype_of(bundles[0].denoiser)
            seen.setdefault(str(event.message), set()).add(found)

    given = {"mode": "LoRA", "lora_data_directory": str(tmp_path), "image_min_length": 64, "image_buckets_step": 64}
    done, _ = collect(job(path, **given, data_cache=0.0), host, react=look)
    assert done.path is not None
    assert seen["encoding the images"] == {(torch.float32, torch.float16)}
    assert seen["training"] == {(torch.float32, torch.float32)}
