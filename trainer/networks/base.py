"""What a network is: adapters attached by path to a frozen model, with one strength for all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ..diffusion.random import StepRandom
from ..errors import NetworkError
from ..models.checkpoint.parts import TEXT_ENCODER, is_text_encoder
from ..models.lora_target import Target
from ..text.messages import label
from .copies import copied
from .dropout import Dropout
from .linears import Shared


class Strength:
    """How strongly a network acts, shared by all its adapters. A number, or one a sample ``(B,)``."""

    def __init__(self, value: float = 1.0) -> None:
        self.value: float | Tensor = value

    def is_off(self) -> bool:
        return not isinstance(self.value, Tensor) and self.value == 0.0

    def times(self, scale: float, like: Tensor) -> float | Tensor:
        """Strength times ``scale``, ready to be multiplied with ``like`` ``(B, …)``."""
        if not isinstance(self.value, Tensor):
            return self.value * scale
        return (self.value * scale).to(like.dtype).view(-1, *([1] * (like.ndim - 1)))


Parts = Mapping[str, Tensor]
"""The tensors of one module in a file, by kohya's and LyCORIS's names: ``lora_down.weight``, ``hada_w1_a``, ``alpha``
…; ``alpha`` is always there."""


class Adapter(nn.Module, ABC):
    """Adds a trained update to one frozen module by standing in for its ``forward``.

    A network type is a subclass. It owns everything that concerns its tensors: how they start, what they compute, how
    a file holds them, and how large the update is.

    The original module is kept out of this module's children: its weights are not ours to move, save or train.

    Attributes:
        copies: of its parameters, in the type they are used in, by those that make one matrix; see :mod:`.copies`.
    """

    label: ClassVar[str]
    """What a file of this type is called: ``LoRA``."""
    part_sets: ClassVar[tuple[frozenset[str], ...]]
    """The names of a module's tensors in a file, beside ``alpha``; one set for each form they may have."""
    input_part: ClassVar[str]
    """The one of them that is ``(rank, in, …)``; empty if none is, and then :meth:`rank_of` says the rank."""

    dropout: Dropout | None = None
    """What it leaves out in training, shared by a network's adapters; None: nothing."""
    number = 0
    """Its place in the network, which tells its masks from the others'."""
    computes_in: torch.dtype | None = None
    """The type of its last input."""
    shared: Shared[Any] | None = None
    """What it is computed with, where others read the same input; see :meth:`share`."""

    def __init__(self, target: Target, strength: Strength) -> None:
        super().__init__()
        self.name = target.name
        self.part = target.part
        self.depth = target.depth
        self.reads, self.reads_prompt = target.reads, target.reads_prompt
        self.strength = strength
        self.copies: dict[tuple[Tensor, ...], Tensor] = {}
        self._target = (target.module,)
        self._inner: Callable[..., Tensor] = target.module.forward

    @classmethod
    @abstractmethod
    def new(cls, target: Target, strength: Strength, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
        """An adapter that changes nothing yet, in float32 on the CPU, its first weights drawn from ``generator``."""

    @classmethod
    @abstractmethod
    def load(cls, target: Target, strength: Strength, parts: Parts, dtype: torch.dtype) -> Adapter:
        """An adapter with a file's tensors, copied and cast to ``dtype``, on the CPU.

        Raises:
            NetworkError: they do not fit the module.
        """

    @classmethod
    @abstractmethod
    def is_wide(cls, parts: Parts) -> bool:
        """Whether tensors of a file belong to a convolution with a kernel wider than 1×1."""

    @classmethod
    @abstractmethod
    def norm_of(cls, parts: Parts, weight: Tensor | None, /) -> float | None:
        """The Frobenius norm of the update at strength 1, alpha included, from its tensors.

        Args:
            weight: the frozen weight beside it; None where there is only the file.

        Returns:
            None if it depends on the weight and there is none.
        """

    @classmethod
    def rank_of(cls, parts: Parts) -> int:
        """The rank of the update that tensors of a file make."""
        return parts[cls.input_part].shape[0]

    @abstractmethod
    def update(self, x: Tensor) -> Tensor:
        """The update's output for the input ``x``, before strength and scale."""

    def zero_at_first(self) -> Sequence[nn.Parameter]:
        """Those of its parameters that are zero in a new adapter: LoRA+ trains them at a higher rate."""
        return ()

    def on_inputs(self) -> Sequence[nn.Parameter]:
        """Those that multiply the module's input; none where no parameter does that alone."""
        return ()

    def start_as(self, _left: Tensor, _right: Tensor) -> None:
        """Start with the update ``left @ right`` in place of none.

        Args:
            _left: ``(out, r)`` and …
            _right: ``(r, in)``, float, with at most as many ranks as the adapter has.

        Raises:
            NotImplementedError: its update is no such product; see :attr:`.NetworkInfo.is_product`.
        """
        raise NotImplementedError

    @property
    @abstractmethod
    def scale(self) -> float:
        """What that output is multiplied by beside the strength: alpha over rank."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What the file holds of this adapter, by the last part of its key; the trained ones are its parameters."""

    @abstractmethod
    def scaled(self, factor: float) -> dict[str, Tensor]:
        """The same, detached, with the update multiplied by ``factor``."""

    @torch.no_grad()
    def multiply(self, factor: float) -> None:
        """Multiply the update itself by ``factor``."""
        scaled = self.scaled(factor)
        for key, tensor in self.tensors().items():
            if isinstance(tensor, nn.Parameter):
                tensor.copy_(scaled[key])

    def norm(self, weight: Tensor | None = None) -> float:
        """The norm of its own update.

        Args:
            weight: :attr:`weight`, where the caller has it at hand.
        """
        norm = self.norm_of(self.tensors(), self.weight if weight is None else weight)
        assert norm is not None, "the weight is given"
        return norm

    @property
    def is_trained(self) -> bool:
        """Whether it is not only carried along."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @property
    def inner(self) -> Callable[..., Tensor]:
        """What the module computes without it."""
        return self._inner

    @property
    def module(self) -> nn.Module:
        """The frozen module it stands in for."""
        return self._target[0]

    @property
    def inputs(self) -> int:
        """How many numbers the module reads at a place."""
        module = self.module
        assert isinstance(module, (nn.Linear, nn.Conv2d))
        return module.in_features if isinstance(module, nn.Linear) else module.in_channels

    @property
    def weight(self) -> Tensor:
        """The frozen weight that the update is added to."""
        return weight_of(self.module)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # diffusers of the older hosts passes a ``scale`` to its projections; the original module does not take it.
        if self.strength.is_off() or (self.dropout is not None and self.dropout.leaves_out(self.number)):
            return self._inner(x)
        return self.changed(x)

    def changed(self, x: Tensor) -> Tensor:
        """The module's output for the input ``x``, with the update."""
        return self.added(self._inner(x), x)

    def added(self, original: Tensor, x: Tensor) -> Tensor:
        """The update for the input ``x`` added to what the module makes of it."""
        factor = self.strength.times(self.scale, original)
        update = self.update(x)
        if isinstance(factor, Tensor):
            return original + update * factor
        return torch.add(original, update, alpha=factor)

    def in_type_of(self, x: Tensor, *parameters: Tensor) -> list[Tensor]:
        """Its parameters in the type of an input: their copies, where a batch has any, and else cast here."""
        return [self.stacked(x, [parameter]) for parameter in parameters]

    def stacked(self, x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """The rows of parameters as one matrix in the type of an input: their copy, where a batch has one."""
        self.computes_in = x.dtype
        found = self.copies.get(tuple(parameters)) if self.copies else None
        if found is None:
            found = parameters[0] if len(parameters) == 1 else torch.cat([each.to(x.dtype) for each in parameters])
        return found if found.dtype == x.dtype else found.to(x.dtype)

    def used_together(self) -> Iterator[tuple[nn.Parameter, ...]]:
        """The parameters it computes with, its own as a rule; those whose rows make one matrix together."""
        return ((each,) for each in self.parameters())

    @classmethod
    def share(cls, _adapters: Sequence[Any]) -> None:
        """Be told of adapters of this type whose modules read the same input, one after the other."""

    @staticmethod
    def put_together(shared: Shared[Any]) -> None:
        """Compute adapters together from now on."""
        for each in shared.members:
            each.shared = shared

    def forget(self) -> None:
        """Let go of what was made for a batch."""
        self.copies.clear()
        if self.shared is not None:
            self.shared.forget()

    def attach(self) -> None:
        """Stand in for the module's ``forward``; adapters attached before this one stay inside."""
        self._inner = self._target[0].forward
        self._target[0].forward = self.forward

    def detach(self) -> None:
        """Undo :meth:`attach`; adapters come off in the reverse of the order in which they went on."""
        module = self._target[0]
        module.__dict__.pop("forward", None)
        if module.forward != self._inner:
            module.forward = self._inner


class Builder(Protocol):
    """Makes one new adapter."""

    def __call__(self, target: Target, strength: Strength, generator: torch.Generator) -> Adapter: ...


def builder_of(adapter: type[Adapter], ranks: Ranks, dtype: torch.dtype, device: torch.device) -> Builder:
    """How new adapters of a type are made; their weights are drawn on the CPU, the same for every device and type."""

    def make(target: Target, strength: Strength, generator: torch.Generator) -> Adapter:
        rank, alpha = ranks.of(target.module)
        return adapter.new(target, strength, rank, alpha, generator).to(device, dtype)

    return make


class Network(nn.Module):
    """All adapters of one LoRA.

    Strength belongs to the network, not to a forward pass: with gradient checkpointing the backward pass calls the
    adapters once more, so the strength a loss was made with must still be set when ``backward`` runs.
    """

    def __init__(self, adapters: list[Adapter], strength: Strength, kept: Mapping[str, Tensor] | None = None) -> None:
        """Args:
        kept: what else goes into its file, by its keys there; it takes part in nothing.
        """
        super().__init__()
        self.adapters = nn.ModuleList(adapters)
        self._strength = strength
        self._kept = dict(kept or {})
        self._dropout: Dropout | None = None
        by_input: dict[tuple[type[Adapter], str], list[Adapter]] = {}
        for adapter in adapters:
            if adapter.reads:
                by_input.setdefault((type(adapter), adapter.reads), []).append(adapter)
        for (kind, _), members in by_input.items():
            if len(members) > 1 and len({each.is_trained for each in members}) == 1:
                # By name: sums are taken in the same order in a network that is built and in one that is read.
                kind.share(sorted(members, key=lambda each: each.name))

    @property
    def strength(self) -> float | Tensor:
        return self._strength.value

    @strength.setter
    def strength(self, value: float | Tensor) -> None:
        self._strength.value = value

    @contextmanager
    def off(self) -> Iterator[None]:
        """The untouched base model, for a teacher's prediction."""
        before = self._strength.value
        self._strength.value = 0.0
        try:
            yield
        finally:
            self._strength.value = before

    @contextmanager
    def attached(self) -> Iterator[Network]:
        """Attach to the model, and leave the model as it was however the block ends."""
        self.attach()
        try:
            yield self
        finally:
            self.detach()

    def is_new(self) -> bool:
        """Whether it changes nothing yet."""
        zero = [each for adapter in self for each in adapter.zero_at_first()]
        return bool(zero) and not any(each.any() for each in zero)

    def attach(self) -> None:
        for adapter in self:
            adapter.attach()

    def detach(self) -> None:
        for adapter in self:
            adapter.detach()

    def __iter__(self) -> Iterator[Adapter]:
        for adapter in self.adapters:
            assert isinstance(adapter, Adapter)
            yield adapter

    def __len__(self) -> int:
        return len(self.adapters)

    def adapters_of(self, part: str) -> Iterator[Adapter]:
        """The adapters of the ``denoiser``, or of all text encoders (``text_encoder``)."""
        return (each for each in self if (TEXT_ENCODER if is_text_encoder(each.part) else each.part) == part)

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """Their trainable parameters; adapters that are only carried along have none."""
        found = (parameter for adapter in self.adapters_of(part) for parameter in adapter.parameters())
        return [parameter for parameter in found if parameter.requires_grad]

    def drop_out(self, dropout: Dropout) -> None:
        """Leave something out of what is trained in each batch; see :meth:`in_batch`."""
        self._dropout = dropout
        for number, adapter in enumerate(self):
            if adapter.is_trained:
                adapter.dropout, adapter.number = dropout, number

    @contextmanager
    def in_batch(self, rng: StepRandom) -> Iterator[None]:
        """A batch is trained while the block lasts, its backward pass included; dropout acts nowhere else."""
        dropping_out = nullcontext() if self._dropout is None else self._dropout.during(rng)
        with dropping_out, copied(list(self)):
            yield

    def tensors(self, *, factor: float = 1.0) -> dict[str, Tensor]:
        """Every tensor of the file by its key, the update multiplied by ``factor``; detached, not copied."""
        named: dict[str, Tensor] = {}
        for adapter in self:
            parts = adapter.tensors() if factor == 1.0 else adapter.scaled(factor)
            for key, tensor in parts.items():
                named[f"{adapter.name}.{key}"] = tensor.detach()
        return named | self._kept


def build(targets: list[Target], make: Builder, generator: torch.Generator) -> Network:
    """One adapter a target, their first weights drawn from ``generator`` (on the CPU) in the order of ``targets``.

    Raises:
        NetworkError: there is no target.
    """
    refuse_none(targets)
    strength = Strength()
    return Network([make(target, strength, generator) for target in targets], strength)


def refuse_none(targets: Sequence[Target]) -> None:
    """Raise if there is nothing to train.

    Raises:
        NetworkError: the sentence for it.
    """
    if not targets:
        raise NetworkError("networks.nothing_to_train", where=label("network_blocks"))


@dataclass(frozen=True)
class Ranks:
    """How large the adapters are: one rank and alpha for matrices, one for convolutions wider than 1×1.

    Attributes:
        conv_rank: 0 is the same as ``rank``.
        conv_alpha: 0 is the same as ``alpha``.
    """

    rank: int
    alpha: float
    conv_rank: int = 0
    conv_alpha: float = 0.0

    def of(self, module: nn.Module) -> tuple[int, float]:
        """Rank and alpha of the adapter of a module."""
        if is_wide(module):
            return self.conv_rank or self.rank, self.conv_alpha or self.alpha
        return self.rank, self.alpha


def scaled_product(parts: Parts, factor: float) -> dict[str, Tensor]:
    """An update that is a product of its tensors, multiplied by ``factor``: spread evenly, the sign on the last."""
    names = [name for name in parts if name != "alpha"]
    root = abs(factor) ** (1 / len(names))
    shares = dict.fromkeys(names, root) | {names[-1]: math.copysign(root, factor), "alpha": 1.0}
    return {name: part.detach() * shares[name] for name, part in parts.items()}


def is_wide(module: nn.Module) -> bool:
    """Whether it is a convolution with a kernel wider than 1×1."""
    return isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)


def weight_of(module: nn.Module) -> Tensor:
    """The frozen weight of a Linear ``(out, in)`` or a Conv2d ``(out, in, height, width)``."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def does_not_fit(target: Target, *tensors: Tensor) -> NetworkError:
    """The sentence for tensors of a file that are not the update of a module."""
    shapes = [str(tuple(tensor.shape)) for tensor in tensors]
    wanted = str(tuple(weight_of(target.module).shape))
    return NetworkError("networks.other_shapes", module=target.name, shapes=shapes, wanted=wanted)
