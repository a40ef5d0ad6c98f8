"""The toys' U-Nets before any training."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from tests.toy.autoencoder import REFERENCE
from tests.toy.conditioning import WIDTH, XL_WIDTHS

NORM_GROUPS = 8
XL_UNET_WIDTHS, XL_DEPTHS = (64, 64, 64), (1, 1, 2)  # the first level has no attention
XL_SIZE_WIDTH = 256  # sines and cosines of each of the six numbers
BRANCH_START = 0.5  # of the usual size
ATTENTION_START = 2.0  # times the usual size, so that where to look differs from place to place from the start


def empty_unet(norm_groups: int = NORM_GROUPS) -> UNet2DConditionModel:
    """Stable Diffusion 1's blocks, narrow: 4 x 8 x 8 latents, conditioning width 64, 8 heads."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=(32, 64, 64, 64),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=norm_groups,
    )


def empty_xl_unet(norm_groups: int = NORM_GROUPS) -> UNet2DConditionModel:
    """SDXL's blocks, narrow and shallow: 4 x 8 x 8 latents, one head, a pooled vector and six numbers besides.

    SDXL has 2 and 10 transformer blocks in an attention of its second and third level; these have 1 and 2.
    """
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        block_out_channels=XL_UNET_WIDTHS,
        transformer_layers_per_block=XL_DEPTHS,
        cross_attention_dim=sum(XL_WIDTHS),
        attention_head_dim=1,  # the number of heads
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=XL_SIZE_WIDTH,
        projection_class_embeddings_input_dim=6 * XL_SIZE_WIDTH + XL_WIDTHS[1],
        norm_num_groups=norm_groups,
    )


@torch.no_grad()
def start_as_copy(unet: UNet2DConditionModel) -> None:
    """Starts the U-Net as one that returns its input, which is nearly right at high noise.

    As in the VAE, half of the first layer's norm groups carry (K, -K, x, -x) for one latent channel x each. The skip
    to the last block hands them on, and that block's own branches begin closed in these channels.
    """
    for name, module in unet.named_modules():
        if name.endswith((".conv2", ".proj_out")):
            module.weight.mul_(BRANCH_START)
            module.bias.mul_(BRANCH_START)
        elif name.endswith(("attn2.to_q", "attn2.to_k")):
            module.weight.mul_(ATTENTION_START)
    carried = 4 * unet.config.in_channels
    last_block = unet.up_blocks[-1]
    for module in (
        last_block.resnets[-1].conv2,
        *(each.proj_out for each in getattr(last_block, "attentions", [])[-1:]),
    ):
        module.weight[:carried] = 0.0
        module.bias[:carried] = 0.0
    first, last = unet.conv_in, unet.conv_out
    shortcut = unet.up_blocks[-1].resnets[-1].conv_shortcut
    width = first.out_channels
    spread = ((2 * REFERENCE**2 + 2) / 4) ** 0.5  # what the last norm divides by
    last.weight.mul_(0.1)
    for latent in range(unet.config.in_channels):
        channels = slice(4 * latent, 4 * latent + 4)
        first.weight[channels] = 0.0
        first.bias[channels] = torch.tensor([REFERENCE, -REFERENCE, 0.0, 0.0])
        first.weight[4 * latent + 2, latent, 1, 1] = 1.0
        first.weight[4 * latent + 3, latent, 1, 1] = -1.0
        shortcut.weight[channels] = 0.0
        shortcut.bias[channels] = 0.0
        for channel in range(4 * latent, 4 * latent + 4):
            shortcut.weight[channel, width + channel] = 1.0
        last.weight[latent, 4 * latent + 2, 1, 1] = spread
        last.weight[latent, 4 * latent + 3, 1, 1] = -spread
    last.bias.zero_()
