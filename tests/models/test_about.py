"""What is said of a model: what it predicts and why, what its name says, how it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import GROUPS, SD2, sd2_tensors, sdxl_tensors, small_checkpoint, write_safetensors
from trainer.config.schema import parse, to_json
from trainer.models.about import About, about_model
from trainer.models.checkpoint.identify import identify
from trainer.models.registry import family_of, load_bundle

NOISE = "It predicts the noise (eps): "
VELOCITY = "It predicts the velocity (v-prediction): "
ZERO_SNR = "Its noise leaves no signal at the last timestep (zero terminal SNR), as the file says."


def about(path: Path, v_pred: str = "automatic") -> About:
    kind = identify(path)
    return about_model(kind, family_of(kind), v_pred)


def said(path: Path, v_pred: str = "automatic") -> list[str]:
    return [str(each) for each in about(path, v_pred).facts]


def doubted(path: Path, v_pred: str = "automatic") -> list[str]:
    return [str(each) for each in about(path, v_pred).doubts]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("marked"), "SDXL-v", dtype=torch.float16)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("plain"), "SDXL", dtype=torch.float16)


def named(path: Path, name: str, folder: Path) -> Path:
    (folder / name).symlink_to(path)
    return folder / name


def test_what_is_found_is_said_with_its_reason(marked: Path, plain: Path) -> None:
    stored = "Its weights are stored as fp16."
    assert said(plain) == [f"{NOISE}nothing in the file says otherwise.", stored]
    assert said(marked) == [f"{VELOCITY}it is marked as such (v_pred).", ZERO_SNR, stored]
    assert doubted(plain) == doubted(marked) == []


def test_metadata_and_weights_are_reasons(tmp_path: Path) -> None:
    metadata = {**GROUPS, "modelspec.prediction_type": "v"}
    told = write_safetensors(tmp_path / "told.safetensors", sdxl_tensors(), metadata)
    assert said(told)[0] == f"{VELOCITY}its metadata says so."
    old = write_safetensors(tmp_path / "old.safetensors", sd2_tensors(SD2, velocity=True), GROUPS)
    assert said(old)[0] == f"{VELOCITY}its weights show it."
    old.with_suffix(".yaml").write_text("parameterization: eps")
    assert said(old)[0] == f"{NOISE}the .yaml file beside it says so."


def test_a_choice_that_overrules_the_file_is_questioned(marked: Path, plain: Path) -> None:
    (forced,) = doubted(plain, "yes")
    assert forced.startswith("small-sdxl.safetensors is not marked as a v-prediction model (nothing in the file says")
    assert said(plain, "yes")[0] == f"{VELOCITY}the settings say so (model v pred: yes)."
    (denied,) = doubted(marked, "no")
    assert denied.startswith("small-sdxl-v.safetensors is a v-prediction model by its own account (it is marked as")
    assert said(marked, "no")[0] == f"{NOISE}the settings say so (model v pred: no)."
    assert ZERO_SNR not in said(marked, "no")
    assert doubted(marked, "yes") == doubted(plain, "no") == []


def test_the_choice_is_what_is_trained(marked: Path, plain: Path) -> None:
    for path, choice, predicts, leaves_signal in (
        (marked, "automatic", "v_prediction", False),
        (marked, "no", "epsilon", True),
        (plain, "automatic", "epsilon", True),
        (plain, "yes", "v_prediction", True),
    ):
        diffusion = load_bundle(path, v_pred=choice).diffusion
        assert (diffusion.parameterisation.name, diffusion.schedule.leaves_signal) == (predicts, leaves_signal)


@pytest.mark.parametrize(
    "name", ["NoobAI-XL-Vpred-merge", "noobaiXLNAIXL_vPred10Version", "model v-pred", "x_v_prediction_2", "vpred"]
)
def test_a_name_that_says_v_prediction_without_a_mark(plain: Path, marked: Path, tmp_path: Path, name: str) -> None:
    path = named(plain, f"{name}.safetensors", tmp_path)
    (doubt,) = doubted(path)
    assert doubt == (
        f"{name}.safetensors is called a v-prediction model, but it is taken for one that predicts the noise (nothing "
        "in the file says otherwise). If its images come out as noise, set model v pred to yes."
    )
    assert [each for each in doubted(path, "yes") if "is called" in each] == doubted(path, "no") == []
    assert doubted(named(marked, f"{name}-marked.safetensors", tmp_path)) == []


def test_a_name_that_says_noise_with_a_mark(marked: Path, plain: Path, tmp_path: Path) -> None:
    (doubt,) = doubted(named(marked, "eps-merge-with-marks.safetensors", tmp_path))
    assert "is called a model that predicts the noise" in doubt
    assert doubted(named(plain, "my-eps-model.safetensors", tmp_path)) == []
    assert doubted(named(marked, "steps-and-stripes.safetensors", tmp_path)) == []


DISTILLED = {
    "sd_xl_turbo_1.0_fp16": "Turbo",
    "DreamShaperXLTurbo": "Turbo",
    "juggernautXL_v9Rdphoto2Lightning": "Lightning",
    "Hyper-SDXL-8steps": "Hyper",
    "HyperSD15": "Hyper",
    "lcm-dreamshaper": "LCM",
    "dmd2_sdxl_4step": "DMD2",
    "HyperRealistic_v2": "",
    "hyper-detailed": "",
    "lightningstorm": "",
    "film-grain": "",
}


@pytest.mark.parametrize("name", DISTILLED)
def test_distilled_models_are_told_by_their_names(plain: Path, tmp_path: Path, name: str) -> None:
    found = doubted(named(plain, f"{name}.safetensors", tmp_path))
    how = DISTILLED[name]
    assert [f"distilled to a few steps ({how})" in each for each in found] == ([True] if how else [])


def test_how_it_is_stored_part_by_part(tmp_path: Path) -> None:
    tensors = sdxl_tensors(dtype=torch.float16)
    mixed = {name: each.float() if name.startswith("first_stage") else each for name, each in tensors.items()}
    mixed |= {name: each.bfloat16() for name, each in mixed.items() if "diffusion_model.middle_block" in name}
    path = write_safetensors(tmp_path / "x.safetensors", mixed, GROUPS)
    parts = "U-Net fp16 (in part bf16), VAE fp32, text encoder fp16, second text encoder fp16"
    assert said(path)[-1] == f"Its weights are stored as: {parts}."


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (True, "yes"), ("true", "yes"), ("on", "yes"), (1, "yes"), ("yes", "yes"), ("Yes", "yes"),
        (False, "automatic"), ("false", "automatic"), ("", "automatic"), (None, "automatic"), (0, "automatic"),
        ("automatic", "automatic"), ("no", "no"), ("No", "no"),
    ],
)  # fmt: skip
def test_what_files_have_for_the_three_states(value: object, state: str) -> None:
    """TrainTrain has a switch, and writes false into every file."""
    settings = parse({"model_v_pred": value}).settings
    assert settings.model_v_pred == state
    stored = to_json(settings)["model_v_pred"]
    assert stored == {"automatic": False, "yes": True, "no": "no"}[state]
    assert parse({"model_v_pred": stored}).settings == settings


def test_the_account_before_a_run_and_the_dry_run_say_it(marked: Path, host, capsys) -> None:
    from trainer.cli import main

    settings = ["--model", str(marked), "--original-prompt", "red", "--target-prompt", "blue", "--model-v-pred", "no"]
    folders = ["--data-dir", str(host.folders.data), "--output-dir", str(host.folders.loras)]
    assert main(["train", "iLECO", *settings, *folders, "--save-lora-name", "x", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert f"{NOISE}the settings say so (model v pred: no)." in told
    assert "is a v-prediction model by its own account" in told
    assert main(["info", str(marked)]) == 0
    assert f"{VELOCITY}it is marked as such (v_pred)." in capsys.readouterr().out
