"""What only AUTOMATIC1111 does: options and commands under which its memory cannot be trained on, and VAEs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.helpers.checkpoints import GROUPS, VAE, sd1_tensors, write_safetensors
from tests.hosts.doubles.a1111 import A1111Double
from tests.hosts.doubles.base import read
from tests.hosts.test_hosts import Told, adapter_of, same, settings_of, trained
from trainer.config.settings import Settings
from trainer.diffusion.parameterisation import VELOCITY
from trainer.errors import ModelError
from trainer.hosts.webui.host import WebUI
from trainer.job import Done
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.text.messages import Message


@pytest.fixture
def double(tmp_path: Path) -> Iterator[A1111Double]:
    made = A1111Double(tmp_path / "host")
    with made.around():
        yield made


@pytest.fixture
def host(double: A1111Double) -> WebUI:
    return adapter_of(double)


def keep_in_fp8(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.data.to(torch.float8_e4m3fn)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda double: keep_in_fp8(double.model), "the WebUI keeps it in float8_e4m3fn"),
        (lambda double: setattr(double.model, "lowvram", True), "--medvram or --lowvram"),
        (lambda double: double.use_other_unet(), "SD Unet"),
    ],
    ids=["fp8", "medvram", "TensorRT"],
)
def test_memory_that_cannot_be_trained_on(
    double: A1111Double, host: WebUI, tmp_path: Path, change: Any, words: str
) -> None:
    change(double)
    marks, theirs = double.marks(), {tensor.data_ptr() for tensor in double.weights().values()}
    bundle = host.take_model(Settings())
    assert not any(parameter.data_ptr() in theirs for parameter in bundle.denoiser.parameters())
    host.give_back()
    told = Told()
    assert trained(host, settings_of("iLECO", tmp_path), told).path is not None
    assert "first.safetensors is read from its file" in told.warnings
    assert words in told.warnings
    assert marks == double.marks()


def some_vae(double: A1111Double, seed: int = 3) -> Path:
    tensors = {name: tensor for name, tensor in sd1_tensors(seed=seed).items() if name.startswith(VAE)}
    path = double.root / "models" / "VAE" / "mine.safetensors"
    return write_safetensors(path, {name.removeprefix(VAE): tensor for name, tensor in tensors.items()}, GROUPS)


def test_the_vae_that_is_loaded_is_taken(double: A1111Double, host: WebUI) -> None:
    path = some_vae(double)
    double.use_vae(path)
    bundle = host.take_model(Settings())
    assert bundle.vae_name == "mine.safetensors"
    assert host.makes_previews
    theirs = {tensor.data_ptr() for tensor in double.weights().values()}
    assert all(parameter.data_ptr() in theirs for parameter in bundle.vae.parameters())
    host.give_back()


def test_a_vae_by_its_name_is_read_and_the_rest_is_shared(double: A1111Double, host: WebUI) -> None:
    path = some_vae(double)
    double.vaes["mine.safetensors"] = str(path)
    bundle = host.take_model(Settings(vae="mine.safetensors"))
    theirs = {tensor.data_ptr() for tensor in double.weights().values()}
    assert all(parameter.data_ptr() in theirs for parameter in bundle.denoiser.parameters())
    assert not any(parameter.data_ptr() in theirs for parameter in bundle.vae.parameters())
    assert torch.equal(
        dict(bundle.vae.named_parameters())["encoder.conv_in.weight"], read(path)["encoder.conv_in.weight"]
    )
    assert not host.makes_previews, "the host would draw them with the VAE it has"
    host.give_back()


def test_what_is_predicted_is_as_the_host_says(double: A1111Double, host: WebUI) -> None:
    double.model.parameterization = "v"
    double.options["sd_noise_schedule"] = "Zero Terminal SNR"
    bundle = host.take_model(Settings())
    host.give_back()
    assert bundle.diffusion.parameterisation is VELOCITY
    assert not bundle.diffusion.schedule.leaves_signal


@pytest.mark.parametrize(("scaling", "stated", "called"), [("EDMScaling", "eps", "EDMScaling"), ("", "x0", "x0")])
def test_what_is_not_known_is_refused_by_name(
    double: A1111Double, host: WebUI, scaling: str, stated: str, called: str
) -> None:
    """The host calls every SDXL model "eps" that is not one for the velocity."""
    double.model.parameterization = stated
    if scaling:
        double.model.denoiser = torch.nn.Module()
        double.model.denoiser.scaling = type(scaling, (torch.nn.Module,), {})()
    for refused in (host.check_model, host.take_model):
        with pytest.raises(ModelError, match=f'first.safetensors cannot be trained: .* it predicts "{called}"'):
            refused(Settings())
    host.give_back()


@pytest.mark.parametrize("scaling", ["EpsScaling", "VScaling"])
def test_what_sdxl_is_scaled_by_in_the_host_is_known(double: A1111Double, host: WebUI, scaling: str) -> None:
    double.model.denoiser = torch.nn.Module()
    double.model.denoiser.scaling = type(scaling, (torch.nn.Module,), {})()
    assert host.check_model(Settings()).family == "SD1"


def test_nothing_loaded_yet_is_loaded(double: A1111Double, host: WebUI) -> None:
    loaded = double.unload()
    assert host.check_model(Settings()).family == "SD1"
    assert double.model is None  # nobody has waited for that
    bundle = host.take_model(Settings())
    assert double.model is loaded
    assert bundle.host_parts
    host.give_back()


@pytest.mark.parametrize("mode", ["iLECO", "LoRA"])
def test_reload_ui_does_not_touch_a_run(double: A1111Double, host: WebUI, tmp_path: Path, mode: str) -> None:
    """It takes the built-in extension's patches of torch's classes away, and puts them there again seconds later."""
    settings = settings_of(mode, tmp_path, save_lora_name="undisturbed", train_iterations=6)
    undisturbed = trained(host, settings)
    between, reloads = host.between_steps, {2: double.unpatch, 4: double.patch}

    def between_steps(phase: Message, done: int, total: int) -> Sequence[Message]:
        if total == 6 and done in reloads:
            reloads.pop(done)()
        return between(phase, done, total)

    host.between_steps = between_steps  # type: ignore[method-assign]
    reloaded = trained(host, replace(settings, save_lora_name="reloaded"))
    assert reloads == {}
    assert undisturbed.path is not None
    assert reloaded.path is not None
    assert same(read(undisturbed.path), read(reloaded.path))


def test_a_host_that_reloads_is_asked_for_nothing(double: A1111Double, host: WebUI, tmp_path: Path) -> None:
    """Its prompts and images need what its extensions bring: here a prompt's LoRA would be left out without a word."""
    settings = settings_of("iLECO", tmp_path, save_lora_name="undisturbed", sample_prompt="red", sample_every_steps=3)
    undisturbed = trained(host, settings)
    asked: list[str] = []
    host.encode = lambda *given: asked.append(given[1]) or type(host).encode(host, *given)  # type: ignore[method-assign]
    host.reload.begin()
    told = Told()
    run = threading.Thread(target=trained, args=(host, replace(settings, save_lora_name="held"), told))
    run.start()
    run.join(1.0)
    assert run.is_alive()
    assert asked == []
    host.reload.end()
    run.join(60)
    assert asked
    done = next(event for event in told if isinstance(event, Done))
    assert undisturbed.path is not None
    assert done.path is not None
    assert same(read(undisturbed.path), read(done.path))


