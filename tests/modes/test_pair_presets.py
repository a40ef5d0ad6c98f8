"""The shipped presets run as they are in the modes they belong to, on every family; and the runs of pairs as wholes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.helpers.home import host_in
from trainer.cli import main
from trainer.config import presets
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import run
from trainer.errors import UserError
from trainer.job import Control, Event, Job, Phase, Saved, Warned

ROOT = Path(__file__).resolve().parent.parent.parent
FAMILIES = ("SD1", "SD2", "SDXL")
SLOWER = ["SD1", *(pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES[1:])]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pairs, the second of another shape, and a picture that has no partner."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, size in enumerate([(64, 64), (128, 64)]):
        for suffix in ("", "_after"):
            pixels = np.random.default_rng(number + len(suffix)).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}{suffix}.png")
    Image.new("RGB", (64, 64), "red").save(folder / "lone.png")
    (folder / "0.txt").write_text("a cat, red")
    return folder


def collect(settings: Settings, tmp_path: Path) -> list[Event]:
    events: list[Event] = []
    run(Job.create(settings), host_in(tmp_path), Control(), events.append)
    return events


def of_preset(name: str, model: Path, pictures: Path, **changes: object) -> Settings:
    settings = presets.load(name, [ROOT / "presets"]).settings
    given = replace(
        settings, model=str(model), train_iterations=3, train_seed=1, effect_strip=False, image_size=Size(64, 64),
        image_min_length=64, image_buckets_step=64, save_lora_name="made", original_prompt="red",
        target_prompt="blue", lora_data_directory=str(pictures), original_image=str(pictures / "0.png"),
        target_image=str(pictures / "0_after.png"), diff_target_name="_after",
    )  # fmt: skip
    second = given.second_pass
    return replace(given, second_pass=second and replace(second, train_iterations=3), **changes)


@pytest.mark.parametrize("family", SLOWER)
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "presets").glob("*.json")))
def test_every_preset_runs(name: str, family: str, models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    settings = of_preset(name, models[family], pictures)
    (saved,) = [event for event in collect(settings, tmp_path) if isinstance(event, Saved)]
    with safe_open(str(saved.path), "pt") as file:
        ups = [file.get_tensor(key) for key in file.keys() if "lora_up" in key]  # noqa: SIM118 - not a dict
    assert ups
    assert all(up.isfinite().all() for up in ups)
    assert any(up.abs().max() > 0 for up in ups)


@pytest.mark.parametrize("family", SLOWER)
def test_pairs_of_a_folder_run_with_everything_on(
    family: str, models: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    settings = of_preset(
        "ADDifT_Action_SD1.5", models[family], pictures, mode="Multi-ADDifT", diff_use_diff_mask=True,
        diff_keep_outside=0.5, diff_both_turns=True, diff_noise_count=2, image_mirroring=True,
        use_gradient_checkpointing=True, image_size=Size(64, 128), lora_trigger_word="sks",
    )  # fmt: skip
    events = collect(settings, tmp_path)
    (saved,) = [event for event in events if isinstance(event, Saved)]
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert 'lone.png has no target: there is no image "lone_after" beside it: left out' in told
    with safe_open(str(saved.path), "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["ss_dataset_dirs"]) == {"pictures": {"n_repeats": 1, "img_count": 4}}
    assert json.loads(metadata["ss_tag_frequency"]) == {"pictures": {"sks": 4, "a cat": 2, "red": 2}}
    buckets = json.loads(metadata["ss_bucket_info"])["buckets"]
    assert sorted((tuple(one["resolution"]), one["count"]) for one in buckets.values()) == [
        ((64, 64), 2),
        ((128, 64), 2),
    ]
    assert metadata["ss_num_train_images"] == "4"
    assert metadata["modelspec.trigger_phrase"] == "sks"
    assert "below 0 the opposite" in metadata["modelspec.usage_hint"]


def test_a_pair_says_its_size_and_its_file_has_it(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    settings = of_preset(
        "ADDifT_Action_SD1.5", models["SD1"], pictures, original_image=str(pictures / "1.png"),
        target_image=str(pictures / "1_after.png"), image_size=None,
    )  # fmt: skip
    for size in ("1.png", "1_after.png"):
        Image.open(pictures / size).resize((150, 75)).save(pictures / size)
    events = collect(settings, tmp_path)
    told = [str(event.message) for event in events if isinstance(event, Warned)]
    assert "1.png (150 x 75) and 1_after.png (150 x 75): trained at 128 x 64." in told
    (saved,) = [event for event in events if isinstance(event, Saved)]
    with safe_open(str(saved.path), "pt") as file:
        assert file.metadata()["modelspec.resolution"] == "128x64"


def test_the_same_job_gives_the_same_bytes(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    job = Job.create(of_preset("ADDifT_Action_SD1.5", models["SD1"], pictures, save_overwrite=True))
    files = []
    for _ in range(2):
        done = run(job, host_in(tmp_path), Control(), lambda event: None)
        assert done.path is not None
        files.append(done.path.read_bytes())
    assert files[0] == files[1]


def test_network_strength_multiplies_the_saved_update(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    updates = []
    for strength in (1.0, -5.0):
        settings = of_preset(
            "ADDifT_Style_SD1.5", models["SD1"], pictures, network_strength=strength, save_precision="fp32",
            save_overwrite=True,
        )  # fmt: skip
        (saved,) = [event for event in collect(settings, tmp_path) if isinstance(event, Saved)]
        with safe_open(str(saved.path), "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        updates.append([
            tensors[key].flatten(1) @ tensors[key.replace("lora_up", "lora_down")].flatten(1)
            for key in sorted(tensors) if "lora_up" in key
        ])  # fmt: skip
    assert len(updates[0]) > 100
    for one, five in zip(*updates, strict=True):
        torch.testing.assert_close(five, -5 * one, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"target_image": "gone.png"}, 'target image: "gone.png" is not there. Check how it is written.'),
        ({"original_image": ""}, "original image: It is empty. Choose the image as it is before the change."),
        (
            {"mode": "Multi-ADDifT", "diff_target_name": ""},
            "diff target name: It is empty, so each image would be paired",
        ),
        ({"mode": "Multi-ADDifT", "diff_target_name": "_no"}, "Write what the targets' file names end in"),
    ],
)
def test_bad_pairs_are_refused_before_the_model_is_loaded(
    changes: dict[str, str], sentence: str, models: dict[str, Path], pictures: Path, tmp_path: Path
) -> None:
    events: list[Event] = []
    settings = of_preset("ADDifT_Action_SD1.5", models["SD1"], pictures, **changes)
    with pytest.raises(UserError) as caught:
        run(Job.create(settings), host_in(tmp_path), Control(), events.append)
    assert sentence in str(caught.value)
    assert "loading the model" not in [str(event.message) for event in events if isinstance(event, Phase)]


def test_the_two_images_come_from_flags(models: dict[str, Path], pictures: Path, tmp_path: Path) -> None:
    assert main([
        "train", "ADDifT_Action_SD1.5", "--model", str(models["SD1"]), "--original-image", str(pictures / "0.png"),
        "--target-image", str(pictures / "0_after.png"), "--train-iterations", "2", "--effect-strip", "false",
        "--data-dir", str(tmp_path / "data"), "--device", "cpu",
    ]) == 0  # fmt: skip
    assert (tmp_path / "data" / "loras" / "ADDifT_Action_SD1.5.safetensors").exists()
    (written,) = (tmp_path / "data" / "jsons").rglob("*.json")
    assert json.loads(written.read_text())["original image"] == str(pictures / "0.png")
