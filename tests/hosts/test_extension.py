"""The extension as a WebUI runs it: script, tab, settings and routes; also again, and where something is missing."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.helpers.client import client_of
from tests.hosts.doubles.a1111 import A1111Double
from tests.hosts.doubles.base import Double

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "trainyard.py"
NAME = "trainyard_trainer"
WAIT = 60.0


def run_script() -> None:
    """As a host does: by its path, as a module that stands in no list."""
    spec = importlib.util.spec_from_file_location(SCRIPT.name, SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Double]:
    made = A1111Double(tmp_path / "host")
    with made.around():
        yield made
    held = sys.modules.get(f"{NAME}.jobs.worker")
    if held is not None:
        for worker in held._HELD.values():
            worker.close()
            worker.store.close()
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def page_of(double: Double) -> tuple[Any, str, str]:
    """What the host puts into its page."""
    assert len(double.tabs) == 1
    ((page, title, elem_id),) = double.tabs[0]()
    return page, title, elem_id


def shown(page: Any) -> str:
    return " ".join(str(each.value) for each in page.blocks.values() if isinstance(getattr(each, "value", None), str))


def reload_ui(double: Double) -> None:
    """Callbacks are forgotten and scripts run anew; packages and threads stay."""
    for callbacks in (double.tabs, double.settings, double.started):
        callbacks.clear()
    run_script()


def started(double: Double) -> TestClient:
    app = FastAPI()
    for callback in double.started:
        callback(None, app)
    return client_of(app)


def test_the_tab_is_there_and_the_routes_answer(double: Double) -> None:
    run_script()
    for callback in double.settings:
        callback()
    page, title, _ = page_of(double)
    assert title == "Trainyard"
    assert "Start Training" in shown(page)
    client = started(double)
    assert client.get("/trainyard/v1/status").json()["running"] is False
    assert client.post("/trainyard/v1/queue/start", json={}).status_code == 403


def test_no_page_is_needed(double: Double) -> None:
    double.flags["nowebui"] = True
    run_script()
    assert started(double).get("/trainyard/v1/status").status_code == 200


def test_what_is_kept_lies_below_the_hosts_data(double: Double) -> None:
    run_script()
    page_of(double)
    assert (double.root / "trainyard" / "queue").is_dir()


def test_the_settings_section(double: Double) -> None:
    run_script()
    for callback in double.settings:
        callback()
    options = sys.modules["modules.shared"].opts
    assert set(options.added) == {
        f"trainyard_{name}" for name in ("language", "lora_folder", "data_folder", "training_first", "preset")
    }
    assert {info.section for info in options.added.values()} == {("trainyard", "Trainyard")}
    # Before the host has asked for them, and where one was never saved, all have their defaults.
    assert options.trainyard_training_first is False


def test_the_form_begins_with_the_chosen_preset_in_the_hosts_language(double: Double) -> None:
    double.options |= {"trainyard_preset": "ADDifT_Style_XL", "localization": "ja_JP"}
    run_script()
    page, _, _ = page_of(double)
    modes = [each.value for each in page.blocks.values() if getattr(each, "elem_id", "") == "trainyard_mode"]
    assert modes == ["ADDifT"]
    assert "学習" in shown(page)


def test_reload_ui_finds_the_same_worker(double: Double) -> None:
    run_script()
    page_of(double)
    started(double)
    worker = dict(sys.modules[f"{NAME}.jobs.worker"]._HELD)
    assert worker
    reload_ui(double)
    page_of(double)
    assert started(double).get("/trainyard/v1/status").status_code == 200
    assert dict(sys.modules[f"{NAME}.jobs.worker"]._HELD) == worker


def test_missing_packages_still_show_a_tab(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    run_script()
    needs = sys.modules[f"{NAME}.hosts.webui.dependencies"]
    there = needs.installed
    monkeypatch.setattr(
        needs, "installed", lambda name, module="": None if name == "diffusers" else there(name, module)
    )
    page, title, _ = page_of(double)
    assert title == "Trainyard"
    assert "diffusers" in shown(page)
    assert "-m pip install" in shown(page)
    assert started(double).get("/trainyard/v1/status").status_code == 404  # and the host has started


def test_whatever_goes_wrong_shows_a_tab(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    run_script()
    (double.root / "trainyard").write_text("a file where the folder should be")
    page, _, _ = page_of(double)
    assert "could not be loaded" in shown(page)
    (double.root / "trainyard").unlink()
    reload_ui(double)
    assert "Start Training" in shown(page_of(double)[0])


def test_a_package_that_cannot_be_imported_shows_a_tab(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{NAME}.web.extension", None)
    run_script()
    page, title, _ = page_of(double)
    assert title == "Trainyard"
    assert "could not be loaded" in shown(page)


def test_traintrain_beside_us(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = types.ModuleType("trainer")
    theirs.__path__ = ["/nowhere"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trainer", theirs)
    run_script()
    assert "Start Training" in shown(page_of(double)[0])
    assert sys.modules["trainer"] is theirs
    ours = [module for name, module in sys.modules.items() if name.startswith(f"{NAME}.")]
    assert all(module.__name__.startswith(NAME) for module in ours)


# ---- who may ask ----------------------------------------------------------------------------------------------------


def asks(double: Double, path: str = "/trainyard/v1/status", far: bool = False, **headers: str) -> int:
    app = FastAPI()
    app.tokens = {"known": "somebody"}  # type: ignore[attr-defined]
    for callback in double.started:
        callback(None, app)
    host = "http://192.168.0.2" if far else "http://localhost"
    client = client_of(app, "192.168.0.9" if far else "127.0.0.1", base_url=host)
    return client.get(path, headers=headers).status_code


@pytest.mark.parametrize(
    ("flags", "near", "far"),
    [
        ({}, 200, 403),
        ({"listen": True}, 200, 200),
        ({"gradio_auth": "me:secret"}, 401, 403),
        ({"gradio_auth": "me:secret", "listen": True}, 401, 401),
        ({"api_auth": "me:secret", "listen": True, "nowebui": True}, 401, 401),
    ],
    ids=["alone", "listening", "login", "login and listening", "programs only"],
)
def test_who_may_read(double: Double, flags: dict[str, Any], near: int, far: int) -> None:
    double.flags |= flags
    vars(sys.modules["modules.shared"])["cmd_opts"] = types.SimpleNamespace(**double.flags)
    run_script()
    assert asks(double) == near
    assert asks(double, far=True) == far


def test_who_has_logged_in_may_read(double: Double) -> None:
    vars(sys.modules["modules.shared"])["cmd_opts"] = types.SimpleNamespace(**double.flags, gradio_auth_path="x")
    run_script()
    assert asks(double, Cookie="access-token-abc=known") == 200
    assert asks(double, Cookie="access-token-abc=guessed") == 401


def test_programs_with_name_and_password_may_ask(double: Double) -> None:
    vars(sys.modules["modules.shared"])["cmd_opts"] = types.SimpleNamespace(**{**double.flags, "api_auth": "me:secret"})
    run_script()
    assert asks(double, far=True, Authorization="Basic bWU6c2VjcmV0") == 200
    assert asks(double, far=True, Authorization="Basic bWU6d3Jvbmc=") == 403
