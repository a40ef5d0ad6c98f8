"""What a WebUI's adapter promises, held by the doubles of all of them: the model is lent, and comes back as it was."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.helpers.checkpoints import write_safetensors
from tests.helpers.some_networks import some_network
from tests.hosts.doubles.a1111 import A1111Double
from tests.hosts.doubles.base import Double, checkpoint, read
from tests.hosts.doubles.forge import ForgeDouble, NeoDouble, ReForgeDouble
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.host import ImageRequest
from trainer.engine.run import run
from trainer.errors import MemoryShortError, Stopped, UserError
from trainer.hosts.webui.host import WebUI
from trainer.hosts.webui.registry import make_webui
from trainer.job import Control, Done, Effect, Event, Job, Paused, Phase, Preview, Saved, Step, Warned
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.models.registry import load_bundle
from trainer.networks.files import file
from trainer.text.messages import message

DOUBLES: tuple[type[Double], ...] = (A1111Double, ForgeDouble, NeoDouble, ReForgeDouble)
WAIT = 60.0


@pytest.fixture(params=DOUBLES, ids=lambda each: each.name)
def double(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Double]:
    made: Double = request.param(tmp_path / "host")
    with made.around():
        yield made


@pytest.fixture
def host(double: Double) -> WebUI:
    return adapter_of(double)


def adapter_of(double: Double) -> WebUI:
    module, name = double.adapter.split(":")
    found: WebUI = getattr(importlib.import_module(f"trainer.hosts.webui.{module}"), name)()
    return found


def settings_of(mode: str, tmp_path: Path, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "mode": mode, "save_lora_name": "new", "train_iterations": 3, "image_size": Size(64, 64), "network_rank": 2,
        "network_alpha": 2.0, "train_learning_rate": 1e-2, "train_optimizer": "AdamW", "train_seed": 4,
        "effect_strip": False,
    }  # fmt: skip
    if mode == "iLECO":
        given |= {"original_prompt": "a red circle", "target_prompt": "a blue circle"}
    if mode == "LoRA":
        folder = tmp_path / "pictures"
        if not folder.exists():
            folder.mkdir()
            for number in range(2):
                _noise(number).save(folder / f"{number}.png")
                (folder / f"{number}.txt").write_text("a (red:1.3) circle")
        given["lora_data_directory"] = str(folder)
    if mode == "ADDifT":
        for side, number in (("original", 0), ("target", 1)):
            path = tmp_path / f"{side}.png"
            _noise(number).save(path)
            given[f"{side}_image"] = str(path)
    return Settings(**{**given, **changes})


def _noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8))


class Told(list[Event]):
    """Everything a run said; something may be done at each event."""

    def __init__(self, react: Any = None) -> None:
        super().__init__()
        self._react = react

    def __call__(self, event: Event) -> None:
        self.append(event)
        if self._react is not None:
            self._react(event)

    @property
    def warnings(self) -> str:
        return "\n".join(str(event.message) for event in self if isinstance(event, Warned))


def trained(host: WebUI, settings: Settings, told: Told | None = None, control: Control | None = None) -> Done:
    return run(Job.create(settings), host, control or Control(), told if told is not None else Told())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_host_is_known(double: Double, host: WebUI) -> None:
    assert type(make_webui()) is type(host)


# ---- the model is lent ----------------------------------------------------------------------------------------------


def test_the_modules_share_the_hosts_storage(double: Double, host: WebUI) -> None:
    theirs = {tensor.data_ptr() for tensor in double.weights().values()}
    bundle = host.take_model(Settings())
    ours = [parameter for module in bundle.modules.values() for parameter in module.parameters()]
    assert ours
    assert all(parameter.data_ptr() in theirs for parameter in ours)
    assert not any(parameter.is_inference() or parameter.requires_grad for parameter in ours)
    host.give_back()
    assert not double.lock.is_held


@pytest.mark.parametrize("mode", ["LoRA", "iLECO", "ADDifT"])
def test_a_run_leaves_the_host_as_it_was(double: Double, host: WebUI, tmp_path: Path, mode: str) -> None:
    before, marks, weights = double.generate(), double.marks(), double.copies()
    done = trained(host, settings_of(mode, tmp_path))
    assert done.path is not None
    assert done.path.parent == double.loras
    assert same(weights, double.copies())
    assert marks == double.marks()
    assert np.array_equal(before, double.generate())
    assert not double.lock.is_held
    assert (double.state.job, double.state.job_count, double.state.textinfo) == ("", 0, None)


def test_what_a_run_leaves_is_collected_while_the_host_loads_nothing(
    double: Double, host: WebUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.generate()
    held: list[bool] = []
    monkeypatch.setattr(gc, "collect", lambda *_: held.append(double.lock.is_held))
    worker = Worker(Store(host.folders), lambda: host)
    try:
        worker.store.add(settings_of("iLECO", tmp_path))
        worker.start()
        assert worker.join(WAIT)
    finally:
        worker.close()
        worker.store.close()
    assert held
    assert all(held)


@pytest.mark.parametrize("end", ["stopped", "error", "memory"])
def test_a_run_that_breaks_off_leaves_it_as_well(double: Double, host: WebUI, tmp_path: Path, end: str) -> None:
    before, marks, weights, control = double.generate(), double.marks(), double.copies(), Control()

    def react(event: Event) -> None:
        if isinstance(event, Step):
            if end == "stopped":
                control.stop()
            if end == "error":
                raise RuntimeError("a mistake of ours")
            if end == "memory":
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    settings, told = settings_of("iLECO", tmp_path, train_iterations=50), Told(react)
    if end == "stopped":
        assert trained(host, settings, told, control).stopped
    else:
        with pytest.raises(RuntimeError if end == "error" else MemoryShortError):
            trained(host, settings, told)
    assert same(weights, double.copies())
    assert marks == double.marks()
    assert not double.lock.is_held
    assert np.array_equal(before, double.generate())
    assert (double.state.job, double.state.job_count) == ("", 0)


def test_no_model_no_lock(double: Double, host: WebUI, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file nothing"):
        trained(host, settings_of("iLECO", tmp_path, model="nothing.safetensors"))
    assert not double.lock.is_held
    assert double.state.begun == 0


def test_clip_skip_is_the_hosts(double: Double, host: WebUI) -> None:
    bundle = host.take_model(Settings())
    with torch.no_grad():
        last = bundle.encode(["a red circle"]).sequence
        double.options["CLIP_stop_at_last_layers"] = 2
        second_last = bundle.encode(["a red circle"]).sequence
        ours = bundle.family.encode(bundle, ["a red circle"], clip_skip=2).sequence
    host.give_back()
    assert not torch.equal(last, second_last)
    torch.testing.assert_close(second_last, ours, atol=1e-3, rtol=0)


def test_clip_skip_is_what_the_run_says(double: Double, host: WebUI) -> None:
    """For the while; the host's user has chosen another one, or none."""
    bundle = host.take_model(Settings())
    bundle.clip_skip = 2
    with torch.no_grad():
        found = bundle.encode(["a red circle"]).sequence
        assert double.options["CLIP_stop_at_last_layers"] == 1
        del double.options["CLIP_stop_at_last_layers"]
        bundle.encode(["a red circle"])
        assert "CLIP_stop_at_last_layers" not in double.options
        double.options["CLIP_stop_at_last_layers"] = 1
        ours = bundle.family.encode(bundle, ["a red circle"], clip_skip=2).sequence
    host.give_back()
    torch.testing.assert_close(found, ours, atol=1e-3, rtol=0)


