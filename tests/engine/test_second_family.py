"""A family that is nothing like Stable Diffusion (:mod:`tests.helpers.tiny_family`), through the whole product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from tests.helpers.checkpoints import small_checkpoint
from tests.helpers.home import host_in
from tests.helpers.tiny_family import TINY, ShiftedDensity, TinyFamily, tiny_checkpoint
from trainer.config import check as check_module
from trainer.config.choices import FAMILIES
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.latents import encode_samples
from trainer.data.scan import scan
from trainer.diffusion.parameterisation import FLOW
from trainer.diffusion.random import StepRandom
from trainer.engine.run import check, run
from trainer.errors import ModelError, NetworkError, SettingsError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Effect, Event, Job, Preview, Warned
from trainer.models import registry
from trainer.models.base import Bundle
from trainer.models.checkpoint import identify as identify_module
from trainer.models.checkpoint.identify import Kind, identify
from trainer.models.registry import load_bundle
from trainer.modes.base import PassContext, StepLoss
from trainer.modes.lora import LoRAMode
from trainer.networks.base import Network, build
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file
from trainer.networks.registry import builder, targets_of

CPU = torch.device("cpu")
BLOCKS_OF_TINY = TINY.blocks


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a row in the table of families does, for as long as a test lasts."""
    infos = MappingProxyType({**FAMILIES, TINY.name: TINY})
    monkeypatch.setattr(identify_module, "FAMILIES", infos)
    monkeypatch.setattr(check_module, "FAMILIES", infos)
    monkeypatch.setattr(registry, "FAMILIES", MappingProxyType({**registry.FAMILIES, TINY.name: TinyFamily(TINY)}))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for number, caption in enumerate(["a cat", "a dog that is asleep"]):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption)
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Standalone:
    return host_in(tmp_path)


def settings_for(model: Path, images: Path, mode: str, **changes: object) -> Settings:
    given: dict[str, object] = {
        "mode": mode, "model": str(model), "lora_data_directory": str(images), "image_size": Size(64, 64),
        "image_min_length": 64, "image_buckets_step": 64, "train_iterations": 6, "train_batch_size": 2,
        "train_learning_rate": 1e-2, "train_seed": 1, "network_rank": 2, "network_alpha": 2.0,
        "network_blocks": BLOCKS_OF_TINY, "original_prompt": "a cat", "target_prompt": "a dog",
        "save_lora_name": "made", "save_precision": "fp32", "effect_strip": False,
    }  # fmt: skip
    if mode == "ADDifT":
        given |= {"original_image": str(images / "0.png"), "target_image": str(images / "1.png"), "image_size": None}
    return replace(Settings(), **{**given, **changes})


def trained(settings: Settings, host: Standalone) -> tuple[Path, list[Event]]:
    events: list[Event] = []
    done = run(Job.create(settings), host, Control(), events.append)
    assert done.path is not None
    return done.path, events


def predictions(bundle: Bundle) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    with torch.no_grad():
        return bundle.predict(latents, torch.tensor([900, 100]), bundle.encode(["a cat", "a dog, asleep"]))


# ---- the model ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_known_by_its_signature(model: Path, tmp_path: Path) -> None:
    found = identify(model)
    assert (found.kind, found.family, str(found.label)) == (Kind.CHECKPOINT, "Tiny", "a checkpoint of Tiny")
    bundle = load_bundle(model)
    assert isinstance(bundle.family, TinyFamily)
    assert bundle.diffusion.parameterisation is FLOW
    alone = {name: each for name, each in file.read(model)[0].items() if name.startswith("net.")}
    save_file(alone, str(tmp_path / "alone.safetensors"))
    with pytest.raises(ModelError, match=r"alone\.safetensors lacks: text encoder, VAE"):
        load_bundle(tmp_path / "alone.safetensors")


def test_a_prompt_is_the_same_whatever_its_neighbours_are(model: Path) -> None:
    """Padding is masked; without the mask it would be attended to."""
    bundle = load_bundle(model)
    latents, time = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    with torch.no_grad():
        alone = bundle.encode(["a cat"])
        beside = bundle.encode(["a cat", "a much longer prompt than that"])
        assert beside[0].mask.sum() == len(alone.mask[0]) < beside.mask.shape[1]
        wanted = bundle.predict(latents, time, alone)
        torch.testing.assert_close(bundle.predict(latents, time, beside[0]), wanted)
        unmasked = replace(beside[0], mask=torch.ones_like(beside[0].mask))
        assert not torch.allclose(bundle.predict(latents, time, unmasked), wanted, atol=1e-4)


