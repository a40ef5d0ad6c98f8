"""Dropout: what is left out, how much the rest grows, and that it is the same again wherever it has to be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer.diffusion.random import StepRandom
from trainer.models.lora_target import Target
from trainer.networks.base import Adapter, Network, Ranks, build, builder_of
from trainer.networks.dropout import Dropout
from trainer.networks.loha import LoHa
from trainer.networks.lora import LoRA

CPU = torch.device("cpu")
RANK = 8


def rng(batch: int, seed: int = 3) -> StepRandom:
    return StepRandom.of_step(seed, batch, CPU)


def layers(kind: type[Adapter] = LoRA) -> tuple[list[nn.Module], Network]:
    """A linear layer and a convolution, with a network that is not zero."""
    generator = torch.Generator().manual_seed(0)
    modules: list[nn.Module] = [nn.Linear(6, 5), nn.Conv2d(6, 5, 3, padding=1)]
    targets = [Target(str(number), module.double(), "denoiser") for number, module in enumerate(modules)]
    network = build(targets, builder_of(kind, Ranks(RANK, 4.0), torch.float64, CPU), generator)
    for parameter in network.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return modules, network


def inputs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((4, 7, 6), (4, 6, 3, 3))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def hidden_of(adapter: LoRA, x: Tensor) -> Tensor:
    return x @ adapter.down.T if x.ndim == 3 else nn.functional.conv2d(x, adapter.down, padding=1)


def updates(network: Network, modules: list[nn.Module], batch: int | None = 1) -> list[Tensor]:
    """What the network adds to each layer's output, in a batch or outside of any."""
    x = inputs()
    with torch.no_grad():
        plain = [module(each) for module, each in zip(modules, x, strict=True)]
        with network.attached():
            if batch is None:
                changed = [module(each) for module, each in zip(modules, x, strict=True)]
            else:
                with network.in_batch(rng(batch)):
                    changed = [module(each) for module, each in zip(modules, x, strict=True)]
    return [new - old for new, old in zip(changed, plain, strict=True)]


@pytest.mark.parametrize("kind", [LoRA, LoHa])
def test_outside_a_batch_nothing_is_left_out(kind: type[Adapter]) -> None:
    modules, network = layers(kind)
    whole = updates(network, modules, None)
    network.drop_out(Dropout(0.5 if kind is LoRA else 0.0, 0.5, 0.5))
    assert all(torch.equal(one, other) for one, other in zip(updates(network, modules, None), whole, strict=True))
    assert not torch.equal(updates(network, modules)[0], whole[0])


def test_hidden_numbers_are_dropped_one_by_one_and_the_others_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    modules, network = layers()
    network.drop_out(Dropout(0.25, 0.0, 0.0))
    seen: list[tuple[Tensor, Tensor]] = []
    thinned = Dropout.thinned

    def watched(self: Dropout, hidden: Tensor, adapter: int, ranks: int) -> Tensor:
        seen.append((hidden, thinned(self, hidden, adapter, ranks)))
        return seen[-1][1]

    monkeypatch.setattr(Dropout, "thinned", watched)
    updates(network, modules)
    for before, after in seen:
        kept = after != 0
        torch.testing.assert_close(after, torch.where(kept, before / 0.75, 0.0))
        assert 0.6 < kept.double().mean() < 0.9
        ranks = kept.movedim(1, -1) if kept.ndim == 4 else kept
        assert (ranks.any(-1) & ~ranks.all(-1)).double().mean() > 0.7, "each number on its own"


def test_ranks_are_dropped_for_each_sample_and_the_others_grow() -> None:
    """As in sd-scripts: a mask of (samples, ranks) for all places, the scale divided by the share that is kept."""
    modules, network = layers()
    network.drop_out(Dropout(0.0, 0.5, 0.0))
    found = updates(network, modules)
    for adapter, update, x in zip(network, found, inputs(), strict=True):
        assert isinstance(adapter, LoRA)
        hidden = hidden_of(adapter, x)
        up, scale = adapter.up.flatten(1), 4.0 / RANK / 0.5
        kept = set()
        for sample in range(4):
            flat = hidden[sample].reshape(-1, RANK) if x.ndim == 3 else hidden[sample].flatten(1).T  # (places, ranks)
            wanted = update[sample].reshape(-1, 5) if x.ndim == 3 else update[sample].flatten(1).T
            masks = [torch.tensor([number >> place & 1 for place in range(RANK)]).bool() for number in range(2**RANK)]
            errors = torch.stack([((flat * mask) @ up.T * scale - wanted).abs().max() for mask in masks])
            assert errors.min() < 1e-9
            kept.add(int(errors.argmin()))
        assert len(kept) > 1, "samples have masks of their own"


def test_loha_drops_rows_and_scales_nothing() -> None:
    """As LyCORIS does: a row of the update acts or does not, the same for the whole batch."""
    modules, network = layers(LoHa)
    whole = updates(network, modules, None)
    network.drop_out(Dropout(0.0, 0.5, 0.0))
    count = 0
    for batch in range(1, 5):
        for dropped, all_of_it in zip(updates(network, modules, batch), whole, strict=True):
            rows = dropped.movedim(-1 if dropped.ndim == 3 else 1, 0).flatten(1)
            full = all_of_it.movedim(-1 if dropped.ndim == 3 else 1, 0).flatten(1)
            for row, each in zip(rows, full, strict=True):
                is_off = bool((row.abs() < 1e-12).all())
                count += is_off
                assert is_off or torch.allclose(row, each)
    assert 8 < count < 32


def test_modules_are_left_out_whole() -> None:
    modules, network = layers()
    whole = updates(network, modules, None)
    network.drop_out(Dropout(0.0, 0.0, 0.3))
    off = 0
    for batch in range(1, 201):
        for dropped, all_of_it in zip(updates(network, modules, batch), whole, strict=True):
            is_off = not dropped.any()
            off += is_off
            assert is_off or torch.equal(dropped, all_of_it)
    assert 90 < off < 150  # of 400; 120 expected, 9 the deviation


def test_the_masks_are_a_function_of_seed_batch_and_adapter() -> None:
    modules, network = layers()
    network.drop_out(Dropout(0.2, 0.2, 0.0))
    one, again, other = (updates(network, modules, batch)[0] for batch in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("kind", [LoRA, LoHa])
def test_what_is_computed_again_for_the_backward_pass_has_the_same_masks(kind: type[Adapter]) -> None:
    modules, network = layers(kind)
    network.drop_out(Dropout(0.3 if kind is LoRA else 0.0, 0.3, 0.3))
    gradients = []
    for checkpoints in (False, True):
        network.zero_grad()
        for batch in (1, 2, 3):
            with network.attached(), network.in_batch(rng(batch)):
                for module, x in zip(modules, inputs(), strict=True):
                    x.requires_grad_()
                    out = checkpoint(module, x, use_reentrant=False) if checkpoints else module(x)
                    (out**2).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
