"""The captions of a set: described, joined, written, stopped in the middle, and taken back together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.onnx_file import make_tagger
from trainer.captioning import work
from trainer.captioning.base import Check, Description, Tag
from trainer.captioning.merging import APPEND, REPLACE
from trainer.captioning.tag_choice import TagChoice
from trainer.captioning.wd_tagger import WdTagger
from trainer.captioning.work import Outcome, Plan, caption_set
from trainer.errors import ModelError, Stopped
from trainer.sets.image_set import ImageSet
from trainer.text.messages import message

WHAT = message("captioning.did", name="tagger")


class Colours:
    """Names the colour of an image, and calls what it is told to before each."""

    def __init__(self, before: Callable[[int], None] = lambda _count: None) -> None:
        self.count = 0
        self._before = before

    def describe(self, image: Image.Image, check: Check) -> Description:
        check()
        self._before(self.count)
        self.count += 1
        red, _, blue, alpha = np.asarray(image).reshape(-1, 4).mean(0)
        assert alpha == 255
        return Description(tags=(Tag("red_thing", red / 255), Tag("blue_thing", blue / 255)))

    def close(self) -> None:
        pass


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    folder = tmp_path / "set"
    folder.mkdir()
    for number, colour in enumerate(("red", "blue", "red", "blue")):
        Image.new("RGB", (20, 10), colour).save(folder / f"{number}.png")
    (folder / "1.txt").write_text("my words", "utf-8")
    return ImageSet(folder, tmp_path / "journals")


def captions(images: ImageSet) -> list[str]:
    return [each.caption for each in images.items()]


def described(images: ImageSet, plan: Plan, captioner: Colours | None = None, check: Check = lambda: None) -> Outcome:
    return caption_set(
        images, captioner or Colours(), plan, WHAT, outcome=Outcome(), check=check, progress=lambda *_: None
    )


def test_only_where_there_is_none(images: ImageSet) -> None:
    captioner = Colours()
    outcome = described(images, Plan(trigger="zorp"), captioner)
    assert captions(images) == ["zorp, red thing", "my words", "zorp, red thing", "zorp, blue thing"]
    assert (outcome.written, outcome.kept, outcome.nothing, outcome.problems) == (3, 1, 0, [])
    assert captioner.count == 3, "an image was looked at in vain"


def test_append_and_take_back(images: ImageSet) -> None:
    described(images, Plan(APPEND))
    assert captions(images) == ["red thing", "my words, blue thing", "red thing", "blue thing"]
    assert str(images.undo().what) == "captions by tagger"
    assert captions(images) == ["", "my words", "", ""]
    images.again()
    assert captions(images) == ["red thing", "my words, blue thing", "red thing", "blue thing"]


def test_what_is_written_in_parts_is_taken_back_together(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    described(images, Plan(REPLACE, "before"))
    monkeypatch.setattr(work, "_WRITTEN_EVERY", 0.0)
    seen: list[str] = []
    described(images, Plan(REPLACE), Colours(lambda count: seen.append(captions(images)[max(count - 1, 0)])))
    assert seen == ["before, red thing", "red thing", "blue thing", "red thing"], "it is not written as it goes"
    images.undo()
    assert captions(images) == ["before, red thing", "before, blue thing", "before, red thing", "before, blue thing"]
    images.undo()
    assert captions(images) == ["", "my words", "", ""]


def test_stop_keeps_what_was_found(images: ImageSet) -> None:
    outcome = Outcome()
    captioner = Colours()

    def check() -> None:
        if captioner.count == 2:
            raise Stopped

    with pytest.raises(Stopped):
        caption_set(images, captioner, Plan(REPLACE), WHAT, outcome=outcome, check=check, progress=lambda *_: None)
    assert captions(images) == ["red thing", "blue thing", "", ""]
    assert outcome.written == 2


def test_an_error_keeps_what_was_found(images: ImageSet) -> None:
    def fail(count: int) -> None:
        if count == 3:
            raise ModelError("captioning.failed", where="it", reason="why")

    with pytest.raises(ModelError):
        described(images, Plan(REPLACE), Colours(fail))
    assert captions(images) == ["red thing", "blue thing", "red thing", ""]


def test_somebody_elses_change_stays(images: ImageSet) -> None:
    def meanwhile(count: int) -> None:
        if count == 3:
            (images.folder / "0.txt").write_text("theirs", "utf-8")
            (images.folder / "2.png").unlink()

    outcome = described(images, Plan(REPLACE), Colours(meanwhile))
    assert captions(images) == ["theirs", "blue thing", "blue thing"]
    assert outcome.written == 2
    assert [str(problem) for problem in outcome.problems] == [
        "0.png was changed or moved meanwhile: left as it is",
        "2.png was changed or moved meanwhile: left as it is",
    ]


def test_what_cannot_be_read_is_told_and_left(images: ImageSet) -> None:
    (images.folder / "0.png").write_bytes(b"no image")
    (images.folder / "3.txt").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    outcome = described(images, Plan(REPLACE))
    assert [problem.name for problem in outcome.problems] == ["0.png", "3.png"]
    assert (images.folder / "3.txt").read_bytes() == b"\x89PNG\r\n\x1a\n\0\0"
    assert outcome.written == 2


def test_nothing_found_is_counted(images: ImageSet) -> None:
    outcome = described(images, Plan(choice=TagChoice(threshold=1.0, unwanted=frozenset({"red thing"}))))
    assert (outcome.written, outcome.nothing, outcome.kept) == (1, 2, 3)
    assert captions(images) == ["", "my words", "", "blue thing"]


def test_progress_counts_every_image(images: ImageSet) -> None:
    told: list[tuple[int, int]] = []
    caption_set(
        images, Colours(), Plan(), WHAT, outcome=Outcome(), check=lambda: None,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_with_a_real_tagger(images: ImageSet, tmp_path: Path) -> None:
    """One whose matrix knows red from blue: 8 by 8 pixels, blue first."""
    weights, bias = make_tagger(tmp_path / "tagger", [("red_thing", 0), ("blue_thing", 0)])
    weights[:], bias[:] = 0, -5
    weights[0::3, 1] = weights[2::3, 0] = 1 / 64 / 255 * 20
    weights[0::3, 0] = weights[2::3, 1] = -1 / 64 / 255 * 20
    from tests.helpers.onnx_file import tagger_bytes

    (tmp_path / "tagger" / "model.onnx").write_bytes(tagger_bytes(weights, bias, ["batch", 8, 8, 3]))
    tagger = WdTagger(tmp_path / "tagger", torch.device("cpu"))
    caption_set(images, tagger, Plan(), WHAT, outcome=Outcome(), check=lambda: None, progress=lambda *_: None)
    assert captions(images) == ["red thing", "my words", "red thing", "blue thing"]
