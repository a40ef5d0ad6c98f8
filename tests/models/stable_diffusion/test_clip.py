"""Prompts of any length become windows of 77 tokens, and those hidden states that gradients flow through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.checkpoints import sd1_tensors, sd2_tensors, sdxl_tensors
from trainer.errors import ModelError
from trainer.models.base import Bundle, CaptionReading, Conditioning
from trainer.models.checkpoint.weights import Source
from trainer.models.registry import FAMILIES
from trainer.models.stable_diffusion.clip import WINDOW, clip_tokenizer, hidden_states, tokenize
from trainer.models.stable_diffusion.conditioning import CLIPConditioning

START, END = 49406, 49407


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return FAMILIES["SD1"].take(Source.of_tensors(sd1_tensors(), "small"))


def test_ids_are_clips() -> None:
    """Ids as published for CLIP: "a photo of a cat" is 320 1125 539 320 2368."""
    ids = tokenize(clip_tokenizer(), "a photo of a cat")
    assert ids.shape == (1, 77)
    assert ids.dtype == torch.int64
    assert ids[0].tolist() == [START, 320, 1125, 539, 320, 2368] + [END] * 71
    assert torch.equal(ids, tokenize(clip_tokenizer(), "A  Photo of\na CAT"))


def test_an_empty_prompt_is_two_marks() -> None:
    assert tokenize(clip_tokenizer(), "")[0].tolist() == [START] + [END] * 76


@pytest.mark.parametrize(("words", "windows"), [(1, 1), (75, 1), (76, 2), (150, 2), (151, 3)])
def test_long_prompts_become_windows(words: int, windows: int) -> None:
    ids = tokenize(clip_tokenizer(), "cat " * words)
    assert ids.shape == (windows, 77)
    assert (ids[:, 0] == START).all()
    assert (ids[:, -1] == END).all()
    cats = (ids == 2368).sum(dim=1).tolist()
    assert sum(cats) == words
    assert cats[:-1] == [75] * (windows - 1)


def test_a_long_neighbour_changes_nothing_but_the_length(bundle: Bundle) -> None:
    prompts = ["a cat", "dog " * 100, "a red circle", "bird " * 200]
    together = bundle.encode(prompts).sequence
    assert together.shape[1] == 6 * 77
    for row, prompt in enumerate(prompts):
        alone = bundle.encode([prompt]).sequence
        repeated = alone.repeat(1, together.shape[1] // alone.shape[1], 1)
        torch.testing.assert_close(together[row : row + 1], repeated, rtol=0, atol=1e-6)


def test_each_window_is_encoded_for_itself(bundle: Bundle) -> None:
    long, first, second = "cat " * 75 + "dog", "cat " * 75, "dog"
    together = bundle.encode([long]).sequence
    apart = torch.cat([bundle.encode([first]).sequence, bundle.encode([second]).sequence], dim=1)
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-6)


def test_a_batch_is_its_prompts(bundle: Bundle) -> None:
    prompts = ["a cat", "", "a red circle"]
    together = bundle.encode(prompts).sequence
    for row, prompt in enumerate(prompts):
        torch.testing.assert_close(together[row : row + 1], bundle.encode([prompt]).sequence, rtol=0, atol=1e-6)


def test_clip_skip(bundle: Bundle) -> None:
    ids = tokenize(bundle.tokenizers[0], "a cat")[None]
    last, before = (bundle.family.encode(bundle, ["a cat"], clip_skip=skip).sequence for skip in (1, 2))
    assert not torch.allclose(last, before)
    raw = hidden_states(bundle.text_encoders[0], ids, clip_skip=1, final_norm=False).states
    inner = getattr(bundle.text_encoders[0], "text_model", bundle.text_encoders[0])
    torch.testing.assert_close(inner.final_layer_norm(raw), last)
    with pytest.raises(ModelError, match="Clip skip 3 is not possible with a text encoder of 2 layers. Choose 1 to 2"):
        bundle.family.encode(bundle, ["a cat"], clip_skip=3)
    layers = inner.encoder.layers
    assert not any(layer._forward_hooks for layer in layers)


def test_clip_skip_of_the_bundle_counts_from_the_last_layer(bundle: Bundle) -> None:
    """SD1's own layer is the last, so 0 and 1 are the same."""
    own, before = (bundle.family.encode(bundle, ["a cat"], clip_skip=skip).sequence for skip in (1, 2))
    for skip, expected in ((0, own), (1, own), (2, before)):
        bundle.clip_skip = skip
        try:
            assert torch.equal(bundle.encode(["a cat"]).sequence, expected)
            assert torch.equal(bundle.encode(["a cat"], literal=True).sequence, expected)
        finally:
            bundle.clip_skip = 0


