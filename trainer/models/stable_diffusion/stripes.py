"""Diffusers' VAE for large images, in a fraction of the memory: the same latents and pixels, but for rounding.

Feature maps are kept as stripes, from top to bottom, which are let go of as they are used. A convolution of a stripe is
given the rows above and below it. The statistics of a norm are those of the whole map, put together from the stripes',
so nothing depends on where the stripes are and nothing is blended, unlike with the tiles that are common for this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIPE = 32 * 2**20
"""Bytes of a stripe; what is no larger is computed as a whole, by diffusers' own modules."""
LARGE = 4 * STRIPE
"""Bytes of the first feature map from which on an image is worth it: one of 512² has as many."""
PLACES = 512
"""That ask in attention at a time at least: every one reads all the others."""
_WIDE = (torch.float32, torch.float64)

Map = deque[Tensor]
"""A feature map ``(B, C, H, W)`` as stripes ``(B, C, h, W)`` from top to bottom."""


def is_large(vae: nn.Module, shape: torch.Size, factor: int = 1) -> bool:
    """Whether images are encoded, or decoded, in stripes.

    Args:
        shape: of images or latents, ``(B, C, H, W)``.
        factor: pixels a side for each of ``H`` and ``W``.
    """
    first: Tensor = vae.get_parameter("encoder.conv_in.weight")
    return shape[0] * shape[2] * shape[3] * factor**2 * len(first) * first.element_size() > LARGE


@torch.no_grad()
def moments(vae: Any, pixels: Tensor, most: int = STRIPE) -> Tensor:
    """Mean and log variance of the posterior of images ``(B, 3, H, W)``: ``(B, 2C, h, w)``.

    Args:
        vae: diffusers' ``AutoencoderKL``.
        pixels: of sides that are multiples of the pixels that make a latent.
        most: bytes of a stripe.
    """
    encoder = vae.encoder
    found = _convolved(encoder.conv_in, deque([pixels]), most)
    for block in encoder.down_blocks:
        for residual in block.resnets:
            found = _through_residual(residual, found, most)
        for downsampler in block.downsamplers or ():
            found = _downsampled(downsampler, found, most)
    found = _through_middle(encoder.mid_block, found, most)
    found = _convolved(encoder.conv_out, found, most, encoder.conv_norm_out)
    whole = _joined(found)
    return whole if vae.quant_conv is None else vae.quant_conv(whole)


@torch.no_grad()
def images(vae: Any, latents: Tensor, most: int = STRIPE) -> Tensor:
    """The images ``(B, 3, H, W)`` of latents ``(B, C, h, w)`` as the VAE knows them.

    Args:
        vae, most: as for :func:`moments`.
    """
    decoder = vae.decoder
    latents = latents if vae.post_quant_conv is None else vae.post_quant_conv(latents)
    found = _convolved(decoder.conv_in, deque([latents]), most)
    found = _through_middle(decoder.mid_block, found, most)
    for block in decoder.up_blocks:
        for residual in block.resnets:
            found = _through_residual(residual, found, most)
        for upsampler in block.upsamplers or ():
            found = _upsampled(upsampler, found, most)
    return _joined(_convolved(decoder.conv_out, found, most, decoder.conv_norm_out))


# ---- layers ---------------------------------------------------------------------------------------------------------


def _convolved(conv: nn.Conv2d, found: Map, most: int, norm: nn.GroupNorm | None = None) -> Map:
    """A 3×3 convolution of a map, or of its norm through SiLU."""
    found = _cut(found, most, max(conv.in_channels, conv.out_channels))
    put = _copy if norm is None else _Norm(norm, found).put
    return deque(_at_rows(conv, window, put) for window in _windows(found))


def _through_residual(block: Any, found: Map, most: int) -> Map:
    """Two convolutions of norms through SiLU, added to the map (diffusers' ``ResnetBlock2D`` without a timestep)."""
    found = _cut(found, most, max(block.in_channels, block.out_channels))
    if len(found) == 1:
        return deque([block(found.pop(), None)])
    first, between, shortcuts = _Norm(block.norm1, found), Map(), Map()
    shortcut, source = block.conv_shortcut, found
    if shortcut is None:
        shortcuts, source = found, found.copy()
    for window in _windows(source):
        between.append(_at_rows(block.conv1, window, first.put))
        if shortcut is not None:
            shortcuts.append(shortcut(window[1]))
        del window
    second = _Norm(block.norm2, between)
    for kept, window in zip(shortcuts, _windows(between), strict=True):
        kept += _at_rows(block.conv2, window, second.put)
        if block.output_scale_factor != 1:
            kept /= block.output_scale_factor
        del window
    return shortcuts


def _downsampled(downsampler: Any, found: Map, most: int) -> Map:
    """Half the height and width, by a convolution of steps of two that sees a row and a column of zeros at the end."""
    found = _cut(found, most, found[0].shape[1])
    if len(found) == 1:
        return deque([downsampler(found.pop())])
    made = Map()
    for _, here, below in _windows(found):
        *shape, rows, width = here.shape
        padded = here.new_zeros(*shape, rows + 1, width + 1)
        padded[..., :rows, :width] = here
        if below is not None:
            padded[..., rows:, :width] = below
        made.append(F.conv2d(padded, downsampler.conv.weight, downsampler.conv.bias, stride=2))
        del here, below, padded
    return made


def _upsampled(upsampler: Any, found: Map, most: int) -> Map:
    """Twice the height and width, each number four times, and a convolution of that."""
    found = _cut(found, most, 4 * max(upsampler.conv.in_channels, upsampler.conv.out_channels))
    if len(found) == 1:
        return deque([upsampler(found.pop())])
    return deque(_at_rows(upsampler.conv, window, _copy_twice, times=2) for window in _windows(found))