# ---- LoRAs of the host's own images -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def some_lora(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A LoRA file that changes images, of the network that :func:`settings_of` trains."""
    folder = tmp_path_factory.mktemp("lora")
    model = folder / "same.safetensors"
    model.write_bytes(checkpoint("SD1", 0))
    network = some_network(load_bundle(model), settings_of("iLECO", folder))
    return file.save(folder / "some.safetensors", network.tensors(), {}).read_bytes()


@pytest.fixture
def old(double: Double, some_lora: bytes) -> Path:
    """A LoRA in the host's folder that changes its images."""
    path = double.loras / "old.safetensors"
    path.write_bytes(some_lora)
    return path


def test_a_lora_in_the_hosts_weights_is_not_trained_on(double: Double, host: WebUI, tmp_path: Path, old: Path) -> None:
    clean, plain = double.copies(), double.generate()
    with_lora = double.generate("a red circle <lora:old:1>")
    assert not np.array_equal(plain, with_lora)
    bundle = host.take_model(Settings())
    taken = {parameter.data_ptr(): parameter.detach().clone() for parameter in bundle.denoiser.parameters()}
    for name, tensor in double.weights().items():
        if tensor.data_ptr() in taken:
            assert torch.equal(clean[name].flatten(), taken[tensor.data_ptr()].flatten()), name
    host.give_back()
    assert np.array_equal(with_lora, double.generate("a red circle <lora:old:1>"))
    assert np.array_equal(plain, double.generate())


