"""What is found on this machine, what is asked for, and where it computes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.hostile import json_values
from tests.helpers.onnx_file import make_tagger
from trainer.captioning.base import Captioner, Check, Description
from trainer.captioning.chat_captioner import ChatCaptioner
from trainer.captioning.find import find_model, find_models, hub_cache
from trainer.captioning.opening import open_captioner, sources
from trainer.captioning.placed import Placed
from trainer.captioning.request import CaptionRequest, request_from
from trainer.captioning.tag_choice import TagChoice
from trainer.errors import MemoryShortError, SettingsError, UserError
from trainer.paths import Folders

TAGS = [("1girl", 0), ("hat", 0)]
IMAGE = Image.new("RGBA", (9, 9), "red")


class Place:
    """A host with one interrogator and a device of one's choice."""

    interrogators: Sequence[str] = ()

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)

    def interrogator(self, name: str) -> Captioner:
        return Told(name)

    @contextmanager
    def spare_device(self, check: Check) -> Iterator[torch.device]:
        check()
        yield self.device


class Told:
    def __init__(self, text: str) -> None:
        self.text = text
        self.is_closed = False

    def describe(self, image: Image.Image, check: Check) -> Description:
        return Description(text=self.text)

    def close(self) -> None:
        self.is_closed = True


def never() -> None:
    pass


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return Folders(tmp_path / "data", tmp_path / "loras", tmp_path / "models")


