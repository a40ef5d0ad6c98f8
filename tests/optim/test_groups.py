"""Learning rates: of parts, of blocks, of what starts at zero; and what is reported of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from trainer.config.settings import Settings
from trainer.models.lora_target import Target
from trainer.networks.base import Adapter, Network, Ranks, build, builder_of
from trainer.networks.loha import LoHa
from trainer.networks.lora import LoRA
from trainer.optim.groups import ShownRates, rate_groups
from trainer.optim.optimizers import effective_rates, make_optimizer

BLOCKS = {"a": "IN04", "b": "IN05", "c": "OUT03", "t": "BASE"}
PARTS = {"a": "denoiser", "b": "denoiser", "c": "denoiser", "t": "text_encoder"}


def network(kind: type[Adapter] = LoRA) -> Network:
    targets = [Target(name, nn.Linear(4, 4), PARTS[name]) for name in "tabc"]
    make = builder_of(kind, Ranks(2, 2.0), torch.float32, torch.device("cpu"))
    return build(targets, make, torch.Generator().manual_seed(0))


def rates(given: Network, **changes: Any) -> dict[str, tuple[float, ...]]:
    """The rates of each adapter's parameters, in their order, as the optimizer has them."""
    settings = replace(Settings(train_learning_rate=1e-3, train_textencoder_learning_rate=1e-4), **changes)
    groups = rate_groups(given, settings, BLOCKS.__getitem__)
    optimizer = make_optimizer(settings, [group.for_optimizer() for group in groups])
    found = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    assert len(found) == len(list(given.parameters()))
    return {adapter.name: tuple(found[id(each)] for each in adapter.parameters()) for adapter in given}


def test_without_options_there_is_one_group_for_each_part() -> None:
    groups = rate_groups(network(), Settings(train_learning_rate=1e-3, train_textencoder_learning_rate=1e-4))
    assert [(group.part, group.rate, group.factor) for group in groups] == [
        ("denoiser", 1e-3, 1.0),
        ("text_encoder", 1e-4, 1.0),
    ]


def test_blocks_have_their_factors() -> None:
    found = rates(network(), network_block_rates="IN=0.5, IN05=3; out=0.25\nBASE=2")
    assert found == {
        "a": pytest.approx((5e-4, 5e-4)),
        "b": pytest.approx((3e-3, 3e-3)),
        "c": pytest.approx((2.5e-4, 2.5e-4)),
        "t": pytest.approx((2e-4, 2e-4)),
    }


def test_lora_plus_raises_the_rate_of_what_starts_at_zero() -> None:
    found = rates(network(), train_loraplus_ratio=16.0, network_block_rates="OUT=0.5")
    assert found["a"] == pytest.approx((1e-3, 1.6e-2))  # down, up
    assert found["c"] == pytest.approx((5e-4, 8e-3))
    assert found["t"] == pytest.approx((1e-4, 1.6e-3))


def test_a_rate_falls_with_the_inputs_and_with_the_depth() -> None:
    targets = [
        Target("narrow", nn.Linear(64, 4), "denoiser"), Target("wide", nn.Linear(320, 4), "denoiser"),
        Target("conv", nn.Conv2d(128, 4, 3), "denoiser"), Target("deep", nn.Linear(64, 4), "denoiser", depth=10),
        Target("text", nn.Linear(640, 4), "text_encoder", depth=2),
        Target("deep_text", nn.Linear(640, 4), "text_encoder", depth=8),
    ]  # fmt: skip
    expected = {  # of what multiplies the input, and of what starts at zero with LoRA+'s ratio of 2
        "narrow": (1e-3, 2e-3), "wide": (2e-4, 2e-3), "conv": (5e-4, 2e-3), "deep": (1e-4, 2e-4),
        "text": (1e-4, 2e-3), "deep_text": (2.5e-5, 5e-4),
    }  # fmt: skip
    for kind in (LoRA, LoHa):
        make = builder_of(kind, Ranks(2, 2.0), torch.float32, torch.device("cpu"))
        made = build(targets, make, torch.Generator())
        settings = Settings(train_learning_rate=1e-3, train_loraplus_ratio=2.0, train_rate_by_size=True)
        groups = rate_groups(made, settings)
        found = {id(each): group.rate * group.factor for group in groups for each in group.parameters}
        for adapter in made:
            of_inputs, of_zero = expected[adapter.name]
            assert [found[id(each)] for each in adapter.on_inputs()] == [pytest.approx(of_inputs)] * len(
                adapter.on_inputs()
            )
            assert [found[id(each)] for each in adapter.zero_at_first()] == [pytest.approx(of_zero)]


def test_an_optimizer_that_finds_its_rate_has_one_for_all() -> None:
    targets = [Target("wide", nn.Linear(320, 4), "denoiser")]
    made = build(targets, builder_of(LoRA, Ranks(2, 2.0), torch.float32, torch.device("cpu")), torch.Generator())
    groups = rate_groups(made, Settings(train_optimizer="Prodigy", train_rate_by_size=True))
    assert [group.factor for group in groups] == [1.0]


@pytest.mark.parametrize("kind", [LoRA, LoHa])
def test_what_starts_at_zero_is_zero_in_a_new_adapter(kind: type[Adapter]) -> None:
    for adapter in network(kind):
        zero = [each for each in adapter.parameters() if not each.any()]
        assert zero
        assert [id(each) for each in adapter.zero_at_first()] == [id(each) for each in zero]


@pytest.mark.parametrize("optimizer", ["AdamW", "AdamMini"])
def test_what_is_reported_is_the_rate_of_a_part_without_factors(optimizer: str) -> None:
    settings = Settings(
        train_learning_rate=1e-3, train_textencoder_learning_rate=1e-4, train_loraplus_ratio=4.0,
        network_block_rates="IN04=0.5", train_optimizer=optimizer,
    )  # fmt: skip
    groups = rate_groups(network(), settings, BLOCKS.__getitem__)
    made = make_optimizer(settings, [group.for_optimizer() for group in groups])
    assert ShownRates(made, groups).of(effective_rates(made)) == pytest.approx([1e-3, 1e-4])
