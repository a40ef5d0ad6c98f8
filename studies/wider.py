"""Makes a toy checkpoint with a wider U-Net that computes the same, to see what a model's width does to a setting.

::

    python -m studies.wider 4 tests/toy/toy-sd1.safetensors WIDER.safetensors
    python -m studies.first_press --modes ADDifT --half train --seeds 20 --checkpoint WIDER.safetensors

Each channel becomes several equal ones side by side, as many in each norm group; what reads them takes a random share
of each, so that the copies learn apart (Chen et al. 2016, Net2Net). The conditioning keeps its width.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests.toy import checkpoint_file
from tests.toy.ldm_names import UNET_PREFIX, unet_name

SPREAD = 0.4
"""Standard deviation of the shares, of their mean."""


@torch.no_grad()
def wider(unet: UNet2DConditionModel, times: int, generator: torch.Generator) -> UNet2DConditionModel:
    """A U-Net with ``times`` the channels and the same predictions."""
    narrow, widths = unet.state_dict(), tuple(times * width for width in unet.config["block_out_channels"])
    made = UNet2DConditionModel.from_config({**unet.config, "block_out_channels": widths})
    weights = {}
    for name, like in made.state_dict().items():
        weight = narrow[name]
        copies = like.shape[0] // weight.shape[0]
        if name == "time_embedding.linear_1.weight":
            weight = _of_frequencies(weight, times).repeat_interleave(copies, 0)
        elif weight.ndim > 1 and like.shape[1] > weight.shape[1]:
            rows = [_shared_out(weight, times, generator) for _ in range(copies)]
            weight = torch.stack(rows, 1).flatten(0, 1)
        else:
            weight = weight.repeat_interleave(copies, 0)
        if name.endswith("to_q.weight"):
            weight = weight / times**0.5  # a head is wider, too, and divides by the root of its width
        weights[name] = weight
    made.load_state_dict(weights)
    return made


def _shared_out(weight: Tensor, times: int, generator: torch.Generator) -> Tensor:
    """``(out, in, …)`` for inputs that are there ``times``: shares of each, which sum to it."""
    shares = 1 + SPREAD * torch.randn((*weight.shape[:2], times), generator=generator)
    shares = shares.clamp(min=0.1)
    shares = shares / shares.sum(-1, keepdim=True)
    shared = weight.unsqueeze(2) * shares.view(*shares.shape, *[1] * (weight.ndim - 2))
    return shared.flatten(1, 2)


def _of_frequencies(weight: Tensor, times: int) -> Tensor:
    """``(out, in)`` for a timestep's sines and cosines at ``times`` as many frequencies, of which it reads its own."""
    made = weight.new_zeros(weight.shape[0], 2, weight.shape[1] // 2, times)
    made[..., 0] = weight.view(weight.shape[0], 2, -1)
    return made.flatten(1)


def main() -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m studies.wider", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("times", type=int, help="as many channels")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    state = load_file(options.checkpoint)
    made = wider(checkpoint_file.load(options.checkpoint).unet, options.times, torch.Generator().manual_seed(0))
    state |= {UNET_PREFIX + unet_name(name): weight for name, weight in made.state_dict().items()}
    with safe_open(options.checkpoint, "pt") as file:
        notes = file.metadata()
    checkpoint_file.write(options.out, state, notes)


if __name__ == "__main__":
    main()
