"""The routes under /trainyard/v1/, asked over real HTTP: who may, what they answer, and that mistakes are sentences."""

from __future__ import annotations

import math
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from PIL import Image

from tests.helpers.played_host import played_host
from tests.helpers.server import Server, served
from trainer.config.presets import save
from trainer.config.settings import ROWS, Settings
from trainer.engine import memory_fit, run
from trainer.engine.memory_estimate import MemoryEstimate
from trainer.hosts.standalone import Standalone
from trainer.job import Asked, Change, Control, Done, Effect, Event, Job, Paused, Phase, Preview, Saved, Step, Warned
from trainer.jobs.store import DONE, FAILED, Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.text.messages import literal, message
from trainer.web.api import core
from trainer.web.services.access import TOKEN_HEADER, Access, RefusedError

ILECO = {"mode": "iLECO", "original prompt": "red", "target prompt": "blue", "train_iterations": "4"}
HOSTILE = "<script>alert(1)</script> \N{PILE OF POO} 言葉"


@pytest.fixture
def worker(folders: Folders) -> Iterator[Worker]:
    # What runs is played, so a host is only asked to load what it would take.
    made = Worker(Store(folders), played_host)
    yield made
    made.close()
    made.store.close()


@pytest.fixture
def server(worker: Worker) -> Iterator[Server]:
    app, access = FastAPI(), Access()
    core.mount(app, worker, access)
    with served(app, access.token) as found:
        yield found


Script = Callable[[Control, Callable[[Event], None]], Done]