def test_a_new_lora_of_an_old_name_is_the_new_one(double: Double, host: WebUI, tmp_path: Path, old: Path) -> None:
    first = double.generate("a red circle <lora:old:1>")
    settings = settings_of("iLECO", tmp_path, save_lora_name="old", save_overwrite=True, train_seed=99)
    done = trained(host, settings)
    assert done.path == old
    second = double.generate("a red circle <lora:old:1>")
    assert not np.array_equal(first, second)
    # A name the host has never seen has to give the same image.
    (old.parent / "fresh.safetensors").write_bytes(old.read_bytes())
    assert np.array_equal(second, double.generate("a red circle <lora:fresh:1>"))


def test_prompts_encoded_with_an_old_lora_are_encoded_anew(double: Double, host: WebUI) -> None:
    layer = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    rows, columns = double.weights()["cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"].shape

    def write(name: str, seed: int) -> None:
        made = torch.Generator().manual_seed(seed)
        up, down = torch.randn(rows, 2, generator=made), torch.randn(2, columns, generator=made)
        tensors = {
            f"{layer}.lora_up.weight": up,
            f"{layer}.lora_down.weight": down,
            f"{layer}.alpha": torch.tensor(2.0),
        }
        write_safetensors(double.loras / "beside", tensors).replace(double.loras / f"{name}.safetensors")

    write("words", 1)
    first = double.generate("a red circle <lora:words:1>")
    write("words", 2)
    host.lock.take()
    host.saved(double.loras / "words.safetensors")
    host.lock.leave()
    second = double.generate("a red circle <lora:words:1>")
    assert not np.array_equal(first, second)
    write("others", 2)
    assert np.array_equal(second, double.generate("a red circle <lora:others:1>"))


def test_a_new_lora_is_listed_without_a_restart(double: Double, host: WebUI, tmp_path: Path) -> None:
    trained(host, settings_of("iLECO", tmp_path, save_lora_name="sub/listed"))
    assert "listed" in double.listed()


# ---- the turn -------------------------------------------------------------------------------------------------------


class Waiting:
    """A generation that somebody asks for while a run goes on."""

    def __init__(self, double: Double, prompt: str = "a red circle") -> None:
        self.picture: np.ndarray | None = None
        self._double, self._prompt = double, prompt
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def begin(self) -> None:
        """It stands in line when this returns."""
        self._thread.start()
        ends = time.monotonic() + WAIT
        while not self._double.lock._pending_threads:
            assert time.monotonic() < ends
            time.sleep(0.001)

    def _wait(self) -> None:
        self.picture = self._double.generate(self._prompt)

    def end(self) -> np.ndarray:
        self._thread.join(WAIT)
        assert self.picture is not None
        return self.picture


@pytest.mark.parametrize("prompt", ["a red circle", "a red circle <lora:old:1>"])
def test_a_picture_that_waits_is_made_at_the_next_step(
    double: Double, host: WebUI, tmp_path: Path, old: Path, prompt: str
) -> None:
    alone, plain = double.generate(prompt), double.generate()
    waiting, at, made = Waiting(double, prompt), [], []

    def react(event: Event) -> None:
        if isinstance(event, Step):
            at.append(event.number)
            made.append(waiting.picture is not None)
            if event.number == 2:
                waiting.begin()

    told = Told(react)
    settings = settings_of("iLECO", tmp_path, train_iterations=4)
    first = trained(host, settings, told)
    assert made == [False, False, True, True]
    assert np.array_equal(alone, waiting.end())
    # The run has not noticed, whatever LoRA the host had put into the weights that both use.
    assert np.array_equal(plain, double.generate())
    undisturbed = trained(host, settings_of("iLECO", tmp_path, train_iterations=4, save_lora_name="again"))
    assert first.path is not None
    assert undisturbed.path is not None
    assert same(read(first.path), read(undisturbed.path))


