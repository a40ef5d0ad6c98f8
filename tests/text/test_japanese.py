"""What goes wrong, read by a Japanese: on the page, from the routes, in a terminal. Names stay what they are."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image

from tests.helpers.home import host_in
from tests.helpers.server import Server, served
from trainer.cli import main
from trainer.config.schema import parse
from trainer.hosts.catalogue import FolderCatalogue
from trainer.jobs.store import FAILED, Store
from trainer.jobs.worker import Worker
from trainer.paths import Folders
from trainer.text.messages import literal
from trainer.web.api import routes
from trainer.web.services.access import Access
from trainer.web.services.context import PageContext

JAPANESE = re.compile("[ぁ-んァ-ン一-龥]")
ENGLISH = re.compile(r"\b(?:is|are|the|and|used|there|no|must|be|not|has|out|left)\b")
TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
ILECO = {"mode": "iLECO", "original prompt": "red", "target prompt": "blue", "model": str(TOY)}


def is_japanese(text: str) -> bool:
    return bool(JAPANESE.search(text)) and not ENGLISH.search(text)


@pytest.fixture
def worker(folders: Folders, tmp_path: Path) -> Iterator[Worker]:
    host = host_in(tmp_path)
    made = Worker(Store(folders), lambda: host)
    yield made
    made.close()
    made.store.close()


def serves(worker: Worker, folders: Folders, language: str) -> Any:
    app, access = FastAPI(), Access()
    routes.mount(app, PageContext(folders, FolderCatalogue(folders.models), worker, access, language))
    return served(app, access.token)


@pytest.fixture
def server(worker: Worker, folders: Folders) -> Iterator[Server]:
    with serves(worker, folders, "ja_JP") as found:
        yield found


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", {**ILECO, "original prompt": ""}),
        ("/jobs", {**ILECO, "network_rank": 0, "train_learning_rate": "fast", "network_blocks": ["IN99"]}),
        ("/jobs", {**ILECO, "save_lora_name": "a//b"}),
        ("/jobs", {**ILECO, "save_lora_name": "taken"}),
        ("/jobs", {**ILECO, "model": ""}),
        ("/jobs/99/run", {}),
        ("/jobs/1/delete", {}),
        ("/check", {"name": "nothing"}),
        ("/field", {"name": "nothing"}),
        ("/pair", {"mode": "ADDifT", "original_image": "gone.png", "target_image": "gone too.png"}),
        ("/pair", {"mode": "ADDifT", "original_image": "PICTURE", "target_image": "BROKEN"}),
        ("/picture", {"path": "BROKEN"}),
        ("/pictures?name=a.png", b"words"),
        ("/preview", {"mode": "iLECO"}),
        ("/preview/samples", None),
        ("/presets/nothing", None),
        ("/drawings/strip", {"lora": ""}),
        ("/drawings/strip", {"lora": "nowhere"}),
        ("/variations/show", {"source": "nowhere.png"}),
        ("/variations/show", {"source": "PICTURE", "number": "many"}),
        ("/lora?name=nowhere", None),
        ("/plot", None),
    ],
)
def test_an_answer_says_in_japanese_what_is_wrong(
    server: Server, worker: Worker, tmp_path: Path, path: str, body: Any
) -> None:
    server.post("/jobs", {**ILECO, "save_lora_name": "taken"})
    lease = worker.store.lease()
    worker.store.claim(lease)
    Image.new("RGB", (128, 128), "red").save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    files = {"PICTURE": str(tmp_path / "a.png"), "BROKEN": str(tmp_path / "broken.png")}
    if isinstance(body, dict):
        body = {name: files.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    status, answer = server.ask(path, body)
    assert status == 400, answer
    assert is_japanese(re.sub(r"/\S+|\(.*?\)", "", answer["error"])), answer
    for problem in answer.get("problems", ()):
        assert is_japanese(problem["what"]), problem
    lease.end()


def test_a_caller_chooses_the_language_of_an_answer(worker: Worker, folders: Folders) -> None:
    with serves(worker, folders, "en") as server:
        assert server.ask("/presets/nothing")[1]["error"].startswith("nothing: There is no such preset")
        assert is_japanese(server.ask("/presets/nothing?language=ja")[1]["error"])
        assert is_japanese(server.ask("/jobs?language=ja", {}, **{"X-Trainyard-Token": "guessed"})[1]["detail"])
        assert server.ask("/drawings/gone.png?language=ja")[0] == 404
        assert is_japanese(server.ask("/drawings/gone.png?language=ja")[1]["detail"])
    with serves(worker, folders, "ja") as server:
        assert server.ask("/presets/nothing?language=en")[1]["error"].startswith("nothing: There is no such preset")


def test_a_job_that_cannot_run_says_so_in_both_languages(server: Server, worker: Worker) -> None:
    worker.store.add(parse({**ILECO, "save_lora_name": "x", "model": "nowhere.ckpt"}).settings)
    server.post("/queue/start")
    assert worker.join(60)
    (job,) = server.get("/jobs")["jobs"]
    assert job["status"] == FAILED
    assert is_japanese(re.sub(r"/\S+|nowhere\.ckpt", "", job["message"]))
    assert is_japanese(re.sub(r"/\S+|nowhere\.ckpt", "", server.get("/status")["run"]["message"]))
    assert "There is no file nowhere.ckpt" in server.get("/jobs?language=en")["jobs"][0]["message"]


def test_a_message_of_an_older_version_stays_as_it_was_written(server: Server, worker: Worker) -> None:
    number = server.post("/jobs", {**ILECO, "save_lora_name": "x"})["id"]
    lease = worker.store.lease()
    worker.store.claim(lease)
    worker.store.finish(number, lease, FAILED, message=literal("the disk is full."))
    lease.end()
    assert server.get("/jobs")["jobs"][0]["message"] == "the disk is full."


def test_what_is_found_in_a_folder_is_told_in_japanese(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "images"
    data.mkdir()
    for name, size in (("good", (640, 640)), ("small", (90, 90)), ("long", (4000, 100))):
        Image.new("RGB", size, "red").save(data / f"{name}.png")
    (data / "broken.png").write_bytes((data / "good.png").read_bytes()[:60])
    (data / "empty.png").touch()
    (data / "page.png").write_text("<!doctype html>")
    (data / "good.txt").touch()
    (data / "nobody.txt").write_text("words")
    server.post("/preview", {"mode": "LoRA", "lora_data_directory": str(data)})
    while (state := server.get("/preview"))["state"] == "working":
        time.sleep(0.02)
    problems = state["found"]["problems"]
    assert len(problems) >= 6
    for problem in problems:
        told = re.sub(r"\(.*?\)|\S+\.(?:png|txt)", "", f"{problem['what']}: {problem['done']}")
        assert is_japanese(told), problem


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "iLECO", "--model", "nowhere.ckpt", "--original-prompt", "a"], "nowhere.ckpt"),
        (["train", "iLECO", "--original-prompt", "a"], "モデル"),
        (["train", "iLECO", "--set", "netwrok_rank=4"], "network_rank"),
        (["train", "no such preset"], "no such preset"),
        (["check", "nowhere"], "nowhere"),
        (["info", "nowhere.safetensors"], "nowhere.safetensors"),
        (["sample", "--model", "x", "--prompt", "x", "--out", "x.xyz"], "x.xyz"),
        (["sample", "--model", "x", "--prompt", "x", "--out", "x.png", "--lora", "gone"], "gone"),
        (["report", "gone.csv", "--out", "x.png"], "gone.csv"),
        (["queue", "show", "7"], "ジョブ"),
        (["images", "gone.png"], "gone.png"),
    ],
)
def test_the_command_line_speaks_the_machines_language(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    monkeypatch.chdir(tmp_path)
    folders = ["--data-dir", str(tmp_path / "data")] if arguments[0] in ("train", "queue", "sample") else []
    assert main([*arguments, *folders]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("trainyard: ")
    assert words in told
    known = r"trainyard|no such preset|x\.(?:png|xyz)|/\S+|[\w-]+(?:\.\w+)"
    assert is_japanese(re.sub(known, "", told)), told


def test_a_queue_is_listed_in_the_machines_language(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainer.config.schema import parse

    worker.store.add(replace(parse(ILECO).settings, save_lora_name="赤"))
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    data = ["--data-dir", str(tmp_path / "data")]
    assert main(["queue", "list", *data]) == 0
    heading, job = capsys.readouterr().out.splitlines()
    assert heading.split() == ["番号", "状態", "モード", "名前", "モデル", "追加日時"]
    assert "待機中 1" in job
    assert main(["queue", "show", "1", *data]) == 0
    assert "状態:       待機中 1" in capsys.readouterr().out
    assert main(["queue", "clear", *data]) == 0
    assert capsys.readouterr().out == "ジョブを 0 件削除しました。\n"


@pytest.mark.parametrize("command", ["", "train", "queue", "queue add", "check", "images", "sample", "ui", "list"])
def test_help_is_in_the_machines_language(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for language in ("C", "ja_JP.UTF-8"):
        monkeypatch.setenv("LC_ALL", language)
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), "--help"])
        assert ended.value.code == 0
        found[language] = capsys.readouterr().out
    assert not JAPANESE.search(found["C"])
    assert len(JAPANESE.findall(found["ja_JP.UTF-8"])) > 20


@pytest.mark.parametrize("as_json", [False, True])
def test_a_folder_is_checked_in_the_machines_language(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (640, 640), "red").save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert main(["check", str(tmp_path), *(["--json"] if as_json else [])]) == 0
    told = capsys.readouterr().out
    if as_json:
        (problem,) = (each for each in json.loads(told)["problems"] if each["file"] == "empty.png")
        assert is_japanese(problem["what"])
        assert is_japanese(problem["done"])
    else:
        (problem,) = (line for line in told.splitlines() if "empty.png" in line)
        assert is_japanese(problem.replace("empty.png", ""))
