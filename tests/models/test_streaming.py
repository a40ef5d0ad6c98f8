"""Weights that wait in the CPU's memory: the same numbers, two blocks at a time, and a model that is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from studies.studio import CHECKPOINT
from tests.engine.test_run import collect, job
from tests.helpers.home import host_in
from tests.models.test_recompute import network_on, step
from trainer.config.settings import Settings
from trainer.engine.memory_estimate import estimate_memory
from trainer.job import Control, Event, Paused, Step
from trainer.models import streaming
from trainer.models.base import Bundle
from trainer.models.placement import away, place
from trainer.models.recompute import recomputing
from trainer.models.registry import load_bundle
from trainer.models.streaming import Streamed, streamed_bytes

CPU = torch.device("cpu")
WAYS: dict[str, Callable[[Bundle], AbstractContextManager[object]]] = {
    "plain": lambda _bundle: nullcontext(),
    "recomputing": lambda bundle: recomputing(bundle.denoiser, *([bundle.streamed] if bundle.streamed else [])),
    "checkpointing": lambda bundle: bundle.family.checkpointing(bundle),
}


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of the toy are small, and so are their tensors."""
    monkeypatch.setattr(streaming, "_LEAST", 1024)


def placed(codes: str = "", *, streams: bool) -> Bundle:
    bundle = load_bundle(CHECKPOINT)
    place(bundle, CPU, dict.fromkeys(bundle.modules, torch.float32), codes=codes, streams=streams)
    return bundle


@pytest.mark.parametrize("codes", ["", pytest.param("int8", marks=pytest.mark.more), "nf4"])
def test_gradients_are_the_same_bit_for_bit(codes: str) -> None:
    """However the weights are kept, and whatever the backward pass computes again; in the first step as in the next."""
    whole, parted = placed(codes, streams=False), placed(codes, streams=True)
    networks = {id(bundle): network_on(bundle) for bundle in (whole, parted)}
    with networks[id(whole)].attached():
        loss, gradients = step(whole, networks[id(whole)])
    for way, context in WAYS.items():
        with networks[id(parted)].attached(), context(parted):
            for _ in range(2):
                found = step(parted, networks[id(parted)])
                assert torch.equal(found[0], loss), way
                assert all(torch.equal(one, other) for one, other in zip(found[1], gradients, strict=True)), way


@pytest.mark.parametrize("way", ["recomputing", "checkpointing"])
def test_two_blocks_are_there_at_once_and_the_next_is_known(way: str) -> None:
    bundle = placed(streams=True)
    assert bundle.streamed is not None
    most, late = 0, 0

    def seen(streamed: Streamed, block: object, use: Callable[[object], None] = bundle.streamed.use) -> None:
        nonlocal most, late
        late += not block.is_here  # type: ignore[attr-defined]
        use(block)
        most = max(most, sum(each.is_here for each in streamed._blocks))

    bundle.streamed.use = lambda block: seen(bundle.streamed, block)  # type: ignore
    with (network := network_on(bundle)).attached(), WAYS[way](bundle):
        found = []
        for _ in range(3):
            late = 0
            step(bundle, network)
            found.append(late)
    assert found[0] > 50
    assert found[1:] == [2, 0], "learned in the first step, and how one follows another in the second"
    assert most == 2


def test_what_is_kept_for_the_backward_pass_holds_no_weight() -> None:
    bundle = placed(streams=True)
    assert bundle.streamed is not None
    alive: list[int] = []
    with (network := network_on(bundle)).attached(), WAYS["recomputing"](bundle):
        step(bundle, network)
        x = torch.zeros(1, *bundle.latent_shape(Settings(image_size=None).size))[..., :8, :8].requires_grad_()
        loss = bundle.predict(x, torch.tensor([5]), bundle.encode([""])).sum()
        alive.append(len(bundle.streamed._here))
        bundle.streamed.put_back()
        assert not bundle.streamed._here
        loss.backward()
    assert 0 < alive[0] < sum(len(block.weights) for block in bundle.streamed._blocks) / 4
    assert x.grad is not None


