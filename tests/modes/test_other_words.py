"""Other words in the trigger word's place, and the images that are held with them."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest
import torch

from tests.helpers.merged import double_network
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.models.sample import sample_latents
from trainer.modes.anchors import KINDS
from trainer.modes.base import PassContext
from trainer.modes.other_words import MadeImages, OtherWords, other_word
from trainer.networks.base import Network


@pytest.mark.parametrize("trigger", ["zorp", "Ba", "x", "zorp the dog", "ゾープ"])
def test_another_word_is_never_the_trigger_word(trigger: str) -> None:
    words = [other_word(trigger, random.Random(number)) for number in range(400)]
    assert all(word and word.casefold() != trigger.casefold() for word in words)
    assert len(set(words)) > 100


def test_most_words_begin_or_end_like_the_trigger_word() -> None:
    """ "zorp" in the tokenizer's pieces: "zor" and "p". Of three words two are alike, of these 65 % end in "p" after
    one or two syllables; of the others 60 % end in the last one to three letters and 40 % begin with the first ones."""
    rng = random.Random(0)
    words = [other_word("zorp", rng) for _ in range(1000)]
    ends, short = (sum(bool(re.fullmatch(form, word)) for word in words) for form in (r".+p", r"[^z]{2,3}p"))
    assert 500 < ends < 615  # 1000 * 2/3 * (0.65 + 0.35 * 0.6) = 573, less those that are the trigger word
    assert short > 250
    begins = sum(word.startswith("zo") for word in words)
    assert 40 < begins < 130  # 1000 * 2/3 * 0.35 * 0.4 * 2/3 = 62, and some by chance
    assert sum(word[0] != "z" and word[-1] != "p" for word in words) > 250


def test_a_vowel_at_the_end_takes_the_place_of_another() -> None:
    rng = random.Random(0)
    words = [other_word("zo", rng) for _ in range(1000)]
    assert sum(bool(re.fullmatch("[^aeiou]o", word)) for word in words) > 150


def test_the_named_words_have_every_second_draw() -> None:
    words, rng = OtherWords("zorp", ["circle", "blue square"]), random.Random(0)
    found = Counter(words.in_place("zorp, a small zorp, left", rng) for _ in range(400))
    named = [found["circle, a small circle, left"], found["blue square, a small blue square, left"]]
    assert min(named) > 60
    assert 160 < sum(named) < 240
    assert not any("zorp" in re.findall(r"\w+", caption) for caption in found)
    assert words.in_place("a dog", rng) == "a dog"


def test_common_things_stand_in_where_no_words_are_named() -> None:
    """Half of the draws; half of those, a quarter of all, with one of the twelve colours."""
    words, rng = OtherWords("cat", ["cat", "black cat"]), random.Random(0)
    found = [words.in_place("a cat", rng)[2:] for _ in range(2000)]
    things = {word for kind in ("shape", "thing", "person", "animal", "plant", "food") for word in KINDS[kind]}
    coloured = {f"{colour} {thing}" for colour in KINDS["colour"] for thing in things}
    bare, with_colour = (Counter(each for each in found if each in those) for those in (things, coloured))
    assert 410 < bare.total() < 590
    assert 410 < with_colour.total() < 590
    assert set(bare) == things - {"cat"}
    assert not any(re.search(r"\bcat\b", each) for each in found)


FRAMES = {Size(64, 32): 3, Size(32, 32): 1}


def made_of(bundle: Bundle, network: Network, count: int = 8) -> MadeImages:
    settings = replace(Settings(), mode="LoRA", train_seed=3, train_batch_size=4)
    context = PassContext(settings, bundle, network, bundle.diffusion)
    return MadeImages(context, FRAMES, ["a zorp"], OtherWords("zorp", ["dog"]), count)


def test_the_base_makes_the_images_whatever_is_trained(bundles: tuple[Bundle, Bundle]) -> None:
    bundle, plain = bundles
    network = double_network(bundle, text=True)
    like = torch.zeros(5, 4, 4, 8, dtype=torch.float64)
    with network.attached():
        latents, captions = made_of(bundle, network, 2).of_step(like, random.Random(1))
    assert latents.shape == (5, 4, 4, 8)
    assert latents.dtype == like.dtype
    assert len(captions) == 5
    assert not any("zorp" in caption for caption in captions)

    asked: list[ImageSpec] = []
    with pytest.MonkeyPatch.context() as patch:

        def noted(_bundle: Bundle, requests: list[ImageSpec]) -> torch.Tensor:
            asked.extend(requests)
            return sample_latents(plain, requests)

        patch.setattr("trainer.modes.other_words.sample_latents", noted)
        wanted, _ = made_of(bundle, network, 2).of_step(like, random.Random(1))
    torch.testing.assert_close(latents, wanted)
    assert not any("zorp" in each.prompt for each in asked)
    assert len({each.seed for each in asked}) == len(asked)


def test_every_size_has_its_share_of_the_images(
    bundles: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 8 images, 6 are of the size of three samples in four; 1 for each size where there are too few. As many at a
    time as a batch has."""
    bundle, _ = bundles
    asked: list[list[Size]] = []

    def noted(bundle: Bundle, requests: list[ImageSpec]) -> torch.Tensor:
        asked.append([each.size for each in requests])
        return torch.zeros(len(requests), *bundle.latent_shape(requests[0].size))

    monkeypatch.setattr("trainer.modes.other_words.sample_latents", noted)
    network = double_network(bundle, text=True)
    made_of(bundle, network)
    assert asked == [[Size(64, 32)] * 4, [Size(64, 32)] * 2, [Size(32, 32)] * 2]
    asked.clear()
    made_of(bundle, network, 1)
    assert asked == [[Size(64, 32)], [Size(32, 32)]]
