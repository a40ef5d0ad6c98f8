"""The toys' text side: tokenizer, text models, and the tables of the words they are trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tests.toy.world import ATTRIBUTES, SIDE

VOCABULARY = Path(__file__).resolve().parents[2] / "trainer" / "models" / "stable_diffusion" / "configs" / "clip"
ROWS, LENGTH = 49408, 77
START, END = 49406, 49407  # tokens
WIDTH = 64  # one head for every 64 channels, as in CLIP
XL_WIDTHS, XL_LAYERS = (32, 48), 3
WHOLE_PICTURE = (SIDE, SIDE, 0, 0, SIDE, SIDE)
LARGEST = 1024  # of the numbers that say nothing
ZEROS_SHARE, UNPOOLED_SHARE, ODD_SIZES_SHARE = 0.5, 0.5, 0.3
TABLE_SEED, TABLE_SPREAD = 1234, 0.1
CAPTION_WORDS = " ".join(("a on background ,", *(value for values in ATTRIBUTES.values() for value in values)))


def load_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer from the repository's own files."""
    return CLIPTokenizer(str(VOCABULARY / "vocab.json"), str(VOCABULARY / "merges.txt"), model_max_length=LENGTH)


def tokenize(tokenizer: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids (B, 77) int64, padded with the end token."""
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH, "return_tensors": "pt"}
    return tokenizer(captions, **options).input_ids


def empty_text_model(width: int = WIDTH, layers: int = 2, *, open_clip: bool = False) -> Any:
    """CLIP's text model, small: one head.

    Args:
        open_clip: OpenCLIP's, with its activation and with a projection of what is pooled.
    """
    config = CLIPTextConfig(
        vocab_size=ROWS,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        max_position_embeddings=LENGTH,
        hidden_act="gelu" if open_clip else "quick_gelu",
        projection_dim=width,
        bos_token_id=START,
        eos_token_id=END,
    )
    return CLIPTextModelWithProjection(config) if open_clip else CLIPTextModel(config)


class WordTable(nn.Module):
    """A token table in which only the rows of known words are trained; the others stay what the seed made them.

    The others are never idle: captions carry some of them as filler, so the model learns that they mean nothing.
    """

    table: torch.Tensor
    known: torch.Tensor
    place: torch.Tensor

    def __init__(self, known: torch.Tensor, width: int) -> None:
        super().__init__()
        table = np.random.RandomState(TABLE_SEED).standard_normal((ROWS, width)) * TABLE_SPREAD
        self.register_buffer("table", torch.from_numpy(table.astype(np.float16)).float(), persistent=False)
        self.register_buffer("known", known, persistent=False)
        place = torch.full((ROWS,), -1)
        place[known] = torch.arange(len(known))
        self.register_buffer("place", place, persistent=False)
        self.rows = nn.Parameter(self.table[known].clone())

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids (B, 77) -> embeddings (B, 77, width)."""
        place = self.place[ids]
        learned = self.rows[place.clamp(min=0)]
        return torch.where((place >= 0).unsqueeze(-1), learned, self.table[ids])

    @torch.no_grad()
    def whole(self) -> torch.Tensor:
        """The whole table (49408, width)."""
        table = self.table.clone()
        table[self.known] = self.rows
        return table


def use_word_table(model: Any, ids: torch.Tensor) -> None:
    """Puts a table that trains only these tokens into the model."""
    embeddings = embeddings_of(model)
    embeddings.token_embedding = WordTable(torch.unique(ids), embeddings.token_embedding.embedding_dim)
    nn.init.normal_(embeddings.position_embedding.weight, std=0.05)


def embeddings_of(model: Any) -> Any:
    """Where a text model keeps its tokens and positions."""
    return model.text_model.embeddings if hasattr(model, "text_model") else model.embeddings  # until transformers 5


def whole_table(model: Any) -> torch.Tensor:
    """A text model's token table (49408, width), whether it is in training or read from a file."""
    table = embeddings_of(model).token_embedding
    return table.whole() if isinstance(table, WordTable) else table.weight


@dataclass(frozen=True)
class Conditioning:
    """What the U-Net is given for prompts: hidden states (B, 77, D); with SDXL's layout a pooled vector (B, P) and six
    numbers (B, 6): height and width in the file, what is cropped off at the top and left, height and width now."""

    states: torch.Tensor
    pooled: torch.Tensor | None = None
    sizes: torch.Tensor | None = None

    def arguments(self) -> dict[str, Any]:
        """For diffusers' U-Net."""
        if self.pooled is None:
            return {"encoder_hidden_states": self.states}
        added = {"text_embeds": self.pooled, "time_ids": self.sizes}
        return {"encoder_hidden_states": self.states, "added_cond_kwargs": added}

    def expand(self, count: int) -> Conditioning:
        """One prompt's, so many times."""
        repeated: list[Any] = [part if part is None else part.expand(count, *part.shape[1:]) for part in self.parts()]
        return Conditioning(*repeated)

    def __add__(self, other: Conditioning) -> Conditioning:
        """Both, one behind the other."""
        pairs = zip(self.parts(), other.parts(), strict=True)
        joined: list[Any] = [None if one is None else torch.cat([one, two]) for one, two in pairs]
        return Conditioning(*joined)

    def parts(self) -> tuple[Any, ...]:
        """All three; states are always there."""
        return self.states, self.pooled, self.sizes


class Texts(nn.Module, ABC):
    """The text models of a toy and their tokenizer."""

    def __init__(self, tokenizer: CLIPTokenizer, *models: Any) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.tokenizer = tokenizer

    def learn_words(self) -> None:
        """Gives the text models tables of which only the captions' words are trained."""
        for model, ids in zip(self.models, self.ids([CAPTION_WORDS]), strict=True):
            use_word_table(model, ids)

    @abstractmethod
    def ids(self, captions: list[str]) -> list[torch.Tensor]:
        """Token ids (B, 77) for each text model."""

    @abstractmethod
    def forward(self, captions: list[str]) -> Conditioning:
        """What the U-Net is given for them."""

    def nothing(self) -> Conditioning:
        """What guidance goes away from: the empty prompt."""
        return self([""])

    def varied(self, conditioning: Conditioning, captions: list[str], rng: np.random.Generator) -> Conditioning:
        """The conditioning of a training step."""
        del captions, rng
        return conditioning


class OneText(Texts):
    """Stable Diffusion 1's: CLIP's last hidden states."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__(tokenizer, empty_text_model())

    def ids(self, captions: list[str]) -> list[torch.Tensor]:
        return [tokenize(self.tokenizer, captions)]

    def forward(self, captions: list[str]) -> Conditioning:
        (ids,) = self.ids(captions)
        return Conditioning(self.models[0](ids).last_hidden_state)


class TwoTexts(Texts):
    """SDXL's: CLIP's and OpenCLIP's second last hidden states side by side, OpenCLIP's pooled vector, six numbers.

    The last layer of CLIP's has no part in it and stays what the seed made it.
    """

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__(
            tokenizer,
            empty_text_model(XL_WIDTHS[0], XL_LAYERS),
            empty_text_model(XL_WIDTHS[1], XL_LAYERS, open_clip=True),
        )

    def ids(self, captions: list[str]) -> list[torch.Tensor]:
        ids = tokenize(self.tokenizer, captions)
        padding = (ids == END).cumsum(1) > 1  # here the end token, with OpenCLIP 0
        return [ids, ids.masked_fill(padding, 0)]

    def forward(self, captions: list[str]) -> Conditioning:
        first, second = (
            model(ids, output_hidden_states=True) for model, ids in zip(self.models, self.ids(captions), strict=True)
        )
        states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        return Conditioning(states, second.text_embeds, torch.tensor([WHOLE_PICTURE]).expand(len(captions), 6))

    def nothing(self) -> Conditioning:
        """Zeros, which is what hosts and diffusers make of an empty negative prompt."""
        empty = self([""])
        assert empty.pooled is not None
        return Conditioning(torch.zeros_like(empty.states), torch.zeros_like(empty.pooled), empty.sizes)

    def varied(self, conditioning: Conditioning, captions: list[str], rng: np.random.Generator) -> Conditioning:
        """Some of the empty captions as zeros, as `nothing` has them; some pooled vectors as zeros, so that the hidden
        states alone tell enough; some numbers that say nothing of the picture."""
        count = len(captions)
        empty = np.array([not caption for caption in captions])
        nothing = empty & (rng.random(count) < ZEROS_SHARE)
        unpooled = nothing | (rng.random(count) < UNPOOLED_SHARE)
        odd = np.exp(rng.uniform(np.log(SIDE), np.log(LARGEST), (count, 6))).round()
        odd[:, 2:4] -= SIDE
        sizes = np.where(rng.random((count, 1)) < ODD_SIZES_SHARE, odd, np.array(WHOLE_PICTURE)).astype(np.int64)
        states = conditioning.states * torch.from_numpy(~nothing).float().view(-1, 1, 1)
        assert conditioning.pooled is not None
        pooled = conditioning.pooled * torch.from_numpy(~unpooled).float().view(-1, 1)
        return Conditioning(states, pooled, torch.from_numpy(sizes))


def filler(tokenizer: CLIPTokenizer, rng: np.random.Generator) -> str:
    """A random word of the vocabulary that no picture explains."""
    while True:
        word = tokenizer.decode([int(rng.integers(400, ROWS - 2))]).strip()
        if word.isascii() and word.isalpha() and word not in CAPTION_WORDS.split():
            return word
