"""A U-Net that computes with less: the same numbers as diffusers' own, from fewer operations."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from trainer.models.checkpoint.layers import make_own
from trainer.models.stable_diffusion.leaner import _DIVISORS, make_leaner


def unet(dtype: torch.dtype) -> UNet2DConditionModel:
    torch.manual_seed(0)
    made = UNet2DConditionModel(
        block_out_channels=(32, 64), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=1, cross_attention_dim=16,
        attention_head_dim=8,
    )  # fmt: skip
    make_own(made)
    return made.to(dtype).requires_grad_(False)


def passes(model: UNet2DConditionModel, dtype: torch.dtype) -> tuple[Tensor, Tensor, Counter[str]]:
    """The output, the gradient of the input, and the operations of both passes."""
    generator = torch.Generator().manual_seed(1)
    x, words, sent = (
        torch.randn(shape, generator=generator).to(dtype) for shape in ((2, 4, 16, 16), (2, 5, 16), (2, 4, 16, 16))
    )
    x.requires_grad_()
    with torch.profiler.profile() as profile:
        output = model(x, torch.tensor([3, 500]), words).sample
        output.backward(sent)
    assert x.grad is not None
    started = Counter({event.key.removeprefix("aten::"): event.count for event in profile.key_averages()})
    return output.detach(), x.grad, started


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bit_for_bit_with_less(dtype: torch.dtype) -> None:
    model = unet(dtype)
    output, gradient, before = passes(model, dtype)
    make_leaner(model)
    leaner_output, leaner_gradient, after = passes(model, dtype)
    assert torch.equal(leaner_output, output)
    assert torch.equal(leaner_gradient, gradient)
    gates = sum(type(each).__name__ == "GEGLU" for each in model.modules())
    divided = sum(hasattr(each, name) for each in model.modules() for name in _DIVISORS)
    assert (gates, divided) == (4, 16)
    assert before["div"] - after["div"] == 2 * divided  # there and back
    assert before["cat"] - after["cat"] == gates


def test_another_divisor_stays() -> None:
    model = unet(torch.float32)
    block = model.down_blocks[0].resnets[0]
    block.output_scale_factor = 2.0
    wanted = passes(model, torch.float32)[:2]
    make_leaner(model)
    assert block.output_scale_factor == 2.0
    for found, exact in zip(passes(model, torch.float32), wanted, strict=False):
        assert torch.equal(found, exact)