def captioner_in(folder: Path, *, weights: bool = True, **config: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    if weights:
        (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_models_are_found_where_they_lie(folders: Folders) -> None:
    hub = hub_cache() / "models--SmilingWolf--wd-vit"
    make_tagger(folders.data / "taggers" / "own", TAGS)
    make_tagger(folders.models / "TaggerOnnx" / "theirs", TAGS)
    make_tagger(folders.models / "taggers" / "own", TAGS)
    make_tagger(hub / "snapshots" / "abc", TAGS)
    captioner_in(folders.models / "captioners" / "blip", model_type="blip")
    captioner_in(hub_cache() / "models--some--chat" / "snapshots" / "x", model_type="llama")
    captioner_in(hub_cache() / "models--ms--Florence-2" / "snapshots" / "x", model_type="florence2", auto_map={})
    captioner_in(folders.data / "taggers" / "pickled", weights=False, model_type="blip")
    (folders.data / "taggers" / "timm").mkdir()
    (folders.data / "taggers" / "timm" / "selected_tags.csv").write_text("name,category\na,0\n", "utf-8")
    (folders.data / "taggers" / "empty").mkdir()
    found = find_models(folders)
    assert [(each.name, each.makes, each.problem is None) for each in found] == [
        ("own", "tags", True),
        ("theirs", "tags", True),
        ("timm", "tags", False),
        ("wd-vit", "tags", True),
        ("blip", "text", True),
        ("Florence-2", "text", False),
        ("pickled", "text", False),
    ]
    assert found[0].folder == folders.data / "taggers" / "own"
    assert find_model("wd-vit", folders).folder == hub / "snapshots" / "abc"
    assert find_model(str(hub), folders).folder == hub / "snapshots" / "abc"
    with pytest.raises(UserError, match="code of its own"):
        find_model("Florence-2", folders)
    with pytest.raises(UserError, match="Taggers are read in that form alone"):
        find_model("timm", folders)
    with pytest.raises(UserError, match=r"choose one of those that are there: own, theirs, wd-vit, blip\."):
        find_model("other", folders)
    with pytest.raises(UserError, match="holds no tagger"):
        find_model(str(folders.data / "taggers" / "empty"), folders)


def test_one_alone_needs_no_name(folders: Folders) -> None:
    with pytest.raises(UserError, match=r"Put the folder of one into .*data.taggers"):
        open_captioner(CaptionRequest(), folders, Place())
    with pytest.raises(UserError, match="no tagger or captioner of this name. Put its folder into"):
        open_captioner(CaptionRequest("other"), folders, Place())
    make_tagger(folders.data / "taggers" / "own", TAGS)
    found = open_captioner(CaptionRequest(), folders, Place()).describe(IMAGE, never)
    assert [tag.name for tag in found.tags] == ["1girl", "hat"]
    make_tagger(folders.data / "taggers" / "another", TAGS)
    with pytest.raises(UserError, match=r"Choose one of: another, own\."):
        open_captioner(CaptionRequest(), folders, Place())


def test_interrogators_and_addresses(folders: Folders) -> None:
    place = Place()
    place.interrogators = ("CLIP", "DeepBooru")
    assert [(each.name, each.makes, str(each.label)) for each in sources(folders, place)] == [
        ("CLIP", "text", "CLIP, of this WebUI"),
        ("DeepBooru", "tags", "DeepBooru, of this WebUI"),
    ]
    assert not any(each.takes_prompt for each in sources(folders, place)), "their prompts are the WebUI's"
    captioner_in(folders.models / "captioners" / "blip", model_type="blip")
    assert [each.name for each in sources(folders, place) if each.takes_prompt] == ["blip"]
    assert open_captioner(CaptionRequest("CLIP"), folders, place).describe(IMAGE, never).text == "CLIP"
    assert isinstance(open_captioner(CaptionRequest("http://127.0.0.1:1/v1"), folders, place), ChatCaptioner)
    with pytest.raises(UserError, match="outside your network"):
        open_captioner(CaptionRequest("http://8.8.8.8"), folders, place)
    open_captioner(CaptionRequest("http://8.8.8.8"), folders, place, anywhere=True)


def test_it_moves_to_where_it_may_compute() -> None:
    place, made = Place("cuda"), []

    def load(device: torch.device) -> Told:
        made.append(Told(device.type))
        return made[-1]

    placed = Placed(load, place.spare_device)
    assert [placed.describe(IMAGE, never).text for _ in range(2)] == ["cuda", "cuda"]
    assert len(made) == 1
    place.device = torch.device("cpu")
    assert placed.describe(IMAGE, never).text == "cpu"
    assert [each.is_closed for each in made] == [True, False]
    assert placed.at == torch.device("cpu")
    placed.close()
    assert made[1].is_closed


def test_where_memory_is_short_it_goes_on_on_the_cpu() -> None:
    def load(device: torch.device) -> Told:
        if device.type == "cuda":
            raise MemoryShortError("captioning.memory")
        return Told(device.type)

    placed = Placed(load, Place("cuda").spare_device)
    assert [placed.describe(IMAGE, never).text for _ in range(2)] == ["cpu", "cpu"]

    def never_enough(device: torch.device) -> Told:
        raise MemoryShortError("captioning.memory")

    with pytest.raises(MemoryShortError):
        Placed(never_enough, Place("cuda").spare_device).describe(IMAGE, never)


def test_what_is_typed_becomes_a_request() -> None:
    asked = request_from(
        {"captioner": ' "C:/my taggers/wd" ', "mode": "append", "threshold": "０．４", "character_threshold": "0,9",
         "unwanted": "Hat,\n1girl", "escape": True, "most_tokens": "", "trigger": None}
    )  # fmt: skip
    assert asked.captioner == "C:/my taggers/wd"
    assert asked.plan.choice == TagChoice(0.4, 0.9, frozenset({"hat", "1girl"}), escape=True)
    assert request_from({}) == CaptionRequest()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"threshold": 2}, "threshold: It must be a number from 0 to 1, not 2"),
        ({"threshold": "nan"}, "threshold: It must be a number from 0 to 1"),
        ({"threshold": "much"}, "threshold: It must be a number, not"),
        ({"mode": "often"}, "captions that are there: It must be one of missing, append, prepend, replace"),
        ({"rating": "yes"}, "rating: It must be true or false"),
        ({"most_tokens": 1.5}, "longest caption: It must be a whole number from 0 to 1000"),
        ({"most_tokens": "inf"}, "longest caption: It must be a whole number from 0 to 1000"),
        ({"trigger": "a\0b"}, "trigger word: It has characters that are no text"),
        ({"unwanted": "x" * 20_001}, "unwanted tags: It may have 20000 characters at most"),
        ({"anywhere": True}, "It is not known here"),
    ],
)
def test_wrong_values_are_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as error:
        request_from(given)
    assert told in str(error.value)


@given(st.dictionaries(st.sampled_from([each.name for each in fields(CaptionRequest)]), json_values))
def test_nothing_typed_breaks_it(given: dict[str, Any]) -> None:
    with suppress(SettingsError):
        assert 0 <= request_from(given).plan.choice.threshold <= 1