def plays(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    """What a run does, instead of training."""

    def play(
        _job: Job, _host: object, control: Control, emit: Callable[[Event], None], *, resume: bool, again: bool
    ) -> Done:
        assert not resume
        assert not again
        done = script(control, emit)
        emit(done)
        return done

    monkeypatch.setattr(run, "run", play)


def named(**settings: Any) -> dict[str, Any]:
    return {**ILECO, **settings}


# ---- who may ask ----------------------------------------------------------------------------------------------------


def test_changing_needs_the_token_of_the_page(server: Server) -> None:
    for path, body in (("/jobs", ILECO), ("/queue/start", {}), ("/run/stop", {}), ("/jobs/clear", {})):
        for token in ("", "another", server.token[:-1]):
            status, answer = server.ask(path, body, **{TOKEN_HEADER: token})
            assert (status, "Reload the page" in answer["detail"]) == (403, True)
    assert server.get("/jobs")["jobs"] == []
    assert server.post("/jobs", ILECO)["status"] == "waiting"


def test_a_page_of_strangers_in_the_same_browser_learns_nothing(server: Server) -> None:
    # A name of its own that a stranger lets point to this machine arrives in the Host header.
    assert server.ask("/jobs", Host="rebound.example")[0] == 403
    assert server.ask("/jobs", ILECO, Host="rebound.example")[0] == 403
    assert server.ask("/jobs", Host=server.address.replace("http://127.0.0.1", "localhost"))[0] == 200


@pytest.mark.parametrize(("caller", "open_to_others", "may"), [
    ("192.168.1.5", False, False), ("192.168.1.5", True, True), ("127.0.0.1", False, True), ("", False, False),
])  # fmt: skip
def test_other_machines_are_refused_unless_the_page_is_open(caller: str, open_to_others: bool, may: bool) -> None:
    from starlette.requests import Request

    scope = {"type": "http", "headers": [(b"host", b"127.0.0.1:7870")], "path": "/", "query_string": b"",
             "server": ("127.0.0.1", 7870), "scheme": "http", "client": (caller, 5) if caller else None}  # fmt: skip
    access = Access(open_to_others)
    if may:
        access.reading(Request(scope))
    else:
        with pytest.raises(RefusedError, match="--listen"):
            access.reading(Request(scope))
    with pytest.raises(RefusedError):
        access.changing(Request(scope))


# ---- jobs -----------------------------------------------------------------------------------------------------------


def test_jobs_are_added_moved_copied_and_deleted(server: Server) -> None:
    numbers = [server.post("/jobs", named(save_lora_name=name))["id"] for name in ("a", "b", "c")]

    def order() -> list[str]:
        return [job["name"] for job in server.get("/jobs")["jobs"]]

    assert order() == ["a", "b", "c"]
    server.post(f"/jobs/{numbers[2]}/up")
    server.post(f"/jobs/{numbers[0]}/down")
    assert order() == ["c", "a", "b"]
    assert server.post(f"/jobs/{numbers[1]}/duplicate")["name"] == "b_2"
    server.post(f"/jobs/{numbers[0]}/delete")
    assert order() == ["c", "b", "b_2"]
    job = server.get(f"/jobs/{numbers[1]}")
    assert (job["settings"]["original prompt"], job["settings"]["train_iterations"]) == ("red", 4)


def test_of_a_long_queue_those_around_the_first_that_has_not_ended_are_told(server: Server, worker: Worker) -> None:
    lease = worker.store.lease()
    for name, ends in (("a", DONE), ("b", FAILED), ("c", ""), ("d", "")):
        number = server.post("/jobs", named(save_lora_name=name))["id"]
        if ends:
            worker.store.claim(lease, number)
            worker.store.finish(number, lease, ends)
    lease.end()

    def part(query: str) -> tuple[str, int, int]:
        found = server.get(f"/jobs{query}")
        assert (found["waiting"], found["done"]) == (2, 1)
        return "".join(job["name"] for job in found["jobs"]), found["earlier"], found["later"]

    assert part("") == ("abcd", 0, 0)
    assert part("?earlier=1&later=1") == ("bc", 1, 1)
    assert part("?earlier=0&later=9") == ("cd", 2, 0)
    assert part("?later=0") == ("ab", 0, 2)
    assert server.ask("/jobs?later=-1")[0] == 422


@pytest.mark.parametrize(("path", "body", "words"), [
    ("/jobs", {"mode": "iLECO"}, "original prompt: It is empty"),
    ("/jobs", {**ILECO, "train_iterations": "x"}, "train iterations: It must be a whole number"),
    ("/jobs/99/run", {}, "There is no such job"),
    ("/jobs/clear", {"statuses": ["waiting"]}, "must be a list of"),
    ("/check", {"name": "nothing", "value": 1}, "There is no such setting"),
])  # fmt: skip
def test_mistakes_are_sentences(server: Server, path: str, body: dict[str, Any], words: str) -> None:
    status, answer = server.ask(path, body)
    assert status == 400
    assert words in answer["error"]


def test_every_wrong_setting_is_named_by_its_key(server: Server) -> None:
    status, answer = server.ask("/jobs", {**ILECO, "network_rank": 0, "train_batch_size": "many"})
    assert status == 400
    assert [each["key"] for each in answer["problems"]] == ["network_rank", "train_batch_size"]


def test_an_equal_name_is_refused(server: Server) -> None:
    server.post("/jobs", named(save_lora_name="same"))
    status, answer = server.ask("/jobs", named(save_lora_name="same"))
    assert status == 400
    assert "same is the name of a job" in answer["error"]


@pytest.mark.parametrize("action", ["explode", "../../x", "RUN"])
def test_unknown_actions_do_nothing(server: Server, action: str) -> None:
    server.post("/jobs", ILECO)
    for path in (f"/jobs/1/{action}", f"/queue/{action}", f"/run/{action}"):
        assert server.ask(path, {})[0] in (404, 405, 422)
    assert server.get("/jobs")["jobs"][0]["status"] == "waiting"


# ---- the run --------------------------------------------------------------------------------------------------------


def test_without_a_run_the_status_says_so(server: Server) -> None:
    assert server.get("/status") == {
        "running": False, "pausing": False, "queue_started": False, "queue_held": False, "problem": "", "run": None,
        "broken_off": None, "images_wait": False,
    }  # fmt: skip


def test_a_run_is_shown_with_its_numbers_and_pictures(
    server: Server, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [tmp_path / "samples" / name for name in ("4 <b>.png", "effect.png")]
    images[0].parent.mkdir()
    for path in images:
        Image.new("RGB", (8, 8), "red").save(path)
    secret = tmp_path / "samples" / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    lora = tmp_path / "loras" / "x.safetensors"

    def script(_control: Control, emit: Callable[[Event], None]) -> Done:
        emit(Phase(message("phase.training")))
        emit(Warned(literal(HOSTILE)))
        for number, loss in enumerate((0.5, math.nan, math.inf, 0.25), start=1):
            emit(Step(number, 4, loss, (1e-4,)))
        emit(Preview(4, images[0]))
        emit(Saved(lora, 4))
        asked = Asked(5, 1, 6, (literal(HOSTILE), message("engine.asked_untold", untold=1)), shown=literal(HOSTILE))
        blocks = (Change("IN01", 1.0, 0.5),)
        emit(Effect(lora, Change("", 1.0, math.nan), blocks, images[1], HOSTILE, ((1.0, 3.0),), asked))
        return Done(lora, 4, stopped=False)

    plays(monkeypatch, script)
    server.post("/jobs", named(save_lora_name="x"))
    server.post("/queue/start")
    assert worker.join(20)
    status = server.get("/status")
    shown = status["run"]
    assert (status["running"], shown["state"], shown["step"], shown["loss"]) == (False, "done", 4, 0.25)
    assert [point[:2] for point in shown["curve"]] == [[1, 0.5], [2, None], [3, None], [4, 0.25]]
    assert (shown["warnings"], shown["path"], shown["job"]["name"]) == ([HOSTILE], str(lora), "x")
    assert shown["effect"]["relative"] is None
    assert shown["effect"]["strongest"] == [{"block": "IN01", "relative": 0.5}]
    words = [HOSTILE, "In 1 image it cannot be told."]
    assert shown["effect"]["asked"] == {
        "changed": 5, "unchanged": 1, "images": 6, "words": words, "kept": None, "lost": 0, "empty_moved": None,
        "shown": HOSTILE,
    }  # fmt: skip
    assert shown["pictures"] == [{"step": 4, "name": "4 <b>.png"}]
    for name, path in zip((shown["pictures"][0]["name"], shown["effect"]["strip"]), images, strict=True):
        assert server.get(f"/pictures/{urllib.request.quote(name)}") == path.read_bytes()
    for name in ("secret.png", "..%2Fsamples%2Fsecret.png", "..", urllib.request.quote(str(secret), safe="")):
        assert server.ask(f"/pictures/{name}")[0] == 404
    assert server.post("/jobs/clear") == {"cleared": 1}


def test_the_buttons_reach_the_run(server: Server, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = threading.Event()

    def script(control: Control, emit: Callable[[Event], None]) -> Done:
        emit(Step(1, 4, 0.5, (1e-4,)))
        reached.set()
        while not control.asked_to_stop:
            time.sleep(0.005)
        return Done(Path("x") if control.asked_to_save else None, 1, stopped=True)

    plays(monkeypatch, script)
    assert server.post("/run/stop") == {"pressed": False}
    server.post("/jobs", ILECO)
    assert server.post("/jobs/1/run")["begins"]
    assert reached.wait(20)
    assert server.post("/run/pause") == {"pressed": True}
    assert server.get("/status")["pausing"]
    assert server.post("/run/continue") == {"pressed": True}
    assert not server.get("/status")["pausing"]
    assert server.post("/run/stop_and_save") == {"pressed": True}
    assert worker.join(20)
    assert server.get("/status")["run"]["path"] == "x"
    assert server.get("/jobs")["jobs"][0]["status"] == "stopped"


def test_images_wait_while_a_run_has_the_device(
    server: Server, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains, looked = threading.Event(), threading.Event()

    def script(control: Control, emit: Callable[[Event], None]) -> Done:
        emit(Step(1, 4, 0.5, (1e-4,)))
        trains.set()
        assert looked.wait(20)
        emit(Paused(1))
        looked.clear()
        trains.set()
        assert looked.wait(20)
        return Done(None, 1, stopped=True)

    plays(monkeypatch, script)
    server.post("/jobs", ILECO)
    server.post("/jobs/1/run")
    assert trains.wait(20)
    assert not server.get("/status")["images_wait"], "a WebUI makes them between the steps"
    worker.host().lends_model = False  # type: ignore[misc]
    assert server.get("/status")["images_wait"]
    trains.clear()
    looked.set()
    assert trains.wait(20)
    assert not server.get("/status")["images_wait"]
    looked.set()
    assert worker.join(20)
    assert not server.get("/status")["images_wait"]


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    from trainer.jobs.run_status import Point

    points = [Point(step, float(step), float(step), ()) for step in range(1, 2001)]
    thinned = core._curve(points)
    assert len(thinned) <= core.MOST_POINTS
    assert (thinned[-1][0], thinned[0][0] < 10) == (2000, True)
    assert [point[0] for point in thinned] == sorted(point[0] for point in thinned)
    assert core._curve(points[:3]) == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]


# ---- what there is --------------------------------------------------------------------------------------------------


def test_settings_and_presets(server: Server) -> None:
    table = server.get("/settings")["settings"]
    assert [each["short"] for each in table] == [row.name for row in ROWS]
    assert server.get("/settings?language=ja")["settings"][0]["label"] != table[0]["label"]
    assert "iLECO" in server.get("/presets")["presets"]
    assert server.get("/presets/iLECO")["network_rank"] == 4
    assert server.ask("/presets/..%2F..%2Fpyproject")[0] in (400, 404)


def test_presets_are_listed_with_what_they_are_for(server: Server, worker: Worker) -> None:
    save(Settings(), "mine", worker.store.folders.presets[0])
    found = server.get("/presets")
    assert found["presets"].index("change-concept") < found["presets"].index("iLECO") < found["presets"].index("mine")
    assert set(found["for"]) == set(found["presets"]) - {"mine"}
    assert found["for"]["erase-concept"].startswith("Makes the model no longer draw something")
    assert found["for"] != server.get("/presets?language=ja")["for"]


def test_a_job_is_made_to_fit_a_card(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(settings: Settings, *_: object) -> MemoryEstimate:
        return MemoryEstimate(0, 2**30 * (5 if settings.use_gradient_checkpointing else 9), 0)

    monkeypatch.setattr(memory_fit, "estimate_memory", taken)
    answer = server.post("/jobs?card=6", ILECO)
    assert answer["fitted"]["changes"] == {"use_gradient_checkpointing": True}
    assert answer["fitted"]["message"].startswith("Changed to fit a GPU with 6 GB")
    settings = server.get(f"/jobs/{answer['id']}")["settings"]
    assert settings["use_gradient_checkpointing"] is True
    assert "fitted" not in server.post("/jobs", named(save_lora_name="b"))
    assert server.post("/check?card=24&language=ja", {"settings": ILECO})["fitted"]["changes"] == {}
    for card, words in (("5", "no GPU that settings can be fitted to"), ("auto", "")):
        status, answer = server.ask(f"/check?card={card}", {"settings": ILECO})
        assert (status == 400) == bool(words)
        assert words in str(answer)
    monkeypatch.setattr(memory_fit, "estimate_memory", lambda *_: MemoryEstimate(10**12, 0, 0))
    status, answer = server.ask("/jobs?card=24", named(save_lora_name="c"))
    assert (status, "Nothing makes this run fit" in answer["error"]) == (400, True)
    assert len(server.get("/jobs")["jobs"]) == 2


def test_one_value_is_checked(server: Server) -> None:
    assert server.post("/check", {"name": "train_iterations", "value": "12"}) == {"problem": ""}
    assert "whole number" in server.post("/check", {"name": "train_iterations", "value": "1.5"})["problem"]


def test_a_body_of_another_form_is_refused_in_a_sentence(server: Server) -> None:
    for body in (b"NaN", b"[Infinity]", b"{", b"", b"3", b'"x"', b"[" * 100_000):
        status, answer = server.ask("/jobs", body)
        assert status in (400, 422)
        assert answer.get("error") or answer.get("detail")
    _, answer = server.ask("/jobs?language=ja", b"NaN")
    assert answer["error"].startswith("リクエストの形が正しくありません")


def test_a_job_may_be_written_for_another_program(server: Server, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    data = str(tmp_path)
    theirs = {"train_data_dir": data, "network_dim": 32, "pretrained_model_name_or_path": "/m", "output_name": "theirs"}
    added = server.post("/jobs", theirs)
    assert added["name"] == "theirs"
    assert "These are settings of sd-scripts." in added["warnings"][0]
    assert any("network_dim → network_rank 32" in each for each in added["warnings"])
    settings = server.get(f"/jobs/{added['id']}")["settings"]
    assert (settings["network_rank"], settings["network_alpha"], settings["lora_data_directory"]) == (32, 1.0, data)
    status, answer = server.ask("/jobs", {**theirs, "network_module": "networks.dylora"})
    assert status == 400
    assert answer["error"].startswith("sd-scripts: Its network is of the kind networks.dylora")


def test_a_job_without_a_model_is_refused_where_none_is_lent(folders: Folders) -> None:
    app, access = FastAPI(), Access()
    worker = Worker(Store(folders), lambda: Standalone(torch.device("cpu"), folders))
    core.mount(app, worker, access)
    with served(app, access.token) as server:
        for body, words in (
            (named(), "model: No model is chosen"),
            (named(model="gone"), "model: There is no file gone"),
        ):
            status, answer = server.ask("/jobs", body)
            assert (status, words in answer["error"]) == (400, True), answer
            assert "--" not in answer["error"]
        assert server.get("/jobs")["jobs"] == []
    worker.close()
    worker.store.close()


def test_unknown_keys_are_told_and_kept_with_the_job(server: Server) -> None:
    added = server.post("/jobs", named(train_iteration=3000, zzzz=1))
    assert added["status"] == "waiting"
    said = [
        "train_iteration: there is no such setting; perhaps you mean train_iterations. It has no effect.",
        "zzzz: there is no such setting. It has no effect.",
    ]
    assert sorted(added["warnings"]) == said
    assert sorted(server.get(f"/jobs/{added['id']}")["warnings"]) == said
    assert (
        "そのような設定はありません"
        in server.post("/jobs?language=ja", named(zzzz=1, save_lora_name="b"))["warnings"][0]
    )
    assert server.post("/jobs", named(save_lora_name="c"))["warnings"] == []


def test_openapi_lists_every_route(server: Server) -> None:
    status, description = server.ask("/openapi.json", below="")
    assert status == 200
    paths = {path: set(methods) for path, methods in description["paths"].items()}
    assert paths[f"{core.PREFIX}/jobs"] == {"get", "post"}
    for path in ("/status", "/jobs/{number}/{action}", "/queue/{action}", "/run/{action}", "/presets", "/settings"):
        (route,) = description["paths"][f"{core.PREFIX}{path}"].values()
        assert len(route["description"]) > 20
