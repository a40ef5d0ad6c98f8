"""Our own layers: what they compute is torch's, and what is kept for it is less."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from trainer.models.checkpoint.layers import Conv2d, make_own


@pytest.mark.parametrize(
    "made",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(4, 6, 3, groups=2, dilation=2),
        nn.Conv2d(4, 6, 3, padding="same"),
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular"),
    ],
    ids=str,
)
def test_a_frozen_convolution_computes_as_torchs_and_keeps_no_input(made: nn.Conv2d) -> None:
    module = made.requires_grad_(False)
    x = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    wanted = module(x)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad(wanted, x, upstream)
    make_own(module)
    assert type(module) is Conv2d
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = module(x)
    assert torch.equal(found, wanted)
    assert torch.equal(torch.autograd.grad(found, x, upstream)[0], gradient)
    is_plain = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    assert any(each.numel() >= x.numel() for each in kept) is not is_plain


def test_a_convolution_that_is_trained_learns() -> None:
    module = nn.Conv2d(4, 6, 3)
    make_own(module)
    module(torch.ones(1, 4, 5, 5, requires_grad=True)).sum().backward()
    assert module.weight.grad is not None
    assert bool((module.weight.grad == 9).all())
