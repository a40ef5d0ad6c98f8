"""Pictures through a host: the sampler's own, one for each strength, and never at the cost of a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.some_networks import some_network, some_settings
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.image_request import ImageRequest
from trainer.errors import ModelError, NetworkError, Stopped, UserError
from trainer.hosts import standalone
from trainer.hosts.standalone import Standalone
from trainer.jobs.store import Store
from trainer.jobs.worker import Worker
from trainer.models import placement
from trainer.models.base import Bundle
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.sample import sample
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file
from trainer.paths import Folders

TOY = Path(__file__).parents[1] / "toy" / "toy-sd1.safetensors"
PLAIN = ImageRequest("a red circle", "blue", seed=5, steps=3, cfg=4.0, size=Size(72, 64), model=str(TOY))
CHOSEN = Settings(model=str(TOY))
WAIT = 60.0


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    made = load_bundle(TOY)
    place_for_images(made, torch.device("cpu"))
    return made


@pytest.fixture(scope="module")
def lora(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loras") / "some.safetensors"
    return file.save(path, some_network(bundle, some_settings()).tensors(), {})


def ignore(_done: int, _total: int) -> None:
    pass


def same(one: Image.Image, other: Image.Image) -> bool:
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))


def test_a_picture_is_the_samplers(host: Standalone, bundle: Bundle) -> None:
    told: list[tuple[int, int]] = []
    (ours,) = host.draw(PLAIN, lambda done, total: told.append((done, total)))
    assert ours.size == (72, 64)
    assert same(ours, sample(bundle, [PLAIN])[0])
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert not same(ours, host.draw(replace(PLAIN, seed=6), ignore)[0])


def test_one_picture_for_each_strength(host: Standalone, bundle: Bundle, lora: Path) -> None:
    strengths = (1.0, -0.5, 0.0)
    told: list[tuple[int, int]] = []
    images = host.draw(replace(PLAIN, lora=lora, strengths=strengths), lambda done, total: told.append((done, total)))
    network = network_from_file(lora, bundle)
    for strength, image in zip(strengths, images, strict=True):
        with network.attached():
            network.strength = strength
            assert same(image, sample(bundle, [PLAIN])[0])
    assert not same(images[0], images[2])
    assert told == [(number, 12) for number in range(12)]
    # Nothing of the LoRA stays behind.
    assert same(images[2], host.draw(PLAIN, ignore)[0])


def test_the_model_is_read_once_and_again_when_another_is_meant(
    host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    monkeypatch.setattr(
        standalone, "load_bundle", lambda *given, **named: read.append(given) or load_bundle(*given, **named)
    )
    first = host.draw(PLAIN, ignore)[0]
    assert same(first, host.draw(PLAIN, ignore)[0])
    assert len(read) == 1
    # As a velocity the same prediction means another image.
    assert not same(first, host.draw(replace(PLAIN, prediction="velocity"), ignore)[0])
    assert same(first, host.draw(PLAIN, ignore)[0])
    assert len(read) == 3


def test_what_cannot_be_drawn_is_said(host: Standalone, lora: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model is chosen"):
        host.draw(replace(PLAIN, model=""), ignore)
    with pytest.raises(ModelError, match="There is no file nowhere"):
        host.draw(replace(PLAIN, model="nowhere"), ignore)
    with pytest.raises(NetworkError):
        host.draw(replace(PLAIN, lora=tmp_path / "gone.safetensors"), ignore)
    assert len(host.draw(replace(PLAIN, lora=lora), ignore)) == 1


def test_stopped_on_the_way(host: Standalone, bundle: Bundle, lora: Path) -> None:
    def advance(done: int, _total: int) -> None:
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        host.draw(replace(PLAIN, lora=lora, strengths=(1.0, 2.0)), advance)
    assert same(host.draw(PLAIN, ignore)[0], sample(bundle, [PLAIN])[0])


def test_none_while_a_run_has_the_device(host: Standalone) -> None:
    training = host.take_model(CHOSEN)
    with pytest.raises(UserError, match="Pause the training"):
        host.draw(PLAIN, ignore)
    come_back = host.make_room(training, [])
    host.draw(PLAIN, ignore)
    come_back()
    with pytest.raises(UserError, match="Pause the training"):
        host.draw(PLAIN, ignore)
    host.give_back()
    host.draw(PLAIN, ignore)


def test_memory_that_does_not_come_back_leaves_pictures_possible(
    host: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost:
        def __init__(self, _tensors: object) -> None:
            pass

        def come_back(self) -> None:
            raise RuntimeError("no room")

    monkeypatch.setattr(placement, "Away", Lost)
    come_back = host.make_room(host.take_model(CHOSEN), [])
    with pytest.raises(RuntimeError):
        come_back()
    host.draw(PLAIN, ignore)


@pytest.mark.parametrize("begin", ["take_model", "come_back"])
def test_a_run_that_begins_ends_the_picture_and_has_its_memory(host: Standalone, begin: str) -> None:
    starts: Callable[[], object] = lambda: host.take_model(CHOSEN)  # noqa: E731 - one of two
    if begin == "come_back":
        starts = host.make_room(host.take_model(CHOSEN), [])
    begun, found, left = threading.Event(), [], []

    def advance(_done: int, _total: int) -> None:
        if not begun.is_set():
            begun.set()
            # The run waits for this thread, so it cannot be waited for here.
            assert host._has_run.wait(WAIT)
            time.sleep(0.3)
            left.append(None)

    def draw() -> None:
        try:
            host.draw(PLAIN, advance)
        except UserError as error:
            found.append(str(error))

    thread = threading.Thread(target=draw)
    thread.start()
    assert begun.wait(WAIT)
    starts()
    assert left, "the run has the device while the image is still being made"
    thread.join(WAIT)
    assert len(found) == 1
    assert "while a LoRA is being trained" in found[0]
    assert host._kept is None


def test_everybody_gets_the_same_host(folders: Folders) -> None:
    made: list[object] = []

    def make() -> Standalone:
        made.append(None)
        return Standalone(torch.device("cpu"), folders)

    worker = Worker(Store(folders), make)
    assert not made
    together = threading.Barrier(4)
    got: list[object] = []

    def ask() -> None:
        together.wait(WAIT)
        got.append(worker.host())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(made) == 1
    assert len(got) == 4
    assert len(set(map(id, got))) == 1


def test_a_lora_for_another_family_is_refused_before_the_model_is_loaded(
    host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_given: object, **_more: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(standalone, "load_bundle", loads)
    module = "diffusion_model.layers.0.attention.to_q"
    tensors = {f"{module}.lora_A.weight": torch.ones(4, 3840), f"{module}.lora_B.weight": torch.ones(3840, 4)}
    path = file.save(tmp_path / "turbo.safetensors", tensors, {})
    with pytest.raises(NetworkError) as caught:
        host.draw(replace(PLAIN, lora=path), ignore)
    assert str(caught.value) == (
        "turbo.safetensors: It was trained for Z-Image, but the model is SD1. Choose a LoRA for SD1, or another model."
    )
