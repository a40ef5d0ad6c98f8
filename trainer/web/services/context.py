"""What the page works with: folders, lists of models, the worker with its store, and who may ask the API."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...config.settings import Settings
from ...hosts.catalogue import Catalogue
from ...jobs.store import DONE, RUNNING, Entry
from ...jobs.worker import Worker
from ...paths import Folders
from ...text.words import Words
from .access import Access
from .advice import Advisor
from .image_jobs import ImageJobs
from .preview import Preview
from .variations import Variations


@dataclass(frozen=True)
class PageContext:
    """One for the whole page, shared by everybody who looks at it."""

    folders: Folders
    catalogue: Catalogue
    worker: Worker
    access: Access
    language: str = "en"
    """What the page is read in: ``en`` or ``ja``, also as a host writes it (``ja_JP``)."""
    preset: str = ""
    """The one the form begins with; empty for the mode's own defaults."""
    preview: Preview = field(default_factory=Preview)
    variations: Variations = field(default_factory=Variations)

    @cached_property
    def advisor(self) -> Advisor:
        """Knows which model is chosen and what suits it."""
        return Advisor(self.worker.host)

    @cached_property
    def image_jobs(self) -> ImageJobs:
        return ImageJobs(self.worker.ready_host)

    @property
    def words(self) -> Words:
        return Words(self.language)

    def say(self, key: str, **values: Any) -> str:
        """A sentence of the page in its language."""
        return self.words.say(key, **values)

    @property
    def own_presets(self) -> Path:
        return self.folders.presets[0]

    def add(self, settings: Settings) -> Entry:
        """A new job of the queue. Where no name is given, the first free one: the mode's, with a number behind it.

        Raises:
            UserError: the settings would not train, or the name is taken.
        """
        return self.worker.store.add(self.named(settings))

    def put(self, settings: Settings, number: int = 0) -> Entry:
        """A new job, or other settings for the one with this number.

        Raises:
            UserError: as for :meth:`add`; the job runs by now, has run, or is gone.
        """
        return self.worker.store.edit(number, self.named(settings)) if number else self.add(settings)

    def can_edit(self, entry: Entry) -> bool:
        """Whether the job may get other settings: it neither runs nor has a LoRA that it made."""
        return entry.status not in (RUNNING, DONE) and entry.path is None

    def named(self, settings: Settings) -> Settings:
        if settings.save_lora_name:
            return settings
        store, name = self.worker.store, settings.mode
        if self.folders.lora(name).exists() or any(entry.name == name for entry in store.entries()):
            name = store.proposed_name(name)
        return replace(settings, save_lora_name=name)
