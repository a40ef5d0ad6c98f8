"""The page for people with a keyboard, a screen reader or poor eyes: axe-core's checks, and a LoRA by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.resources import files

import pytest

from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import NOTHING, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.more]

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def faults(someone: Visitor, axe: str, rules: Sequence[str] = ()) -> list[str]:
    """What axe-core finds serious in what is seen of the page, by these rules or by all."""
    if not someone.page.evaluate("Boolean(window.axe)"):
        someone.page.evaluate(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = someone.page.evaluate("options => axe.run('#trainyard', options)", options)
    assert found["passes"], "nothing was looked at"
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "rules"), [("light", ()), ("dark", ("color-contrast",))], ids=["light", "dark"])
def test_axe_finds_no_serious_fault_on_any_tab(
    visit: Callable[..., Visitor], axe: str, scheme: str, rules: tuple[str, ...]
) -> None:
    """In the dark only the colours are others."""
    someone = visit(color_scheme=scheme)
    someone.choose("iLECO")
    found = faults(someone, axe, rules)
    for section in ("network", "training", "saving"):
        someone.page.click(f"#trainyard_section_{section} > .label-wrap")
    someone.page.wait_for_selector("#trainyard_slider_positive", state="visible")
    someone.page.click("#trainyard_bar_help")
    someone.page.wait_for_timeout(500)  # whatever changes slowly under the pointer has changed
    found += faults(someone, axe, rules)
    someone.choose("ADDifT")
    someone.press("start")
    someone.until(someone.told)  # what is missing
    found += faults(someone, axe, rules)
    for tab in someone.tabs()[1:]:
        someone.tab(tab)
        someone.page.wait_for_timeout(500)
        found += [f"{tab}: {each}" for each in faults(someone, axe, rules)]
    assert found == []


def test_tab_leaves_a_list_and_closes_it(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    someone.box("network_type").focus()
    lists = someone.page.locator("#trainyard ul:is([role=listbox], .options, .option-list):visible")
    for name in ("network_rank", "network_alpha", "image_size", "train_iterations"):
        someone.page.keyboard.press("Tab")
        at = "document.activeElement.closest('.block')?.id"
        assert someone.page.evaluate(at) == f"trainyard_{name}"
    someone.until(lambda: lists.count() == 0)


def test_escape_closes_a_list_and_so_does_scrolling_its_field_away(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    page, is_open = someone.page, "#trainyard ul:is([role=listbox], .options, .option-list):visible"
    someone.box("network_type").focus()
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.evaluate("window.scrollBy(0, 120)")):
        page.keyboard.press("ArrowDown")
        someone.until(lambda: page.locator(is_open).count() == 1)
        close()
        someone.until(lambda: page.locator(is_open).count() == 0)
    assert page.evaluate("document.activeElement.closest('.block')?.id") == "trainyard_network_type"


def test_a_list_that_is_being_brought_into_sight_stays_open_and_shift_opens_none(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    page, lists = someone.page, someone.page.locator("#trainyard ul:is([role=listbox], .options, .option-list):visible")
    someone.box("network_type").focus()
    page.evaluate("window.scrollBy(0, 120)")  # as a phone does whose keyboard comes up
    page.wait_for_timeout(500)
    assert lists.count() == 1
    page.keyboard.press("Escape")
    page.wait_for_timeout(500)
    page.keyboard.press("Shift")
    page.wait_for_timeout(500)
    assert lists.count() == 0


def test_a_field_is_called_what_its_label_says_and_described_by_its_help(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    for name, called in (("train_iterations", "Train iterations"), ("network_rank", "Network rank")):
        box = someone.box(name)
        assert box.get_attribute("aria-label") == called
        told = someone.page.locator(f"[id='{box.get_attribute('aria-describedby')}']")
        assert len(told.text_content()) > 20
        assert not told.is_visible()
        someone.page.click(f"#trainyard_{name} .trainyard-ask")
        assert told.is_visible()
    fold = someone.page.locator("#trainyard_section_saving .label-wrap")
    assert fold.get_attribute("aria-expanded") == "false"
    fold.focus()
    someone.page.keyboard.press("Enter")
    someone.until(lambda: fold.get_attribute("aria-expanded") == "true")
    headings = someone.page.get_by_role("heading").all_text_contents()
    assert {"Network and training", "Saving"} <= set(headings)


def test_boxes_of_a_row_stand_at_one_height_where_a_label_takes_two_lines(visit: Callable[..., Visitor]) -> None:
    someone = visit()
    tops = """() => ["network_rank", "network_alpha"].map(name => {
        const box = document.querySelector(`#trainyard_${name} :is(.wrap-inner, .input-container, textarea)`);
        return Math.round(box.getBoundingClientRect().top);
    })"""
    before = someone.page.evaluate(tops)
    assert before[0] == before[1]
    label = "#trainyard_network_rank [data-testid=block-info]"
    someone.page.evaluate("label => document.querySelector(label).append(' and again'.repeat(6))", label)
    someone.page.click("#trainyard_network_alpha .trainyard-ask")
    after = someone.page.evaluate(tops)
    assert after[0] == after[1] > before[0] + 10


def go(someone: Visitor, wanted: str, key: str = "Tab") -> None:
    """Press a key until the focus is in an element that matches."""
    for _ in range(80):
        someone.page.keyboard.press(key)
        if someone.page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            return
        assert someone.page.evaluate("document.activeElement !== document.body"), f"lost on the way to {wanted}"
    raise AssertionError(f"{wanted} was not reached")


def test_a_lora_is_trained_by_keyboard_alone(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit(view="basic")
    page = someone.page
    page.evaluate("document.getElementById('trainyard_bar_find').focus()")
    page.keyboard.type("train")
    more = page.wait_for_selector("#trainyard_bar_found li:last-child:not([role])")
    assert re.fullmatch(r"\d\d more settings have these words\. Type more of what you look for\.", more.inner_text())
    page.keyboard.press("Escape")
    go(someone, "#trainyard_mode input")
    go(someone, "#trainyard_mode input[value=iLECO]", "Tab" if site.gradio != "3.41.2" else "ArrowRight")
    page.keyboard.press("Space")
    page.wait_for_selector("#trainyard_original_prompt", state="visible")
    go(someone, "#trainyard_original_prompt textarea")
    page.keyboard.type("red")
    go(someone, "#trainyard_target_prompt textarea")
    page.keyboard.type("blue")
    go(someone, "#trainyard_save_lora_name textarea, #trainyard_save_lora_name input")
    page.keyboard.type("by keyboard")
    for setting, value in (("image size", "64"), ("train learning rate", NOTHING), ("train iterations", "2")):
        go(someone, "#trainyard_bar_find", "Shift+Tab")
        page.keyboard.type(setting)
        page.wait_for_selector("#trainyard_bar_found li[aria-selected=true]")
        page.keyboard.press("Enter")
        wanted = f"#trainyard_{setting.replace(' ', '_')} :is(textarea, input)"
        someone.until(lambda wanted=wanted: page.evaluate("wanted => document.activeElement.matches(wanted)", wanted))
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    go(someone, "#trainyard_start")
    page.keyboard.press("Enter")
    someone.run_status("Done: by keyboard")
    assert "by keyboard" in site.loras
    assert re.search(r"\b2 of 2\b|2 steps", page.inner_text("#trainyard_run_status"))


def test_the_focus_stays_near_when_what_had_it_is_gone(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.mode("iLECO")
    for name, text in (("original_prompt", "red"), ("target_prompt", "blue"), ("image_size", "64")):
        someone.write(name, text)
    for name in ("one", "two"):
        someone.write("save_lora_name", name)
        someone.press("add")
        someone.message(f"{name} is number")
    someone.tab("Queue")
    someone.until(lambda: {"one", "two"} <= set(someone.queue()))
    delete = someone.page.get_by_role("button", name="Delete: one", exact=True)
    delete.focus()
    someone.page.keyboard.press("Enter")
    someone.until(lambda: "one" not in someone.queue())
    someone.until(lambda: someone.page.evaluate("document.activeElement.closest('#trainyard_queue') !== null"))
    someone.page.get_by_role("button", name="Undo", exact=True).click()
    someone.until(lambda: someone.queue()[-2:] == ["one", "two"])
    for name in ("one", "two"):
        someone.row_button(name, "Delete")
    someone.until(lambda: not {"one", "two"} & set(someone.queue()))
