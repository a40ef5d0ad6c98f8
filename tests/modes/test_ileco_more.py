"""iLECO with several concepts, as a slider, from denoised starting points; and any mode on top of other LoRAs.

Each against a plain re-computation: merged weights, no adapters, in double precision where it is a formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.func import functional_call

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from tests.helpers.merged import KEPT, merged_weights
from trainer.config.check import check_for_run
from trainer.config.choices import BLOCKS
from trainer.config.key_values import prompt_pairs, split_loras
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.parameterisation import EPSILON, VELOCITY, Parameterisation
from trainer.diffusion.random import StepRandom
from trainer.diffusion.seeds import mixed_seed
from trainer.diffusion.timesteps import Uniform
from trainer.engine.run import run
from trainer.errors import NetworkError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Job
from trainer.models.base import Bundle
from trainer.models.placement import place
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.lora_targets import unet_targets
from trainer.modes.anchors import pool, pool_of_erased
from trainer.modes.base import PassContext
from trainer.modes.ileco import ILECO
from trainer.networks.base import Network, Ranks, build, builder_of
from trainer.networks.files.read import network_from_file
from trainer.networks.lora import LoRA
from trainer.paths import Folders

CPU = torch.device("cpu")
PAIRS = {"original_prompt": "red\ngreen", "target_prompt": "blue\n"}
SLIDER = {"original_prompt": "a face", "slider_positive": "old", "slider_negative": "young", "slider_scale": 1.5}


@dataclass
class Setting:
    bundle: Bundle
    plain: Bundle
    """A second, untouched copy of the model."""
    network: Network

    def loss(self, settings: Settings, step: int) -> Tensor:
        training = ILECO().passes(settings)[0]
        training.prepare(PassContext(settings, self.bundle, self.network, self.bundle.diffusion))
        return training.loss(StepRandom.of_step(1, step, CPU)).samples

    def plainly(self, x: Tensor, t: Tensor, prompts: list[str], *, trained: bool, strength: float = 1.0) -> Tensor:
        plain = self.plain
        ids = plain.tokenizers[0](prompts, padding="max_length", max_length=77, return_tensors="pt").input_ids
        weights = merged_weights(self.network, plain.denoiser, "lora_unet", 2.0 * strength) if trained else {}
        return functional_call(plain.denoiser, weights, (x, t, plain.text_encoders[0](ids).last_hidden_state)).sample


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS)


@pytest.fixture(scope="module")
def setting(checkpoint: Path) -> Iterator[Setting]:
    bundle, plain = load_bundle(checkpoint), load_bundle(checkpoint)
    for each in (bundle, plain):
        place(each, CPU, dict.fromkeys(each.modules, torch.float64))
    generator = torch.Generator().manual_seed(5)
    network = build(
        unet_targets(bundle.denoiser, BLOCKS, "Full"), builder_of(LoRA, Ranks(3, 6.0), torch.float64, CPU), generator
    )
    for parameter in network.parameters():  # an update that is not zero
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    with network.attached():
        yield Setting(bundle, plain, network)


def settings_of(**changes: object) -> Settings:
    plain = replace(
        Settings(), mode="iLECO", image_size=Size(64, 64), train_batch_size=3, train_snr_gamma=0.0,
        hold_unconditional="no",
    )  # fmt: skip
    return replace(plain, **changes)


def drawn(step: int) -> tuple[Tensor, Tensor]:
    rng = StepRandom.of_step(1, step, CPU)
    return rng.noise((3, 4, 8, 8), torch.float64), Uniform().draw(rng, 3, (0, 1000), 1000)


@pytest.mark.parametrize("target", ["blue", ""])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_descriptions_are_shared_by_both_prompts(setting: Setting, step: int, target: str) -> None:
    """Each sample has the formula's loss for one description, with the concept in it and with the target.

    Where there is none it is another of its kind.
    """
    settings = settings_of(
        original_prompt="red", target_prompt=target, ileco_descriptions=4, keep_weight=0.0, train_seed=7
    )
    losses = setting.loss(settings, step)
    x, t = drawn(step)
    rng = Random(mixed_seed(7, 4 << 32))
    described = pool("red", ("blue",), 4, rng) if target else pool_of_erased("red", 4, rng)
    plain = []
    for before, after in described:
        with torch.no_grad():
            wanted = setting.plainly(x, t, [after] * 3, trained=False)
            plain.append(((setting.plainly(x, t, [before] * 3, trained=True) - wanted) ** 2).mean((1, 2, 3)))
    for sample, loss in enumerate(losses.tolist()):
        assert any(each[sample].item() == pytest.approx(loss, rel=1e-6) for each in plain)


def holds(setting: Setting, losses: Tensor, predicted: Tensor, wanted: Tensor) -> None:
    plain = ((predicted - wanted.detach()) ** 2).mean((1, 2, 3))
    torch.testing.assert_close(losses, plain, rtol=1e-6, atol=0.0)
    parameters = list(setting.network.parameters())
    ours, theirs = (torch.autograd.grad(each.mean(), parameters) for each in (losses, plain))
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(("step", "turns"), [(1, (0, 1, 0)), (2, (1, 0, 1))])
def test_concepts_take_the_samples_in_turn(setting: Setting, step: int, turns: tuple[int, ...]) -> None:
    x, t = drawn(step)
    predicted = setting.plainly(x, t, [("red", "green")[turn] for turn in turns], trained=True)
    wanted = setting.plainly(x, t, [("blue", "")[turn] for turn in turns], trained=False)
    holds(setting, setting.loss(settings_of(**PAIRS), step), predicted, wanted)


@pytest.mark.parametrize(("step", "strength"), [(1, 1.0), (2, -1.0), (3, 1.0)])
def test_a_slider_goes_from_one_end_to_the_other(setting: Setting, step: int, strength: float) -> None:
    x, t = drawn(step)
    old, young, face = (setting.plainly(x, t, [prompt] * 3, trained=False) for prompt in ("old", "young", "a face"))
    predicted = setting.plainly(x, t, ["a face"] * 3, trained=True, strength=strength)
    holds(setting, setting.loss(settings_of(**SLIDER), step), predicted, face + strength * 1.5 * (old - young))


def test_every_concept_of_a_slider_is_trained_at_both_ends(setting: Setting) -> None:
    """Of two concepts and one sample a step: both at strength 1, then both at -1."""
    settings = settings_of(**{**SLIDER, "original_prompt": "a face\na hand"}, train_batch_size=1)
    for step, strength, concept in ((1, 1.0, "a face"), (2, 1.0, "a hand"), (3, -1.0, "a face"), (4, -1.0, "a hand")):
        losses = setting.loss(settings, step)
        rng = StepRandom.of_step(1, step, CPU)
        x, t = rng.noise((1, 4, 8, 8), torch.float64), Uniform().draw(rng, 1, (0, 1000), 1000)
        old, young, before = (setting.plainly(x, t, [prompt], trained=False) for prompt in ("old", "young", concept))
        predicted = setting.plainly(x, t, [concept], trained=True, strength=strength)
        holds(setting, losses, predicted, before + strength * 1.5 * (old - young))


def test_a_concept_goes_beyond_its_target(setting: Setting) -> None:
    x, t = drawn(1)
    red, blue = (setting.plainly(x, t, [prompt] * 3, trained=False) for prompt in ("red", "blue"))
    predicted = setting.plainly(x, t, ["red"] * 3, trained=True)
    settings = settings_of(original_prompt="red", target_prompt="blue", ileco_scale=2.5)
    holds(setting, setting.loss(settings, 1), predicted, 2.5 * blue - 1.5 * red)


@pytest.mark.parametrize("kind", [EPSILON, VELOCITY], ids=lambda each: each.name)
def test_starting_points_are_denoised_to_the_timestep(setting: Setting, kind: Parameterisation) -> None:
    setting.bundle.diffusion = setting.bundle.diffusion.predicting(kind)
    x, t = drawn(1)
    now = torch.full_like(t, 999)
    with torch.no_grad():
        for after in (999 - (999 - t) // 2, t):
            found = setting.plainly(x, now, ["red"] * 3, trained=True)
            kept, next_kept = (KEPT[each].view(-1, 1, 1, 1) for each in (now, after))
            if kind is EPSILON:
                noise, clean = found, (x - (1 - kept).sqrt() * found) / kept.sqrt()
            else:
                clean = kept.sqrt() * x - (1 - kept).sqrt() * found
                noise = (x - kept.sqrt() * clean) / (1 - kept).sqrt()
            x, now = next_kept.sqrt() * clean + (1 - next_kept).sqrt() * noise, after
    losses = setting.loss(settings_of(original_prompt="red", target_prompt="blue", ileco_denoise_steps=2), 1)
    setting.bundle.diffusion = setting.bundle.diffusion.predicting(EPSILON)
    predicted = setting.plainly(x, t, ["red"] * 3, trained=True)
    wanted = setting.plainly(x, t, ["blue"] * 3, trained=False)
    torch.testing.assert_close(losses, ((predicted - wanted) ** 2).mean((1, 2, 3)), rtol=1e-3, atol=0.0)


def test_lines_belong_together() -> None:
    assert prompt_pairs("a\nb\n", "c\nd\n") == (("a", "b"), ("c", "d"))
    assert prompt_pairs("a\nb", "") == (("a", "b"), ("", ""))
    assert prompt_pairs("a\nb", "c\n") == (("a", "b"), ("c", ""))
    assert prompt_pairs("a", "c") == (("a",), ("c",))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"original_prompt": "a\nb", "target_prompt": "c"}, "has 1 line and the original prompt 2"),
        ({"original_prompt": "a\nb", "target_prompt": "c\nb"}, "is the same as the original prompt"),
        ({"original_prompt": "a\n\nb", "target_prompt": ""}, "is empty"),
        ({**SLIDER, "target_prompt": "b"}, "has no place beside slider prompts"),
        ({**SLIDER, "slider_negative": "old"}, "is the same as slider positive"),
        ({**SLIDER, "slider_positive": "old\nolder"}, "has 2 lines and the original prompt 1. Write one"),
    ],
)
def test_lines_that_do_not_fit_are_told(changes: dict[str, object], words: str) -> None:
    (problem,) = check_for_run(settings_of(**changes))
    assert words in str(problem)


def test_usage_tells_of_every_concept() -> None:
    pairs = ILECO().usage(settings_of(**PAIRS), ())
    assert pairs.meaning == '"red" becomes "blue", "green" is erased'
    assert ILECO().usage(settings_of(**SLIDER), ()).meaning == '"a face" turns from "young" to "old"'


# ---- on top of other LoRAs ------------------------------------------------------------------------------------------


def test_names_and_strengths() -> None:
    assert split_loras("a:0.5; b\nsub/c:-1") == (("a", 0.5), ("b", 1.0), ("sub/c", -1.0))
    assert split_loras(r"C:\loras\a.safetensors") == ((r"C:\loras\a.safetensors", 1.0),)
    assert split_loras("") == ()


class Merged(Standalone):
    """A host whose model has the LoRA in its weights."""

    def take_model(self, settings: Settings, check: Callable[[], None] | None = None) -> Bundle:
        bundle = super().take_model(settings, check)
        network = network_from_file(self.folders.loras / "first.safetensors", bundle)
        weights = dict(bundle.denoiser.named_parameters())
        for path, weight in merged_weights(network, bundle.denoiser, "lora_unet", 0.5).items():
            weights[path].data = weight.detach()
        return bundle


def test_training_on_top_of_a_lora_is_training_on_the_merged_model(checkpoint: Path, folders: Folders) -> None:
    created = datetime(2026, 1, 2, tzinfo=timezone.utc)

    def trained(name: str, kind: type[Standalone] = Standalone, **changes: object) -> dict[str, Tensor]:
        given = settings_of(
            model=str(checkpoint), original_prompt="red", target_prompt="blue", network_rank=2, network_alpha=2.0,
            network_blocks=("IN01", "M00"), train_iterations=3, train_learning_rate=1e-2, train_seed=3,
            save_lora_name=name, save_precision="fp32", effect_strip=False, train_model_precision="fp32",
        )  # fmt: skip
        job = Job.create(replace(given, **changes), created)
        path = run(job, kind(CPU, folders), Control(), lambda _: None).path
        assert path is not None
        return load_file(path)

    trained("first", train_learning_rate=1e-1)
    plain, on_top = trained("plain"), trained("top", base_loras="first:0.5")
    merged = trained("merged", Merged)

    def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
        """Of all numbers together: of gradients that are all but zero Adam makes whole steps, and so of their error."""
        whole = torch.cat([tensor.flatten() for tensor in one.values()])
        return float((whole - torch.cat([other[name].flatten() for name in one])).norm() / whole.norm())

    assert apart(on_top, merged) < 1e-3
    assert apart(on_top, plain) > 0.05
    with pytest.raises(NetworkError, match="gone: There is no such LoRA file"):
        trained("x", base_loras="gone:0.5")
