"""The page's first tab: the form, its presets, and the buttons that begin and end a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from .. import help as texts
from .. import presets
from ..errors import SettingsError, UserError
from ..settings import Settings
from . import pair
from .compat import changes, on
from .desk import Desk
from .form import PREFIX, Form

MODES_IN_WORDS = (
    ("lora", "Learns a subject or a style from a folder of pictures with captions."),
    ("ileco", "Turns one concept into another, or erases it, from two prompts and without a picture."),
    ("difference", "Learns what differs between two pictures, in two passes: first the original, then the change."),
    ("addift", "Learns what differs between two pictures, quickly and in one pass."),
    ("multi-addift", "Learns the change that many pairs of pictures in one folder have in common."),
)


def build(desk: Desk, page: Any) -> None:
    """Fill the tab that is being built."""
    _Train(desk, page)


class _Train:
    def __init__(self, desk: Desk, page: Any) -> None:
        self.desk = desk
        self.page = page
        self.form = Form()
        with gr.Row(elem_id=f"{PREFIX}_train"):
            with gr.Column(scale=7, elem_id=f"{PREFIX}_form"):
                self._place_head()
                self.pair = pair.place(self.form, desk.folders)
                self.form.place_subject()
                self.form.place_sections()
            with gr.Column(scale=4, elem_id=f"{PREFIX}_side", min_width=300):
                self._place_run()
                self._place_presets()

    # ---- what is seen -----------------------------------------------------------------------------------------------

    def _place_head(self) -> None:
        self.form.place_mode()
        sentences = (f'<p class="{PREFIX}-field {PREFIX}-for-{mode}">{words}</p>' for mode, words in MODES_IN_WORDS)
        gr.HTML("".join(sentences), elem_id=f"{PREFIX}_mode_words")
        with gr.Column(elem_classes=[f"{PREFIX}-grid", f"{PREFIX}-models"]):
            model = gr.Dropdown(
                self.desk.catalogue.models(),
                value=self._only_model(),
                label="model",
                info=self.desk.catalogue.advice(),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_model",
            )
            vae = gr.Dropdown(
                self._vaes(),
                value="None",
                label="vae",
                info=texts.help_of("vae"),
                allow_custom_value=True,
                elem_id=f"{PREFIX}_vae",
            )
        self.form.place("model", model)
        self.form.place("vae", vae)
        self.models = (model, vae)

    def _place_run(self) -> None:
        with gr.Column(elem_id=f"{PREFIX}_buttons"):
            start = gr.Button("Start Training", variant="primary", elem_id=f"{PREFIX}_start")
            add = gr.Button("Add to Queue", elem_id=f"{PREFIX}_add")
            stop = gr.Button("Stop", elem_id=f"{PREFIX}_stop")
            save = gr.Button("Stop and Save", elem_id=f"{PREFIX}_stop_and_save")
            pause = gr.Button("Pause", elem_id=f"{PREFIX}_pause")
            go_on = gr.Button("Continue", elem_id=f"{PREFIX}_continue")
        message = gr.Textbox(label="message", interactive=False, lines=1, placeholder=" ", elem_id=f"{PREFIX}_message")
        message.do_not_save_to_config = True
        gr.HTML(f'<div id="{PREFIX}_live"></div>')
        self.message = message
        worker = self.desk.worker
        # Inputs are named when the form is whole.
        self._begins = ((start, self._start), (add, self._add))
        for button, press, words in (
            (stop, worker.stop, "Stops after the current step and saves nothing."),
            (save, worker.stop_and_save, "Stops after the current step and saves what has been trained."),
            (pause, worker.pause, "Pauses after the current step and gives the device's memory back."),
            (go_on, worker.go_on, "Goes on."),
        ):
            on(button.click, _pressing(press, words), [], [message])

    def _place_presets(self) -> None:
        with gr.Accordion("Presets and saved settings", open=True, elem_id=f"{PREFIX}_presets"):
            chosen = gr.Dropdown(
                self._preset_names(),
                value="",
                label="preset or file",
                info="A preset's name, or the path of a settings file (.json) or of a LoRA that Trainyard has trained. "
                "To save, write a new name.",
                allow_custom_value=True,
                elem_id=f"{PREFIX}_preset",
            )
            with gr.Row(elem_id=f"{PREFIX}_preset_buttons"):
                load = gr.Button("Load", size="sm", elem_id=f"{PREFIX}_preset_load")
                save = gr.Button("Save", size="sm", elem_id=f"{PREFIX}_preset_save")
                delete = gr.Button("Delete", size="sm", elem_id=f"{PREFIX}_preset_delete")
                refresh = gr.Button("Refresh lists", size="sm", elem_id=f"{PREFIX}_refresh")
            dropped = gr.File(label="or drop a settings file here", height=140, elem_id=f"{PREFIX}_preset_file")
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
                return f"Started {entry.name}."
            return f"Another LoRA is being trained. {entry.name} is the next one in the queue."

        return self._with_settings(values, begin)

    def _add(self, *values: Any) -> str:
        def add(settings: Settings) -> str:
            entry = self.desk.add(settings)
            begins = "" if self.desk.worker.is_started else " Start the queue in its tab."
            return f"{entry.name} waits in the queue at place {entry.position}.{begins}"

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
                raise UserError("is empty", where="preset or file", do="Choose one")
            parsed = presets.load(name, self.desk.folders.presets)
        except UserError as error:
            nothing = [gr.update() for _ in (*self.form.fields, *self.pair.components)]
            # What no field shows stays as well: an update without a value leaves a component alone.
            return [*nothing, gr.update(), told(error)]
        filled = self._filled(parsed.settings)
        if not parsed.settings.model:  # a preset is for any model: the one that is chosen stays
            for name in ("model", "vae"):
                filled[[each.row.name for each in self.form.fields].index(name)] = gr.update()
        unknown = f" Not known here, and kept: {', '.join(parsed.unknown)}." if parsed.unknown else ""
        return [*filled, f"Loaded.{unknown}"]

    def _filled(self, settings: Settings) -> list[Any]:
        return [*self.form.updates(settings), *self.pair.updates(settings)]

    def _save(self, chosen: Any, *values: Any) -> tuple[Any, str]:
        try:
            path = presets.save(self.form.settings(values), str(chosen or ""), self.desk.own_presets)
        except UserError as error:
            return gr.update(), told(error)
        return gr.update(choices=self._preset_names(), value=path.stem), f"Saved as {path.stem}."

    def _delete(self, chosen: Any) -> tuple[Any, str]:
        own, *shipped = self.desk.folders.presets
        try:
            presets.delete(str(chosen or ""), own, shipped)
        except UserError as error:
            return gr.update(), told(error)
        return gr.update(choices=self._preset_names(), value=""), f"Deleted {chosen}."

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


def _pressing(press: Callable[[], bool], words: str) -> Callable[[], str]:
    return lambda: words if press() else "Nothing is being trained."
