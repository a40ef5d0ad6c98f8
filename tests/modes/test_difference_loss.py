"""Both passes of Difference against a plain re-computation in double precision: merged weights, no adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

from tests.helpers.merged import KEPT, double_network, merged_weights
from trainer.config.settings import Settings
from trainer.config.size import DEFAULT_SIZE
from trainer.data.latents import Dataset, encode_samples
from trainer.data.pairs.pair import open_pair
from trainer.diffusion.parameterisation import EPSILON, VELOCITY
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Uniform
from trainer.models.base import Bundle
from trainer.modes.base import Pass, PassContext
from trainer.modes.descriptions import Descriptions
from trainer.modes.difference import Difference
from trainer.networks.base import Network

CPU = torch.device("cpu")
PROMPTS = ("a closed eye", "an open eye, wide")
RANKS, ALPHAS = (3, 2), (6.0, 1.0)


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    """A second, untouched copy of the model."""
    networks: tuple[Network, Network]
    settings: Settings
    data: Dataset
    pixels: tuple[np.ndarray, np.ndarray]
    alpha: np.ndarray

    def prepared(self, number: int) -> Pass:
        training = Difference().passes(self.settings)[number]
        assert training.spec.settings is not None
        diffusion = self.bundle.diffusion
        training.prepare(PassContext(training.spec.settings, self.bundle, self.networks[number], diffusion, self.data))
        return training


@pytest.fixture(params=[EPSILON, VELOCITY], ids=lambda each: each.name)
def setting(bundles: tuple[Bundle, Bundle], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    bundle, plain = bundles
    bundle.diffusion = bundle.diffusion.predicting(request.param)
    random = np.random.default_rng(1)
    pixels = tuple(random.integers(0, 256, (64, 128, 3), np.uint8) for _ in range(2))
    alpha = np.full((64, 128), 255, np.uint8)
    alpha[:, :16] = 0  # two columns of latents of the original count for nothing
    Image.fromarray(np.dstack([pixels[0], alpha])).save(tmp_path / "original.png")
    Image.fromarray(pixels[1]).save(tmp_path / "target.png")
    settings = replace(
        Settings(), mode="Difference", original_image=str(tmp_path / "original.png"), train_seed=1,
        target_image=str(tmp_path / "target.png"), original_prompt=PROMPTS[0], target_prompt=PROMPTS[1],
        train_batch_size=2, train_max_timesteps=250, use_2nd_pass_settings=True,
        second_pass=replace(Settings(), train_batch_size=3, train_min_timesteps=100, train_max_timesteps=300),
    )  # fmt: skip
    networks = tuple(
        double_network(bundle, text=False, rank=rank, alpha=alpha, seed=rank)
        for rank, alpha in zip(RANKS, ALPHAS, strict=True)
    )
    data = encode_samples(open_pair(settings).placed(settings, DEFAULT_SIZE), bundle, settings, lambda *_: None)
    with networks[0].attached():
        yield Setting(bundle, plain, networks, settings, data, pixels, alpha)


def plain_loss(setting: Setting, number: int, step: int, prompts: Sequence[str] = ()) -> Tensor:
    """The formula, written out: the pass's picture and prompt, and the weights with one update or with both."""
    bundle, plain, count = setting.bundle, setting.plain, (2, 3)[number]
    prompts = [*prompts] or [PROMPTS[number]] * count
    low, high = ((0, 250), (100, 300))[number]
    rng = StepRandom.of_step(1, step, CPU)
    noise = rng.noise((count, 4, 8, 16), torch.float64)
    t = Uniform().draw(rng, count, (low, high), 1000)
    pixels = setting.pixels[number].astype(np.float64)
    if number == 0:
        pixels[setting.alpha == 0] = 128
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        z = plain.vae.encode(image).latent_dist.mean * 0.18215
        c, nothing = (
            plain.text_encoders[0](
                plain.tokenizers[0](each, padding="max_length", max_length=77, return_tensors="pt").input_ids
            ).last_hidden_state
            for each in (prompts, [""] * count)
        )
    signal, spread = KEPT[t].sqrt().view(-1, 1, 1, 1), (1 - KEPT[t]).sqrt().view(-1, 1, 1, 1)
    weights = dict(plain.denoiser.named_parameters())
    x, moved = signal * z + spread * noise, torch.zeros(())
    for at in range(number + 1):
        if at == number and "" in prompts:  # from the empty prompt to the descriptions, without what is trained
            told, empty = (functional_call(plain.denoiser, weights, (x, t, each)).sample for each in (c, nothing))
            moved = (told - empty).detach()
        one = merged_weights(setting.networks[at], plain.denoiser, "lora_unet", ALPHAS[at] / RANKS[at])
        for path, weight in one.items():
            weights[path] = weights[path] + weight - dict(plain.denoiser.named_parameters())[path]
    predicted = functional_call(plain.denoiser, weights, (x, t, c)).sample
    snr = KEPT[t] / (1 - KEPT[t])
    if bundle.diffusion.parameterisation is EPSILON:
        wanted, weight = noise, (5 / snr).clamp(max=1)
    else:
        wanted, weight = signal * noise - spread * z, snr.clamp(max=5) / (snr + 1)
    counts = torch.ones(8, 16, dtype=torch.float64)
    counts[:, :2] = 0
    error = ((predicted - wanted - moved) ** 2).mean(1)
    return ((error * counts).sum((1, 2)) / counts.sum() * weight).mean()