@pytest.mark.more
def test_images_are_encoded_in_each_step_with_the_hosts_vae(
    double: Double, host: WebUI, tmp_path: Path, old: Path
) -> None:
    """Also after somebody else had the model between two steps."""
    plain, weights, waiting = double.generate(), double.copies(), Waiting(double, "a red circle <lora:old:1>")

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            waiting.begin()

    changes = {"train_iterations": 4, "image_color_augmentation": True, "image_random_flip": True}
    first = trained(host, settings_of("LoRA", tmp_path, **changes), Told(react))
    waiting.end()
    assert np.array_equal(plain, double.generate())
    assert same(weights, double.copies())
    undisturbed = trained(host, settings_of("LoRA", tmp_path, **changes, save_lora_name="again"))
    still = trained(host, settings_of("LoRA", tmp_path, train_iterations=4, save_lora_name="still"))
    paths = [each.path for each in (first, undisturbed, still)]
    files = [read(path) for path in paths if path is not None]
    assert same(files[0], files[1])
    assert not same(files[0], files[2])


def test_a_picture_does_not_wait_for_the_strip_at_the_end(double: Double, host: WebUI, tmp_path: Path) -> None:
    waiting, made = Waiting(double), []

    def react(event: Event) -> None:
        if isinstance(event, Phase) and str(event.message) == "measuring the effect":
            made.append(waiting.picture is not None)
            if len(made) == 2:
                waiting.begin()

    told = Told(react)
    trained(host, settings_of("iLECO", tmp_path, train_iterations=1, effect_strip=True), told)
    assert made[:2] == [False, False]
    assert made[2:] == [True] * len(made[2:])
    assert any(isinstance(event, Effect) and event.strip is not None for event in told)


def test_training_first_if_the_user_says_so(double: Double, host: WebUI, tmp_path: Path) -> None:
    double.options["trainyard_training_first"] = True
    waiting, made = Waiting(double), []

    def react(event: Event) -> None:
        if isinstance(event, Step):
            made.append(waiting.picture is not None)
            if event.number == 1:
                waiting.begin()

    trained(host, settings_of("iLECO", tmp_path), Told(react))
    assert made == [False, False, False]
    waiting.end()


def test_the_hosts_interrupt_is_not_ours(double: Double, host: WebUI, tmp_path: Path) -> None:
    def react(event: Event) -> None:
        if isinstance(event, Step):
            double.state.interrupt()

    assert trained(host, settings_of("iLECO", tmp_path), Told(react)).steps == 3


def test_the_hosts_progress_shows_the_run(double: Double, host: WebUI, tmp_path: Path) -> None:
    shown = []

    def react(event: Event) -> None:
        if isinstance(event, Step):
            shown.append((double.state.job, double.state.job_no, double.state.job_count, double.state.textinfo))

    trained(host, settings_of("iLECO", tmp_path), Told(react))
    assert shown[1:] == [("Trainyard", number, 3, f"Trainyard: new, training {number} of 3") for number in (1, 2)]


def test_pictures_are_made_in_a_pause(double: Double, host: WebUI, tmp_path: Path, old: Path) -> None:
    plain, control, made = double.generate(), Control(), []
    undisturbed = trained(host, settings_of("iLECO", tmp_path, train_iterations=4))

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            control.pause()
        if isinstance(event, Paused):
            assert not double.lock.is_held
            made.extend([double.generate(), double.generate("a red circle <lora:old:1>")])
            control.resume()

    settings = settings_of("iLECO", tmp_path, train_iterations=4, save_lora_name="paused")
    paused = trained(host, settings, Told(react), control)
    assert np.array_equal(plain, made[0])
    assert not np.array_equal(plain, made[1])
    assert undisturbed.path is not None
    assert paused.path is not None
    assert same(read(undisturbed.path), read(paused.path))
    assert not double.lock.is_held


class Long:
    """A generation that has the lock until it is told to end."""

    def __init__(self, double: Double) -> None:
        self._double, self._began, self._ends = double, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def stand_in_line(self) -> None:
        self._thread.start()
        ends = time.monotonic() + WAIT
        while not (self._double.lock._pending_threads or self._began.is_set()):
            assert time.monotonic() < ends
            time.sleep(0.001)

    def begin(self) -> None:
        self.stand_in_line()
        self.wait_for_begin()

    def wait_for_begin(self) -> None:
        assert self._began.wait(WAIT)

    def end(self) -> None:
        assert self._double.lock.is_held
        self._ends.set()
        self._thread.join(WAIT)

    def _work(self) -> None:
        with self._double.lock:
            self._began.set()
            assert self._ends.wait(WAIT)


