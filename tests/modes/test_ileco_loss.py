"""iLECO's loss and gradient against a plain re-computation in double precision, and against finite differences."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tests.helpers.merged import KEPT, double_network, merged_weights
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Uniform
from trainer.models.base import Bundle
from trainer.modes.base import PassContext
from trainer.modes.ileco import ILECO
from trainer.networks.base import Network

CPU = torch.device("cpu")
ORIGINAL, TARGET = "a red dog", "a blue cat, sitting"


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    """A second, untouched copy of the model."""
    network: Network
    scene: PassContext
    settings: Settings


@pytest.fixture(params=[False, True], ids=["unet", "unet+text"])
def setting(bundles: tuple[Bundle, Bundle], request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle, plain = bundles
    settings = replace(
        Settings(), mode="iLECO", original_prompt=ORIGINAL, target_prompt=TARGET, image_size=Size(128, 64),
        train_batch_size=3, train_max_timesteps=250,  # Min-SNR weighs only early timesteps
        network_train_text_encoder=request.param, network_blocks=BLOCKS, hold_unconditional="no",
    )  # fmt: skip
    network = double_network(bundle, text=request.param)
    with network.attached():
        yield Setting(bundle, plain, network, PassContext(settings, bundle, network, bundle.diffusion), settings)


def product_loss(setting: Setting, step: int) -> Tensor:
    training = ILECO().passes(setting.settings)[0]
    training.prepare(setting.scene)
    return training.loss(StepRandom.of_step(1, step, CPU)).samples.mean()


def plain_loss(setting: Setting, step: int) -> Tensor:
    """The formula of the mode, written out with merged weights and no adapters."""
    settings, plain = setting.settings, setting.plain
    rng = StepRandom.of_step(1, step, CPU)
    x = rng.noise((3, 4, 8, 16), torch.float64)
    t = Uniform().draw(rng, 3, (settings.train_min_timesteps, settings.train_max_timesteps), 1000)
    text = merged_weights(setting.network, plain.text_encoders[0], "lora_te", 6.0 / 3)
    unet = merged_weights(setting.network, plain.denoiser, "lora_unet", 6.0 / 3)

    def encode(prompt: str, weights: dict[str, Tensor]) -> Tensor:
        ids = plain.tokenizers[0](prompt, padding="max_length", max_length=77, return_tensors="pt").input_ids
        return functional_call(plain.text_encoders[0], weights, (ids,)).last_hidden_state.expand(3, -1, -1)

    original, target = encode(ORIGINAL, text), encode(TARGET, {})
    with torch.no_grad():
        wanted = plain.denoiser(x, t, target).sample
    predicted = functional_call(plain.denoiser, unet, (x, t, original)).sample
    kept = KEPT[t]
    weight = torch.minimum(5 * (1 - kept) / kept, torch.ones(3, dtype=torch.float64))
    return (((predicted - wanted) ** 2).mean((1, 2, 3)) * weight).mean()


def gradients(loss: Tensor, network: Network) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))


@pytest.mark.parametrize("step", [1, 2])
def test_loss_and_gradient_are_the_formulas(setting: Setting, step: int) -> None:
    ours, plain = product_loss(setting, step), plain_loss(setting, step)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)  # the SNR table is float32
    for one, two in zip(gradients(ours, setting.network), gradients(plain, setting.network), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-9)


def test_gradient_is_the_slope(setting: Setting) -> None:
    slopes = gradients(product_loss(setting, 1), setting.network)
    generator = torch.Generator().manual_seed(9)
    direction = [torch.randn(slope.shape, generator=generator, dtype=torch.float64) for slope in slopes]
    wanted = sum((slope * way).sum().item() for slope, way in zip(slopes, direction, strict=True))
    losses = []
    for size in (1e-5, -2e-5):
        for parameter, way in zip(setting.network.parameters(), direction, strict=True):
            parameter.data += size * way
        losses.append(product_loss(setting, 1).item())
    for parameter, way in zip(setting.network.parameters(), direction, strict=True):
        parameter.data += 1e-5 * way
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(wanted, rel=1e-4)


def test_checkpointing_changes_no_gradient(setting: Setting) -> None:
    plain = gradients(product_loss(setting, 1), setting.network)
    with setting.bundle.family.checkpointing(setting.bundle):
        saved: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x):
            loss = product_loss(setting, 1)
        checkpointed = gradients(loss, setting.network)
    without: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: without.append(x.numel()) or x, lambda x: x):
        product_loss(setting, 1)
    assert sum(saved) < sum(without) / 2
    for one, two in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_nothing_but_the_network_has_a_gradient(setting: Setting) -> None:
    product_loss(setting, 1).backward()
    assert all(parameter.grad is not None for parameter in setting.network.parameters())
    for module in setting.bundle.modules.values():
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in module.parameters())


def test_batch_settings_are_obeyed(setting: Setting) -> None:
    training = ILECO().passes(setting.settings)[0]
    narrow = replace(setting.settings, train_min_timesteps=200, train_max_timesteps=210, train_batch_size=4)
    training.prepare(replace(setting.scene, settings=narrow))
    times = torch.cat([training.loss(StepRandom.of_step(1, step, CPU)).timesteps for step in range(6)])
    assert times.shape == (24,)
    assert times.min() >= 200
    assert times.max() < 210
    training.prepare(replace(setting.scene, settings=replace(narrow, train_fixed_timsteps_in_batch=True)))
    assert len(set(training.loss(StepRandom.of_step(1, 1, CPU)).timesteps.tolist())) == 1


def test_snr_weight_off(setting: Setting) -> None:
    training = ILECO().passes(setting.settings)[0]
    training.prepare(replace(setting.scene, settings=replace(setting.settings, train_snr_gamma=0.0)))
    off = training.loss(StepRandom.of_step(1, 1, CPU))
    training.prepare(setting.scene)
    on = training.loss(StepRandom.of_step(1, 1, CPU))
    kept = KEPT[on.timesteps]
    weight = (5 * (1 - kept) / kept).clamp(max=1)
    torch.testing.assert_close(on.samples, off.samples * weight, rtol=1e-5, atol=0.0)


def test_model_is_left_as_it_was(bundles: tuple[Bundle, Bundle]) -> None:
    bundle, plain = bundles
    assert all("forward" not in module.__dict__ for module in bundle.denoiser.modules())
    for name, tensor in plain.denoiser.state_dict().items():
        assert torch.equal(tensor, bundle.denoiser.state_dict()[name])
    assert not copy.copy(bundle.denoiser).training
