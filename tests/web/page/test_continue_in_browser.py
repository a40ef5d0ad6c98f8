"""A run whose program was killed, in a real Chromium: the page says so, and a button continues it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser.site import ROOT, TOY, served
from tests.helpers.browser.visitor import Visitor
from trainer.config.schema import parse
from trainer.jobs.store import Store
from trainer.paths import Folders

pytestmark = [
    pytest.mark.browser,
    pytest.mark.more,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL"),
]
STEPS = 60


def killed(data: Path) -> None:
    """A queue whose program was killed in the middle of its first job."""
    store = Store(Folders(data, data / "loras", data / "models"))
    given = {
        "mode": "iLECO", "model": str(TOY), "original_prompt": "red", "target_prompt": "blue", "image_size": "64",
        "network_rank": 2, "network_blocks": ["M00"], "train_batch_size": 1,
        "state_every_minutes": 0.001, "effect_strip": False,
    }  # fmt: skip
    for name, steps in (("broken", STEPS), ("waiting", 2)):
        store.add(parse({**given, "save_lora_name": name, "train_iterations": steps}).settings)
    store.close()
    command = [sys.executable, "-m", "trainer", "queue", "run", "--data-dir", str(data), "--device", "cpu"]
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(data.rglob("*.state")):
        assert time.monotonic() < deadline
        assert program.poll() is None
        time.sleep(0.05)
    program.send_signal(signal.SIGKILL)
    program.wait()


def test_a_killed_run_is_told_and_continued(browser: Any, tmp_path: Path) -> None:
    killed(tmp_path)
    with served(tmp_path) as site:
        someone = Visitor(browser, site)
        someone.run_status(r"Interrupted: broken \(iLECO\)")
        someone.run_status(r"The program ended while this job was running.*It can be continued after step \d+\.")
        shown = someone.page.locator("#trainyard_run_status .trainyard-broken")
        assert shown.get_by_role("button", name="Continue").is_visible()
        someone.tab("Queue")
        row = someone.page.locator("#trainyard_queue tr", has=someone.page.locator("td:text-is('broken')"))
        someone.until(lambda: "It can be continued after step" in row.inner_text())
        assert row.get_by_role("button").all_inner_texts()[:2] == ["Continue", "Start anew"]
        someone.row_button("broken", "Continue")
        someone.tab("Train")
        someone.run_status(r"Done: waiting \(iLECO\)[\s\S]*2 steps in")  # which begins after it
        assert not shown.is_visible()
        assert site.loras == ["broken", "waiting"]
        assert not list(tmp_path.rglob("*.state"))
        assert someone.troubles == []