def test_timesteps_are_drawn_where_the_family_wants_them() -> None:
    density = ShiftedDensity(3.0)
    draws = torch.cat([density.draw(StepRandom.of_step(1, step, CPU), 8, (0, 1000), 1000) for step in range(500)])
    assert draws.double().median() / 1000 == pytest.approx(0.75, abs=0.02)  # k/2 / (1 + (k-1)/2)
    window = torch.cat([density.sweep(StepRandom.of_step(1, step, CPU), 4, (200, 600), 1000) for step in range(1, 51)])
    assert 200 <= int(window.min()) < int(window.max()) < 600
    in_turn = [int(density.sweep(StepRandom.of_step(1, step, CPU), 1, (0, 1000), 1000)) for step in range(1, 11)]
    assert in_turn == sorted(in_turn)


# ---- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["LoRA", "ADDifT", "iLECO"])
def test_a_run_saves_what_is_read_back(model: Path, images: Path, host: Standalone, mode: str) -> None:
    settings = settings_for(
        model, images, mode, sample_every_steps=3, sample_prompt="a cat", effect_strip=True, ileco_denoise_steps=2,
        lora_trigger_word="zorp", network_train_text_encoder=True,
    )  # fmt: skip
    path, events = trained(settings, host)
    assert len([event for event in events if isinstance(event, Preview)]) == 2
    (effect,) = (event for event in events if isinstance(event, Effect))
    assert [change.block for change in effect.blocks] == list(BLOCKS_OF_TINY)
    assert dict(effect.differences)[1.0] > 0
    assert effect.asked is not None

    tensors, metadata = file.read(path)
    assert {name.partition(".")[0] for name in tensors} == {
        *(
            f"lora_unet_layers_{layer}_{module}"
            for layer in range(2)
            for module in (*(f"attention_to_{each}" for each in ("q", "k", "v", "out")), "ff_w1", "ff_w2")
        ),
        "lora_te_project",
    }
    assert (metadata["ss_base_model_version"], metadata["modelspec.architecture"]) == ("tiny_v1", "tiny-flow/lora")
    assert metadata["modelspec.prediction_type"] == "flow"

    bundle = load_bundle(model)
    base, network = predictions(bundle), network_from_file(path, bundle)
    with network.attached():
        assert (predictions(bundle) - base).abs().max() > 1e-3


def test_blocks_and_elements_are_the_familys(model: Path, images: Path, host: Standalone) -> None:
    settings = settings_for(model, images, "LoRA", network_blocks=("L01",), network_element="SelfAttention")
    path, _ = trained(settings, host)
    names = {name.partition(".")[0] for name in file.read(path)[0]}
    assert names == {f"lora_unet_layers_1_attention_to_{each}" for each in ("q", "k", "v", "out")}
    with pytest.raises(NetworkError, match="Nothing is left to train"):
        trained(replace(settings, network_blocks=("IN01", "M00"), save_lora_name="other"), host)


def test_a_file_in_comfyuis_keys_is_the_same_network(
    model: Path, images: Path, host: Standalone, tmp_path: Path
) -> None:
    settings = settings_for(model, images, "LoRA", network_blocks=("L00", "L01"), network_alpha=2.0, network_rank=2)
    path, _ = trained(settings, host)
    bundle = load_bundle(model)
    paths = {id(module): name for name, module in bundle.denoiser.named_modules()}
    renamed = {}
    for adapter in network_from_file(path, bundle):
        parts = adapter.tensors()
        for ours, theirs in (("lora_down.weight", "lora_A.weight"), ("lora_up.weight", "lora_B.weight")):
            renamed[f"diffusion_model.{paths[id(adapter.module)]}.{theirs}"] = parts[ours].detach().clone()
    save_file(renamed, str(tmp_path / "comfy.safetensors"))
    found = []
    for each in (path, tmp_path / "comfy.safetensors"):
        with network_from_file(each, bundle).attached():
            found.append(predictions(bundle))
    assert torch.equal(*found)


def test_a_run_continues_from_its_own_file_alone(model: Path, images: Path, host: Standalone, tmp_path: Path) -> None:
    path, _ = trained(settings_for(model, images, "LoRA"), host)
    _, events = trained(settings_for(model, images, "LoRA", network_resume=str(path), save_lora_name="more"), host)
    assert any("Continuing made.safetensors" in str(each.message) for each in events if isinstance(each, Warned))
    sd1 = settings_for(small_checkpoint(tmp_path, "SD1"), images, "LoRA", network_resume=str(path))
    with pytest.raises(NetworkError, match="was trained for Tiny, but the model is SD1"):
        check(Job.create(sd1), host)


