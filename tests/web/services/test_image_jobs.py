"""Pictures for the page: drawn in the background, one sheet at a time, for whoever comes to look; their routes."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from tests.helpers.client import client_of
from tests.helpers.some_networks import some_network, some_settings
from trainer.config.schema import to_json
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.image_request import ImageRequest
from trainer.errors import ModelError, UserError
from trainer.hosts.catalogue import FolderCatalogue
from trainer.hosts.standalone import Standalone
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.models.image_spec import ImageSpec
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file
from trainer.paths import Folders
from trainer.text.messages import literal
from trainer.web.api import core, images
from trainer.web.api.core import PREFIX
from trainer.web.services.access import TOKEN_HEADER, Access
from trainer.web.services.context import PageContext
from trainer.web.services.image_jobs import DONE, DRAWING, FAILED, STOPPED, ImageJobs, LabelledRequest, Sheet

TOY = Path(__file__).resolve().parents[2] / "toy" / "toy-sd1.safetensors"
HOSTILE = "<script>alert(1)</script>"
WAIT = 60.0


@dataclass
class Painter:
    """A host whose images wait until they may go on."""

    may_go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[ImageRequest] = field(default_factory=list)
    fails: Exception | None = None

    def draw(self, request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        self.asked.append(request)
        advance(0, 2)
        assert self.may_go_on.wait(WAIT)
        advance(1, 2)
        if self.fails is not None:
            raise self.fails
        return [Image.new("RGB", (8, 8), (index, 0, 0)) for index, _ in enumerate(request.strengths)]


def until(holds: Callable[[], Any]) -> Any:
    began = time.monotonic()
    while not (found := holds()):
        assert time.monotonic() - began < WAIT
        time.sleep(0.01)
    return found


def ended(image_jobs: ImageJobs, place: str = "x") -> Sheet:
    until(lambda: image_jobs.sheets()[place].state != DRAWING)
    return image_jobs.sheets()[place]


PAIR = (LabelledRequest(ImageRequest("one"), ("first",)), LabelledRequest(ImageRequest("two"), ("second",)))


def test_a_sheet_comes_into_being() -> None:
    painter = Painter()
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    image_jobs.begin("x", "a pair", PAIR)
    until(lambda: image_jobs.sheets()["x"].total)
    assert image_jobs.sheets() == {"x": Sheet("a pair", DRAWING, 0, 4)}
    painter.may_go_on.set()
    sheet = ended(image_jobs)
    assert (sheet.state, sheet.done, sheet.total) == (DONE, 3, 4)
    assert [(each.label, each.prompt) for each in sheet.images] == [("first", "one"), ("second", "two")]
    first = sheet.images[0]
    assert image_jobs.image(first.name) == first.png
    assert image_jobs.image("other.png") is None
    with Image.open(io.BytesIO(first.png)) as image:
        assert image.size == (8, 8)


def test_black_images_and_what_of_a_lora_is_not_used_are_told(tmp_path: Path) -> None:
    lora = file.save(
        tmp_path / "x.safetensors",
        {
            "lora_unet_a.lora_down.weight": torch.zeros(1, 2),
            "lora_unet_a.lora_up.weight": torch.zeros(2, 1),
            "bundle_emb.zorp.string_to_param.*": torch.zeros(1, 2),
        },
        {},
    )
    painter = Painter()
    painter.may_go_on.set()
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    request = ImageRequest("one", strengths=(0.0, 1.0, 2.0), lora=lora)  # the painter's first image is black
    image_jobs.begin("x", "", [LabelledRequest(request, ("0", "1", "2")), LabelledRequest(request, ("0", "1", "2"))])
    assert [str(note) for note in ended(image_jobs).notes] == [
        "Not used of x.safetensors: 1 bundled embedding.",
        "2 images are black: the VAE or the LoRA does not fit the model, or fp16 is too narrow for the VAE.",
    ]


def test_one_at_a_time_and_the_last_sheet_is_replaced() -> None:
    painter = Painter()
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    image_jobs.begin("x", "", PAIR)
    with pytest.raises(UserError, match="Other images are being made"):
        image_jobs.begin("y", "", PAIR)
    image_jobs.refuse("x", "", UserError(literal("not now.")))
    assert image_jobs.sheets()["x"].state == DRAWING
    painter.may_go_on.set()
    drawn = ended(image_jobs)
    until(lambda: image_jobs.stop() is False)
    for place, kept in (("x", drawn.images), ("y", ())):  # what was drawn before is not lost
        image_jobs.refuse(place, "", UserError(literal("no such thing. Do another.")))
        sheet = image_jobs.sheets()[place]
        assert (sheet.state, str(sheet.message), sheet.images) == (FAILED, "no such thing. Do another.", kept)
    image_jobs.begin("x", "", PAIR)
    again = ended(image_jobs)
    assert not again.message
    assert {each.name for each in again.images}.isdisjoint(each.name for each in drawn.images)
    assert image_jobs.image(drawn.images[0].name) is None


def test_stopped() -> None:
    painter = Painter()
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    assert not image_jobs.stop()
    image_jobs.begin("x", "", PAIR)
    until(lambda: image_jobs.sheets()["x"].total)
    assert image_jobs.stop()
    painter.may_go_on.set()
    assert ended(image_jobs).state == STOPPED
    assert len(painter.asked) == 1


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (ModelError(literal("there is no file x. Choose one.")), "there is no file x. Choose one."),
        (RuntimeError("odd"), "Something went wrong that should not have (RuntimeError: odd)"),
    ],
)
def test_a_failure_is_a_sentence_and_the_next_one_works(fails: Exception, words: str) -> None:
    painter = Painter(fails=fails)
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    painter.may_go_on.set()
    image_jobs.begin("x", "", PAIR)
    sheet = ended(image_jobs)
    assert sheet.state == FAILED
    assert str(sheet.message).startswith(words)
    painter.fails = None
    until(lambda: not image_jobs.stop())
    image_jobs.begin("x", "", PAIR)
    drawn = ended(image_jobs)
    assert drawn.state == DONE
    painter.fails = fails
    until(lambda: not image_jobs.stop())
    image_jobs.begin("x", "", PAIR)
    failed = ended(image_jobs)
    assert str(failed.message).startswith(words)
    assert failed.images == drawn.images


def test_what_a_failed_sheet_has_made_stays_and_not_the_last_one() -> None:
    painter = Painter()
    image_jobs = ImageJobs(lambda: painter)  # type: ignore[arg-type, return-value]
    painter.may_go_on.set()
    image_jobs.begin("x", "", PAIR)
    before = ended(image_jobs)
    until(lambda: not image_jobs.stop())

    def fail_at_the_second(request: ImageRequest, advance: Callable[[int, int], None]) -> list[Image.Image]:
        if request.prompt == "two":
            raise ModelError(literal("broken."))
        return Painter.draw(painter, request, advance)

    painter.draw = fail_at_the_second  # type: ignore[method-assign]
    image_jobs.begin("x", "", PAIR)
    failed = ended(image_jobs)
    assert (failed.state, [each.label for each in failed.images]) == (FAILED, ["first"])
    assert failed.images[0].name not in {each.name for each in before.images}


def test_a_host_that_cannot_be_made() -> None:
    def make() -> Any:
        raise UserError(literal("there is no such device."), where="cuda:9")

    image_jobs = ImageJobs(make)
    image_jobs.begin("x", "", PAIR)
    assert str(ended(image_jobs).message) == "cuda:9: there is no such device."


# ---- the routes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def context(folders: Folders) -> Iterator[PageContext]:
    folders.models.mkdir()
    (folders.models / "toy.safetensors").symlink_to(TOY)
    worker = Worker(Store(folders), lambda: Standalone(torch.device("cpu"), folders))
    yield PageContext(folders, FolderCatalogue(folders.models), worker, Access())
    worker.close()
    worker.store.close()


@pytest.fixture
def client(context: PageContext) -> TestClient:
    app = FastAPI()
    core.mount(app, context.worker, context.access)
    images.mount(app, context)
    found = client_of(app)
    found.headers[TOKEN_HEADER] = context.access.token
    return found


def post(client: TestClient, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(f"{PREFIX}{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sheet(client: TestClient, place: str) -> Any:
    def done() -> Any:
        found = client.get(f"{PREFIX}/drawings").json().get(place)
        return found if found and found["state"] != "drawing" else None

    return until(done)


def pixels(client: TestClient, name: str) -> np.ndarray:
    answer = client.get(f"{PREFIX}/drawings/{name}")
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_prompts_and_strip_are_the_samplers_pictures(context: PageContext, client: TestClient) -> None:
    bundle = load_bundle(TOY)
    place_for_images(bundle, torch.device("cpu"))
    (context.folders.loras).mkdir()
    path = context.folders.loras / "mine.safetensors"
    file.save(path, some_network(bundle, some_settings()).tensors(), {"modelspec.trigger_phrase": HOSTILE})

    settings = Settings(mode="iLECO", original_prompt="a red circle", target_prompt=HOSTILE, image_size=Size(64, 64),
                        model="toy", sample_negative="blue")  # fmt: skip
    common = {"seed": 4, "steps": 2, "cfg": 3}
    begun = post(client, "/drawings/prompts/both", {"settings": to_json(settings), **common})
    assert begun["prompts"]["state"] == "drawing"
    drawn = sheet(client, "prompts")
    assert drawn["message"] == ""
    assert [each["prompt"] for each in drawn["pictures"]] == ["a red circle", HOSTILE]
    for each in drawn["pictures"]:
        (expected,) = sample(bundle, [ImageSpec(each["prompt"], "blue", 4, 2, 3.0, Size(64, 64))])
        assert np.array_equal(pixels(client, each["name"]), np.asarray(expected))

    assert client.get(f"{PREFIX}/loras").json() == {"loras": ["mine"], "models": ["toy.safetensors"], "latest": ""}
    suited = client.get(f"{PREFIX}/lora", params={"name": "mine"}).json()
    nothing = {"folder": None, "strip": None, "prompt": "", "words": [], "pictures": []}
    assert suited == {"prompt": HOSTILE, "model": "toy.safetensors", "path": str(path), "kept": nothing}
    body = {"lora": "mine", "strengths": "-1, 0, 1", "size": "64", "prompt": "a cross", "model": suited["model"]}
    until(lambda: not context.image_jobs.stop())
    post(client, "/drawings/strip", {**body, **common})
    strip = sheet(client, "strip")
    assert [each["label"] for each in strip["pictures"]] == ["-1", "off", "+1"]
    network = network_from_file(path, bundle)
    for strength, each in zip((-1.0, 0.0, 1.0), strip["pictures"], strict=True):
        with network.attached():
            network.strength = strength
            (expected,) = sample(bundle, [ImageSpec("a cross", "", 4, 2, 3.0, Size(64, 64))])
        assert np.array_equal(pixels(client, each["name"]), np.asarray(expected))
    # The other place still has its own.
    assert sheet(client, "prompts")["pictures"] == drawn["pictures"]


def test_mistakes_are_answered(client: TestClient) -> None:
    refused = client.post(f"{PREFIX}/drawings/strip", json={"lora": "gone"})
    assert (refused.status_code, "gone: There is no such LoRA" in refused.json()["error"]) == (400, True)
    assert client.get(f"{PREFIX}/lora", params={"name": HOSTILE}).status_code == 400
    assert client.get(f"{PREFIX}/drawings/gone.png").status_code == 404
    post(client, "/drawings/prompts/original", {"settings": {"mode": "iLECO"}})
    assert "original prompt: It is empty" in sheet(client, "prompts")["message"]
    assert post(client, "/drawings/stop", {}) == {"stopped": False}


def test_drawing_takes_the_token_and_looking_this_machine(client: TestClient) -> None:
    for path in ("/drawings/strip", "/drawings/stop", "/drawings/prompts/both"):
        assert client.post(f"{PREFIX}{path}", json={}, headers={TOKEN_HEADER: "guessed"}).status_code == 403
    for path in ("/drawings", "/loras", "/lora?name=x", "/drawings/x.png"):
        assert client.get(f"{PREFIX}{path}", headers={"Host": "elsewhere.example"}).status_code == 403


def test_openapi_describes_them(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/drawings", "/drawings/{name}", "/loras", "/lora", "/drawings/strip", "/drawings/stop"):
        (described,) = paths[f"{PREFIX}{path}"].values()
        assert described["description"]