@pytest.mark.parametrize(("family", "tensors"), [("SD2", sd2_tensors), ("SDXL", sdxl_tensors)])
def test_clip_skip_of_families_that_do_not_use_the_last_layer(
    family: str, tensors: Callable[[], dict[str, Tensor]]
) -> None:
    """2 is their own layer, 1 is not there for them, and 3 is the one before it."""
    bundle = FAMILIES[family].take(Source.of_tensors(tensors(), "small"))
    own, before = (bundle.family.encode(bundle, ["a cat"], clip_skip=skip).sequence for skip in (1, 2))
    assert not torch.equal(own, before)
    for skip, expected in ((0, own), (1, own), (2, own), (3, before)):
        bundle.clip_skip = skip
        assert torch.equal(bundle.encode(["a cat"]).sequence, expected)
    bundle.clip_skip = 9
    with pytest.raises(ModelError, match="Clip skip 9 is not possible with a text encoder of 3 layers. Choose 1 to 3"):
        bundle.encode(["a cat"])


@pytest.fixture
def read(bundle: Bundle) -> Iterator[Callable[..., Tensor]]:
    """The states of a caption, read in a way."""

    def encode(caption: str, **reading: Any) -> Tensor:
        bundle.reading = CaptionReading(**reading)
        return bundle.encode([caption], literal=True).sequence

    yield encode
    bundle.reading = CaptionReading()


def test_a_caption_is_cut(bundle: Bundle, read: Callable[..., Tensor]) -> None:
    """Each window with marks of its own; a cut one is the shorter caption."""
    hundred = "cat " * 100
    assert read(hundred).shape[1] == 2 * WINDOW
    assert torch.equal(read(hundred, most_tokens=75), read("cat " * 75))
    assert torch.equal(read(hundred, most_tokens=150), read(hundred))
    assert torch.equal(read("cat " * 300, most_tokens=225), read("cat " * 225))
    reading = CaptionReading(most_tokens=75)
    assert bundle.family.count_tokens(bundle, hundred, reading) == 100
    assert bundle.encode([hundred]).sequence.shape[1] == 2 * WINDOW  # prompts are not


def test_weights_stress_tokens(bundle: Bundle, read: Callable[..., Tensor]) -> None:
    """By hand: each token's state times its factor, then the whole window as bright as it was."""
    plain = read("a red cat", weights=True)
    assert torch.equal(plain, read("a red cat"))
    heavy = plain.clone()
    heavy[:, 2] *= 1.5  # start mark, a, red, cat
    heavy *= plain.mean() / heavy.mean()
    torch.testing.assert_close(read("a (red:1.5) cat", weights=True), heavy)
    assert not torch.allclose(read("a (red:1.5) cat"), heavy)
    assert torch.equal(read(r"cat \(series\)", weights=True), read("cat (series)"))


def test_a_window_without_weights_stays(read: Callable[..., Tensor]) -> None:
    long = "cat " * 75
    both = read(f"{long} (dog:1.3)", weights=True)
    assert torch.equal(both[:, :WINDOW], read(f"{long} dog")[:, :WINDOW])
    assert not torch.allclose(both[:, WINDOW:], read(f"{long} dog")[:, WINDOW:])


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_gradients_follow_the_callers_mode(bundle: Bundle, clip_skip: int) -> None:
    weight = dict(bundle.text_encoders[0].named_parameters())
    first = next(value for name, value in weight.items() if name.endswith("layers.0.self_attn.q_proj.weight"))
    first.requires_grad_(True)
    try:
        with torch.no_grad():
            assert not bundle.family.encode(bundle, ["a cat"], clip_skip=clip_skip).sequence.requires_grad
        conditioning = bundle.family.encode(bundle, ["a cat"], clip_skip=clip_skip)
        conditioning.sequence.square().sum().backward()
        assert first.grad is not None
        assert first.grad.abs().sum() > 0
        assert not conditioning.detach().sequence.requires_grad
    finally:
        first.requires_grad_(False)
        first.grad = None


