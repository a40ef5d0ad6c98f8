"""The checkpoint of other widths that studies are made on."""

from __future__ import annotations

import torch

from studies.wider import wider
from tests.toy import checkpoint_file


@torch.no_grad()
def test_a_wider_unet_predicts_the_same() -> None:
    unet = checkpoint_file.load().unet
    made = wider(unet, 2, torch.Generator().manual_seed(1))
    assert made.config["block_out_channels"] == (64, 128, 128, 128)
    generator = torch.Generator().manual_seed(2)
    x, c = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 77, 64, generator=generator)
    t = torch.tensor([100, 800])
    torch.testing.assert_close(made(x, t, c).sample, unet(x, t, c).sample, rtol=1e-4, atol=1e-4)
