"""The extension as a WebUI runs it: script, tab, settings and routes; also again, and where something is missing."""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import signal
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.helpers.client import client_of
from tests.hosts.doubles.a1111 import A1111Double
from tests.hosts.doubles.base import Double
from tests.hosts.test_hosts import DOUBLES

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
    yield from running(A1111Double(tmp_path / "host"))


@pytest.fixture(params=DOUBLES, ids=lambda each: each.name)
def any_double(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Double]:
    yield from running(request.param(tmp_path / "host"))


def running(made: Double) -> Iterator[Double]:
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
    for callbacks in (double.tabs, double.settings, double.started, double.reloading):
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


def test_the_end_of_the_host_is_heard_and_its_own_handlers_stay(double: Double) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    calls: list[int] = []
    try:
        for number in numbers:
            signal.signal(number, lambda received, _frame: calls.append(received))
        for _ in range(2):  # Reload UI
            run_script()
            started(double)
        chained = sys.modules[f"{NAME}.jobs.ending"].Chained
        assert all(isinstance(signal.getsignal(number), chained) for number in numbers)
        for number in numbers:
            signal.raise_signal(number)
        assert calls == list(numbers)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@pytest.mark.parametrize("wanted", [False, True])
def test_broken_runs_are_continued_where_the_option_says_so(
    double: Double, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    calls: list[object] = []
    double.options["trainyard_continue_runs"] = wanted
    run_script()
    worker = importlib.import_module(f"{NAME}.jobs.worker").Worker
    monkeypatch.setattr(worker, "continue_broken_off", lambda self: calls.append(self))
    started(double)
    assert len(calls) == wanted


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
        f"trainyard_{name}"
        for name in ("language", "lora_folder", "data_folder", "training_first", "continue_runs", "preset")
    }
    assert {info.section for info in options.added.values()} == {("trainyard", "Trainyard")}
    # Before the host has asked for them, and where one was never saved, all have their defaults.
    assert options.trainyard_training_first is False


def test_the_form_begins_with_the_chosen_preset_in_the_hosts_language(double: Double) -> None:
    double.options |= {"trainyard_preset": "ADDifT_Style_XL", "localization": "ja_JP"}
    run_script()
    page, _, _ = page_of(double)
    values = {getattr(each, "elem_id", ""): getattr(each, "value", None) for each in page.blocks.values()}
    assert (values["trainyard_mode"], values["trainyard_preset"]) == ("ADDifT", "ADDifT_Style_XL(TrainTrain版)")
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


def test_a_run_waits_while_reload_ui_has_taken_everything_away(double: Double) -> None:
    def is_whole() -> bool:
        try:
            host.reload.wait(lambda: 1 / 0)
        except ZeroDivisionError:
            return False
        return True

    run_script()
    for callback in double.reloading:  # before anything is there that could wait
        callback()
    started(double)
    (worker,) = sys.modules[f"{NAME}.jobs.worker"]._HELD.values()
    host = worker.host()
    assert is_whole()
    for callback in double.reloading:
        callback()
    assert not is_whole()
    reload_ui(double)
    page_of(double)
    assert not is_whole()
    started(double)
    assert is_whole()


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


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's, as if it had been read there: to build the page takes longer than all else."""
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _bytes: "drawn")
    return "drawn"


STATUS, JOBS = "/trainyard/v1/status", "/trainyard/v1/jobs"
LOGIN, API = {"gradio_auth": "me:secret"}, {"api_auth": "you:hidden,other:one"}
KNOWN, WRONG = "Basic eW91OmhpZGRlbg==", "Basic eW91Ondyb25n"
LOGGED_IN = "access-token-abc=known"


@dataclass
class Host:
    """A host that was started with some flags, and has started our extension."""

    app: FastAPI

    def asks(self, path: str = STATUS, *, far: bool = False, body: Any = None, **headers: str) -> int:
        base_url = "http://192.168.0.2" if far else "http://localhost"
        client = client_of(self.app, "192.168.0.9" if far else "127.0.0.1", base_url=base_url)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = client.get(path, headers=named) if body is None else client.post(path, json=body, headers=named)
        return int(asked.status_code)


