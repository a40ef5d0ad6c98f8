"""Captioners that transformers loads from a folder: small ones of every kind, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.helpers.captioner_folders import SIDE, WORDS, make_captioner
from trainer.captioning.local_captioner import KINDS, LocalCaptioner
from trainer.errors import ModelError, Stopped, UserError

pytestmark = pytest.mark.more  # transformers takes seconds to load so many kinds
CPU = torch.device("cpu")
MEAN, SPREAD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def never() -> None:
    pass


def picture(seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4)).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("captioners")
    for kind in KINDS:
        make_captioner(place / kind, kind)
    return {kind: place / kind for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_describes_images(folders: dict[str, Path], kind: str) -> None:
    captioner = LocalCaptioner(folders[kind], CPU, most_tokens=8)
    found = [captioner.describe(picture(seed), never).text for seed in range(4)]
    assert len(set(found)) > 1, "it does not look at the images"
    assert all(1 <= len(text.split()) <= 8 for text in found)
    assert all(word in WORDS or kind == "florence2" for text in found for word in text.split())
    captioner.close()


def test_a_caption_is_the_models(folders: dict[str, Path], tmp_path: Path) -> None:
    """Word by word, each the likeliest, with pixels of our own making."""
    model = make_captioner(tmp_path / "blip", "blip", seed=3)
    image = picture(5)
    pixels = np.asarray(image).astype(np.float64)
    over_white = pixels[..., :3] * pixels[..., 3:] / 255 + 255 - pixels[..., 3:]
    shown = torch.from_numpy((np.round(over_white) / 255 - MEAN) / SPREAD).permute(2, 0, 1)[None].float()
    words = [1]
    with torch.no_grad():
        for _ in range(6):
            scores = model(pixel_values=shown, input_ids=torch.tensor([words])).logits[0, -1]
            words.append(int(scores.argmax()))
            if words[-1] == 2:
                break
    expected = " ".join(WORDS[word] for word in words if word > 4)
    found = LocalCaptioner(tmp_path / "blip", CPU, most_tokens=6).describe(image, never).text
    assert found == expected
    assert found


def test_a_caption_continues_the_prompt(folders: dict[str, Path]) -> None:
    found = LocalCaptioner(folders["blip"], CPU, prompt="w3 w4", most_tokens=5).describe(picture(1), never).text
    assert found.startswith("w3 w4 ")


def test_florence_is_asked_for_more_or_less(folders: dict[str, Path]) -> None:
    texts = {
        detail: LocalCaptioner(folders["florence2"], CPU, detail=detail, most_tokens=20)
        .describe(picture(1), never)
        .text
        for detail in ("short", "long", "longest")
    }
    assert len(set(texts.values())) > 1


def test_one_that_takes_no_prompt_says_so(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"git: This captioner takes no prompt"):
        LocalCaptioner(folders["git"], CPU, prompt="w1")


def test_stop_ends_a_caption_in_the_middle(folders: dict[str, Path]) -> None:
    asked = 0

    def stop_soon() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Stopped

    with pytest.raises(Stopped):
        LocalCaptioner(folders["blip-2"], CPU).describe(picture(0), stop_soon)


def copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_weights_that_are_not_there_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(folders["blip"], tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    gone = "text_decoder.bert.encoder.layer.0.output.dense.weight"
    save_file({name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"lack 1 weight, first {gone}"):
        LocalCaptioner(folder, CPU)


def test_pickles_are_not_read(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(folders["blip"], tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights as safetensors"):
        LocalCaptioner(folder, CPU)


def test_code_in_a_folder_is_not_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(folders["florence2"], tmp_path / "own_code")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Own"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "modeling.py").write_text("raise SystemExit('it was run')", "utf-8")
    with pytest.raises(ModelError, match=r"code of its own, which Trainyard does not run"):
        LocalCaptioner(folder, CPU)


@pytest.mark.parametrize("broken", ["config.json", "processor_config.json", "tokenizer.json"])
def test_a_broken_folder_is_one_sentence(folders: dict[str, Path], tmp_path: Path, broken: str) -> None:
    folder = copied(folders["blip"], tmp_path / "broken")
    (folder / broken).write_text('{"model_type": 3', "utf-8")
    with pytest.raises(UserError) as told:
        LocalCaptioner(folder, CPU)
    assert "\n" not in str(told.value)


def test_a_model_of_another_kind_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    with pytest.raises(ModelError, match="none of the captioners that are known here: blip, blip-2"):
        LocalCaptioner(tmp_path, CPU)
