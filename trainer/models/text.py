"""Prompt -> token ids -> hidden states, for CLIP text encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError

VOCABULARY = Path(__file__).parent / "configs" / "clip"
WINDOW = 77
"""Tokens CLIP sees at a time: a start mark, 75 of the prompt, an end mark."""
_CHUNK = WINDOW - 2


def clip_tokenizer(folder: Path = VOCABULARY) -> Any:
    """CLIP's tokenizer from the files in the repository, off line."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True, model_max_length=WINDOW)


def tokenize(tokenizer: Any, prompt: str) -> Tensor:
    """Token ids of a prompt of any length; one of more than 75 tokens becomes several windows.

    Args:
        tokenizer: CLIP's; its padding token fills the last window.

    Returns:
        ``(k, 77)`` int64; ``k`` is 1 unless the prompt is longer than 75 tokens.
    """
    # verbose: a prompt longer than a window is nothing to warn of here.
    tokens = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    starts = range(0, max(len(tokens), 1), _CHUNK)
    return torch.tensor([_window(tokenizer, tokens[start : start + _CHUNK]) for start in starts], dtype=torch.int64)


def _window(tokenizer: Any, tokens: list[int]) -> list[int]:
    padding = [tokenizer.pad_token_id] * (_CHUNK - len(tokens))
    return [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id, *padding]


def hidden_states(text_encoder: nn.Module, ids: Tensor, *, clip_skip: int = 1, final_norm: bool = True) -> Tensor:
    """A CLIP text encoder's hidden states, window by window, side by side.

    Args:
        text_encoder: transformers' CLIPTextModel, with or without adapters; gradients flow in the caller's grad mode.
        ids: ``(B, k, 77)``.
        clip_skip: 1 = the last layer's, 2 = those of the layer before … at most the number of layers.
        final_norm: whether the final layer norm is applied.

    Returns:
        ``(B, 77·k, D)``, in the encoder's type, on its device.

    Raises:
        ModelError: there are not so many layers.
    """
    batch, windows, length = ids.shape
    ids = ids.reshape(batch * windows, length).to(next(text_encoder.parameters()).device)
    inner: Any = getattr(text_encoder, "text_model", text_encoder)  # transformers 5 has no such level
    if clip_skip == 1 and final_norm:
        states = text_encoder(input_ids=ids).last_hidden_state
    else:
        states = _layer_output(text_encoder, ids, clip_skip)
        states = inner.final_layer_norm(states) if final_norm else states
    return states.reshape(batch, windows * length, states.shape[-1])


def _layer_output(text_encoder: nn.Module, ids: Tensor, from_end: int) -> Tensor:
    """What the layer ``from_end`` layers from the end (1 = last) puts out, before the final layer norm."""
    inner: Any = getattr(text_encoder, "text_model", text_encoder)
    layers = inner.encoder.layers
    if not 1 <= from_end <= len(layers):
        raise ModelError(
            f"clip skip {from_end} is not possible with a text encoder of {len(layers)} layers",
            do=f"Choose 1 to {len(layers)}",
        )
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    # A hook rather than output_hidden_states, whose meaning for the last layer differs between versions.
    handle = layers[len(layers) - from_end].register_forward_hook(keep)
    try:
        text_encoder(input_ids=ids)
    finally:
        handle.remove()
    return kept[-1]
