"""What differs from one WebUI to the next: how it keeps its model, and how it encodes a prompt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...config.size import Size
from ...models.base import HostTensors
from ...text.messages import message

_CLIP_SKIP = "CLIP_stop_at_last_layers"


class Loaded(NamedTuple):
    """The model that a host has in memory.

    Attributes:
        model: the host's own object; another object means another model.
        path: the checkpoint's file.
        vae: the file of the VAE it was given; None for the checkpoint's own.
    """

    model: Any
    path: Path
    vae: Path | None = None


class NotPlainError(Exception):
    """What the host has in memory cannot be trained on.

    Attributes:
        reason: why not, as a part of a sentence: "the WebUI keeps it in float8".
    """

    def __init__(self, key: str, /, **values: Any) -> None:
        self.reason = message(key, **values)
        super().__init__(key)


class Backend(ABC):
    """What :class:`~.host.WebUI` needs from one host; called with the host's lock held where it says so."""

    @abstractmethod
    def loaded(self) -> Loaded | None:
        """The model in memory, or None. Loads nothing; may be called from any thread."""

    @abstractmethod
    def chosen(self) -> Path:
        """The checkpoint the host would load if it had to generate now; may be called from any thread.

        Raises:
            ModelError: it has none.
        """

    @abstractmethod
    def load(self) -> None:
        """Have the host load what it would generate with; called with the lock held, when nothing is loaded."""

    @abstractmethod
    def tensors(self, loaded: Loaded) -> HostTensors:
        """The loaded model's clean weights, on the host's storage.

        Called with the lock held. LoRAs are out of the weights afterwards.

        Raises:
            NotPlainError: they are not what the checkpoint's file holds, or not all on one device.
        """

    @abstractmethod
    def prediction(self, loaded: Loaded) -> str:
        """What the host takes the model to predict: the name of a parameterisation, or what the host calls it."""

    @abstractmethod
    def has_zero_terminal_snr(self, loaded: Loaded) -> bool:
        """Whether the host's noise schedule for it leaves no signal at the last timestep."""

    skips_in_every_family: bool = False
    """Whether clip skip also acts in families that do not use the last layer."""

    @abstractmethod
    def encode(self, loaded: Loaded, prompt: str, size: Size | None) -> Any:
        """A prompt as the host encodes it for an image of this size; called with the lock, without gradients.

        Returns:
            What the host's model returns; see :meth:`Family.conditioning_of_host`.
        """

    @abstractmethod
    def step_aside(self) -> None:
        """Move the host's model off the device to make room for one of ours; called with the lock held."""

    @abstractmethod
    def step_back(self) -> None:
        """Undo :meth:`step_aside`."""

    def saved(self, path: Path) -> None:
        """A LoRA file was written: the host lists it, and uses this one under its name, whatever it has in memory."""
        del path


@contextmanager
def clip_skip(layer: int) -> Iterator[None]:
    """Have the host take prompts from this layer of the text encoder while the block lasts; 0: as its user chose."""
    from modules import shared

    if not layer:
        yield
        return
    options: dict[str, Any] = shared.opts.data  # not by its attributes, which may be frozen
    before = {name: options[name] for name in (_CLIP_SKIP,) if name in options}
    options[_CLIP_SKIP] = layer
    try:
        yield
    finally:
        del options[_CLIP_SKIP]
        options.update(before)


def encoded(model: Any, prompt: str, size: Size | None) -> Any:
    """What a host's model makes of a prompt for an image of this size, in the precision the host computes in."""
    from modules import devices, prompt_parser

    width, height = size or Size(1024, 1024)
    wanted = prompt_parser.SdConditioning([prompt], width=width, height=height)
    with devices.autocast():
        return model.get_learned_conditioning(wanted)