@pytest.mark.parametrize("number", [0, 1], ids=["1st pass", "2nd pass"])
def test_loss_and_gradient_are_the_formulas(setting: Setting, number: int) -> None:
    network = setting.networks[number]
    with network.attached() if number else torch.enable_grad():
        ours = setting.prepared(number).loss(StepRandom.of_step(1, 7, CPU)).samples.mean()
        gradients = torch.autograd.grad(ours, list(network.parameters()))
    plain = plain_loss(setting, number, 7)
    assert ours.item() == pytest.approx(plain.item(), rel=2e-6)  # the tables of the noise schedule are float32
    for one, two in zip(gradients, torch.autograd.grad(plain, list(network.parameters())), strict=True):
        torch.testing.assert_close(one, two, rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize("number", [0, 1], ids=["1st pass", "2nd pass"])
def test_an_image_without_a_prompt_moves_as_far_at_descriptions(setting: Setting, number: int) -> None:
    own = replace(setting.settings, original_prompt="", target_prompt="", diff_descriptions=4)
    setting.settings = own
    setting.data = encode_samples(open_pair(own).placed(own, DEFAULT_SIZE), setting.bundle, own, lambda *_: None)
    count, network, step = (2, 3)[number], setting.networks[number], StepRandom.of_step(1, 7, CPU)
    prompts = Descriptions(own).of_step(step, [""] * count).instead_of([""] * count)
    assert 0 < sum(map(bool, prompts)) < count
    with network.attached() if number else torch.enable_grad():
        ours = setting.prepared(number).loss(step).samples.mean()
    assert ours.item() == pytest.approx(plain_loss(setting, number, 7, prompts).item(), rel=2e-6)


def test_a_difference_that_is_off_leaves_the_copier(setting: Setting) -> None:
    copier, difference = setting.networks
    x, t = torch.randn(1, 4, 8, 16, dtype=torch.float64), torch.tensor([300])
    conditioning = setting.bundle.encode(["x"])
    with torch.no_grad():
        copied = setting.bundle.predict(x, t, conditioning)
        with difference.attached():
            both = setting.bundle.predict(x, t, conditioning)
            difference.strength = 0.0
            assert torch.equal(setting.bundle.predict(x, t, conditioning), copied)
            with copier.off():
                base = setting.bundle.predict(x, t, conditioning)
        assert torch.equal(setting.bundle.predict(x, t, conditioning), copied)
        torch.testing.assert_close(base, setting.plain.denoiser(x, t, conditioning.sequence).sample)
    assert not torch.allclose(both, copied)
    assert not torch.allclose(base, copied)


def test_networks_come_off_in_reverse_and_leave_the_model_as_it_was(bundles: tuple[Bundle, Bundle]) -> None:
    bundle, _ = bundles
    networks = [double_network(bundle, text=False, rank=2, alpha=1.0) for _ in range(3)]
    before = {name: module.forward for name, module in bundle.denoiser.named_modules()}

    def nested(rest: list[Network]) -> None:
        if not rest:
            raise KeyError("however it ends")
        with rest[0].attached():
            nested(rest[1:])

    with pytest.raises(KeyError, match="however it ends"):
        nested(networks)
    assert all("forward" not in module.__dict__ for module in bundle.denoiser.modules())
    assert all(module.forward == before[name] for name, module in bundle.denoiser.named_modules())


def test_the_target_alone_is_enough_for_a_loaded_copier(setting: Setting) -> None:
    alone = replace(setting.settings, original_image="", diff_load_1st_pass="copier")
    data = encode_samples(open_pair(alone).placed(alone, DEFAULT_SIZE), setting.bundle, alone, lambda *_: None)
    losses = replace(setting, data=data, settings=alone).prepared(1).loss(StepRandom.of_step(1, 1, CPU))
    assert losses.names == ("target.png",) * 3
