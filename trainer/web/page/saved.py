"""Presets and saved settings: loaded from a list, a path or a dropped file, and saved from the form."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from ...config import presets
from ...config.choices import AUTOMATIC_CARD, CARDS, MODES
from ...config.schema import Parsed
from ...config.settings import Settings
from ...errors import UserError
from ...networks.files.settings import load_settings
from ...text.messages import Message as Text
from ...text.messages import message
from ..services.context import PageContext
from ..services.dropped import Dropped, read_dropped
from .compat import changes, offered, on, on_page
from .form import PREFIX
from .message import Message


class Loaded(NamedTuple):
    """A preset as it goes into the form."""

    updates: list[Any]
    said: Text | None = None
    """What was changed for a GPU's memory."""
    fits: bool = True


class Saved:
    """The section with the list and its buttons.

    Attributes:
        chosen: the field with the preset's name.
        dropped: the box for a file, which shows the one that the form was filled from.
        refresh: the button that updates all lists.
        card: the choice of the GPU that settings are made to fit.
        make_fit: the button that makes the form fit it.
    """

    def __init__(self, context: PageContext) -> None:
        self._context = context
        say = context.say
        with gr.Accordion(say("preset.heading"), open=True, elem_id=f"{PREFIX}_presets"):
            self._placed = self._names()
            listed = presets.list_presets(context.folders.presets)
            self.chosen = gr.Dropdown(
                self._placed,
                value=self._shown(context.preset if context.preset in listed else MODES[Settings.mode].preset),
                label=say("preset.name"),
                info=say("preset.help"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_preset",
            )
            gr.HTML(self._lines(), elem_id=f"{PREFIX}_preset_line")
            self._cards = {say("card.auto") if card == AUTOMATIC_CARD else f"{card} GB": card for card in CARDS}
            self.card = gr.Dropdown(
                list(self._cards),
                value=next(iter(self._cards)),
                label=say("card.name"),
                info=say("card.help"),
                elem_id=f"{PREFIX}_card",
            )
            with gr.Row(elem_id=f"{PREFIX}_preset_buttons"):
                self._load = gr.Button(say("preset.load"), size="sm", elem_id=f"{PREFIX}_preset_load")
                self.make_fit = gr.Button(say("card.fit"), size="sm", elem_id=f"{PREFIX}_make_fit")
                self._save = gr.Button(say("preset.save"), size="sm", elem_id=f"{PREFIX}_preset_save")
                self._delete = gr.Button(say("preset.delete"), size="sm", elem_id=f"{PREFIX}_preset_delete")
                self.refresh = gr.Button(say("preset.refresh"), size="sm", elem_id=f"{PREFIX}_refresh")
            self._asked = gr.State("")  # the preset that Save would replace
            self.dropped = gr.File(label=say("preset.drop"), height=100, elem_id=f"{PREFIX}_preset_file")

    def wire(
        self,
        fields: list[Any],
        told: Message,
        filled: list[Any],
        load_into: Callable[[str, Parsed, str, Sequence[Any]], Loaded],
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
            load_into: the same for a preset by its name, a card that it is to fit, and the fields' values.
            read: returns the settings that the fields hold.
            fold: the section with the dataset file, opened where one is set.
        """

        def load(chosen: Any, card: Any, *values: Any) -> list[Any]:
            try:
                name = self._named(chosen)
                parsed = self._loaded(name)
                found = load_into(name, parsed, self.card_of(card), values)
            except UserError as error:
                return [*keep(), told.wrong(error), gr.update(), gr.update()]
            dropped, called = Dropped(parsed), _called(str(chosen or ""))
            words = _words(dropped, told, called)
            if found.said is not None:
                words = told.fitted([*_lines(dropped, called), found.said], fits=found.fits)
            return [*found.updates, words, _opened(parsed.settings), gr.update(value=None)]

        def drop(file: Any) -> list[Any]:
            try:  # Gradio 3 hands over an open file
                path = Path(getattr(file, "name", file))
                dropped = read_dropped(path, self._context.folders)
            except UserError as error:
                return [*keep(), told.wrong(error), gr.update(), gr.update(), gr.update(value=None)]
            return [*loaded(dropped, path.name), gr.update(value=""), gr.update()]

        def loaded(found: Dropped, called: str) -> list[Any]:
            settings = found.parsed.settings
            return [*fill(settings), _words(found, told, called), _opened(settings)]

        on(self._load.click, load, [self.chosen, self.card, *fields], [*filled, told.component, fold, self.dropped])
        on(self.dropped.upload, drop, [self.dropped], [*filled, told.component, fold, self.chosen, self.dropped])
        save = partial(self._saved, told, read)
        on(self._save.click, save, [self._asked, self.chosen, *fields], [self._asked, self.chosen, told.component])
        on(self._delete.click, partial(self._deleted, told), [self.chosen], [self.chosen, told.component])

    def follow(self, mode: Any) -> None:
        """Name the preset that a mode's values are from when it is chosen.

        Args:
            mode: the switch between the modes.
        """
        script = "(mode, chosen) => window.trainyard.presetOf(mode, chosen)"
        on_page(changes(mode), script, [mode, self.chosen], [self.chosen])

    def _saved(
        self, told: Message, read: Callable[[Any], Settings], asked: str, chosen: Any, *values: Any
    ) -> tuple[str, Any, str]:
        """Save the form as a preset; in place of one of the user's own only when it is asked for a second time.

        Args:
            asked: the name of the one that the last press would have replaced.
        """
        name, own = self._named(chosen), self._context.own_presets
        try:
            if presets.is_shipped(name, self._context.folders.presets):
                raise UserError("web.preset_is_shipped", where=name)
            settings = read(values)
            if presets.is_taken(name, own) and asked != name:
                return name, gr.update(), told.wrong(UserError("web.preset_saved_over", where=name))
            path = presets.save_over(settings, name, own)
        except UserError as error:
            return "", gr.update(), told.wrong(error)
        return "", gr.update(choices=self._names(), value=path.stem), told.answer("preset.saved", name=path.stem)

    def _deleted(self, told: Message, chosen: Any) -> tuple[Any, str]:
        own, *shipped = self._context.folders.presets
        try:
            presets.delete(self._named(chosen), own, shipped)
        except UserError as error:
            return gr.update(), told.wrong(error)
        # The list is shortened by the next refresh: Gradio's page fails if that happens to a selected choice.
        return gr.update(value=""), told.answer("preset.deleted", name=chosen)

    def opened(self, *, is_filled: bool) -> Any:
        """An update for a page that is opened: what is new since the page was built.

        Args:
            is_filled: whether a run's settings are in the form, which no preset's name stands for.
        """
        names, cleared = self._names(), {"value": ""} if is_filled else {}
        return gr.update(**cleared) if names == self._placed else gr.update(choices=names, **cleared)

    def lists(self) -> Any:
        """An update of the list; what is chosen stays, even if it is chosen meanwhile."""
        return gr.update(choices=self._names())

    def card_of(self, shown: Any) -> str:
        """One of :data:`.config.choices.CARDS`, by what the choice shows."""
        return self._cards.get(str(shown), AUTOMATIC_CARD)

    def _loaded(self, name: str) -> Parsed:
        if not name:
            raise UserError("web.no_preset_chosen", where=message("preset.name"))
        return load_settings(name, self._context.folders.presets)

    def _lines(self) -> str:
        """An empty line with what each preset is for, of which the page's script shows the chosen one's; and the preset
        that each mode's defaults are."""
        folders, language = self._context.folders.presets, self._context.language
        told = {name: presets.told_of(name, folders) for name in presets.list_presets(folders)}
        lines = {
            each: line.text(language)
            for name, line in told.items()
            if line is not None
            for each in (name, self._shown(name))
        }
        data = {
            "lines": lines,
            "of-modes": {mode: self._shown(info.preset) for mode, info in MODES.items() if info.preset},
            "ours": [shown for name in told if presets.is_ours(name, folders) for shown in (name, self._shown(name))],
        }
        written = " ".join(f'data-{name}="{html.escape(json.dumps(value))}"' for name, value in data.items())
        return f'<p class="{PREFIX}-note" {written}></p>'

    def _names(self) -> list[str]:
        return offered([self._shown(name) for name in presets.list_presets(self._context.folders.presets)], "")

    def _shown(self, name: str) -> str:
        """A preset as the list shows it: ours with their modes, TrainTrain's as such."""
        folders = self._context.folders.presets
        if presets.is_traintrains(name, folders):
            return self._context.say("preset.of_traintrain", name=name)
        if presets.is_ours(name, folders):
            return self._context.say("preset.of_mode", name=name, mode=presets.load(name, folders).settings.mode)
        return name

    def _named(self, chosen: Any) -> str:
        """The name of the preset that is shown so, or what else was written."""
        written = str(chosen or "").strip()
        listed = presets.list_presets(self._context.folders.presets)
        return next((name for name in listed if self._shown(name) == written), written)


def _opened(settings: Settings) -> Any:
    """An update of the section with the dataset file."""
    return gr.update(open=True) if settings.dataset_config else gr.update()


def _called(written: str) -> str:
    """What was loaded, as it is told: a file by its name, a pasted command by its beginning."""
    return Path(written).name[:80] if len(written) < 1000 and "\n" not in written else f"{written[:40]}…"


def _words(found: Dropped, told: Message, called: str) -> str:
    """What became of what was loaded: what differs before what was simply taken over."""
    parsed = found.parsed
    if not parsed.account and not found.notes:
        (line,) = _lines(found, called)
        return told.answer(line.key, **dict(line.values))
    taken = [each.entry() for each in parsed.converted if each.changed is None]
    return told.loaded(_lines(found, called), taken, found.account)


def _lines(found: Dropped, called: str) -> list[Text]:
    parsed = found.parsed
    if not parsed.account and not found.notes:
        if parsed.unknown:
            return [message("preset.loaded_unknown", name=called, keys=", ".join(parsed.unknown))]
        return [message("preset.loaded", name=called)]
    changed = [each.changed for each in parsed.converted if each.changed is not None]
    return [*found.notes, *parsed.account[:1], *changed, *parsed.account[1:]]
