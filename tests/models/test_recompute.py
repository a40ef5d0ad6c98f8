"""Results that are computed again in the backward pass: the same gradients, and less that is kept for them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from studies.studio import CHECKPOINT
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.models.base import Bundle
from trainer.models.lora_target import TargetChoice
from trainer.models.memory_trace import META, MemoryTrace
from trainer.models.placement import place
from trainer.models.recompute import Results, keeping_less, recomputing, standing_in
from trainer.models.registry import load_bundle
from trainer.networks.base import Network, Ranks, build, builder_of
from trainer.networks.lora import LoRA

CPU = torch.device("cpu")
SIDE = Size(64, 64)


@pytest.fixture(scope="module")
def bundle() -> Iterator[Bundle]:
    loaded = load_bundle(CHECKPOINT)
    place(loaded, CPU, dict.fromkeys(loaded.modules, torch.float32))
    yield loaded
    gc.collect()


def network_on(bundle: Bundle, device: torch.device = CPU) -> Network:
    """One that changes something, so that every gradient is there."""
    targets = bundle.family.lora_targets(bundle, TargetChoice(bundle.family.blocks, text_encoders=False))
    generator = torch.Generator().manual_seed(0)
    network = build(targets, builder_of(LoRA, Ranks(4, 4.0), torch.float32, device), generator)
    if device == CPU:
        for adapter in network:
            for up in adapter.zero_at_first():
                nn.init.normal_(up, std=0.02, generator=generator)
    return network


def step(bundle: Bundle, network: Network) -> tuple[Tensor, list[Tensor]]:
    """A step's loss and its gradients."""
    network.zero_grad(set_to_none=True)
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(2, *bundle.latent_shape(SIDE), generator=draw)
    loss = bundle.predict(x, torch.tensor([300, 600]), bundle.encode(["a red circle"], size=SIDE)).square().mean()
    loss.backward()
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    assert len(gradients) == len(list(network.parameters()))
    return loss.detach(), gradients


def test_gradients_are_the_same_bit_for_bit(bundle: Bundle) -> None:
    network = network_on(bundle)
    with network.attached():
        wanted = step(bundle, network)
        with recomputing(bundle.denoiser):
            found = step(bundle, network)
        after = step(bundle, network)
    assert torch.equal(found[0], wanted[0])
    assert all(torch.equal(one, other) for one, other in zip(found[1], wanted[1], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(after[1], wanted[1], strict=True))
    assert not any("forward" in vars(each) for each in bundle.denoiser.modules()), "left as it was"
    assert not any(each._forward_hooks for each in bundle.denoiser.modules())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_settings_say_what_is_kept(bundle: Bundle, checkpointing: bool) -> None:
    """Two fifths less than without; with whole blocks computed again there is nothing left to save."""
    small = load_bundle(CHECKPOINT)
    place(small, META, dict.fromkeys(small.modules, torch.float32))
    network = network_on(small, META)

    def kept(saving: str) -> int:
        settings = Settings(train_memory_saving=saving, use_gradient_checkpointing=checkpointing)
        with network.attached(), keeping_less(small, settings), MemoryTrace(small.denoiser.parameters()) as trace:
            x = torch.empty(4, *small.latent_shape(Size(256, 256)), device=META)
            places = torch.empty(4, dtype=torch.int64, device=META)
            prompt = torch.empty(1, 77, small.text_encoders[0].config.hidden_size, device=META)  # type: ignore[union-attr]
            out = small.denoiser(x, places, prompt.expand(4, -1, -1), return_dict=False)[0]
            living = trace.living.now - out.nbytes
        return int(living)

    share = kept("light") / kept("none")
    assert share == pytest.approx(1.0, abs=0.01) if checkpointing else 0.5 < share < 0.7


def test_a_result_is_let_go_and_computed_once_for_all_that_ask() -> None:
    results, computed = Results(), 0
    norm = nn.LayerNorm(8, elementwise_affine=False)
    x = torch.randn(4, 8, requires_grad=True)
    weights = [torch.randn(8, 8, requires_grad=True) for _ in range(3)]

    def again() -> Tensor:
        nonlocal computed
        computed += 1
        return norm(x)

    with standing_in([results]):
        y = results.note(norm(x), again)
        out = y @ weights[0] + y @ weights[1] + y @ weights[2]
        storage = y.untyped_storage()._cdata
        assert results.stand_in(y) is not None
        del y
    assert storage not in results._known, "nothing keeps it"
    out.sum().backward()
    assert computed == 1
    wanted = norm(x.detach()).sum(0)[:, None].expand(8, 8)
    for weight in weights:
        torch.testing.assert_close(weight.grad, wanted)


def test_without_a_gradient_nothing_is_noted(bundle: Bundle) -> None:
    with torch.no_grad(), recomputing(bundle.denoiser):
        x = torch.zeros(1, *bundle.latent_shape(SIDE))
        bundle.predict(x, torch.tensor([5]), bundle.encode([""], size=SIDE))
    results = Results()
    plain = results.note(torch.zeros(2), lambda: torch.zeros(2))
    assert results.stand_in(plain) is None
