"""LoHa: what it computes and how it learns, against plain sums and against LyCORIS; what it keeps in memory."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from lycoris.modules.loha import LohaModule
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from trainer.errors import NetworkError
from trainer.models.checkpoint.layers import make_own
from trainer.models.lora_target import Target
from trainer.networks.base import Ranks, Strength, builder_of
from trainer.networks.loha import LoHa

CPU = torch.device("cpu")
RANK, ALPHA = 3, 6.0
MODULES = {
    "linear": lambda: nn.Linear(6, 5),
    "1x1": lambda: nn.Conv2d(6, 5, 1),
    "3x3": lambda: nn.Conv2d(6, 5, 3, stride=2, padding=1),
}


def module_of(kind: str) -> nn.Module:
    torch.manual_seed(5)
    return MODULES[kind]().double().requires_grad_(False)


def adapter_of(module: nn.Module, strength: Strength | None = None, *, size: float = 0.7) -> LoHa:
    make = builder_of(LoHa, Ranks(RANK, ALPHA), torch.float64, CPU)
    adapter = make(Target("m", module, "denoiser"), strength or Strength(), torch.Generator().manual_seed(0))
    assert isinstance(adapter, LoHa)
    generator = torch.Generator().manual_seed(1)
    for parameter in adapter.parameters():
        parameter.data += size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return adapter


def plain_update(parts: dict[str, Tensor]) -> Tensor:
    """The update's weight, number by number as the definition has it: ``(out, in, …)``, scale included."""
    one, two = ((parts[f"hada_w{n}_a"], parts[f"hada_w{n}_b"]) for n in (1, 2))
    scale = float(parts["alpha"]) / one[1].shape[0]
    if "hada_t1" not in parts:
        return scale * (one[0] @ one[1]) * (two[0] @ two[1])
    core1, core2 = parts["hada_t1"], parts["hada_t2"]
    rank, outputs = one[0].shape
    inputs = one[1].shape[1]
    whole = torch.zeros(2, outputs, inputs, *core1.shape[2:], dtype=core1.dtype)
    for n, (core, (a, b)) in enumerate(((core1, one), (core2, two))):
        for p in range(rank):
            for q in range(rank):
                whole[n] += core[p, q] * a[p][:, None, None, None] * b[q][None, :, None, None]
    return scale * whole[0] * whole[1]


