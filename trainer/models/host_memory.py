"""Weights that are somebody else's memory, and what becomes of them when that changes its owner's mind."""

from __future__ import annotations

from torch import Tensor, nn

from .base import Bundle


class HostMemory:
    """A bundle on a host's storage: knows which of its weights are the host's, also after some were cast or moved."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._theirs = _addresses(bundle)

    def renew(self, fresh: Bundle) -> None:
        """Give every weight that is still the host's the memory ``fresh`` has for it.

        What was copied meanwhile, because another type was asked for, is left alone: nobody else writes to it.

        Args:
            fresh: the same model, taken anew.
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
