"""What the page works with: folders, lists of models, the worker with its store, and who may use the routes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config.choices import AUTOMATIC_CARD
from ...config.settings import Settings
from ...errors import UserError
from ...hosts.catalogue import Catalogue
from ...job import Account
from ...jobs.admission import admitted, require_model
from ...jobs.store import DONE, RUNNING, WAITING, Entry
from ...jobs.worker import Worker
from ...paths import Folders
from ...text.words import Words
from .access import Access
from .advice import Advisor
from .captioning import Captioning
from .data_room import DataRoom
from .gallery import Gallery
from .image_jobs import ImageJobs
from .preview import Preview
from .turns import Turns
from .variations import Variations

if TYPE_CHECKING:
    from ...engine.memory_fit import Fit, MemoryAdvice


@dataclass(frozen=True)
class PageContext:
    """One for the page, shared by everyone who opens it."""

    folders: Folders
    catalogue: Catalogue
    worker: Worker
    access: Access
    language: str = "en"
    """The page's: ``en`` or ``ja``, also as a host writes it (``ja_JP``)."""
    preset: str = ""
    """The preset the form begins with; empty for the mode's own defaults."""
    variations: Variations = field(default_factory=Variations)

    @cached_property
    def advisor(self) -> Advisor:
        """Looks up the chosen model and what suits it."""
        return Advisor(self.worker.host)

    @cached_property
    def turns(self) -> Turns:
        """Estimates of memory: one at a time, or many pages' together would keep the server from all else."""
        return Turns()

    @cached_property
    def preview(self) -> Preview:
        return Preview(self.folders)

    @cached_property
    def captioning(self) -> Captioning:
        return Captioning(self.folders, self.worker.host, self.worker.ready_host)

    @cached_property
    def data_room(self) -> DataRoom:
        return DataRoom(self.folders)

    @cached_property
    def gallery(self) -> Gallery:
        return Gallery(self.folders)

    @cached_property
    def image_jobs(self) -> ImageJobs:
        return ImageJobs(self.worker.ready_host)

    def memory_of(self, settings: Settings, card: str = AUTOMATIC_CARD) -> MemoryAdvice:
        """What a run with these settings takes of the memory; a second or two, and the first time as long as torch
        takes to load.

        Args:
            card: one of :data:`.config.choices.CARDS`.

        Raises:
            UserError: the settings, the model or a LoRA cannot be used.
        """
        host = self.worker.ready_host()
        from ...engine.memory_fit import memory_advice

        with self.turns.one() as wait:
            return memory_advice(settings, host, card, wait)

    def fitted(self, settings: Settings, card: str) -> Fit:
        """The settings with what makes them fit a card; as long as :meth:`memory_of`, or several times that.

        Raises:
            UserError: as for :meth:`memory_of`.
        """
        host = self.worker.ready_host()
        from ...engine.memory_fit import fit

        with self.turns.one() as wait:
            return fit(settings, host, card, wait=wait)

    @property
    def has_gpu(self) -> bool:
        """Whether runs compute on a GPU, as far as it is known without waiting for torch."""
        host = self.worker.made_host
        return host is not None and host.device.type == "cuda"

    @property
    def words(self) -> Words:
        return Words(self.language)

    def say(self, key: str, **values: Any) -> str:
        """A text of the page in its language."""
        return self.words.say(key, **values)

    @property
    def own_presets(self) -> Path:
        return self.folders.presets[0]

    def account_of(self, settings: Settings) -> Account:
        """What a job with these settings would be made from.

        Raises:
            UserError: the settings, the data or the model cannot be trained.
        """
        account = admitted(settings, self.folders, self.worker.made_host)
        require_model(settings, self.worker.host())
        return account

    def add(self, settings: Settings) -> Entry:
        """Add a job to the queue. Without a name it gets the mode's, with a number appended if that is taken.

        Raises:
            UserError: the settings cannot be trained, or the name is taken.
        """
        return self.worker.store.add(self.named(settings))

    def put(self, settings: Settings, number: int = 0) -> Entry:
        """Add a job, or give other settings to the one with this number.

        Raises:
            UserError: as for :meth:`add`; or the job is running, done or gone.
        """
        return self.worker.store.edit(number, self.named(settings)) if number else self.add(settings)

    def waiting(self, settings: Settings) -> Entry | None:
        """The job of that name that waits with these very settings, if there is one; a random seed is any seed."""
        store = self.worker.store
        entry = store.named(settings.save_lora_name) if settings.save_lora_name else None
        if entry is None or entry.status != WAITING:
            return None
        kept = store.job(entry.id).settings
        seed = kept.train_seed if settings.train_seed < 0 else settings.train_seed
        return entry if kept == replace(settings, train_seed=seed) else None

    def running_alike(self, settings: Settings | None) -> Entry | None:
        """The job that runs with these very settings, if one does; its name and a random seed do not count."""
        entry = self.worker.entry if self.worker.is_running else None
        if entry is None or settings is None:
            return None
        try:
            kept = self.worker.store.job(entry.id).settings
        except UserError:  # it is gone from the queue
            return None
        seed = kept.train_seed if settings.train_seed < 0 else settings.train_seed
        named = replace(settings, train_seed=seed, save_lora_name=kept.save_lora_name)
        return entry if kept == named else None

    def can_edit(self, entry: Entry) -> bool:
        """Whether the job may get other settings: it is not running and has no LoRA."""
        return entry.status not in (RUNNING, DONE) and entry.path is None

    def named(self, settings: Settings) -> Settings:
        if settings.save_lora_name:
            return settings
        store, name = self.worker.store, settings.mode
        if self.folders.lora(name).exists() or any(entry.name == name for entry in store.entries()):
            name = store.proposed_name(name)
        return replace(settings, save_lora_name=name)