def test_sizes_its_latents_cannot_have_are_refused(model: Path, images: Path, host: Standalone) -> None:
    settings = settings_for(model, images, "LoRA", image_size=Size(72, 64), image_buckets_step=8)
    with pytest.raises(SettingsError) as caught:
        check(Job.create(settings), host)
    assert [problem.key for problem in caught.value.problems] == ["image_size(height, width)", "image_buckets_step"]
    assert "must be a multiple of 16 for Tiny, not 72. Write 64 or 80" in str(caught.value)


def test_the_velocity_of_another_family_is_not_forced_on_it(model: Path, images: Path, host: Standalone) -> None:
    plain, _ = trained(settings_for(model, images, "LoRA"), host)
    forced, events = trained(settings_for(model, images, "LoRA", prediction="velocity", save_lora_name="forced"), host)
    assert not [event for event in events if isinstance(event, Warned) and "v-prediction" in str(event.message)]
    one, other = (file.read(path)[0] for path in (plain, forced))
    assert all(torch.equal(one[name], other[name]) for name in one)


# ---- the loss -------------------------------------------------------------------------------------------------------


@pytest.fixture
def scene(model: Path, images: Path) -> Iterator[PassContext]:
    bundle = load_bundle(model)
    for module in bundle.modules.values():
        module.double()
    settings = settings_for(model, images, "LoRA", network_blocks=("L00", "L01"))
    data = encode_samples(scan(settings), bundle, settings, lambda *_event: None)
    generator = torch.Generator().manual_seed(5)
    make = builder(settings, torch.float64, CPU)
    targets = targets_of(bundle, settings, trains_text=False)
    network = build(targets, make, generator)
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    with network.attached():
        yield PassContext(settings, bundle, network, bundle.diffusion, data)


def loss_of(scene: PassContext, step: int) -> StepLoss:
    (training,) = LoRAMode().passes(scene.settings)
    training.prepare(scene)
    return training.loss(StepRandom.of_step(1, step, CPU))


def merged(network: Network, bundle: Bundle) -> dict[str, Tensor]:
    """The changed weights by their paths, with their graph."""
    paths = {id(module): path for path, module in bundle.denoiser.named_modules()}
    return {  # alpha over rank is 1
        f"{paths[id(adapter.module)]}.weight": adapter.weight + adapter.up @ adapter.down for adapter in network
    }


@pytest.mark.parametrize("step", [1, 2])
def test_loss_and_gradient_are_those_of_rectified_flow(scene: PassContext, model: Path, step: int) -> None:
    ours = loss_of(scene, step).samples.mean()
    plain = load_bundle(model)
    for module in plain.modules.values():
        module.double()
    assert scene.data is not None
    batch, rng = scene.data.of_step(step), StepRandom.of_step(1, step, CPU)
    z, n = batch.latents, rng.noise(tuple(batch.latents.shape), torch.float64)
    t = ShiftedDensity(3.0).draw(rng, len(z), (0, 1000), 1000)
    s = ((t + 1) / 1000).float().double().view(-1, 1, 1, 1)  # the schedule's table is float32
    weights, losses = merged(scene.network, scene.bundle), []
    for row, caption in enumerate(batch.captions):
        conditioning = plain.family.encode(plain, [caption])
        noisy, sigma = ((1 - s) * z + s * n)[row : row + 1], (t[row : row + 1] + 1) / 1000
        inputs = noisy, sigma, conditioning.states, conditioning.mask
        predicted = torch.func.functional_call(plain.denoiser, weights, inputs)
        losses.append(((predicted - (n - z)[row]) ** 2).mean())  # no Min-SNR, although its gamma is 5
    theirs = torch.stack(losses).mean()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    parameters = list(scene.network.parameters())
    for one, other in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-8)


def test_checkpointing_is_what_the_family_makes_of_it(scene: PassContext) -> None:
    parameters = list(scene.network.parameters())
    plain = torch.autograd.grad(loss_of(scene, 1).samples.mean(), parameters)
    with scene.bundle.family.checkpointing(scene.bundle):
        assert scene.bundle.denoiser.checkpoints_layers
        again = torch.autograd.grad(loss_of(scene, 1).samples.mean(), parameters)
    assert not scene.bundle.denoiser.checkpoints_layers
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
