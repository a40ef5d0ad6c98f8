"""Prompt -> token ids -> hidden states, for CLIP text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ...errors import ModelError

VOCABULARY = Path(__file__).parent / "configs" / "clip"
WINDOW = 77
"""Tokens CLIP sees at a time: a start mark, 75 of the prompt, an end mark."""
_CHUNK = WINDOW - 2
_Each = TypeVar("_Each")
_END = 49407
"""CLIP's end mark."""


def clip_tokenizer(folder: Path = VOCABULARY) -> Any:
    """CLIP's tokenizer from the files in the repository, off line."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True, model_max_length=WINDOW)


def tokenize(tokenizer: Any, prompt: str, padding: int | None = None) -> Tensor:
    """Token ids of a prompt of any length; one of more than 75 tokens becomes several windows.

    Args:
        tokenizer: CLIP's.
        padding: the token that fills the last window; None is the tokenizer's own.

    Returns:
        ``(k, 77)`` int64; ``k`` is 1 unless the prompt is longer than 75 tokens.
    """
    return in_windows(tokenizer, tokens_of(tokenizer, prompt), padding)


def tokens_of(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text, without marks."""
    # verbose: a prompt longer than a window is nothing to warn of here.
    found: list[int] = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return found


def in_windows(tokenizer: Any, tokens: list[int], padding: int | None = None) -> Tensor:
    """Tokens as :func:`tokenize` returns them."""
    filler = tokenizer.pad_token_id if padding is None else padding
    return torch.tensor([_window(tokenizer, part, filler) for part in _chunks(tokens)])


def weights_in_windows(weights: list[float]) -> Tensor:
    """A factor for each token in the places they have in windows, ``(k, 77)``; 1 for marks and padding."""
    rows = [[1.0, *part, *[1.0] * (WINDOW - 1 - len(part))] for part in _chunks(weights)]
    return torch.tensor(rows)


def _chunks(each: list[_Each]) -> list[list[_Each]]:
    return [each[start : start + _CHUNK] for start in range(0, max(len(each), 1), _CHUNK)]


def _window(tokenizer: Any, tokens: list[int], filler: int) -> list[int]:
    return [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id, *[filler] * (_CHUNK - len(tokens))]


def matching(tokens: Sequence[int], others: Sequence[int]) -> list[int]:
    """For each place of a prompt's windows, marks and padding included, that of another's; see
    :meth:`.Family.matching_places`. What nothing stands in for matches what follows it.
    """
    places: list[int] = []
    for _, start, end, from_, to in SequenceMatcher(None, tokens, others, autojunk=False).get_opcodes():
        ours, theirs = end - start, to - from_
        places += [from_ + max(0, ceil(place * theirs / ours) - 1) for place in range(1, ours + 1)]
    return [min(place, len(others) - 1) for place in places]


class Encoded(NamedTuple):
    """What a text encoder makes of prompts.

    Attributes:
        states: ``(B, 77·k, D)``, window by window, side by side.
        pooled: ``(B, P)``, the projected state of the first window's end mark; None without a projection.
    """

    states: Tensor
    pooled: Tensor | None = None


def hidden_states(
    text_encoder: nn.Module, ids: Tensor, *, clip_skip: int = 1, skipped: int = 0, final_norm: bool = True
) -> Encoded:
    """A CLIP text encoder's hidden states, and its pooled output if it has a projection.

    Args:
        text_encoder: transformers' CLIPTextModel or CLIPTextModelWithProjection, with or without adapters; gradients
            flow in the caller's grad mode.
        ids: ``(B, k, 77)``.
        clip_skip: 1 = the last layer's, 2 = those of the layer before … at most the number of layers.
        skipped: layers at the end that are not counted.
        final_norm: whether the final layer norm is applied to the states; to what is pooled it always is.

    Returns:
        Both in the encoder's type, on its device.

    Raises:
        ModelError: there are not so many layers.
    """
    batch, windows, length = ids.shape
    ids = ids.reshape(batch * windows, length).to(next(text_encoder.parameters()).device)
    model = _inner(text_encoder)
    usable = count_layers(text_encoder) - skipped
    if not 1 <= clip_skip <= usable:
        raise ModelError("models.clip_skip", value=clip_skip, layers=usable)
    states, last = _run(model, ids, clip_skip + skipped)
    if final_norm:
        states = model.final_layer_norm(states)
    states = states.reshape(batch, windows * length, states.shape[-1])
    projection = getattr(text_encoder, "text_projection", None)
    if projection is None:
        return Encoded(states)
    ends = (ids == _END).int().argmax(dim=1)  # the first end mark of each window
    pooled = projection(last[torch.arange(len(ids), device=ids.device), ends])
    return Encoded(states, pooled.reshape(batch, windows, -1)[:, 0])


def count_layers(text_encoder: nn.Module) -> int:
    return len(_inner(text_encoder).encoder.layers)


def _inner(text_encoder: nn.Module) -> Any:
    return getattr(text_encoder, "text_model", text_encoder)  # transformers 5 has no such level without a projection


def _run(model: Any, ids: Tensor, from_end: int) -> tuple[Tensor, Tensor]:
    """One pass: what the layer ``from_end`` layers from the end (1 = last) puts out, and the last, normalised."""
    layers = model.encoder.layers
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    # A hook rather than output_hidden_states, whose meaning for the last layer differs between versions.
    handle = layers[len(layers) - from_end].register_forward_hook(keep)
    try:
        last: Tensor = model(input_ids=ids).last_hidden_state
    finally:
        handle.remove()
    return kept[-1], last