class Beside:
    """A run in a thread of its own."""

    def __init__(self, host: WebUI, settings: Settings, told: Told, control: Control) -> None:
        self._done: Done | None = None
        self._thread = threading.Thread(target=self._work, args=(host, settings, told, control), daemon=True)
        self._thread.start()

    def _work(self, *given: Any) -> None:
        self._done = trained(*given)

    @property
    def goes_on(self) -> bool:
        self._thread.join(0.5)
        return self._thread.is_alive()

    def end(self) -> Done:
        self._thread.join(WAIT)
        assert self._done is not None
        return self._done


def comes_free(double: Double) -> None:
    """Who has left the line still takes the lock when it is their turn, to hand it on at once."""
    ends = time.monotonic() + WAIT
    while double.lock.is_held:
        assert time.monotonic() < ends
        time.sleep(0.001)


def ends_well(double: Double, host: WebUI, tmp_path: Path, image: np.ndarray) -> None:
    """What waited and gave up has left nothing: images and runs have their turns."""
    assert np.array_equal(image, double.generate())
    assert trained(host, settings_of("iLECO", tmp_path, save_lora_name="next", train_iterations=1)).path is not None
    comes_free(double)


@pytest.mark.parametrize("button", [Control.stop, Control.stop_and_save])
def test_a_run_that_waits_for_its_model_can_be_stopped(
    double: Double, host: WebUI, tmp_path: Path, button: Callable[[Control], None]
) -> None:
    plain, control, looks, long = double.generate(), Control(), threading.Event(), Long(double)
    long.begin()
    told = Told(lambda event: looks.set() if event == Phase(message("phase.waiting_for_webui")) else None)
    beside = Beside(host, settings_of("iLECO", tmp_path), told, control)
    assert looks.wait(WAIT)
    assert beside.goes_on
    button(control)
    done = beside.end()
    assert (done.stopped, done.path) == (True, None)
    long.end()
    ends_well(double, host, tmp_path, plain)


@pytest.mark.parametrize("saves", [False, True])
def test_a_run_can_be_stopped_while_a_picture_is_made(
    double: Double, host: WebUI, tmp_path: Path, *, saves: bool
) -> None:
    plain, control, long = double.generate(), Control(), Long(double)

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            long.stand_in_line()

    beside = Beside(host, settings_of("iLECO", tmp_path, train_iterations=4), Told(react), control)
    long.wait_for_begin()
    if saves:
        control.stop_and_save()
        assert beside.goes_on  # what is left to do wants the model
        long.end()
    else:
        control.stop()
    done = beside.end()
    assert (done.stopped, done.steps) == (True, 2)
    assert (done.path is not None) == saves
    if not saves:
        long.end()
    ends_well(double, host, tmp_path, plain)


def test_a_run_that_waits_after_a_pause_can_be_stopped(double: Double, host: WebUI, tmp_path: Path) -> None:
    plain, control, long = double.generate(), Control(), Long(double)

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            control.pause()
        if isinstance(event, Paused):
            long.begin()
            control.resume()

    told = Told(react)
    beside = Beside(host, settings_of("iLECO", tmp_path, train_iterations=4), told, control)
    long.wait_for_begin()
    assert beside.goes_on
    control.stop()
    done = beside.end()
    assert (done.stopped, done.steps, done.path) == (True, 2, None)
    long.end()
    ends_well(double, host, tmp_path, plain)


def test_a_picture_of_ours_that_waits_can_be_stopped(double: Double, host: WebUI, old: Path) -> None:
    long, asked = Long(double), []

    def advance(done: int, total: int) -> None:
        asked.append((done, total))
        if len(asked) == 3:
            raise Stopped

    long.begin()
    with pytest.raises(Stopped):
        host.draw(ImageRequest("a red circle", steps=1, size=Size(64, 64), lora=old), advance)
    assert asked == [(0, 0)] * 3
    long.end()
    double.generate()
    comes_free(double)


