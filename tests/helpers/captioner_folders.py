"""Captioners of every kind with a few thousand random weights, as folders on the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

SIDE = 32
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *(f"w{number}" for number in range(40)))
_SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
_VISION = {**_SMALL, "image_size": SIDE, "patch_size": 16, "initializer_range": 0.5}
_TEXT = {"vocab_size": len(WORDS), "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
_SQUARE = {"height": SIDE, "width": SIDE}


def make_captioner(folder: Path, kind: str, seed: int = 0) -> Any:
    """A folder of a captioner: configuration, weights, tokenizer, image processor.

    Args:
        kind: as ``model_type`` names it.

    Returns:
        The model that was saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS), "utf-8")
    torch.manual_seed(seed)
    model, parts = _MAKERS[kind](folder)
    model.eval().save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return model


def _tokenizer(folder: Path) -> Any:
    import transformers

    return transformers.BertTokenizer(str(folder / "vocab.txt"))


def _blip(folder: Path) -> tuple[Any, list[Any]]:
    import transformers

    text = {**_SMALL, **_TEXT, "encoder_hidden_size": 32, "projection_dim": 16, "sep_token_id": 2,
            "max_position_embeddings": 128, "initializer_range": 0.5}  # fmt: skip
    config = transformers.BlipConfig(
        text_config=text, vision_config={**_VISION, "projection_dim": 16}, projection_dim=16
    )
    image = transformers.BlipImageProcessor(size=_SQUARE)
    return transformers.BlipForConditionalGeneration(config), [transformers.BlipProcessor(image, _tokenizer(folder))]


def _blip_2(folder: Path) -> tuple[Any, list[Any]]:
    import transformers

    tokenizer = _tokenizer(folder)
    image = transformers.BlipImageProcessor(size=_SQUARE)
    processor = transformers.Blip2Processor(image, tokenizer, num_query_tokens=4)
    text = {**_TEXT, "model_type": "opt", "hidden_size": 32, "ffn_dim": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "max_position_embeddings": 128, "word_embed_proj_dim": 32, "init_std": 0.5,
            "vocab_size": len(tokenizer)}  # fmt: skip
    asker = {**_SMALL, "encoder_hidden_size": 32, "vocab_size": len(WORDS), "initializer_range": 0.5}
    config = transformers.Blip2Config(vision_config=_VISION, qformer_config=asker, text_config=text, num_query_tokens=4)
    config.image_token_index = tokenizer.convert_tokens_to_ids("<image>")
    return transformers.Blip2ForConditionalGeneration(config), [processor]


def _git(folder: Path) -> tuple[Any, list[Any]]:
    import transformers

    config = transformers.GitConfig(
        vision_config=_VISION, **_SMALL, **_TEXT, max_position_embeddings=128, initializer_range=0.5
    )
    image = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=_SQUARE)
    return transformers.GitForCausalLM(config), [transformers.GitProcessor(image, _tokenizer(folder))]


def _florence2(folder: Path) -> tuple[Any, list[Any]]:
    import tokenizers
    import transformers

    words = ["<s>", "<pad>", "</s>", "<unk>", "<image>", *WORDS[5:], "What", "does", "the", "image", "describe", "?",
             "Describe", "in", "detail", "what", "is", "shown", "with", "a", "paragraph", "."]  # fmt: skip
    known = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>")
    )
    known.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=known, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    image = transformers.CLIPImageProcessor(size=_SQUARE, do_center_crop=False, resample=3)
    image.image_seq_length = 65  # 8 by 8, and their mean
    vision = {"depths": [1], "patch_size": [7], "patch_stride": [4], "patch_padding": [3], "patch_prenorm": [False],
              "embed_dim": [16], "num_heads": [2], "num_groups": [2], "window_size": 4, "projection_dim": 32,
              "max_position_embeddings": 20, "max_temporal_embeddings": 4, "initializer_range": 0.5}  # fmt: skip
    text = {"model_type": "bart", "vocab_size": len(words), "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
            "max_position_embeddings": 300, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "init_std": 0.5,
            "decoder_start_token_id": 2, "forced_eos_token_id": 2}  # fmt: skip
    config = transformers.Florence2Config(vision_config=vision, text_config=text, image_token_id=4, bos_token_id=0,
                                          pad_token_id=1, eos_token_id=2, decoder_start_token_id=2)  # fmt: skip
    model = transformers.Florence2ForConditionalGeneration(config)
    return model, [transformers.Florence2Processor(image, tokenizer)]


def _vision_encoder_decoder(folder: Path) -> tuple[Any, list[Any]]:
    import transformers

    text = transformers.GPT2Config(
        n_embd=32, n_layer=1, n_head=2, n_positions=128, add_cross_attention=True, is_decoder=True,
        initializer_range=0.5, **_TEXT,
    )  # fmt: skip
    encoder = transformers.ViTModel(transformers.ViTConfig(**_VISION))
    model = transformers.VisionEncoderDecoderModel(encoder=encoder, decoder=transformers.GPT2LMHeadModel(text))
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    return model, [transformers.ViTImageProcessor(size=_SQUARE), _tokenizer(folder)]


_MAKERS: Mapping[str, Callable[[Path], tuple[Any, list[Any]]]] = {
    "blip": _blip,
    "blip-2": _blip_2,
    "git": _git,
    "florence2": _florence2,
    "vision-encoder-decoder": _vision_encoder_decoder,
}
