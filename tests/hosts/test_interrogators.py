"""The WebUI's own interrogators, through its adapter: under its lock, and never beside a run."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.hosts.doubles.a1111 import A1111Double
from tests.hosts.doubles.base import Double
from tests.hosts.doubles.forge import ForgeDouble, NeoDouble, ReForgeDouble
from tests.hosts.doubles.interrogators import TAGS, InterrogateModels, Network, interrogator_modules, resize_image
from trainer.captioning.base import GENERAL, RATING
from trainer.config.settings import Settings
from trainer.errors import MemoryShortError, Stopped, UserError
from trainer.hosts.standalone import Standalone
from trainer.hosts.webui.host import WebUI


def never() -> None:
    pass


def adapter_of(double: Double) -> WebUI:
    module, name = double.adapter.split(":")
    found: WebUI = getattr(importlib.import_module(f"trainer.hosts.webui.{module}"), name)()
    return found


@pytest.fixture(params=(A1111Double, ForgeDouble, ReForgeDouble), ids=lambda each: each.name)
def double(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    made: Double = request.param(tmp_path / "host")
    with made.around():
        for name, module in interrogator_modules(made).items():
            monkeypatch.setitem(sys.modules, name, module)
            monkeypatch.setattr(sys.modules["modules"], name.rpartition(".")[2], module, raising=False)
        shared = sys.modules["modules.shared"]
        monkeypatch.setattr(shared, "interrogator", InterrogateModels(made), raising=False)
        yield made


@pytest.fixture
def host(double: Double) -> WebUI:
    return adapter_of(double)


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 4)).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA")


def test_both_are_there(host: WebUI) -> None:
    assert tuple(host.interrogators) == ("CLIP", "DeepBooru")
    with pytest.raises(UserError, match="has no such interrogator, only CLIP, DeepBooru"):
        host.interrogator("BLIP-3")


def test_clip_is_the_hosts_answer(double: Double, host: WebUI) -> None:
    interrogator = host.interrogator("CLIP")
    assert interrogator.describe(picture(), never).text == "an image of 50 by 30, by an artist"
    sys.modules["modules.shared"].interrogator.ranks = True
    assert interrogator.describe(picture(), never).text == "an image of 50 by 30, by an artist, trending"
    sys.modules["modules.shared"].interrogator.fails = True
    with pytest.raises(UserError, match="CLIP: The WebUI's interrogator fails; its console says why"):
        interrogator.describe(picture(), never)
    assert not double.lock.is_held


def test_deepbooru_gives_all_scores(double: Double, host: WebUI) -> None:
    image = picture()
    found = host.interrogator("DeepBooru").describe(image, never).tags
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    pixels = np.asarray(resize_image(2, white.convert("RGB"), 512, 512)).astype(np.float64) / 255
    weight = Network().weight.detach().double().numpy()
    scores = 1 / (1 + np.exp(-(pixels.mean((0, 1)) @ weight)))
    assert [tag.name for tag in found] == list(TAGS)
    assert [tag.score for tag in found] == pytest.approx(scores.tolist(), abs=1e-4)
    assert [tag.category for tag in found] == [RATING, GENERAL, GENERAL, GENERAL, GENERAL]
    assert not sys.modules["modules.deepbooru"].model.is_started
    assert not double.lock.is_held


def test_what_goes_wrong_is_one_sentence(double: Double, host: WebUI) -> None:
    model = sys.modules["modules.deepbooru"].model
    model.error = OSError("no network")
    with pytest.raises(UserError, match="DeepBooru: The WebUI's interrogator fails: no network"):
        host.interrogator("DeepBooru").describe(picture(), never)
    model.error = torch.cuda.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(MemoryShortError):
        host.interrogator("DeepBooru").describe(picture(), never)
    model.error = None  # it is mended
    assert len(host.interrogator("DeepBooru").describe(picture(), never).tags) == len(TAGS)
    assert not double.lock.is_held


def test_it_waits_for_the_host_and_can_be_stopped(double: Double, host: WebUI) -> None:
    asked = threading.Event()

    def stop() -> None:
        if asked.is_set():
            raise Stopped
        asked.set()

    double.lock.acquire()
    try:
        failed: list[BaseException] = []

        def work() -> None:
            try:
                host.interrogator("CLIP").describe(picture(), stop)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(30)
        assert [type(error) for error in failed] == [Stopped]
    finally:
        double.lock.release()


def test_beside_a_run_it_is_refused_and_others_get_the_cpu(double: Double, host: WebUI) -> None:
    host.take_model(Settings(mode="iLECO", original_prompt="a"))
    try:
        with pytest.raises(UserError, match="A LoRA is being trained"):
            host.interrogator("DeepBooru").describe(picture(), never)
        with host.spare_device(never) as device:
            assert device == torch.device("cpu")
    finally:
        host.give_back()
    with host.spare_device(never) as device:
        assert device == host.device
        assert double.lock.is_held
    assert not double.lock.is_held
    assert host.interrogator("DeepBooru").describe(picture(), never).tags


def test_neo_has_none(tmp_path: Path) -> None:
    double = NeoDouble(tmp_path / "host")
    with double.around():
        assert tuple(adapter_of(double).interrogators) == ()


def test_without_a_webui_there_are_none(host: WebUI, tmp_path: Path) -> None:
    from tests.helpers.home import host_in

    alone: Standalone = host_in(tmp_path)
    assert tuple(alone.interrogators) == ()
    with pytest.raises(UserError, match="belong to a WebUI"):
        alone.interrogator("CLIP")
    with alone.spare_device(never) as device:
        assert device == alone.device
