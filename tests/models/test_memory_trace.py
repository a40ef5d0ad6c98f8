"""Memory counted on the meta device, against what the same tensors take by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trainer.models.memory_trace import META, SMALL, MemoryTrace, random_of_nothing

KIB = 1024


def linears(count: int, width: int = 256) -> nn.Sequential:
    layers = [nn.Linear(width, width, bias=False, device=META) for _ in range(count)]
    return nn.Sequential(*layers).requires_grad_(False)


def test_what_is_kept_for_the_backward_pass_is_counted_and_let_go() -> None:
    model, x = linears(3), torch.empty(1024, 256, device=META, requires_grad=True)  # 1 MiB
    with MemoryTrace([x, *model.parameters()]) as trace:
        y = model(x).tanh()
        # Frozen layers keep nothing; tanh keeps its own output. What lies between is gone but for that.
        assert trace.living.now == 1024 * KIB
        assert trace.living.peak == 2 * 1024 * KIB
        loss = y.mean()
        del y
        trace.living.restart()
        trace.backward(loss)
        assert x.grad is not None
        del loss
    assert trace.living.now == x.grad.numel() * 4


def test_only_blocks_that_an_allocator_keeps_are_small() -> None:
    with MemoryTrace() as trace:
        held = [torch.empty(SMALL // 4, device=META), torch.empty(SMALL // 8, device=META)]
        assert (trace.living.peak, trace.living.peak_small) == (SMALL + SMALL // 2, SMALL // 2)
        del held
    assert (trace.living.now, trace.living.peak) == (0, SMALL + SMALL // 2)


@pytest.mark.parametrize("heads", [1, 8])
def test_attention_never_holds_all_scores(heads: int) -> None:
    tokens, width = 4096, 64
    parts = [torch.empty(1, heads, tokens, width // heads, device=META, requires_grad=True) for _ in range(3)]
    with MemoryTrace(parts) as trace:
        output = F.scaled_dot_product_attention(*parts)
        assert output.shape == parts[0].shape
        assert trace.living.now == 4 * (
            tokens * width + heads * tokens
        )  # the output, and a number for each row and head


def test_what_checkpointing_computes_again_is_counted_in_its_backward_pass() -> None:
    size = 1024 * 256 * 4

    def block(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(x, x, x).tanh().sin().exp()

    def peaks(*, checkpointed: bool) -> tuple[int, int]:
        x = torch.empty(1, 1, 1024, 256, device=META, requires_grad=True)
        with MemoryTrace([x]) as trace:
            for _ in range(4):
                x = checkpoint(block, x, use_reentrant=False) if checkpointed else block(x)
            forward = trace.living.now
            loss = x.mean()
            trace.living.restart()
            trace.backward(loss)
        return forward, trace.living.peak

    whole, backward_of_whole = peaks(checkpointed=False)
    forward, backward = peaks(checkpointed=True)
    assert forward == 4 * size  # a block's input each, but for the first, and the last output
    # Of each block: what attention and tanh made, which those keep, and the output, which exp does; a number a row.
    assert whole == 4 * (3 * size + 1024 * 4)
    assert forward + 4 * size <= backward < backward_of_whole


def test_what_is_filled_with_a_tensor_needs_no_number() -> None:
    with MemoryTrace() as trace:
        mask = torch.full((77, 77), torch.tensor(-1.0, device=META), device=META)  # CLIP's, in transformers 4.30
        assert (mask.shape, mask.dtype) == ((77, 77), torch.float32)
        assert trace.living.now == mask.nbytes


def test_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    with MemoryTrace():
        random = random_of_nothing()
        drawn = random.noise((2, 4, 8, 8), torch.float16)
        assert torch.randint(0, 10, (3,), generator=random.generator, device=random.generator.device).device == META
    assert (drawn.device, drawn.dtype, drawn.shape) == (META, torch.float16, (2, 4, 8, 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_repeated_returns_what_it_returned_before() -> None:
    """Against the same operations on the CPU, whose results are computed every time."""

    def results(x: Tensor, weight: Tensor) -> list[Tensor | None]:
        ones = torch.ones(8, device=x.device)
        normed, mean, rstd = torch.ops.aten.native_layer_norm(x, [8], ones, None, 1e-5)
        wanted = [True, False, False]
        gradients = torch.ops.aten.native_layer_norm_backward(x, x, [8], mean, rstd, ones, None, wanted)
        changed = torch.empty_like(x).add_(x)
        return [x.mT, x.mT @ x, x @ weight, normed, mean, *gradients, changed, x.double(), x[1:], x.sum(0), *x.chunk(2)]

    real = results(torch.rand(4, 8), torch.rand(8, 8))
    with MemoryTrace() as trace:
        inputs = torch.empty(4, 8, device=META), torch.empty(8, 8, device=META)
        traced = results(*inputs), results(*inputs)
        before = trace.living.now
        view, changed = inputs[0].mT, inputs[0].add_(1)
        assert trace.living.now == before
    assert view.untyped_storage()._cdata == changed.untyped_storage()._cdata == inputs[0].untyped_storage()._cdata
    assert changed is inputs[0]
    for found in traced:
        for one, other in zip(real, found, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert (other.shape, other.stride(), other.dtype) == (one.shape, one.stride(), one.dtype)
