"""nf4 weights: the levels, what they are off by, and that a layer computes with the weight that its codes stand for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studies.studio import CHECKPOINT
from tests.helpers.checkpoints import FAMILIES, small_checkpoint
from tests.helpers.predicted import in_float32, predicted
from trainer.config.size import Size
from trainer.models.checkpoint.int8 import Int8Conv2d, Int8Linear
from trainer.models.checkpoint.nf4 import BLOCK, NF4Linear, can_be_nf4, levels, store_as_nf4
from trainer.models.checkpoint.weights import cast
from trainer.models.placement import broken_model, place
from trainer.models.registry import load_bundle

CPU = torch.device("cpu")


def draws(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_the_levels_are_quantiles_of_the_normal_distribution() -> None:
    """Those of QLoRA's appendix E, to the digits that a bin's probability tells."""
    found = levels()
    assert (len(found), found[0], found[7], found[-1]) == (16, -1.0, 0.0, 1.0)
    assert list(found) == sorted(found)
    at = [NormalDist().cdf(each * NormalDist().inv_cdf(0.9677083)) for each in found]
    steps = [right - left for left, right in pairwise(at)]
    assert steps[:7] == pytest.approx([0.4677083 / 7] * 7)
    assert steps[7:] == pytest.approx([0.4677083 / 8] * 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_number_becomes_the_nearest_level_of_its_block(dtype: torch.dtype) -> None:
    module = nn.Linear(96, 6, bias=False)
    weight = (draws(6, 96) * torch.logspace(-6, 3, 6)[:, None]).to(dtype)
    store_as_nf4(module, weight)
    assert isinstance(module, NF4Linear)
    assert (module.codes.dtype, module.codes.shape, module.scale.shape) == (torch.uint8, (288,), (9,))
    blocks = weight.double().view(-1, BLOCK)
    highest = blocks.abs().amax(1, keepdim=True)
    places = torch.tensor(levels(), dtype=torch.float64)
    nearest = places[(blocks[..., None] / highest[..., None] - places).abs().argmin(-1)] * highest
    torch.testing.assert_close(module.weight.double().view(-1, BLOCK), nearest, rtol=1e-6, atol=0)


def test_blocks_without_a_number_in_them() -> None:
    module = nn.Linear(BLOCK, 3, bias=False)
    weight = draws(3, BLOCK)
    weight[0] = 0
    weight[1, 2] = torch.nan
    store_as_nf4(module, weight)
    assert isinstance(module, NF4Linear)
    assert bool((module.weight[0] == 0).all())
    assert bool(module.weight[1].isnan().all()), "what is broken stays broken, and is found"
    assert bool(module.weight[2].isfinite().all())


@pytest.mark.parametrize("bias", [True, False])
def test_output_and_gradient_are_those_of_the_weight_it_stands_for(bias: bool) -> None:
    """In float64, so that nothing but the formula can differ."""
    module = nn.Linear(32, 6, bias=bias).double().requires_grad_(False)
    store_as_nf4(module, module.weight.clone())
    weight = module.weight.double()
    x = draws(2, 3, 32, dtype=torch.float64).requires_grad_()
    other = x.detach().clone().requires_grad_()
    found, wanted = module(x), F.linear(other, weight, module.bias)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)  # its levels are float32
    upstream = draws(*found.shape, seed=1, dtype=torch.float64)
    found.backward(upstream)
    wanted.backward(upstream)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-6, atol=1e-6)


def test_what_is_not_of_whole_blocks_or_no_linear_is_kept_as_int8() -> None:
    module = nn.Sequential(nn.Linear(16, 4), nn.Linear(5, 4), nn.Conv2d(4, 16, 1), nn.LayerNorm(4))
    assert [can_be_nf4(each) for each in module] == [True, False, False, False]
    cast(module, torch.float16, codes="nf4")
    assert [type(each) for each in module] == [NF4Linear, Int8Linear, Int8Conv2d, nn.LayerNorm]
    assert module[0].get_buffer("scale").dtype is torch.float32
    assert module[0].get_buffer("table").dtype is torch.float16
    assert not any(can_be_nf4(each) for each in module)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_familys_linears_and_no_text_encoders(family: str, tmp_path: Path) -> None:
    bundle = load_bundle(small_checkpoint(tmp_path, family, dtype=torch.float16))
    place(bundle, CPU, in_float32(bundle), codes="nf4")
    kinds = {part: {type(each) for each in module.modules()} for part, module in bundle.modules.items()}
    assert {NF4Linear, Int8Conv2d} <= kinds.pop("denoiser")
    assert not {NF4Linear, Int8Linear} & kinds.pop("vae")
    assert all(Int8Linear in each and NF4Linear not in each for each in kinds.values())
    with torch.no_grad():
        found = predicted(bundle, draws(2, 4, 8, 8), [1, 999])
    assert bool(found.isfinite().all())


def test_a_trained_model_predicts_nearly_the_same() -> None:
    plain, small = load_bundle(CHECKPOINT), load_bundle(CHECKPOINT)
    place(plain, CPU, in_float32(plain))
    place(small, CPU, in_float32(small), codes="nf4")
    x = draws(8, 4, *plain.latent_shape(Size(64, 64))[1:])
    with torch.no_grad():
        wanted, found = (predicted(each, x, [1, 100, 250, 400, 550, 700, 850, 999]) for each in (plain, small))
    off = (found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    print("nf4 off by", off)
    assert 0 < float(off.max()) < 0.15
    assert broken_model(small) is None


def test_a_trained_models_gradient_is_that_of_the_weights_it_stands_for() -> None:
    """By a plain model that holds the decoded weights."""
    plain, small = load_bundle(CHECKPOINT), load_bundle(CHECKPOINT)
    place(plain, CPU, in_float32(plain))
    place(small, CPU, in_float32(small), codes="nf4")
    theirs = dict(small.denoiser.named_modules())
    for name, module in plain.denoiser.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.weight = nn.Parameter(theirs[name].weight, requires_grad=False)  # type: ignore[arg-type]
    x = draws(2, 4, *plain.latent_shape(Size(64, 64))[1:])
    conditioning = plain.encode(["a red circle"], size=Size(64, 64))
    gradients = []
    for bundle in (plain, small):
        own = x.clone().requires_grad_()
        bundle.predict(own, torch.tensor([200, 600]), conditioning).square().sum().backward()
        gradients.append(own.grad)
    assert gradients[0] is not None
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-5)