def _through_middle(block: Any, found: Map, most: int) -> Map:
    """The smallest maps, with attention from every place to every other."""
    first, *others = block.resnets
    found = _through_residual(first, found, most)
    for attention, residual in zip(block.attentions, others, strict=True):
        if attention is not None:
            found = deque([_attended(attention, _joined(found), most)])
        found = _through_residual(residual, found, most)
    return found


def _attended(attention: Any, whole: Tensor, most: int) -> Tensor:
    """A map with what each place finds in the others added to it.

    Some places ask at a time: where a device has no kernel for it, their scores are in memory.
    """
    places = whole.shape[2] * whole.shape[3]
    at_once = max(PLACES, most // (len(whole) * attention.heads * places * whole.element_size()))
    if at_once >= places:
        return attention(whole)
    tokens = attention.group_norm(whole.flatten(2)).transpose(1, 2)  # (B, places, C)
    queries, keys, values = (
        project(tokens).unflatten(2, (attention.heads, -1)).transpose(1, 2)
        for project in (attention.to_q, attention.to_k, attention.to_v)
    )
    del tokens
    found = [F.scaled_dot_product_attention(some, keys, values) for some in queries.split(at_once, dim=2)]
    del queries, keys, values
    seen = attention.to_out[0](torch.cat(found, dim=2).transpose(1, 2).flatten(2))
    del found
    return (whole + seen.transpose(1, 2).reshape(whole.shape)) / attention.rescale_output_factor


# ---- norms ----------------------------------------------------------------------------------------------------------


class _Norm:
    """A group norm of a whole map, for its stripes: ``x · scale + shift``, in float32 at least."""

    def __init__(self, norm: nn.GroupNorm, found: Map) -> None:
        height = sum(stripe.shape[2] for stripe in found)
        of_stripes = [
            (stripe.shape[2] / height, *torch.var_mean(_in_groups(stripe, norm), dim=(2, 3, 4), correction=0))
            for stripe in found
        ]  # share, variance and mean (B, groups)
        mean = torch.stack([share * own for share, _, own in of_stripes]).sum(dim=0)
        # The law of total variance: within the stripes and between them.
        variance = torch.stack([share * (own + (its - mean) ** 2) for share, own, its in of_stripes]).sum(dim=0)
        weight, bias = (_widened(each).unflatten(0, (norm.num_groups, -1)) for each in (norm.weight, norm.bias))
        scale = (variance + norm.eps).rsqrt()[..., None] * weight
        shift = bias - mean[..., None] * scale
        self._scale, self._shift = (each.flatten(1)[..., None, None] for each in (scale, shift))

    def put(self, rows: Tensor, place: Tensor) -> None:
        """The norm of some rows through SiLU."""
        if rows.dtype == self._scale.dtype:
            torch.addcmul(self._shift, rows, self._scale, out=place)
        else:
            place.copy_(torch.addcmul(self._shift, _widened(rows), self._scale))
        F.silu(place, inplace=True)


def _in_groups(stripe: Tensor, norm: nn.GroupNorm) -> Tensor:
    """``(B, groups, C / groups, h, W)``."""
    return _widened(stripe).unflatten(1, (norm.num_groups, -1))


def _widened(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in _WIDE else tensor.float()


# ---- stripes --------------------------------------------------------------------------------------------------------

_Window = tuple[Tensor | None, Tensor, Tensor | None]
"""The row above a stripe, the stripe, and the row below."""


def _windows(found: Map) -> Iterator[_Window]:
    """Every stripe of a map, which is empty afterwards."""
    above = None
    while found:
        here = found.popleft()
        yield above, here, found[0][:, :, :1] if found else None
        above = here[:, :, -1:].clone()
        del here


def _at_rows(conv: nn.Conv2d, window: _Window, put: Callable[[Tensor, Tensor], object], times: int = 1) -> Tensor:
    """A 3×3 convolution of what ``put`` makes of a stripe and the rows beside it; zeros are beyond the map.

    Args:
        put: writes what rows ``(B, C, h, W)`` become to a place ``(B, C, times · h, times · W)``, or of a single row
            one row.
    """
    above, here, below = window
    count, channels, rows, width = here.shape
    made = here.new_empty(count, channels, times * rows + 2, times * width)
    for part, place in ((above, made[:, :, :1]), (here, made[:, :, 1:-1]), (below, made[:, :, -1:])):
        if part is None:
            place.zero_()
        else:
            put(part, place)
    return F.conv2d(made, conv.weight, conv.bias, padding=(0, 1))


def _copy(rows: Tensor, place: Tensor) -> None:
    place.copy_(rows)


def _copy_twice(rows: Tensor, place: Tensor) -> None:
    """Each number twice in its row, and each row as often as there is room."""
    place.unflatten(3, (-1, 2)).unflatten(2, (rows.shape[2], -1)).copy_(rows[:, :, :, None, :, None])


def _cut(found: Map, most: int, channels: int) -> Map:
    """The same map in stripes of an even number of rows, each of ``most`` bytes if it had so many channels."""
    count, _, _, width = found[0].shape
    rows = max(2, most // (count * channels * width * found[0].element_size()) // 2 * 2)
    made, waiting = Map(), list[Tensor]()
    while found:
        here = found.popleft()
        while here.shape[2]:
            room = rows - sum(each.shape[2] for each in waiting)
            waiting.append(here[:, :, :room])
            here = here[:, :, room:]
            if waiting[-1].shape[2] == room:
                made.append(_together(waiting))
                waiting = []
    if waiting:
        made.append(_together(waiting))
    return made


def _joined(found: Map) -> Tensor:
    return _together([*found])


def _together(stripes: list[Tensor]) -> Tensor:
    return stripes[0] if len(stripes) == 1 else torch.cat(stripes, dim=2)
