"""Too much is told like too little, before a run where it can be; and numbers that are none by the file they are in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from trainer.cli import main
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.data.scan import MOST_SAMPLES, scan
from trainer.engine.reporting import growth_of
from trainer.engine.run import run
from trainer.errors import DataError, UserError
from trainer.hosts.standalone import Standalone
from trainer.job import Account, Control, Event, Job, Warned
from trainer.models import sample as sample_module
from trainer.networks.files.read import read_lora

TOY = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
MODULE = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"


def warnings_of(host: Standalone, **changes: Any) -> list[str]:
    settings = replace(
        Settings(), mode="iLECO", model=str(TOY), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), network_rank=2, train_iterations=8, train_batch_size=1, train_seed=1,
        save_lora_name="x", save_overwrite=True, effect_strip=False,
    )  # fmt: skip
    events: list[Event] = []
    run(Job.create(replace(settings, **changes)), host, Control(), events.append)
    odd = [str(row.text) for event in events if isinstance(event, Account) for row in event.rows if row.is_odd]
    return [*odd, *(str(event.message) for event in events if isinstance(event, Warned))]


def test_a_rate_that_ruins_the_model_is_told_before_and_after(host: Standalone) -> None:
    told = warnings_of(host, train_learning_rate=1.0)
    assert told[0].startswith("train learning rate is 1, far above what AdamW usually trains with")
    assert any(each.startswith("The loss grew from ") for each in told)
    (huge,) = (each for each in told if each.startswith("The LoRA changes the model by "))
    assert "so images will be ruined. Lower the learning rate" in huge


def test_a_run_that_is_well_is_told_nothing(host: Standalone) -> None:
    (told,) = warnings_of(host, train_learning_rate=1e-3)
    assert "copied to fp32" in told


@pytest.mark.parametrize(
    ("losses", "grew"),
    [
        (lambda at, chance: 0.1, False),
        (lambda at, chance: 0.1 * chance.lognormvariate(0, 1), False),
        (lambda at, chance: 0.1 / (1 + at), False),
        (lambda at, chance: 0.1 * (1 + 6 * at) * chance.lognormvariate(0, 0.5), True),
        (lambda at, chance: 0.1 if at < 0.9 else 50.0, True),
        (lambda at, chance: 1.17e-3 + 5e-3 * at, False),  # as where a shape is erased
        (lambda at, chance: 1e-6 if at < 0.5 else 0.1, True),
    ],
)
def test_growth_is_told_from_chance(losses: Callable[[float, random.Random], float], grew: bool) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        for count in (400, 5000):
            found = growth_of([losses(number / count, chance) for number in range(count)])
            assert (found is not None) == grew
    assert growth_of([]) is growth_of([1.0, 99.0, 99.0]) is None


def test_ranks_batches_and_repeats(host: Standalone, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    told = warnings_of(
        host, mode="LoRA", lora_data_directory=str(folder), network_rank=100, train_batch_size=2, image_num_multiply=50,
        train_iterations=1, image_min_length=64,
    )  # fmt: skip
    assert sum(each.startswith("The network rank 100 is more than ") for each in told) == 1
    assert any("train batch size is 2, more than there are samples (1): each step " in each for each in told)
    assert (
        "image num multiply is 50, which makes 50 samples; the run takes 2 of them, so some images may never be "
        "trained. Lower it, or train longer."
    ) in told
    many = Settings(lora_data_directory=str(folder), image_num_multiply=MOST_SAMPLES + 1)
    with pytest.raises(DataError, match="are more than 5,000,000 samples. Choose fewer repeats"):
        scan(many)


# ---- numbers that are none ------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with a LoRA and two VAEs that hold NaN."""
    tensors = load_file(TOY)
    with safe_open(str(TOY), "pt") as opened:
        config = {"trainyard_config": opened.metadata()["trainyard_config"]}
    up = torch.randn(64, 4)
    up[0, 0] = float("nan")
    lora = {"lora_down.weight": torch.randn(4, 64), "lora_up.weight": up, "alpha": torch.tensor(4.0)}
    save_file({f"{MODULE}.{name}": tensor for name, tensor in lora.items()}, tmp_path / "nan_lora.safetensors")
    prefix = "first_stage_model."
    for side in ("encoder", "decoder"):
        vae = {name.removeprefix(prefix): value.clone() for name, value in tensors.items() if name.startswith(prefix)}
        vae[f"{side}.conv_in.weight"][0] = float("nan")
        save_file(vae, tmp_path / f"nan_{side}.safetensors", config)
    return tmp_path


