"""Pictures against diffusers' own pipeline, and what the sampler promises."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

from tests.helpers.checkpoints import FAMILIES, small_checkpoint
from trainer.config.settings import FOUND
from trainer.config.size import Size
from trainer.errors import Stopped
from trainer.job import Control
from trainer.models import placement
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample, sample_latents
from trainer.models.stable_diffusion.clip import clip_tokenizer
from trainer.models.stable_diffusion.sampler import DDIM


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return placed(small_checkpoint(tmp_path_factory.mktemp("model")))


def placed(path: Path, prediction: str = FOUND) -> Bundle:
    made = load_bundle(path, prediction=prediction)
    place_for_images(made, torch.device("cpu"))
    return made


def pipeline_of(bundle: Bundle) -> Any:
    """diffusers' pipeline on the bundle's modules, everything else as it is published for the family."""
    bundle.denoiser.register_to_config(sample_size=8)  # older pipelines ask for it, and use it for nothing here
    zero = not bundle.diffusion.schedule.leaves_signal
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type=bundle.diffusion.parameterisation.name, rescale_betas_zero_snr=zero,
        timestep_spacing="trailing" if zero else "leading",
    )  # fmt: skip
    zero_padded = clip_tokenizer()
    zero_padded.pad_token = "!"
    if bundle.family.name == "SDXL":
        return StableDiffusionXLPipeline(
            bundle.vae, *bundle.text_encoders, clip_tokenizer(), zero_padded, bundle.denoiser, scheduler,
            add_watermarker=False,
        )  # fmt: skip
    tokenizer = zero_padded if bundle.family.name == "SD2" else clip_tokenizer()
    return StableDiffusionPipeline(
        bundle.vae, bundle.text_encoders[0], tokenizer, bundle.denoiser, scheduler, None, None,
        requires_safety_checker=False,
    )  # fmt: skip


@pytest.mark.parametrize(("family", "cfg"), [("SD1", 1.0), *((family, 4.0) for family in FAMILIES)])
def test_same_picture_as_diffusers_pipeline(tmp_path: Path, family: str, cfg: float) -> None:
    bundle = placed(small_checkpoint(tmp_path, family))
    pipe = pipeline_of(bundle)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red circle", negative_prompt="blurred", num_inference_steps=6, guidance_scale=cfg, height=64, width=96,
        generator=torch.Generator().manual_seed(11), output_type="np",
    ).images[0]  # fmt: skip
    (ours,) = sample(bundle, [ImageSpec("a red circle", "blurred", seed=11, steps=6, cfg=cfg, size=Size(96, 64))])
    assert ours.size == (96, 64)
    assert np.abs(np.asarray(ours) / 255 - theirs).max() <= 1.5 / 255


class InAnyPipeline(FlowMatchEulerDiscreteScheduler):
    """With what the pipelines of these families ask of a scheduler, and a flow has no need of."""

    init_noise_sigma = 1.0

    def scale_model_input(self, sample: torch.Tensor, _timestep: torch.Tensor) -> torch.Tensor:
        return sample


@pytest.mark.parametrize(("family", "cfg", "steps"), [("SDXL", 1.0, 1), ("SDXL", 4.0, 7), ("SD1", 4.0, 7)])
def test_same_latents_as_diffusers_pipeline_along_a_flow(tmp_path: Path, family: str, cfg: float, steps: int) -> None:
    bundle = placed(small_checkpoint(tmp_path, family), "flow")
    made = pipeline_of(placed(small_checkpoint(tmp_path, family)))
    pipe = type(made)(**{**made.components, "scheduler": InAnyPipeline(shift=1.0)}, **(
        {"add_watermarker": False} if family == "SDXL" else {"requires_safety_checker": False}))  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red circle", negative_prompt="blurred", num_inference_steps=steps, guidance_scale=cfg, height=64, width=96,
        generator=torch.Generator().manual_seed(11), output_type="latent",
    ).images  # fmt: skip
    request = ImageSpec("a red circle", "blurred", seed=11, steps=steps, cfg=cfg, size=Size(96, 64))
    ours = sample_latents(bundle, [request])
    assert theirs.std() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["SD1", "SDXL"])
def test_no_negative_prompt_is_what_it_is_elsewhere(tmp_path: Path, family: str) -> None:
    """SDXL's is zeros, as diffusers has it from the model's own configuration and WebUIs have it; SD's is encoded."""
    bundle = placed(small_checkpoint(tmp_path, family))
    pipe = pipeline_of(bundle)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red circle", num_inference_steps=6, guidance_scale=4.0, height=64, width=64,
        generator=torch.Generator().manual_seed(11), output_type="np",
    ).images[0]  # fmt: skip
    request = ImageSpec("a red circle", seed=11, steps=6, cfg=4.0, size=Size(64, 64))
    alone, _ = (np.asarray(each) / 255 for each in sample(bundle, [request, replace(request, negative="x")]))
    assert np.abs(alone - theirs).max() <= 1.5 / 255


