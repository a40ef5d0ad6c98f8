"""The gallery in a real Chromium: found, tried, copied, compared, changed, and back in the form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.helpers.browser.site import TOY, Site
from tests.helpers.browser.visitor import Visitor
from tests.web.api.test_gallery import put, put_strip
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.models.checkpoint.header import read_header
from trainer.paths import Folders

pytestmark = [pytest.mark.browser, pytest.mark.more]
HOSTILE = "<img src=x onerror=alert(1)> zorp"


def cards(someone: Visitor) -> list[str]:
    return someone.page.locator("#trainyard_gallery article h4").all_inner_texts()


def tensors_of(path: Path) -> bytes:
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def press(someone: Visitor, what: str, name: str) -> None:
    someone.page.get_by_role("button", name=f"{what}: {name}", exact=True).click()


def inside(dialog: Any, button: str) -> Any:
    return dialog.get_by_role("button", name=button, exact=True)


SETTINGS = Settings(
    mode="iLECO", model="toy-sd1.safetensors", original_prompt="a red circle", target_prompt="a blue circle",
    image_size=Size(64, 64), network_rank=2, network_blocks=("M00",), network_element="CrossAttention",
    train_iterations=3, train_batch_size=1, effect_strip=False,
)  # fmt: skip
MODULE = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
IN_MODEL = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight"


def for_the_toy(seed: int) -> dict[str, torch.Tensor]:
    """A LoRA of one module."""
    out, into = read_header(TOY).tensors[IN_MODEL].shape
    generator = torch.Generator().manual_seed(seed)
    up, down = (torch.randn(shape, generator=generator) for shape in ((out, 1), (1, into)))
    return {f"{MODULE}.lora_up.weight": up, f"{MODULE}.lora_down.weight": down, f"{MODULE}.alpha": torch.tensor(1.0)}


def a_run_that_was_not_seen_is_told(someone: Visitor, site: Site) -> None:
    """It begins and ends before the page hears from the server again."""
    page, waiting = someone.page, list[Any]()
    headers = {"X-Trainyard-Token": page.locator("#trainyard_token").get_attribute("data-token")}

    def run() -> dict[str, Any]:
        found = page.request.get(f"{site.address}trainyard/v1/status", headers=headers).json()
        return {"is_on": found["running"], **found["run"]}

    before = run()["job"]["id"]
    page.evaluate("told.length = 0")
    someone.tab("Train")
    for name, text in (("train_iterations", "1"), ("save_lora_name", "unseen")):
        someone.write(name, text)
    page.route("**/trainyard/v1/status*", lambda route: waiting.append(route))
    someone.press("start")
    someone.until(lambda: run()["job"]["id"] != before and not run()["is_on"])
    assert page.evaluate("told") == []
    page.unroute("**/trainyard/v1/status*")  # what was held goes on
    someone.until(lambda: page.evaluate("told.length") == 1)
    assert page.evaluate("told")[0].startswith("Done: ")


def test_the_gallery(visit: Callable[..., Visitor], site: Site) -> None:
    folders = Folders(site.data, site.data / "loras", site.data / "models")
    for number in range(70):
        put(folders, f"many/n{number:02}", number, mode="iLECO")
    put(folders, "theirs", **{"modelspec.trigger_phrase": HOSTILE})
    for name in ("red", "other"):
        about = {"modelspec.description": "a red circle becomes a blue circle"}
        put(folders, name, settings=SETTINGS, tensors=for_the_toy(1), **about)
    samples = put_strip(folders, "red")
    Image.new("RGB", (64, 64), "red").save(samples / "000002_+1.png")
    put(folders, "step", settings=replace(SETTINGS, save_lora_name="red"), tensors=for_the_toy(2))
    folders.lora("step").rename(samples / "000002_+1.safetensors").touch()  # as a step of today: old ones are deleted

    someone = visit(permissions=["clipboard-read", "clipboard-write", "notifications"])
    someone.tab("Gallery")
    page = someone.page
    panel = page.locator("#trainyard_gallery")
    someone.until(lambda: "73 LoRAs" in panel.inner_text())
    someone.until(lambda: len(cards(someone)) >= 60)
    page.locator("#trainyard_gallery article").last.scroll_into_view_if_needed()
    someone.until(lambda: len(cards(someone)) == 73)
    page.fill("#trainyard_gallery input[type=search]", "ZORP onerror")
    someone.until(lambda: cards(someone) == ["theirs"])
    assert HOSTILE in panel.inner_text()
    page.fill("#trainyard_gallery input[type=search]", "circle")  # what iLECO's description says
    someone.until(lambda: set(cards(someone)) == {"red", "other"})
    picture = page.locator("#trainyard_gallery article img").first
    someone.until(lambda: picture.evaluate("each => each.complete && each.naturalWidth > each.naturalHeight"))

    press(someone, "Copy tag", "red")
    someone.until(lambda: page.evaluate("navigator.clipboard.readText()") == "<lora:red:1>")

    # Two at one seed: they are the same file, and so are the images.
    assert not page.locator("#trainyard_gallery section").is_visible()
    press(someone, "Compare", "red")
    press(someone, "Compare", "other")
    prompt = page.get_by_label("prompt", exact=True).and_(page.locator("#trainyard_gallery input"))
    someone.until(lambda: prompt.input_value() == "a red circle")
    page.locator("#trainyard_gallery section input").nth(1).fill("0, 1")
    page.get_by_role("button", name="Draw both", exact=True).click()
    drawn = page.locator("#trainyard_gallery .trainyard-drawn figcaption")
    someone.until(lambda: drawn.all_inner_texts() == ["red, off", "red, +1", "other, off", "other, +1"])
    address = page.locator("#trainyard_gallery .trainyard-drawn a").evaluate_all("each => each.map(a => a.href)")
    images = [page.request.get(each).body() for each in address]
    assert images[:2] == images[2:]
    page.get_by_role("button", name="End comparison", exact=True).click()

    # More of one: changed, taken back, downloaded. By keyboard, and back where it was.
    more = page.get_by_role("button", name="More: red", exact=True)
    more.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="red")
    someone.until(lambda: "step" in dialog.inner_text() or "All metadata" in dialog.inner_text())
    before = folders.lora("red").read_bytes()
    dialog.get_by_label("trigger word", exact=True).fill("vlim")
    inside(dialog, "Save").click()
    someone.until(lambda: "Saved. The file's tensors are as they were." in dialog.inner_text())
    with safe_open(folders.lora("red"), "pt") as file:
        assert file.metadata()["modelspec.trigger_phrase"] == "vlim"
    inside(dialog, "Undo the last change").click()
    someone.until(lambda: "The file is what it was before." in dialog.inner_text())
    assert folders.lora("red").read_bytes() == before
    # The image of a step, large: at other strengths, and kept.
    dialog.locator("figure a", has=page.get_by_alt_text("step 2")).click()
    film = page.locator("dialog.trainyard-film")
    someone.until(lambda: film.locator("img").first.evaluate("each => each.complete && each.naturalWidth"))
    inside(film, "Draw strengths −1 … +1").click()
    someone.until(lambda: film.locator(".trainyard-drawn img").count() == 5)
    slider = film.get_by_label("strength")
    someone.until(slider.is_visible)
    large = film.locator(".trainyard-strengths img")
    at_one = large.get_attribute("src")
    assert film.locator("> img").count() == 1
    assert not film.locator("> img").is_visible(), "it is the one over the slider"
    slider.press("Home")
    someone.until(lambda: film.locator("output").inner_text() == "-1")
    assert slider.get_attribute("aria-valuetext") == "-1"
    assert large.get_attribute("src") != at_one
    inside(film, "Keep this step").click()
    someone.until(lambda: "Kept as step." in film.inner_text())  # as its file calls itself
    inside(film, "Keep this step").click()
    someone.until(lambda: "It was kept before, as step." in film.inner_text())
    assert tensors_of(folders.lora("step")) == tensors_of(samples / "000002_+1.safetensors")
    page.keyboard.press("Escape")
    someone.until(lambda: not film.count())

    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download", exact=True).click()
    assert download.value.suggested_filename == "red.safetensors"
    page.keyboard.press("Escape")
    someone.until(lambda: not dialog.count())
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "More: red"

    # Into the form: its settings, and to train on.
    page.keyboard.press("Enter")
    inside(dialog, "Show settings").click()
    someone.message("The settings of red are in the form")
    someone.until(lambda: someone.box("train_iterations").is_visible())
    assert (someone.box("original_prompt").input_value(), someone.box("save_lora_name").input_value()) == (
        "a red circle", "red_2",
    )  # fmt: skip
    # Before a run, during it and at its end.
    page.evaluate("""() => {
        window.told = [];
        window.Notification = class { constructor(title) { told.push(title); } };
        Object.assign(window.Notification, {permission: "granted", requestPermission: async () => "granted"});
        localStorage.setItem("trainyard-notify", "yes"); // as the box below the buttons does, which a short run hides
        window.titles = [document.title];
        new MutationObserver(() => titles.push(document.title)).observe(
            document.querySelector("title"), {childList: true, characterData: true, subtree: true});
    }""")
    said = page.locator("#trainyard_memory").first  # Gradio 3 gives its id to what is inside, too
    someone.until(lambda: re.search(r"(· a|^A) file of [\d.]+ MB", said.inner_text()))
    someone.write("train_iterations", "60")  # long enough to be seen
    someone.press("start")
    someone.run_status("Saved: ")
    someone.until(lambda: page.evaluate("told") == ["Done: red_2"])
    titles = page.evaluate("titles")
    assert any(re.fullmatch(r"(… |\d+ % )red_2", each) for each in titles)
    assert "✓ red_2" in titles
    blocks = page.locator("#trainyard_run_status").inner_text()
    assert re.search(r"(input|output) block \d+ \((IN|OUT)\d+\)|the middle block", blocks)
    someone.until(lambda: page.title() == titles[0])  # somebody looks at it
    someone.tab("Queue")
    someone.until(lambda: "All done: 1 job." in page.locator("#trainyard_queue").inner_text())
    a_run_that_was_not_seen_is_told(someone, site)

    someone.tab("Gallery")
    page.fill("#trainyard_gallery input[type=search]", "theirs")
    someone.until(lambda: cards(someone) == ["theirs"])
    press(someone, "More", "theirs")
    dialog = page.get_by_role("dialog", name="theirs")
    inside(dialog, "Train on").click()
    someone.message("The next LoRA continues from theirs")
    someone.until(lambda: someone.box("network_resume").input_value() == "theirs")
    assert someone.page.is_checked("#trainyard_mode input[value='LoRA']"), "iLECO does not continue"

    someone.tab("Gallery")
    page.fill("#trainyard_gallery input[type=search]", "circle")
    someone.until(lambda: "other" in cards(someone))
    press(someone, "Try it", "other")
    someone.until(lambda: page.locator("#trainyard_try_lora").input_value() == "other")
