"""The keep term against a plain re-computation in double precision."""

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
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.latents import encode_samples
from trainer.data.scan import scan
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Uniform
from trainer.models.base import Bundle, Conditioning
from trainer.modes.base import Mode, PassContext
from trainer.modes.ileco import ILECO
from trainer.modes.keep import Keep
from trainer.modes.lora import LoRAMode
from trainer.networks.base import Network

CPU = torch.device("cpu")
PROMPTS = ("a dog", "a cat, sitting", "word " * 100)
ROWS = 4
SCALE = 6.0 / 3


@dataclass
class Setting:
    plain: Bundle
    """A second, untouched copy of the model."""
    network: Network
    scene: PassContext

    def with_(self, **changes: object) -> PassContext:
        return replace(self.scene, settings=replace(self.scene.settings, **changes))


@pytest.fixture(params=[False, True], ids=["unet", "unet+text"])
def setting(bundles: tuple[Bundle, Bundle], request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle, plain = bundles
    settings = replace(
        Settings(), mode="iLECO", original_prompt="red", target_prompt="blue", image_size=Size(64, 64), train_seed=1,
        train_batch_size=ROWS, train_max_timesteps=300, keep_prompts="\n".join(PROMPTS), keep_weight=0.7,
        network_train_text_encoder=request.param, network_blocks=BLOCKS if request.param else BLOCKS[1:],
        hold_unconditional="no",
    )  # fmt: skip
    network = double_network(bundle, text=request.param)
    with network.attached():
        yield Setting(plain, network, PassContext(settings, bundle, network, bundle.diffusion))


def encoded(plain: Bundle, prompt: str, weights: dict[str, Tensor]) -> Tensor:
    words = plain.tokenizers[0](prompt, add_special_tokens=False).input_ids
    states = []
    for at in range(0, max(1, len(words)), 75):
        part = words[at : at + 75]
        ids = [49406, *part, *[49407] * (76 - len(part))]
        states.append(functional_call(plain.text_encoders[0], weights, (torch.tensor([ids]),)).last_hidden_state)
    return torch.cat(states, 1)


def plain_kept(setting: Setting, x: Tensor, t: Tensor, prompt: str, strength: float, kind: str) -> Tensor:
    """What one sample ``(1, C, h, w)`` adds for a keep prompt."""
    return setting.scene.settings.keep_weight * plain_loss(setting, x, t, prompt, strength, kind)


def plain_loss(setting: Setting, x: Tensor, t: Tensor, prompt: str, strength: float, kind: str) -> Tensor:
    """How far the network moves a prompt, with the update added to the weights and one prompt at a time."""
    plain = setting.plain
    text = merged_weights(setting.network, plain.text_encoders[0], "lora_te", SCALE * strength)
    unet = merged_weights(setting.network, plain.denoiser, "lora_unet", SCALE * strength)
    with torch.no_grad():
        wanted = plain.denoiser(x, t, encoded(plain, prompt, {})).sample
    error = functional_call(plain.denoiser, unet, (x, t, encoded(plain, prompt, text))).sample - wanted
    return (error.abs() if kind == "L1" else error**2).mean()


def step_inputs(setting: Setting, step: int) -> tuple[StepRandom, Tensor, Tensor, Conditioning]:
    rng = StepRandom.of_step(1, step, CPU)
    x = rng.noise((ROWS, 4, 8, 8), torch.float64)
    t = Uniform().draw(rng, ROWS, (0, 300), 1000)
    with torch.no_grad():
        return rng, x, t, setting.scene.bundle.encode(["something else"])


def matching(
    setting: Setting,
    x: Tensor,
    t: Tensor,
    kept: Tensor,
    strengths: list[float],
    kind: str,
    prompts: Sequence[str] = PROMPTS,
    weights: Sequence[float] = (0.7,) * len(PROMPTS),
) -> list[int]:
    """Which prompt each sample was asked for: the one, and the only one, whose plain loss is the product's."""
    numbers = []
    for row in range(len(kept)):
        with torch.no_grad():
            losses = [
                weight * plain_loss(setting, x[row : row + 1], t[row : row + 1], prompt, strengths[row], kind).item()
                for prompt, weight in zip(prompts, weights, strict=True)
            ]
        (number,) = (number for number, loss in enumerate(losses) if loss == pytest.approx(kept[row].item(), rel=1e-6))
        numbers.append(number)
    return numbers


@pytest.mark.parametrize(("step", "kind"), [(1, "MSE"), (2, "L1")])
def test_loss_and_gradient_are_the_formulas(setting: Setting, step: int, kind: str) -> None:
    keep = Keep(setting.with_(train_loss_function=kind))
    rng, x, t, conditioning = step_inputs(setting, step)
    setting.network.strength = 1.0
    predicted, kept = keep.predict(x, t, conditioning, rng)
    torch.testing.assert_close(predicted, setting.scene.bundle.predict(x, t, conditioning), rtol=1e-9, atol=1e-12)
    numbers = matching(setting, x, t, kept, [1.0] * ROWS, kind)
    plain = [
        plain_kept(setting, x[row : row + 1], t[row : row + 1], PROMPTS[number], 1.0, kind)
        for row, number in enumerate(numbers)
    ]
    parameters = list(setting.network.parameters())
    ours, theirs = (torch.autograd.grad(loss, parameters) for loss in (kept.mean(), torch.stack(plain).mean()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-9)


def test_a_strength_for_each_sample_holds_for_its_kept_prompt(setting: Setting) -> None:
    keep = Keep(setting.scene)
    rng, x, t, conditioning = step_inputs(setting, 1)
    strengths = [1.0, -1.0, 0.5, -0.25]
    setting.network.strength = torch.tensor(strengths, dtype=torch.float64)
    predicted, kept = keep.predict(x, t, conditioning, rng)
    matching(setting, x, t, kept, strengths, "MSE")
    for row, strength in enumerate(strengths):
        setting.network.strength = strength
        alone = setting.scene.bundle.predict(x[row : row + 1], t[row : row + 1], conditioning)
        torch.testing.assert_close(predicted[row : row + 1], alone, rtol=1e-9, atol=1e-12)


def test_prompts_are_drawn_by_seed_and_step_and_all_of_them_come(setting: Setting) -> None:
    keep = Keep(setting.scene)
    setting.network.strength = 1.0
    _, x, t, conditioning = step_inputs(setting, 1)
    x, t = x[:1].expand(ROWS, -1, -1, -1), t[:1].expand(ROWS)  # so only the prompts differ
    with torch.no_grad():
        found = [keep.predict(x, t, conditioning, StepRandom.of_step(1, step, CPU))[1] for step in (1, 1, 2, 3, 4)]
    assert torch.equal(found[0], found[1])
    assert len({tuple(kept.tolist()) for kept in found}) > 2
    assert len({round(loss, 9) for kept in found for loss in kept.tolist()}) == len(PROMPTS)


def test_without_prompts_nothing_is_added_or_computed(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, x, t, conditioning = step_inputs(setting, 1)
    setting.network.strength = 1.0
    alone = setting.scene.bundle.predict(x, t, conditioning)
    for changes in ({"keep_prompts": " ;\n"}, {"keep_weight": 0.0}):
        keep = Keep(setting.with_(**changes))
        predict, calls = Bundle.predict, []
        with monkeypatch.context() as patch:
            patch.setattr(Bundle, "predict", lambda *call: calls.append(call) or predict(*call))  # noqa: B023
            predicted, kept = keep.predict(x, t, conditioning, rng)
        assert len(calls) == 1
        assert torch.equal(predicted, alone)
        assert torch.equal(kept, torch.zeros(ROWS))


@pytest.mark.parametrize("mode", [ILECO(), LoRAMode()], ids=lambda mode: type(mode).__name__)
def test_each_mode_adds_it_to_its_own_loss(setting: Setting, mode: Mode, tmp_path: Path) -> None:
    """With masks that halve the pictures, which the kept prompts do not see, and with Min-SNR, which they do."""
    scene = setting.scene
    if isinstance(mode, LoRAMode):
        for number in range(ROWS):
            pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 4), dtype=np.uint8)
            pixels[..., 3] = np.where(np.arange(64) < 32, 255, 0)
            Image.fromarray(pixels).save(tmp_path / f"{number}.png")
            (tmp_path / f"{number}.txt").write_text("a picture")
        changes = {"image_min_length": 64, "image_buckets_step": 64, "lora_data_directory": str(tmp_path)}
        scene = setting.with_(mode="LoRA", **changes)
        data = encode_samples(scan(scene.settings), scene.bundle, scene.settings, lambda *event: None)
        scene = replace(scene, data=data)
    found = []
    for prompts in ("a dog", ""):
        (training,) = mode.passes(scene.settings)
        training.prepare(replace(scene, settings=replace(scene.settings, keep_prompts=prompts)))
        found.append(training.loss(StepRandom.of_step(1, 1, CPU)))
    x, t = step_inputs(setting, 1)[1:3]
    assert torch.equal(found[0].timesteps, t)
    if scene.data is not None:
        a, s = (root[t].sqrt().view(-1, 1, 1, 1) for root in (KEPT, 1 - KEPT))
        x = a * scene.data.of_step(1).latents + s * x
    weight = (5 * (1 - KEPT) / KEPT)[t].clamp(max=1)
    plain = [plain_kept(setting, x[row : row + 1], t[row : row + 1], "a dog", 1.0, "MSE") for row in range(ROWS)]
    added = found[0].samples - found[1].samples
    torch.testing.assert_close(added, torch.stack(plain) * weight, rtol=1e-4, atol=1e-9)
    assert added.min() > 0


HELD = ("", "ugly, blurry")
HOLDING: dict[str, object] = {"hold_unconditional": "yes", "hold_negative": "ugly, blurry"}


@pytest.mark.parametrize("kind", ["MSE", "L1"])
def test_unconditional_and_kept_prompts_have_half_of_the_samples_each(setting: Setting, kind: str) -> None:
    """At the weight 1 and at ``keep_weight``; each sample at its own strength, and with the gradient of the formula."""
    keep = Keep(setting.with_(train_loss_function=kind, **HOLDING))
    rng, x, t, conditioning = step_inputs(setting, 1)
    strengths = [1.0, -1.0, 0.5, -0.25]
    setting.network.strength = torch.tensor(strengths, dtype=torch.float64)
    _, kept = keep.predict(x, t, conditioning, rng)
    everything, weights = (*PROMPTS, *HELD), (*[0.7] * len(PROMPTS), 1.0, 1.0)
    numbers = matching(setting, x, t, kept, strengths, kind, everything, weights)
    assert [number >= len(PROMPTS) for number in numbers] == [True] * (ROWS // 2) + [False] * (ROWS // 2)
    plain = [
        weights[number] * plain_loss(setting, x[row : row + 1], t[row : row + 1], everything[number], strength, kind)
        for row, (number, strength) in enumerate(zip(numbers, strengths, strict=True))
    ]
    parameters = list(setting.network.parameters())
    ours, theirs = (torch.autograd.grad(loss, parameters) for loss in (kept.mean(), torch.stack(plain).mean()))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-9)


def test_unconditional_alone_is_held_on_half_of_the_samples(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn by step where the batch is odd, out of step with modes that take turns of two; and costs no more rows."""
    keep = Keep(setting.with_(keep_prompts="", **HOLDING))
    setting.network.strength = 1.0
    _, x, t, conditioning = step_inputs(setting, 1)
    predict, rows = Bundle.predict, []
    monkeypatch.setattr(Bundle, "predict", lambda *call: rows.append(len(call[1])) or predict(*call))
    held = []
    with torch.no_grad():
        for step in range(1, 9):
            kept = keep.predict(x[:1], t[:1], conditioning, StepRandom.of_step(1, step, CPU))[1]
            held.append(bool(kept[0] > 0))
            if held[-1]:
                matching(setting, x, t, kept, [1.0], "MSE", HELD, (1.0, 1.0))
    assert held == [True, False, False, True] * 2
    assert rows == [1, 2, 1, 1, 1, 2] * 2
    with torch.no_grad():
        kept = keep.predict(x[:3], t[:3], conditioning[[0, 0, 0]], StepRandom.of_step(1, 2, CPU))[1]
    assert (kept > 0).tolist() == [False, False, True]
    assert rows[-2:] == [1, 4]


def test_which_prompt_is_held_depends_on_seed_and_step(setting: Setting) -> None:
    keep = Keep(setting.with_(keep_prompts="", **HOLDING))
    setting.network.strength = 1.0
    _, x, t, conditioning = step_inputs(setting, 1)
    x, t = x[:1].expand(ROWS, -1, -1, -1), t[:1].expand(ROWS)
    with torch.no_grad():
        found = [keep.predict(x, t, conditioning, StepRandom.of_step(1, step, CPU))[1] for step in (1, 1, *range(2, 9))]
    assert torch.equal(found[0], found[1])
    assert len({round(loss, 9) for kept in found for loss in kept.tolist() if loss}) == len(HELD)
    halves = [[True, True, False, False], [False, False, True, True]]
    steps = [halves[0], *(halves[step % 4 not in (0, 1)] for step in range(1, 9))]
    assert [(kept > 0).tolist() for kept in found] == steps  # the halves of a batch take turns


@dataclass(frozen=True)
class Pooled(Conditioning):
    """One that tells no prompt from an empty one, as SDXL's does."""

    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def join(parts: Sequence[Pooled]) -> Pooled:
        return Pooled(torch.cat([each.rows for each in parts]))

    def without(self, rows: Sequence[int]) -> Pooled:
        changed = self.rows.clone()
        changed[rows] = 0
        return Pooled(changed)


@pytest.mark.parametrize("text", [False, True])
def test_no_prompt_is_held_in_both_forms(setting: Setting, text: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the text encoder makes it, and as zeros, which stay zeros where the text encoder is trained."""
    scene, seen = setting.with_(keep_prompts="", hold_unconditional="yes", network_train_text_encoder=text), []
    monkeypatch.setattr(
        Bundle, "encode", lambda _bundle, prompts, **how: Pooled(torch.tensor([[len(each) + 1.0] for each in prompts]))
    )
    monkeypatch.setattr(
        Bundle, "predict", lambda _bundle, x, t, c: seen.append((setting.network.strength, c.rows.flatten())) or x
    )
    keep = Keep(scene)
    setting.network.strength = 1.0
    x, t = torch.zeros(ROWS, 1, 1, 1), torch.zeros(ROWS, dtype=torch.long)
    for step in range(1, 9):
        keep.predict(x, t, Pooled(torch.full((ROWS, 1), 9.0)), StepRandom.of_step(1, step, CPU))
    of_base = torch.cat([rows for _, rows in seen[::2]]).tolist()
    assert set(of_base) == {0.0, 1.0}
    assert torch.cat([rows[ROWS:] for _, rows in seen[1::2]]).tolist() == of_base


def test_automatic_is_yes_in_ileco_and_no_elsewhere(setting: Setting) -> None:
    for state, holds, expected in (
        ("automatic", True, True), ("automatic", False, False), ("yes", False, True), ("no", True, False),
    ):  # fmt: skip
        scene = setting.with_(keep_prompts="", hold_unconditional=state)
        setting.network.strength = 1.0
        rng, x, t, conditioning = step_inputs(setting, 1)
        with torch.no_grad():
            kept = Keep(scene, holds_unconditional=holds).predict(x, t, conditioning, rng)[1]
        assert bool(kept.any()) is expected
    (training,) = ILECO().passes(setting.scene.settings)
    losses = []
    for state in ("automatic", "yes", "no"):
        training.prepare(setting.with_(keep_prompts="", hold_unconditional=state))
        losses.append(training.loss(StepRandom.of_step(1, 1, CPU)).samples)
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])
