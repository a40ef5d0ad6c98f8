"""The form and the queue in a real Chromium: what a model brings, names, and jobs that go back into the form."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.browser.site import Site, served
from tests.helpers.browser.visitor import Visitor
from tests.helpers.checkpoints import small_checkpoint
from tests.helpers.some_networks import some_network, some_settings
from trainer.models.registry import load_bundle
from trainer.networks.files import file

pytestmark = [pytest.mark.browser, pytest.mark.more]


def note(someone: Visitor) -> str:
    return str(someone.page.locator("#trainyard_model_note").first.inner_text())


def test_a_model_says_what_it_is_and_brings_its_defaults(visit: Callable[..., Visitor], site: Site) -> None:
    large = small_checkpoint(site.data / "models", "SDXL")
    someone = visit()
    someone.until(lambda: "The next run trains on toy-sd1.safetensors (an SD1 checkpoint)" in note(someone))
    someone.press("refresh")
    someone.write("train_batch_size", "7")
    someone.write("model", large.name)
    someone.until(lambda: large.name in note(someone))
    someone.until(lambda: someone.box("image_size").input_value() == "1024")
    assert someone.box("network_type").input_value() == "c3lier"
    lora = some_network(load_bundle(large), some_settings("loha")).tensors()
    file.save(site.data / "old.safetensors", lora, {})
    someone.page.click("#trainyard_section_network > .label-wrap")
    someone.write("network_resume", str(site.data / "old.safetensors"))
    someone.until(lambda: someone.box("network_type").input_value() == "loha")
    someone.choose("ADDifT")
    someone.until(lambda: someone.box("train_learning_rate").input_value() == "0.002")
    someone.until(lambda: someone.box("network_type").input_value() == "lierla")
    assert someone.box("train_batch_size").input_value() == "7"
    someone.write("model", "gone.safetensors")
    someone.until(lambda: "There is no file gone.safetensors" in note(someone))
    large.unlink()


def test_a_model_that_is_put_into_the_folder_is_noticed(visit: Callable[..., Visitor], site: Site) -> None:
    toy = site.data / "models" / "toy-sd1.safetensors"
    away = toy.rename(site.data / "away")
    try:
        someone = visit()
        someone.write("model", "")
        someone.until(lambda: f"there is none in {toy.parent}. Put a checkpoint" in note(someone))
    finally:
        away.rename(toy)
    someone.until(lambda: "Choose one" in note(someone))
    someone.box("model").click()
    someone.until(lambda: someone.page.get_by_role("option", name=toy.name).is_visible())


def test_a_free_name_is_proposed_and_a_queued_job_goes_back_into_the_form(visit: Callable[..., Visitor]) -> None:
    someone = visit()

    def proposed() -> str:
        return str(someone.box("save_lora_name").get_attribute("placeholder"))

    someone.until(lambda: proposed() == "LoRA")
    someone.choose("iLECO")
    someone.until(lambda: proposed() == "iLECO")
    for name, text in (("original_prompt", "<b>red</b>"), ("target_prompt", "blue"), ("train_iterations", "77")):
        someone.write(name, text)
    for name in ("first", "second"):
        someone.write("save_lora_name", name)
        someone.press("add")
        someone.message(f"{name} is number")
    someone.write("save_lora_name", "")
    someone.press("add")
    someone.message("iLECO is number 3 in the queue")
    someone.until(lambda: proposed() == "iLECO_2")

    someone.page.click("#trainyard_mode label:has(input[value='LoRA'])")
    someone.until(lambda: proposed() == "LoRA")
    someone.tab("Queue")
    someone.row_button("second", "Edit")
    banner = someone.page.locator("#trainyard_edited").first
    someone.until(banner.is_visible)
    assert "You are changing second" in banner.inner_text()
    someone.until(lambda: someone.box("original_prompt").input_value() == "<b>red</b>")
    assert someone.box("save_lora_name").input_value() == "second"
    someone.write("train_iterations", "78")
    someone.press("add")
    someone.message("Changed: second is number 2 in the queue")
    someone.until(lambda: not banner.is_visible())
    someone.tab("Queue")
    steps = someone.page.locator("#trainyard_queue td[data-label=steps]")
    someone.until(lambda: steps.all_inner_texts() == ["77", "78", "77"])

    down = someone.page.locator("#trainyard_queue button[data-action=down]")
    down.first.focus()
    for order in (["second", "first", "iLECO"], ["second", "iLECO", "first"]):
        someone.page.keyboard.press("Enter")
        someone.until(lambda order=order: someone.queue() == order)
    someone.page.keyboard.press("Enter")  # at the end of the queue it is the button that moves back
    someone.until(lambda: someone.queue() == ["second", "first", "iLECO"])

    someone.row_button("first", "Edit")
    someone.until(banner.is_visible)
    someone.press("leave")
    someone.until(lambda: not banner.is_visible())


@pytest.fixture(scope="module")
def japanese(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("japanese"), ["--language", "ja"]) as found:
        yield found


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_reads_japanese(browser: object, japanese: Site, width: int) -> None:
    someone = Visitor(browser, japanese, viewport={"width": width, "height": 900})
    page = someone.page
    someone.until(lambda: "次の学習で使うモデル: toy-sd1.safetensors" in note(someone))
    page.click("#trainyard_mode label:has(input[value='iLECO'])")
    words = page.locator("#trainyard_train").inner_text()
    for text in ("学習開始", "キューに追加", "学習ステップ数 · train iterations", "学習中のものはありません"):
        assert text in words
    assert page.evaluate("document.documentElement.scrollWidth") == width
    someone.tab("キュー")
    someone.until(lambda: "キューは空です" in page.locator("#trainyard_queue").inner_text())
    assert someone.troubles == []
    page.close()


def test_a_job_that_is_quicker_than_the_page_suits_the_model_as_well(visit: Callable[..., Visitor], site: Site) -> None:
    large = small_checkpoint(site.data / "models", "SDXL")
    someone = visit()
    someone.press("refresh")
    folder = site.data / "images"
    folder.mkdir()
    Image.new("RGB", (1024, 1024), "red").save(folder / "red.png")
    someone.write("lora_data_directory", str(folder))
    someone.write("save_lora_name", "quick")
    someone.write("train_iterations", "77")
    someone.until(lambda: someone.box("image_size").input_value() == "64")  # as the toy has it
    with someone.held():
        someone.write("model", large.name)
        someone.press("add")
        someone.message("quick is number")
        assert someone.box("image_size").input_value() == "64"
    with contextlib.closing(sqlite3.connect(site.data / "queue" / "queue.db")) as jobs:
        ((kept,),) = jobs.execute("SELECT settings FROM job WHERE name = 'quick'")
    assert (json.loads(kept)["image_size(height, width)"], json.loads(kept)["train_iterations"]) == ("1024", 77)
    large.unlink()


def test_a_dropped_dataset_file_is_shown_and_its_waiting_job_started(browser: object, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.effect_noise((64, 64), 50).convert("RGB").save(images / "a.png")
    path = images / "mine.toml"
    buckets = "enable_bucket = true\nresolution = 64\nmin_bucket_reso = 64\nbucket_reso_steps = 8"
    path.write_text(f"[[datasets]]\n{buckets}\n[[datasets.subsets]]\nimage_dir = '{images}'\n", "utf-8")
    with served(tmp_path / "data") as site:  # no other job waits there, and no page opened later turns to this run
        someone = Visitor(browser, site)
        someone.page.set_input_files("#trainyard_preset_file input[type=file]", str(path))
        someone.message("mine.toml is the dataset file now(.|\n)*1 image")
        someone.page.wait_for_selector("#trainyard_dataset_config", state="visible")
        assert someone.box("dataset_config").input_value() == str(site.data / "datasets" / "mine.toml")
        someone.write("train_iterations", "1")
        someone.write("save_lora_name", "of a file")
        someone.press("add")
        someone.message("of a file is number 1 in the queue")
        someone.press("add")
        someone.message("of a file already waits with these settings")
        someone.press("start")
        someone.run_status("Done: of a file")
        someone.until(lambda: not someone.told())
        assert someone.troubles == []
        someone.page.close()