def test_the_model_is_left_as_modules_in_memory() -> None:
    bundle = placed(streams=True)
    assert bundle.streamed is not None
    before = {name: (id(each), each.data_ptr()) for name, each in bundle.denoiser.named_parameters()}
    network = network_on(bundle)
    with network.attached():
        step(bundle, network)
    assert {name: (id(each), each.data_ptr()) for name, each in bundle.denoiser.named_parameters()} != before
    away(bundle).come_back()
    assert {name: (id(each), each.data_ptr()) for name, each in bundle.denoiser.named_parameters()} == before
    with network.attached():
        step(bundle, network)
    bundle.streamed.close()
    assert {name: (id(each), each.data_ptr()) for name, each in bundle.denoiser.named_parameters()} == before
    assert not any(each._forward_pre_hooks for each in bundle.denoiser.modules())


def test_blocks_hold_nearly_all_weights_of_a_unet() -> None:
    bundle = placed(streams=False)
    blocks = bundle.family.blocks_to_stream(bundle)
    waiting, at_once = streamed_bytes(blocks)
    whole = sum(each.nbytes for each in bundle.denoiser.parameters())
    assert 0.75 * whole < waiting < whole
    largest = max(sum(each.nbytes for each in block.parameters()) for block in blocks)
    assert 2 * largest < at_once <= 3 * largest
    inner = {id(module) for block in blocks for module in block.modules() if module is not block}
    assert not inner & {id(block) for block in blocks}
    assert streamed_bytes([nn.Linear(4, 4)]) == (0, 0), "small tensors stay on the device"


def test_a_card_takes_less(tmp_path: Path) -> None:
    host, settings = host_in(tmp_path), job(CHECKPOINT, train_memory_saving="light").settings
    cuda = torch.device("cuda")
    light = estimate_memory(settings, host, cuda).steps
    streamed = estimate_memory(replace(settings, train_memory_saving="streaming"), host, cuda).steps
    bundle = load_bundle(CHECKPOINT)
    waiting, at_once = streamed_bytes(bundle.family.blocks_to_stream(bundle))
    assert light - streamed == waiting - at_once


@pytest.mark.more
@pytest.mark.parametrize("saving", ["light", "streaming"])
def test_a_run_learns_the_same(saving: str, tmp_path: Path) -> None:
    """Byte for byte, a pause between two steps included; with a batch for which nobody asks the base ahead."""

    def tensors(folder: str, **changes: object) -> dict[str, Tensor]:
        control = Control()

        def react(event: Event) -> None:
            if isinstance(event, Step) and event.number == 2:
                control.pause()
            if isinstance(event, Paused):
                control.resume()

        given = job(CHECKPOINT, save_precision="fp32", train_batch_size=4, **changes)
        done, _ = collect(given, host_in(tmp_path / folder), control, react)
        assert done.path is not None
        return load_file(str(done.path))

    wanted, found = tensors("plain"), tensors("saving", train_memory_saving=saving)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_card_the_same_as_the_whole_model() -> None:
    card = torch.device("cuda", 0)
    bundles = [load_bundle(CHECKPOINT) for _ in range(2)]
    found = []
    for bundle, streams in zip(bundles, (False, True), strict=True):
        place(bundle, card, dict.fromkeys(bundle.modules, torch.float32), streams=streams)
        x = torch.randn(2, *bundle.latent_shape(Settings().size), generator=torch.Generator().manual_seed(0)).to(card)
        with recomputing(bundle.denoiser, *([bundle.streamed] if bundle.streamed else [])):
            for _ in range(3):
                own = x.clone().requires_grad_()
                bundle.predict(own, torch.tensor([3, 9], device=card), bundle.encode([""])).square().sum().backward()
        found.append(own.grad)
    torch.testing.assert_close(found[1], found[0])
