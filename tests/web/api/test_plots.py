"""The plot: which runs it finds, and what somebody at the page gets of them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.browser.site import Site
from tests.helpers.browser.visitor import Visitor
from trainer.config.settings import Settings
from trainer.job import Step
from trainer.reports.log import CSVLog
from trainer.web.api.plots import runs


def write_log(path: Path, written: float, steps: int = 40) -> None:
    log = CSVLog(path, Settings(), "SD1")
    for number in range(1, steps + 1):
        log(Step(number, steps, 1 / number, (1e-4,)))
    log.close()
    os.utime(path, (written, written))


def test_runs_are_listed_by_name_the_latest_first(tmp_path: Path) -> None:
    write_log(tmp_path / "runs" / "20261120" / "red-20261120_090000.csv", 300)
    write_log(tmp_path / "runs" / "20261120" / "red-20261120_090000_copy.csv", 200)
    write_log(tmp_path / "runs" / "20261121" / "a-b-20261121_101010.csv", 100)
    write_log(tmp_path / "logs" / "20261121" / "a-b-20261121_101010.csv", 400)  # the same run's, asked for
    write_log(tmp_path / "logs" / "brought along.csv", 50)
    found = runs(tmp_path)
    assert [run.name for run in found] == ["red", "red (copy)", "a-b", "brought along"]
    assert [run.log.parent.parent.name for run in found][:3] == ["runs"] * 3
    assert runs(tmp_path / "nowhere") == []


@pytest.mark.browser
@pytest.mark.more
def test_runs_are_chosen_and_drawn(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    someone.tab("Plot")
    panel = someone.page.locator("#trainyard_plot")
    someone.until(lambda: "There is no run yet" in panel.inner_text())
    for number, name in enumerate(("first", "<b>second</b>", "third")):
        write_log(
            site.data / "runs" / "20261121" / f"{name.replace('/', '_')}-20261121_09000{number}.csv", 1e9 + number
        )
    someone.press("plot_refresh")
    someone.until(lambda: panel.locator(".trainyard-plot-list span").all_inner_texts()[-1:] == ["first"])
    assert panel.locator(".trainyard-plot-list b").count() == 0

    address = ""

    def drawn_anew() -> Image.Image:
        nonlocal address
        before, image = address, panel.locator("img")
        address = someone.until(
            lambda: image.is_visible() and image.get_attribute("src") != before and image.get_attribute("src")
        )
        script = "async (a) => Array.from(new Uint8Array(await (await fetch(a)).arrayBuffer()))"
        return Image.open(io.BytesIO(bytes(someone.page.evaluate(script, address)))).convert("RGB")

    panel.get_by_text("first", exact=True).click()
    one = drawn_anew()
    panel.get_by_text("third", exact=True).click()
    two = drawn_anew()
    assert np.any(np.asarray(one) != np.asarray(two))
    panel.get_by_text("logarithmic").click()
    assert np.any(np.asarray(drawn_anew()) != np.asarray(two))

    panel.get_by_role("searchbox").fill("sec")
    shown = panel.locator(".trainyard-plot-list label:visible span")
    assert len(shown.all_inner_texts()) == 3  # those that are chosen stay in sight
    with someone.page.expect_download() as download:
        someone.press("plot_save")
    assert download.value.suggested_filename == "loss.png"
    with Image.open(download.value.path()) as saved:
        assert saved.format == "PNG"
    for box in ("loss", "loss, smoothed", "learning rate"):
        panel.get_by_text(box, exact=True).click()
    someone.until(lambda: "nothing to draw" in panel.inner_text())


@pytest.mark.browser
@pytest.mark.more
def test_a_run_that_is_not_there_is_told(visit: Callable[..., Visitor], site: Site) -> None:
    someone = visit()
    for query, words in (("run=../../secret", "There is no such run"), ("run=a&run=b" * 20, "too many")):
        answer = someone.page.request.get(f"{site.address}trainyard/v1/plot?{query}")
        assert answer.status == 400
        assert words in answer.json()["error"] or "There is no run yet" in answer.json()["error"]
