"""LoRA's products in few kernels: outputs and gradients against the formula in double precision, and the copies that
half precision is computed with."""

from __future__ import annotations

import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.diffusion.random import StepRandom
from trainer.models.checkpoint.int8 import Int8, store_as_int8
from trainer.models.checkpoint.layers import make_own
from trainer.models.lora_target import Target
from trainer.networks.base import Adapter, Network, Strength
from trainer.networks.copies import copied
from trainer.networks.loha import LoHa
from trainer.networks.lora import LoRA

CPU = torch.device("cpu")
SAMPLES, TOKENS, INPUTS, OUTPUTS, RANK, ALPHA = 3, 5, 12, 7, 4, 6.0


def layer(kind: str, dtype: torch.dtype) -> nn.Module:
    """``own``: one that Trainyard has made; ``hooked``: one in whose place something else computes; ``wide``: so in
    float32 whatever its input is."""
    torch.manual_seed(1)
    made = nn.Linear(INPUTS, OUTPUTS).to(dtype).requires_grad_(False)
    if kind == "own":
        make_own(made)
    elif kind == "hooked":
        inner = made.forward
        made.forward = lambda x: inner(x) * 1  # type: ignore[method-assign]
    elif kind == "wide":
        narrow = made.forward
        made.forward = lambda x: narrow(x).float()  # type: ignore[method-assign]
    elif kind == "int8":
        store_as_int8(made, made.weight.data)
    return made


def adapter_on(module: nn.Module, strength: float | Tensor) -> LoRA:
    generator = torch.Generator().manual_seed(2)
    made = LoRA.new(Target("x", module, "denoiser"), Strength(strength), RANK, ALPHA, generator)
    made.up.data.normal_(generator=generator)
    made.attach()
    return made


def in_doubles(module: nn.Module, adapter: LoRA, x: Tensor, strength: float | Tensor, sent: Tensor) -> list[Tensor]:
    """Output, and gradients of input, down and up: ``x Wᵀ + b + strength · alpha / rank · (x downᵀ) upᵀ``."""
    weight = module.weight.detach().to(x.dtype).double()  # type: ignore[union-attr, operator]
    bias = module.bias.detach().double()  # type: ignore[union-attr, operator]
    down, up = (each.detach().to(x.dtype).double().requires_grad_() for each in (adapter.down, adapter.up))
    wide = x.detach().double().requires_grad_()
    factor = strength.double().view(-1, 1, 1) if isinstance(strength, Tensor) else strength
    output = F.linear(wide, weight, bias) + factor * ALPHA / RANK * ((wide @ down.T) @ up.T)
    return [output.detach(), *torch.autograd.grad(output, (wide, down, up), sent.double())]


def given(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x, sent = (torch.randn(SAMPLES, TOKENS, size, generator=generator).to(dtype) for size in (INPUTS, OUTPUTS))
    return x.requires_grad_(), sent


@pytest.mark.parametrize("kind", ["own", "hooked", "wide", "int8"])
@pytest.mark.parametrize("strength", [1.0, -0.5, torch.tensor([1.0, -0.25, 0.0])], ids=["1", "-0.5", "by sample"])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)], ids=["fp32", "bf16"])
def test_output_and_gradients(kind: str, strength: float | Tensor, dtype: torch.dtype, off: float) -> None:
    module = layer(kind, dtype)
    adapter, (x, sent) = adapter_on(module, strength), given(dtype)
    with copied([adapter]):
        module(x.detach())  # after which it is known which type copies are to have
    with copied([adapter]):
        assert len(adapter.copies) == (0 if dtype is torch.float32 else 2)
        output = module(x)
        output.backward(sent.to(output.dtype))
    wanted = in_doubles(module, adapter, x, strength, sent)
    for found, exact in zip((output, x.grad, adapter.down.grad, adapter.up.grad), wanted, strict=True):
        assert found is not None
        assert (found.double() - exact).norm() <= off * exact.norm()


def test_one_kernel_adds_to_what_the_layer_computes() -> None:
    """A layer of Trainyard's has its products summed where they are made; the layer itself is not asked."""
    module = layer("own", torch.float32)
    adapter = adapter_on(module, 1.0)
    with torch.profiler.profile() as profile:
        module(given(torch.float32)[0])
    started = {event.key: event.count for event in profile.key_averages()}
    assert started["aten::addmm_"] == 1
    assert started["aten::addmm"] == started["aten::mm"] == 1
    assert "aten::mul" not in started
    adapter.detach()


def test_what_is_not_trained_gets_no_gradient() -> None:
    module = layer("own", torch.float32)
    adapter, (x, sent) = adapter_on(module, 1.0), given(torch.float32)
    adapter.requires_grad_(False)
    module(x).backward(sent)
    assert adapter.down.grad is adapter.up.grad is None
    assert x.grad is not None
    assert x.grad.shape == x.shape


