"""The modules a checkpoint becomes, against an implementation of our own of what the checkpoint's tensors mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.checkpoints import (
    CLIP_G,
    CLIP_L,
    OPEN_CLIP,
    SD2,
    SDXL,
    Sizes,
    sd1_tensors,
    sd2_tensors,
    sdxl_tensors,
    write_checkpoint,
    write_safetensors,
)
from tests.helpers.ldm_reference import ClipText, LdmUNet, LdmVae, OpenClipText
from trainer.config.size import Size
from trainer.models.base import Bundle
from trainer.models.latents import decode, encode_images
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.conditioning import CLIPConditioning

TOLERANCE = 1e-5
VAE_TOLERANCE = 1e-4  # decoding multiplies latents by 5 and more
Loaded = tuple[dict[str, Tensor], Bundle]
Encode = Callable[[dict[str, Tensor], Tensor, Tensor, int], tuple[Tensor, Tensor | None]]
MADE = {
    "SD1 narrow": lambda: sd1_tensors(Sizes((32, 64, 64, 64), 2, 64, (32, 32, 64, 64), 1, 2, 128), seed=7),
    "SD1 wide": lambda: sd1_tensors(Sizes((64, 128, 192, 192), 2, 128, (64, 64, 128, 128), 2, 3, 256), seed=7),
    "SD1 shallow": lambda: sd1_tensors(Sizes((64, 96, 128), 1, 128, (32, 64), 3, 2, 192), seed=7),
    "SD2 narrow": lambda: sd2_tensors(SD2, seed=7),
    "SD2 wide": lambda: sd2_tensors(
        Sizes((64, 128, 256), 2, 128, (32, 64), 1, 4, 256, linear=True), seed=8, velocity=True
    ),
    "SDXL narrow": lambda: sdxl_tensors(SDXL, seed=7),
    "SDXL wide": lambda: sdxl_tensors(
        Sizes(
            (64, 128, 192), 2, 320, (32, 64), 1, 3, 256,
            depth=(0, 2, 3), linear=True, text_width=128, open_clip=(192, 4, 256),
        ),
        seed=8,
    ),
}  # fmt: skip
PROMPTS = ["a photo of a red circle!", "", "one, two, three, " * 30]


@pytest.fixture(scope="module", params=MADE)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    tensors = MADE[request.param]()
    folder = tmp_path_factory.mktemp("oracle")
    if request.param.endswith("wide"):
        return tensors, load_bundle(write_checkpoint(folder / "random.ckpt", tensors))
    return tensors, load_bundle(write_safetensors(folder / "random.safetensors", tensors))


def _random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def _largest_difference(left: Tensor, right: Tensor) -> float:
    assert left.shape == right.shape
    return float((left - right).abs().max())


@torch.no_grad()
def test_unet_predicts_what_ldm_predicts(loaded: Loaded) -> None:
    tensors, bundle = loaded
    latents, timesteps = _random(3, 4, 16, 8), torch.tensor([1, 500, 999])
    sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024], [4000, 3000, 7, 300, 768, 1344], [64, 2049, 1, 2, 64, 64]])
    conditioning = bundle.encode(["a cat", "", "a dog " * 60]).sized(sizes)
    unet = LdmUNet(tensors, heads=8 if bundle.family.name == "SD1" else 0)
    expected = unet(latents, timesteps, conditioning.sequence, conditioning.pooled, sizes)
    assert expected.std() > 0.1
    assert _largest_difference(bundle.predict(latents, timesteps, conditioning), expected) < TOLERANCE


@torch.no_grad()
def test_unet_listens_to_all_it_is_told(loaded: Loaded) -> None:
    """Without this, the test above could compare two constants."""
    _, bundle = loaded
    latents, timesteps = _random(1, 4, 8, 8), torch.tensor([500])
    cat, dog = bundle.encode(["a cat"]), bundle.encode(["a dog"])
    base = bundle.predict(latents, timesteps, cat)
    told = {"prompt": (timesteps, dog), "timestep": (timesteps + 100, cat)}
    if cat.pooled is not None:
        told["pooled"] = timesteps, CLIPConditioning(cat.sequence, dog.pooled, cat.size_ids)
        for place in range(6):
            sizes = torch.tensor([[1024, 1024, 0, 0, 1024, 1024]])
            sizes[0, place] += 100
            told[f"size {place}"] = timesteps, cat.sized(sizes)
    for name, (when, conditioning) in told.items():
        assert _largest_difference(bundle.predict(latents, when, conditioning), base) > 100 * TOLERANCE, name


@torch.no_grad()
def test_vae_encodes_and_decodes_as_ldm_does(loaded: Loaded) -> None:
    tensors, bundle = loaded
    reference, pixels = LdmVae(tensors), _random(2, 3, 64, 32).clamp(-1, 1)
    expected = reference.encode(pixels)
    assert expected.std() > 0.1
    latents = encode_images(bundle, pixels)
    scale = 0.13025 if bundle.family.name == "SDXL" else 0.18215
    assert _largest_difference(latents, expected * scale) < TOLERANCE
    assert _largest_difference(decode(bundle, latents), reference.decode(expected)) < VAE_TOLERANCE


def _sd1(tensors: dict[str, Tensor], ids: Tensor, _zeros: Tensor, skip: int) -> tuple[Tensor, Tensor | None]:
    return ClipText(tensors)(ids, skip), None


def _sd2(tensors: dict[str, Tensor], _ids: Tensor, zeros: Tensor, skip: int) -> tuple[Tensor, Tensor | None]:
    text = OpenClipText(tensors, OPEN_CLIP)
    return text.normed(text(zeros, 1 + skip)), None


def _sdxl(tensors: dict[str, Tensor], ids: Tensor, zeros: Tensor, skip: int) -> tuple[Tensor, Tensor | None]:
    first, second = ClipText(tensors, CLIP_L), OpenClipText(tensors, CLIP_G)
    states = first(ids, 1 + skip, final_norm=False), second(zeros, 1 + skip)
    return torch.cat(states, dim=-1), second.pooled(zeros)


ENCODE: dict[str, Encode] = {"SD1": _sd1, "SD2": _sd2, "SDXL": _sdxl}


def _windows(bundle: Bundle, prompt: str, padding: int) -> Tensor:
    """``(k, 77)``: start mark, up to 75 tokens, end mark, padding."""
    words = bundle.tokenizers[0](prompt, add_special_tokens=False).input_ids
    rows = []
    for at in range(0, max(1, len(words)), 75):
        part = [49406, *words[at : at + 75], 49407]
        rows.append(part + [padding] * (77 - len(part)))
    return torch.tensor(rows)


@torch.no_grad()
@pytest.mark.parametrize("clip_skip", [1, 2])
def test_conditioning_is_the_text_encoders(loaded: Loaded, clip_skip: int) -> None:
    tensors, bundle = loaded
    rows, pooled = [], []
    for prompt, windows in zip(PROMPTS, (1, 1, 3), strict=True):
        ids, zeros = _windows(bundle, prompt, 49407), _windows(bundle, prompt, 0)
        assert ids.shape == (windows, 77)
        states, vectors = ENCODE[bundle.family.name](tensors, ids, zeros, clip_skip)
        rows.append(states.reshape(1, windows * 77, -1).repeat(1, 3 // windows, 1))
        pooled += [] if vectors is None else [vectors[:1]]  # the first window's
    expected = torch.cat(rows)
    assert expected.std() > 0.1
    conditioning = bundle.family.encode(bundle, PROMPTS, clip_skip=clip_skip, size=Size(768, 512))
    assert _largest_difference(conditioning.sequence, expected) < TOLERANCE
    if not pooled:
        assert (conditioning.pooled, conditioning.size_ids) == (None, None)
        return
    assert conditioning.pooled is not None
    assert conditioning.size_ids is not None
    assert _largest_difference(conditioning.pooled, torch.cat(pooled)) < TOLERANCE
    assert conditioning.size_ids.tolist() == [[512, 768, 0, 0, 512, 768]] * 3
