"""The page's first tab: the form, what fills it, and the buttons that start and end a run."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from ...config import presets
from ...config.choices import AUTOMATIC_CARD
from ...config.schema import Parsed
from ...config.settings import Settings, row_of
from ...errors import UserError
from ...job import Account
from ...jobs.store import WAITING
from ...networks.files.settings import settings_of
from ...text.messages import message
from ..services.before import before
from ..services.context import PageContext
from ..services.gallery import inside
from ..services.messages import require_folder
from . import data, modes, pair, room
from .compat import changes, choices, on, on_page
from .form import PREFIX, Form
from .message import Message
from .model import Model
from .prompts import Prompts
from .saved import Loaded, Saved

TAB = "train"
MEASURE = "trainyard-measure"
"""What the script's questions for the line before a run begin with."""
SETTINGS_OF, TRAIN_ON = "settings-of", "train-on"
"""What the page's script writes before the name of a LoRA, to have its settings in the form."""
_STOPPING = ("run.stopping", "run.stopping_then_next")
_STOPPING_AND_SAVING = ("run.stopping_and_saving", "run.stopping_and_saving_then_next")


def build(context: PageContext, tabs: Any) -> None:
    """Fill the tab that is being built.

    Args:
        tabs: the row of tabs it is one of.
    """
    _Train(context, tabs)


