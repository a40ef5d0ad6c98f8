"""The toy's text side: tokenizer, text model, and the table of the words it is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests.toy.world import ATTRIBUTES

VOCABULARY = Path(__file__).resolve().parents[2] / "trainer" / "models" / "stable_diffusion" / "configs" / "clip"
ROWS, LENGTH = 49408, 77
WIDTH = 64  # one head for every 64 channels, as in CLIP
TABLE_SEED, TABLE_SPREAD = 1234, 0.1
CAPTION_WORDS = " ".join(("a on background ,", *(value for values in ATTRIBUTES.values() for value in values)))


def load_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer from the repository's own files."""
    return CLIPTokenizer(str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt"), model_max_length=LENGTH)


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids (B, 77) int64, padded with the end token."""
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
    return tokenizer(captions, **options).input_ids


def empty_text_model() -> CLIPTextModel:
    """CLIP's text model, small: hidden width 64, two layers, one head."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=ROWS,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=1,
            max_position_embeddings=LENGTH,
            hidden_act="quick_gelu",
        )
    )


class WordTable(nn.Module):
    """A token table in which only the rows of known words are trained; the others stay what the seed made them.

    The others are never idle: captions carry some of them as filler, so the model learns that they mean nothing.
    """

    table: torch.Tensor
    known: torch.Tensor
    place: torch.Tensor

    def __init__(self, known: torch.Tensor) -> None:
        super().__init__()
        table = np.random.RandomState(TABLE_SEED).standard_normal((ROWS, WIDTH)) * TABLE_SPREAD
        self.register_buffer("table", torch.from_numpy(table.astype(np.float16)).float(), persistent=False)
        self.register_buffer("known", known, persistent=False)
        place = torch.full((ROWS,), -1)
        place[known] = torch.arange(len(known))
        self.register_buffer("place", place, persistent=False)
        self.rows = nn.Parameter(self.table[known].clone())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (B, 77) -> embeddings (B, 77, 64)."""
        place = self.place[ids]
        learned = self.rows[place.clamp(min=0)]
        return torch.where((place >= 0).unsqueeze(-1), learned, self.table[ids])

    @torch.no_grad()
    def whole(self) -> torch.Tensor:
        """The whole table (49408, 64)."""
        table = self.table.clone()
        table[self.known] = self.rows
        return table


def use_word_table(model: CLIPTextModel, tokenizer: CLIPTokenizer) -> WordTable:
    """Puts a table that trains only the captions' words into the model, and returns it."""
    table = WordTable(torch.unique(tokenize(tokenizer, [CAPTION_WORDS])))
    embeddings = model.text_model.embeddings if hasattr(model, "text_model") else model.embeddings
    embeddings.token_embedding = table
    nn.init.normal_(embeddings.position_embedding.weight, std=0.05)
    return table


def filler(tokenizer: CLIPTokenizer, rng: np.random.Generator) -> str:
    """A random word of the vocabulary that no picture explains."""
    while True:
        word = tokenizer.decode([int(rng.integers(400, ROWS - 2))]).strip()
        if word.isascii() and word.isalpha() and word not in CAPTION_WORDS.split():
            return word
