"""The page's first tab: the form, its presets, and the buttons that begin and end a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from .. import presets
from ..errors import SettingsError, UserError
from ..settings import MODES, Settings
from . import pair
from .compat import changes, on
from .desk import Desk
from .form import PREFIX, Form
from .prompts import Prompts

_MODES = tuple(mode.lower() for mode in MODES)


def build(desk: Desk, page: Any) -> None:
    """Fill the tab that is being built."""
    _Train(desk, page)


class _Train:
    def __init__(self, desk: Desk, page: Any) -> None:
        self.desk = desk
        self.say = desk.say
        self.page = page
        self.form = Form(desk.words)
        with gr.Row(elem_id=f"{PREFIX}_train"):
            with gr.Column(scale=7, elem_id=f"{PREFIX}_form"):
                self._place_head()
                self.pair = pair.place(self.form, desk.folders)
                self.form.place_subject()
                prompts = Prompts(desk)
                self.form.place_sections()
                prompts.connect(self.form)
            with gr.Column(scale=4, elem_id=f"{PREFIX}_side", min_width=300):
                self._place_run()
                self._place_presets()

    # ---- what is seen -----------------------------------------------------------------------------------------------

    def _place_head(self) -> None:
        self.form.place_mode()
        sentences = (f'<p class="{PREFIX}-field {PREFIX}-for-{mode}">{self.say(f"mode.{mode}")}</p>' for mode in _MODES)
        gr.HTML("".join(sentences), elem_id=f"{PREFIX}_mode_words")
        words = self.desk.words
        with gr.Column(elem_classes=[f"{PREFIX}-grid", f"{PREFIX}-models"]):
            model = gr.Dropdown(
                self.desk.catalogue.models(),
                value=self._only_model(),
                label=words.label("model"),
                info=self.desk.catalogue.advice(self.desk.language),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_model",
            )
            vae = gr.Dropdown(
                self._vaes(),
                value="None",
                label=words.label("vae"),
                info=words.help("vae"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_vae",
            )
        self.form.place("model", model)
        self.form.place("vae", vae)
        self.models = (model, vae)

    def _place_run(self) -> None:
        say = self.say
        with gr.Column(elem_id=f"{PREFIX}_buttons"):
            start = gr.Button(say("run.start"), variant="primary", elem_id=f"{PREFIX}_start")
            add = gr.Button(say("run.add"), elem_id=f"{PREFIX}_add")
            stop = gr.Button(say("run.stop"), elem_id=f"{PREFIX}_stop")
            save = gr.Button(say("run.stop_and_save"), elem_id=f"{PREFIX}_stop_and_save")
            pause = gr.Button(say("run.pause"), elem_id=f"{PREFIX}_pause")
            go_on = gr.Button(say("run.continue"), elem_id=f"{PREFIX}_continue")
        message = gr.Textbox(
            label=say("run.message"), interactive=False, lines=1, placeholder=" ", elem_id=f"{PREFIX}_message"
        )
        message.do_not_save_to_config = True
        gr.HTML(f'<div id="{PREFIX}_live"></div><div id="{PREFIX}_try"></div>')
        self.message = message
        worker = self.desk.worker
        # Inputs are named when the form is whole.
        self._begins = ((start, self._start), (add, self._add))
        for button, press, words in (
            (stop, worker.stop, "run.stopping"),
            (save, worker.stop_and_save, "run.stopping_and_saving"),
            (pause, worker.pause, "run.pausing"),
            (go_on, worker.go_on, "run.going_on"),
        ):
            on(button.click, self._pressing(press, words), [], [message])

    def _pressing(self, press: Callable[[], bool], words: str) -> Callable[[], str]:
        return lambda: self.say(words if press() else "run.nothing")

    def _place_presets(self) -> None:
        say = self.say
        with gr.Accordion(say("preset.heading"), open=True, elem_id=f"{PREFIX}_presets"):
            chosen = gr.Dropdown(
                self._preset_names(),
                value="",
                label=say("preset.name"),
                info=say("preset.help"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_preset",
            )
            with gr.Row(elem_id=f"{PREFIX}_preset_buttons"):
                load = gr.Button(say("preset.load"), size="sm", elem_id=f"{PREFIX}_preset_load")
                save = gr.Button(say("preset.save"), size="sm", elem_id=f"{PREFIX}_preset_save")
                delete = gr.Button(say("preset.delete"), size="sm", elem_id=f"{PREFIX}_preset_delete")
                refresh = gr.Button(say("preset.refresh"), size="sm", elem_id=f"{PREFIX}_refresh")
            dropped = gr.File(label=say("preset.drop"), height=140, elem_id=f"{PREFIX}_preset_file")
        for component in (chosen, dropped):
            component.do_not_save_to_config = True
        filled = [*self.form.components, *self.pair.components, self.message]
        for button, begin in self._begins:
            on(button.click, begin, self.form.components, [self.message])
        mode = changes(self.form.component("mode"))
        on(mode, lambda *values: self.form.switched(values), self.form.components, self.form.components, latest=True)
        on(load.click, self._load, [chosen], filled)
        on(dropped.upload, self._load, [dropped], filled)
        on(save.click, self._save, [chosen, *self.form.components], [chosen, self.message])
        on(delete.click, self._delete, [chosen], [chosen, self.message])
        on(refresh.click, self._refresh, [], [*self.models, chosen])
        on(self.page.load, self._as_before, [], [*filled, *self.models, chosen])

    def _only_model(self) -> str:
        """The one there is, so that it need not be chosen; nothing where there is a choice."""
        models = self.desk.catalogue.models()
        return models[0] if len(models) == 1 else ""

    def _vaes(self) -> list[str]:
        return ["None", *self.desk.catalogue.vaes()]

    def _preset_names(self) -> list[str]:
        return presets.list_presets(self.desk.folders.presets)

    # ---- what the buttons do ----------------------------------------------------------------------------------------

    def _start(self, *values: Any) -> str:
        def begin(settings: Settings) -> str:
            entry = self.desk.add(settings)
            if self.desk.worker.run_now(entry.id):
                return self.say("run.started", name=entry.name)
            return self.say("run.is_next", name=entry.name)

        return self._with_settings(values, begin)

    def _add(self, *values: Any) -> str:
        def add(settings: Settings) -> str:
            entry = self.desk.add(settings)
            words = "run.added" if self.desk.worker.is_started else "run.start_the_queue"
            return self.say(words, name=entry.name, place=entry.position)

        return self._with_settings(values, add)

    def _with_settings(self, values: Sequence[Any], deed: Callable[[Settings], str]) -> str:
        try:
            return deed(self.form.settings(values))
        except UserError as error:
            return told(error)

    def _load(self, chosen: Any) -> list[Any]:
        name = str(getattr(chosen, "name", chosen) or "").strip()  # Gradio 3 hands over an open file
        try:
            if not name:
                raise UserError("is empty", where=self.say("preset.name"), do="Choose one")
            parsed = presets.load(name, self.desk.folders.presets)
        except UserError as error:
            nothing = [gr.update() for _ in (*self.form.fields, *self.pair.components)]
            # What no field shows stays as well: an update without a value leaves a component alone.
            return [*nothing, gr.update(), told(error)]
        filled = self._filled(parsed.settings)
        if not parsed.settings.model:  # a preset is for any model: the one that is chosen stays
            for name in ("model", "vae"):
                filled[[each.row.name for each in self.form.fields].index(name)] = gr.update()
        if parsed.unknown:
            return [*filled, self.say("preset.loaded_unknown", keys=", ".join(parsed.unknown))]
        return [*filled, self.say("preset.loaded")]

    def _filled(self, settings: Settings) -> list[Any]:
        return [*self.form.updates(settings), *self.pair.updates(settings)]

    def _save(self, chosen: Any, *values: Any) -> tuple[Any, str]:
        try:
            path = presets.save(self.form.settings(values), str(chosen or ""), self.desk.own_presets)
        except UserError as error:
            return gr.update(), told(error)
        return gr.update(choices=self._preset_names(), value=path.stem), self.say("preset.saved", name=path.stem)

    def _delete(self, chosen: Any) -> tuple[Any, str]:
        own, *shipped = self.desk.folders.presets
        try:
            presets.delete(str(chosen or ""), own, shipped)
        except UserError as error:
            return gr.update(), told(error)
        return gr.update(choices=self._preset_names(), value=""), self.say("preset.deleted", name=chosen)

    def _refresh(self) -> list[Any]:
        return [
            gr.update(choices=self.desk.catalogue.models()),
            gr.update(choices=self._vaes()),
            gr.update(choices=self._preset_names()),
        ]

    def _as_before(self) -> list[Any]:
        """A page that is opened while a run goes on, or after it, shows what is being trained; else it stays as it is.

        The answer comes when somebody may have begun to fill the form in.
        """
        updates = [gr.update() for _ in (*self.form.components, *self.pair.components)]
        message = gr.update()
        entry = self.desk.worker.entry
        if entry is not None:
            try:
                updates = self._filled(self.desk.worker.store.job(entry.id).settings)
            except UserError:
                message = f"{entry.name} is no longer in the queue, so its settings are not shown."
        return [*updates, message, *self._refresh()]


def told(error: UserError) -> str:
    """A mistake in words, one line for each setting it concerns."""
    if isinstance(error, SettingsError):
        return "\n".join(f"{problem}." for problem in error.problems)
    return str(error)