def test_a_checkpoint_chosen_meanwhile_does_not_end_up_in_the_run(double: Double, host: WebUI, tmp_path: Path) -> None:
    # How a batch of one is rounded depends on where the weights lie in memory, and half of four are two.
    settings = settings_of("iLECO", tmp_path, train_iterations=4, train_batch_size=4)
    undisturbed = trained(host, settings)
    weights = double.copies()

    class Choosing(Waiting):
        def _wait(self) -> None:
            double.switch(double.second)
            self.picture = np.zeros(1)

    choosing = Choosing(double)

    def react(event: Event) -> None:
        if isinstance(event, Step) and event.number == 2:
            choosing.begin()

    told = Told(react)
    disturbed = trained(host, replace(settings, save_lora_name="again"), told)
    choosing.end()
    assert undisturbed.path is not None
    assert disturbed.path is not None
    assert same(read(undisturbed.path), read(disturbed.path))
    assert "The run continues with first.safetensors from its file" in told.warnings
    # The host has what was chosen, and comes back to what it had.
    assert not same(weights, double.copies())
    double.switch(double.first)
    assert same(weights, double.copies())


# ---- another model --------------------------------------------------------------------------------------------------


def test_another_checkpoint_is_read_from_its_file(double: Double, host: WebUI, tmp_path: Path) -> None:
    before, weights = double.generate(), double.copies()
    theirs = {tensor.data_ptr() for tensor in weights.values()}
    bundle = host.take_model(Settings(model=double.second.name))
    assert bundle.path is not None
    assert bundle.path.samefile(double.second)
    assert not any(parameter.data_ptr() in theirs for parameter in bundle.denoiser.parameters())
    host.give_back()
    done = trained(host, settings_of("iLECO", tmp_path, model=double.second.name))
    assert done.path is not None
    assert same(weights, double.copies())
    assert np.array_equal(before, double.generate())


def test_the_loaded_checkpoint_may_be_named(double: Double, host: WebUI) -> None:
    theirs = {tensor.data_ptr() for tensor in double.weights().values()}
    bundle = host.take_model(Settings(model=double.first.name))
    assert all(parameter.data_ptr() in theirs for parameter in bundle.denoiser.parameters())
    host.give_back()


# ---- prompts and images -------------------------------------------------------------------------------------------


def test_plain_prompts_are_encoded_as_by_us(double: Double, host: WebUI) -> None:
    bundle = host.take_model(Settings())
    with torch.no_grad():
        as_host = bundle.encode(["a red circle", ""])
        ours = bundle.encode(["a red circle", ""], literal=True)
    host.give_back()
    torch.testing.assert_close(as_host.sequence, ours.sequence, atol=1e-3, rtol=0)
    assert not as_host.sequence.is_inference()
    assert not torch.equal(as_host.sequence[0], as_host.sequence[1])


def test_emphasis_is_the_hosts_and_captions_have_none(double: Double, host: WebUI) -> None:
    bundle = host.take_model(Settings())
    prompt = "a (red:1.5) circle"
    with torch.no_grad():
        as_host, literal = bundle.encode([prompt]), bundle.encode([prompt], literal=True)
        plain = bundle.encode(["a red circle"])
    host.give_back()
    assert (as_host.sequence - plain.sequence).abs().max() > 0.1
    assert (as_host.sequence - literal.sequence).abs().max() > 0.1


def test_pictures_are_the_hosts_own(double: Double, host: WebUI, old: Path) -> None:
    drawing = ImageRequest("a red circle", seed=3, size=Size(64, 64), lora=old, strengths=(0.0, 1.0))
    without, with_lora = (np.asarray(each) for each in host.draw(drawing, lambda _done, _total: None))
    assert np.array_equal(without, double.generate())
    assert np.array_equal(with_lora, double.generate("a red circle <lora:old:1>"))
    assert not double.lock.is_held


def test_a_lora_from_elsewhere_is_drawn_and_leaves_nothing(
    double: Double, host: WebUI, old: Path, tmp_path: Path
) -> None:
    with_lora = double.generate("a red circle <lora:old:1>")
    elsewhere = old.rename(tmp_path / "elsewhere.safetensors")
    files = sorted(double.loras.iterdir())
    drawing = ImageRequest("a red circle", seed=3, size=Size(64, 64), lora=elsewhere)
    (made,) = host.draw(drawing, lambda _done, _total: None)
    assert np.array_equal(np.asarray(made), with_lora)
    assert sorted(double.loras.iterdir()) == files