# ---- layers that read the same input ---------------------------------------------------------------------------------


def three_on(module: nn.ModuleDict, kind: type[Adapter], strength: float | Tensor, *, reads: str = "x") -> Network:
    """Queries, keys and values, with a network of a type attached that does something."""
    generator, strengths = torch.Generator().manual_seed(4), Strength(strength)
    targets = [Target(name, module[name], "denoiser", reads=reads) for name in "qkv"]
    adapters = [kind.new(target, strengths, RANK, ALPHA, generator) for target in targets]
    for parameter in (each for adapter in adapters for each in adapter.parameters()):
        parameter.data.normal_(generator=generator).mul_(0.5)
    network = Network(adapters, strengths)
    network.attach()
    return network


def projections(layers: str, dtype: torch.dtype) -> nn.ModuleDict:
    return nn.ModuleDict({name: layer(layers, dtype) for name in "qkv"})


def attention(module: nn.ModuleDict, x: Tensor, sent: Tensor) -> Tensor:
    """The sum of what three layers make of ``x``, each seen with other eyes."""
    q, k, v = (module[name](x) for name in "qkv")
    total: Tensor = (q * sent).sum() - 2 * (k * sent).sum() + (v * sent * sent).sum()
    return total


def update_in_doubles(adapter: Adapter, tensors: dict[str, Tensor]) -> Tensor:
    """``(out, in)``, as the definitions have it."""
    if isinstance(adapter, LoRA):
        return tensors["up"] @ tensors["down"]
    one, two = (tensors[f"factors.w{n}_a"] @ tensors[f"factors.w{n}_b"] for n in (1, 2))
    return one * two


@pytest.mark.parametrize("kind", [LoRA, LoHa])
@pytest.mark.parametrize("layers", ["own", "hooked", "int8"])
@pytest.mark.parametrize("strength", [-0.5, torch.tensor([1.0, -0.25, 0.0])], ids=["-0.5", "by sample"])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
def test_three_layers_with_one_input(
    kind: type[Adapter], layers: str, strength: float | Tensor, dtype: torch.dtype, off: float
) -> None:
    """Gradients of the input and of each parameter, against the formula in double precision; half precision is as far
    off as the layers one by one are."""
    module = projections(layers, dtype)
    found = {}
    for reads in ("x", ""):
        network, (x, sent) = three_on(module, kind, strength, reads=reads), given(dtype)
        for batch in (1, 2):  # after the first it is known which type copies are to have
            network.zero_grad()
            x.grad = None
            with network.in_batch(StepRandom.of_step(1, batch, CPU)):
                attention(module, x, sent).backward()
        network.detach()
        found[reads] = [x.grad, *(each.grad for each in network.parameters())]
    wide = x.detach().double().requires_grad_()
    factor = strength.double().view(-1, 1, 1) if isinstance(strength, Tensor) else strength
    leaves, outputs = list[Tensor](), list[Tensor]()
    for adapter in network:
        own = {name: each.detach().to(dtype).double().requires_grad_() for name, each in adapter.named_parameters()}
        leaves += own.values()
        base = F.linear(wide, adapter.weight.detach().to(dtype).double())
        outputs.append(base + factor * ALPHA / RANK * F.linear(wide, update_in_doubles(adapter, own)))
    q, k, v = outputs
    each_sent = sent.double()
    total = (q * each_sent).sum() - 2 * (k * each_sent).sum() + (v * each_sent * each_sent).sum()
    exact = torch.autograd.grad(total, (wide, *leaves))
    for together, alone, wanted in zip(found["x"], found[""], exact, strict=True):
        assert together is not None
        assert alone is not None
        error = (together.double() - wanted).norm()
        assert error <= off * wanted.norm() or error <= 1.5 * (alone.double() - wanted).norm()


@pytest.mark.parametrize(
    ("kind", "kernels"), [(LoRA, {"mm": 1, "addmm": 3, "addmm_": 3}), (LoHa, {"bmm": 1, "addmm": 3, "addmm_": 3})]
)
def test_they_are_computed_together(kind: type[Adapter], kernels: dict[str, int]) -> None:
    """One ``down`` for all, or one product of all factors; then each layer's own, and its update added to it."""
    module, (x, _) = projections("own", torch.float32), given(torch.float32)
    network = three_on(module, kind, 1.0)
    with torch.profiler.profile() as profile:
        for name in "qkv":
            module[name](x)
    started = {event.key.removeprefix("aten::"): event.count for event in profile.key_averages()}
    assert {name: started.get(name) for name in kernels} == kernels
    network.detach()


