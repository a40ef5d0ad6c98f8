"""Every mode's loss and gradient on a rectified flow, against a plain re-computation in double precision.

``x = (1 - s) z + s n``, the target ``n - z``, the U-Net's time ``1000 s``, timesteps from a logit-normal density, no
weights of timesteps; the LoRA is merged into the weights. Nothing of it is computed by the product's own diffusion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from tests.helpers.merged import double_network, merged_weights
from trainer.config.settings import Settings
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.data.latents import Dataset, encode_samples
from trainer.data.pairs.pair import open_pair
from trainer.data.pairs.scan import scan_pairs
from trainer.data.scan import scan
from trainer.diffusion.random import StepRandom
from trainer.models.base import Bundle
from trainer.models.placement import place
from trainer.models.registry import load_bundle
from trainer.modes.base import PassContext, StepLoss
from trainer.modes.descriptions import Descriptions
from trainer.modes.registry import mode_of
from trainer.networks.base import Network

CPU = torch.device("cpu")
COMMON: dict[str, Any] = {
    "image_size": Size(64, 64), "image_min_length": 64, "image_buckets_step": 64, "train_seed": 1,
    # All of these are off along a flow.
    "train_snr_gamma": 5.0, "train_debiased_estimation": True, "train_scale_v_pred_loss": True,
    "train_noise_offset": 0.1, "train_multires_noise_iterations": 6, "train_adaptive_noise_scale": 0.1,
}  # fmt: skip


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    """A second, untouched copy of the model."""
    network: Network

    def loss(self, settings: Settings, step: int, data: Dataset | None = None, number: int = 0) -> StepLoss:
        training = mode_of(settings.mode).passes(settings)[number]
        own = training.spec.settings or settings
        training.prepare(PassContext(own, self.bundle, self.network, self.bundle.diffusion, data))
        return training.loss(StepRandom.of_step(1, step, CPU))

    def predict(self, x: Tensor, s: Tensor, prompt: str, strength: float) -> Tensor:
        """``v(x, s, c; strength)`` of one sample ``(1, 4, h, w)``."""
        plain, text = self.plain, self.plain.text_encoders[0]
        ids = plain.tokenizers[0](prompt, padding="max_length", max_length=77, return_tensors="pt").input_ids
        encoder = merged_weights(self.network, text, "lora_te", 2.0 * strength) if strength else {}
        states = functional_call(text, encoder, (ids,)).last_hidden_state
        weights = merged_weights(self.network, plain.denoiser, "lora_unet", 2.0 * strength) if strength else {}
        return functional_call(plain.denoiser, weights, (x, 1000 * s, states)).sample

    def holds(self, ours: StepLoss, plain: Tensor) -> None:
        assert ours.samples.mean().item() == pytest.approx(plain.item(), rel=2e-6)  # the tables are float32
        parameters = list(self.network.parameters())
        first, second = (
            torch.autograd.grad(each, parameters, allow_unused=True) for each in (ours.samples.mean(), plain)
        )
        assert any(each is not None and each.abs().max() > 1e-6 for each in first)
        for one, two in zip(first, second, strict=True):
            torch.testing.assert_close(one, two, rtol=2e-4, atol=1e-7)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    metadata = {"trainyard_config": GROUPS["trainyard_config"].replace("{", '{"prediction": "flow", ', 1)}
    write_safetensors(path, sd1_tensors(TWO_LEVELS), metadata)
    found = load_bundle(path), load_bundle(path)
    for bundle in found:
        place(bundle, CPU, dict.fromkeys(bundle.modules, torch.float64))
    return found


@pytest.fixture
def setting(pair: tuple[Bundle, Bundle]) -> Iterator[Setting]:
    bundle, plain = pair
    network = double_network(bundle, text=False)
    with network.attached():
        yield Setting(bundle, plain, network)


@pytest.fixture(params=[False, True], ids=["unet", "unet+text"])
def either(pair: tuple[Bundle, Bundle], request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle, plain = pair
    network = double_network(bundle, text=request.param)
    with network.attached():
        yield Setting(bundle, plain, network)


def blocks_of(setting: Setting) -> dict[str, Any]:
    """All blocks where the text encoder is trained, all but its own otherwise."""
    trains = any(adapter.name.startswith("lora_te") for adapter in setting.network)
    return {} if trains else {"network_blocks": Settings.network_blocks[1:]}


def drawn(
    step: int, count: int, window: tuple[int, int] = (0, 1000), *, shape: tuple[int, int] = (8, 8), swept: bool = False
) -> tuple[Tensor, Tensor]:
    """The noise and the ``s`` ``(B, 1, 1, 1)`` of a step: ``sigmoid(n)`` with ``n ~ N(-0.2, 1)`` within the window."""
    rng = StepRandom.of_step(1, step, CPU)
    n = rng.noise((count, 4, *shape), torch.float64)
    share = torch.rand(count, generator=rng.generator).double()
    if swept:
        share = ((torch.arange(count) + (step - 1) * count) % 10 + share) / 10
    normal = torch.distributions.Normal(torch.tensor(-0.2, dtype=torch.float64), 1.0)
    low, high = (
        normal.cdf(torch.tensor(each / 1000, dtype=torch.float64).logit()) if 0 < each < 1000 else each / 1000
        for each in window
    )
    u = normal.icdf(low + share * (high - low)).sigmoid()
    return n, (((1000 * u).floor() + 1) / 1000).view(-1, 1, 1, 1)


def pictures(folder: Path, names: tuple[str, ...], captions: tuple[str, ...], seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, caption in zip(names, captions, strict=True):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(caption)
    return folder


# ---- images with captions -------------------------------------------------------------------------------------------

CAPTIONS = ("a red dog", "a blue cat, sitting", "a house")


def of_folder(setting: Setting, folder: Path, **changes: Any) -> tuple[Settings, Dataset]:
    settings = Settings(
        mode="LoRA", lora_data_directory=str(pictures(folder, ("0", "1", "2"), CAPTIONS)), train_batch_size=3,
        **{**COMMON, **blocks_of(setting), **changes},
    )  # fmt: skip
    return settings, encode_samples(scan(settings), setting.bundle, settings, lambda *_: None)


@pytest.mark.parametrize("window", [(0, 1000), (600, 900)])
@pytest.mark.parametrize("step", [1, 2])
def test_lora(either: Setting, tmp_path: Path, step: int, window: tuple[int, int]) -> None:
    low, high = window
    settings, data = of_folder(either, tmp_path / "a", train_min_timesteps=low, train_max_timesteps=high)
    batch, (n, s) = data.of_step(step), drawn(step, 3, window)
    losses = []
    for row in range(3):
        at = slice(row, row + 1)
        x = (1 - s[at]) * batch.latents[at] + s[at] * n[at]
        found = either.predict(x, s[at].flatten(), CAPTIONS[int(batch.names[row][0])], 1.0)
        losses.append(((found - (n - batch.latents)[at]) ** 2).mean())
    ours = either.loss(settings, step, data)
    assert ((low / 1000 < s) & (s <= high / 1000)).all()
    either.holds(ours, torch.stack(losses).mean())


@pytest.mark.parametrize(
    "changes",
    [
        {"keep_prompts": "a green dog", "keep_weight": 0.7},
        {"hold_unconditional": "yes"},
        {"train_self_reg": 0.25, "train_self_reg_filler": "green", "lora_trigger_word": "red"},
    ],
    ids=["keep_prompts", "hold_unconditional", "train_self_reg"],
)
def test_what_is_held_is_held_at_the_same_noisy_latents(setting: Setting, tmp_path: Path, changes: Any) -> None:
    """What is added: the distance of two velocities, which no weight changes."""
    base, data = of_folder(setting, tmp_path / "a")
    settings = replace(base, **changes)
    batch, (n, s) = data.of_step(1), drawn(1, 3)
    x = (1 - s) * batch.latents + s * n
    wanted = torch.zeros(3, dtype=torch.float64)
    for row in range(3):
        at, caption = slice(row, row + 1), CAPTIONS[int(batch.names[row][0])]
        prompt, weight = "a green dog", changes.get("keep_weight", 0.0)
        if "hold_unconditional" in changes:
            prompt, weight = "", float(row < 2)  # the larger half of three, in the first step
        elif "train_self_reg" in changes:
            weight = 0.25 * ("red" in caption)
        moved = setting.predict(x[at], s[at].flatten(), prompt, 1.0) - setting.predict(
            x[at], s[at].flatten(), prompt, 0.0
        )
        wanted[row] = weight * (moved**2).mean()
    added = setting.loss(settings, 1, data).samples - setting.loss(base, 1, data).samples
    assert wanted.max() > 1e-3
    torch.testing.assert_close(added.double(), wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("number", [0, 1], ids=["1st pass", "2nd pass"])
def test_difference(pair: tuple[Bundle, Bundle], tmp_path: Path, number: int) -> None:
    """The second network with the first beside it: the update of both is added to the weights."""
    bundle, plain = pair
    folder, prompts = pictures(tmp_path / "pair", ("a", "b"), ("", "")), ("a closed eye", "an open eye")
    settings = Settings(
        mode="Difference", original_image=str(folder / "a.png"), target_image=str(folder / "b.png"),
        original_prompt=prompts[0], target_prompt=prompts[1], train_batch_size=2, **COMMON,
    )  # fmt: skip
    data = encode_samples(open_pair(settings).placed(settings, DEFAULT_SIZE), bundle, settings, lambda *_: None)
    networks = [double_network(bundle, text=False, seed=seed) for seed in (5, 6)]
    latents = data.of_step(1).latents if number == 0 else data.of_step(1).targets
    assert latents is not None
    n, s = drawn(4, 2)
    weights = dict(plain.denoiser.named_parameters())
    for network in networks[: number + 1]:
        for path, weight in merged_weights(network, plain.denoiser, "lora_unet", 2.0).items():
            weights[path] = weights[path] + weight - dict(plain.denoiser.named_parameters())[path]
    ids = plain.tokenizers[0](prompts[number], padding="max_length", max_length=77, return_tensors="pt").input_ids
    states = plain.text_encoders[0](ids).last_hidden_state.expand(2, -1, -1)
    x = (1 - s) * latents[:1] + s * n
    found = functional_call(plain.denoiser, weights, (x, 1000 * s.flatten(), states)).sample
    wanted = ((found - (n - latents[:1])) ** 2).mean()
    with networks[0].attached(), networks[1].attached() if number else torch.enable_grad():
        scene = Setting(bundle, plain, networks[number])
        scene.holds(scene.loss(settings, 4, data, number), wanted)


# ---- pairs ----------------------------------------------------------------------------------------------------------

PROMPTS = {"original": "a red dog", "target": "a blue cat"}


def of_pair(setting: Setting, folder: Path, **changes: Any) -> tuple[Settings, Dataset]:
    pictures(folder, ("a", "b"), ("", ""))
    settings = Settings(
        mode="ADDifT", original_image=str(folder / "a.png"), target_image=str(folder / "b.png"),
        **{
            "original_prompt": PROMPTS["original"], "target_prompt": PROMPTS["target"], "train_batch_size": 2,
            "train_min_timesteps": 500, **COMMON, **blocks_of(setting), **changes,
        },
    )  # fmt: skip
    data = encode_samples(open_pair(settings).placed(settings, DEFAULT_SIZE), setting.bundle, settings, lambda *_: None)
    return settings, data


def error(one: Tensor, two: Tensor) -> Tensor:
    return ((one - two) ** 2).mean()


@pytest.mark.parametrize(
    ("changes", "step", "pair_of_turns", "reverse"),
    [
        ({}, 1, 1, False),
        ({}, 2, 1, True),
        ({"diff_alt_ratio": 0.5}, 4, 2, True),
        ({"diff_alt_ratio": -2.0}, 2, 1, True),
        ({"diff_revert_original_target": True}, 1, 1, False),
        ({"diff_revert_original_target": True}, 2, 1, True),
    ],
)
def test_addift(
    either: Setting, tmp_path: Path, changes: dict[str, Any], step: int, pair_of_turns: int, reverse: bool
) -> None:
    """With the network the model shall find the noise that the base finds in the other image, and latents that lie away
    from the base's by the difference of the two: ``n' - (z' + d)``, which is ``v' - d``."""
    settings, data = of_pair(either, tmp_path / "pair", **changes)
    batch = data.of_step(1)
    assert batch.targets is not None
    z, prompts = {"original": batch.latents, "target": batch.targets}, PROMPTS
    if settings.diff_revert_original_target:
        z = {"original": batch.targets, "target": batch.latents}
        prompts = {"original": PROMPTS["target"], "target": PROMPTS["original"]}
    n, s = drawn(pair_of_turns, 2, (500, 1000), swept=True)
    losses = []
    for row in range(2):
        at = slice(row, row + 1)
        x = {name: (1 - s[at]) * latents + s[at] * n[at] for name, latents in z.items()}
        seen, other, strength = "target", "original", 0.25
        if reverse:
            seen, other, strength = "original", "target", -abs(settings.diff_alt_ratio) / 4
        if reverse and settings.diff_alt_ratio < 0:
            base = either.predict(n[at], s[at].flatten(), prompts["original"], 0.0)
            losses.append(error(either.predict(n[at], s[at].flatten(), prompts["target"], strength), base.detach()))
            continue
        base = either.predict(x[other], s[at].flatten(), prompts["original"], 0.0).detach()
        clean, noise = x[other] - s[at] * base, x[other] + (1 - s[at]) * base
        wanted = noise - (clean + z[seen] - z[other])
        losses.append(error(either.predict(x[seen], s[at].flatten(), prompts["target"], strength), wanted))
    either.holds(either.loss(settings, step, data), torch.stack(losses).mean())


@pytest.mark.parametrize("describes", [False, True], ids=["captions", "descriptions"])
@pytest.mark.parametrize(("step", "ratio"), [(1, 0.5), (2, 0.5), (2, -0.5)])
def test_addift_that_reaches_its_target(
    setting: Setting, tmp_path: Path, step: int, ratio: float, *, describes: bool
) -> None:
    """At a description, the prediction moves as far as at the empty caption."""
    own = {"original_prompt": "", "target_prompt": "", "diff_descriptions": 4} if describes else {}
    settings, data = of_pair(setting, tmp_path / "pair", diff_reach_target=True, diff_alt_ratio=ratio, **own)
    captions = [settings.target_prompt] * 2
    told = Descriptions(settings).of_step(StepRandom.of_step(1, 1, CPU), captions).instead_of(captions)
    assert sum(map(bool, told)) == (1 if describes else 2)
    batch = data.of_step(1)
    z, y = batch.latents, batch.targets
    assert y is not None
    away = (z - y).abs().sum(1, keepdim=True)
    share = torch.minimum(4 * away / away.max(), torch.ones_like(away))
    spread = math.sqrt(((z - y) ** 2).sum().item() / 4 / (share**2).sum().item())
    n, s = drawn(1, 2, (500, 1000), swept=True)
    rng = StepRandom.of_step(1, 1, CPU)
    rng.noise((2, 4, 8, 8), torch.float64)
    torch.rand(2, generator=rng.generator)
    moved = [spread * rng.noise((2, 4, 1, 1), torch.float64) for _ in range(2)]
    end, strength = (y, 1.0) if step == 1 else (z, -abs(ratio))
    local = min(1.0, max(0.0, (0.95 - share.mean().item()) / 0.2))
    losses = []
    for row in range(2):
        at, loss = slice(row, row + 1), torch.zeros((), dtype=torch.float64)
        sides = [(1 - s[at]) * (each + share * by[at]) + s[at] * n[at] for each, by in zip((z, y), moved, strict=True)]
        for x in sides if ratio > 0 else [n[at]]:
            wanted = setting.predict(x, s[at].flatten(), settings.target_prompt, 0.0).detach()
            at_description = setting.predict(x, s[at].flatten(), told[row], 0.0).detach() - wanted
            if ratio > 0:
                rest = (x - end) / s[at] - wanted  # the velocity that leads from x to the end
                basis = torch.stack([*(torch.eye(4, dtype=torch.float64)[:, :, None, None] * share), (y - z)[0]])
                flat = basis.flatten(1).T
                along = (flat @ torch.linalg.lstsq(flat, rest.flatten()[:, None]).solution).view_as(rest)
                wanted = wanted + local * share * rest + (1 - local) * along
            found = setting.predict(x, s[at].flatten(), told[row], strength)
            loss = loss + error(found, wanted + at_description)
        losses.append(loss)
    setting.holds(setting.loss(settings, step, data), torch.stack(losses).mean())


def test_multi_addift(setting: Setting, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pairs", ("0", "0_on", "1", "1_on"), ("a dog", "a cat", "a house", "a tree"))
    settings = Settings(
        mode="Multi-ADDifT", lora_data_directory=str(folder), diff_target_name="_on", train_batch_size=2,
        **COMMON, **blocks_of(setting),
    )  # fmt: skip
    data = encode_samples(scan_pairs(settings), setting.bundle, settings, lambda *_: None)
    batch, (n, s) = data.of_step(1), drawn(1, 2, swept=True)
    assert batch.targets is not None
    losses = []
    for row, name in enumerate(batch.names):
        at, words = slice(row, row + 1), {"0.png": ("a dog", "a cat"), "1.png": ("a house", "a tree")}[name]
        original, target = ((1 - s[at]) * latents[at] + s[at] * n[at] for latents in (batch.latents, batch.targets))
        base = setting.predict(original, s[at].flatten(), words[0], 0.0).detach()
        wanted = base - (batch.targets - batch.latents)[at]
        losses.append(error(setting.predict(target, s[at].flatten(), words[1], 0.25), wanted))
    setting.holds(setting.loss(settings, 1, data), torch.stack(losses).mean())


# ---- prompts --------------------------------------------------------------------------------------------------------


def starts(setting: Setting, n: Tensor, s: Tensor, prompt: str, steps: int, strength: float = 1.0) -> Tensor:
    """Euler from pure noise at ``s = 1`` to the ``s`` of each sample, along even strides of whole timesteps."""
    found = []
    for x, end in zip(n.split(1), s.flatten().tolist(), strict=True):
        now, last = 1.0, round(1000 * (1 - end))
        for step in range(1, steps + 1):
            after = (1000 - last * step // steps) / 1000
            with torch.no_grad():
                v = setting.predict(x, torch.tensor([now], dtype=torch.float64), prompt, strength)
            x, now = x + (after - now) * v, after
        assert now == pytest.approx(end)
        found.append(x)
    return torch.cat(found)


@pytest.mark.parametrize(("steps", "taken"), [(0, 4), (2, 2)])
@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_ileco(either: Setting, steps: int, taken: int, scale: float) -> None:
    settings = Settings(
        mode="iLECO", original_prompt="red", target_prompt="blue", train_batch_size=2, hold_unconditional="no",
        ileco_scale=scale, ileco_denoise_steps=steps, **{**COMMON, **blocks_of(either)},
        network_train_text_encoder=True,
    )  # fmt: skip
    n, s = drawn(3, 2)
    x = starts(either, n, s, "red", taken)
    losses = []
    for row in range(2):
        at = slice(row, row + 1)
        red, blue = (either.predict(x[at], s[at].flatten(), each, 0.0).detach() for each in ("red", "blue"))
        losses.append(error(either.predict(x[at], s[at].flatten(), "red", 1.0), red + scale * (blue - red)))
    either.holds(either.loss(settings, 3), torch.stack(losses).mean())


@pytest.mark.parametrize(("step", "strength"), [(1, 1.0), (2, -1.0)])
def test_a_slider(setting: Setting, step: int, strength: float) -> None:
    settings = Settings(
        mode="iLECO", original_prompt="a face", slider_positive="old", slider_negative="young", slider_scale=1.5,
        train_batch_size=2, hold_unconditional="no", ileco_denoise_steps=1, **{**COMMON, **blocks_of(setting)},
    )  # fmt: skip
    n, s = drawn(step, 2)
    x = starts(setting, n, s, "a face", 1, strength)
    losses = []
    for row in range(2):
        at = slice(row, row + 1)
        old, young, face = (
            setting.predict(x[at], s[at].flatten(), each, 0.0).detach() for each in ("old", "young", "a face")
        )
        wanted = face + strength * 1.5 * (old - young)
        losses.append(error(setting.predict(x[at], s[at].flatten(), "a face", strength), wanted))
    setting.holds(setting.loss(settings, step), torch.stack(losses).mean())
