"""The form, without a browser: settings → form → settings is the identity, and wrong values are named."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.other_values import OTHER
from trainer.config import presets
from trainer.config.choices import MODES, SECOND_PASS
from trainer.config.schema import dump, parse
from trainer.config.settings import ROWS, Row, Settings
from trainer.config.size import DEFAULT_SIZE, Size
from trainer.errors import SettingsError
from trainer.web.page import compat
from trainer.web.page.form import ELSEWHERE, Form, shown_number

SHIPPED = Path(__file__).resolve().parents[3] / "presets"


@pytest.fixture(scope="module")
def form() -> Form:
    import gradio as gr

    form = Form()
    with compat.page("form"):
        form.place_mode()
        for name in ("model", "vae"):
            form.place(name, gr.Dropdown([], allow_custom_value=True))
        for name in ("original_image", "target_image"):
            form.place_one(name)
        form.place_subject()
        form.place_sections()
    return form


def through(form: Form, settings: Settings) -> Settings:
    """There and back, with JSON on the way as between server and browser."""
    return form.settings(json.loads(json.dumps(form.values(settings))))


def another(row: Row, rng: random.Random) -> Any:
    """A value that is not the default, as Settings holds it."""
    if row.kind == "bool":
        return not row.default
    if row.kind in ("choice", "three states"):
        return rng.choice([name for name in row.choices if name != row.default])
    if row.kind == "blocks":
        return tuple(name for name in row.choices if rng.random() < 0.5) or row.choices[:1]
    if row.kind == "size":
        return Size(8 * rng.randrange(8, 200), 8 * rng.randrange(8, 200))
    if row.kind == "floats":
        return tuple(rng.uniform(-2, 2) for _ in range(3))
    if row.kind == "int":
        least, most = int(row.least or 0), int(row.most or 10**6)
        return row.multiple * rng.randrange(-(-least // row.multiple) + 1, most // row.multiple)
    if row.kind in ("float", "float or none"):
        return rng.uniform(row.least or row.above or 0.0, min(10.0, row.most or 10.0) - 1e-9) + 1e-9
    if row.kind in ("block rates", "file name pattern"):
        return OTHER[row.name]
    if row.kind == "literals":
        return "weight_decay=0.01;betas=(0.9, 0.99)"
    return f"ein wort, 言葉 & <b>{rng.randrange(1000)}</b>" if row.kind == "text" else f"/tmp/ä b{rng.randrange(1000)}"


def test_every_setting_has_its_field(form: Form) -> None:
    first = {each.row.name for each in form.fields if not each.second}
    assert first == {row.name for row in ROWS}
    second = {each.row.name for each in form.fields if each.second}
    assert second == {row.name for row in ROWS if SECOND_PASS in row.modes} - set(ELSEWHERE)
    ids = [each.component.elem_id for each in form.fields if each.component.elem_id]
    assert len(ids) == len(set(ids)) == len(form.fields) - 2
    assert all(name.startswith("trainyard_") for name in ids)


def test_the_text_encoder_is_called_so_in_the_list_of_blocks(form: Form) -> None:
    (blocks,) = [each.component for each in form.fields if each.row.name == "network_blocks" and not each.second]
    assert blocks.choices[:2] == [("Text encoder (BASE)", "BASE"), ("IN00", "IN00")]
    assert set(form.settings(form.values(Settings(network_blocks=("BASE", "M00")))).network_blocks) == {"BASE", "M00"}


@pytest.mark.parametrize("mode", MODES)
def test_every_field_of_every_mode_comes_back(form: Form, mode: str) -> None:
    rng = random.Random(mode)
    for row in ROWS:
        if row.name == "mode":
            continue
        value = "名前_1" if row.kind == "file name" else another(row, rng)
        changes = {row.name: value, **({"train_max_timesteps": 1000} if row.name == "train_min_timesteps" else {})}
        settings = replace(Settings(), mode=mode, **changes)
        if row.name == "use_2nd_pass_settings":
            settings = replace(settings, second_pass=Settings())
        assert through(form, settings) == settings


def test_the_second_pass_comes_back(form: Form) -> None:
    rng = random.Random(2)
    own = {each.row.name: another(each.row, rng) for each in form.fields if each.second}
    own.update(train_min_timesteps=3, train_max_timesteps=700)
    for use in (False, True):
        settings = replace(Settings(), mode="Difference", use_2nd_pass_settings=use, second_pass=Settings(**own))
        assert through(form, settings) == settings


def test_what_no_field_shows_comes_back(form: Form) -> None:
    settings = parse({"foreign key": [1, {"a": None}], "2nd pass": {"network_rank": 4, "other": 1}}).settings
    assert through(form, settings) == settings


@pytest.mark.parametrize("name", presets.list_presets([SHIPPED]))
def test_presets_come_back(form: Form, name: str) -> None:
    settings = presets.load(name, [SHIPPED]).settings
    assert dump(through(form, settings)) == dump(settings)


def with_text(form: Form, mode: str, name: str, text: str) -> list[Any]:
    values = form.values(replace(Settings(), mode=mode))
    index = next(n for n, each in enumerate(form.fields) if each.row.name == name and not each.second)
    values[index] = text
    return values


def test_a_wrong_value_is_named_by_its_label(form: Form) -> None:
    with pytest.raises(SettingsError, match=r"train iterations: It must be a whole number, not \"many\""):
        form.settings(with_text(form, "LoRA", "train_iterations", "many"))


def test_a_wrong_value_that_nobody_sees_does_no_harm(form: Form) -> None:
    read = form.settings(with_text(form, "iLECO", "image_min_length", "x"))
    assert read == replace(Settings(), mode="iLECO")
    with pytest.raises(SettingsError, match="image min length"):
        form.settings(with_text(form, "LoRA", "image_min_length", "x"))


@pytest.mark.parametrize("number", [0.1, 1e-5, 5e-4, 8.0, 1 / 3, 1e300, 0.03125, 2, -1])
def test_numbers_are_shown_in_full(number: float) -> None:
    assert float(shown_number(number)) == number
    assert shown_number(8.0) == "8"


def test_a_mode_brings_its_defaults_where_the_user_has_left_a_field_alone(form: Form) -> None:
    values = form.values(of_lora())
    names = [each.row.name for each in form.fields if not each.second]

    def switch(values: list[Any], mode: str) -> list[Any]:
        values = [
            mode if each.row.name == "mode" else value for each, value in zip(form.fields, values, strict=False)
        ] + [values[-1]]
        updates = form.fitted(values, None)
        return [u.get("value", v) for u, v in zip(updates, values, strict=True)]

    values[names.index("train_batch_size")] = "7"
    values = switch(values, "ADDifT")
    read = form.settings(values)
    assert (read.train_iterations, read.network_rank, read.diff_reach_target) == (100, 16, True)
    assert (read.train_batch_size, read.train_seed, read.save_lora_name) == (7, -1, "")
    values = switch(switch(values, "iLECO"), "LoRA")
    assert form.settings(values) == replace(of_lora(), train_batch_size=7)


def of_lora() -> Settings:
    """What the mode begins with."""
    return presets.of_mode("LoRA").settings


def fit(form: Form, values: list[Any], better: dict[str, Any] | None, **changes: str) -> list[Any]:
    """The values after they have been fitted, with some typed or chosen before."""
    names = [("second " if each.second else "") + each.row.name for each in form.fields]
    values = [changes.get(name, value) for name, value in zip(names, values, strict=False)] + [values[-1]]
    updates = form.fitted(values, better)
    return [u.get("value", v) for u, v in zip(updates, values, strict=True)]


def opened(form: Form) -> list[Any]:
    return [*form.values(Settings())[:-1], form.rest.value]


def test_a_name_that_was_drawn_for_a_mode_goes_with_it(form: Form) -> None:
    place, mode = form.place_of("save_lora_name"), form.place_of("mode")
    for name, is_left in (("iLECO_3", True), ("iLECO", True), ("LoRA_3", False), ("my iLECO", False), ("", False)):
        values = form.values(Settings(mode="iLECO", save_lora_name=name))
        assert not form.has_name_of_mode_left(values)
        values[mode] = "LoRA"
        assert values[place] == name
        assert form.has_name_of_mode_left(values) == is_left


def test_a_model_brings_its_defaults_where_the_user_has_left_a_field_alone(form: Form) -> None:
    large = {"image_size": Size(1024, 1024)}
    values = fit(form, fit(form, opened(form), None), large)
    assert form.settings(values) == replace(of_lora(), image_size=Size(1024, 1024))
    values = fit(form, values, {"image_size": Size(768, 768)})
    assert form.settings(values).image_size == (768, 768)
    values = fit(form, values, large, image_size="640")
    assert form.settings(values).image_size == (640, 640)
    values = fit(form, values, {"train_learning_rate": 2e-4, "train_max_timesteps": 900}, mode="ADDifT")
    read = form.settings(values)
    assert (read.train_learning_rate, read.train_max_timesteps) == (2e-3, 900), "the preset's own comes first"
    values = fit(form, values, None, mode="LoRA")
    assert form.settings(values) == replace(of_lora(), image_size=Size(640, 640))


def test_a_pair_has_its_images_own_size_until_another_is_chosen(form: Form) -> None:
    fields = [("second " if each.second else "") + each.row.name for each in form.fields]
    large = {"image_size": Size(1024, 1024)}

    def shown(values: list[Any]) -> Any:
        return values[fields.index("image_size")]

    values = fit(form, fit(form, opened(form), None), large)
    assert shown(values) == "1024"
    values = fit(form, values, {}, mode="ADDifT")
    assert (shown(values), form.settings(values).image_size) == ("", None)
    for typed, read in (("512", DEFAULT_SIZE), ("768", Size(768, 768)), ("0", None), ("", None)):
        chosen = fit(form, values, {}, image_size=typed)
        assert form.settings(chosen).image_size == read
        assert through(form, form.settings(chosen)) == form.settings(chosen)
    assert shown(fit(form, values, large, mode="LoRA")) == "1024"


def test_a_size_typed_in_one_mode_is_seen_in_the_next(form: Form) -> None:
    """What a field holds acts where it can be seen; a pair's field is there to be seen, and so it acts."""
    values = fit(form, fit(form, opened(form), None), {}, image_size="768")
    values = fit(form, values, {}, mode="ADDifT")
    assert form.settings(values).image_size == Size(768, 768)
    (field,) = [each for each in form.fields if each.row.name == "image_size" and not each.second]
    assert {"trainyard-for-addift", "trainyard-for-difference"} <= set(field.component.elem_classes)


