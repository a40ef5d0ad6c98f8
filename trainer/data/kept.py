"""The tensors of a run that are kept for later ones: how they are found again, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..models.content import computing_on, content_of
from .cache import DataCache, key_of
from .known import code_and_libraries, told_of
from .samples import Sample


class KeptTensors:
    """The tensors that modules make, by what they are made of.

    Args:
        modules: all whose weights the tensors depend on; hashed now.
        made: what else they depend on that is the same for all of them.
    """

    def __init__(self, cache: DataCache, modules: Sequence[nn.Module], device: torch.device, *made: object) -> None:
        self._cache = cache
        self._device = device
        weights = [content_of(module) for module in modules]
        self._made = key_of(weights, code_and_libraries(), computing_on(device), made)

    def key_of_text(self, texts: Sequence[str]) -> str:
        """Of prompts that are encoded together: the length of the longest is that of all."""
        return key_of("texts", self._made, tuple(texts))

    def key_of_sample(self, sample: Sample, together: int) -> str | None:
        """None where the file's content is not known for certain.

        Args:
            together: how many are encoded at once; for one alone the CPU adds in another order.
        """
        told = told_of(sample, self._cache)
        return None if told is None else key_of("sample", self._made, together, told)

    def keys_of_samples(self, samples: Sequence[Sample]) -> list[str] | None:
        """Of samples that are encoded together; None if one of them is not known."""
        keys = [self.key_of_sample(sample, len(samples)) for sample in samples]
        known = [key for key in keys if key is not None]
        return known if len(known) == len(keys) else None

    def get(self, key: str) -> dict[str, Tensor] | None:
        """On the CPU."""
        content = self._cache.get(key)
        try:
            return None if content is None else load(content)
        except (SafetensorError, ValueError, KeyError):  # whole, but of another kind: it will be computed
            return None

    def put(self, key: str, tensors: Mapping[str, Tensor | None]) -> None:
        present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        self._cache.put(key, save({name: tensor.detach().to("cpu").contiguous() for name, tensor in present.items()}))