def test_nothing_is_kept_of_what_is_not_asked_for() -> None:
    """Another input is computed anew, whoever asks; and a batch leaves nothing behind."""
    module, (x, _) = projections("own", torch.float32), given(torch.float32)
    other = x.detach() + 1
    apart, together = ({}, {})
    for found, reads in ((apart, ""), (together, "x")):
        network = three_on(module, LoRA, 1.0, reads=reads)
        with network.in_batch(StepRandom.of_step(1, 1, CPU)):
            found |= {"q": module["q"](x), "k": module["k"](other), "v": module["v"](x), "again": module["v"](x)}
        network.detach()
    for name, wanted in apart.items():
        torch.testing.assert_close(together[name], wanted)
    living = weakref.ref(made := torch.ones(1, 1, INPUTS))
    network = three_on(module, LoRA, 1.0)
    with network.in_batch(StepRandom.of_step(1, 1, CPU)):
        module["q"](made)
        del made
        assert living() is not None
    assert living() is None
    network.detach()


@pytest.mark.parametrize("different", ["scale", "frozen", "convolution"])
def test_what_differs_is_computed_on_its_own(different: str) -> None:
    module = projections("own", torch.float32)
    if different == "convolution":
        module = nn.ModuleDict({name: nn.Conv2d(INPUTS, OUTPUTS, 1) for name in "qkv"}).requires_grad_(False)
    strength, adapters = Strength(1.0), list[LoRA]()
    for number, name in enumerate("qkv"):
        target = Target(name, module[name], "denoiser", reads="x")
        alpha = ALPHA + number if different == "scale" else ALPHA
        adapters.append(LoRA.new(target, strength, RANK, alpha, torch.Generator().manual_seed(number)))
        adapters[-1].up.data.normal_(generator=torch.Generator().manual_seed(number))
    if different == "frozen":
        adapters[0].requires_grad_(False)
    x = torch.randn(2, INPUTS, 3, 3) if different == "convolution" else given(torch.float32)[0].detach()
    before = [module[name](x) for name in "qkv"]
    with Network(adapters, strength).attached():
        after = [module[name](x) for name in "qkv"]
    for adapter, one, other in zip(adapters, before, after, strict=True):
        update = adapter.up.flatten(1) @ adapter.down.flatten(1)
        rows = x.movedim(1, -1) if different == "convolution" else x
        wanted = adapter.scale * F.linear(rows, update)
        found = (other - one).movedim(1, -1) if different == "convolution" else other - one
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


# ---- copies ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained() -> tuple[nn.Module, Network]:
    module = layer("own", torch.bfloat16)
    adapter = adapter_on(module, 1.0)
    module(given(torch.bfloat16)[0].detach())
    return module, Network([adapter], adapter.strength)


def test_batches_add_up_in_the_type_of_the_parameters(trained: tuple[nn.Module, Network]) -> None:
    """A thousandth is less than half precision can add to a gradient."""
    module, network = trained
    (adapter,) = network
    assert isinstance(adapter, LoRA)
    found = []
    for batch, size in ((1, 1.0), (2, 2.0**-10)):
        x, sent = given(torch.bfloat16)
        with network.in_batch(StepRandom.of_step(1, batch, CPU)):
            module(x).backward(sent * size)
        assert adapter.up.grad is not None
        found.append(adapter.up.grad.clone())
    assert torch.equal(found[1], found[0] * (1 + 2.0**-10))
    assert found[1].dtype is torch.float32


def test_copies_are_those_of_the_batch(trained: tuple[nn.Module, Network]) -> None:
    module, network = trained
    (adapter,) = network
    assert isinstance(adapter, LoRA)
    x = given(torch.bfloat16)[0].detach()
    with network.in_batch(StepRandom.of_step(1, 1, CPU)):
        before = module(x)
    with torch.no_grad():
        adapter.up.add_(1.0)  # the optimizer's step
    assert not adapter.copies
    after = module(x)
    with network.in_batch(StepRandom.of_step(1, 2, CPU)):
        assert torch.equal(module(x), after)
    assert not torch.equal(before, after)


def test_an_error_leaves_neither_copies_nor_gradients(trained: tuple[nn.Module, Network]) -> None:
    module, network = trained
    (adapter,) = network
    assert isinstance(adapter, LoRA)

    def fails() -> None:
        x, sent = given(torch.bfloat16)
        with network.in_batch(StepRandom.of_step(1, 1, CPU)):
            module(x).backward(sent)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert not adapter.copies
    assert adapter.up.grad is None


def test_an_int8_layer_is_still_one() -> None:
    assert isinstance(layer("int8", torch.float32), Int8)