def test_the_queue_says_which_model_a_run_took(double: A1111Double, host: WebUI, tmp_path: Path) -> None:
    store = Store(host.folders)
    worker = Worker(store, lambda: host)
    store.add(settings_of("iLECO", tmp_path))
    assert store.entries()[0].model == ""
    worker.start()
    assert worker.join(60)
    assert store.entries()[0].model == "first.safetensors"
    assert worker.run_status is not None
    assert worker.run_status.snapshot().model == "first.safetensors"
    worker.close()
    store.close()


def test_our_layers_are_not_the_ones_a_host_changes(double: A1111Double, host: WebUI) -> None:
    bundle = host.take_model(Settings())
    layers = [layer for part in bundle.modules.values() for layer in part.modules()]
    host.give_back()
    assert sum(isinstance(layer, nn.Linear) for layer in layers) > 20
    assert not {type(layer).forward for layer in layers} & double.changed


def test_it_skips_layers_of_sd1_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of SDXL it takes the second last layer whatever the option says, so a layer before that is encoded here."""
    double = A1111Double(tmp_path / "host", "SDXL")
    with double.around():
        host = adapter_of(double)
        bundle = host.take_model(Settings())
        asked: list[str] = []
        encode = host.encode

        def noted(loaded: Any, prompt: str, size: Any) -> Any:
            asked.append(prompt)
            return encode(loaded, prompt, size)

        monkeypatch.setattr(host, "encode", noted)
        with torch.no_grad():
            for skip in (0, 1, 2, 3):
                bundle.clip_skip = skip
                found = bundle.encode([f"skip {skip}"])
            ours = bundle.family.encode(bundle, ["skip 3"], clip_skip=2)
        assert torch.equal(found.sequence, ours.sequence)
        assert asked == ["skip 0", "skip 1", "skip 2"]
        host.give_back()
