"""Weights that lie in a host's memory, and how they are renewed when the host has moved or replaced its own."""

from __future__ import annotations

from torch import Tensor, nn

from .base import Bundle


class HostMemory:
    """The weights of a bundle that are a host's memory, also after some of them were cast or moved."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._theirs = _addresses(bundle)

    def renew(self, fresh: Bundle) -> None:
        """Point every weight that is still the host's to the memory that ``fresh`` has for it.

        Weights that were copied, because another type was asked for, are left alone: nobody else writes to them.

        Args:
            fresh: the same model, taken from the host again.
        """
        for part, module in self._bundle.modules.items():
            wanted = _weights(fresh.modules[part])
            for name, tensor in _weights(module).items():
                if tensor.data_ptr() in self._theirs and name in wanted:
                    tensor.data = wanted[name].data.to(tensor.device, tensor.dtype)
        self._theirs = _addresses(fresh)


def _weights(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters(remove_duplicate=False))


def _addresses(bundle: Bundle) -> set[int]:
    return {tensor.data_ptr() for module in bundle.modules.values() for tensor in module.parameters()}
