"""Presets and saved settings: loaded from a list, a path or a dropped file, and saved from the form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ...config import presets
from ...config.schema import Parsed
from ...config.settings import Settings
from ...errors import UserError
from ...networks.files.settings import load_settings
from ...text.messages import message
from ..services.context import PageContext
from ..services.dropped import Dropped, read_dropped
from .compat import offered, on
from .form import PREFIX
from .message import Message


class Saved:
    """The section with the list and its buttons.

    Attributes:
        chosen: the field with the preset's name.
        dropped: the box for a file, which shows the one that the form was filled from.
        refresh: the button that updates all lists.
    """

    def __init__(self, context: PageContext) -> None:
        self._context = context
        say = context.say
        with gr.Accordion(say("preset.heading"), open=True, elem_id=f"{PREFIX}_presets"):
            self._placed = self._names()
            self.chosen = gr.Dropdown(
                self._placed,
                value="",
                label=say("preset.name"),
                info=say("preset.help"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_preset",
            )
            with gr.Row(elem_id=f"{PREFIX}_preset_buttons"):
                self._load = gr.Button(say("preset.load"), size="sm", elem_id=f"{PREFIX}_preset_load")
                self._save = gr.Button(say("preset.save"), size="sm", elem_id=f"{PREFIX}_preset_save")
                self._delete = gr.Button(say("preset.delete"), size="sm", elem_id=f"{PREFIX}_preset_delete")
                self.refresh = gr.Button(say("preset.refresh"), size="sm", elem_id=f"{PREFIX}_refresh")
            self.dropped = gr.File(label=say("preset.drop"), height=100, elem_id=f"{PREFIX}_preset_file")

    def wire(
        self,
        fields: list[Any],
        told: Message,
        filled: list[Any],
        fill: Callable[[Settings], list[Any]],
        keep: Callable[[], list[Any]],
        read: Callable[[Any], Settings],
        fold: Any,
    ) -> None:
        """Connect the buttons.

        Args:
            fields: the inputs of ``read``.
            told: where the answers are shown.
            filled: the outputs of ``fill``, which puts settings into the form, and of ``keep``, which changes nothing.
            read: returns the settings that the fields hold.
            fold: the section with the dataset file, opened where one is set.
        """

        def load(chosen: Any) -> list[Any]:
            try:
                parsed = self._loaded(chosen)
            except UserError as error:
                return [*keep(), told.wrong(error), gr.update(), gr.update()]
            return [*loaded(Dropped(parsed)), gr.update(value=None)]

        def drop(file: Any) -> list[Any]:
            try:  # Gradio 3 hands over an open file
                dropped = read_dropped(Path(getattr(file, "name", file)), self._context.folders)
            except UserError as error:
                return [*keep(), told.wrong(error), gr.update(), gr.update(), gr.update(value=None)]
            return [*loaded(dropped), gr.update(value=""), gr.update()]

        def loaded(found: Dropped) -> list[Any]:
            settings = found.parsed.settings
            shown = gr.update(open=True) if settings.dataset_config else gr.update()
            return [*fill(settings), _words(found, told), shown]

        def save(chosen: Any, *values: Any) -> tuple[Any, str]:
            try:
                path = presets.save(read(values), str(chosen or ""), self._context.own_presets)
            except UserError as error:
                return gr.update(), told.wrong(error)
            return gr.update(choices=self._names(), value=path.stem), told.answer("preset.saved", name=path.stem)

        def delete(chosen: Any) -> tuple[Any, str]:
            own, *shipped = self._context.folders.presets
            try:
                presets.delete(str(chosen or ""), own, shipped)
            except UserError as error:
                return gr.update(), told.wrong(error)
            # The list is shortened by the next refresh: Gradio's page fails if that happens to a selected choice.
            return gr.update(value=""), told.answer("preset.deleted", name=chosen)

        on(self._load.click, load, [self.chosen], [*filled, told.component, fold, self.dropped])
        on(self.dropped.upload, drop, [self.dropped], [*filled, told.component, fold, self.chosen, self.dropped])
        on(self._save.click, save, [self.chosen, *fields], [self.chosen, told.component])
        on(self._delete.click, delete, [self.chosen], [self.chosen, told.component])

    def opened(self) -> Any:
        """An update for a page that is opened: what is new since the page was built."""
        names = self._names()
        return gr.update() if names == self._placed else gr.update(choices=names)

    def lists(self) -> Any:
        """An update of the list; what is chosen stays, even if it is chosen meanwhile."""
        return gr.update(choices=self._names())

    def _loaded(self, chosen: Any) -> Parsed:
        name = str(chosen or "").strip()
        if not name:
            raise UserError("web.no_preset_chosen", where=message("preset.name"))
        return load_settings(name, self._context.folders.presets)

    def _names(self) -> list[str]:
        return offered(presets.list_presets(self._context.folders.presets), "")


def _words(found: Dropped, told: Message) -> str:
    """What became of what was loaded: what differs before what was simply taken over."""
    parsed = found.parsed
    if not parsed.account and not found.notes:
        key = "preset.loaded_unknown" if parsed.unknown else "preset.loaded"
        return told.answer(key, keys=", ".join(parsed.unknown))
    changed = [each.changed for each in parsed.converted if each.changed is not None]
    taken = [each.entry() for each in parsed.converted if each.changed is None]
    return told.loaded([*found.notes, *parsed.account[:1], *changed, *parsed.account[1:]], taken, found.account)
