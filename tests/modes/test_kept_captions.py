"""What captions become is kept for the next run: the same to the last bit, or computed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.config.settings import Settings
from trainer.data.cache import DataCache
from trainer.models.base import Bundle, Conditioning
from trainer.models.registry import load_bundle
from trainer.modes import base
from trainer.modes.base import PassContext, encode_each
from trainer.text.messages import message

CAPTIONS = [f"a cat, number {number}" for number in range(39)] + ["word " * 100]


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_FEW_ON_CPU", 20)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS))


@pytest.fixture
def encoded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The captions that go through the text encoder."""
    prompts: list[str] = []
    real = Bundle.encode

    def counted(self: Bundle, given: list[str], **others: object) -> Conditioning:
        prompts.extend(given)
        return real(self, given, **others)

    monkeypatch.setattr(Bundle, "encode", counted)
    return prompts


@pytest.fixture
def run(bundle: Bundle, tmp_path: Path) -> Callable[..., list[Conditioning]]:
    def conditionings(captions: list[str] = CAPTIONS, *, literal: bool = True) -> list[Conditioning]:
        cache = DataCache(tmp_path / "cache.sqlite", 10**9)
        context = PassContext(Settings(), bundle, None, bundle.diffusion, cache=cache)
        try:
            return encode_each(context, captions, message("phase.encoding_captions"), literal=literal)
        finally:
            cache.close()

    return conditionings


def plain(bundle: Bundle, captions: list[str] = CAPTIONS) -> list[Conditioning]:
    context = PassContext(Settings(), bundle, None, bundle.diffusion)
    return encode_each(context, captions, message("phase.encoding_captions"), literal=True)


def assert_same(one: list[Conditioning], other: list[Conditioning]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        assert type(left) is type(right)
        assert left.tensors().keys() == right.tensors().keys()
        assert all(torch.equal(tensor, right.tensors()[name]) for name, tensor in left.tensors().items())


def test_the_second_run_encodes_the_first_captions_alone(
    bundle: Bundle, run: Callable[..., list[Conditioning]], encoded: list[str]
) -> None:
    expected = plain(bundle)
    assert_same(run(), expected)
    encoded.clear()
    assert_same(run(), expected)
    assert encoded == CAPTIONS[:16]


def test_a_changed_caption_is_encoded_with_those_beside_it(
    bundle: Bundle, run: Callable[..., list[Conditioning]], encoded: list[str]
) -> None:
    run()
    changed = [*CAPTIONS[:20], "another", *CAPTIONS[21:]]
    encoded.clear()
    found = run(changed)
    assert encoded == [*changed[:32]]
    assert_same(found, plain(bundle, changed))


def test_another_text_encoder_is_noticed(
    bundle: Bundle, run: Callable[..., list[Conditioning]], encoded: list[str]
) -> None:
    run()
    weight = next(bundle.text_encoders[0].parameters())
    before = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[-1] += 1  # of one token, which none of the first captions has
        encoded.clear()
        run()
        assert encoded == CAPTIONS
    finally:
        with torch.no_grad():
            weight.copy_(before)


def test_what_is_not_as_it_is_computed_now_is_not_used(
    bundle: Bundle, run: Callable[..., list[Conditioning]], encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    doubled = Bundle.encode

    def encode(self: Bundle, given: list[str], **others: object) -> Conditioning:
        found = doubled(self, given, **others)
        return replace(found, sequence=found.sequence * 2)

    monkeypatch.setattr(Bundle, "encode", encode)
    encoded.clear()
    assert_same(run(), plain(bundle))
    assert encoded == [*CAPTIONS, *CAPTIONS]


@pytest.mark.parametrize("how", ["few", "prompts", "adapters"])
def test_nothing_is_kept_of(
    how: str, bundle: Bundle, run: Callable[..., list[Conditioning]], encoded: list[str]
) -> None:
    layer = next(each for each in bundle.text_encoders[0].modules() if isinstance(each, torch.nn.Linear))
    captions = CAPTIONS[:19] if how == "few" else CAPTIONS
    if how == "adapters":
        layer.forward = layer.forward
    try:
        run(captions, literal=how != "prompts")
        encoded.clear()
        run(captions, literal=how != "prompts")
        assert encoded == captions
    finally:
        vars(layer).pop("forward", None)