def test_where_the_host_ignores_loras_they_are_drawn_by_us(double: Double, host: WebUI, old: Path) -> None:
    drawing = ImageRequest("a red circle", seed=3, size=Size(64, 64), steps=2, lora=old, strengths=(0.0, 1.0))
    sys.modules["modules.extra_networks"].extra_network_registry.clear()
    off, on = (np.asarray(each) for each in host.draw(drawing, lambda _done, _total: None))
    assert not np.array_equal(off, on)
    assert not np.array_equal(off, double.generate(seed=3))
    assert not host.makes_previews
    assert not double.lock.is_held


def test_samples_are_the_hosts_own(double: Double, host: WebUI, tmp_path: Path) -> None:
    plain, weights, marks = double.generate(seed=5), double.copies(), double.marks()
    samples: dict[str, np.ndarray] = {}

    def react(event: Event) -> None:
        if isinstance(event, Preview):
            samples[event.path.name] = np.asarray(Image.open(event.path))
        if isinstance(event, Step):
            double.state.interrupt()  # meant for an image of the host's page: not for ours

    told = Told(react)
    settings = {"sample_every_steps": 2, "sample_prompt": "a red circle", "sample_seed": 5, "save_per_steps": 2}
    done = trained(host, settings_of("iLECO", tmp_path, **settings), told)
    assert told.warnings == ""
    assert np.array_equal(samples["000002_+0.png"], plain)
    (on_the_way,) = (event.path for event in told if isinstance(event, Saved) and event.path != done.path)
    assert np.array_equal(samples["000002_+1.png"], double.generate(f"a red circle <lora:{on_the_way.stem}:1>", seed=5))
    assert not np.array_equal(samples["000002_+1.png"], plain)
    double.generate()
    assert same(weights, double.copies())
    assert marks == double.marks()
    # They have not changed what is trained.
    without = trained(host, settings_of("iLECO", tmp_path, save_lora_name="without"))
    assert done.path is not None
    assert without.path is not None
    assert same(read(done.path), read(without.path))


# ---- what hosts differ in -------------------------------------------------------------------------------------------


@pytest.fixture(
    params=[(each, family) for each in DOUBLES for family in each.families],
    ids=lambda each: f"{each[0].name}-{each[1]}",
)
def of_family(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Double]:
    kind, family = request.param
    made: Double = kind(tmp_path / "host", family)
    with made.around():
        yield made


def test_every_family_is_shared_and_predicts_as_its_file_does(of_family: Double) -> None:
    host = adapter_of(of_family)
    theirs = {tensor.data_ptr() for tensor in of_family.weights().values()}
    lent, read_from_file = host.take_model(Settings()), load_bundle(of_family.first)
    for part, module in lent.modules.items():
        shared = [parameter.untyped_storage().data_ptr() in theirs for parameter in module.parameters()]
        assert all(shared), f"{part}: {shared.count(False)} are copies"
        other = dict(read_from_file.modules[part].named_parameters())
        assert all(torch.equal(parameter, other[name]) for name, parameter in module.named_parameters())
    assert lent.family is not None
    assert lent.family.name == of_family.family[:4].rstrip("-")
    assert lent.diffusion.parameterisation is read_from_file.diffusion.parameterisation
    assert torch.equal(lent.diffusion.schedule.signal, read_from_file.diffusion.schedule.signal)
    with torch.no_grad():
        as_host, ours = lent.encode(["a red circle"]), lent.encode(["a red circle"], literal=True)
    host.give_back()
    torch.testing.assert_close(as_host.sequence, ours.sequence, atol=1e-3, rtol=0)
    assert (as_host.pooled is None) == (ours.pooled is None)
    if as_host.pooled is not None and ours.pooled is not None:
        torch.testing.assert_close(as_host.pooled, ours.pooled, atol=1e-3, rtol=0)
        assert torch.equal(as_host.size_ids, ours.size_ids)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", DOUBLES, ids=lambda each: each.name)
def test_half_precision_is_shared_until_it_is_cast(kind: type[Double], tmp_path: Path) -> None:
    double = kind(tmp_path / "host", "SD1", torch.float16)
    with double.around():
        host, weights = adapter_of(double), double.copies()
        bundle = host.take_model(Settings())
        theirs = {tensor.data_ptr() for tensor in double.weights().values()}
        assert all(parameter.data_ptr() in theirs for parameter in bundle.denoiser.parameters())
        host.give_back()
        told = Told()
        trained(host, settings_of("LoRA", tmp_path), told)
        assert "stored as fp16" in told.warnings  # which the CPU does not compute in
        assert same(weights, double.copies())
