"""The page in a real Chromium, from an empty form to a LoRA: what users do, and what they see."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers.browser.gradios import AVAILABLE, ROOT
from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import STEPS, Visitor
from tests.web.conftest import OWN
from trainer.config import presets
from trainer.config.schema import to_json
from trainer.web.page.train import MEASURE

pytestmark = pytest.mark.browser


def test_a_mode_shows_its_own_fields(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    for mode, seen, unseen in (
        ("iLECO", "target_prompt", "lora_data_directory"),
        ("ADDifT", "original_image_drop", "lora_data_directory"),
        ("Difference", "second", "lora_data_directory"),
        ("LoRA", "lora_data_directory", "target_prompt"),
    ):
        someone.choose(mode)
        someone.page.wait_for_selector(f"#trainyard_{seen}", state="visible")
        assert not someone.page.is_visible(f"#trainyard_{unseen}")
        someone.page.wait_for_selector(f"#trainyard_mode_words .trainyard-for-{mode.lower()}", state="visible")


@pytest.mark.more
def test_modes_passed_over_quickly_leave_nothing_behind(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    for mode in ("iLECO", "ADDifT", "Difference"):
        someone.mode(mode)
    someone.until(lambda: someone.box("train_iterations").input_value() == STEPS["Difference"])
    assert someone.box("network_rank").input_value() == "16"


@pytest.mark.more
def test_what_is_typed_while_an_answer_is_on_its_way_stays(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.choose("iLECO")
    with someone.held():
        someone.mode("Difference")
        someone.write("train_iterations", "77")
        someone.write("save_lora_name", "mine")
    someone.until(lambda: someone.box("network_rank").input_value() == "16")  # what else suits the mode has come
    assert someone.box("train_iterations").input_value() == "77"
    assert someone.box("save_lora_name").input_value() == "mine"


def asking_for_ileco(someone: Visitor) -> Visitor:
    """The same, with all that iLECO needs in the form."""
    someone.choose("iLECO")
    someone.write("model", "toy-sd1.safetensors")
    for name, text in (("original_prompt", "red"), ("target_prompt", "blue"), ("image_size", "64")):
        someone.write(name, text)
    return someone


@pytest.mark.more
def test_the_column_of_the_run_scrolls_stays_in_sight_and_is_at_its_top_in_another_mode(
    visit: Callable[..., Visitor],
) -> None:
    someone = visit(viewport={"width": 1400, "height": 300})
    side = someone.page.locator("#trainyard_side").first  # Gradio 3 gives its id to what is inside, too
    presets = someone.page.locator("#trainyard_presets").first
    assert presets.evaluate("each => each.scrollHeight - each.clientHeight") <= 1, "nothing in it is cut off"
    someone.until(lambda: side.evaluate("each => (each.scrollTop = 200) && each.scrollTop"))
    someone.mode("ADDifT")
    someone.until(lambda: side.evaluate("each => each.scrollTop") == 0)
    form = someone.page.locator("#trainyard_form").first
    assert form.evaluate("each => each.scrollHeight") > 700
    someone.page.evaluate("window.scrollTo(0, 400)")
    someone.until(lambda: someone.page.evaluate("scrollY") == 400 and side.bounding_box()["y"] == 0)


@pytest.mark.more
def test_the_memory_of_a_run_is_told_before_it(visit: Callable[..., Visitor]) -> None:
    someone = asking_for_ileco(visit())
    memory = someone.page.locator("#trainyard_memory").first  # Gradio 3 gives its id to what is inside, too
    someone.until(lambda: re.search(r"takes about \d+ MB", memory.inner_text()))
    someone.mode("LoRA")
    told = memory.locator("[data-asked]").first  # beside it Gradio counts unseen seconds while a question is open
    assert not told.is_visible(), "what was said of iLECO goes with it"
    someone.choose("iLECO")
    someone.until(memory.inner_text)
    someone.write("train_batch_size", "8")
    someone.write("image_size", "8192")
    someone.until(lambda: "trainyard-is-outdated" in memory.get_attribute("class"))
    # How much there is psutil says, which the environments of older Gradios lack.
    told = r"takes about [\d.]+ GB" if someone.site.gradio else r"and there are .* would do: set image size"
    someone.until(lambda: re.search(told, memory.inner_text()))
    someone.write("image_size", "huge")
    someone.until(lambda: not memory.inner_text().strip())


@pytest.mark.more
def test_a_form_that_is_being_filled_says_so_and_takes_nothing(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.write("save_lora_name", "mine")
    someone.page.wait_for_function("(sessionStorage.getItem('trainyard-kept') || '').includes('mine')")
    filling, form = someone.page.locator("#trainyard_filling"), someone.page.locator("#trainyard_form")
    assert not filling.is_visible()
    with someone.held() as waiting:
        someone.arrive()  # a reload
        someone.until(lambda: waiting)
        assert filling.is_visible()
        assert form.evaluate("each => each.inert"), "or what is typed here would keep out what was typed before"
    someone.until(lambda: not filling.is_visible())
    assert someone.box("save_lora_name").input_value() == "mine"
    assert not form.evaluate("each => each.inert")


@pytest.mark.more
def test_what_is_told_before_a_run_is_of_the_form_as_it_is(visit: Callable[..., Visitor]) -> None:
    someone = asking_for_ileco(visit())
    memory = someone.page.locator("#trainyard_memory").first
    is_outdated = lambda: "trainyard-is-outdated" in memory.get_attribute("class")  # noqa: E731
    someone.until(lambda: memory.inner_text() and not is_outdated())
    earlier = memory.inner_text()
    with someone.held(MEASURE) as waiting:
        someone.write("network_rank", "64")
        assert is_outdated(), "at once, not with the next look at the server"
        assert memory.get_attribute("aria-busy") == "true"
        someone.until(lambda: waiting)
        someone.rounds(2)  # longer than an answer takes
        assert is_outdated()
        someone.write("network_rank", "128")
    someone.until(lambda: memory.inner_text() != earlier)
    of_64 = memory.inner_text()
    assert is_outdated(), "the answer is on what the form was before"
    someone.until(lambda: not is_outdated())
    assert memory.get_attribute("aria-busy") == "false"
    assert memory.inner_text() != of_64

    # What Start would refuse, and what the run would warn of.
    taken = someone.site.data / "loras" / "taken.safetensors"
    taken.parent.mkdir(exist_ok=True)
    taken.write_bytes(b"somebody's")
    someone.write("save_lora_name", "taken")
    someone.write("train_learning_rate", "50")
    someone.until(lambda: "taken.safetensors already exists. Choose another name" in memory.inner_text())
    assert "Train learning rate is 50, far above what AdamW usually trains with" in memory.inner_text()
    taken.unlink()
    someone.write("save_lora_name", "not taken")
    someone.until(lambda: memory.inner_text() and not is_outdated() and "already exists" not in memory.inner_text())


@pytest.mark.more
def test_what_was_typed_for_another_mode_is_marked_and_can_be_emptied(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.write("lora_trigger_word", "mycat")
    someone.write("save_lora_name", "my cat")
    someone.write("train_iterations", "777")
    someone.mode("Multi-ADDifT")
    word, name = (someone.page.locator(f"#trainyard_{each}") for each in ("lora_trigger_word", "save_lora_name"))
    someone.until(lambda: "Typed for LoRA." in word.inner_text() and "Typed for LoRA." in name.inner_text())
    someone.until(lambda: "Typed for LoRA; Multi-ADDifT begins with" in someone.page.inner_text("#trainyard_form"))
    name.get_by_role("button", name="Empty it").click()
    someone.until(lambda: someone.box("save_lora_name").input_value() == "" and "Typed for" not in name.inner_text())
    someone.write("lora_trigger_word", "mycat, from the side")
    someone.until(lambda: "Typed for" not in word.inner_text())

    # What a preset of TrainTrain's brings, nobody has typed.
    someone.write("lora_trigger_word", "")
    someone.mode("LoRA")
    someone.write("lora_trigger_word", "mycat")
    someone.mode("Multi-ADDifT")
    someone.until(lambda: "Typed for LoRA." in word.inner_text())
    assert "Typed for LoRA;" in someone.page.inner_text("#trainyard_train_iterations"), "which the preset brings, too"
    someone.write("preset", "ADDifT_Style_XL")
    someone.press("preset_load")
    someone.message("Loaded ADDifT_Style_XL")
    assert someone.box("train_iterations").input_value() == "30"
    someone.until(lambda: "Typed for" not in someone.page.inner_text("#trainyard_form"))


@pytest.mark.more
@pytest.mark.parametrize(("typed", "left"), [("77", "77"), ("", STEPS["Difference"])])
def test_an_answer_leaves_the_field_alone_that_somebody_is_in(
    visit: Callable[..., Visitor], typed: str, left: str
) -> None:
    someone = visit()
    someone.choose("iLECO")
    steps = someone.box("train_iterations")
    with someone.held():
        someone.mode("Difference")
        steps.select_text()  # and not yet typed
    someone.until(lambda: someone.box("network_rank").input_value() == "16")  # what else suits the mode has come
    assert steps.input_value() == STEPS["iLECO"]
    someone.page.keyboard.type(typed)
    steps.blur()
    someone.until(lambda: steps.input_value() == left)


@pytest.mark.more
def test_a_mode_chosen_while_an_answer_is_on_its_way_brings_its_own(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    with someone.held():
        someone.mode("ADDifT")
        someone.mode("Difference")
    someone.until(lambda: someone.box("train_iterations").input_value() == STEPS["Difference"])
    someone.until(lambda: someone.box("save_lora_name").get_attribute("placeholder") == "Difference")
    assert someone.box("network_rank").input_value() == "16"


@pytest.mark.more
def test_a_preset_loaded_while_an_answer_is_on_its_way_stays(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.write("preset", "ADDifT_Style_XL")
    with someone.held():
        someone.mode("Difference")
        someone.press("preset_load")
        someone.message("Loaded")
    someone.page.wait_for_timeout(1500)  # the answer, and what is asked for since it came too late
    someone.write("preset", "as it was")
    someone.press("preset_save")
    someone.message("Saved as as it was")
    kept = json.loads((site.data / "presets" / "as it was.json").read_text("utf-8"))
    wanted = to_json(presets.load(ROOT / "presets" / "ADDifT_Style_XL.json", []).settings)
    assert {**kept, "model": "", "vae": "None"} == {**wanted, "model": "", "vae": "None"}


@pytest.mark.more
def test_what_is_chosen_while_the_lists_are_refreshed_stays(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    (site.data / "presets").mkdir(exist_ok=True)
    shutil.copy(ROOT / "presets" / "LoRA.json", site.data / "presets" / "new one.json")
    with someone.held():
        someone.press("refresh")
        someone.write("model", "elsewhere/another.safetensors")
        someone.write("preset", "ADDifT_Style_XL")
    someone.until(
        lambda: "There is no file elsewhere/another.safetensors" in someone.page.inner_text("#trainyard_form")
    )
    assert [someone.box(name).input_value() for name in ("model", "vae", "preset")] == [
        "elsewhere/another.safetensors", "None", "ADDifT_Style_XL",
    ]  # fmt: skip
    someone.box("preset").click()
    someone.box("preset").fill("")
    offered = someone.page.locator("#trainyard_preset ul")
    someone.until(lambda: offered.count() and "new one" in offered.inner_text())


def test_a_wrong_value_is_marked_beside_its_field_and_unmarked_by_a_preset(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.write("train_iterations", "many")
    note = someone.page.locator("#trainyard_train_iterations .trainyard-wrong")
    someone.until(lambda: note.is_visible() and 'must be a whole number, not "many"' in note.inner_text())
    framed = "box => getComputedStyle(box).outline"
    assert "2px" in someone.box("train_iterations").evaluate(framed), "Gradio lets its boxes have none"
    someone.press("start")
    someone.message("train iterations: It must be a whole number")
    someone.page.click("#trainyard_bar [data-view=basic]")
    someone.until(note.is_visible)
    someone.page.click("#trainyard_bar [data-view=all]")
    someone.write("preset", "ADDifT_Style_XL")
    someone.press("preset_load")
    someone.message("Loaded")
    assert someone.box("train_iterations").input_value() == "30"
    someone.until(lambda: not note.is_visible())


@pytest.mark.more
def test_presets_are_saved_loaded_and_deleted(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.choose("iLECO")
    someone.write("original_prompt", "<b>hostile</b>")
    someone.write("preset", "mine")
    someone.press("preset_save")
    someone.message("Saved as mine")
    assert (site.data / "presets" / "mine.json").exists()
    someone.write("original_prompt", "other")
    someone.press("preset_load")
    someone.message("Loaded")
    assert someone.box("original_prompt").input_value() == "<b>hostile</b>"
    someone.press("preset_delete")
    someone.message("Deleted mine")
    assert not (site.data / "presets" / "mine.json").exists()
    someone.page.set_input_files("#trainyard_preset_file input[type=file]", str(ROOT / "presets" / "Difference.json"))
    someone.until(lambda: someone.box("train_iterations").input_value() == "500")


@pytest.mark.more
def test_the_preset_field_names_the_preset_that_a_modes_defaults_are(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    preset, line = someone.box("preset"), someone.page.locator("#trainyard_preset_line").first
    assert preset.input_value() == "character-from-images (LoRA)"
    someone.choose("iLECO")
    someone.until(lambda: preset.input_value() == "change-concept (iLECO)")
    someone.until(lambda: line.inner_text().startswith("Makes one thing into another"))
    someone.press("preset_save")
    someone.message("change-concept: This preset comes with Trainyard")
    assert not (someone.site.data / "presets" / "change-concept.json").exists()
    someone.write("preset", "iLECO (from TrainTrain)")
    someone.until(lambda: line.inner_text() == "TrainTrain's settings for iLECO.")
    someone.press("preset_load")
    someone.message("Loaded")
    assert someone.box("train_iterations").input_value() == "300"
    someone.mode("ADDifT")
    someone.page.wait_for_selector("#trainyard_original_image_drop", state="visible")
    assert preset.input_value() == "iLECO (from TrainTrain)", "whose values stay where they were chosen"
    preset.fill("half a na")  # and somebody is still in it
    answer = someone.page.evaluate("window.trainyard.presetOf('Difference', 'change-concept')")
    assert "value" not in answer, "what is being typed stays"
    preset.blur()
    answer = someone.page.evaluate("window.trainyard.presetOf('Difference', 'change-concept')")
    assert answer["value"].endswith("(Difference)")


@pytest.mark.more
def test_a_preset_of_ours_says_what_it_is_for_and_fits_the_chosen_gpu(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    line, fitted = someone.page.locator("#trainyard_preset_line").first, "#trainyard_use_gradient_checkpointing input"
    someone.mode("iLECO")
    someone.write("original_prompt", "blue")
    someone.mode("LoRA")
    someone.write("preset", "concept-slider")
    someone.until(lambda: line.inner_text().startswith("More of one thing and less of its opposite"))
    someone.press("preset_load")
    someone.message("Loaded")
    someone.until(lambda: someone.page.is_checked("#trainyard_mode input[value=iLECO]"))
    assert someone.box("original_prompt").input_value() == "blue"  # what is trained is the user's
    someone.write("image_size", "2048")
    someone.write("train_batch_size", "4")
    for card, holds in (("6 GB", True), ("24 GB", False)):
        someone.box("card").click()
        someone.page.get_by_role("option", name=card, exact=True).click()
        someone.message(f"with {card}")
        someone.until(lambda holds=holds: someone.page.is_checked(fitted) == holds)
    someone.write("preset", "no preset")
    someone.until(lambda: not line.inner_text())


@pytest.mark.parametrize("every", [pytest.param(5, marks=pytest.mark.more), pytest.param(1, marks=pytest.mark.slow)])
def test_presets_and_files_of_traintrain_go_through_the_form_unchanged(
    visit: Callable[..., Visitor], site: Site, every: int
) -> None:
    """Every fifth of the sixteen, or all."""
    someone = visit()
    shipped = [(path.stem, path) for path in sorted((ROOT / "presets").glob("*.json"))]
    foreign = [(str(path), path) for path in sorted((ROOT / "tests" / "config" / "traintrain_presets").glob("*.json"))]
    assert (len(shipped), len(foreign)) == (8, 8)
    for number, (written, path) in list(enumerate(shipped + foreign))[::every]:
        someone.write("preset", written)
        someone.press("preset_load")
        someone.message(r"Loaded\b")
        someone.write("preset", f"again {number}")
        someone.press("preset_save")
        someone.message(f"Saved as again {number}")
        before = to_json(presets.load(path, []).settings)
        after = json.loads((site.data / "presets" / f"again {number}.json").read_text("utf-8"))
        # A preset that names no model leaves the one that is chosen.
        assert (before.pop("model"), after.pop("model")) == ("", "toy-sd1.safetensors")
        assert (before.pop("vae") or "None") == after.pop("vae")
        assert after == before, path


@pytest.mark.more
def test_dropped_pictures_become_paths_and_are_compared(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    someone = visit()
    someone.choose("ADDifT")
    Image.new("RGB", (96, 64), "red").save(tmp_path / "original.png")
    Image.new("RGB", (64, 64), "blue").save(tmp_path / "square.png")
    Image.new("RGB", (96, 64), "blue").save(tmp_path / "target.png")
    note = someone.page.locator("#trainyard_pair")
    for place, file, words in (
        ("original_image", "original.png", "96 × 64"),
        ("target_image", "square.png", "differ in shape"),
        ("target_image", "target.png", "Both images are 96 × 64"),
    ):
        clear = someone.page.locator(f"#trainyard_{place}_drop button[aria-label=Clear]")
        if clear.count():
            clear.click()
            someone.until(lambda place=place: someone.box(place).input_value() == "")
        chosen = f"#trainyard_{place}_drop input[type=file]"
        someone.page.wait_for_selector(chosen, state="attached")
        someone.page.set_input_files(chosen, str(tmp_path / file))
        someone.until(lambda place=place: someone.box(place).input_value().endswith(".png"))
        someone.until(lambda words=words: words in note.inner_text())
    with Image.open(someone.box("target_image").input_value()) as kept, Image.open(tmp_path / "target.png") as dropped:
        assert kept.convert("RGB").tobytes() == dropped.tobytes()


@pytest.mark.more
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit: Callable[..., Visitor], scheme: str) -> None:
    someone = visit(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    for mode in ("ADDifT", "Difference"):
        someone.choose(mode)
        assert someone.page.evaluate("document.documentElement.scrollWidth") == 400
    for tab in ("Queue", "Plot", "Image"):
        someone.tab(tab)
        assert someone.page.evaluate("document.documentElement.scrollWidth") == 400


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2, of ``rgb(r, g, b)``."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.more
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_on_the_main_button_can_be_read(visit: Callable[..., Visitor], scheme: str) -> None:
    someone = visit(color_scheme=scheme)
    style = "each => [getComputedStyle(each).color, getComputedStyle(each).backgroundColor]"
    light, dark = sorted(map(luminance, someone.page.locator("#trainyard_start").evaluate(style)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.more
def test_a_panel_that_has_heard_nothing_shows_no_run(browser: Any, site: Site) -> None:
    page = browser.new_page()
    page.route("**/trainyard/v1/**", lambda route: route.abort())
    page.goto(site.address)
    if site.gradio.startswith("3"):
        page.add_script_tag(url="trainyard/trainyard.js")
    page.wait_for_selector("#trainyard_run_status p:has-text('No answer from the server')")
    shown = page.locator("#trainyard_run_status > *:visible")
    assert shown.count() == 1
    assert page.locator("#trainyard_run_status progress").count() == 1
    page.close()


@pytest.mark.more
def test_nobody_asks_for_a_page_that_was_taken_away(visit: Callable[..., Visitor]) -> None:
    """As a WebUI does while it reloads: its server can end, and its page waits for the new one."""
    someone = visit()
    someone.page.route("**/trainyard/v1/drawings", lambda route: route.abort())  # which is asked again and again
    with someone.page.expect_request("**/trainyard/v1/drawings"):
        someone.page.evaluate("window.trainyard.imageJobs.watch()")
    someone.page.evaluate("document.body.innerHTML = '<h1>Reloading...</h1>'")
    asked: list[str] = []
    someone.page.on("request", lambda request: asked.append(request.url))
    someone.page.wait_for_timeout(2500)
    assert asked == []


@pytest.mark.more
def test_within_a_webui_the_lora_goes_into_its_prompt(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.page.evaluate("""() => {
        window.keys = 0;
        document.addEventListener("keydown", (event) => { keys += ["Enter", "Escape"].includes(event.key); });
    }""")
    for key in ("Control+Enter", "Escape"):  # for which a WebUI would look for its own buttons in this tab
        someone.box("lora_trigger_word").press(key)
    assert someone.page.evaluate("keys") == 0
    someone.box("lora_trigger_word").press("Enter")
    assert someone.page.evaluate("keys") == 1
    run = {
        "job": {"id": 7, "name": "cat", "mode": "LoRA"}, "state": "done", "path": r"C:\loras\sub\my cat.safetensors",
        "step": 3, "steps": 3, "done": 3, "total": 3, "phase": "", "number": 1, "seconds": 4.0, "rates": [],
        "curve": [], "account": [], "pictures": [], "warnings": [], "saved": [], "effect": None, "message": "",
    }  # fmt: skip
    status = {"running": False, "pausing": False, "queue_started": False, "problem": "", "run": run}
    someone.page.route("**/trainyard/v1/status", lambda route: route.fulfill(json=status))
    settings = {"settings": {"lora_trigger_word": "mycat"}}
    someone.page.route("**/trainyard/v1/jobs/7", lambda route: route.fulfill(json=settings))
    button = someone.page.locator("#trainyard_use button")
    someone.run_status("Done: cat")
    assert not button.is_visible()  # the page of its own has no txt2img
    someone.page.evaluate("""() => {
        document.body.insertAdjacentHTML("beforeend", '<div id="txt2img_prompt"><textarea>a cat</textarea></div>');
        window.heard = 0;
        document.querySelector("#txt2img_prompt textarea").addEventListener("input", () => { window.heard += 1; });
    }""")
    prompt = someone.page.locator("#txt2img_prompt textarea")
    for _ in range(2):  # once more changes nothing
        button.click()
        someone.until(lambda: prompt.input_value() == "a cat mycat <lora:my cat:1>")
    assert someone.page.evaluate("window.heard") >= 1


@pytest.mark.more
def test_what_became_of_another_programs_settings_is_told_and_stays(
    visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    path = tmp_path / "kohya.json"
    theirs = {"LoRA_type": "Standard", "network_dim": 24, "network_alpha": 3, "scale_weight_norms": 1,
              "train_data_dir": "/data/<b>img</b>", "lr_scheduler": "linear"}  # fmt: skip
    path.write_text(json.dumps(theirs), "utf-8")
    someone = visit()
    someone.choose("iLECO")
    someone.page.set_input_files("#trainyard_preset_file input[type=file]", str(path))
    someone.message("These are settings of kohya_ss")
    someone.until(lambda: someone.box("network_rank").input_value() == "24")
    assert someone.box("lora_data_directory").input_value() == "/data/<b>img</b>"
    assert someone.box("train_batch_size").input_value() == "1", "as there, and 2 here"
    assert "network_dim → network_rank 24" not in someone.told()
    someone.page.click("#trainyard_message summary")
    told = someone.told()
    assert "\nnetwork_dim → network_rank 24\n" in told
    assert "Without a counterpart in Trainyard, so without effect: scale_weight_norms." in told
    assert told.count("\n") >= 2, "a line for each kind"
    someone.page.evaluate(
        "(() => {const now = performance.now.bind(performance); performance.now = () => now() + 60000;})()"
    )
    someone.write("train_iterations", "7")
    someone.refresh()
    assert someone.told() == told
    someone.write("preset", "accelerate launch train_network.py --network_dim=48 --network_train_unet_only")
    someone.press("preset_load")
    someone.message("These are settings of sd-scripts")
    someone.until(lambda: someone.box("network_rank").input_value() == "48")
    dropped = someone.page.locator("#trainyard_preset_file")
    someone.until(lambda: "kohya.json" not in dropped.inner_text())
    path.write_text(json.dumps({**theirs, "LoRA_type": "LyCORIS/LoKr"}), "utf-8")
    someone.write("preset", str(path))
    someone.press("preset_load")
    someone.message(r"\(kohya_ss\): Its network is of the kind LyCORIS/LoKr")
    assert someone.box("network_rank").input_value() == "48"
    someone.write("preset", f"/{'long' * 100}.json")
    someone.press("preset_load")
    someone.message("long: There is no such|name is too long|longlong")
    widths = "element => [element.scrollWidth, element.clientWidth]"
    needed, there = someone.page.locator("#trainyard_message .trainyard-told").evaluate(widths)
    assert needed <= there


@pytest.mark.parametrize(
    "site", [OWN, *(pytest.param(version, marks=pytest.mark.slow, id=version) for version in AVAILABLE)], indirect=True
)
def test_from_two_prompts_to_a_lora(visit: Callable[..., Visitor], site: Site) -> None:
    """The last of this file: a page that is opened afterwards turns to the run that was stopped here."""
    someone = visit()
    someone.choose("iLECO")
    for name, text in (("original_prompt", "red"), ("target_prompt", "blue"), ("image_size", "64")):
        someone.write(name, text)
    someone.write("train_iterations", "5000")
    someone.press("start")
    someone.message("Started iLECO")
    first = int(someone.run_status(r"step (\d+) of 5000")[1])
    if sys.platform == "linux":  # elsewhere the process does not tell
        someone.run_status(r"memory\s+\d+\.\d GB, at most \d+\.\d")
    someone.until(lambda: int(someone.run_status(r"step (\d+) of 5000")[1]) > first)

    someone.open()  # a reload
    assert int(someone.run_status(r"step (\d+) of 5000")[1]) > first
    someone.until(lambda: someone.box("original_prompt").input_value() == "red")
    name = someone.box("save_lora_name")  # the run's own is taken
    assert (name.input_value(), name.get_attribute("placeholder")) == ("", "iLECO_2")
    for name in ("one", "two"):
        someone.write("save_lora_name", name)
        someone.press("add")
        someone.message(f"{name} is number")
    someone.press("add")
    someone.message("two already waits with these settings, as number 2")
    someone.tab("Queue")
    someone.until(lambda: someone.queue() == ["iLECO", "one", "two"])
    someone.row_button("two", "Up")
    someone.until(lambda: someone.queue() == ["iLECO", "two", "one"])
    someone.row_button("one", "Delete")
    someone.until(lambda: someone.queue() == ["iLECO", "two"])

    someone.tab("Plot")
    plot = someone.page.locator("#trainyard_plot img:visible")
    drawn = someone.until(lambda: plot.count() and plot.get_attribute("src"))
    someone.until(lambda: plot.get_attribute("src") != drawn)  # by itself, as the run goes on

    someone.tab("Train")
    someone.press("pause")
    someone.run_status("Paused: iLECO")
    someone.press("continue")
    someone.run_status("Training: iLECO")
    someone.press("stop_and_save")
    someone.run_status("Training: two")  # which waited for it
    assert site.loras == ["iLECO"]
    someone.press("stop")
    someone.run_status("Stopped: two")
    someone.tab("Queue")
    row = someone.page.locator("#trainyard_queue tr", has_text="iLECO.safetensors")
    someone.until(lambda: row.count() == 1 and "stopped" in row.inner_text())

    with someone.held() as asked:  # who begins at once is not turned to the last run
        someone.arrive()
        someone.until(lambda: asked)
        someone.write("save_lora_name", "typed")
    someone.until(lambda: "toy-sd1" in someone.page.inner_text("#trainyard_model_note"))
    assert someone.page.is_checked("#trainyard_mode input[value=LoRA]")
    assert someone.box("save_lora_name").input_value() == "typed"
