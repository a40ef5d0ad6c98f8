"""LoRA (Hu et al. 2021): ``W x + strength · alpha / rank · up(down(x))`` on linears and convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.lora_target import Target
from .base import Adapter, Parts, Strength, does_not_fit, scaled_product, weight_of
from .linears import Products, Shared, changed

_LARGEST_RANK = 4096


class LoRA(Adapter):
    """A product of two thin matrices beside a Linear or a Conv2d.

    Both are kept in their own precision (float32 as a rule) and used in that of the input: the optimizer sees full
    precision, the model's half precision is not left, and no autocast is needed.
    """

    label = "LoRA"
    part_sets = (frozenset({"lora_down.weight", "lora_up.weight"}),)
    input_part = "lora_down.weight"

    def __init__(self, target: Target, strength: Strength, down: Tensor, up: Tensor, alpha: float) -> None:
        super().__init__(target, strength)
        self.down = nn.Parameter(down)  # (rank, in) or (rank, in, kh, kw)
        self.up = nn.Parameter(up)  # (out, rank) or (out, rank, 1, 1)
        self.alpha = alpha
        module = target.module
        self._conv = (module.stride, module.padding, module.dilation) if isinstance(module, nn.Conv2d) else None

    @classmethod
    def new(cls, target: Target, strength: Strength, rank: int, alpha: float, generator: torch.Generator) -> LoRA:
        """``down`` uniform as torch's Linear starts (Kaiming, a = sqrt 5), ``up`` zero."""
        weight = weight_of(target.module)
        down = torch.empty(rank, *weight.shape[1:])
        bound = 1.0 / math.sqrt(down[0].numel())
        down.uniform_(-bound, bound, generator=generator)
        up = torch.zeros(weight.shape[0], rank, *[1] * (weight.ndim - 2))
        return cls(target, strength, down, up, alpha)

    @classmethod
    def load(cls, target: Target, strength: Strength, parts: Parts, dtype: torch.dtype) -> LoRA:
        down, up = parts["lora_down.weight"], parts["lora_up.weight"]
        weight = weight_of(target.module)
        if weight.ndim == 2:
            down, up = down.flatten(1), up.flatten(1)
        elif down.ndim == up.ndim == 2:
            down, up = down[:, :, None, None], up[:, :, None, None]
        if down.shape[1:] != weight.shape[1:] or up.shape != (weight.shape[0], down.shape[0], *[1] * (weight.ndim - 2)):
            raise does_not_fit(target, up, down)
        # Copied where nothing is cast: what is trained must not be a page of the file.
        down, up = (each.to(dtype, copy=True).contiguous() for each in (down, up))
        return cls(target, strength, down, up, float(parts["alpha"]))

    @classmethod
    def is_wide(cls, parts: Parts) -> bool:
        return parts["lora_down.weight"].shape[2:] not in ((), (1, 1))

    @classmethod
    def norm_of(cls, parts: Parts, _weight: Tensor | None, /) -> float:
        up, down = parts["lora_up.weight"], parts["lora_down.weight"]
        return abs(float(parts["alpha"])) / down.shape[0] * product_norm(up, down)

    @property
    def scale(self) -> float:
        return self.alpha / self.down.shape[0]

    def changed(self, x: Tensor) -> Tensor:
        """On linears strength and scale are factors of the products, and the sum is part of the last one."""
        if self._conv is not None or self.dropout is not None:
            return super().changed(x)
        return _changed([self], x)[0] if self.shared is None else self.shared.of(self, x)

    def used_together(self) -> Iterator[tuple[nn.Parameter, ...]]:
        shared = [] if self.shared is None or self.dropout is not None else self.shared.members
        if not shared:
            yield (self.down,)
        elif shared[0] is self:
            yield tuple(each.down for each in shared)
        yield (self.up,)

    @classmethod
    def share(cls, adapters: Sequence[LoRA]) -> None:
        if len({each.scale for each in adapters}) == 1 and not any(each._conv for each in adapters):
            cls.put_together(Shared(adapters, _changed))

    def update(self, x: Tensor) -> Tensor:
        down, up = self.in_type_of(x, self.down, self.up)
        if self._conv is None:
            return F.linear(self._thinned(F.linear(x, down), -1), up)
        stride, padding, dilation = self._conv
        return F.conv2d(self._thinned(F.conv2d(x, down, None, stride, padding, dilation), 1), up)

    def _thinned(self, hidden: Tensor, ranks: int) -> Tensor:
        return hidden if self.dropout is None else self.dropout.thinned(hidden, self.number, ranks)

    def zero_at_first(self) -> list[nn.Parameter]:
        return [self.up]

    def on_inputs(self) -> list[nn.Parameter]:
        return [self.down]

    @torch.no_grad()
    def start_as(self, left: Tensor, right: Tensor) -> None:
        """``down``'s rows keep the length they start with, so that both matrices learn as fast as in a new LoRA."""
        used = min(len(right), len(self.down))
        left, right = left[:, :used], right[:used]
        down, up = self.down[:used], self.up[:, :used]
        lengths = right.flatten(1).norm(dim=1).clamp(min=torch.finfo(right.dtype).tiny)  # (r,)
        stretch = down.flatten(1).norm(dim=1).to(lengths) / lengths
        down.copy_((right * stretch[:, None]).view_as(down))
        up.copy_((left / (stretch * self.scale)).view_as(up))

    def tensors(self) -> dict[str, Tensor]:
        alpha = torch.tensor(self.alpha, dtype=self.down.dtype)
        return {"lora_down.weight": self.down, "lora_up.weight": self.up, "alpha": alpha}

    def scaled(self, factor: float) -> dict[str, Tensor]:
        return scaled_product(self.tensors(), factor)


def _changed(adapters: Sequence[LoRA], x: Tensor) -> Sequence[Tensor]:
    """The outputs of linears for one input, with a ``down`` product for all of them."""
    down = adapters[0].stacked(x, [each.down for each in adapters])
    ups = [each.stacked(x, [each.up]) for each in adapters]
    modules = [(each.module, each.inner) for each in adapters]
    made = changed(_PRODUCTS, modules, x, adapters[0].strength.times(adapters[0].scale, x), [down, *ups])
    return [each.added(each.inner(x), x) for each in adapters] if made is None else made


_PRODUCTS = Products()


def product_norm(up: Tensor, down: Tensor) -> float:
    """The Frobenius norm of ``up @ down``, without making the product where that is larger than rank by rank.

    ``|UD|² = tr(UᵀU · DDᵀ)``: two matrices of rank by rank. In double precision, since the trace may cancel; on the
    CPU, since not every device has doubles.
    """
    u = up.detach().cpu().double().flatten(1)  # (out, rank)
    d = down.detach().cpu().double().flatten(1)  # (rank, in)
    if d.shape[0] > _LARGEST_RANK and u.shape[0] * d.shape[1] < d.shape[0] ** 2:
        return float((u @ d).norm())
    return math.sqrt(max(0.0, float(((u.T @ u) * (d @ d.T)).sum())))
