"""ADDifT's losses and gradients, turn by turn, against a plain re-computation in double precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

from tests.helpers.merged import KEPT, double_network, merged_weights
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.data.latents import encode_samples
from trainer.data.pairs.pair import open_pair
from trainer.data.pairs.scan import scan_pairs
from trainer.diffusion.parameterisation import EPSILON, VELOCITY, Parameterisation
from trainer.diffusion.random import StepRandom
from trainer.diffusion.timesteps import Uniform
from trainer.engine.run import check_for_run
from trainer.models.base import Bundle
from trainer.modes.addift import ADDifT, End, displacements
from trainer.modes.base import PassContext
from trainer.modes.descriptions import Descriptions
from trainer.modes.multi_addift import MultiADDifT
from trainer.networks.base import Network

CPU = torch.device("cpu")
ORIGINAL, TARGET = "a red dog", "a blue cat, sitting"
SCALE = 6.0 / 3


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    """A second, untouched copy of the model."""
    network: Network
    settings: Settings

    def scene(self, kind: Parameterisation = EPSILON, **changes: Any) -> PassContext:
        settings = replace(self.settings, **changes)
        scanned = open_pair(settings).placed(settings, DEFAULT_SIZE)
        data = encode_samples(scanned, self.bundle, settings, lambda *event: None)
        return PassContext(settings, self.bundle, self.network, self.bundle.diffusion.predicting(kind), data)


@pytest.fixture(params=[False, True], ids=["unet", "unet+text"])
def setting(bundles: tuple[Bundle, Bundle], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Setting]:
    """The left half differs; the upper quarter of the original is transparent."""
    bundle, plain = bundles
    rng = np.random.default_rng(0)
    original = rng.integers(0, 120, (64, 64, 3), dtype=np.uint8)
    target = original.copy()
    target[:, :32] += 100
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:16] = 0
    Image.fromarray(np.dstack([original, alpha])).save(tmp_path / "a.png")
    Image.fromarray(target).save(tmp_path / "b.png")
    settings = replace(
        Settings(), mode="ADDifT", original_image=str(tmp_path / "a.png"), target_image=str(tmp_path / "b.png"),
        original_prompt=ORIGINAL, target_prompt=TARGET, train_batch_size=2, train_max_timesteps=300, train_seed=1,
        network_blocks=BLOCKS if request.param else BLOCKS[1:],
    )  # fmt: skip
    network = double_network(bundle, text=request.param)
    with network.attached():
        yield Setting(bundle, plain, network, settings)


def ours(scene: PassContext, step: int) -> Tensor:
    training = ADDifT().passes(scene.settings)[0]
    training.prepare(scene)
    return training.loss(StepRandom.of_step(1, step, CPU)).samples.mean()


# ---- the formulas, with merged weights and no adapters --------------------------------------------------------------


def predict(setting: Setting, x: Tensor, t: Tensor, prompt: str, strength: float) -> Tensor:
    """``e(x, t, c; strength)`` for one sample ``(1, 4, 8, 8)``."""
    plain, text = setting.plain, setting.plain.text_encoders[0]
    words = plain.tokenizers[0](prompt, add_special_tokens=False).input_ids
    ids = torch.tensor([[49406, *words, *[49407] * (76 - len(words))]])
    encoder = merged_weights(setting.network, text, "lora_te", SCALE * strength)
    states = functional_call(text, encoder, (ids,)).last_hidden_state
    weights = merged_weights(setting.network, plain.denoiser, "lora_unet", SCALE * strength)
    return functional_call(plain.denoiser, weights, (x, t, states)).sample


def error(one: Tensor, two: Tensor, mask: Tensor) -> Tensor:
    return (((one - two) ** 2).mean((0, 1)) * mask).sum() / mask.sum()


def plain_turn(
    setting: Setting,
    scene: PassContext,
    pair_of_turns: int,
    *,
    reverse: bool,
    count: int = 2,
    kind: Parameterisation = EPSILON,
    described: Sequence[str] = (),
) -> Tensor:
    """``(count,)``: the loss of each sample of a turn; ``described`` says what stands in the place of ``zorp``."""
    settings = scene.settings
    assert scene.data is not None
    data = scene.data.of_step(1)
    assert data.targets is not None
    z = {"original": data.latents, "target": data.targets}
    prompts = {"original": ORIGINAL, "target": TARGET}
    if settings.diff_revert_original_target:
        z = {"original": data.targets, "target": data.latents}
        prompts = {"original": TARGET, "target": ORIGINAL}
    mask = torch.ones(8, 8, dtype=torch.float64)
    mask[:2] = 0
    outside = mask.clone()
    if settings.diff_use_diff_mask:
        mask[:, 4:] = 0
        outside[:, :4] = 0
    rng = StepRandom.of_step(1, pair_of_turns, CPU)
    n = rng.noise((count, 4, 8, 8), torch.float64)
    t = Uniform().sweep(rng, count, (0, 300), 1000)
    losses = []
    for row in range(count):
        noise, time = n[row : row + 1], t[row : row + 1]
        a, s = KEPT[time].sqrt(), (1 - KEPT[time]).sqrt()
        x = {name: a * latents + s * noise for name, latents in z.items()}
        seen, base_seen, strength, by = x["target"], x["original"], 0.25, z["target"] - z["original"]
        if reverse:
            strength, by = -abs(settings.diff_alt_ratio) / 4, -by
            seen, base_seen = x["original"], x["target"]
            if settings.diff_alt_ratio < 0:
                seen, base_seen, by = noise, noise, torch.zeros_like(by)
        shown, of_base = (described[row], "zorp") if described else (prompts["target"], prompts["original"])
        predicted = predict(setting, seen, time, shown, strength)
        wanted = predict(setting, base_seen, time, of_base, 0).detach()
        if kind is VELOCITY:  # the base's noise, and its latents moved by the difference
            clean, spread = a * base_seen - s * wanted, s * base_seen + a * wanted
            wanted = a * spread - s * (clean + by)
        if described:  # moved as far as at the caption
            wanted = (
                wanted + (predict(setting, seen, time, shown, 0) - predict(setting, seen, time, "zorp", 0)).detach()
            )
        loss = error(predicted, wanted, mask)
        if settings.diff_keep_outside:
            base = predict(setting, seen, time, shown, 0).detach()
            loss = loss + settings.diff_keep_outside * error(predicted, base, outside)
        snr = (KEPT / (1 - KEPT))[time]
        weight = torch.clamp(5 / snr, max=1) if kind is EPSILON else torch.clamp(snr, max=5) / (snr + 1)
        losses.append(loss * weight)
    return torch.cat(losses)


def same(setting: Setting, one: Tensor, two: Tensor) -> None:
    assert one.item() == pytest.approx(two.item(), rel=1e-5)
    parameters = list(setting.network.parameters())
    first, second = (torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (one, two))
    for left, right in zip(first, second, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-9)


TURNS: list[
    tuple[dict[str, Any], int, int, bool]
] = [  # what is set, the step, its pair of turns, whether it is reverse
    ({}, 1, 1, False),
    ({}, 2, 1, True),
    ({}, 3, 2, False),
    ({"diff_alt_ratio": 0.5}, 4, 2, True),
    ({"diff_alt_ratio": -2.0}, 2, 1, True),
    ({"diff_alt_ratio": 0.0}, 2, 2, False),
    ({"diff_revert_original_target": True}, 1, 1, False),
    ({"diff_revert_original_target": True}, 2, 1, True),
    ({"diff_use_diff_mask": True}, 1, 1, False),
    ({"diff_use_diff_mask": True, "diff_keep_outside": 0.7}, 2, 1, True),
]


@pytest.mark.parametrize(("changes", "step", "pair_of_turns", "reverse"), TURNS)
def test_each_turn_is_its_formula(
    setting: Setting, changes: dict[str, Any], step: int, pair_of_turns: int, reverse: bool
) -> None:
    scene = setting.scene(**changes)
    same(setting, ours(scene, step), plain_turn(setting, scene, pair_of_turns, reverse=reverse).mean())


@pytest.mark.parametrize(
    ("step", "pair_of_turns", "reverse", "changes"),
    [(1, 1, False, {}), (2, 1, True, {}), (3, 2, False, {"diff_use_diff_mask": True, "diff_keep_outside": 0.7})],
)
def test_a_pair_without_captions_moves_as_far_at_descriptions(
    setting: Setting, step: int, pair_of_turns: int, reverse: bool, changes: dict[str, Any]
) -> None:
    """One of two samples, in both turns: from what the base makes of the description, by what the caption learns."""
    said = {"original_prompt": "zorp", "target_prompt": "", "lora_trigger_word": "zorp", "diff_descriptions": 4}
    scene = setting.scene(**said, **changes)
    rng = StepRandom.of_step(1, pair_of_turns, CPU)
    described = Descriptions(scene.settings).of_step(rng, ["zorp"] * 2).instead_of(["zorp"] * 2)
    (own,) = [each for each in described if each != "zorp"]
    assert own.startswith("zorp, ")
    plain = plain_turn(setting, scene, pair_of_turns, reverse=reverse, described=described).mean()
    same(setting, ours(scene, step), plain)


@pytest.mark.parametrize("step", [1, 2])
def test_a_model_that_predicts_velocity(setting: Setting, step: int) -> None:
    """The noise of the base's prediction stays, and its latents move by the difference, as where noise is predicted."""
    scene = setting.scene(VELOCITY)
    plain = plain_turn(setting, scene, 1, reverse=step == 2, kind=VELOCITY).mean()
    same(setting, ours(scene, step), plain)