def test_a_lora_is_named(broken: Path, host: Standalone, capsys: pytest.CaptureFixture[str]) -> None:
    path = broken / "nan_lora.safetensors"
    said = f"has NaN or infinite numbers in {MODULE}.lora_up.weight"
    with pytest.raises(UserError, match=said):
        read_lora(path)
    (broken / "pictures").mkdir()
    Image.new("RGB", (64, 64), "red").save(broken / "pictures" / "a.png")
    folder = {"mode": "LoRA", "lora_data_directory": str(broken / "pictures"), "image_min_length": 64}
    for changes in ({**folder, "network_resume": str(path)}, {"base_loras": f"{path}:1"}):
        with pytest.raises(UserError, match=said):
            warnings_of(host, **changes)
    assert main(["info", str(path)]) == 0
    assert said in capsys.readouterr().out
    assert main([*SAMPLE, "--lora", str(path), "--out", str(broken / "a.png")]) == 2
    assert said in capsys.readouterr().err
    assert not (broken / "a.png").exists()


SAMPLE = ["sample", "--model", str(TOY), "--prompt", "red", "--size", "64x64", "--steps", "2"]


@pytest.mark.more
def test_a_vae_is_named_before_anything_is_computed(
    broken: Path, host: Standalone, capsys: pytest.CaptureFixture[str]
) -> None:
    decoder, encoder = (str(broken / f"nan_{part}.safetensors") for part in ("decoder", "encoder"))
    said = "nan_decoder.safetensors has NaN or infinite numbers in decoder."
    assert main([*SAMPLE, "--vae", decoder, "--out", str(broken / "a.png")]) == 2
    assert said in capsys.readouterr().err
    assert not (broken / "a.png").exists()
    with pytest.raises(UserError, match=said):
        warnings_of(host, vae=decoder, effect_strip=True)
    with pytest.raises(UserError, match=r"nan_encoder.safetensors has NaN or infinite numbers in encoder\."):
        warnings_of(host, vae=encoder)


@pytest.mark.more
def test_black_images_are_told(
    host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample_module, "decode", lambda bundle, latents: torch.full((len(latents), 3, 64, 64), -1.0))
    assert main([*SAMPLE, "--out", str(tmp_path / "a.png")]) == 0
    assert "The image is black" in capsys.readouterr().err
    told = warnings_of(host, effect_strip=True, sample_every_steps=4, sample_prompt="red", sample_strengths=(1.0,))
    assert "The image after step 4 is black." in told
    assert any(each.startswith("The images with and without the LoRA are black: see ") for each in told)


def test_an_image_of_no_numbers_is_never_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sample_module, "decode", lambda bundle, latents: latents.new_full((1, 3, 64, 64), torch.nan))
    assert main([*SAMPLE, "--out", str(tmp_path / "a.png")]) == 2
    assert "The image made with toy-sd1.safetensors is not a number (NaN) anywhere" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def test_a_trial_tells_of_rates_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "original_prompt=red", "--set", "target_prompt=blue", "--set", "train_learning_rate=1"]
    assert main(["train", "iLECO", "--dry-run", "--model", str(TOY), *words, "--data-dir", str(tmp_path)]) == 0
    assert "train learning rate is 1, far above what AdamW usually trains with" in capsys.readouterr().err
