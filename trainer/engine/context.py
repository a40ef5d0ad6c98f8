"""What every part of a run works with, once the model is there."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.sample_prompts import SamplePrompt
from ..config.settings import Settings
from ..data.cache import DataCache
from ..data.latents import Dataset
from ..job import Control, Job, Listener
from ..models.base import Bundle
from ..models.checkpoint.hashes import Hashing
from ..models.precision import Precision
from ..networks.files.metadata import Origin
from ..paths import RunFiles
from .host import Host
from .keeper import StateKeeper
from .processes import Processes


@dataclass(frozen=True)
class RunContext:
    """One run.

    Attributes:
        settings: those in effect, with the size a pair is trained at.
        files: where logs, samples and the settings go.
        origin: what goes into the files; each pass puts in its own settings and usage.
        hashing: the checkpoint's hashes, which are computed meanwhile.
        data: the images, for modes that need them.
        validation: the images that are not trained, if there are any.
        keeper: what the run would be continued from, or is.
        prompts: of the previews.
        cache: what is kept of images and captions for later runs.
        processes: that train together, of which this is one; None for one alone.
    """

    job: Job
    settings: Settings
    host: Host
    files: RunFiles
    control: Control
    emit: Listener
    bundle: Bundle
    precision: Precision
    origin: Origin
    hashing: Hashing
    data: Dataset | None
    validation: Dataset | None
    keeper: StateKeeper
    prompts: tuple[SamplePrompt, ...]
    cache: DataCache | None = None
    processes: Processes | None = None

    @property
    def writes(self) -> bool:
        """Whether files come of it: one of several processes writes them for all."""
        return self.processes is None or self.processes.is_first