def inputs_for(kind: str, batch: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    shape = (batch, 6, 8, 8) if "x" in kind else (batch, 7, 6)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def applied(module: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    if isinstance(module, nn.Conv2d):
        return F.conv2d(x, weight, module.bias, module.stride, module.padding)
    return F.linear(x, weight, module.bias)


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_output_and_gradients_against_plain_sums(kind: str, strength: float) -> None:
    module, x = module_of(kind), inputs_for(kind).requires_grad_()
    adapter = adapter_of(module, Strength(strength))
    adapter.attach()
    out = module(x)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (out * probe).sum().backward()
    adapter.detach()

    leaves = {key: part.detach().clone().requires_grad_(key != "alpha") for key, part in adapter.tensors().items()}
    again = x.detach().clone().requires_grad_()
    wanted = applied(module, module.weight + strength * plain_update(leaves).view_as(module.weight), again)
    (wanted * probe).sum().backward()
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(x.grad, again.grad)
    for key, parameter in adapter.factors.items():
        torch.testing.assert_close(parameter.grad, leaves[f"hada_{key}"].grad)


@pytest.mark.parametrize("kind", MODULES)
def test_a_new_one_is_exactly_nothing_but_learns(kind: str) -> None:
    module, x = module_of(kind), inputs_for(kind)
    adapter = adapter_of(module, size=0.0)
    assert torch.equal(adapter.update(x), torch.zeros_like(module(x)))
    (adapter.update(x) * inputs_for(kind).mean()).sum().backward()
    moving = {key for key, parameter in adapter.factors.items() if parameter.grad.abs().sum() > 0}
    assert moving == {"w2_a"}


def test_strength_can_differ_from_sample_to_sample() -> None:
    module, x, strength = module_of("3x3"), inputs_for("3x3"), Strength()
    adapter = adapter_of(module, strength)
    plain, adapter_out = module(x), adapter.update(x) * ALPHA / RANK
    strength.value = torch.tensor([0.25, -1.0, 0.0, 2.0])
    adapter.attach()
    torch.testing.assert_close(module(x), plain + adapter_out * strength.value.double().view(4, 1, 1, 1))
    adapter.detach()


@pytest.mark.parametrize("kind", MODULES)
def test_lycoris_computes_the_same_from_our_tensors(kind: str) -> None:
    """Their module beside the same layer, filled with what our file would hold."""
    module, x = module_of(kind).float(), inputs_for(kind).float()
    adapter = adapter_of(module).float()
    parts = adapter.tensors()
    order = ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")
    with torch.no_grad():
        theirs = LohaModule.make_module_from_state_dict(
            "m", module, *(parts.get(f"hada_{name}") for name in order), parts["alpha"], None
        )
        wanted = theirs(x)
        adapter.attach()
        torch.testing.assert_close(module(x), wanted, rtol=1e-4, atol=1e-4)
        adapter.detach()


def test_begins_as_lycoris_begins() -> None:
    """The same shapes, and the same spread of each factor."""
    module = nn.Conv2d(200, 300, 3)
    ours = builder_of(LoHa, Ranks(16, 8.0), torch.float32, CPU)(
        Target("m", module, "denoiser"), Strength(), torch.Generator()
    )
    torch.manual_seed(0)
    theirs = LohaModule("m", module, 1.0, 16, 8.0, use_tucker=True).state_dict()
    parts = ours.tensors()
    assert parts.keys() == theirs.keys()
    for key, part in parts.items():
        assert part.shape == theirs[key].shape
        if key != "alpha":
            torch.testing.assert_close(part.std(), theirs[key].std(), rtol=0.1, atol=0)


def test_conv_rank_and_alpha_are_for_wide_convolutions() -> None:
    make = builder_of(LoHa, Ranks(8, 4.0, 2, 1.0), torch.float32, CPU)
    sizes = {kind: make(Target("m", module_of(kind), "denoiser"), Strength(), torch.Generator()) for kind in MODULES}
    assert {kind: len(adapter.tensors()["hada_w1_b"]) for kind, adapter in sizes.items()} == {
        "linear": 8,
        "1x1": 8,
        "3x3": 2,
    }
    assert {kind: adapter.scale for kind, adapter in sizes.items()} == {"linear": 0.5, "1x1": 0.5, "3x3": 0.5}


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("factor", [4.0, -0.3])
def test_a_factor_is_spread_evenly(kind: str, factor: float) -> None:
    adapter = adapter_of(module_of(kind))
    plain, scaled = adapter.tensors(), adapter.scaled(factor)
    torch.testing.assert_close(plain_update(scaled), factor * plain_update(plain))
    count = len(plain) - 1
    for key, part in plain.items():
        wanted = 1.0 if key == "alpha" else abs(factor) ** (1 / count)
        torch.testing.assert_close(scaled[key].abs(), part.abs() * wanted)
    adapter.multiply(factor)
    torch.testing.assert_close(plain_update(adapter.tensors()), plain_update(scaled))


@pytest.mark.parametrize("kind", MODULES)
def test_norm(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.networks.loha._ROWS_AT_ONCE", 2)  # so that there are several pieces, one incomplete
    adapter = adapter_of(module_of(kind))
    wanted = float(plain_update(adapter.tensors()).detach().norm())
    assert adapter.norm() == pytest.approx(wanted, rel=1e-5)
    assert LoHa.norm_of(adapter.tensors(), None) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", MODULES)
def test_nothing_large_is_kept_for_the_backward_pass(kind: str) -> None:
    """Only the input and the factors: the three full matrices that plain operations would keep are made anew."""
    big = {"linear": nn.Linear(256, 128), "1x1": nn.Conv2d(256, 128, 1), "3x3": nn.Conv2d(64, 128, 3)}[kind]
    adapter = builder_of(LoHa, Ranks(4, 4.0), torch.float32, CPU)(
        Target("m", big, "denoiser"), Strength(), torch.Generator()
    )
    x = torch.randn(2, 256) if kind == "linear" else torch.randn(2, big.in_channels, 4, 4)
    kept: list[Tensor] = []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        adapter.update(x)
    assert sum(tensor.numel() for tensor in kept) == x.numel() + sum(each.numel() for each in adapter.parameters())
    assert sum(tensor.numel() for tensor in kept) < big.weight.numel() / 2


def test_half_precision_input_meets_full_precision_factors() -> None:
    module = nn.Linear(6, 5).to(torch.bfloat16)
    adapter = builder_of(LoHa, Ranks(RANK, ALPHA), torch.float32, CPU)(
        Target("m", module, "denoiser"), Strength(), torch.Generator()
    )
    x = torch.randn(4, 6, dtype=torch.bfloat16, requires_grad=True)
    out = adapter.update(x)
    out.float().sum().backward()
    assert (out.dtype, x.grad.dtype) == (torch.bfloat16, torch.bfloat16)
    assert {parameter.grad.dtype for parameter in adapter.parameters()} == {torch.float32}


def test_half_precision_is_near_to_plain_sums() -> None:
    """Computed in bf16 as a whole: output and gradients are off by less than 1 % of their norm."""
    generator = torch.Generator().manual_seed(5)
    module = nn.Linear(48, 32).to(torch.bfloat16)
    make = builder_of(LoHa, Ranks(RANK, ALPHA), torch.float32, CPU)
    adapter = make(Target("m", module, "denoiser"), Strength(), generator)
    assert isinstance(adapter, LoHa)
    adapter.factors["w2_a"].data.normal_(generator=generator)
    x = torch.randn(64, 48, generator=generator).to(torch.bfloat16).requires_grad_()
    probe = torch.randn(64, 32, generator=generator).to(torch.bfloat16)
    out = adapter.update(x)
    out.backward(probe)

    exact = {name: factor.detach().double().requires_grad_() for name, factor in adapter.factors.items()}
    again = x.detach().double().requires_grad_()
    product = (exact["w1_a"] @ exact["w1_b"]) * (exact["w2_a"] @ exact["w2_b"])
    wanted = again @ product.T
    wanted.backward(probe.double())
    found = {"out": out, "x": x.grad, **{name: factor.grad for name, factor in adapter.factors.items()}}
    sought = {"out": wanted, "x": again.grad, **{name: factor.grad for name, factor in exact.items()}}
    for name, one in found.items():
        assert (one.double() - sought[name]).norm() < 0.01 * sought[name].norm(), name


@pytest.mark.parametrize("factor", [1.0, -0.75])
@pytest.mark.parametrize("kind", ["1x1", "3x3", "3x3 without cores"])
@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)], ids=["fp32", "bf16"])
def test_a_convolution_is_computed_with_the_update(kind: str, factor: float, dtype: torch.dtype, off: float) -> None:
    """Output and gradients against the formula in double precision; one pass back for the layer and the update."""
    generator = torch.Generator().manual_seed(5)
    side = 1 if kind == "1x1" else 3
    module = nn.Conv2d(12, 8, side, stride=2, padding=side // 2).to(dtype).requires_grad_(False)
    make_own(module)
    target, strength = Target("m", module, "denoiser"), Strength(factor)
    if kind == "3x3 without cores":
        shapes = {"a": (8, RANK), "b": (RANK, 12 * 9)}
        parts = {
            f"hada_w{n}_{name}": torch.randn(size, generator=generator) for n in "12" for name, size in shapes.items()
        }
        adapter = LoHa.load(target, strength, parts | {"alpha": torch.tensor(ALPHA)}, torch.float32)
    else:
        made = builder_of(LoHa, Ranks(RANK, ALPHA), torch.float32, CPU)(target, strength, generator)
        assert isinstance(made, LoHa)
        adapter = made
    for factors in adapter.parameters():
        factors.data = torch.randn(factors.shape, generator=generator).to(dtype).float()  # which both have then
    x = torch.randn(2, 12, 9, 9, generator=generator).to(dtype).requires_grad_()
    adapter.attach()
    with torch.profiler.profile() as profile:
        out = module(x)
        sent = torch.randn(out.shape, generator=generator).to(dtype)
        out.backward(sent)
    adapter.detach()
    started = {event.key: event.count for event in profile.key_averages()}
    assert (started["aten::conv2d"], started["aten::convolution_backward"]) == (2, 1)

    exact = {name: each.detach().double().requires_grad_() for name, each in adapter.tensors().items()}
    again, weight, bias = x.detach().double().requires_grad_(), module.weight.double(), module.bias.double()
    whole = weight + factor * plain_update(exact).view_as(weight)
    wanted = F.conv2d(again, whole, bias, 2, side // 2)
    wanted.backward(sent.double())
    assert (out.double() - wanted).norm() <= off * wanted.norm()
    assert (x.grad.double() - again.grad).norm() <= off * again.grad.norm()
    for name, factors in adapter.factors.items():
        sought = exact[f"hada_{name}"].grad
        assert (factors.grad.double() - sought).norm() <= off * sought.norm(), name


def test_files_without_cores_are_read_for_wide_convolutions() -> None:
    """LyCORIS writes them so unless told to use Tucker."""
    module, x = module_of("3x3"), inputs_for("3x3")
    generator = torch.Generator().manual_seed(0)
    parts = {f"hada_w{n}_a": torch.randn(5, 2, generator=generator).double() for n in (1, 2)}
    parts |= {f"hada_w{n}_b": torch.randn(2, 54, generator=generator).double() for n in (1, 2)}
    parts["alpha"] = torch.tensor(1.0)
    adapter = LoHa.load(Target("m", module, "denoiser"), Strength(), parts, torch.float64)
    wanted = F.conv2d(x, plain_update(parts).view_as(module.weight), None, 2, 1)
    torch.testing.assert_close(adapter.update(x) * 0.5, wanted)
    assert adapter.norm() == pytest.approx(float(plain_update(parts).norm()))


def test_tensors_of_another_shape_are_refused() -> None:
    parts = adapter_of(nn.Linear(7, 5).double()).tensors()
    with pytest.raises(NetworkError, match="trained on another kind of model"):
        LoHa.load(Target("m", module_of("linear"), "denoiser"), Strength(), parts, torch.float32)


def test_scale_is_alpha_over_rank() -> None:
    assert adapter_of(module_of("3x3")).scale == ALPHA / RANK
