"""Values of a run as JSON and tensors, and back: what optimizers and schedules hold, exactly as they hold it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_KIND = "trainyard"
"""The key of an object that stands for what JSON does not have."""


class NotKept(Exception):
    """A value that is no number, text, tensor or a collection of these."""


def attributes_of(owner: object, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What of an object's attributes can be kept; functions and other objects are made anew with it."""
    found = {}
    for name, value in vars(owner).items():
        if name in without:
            continue
        try:
            Packed(torch.device("cpu")).pack(value)
        except NotKept:
            continue
        found[name] = value
    return found


class Packed:
    """Values taken out of a run: the tensors copied to the CPU, the rest as what JSON can hold.

    Args:
        device: the run's; what is elsewhere, as the counters of some optimizers are, stays on the CPU.

    Attributes:
        tensors: the copies, by name; one that occurs several times is kept once.
        left_out: what of a mapping could not be kept, by its path.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.tensors: dict[str, Tensor] = {}
        self.left_out: list[str] = []
        self._names: dict[int, str] = {}

    def pack(self, value: Any, path: str = "") -> Any:
        """A value, as JSON can hold it.

        Raises:
            NotKept: it can be kept neither as a whole nor in part.
        """
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {_KIND: "float", "value": repr(value)}
        if isinstance(value, Tensor):
            return self._tensor(value, path)
        if type(value) in (list, tuple):
            items = [self.pack(each, f"{path}/{number}") for number, each in enumerate(value)]
            return items if type(value) is list else {_KIND: "tuple", "items": items}
        if type(value) is dict:
            return self._mapping(value, path)
        raise NotKept(path)

    def _mapping(self, value: dict[Any, Any], path: str) -> dict[str, Any]:
        items = []
        for key, each in value.items():
            inner = f"{path}/{key}"
            try:
                items.append([self.pack(key, inner), self.pack(each, inner)])
            except NotKept:
                self.left_out.append(inner)
        if all(isinstance(key, str) and key != _KIND for key, _ in items):
            return dict(items)
        return {_KIND: "mapping", "items": items}

    def _tensor(self, value: Tensor, path: str) -> dict[str, Any]:
        name = self._names.setdefault(id(value), path.lstrip("/"))
        if name not in self.tensors:
            copied = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
            self.tensors[name] = copied
        paged = getattr(value, "is_paged", False)
        on = "both" if paged else "device" if value.device.type == self._device.type else "cpu"
        return {_KIND: "tensor", "name": name, "on": on}


def unpacked(value: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """What :meth:`Packed.pack` was given; tensors that were on the run's device are put on ``device``.

    One that was in memory which the device and the CPU share is on the CPU, and marked ``is_paged`` as it was.
    """
    if isinstance(value, list):
        return [unpacked(each, tensors, device) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    if kind is None:
        return {key: unpacked(each, tensors, device) for key, each in value.items()}
    if kind == "float":
        return float(value["value"])
    if kind == "tensor":
        return _placed(tensors[value["name"]], device, on=value["on"])
    items = [unpacked(each, tensors, device) for each in value["items"]]
    return tuple(items) if kind == "tuple" else dict(items)


def _placed(tensor: Tensor, device: torch.device, *, on: str) -> Tensor:
    if on == "device":
        return tensor.to(device, copy=True)
    copied = tensor.clone()
    if on == "both":
        copied.is_paged = True  # type: ignore[attr-defined]
    return copied
