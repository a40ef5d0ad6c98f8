"""What a host is: where the model comes from and where files go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor

from ..captioning.base import Captioner, Check
from ..config.settings import Settings
from ..models.about import About
from ..models.base import Bundle
from ..paths import Folders
from ..text.messages import Message
from .image_request import ImageRequest


class Choice(NamedTuple):
    """The model that will be trained on."""

    label: Message
    """In words."""
    family: str
    """Its name, as in :data:`.config.choices.FAMILIES`."""
    about: About = About()
    """What is found out about it, each with its reason."""


class Host(Protocol):
    """The program Trainyard runs inside, or none (``standalone``)."""

    @property
    def device(self) -> torch.device:
        """Where runs compute."""

    @property
    def folders(self) -> Folders:
        """Where things are kept."""

    @property
    def lends_model(self) -> bool:
        """Whether settings without a model mean the one that the host has loaded when the run begins."""

    def check_model(self, settings: Settings) -> Choice:
        """What will be trained on, from headers alone.

        Raises:
            ModelError: there is no such model, or it is something else.
        """

    def files(self, settings: Settings) -> tuple[Path, ...]:
        """The model that will be trained on, a file or a folder, and its VAE if that is one of its own.

        Raises:
            ModelError: there is no such file.
        """

    def defaults(self, settings: Settings) -> Mapping[str, Any]:
        """Settings by short name that suit the model, the mode and the LoRA to continue from better than the table's
        defaults.

        For those the user has not set (:meth:`Parsed.with_defaults`), before a job is made of them. Empty if the
        model cannot be used; :meth:`check_model` says why.
        """

    def prepare(self) -> None:
        """Load the libraries that :meth:`take_model` needs; called in a separate thread, which may wait."""

    def take_model(self, settings: Settings, check: Callable[[], None]) -> Bundle:
        """The model the settings name, or the one the host has loaded.

        Args:
            check: called again and again while the run waits for the lock, here and until :meth:`give_back`; raises
                ``Stopped`` where the run is no longer wanted.
        """

    def give_back(self) -> None:
        """Put the host's model back as it was; called however the run ended."""

    def between_steps(self, phase: Message, done: int, total: int) -> Sequence[Message]:
        """Called by the run's thread where nothing is being computed: at every step, and before the first.

        The host shows the progress, and lets others have the model who wait for it. It costs nothing where none wait.

        Returns:
            What the user should know about that; mostly nothing.

        Raises:
            Stopped: while others had the model. The run has not got it back and must not use it any more.
        """

    def saved(self, path: Path) -> None:
        """A LoRA file has been written: what the host has in memory of an older one of that name is outdated."""

    def make_room(self, bundle: Bundle, tensors: Sequence[Tensor]) -> Callable[[], None]:
        """Give the device's memory back for a pause: what of the model and of ``tensors`` is there leaves it.

        Returns:
            What brings all of it back exactly where it was. It raises ``RuntimeError`` if there is no room, and may
            then be called once more; ``Stopped``, if that was asked for while others had the model. It is not called
            if the run is stopped in the pause; :meth:`give_back` is.
        """

    @property
    def makes_previews(self) -> bool:
        """Whether the previews of a run are made by :meth:`draw`, from a file of what is trained."""

    def draw(self, request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        """Make images, one for each strength, in their order. Any thread may ask, also during a run.

        The host sees to who has the device: what it cannot do beside a run it refuses.

        Args:
            advance: called with how much is done of how much, again and again; raises ``Stopped`` to end it.

        Raises:
            UserError: the model or the LoRA cannot be used, or the device is not free.
            Stopped: from ``advance``; nothing is left of it.
        """

    def spare_device(self, check: Check) -> AbstractContextManager[torch.device]:
        """The device, for something that is neither a run nor an image: nobody else computes there during the block.

        The CPU while a run has the device; the run does not wait.

        Args:
            check: called again and again while this waits; raises ``Stopped``.
        """

    @property
    def interrogators(self) -> Sequence[str]:
        """The names of the host's own interrogators, which describe images; without a host, none."""

    def interrogator(self, name: str) -> Captioner:
        """One of them.

        Raises:
            UserError: there is none of that name.
        """