def test_a_model_changes_nothing_of_what_was_loaded(form: Form) -> None:
    preset = presets.load("ADDifT_Action_SD1.5", [SHIPPED]).settings
    values = fit(form, form.values(preset), {"train_learning_rate": 2e-4, "image_size": Size(1024, 1024)})
    assert form.settings(values) == preset


OURS = SHIPPED / "trainyard"


def test_one_of_ours_leaves_to_the_user_what_is_trained_and_to_the_model_what_suits_it(form: Form) -> None:
    large = {"image_size": Size(1024, 1024)}
    for path in sorted(OURS.glob("*.json")):
        parsed = presets.load_file(path)
        mode = parsed.settings.mode
        values = form.values_of_ours(path.stem, mode, {})
        assert form.settings(values) == parsed.settings, path.stem
        values = fit(form, values, large)
        assert form.settings(values) == replace(parsed.settings, image_size=Size(1024, 1024)), path.stem
        values = fit(form, values, {"image_size": Size(768, 768)}, train_iterations="77")
        read = form.settings(values)
        assert (read.train_iterations, read.image_size) == (77, (768, 768))
        names = [form.fields[place].row.name for place in form.subject_left_by(parsed)]
        assert {"model", "original_prompt", "lora_data_directory", "original_image", "save_lora_name"} <= set(names)
        assert not {"train_iterations", "network_rank", "train_optimizer", "train_lr_scheduler_settings"} & set(names)


