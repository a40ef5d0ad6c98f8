"""Stable Diffusion 1, 2 and XL in plain torch functions, straight on a checkpoint's own tensors.

Written from the architecture, for tests: it shares no code and no names with diffusers or transformers, which the
product uses. A tensor is looked up by the name it has in the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = Mapping[str, Tensor]


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def _conv(weights: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    kernel = weights[f"{name}.weight"]
    return F.conv2d(x, kernel, weights[f"{name}.bias"], stride=stride, padding=kernel.shape[-1] // 2)


def _groups(weights: Weights, name: str, x: Tensor, eps: float, groups: int = 32) -> Tensor:
    return F.group_norm(x, groups, weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def _layers(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5)


def _attention(queries: Tensor, keys: Tensor, values: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """``(B, N, D)`` and twice ``(B, M, D)`` -> ``(B, N, D)``, written out rather than through torch's fused kernel."""
    batch, length, width = queries.shape
    q, k, v = (each.view(batch, -1, heads, width // heads).transpose(1, 2) for each in (queries, keys, values))
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
    weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
    return (weights @ v).transpose(1, 2).reshape(batch, length, width)


class LdmUNet:
    """The U-Net; ``prefix`` is what its tensors' names begin with.

    Args:
        heads: attention heads everywhere (SD1); 0 for as many as 64 channels go into the width (SD2, SDXL).
    """

    def __init__(self, weights: Weights, prefix: str = "model.diffusion_model.", heads: int = 8) -> None:
        self.weights = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        self.heads = heads

    def __call__(
        self,
        latents: Tensor,
        timesteps: Tensor,
        context: Tensor,
        pooled: Tensor | None = None,
        sizes: Tensor | None = None,
    ) -> Tensor:
        """``pooled`` ``(B, P)`` and ``sizes`` ``(B, 6)`` are SDXL's vector: each size becomes 256 sinusoids."""
        weights = self.weights
        width = weights["time_embed.0.weight"].shape[1]
        time = _linear(weights, "time_embed.0", _sinusoids(timesteps, width))
        time = _linear(weights, "time_embed.2", F.silu(time))
        if pooled is not None and sizes is not None:
            vector = torch.cat([pooled, *(_sinusoids(column, 256) for column in sizes.T)], dim=1)
            time = time + _linear(weights, "label_emb.0.2", F.silu(_linear(weights, "label_emb.0.0", vector)))
        x, skips = _conv(weights, "input_blocks.0.0", latents), []
        skips.append(x)
        number = 1
        while f"input_blocks.{number}.0.in_layers.0.weight" in weights or self._has(f"input_blocks.{number}.0.op"):
            x = self._block(f"input_blocks.{number}", x, time, context)
            skips.append(x)
            number += 1
        x = self._residual("middle_block.0", x, time)
        x = self._transformer("middle_block.1", x, context)
        x = self._residual("middle_block.2", x, time)
        for number in range(len(skips)):
            x = self._block(f"output_blocks.{number}", torch.cat([x, skips.pop()], dim=1), time, context)
        return _conv(weights, "out.2", F.silu(_groups(weights, "out.0", x, 1e-5)))

    def _has(self, name: str) -> bool:
        return f"{name}.weight" in self.weights

    def _block(self, name: str, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        if self._has(f"{name}.0.op"):
            return _conv(self.weights, f"{name}.0.op", x, stride=2)
        x = self._residual(f"{name}.0", x, time)
        for place in (1, 2):
            if self._has(f"{name}.{place}.norm"):
                x = self._transformer(f"{name}.{place}", x, context)
            if self._has(f"{name}.{place}.conv"):
                x = _conv(self.weights, f"{name}.{place}.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x

    def _residual(self, name: str, x: Tensor, time: Tensor) -> Tensor:
        weights = self.weights
        hidden = _conv(weights, f"{name}.in_layers.2", F.silu(_groups(weights, f"{name}.in_layers.0", x, 1e-5)))
        hidden = hidden + _linear(weights, f"{name}.emb_layers.1", F.silu(time))[:, :, None, None]
        hidden = _conv(weights, f"{name}.out_layers.3", F.silu(_groups(weights, f"{name}.out_layers.0", hidden, 1e-5)))
        return hidden + (_conv(weights, f"{name}.skip_connection", x) if self._has(f"{name}.skip_connection") else x)

    def _transformer(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        weights = self.weights
        batch, channels, height, width = x.shape
        tokens = _groups(weights, f"{name}.norm", x, 1e-6).flatten(2).transpose(1, 2)
        tokens = self._project(f"{name}.proj_in", tokens)
        number = 0
        while self._has(f"{name}.transformer_blocks.{number}.norm1"):
            block = f"{name}.transformer_blocks.{number}"
            normed = _layers(weights, f"{block}.norm1", tokens)
            tokens = tokens + self._attend(f"{block}.attn1", normed, normed)
            tokens = tokens + self._attend(f"{block}.attn2", _layers(weights, f"{block}.norm2", tokens), context)
            inner = _linear(weights, f"{block}.ff.net.0.proj", _layers(weights, f"{block}.norm3", tokens))
            value, gate = inner.chunk(2, dim=-1)
            tokens = tokens + _linear(weights, f"{block}.ff.net.2", value * F.gelu(gate))
            number += 1
        tokens = self._project(f"{name}.proj_out", tokens)
        return x + tokens.transpose(1, 2).reshape(batch, channels, height, width)

    def _project(self, name: str, tokens: Tensor) -> Tensor:
        """A linear, or the convolution with a kernel of one that means the same."""
        weight = self.weights[f"{name}.weight"]
        return F.linear(tokens, weight.flatten(1), self.weights[f"{name}.bias"])

    def _attend(self, name: str, tokens: Tensor, source: Tensor) -> Tensor:
        weights = self.weights
        queries = _linear(weights, f"{name}.to_q", tokens)
        keys, values = _linear(weights, f"{name}.to_k", source), _linear(weights, f"{name}.to_v", source)
        heads = self.heads or max(1, queries.shape[-1] // 64)
        return _linear(weights, f"{name}.to_out.0", _attention(queries, keys, values, heads))


def _sinusoids(timesteps: Tensor, width: int) -> Tensor:
    half = width // 2
    rates = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=torch.float32) / half)
    angles = timesteps.float()[:, None] * rates[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class LdmVae:
    """The autoencoder: :meth:`encode` gives the posterior's mean, :meth:`decode` an image; neither scales."""

    def __init__(self, weights: Weights, prefix: str = "first_stage_model.") -> None:
        self.weights = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}

    def encode(self, pixels: Tensor) -> Tensor:
        weights, level = self.weights, 0
        x = _conv(weights, "encoder.conv_in", pixels)
        while f"encoder.down.{level}.block.0.norm1.weight" in weights:
            x = self._residuals(f"encoder.down.{level}.block", x)
            name = f"encoder.down.{level}.downsample.conv"
            if f"{name}.weight" in weights:
                padded = F.pad(x, (0, 1, 0, 1))
                x = F.conv2d(padded, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=2)
            level += 1
        x = self._middle("encoder.mid", x)
        x = _conv(weights, "encoder.conv_out", F.silu(_groups(weights, "encoder.norm_out", x, 1e-6)))
        return _conv(weights, "quant_conv", x).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor) -> Tensor:
        weights = self.weights
        x = _conv(weights, "decoder.conv_in", _conv(weights, "post_quant_conv", latents))
        x = self._middle("decoder.mid", x)
        levels = len({name.split(".")[2] for name in weights if name.startswith("decoder.up.")})
        for level in reversed(range(levels)):
            x = self._residuals(f"decoder.up.{level}.block", x)
            if level:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
                x = _conv(weights, f"decoder.up.{level}.upsample.conv", x)
        return _conv(weights, "decoder.conv_out", F.silu(_groups(weights, "decoder.norm_out", x, 1e-6)))

    def _residuals(self, name: str, x: Tensor) -> Tensor:
        layer = 0
        while f"{name}.{layer}.norm1.weight" in self.weights:
            x = self._residual(f"{name}.{layer}", x)
            layer += 1
        return x

    def _residual(self, name: str, x: Tensor) -> Tensor:
        weights = self.weights
        hidden = _conv(weights, f"{name}.conv1", F.silu(_groups(weights, f"{name}.norm1", x, 1e-6)))
        hidden = _conv(weights, f"{name}.conv2", F.silu(_groups(weights, f"{name}.norm2", hidden, 1e-6)))
        shortcut = f"{name}.nin_shortcut"
        return hidden + (_conv(weights, shortcut, x) if f"{shortcut}.weight" in weights else x)

    def _middle(self, name: str, x: Tensor) -> Tensor:
        x = self._residual(f"{name}.block_1", x)
        weights, attention = self.weights, f"{name}.attn_1"
        batch, channels, height, width = x.shape
        normed = _groups(weights, f"{attention}.norm", x, 1e-6)
        q, k, v = (_conv(weights, f"{attention}.{part}", normed).flatten(2).transpose(1, 2) for part in "qkv")
        mixed = _attention(q, k, v, 1).transpose(1, 2).reshape(batch, channels, height, width)
        return self._residual(f"{name}.block_2", x + _conv(weights, f"{attention}.proj_out", mixed))


class ClipText:
    """CLIP's text transformer: token ids ``(B, 77)`` -> hidden states ``(B, 77, D)``."""

    def __init__(self, weights: Weights, prefix: str = "cond_stage_model.transformer.text_model.") -> None:
        self.weights = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}

    def __call__(self, ids: Tensor, skip: int = 1, final_norm: bool = True) -> Tensor:
        """``skip`` 1 is the last layer, 2 the one before."""
        weights = self.weights
        x = weights["embeddings.token_embedding.weight"][ids] + weights["embeddings.position_embedding.weight"]
        length, width = x.shape[1:]
        mask = torch.full((length, length), -torch.inf).triu(1)
        depth = len({name.split(".")[2] for name in weights if name.startswith("encoder.layers.")})
        for layer in range(depth + 1 - skip):
            name = f"encoder.layers.{layer}"
            normed = _layers(weights, f"{name}.layer_norm1", x)
            q, k, v = (_linear(weights, f"{name}.self_attn.{part}_proj", normed) for part in "qkv")
            x = x + _linear(weights, f"{name}.self_attn.out_proj", _attention(q, k, v, width // 64, mask))
            inner = _linear(weights, f"{name}.mlp.fc1", _layers(weights, f"{name}.layer_norm2", x))
            x = x + _linear(weights, f"{name}.mlp.fc2", inner * torch.sigmoid(1.702 * inner))
        return _layers(weights, "final_layer_norm", x) if final_norm else x


class OpenClipText:
    """OpenCLIP's text transformer, its attention torch's own: token ids ``(B, 77)`` -> hidden states ``(B, 77, D)``."""

    def __init__(self, weights: Weights, prefix: str) -> None:
        self.weights = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        self.layers = len({name.split(".")[2] for name in self.weights if name.startswith("transformer.resblocks.")})

    def __call__(self, ids: Tensor, skip: int = 1) -> Tensor:
        """``skip`` 1 is the last layer, 2 the one before; without the final norm."""
        weights = self.weights
        x = weights["token_embedding.weight"][ids] + weights["positional_embedding"]
        length, width = x.shape[1:]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        for layer in range(self.layers + 1 - skip):
            name = f"transformer.resblocks.{layer}"
            attention = torch.nn.MultiheadAttention(width, max(1, width // 64), batch_first=True)
            attention.load_state_dict(
                {key[len(name) + 6 :]: value for key, value in weights.items() if key.startswith(f"{name}.attn.")}
            )
            normed = _layers(weights, f"{name}.ln_1", x)
            x = x + attention(normed, normed, normed, attn_mask=later, need_weights=False)[0]
            inner = F.gelu(_linear(weights, f"{name}.mlp.c_fc", _layers(weights, f"{name}.ln_2", x)))
            x = x + _linear(weights, f"{name}.mlp.c_proj", inner)
        return x

    def normed(self, states: Tensor) -> Tensor:
        return _layers(self.weights, "ln_final", states)

    def pooled(self, ids: Tensor) -> Tensor:
        """``(B, P)``: the last layer at the end mark, the largest token there is, normalised and projected."""
        states = self.normed(self(ids))
        ends = torch.stack([row[int(end)] for row, end in zip(states, ids.argmax(1), strict=True)])
        return ends @ self.weights["text_projection"]
