"""Somebody at the page: what they can do there, in words of the page."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.helpers.browser.site import Site
from trainer.web.page.train import MEASURE

OWN_TO_GRADIO = "https://cdnjs.cloudflare.com/ajax/libs/iframe-resizer/"
"""What the older ones ask for, and do without."""
PATIENCE = 120_000  # ms; only ever spent when something is broken, or the machine is very busy
STEPS = {"LoRA": "1000", "iLECO": "50", "Difference": "200", "ADDifT": "100"}
"""Each mode's own, before somebody changes them."""

NOTHING = "1e-12"
"""A learning rate that leaves a LoRA of zeros, of which the end of a run makes the strip and asks no more."""
VIEW = "trainyard-view-form"
"""Where the browser keeps how much of the form is shown."""
_QUESTIONS = re.compile(r"/run/predict")
_REFRESH = """async () => {
    for (let number = 0; number < 2; number += 1) {
        await new Promise((done) => {
            document.addEventListener("trainyard-round", () => done(), {once: true});
            window.trainyard.refresh();
        });
    }
}"""


class Visitor:
    """A browser window with the page in it. Whatever goes wrong unseen is in ``troubles``."""

    def __init__(self, browser: Any, site: Site, view: str = "all", **options: Any) -> None:
        """Args:
        view: how much of the form is shown; the page's own is ``basic``.
        """
        self.troubles: list[str] = []
        self.site = site
        self.page = browser.new_page(**{"viewport": {"width": 1400, "height": 1000}, **options})
        self.page.set_default_timeout(PATIENCE)
        self.page.add_init_script(f"localStorage.getItem('{VIEW}') || localStorage.setItem('{VIEW}', '{view}')")
        self.page.on("pageerror", lambda error: self.troubles.append(f"{error}\n{error.stack}"))
        self.page.on("request", self._heed)
        self.open()

    def _heed(self, request: Any) -> None:
        allowed = (self.site.address, "data:", "blob:", *([OWN_TO_GRADIO] if self.site.gradio else []))
        if not request.url.startswith(allowed):
            self.troubles.append(f"asks {request.url}")

    def open(self) -> None:
        self.arrive()
        # The server's answer to the opening fills lists and the note.
        self.page.wait_for_function("document.querySelector('#trainyard_model_note')?.textContent.trim()")

    def arrive(self) -> None:
        """The page is there, but has not heard from the server."""
        self.page.goto(self.site.address)
        if self.site.gradio.startswith("3"):  # it cannot write our files into the page's head: the host does
            self.page.add_style_tag(url="trainyard/style.css")
            self.page.add_script_tag(url="trainyard/trainyard.js")
        self.page.wait_for_selector("#trainyard[data-state]", state="attached")

    def box(self, name: str) -> Any:
        return self.page.locator(f"#trainyard_{name}").locator("textarea, input").first

    def write(self, name: str, text: str) -> None:
        self.box(name).fill(text)
        self.box(name).press("End")  # Gradio 3 takes what was typed into a list when a key comes up
        self.box(name).blur()
        choices = self.page.locator(f"#trainyard_{name} ul[role=listbox]:visible")

        def is_left() -> bool:  # on a busy machine a list may open only after that, and cover what is below
            if choices.count():
                self.box(name).focus()
                self.box(name).blur()
            return not choices.count()

        self.until(is_left)

    def choose(self, mode: str) -> None:
        """A mode, with its defaults."""
        self.mode(mode)
        self.until(lambda: self.box("train_iterations").input_value() == STEPS[mode])

    def mode(self, name: str) -> None:
        self.page.click(f"#trainyard_mode label:has(input[value='{name}'])")

    @contextlib.contextmanager
    def held(self, about: str = "") -> Iterator[list[Any]]:
        """The first question to the server that is asked in here stays open until the end; then it is listed.

        Args:
            about: what it says; without that any, but the one for the memory, which the page asks by itself at any
                moment.
        """
        waiting: list[Any] = []

        def hold(route: Any) -> None:
            asked = route.request.post_data or ""
            if not waiting and (about in asked if about else MEASURE not in asked):
                waiting.append(route)
            else:
                route.continue_()

        self.page.route(_QUESTIONS, hold)
        yield waiting
        self.until(lambda: waiting)
        waiting[0].continue_()
        self.page.unroute(_QUESTIONS)

    def rounds(self, count: int) -> None:
        """The page looks at the server so often, which it does every three seconds while nothing runs."""
        self.page.evaluate(
            """count => new Promise(done => {
            const heard = () => --count || (document.removeEventListener("trainyard-round", heard), done());
            document.addEventListener("trainyard-round", heard);
        })""",
            count,
        )

    def press(self, button: str) -> None:
        self.page.click(f"#trainyard_{button}")

    def tab(self, name: str) -> None:
        # Where there is no room for all, Gradio 6 has a menu of the others, once it has measured them.
        others = self.page.locator("#trainyard_tabs .overflow-dropdown button").get_by_text(name, exact=True)
        tab = self._tabs().get_by_text(name, exact=True).first
        self.until(lambda: others.count() or tab.is_visible())
        if others.count():
            self.page.click("#trainyard_tabs .overflow-menu > button")
            others.first.click()
        else:
            tab.click()

    def tabs(self) -> list[str]:
        return [name.strip() for name in self._tabs().all_inner_texts()]

    def _tabs(self) -> Any:
        return self.page.locator("#trainyard_tabs > .tab-nav button, #trainyard_tabs [role=tab]")

    def refresh(self) -> None:
        """The page looks at the server at once, and once more: it may have been about to already."""
        self.page.evaluate(_REFRESH)

    def message(self, pattern: str) -> None:
        self.until(lambda: re.search(pattern, self.told()))

    def told(self) -> str:
        return "\n".join(self.page.locator("#trainyard_message .trainyard-told:visible").all_inner_texts())

    def run_status(self, pattern: str) -> re.Match[str]:
        return self.until(lambda: re.search(pattern, self.page.locator("#trainyard_run_status").inner_text()))

    def queue(self) -> list[str]:
        return self.page.locator("#trainyard_queue td[data-label=name]").all_inner_texts()

    def row_button(self, name: str, button: str) -> None:
        row = self.page.locator("#trainyard_queue tr", has=self.page.locator(f"td[data-label=name]:text-is('{name}')"))
        row.get_by_role("button", name=f"{button}: {name}", exact=True).click()

    def until(self, holds: Callable[[], Any]) -> Any:
        """What ``holds`` returns, as soon as it is true."""
        began = time.monotonic()
        while True:
            found = holds()
            if found:
                return found
            if time.monotonic() - began > PATIENCE / 1000:
                self.page.screenshot(path=str(self.site.data / "failed.png"), full_page=True)
                said = self.page.evaluate("""["message", "run_status"].map(
                    part => document.querySelector(`#trainyard_${part}`)).map(each => each.innerText)""")
                raise AssertionError(f"did not come; the page says {said} and is in {self.site.data / 'failed.png'}")
            self.page.wait_for_timeout(100)