def test_another_mode_ends_what_a_preset_said(form: Form) -> None:
    values = form.values_of_ours("style-from-pair", "ADDifT", {})
    assert form.settings(values).train_iterations == 50
    for mode in ("LoRA", "ADDifT"):
        values = fit(form, values, {}, mode=mode)
        assert form.settings(values) == presets.of_mode(mode).settings


def test_what_makes_the_form_fit_is_there_to_see_and_another_gpu_undoes_it(form: Form) -> None:
    second = Settings(network_rank=4, train_batch_size=4)
    wanted = replace(Settings(), mode="Difference", use_2nd_pass_settings=True, second_pass=second)
    small = {"use_gradient_checkpointing": True, "train_batch_size": 1}
    fitted = replace(wanted, **small, second_pass=replace(second, **small))
    values = form.made_to_fit(form.values(wanted), fitted, tuple(small))
    assert form.settings(values) == fitted
    assert form.settings(form.before_fit(values)) == wanted
    names = [("second " if each.second else "") + each.row.name for each in form.fields]
    values[names.index("train_batch_size")] = "3"  # what was changed since stays
    read = form.settings(form.before_fit(values))
    assert read == replace(wanted, train_batch_size=3)
    assert form.before_fit(form.before_fit(values)) == form.before_fit(values)
    switched = fit(form, values, {}, mode="LoRA")
    assert form.before_fit(switched) == switched


def test_what_a_gpu_needs_counts_as_chosen(form: Form) -> None:
    values = fit(form, form.values_of_ours("character-from-images", "LoRA", {}), {"image_size": Size(1024, 1024)})
    settings = replace(form.settings(values), image_size=Size(768, 768), train_batch_size=1)
    values = form.made_to_fit(values, settings, ("image_size", "train_batch_size"))
    assert form.settings(fit(form, values, {"image_size": Size(1024, 1024)})) == settings


@pytest.mark.parametrize(
    ("names", "chosen", "choices"),
    [([], "", []), (["a"], "", ["", "a"]), (["a"], "a", ["a"]), (["", "a"], "", ["", "a"])],
)
def test_a_list_may_stay_empty_unless_there_is_nothing_to_choose(
    names: list[str], chosen: str, choices: list[str]
) -> None:
    assert compat.offered(names, chosen) == choices
