"""Texts of the gallery, of the film that a run shows, and of what is said before a run and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        # ---- the list
        "tab.gallery": "Gallery",
        "gallery.search": "Search",
        "gallery.search_help": "Name, trigger word, mode, model or description",
        "gallery.order": "Order",
        "gallery.by_newest": "newest first",
        "gallery.by_oldest": "oldest first",
        "gallery.by_name": "by name",
        "gallery.by_largest": "largest first",
        "gallery.by_base": "by model",
        "gallery.by_mode": "by mode",
        "gallery.count": "{count:LoRA|LoRAs}",
        "gallery.left": "{count:LoRA|LoRAs}; {left} more are being read",
        "gallery.looking": "Looking at the LoRAs …",
        "gallery.none": "There is no LoRA in the folder yet. Train one, and it is shown here.",
        "gallery.none_found": "No LoRA has all of these words.",
        "gallery.rank": "rank {rank}",
        "gallery.steps": "{steps} steps",
        "gallery.no_picture": "no image",
        # ---- what can be done with one
        "gallery.try": "Try it",
        "gallery.copy": "Copy tag",
        "gallery.copy_help": "Copy {tag}",
        "gallery.copied": "Copied",
        "gallery.compare": "Compare",
        "gallery.more": "More",
        "gallery.more_of": "More about {name}",
        "gallery.download": "Download",
        "gallery.train_on": "Train on",
        "gallery.show_settings": "Show settings",
        "gallery.close": "Close",
        "gallery.strip": "“{prompt}” at strength −1, 0 and +1",
        "gallery.film": "During training",
        "gallery.about": "What it says of itself",
        "gallery.title": "title",
        "gallery.trigger": "trigger word",
        "gallery.description": "description",
        "gallery.save": "Save",
        "gallery.undo": "Undo the last change",
        "gallery.saved": "Saved. The file's tensors are as they were.",
        "gallery.undone": "The file is what it was before.",
        "gallery.metadata": "All metadata: {count:entry|entries}",
        "gallery.card": "The card beside it: {count:entry|entries}",
        # ---- two compared
        "gallery.compare_one": "{name}: choose another LoRA to compare it with.",
        "gallery.compare_two": "Compare {one} and {other}",
        "gallery.compare_draw": "Draw both",
        "gallery.compare_end": "End comparison",
        # ---- an image made during training
        "film.close": "Close",
        "film.back": "Earlier",
        "film.on": "Later",
        "film.draw": "Draw strengths −1 … +1",
        "film.keep": "Keep this step",
        "film.kept_before": "It was kept before, as {name}. It is in the gallery, with your other LoRAs.",
        "film.kept": "Kept as {name}. It is in the gallery, with your other LoRAs.",
        "film.gone": "The LoRA of this step is not there. Those of the images that a run makes by itself are kept for "
        "a week, and 4 GB of them at most.",
        "film.strength": "strength",
        "film.at_strength": "The LoRA at strength {strength}",
        # ---- before a run
        "before.seconds": "about {count} seconds, as runs before",
        "before.minutes": "about {count} minutes, as runs before",
        "before.hours": "about {count} hours, as runs before",
        "before.days": "about {count} days, as runs before",
        "before.size": "a file of {size} MB",
        "before.more": "{count:thing|things} more, which Look at the data shows.",
        # ---- at its end
        "end.running": "{percent} % {name}",
        "end.starting": "… {name}",
        "end.paused": "Ⅱ {name}",
        "end.done": "✓ {name}",
        "end.failed": "✗ {name}",
        "end.stopped": "■ {name}",
        "end.notify": "Notify me when a run ends",
        "end.refused": "This browser does not let the page notify you. Allow notifications for it in the browser.",
        "end.no_notice": "This browser has no notifications for this page. They need https, or this machine itself.",
        "end.is_done": "Done: {name}",
        "end.is_failed": "Failed: {name}",
        "end.is_stopped": "Stopped: {name}",
        "end.next": "The next job of the queue has begun.",
        "end.all": "That was the last one: {done} of {count} done.",
        # ---- into the form
        "run.settings_of": "The settings of {name} are in the form, for a new LoRA.",
        "run.trains_on": "The next LoRA continues from {name}, with its settings.",
        "run.trains_on_other": "The next LoRA continues from {name}, in the mode {mode}. {name} has no settings that a "
        "LoRA can be continued with, so those of the form stay.",
    }
)
