"""The second toy before any training: SDXL's layout, what it predicts, and how its training goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, StableDiffusionXLPipeline

from tests.helpers import checkpoints
from tests.toy import checkpoint_file, diffusion
from tests.toy.autoencoder import rescaled
from tests.toy.conditioning import load_tokenizer
from tests.toy.layouts import SD1, XL_FLOW
from tests.toy.ldm_names import single_file_state
from tests.toy.measure import sample_latents, starting_noise
from tests.toy.processes import RectifiedFlow
from trainer.config.size import Size
from trainer.diffusion.parameterisation import FLOW
from trainer.models import sample
from trainer.models.checkpoint.identify import Kind, identify
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle

SIZES = checkpoints.Sizes(
    (64, 64, 64), context=80, text_layers=3, depth=(0, 1, 2), linear=True, text_width=32, open_clip=(48, 3, 192)
)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    return checkpoint_file.load(SD1.path).vae


@pytest.fixture(scope="module")
def untrained(vae: AutoencoderKL, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with random weights."""
    torch.manual_seed(3)
    texts = XL_FLOW.texts(load_tokenizer())
    texts.learn_words()
    state = single_file_state(XL_FLOW.unet(8), rescaled(vae, XL_FLOW.scale), texts)
    path = tmp_path_factory.mktemp("untrained") / "untrained.safetensors"
    checkpoint_file.write(path, state, checkpoint_file.metadata(XL_FLOW, 0, {}))
    return path


def test_names_and_shapes_are_those_of_sdxl(untrained: Path) -> None:
    kind = identify(untrained)
    assert {name: info.shape for name, info in kind.tensors.items()} == checkpoints.sdxl_shapes(SIZES)
    assert kind.kind is Kind.SDXL
    assert kind.prediction_type == FLOW.name
    assert untrained.stat().st_size < 20e6


def test_our_names_and_diffusers_conversion_invert_each_other(untrained: Path, tmp_path: Path) -> None:
    toy = checkpoint_file.load(untrained)
    again = tmp_path / "again.safetensors"
    notes = dict(identify(untrained).metadata)
    assert json.loads(notes["trainyard_config"])["prediction"] == "flow"
    checkpoint_file.write(again, single_file_state(toy.unet, toy.vae, toy.texts), notes)
    assert again.read_bytes() == untrained.read_bytes()


class InPipeline(FlowMatchEulerDiscreteScheduler):
    """With what SDXL's pipeline asks of a scheduler, and a flow has no need of."""

    init_noise_sigma = 1.0

    def scale_model_input(self, sample: torch.Tensor, _timestep: torch.Tensor) -> torch.Tensor:
        return sample


def test_trainyard_diffusers_and_the_measurement_draw_alike(untrained: Path) -> None:
    toy, prompt, steps = checkpoint_file.load(untrained), "a small blue square, right", 5
    bundle = load_bundle(untrained)
    place_for_images(bundle, torch.device("cpu"))
    ours = sample.sample_latents(bundle, [ImageSpec(prompt, seed=11, steps=steps, cfg=4.0, size=Size(64, 64))])
    zero_padded = load_tokenizer()
    zero_padded.pad_token = "!"
    pipe = StableDiffusionXLPipeline(
        toy.vae, *toy.texts.models, load_tokenizer(), zero_padded, toy.unet, InPipeline(), add_watermarker=False
    )
    pipe.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(11)
    theirs = pipe(
        prompt,
        num_inference_steps=steps,
        guidance_scale=4.0,
        height=64,
        width=64,
        generator=noise,
        output_type="latent",
    ).images
    with torch.no_grad():
        wanted, unwanted = toy.texts([prompt]), toy.texts.nothing()
    plain = sample_latents(toy.unet, toy.process, wanted, unwanted, starting_noise(1, 11), steps, 4.0)
    assert theirs.std() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    torch.testing.assert_close(plain, theirs, rtol=0, atol=1e-4)


def test_a_flow_leads_straight_from_noise_to_the_latents() -> None:
    flow, latents, noise = RectifiedFlow(), starting_noise(3, 1), starting_noise(3, 2)
    timesteps = torch.tensor([0, 499, 999])
    noisy = flow.noised(latents, noise, timesteps)
    torch.testing.assert_close(noisy[1], 0.5 * (latents[1] + noise[1]))
    torch.testing.assert_close(noisy[2], noise[2])
    times = []

    def predict(current: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        times.append(float(time))
        share = time / 1000
        torch.testing.assert_close(current, (1 - share) * latents + share * noise)
        return flow.target(latents, noise)

    torch.testing.assert_close(flow.sample(predict, noise, 5), latents)
    assert (times[0], times[-1]) == (1000.0, 1.0)
    assert [float(flow.time(each)) for each in (timesteps[0], timesteps[2])] == [times[-1], times[0]]


def test_a_rescaled_vae_gives_and_takes_the_same_latents(vae: AutoencoderKL) -> None:
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    other = rescaled(vae, 0.13025)
    with torch.no_grad():
        (first, first_spread), (second, second_spread) = (
            (each.encode(pixels).latent_dist.mean * scale, each.encode(pixels).latent_dist.std * scale)
            for each, scale in ((vae, 0.18215), (other, 0.13025))
        )
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(first_spread, second_spread, rtol=1e-4, atol=1e-5)
        decoded = [each.decode(first / scale).sample for each, scale in ((vae, 0.18215), (other, 0.13025))]
    torch.testing.assert_close(*decoded, rtol=1e-4, atol=1e-4)


@pytest.mark.more
def test_a_training_broken_off_goes_on_as_if_it_had_not_been(
    vae: AutoencoderKL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffusion, "SCENES", 40)
    monkeypatch.setattr(diffusion, "place_shift", lambda _trainer: 0.0)
    monkeypatch.setattr(diffusion, "accuracy", lambda *_, **__: {})
    scaled, state = rescaled(vae, XL_FLOW.scale), tmp_path / "state.pt"
    straight, broken, resumed = (diffusion.Trainer(scaled, 5, XL_FLOW) for _ in range(3))
    straight.train(4, 100)
    losses = broken.losses

    def until_the_third(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return losses(step)

    monkeypatch.setattr(broken, "losses", until_the_third)
    with pytest.raises(KeyboardInterrupt):
        broken.train(4, 2, state)
    resumed.train(4, 100, state)
    made, again = straight.modules.state_dict(), resumed.modules.state_dict()
    assert all(torch.equal(made[name], again[name]) for name in made)
