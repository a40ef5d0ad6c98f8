"""Whose settings a file holds, and what is said of a file that holds nobody's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.config.foreign.test_sd_scripts import written
from trainer.config import presets
from trainer.config.foreign import page
from trainer.config.foreign.convert import PROGRAMS, program_of, read
from trainer.config.foreign.files import load
from trainer.config.foreign.suggest import meant_by
from trainer.config.schema import to_json
from trainer.config.settings import ROWS, Settings
from trainer.errors import UserError

NAMES = {row.name for row in ROWS}


@pytest.mark.parametrize("values", [to_json(Settings()), {}, {"mode": "iLECO", "train_iteration": 5, "network_dim": 4}])
def test_ours_stay_ours_whatever_else_they_hold(values: dict[str, Any]) -> None:
    assert program_of(values) is None


@pytest.mark.parametrize(
    "path", [*Path("presets").glob("*.json"), *Path("tests/config/traintrain_presets").glob("*.json")]
)
def test_presets_and_files_of_traintrain_are_ours(path: Path) -> None:
    assert not load(path.resolve()).account


def test_a_file_of_ours_that_has_kept_keys_of_another_program_is_ours() -> None:
    theirs = {"network_dim": 8, "train_data_dir": "/x", "LoRA_type": "Standard", "training_method": "LORA"}
    kept = to_json(read({**to_json(Settings()), **theirs}).settings)
    assert kept["LoRA_type"] == "Standard"
    assert program_of(kept) is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "tasty = true\n", "has no settings that Trainyard, kohya_ss"),
        ("a.yaml", "services:\n  web:\n    image: x\n", "has no settings that Trainyard, kohya_ss"),
        ("a.txt", "buy milk\n", "has no command with options"),
        ("a.txt", "tool --some-option --another\n", "has no settings that Trainyard, kohya_ss"),
        ("a.json", "{network_dim: 8}", "is not JSON"),
    ],
)
def test_what_is_nobodys_is_not_trained(name: str, text: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(UserError, match=said) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "[general]\nenable_bucket = true\n[[datasets]]\nresolution = 512\n"),
        ("a.json", '{"datasets": [{"subsets": []}]}'),
    ],
)
def test_a_dataset_file_is_the_data_of_a_run(name: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, text)
    parsed = load(path)
    assert parsed.settings == replace(Settings(), dataset_config=str(path))
    assert "This is a dataset file" in str(parsed.warnings[0])
    with pytest.raises(UserError, match="Give the path of the file as dataset_config"):
        read({"datasets": [{"subsets": []}]})


def test_our_own_settings_may_be_toml_or_a_command_as_well(tmp_path: Path) -> None:
    assert load(written(tmp_path, "a.toml", 'mode = "LoRA"\nnetwork_rank = 5\n')).settings.network_rank == 5
    ours = load(
        written(tmp_path, "a.sh", "python -m trainer train LoRA --network-rank 5 --train-iterations=7\n")
    ).settings
    assert (ours.network_rank, ours.train_iterations) == (5, 7)


def test_a_preset_may_be_another_programs_file_and_a_command_stands_for_one(tmp_path: Path) -> None:
    written(tmp_path, "mine.json", {"pretrained_model_name_or_path": "/m", "network_dim": 8})
    assert presets.load("mine", [tmp_path]).settings.network_rank == 8
    pasted = "accelerate launch train_network.py --network_dim=9 --pretrained_model_name_or_path=/m"
    assert presets.load(pasted, [tmp_path]).settings.network_rank == 9


@pytest.mark.parametrize("before", ["", "cd sd-scripts\n", "# --network_dim=3\n\n", "set X=1\n"])
def test_a_command_printed_over_several_lines_is_one(before: str, tmp_path: Path) -> None:
    """As a wiki prints it: without a sign at the lines' ends, and with comments between."""
    lines = ["accelerate launch --num_cpu_threads_per_process 1 ", "train_network.py ", " --network_dim=9 ",
             "# --network_alpha=3", " --optimizer_args weight_decay=0.1", "--clip_skip=2 --seed=42 "]  # fmt: skip
    text = before + "\n".join(lines) + "\n\npython next.py --seed=1\n"
    for end in ("\n", "\r\n"):
        settings = load(written(tmp_path, "a.sh", text.replace("\n", end))).settings
        assert (settings.network_rank, settings.network_alpha, settings.clip_skip) == (9, 1.0, 2)
        assert (settings.train_seed, settings.train_optimizer_settings) == (42, "weight_decay=0.1")


def test_paths_beside_the_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file names its neighbours, from wherever it is given; what is there from here goes first."""
    (tmp_path / "project" / "img").mkdir(parents=True)
    (tmp_path / "project" / "reg").mkdir()
    (tmp_path / "reg").mkdir()
    theirs = {"train_data_dir": "img", "reg_data_dir": "reg", "pretrained_model_name_or_path": "nowhere", "seed": 1}
    path = written(tmp_path / "project", "a.json", theirs)
    monkeypatch.chdir(tmp_path)
    found = load(Path("project/a.json")).settings
    assert Path(found.lora_data_directory) == path.parent / "img"
    assert (found.reg_data_directory, found.model) == ("reg", "nowhere")


def test_a_dataset_file_beside_settings_without_images_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "config_file.toml", 'output_name = "zorp"\n')
    assert not any("beside it" in str(line) for line in load(path).told())
    beside = written(tmp_path, "dataset_config.toml", "[[datasets]]\n")
    said = f"set dataset_config to {beside}."
    assert any(said in str(line) for line in load(path).told())
    assert not any(said in str(line) for line in load(path).without({"dataset_config"}).told())
    with_images = written(tmp_path, "other.toml", 'train_data_dir = "/x"\n')
    assert not any(said in str(line) for line in load(with_images).told())


# ---- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_key_stands_once_in_a_table(program) -> None:
    keys = [row.key for row in program.rows]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []
    assert [row.key for row in program.rows if row.is_idle and row.settings] == []
    assert {name for row in program.rows for name in row.settings} <= NAMES


def test_the_page_is_made_from_the_table() -> None:
    text = page.PAGE.read_text("utf-8")
    assert text.endswith(page.tables()), "run python -m trainer presets"
    for program in PROGRAMS:
        assert f"\n## {program.name}\n" in text


def test_the_page_is_rewritten_below_what_is_written_by_hand(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(page.PAGE.read_text("utf-8").replace("network_dim", "changed"), "utf-8")
    assert page.rewrite(copy)
    assert copy.read_text("utf-8").endswith(page.tables())
    assert copy.read_text("utf-8").startswith("# From other trainers\n")
    assert not page.rewrite(copy)


# ---- suggestions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("train_data_dir", "lora_data_directory"),
        ("--train_data_dir", "lora_data_directory"),
        ("network_dim", "network_rank"),
        ("--network-dim", "network_rank"),
        ("LoRA_type", "network_type"),
        ("lora_rank", "network_rank"),
        ("max_train_steps", "train_iterations"),
        ("pretrained_model_name_or_path", "model"),
        ("train_iteration", "train_iterations"),
        ("netwrok_rank", "network_rank"),
        ("gradient_accumulation_steps", "train_gradient_accumulation"),
        ("train_steps", "train_iterations"),
        ("lr", "train_learning_rate"),
        ("xformers", ""),
        ("gradient_steps", ""),
        ("something_else_entirely", ""),
    ],
)
def test_what_a_key_stands_for(word: str, meant: str) -> None:
    assert meant_by(word) == meant