@pytest.mark.parametrize("steps", [4, 500])
def test_a_model_that_predicts_the_noise_with_zero_terminal_snr_gives_a_picture(bundle: Bundle, steps: int) -> None:
    """At the last of its timesteps there is no picture to be told from the noise."""
    zero = replace(bundle, diffusion=bundle.diffusion.with_zero_terminal_snr())
    assert DDIM(zero.diffusion).scheduler.alphas_cumprod[-1] > 0
    sampler = DDIM(zero.diffusion)
    latents = torch.ones(1, 4, 8, 8)
    for timestep in sampler.timesteps(steps):
        latents = sampler.step(0.9 * latents, timestep, latents)
        assert latents.isfinite().all()


def test_a_picture_does_not_depend_on_its_neighbours(bundle: Bundle) -> None:
    requests = [ImageSpec(f"picture {seed}", seed=seed, steps=3, size=Size(64, 64)) for seed in range(3)]
    together = sample(bundle, requests)
    alone = sample(bundle, requests[1:2])
    difference = np.abs(np.asarray(together[1], dtype=int) - np.asarray(alone[0], dtype=int))
    assert difference.max() <= 1
    assert np.array_equal(np.asarray(alone[0]), np.asarray(sample(bundle, requests[1:2])[0]))


def test_stops_between_steps(bundle: Bundle) -> None:
    control = Control()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            control.stop()
        control.check()

    with pytest.raises(Stopped):
        sample(bundle, [ImageSpec("x", steps=5, size=Size(64, 64))], check=check)
    assert calls == 2


@pytest.mark.parametrize("fails", ["", "arriving", "encoding"])
def test_text_encoders_that_left_come_back_for_the_prompts_alone(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """As if they were elsewhere, which a machine without a card has no other place for."""
    story: list[str] = []
    encode, predict = Bundle.encode, Bundle.predict

    def encoded(*args: Any, **named: Any) -> Any:
        story.append("encode")
        if fails == "encoding":
            raise MemoryError
        return encode(*args, **named)

    def predicted(*args: Any) -> Any:
        story.append("predict")
        return predict(*args)

    def moved(_: Bundle, device: torch.device) -> None:
        story.append(str(device))
        if fails == "arriving" and str(device) == "cpu":
            raise MemoryError

    monkeypatch.setattr(placement, "text_device", lambda _: torch.device("meta"))
    monkeypatch.setattr(placement, "text_to", moved)
    monkeypatch.setattr(Bundle, "encode", encoded)
    monkeypatch.setattr(Bundle, "predict", predicted)
    with pytest.raises(MemoryError) if fails else nullcontext():
        sample_latents(bundle, [ImageSpec("a cat", steps=2, size=Size(64, 64))])
    encodes = [] if fails == "arriving" else ["encode"]
    assert story == ["cpu", *encodes, "meta", *([] if fails else ["predict", "predict"])]