def _random(batch: int, length: int = 77, pooled: bool = False) -> CLIPConditioning:
    extra = (torch.randn(batch, 8), torch.arange(batch * 6).view(batch, 6)) if pooled else (None, None)
    return CLIPConditioning(torch.randn(batch, length, 16), *extra)


def test_rows_batches_and_types() -> None:
    conditioning = _random(3, pooled=True)
    assert len(conditioning) == 3
    assert len(conditioning[1]) == 1
    assert len(conditioning[1:]) == 2
    assert conditioning.pooled is not None
    picked = conditioning[[2, 0]]
    assert picked.pooled is not None
    assert torch.equal(picked.pooled, conditioning.pooled[[2, 0]])
    half = conditioning.to(dtype=torch.float16)
    assert half.pooled is not None
    assert half.size_ids is not None
    assert (half.sequence.dtype, half.pooled.dtype, half.size_ids.dtype) == (
        torch.float16,
        torch.float16,
        torch.int64,
    )
    one = _random(1).expand(4)
    assert one.sequence.shape == (4, 77, 16)
    assert one.sequence.stride(0) == 0
    assert conditioning.expand(3) is conditioning
    with pytest.raises(ValueError, match="3 prompts cannot be spread over a batch of 2"):
        conditioning.expand(2)


def test_sizes_reach_only_those_who_are_told() -> None:
    sizes = torch.tensor([[1, 2, 3, 4, 5, 6], [2049, 8, 9, 10, 11, 12]])
    untold = _random(2)
    assert untold.sized(sizes) is untold
    one = _random(1, pooled=True)
    sized = one.sized(sizes)
    assert sized.size_ids is not None
    assert one.size_ids is not None
    assert sized.size_ids.tolist() == sizes.tolist()
    assert (len(sized), sized.sequence.stride(0), one.size_ids.tolist()) == (2, 0, [[0, 1, 2, 3, 4, 5]])
    with pytest.raises(ValueError, match="3 prompts cannot be spread over a batch of 2"):
        _random(3, pooled=True).sized(sizes)


def test_lengths_meet_without_changing_what_is_said(bundle: Bundle) -> None:
    parts = [bundle.encode(["a cat"]), bundle.encode(["cat " * 80]), bundle.encode(["dog " * 200])]
    joined = Conditioning.cat(parts)
    assert joined.sequence.shape == (3, 77 * 6, 64)
    latents, timesteps = torch.randn(1, 4, 8, 8), torch.tensor([500])
    with torch.no_grad():
        together = bundle.predict(latents.expand(3, -1, -1, -1), timesteps.expand(3), joined)
        for row, part in enumerate(parts):
            alone = bundle.predict(latents, timesteps, part)
            torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="with and without a pooled vector"):
        Conditioning.cat([_random(1), _random(1, pooled=True)])


def test_places_that_say_the_same_match(bundle: Bundle) -> None:
    def match(prompt: str, other: str) -> list[int]:
        return bundle.family.matching_places(bundle, prompt, other)

    assert match("a red cup", "a red cup") == list(range(77))
    assert match("a red cup", "a green cup") == list(range(77))
    longer = match("a cup", "a large red cup")  # start, a, cup, end, padding
    assert longer[:4] == [0, 1, 4, 5]
    assert longer[4:] == [*range(6, 77), 76, 76]
    shorter = match("a large red cup", "a cup")
    assert shorter[:6] == [0, 1, 2, 2, 2, 3]  # what is missing stands in the place of what follows it
    assert match("woman", "old woman with red hair")[:3] == [0, 2, 6]
    assert match("red", "")[:3] == [0, 1, 1]
    assert match("a young man", "an old woman")[1:4] == [1, 2, 3]
    assert len(match("cat " * 100, "dog " * 100)) == 154
