"""A captioner that computes where it may just now: on the device, or on the CPU while a run has that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from PIL import Image

from ..errors import MemoryShortError
from .base import Captioner, Check, Description

_CPU = torch.device("cpu")


class Placed:
    """Loads the captioner before the first image, and again where the device it may use is another one.

    Where the device's memory is too short, it goes on on the CPU.

    Attributes:
        at: where the captioner computes; None before the first image.
    """

    def __init__(
        self,
        load: Callable[[torch.device], Captioner],
        device: Callable[[Check], AbstractContextManager[torch.device]],
        prepare: Callable[[], object] | None = None,
    ) -> None:
        """Args:
        load: makes the captioner for a device.
        device: the device for the time of a block, as :meth:`Host.spare_device` gives it.
        prepare: imports the libraries that it needs; called once, before the device is waited for.
        """
        self._load, self._device, self._prepare = load, device, prepare
        self._captioner: Captioner | None = None
        self.at: torch.device | None = None
        self._is_short = False

    def describe(self, image: Image.Image, check: Check) -> Description:
        if self._prepare is not None:
            self._prepare()
            self._prepare = None
        with self._device(check) as device:
            if self._is_short:
                return self._describe(image, check, _CPU)
            try:
                return self._describe(image, check, device)
            except MemoryShortError:
                if device == _CPU:
                    raise
                self._is_short = True
            return self._describe(image, check, _CPU)

    def _describe(self, image: Image.Image, check: Check, device: torch.device) -> Description:
        if self._captioner is None or self.at != device:
            self.close()
            self._captioner, self.at = self._load(device), device
        return self._captioner.describe(image, check)

    def close(self) -> None:
        if self._captioner is not None:
            self._captioner.close()
        self._captioner = None
