"""Pictures against diffusers' own pipeline, and what the sampler promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from checkpoints import sd1_tensors, write_safetensors
from trainer.errors import Stopped
from trainer.job import Control
from trainer.models.base import Bundle
from trainer.models.placement import place_for_pictures
from trainer.models.registry import load_bundle
from trainer.models.sample import Request, sample


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path: Path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_safetensors(path, sd1_tensors(), {"trainyard_config": '{"unet_norm_groups": 8, "vae_norm_groups": 8}'})
    made = load_bundle(path)
    place_for_pictures(made, torch.device("cpu"))
    return made


@pytest.mark.parametrize("cfg", [1.0, 4.0])
def test_same_picture_as_diffusers_pipeline(bundle: Bundle, cfg: float) -> None:
    pipe = StableDiffusionPipeline(
        bundle.vae, bundle.text_encoders[0], bundle.tokenizers[0], bundle.unet,
        DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
            set_alpha_to_one=False, steps_offset=1,
        ),
        None, None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a red circle", negative_prompt="blurred", num_inference_steps=6, guidance_scale=cfg, height=64, width=96,
        generator=torch.Generator().manual_seed(11), output_type="np",
    ).images[0]  # fmt: skip
    (ours,) = sample(bundle, [Request("a red circle", "blurred", seed=11, steps=6, cfg=cfg, size=(64, 96))])
    assert ours.size == (96, 64)
    assert np.abs(np.asarray(ours) / 255 - theirs).max() <= 1.5 / 255


def test_a_picture_does_not_depend_on_its_neighbours(bundle: Bundle) -> None:
    requests = [Request(f"picture {seed}", seed=seed, steps=3, size=(64, 64)) for seed in range(3)]
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
        sample(bundle, [Request("x", steps=5, size=(64, 64))], check=check)
    assert calls == 2