@pytest.mark.parametrize(
    "changes", [{}, {"diff_alt_ratio": -0.5}, {"diff_use_diff_mask": True, "diff_keep_outside": 2.0}]
)
def test_both_turns_at_once_are_the_sum_of_the_two(setting: Setting, changes: dict[str, Any]) -> None:
    apart, together = setting.scene(**changes), setting.scene(**changes, diff_both_turns=True)
    same(setting, ours(together, 1), ours(apart, 1) + ours(apart, 2))
    same(setting, ours(together, 2), ours(apart, 3) + ours(apart, 4))
    plain = [plain_turn(setting, apart, 1, reverse=reverse).mean() for reverse in (False, True)]
    same(setting, ours(together, 1), plain[0] + plain[1])


def projected(rest: Tensor, share: Tensor, difference: Tensor) -> Tensor:
    """Onto ``share`` in each of the four channels and onto the difference, by least squares."""
    basis = torch.zeros(5, 4, 8, 8, dtype=torch.float64)
    for channel in range(4):
        basis[channel, channel] = share
    basis[4] = difference
    found = torch.linalg.lstsq(basis.flatten(1).T, rest.flatten()[:, None]).solution
    return (basis.flatten(1).T @ found).view(4, 8, 8)


@pytest.mark.parametrize(("width", "local"), [(3, 1.0), (6, 1.0), (7, 0.375), (8, 0.0)])
def test_where_most_of_an_image_differs_its_outlines_are_left(width: int, local: float) -> None:
    """Of ``width`` columns of eight that differ."""
    generator = torch.Generator().manual_seed(width)
    rest, base, difference = torch.randn(3, 1, 4, 8, 8, generator=generator, dtype=torch.float64)
    share = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    share[..., :width] = 1
    expected = base + local * share * rest + (1 - local) * projected(rest[0], share[0, 0], difference[0])
    torch.testing.assert_close(End(base + rest, share, difference).reached(base), expected)