class _Train:
    def __init__(self, context: PageContext, tabs: Any) -> None:
        self.context = context
        self.say = context.say
        self.form = Form(context.words)
        with gr.Row(elem_id=f"{PREFIX}_train"):
            with gr.Column(scale=7, elem_id=f"{PREFIX}_form"):
                self._place_filling()
                self.form.place_mode()
                modes.place(context.words)
                self.model = Model(self.form, context)
                pair.place(self.form, context)
                room.place()
                self.form.place_subject()
                look = data.place(self.context)
                prompts = Prompts(context)
                self.form.place_sections()
                prompts.connect(self.form)
                data.connect(self.context, self.form, look)
            with gr.Column(scale=4, elem_id=f"{PREFIX}_side", min_width=300):
                self._place_run()
                self.saved = Saved(context)
        self._place_unseen()
        self._wire(tabs)
        if context.preset:
            self._begin_with(context.preset)

    def _begin_with(self, preset: str) -> None:
        """Fill the form from a preset as the page is built; do nothing if the preset has been deleted."""
        if preset not in presets.list_presets(self.context.folders.presets):
            return
        settings = presets.load(preset, self.context.folders.presets).settings
        values = self.form.values(settings)
        if presets.is_ours(preset, self.context.folders.presets):
            values = self.form.values_of_ours(preset, settings.mode, {})
        models = () if settings.model else (self.form.component("model"), self.form.component("vae"))
        for component, value in zip(self.form.components, values, strict=True):
            if component not in models:
                component.value = value

    # ---- what is visible ---------------------------------------------------------------------------------------------

    def _place_filling(self) -> None:
        """What stands above the form until the server has filled it; then the page's script hides it."""
        words = html.escape(self.say("form.filling"))
        told = f'<p id="{PREFIX}_filling" class="{PREFIX}-note" role="status">{words}</p>'
        gr.HTML(told, elem_classes=[f"{PREFIX}-bare", f"{PREFIX}-filling"])

    def _place_run(self) -> None:
        say = self.say
        self.edited = gr.State(0)
        self.asked = gr.State(0)  # the job that runs with the very settings that are to be started
        with gr.Column(visible=False, elem_id=f"{PREFIX}_edited") as self.banner:
            self.banner_words = gr.HTML("")
            self.leave = gr.Button(say("run.leave"), size="sm", elem_id=f"{PREFIX}_leave")
        with gr.Column(elem_id=f"{PREFIX}_buttons"):
            self.start = gr.Button(say("run.start"), variant="primary", elem_id=f"{PREFIX}_start")
            self.add = gr.Button(say("run.add"), elem_id=f"{PREFIX}_add")
            stop = gr.Button(say("run.stop"), elem_id=f"{PREFIX}_stop")
            save = gr.Button(say("run.stop_and_save"), elem_id=f"{PREFIX}_stop_and_save")
            pause = gr.Button(say("run.pause"), elem_id=f"{PREFIX}_pause")
            go_on = gr.Button(say("run.continue"), elem_id=f"{PREFIX}_continue")
        self.message = Message(self.context)
        self.memory = gr.HTML("", elem_id=f"{PREFIX}_memory")
        gr.HTML("".join(f'<div id="{PREFIX}_{name}"></div>' for name in ("end", "run_status", "use", "try")))
        for button, press in (
            (stop, self._stop),
            (save, self._stop_and_save),
            (pause, self._pause),
            (go_on, self._go_on),
        ):
            on(button.click, press, [], [self.message.component])

    def _stop(self) -> str:
        return self._ending(self._first_or(*_STOPPING) if self.context.worker.stop() else "")

    def _stop_and_save(self) -> str:
        return self._ending(self._first_or(*_STOPPING_AND_SAVING) if self.context.worker.stop_and_save() else "")

    def _first_or(self, alone: str, followed: str) -> str:
        """The answer to a button that ends the run: another one where the next job of the queue begins then."""
        worker = self.context.worker
        waits = worker.is_started and any(entry.status == WAITING for entry in worker.store.entries())
        return followed if waits else alone

    def _pause(self) -> str:
        run_status = self.context.worker.run_status
        now = run_status.snapshot() if run_status else None
        is_late = now is not None and now.steps > 0 and now.step == now.steps
        return self._ending(("run.pausing_late" if is_late else "run.pausing") if self.context.worker.pause() else "")

    def _go_on(self) -> str:
        return self.message.answer("run.going_on" if self.context.worker.go_on() else "run.nothing")

    def _ending(self, key: str) -> str:
        return self.message.ending(key) if key else self.message.answer("run.nothing")

    def _place_unseen(self) -> None:
        """Hidden components for the page's script: within a host only the script knows that the page was opened."""
        with gr.Column(elem_id=f"{PREFIX}_unseen"):
            self.open = gr.Button("open", elem_id=f"{PREFIX}_open")
            self.kept = gr.Textbox(label="kept", elem_id=f"{PREFIX}_kept")
            self.keep = gr.Button("keep", elem_id=f"{PREFIX}_keep")
            self.fit = gr.Button("fit", elem_id=f"{PREFIX}_fit")
            self.picked = gr.Textbox(label="picked", elem_id=f"{PREFIX}_picked")
            self.pick = gr.Button("pick", elem_id=f"{PREFIX}_pick")
            self.measure = gr.Button("measure", elem_id=f"{PREFIX}_measure")
            # What is asked and of which version of the form; the script writes it.
            self.measured = gr.Textbox(label="measured", elem_id=f"{PREFIX}_measured")
            self.answer = gr.Textbox(label="answer", elem_id=f"{PREFIX}_answer")

    def _wire(self, tabs: Any) -> None:
        fields, message = self.form.components, self.message.component
        whole = [*fields, self.model.note]
        editing = [self.edited, self.banner, self.banner_words]
        name = self.form.component("save_lora_name")
        on(self.start.click, self._start, [self.asked, self.edited, *fields], [self.asked, message, name, *editing])
        on(self.add.click, self._add, [self.edited, *fields], [message, name, *editing])
        opened = [self.answer, self.saved.chosen, message, *editing]
        asked = [on(self.open.click, self._open, [self.kept, *fields], opened)]
        on_page(self.keep.click, "(...values) => window.trainyard.keep(...values)", fields, [])
        decisive = (self.form.component("mode"), *self.model.components, self.form.component("prediction"))
        typed = self.form.component("network_resume").blur  # half a path is nobody's
        for event in (self.fit.click, typed, *map(changes, decisive)):
            asked.append(on(event, self._fit, fields, [self.answer], latest=True))
        picked = [*whole, message, *editing, tabs, self.saved.dropped, self.saved.chosen]
        picked.append(self.form.folds[row_of("network_resume").section])
        put = on(self.pick.click, self._pick, [self.picked, self.form.component("mode")], picked)
        asked.append(on(put.then, self._fit, fields, [self.answer], latest=True))
        fit = [self.saved.card, *fields]
        for event in (self.saved.make_fit.click, changes(self.saved.card)):
            asked.append(on(event, self._make_fit, fit, [self.answer, message], latest=True))
        for answered in asked:
            on_page(answered.then, "(...values) => window.trainyard.fill(...values)", [self.answer, *fields], whole)
        on(self.measure.click, self._measure, [self.measured, self.edited, *fit], [self.memory], latest=True)
        on(self.leave.click, lambda: self._editing(0), [], editing)
        self.saved.wire(
            fields,
            self.message,
            whole,
            self._loaded,
            self._filled_beside_model,
            self._unchanged,
            self.form.settings,
            self.form.folds[row_of("dataset_config").section],
        )
        self.saved.follow(self.form.component("mode"))
        lists = [*self.model.components, self.saved.chosen]
        on(self.saved.refresh.click, self._lists, [self.model.model], lists)

    # ---- into the form ----------------------------------------------------------------------------------------------

    def _unchanged(self) -> list[Any]:
        return [*self.form.nothing(), gr.update()]

    def _filled(self, settings: Settings) -> list[Any]:
        return [*self.form.updates(settings), gr.update(value=self._note(settings))]

    def _filled_beside_model(self, settings: Settings) -> list[Any]:
        """Updates for a preset: if it names no model, the chosen one stays."""
        updates = self._filled(settings)
        if not settings.model:
            for name in ("model", "vae"):
                updates[self.form.place_of(name)] = gr.update()
            updates[-1] = gr.update()
        return updates

    def _fit(self, *values: Any) -> str:
        return self.form.answer(values, self._fitted(values))

    def _fitted(self, values: Sequence[Any]) -> list[Any]:
        """Updates of untouched fields with what suits mode and model, and of the name that an empty field means."""
        try:
            chosen = self.form.chosen(values)
        except UserError:  # marked beside its field
            return self._unchanged()
        number = self.context.advisor.number
        advice = self.context.advisor.on(chosen)
        updates = self.form.fitted(values, advice.defaults if advice else None)
        follows = {"value": ""} if self.form.has_name_of_mode_left(values) else {}
        updates[self.form.place_of("save_lora_name")] = {**self._proposed(chosen), **follows}
        if not chosen.model:  # one may have been put there since
            updates = self._with_lists(updates, values)
        return [*updates, gr.update(value=self.model.told(advice, number, is_named=bool(chosen.model)))]

    def _measure(self, asked: str, edited: int, card: Any, *values: Any) -> str:
        """What a run with the form as it is would be; nothing while something in it is wrong.

        Args:
            asked: :data:`MEASURE` and the number of the form's version, which the answer names. The page's script
                knows by it whether what it shows is of the form as it is now.
        """
        version = html.escape(asked.removeprefix(MEASURE).strip())
        try:
            settings = self.form.settings(values)
            told = before(self.context, settings, self.saved.card_of(card), edited)
        except UserError:  # marked beside its field, or said by Start
            return f'<div data-asked="{version}"></div>'
        language = self.context.language
        facts = " · ".join(each.text(language) for each in told.facts)
        parts = [modes.paragraph(_capitalised(facts), "facts")] if facts else []
        parts += [modes.paragraph(_capitalised(each.text(language)), "odd") for each in told.odd]
        parts.append(modes.paragraph(told.memory.text(language), "note" if told.fits else "wrong"))
        mode = html.escape(settings.mode)  # another mode's is hidden
        return f'<div data-asked="{version}" data-mode="{mode}">{"".join(parts)}</div>'

    def _make_fit(self, card: Any, *values: Any) -> list[str]:
        """Change in the form what makes it fit the chosen GPU, after what was changed for another one is undone."""
        before = self.form.before_fit(values)
        try:
            found = self.context.fitted(self.form.settings(before), self.saved.card_of(card))
        except UserError as error:
            return [self.form.answer(values, self._unchanged()), self.message.wrong(error)]
        after = self.form.made_to_fit(before, found.settings, found.changed)
        updates = [gr.update() if new == old else gr.update(value=new) for new, old in zip(after, values, strict=True)]
        answer = self.form.answer(values, [*updates, gr.update()])
        return [answer, self.message.fitted([found.message], fits=found.fits)]

    def _loaded(self, name: str, parsed: Parsed, card: str, values: Sequence[Any]) -> Loaded:
        """A preset or a file with what makes it fit a GPU; what it leaves out of what is trained stays as it is."""
        settings, kept = parsed.settings, []
        if presets.is_ours(name, self.context.folders.presets):
            advice = self.context.advisor.on(replace(self.form.chosen(values), mode=settings.mode))
            shown = self.form.values_of_ours(name, settings.mode, advice.defaults if advice else {})
            kept = self.form.subject_left_by(parsed)
        else:
            shown = self.form.values(settings)
            if not settings.model:
                kept = [self.form.place_of(each) for each in ("model", "vae")]
        shown = [values[place] if place in kept else value for place, value in enumerate(shown)]
        said, fits = None, True
        if card != AUTOMATIC_CARD or self.context.has_gpu:
            try:
                found = self.context.fitted(self.form.settings(shown), card)
                shown = self.form.made_to_fit(shown, found.settings, found.changed)
                said, fits = found.message, found.fits
            except UserError as error:
                if card != AUTOMATIC_CARD:  # otherwise nobody has asked for it
                    said, fits = message("card.unknown", reason=error.whole), False
        updates = [gr.update() if place in kept else gr.update(value=each) for place, each in enumerate(shown)]
        note = gr.update() if not settings.model else gr.update(value=self._note(settings))
        return Loaded([*updates, note], said, fits)

    def _note(self, settings: Settings) -> str:
        number = self.context.advisor.number
        return self.model.told(self.context.advisor.on(settings), number, is_named=bool(settings.model))

    def _proposed(self, settings: Settings) -> Any:
        return gr.update(placeholder=self.context.named(replace(settings, save_lora_name="")).save_lora_name)

    def _open(self, kept: str, *values: Any) -> list[Any]:
        """Fill a page that is opened: with what was typed there before a reload; else, during or after a run, with the
        run's settings, under a new name.

        Args:
            kept: what the page's script has kept, as JSON; empty if nothing.
        """
        message, entry, editing = gr.update(), self.context.worker.entry, [gr.update() for _ in range(3)]
        before = self._before(kept)
        updates = None
        if before is not None:
            typed, edited = before
            updates = [gr.update(value=value) for value in typed]
            fitted = self._fitted(typed)
            updates = [{**old, **new} for old, new in zip([*updates, gr.update()], fitted, strict=True)]
            editing = self._editing_again(edited)
        elif entry is not None:
            try:
                settings = replace(self.context.worker.store.given(entry.id), save_lora_name="")
                updates = self._filled(settings)
                place = self.form.place_of("save_lora_name")
                updates[place] = {**self._proposed(settings), **updates[place]}
            except UserError:
                message = self.message.answer("run.job_gone", name=entry.name)
        is_whole = updates is not None
        if updates is None:
            updates = self._fitted(values)
        updates = self._with_lists(updates, values if before is None else before[0])
        answer = self.form.answer(values, updates, is_whole=is_whole)
        return [answer, self.saved.opened(is_filled=is_whole), message, *editing]

    def _before(self, kept: str) -> tuple[list[Any], int] | None:
        """The values that the form's components had before a reload, and the number of the job that was edited (0: of
        none); None if there are none, or they are of another form."""
        try:
            found = json.loads(kept)
            typed, edited = list(found["values"]), int(found["edited"])
            json.loads(typed[-1])
        except (ValueError, TypeError, KeyError, IndexError):
            return None
        return (typed, edited) if len(typed) == len(self.form.components) else None

    def _editing_again(self, number: int) -> list[Any]:
        try:
            entry = self.context.worker.store.get(number)
        except UserError:  # of no job, or it is gone
            return self._editing(0)
        return self._editing(entry.id, entry.name) if self.context.can_edit(entry) else self._editing(0)

    def _with_lists(self, updates: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        """The same updates, with the models and VAEs that there are now."""
        found = list(updates)
        model, vae = (self.form.place_of(name) for name in ("model", "vae"))
        for place, names in zip((model, vae), self.model.names(values[model]), strict=True):
            found[place] = {**found[place], "choices": choices(names)}
        return found

    def _lists(self, model: str) -> list[Any]:
        self.context.catalogue.refresh()
        return [*self.model.lists(model), self.saved.lists()]

    # ---- a job of the queue -----------------------------------------------------------------------------------------

    def _pick(self, picked: str, mode: str) -> list[Any]:
        """Put a job into the form: to edit it if it is not done, otherwise to start a new one from it; or the settings
        of a LoRA of the gallery. ``mode``: what is chosen in the form."""
        kind, _, name = picked.partition(":")
        if kind in (SETTINGS_OF, TRAIN_ON):
            return self._pick_lora(name, mode, trains_on=kind == TRAIN_ON)
        try:
            entry = self.context.worker.store.get(int(picked))
            settings = self.context.worker.store.given(entry.id)
        except UserError as error:
            return [*self._unchanged(), self.message.wrong(error), *(gr.update() for _ in range(7))]
        besides = [gr.update(selected=TAB), gr.update(value=None), gr.update(value=""), gr.update()]
        if self.context.can_edit(entry):
            return [*self._filled(settings), "", *self._editing(entry.id, entry.name), *besides]
        copy = replace(settings, save_lora_name=self.context.worker.store.proposed_name(entry.name))
        copied = self.message.answer("run.copied", name=entry.name)
        return [*self._filled(copy), copied, *self._editing(0), *besides]

    def _pick_lora(self, name: str, mode: str, *, trains_on: bool) -> list[Any]:
        """Put what a LoRA was trained with into the form, for a new one; ``trains_on``: which continues from it, in the
        form's mode or one that can, where the LoRA has no settings to do so with."""
        opened = gr.update(open=True) if trains_on else gr.update()
        besides = [gr.update(selected=TAB), gr.update(value=None), gr.update(value=""), opened]
        path, continuing = inside(name, self.context.folders), row_of("network_resume").modes
        settings: Settings | None = None
        try:
            if path is None:
                raise UserError("web.no_such_lora", where=name)
            settings = settings_of(path).settings
        except UserError as error:
            if path is None or not trains_on:
                return [*self._unchanged(), self.message.wrong(error), *(gr.update() for _ in range(7))]
        if settings is None or (trains_on and settings.mode not in continuing):
            mode = mode if mode in continuing else continuing[0]
            updates = self._unchanged()
            for setting, value in (("network_resume", name), ("mode", mode)):
                updates[self.form.place_of(setting)] = gr.update(value=value)
            told = self.message.answer("run.trains_on_other", name=name, mode=mode)
            return [*updates, told, *self._editing(0), *besides]
        settings = replace(settings, save_lora_name=self.context.worker.store.proposed_name(name))
        if trains_on:
            settings = replace(settings, network_resume=name)
        told = self.message.answer("run.trains_on" if trains_on else "run.settings_of", name=name)
        return [*self._filled(settings), told, *self._editing(0), *besides]

    def _editing(self, number: int, name: str = "") -> list[Any]:
        """Updates of the job that is being edited (0: none), and of the banner that says so."""
        words = html.escape(self.say("run.editing", name=name)) if number else ""
        told = f'<p class="{PREFIX}-note" data-job="{number}">{words}</p>'
        return [number, gr.update(visible=bool(number)), told]

    def _start(self, asked: int, edited: int, *values: Any) -> list[Any]:
        """Begin a run; where one with the very same settings runs, only when it is asked for a second time."""
        running = self.context.running_alike(self._read(values)) if not edited else None
        if running is not None and running.id != asked:
            told = self.message.answer("run.same_again", name=running.name)
            return [running.id, told, *(gr.update() for _ in range(4))]

        def begin(settings: Settings) -> str:
            worker, account = self.context.worker, Account()
            if worker.is_running:
                account = self.context.account_of(settings)
            else:  # the run looks at its data at once, and says the same
                require_folder(settings)
            waiting = None if edited else self.context.waiting(settings)
            entry = waiting or self.context.put(settings, edited)
            begins = worker.run_now(entry.id, and_queue=True)
            words = "run.started" if begins else "run.is_next"
            return self.message.told(words, account, job=entry.id, name=entry.name)

        return [0, *self._with_settings(values, begin)]

    def _read(self, values: Sequence[Any]) -> Settings | None:
        """The settings that the form stands for; None while something in it is wrong."""
        try:
            return self.form.settings(self._suited(values))
        except UserError:
            return None

    def _add(self, edited: int, *values: Any) -> list[Any]:
        def add(settings: Settings) -> str:
            waiting = None if edited else self.context.waiting(settings)
            if waiting is not None:
                return self.message.answer("run.waits_already", name=waiting.name, place=waiting.position)
            account = self.context.account_of(settings)
            entry = self.context.put(settings, edited)
            follows = self.context.worker.follow()
            if edited:
                words = "run.changed"
            elif follows:
                words = "run.added"
            else:
                words = "run.added_held" if self.context.worker.is_held else "run.start_the_queue"
            return self.message.told(words, account, job=entry.id, name=entry.name, place=entry.position)

        return self._with_settings(values, add)

    def _with_settings(self, values: Sequence[Any], act: Callable[[Settings], str]) -> list[Any]:
        """A button's answer; afterwards the next free name is proposed and no job is being edited."""
        try:
            settings = self.form.settings(self._suited(values))
            message = act(settings)
        except UserError as error:
            return [self.message.wrong(error), *(gr.update() for _ in range(4))]
        return [message, self._proposed(settings), *self._editing(0)]

    def _suited(self, values: Sequence[Any]) -> list[Any]:
        """The form's values with what suits the model in the fields that nobody has touched.

        The page fills them as soon as the model has been looked at. Whoever is quicker gets the same job.
        """
        advice = self.context.advisor.soon(self.form.chosen(values))
        updates = self.form.fitted(values, advice.defaults if advice else None)
        return [update.get("value", value) for update, value in zip(updates, values, strict=True)]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
