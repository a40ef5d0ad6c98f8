"""The conditionings of a pass's captions, where the text encoder is not trained or is asked without what is trained.

Captions that change from step to step are known before the first one, since they depend on seed and step alone. If all
of them fit, they are encoded once and the text encoder is no longer needed; if not, each step encodes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from ..config.settings import Settings
from ..data.captions.variants import CaptionRules
from ..data.latents import Dataset
from ..models.base import Conditioning
from ..models.placement import device_of
from ..text.messages import message
from .base import PassContext, encode_each

MOST_ON_DEVICE = 512 * 2**20
"""Bytes of conditionings that stay on the device."""
MOST_IN_MEMORY = 2 * 2**30
"""The same for the machine's memory; more are encoded at each step."""
_FEW = 16
_BATCHES_A_REPORT = 500
_PHASE = message("phase.encoding_captions")


class CaptionConditionings:
    """What the text encoder makes of captions, without gradients.

    Args:
        of_base: without the network. Otherwise with adapters of the text encoder, which are frozen and may be part of a
            LoRA that is continued from.
        change: what is encoded in the place of a caption.
        others: what else steps ask for, as it is.

    Attributes:
        encodes_each_step: whether the text encoder is needed at every step.
    """

    def __init__(
        self,
        context: PassContext,
        data: Dataset,
        *,
        of_base: bool,
        change: Callable[[str], str] = str,
        others: Sequence[str] = (),
    ) -> None:
        self._context = context
        self._network: Callable[[], AbstractContextManager[None]] = context.network.off if of_base else nullcontext
        self._change = change
        self._device = device_of(context.bundle.denoiser)
        self._known: dict[str, Conditioning] = {}
        self.encodes_each_step = False
        if not data.captions_vary:
            self._encode(self._changed(data.captions), others)
            return
        few = self._changed(data.captions)[:_FEW]
        with self._network():
            sizes = [bytes_of(each) for each in encode_each(context, few, _PHASE, literal=True, keeps=False)]
        each = sum(sizes) / len(sizes)
        captions = self._of_run(data, int(MOST_IN_MEMORY / each))
        self.encodes_each_step = captions is None
        if captions is not None:
            self._encode(captions, others, "cpu" if len(captions) * each > MOST_ON_DEVICE else None, keeps=False)

    def of(self, captions: Sequence[str]) -> Conditioning:
        """Those of a step's captions, on the device."""
        changed = [self._change(caption) for caption in captions]
        if not self.encodes_each_step:
            return Conditioning.cat([self._known[caption] for caption in changed]).to(self._device)
        with torch.no_grad(), self._network():
            return self._context.bundle.encode(changed, literal=True)

    def _changed(self, captions: Iterable[str]) -> list[str]:
        """Each as it is to be encoded, once."""
        return list(dict.fromkeys(map(self._change, captions)))

    def _encode(
        self, captions: Sequence[str], others: Sequence[str], home: str | None = None, *, keeps: bool = True
    ) -> None:
        """What is drawn for one run is not kept for others."""
        drawn = [each for each in others if each not in captions]
        for each, lasting in ((captions, keeps), (drawn, False)):
            with self._network():
                found = encode_each(self._context, each, _PHASE, literal=True, keeps=lasting, home=home)
            self._known.update(zip(each, found, strict=True))

    def _of_run(self, data: Dataset, most: int) -> tuple[str, ...] | None:
        """Every caption of the run once, in the order in which they come; None if there are more than ``most``."""
        found: dict[str, None] = {}
        batches = _most_batches(self._context.settings)
        for batch in range(1, batches + 1):
            if batch % _BATCHES_A_REPORT == 1:
                self._context.progress(message("phase.listing_captions"), batch - 1, batches)
            found.update(dict.fromkeys(self._changed(data.captions_of(batch))))
            if len(found) > most:
                return None
        return tuple(found)


def bytes_of(conditioning: Conditioning) -> int:
    """What its tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in conditioning.tensors().values())


def most_bytes(settings: Settings, each: int, *, on_cpu: bool) -> int:
    """The most that captions that change from step to step take on the device, where one takes ``each`` bytes."""
    needed = _bytes_of_run(settings, each)
    return needed if needed <= (MOST_IN_MEMORY if on_cpu else MOST_ON_DEVICE) else 0


def may_encode_each_step(settings: Settings, each: int) -> bool:
    """Whether captions that change from step to step may be too many to be kept, where one takes ``each`` bytes."""
    return _bytes_of_run(settings, each) > MOST_IN_MEMORY


def _bytes_of_run(settings: Settings, each: int) -> int:
    """Of captions that change, if no two are alike; 0 where they do not change."""
    if not CaptionRules.of(settings).varies("a {b|c}\nd"):
        return 0
    return _most_batches(settings) * settings.train_batch_size * each * (2 if settings.train_self_reg > 0 else 1)


def _most_batches(settings: Settings) -> int:
    """The number of a run's last batch, or a few more: the last step of an epoch may take fewer than the others."""
    return settings.train_iterations * settings.train_gradient_accumulation