@pytest.mark.parametrize("side", [128, 256])
def test_half_precision_has_the_sums_of_large_images(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    base, rest = torch.randn(2, 1, 4, side, side, generator=generator)
    one, other = 0.5 * torch.randn(2, 1, 4, 1, 1, generator=generator).expand(2, 1, 4, side, side)
    ones = torch.ones(1, 1, side, side)
    whole = (
        End(base + rest, ones, other - one).reached(base),
        *displacements(one, other, ones, StepRandom.of_step(1, 1, CPU)),
    )
    half = [each.half() for each in (base, base + rest, one, other, ones)]
    found = (
        End(half[1], half[4], half[3] - half[2]).reached(half[0]),
        *displacements(half[2], half[3], half[4], StepRandom.of_step(1, 1, CPU)),
    )
    for one_, two in zip(found, whole, strict=True):
        assert one_.dtype == torch.float16
        torch.testing.assert_close(one_.float(), two, rtol=1e-2, atol=1e-2)


def test_a_pair_that_is_shifted_as_a_whole_shifts_predictions_as_a_whole() -> None:
    rest, base = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    ones = torch.ones(1, 1, 8, 8)
    reached = End(base + rest, ones, torch.ones(1, 4, 8, 8)).reached(base)
    torch.testing.assert_close(reached - base, rest.mean((2, 3), keepdim=True).expand_as(rest))


@pytest.mark.parametrize("kind", [EPSILON, VELOCITY], ids=["noise", "velocity"])
@pytest.mark.parametrize(
    ("step", "changes"),
    [(1, {}), (2, {"diff_alt_ratio": 0.5}), (2, {"diff_alt_ratio": -0.5}), (1, {"diff_revert_original_target": True})],
)
def test_the_target_is_reached_from_both_images(
    setting: Setting, step: int, changes: dict[str, Any], kind: Parameterisation
) -> None:
    scene = setting.scene(kind, diff_reach_target=True, **changes)
    assert scene.data is not None
    data, swapped = scene.data.of_step(1), scene.settings.diff_revert_original_target
    z, y = (data.targets, data.latents) if swapped else (data.latents, data.targets)
    assert z is not None
    assert y is not None
    away = (z - y).abs().sum(1)[0]
    share = torch.minimum(4 * away / away.max(), torch.ones_like(away))
    spread = math.sqrt(((z - y) ** 2).sum().item() / 4 / (share**2).sum().item())
    prompt, counted = ORIGINAL if swapped else TARGET, torch.ones(8, 8, dtype=torch.float64)
    counted[:2] = 0
    rng = StepRandom.of_step(1, 1, CPU)
    n, t = rng.noise((2, 4, 8, 8), torch.float64), Uniform().sweep(rng, 2, (0, 300), 1000)
    moved = [spread * rng.noise((2, 4, 1, 1), torch.float64) for _ in range(2)]
    ratio, end = scene.settings.diff_alt_ratio, y if step == 1 else z
    losses = []
    for row in range(2):
        noise, time = n[row : row + 1], t[row : row + 1]
        a, s = KEPT[time].sqrt(), (1 - KEPT[time]).sqrt()
        strength, loss = 1.0 if step == 1 else -abs(ratio), torch.zeros(1, dtype=torch.float64)
        of_original, of_target = (share * each[row : row + 1] for each in (moved[::-1] if swapped else moved))
        sides = (a * (z + of_original) + s * noise, a * (y + of_target) + s * noise)
        for x in sides if ratio > 0 else (noise,):
            wanted = predict(setting, x, time, prompt, 0).detach()
            if ratio > 0:
                left = (x - a * end) / s
                copied = left if kind is EPSILON else a * left - s * end
                local = min(1.0, max(0.0, (0.95 - share.mean().item()) / 0.2))
                rest = copied - wanted
                wanted = wanted + local * share * rest + (1 - local) * projected(rest[0], share, (y - z)[0])
            loss = loss + error(predict(setting, x, time, prompt, strength), wanted, counted)
        snr = (KEPT / (1 - KEPT))[time]
        losses.append(loss * (torch.clamp(5 / snr, max=1) if kind is EPSILON else torch.clamp(snr, max=5) / (snr + 1)))
    same(setting, ours(scene, step), torch.cat(losses).mean())


@pytest.mark.parametrize(
    ("reaching", "ratio", "opposite"), [(False, 0.0, True), (True, 0.0, False), (True, -1.0, False), (True, 0.5, True)]
)
def test_the_opposite_is_promised_only_where_it_is_trained(reaching: bool, ratio: float, opposite: bool) -> None:
    settings = replace(Settings(), mode="ADDifT", diff_reach_target=reaching, diff_alt_ratio=ratio)
    meaning = ADDifT().usage(settings, ()).meaning
    assert meaning.startswith("what makes the original image the target image")
    assert ("below 0 the opposite" in meaning) is opposite


def test_kept_prompts_go_with_both_turns(setting: Setting) -> None:
    """What is added for them is that of each turn's own strength, and the turns themselves stay as they were."""
    keeping = setting.scene(diff_both_turns=True, keep_prompts="a green dog", keep_weight=0.5)
    added = ours(keeping, 1) - ours(setting.scene(diff_both_turns=True), 1)
    assert keeping.data is not None
    data, rng = keeping.data.of_step(1), StepRandom.of_step(1, 1, CPU)
    n = rng.noise((2, 4, 8, 8), torch.float64)
    t = Uniform().sweep(rng, 2, (0, 300), 1000)
    expected = []
    for latents, strength in ((data.targets, 0.25), (data.latents, -0.25)):
        for row in range(2):
            time = t[row : row + 1]
            assert latents is not None
            x = KEPT[time].sqrt() * latents + (1 - KEPT[time]).sqrt() * n[row : row + 1]
            kept = predict(setting, x, time, "a green dog", strength) - predict(setting, x, time, "a green dog", 0)
            expected.append(0.5 * (kept**2).mean() * torch.clamp(5 * (1 - KEPT) / KEPT, max=1)[time] / 2)
    assert added.item() == pytest.approx(torch.cat(expected).sum().item(), rel=1e-4)


def test_several_noises_are_as_many_samples_of_the_same_pair(setting: Setting) -> None:
    scene = setting.scene(diff_noise_count=2)  # of a batch of two
    same(setting, ours(scene, 1), plain_turn(setting, scene, 1, reverse=False, count=4).mean())
    assert scene.settings.train_batch_size == 2


def test_pairs_of_a_folder_take_turns(setting: Setting, tmp_path: Path) -> None:
    """Two steps on the same pairs, noises and timesteps, then the next pairs; every caption beside its own picture."""
    (tmp_path / "pairs").mkdir()
    for number in range(3):
        for suffix in ("", "_on"):
            pixels = np.random.default_rng(len(suffix) + 9 * number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pairs" / f"{number}{suffix}.png")
            (tmp_path / "pairs" / f"{number}{suffix}.txt").write_text(f"caption {number}{suffix}")
    settings = replace(
        setting.settings, mode="Multi-ADDifT", lora_data_directory=str(tmp_path / "pairs"), diff_target_name="_on",
        image_size=Size(64, 64), image_min_length=64, image_buckets_step=64, train_batch_size=1,
    )  # fmt: skip
    data = encode_samples(scan_pairs(settings), setting.bundle, settings, lambda *event: None)
    scene = PassContext(settings, setting.bundle, setting.network, setting.bundle.diffusion, data)
    training = MultiADDifT().passes(settings)[0]
    training.prepare(scene)
    seen = [training.loss(StepRandom.of_step(1, step, CPU)) for step in range(1, 7)]
    names = [one.names for one in seen]
    assert names[::2] == names[1::2]
    assert sorted(names[::2]) == [("0.png",), ("1.png",), ("2.png",)]
    times = [one.timesteps.tolist() for one in seen]
    assert times[::2] == times[1::2]
    for step, one in enumerate(seen, start=1):
        batch = data.of_step((step + 1) // 2)
        number = one.names[0][0]
        assert batch.targets is not None
        rng = StepRandom.of_step(1, (step + 1) // 2, CPU)
        n = rng.noise((1, 4, 8, 8), torch.float64)
        a, s = KEPT[one.timesteps].sqrt(), (1 - KEPT[one.timesteps]).sqrt()
        x, y = a * batch.latents + s * n, a * batch.targets + s * n
        if step % 2 == 0:
            x, y = y, x
        predicted = predict(setting, y, one.timesteps, f"caption {number}_on", 0.25 if step % 2 else -0.25)
        wanted = predict(setting, x, one.timesteps, f"caption {number}", 0)
        weight = torch.clamp(5 * (1 - KEPT) / KEPT, max=1)[one.timesteps]
        expected = ((predicted - wanted) ** 2).mean() * weight
        torch.testing.assert_close(one.samples, expected, rtol=1e-5, atol=1e-9)


def test_the_text_encoder_is_trained_where_there_is_something_to_read() -> None:
    mode, settings = ADDifT(), Settings(mode="ADDifT")
    assert not mode.trains_text_encoder(settings, ["", ""])
    assert mode.trains_text_encoder(settings, ["", "sks"])
    assert not mode.trains_text_encoder(replace(settings, network_blocks=("M00",)), ["sks"])


@pytest.mark.parametrize(
    ("changes", "label", "words"),
    [
        ({"diff_keep_outside": 1.0}, "diff keep outside", "Set diff use diff mask"),
        ({"network_blocks": ("BASE",)}, "network blocks", "Write a trigger word or a prompt"),
    ],
)
def test_what_cannot_go_together_is_said(changes: dict[str, Any], label: str, words: str) -> None:
    given = replace(Settings(), mode="ADDifT", original_image="a.png", target_image="b.png")
    assert check_for_run(given) == []
    (problem,) = check_for_run(replace(given, **changes))
    assert str(problem).startswith(label)
    assert words in str(problem)
