"""Images through the VAE in stripes: what diffusers computes as a whole, from less memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from tests.helpers.checkpoints import small_checkpoint
from trainer.models.latents import decode, encode_images
from trainer.models.memory_trace import META, MemoryTrace
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion import stripes

FULL = (128, 256, 512, 512)
SHAPES = [(1, 96, 64), (2, 40, 72)]


def vae(widths: tuple[int, ...] = (32, 64, 64)) -> Any:
    levels = len(widths)
    return AutoencoderKL(
        block_out_channels=widths, down_block_types=("DownEncoderBlock2D",) * levels, layers_per_block=2,
        up_block_types=("UpDecoderBlock2D",) * levels, latent_channels=4,
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Any:
    torch.manual_seed(0)
    made = vae()
    for parameter in made.parameters():  # or norms multiply by 1 and add 0
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return made


@torch.no_grad()
def both_ways(model: Any, shape: tuple[int, ...], most: int) -> list[tuple[Tensor, Tensor]]:
    """Of random images: what diffusers makes, and what stripes make, to latents and back."""
    count, height, width = shape
    dtype = model.encoder.conv_in.weight.dtype
    pixels = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)).to(dtype) * 2 - 1
    whole = model.encode(pixels).latent_dist
    latents = whole.mean
    return [
        (whole.parameters, stripes.moments(model, pixels, most)),
        (model.decode(latents).sample, stripes.images(model, latents, most)),
    ]


@pytest.mark.parametrize("most", [1, 2**15, 2**18])
@pytest.mark.parametrize("shape", SHAPES)
def test_stripes_make_what_the_whole_makes(small: Any, shape: tuple[int, ...], most: int) -> None:
    """In double precision, where rounding hides nothing; and from the height of two rows to that of a level."""
    for whole, made in both_ways(small.double(), shape, most):
        torch.testing.assert_close(made, whole, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_in_lower_precision_only_rounding_differs(small: Any, dtype: torch.dtype, within: float) -> None:
    model = vae().to(dtype)
    model.load_state_dict(small.state_dict())
    for whole, made in both_ways(model, (1, 32, 24), 2**12):
        assert (made - whole).abs().max() <= within * whole.abs().max()


def test_full_size_takes_two_feature_maps_and_a_little() -> None:
    """Of 1024², one map of 128 channels in float32 is half a GiB; diffusers' modules take five and six."""
    with torch.device("meta"):
        model = vae(FULL)
    for make, given in ((stripes.moments, (3, 1024, 1024)), (stripes.images, (4, 128, 128))):
        with MemoryTrace(model.parameters()) as trace:
            made = make(model, torch.empty(1, *given, device=META))
        assert 1 <= trace.living.peak / 2**30 < 1.15
    assert made.shape == (1, 3, 1024, 1024)


def test_large_images_are_computed_in_stripes(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unless a gradient is asked for, which is let through."""
    bundle = load_bundle(small_checkpoint(tmp_path_factory.mktemp("model")))
    place_for_images(bundle, torch.device("cpu"))
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        whole = encode_images(bundle, pixels)
        images = decode(bundle, whole)
    calls = []
    for name in ("moments", "images"):
        own = getattr(stripes, name)
        monkeypatch.setattr(stripes, name, lambda *given, own=own: (calls.append(own.__name__), own(*given, 2**12))[1])
    with torch.no_grad():
        encode_images(bundle, pixels)
        decode(bundle, whole)
    assert not calls
    monkeypatch.setattr(stripes, "LARGE", 1)
    with torch.no_grad():
        torch.testing.assert_close(encode_images(bundle, pixels), whole, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(decode(bundle, whole), images, rtol=1e-4, atol=1e-5)
    assert calls == ["moments", "images", "images"]  # one image at a time on the way back
    encode_images(bundle, pixels.requires_grad_()).sum().backward()
    assert pixels.grad is not None
    assert len(calls) == 3