def host_with(double: Double, **flags: Any) -> Host:
    vars(sys.modules["modules.shared"])["cmd_opts"] = types.SimpleNamespace(**{**double.flags, **flags})
    reload_ui(double)
    app = FastAPI()
    app.tokens = {"known": "somebody"}  # type: ignore[attr-defined]
    for callback in double.started:
        callback(None, app)
    return Host(app)


STARTED_WITH = (
    # flags, and what a program without a password is answered here and on another machine, and the page with its token
    ({}, 200, 403, 200),
    ({"listen": True}, 200, 200, 200),
    (LOGIN, 401, 403, 401),
    ({"gradio_auth_path": "users.txt"}, 401, 403, 401),
    ({**LOGIN, "listen": True}, 401, 401, 401),
    (API, 401, 403, 200),
    ({**API, "listen": True}, 401, 401, 200),
    ({**API, **LOGIN, "listen": True}, 401, 401, 401),
    ({**API, "listen": True, "nowebui": True}, 401, 401, 200),
)


def test_who_may_read(any_double: Double, token: str) -> None:
    for flags, near, far, page in STARTED_WITH:
        host = host_with(any_double, **flags)
        for path in (STATUS, "/trainyard/v1/openapi.json"):
            assert host.asks(path) == near, flags
            assert host.asks(path, far=True) == far, flags
            assert host.asks(path, X_Trainyard_Token=token) == page, flags
            assert host.asks(path, X_Trainyard_Token="guessed") == near, flags
        if "gradio_auth" in flags or "gradio_auth_path" in flags:
            assert host.asks(Cookie=LOGGED_IN) == 200, flags
            assert host.asks(Cookie="access-token-abc=guessed") == 401, flags
        if "api_auth" in flags:
            assert host.asks(Authorization=KNOWN) == 200, flags
            assert host.asks(Authorization=KNOWN, far=True) == 200, flags
            assert host.asks(Authorization=WRONG) == 401, flags


def test_who_may_change(any_double: Double, token: str) -> None:
    path, body = "/trainyard/v1/queue/hold", {"body": {}}
    carried, login = {"X_Trainyard_Token": token}, {"Cookie": LOGGED_IN}
    for flags in ({}, LOGIN, API, {**API, **LOGIN}):
        host = host_with(any_double, **flags)
        assert host.asks(path, **body) in (401, 403), flags
        assert host.asks(path, **body, **login) == (401 if flags == API else 403)  # a cookie comes from any site
        assert host.asks(path, **body, **login, **carried) == 200, flags
        assert host.asks(path, **body, **carried) == (401 if "gradio_auth" in flags else 200)
        if "api_auth" in flags:
            assert host.asks(path, **body, Authorization=KNOWN) == 200
            assert host.asks(path, **body, Authorization=WRONG) in (401, 403)


def test_images_are_read_by_a_cookie(double: Double, token: str) -> None:
    host = host_with(double, **API)
    cookie = {"Cookie": f"trainyard-token={token}"}
    assert host.asks("/trainyard/v1/plot", **cookie) == 400  # no run has a plot yet
    assert host.asks("/trainyard/v1/plot") == 401
    assert host.asks("/trainyard/v1/queue/hold", body={}, **cookie) == 403
    assert "data-cookie" in shown(page_of(double)[0])


def test_programs_are_told_of_the_password_and_pages_are_not(double: Double) -> None:
    client = client_of(host_with(double, **API).app)
    assert client.get(STATUS).headers["WWW-Authenticate"] == "Basic"
    outdated = client.get(STATUS, headers={"X-Trainyard-Token": "of the last start"})
    assert outdated.status_code == 401
    assert "WWW-Authenticate" not in outdated.headers


def test_the_routes_are_described(double: Double) -> None:
    described = client_of(host_with(double).app).get("/trainyard/v1/openapi.json").json()
    assert {STATUS, JOBS, "/trainyard/v1/plot", "/trainyard/v1/preview"} <= set(described["paths"])
    assert all(path.startswith("/trainyard/v1/") for path in described["paths"])
