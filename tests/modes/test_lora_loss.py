"""LoRA's loss and gradient against a plain re-computation in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

from tests.helpers.merged import KEPT, double_network, merged_weights
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.latents import Dataset, encode_samples
from trainer.data.scan import scan
from trainer.diffusion.parameterisation import EPSILON, VELOCITY, Parameterisation
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Uniform
from trainer.models.base import Bundle
from trainer.models.checkpoint.parts import TEXT_ENCODER
from trainer.modes.base import PassContext
from trainer.modes.lora import LoRAMode
from trainer.modes.other_words import MadeImages
from trainer.networks.base import Network

CPU = torch.device("cpu")
CAPTIONS = ("a red dog", "a blue cat, sitting", "word " * 100)


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    network: Network
    data: Dataset
    scene: PassContext


@pytest.fixture(params=[EPSILON, VELOCITY], ids=lambda each: each.name)
def kind(request: pytest.FixtureRequest) -> Parameterisation:
    return request.param


@pytest.fixture(params=["unet", "unet+text", "unet, frozen text"])
def setting(
    bundles: tuple[Bundle, Bundle], kind: Parameterisation, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Setting]:
    bundle, plain = bundles
    rng = np.random.default_rng(0)
    for number, caption in enumerate(CAPTIONS):
        picture = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
        if number == 1:
            picture.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (64, 1))))
        picture.save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(caption)
    blocks = BLOCKS if request.param == "unet+text" else BLOCKS[1:]
    settings = replace(
        Settings(), mode="LoRA", lora_data_directory=str(tmp_path), image_size=Size(64, 64), image_min_length=64,
        image_buckets_step=64, train_batch_size=3, train_max_timesteps=300, network_blocks=blocks, train_seed=1,
    )  # fmt: skip
    network = double_network(bundle, text="text" in request.param)
    if "frozen" in request.param:  # as of a LoRA that is continued from
        for adapter in network.adapters_of(TEXT_ENCODER):
            adapter.requires_grad_(False)
    data = encode_samples(scan(settings), bundle, settings, lambda *event: None)
    diffusion = bundle.diffusion.predicting(kind)
    with network.attached():
        yield Setting(bundle, plain, network, data, PassContext(settings, bundle, network, diffusion, data))


def losses_of(scene: PassContext, step: int) -> Tensor:
    training = LoRAMode().passes(scene.settings)[0]
    training.prepare(scene)
    return training.loss(StepRandom.of_step(1, step, CPU)).samples


def product_loss(setting: Setting, step: int) -> Tensor:
    return losses_of(setting.scene, step).mean()


def plain_loss(setting: Setting, step: int, kind: Parameterisation) -> Tensor:
    """The formula of the mode, written out with merged weights and no adapters."""
    plain, batch = setting.plain, setting.data.of_step(step)
    text = merged_weights(setting.network, plain.text_encoders[0], "lora_te", 6.0 / 3)
    unet = merged_weights(setting.network, plain.denoiser, "lora_unet", 6.0 / 3)

    rng = StepRandom.of_step(1, step, CPU)
    z, n = batch.latents, rng.noise((3, 4, 8, 8), torch.float64)
    t = Uniform().draw(rng, 3, (0, 300), 1000)
    a, s = (root[t].sqrt().view(3, 1, 1, 1) for root in (KEPT, 1 - KEPT))
    target = n if kind is EPSILON else a * n - s * z
    losses = []
    for row in range(3):  # one at a time: nothing of one caption reaches another
        tokenizer = plain.tokenizers[0]
        words = tokenizer(CAPTIONS[int(batch.names[row][0])], add_special_tokens=False).input_ids
        states = []
        for at in range(0, max(1, len(words)), 75):
            part = words[at : at + 75]
            ids = [49406, *part, *[49407] * (76 - len(part))]
            states.append(functional_call(plain.text_encoders[0], text, (torch.tensor([ids]),)).last_hidden_state)
        x = (a * z + s * n)[row : row + 1]
        e = functional_call(plain.denoiser, unet, (x, t[row : row + 1], torch.cat(states, 1))).sample
        error = ((e - target[row : row + 1]) ** 2).mean(1)
        mask = torch.ones(8, 8, dtype=torch.float64)
        if batch.names[row] == "1.png":
            levels = torch.linspace(0, 255, 64, dtype=torch.float64).floor() / 255
            mask = levels.view(8, 8).mean(1).expand(8, 8)
        snr = (KEPT / (1 - KEPT))[t[row]]
        weight = torch.clamp(5 / snr, max=1) if kind is EPSILON else torch.clamp(snr, max=5) / (snr + 1)
        losses.append((error[0] * mask).sum() / mask.sum() * weight)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("step", [1, 2])
def test_loss_and_gradient_are_the_formulas(setting: Setting, step: int, kind: Parameterisation) -> None:
    ours, plain = product_loss(setting, step), plain_loss(setting, step, kind)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-5)
    parameters = [each for each in setting.network.parameters() if each.requires_grad]
    for one, two in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-8)


def test_each_sample_counts_by_its_weight(setting: Setting) -> None:
    weights = torch.tensor([1.0, 0.25, 0.0])
    weighted = replace(setting.data, _weights=tuple(weights))
    names = setting.data.of_step(1).names
    wanted = losses_of(setting.scene, 1) * torch.stack([weights[int(name[0])] for name in names])
    torch.testing.assert_close(losses_of(replace(setting.scene, data=weighted), 1), wanted)


def with_and_without(setting: Setting, x: torch.Tensor, t: torch.Tensor, caption: str) -> list[torch.Tensor]:
    """What is predicted of a noisy image for a caption, with the network merged into the weights and without it."""
    plain, found = setting.plain, []
    words = plain.tokenizers[0](caption, add_special_tokens=False).input_ids
    ids = torch.tensor([[49406, *words, *[49407] * (76 - len(words))]])
    for merged in (True, False):
        text, unet = (
            merged_weights(setting.network, module, prefix, 6.0 / 3) if merged else {}
            for module, prefix in ((plain.text_encoders[0], "lora_te"), (plain.denoiser, "lora_unet"))
        )
        states = functional_call(plain.text_encoders[0], text, (ids,)).last_hidden_state
        found.append(functional_call(plain.denoiser, unet, (x, t, states)).sample)
    return found


@pytest.mark.parametrize(
    "keep", [{}, {"keep_prompts": "a dog", "keep_weight": 0.7}], ids=["alone", "beside kept prompts"]
)
def test_captions_without_their_trigger_word_are_held_to_the_base(
    setting: Setting, kind: Parameterisation, keep: dict[str, object]
) -> None:
    """``0.25 * |e(x, t, "a green dog"; 1) - e(x, t, "a green dog"; 0)|^2`` for "a red dog", whose word is "red"; the
    captions without it are not held."""
    changes = {"train_self_reg": 0.25, "train_self_reg_filler": "green", "lora_trigger_word": "Red", **keep}
    without = replace(setting.scene, settings=replace(setting.scene.settings, **{**changes, "train_self_reg": 0.0}))
    held = replace(setting.scene, settings=replace(setting.scene.settings, **changes))
    added = losses_of(held, 1) - losses_of(without, 1)

    batch = setting.data.of_step(1)
    row = [name[0] for name in batch.names].index("0")
    rng = StepRandom.of_step(1, 1, CPU)
    n, t = rng.noise((3, 4, 8, 8), torch.float64), Uniform().draw(rng, 3, (0, 300), 1000)
    a, s = (root[t].sqrt().view(3, 1, 1, 1) for root in (KEPT, 1 - KEPT))
    x = (a * batch.latents + s * n)[row : row + 1]
    found = with_and_without(setting, x, t[row : row + 1], "a green dog")
    snr = (KEPT / (1 - KEPT))[t[row]]
    weight = torch.clamp(5 / snr, max=1) if kind is EPSILON else torch.clamp(snr, max=5) / (snr + 1)
    wanted = torch.zeros(3, dtype=torch.float64)
    wanted[row] = 0.25 * ((found[0] - found[1]) ** 2).mean() * weight
    assert wanted[row] > 0
    torch.testing.assert_close(added.double(), wanted, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("strength", [0.0, -1.0])
def test_a_strength_left_over_from_sample_images_is_not_trained_at(setting: Setting, strength: float) -> None:
    wanted = product_loss(setting, 1)
    setting.network.strength = strength
    found = product_loss(setting, 1)
    assert found.item() == wanted.item()
    parameters = [each for each in setting.network.parameters() if each.requires_grad]
    for one, two in zip(torch.autograd.grad(found, parameters), torch.autograd.grad(wanted, parameters), strict=True):
        assert torch.equal(one, two)


def test_other_words_are_held_at_images_of_their_own(
    setting: Setting, kind: Parameterisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``0.25 * |e(y_t, t, "a gorp dog"; 1) - e(y_t, t, "a gorp dog"; 0)|^2`` of each of three samples."""
    own = torch.randn(3, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    monkeypatch.setattr(MadeImages, "of_step", lambda _made, _like, _rng: (own, ["a gorp dog"] * 3))
    changes = {"train_self_reg": 0.25, "train_self_reg_images": 2, "lora_trigger_word": "Red"}
    without = replace(setting.scene, settings=replace(setting.scene.settings, lora_trigger_word="Red"))
    held = replace(setting.scene, settings=replace(setting.scene.settings, **changes))
    added = losses_of(held, 1) - losses_of(without, 1)

    rng = StepRandom.of_step(1, 1, CPU)
    n, t = rng.noise((3, 4, 8, 8), torch.float64), Uniform().draw(rng, 3, (0, 300), 1000)
    wanted = torch.zeros(3, dtype=torch.float64)
    for row in range(3):
        kept = KEPT[t[row]]
        y = (kept.sqrt() * own[row] + (1 - kept).sqrt() * n[row])[None]
        found = with_and_without(setting, y, t[row : row + 1], "a gorp dog")
        snr = kept / (1 - kept)
        weight = torch.clamp(5 / snr, max=1) if kind is EPSILON else torch.clamp(snr, max=5) / (snr + 1)
        wanted[row] = 0.25 * ((found[0] - found[1]) ** 2).mean() * weight
    assert wanted.min() > 0
    torch.testing.assert_close(added.double(), wanted, rtol=1e-3, atol=1e-6)
