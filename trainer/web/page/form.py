"""The form: a component for every setting of the table, and the way from settings to form and back."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from ...config.choices import MODES, SECOND_PASS, TEXT_ENCODERS, WITH_SECOND_PASS
from ...config.schema import Parsed, parse, to_json
from ...config.settings import ROWS, SECOND_PASS_KEY, SECTIONS, Row, Settings, row_of
from ...config.values import read_value, to_json_value
from ...text.words import Words
from ..services import defaults
from ..services.advice import DECISIVE

PREFIX = "trainyard"
SECOND = f"{PREFIX}_second"
"""The prefix of the ids of the second pass's fields."""
SUBJECT = (
    "original_prompt", "target_prompt", "lora_data_directory", "diff_target_name", "lora_trigger_word",
    "save_lora_name",
)  # fmt: skip
"""What is learned and what the result is called: first in the form, in this order."""
ELSEWHERE = ("mode", "model", "vae", "original_image", "target_image", "use_2nd_pass_settings")
"""Fields placed elsewhere on the page."""
_LONG = ("literals",)
_WHAT = ("text", "path", "file name", "file name pattern")
"""The kinds of what our presets leave to the user: texts, paths and names."""
_LINES = {
    "original_prompt": 2, "target_prompt": 2, "keep_prompts": 2, "hold_negative": 2, "sample_prompt": 2,
    "sample_negative": 2,
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One setting's place in the form."""

    row: Row
    component: Any
    second: bool
    """Whether it is one of the second pass."""


class Form:
    """All fields in a fixed order, and the part of the settings that no field shows."""

    def __init__(self, words: Words | None = None) -> None:
        self.words = words or Words()
        self.fields: list[Field] = []
        self.folds: dict[str, Any] = {}
        """The sections by their names."""
        self.rest: Any = None

    @property
    def components(self) -> list[Any]:
        """Inputs and outputs of an event that reads or fills the form."""
        return [*(field.component for field in self.fields), self.rest]

    def component(self, name: str) -> Any:
        return self.fields[self.place_of(name)].component

    def place_of(self, name: str) -> int:
        """The index of a field of the first pass among the components."""
        return next(n for n, each in enumerate(self.fields) if each.row.name == name and not each.second)

    # ---- building, within a page ------------------------------------------------------------------------------------

    def place_mode(self) -> None:
        """The switch between the modes."""
        row = row_of("mode")
        self._add(
            row, gr.Radio(list(MODES), value=row.default, label=self.words.title("mode"), elem_id=f"{PREFIX}_mode")
        )

    def place(self, name: str, component: Any) -> None:
        """Register a field that the page has made itself."""
        self._add(row_of(name), component)

    def place_one(self, name: str) -> Any:
        """Place a single field."""
        self._field(row_of(name))
        return self.component(name)

    def place_subject(self) -> None:
        """The fields that say what is to be learned."""
        with _grid(f"{PREFIX}_subject"):
            for name in SUBJECT:
                self._field(row_of(name))

    def place_sections(self) -> None:
        """The other fields: the important ones open, the rest folded under their headings."""
        table = [row for row in ROWS if row.name not in (*SUBJECT, *ELSEWHERE)]
        for section in SECTIONS:
            here = [row for row in table if row.section == section and set(row.modes) & set(MODES)]
            with _fold(self._title(section), here, _section_id(section), is_open=section == "Required") as self.folds[
                section
            ]:
                self._rows_in_grid(here)
        self._place_second_pass()
        self._place_rest()

    def _place_rest(self) -> None:
        """A hidden field on the page, so that it is read at the same moment as the others."""
        unchanged = {row.name: shown_in(Settings(), row) for row in ROWS}
        text = _text({"mode": Settings.mode, "defaults": unchanged})
        self.rest = gr.Textbox(text, label="rest", elem_id=f"{PREFIX}_rest")

    def _place_second_pass(self) -> None:
        own = [row for row in ROWS if SECOND_PASS in row.modes]
        classes = [f"{PREFIX}-field", *mode_classes(WITH_SECOND_PASS)]
        with gr.Accordion(self.words.say("section.second"), open=False, elem_id=SECOND, elem_classes=classes):
            self._field(row_of("use_2nd_pass_settings"))
            for section in SECTIONS:
                here = [row for row in own if row.section == section and row.name not in ELSEWHERE]
                if here:
                    gr.HTML(f"<h4>{self._title(section)}</h4>")
                    self._rows_in_grid(here, second=True)

    def _rows_in_grid(self, here: Sequence[Row], second: bool = False) -> None:
        with _grid():
            for row in here:
                if row.kind not in ("bool", "blocks", *_LONG):
                    self._field(row, second)
            for row in here:
                if row.kind in _LONG:
                    self._field(row, second)
        with _grid():
            for row in here:
                if row.kind == "bool":
                    self._field(row, second)
        for row in here:
            if row.kind == "blocks":
                fold = _blocks_fold(second)
                with gr.Accordion(self.words.say("section.blocks"), open=False, elem_id=fold):
                    self._field(row, second)

    def _field(self, row: Row, second: bool = False) -> None:
        self._add(row, make(row, self.words, second), second)

    @staticmethod
    def folds_of() -> dict[str, list[str]]:
        """Setting -> the ids of what it is folded up in, the outermost first. Gradio may make a field only when its
        fold is opened."""
        found: dict[str, list[str]] = {}
        for row in ROWS:
            if row.name not in (*SUBJECT, *ELSEWHERE):
                blocks = [_blocks_fold()] if row.kind == "blocks" else []
                found[row.name] = [_section_id(row.section), *blocks]
        return {**found, "use_2nd_pass_settings": [SECOND]}

    def _title(self, section: str) -> str:
        return self.words.say(f"section.{section.lower()}")

    def _add(self, row: Row, component: Any, second: bool = False) -> None:
        self.fields.append(Field(row, component, second))

    # ---- settings to form, form to settings -------------------------------------------------------------------------

    def values(self, settings: Settings) -> list[Any]:
        """The components' values for these settings; the last one is the part that no field shows, as JSON."""
        second = settings.second_pass or Settings()
        shown = [shown_in(second if each.second else settings, each.row)
                 for each in self.fields]  # fmt: skip
        return [*shown, _text({"settings": to_json(settings), "mode": settings.mode})]

    def values_of_ours(self, preset: str, mode: str, better: Mapping[str, Any]) -> list[Any]:
        """The components' values for one of our presets. They are defaults, as a mode's are: what the preset leaves to
        the model changes with it.

        Args:
            better: as for :meth:`fitted`.
        """
        own = self._defaults(mode, better, preset)
        *shown, _ = self.values(defaults.of(mode, better, preset))
        brought = {name: [value] for name, value in own.items()}
        return [*shown, _text({"mode": mode, "preset": preset, "defaults": own, "brought": brought})]

    def subject_left_by(self, parsed: Parsed) -> list[int]:
        """The places of the fields that say what is trained and on which data, where a preset says nothing of it."""
        return [
            place
            for place, each in enumerate(self.fields)
            if not each.second and each.row.kind in _WHAT and each.row.name not in parsed.given
        ]

    def updates(self, settings: Settings) -> list[Any]:
        """The same as updates, which the function of an event returns."""
        return [gr.update(value=value) for value in self.values(settings)]

    def nothing(self) -> list[Any]:
        """Updates that change nothing."""
        return [gr.update() for _ in self.components]

    def answer(self, values: Sequence[Any], updates: Sequence[Any], *, is_whole: bool = False) -> str:
        """Updates that no button has asked for, for the page's script to carry out.

        Meanwhile the user may have typed into a field, or chosen another mode or model. So the script also gets the
        values that the fields had when it asked: it leaves fields alone that have changed since, and all of them if
        one of the ``decisive`` ones has.

        Args:
            values: of the components.
            updates: of the components, and of what else the script fills.
            is_whole: whether all belong together, so that every field is decisive.
        """
        own = range(len(self.fields)) if is_whole else (self.place_of(name) for name in DECISIVE)
        decisive = [*own, len(self.fields)]
        bare = [{name: value for name, value in each.items() if name != "__type__"} for each in updates]
        ids = [field.component.elem_id for field in self.fields]
        return json.dumps({"asked": list(values), "fields": ids, "updates": bare, "decisive": decisive})

    def fitted(self, values: Sequence[Any], better: Mapping[str, Any] | None) -> list[Any]:
        """Updates that put the defaults of the mode and the model into the fields the user has not touched.

        A field is untouched if it holds a default that was put there: the last one, or an earlier one if the page did
        not show the last one yet when it asked. Values from a file or a job count as chosen.

        Args:
            values: of the components.
            better: short name -> a value that suits the model better than the mode's default; None until known.
        """
        *shown, rest = values
        kept = json.loads(rest)
        mode = self._mode(shown)
        if kept.get("mode") != mode:  # what was made to fit there, or chosen as a preset, was of that mode
            kept = {name: value for name, value in kept.items() if name not in ("preset", "made_to_fit")}
        now = self._defaults(mode, better or {}, kept.get("preset", ""))
        before = kept.get("defaults")
        if before is None:
            before = now if kept.get("mode") == mode else self._defaults(kept.get("mode", Settings.mode), {})
        elif better is None and kept.get("mode") == mode:
            return self.nothing()
        brought = kept.get("brought") or {name: [value] for name, value in before.items()}
        updates = []
        for each, value in zip(self.fields, shown, strict=True):
            name = each.row.name
            untouched = not each.second and name in now and value != now[name] and value in brought[name]
            updates.append(gr.update(value=now[name]) if untouched else gr.update())
        if kept.get("mode") != mode:  # what was brought to one mode may be chosen in another
            brought = {name: [] for name in now}
        brought = {name: [*brought[name], *([] if value in brought[name] else [value])] for name, value in now.items()}
        return [*updates, gr.update(value=_text({**kept, "mode": mode, "defaults": now, "brought": brought}))]

    def has_name_of_mode_left(self, values: Sequence[Any]) -> bool:
        """Whether the name is one that was drawn for the mode that the form was filled for, and another is chosen."""
        *shown, rest = values
        before = json.loads(rest).get("mode", Settings.mode)
        name = str(shown[self.place_of("save_lora_name")] or "")
        return before != self._mode(shown) and bool(re.fullmatch(rf"{re.escape(before)}(_\d+)?", name))

    # ---- what makes the form fit a GPU ------------------------------------------------------------------------------

    def before_fit(self, values: Sequence[Any]) -> list[Any]:
        """The values as they were before the form was made to fit a GPU; what was changed since stays."""
        *shown, rest = values
        kept = json.loads(rest)
        made = kept.pop("made_to_fit", {})
        for place, each in enumerate(self.fields):
            before, after = made.get(each.component.elem_id, (None, None))
            if after is not None and shown[place] == after:
                shown[place] = before
        return [*shown, _text(kept)]

    def made_to_fit(self, values: Sequence[Any], settings: Settings, changed: Collection[str]) -> list[Any]:
        """The values with the changes that make them fit, which are the user's own from now on.

        Args:
            settings: those that fit.
            changed: the short names of what differs in them.
        """
        *shown, rest = values
        second = settings.second_pass or Settings()
        made = {}
        for place, each in enumerate(self.fields):
            if each.row.name in changed and not (each.second and settings.second_pass is None):
                after = shown_in(second if each.second else settings, each.row)
                if after != shown[place]:
                    made[each.component.elem_id] = [shown[place], after]
                    shown[place] = after
        return [*shown, _text({**json.loads(rest), "made_to_fit": made})]

    def _defaults(self, mode: str, better: Mapping[str, Any], preset: str = "") -> dict[str, Any]:
        """The values of the first pass's fields that nobody has changed."""
        settings = defaults.of(mode, better, preset)
        first = [each.row for each in self.fields if not each.second and each.row.name not in ELSEWHERE]
        return {row.name: shown_in(settings, row) for row in first}

    def chosen(self, values: Sequence[Any]) -> Settings:
        """Settings with what decides on the defaults only, whatever the other fields hold."""
        *shown, _ = values
        found = {each.row.name: value for each, value in zip(self.fields, shown, strict=True)
                 if each.row.name in DECISIVE and not each.second}  # fmt: skip
        return parse({name: value for name, value in found.items() if value is not None}).settings

    def _mode(self, shown: Sequence[Any]) -> str:
        return str(next(value for each, value in zip(self.fields, shown, strict=True) if each.row.name == "mode"))

    def settings(self, values: Sequence[Any]) -> Settings:
        """The settings that the components' values stand for.

        A wrong value in a field that the mode does not show counts as the default, since it cannot be seen.

        Raises:
            SettingsError: with all problems, each with its field's label.
        """
        *shown, rest = values
        mode = self._mode(shown)
        first: dict[str, Any] = {}
        second: dict[str, Any] = {}
        for each, value in zip(self.fields, shown, strict=True):
            visible = mode in WITH_SECOND_PASS if each.second else mode in each.row.modes
            key = each.row.name if MODES[mode].images == "pair" else each.row.key  # of a pair, a size of 512 is chosen
            (second if each.second else first)[key] = value if visible else _readable(value, each.row)
        base = parse(json.loads(rest).get("settings", {})).settings
        first[SECOND_PASS_KEY] = second
        read = parse(first, base=base).settings
        unused = base.second_pass is None and read.second_pass == Settings() and not read.use_2nd_pass_settings
        return replace(read, second_pass=None) if unused else read


def make(row: Row, words: Words, second: bool = False) -> Any:
    """A setting's component, with its label, its help and its default."""
    for_modes = WITH_SECOND_PASS if second or row.modes == (SECOND_PASS,) else row.modes
    common: dict[str, Any] = {
        "label": words.title(row.name),
        "info": words.help(row.name),
        "value": shown_in(Settings(), row),
        "interactive": True,
        "elem_id": f"{SECOND if second else PREFIX}_{row.name}",
        "elem_classes": [f"{PREFIX}-field", f"{PREFIX}-{row.kind.split()[0]}", *mode_classes(for_modes)],
    }
    if row.kind == "bool":
        return gr.Checkbox(**common)
    if row.kind == "blocks":
        in_words = {TEXT_ENCODERS: words.say("form.text_encoder", block=TEXT_ENCODERS)}
        return gr.CheckboxGroup([(in_words.get(each, each), each) for each in row.choices], **common)
    if row.kind in ("choice", "three states"):
        return gr.Dropdown(list(row.choices), **common)
    if row.offered:
        offered = [shown_number(number) for number in row.offered]
        return gr.Dropdown(offered, allow_custom_value=True, **common)
    return gr.Textbox(lines=_LINES.get(row.name, 1), **common)


def shown_in(settings: Settings, row: Row) -> Any:
    """What the component of a setting holds. Where a pair is trained at its images' own size, no size is shown."""
    if row.name == "image_size" and settings.image_size is None and MODES[settings.mode].images == "pair":
        return ""
    return shown_value(getattr(settings, row.name), row)


def shown_value(value: Any, row: Row) -> Any:
    """A setting's value as its component holds it: text where something is typed."""
    if row.kind in ("bool", "choice", "three states"):
        return value
    if row.kind == "blocks":
        return list(value)
    if row.kind == "floats":
        return ", ".join(shown_number(number) for number in value)
    if row.kind in ("int", "float", "float or none"):
        return "" if value is None else shown_number(value)
    return str(to_json_value(value, row))


def shown_number(number: float) -> str:
    """The shortest text that reads back as the same number."""
    whole = float(number).is_integer() and abs(number) < 1e15
    return str(int(number)) if whole else repr(float(number))


def _text(rest: Mapping[str, Any]) -> str:
    return json.dumps(rest)


def _readable(value: Any, row: Row) -> Any:
    try:
        read_value(value, row)
    except ValueError:
        return to_json_value(row.default, row)
    return value


def _section_id(section: str) -> str:
    return f"{PREFIX}_section_{section.lower()}"


def _blocks_fold(second: bool = False) -> str:
    return f"{SECOND if second else PREFIX}_blocks"


def _grid(elem_id: str | None = None) -> Any:
    return gr.Column(elem_id=elem_id, elem_classes=[f"{PREFIX}-grid"])


def _fold(title: str, here: Sequence[Row], elem_id: str, *, is_open: bool) -> Any:
    modes = {mode for row in here for mode in row.modes}
    classes = [f"{PREFIX}-field", f"{PREFIX}-fold", *mode_classes(modes)]
    return gr.Accordion(title, open=is_open, elem_id=elem_id, elem_classes=classes)


def mode_classes(modes: Collection[str]) -> list[str]:
    """The classes of what is shown in these modes only."""
    return [f"{PREFIX}-for-{info.slug}" for name, info in MODES.items() if name in modes]
