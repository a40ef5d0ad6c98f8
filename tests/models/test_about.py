"""What is said of a model: what it predicts and why, what its name says, how it is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.checkpoints import GROUPS, SD2, sd2_tensors, sdxl_tensors, small_checkpoint, write_safetensors
from trainer.config.schema import parse, to_json
from trainer.errors import ModelError, SettingsError
from trainer.models.about import About, about_model
from trainer.models.checkpoint.identify import identify
from trainer.models.registry import family_of, load_bundle

NOISE = "It predicts the noise (eps): "
VELOCITY = "It predicts the velocity (v-prediction): "
FLOW = "It predicts the flow (rectified flow): "
ZERO_SNR = "Its noise leaves no signal at the last timestep (zero terminal SNR), as the file says."


def about(path: Path, prediction: str = "found") -> About:
    kind = identify(path)
    return about_model(kind, family_of(kind), prediction)


def said(path: Path, prediction: str = "found") -> list[str]:
    return [str(each) for each in about(path, prediction).facts]


def doubted(path: Path, prediction: str = "found") -> list[str]:
    return [str(each) for each in about(path, prediction).doubts]


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
    (forced,) = doubted(plain, "velocity")
    assert forced.startswith(
        "small-sdxl.safetensors does not say that it predicts the velocity (v-prediction) (nothing"
    )
    assert said(plain, "velocity")[0] == f"{VELOCITY}the settings say so (prediction: velocity)."
    (denied,) = doubted(marked, "noise")
    assert denied.startswith("small-sdxl-v.safetensors predicts the velocity (v-prediction) by its own account (it is")
    assert said(marked, "noise")[0] == f"{NOISE}the settings say so (prediction: noise)."
    assert ZERO_SNR not in said(marked, "noise")
    (flowing,) = doubted(marked, "flow")
    assert "trained as if it predicted the flow (rectified flow) because prediction is flow" in flowing
    assert said(marked, "flow")[0] == f"{FLOW}the settings say so (prediction: flow)."
    assert ZERO_SNR not in said(marked, "flow")
    assert doubted(marked, "velocity") == doubted(plain, "noise") == []


def test_the_choice_is_what_is_trained(marked: Path, plain: Path) -> None:
    for path, choice, predicts, leaves_signal in (
        (marked, "found", "v_prediction", False),
        (marked, "noise", "epsilon", True),
        (marked, "flow", "flow", False),
        (plain, "found", "epsilon", True),
        (plain, "velocity", "v_prediction", True),
        (plain, "flow", "flow", False),
    ):
        diffusion = load_bundle(path, prediction=choice).diffusion
        assert (diffusion.parameterisation.name, diffusion.schedule.leaves_signal) == (predicts, leaves_signal)


@pytest.mark.parametrize(
    "name", ["NoobAI-XL-Vpred-merge", "noobaiXLNAIXL_vPred10Version", "model v-pred", "x_v_prediction_2", "vpred"]
)
def test_a_name_that_says_v_prediction_without_a_mark(plain: Path, marked: Path, tmp_path: Path, name: str) -> None:
    path = named(plain, f"{name}.safetensors", tmp_path)
    (doubt,) = doubted(path)
    assert doubt == (
        f"{name}.safetensors is called a v-prediction model, but it is taken for one that predicts the noise (nothing "
        "in the file says otherwise). If its images come out as noise, set prediction to velocity."
    )
    assert [each for each in doubted(path, "velocity") if "is called" in each] == doubted(path, "noise") == []
    assert doubted(named(marked, f"{name}-marked.safetensors", tmp_path)) == []


def test_a_rectified_flow_is_found_and_its_reason_is_told(plain: Path, marked: Path, tmp_path: Path) -> None:
    path = named(plain, "Noob-Rectified-Flow.safetensors", tmp_path)
    assert said(path)[0] == f"{FLOW}its name says so."
    (doubt,) = doubted(path)
    assert doubt.startswith(
        "Noob-Rectified-Flow.safetensors is taken for a rectified-flow model only because its name or its folder's"
    )
    assert "set prediction to what it predicts" in doubt
    assert doubted(path, "flow") == []
    assert said(path, "noise")[0] == f"{NOISE}the settings say so (prediction: noise)."
    (denied,) = doubted(path, "noise")
    assert "predicts the flow (rectified flow) by its own account (its name says so)" in denied
    (other,) = doubted(named(marked, "noob-rf-marked.safetensors", tmp_path))
    assert "is called a rectified-flow model, but it is taken for one that predicts the velocity" in other
    diffusion = load_bundle(path).diffusion
    assert diffusion.parameterisation.name == "flow"
    assert torch.equal(diffusion.schedule.noise, torch.arange(1, 1001) / 1000)


@pytest.mark.parametrize("metadata", [{"trainyard_config": '{"unet_norm_groups": 8, "prediction": "flow"}'},
                                      {**GROUPS, "modelspec.prediction_type": "flow"}])  # fmt: skip
def test_a_rectified_flow_that_says_so(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = write_safetensors(tmp_path / "it.safetensors", sdxl_tensors(), metadata)
    assert said(path)[0] == f"{FLOW}its metadata says so."
    assert doubted(path) == []
    assert load_bundle(path).diffusion.parameterisation.name == "flow"


def test_what_cannot_be_trained_is_refused_by_its_name(tmp_path: Path) -> None:
    """Never as something else, unless its user knows better."""
    for metadata, beside in (({"modelspec.prediction_type": "x0"}, ""), ({}, "parameterization: x0")):
        path = write_safetensors(tmp_path / "it.safetensors", sdxl_tensors(), {**GROUPS, **metadata})
        if beside:
            path.with_suffix(".yaml").write_text(beside)
        for refused in (about, load_bundle):
            with pytest.raises(ModelError, match=r'it.safetensors predicts "x0" \(.* says so\), which cannot be'):
                refused(path)
        (doubt,) = doubted(path, "noise")
        assert "trained as if it predicted the noise (eps) because prediction is noise" in doubt
        assert load_bundle(path, prediction="noise").diffusion.parameterisation.name == "epsilon"


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
        (True, "velocity"), ("true", "velocity"), ("on", "velocity"), (1, "velocity"), ("yes", "velocity"),
        (False, "found"), ("false", "found"), ("", "found"), (None, "found"), (0, "found"), ("automatic", "found"),
        ("no", "noise"), ("No", "noise"),
    ],
)  # fmt: skip
def test_what_older_files_have_for_the_prediction(value: object, state: str) -> None:
    """TrainTrain has a switch, and writes false into every file; earlier versions of ours had three states."""
    settings = parse({"model_v_pred": value}).settings
    assert settings.prediction == state
    stored = to_json(settings)
    assert stored["prediction"] == state
    assert stored["model_v_pred"] is (state == "velocity")
    assert parse(stored).settings == settings


def test_a_wrong_switch_of_an_older_file_is_refused() -> None:
    with pytest.raises(SettingsError, match="prediction"):
        parse({"model_v_pred": "perhaps"})


def test_the_account_before_a_run_and_the_dry_run_say_it(marked: Path, host, capsys) -> None:
    from trainer.cli import main

    settings = ["--model", str(marked), "--original-prompt", "red", "--target-prompt", "blue", "--prediction", "noise"]
    folders = ["--data-dir", str(host.folders.data), "--output-dir", str(host.folders.loras)]
    assert main(["train", "iLECO", *settings, *folders, "--save-lora-name", "x", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert f"{NOISE}the settings say so (prediction: noise)." in told
    assert "predicts the velocity (v-prediction) by its own account" in told
    assert main(["info", str(marked)]) == 0
    assert f"{VELOCITY}it is marked as such (v_pred)." in capsys.readouterr().out
