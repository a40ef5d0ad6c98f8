"""The modules a checkpoint becomes, against an implementation of our own of what the checkpoint's tensors mean."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from checkpoints import Sizes, sd1_tensors, write_checkpoint, write_safetensors
from ldm_reference import ClipText, LdmUNet, LdmVae
from trainer.models.base import Bundle
from trainer.models.latents import decode, encode_images
from trainer.models.registry import load_bundle
from trainer.models.text import tokenize

TOLERANCE = 1e-4
Loaded = tuple[dict[str, Tensor], Bundle]
SIZES = {
    "narrow": Sizes((32, 64, 64, 64), 2, 64, (32, 32, 64, 64), 1, 2, 128),
    "wide": Sizes((64, 128, 192, 192), 2, 128, (64, 64, 128, 128), 2, 3, 256),
    "shallow": Sizes((64, 96, 128), 1, 128, (32, 64), 3, 2, 192),
}


@pytest.fixture(scope="module", params=SIZES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    tensors = sd1_tensors(SIZES[request.param], seed=7)
    folder = tmp_path_factory.mktemp("oracle")
    if request.param == "wide":
        return tensors, load_bundle(write_checkpoint(folder / "random.ckpt", tensors))
    return tensors, load_bundle(write_safetensors(folder / "random.safetensors", tensors))


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_unet_predicts_what_ldm_predicts(loaded: Loaded) -> None:
    tensors, bundle = loaded
    latents, timesteps = _random(3, 4, 16, 8), torch.tensor([1, 500, 999])
    conditioning = bundle.encode(["a cat", "", "a dog " * 60])
    expected = LdmUNet(tensors)(latents, timesteps, conditioning.sequence)
    assert expected.std() > 0.1
    torch.testing.assert_close(bundle.predict(latents, timesteps, conditioning), expected, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_unet_listens_to_prompt_and_timestep(loaded: Loaded) -> None:
    """Without this, the test above could compare two constants."""
    _, bundle = loaded
    latents, timesteps = _random(1, 4, 8, 8), torch.tensor([500])
    cat, dog = bundle.encode(["a cat"]), bundle.encode(["a dog"])
    base = bundle.predict(latents, timesteps, cat)
    assert (bundle.predict(latents, timesteps, dog) - base).abs().max() > 100 * TOLERANCE
    assert (bundle.predict(latents, timesteps + 100, cat) - base).abs().max() > 100 * TOLERANCE


@torch.no_grad()
def test_vae_encodes_and_decodes_as_ldm_does(loaded: Loaded) -> None:
    tensors, bundle = loaded
    reference, pixels = LdmVae(tensors), _random(2, 3, 64, 32).clamp(-1, 1)
    expected = reference.encode(pixels)
    assert expected.std() > 0.1
    latents = encode_images(bundle, pixels)
    torch.testing.assert_close(latents, expected * 0.18215, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(decode(bundle, latents), reference.decode(expected), atol=TOLERANCE, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("clip_skip", [1, 2])
def test_conditioning_is_clips(loaded: Loaded, clip_skip: int) -> None:
    tensors, bundle = loaded
    prompts = ["a photo of a red circle", "", "one, two, three, " * 30]
    reference, rows = ClipText(tensors), []
    for prompt, windows in zip(prompts, (1, 1, 3), strict=True):
        ids = tokenize(bundle.tokenizer, prompt)
        assert ids.shape == (windows, 77)
        row = torch.cat([reference(ids[window : window + 1], clip_skip) for window in range(windows)], dim=1)
        rows.append(row.repeat(1, 3 // windows, 1))
    expected = torch.cat(rows)
    assert expected.std() > 0.1
    conditioning = bundle.encode(prompts, clip_skip=clip_skip)
    assert conditioning.sequence.shape == expected.shape
    torch.testing.assert_close(conditioning.sequence, expected, atol=TOLERANCE, rtol=0)
    assert conditioning.pooled is None
    assert conditioning.size_ids is None
