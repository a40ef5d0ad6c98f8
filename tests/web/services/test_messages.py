"""Mistakes in the page's language: whatever can be typed into a field is told in Japanese where that is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.config.check import check_for_run
from trainer.config.choices import MODES
from trainer.config.settings import ROWS, Settings
from trainer.errors import DataError, Problem, SettingsError, UserError
from trainer.jobs.store import Store
from trainer.paths import Folders
from trainer.text.messages import label as setting_label
from trainer.text.messages import literal, message
from trainer.web.services.messages import in_words, require_folder, value_problem

WRONG = (
    *("many", "-7", "3", "1e400", "nan", "0", "512,x", "a\nb", "a", "=1", "a=", "a=1;a=2", "a=[1", "a=1e999", ""),
    *("..", "../x", "/x", "C:\\x", "a//b", "a\\b", "a?", "con", "x.", "x" * 300, "\ud800", "99999999999"),
    *([], ["IN99"], {"a": 1}, True, 1.5),
)
JAPANESE = re.compile("[ぁ-んァ-ン一-龥]")


def test_every_problem_of_a_value_is_told_in_japanese() -> None:
    found = 0
    for row in ROWS:
        for value in WRONG:
            problem = value_problem(row.name, value)
            if problem is not None:
                found += 1
                assert not JAPANESE.search(in_words(problem))
                assert JAPANESE.search(in_words(problem, "ja")), in_words(problem)
    assert found > 200


@pytest.mark.parametrize("mode", MODES)
def test_what_is_missing_before_a_run_is_told_in_japanese(mode: str) -> None:
    problems = check_for_run(Settings(mode=mode))
    problems += check_for_run(replace(Settings(mode=mode), original_prompt="a", target_prompt="a"))
    problems += check_for_run(replace(Settings(mode=mode), original_image="a", target_image="a"))
    assert problems
    for line in in_words(SettingsError(problems), "ja").splitlines():
        label, _, what = line.partition(": ")
        assert JAPANESE.search(label) or label == "VAE"
        assert JAPANESE.search(what), line


def test_the_values_stay_in_the_sentence() -> None:
    problem = value_problem("train_iterations", "many")
    assert in_words(problem, "ja") == '整数を書いてください("many" は使えません)。例: 1000。'
    label = message("config.of_pass", name=message("config.second_pass"), label=setting_label("network_rank"))
    wrong = message("config.too_small", least=1, value=0)
    error = SettingsError([Problem("2nd pass.network_rank", label, wrong)])
    assert in_words(error) == "2nd pass, network rank: It must be at least 1, not 0."
    assert in_words(error, "ja") == "2回目の学習、ランク (rank): 1 以上にしてください(0 は使えません)。"


def test_what_the_queue_refuses_is_told_without_numbers_and_in_japanese(tmp_path: Path) -> None:
    store = Store(Folders(tmp_path / "data", tmp_path / "loras", tmp_path))
    named = Settings(mode="iLECO", original_prompt="red", target_prompt="blue", model="x", save_lora_name="{x}")

    def refused(act: Callable[[], object]) -> UserError:
        with pytest.raises(UserError) as error:
            act()
        return error.value

    number = store.add(named).id
    waiting = refused(lambda: store.add(named))
    lease = store.lease()
    store.claim(lease)
    running, gone = refused(lambda: store.add(named)), refused(lambda: store.get(number + 1))
    there = tmp_path / "loras" / "there.safetensors"
    there.parent.mkdir()
    there.touch()
    taken = refused(lambda: store.add(replace(named, save_lora_name="there")))
    for error, english, japanese in (
        (waiting, "{x} is the name of a job that is waiting", "{x} は待機中のジョブの名前です"),
        (running, "{x} is the name of a job that is running", "{x} は学習中のジョブの名前です"),
        (taken, "there.safetensors already exists", "there.safetensors はもうあります"),
        (gone, "There is no such job in the queue", "そのジョブはもうキューにありません"),
    ):
        assert english in in_words(error)
        assert japanese in in_words(error, "ja")
        assert not re.search(r"job \d|ジョブ \d", in_words(error) + in_words(error, "ja"))
    for act in (store.again, store.delete, lambda each: store.move(each, 1)):
        assert in_words(refused(lambda act=act: act(number))).startswith("{x}: It is running")
    lease.end()
    store.close()


def test_a_sentence_without_a_translation_stays() -> None:
    assert in_words(UserError(literal("the disk is full.")), "ja") == "the disk is full."


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert value_problem("lora_data_directory", str(tmp_path)) is None
    assert value_problem("lora_data_directory", f'"{tmp_path}"') is None
    assert value_problem("lora_data_directory", "") is None
    missing = value_problem("lora_data_directory", str(tmp_path / "gone"))
    assert missing is not None
    assert in_words(missing).startswith("There is no folder")
    assert "フォルダ" in in_words(missing, "ja")


def test_a_job_that_would_not_find_its_folder_is_refused(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    for mode in ("LoRA", "Multi-ADDifT"):
        require_folder(Settings(mode=mode, lora_data_directory=str(tmp_path)))
        with pytest.raises(DataError, match="lora data directory: There is no folder"):
            require_folder(Settings(mode=mode, lora_data_directory=gone))
    require_folder(Settings(mode="iLECO", lora_data_directory=gone))


def test_a_dataset_file_may_stand_for_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "data.toml"
    path.write_text("")
    assert value_problem("lora_data_directory", str(path)) is None
    require_folder(Settings(mode="LoRA", lora_data_directory=str(path)))
    require_folder(Settings(mode="LoRA", dataset_config=str(path)))
    with pytest.raises(DataError, match="is a file"):  # pairs are in a folder
        require_folder(Settings(mode="Multi-ADDifT", lora_data_directory=str(path)))
    with pytest.raises(DataError, match="dataset config: There is no file"):
        require_folder(Settings(mode="LoRA", dataset_config=str(tmp_path / "gone.toml")))
