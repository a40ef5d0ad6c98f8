"""int8 weights: what they are off by, that gradients are those of the weights they stand for, and what is kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studies.studio import CHECKPOINT
from tests.helpers.checkpoints import FAMILIES, sd1_tensors, small_checkpoint
from tests.helpers.predicted import in_float32, predicted
from trainer.config.size import Size
from trainer.models.base import Bundle
from trainer.models.checkpoint.int8 import Int8Conv2d, Int8Linear, dequantise, quantise, store_as_int8
from trainer.models.checkpoint.weights import Source, cast
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import broken_model, place, stored_types
from trainer.models.registry import load_bundle
from trainer.models.sample import sample
from trainer.models.stable_diffusion.family import StableDiffusion

CPU = torch.device("cpu")


def draws(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(7, 5), (6, 4, 3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_no_number_is_off_by_more_than_half_a_scale(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = draws(*shape) * torch.logspace(-6, 3, shape[0]).view(-1, *[1] * (len(shape) - 1))
    weight = weight.to(dtype)
    codes, scale = quantise(weight)
    assert (codes.dtype, codes.shape) == (torch.int8, shape)
    assert int(codes.abs().max()) == 127
    highest = weight.float().abs().flatten(1).amax(1)
    torch.testing.assert_close(scale.flatten(), highest / 127)
    off = (dequantise(codes, scale, torch.float32) - weight.float()).abs()
    assert bool((off <= 0.5001 * scale).all())
    torch.testing.assert_close(
        dequantise(codes, scale, torch.bfloat16), (codes.double() * scale.double()).bfloat16(), rtol=0.008, atol=0
    )


def test_channels_without_a_number_in_them() -> None:
    weight = draws(3, 4)
    weight[0] = 0
    weight[1, 2] = torch.nan
    found = dequantise(*quantise(weight), torch.float32)
    assert found[0].tolist() == [0, 0, 0, 0]
    assert bool(found[1].isnan().all()), "what is broken stays broken, and is found"
    assert bool(found[2].isfinite().all())


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(6, 5), (2, 3, 6)),
    "linear without bias": (nn.Linear(6, 5, bias=False), (4, 6)),
    "3×3": (nn.Conv2d(4, 6, 3, padding=1), (2, 4, 8, 8)),
    "down": (nn.Conv2d(4, 6, 3, stride=2, padding=1), (2, 4, 9, 8)),
    "1×1": (nn.Conv2d(4, 6, 1, bias=False), (2, 4, 5, 5)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, dilation=2), (1, 4, 9, 9)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_output_and_gradient_are_those_of_the_weight_it_stands_for(name: str) -> None:
    """In float64, so that nothing but the formula can differ."""
    made, shape = LAYERS[name]
    module = made.double().requires_grad_(False)
    plain = module.weight.clone()
    store_as_int8(module, plain)
    assert isinstance(module, Int8Linear | Int8Conv2d)
    weight = module.weight.double()
    assert 0 < float((weight - plain).abs().max()) < 0.01
    x = draws(*shape, dtype=torch.float64).requires_grad_()
    other = x.detach().clone().requires_grad_()
    found = module(x)
    if isinstance(module, nn.Linear):
        wanted = F.linear(other, weight, module.bias)
    else:
        way = (module.stride, module.padding, module.dilation, module.groups)
        wanted = F.conv2d(other, weight, module.bias, *way)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    upstream = draws(*found.shape, seed=1, dtype=torch.float64)
    found.backward(upstream)
    wanted.backward(upstream)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, other.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_predicts_nearly_the_same(family: str, tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path, family, dtype=torch.float16)
    x = draws(4, 4, 8, 8)
    plain, small = load_bundle(path), load_bundle(path)
    place(plain, CPU, in_float32(plain))
    place(small, CPU, in_float32(small), codes="int8")
    left = [
        name
        for part in ("denoiser", *(part for part in small.modules if part.startswith("text")))
        for name, module in small.modules[part].named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and not isinstance(module, Int8Linear | Int8Conv2d)
    ]
    assert not left
    assert stored_types(small)["vae"] == stored_types(plain)["vae"]
    with torch.no_grad():
        wanted, found = (predicted(bundle, x, [1, 300, 700, 999]) for bundle in (plain, small))
    assert 0 < float((found - wanted).norm() / wanted.norm()) < 0.05


@pytest.fixture(scope="module")
def toy() -> Iterator[tuple[Bundle, Bundle]]:
    """The trained checkpoint, plain and as int8."""
    plain, small = load_bundle(CHECKPOINT), load_bundle(CHECKPOINT)
    place(plain, CPU, in_float32(plain))
    place(small, CPU, in_float32(small), codes="int8")
    yield plain, small
    gc.collect()


def test_a_trained_model_predicts_nearly_the_same(toy: tuple[Bundle, Bundle]) -> None:
    x = draws(8, 4, *toy[0].latent_shape(Size(64, 64))[1:])
    with torch.no_grad():
        wanted, found = (predicted(bundle, x, [1, 100, 250, 400, 550, 700, 850, 999]) for bundle in toy)
    off = (found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    assert float(off.max()) < 0.03


def test_pictures_are_nearly_the_same(toy: tuple[Bundle, Bundle]) -> None:
    request = ImageSpec("a red circle on a blue background", steps=8, cfg=4.0, size=Size(64, 64))
    (wanted,), (found,) = (sample(bundle, [request]) for bundle in toy)
    off = np.abs(np.asarray(wanted, np.float64) - np.asarray(found, np.float64))
    assert 0 < off.mean() < 8


def test_the_backward_pass_keeps_no_weight(toy: tuple[Bundle, Bundle]) -> None:
    """What autograd keeps of a prediction: nothing in the shape of a weight but its codes."""
    bundle = toy[1]
    weights = [module.codes for module in bundle.denoiser.modules() if isinstance(module, Int8Linear | Int8Conv2d)]
    shapes = {codes.shape for codes in weights} | {codes.T.shape for codes in weights if codes.ndim == 2}
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = draws(1, 4, *bundle.latent_shape(Size(64, 64))[1:]).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = predicted(bundle, x, [500]).square().mean()
    assert sum(tensor.dtype is torch.int8 for tensor in kept) > 0.75 * len(
        weights
    )  # the rest sees no input that has a gradient
    assert not [tensor.shape for tensor in kept if tensor.is_floating_point() and tensor.shape in shapes]
    addresses = {codes.data_ptr() for codes in weights}
    assert {tensor.data_ptr() for tensor in kept if tensor.dtype is torch.int8} <= addresses, "the codes, not copies"
    loss.backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_what_is_in_memory(toy: tuple[Bundle, Bundle]) -> None:
    def size(module: nn.Module) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))

    plain, small = toy
    for part in ("denoiser", "text_encoder"):
        matrices = sum(
            module.weight.numel()
            for module in plain.modules[part].modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        )
        rows = sum(
            module.weight.shape[0]
            for module in plain.modules[part].modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        )
        assert size(plain.modules[part]) - size(small.modules[part]) == 3 * matrices - 4 * rows


def test_a_hosts_tensors_stay_as_they_are() -> None:
    tensors = sd1_tensors(dtype=torch.float16)
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in tensors.items()}
    bundle = load_of(tensors)
    place(bundle, CPU, in_float32(bundle), codes="int8")
    for name, (pointer, content) in before.items():
        assert tensors[name].data_ptr() == pointer
        assert torch.equal(tensors[name], content)


def load_of(tensors: dict[str, Tensor]) -> Bundle:
    from trainer.models.registry import family_of

    source = Source.of_tensors(tensors, "held by the host")
    family = family_of(source.kind)
    assert isinstance(family, StableDiffusion)
    return family.take(source)


def test_scales_stay_exact_when_the_rest_is_cast() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    cast(module, torch.float32, codes="int8")
    scale = module[0].get_buffer("scale").clone()
    cast(module, torch.bfloat16)
    assert module[1].get_parameter("weight").dtype is torch.bfloat16
    assert module[0].get_parameter("bias").dtype is torch.bfloat16
    assert torch.equal(module[0].get_buffer("scale"), scale)
    assert module(draws(2, 4, dtype=torch.bfloat16)).dtype is torch.bfloat16


def test_a_broken_model_is_named() -> None:
    tensors = sd1_tensors()
    name = "model.diffusion_model.middle_block.0.in_layers.2.weight"
    tensors[name][0, 0, 0, 0] = torch.nan
    bundle = load_of(tensors)
    assert "mid_block.resnets.0.conv1.weight of the U-Net" in str(broken_model(bundle))
    place(bundle, CPU, in_float32(bundle), codes="int8")
    assert "mid_block.resnets.0.conv1.scale of the U-Net" in str(broken_model(bundle))
    assert broken_model(load_of(sd1_tensors())) is None
